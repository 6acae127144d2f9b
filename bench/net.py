#!/usr/bin/env python3
"""The parts of bench/net that are in Python.

net.py measure CSV PART VMM ROUND TESTS -- COMMAND... [--and COMMAND...]
    Runs a machine, or two on one cable (the first is the server, and prints "ports T,U,H", which go into the second's
    command line in place of PORTS), and appends a line to CSV for each test: its value, and the processor time that the
    machines' processes used meanwhile.
net.py report CSV ABOUT DIRECTORY NAME...
    Writes DIRECTORY/net.txt, net.csv and net.json. The first NAME is the one that is held against the targets.
"""

import csv
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time

PATIENCE_S = 240
TCG = "qemu-tcg"
HOST = "host"
IDLE_PERCENT = 2

# part, test, title, unit, whether less is better, the target factor against TCG
ROWS = [
    ("virtio", "out-1", "virtio, TCP guest to host, 1 stream", "MB/s", False, 5),
    ("virtio", "out-8", "virtio, TCP guest to host, 8 streams", "MB/s", False, 5),
    ("virtio", "in-1", "virtio, TCP host to guest, 1 stream", "MB/s", False, 5),
    ("virtio", "in-8", "virtio, TCP host to guest, 8 streams", "MB/s", False, 5),
    ("e1000", "out-1", "e1000, TCP guest to host, 1 stream", "MB/s", False, 4),
    ("e1000", "out-8", "e1000, TCP guest to host, 8 streams", "MB/s", False, 4),
    ("e1000", "in-1", "e1000, TCP host to guest, 1 stream", "MB/s", False, 4),
    ("e1000", "in-8", "e1000, TCP host to guest, 8 streams", "MB/s", False, 4),
    ("virtio", "round-tcp", "round trip of a byte, TCP", "us", True, 2),
    ("virtio", "round-udp", "round trip of a byte, UDP", "us", True, 2),
    ("virtio", "round-icmp", "round trip, ICMP (the router answers)", "us", True, 2),
    ("virtio", "http-1", "HTTP requests, one at a time", "1/s", False, 4),
    ("virtio", "http-8", "HTTP requests, eight at a time", "1/s", False, 4),
    ("virtio", "small", "writes of 100 bytes", "MB/s", False, 5),
    ("pair", "out-1", "two guests, to the server", "MB/s", False, 4),
    ("pair", "in-1", "two guests, from the server", "MB/s", False, 4),
    ("cpu", "out-1", "processor time a GB, guest to host", "s", True, 3),
    ("cpu", "in-1", "processor time a GB, host to guest", "s", True, 3),
]


def seconds_used(process):
    """Processor time of all threads: the process's clock, as clock_getcpuclockid(3) makes its number."""
    return time.clock_gettime((~process.pid << 3) | 2)


def start(command):
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def lines_of(process):
    for line in process.stdout:
        yield line.decode(errors="replace").strip()


def ports_of(server):
    for line in lines_of(server):
        if found := re.search(r"ports ([\d,]+)", line):
            return found.group(1)
    return "1,1,1"


def watch(subject, processes, tests, record):
    """Reads the subject's lines until all tests are done. Returns the tests that were not done, and the last lines."""
    missing, tail = tests, []
    for line in lines_of(subject):
        tail = (tail + [line])[-15:]
        if re.search(r"net: begin \S+", line):
            used, began = sum(map(seconds_used, processes)), time.monotonic()
        elif found := re.search(r"net: end (\S+) (\S+)", line):
            used, elapsed = sum(map(seconds_used, processes)) - used, time.monotonic() - began
            missing.remove(found.group(1))
            record(found.group(1), found.group(2), used, elapsed)
            if not missing:
                break
    return missing, tail


