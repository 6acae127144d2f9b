"""The plots of bench/cache: one figure a sweep, a row of panels a guest."""
import matplotlib

matplotlib.use("svg")
# The same rows give the same file.
matplotlib.rcParams["svg.hashsalt"] = "ringer"
# Letters stay letters: small files, and the browser's font.
matplotlib.rcParams["svg.fonttype"] = "none"
from matplotlib import pyplot  # noqa: E402

PANELS = [("misses_per_million", "translations in a million guest instructions"), ("retranslations", "retranslations"), ("evicted", "blocks evicted"),
          ("links_cut", "links cut"), ("host_bytes_per_instruction", "host bytes in a translated guest instruction"), ("cpu_seconds", "processor time, s")]
COLOURS = ["#2b6cb0", "#38a169", "#805ad5", "#d69e2e", "#c53030", "#4a5568"]
# The literature with which each sweep is compared. Its authors measure user programs under DynamoRIO, Pin and VMware's monitor.
LITERATURE = {
    "size": "Compare: Bruening and Amarasinghe 2005 (miss rate and time against the size of the cache)",
    "policy": "Compare: Hazelwood and Smith 2004 (flush, FIFO by units of several sizes), 2006 (generations)",
    "segments": "Compare: Hazelwood and Smith 2004 (granularity: links cut and misses against the number of units)",
    "size,policy": "Compare: Hazelwood and Smith 2006 (generational caches against FIFO and flush, by size)",
    "chaining": "Compare: Adams and Agesen 2006 (chaining and the cost of indirect control flow)",
    "returns": "Compare: Adams and Agesen 2006 (returns are where translated code loses to hardware)",
}


def in_bytes(size):
    return int(size[:-1]) << {"K": 10, "M": 20, "G": 30}[size[-1]]


def lines_of(sweep, rows):
    """{label: [row]}: a pair with size has a line for each value of the other sweep; others have one line."""
    if "," not in sweep:
        return {sweep: rows}
    lines = {}
    for row in rows:
        lines.setdefault(row["value"].split(",", 1)[1], []).append({**row, "value": row["value"].split(",")[0]})
    return lines


def panel(axis, sweep, rows, column, title, labels):
    """`labels`: of all panels of the figure, so that a line has the same colour in each."""
    lines = lines_of(sweep, rows)
    values = list(dict.fromkeys(row["value"] for line in lines.values() for row in line))
    if sweep.split(",")[0] == "size":
        values.sort(key=in_bytes)
    for label, line in lines.items():
        colour = COLOURS[labels.index(label) % len(COLOURS)]
        points = sorted((values.index(row["value"]), row[column]) for row in line if row[column] not in (None, ""))
        if not points:
            continue
        axis.plot(*zip(*points), marker="o", markersize=3, linewidth=1.2, color=colour, label=label)
    axis.set_xticks(range(len(values)), values, fontsize=7, rotation=0 if len(values) < 9 else 45)
    axis.set_title(title, fontsize=8, loc="left")
    axis.tick_params(axis="y", labelsize=7)
    axis.yaxis.get_offset_text().set_fontsize(7)
    axis.set_ylim(bottom=0)
    axis.grid(axis="y", color="#e2e8f0")


# For a document: a figure for each of these columns of the pair, a panel for each guest, and the literature that has such curves.
PAIR = "size,policy"
SMALL = [("misses_per_million", "translations in a million guest instructions (the miss rate)", "Hazelwood and Smith 2004, 2006 (miss rate by policy and size)"),
         ("translations", "translations", "Bruening and Amarasinghe 2005 (what a bounded cache makes, by size)"),
         ("retranslations", "translations made again", "Bruening and Amarasinghe 2005 (regenerated fragments, by which they size the cache)"),
         ("evicted", "live blocks evicted", "Hazelwood and Smith 2004 (evictions by granularity)"),
         ("links_cut", "links cut", "Hazelwood and Smith 2004 (links to be removed by granularity)"),
         ("cpu_seconds", "processor time, s, on a busy host", "Bruening and Amarasinghe 2005 (time by size of the cache)")]
