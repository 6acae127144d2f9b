"""A small client of gdb's remote serial protocol, for tests."""
import contextlib
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../boot"))
from connect import connect  # noqa: E402


def failed(what):
    sys.exit("FAILED: " + what)


def expect(good, what):
    if not good:
        failed(what)


def symbols(elf):
    lines = subprocess.run(["nm", elf], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return {line.split()[2]: int(line.split()[0], 16) for line in lines if len(line.split()) == 3}


class Machine:
    """A guest kernel under the program of $RINGER, which waits for its debugger."""

    def __init__(self, elf, *options):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "gdb")
        self.output = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [os.environ["RINGER"], "--kernel", elf, "--start=direct", "-nographic", "-serial", "null", "-monitor", "none", "-no-reboot",
             "-m", "16", "-debugcon", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04", "-gdb", "unix:" + self.path,
             "--timeout", "120", "-S", *options],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)

    def end(self, seconds=60):
        """Its exit status and what it has printed."""
        status = self.process.wait(seconds)
        self.output.seek(0)
        return status, self.output.read()


class Rsp:
    def __init__(self, where, seconds=60, acknowledge=True):
        self.socket = connect(where, seconds)
        self.acknowledge = acknowledge
        self.input = b""

    def byte(self):
        if not self.input:
            self.input = self.socket.recv(65536)
            if not self.input:
                raise EOFError("the stub has closed the connection")
        byte, self.input = self.input[:1], self.input[1:]
        return byte

    def raw(self, data):
        self.socket.sendall(data)

    def send(self, packet):
        packet = packet.encode("latin-1") if isinstance(packet, str) else packet
        self.raw(b"$" + packet + b"#%02x" % (sum(packet) % 256))

    def receive(self):
        while self.byte() != b"$":
            pass
        data = b""
        while (byte := self.byte()) != b"#":
            data += byte
        told = int(self.byte() + self.byte(), 16)
        expect(told == sum(data) % 256, "a packet with a wrong sum: %r" % data)
        if self.acknowledge:
            # The last answer of a stub whose machine has ended meanwhile needs none.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.raw(b"+")
        out, escaped = bytearray(), False
        for value in data:
            if escaped:
                out.append(value ^ 0x20)
            elif value != ord("}"):
                out.append(value)
            escaped = value == ord("}") and not escaped
        return out.decode("latin-1")

    def ask(self, packet):
        self.send(packet)
        return self.receive()

    def ok(self, packet):
        answer = self.ask(packet)
        expect(answer == "OK", "%s: %s" % (packet, answer))

    def run(self, packet="c", stop="T05"):
        """Continue or step; the stop reply."""
        answer = self.ask(packet)
        expect(answer.startswith(stop), "after %s: %s instead of %s" % (packet, answer, stop))
        return answer

    def register(self, number):
        return int.from_bytes(bytes.fromhex(self.ask("p%x" % number)), "little")

    def memory(self, address, count):
        return bytes.fromhex(self.ask("m%x,%x" % (address, count)))

    def detach(self):
        self.ok("D")
        self.socket.close()


# Numbers of the 32-bit target's registers.
EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, EIP, EFLAGS, CS = range(11)
