"""A connection to a machine that may not listen yet."""
import socket
import time


def connect(where, seconds):
    """`where` is the path of a socket, or (host, port)."""
    end = time.monotonic() + seconds
    while True:
        connection = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
        try:
            connection.connect(where)
            connection.settimeout(seconds)
            return connection
        except OSError:
            connection.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
