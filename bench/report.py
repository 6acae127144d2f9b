#!/usr/bin/python3
"""Summarizes a run of bench/run. (Debian's own Python is the one that has Debian's matplotlib.)

    report.py [--cpu-time] SUITE DIRECTORY

Reads DIRECTORY/raw (what tests/boot/stopwatch noted of every machine, part and round) and the suite, and writes
DIRECTORY/suite.csv (every run), suite.json (medians and targets), suite.txt (for people) and suite.svg. All results
are times, so less is better.
"""
import csv
import json
import math
import os
import re
import statistics
import sys

sys.dont_write_bytecode = True
import plot  # noqa: E402

# The targets by group: title; at most against native, for the group (geometric mean) and for each test; at
# least against TCG, the same two. None: no target. Where the goal is one number for several tests it holds for
# each of them against native and for their mean against TCG, because TCG is close to native in some (dependent loads,
# mispredicted jumps) and a hundred times slower in others.
TARGETS = [
    ("integer", "integer, sort, pointer, byte loops", 1.3, 2.0, 4, None),
    ("float", "SSE2 and x87 floating point", None, 1.15, 15, None),
    ("calls", "calls, indirect calls, switch interpreters", None, 2.0, 3.5, None),
    ("memory", "memcpy, memset, rep movs from 4 KB up", None, 1.3, 15, None),
    ("syscall", "system call (getppid)", None, 2.5, 2, None),
    ("signal", "signal delivery", None, 1.0, 3, None),
    ("fork", "fork+wait, fork+exec", None, 2.5, 3, None),
    ("switch", "pipe ping-pong, context switch", None, 3, 8, None),
    ("fault", "page fault (anonymous memory)", None, 2.5, 3, None),
    ("smc", "self-modifying code", None, None, 3, None),
    ("boot", "kernel start to shell", None, None, 3, None),
    ("programs", "real programs", 2.0, None, 6, None),
    ("other", "what no target is for", None, None, None, None),
]
# What differs for 64-bit programs.
TARGETS_64 = {"float": (None, 1.2, 12, None), "memory": (None, 1.2, 12, None), "syscall": (None, 2.0, 2, None), "switch": (None, 2.5, 6, None),
              "programs": (1.7, None, 6, None)}
SUITE_TARGET = ("whole suite", None, None, 5, 1)
NATIVE, TCG = "native", "qemu-tcg"
# Guest time may differ from host time by this much: a share, and what the serial port and the host's scheduler cost.
CLOCK_SHARE, CLOCK_SECONDS = 0.03, 0.020
# 32-bit programs under a 64-bit kernel, against the same under a 32-bit kernel: the geometric mean.
COMPAT_GROUP, COMPAT_MOST = "programs", 1.3
# A machine that got less of a processor than this was disturbed.
CPU_SHARE = 0.9
EXTRA_MB = {"i386": 128, "amd64": 192}
IDLE_PERCENT = 2.0


def read_suite(path):
    """The tests in order: name -> group."""
    tests, group = {"boot": "boot"}, None
    for line in open(path, encoding="utf-8"):
        words = line.split(None, 1)
        if len(words) == 2 and words[0] == "group":
            group = words[1].strip()
        elif len(words) == 2 and words[0] == "test":
            tests[words[1].strip()] = group
    return tests


def read_raw(path):
    """One report: its plain values, and the notes on each test."""
    values, tests = {}, {}
    for line in open(path, encoding="utf-8", errors="replace"):
        words = line.split()
        if words and words[0] != "stamp":
            values[words[0]] = words[1] if len(words) > 1 else ""
            continue
        if len(words) < 7 or words[4] != "bench:":
            continue
        wall, cpu, what, name, rest = float(words[1]), float(words[2]), words[5], words[6], words[7:]
        test = tests.setdefault(name, {})
        if what in ("begin", "end"):
            test[what] = (wall, cpu, int(rest[0]) / 1e9)
        if what == "end":
            test["status"], test["guest_cpu_s"] = int(rest[1]), float(rest[2]) + float(rest[3])
        elif what == "value" and re.fullmatch(r"[0-9.e+-]+", rest[0]):
            test["value"], test["unit"], test["of"] = float(rest[0]), rest[1], " ".join(rest[2:])
        elif what == "check":
            test["check"] = " ".join(rest)
        elif what == "failed":
            test["failed"] = " ".join(rest)
    return values, tests


