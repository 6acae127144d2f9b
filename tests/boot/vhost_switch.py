#!/usr/bin/env python3
"""vhost_switch.py SOCKET: a vhost-user back end of a network card, and the one host behind it.

10.9.0.2 answers ARP and ICMP echo requests. After a ping of 7 bytes of data the back end exits; after one of 9 bytes it
gives back a buffer that it never had. For tests/boot/vhost.
"""

import array
import mmap
import os
import selectors
import socket
import struct
import sys

MAC, ADDRESS = bytes.fromhex("525409000002"), bytes([10, 9, 0, 2])
HEADER = 12  # struct virtio_net_hdr_v1


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) & ~1])) + (data[-1] << 8 if len(data) % 2 else 0)
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


class Queue:
    """A split virtqueue, from the device's side."""

    def __init__(self, memory):
        self.memory, self.seen, self.kick, self.call, self.enabled = memory, 0, None, None, False

    def get(self, at, form):
        return struct.unpack_from("<" + form, *self.memory.user(at))

    def put(self, at, form, *values):
        struct.pack_into("<" + form, *self.memory.user(at), *values)

    def take(self):
        if self.seen == self.get(self.driver + 2, "H")[0]:
            return None
        head = self.get(self.driver + 4 + self.seen % self.size * 2, "H")[0]
        self.seen = (self.seen + 1) & 0xFFFF
        pieces, at = [], head
        while True:
            gpa, length, flags, at = self.get(self.descriptors + at * 16, "QIHH")
            pieces.append((gpa, length))
            if not flags & 1:
                return head, pieces

    def give(self, head, written):
        index = self.get(self.device + 2, "H")[0]
        self.put(self.device + 4 + index % self.size * 8, "II", head, written)
        self.put(self.device + 2, "H", (index + 1) & 0xFFFF)
        os.write(self.call, struct.pack("Q", 1))


class Memory:
    def __init__(self):
        self.regions = []

    def find(self, at, field):
        for region in self.regions:
            if region[field] <= at < region[field] + region[1]:
                return region[3], at - region[field]
        raise LookupError(hex(at))

    def user(self, at):
        return self.find(at, 2)

    def physical(self, at):
        return self.find(at, 0)


class BackEnd:
    def __init__(self, connection):
        self.connection, self.memory = connection, Memory()
        self.queues = [Queue(self.memory) for _ in range(2)]
        self.selector = selectors.DefaultSelector()
        self.selector.register(connection, selectors.EVENT_READ, self.message)

    def run(self):
        while True:
            for key, _ in self.selector.select():
                key.data()

    def message(self):
        fds = array.array("i")
        head, ancillary, _, _ = self.connection.recvmsg(12, socket.CMSG_SPACE(8 * fds.itemsize))
        if not head:
            print("the front end has gone", flush=True)
            sys.exit(0)
        for _, _, data in ancillary:
            fds.frombytes(data)
        request, flags, length = struct.unpack("<III", head)
        payload = self.connection.recv(length, socket.MSG_WAITALL) if length else b""
        answer = self.obey(request, payload, fds)
        if answer is None and flags & 8:
            answer = struct.pack("<Q", 0)
        if answer is not None:
            self.connection.sendall(struct.pack("<III", request, 5, len(answer)) + answer)

    def obey(self, request, payload, fds):
        number = struct.unpack_from("<Q", payload)[0] if len(payload) >= 8 else 0
        queue = self.queues[number & 1]
        if request == 1:
            return struct.pack("<Q", 1 << 32 | 1 << 30)
        if request == 15:
            return struct.pack("<Q", 1 << 3)
        if request == 5:
            for n in range(number & 0xFFFFFFFF):
                gpa, size, user, offset = struct.unpack_from("<QQQQ", payload, 8 + n * 32)
                self.memory.regions.append((gpa, size, user, mmap.mmap(fds[n], size, offset=offset)))
        elif request == 8:
            queue.size = number >> 32
        elif request == 9:
            _, queue.descriptors, queue.device, queue.driver, _ = struct.unpack("<QQQQQ", payload)
        elif request == 10:
            queue.seen = number >> 32
        elif request == 11:
            return struct.pack("<II", number & 0xFFFFFFFF, queue.seen)
        elif request == 12:
            queue.kick = fds[0]
            if queue is self.queues[1]:
                self.selector.register(queue.kick, selectors.EVENT_READ, self.transmit)
        elif request == 13:
            queue.call = fds[0]
        return None

    def transmit(self):
        os.read(self.queues[1].kick, 8)
        while chain := self.queues[1].take():
            head, pieces = chain
            frame = b""
            for gpa, length in pieces:
                region, at = self.memory.physical(gpa)
                frame += region[at : at + length]
            self.queues[1].give(head, 0)
            self.frame(frame[HEADER:])

    def receive(self, frame):
        chain = self.queues[0].take()
        if not chain:
            return
        head, pieces = chain
        data = struct.pack("<BBHHHHH", 0, 0, 0, 0, 0, 0, 1) + frame
        total = len(data)
        for gpa, length in pieces:
            region, at = self.memory.physical(gpa)
            region[at : at + min(length, len(data))] = data[:length]
            data = data[length:]
        self.queues[0].give(head, total)

    def frame(self, frame):
        source, kind = frame[6:12], frame[12:14]
        if kind == b"\x08\x06" and frame[38:42] == ADDRESS:  # ARP: who has it?
            answer = frame[14:20] + b"\0\2" + MAC + ADDRESS + frame[22:32]
            self.receive((source + MAC + kind + answer).ljust(60, b"\0"))
        if kind == b"\x08\x00" and frame[30:34] == ADDRESS and frame[23] == 1 and frame[34] == 8:  # ICMP echo
            length = struct.unpack("!H", frame[16:18])[0]
            data = frame[42 : 14 + length]
            if len(data) == 7:
                sys.exit(0)
            if len(data) == 9:
                self.queues[0].give(1023, 60)
            echo = b"\0\0\0\0" + frame[38 : 14 + length]
            echo = echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:]
            ip = frame[14:26] + frame[30:34] + frame[26:30]
            self.receive(source + MAC + kind + ip + echo)


listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen(1)
BackEnd(listener.accept()[0]).run()
