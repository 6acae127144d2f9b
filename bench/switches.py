#!/usr/bin/env python3
"""The table of bench/switches.

    switches.py DIRECTORY SWITCH...

Reads DIRECTORY/suite.json, where machine "offN" has the N-th switch, and prints each test's time with it relative to the time with
all mechanisms on, as a table that Markdown understands too. Above 1 is what is lost without the mechanism.
"""
import json
import os
import sys

# A ratio from which on it is made bold.
TELLING = 1.25


def cell(off, on):
    if off is None or not on:
        return "-"
    ratio = off / on
    text = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"
    return f"**{text}**" if ratio >= TELLING else text


def main():
    directory, switches = sys.argv[1], sys.argv[2:]
    with open(os.path.join(directory, "suite.json"), encoding="utf-8") as file:
        medians = json.load(file)["medians"]
    time, tests = {}, []
    for row in medians:
        time[row["machine"], row["test"]] = row["median"]
        if row["test"] not in tests:
            tests.append(row["test"])
    print("| switched off | " + " | ".join(tests) + " |")
    print("|" + "---|" * (len(tests) + 1))
    for n, switch in enumerate(switches):
        cells = (cell(time.get((f"off{n}", test)), time.get(("all-on", test))) for test in tests)
        print(f"| `{switch}` | " + " | ".join(cells) + " |")


main()