def measure(path, part, vmm, number, tests, commands):
    def record(test, value, used, elapsed):
        with open(path, "a", encoding="ascii") as file:
            file.write(f"{part},{vmm},{number},{test},{value},{used:.3f},{elapsed:.3f}\n")

    processes = []
    alarm = threading.Timer(PATIENCE_S, lambda: [process.kill() for process in processes])
    alarm.start()
    try:
        if "--and" in commands:
            split = commands.index("--and")
            processes.append(start(commands[:split]))
            ports = ports_of(processes[0])
            commands = [word.replace("PORTS", ports) for word in commands[split + 1:]]
        processes.append(start(commands))
        missing, tail = watch(processes[-1], processes, tests.split(","), record)
    finally:
        alarm.cancel()
        for process in processes:
            process.terminate()
            process.wait()
    if missing:
        print("\n".join(tail), file=sys.stderr)
        print(f"bench/net: {vmm}, {part}: {', '.join(missing)} did not come to an end", file=sys.stderr)


def value_of(row, unit):
    return float(row["value"]) / 1e6 if unit == "MB/s" else float(row["value"])


def median(rows, vmm, part, test, unit):
    if part == "cpu":
        values = [float(r["cpu_s"]) / (float(r["value"]) * float(r["seconds"]) / 1e9)
                  for r in rows if (r["part"], r["vmm"], r["test"]) == ("virtio", vmm, test)]
    else:
        values = [value_of(r, unit) for r in rows if (r["part"], r["vmm"], r["test"]) == (part, vmm, test)]
    return statistics.median(values) if values else None


def idle_percent(rows, vmm, part):
    values = [100 * float(r["cpu_s"]) / float(r["seconds"]) for r in rows if (r["part"], r["vmm"]) == (part, vmm)]
    return statistics.median(values) if values else None


def number(value):
    return "-" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def verdict(good):
    return "met" if good else "MISSED"


def table(rows, names):
    subject, machines, results = names[0], [HOST, *names], []
    lines = [" " * 40 + "".join(f"{name:>11}" for name in machines) + f"{'against TCG':>14}  target"]
    for part, test, title, unit, less, factor in ROWS:
        host_part = HOST if part == "virtio" else None
        values = {name: median(rows, name, part if name != HOST else host_part, test, unit) for name in machines}
        if not any(values[name] for name in names):
            continue
        line = f"{title:<38}{'':2}" + "".join(f"{number(values[name]):>11}" for name in machines)
        ours, theirs = values[subject], values.get(TCG)
        result = {"part": part, "test": test, "unit": unit, "values": values, "target": factor}
        if ours and theirs:
            result["ratio"] = theirs / ours if less else ours / theirs
            result["met"] = result["ratio"] >= factor
            line += f"{result['ratio']:>13.2f}x  {factor}x {verdict(result['met'])}"
        results.append(result)
        lines.append(f"{line}    {unit}" if not ours or not theirs else f"{line:<{42 + 11 * len(machines) + 26}} {unit}")
    return lines, results


def idle_lines(rows, names):
    lines, results = [], {}
    for name in names:
        with_net, without = idle_percent(rows, name, "idle"), idle_percent(rows, name, "idle-without")
        if with_net is None:
            continue
        results[name] = {"with": with_net, "without": without}
        judged = "" if name == TCG else f"   (target: under {IDLE_PERCENT}%: {verdict(with_net < IDLE_PERCENT)})"
        lines.append(f"idle, per cent of a core: {name:<10} with its network up {number(with_net)}, without {number(without)}{judged}")
    return lines, results


def report(path, about, out, names):
    with open(path, encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    with open(about, encoding="utf-8") as file:
        head = file.read().splitlines()
    lines, results = table(rows, names)
    idle, idle_results = idle_lines(rows, names)
    with open(os.path.join(out, "net.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(["The network as a guest sees it", *head, "", *lines, "", *idle]).rstrip() + "\n")
    with open(os.path.join(out, "net.json"), "w", encoding="utf-8") as file:
        json.dump({"about": head, "rows": results, "idle": idle_results}, file, indent=1)
    shutil.copy(path, os.path.join(out, "net.csv"))


def main(arguments):
    if arguments[:1] == ["measure"]:
        measure(*arguments[1:6], arguments[7:])
    else:
        report(arguments[1], arguments[2], arguments[3], arguments[4:])


if __name__ == "__main__":
    main(sys.argv[1:])