def runs_of(directory, suite):
    """Every run of every test, as the rows of suite.csv."""
    rows = []
    for file in sorted(os.listdir(directory)):
        if file == "about":
            continue
        round_, part, machine = file.split(".", 2)
        values, tests = read_raw(os.path.join(directory, file))
        common = {"round": int(round_), "part": part, "machine": machine, "peak_kb": int(values["peak_kb"])}
        if part == "boot":
            if values["marker_s"] != "-":
                seconds = float(values["marker_s"])
                rows.append({**common, "test": "boot", "status": 0, "value": seconds, "unit": "s", "of": "start to shell",
                             "host_s": seconds, "cpu_s": float(values["marker_cpu_s"]), "guest_s": None, "check": None})
            continue
        for name, test in tests.items():
            if name not in suite or "begin" not in test:
                continue
            row = {**common, "test": name, "status": test.get("status", -1), "value": test.get("value"),
                   "unit": test.get("unit"), "of": test.get("of"), "check": test.get("check"), "guest_s": None,
                   "host_s": None, "cpu_s": None}
            if "end" in test:
                (wall_0, cpu_0, guest_0), (wall_1, cpu_1, guest_1) = test["begin"], test["end"]
                row["guest_s"], row["host_s"] = guest_1 - guest_0, wall_1 - wall_0
                row["cpu_s"] = test["guest_cpu_s"] if machine == NATIVE else cpu_1 - cpu_0
            if "failed" in test:
                print(f"bench: {machine}: {name} failed: {test['failed']}", file=sys.stderr)
            rows.append(row)
    return rows


def share_of(row):
    """The share of a processor that the machine had; None if it is unknown."""
    if not row["host_s"] or row["cpu_s"] is None or row["host_s"] < 0.05:
        return None
    return row["cpu_s"] / row["host_s"]


def flags_of(rows, name):
    """! guest and host clocks differ; ~ the host was busy otherwise; ? results differ between machines."""
    flags = ""
    if any(r["guest_s"] is not None
           and abs(r["guest_s"] - r["host_s"]) > max(CLOCK_SHARE * r["host_s"], CLOCK_SECONDS) for r in rows):
        flags += "!"
    if name != "idle" and any((share_of(r) or 1) < CPU_SHARE for r in rows):
        flags += "~"
    return flags


def median_rows(runs, suite, cpu_time):
    """One entry for each test and machine."""
    entries = {}
    for name, group in suite.items():
        ours = [r for r in runs if r["test"] == name]
        checks = {r["check"] for r in ours if r["check"] is not None}
        for machine in dict.fromkeys(r["machine"] for r in ours):
            rows = [r for r in ours if r["machine"] == machine]
            good = [r for r in rows if r["value"] is not None and r["status"] == 0]
            if not good:
                continue
            values = [r["value"] * (min(share_of(r) or 1, 1) if cpu_time else 1) for r in good]
            entries[name, machine] = {
                "test": name, "group": group, "machine": machine, "unit": good[0]["unit"], "of": good[0]["of"],
                "median": statistics.median(values), "least": min(values), "most": max(values), "runs": len(values),
                "guest_s": middle(r["guest_s"] for r in good), "host_s": middle(r["host_s"] for r in good),
                "cpu_share": middle(share_of(r) for r in good),
                "flags": flags_of(good, name) + ("?" if len(checks) > 1 else "") + ("x" if len(good) < len(rows) else ""),
            }
    return entries


def middle(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(v) for v in values)) if values else None


