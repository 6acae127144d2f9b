# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034
#
# Tests of networks share this: a guest with a network card, and servers on the host. Sourced after lib.sh.

# host_servers ADDRESS: starts an HTTP server of $temporary/www (POST writes there), an echo server, and one that sends without end.
# Their ports are in http_port, echo_port and give_port. They end with the test.
host_servers() {
    mkdir -p "$temporary/www"
    python3 - "$1" "$temporary/www" >"$temporary/servers" 2>"$temporary/servers.err" <<'END' &
import asyncio, http.server, os, resource, socket, sys, threading

address, folder = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Files(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory=folder)

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        with open(os.path.join(folder, os.path.basename(self.path)), "wb") as file:
            while left:
                piece = self.rfile.read(min(left, 1 << 20))
                if not piece:
                    break
                file.write(piece)
                left -= len(piece)
        self.send_response(200)
        self.end_headers()


class Server(http.server.ThreadingHTTPServer):
    address_family = family


files = Server((address, 0), Files)
threading.Thread(target=files.serve_forever, daemon=True).start()


async def echo(reader, writer):
    try:
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def give(reader, writer):
    try:
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()
    except ConnectionError:
        pass


async def main():
    echoes = await asyncio.start_server(echo, address, 0, backlog=1000)
    gives = await asyncio.start_server(give, address, 0)
    port = [s.sockets[0].getsockname()[1] for s in (echoes, gives)]
    print(files.server_address[1], *port, "ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
END
    background+=($!)
    wait_for ready "$temporary/servers"
    read -r http_port echo_port give_port _ <"$temporary/servers"
}

# text_file SIZE: random text. busybox' wget cannot send anything else.
text_file() { base64 /dev/urandom 2>/dev/null | head -c "$1" || true; }

# wait_for TEXT FILE [PROCESS]: waits up to three minutes; a busy host may need one for the boot alone. With PROCESS, as long as that runs.
wait_for() {
    local attempts=1800
    until grep -qs -e "$1" "$2"; do
        if [ $# -eq 3 ]; then
            kill -0 "$3" 2>/dev/null || break
        else
            [ "$attempts" -gt 0 ] || break
            attempts=$((attempts - 1))
        fi
        sleep 0.1
    done
    if grep -qs -e "$1" "$2"; then return 0; fi
    cat "$2" >&2
    failed "no \"$1\" in $(basename "$2")"
}

background=()
end_background() {
    local process
    for process in "${background[@]}"; do kill "$process" 2>/dev/null || true; done
    rm -rf "$temporary"
}
trap end_background EXIT

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

file_sum() { sha256sum <"$1" | cut -d' ' -f1; }

# package_source [FOLDER]: the host's package source on the loopback, and the files of FOLDER. Its port: source_port; it ends with the test.
package_source() {
    "$top/tests/boot/package_source.py" "$guest_cache/package-source" "$@" >"$temporary/source" 2>&1 &
    background+=($!)
    wait_for "^port" "$temporary/source"
    source_port=$(sed -n 's/^port //p' "$temporary/source")
}

# ssh_key: a key in $temporary/key. remote COMMAND, copy [OPTION] FROM TO: as root, through the forwarded port $port.
ssh_key() {
    ssh-keygen -q -t ed25519 -N '' -C test -f "$temporary/key"
    ssh_options=(-q -i "$temporary/key" -o BatchMode=yes -o StrictHostKeyChecking=no -o "UserKnownHostsFile=/dev/null" -o ConnectTimeout=60)
}
remote() { ssh "${ssh_options[@]}" -p "$port" root@127.0.0.1 "$@"; }
copy() { scp "${ssh_options[@]}" -P "$port" "$@"; }

# make_guest MODULE...: makes $temporary/initramfs-$kernel. Its script is commands that set the card up, with the address
# net.address= of the kernel's command line, and then standard input.
make_guest() {
    {
        cat <<'END'
read -r command_line </proc/cmdline
for word in $command_line; do
    case $word in
    net.*=*) export "net_${word#net.}" ;;
    esac
done
for m in $(cat /drivers/order); do insmod /drivers/$m; done
ip link set lo up
ip link set eth0 up
[ -z "$net_address" ] || ip addr add "$net_address/24" dev eth0
sum() { sha256sum | cut -d" " -f1; }
# try COMMAND...: repeats the command until it succeeds; the other side may not be ready yet.
try() { for attempt in $(seq 100); do "$@" 2>/dev/null && return; sleep 0.2; done; return 1; }
END
        cat
    } >"$temporary/script"
    mkdir -p "$temporary/more"
    gcc -std=gnu11 -O2 -m32 -march=i686 -static "$top/tests/boot/sockets.c" -o "$temporary/more/sockets"
    "$top/guests/initramfs" "$kernel" "$temporary/base" "$temporary/script" "$@"
    (cd "$temporary/more" && echo sockets | cpio --quiet -o -H newc --owner 0:0) | gzip -n -1 >"$temporary/program"
    cat "$temporary/base" "$temporary/program" >"$temporary/initramfs-$kernel"
    BOOT_FILES=$temporary
}

# start_guest VMM NAME APPEND OPTION...: starts a guest in the background; its process is in `guest`.
start_guest() {
    local vmm=$1 name=$2 append=$3
    shift 3
    vmm_command "$vmm" "$(kernel_file "$kernel")" "$temporary/initramfs-$kernel" 96 \
        "console=ttyS0 panic=-1 quiet ringer.run=script $append" "$@"
    "${command[@]}" </dev/null >"$temporary/$name.out" 2>"$temporary/$name.err" &
    guest=$!
    background+=("$guest")
}

# expect_lines NAME LINE...: the guest's output has these lines.
expect_lines() {
    local name=$1 line
    shift
    guest_output "$temporary/$name.out" >"$temporary/$name.text"
    for line in "$@"; do
        grep -qx -e "$line" "$temporary/$name.text" || {
            cat "$temporary/$name.text" "$temporary/$name.err"
            failed "$name does not say \"$line\""
        }
    done
}
