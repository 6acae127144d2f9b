#!/usr/bin/env python3
"""A small VNC client for tests (RFC 6143: RFB 3.8, raw encoding, desktop size), and some misbehaving ones.

usage: rfb.py PORT [--password WORD] COMMAND..., several separated by "+":

    size W H            wait until the screen has that size
    settle              wait until nothing has come for half a second
    type TEXT           characters as keysyms; \\n is Return
    keysym HEX          press and let go
    point X Y MASK      a pointer event
    change LIMIT        the next update changes something, and less than LIMIT pixels
    shot FILE           the screen as PPM
    copy TEXT           the user of this client has copied TEXT
    copied TEXT         wait until the guest has copied TEXT
    others N            N more clients at once, each gets the whole screen
    rude                every kind of bad client; then this one must still be served
"""
import os
import socket
import struct
import subprocess
import sys
import time

WAIT = 20
RAW, DESKTOP_SIZE = 0, -223


def reverse_bits(byte):
    return int("{:08b}".format(byte)[::-1], 2)


def des(password, challenge):
    """VNC's authentication: DES with the bits of each key byte reversed."""
    key = bytes(reverse_bits(b) for b in password.encode()[:8].ljust(8, b"\0"))
    return subprocess.run(["openssl", "enc", "-des-ecb", "-nopad", "-K", key.hex(), "-provider", "legacy", "-provider",
                           "default"], input=challenge, stdout=subprocess.PIPE, check=True).stdout


class Client:
    def __init__(self, port, password=None):
        self.socket = socket.create_connection(("127.0.0.1", port), WAIT)
        assert self.take(12) == b"RFB 003.008\n"
        self.socket.sendall(b"RFB 003.008\n")
        kinds = self.take(self.take(1)[0])
        if password is None:
            if 1 not in kinds:
                sys.exit("rfb.py: a password is wanted")
            self.socket.sendall(b"\1")
        else:
            assert kinds == b"\2", kinds
            self.socket.sendall(b"\2")
            self.socket.sendall(des(password, self.take(16)))
        if struct.unpack(">I", self.take(4))[0]:
            sys.exit("rfb.py: not let in")
        self.socket.sendall(b"\1")
        self.width, self.height = struct.unpack(">HH", self.take(4))
        self.take(16)
        self.name = self.take(struct.unpack(">I", self.take(4))[0]).decode()
        self.pixels, self.copied = bytearray(self.width * self.height * 4), None
        # 32 bits, depth 24, little-endian, true colour, 8 bits each at 16, 8, 0
        self.socket.sendall(b"\0\0\0\0" + struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0))
        self.socket.sendall(struct.pack(">BxHii", 2, 2, RAW, DESKTOP_SIZE))
        self.ask(0)

    def take(self, count):
        data = bytearray()
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the server hung up")
            data += more
        return bytes(data)

    def ask(self, incremental=1):
        self.socket.sendall(struct.pack(">BBHHHH", 3, incremental, 0, 0, 65535, 65535))

    def rectangle(self):
        x, y, width, height, encoding = struct.unpack(">HHHHi", self.take(12))
        if encoding == DESKTOP_SIZE:
            self.width, self.height = width, height
            self.pixels = bytearray(width * height * 4)
            return 0
        assert encoding == RAW and x + width <= self.width and y + height <= self.height
        data = self.take(width * height * 4)
        for row in range(height):
            at = ((y + row) * self.width + x) * 4
            self.pixels[at:at + width * 4] = data[row * width * 4:(row + 1) * width * 4]
        return width * height

    def update(self, wait=WAIT):
        """The next update; the pixels in it, or None if none has come."""
        self.socket.settimeout(wait)
        try:
            kind = self.take(1)
        except socket.timeout:
            return None
        finally:
            self.socket.settimeout(WAIT)
        if kind == b"\2":
            return 0
        if kind == b"\3":
            self.copied = self.take(struct.unpack(">xxxI", self.take(7))[0]).decode("latin-1")
            return 0
        assert kind == b"\0", kind
        count = struct.unpack(">xH", self.take(3))[0]
        changed = sum(self.rectangle() for _ in range(count))
        self.ask()
        return changed

    def key(self, keysym, down):
        self.socket.sendall(struct.pack(">BBxxI", 4, down, keysym))

    def press(self, keysym):
        self.key(keysym, 1)
        self.key(keysym, 0)