class Report:
    """The medians, and values computed from them."""

    def __init__(self, suite, entries, about):
        self.suite, self.entries, self.about = suite, entries, about
        present = {machine for _, machine in entries}
        order = [NATIVE] + [words.split()[0] for words in about.get("vmm", [])]
        self.machines = [m for m in order if m in present]
        self.subject = next((m for m in self.machines if m not in (NATIVE, TCG)), None)

        self.arch = about.get("arch", ["i386"])[0]
        changes = TARGETS_64 if self.arch == "amd64" else {}
        self.target_rows = [(group, title, *changes.get(group, limits)) for group, title, *limits in TARGETS]

    def value(self, test, machine):
        entry = self.entries.get((test, machine))
        return entry["median"] if entry else None

    def ratio(self, test, above, below):
        a, b = self.value(test, above), self.value(test, below)
        return a / b if a and b else None

    def ratios(self, tests, above, below):
        return [r for r in (self.ratio(t, above, below) for t in tests) if r is not None]

    def tests(self, group):
        return [t for t, g in self.suite.items() if g == group]

    def targets(self):
        """The table of targets: each row has the target, the result, and whether the target is met."""
        groups = [(g, title, self.tests(g), most_mean, most_each, least_mean, least_each)
                  for g, title, most_mean, most_each, least_mean, least_each in self.target_rows]
        title, *limits = SUITE_TARGET
        groups.append(("suite", title, [t for t, g in self.suite.items() if g != "idle"], *limits))
        table = []
        for group, title, tests, most_mean, most_each, least_mean, least_each in groups:
            native, tcg = self.ratios(tests, self.subject, NATIVE), self.ratios(tests, TCG, self.subject)
            if not native and not tcg:
                continue
            row = {"group": group, "title": title, "native": None, "tcg": None}
            if native:
                mean, worst = geometric_mean(native), max(native)
                asked = [(mean, most_mean), (worst, most_each)]
                row["native"] = {"mean": mean, "worst": worst, "mean_target": most_mean, "each_target": most_each,
                                 "met": all(a <= b for a, b in asked if b) if any(b for _, b in asked) else None}
            if tcg:
                mean, worst = geometric_mean(tcg), min(tcg)
                asked = [(mean, least_mean), (worst, least_each)]
                row["tcg"] = {"mean": mean, "worst": worst, "mean_target": least_mean, "each_target": least_each,
                              "met": all(a >= b for a, b in asked if b) if any(b for _, b in asked) else None}
            table.append(row)
        return table


def number(value, width):
    """Three significant digits or so."""
    if value is None:
        return "-".rjust(width)
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:,.{digits}f}".rjust(width)


def scaled(value, unit):
    """A time in a readable unit."""
    if value is None:
        return "-"
    ns = value * {"ns": 1, "s": 1e9}[unit]
    for factor, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns")):
        if ns >= factor or factor == 1:
            return f"{number(ns / factor, 0)} {name}"


def text(report, cpu_time, peaks, idle):
    lines = []
    about = report.about
    for key in ("date", "host", "guest", "qemu", "commit", "took"):
        for value in about.get(key, []):
            lines.append(f"{key:<8} {value}")
    lines += [f"{'vmm':<8} {value}" for value in about.get("vmm", [])]
    lines.append(f"medians of {about['rounds'][0]} rounds" + (", of the processor time each machine got" if cpu_time else ""))
    lines.append("! guest and host clocks differ  ~ the host was busy otherwise  ? another result than elsewhere  x some runs failed")

    pairs = [(m, NATIVE) for m in report.machines if m != NATIVE and NATIVE in report.machines]
    pairs += [(TCG, m) for m in report.machines if m not in (NATIVE, TCG) and TCG in report.machines]
    pairs += [(m, report.subject) for m in report.machines if m not in (NATIVE, TCG, report.subject)]
    width = max(9, *(len(m) for m in report.machines)) + 2
    pair_names = [(a.replace("qemu-", ""), b.replace("qemu-", "")) for a, b in pairs]
    pair_width = max([10] + [len(a) + 1 for a, _ in pair_names] + [len(b) + 2 for _, b in pair_names]) + 1
    head = " " * 18 + "".join(m.rjust(width) for m in report.machines)
    lines += ["", head + "".join(a.rjust(pair_width) for a, _ in pair_names),
              " " * len(head) + "".join(("/ " + b).rjust(pair_width) for _, b in pair_names)]
    for group, title, *_ in TARGETS:
        tests = [t for t in report.tests(group) if any((t, m) in report.entries for m in report.machines)]
        if not tests:
            continue
        lines += ["", title]
        for test in tests:
            row = [report.entries.get((test, m)) for m in report.machines]
            flags = sorted({f for e in row if e for f in e["flags"]})
            of = next(e["of"] for e in row if e)
            lines.append(f"  {test:<16}" + "".join(scaled(e and e["median"], e and e["unit"]).rjust(width) for e in row)
                         + "".join(number(report.ratio(test, a, b), pair_width) for a, b in pairs)
                         + f"  {''.join(flags):<3} {of}")
        if len(tests) > 1:
            lines.append("  geometric mean".ljust(len(head))
                         + "".join(number(geometric_mean(report.ratios(tests, a, b)), pair_width) for a, b in pairs))
    lines += ["", *target_lines(report), *compat_lines(report), "", *machine_lines(report, peaks, idle)]
    return "\n".join(lines) + "\n"


