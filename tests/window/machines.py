#!/usr/bin/python3
"""Uses ringer-window as a screen reader does (AT-SPI): by the names, labels and actions of what it shows.

usage: machines.py RINGER          in a D-Bus session, with DISPLAY, and XDG_DATA_HOME for the machines
"""
import json
import os
import subprocess
import sys
import time

import pyatspi

WAIT = 60
ringer = sys.argv[1]


def run(*words):
    return subprocess.run([ringer, *words], check=True, stdout=subprocess.PIPE, text=True).stdout


def machines():
    return {one["name"]: one for one in json.loads(run("list", "--json"))}


def wait(what, condition):
    end = time.monotonic() + WAIT
    while True:
        try:
            value = condition()
        except Exception:  # what was just there has gone
            value = None
        if value:
            return value
        if time.monotonic() > end:
            sys.exit("machines.py: waited %d s for %s" % (WAIT, what))
        time.sleep(0.1)


def below(which):
    for child in which:
        if child is not None:
            yield child
            yield from below(child)


def application():
    return next((one for one in pyatspi.Registry.getDesktop(0) if one is not None and one.name == "ringer"), None)


def label_of(which):
    for relation in which.getRelationSet():
        if relation.getRelationType() == pyatspi.RELATION_LABELLED_BY:
            return relation.getTarget(0).name
    return ""


def find(role, name):
    """What shows that name, or has that label, and can be used."""
    def look():
        for one in below(application()):
            state = one.getState()
            if one.getRoleName() == role and name in (one.name, label_of(one)) and state.contains(pyatspi.STATE_SHOWING) and \
                    state.contains(pyatspi.STATE_SENSITIVE):
                return one
        return None
    return wait("a %s \"%s\"" % (role, name), look)


def press(name):
    find("push button", name).queryAction().doAction(0)


def says(text):
    wait("the text \"%s\"" % text, lambda: any(text in one.name and one.getState().contains(pyatspi.STATE_SHOWING)
                                               for one in below(application())))


def busy():
    """What the line with the spinner says; nothing where it is hidden."""
    spinners = [one for one in below(application()) if one.getRoleName() == "animation" and one.getState().contains(pyatspi.STATE_SHOWING)]
    return [one.name for spinner in spinners for one in spinner.parent if one.getRoleName() == "label"]


def gone(name):
    wait("the dialog \"%s\" to close" % name, lambda: not any(one.name == name for one in application()))


def every_field_has_a_label():
    fields = [one for one in below(application()) if one.getRoleName() in ("text", "spin button", "combo box") and
              one.getState().contains(pyatspi.STATE_SHOWING)]
    if len(fields) < 2 or not all(label_of(one) or one.name for one in fields):
        sys.exit("machines.py: without a label: %s" % [one.getRoleName() for one in fields if not (label_of(one) or one.name)])


window = subprocess.Popen([ringer, "window"])
try:
    says("There are no machines yet")
    press("New")
    find("text", "Name:").queryEditableText().setTextContents("first")
    every_field_has_a_label()
    find("combo box", "Install from:").querySelection().selectChild(2)
    find("spin button", "Disk, GB:").queryValue().currentValue = 2
    press("Make")
    wait("a machine", lambda: "first" in machines())
    gone("New machine")

    press("Settings")
    find("spin button", "Memory, MB:").queryValue().currentValue = 64
    every_field_has_a_label()
    find("combo box", "Runs:").querySelection().selectChild(1)
    press("Apply")
    wait("the settings", lambda: machines()["first"]["memory"] == "64M" and machines()["first"]["display"] == "none")
    gone("Settings of first")

    run("edit", "first", "options=-serial null")
    press("Start")
    says("running")
    if not machines()["first"]["running"]:
        sys.exit("machines.py: the window says that it runs, and it does not")
    press("Stop")
    says("Stop first?")
    press("Cancel")
    wait("the question to go", lambda: not any("Stop first?" == one.name for one in below(application())))
    # This machine has no guest that would hear its power button: `ringer stop` waits, and the window says so and can be used meanwhile.
    wait("no spinner", lambda: busy() == [])
    press("Stop")
    press("Shut down")
    wait("the spinner", lambda: busy() == ["Shutting first down"])
    press("Stop")
    press("Switch off")
    wait("the end", lambda: not machines()["first"]["running"])
    wait("the spinner to go", lambda: busy() == [])

    find("table", "Machines")
    subprocess.run([sys.executable, os.path.join(os.path.dirname(sys.argv[0]), "desktop.py"), "find", "Ringer", "+", "key", "enter"], check=True)
    wait("a start by the keyboard", lambda: machines()["first"]["running"])
    run("stop", "--now", "first")

    press("New")
    find("text", "Name:").queryEditableText().setTextContents("../bad")
    find("combo box", "Install from:").querySelection().selectChild(2)
    press("Make")
    says("the name of a machine has letters")

    press("Remove")
    says("Its disk, and everything on it, is deleted.")
    press("Cancel")
    time.sleep(1)
    if "first" not in machines():
        sys.exit("machines.py: a machine was removed after all")
    press("Remove")
    says("Remove first?")
    dialog = wait("the question", lambda: next(one for one in application() if one.getRoleName() in ("alert", "dialog")))
    next(one for one in below(dialog) if one.name == "Remove").queryAction().doAction(0)
    wait("no machine", lambda: not machines())
    says("There are no machines yet")
finally:
    window.kill()
    window.wait()
print("machines are made, started, stopped, edited and removed in the window")
