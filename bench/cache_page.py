"""The tables of bench/cache for a document, with plots and cache.csv in a folder beside it."""
import csv

import cache_plot

MARK = ("<!-- bench/cache begins -->", "<!-- bench/cache ends -->")


def table(heads, lines):
    """Markdown: the first column is text, the others are numbers."""
    yield "| " + " | ".join(heads) + " |"
    yield "|---|" + "---:|" * (len(heads) - 1)
    for line in lines:
        yield "| " + " | ".join(str(cell) for cell in line) + " |"
    yield ""


def number(value):
    return "-" if value in (None, "") else f"{value:,}"


def crossed(rows, sweep, column):
    """A pair of sweeps: a line for each guest and first value, a column for each second value."""
    mine = [row for row in rows if row["sweep"] == sweep]
    seconds = list(dict.fromkeys(row["value"].split(",", 1)[1] for row in mine))
    lines = {}
    for row in mine:
        first, second = row["value"].split(",", 1)
        lines.setdefault((row["guest"], first), {})[second] = row[column]
    told = {key: cells for key, cells in lines.items() if any(cell is not None for cell in cells.values())}
    if sweep == cache_plot.PAIR:  # folders may add sizes that lie between those of others
        guests = list(dict.fromkeys(guest for guest, _ in told))
        told = dict(sorted(told.items(), key=lambda line: (guests.index(line[0][0]), cache_plot.in_bytes(line[0][1]))))
    return seconds, [[f"{guest}, {first}", *(number(cells.get(second)) for second in seconds)] for (guest, first), cells in told.items()]


def labelled(rows):
    """A row for each configuration, although folders of results may share some; with a label for what it changes."""
    known = {}
    for row in rows:
        label = "as by default" if not row["options"] else f"{row['sweep']}: {row['value']}"
        old = known.setdefault((row["guest"], row["sweep"], row["value"]), {"label": label})
        old.update({name: value for name, value in row.items() if value not in (None, "") or name not in old})
    return list(known.values())


def with_sizes_alone(rows):
    """`rows`, and those of the sweep `size` as rows of the pair with the policy that they have, the whole flush."""
    paired = {(row["guest"], row["value"]) for row in rows if row["sweep"] == cache_plot.PAIR}
    guests = {guest for guest, _ in paired}
    alone = [{**row, "sweep": cache_plot.PAIR, "value": f"{row['value']},flush"} for row in rows if row["sweep"] == "size" and row["guest"] in guests]
    return rows + [row for row in alone if (row["guest"], row["value"]) not in paired]


def mechanisms(rows, column, format_value):
    """Single sweeps: a line for each setting, a column for each guest that has the column."""
    single = [row for row in rows if "," not in row["sweep"] and row["sweep"] not in ("size", "windows") and row[column] not in (None, "")]
    guests = list(dict.fromkeys(row["guest"] for row in single))
    lines = {}
    for row in sorted(single, key=lambda row: bool(row["options"])):
        lines.setdefault(row["label"], {})[row["guest"]] = row[column]
    return guests, [[setting, *(format_value(cells.get(guest)) for guest in guests)] for setting, cells in lines.items()]


WINDOWS = [("windows_given", "windows given", number), ("window_faults", "host page faults in them", number), ("translations", "translations", number),
           ("host_bytes_per_instruction", "host bytes of a translated instruction", lambda value: f"{value:.1f}"),
           ("host_instructions", "host instructions for each guest instruction", lambda value: "-" if value in (None, "") else f"{value:.2f}"),
           ("cpu_seconds", "processor time, s, on a busy host", lambda value: f"{value:.1f}")]


def windows(rows):
    """A line for each guest and setting."""
    for row in rows:
        if row["sweep"] == "windows":
            yield [f"{row['guest']}, {row['value']}", *(form(row[column]) for column, _, form in WINDOWS)]


def saved(rows, one, other, size):
    """By how much fewer translations are made again under one policy than under another, in percent: least and most of the guests."""
    made = {(row["guest"], row["value"]): row["retranslations"] for row in rows if row["sweep"] == "size,policy"}
    guests = dict.fromkeys(guest for guest, _ in made)
    both = [(made.get((guest, f"{size},{one}")), made.get((guest, f"{size},{other}"))) for guest in guests]
    return sorted(round(100 * (1 - a / b)) for a, b in both if a and b)


def compared(rows, sizes):
    """What the papers found, beside the same comparison here."""
    claims = [
        ("Hazelwood and Smith 2004: medium-grained FIFO beats the whole flush under pressure", "fifo", "flush"),
        ("Hazelwood and Smith 2003, 2006: generations miss 18% less often than one FIFO cache, on average", "generations", "fifo"),
        ("Bruening 2004: FIFO misses about as often as LRU", "lru", "fifo"),
    ]
    for claim, one, other in claims:
        cells = []
        for size in sizes:
            percents = saved(rows, one, other, size)
            some = sorted({percents[0], percents[-1]}) if percents else []
            cells.append(" to ".join(map(str, some)) + "%" if some else "-")
        yield [claim, f"{one} against {other}", *cells]


