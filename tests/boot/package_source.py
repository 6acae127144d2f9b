#!/usr/bin/env python3
"""The host's own package source, for guests on the user network: an HTTP server on 127.0.0.1.

usage: package_source.py FOLDER [FOLDER-OF-MORE]

The host's apt fetches what a guest asks for below /debian, with the host's configuration: mirror, proxy, or a folder of files. What was
fetched stays in FOLDER, because packages never change. Lists do, so what is below dists/ is fetched anew in each run. The guest's apt
verifies all of it. Other paths are files of FOLDER-OF-MORE. Prints "port N" and then every request.
"""
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading

HELPER = "/usr/lib/apt/apt-helper"
PATH = re.compile(r"/debian(/[A-Za-z0-9._+~%:=-]+)+")


def site():
    """The source that has Debian's main."""
    lines = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages", "Origin: Debian"],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        address, release, component = line.split()
        if component == "main" and "-" not in release:
            return address.rstrip("/")
    sys.exit("package_source.py: the host has no package source of Debian's main")


class Source:
    def __init__(self, folder):
        self.site, self.folder, self.fresh, self.locks, self.lock = site(), folder, set(), {}, threading.Lock()

    def fetch(self, path):
        """The file of a path, or None: there is none."""
        to = os.path.join(self.folder, path.replace("/", "_"))
        with self.lock:
            mine = self.locks.setdefault(to, threading.Lock())
        with mine:
            if os.path.exists(to) and ("/dists/" not in path or to in self.fresh):
                return to
            if subprocess.run([HELPER, "-q", "-o", "APT::Sandbox::User=root", "download-file", self.site + path, to + ".new"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode:
                return None
            os.rename(to + ".new", to)
            self.fresh.add(to)
            return to


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, form, *arguments):
        print(form % arguments, flush=True)

    def file(self):
        if ".." in self.path:
            return None
        if PATH.fullmatch(self.path):
            return self.server.source.fetch(self.path[len("/debian"):])
        more = os.path.join(self.server.more, os.path.basename(self.path)) if self.server.more else ""
        return more if os.path.isfile(more) else None

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, whole):
        path = self.file()
        if not path:
            self.send_error(404)
            return
        with open(path, "rb") as file:
            self.send_response(200)
            self.send_header("Content-Length", str(os.path.getsize(path)))
            self.end_headers()
            if whole:
                shutil.copyfileobj(file, self.wfile, 1 << 20)


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.source = Source(sys.argv[1])
    server.more = sys.argv[2] if len(sys.argv) > 2 else None
    print("port", server.server_address[1], flush=True)
    server.serve_forever()


main()