HOST = ("host_instructions", "host instructions for each guest instruction", "Adams and Agesen 2006 (translated code is nearly the guest's own)")


def save(figure, folder, column, compare):
    figure.text(0.01, 0.01, f"Compare: {compare}", fontsize=7)
    # A background of its own, so that a dark page shows it too.
    figure.patch.set_facecolor("white")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    name = f"cache-{column.replace('_', '-')}.svg"
    figure.savefig(folder / name, metadata={"Date": None})
    pyplot.close(figure)
    return name


def bars(axis, rows, column):
    labels = [row["label"] for row in rows]
    axis.barh(range(len(rows)), [row[column] for row in rows], color=COLOURS[0], height=0.6)
    axis.set_yticks(range(len(rows)), labels, fontsize=7)
    axis.invert_yaxis()
    axis.tick_params(axis="x", labelsize=7)
    axis.grid(axis="x", color="#e2e8f0")
    axis.set_axisbelow(True)


def draw_host(folder, rows):
    """Host instructions of a guest instruction: by size, and with one mechanism changed."""
    column, about, compare = HOST
    mine = [row for row in rows if "," not in row["sweep"] and row[column] not in (None, "")]
    if not mine:
        return
    guest = mine[0]["guest"]
    mine = [row for row in mine if row["guest"] == guest]
    sizes = [row for row in mine if row["sweep"] == "size"]
    changed = {row["label"]: row for row in mine if row["sweep"] != "size"}
    figure, axes = pyplot.subplots(1, 2, figsize=(7.5, 2.8), squeeze=False)
    panel(axes[0][0], "size", sizes, column, f"{guest}, by cache size", ["size"])
    bars(axes[0][1], list(changed.values()), column)
    axes[0][1].set_title(f"{guest}, one mechanism changed", fontsize=8, loc="left")
    yield save(figure, folder, column, compare), about


def draw_small(folder, rows):
    """Files and what they show."""
    mine = [row for row in rows if row["sweep"] == PAIR]
    guests = list(dict.fromkeys(row["guest"] for row in mine))
    for column, about, compare in SMALL if guests else []:
        across = min(3, len(guests))
        down = -(-len(guests) // across)
        figure, axes = pyplot.subplots(down, across, figsize=(2.9 * across, 2.1 * down + 0.3), squeeze=False)
        for axis in axes.flat[len(guests):]:
            axis.axis("off")
        for axis, guest in zip(axes.flat, guests):
            panel(axis, PAIR, [row for row in mine if row["guest"] == guest], column, guest, list(lines_of(PAIR, mine)))
        axes[0][0].legend(fontsize=7)
        yield save(figure, folder, column, compare), f"{about}, by cache size and policy"
    yield from draw_host(folder, rows)


def draw(folder, rows):
    for sweep in dict.fromkeys(row["sweep"] for row in rows):
        mine = [row for row in rows if row["sweep"] == sweep]
        names = list(dict.fromkeys(row["guest"] for row in mine))
        figure, axes = pyplot.subplots(len(names), len(PANELS), figsize=(3.2 * len(PANELS), 2.4 * len(names) + 0.6), squeeze=False)
        for line, guest in zip(axes, names):
            for axis, (column, title) in zip(line, PANELS):
                panel(axis, sweep, [row for row in mine if row["guest"] == guest], column, f"{guest}: {title}", list(lines_of(sweep, mine)))
        if "," in sweep:
            axes[0][0].legend(fontsize=7)
        figure.text(0.01, 0.005, LITERATURE.get(sweep.rstrip(), ""), fontsize=8)
        figure.tight_layout(rect=(0, 0.03, 1, 1))
        figure.savefig(folder / f"cache-{sweep.replace(',', '-')}.svg", metadata={"Date": None})
        pyplot.close(figure)
