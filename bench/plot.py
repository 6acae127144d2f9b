"""The plot of bench/report.py: time relative to native on a logarithmic scale; a panel a group, a row a test, a bar a machine."""
import matplotlib

matplotlib.use("svg")
# The same run gives the same file.
matplotlib.rcParams["svg.hashsalt"] = "ringer"
from matplotlib import pyplot  # noqa: E402
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: E402

COLOURS = ["#2b6cb0", "#38a169", "#805ad5", "#d69e2e"]
TCG_COLOUR, TARGET_COLOUR, INK, GRID = "#c0c4cc", "#c53030", "#1a202c", "#e2e8f0"
# Inches.
WIDTH, BAR, GAP, TITLE, MARGIN = 10.5, 0.1, 0.1, 0.34, 0.9


def label(ratio):
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


def groups_of(report, targets, base, tests_of):
    """(title, limit for each test or None, [(test, {machine: ratio})]) of the groups that have tests with the base."""
    groups = []
    for group, title, most_mean, most_each, *_ in targets:
        rows = []
        for test in tests_of(group):
            ratios = {m: report.ratio(test, m, base) for m in report.machines if m != base}
            ratios = {m: r for m, r in ratios.items() if r}
            if ratios:
                rows.append((test, ratios))
        if rows:
            groups.append((title, most_each or most_mean, rows))
    return groups


def panel(axis, rows, machines, colours):
    """The bars of one group. The first test is at the top."""
    thickness = 1 / (len(machines) + GAP / BAR)
    for place, machine in enumerate(machines):
        known = [(row + (place - (len(machines) - 1) / 2) * thickness, values[machine])
                 for row, (_, values) in enumerate(rows) if machine in values]
        if not known:
            continue
        at, ratios = zip(*known)
        axis.barh(at, [r - 1 for r in ratios], left=1, height=thickness * 0.9, color=colours[machine], label=machine)
        for y, ratio in known:
            axis.annotate(label(ratio), (max(ratio, 1), y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=6,
                          color=INK)
    axis.set_yticks(range(len(rows)), [test for test, _ in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)


def draw(path, report, targets, native, tcg):
    base = next((m for m in (native, tcg) if m in report.machines), report.subject)
    machines = [m for m in report.machines if m != base]
    groups = groups_of(report, targets, base, report.tests)
    if not machines:
        return  # a machine alone has nothing to be compared with
    if base == native and tcg in report.machines:
        # Tests for which the host has no figure.
        groups += [(f"relative to {tcg}: {title}", None, rows) for title, _, rows in groups_of(
            report, targets, tcg, lambda group: [t for t in report.tests(group) if not report.value(t, native)])]
    colours = dict(zip((m for m in machines if m != tcg), COLOURS * len(machines)))
    colours[tcg] = TCG_COLOUR
    row_height = len(machines) * BAR + GAP
    heights = [TITLE + row_height * len(rows) for _, _, rows in groups] or [TITLE]
    figure, axes = pyplot.subplots(len(heights), 1, figsize=(WIDTH, sum(heights) + MARGIN), sharex=True, squeeze=False,
                                   gridspec_kw={"height_ratios": heights}, layout="constrained")
    figure.get_layout_engine().set(rect=(0, 0.3 / figure.get_figheight(), 1, 1 - 0.3 / figure.get_figheight()))
    figure.suptitle(f"Time relative to {base} (logarithmic; shorter is faster)", fontsize=11, color=INK)
    for axis, (title, limit, rows) in zip(axes[:, 0], groups):
        axis.set_xscale("log")
        axis.set_title(title, fontsize=9, fontweight="bold", loc="left", color=INK, pad=3)
        axis.grid(True, axis="x", which="both", color=GRID, linewidth=0.6)
        axis.set_axisbelow(True)
        axis.axvline(1, color=INK, linewidth=0.8)
        if limit and base == native:
            axis.axvline(limit, color=TARGET_COLOUR, linewidth=1.2, label="target against native")
        panel(axis, rows, machines, colours)
    last = axes[-1, 0]
    last.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    last.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    last.xaxis.set_minor_formatter(NullFormatter())
    entries = {name: handle for axis in axes[:, 0] for handle, name in zip(*axis.get_legend_handles_labels())}
    if entries:
        figure.legend(entries.values(), entries.keys(), loc="lower center", fontsize=8, ncols=len(entries), frameon=False)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
