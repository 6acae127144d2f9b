#!/usr/bin/env python3
"""Summarizes a run of bench/scale.

    scale.py [--cpu-time] SUITE DIRECTORY

Reads DIRECTORY/raw-scale (what tests/boot/stopwatch noted of every machine, curve and round) and the suite, and writes
DIRECTORY/scale.csv (every run), scale.txt (a table a curve) and scale.svg.

A point is called CURVE-N. "growth" is how many times as long a point takes as the first point of its curve; where the host
was measured, the last column is that growth divided by the host's.
"""
import csv
import os
import statistics
import sys

sys.dont_write_bytecode = True
import report  # noqa: E402

TITLES = {
    "ring": ("Ring of N processes, 64 pages touched each", "processes"),
    "shells": ("Ring of N shells", "shells"),
    "start": ("N shells started, alive together, ended", "shells"),
    "spread": ("A write in each of N regions of 2 MB, by turns", "regions"),
    "first": ("First write of a new process in each of N regions of 2 MB", "regions"),
}
# Targets for the growth of curves, from the first point to the last: at most this multiple of the host's growth.
GROWTH_TARGETS = {"ring": 2.0}


def medians(runs, cpu_time):
    """(curve, N, machine) -> ns."""
    values = {}
    for row in runs:
        if row["value"] is None or row["status"] != 0:
            continue
        value = row["value"]
        share = report.share_of(row)
        if cpu_time and share:
            value *= min(share, 1)
        curve, n = row["test"].rsplit("-", 1)
        values.setdefault((curve, int(n), row["machine"]), []).append(value)
    return {key: statistics.median(found) for key, found in values.items()}


def curve_table(curve, points, machines, value):
    """The lines of one curve."""
    title, of = TITLES[curve]
    lines = [title, ""]
    head = f"{of:>10}" + "".join(f"{m:>14}" for m in machines) + "".join(f"{m + ' growth':>18}" for m in machines)
    subjects = [m for m in machines if m != report.NATIVE and report.NATIVE in machines]
    lines.append(head + "".join(f"{m + ' / native':>20}" for m in subjects))
    growth = {}
    for n in points:
        cells = [f"{n:>10}"]
        for m in machines:
            cells.append(f"{report.scaled(value.get((curve, n, m)), 'ns'):>14}")
        for m in machines:
            first, here = value.get((curve, points[0], m)), value.get((curve, n, m))
            growth[n, m] = here / first if first and here else None
            cells.append(f"{report.number(growth[n, m], 18)}")
        for m in subjects:
            own, host = growth[n, m], growth[n, report.NATIVE]
            cells.append(f"{report.number(own / host if own and host else None, 20)}")
        lines.append("".join(cells))
    limit, last = GROWTH_TARGETS.get(curve), points[-1]
    subject = next((m for m in subjects if m != report.TCG), None)
    if limit and subject and growth[last, subject] and growth[last, report.NATIVE]:
        ratio = growth[last, subject] / growth[last, report.NATIVE]
        lines += ["", f"{subject}: growth to {last} {of} is {ratio:.2f} of native's "
                      f"(target: at most {limit:g}: {'met' if ratio <= limit else 'MISSED'})"]
    return lines


def draw(path, curves, machines, value):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "ringer"
    from matplotlib import pyplot
    colours = {report.NATIVE: "#1a202c", report.TCG: "#a0a4ac"}
    figure, axes = pyplot.subplots(1, len(curves), figsize=(4.2 * len(curves), 3.6), squeeze=False)
    for axis, (curve, points) in zip(axes[0], curves.items()):
        for m in machines:
            known = [(n, value[curve, n, m] / 1000) for n in points if (curve, n, m) in value]
            if known:
                axis.plot(*zip(*known), marker="o", markersize=3, label=m, color=colours.get(m))
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_title(TITLES[curve][0], fontsize=8, wrap=True)
        axis.set_xlabel(TITLES[curve][1], fontsize=8)
        axis.set_ylabel("us", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.grid(True, color="#e2e8f0")
    axes[0][0].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main(arguments):
    cpu_time = "--cpu-time" in arguments
    rest = [a for a in arguments if a != "--cpu-time"]
    if len(rest) != 2:
        sys.exit("usage: scale.py [--cpu-time] SUITE DIRECTORY")
    suite, out = report.read_suite(rest[0]), rest[1]
    raw = os.path.join(out, "raw-scale")
    about = report.read_about(os.path.join(raw, "about"))
    runs = report.runs_of(raw, suite)
    if not runs:
        sys.exit("scale.py: no machine has finished a point")
    with open(os.path.join(out, "scale.csv"), "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["round", "part", "test", "machine", "status", "value", "unit", "of", "guest_s", "host_s",
                                      "cpu_s", "peak_kb", "check"], lineterminator="\n")
        table.writeheader()
        table.writerows(runs)
    value = medians(runs, cpu_time)
    present = {m for _, _, m in value}
    machines = [m for m in [report.NATIVE] + [words.split()[0] for words in about["vmm"]] if m in present]
    curves = {}
    for test in suite:
        curve, _, n = test.rpartition("-")
        if curve in TITLES and any((curve, int(n), m) in value for m in machines):
            curves.setdefault(curve, []).append(int(n))
    lines = [f"{key:<8} {text}" for key in ("date", "host", "guest", "native", "qemu", "commit") for text in about.get(key, [])]
    lines.append(f"medians of {about['rounds'][0]} rounds" + (", of the processor time each machine got" if cpu_time else ""))
    for curve, points in curves.items():
        lines += [""] + curve_table(curve, points, machines, value)
    lines.append("")
    for m in machines:
        if m != report.NATIVE:
            for curve in curves:
                peak = max(r["peak_kb"] for r in runs if r["machine"] == m and r["part"] == curve) / 1024
                lines.append(f"peak memory  {m:<12} {curve:<8} {peak:8.0f} MB")
    with open(os.path.join(out, "scale.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    draw(os.path.join(out, "scale.svg"), curves, machines, value)


if __name__ == "__main__":
    main(sys.argv[1:])
