"""A shell in a small guest (guests/initramfs), at the other end of its second serial port."""
import os
import subprocess
import sys

from connect import connect

SCRIPT = """
while read -r module; do insmod "/drivers/$module"; done </drivers/order
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
until_there() { n=0; until [ -e "$1" ]; do n=$((n + 1)); [ $n -lt 300 ] || return 1; sleep 0.05; done; }
# until_opens: a disk's node is there before the disk can be opened.
until_opens() { n=0; until (: <"$1") 2>/dev/null; do n=$((n + 1)); [ $n -lt 300 ] || return 1; sleep 0.05; done; }
until_gone() { n=0; while [ -e "$1" ]; do n=$((n + 1)); [ $n -lt 300 ] || return 1; sleep 0.05; done; }
# until_idle: no kernel worker has work; a worker that has none is in state I.
until_idle() { n=0; while grep -h '(kworker' /proc/[0-9]*/stat 2>/dev/null | grep -qv ') I '; do n=$((n + 1)); [ $n -lt 300 ] || return 1; sleep 0.05; done; }
echo "=0" >&3
while read -r command <&3; do
    eval "$command" >&3 2>&1
    printf '\\n=%s\\n' $? >&3
done
"""


def guest_options(folder, flavour, modules):
    """The options of a machine in which this guest runs with these drivers; its console goes to a file in the folder."""
    top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    initial, script = os.path.join(folder, "initramfs"), os.path.join(folder, "script")
    with open(script, "w", encoding="utf-8") as text:
        text.write(SCRIPT)
    subprocess.run([os.path.join(top, "guests", "initramfs"), flavour, initial, script, *modules], check=True)
    kernel = os.path.join(top, "guests", "cache", "debian-" + ("amd64" if "amd64" in flavour else "i386"), flavour, "vmlinuz")
    return ["--kernel", kernel, "--initrd", initial, "--append", "console=ttyS0 quiet ringer.run=script", "-display", "none", "-serial",
            "file:" + os.path.join(folder, "console"), "-serial", "unix:%s,server=on,wait=off" % os.path.join(folder, "shell")]


class Guest:
    def __init__(self, folder):
        self.talk = connect(os.path.join(folder, "shell"), 100)
        self.file = self.talk.makefile("r", encoding="utf-8", newline="\n")
        self.file.readline()

    def close(self):
        self.file.close()
        self.talk.close()

    def send(self, command):
        self.talk.sendall(command.encode() + b"\n")

    def answer(self, command, status=0):
        said = ""
        for line in self.file:
            if line.startswith("="):
                if int(line[1:]) != status:
                    sys.exit("FAILED: the guest's %r ends with %s: %s" % (command, line[1:].strip(), said))
                return said.strip()
            said += line
        sys.exit("FAILED: the guest has ended")

    def run(self, command, status=0):
        self.send(command)
        return self.answer(command, status)
