#!/usr/bin/env python3
"""Runs a program and talks with it over its standard input and output, as a script says; for guests on a serial console.

usage: converse.py [--log FILE] [--report FILE] SCRIPT -- PROGRAM ARGUMENT...

SCRIPT has a step a line (what begins with # is a comment):

    wait SECONDS REGEX    until the output since the last match matches (several lines, "." is no end of line)
    send TEXT             escapes as in Python: \\r is what the Enter key sends
    stamp NAME            note time and processor time since the start
    sleep SECONDS
    idle NAME SECONDS     note how much of a processor the program takes in that time, in percent
    exit SECONDS          until the program ends by itself

The report has "NAME_s WALL" and "NAME_cpu_s CPU" for stamps, "status N", and "peak_kb N", the most memory that it had.
Our exit status is the program's; 124 when it had to be ended because something did not come, which is said on standard
error.
"""
import argparse
import os
import re
import resource
import selectors
import subprocess
import sys
import time


class Talk:
    def __init__(self, command, log):
        self.begin = time.monotonic()
        self.program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.log, self.seen, self.report, self.ended = log, "", [], False
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.program.stdout, selectors.EVENT_READ)

    def read(self, seconds):
        """Returns the output that comes within that time, or until the program ends."""
        if self.ended or not self.selector.select(max(seconds, 0)):
            return False
        piece = os.read(self.program.stdout.fileno(), 65536)
        self.ended = not piece
        self.log.write(piece)
        self.log.flush()
        # Without the sequences that move the cursor and change colours.
        self.seen = re.sub(r"\r|\x1b\[[0-9;?]*[A-Za-z]", "", self.seen + piece.decode("utf-8", "replace"))
        return True

    def cpu(self):
        """The processor time of all its threads, in seconds."""
        total = 0
        folder = "/proc/%d/task" % self.program.pid
        for thread in os.listdir(folder):
            with open("%s/%s/schedstat" % (folder, thread)) as stat:
                total += int(stat.read().split()[0])
        return total / 1e9

    def wait(self, argument):
        seconds, regex = argument.split(" ", 1)
        end = time.monotonic() + float(seconds)
        while True:
            found = re.search(regex, self.seen, re.MULTILINE)
            if found:
                self.seen = self.seen[found.end():]
                return
            if self.ended or not self.read(end - time.monotonic()):
                raise TimeoutError("\"%s\" did not come%s" % (regex, " before the end" if self.ended else ""))

    def send(self, text):
        self.program.stdin.write(text.encode().decode("unicode_escape").encode("latin-1"))
        self.program.stdin.flush()

    def stamp(self, name):
        self.report.append("%s_s %.3f" % (name, time.monotonic() - self.begin))
        self.report.append("%s_cpu_s %.3f" % (name, self.cpu()))

    def sleep(self, seconds):
        end = time.monotonic() + float(seconds)
        while not self.ended and time.monotonic() < end:
            self.read(end - time.monotonic())

    def idle(self, argument):
        name, seconds = argument.split()
        before = self.cpu()
        self.sleep(seconds)
        self.report.append("%s_percent %.2f" % (name, (self.cpu() - before) * 100 / float(seconds)))

    def exit(self, seconds):
        end = time.monotonic() + float(seconds)
        while not self.ended:
            if not self.read(end - time.monotonic()):
                raise TimeoutError("it did not end")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", default=os.devnull)
    parser.add_argument("--report", default=os.devnull)
    parser.add_argument("script")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    status = None
    with open(given.log, "wb") as log, open(given.script) as script:
        talk = Talk(given.command[given.command[0] == "--":], log)
        try:
            for number, line in enumerate(script, 1):
                step, _, argument = line.rstrip("\n").partition(" ")
                if step and not step.startswith("#"):
                    getattr(talk, step)(argument)
            talk.exit(30)
        except (TimeoutError, BrokenPipeError) as problem:
            print("converse.py: line %d: %s; last came:\n%s" % (number, problem, talk.seen[-2000:]), file=sys.stderr)
            talk.program.kill()
            status = 124
        talk.program.stdout.close()
        ended = talk.program.wait()
        talk.report.append("end_s %.3f" % (time.monotonic() - talk.begin))
        talk.report.append("peak_kb %d" % resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    if status is None:
        status = ended if ended >= 0 else 128 - ended
    with open(given.report, "w") as report:
        report.write("\n".join(["status %d" % status] + talk.report) + "\n")
    sys.exit(status)


main()