def rude(port):
    """The server should drop each of these or serve its requests; none may harm another client."""
    hello = b"RFB 003.008\n\1\1"
    begin = hello + b"\0\0\0\0" + struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
    ask = struct.pack(">BBHHHH", 3, 0, 0, 0, 65535, 65535)
    messages = [
        b"", b"R", b"RFB 003.00", b"GET / HTTP/1.0\r\n\r\n" * 100, b"\0" * 100000, b"\xff" * 100000,
        b"RFB 999.999\n", b"RFB 003.003\n", b"RFB 003.008\n\x63", hello, hello + b"\xff" * 1000,
        hello + struct.pack(">BxxxI", 6, 0xffffffff) + b"x" * 100000,
        hello + struct.pack(">BxxxI", 6, 0x7fffffff),
        hello + struct.pack(">BxxxI", 6, 0x80000000) + b"x" * 1000,
        hello + struct.pack(">BxH", 2, 65535) + b"\xff" * 262140,
        hello + struct.pack(">BxH", 2, 1000) + b"\0" * 10,
        hello + b"\0\0\0\0" + struct.pack(">BBBBHHHBBBxxx", 255, 255, 1, 1, 65535, 65535, 65535, 255, 255, 255) + ask,
        hello + b"\0\0\0\0" + struct.pack(">BBBBHHHBBBxxx", 8, 8, 0, 0, 0, 0, 0, 0, 0, 0) + ask,
        hello + b"\0\0\0\0" + struct.pack(">BBBBHHHBBBxxx", 16, 16, 1, 1, 31, 63, 31, 11, 5, 0) + ask,
        begin + ask * 1000, begin + struct.pack(">BBHHHH", 3, 1, 65535, 65535, 65535, 65535) * 1000,
        begin + b"".join(struct.pack(">BBHH", 5, n & 255, n * 977 & 65535, n * 31 & 65535) for n in range(20000)),
        begin + b"".join(struct.pack(">BBxxI", 4, n & 1, n * 2654435761 & 0xffffffff) for n in range(20000)),
        begin + struct.pack(">BB", 8, 0) + ask, begin + struct.pack(">BB", 8, 255) + ask,
        begin + struct.pack(">BBBB", 250, 0, 1, 3), begin + struct.pack(">BBxxII", 7, 1, 0xffffffff, 0xffffffff),
        begin + struct.pack(">BBHHBx", 251, 0, 1, 1, 255) + b"\xff" * 4096,
        begin + struct.pack(">BBHH", 248, 0, 0, 0) + b"\xff" * 64,
    ]
    kept = []
    for number, message in enumerate(messages):
        client = socket.create_connection(("127.0.0.1", port), WAIT)
        client.settimeout(5)
        try:
            client.sendall(message)
            client.settimeout(0.05)
            while client.recv(1 << 20):
                pass
        except OSError:
            pass
        if number % 2:
            kept.append(client)  # some clients stop in the middle of a message and stay connected
        else:
            client.close()
    deaf = [socket.create_connection(("127.0.0.1", port), WAIT) for _ in range(3)]
    for client in deaf:  # asks for everything and reads nothing
        client.settimeout(1)
        try:
            client.sendall(begin + ask * 5000)
        except OSError:
            pass
    for client in [socket.create_connection(("127.0.0.1", port), WAIT) for _ in range(60)]:
        client.close()
    return kept + deaf


def main():
    words = sys.argv[1:]
    port, password = int(words.pop(0)), None
    if words and words[0] == "--password":
        password = words[1]
        words = words[2:]
    client, command, kept = Client(port, password), [], []
    for word in words + ["+"]:
        if word != "+":
            command.append(word)
            continue
        name, arguments, command = (command or ["nothing"])[0], command[1:], []
        end = time.monotonic() + WAIT
        if name == "size":
            while (client.width, client.height) != tuple(map(int, arguments)):
                if client.update() is None or time.monotonic() > end:
                    sys.exit("rfb.py: the screen is %dx%d" % (client.width, client.height))
        elif name == "settle":
            while client.update(0.5) is not None and time.monotonic() < end:
                pass
        elif name == "type":
            for character in arguments[0].replace("\\n", "\r"):
                client.press(0xff0d if character == "\r" else ord(character))
                time.sleep(0.02)
        elif name == "keysym":
            client.press(int(arguments[0], 16))
        elif name == "point":
            x, y, mask = map(int, arguments)
            client.socket.sendall(struct.pack(">BBHH", 5, mask, x, y))
            time.sleep(0.1)
        elif name == "change":
            changed = client.update()
            while changed == 0:
                changed = client.update()
            print("changed", changed)
            if changed is None or changed >= int(arguments[0]):
                sys.exit("rfb.py: %s pixels changed" % changed)
        elif name == "shot":
            rgb = bytearray(client.width * client.height * 3)
            rgb[0::3], rgb[1::3], rgb[2::3] = client.pixels[2::4], client.pixels[1::4], client.pixels[0::4]
            with open(arguments[0], "wb") as out:
                out.write(b"P6 %d %d 255\n" % (client.width, client.height) + rgb)
        elif name == "copy":
            text = arguments[0].encode("latin-1")
            client.socket.sendall(struct.pack(">BxxxI", 6, len(text)) + text)
        elif name == "copied":
            while client.copied != arguments[0]:
                client.update(1)
                if time.monotonic() > end:
                    sys.exit("rfb.py: the guest's text is %r" % client.copied)
        elif name == "others":
            others = [Client(port, password) for _ in range(int(arguments[0]))]
            for other in others:
                if other.update() != other.width * other.height:
                    sys.exit("rfb.py: a client did not get the whole screen")
            kept += others
        elif name == "rude":
            kept += rude(port)
            client.ask(0)
            if client.update(60) is None:
                sys.exit("rfb.py: no longer served")
        elif name != "nothing":
            sys.exit("rfb.py: there is no %s" % name)
    os._exit(0)  # leaves all connections open


main()