def regenerated(rows):
    """Of the translations with FIFO, the share that was made before, as Bruening's rule for the size of a cache wants it: a line for each guest."""
    mine = [row for row in rows if row["sweep"] == cache_plot.PAIR and row["value"].endswith(",fifo") and row["retranslations"] not in (None, "")]
    sizes = sorted({row["value"].split(",")[0] for row in mine}, key=cache_plot.in_bytes)
    lines = {}
    for row in mine:
        lines.setdefault(row["guest"], {})[row["value"].split(",")[0]] = f"{100 * row['retranslations'] / row['translations']:.0f}%"
    return sizes, [[guest, *(cells.get(size, "-") for size in sizes)] for guest, cells in lines.items()]


def body(rows, folder, plots):
    sizes = list(dict.fromkeys(row["value"].split(",")[0] for row in rows if row["sweep"] == "size,policy"))
    sizes = [size for size in sorted(sizes, key=cache_plot.in_bytes) if saved(rows, "fifo", "flush", size)]
    yield MARK[0]
    yield ("Translations made again less often, from the guest that gains least to the one that gains most; every run is a row of\n"
           f"[cache.csv]({folder}/cache.csv).\n")
    yield from table(["the literature's finding", "here", *sizes], compared(rows, sizes))
    heads, lines = regenerated(rows)
    if lines:
        yield ("Bruening 2004 calls a FIFO cache too small where of 5 new blocks 1 to 3 were evicted before, which is 20 to 60%. The\n"
               "share here, over the whole run:\n")
        yield from table(["guest", *heads], lines)
    for name, about in plots:
        yield f"![{about}]({folder}/{name})\n"
    for sweep, title in (("size,policy", "policy"), ("size,segments", "number of segments, FIFO")):
        for column, what in (("translations", "Translations"), ("retranslations", "Translations made again"), ("evicted", "Live blocks evicted"), ("links_cut", "Links cut")):
            heads, lines = crossed(rows, sweep, column)
            if lines:
                yield f"{what}, by size and {title}:\n"
                yield from table(["guest, cache", *heads], lines)
    for sweep in dict.fromkeys(row["sweep"] for row in rows if "," in row["sweep"] and row["sweep"] not in ("size,policy", "size,segments")):
        one, other = sweep.split(",")
        for column, what in (("lookups", "Look-ups of blocks by C code"), ("translations", "Translations"), ("host_bytes_per_instruction", "Host bytes of a translated instruction")):
            heads, lines = crossed(rows, sweep, column)
            if all(len(set(cells)) == 1 for _, *cells in lines) and len({tuple(cells) for _, *cells in lines}) <= len({line[0].split(",")[0] for line in lines}):
                continue  # neither of them changes it
            yield f"{what}, {one} and {other} together:\n"
            yield from table([f"guest, {one}", *(f"{other}: {head}" for head in heads)], lines)
    lines = list(windows(rows))
    if lines:
        yield "Windows, on a host with FSGSBASE:\n"
        yield from table(["guest, windows", *(about for _, about, _ in WINDOWS)], lines)
    for column, what, form in (("host_instructions", "Host instructions for each guest instruction, on the straight way through the blocks", lambda v: "-" if v is None else f"{v:.2f}"),
                               ("translations", "Translations", number), ("lookups", "Look-ups of blocks by C code", number), ("links_made", "Links made", number),
                               ("cpu_seconds", "Processor time in seconds, on a busy host: differences of less than a fifth mean nothing", lambda v: "-" if v is None else f"{v:.1f}"),
                               ("host_bytes_per_instruction", "Host bytes of a translated guest instruction", lambda v: "-" if v is None else f"{v:.1f}")):
        guests, lines = mechanisms(rows, column, form)
        if lines:
            yield f"{what}:\n"
            yield from table(["mechanism", *guests], lines)
    yield MARK[1]


def write(document, rows, columns):
    before, rest = document.read_text().split(MARK[0])
    after = rest.split(MARK[1])[1]
    folder = document.parent / "cache"
    folder.mkdir(exist_ok=True)
    rows = labelled(rows)
    with open(folder / "cache.csv", "w", newline="") as out:
        writer = csv.DictWriter(out, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    rows = with_sizes_alone(rows)
    plots = list(cache_plot.draw_small(folder, rows))
    document.write_text(before + "\n".join(body(rows, "cache", plots)) + after)