def compat_lines(report):
    """The subject's 32-bit programs under a 64-bit kernel."""
    compat = report.about.get("compat", [None])[0]
    ratios = report.ratios(report.tests(COMPAT_GROUP), compat, report.subject)
    if not ratios:
        return []
    mean = geometric_mean(ratios)
    return [f"real programs under a 64-bit kernel, against those under a 32-bit kernel: {number(mean, 0)} mean, {number(max(ratios), 0)} worst"
            f"  ({'met' if mean <= COMPAT_MOST else 'MISSED'}: <= {COMPAT_MOST:g} mean)"]


def asked(target, sign):
    parts = [f"{sign} {limit:g} {what}" for limit, what in
             ((target["mean_target"], "mean"), (target["each_target"], "each")) if limit]
    return ", ".join(parts)


def target_lines(report):
    if not report.subject:
        return []
    side_width = 48
    lines = [f"{report.subject} and its targets".ljust(44)
             + "   against native".ljust(side_width) + "   against TCG",
             (" " * 44 + 2 * f"{'mean':>8}{'worst':>8}  {'target':<{side_width - 18}}").rstrip()]
    for row in report.targets():
        line = f"{row['title']:<44}"
        for side, sign in (("native", "<="), ("tcg", ">=")):
            target = row[side]
            if not target:
                line += " " * side_width
                continue
            verdict = {True: "met", False: "MISSED", None: ""}[target["met"]]
            line += (number(target["mean"], 8) + number(target["worst"], 8)
                     + f"  {verdict:<6} {asked(target, sign)}").ljust(side_width)
        lines.append(line.rstrip())
    return lines


def machine_lines(report, peaks, idle):
    memory = int(report.about["memory_mb"][0])
    lines = []
    for machine, peak in peaks.items():
        extra = EXTRA_MB[report.arch]
        verdict = "" if machine == TCG else f"  (target: {memory} + {extra}: {'met' if peak <= memory + extra else 'MISSED'})"
        lines.append(f"peak memory  {machine:<12} {peak:8.0f} MB{verdict}")
    for machine, percent in idle.items():
        verdict = "" if machine == TCG else f"  (target: under {IDLE_PERCENT:g}%: {'met' if percent < IDLE_PERCENT else 'MISSED'})"
        lines.append(f"idle guest   {machine:<12} {percent:8.2f} % of a core{verdict}")
    return lines


def read_about(path):
    about = {}
    for line in open(path, encoding="utf-8"):
        key, _, value = line.strip().partition(" ")
        about.setdefault(key, []).append(value)
    return about


def main(arguments):
    cpu_time = "--cpu-time" in arguments
    rest = [a for a in arguments if a != "--cpu-time"]
    if len(rest) != 2 or any(re.match("-", a) for a in rest):
        sys.exit("usage: report.py [--cpu-time] SUITE DIRECTORY")
    suite, out = read_suite(rest[0]), rest[1]
    about = read_about(os.path.join(out, "raw", "about"))
    runs = runs_of(os.path.join(out, "raw"), suite)
    if not runs:
        sys.exit("report.py: no machine has finished a test")
    with open(os.path.join(out, "suite.csv"), "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["round", "part", "test", "machine", "status", "value", "unit", "of", "guest_s", "host_s",
                                      "cpu_s", "peak_kb", "check"], lineterminator="\n")
        table.writeheader()
        table.writerows(runs)
    report = Report(suite, median_rows(runs, suite, cpu_time), about)
    peaks = {m: max(r["peak_kb"] for r in runs if r["machine"] == m) / 1024 for m in report.machines if m != NATIVE}
    idle = {m: 100 * e["cpu_share"] for (t, m), e in report.entries.items() if t == "idle" and e["cpu_share"] is not None}
    with open(os.path.join(out, "suite.json"), "w", encoding="utf-8") as file:
        json.dump({"about": about, "cpu_time": cpu_time, "medians": list(report.entries.values()),
                   "targets": report.targets() if report.subject else [], "peak_mb": peaks, "idle_percent": idle}, file, indent=1)
        file.write("\n")
    with open(os.path.join(out, "suite.txt"), "w", encoding="utf-8") as file:
        file.write(text(report, cpu_time, peaks, idle))
    plot.draw(os.path.join(out, "suite.svg"), report, TARGETS, NATIVE, TCG)


if __name__ == "__main__":
    main(sys.argv[1:])
