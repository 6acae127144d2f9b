#!/usr/bin/env python3
"""The far end of tests with frames: a machine that speaks ARP, ICMP and VLANs, on a datagram socket. It has the address 10.6.N.2 in
each network 10.6.N.0, and in VLAN 5 the address 10.5.N.2 in each network 10.5.N.0. It answers where a frame came from, so several cards
may send to it.

usage: frame_peer.py SOCKET
"""
import socket
import struct
import sys

MINE = bytes.fromhex("020000000002")
EVERYBODY = b"\xff" * 6
FOREIGN = bytes.fromhex("0200000000ee")
JOINED, OTHER = bytes.fromhex("01005e070809"), bytes.fromhex("01005e0a1b2c")
ARP, IP, VLAN, EXPERIMENT = 0x0806, 0x0800, 0x8100, 0x88B5


def checksum(data):
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data[:len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Peer:
    def __init__(self, path):
        self.wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.wire.bind(path)
        self.wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def serve(self):
        while True:
            self.take(*self.wire.recvfrom(1 << 17))

    def take(self, frame, card):
        source, kind, tag, data = frame[6:12], struct.unpack(">H", frame[12:14])[0], 0, frame[14:]
        if kind == VLAN:
            tag, kind, data = struct.unpack(">H", data[:2])[0] & 0xFFF, struct.unpack(">H", data[2:4])[0], data[4:]
        if tag not in (0, 5):
            self.send(card, source, EXPERIMENT, tag, b"wrong")
        elif kind == ARP:
            self.answer_arp(card, source, tag, data)
        elif kind == IP:
            self.answer_ping(card, source, tag, data)
        elif kind == EXPERIMENT and data.startswith(b"ask"):
            self.show_frames(card, source)

    def send(self, card, to, kind, tag, data):
        tag = struct.pack(">HH", VLAN, tag) if tag else b""
        try:
            self.wire.sendto((to + MINE + tag + struct.pack(">H", kind) + data).ljust(60, b"\0"), card)
        except OSError:
            pass  # the machine has ended

    def answer_arp(self, card, source, tag, data):
        asked = data[24:28]
        if data[6:8] == b"\0\1" and asked[0] == 10 and asked[1] == (5 if tag else 6) and asked[3] == 2:
            self.send(card, source, ARP, tag, data[:6] + b"\0\2" + MINE + asked + data[8:18])

    def answer_ping(self, card, source, tag, data):
        length, header = struct.unpack(">H", data[2:4])[0], (data[0] & 15) * 4
        icmp = bytearray(data[header:length])
        if data[9] != 1 or not icmp or icmp[0] != 8:
            return
        icmp[0], icmp[2:4] = 0, b"\0\0"
        icmp[2:4] = struct.pack(">H", checksum(bytes(icmp)))
        ip = bytearray(data[:header])
        ip[12:16], ip[16:20], ip[10:12] = data[16:20], data[12:16], b"\0\0"
        ip[10:12] = struct.pack(">H", checksum(bytes(ip)))
        self.send(card, source, IP, tag, bytes(ip + icmp))

    def show_frames(self, card, source):
        for to, text in ((source, b"own"), (EVERYBODY, b"everybody"), (FOREIGN, b"foreign"), (JOINED, b"joined"), (OTHER, b"other"), (EVERYBODY, b"end")):
            self.send(card, to, EXPERIMENT, 0, text)


if __name__ == "__main__":
    peer = Peer(sys.argv[1])
    print("ready", flush=True)
    peer.serve()
