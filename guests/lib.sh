# shellcheck shell=bash
#
# Functions that demo, check, bench/boot and the recipes in guests/ share: messages, installing packages, building, and the command
# line of the machine under test. Bash scripts with set -eu source this file. It sets `top` to the root of the tree.
#
# Environment: RINGER_GUESTS  directory of fetched guests (default guests/cache)
#              RINGER_JOBS    parallel jobs (default: one a processor)

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
guest_cache=$(realpath -m "${RINGER_GUESTS:-$top/guests/cache}")
# mke2fs, e2fsck and sfdisk also run without privilege.
PATH=$PATH:/usr/sbin:/sbin
jobs=${RINGER_JOBS:-$(nproc)}

# guests/init writes the value 10h to port F4h when its script has ended. The exit status of the VMM is then value << 1 | 1, as
# QEMU's isa-debug-exit defines it.
# shellcheck disable=SC2034
guest_done_status=$((0x10 << 1 | 1))

packages_build=(build-essential cmake ninja-build pkg-config libzydis-dev libzycore-dev libcapstone-dev libelf-dev
    liblzma-dev liblz4-dev libzstd-dev zlib1g-dev libdeflate-dev libpng-dev libjson-c-dev libncurses-dev libsdl2-dev libvncserver-dev libslirp-dev libseccomp-dev libglib2.0-dev acpica-tools)
packages_guest=(cpio gzip)
# shellcheck disable=SC2034
packages_root=(e2fsprogs fdisk)
# shellcheck disable=SC2034
packages_media=(memtest86+ ipxe ipxe-qemu ovmf grub-efi-amd64-bin grub-pc-bin grub-common isolinux syslinux-common xorriso mtools)
# shellcheck disable=SC2034
packages_check=("${packages_media[@]}" xz-utils lz4 clang-14 libclang-rt-14-dev gcc-multilib qemu-system-x86 qemu-utils seabios clang-format shellcheck gdb genisoimage e2fsprogs
    xvfb imagemagick chromium passt tcpdump iproute2 curl openssh-client python3 python3-markdown python3-pexpect python3-xlib xclip libgtk-3-dev at-spi2-core gir1.2-atspi-2.0 python3-pyatspi dbus openssl mandoc groff)

say() { printf '==> %s\n' "$*" >&2; }
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 2
}

# warm_memory MB: call it before something is timed. If the host is itself a virtual machine, the first use of a page that it has
# given back to its hypervisor costs some 10 us. This function uses that much memory and releases it, so that what follows is not delayed.
warm_memory() { python3 -c 'import sys; b"\1" * (int(sys.argv[1]) << 20)' "$1"; }

# run_logged WHAT COMMAND...: runs a long step. Its output goes to a log, which is shown only if the step fails. A terminal shows
# the seconds, a file gets one line. (A shell function as COMMAND runs without errexit, so it must check its commands itself.)
run_logged() {
    local what=$1 log start=$SECONDS status=0 ticker=''
    shift
    log=$(mktemp)
    say "$what"
    # The ticker runs in the background and not the command, because Ctrl-C must reach the command.
    if [ -t 2 ]; then
        while sleep 1 && kill -0 $$ 2>/dev/null; do printf '\r    %d s ' $((SECONDS - start)) >&2; done &
        ticker=$!
    fi
    "$@" >"$log" 2>&1 </dev/null || status=$?
    if [ -n "$ticker" ]; then
        kill "$ticker" 2>/dev/null || true
        wait "$ticker" 2>/dev/null || true
        printf '\r            \r' >&2
    fi
    if [ "$status" -ne 0 ]; then
        cat "$log" >&2
        printf '%s: failed (status %d): %s\n' "$(basename "$0")" "$status" "$what" >&2
    fi
    rm -f "$log"
    return "$status"
}

have_package() { [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]; }

# install_packages NAME...: installs the missing ones with apt. Needs privilege only if one is missing.
install_packages() {
    local missing=() package as_root=()
    command -v dpkg-query >/dev/null || fail "this needs a Debian system: there is no dpkg-query"
    for package in "$@"; do
        have_package "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null ||
            fail "these packages are missing; install them as root: apt-get install ${missing[*]}"
        say "Installing needs root: sudo may ask for your password"
        # sudo must ask now, while this script has the terminal.
        sudo -v || fail "without root, first install: ${missing[*]}"
        as_root=(sudo)
    fi
    run_logged "Reading the package lists" "${as_root[@]}" apt-get -q -o Acquire::Retries=3 update || true
    run_logged "Installing ${missing[*]}" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y --no-install-recommends -o Acquire::Retries=3 install "${missing[@]}"
}

# private_apt DIRECTORY [ARCHITECTURE [FOREIGN]]: fills the array `apt_options` and reads the package lists. With these options apt-get
# and apt-cache use the host's sources and keys, know only this architecture (default i386) and the foreign one, and have their own
# lists, cache and (empty) database in DIRECTORY.
private_apt() {
    local arch=${2:-i386} foreign=${3:-}
    mkdir -p "$1"/{lists/partial,apt/archives/partial}
    : >"$1/status"
    apt_options=(
        -o "APT::Architecture=$arch" -o "APT::Architectures=$arch${foreign:+,$foreign}"
        -o "Dir::State::Lists=$1/lists" -o "Dir::State::status=$1/status"
        -o "Dir::Cache=$1/apt" -o "Dir::Log=$1"
        -o Acquire::Languages=none -o Acquire::Retries=3
        -o Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false
    )
    # As root, apt would change to a user who cannot write there.
    if [ "$(id -u)" -eq 0 ]; then apt_options+=(-o APT::Sandbox::User=root); fi
    # A source without a list for it, or a half-synchronised mirror, makes this fail although the main source works. So a failure
    # is ignored: the callers check that the packages are found.
    run_logged "Reading Debian's $arch package lists" bash -c '"$@" || true' - apt-get "${apt_options[@]}" -q update
}

install_build_packages() { install_packages "${packages_build[@]}" "${packages_guest[@]}"; }

# build DIRECTORY WHAT TARGET CMAKE-OPTION...
build() {
    local directory=$1 what=$2 target=$3
    shift 3
    run_logged "Configuring $what in ${directory#"$top"/}" cmake -S "$top" -B "$directory" -G Ninja "$@" || return
    run_logged "Building $what" ninja --quiet -C "$directory" -j "$jobs" "$target"
}

# host_executes COMMAND...: succeeds if the host's kernel can start this program. Not every host executes 32-bit code. (126 is bash's
# status for a file that it cannot execute.)
host_executes() {
    local status=0
    "$@" </dev/null >/dev/null 2>&1 || status=$?
    [ "$status" -ne 126 ]
}

# fetch_guests [ARCHITECTURE]: does nothing and prints nothing if the guests exist already.
fetch_guests() { "$top/guests/fetch" "$@"; }

# arch_of FLAVOUR: the architecture of a guest kernel.
arch_of() { case $1 in *amd64) echo amd64 ;; *) echo i386 ;; esac }

# vmm_command VMM KERNEL INITRD MEGABYTES APPEND OPTION...: fills the array `command` with the command of a machine that has no screen
# and has its first serial port on standard input and output. VMM is `qemu` or the path of a ringer program. Both take the same options.
# A kernel in the folder debian-amd64 gets a 64-bit CPU; Ringer finds out by itself.
vmm_command() {
    local vmm=$1 kernel=$2 initrd=$3 megabytes=$4 append=$5
    shift 5
    case $vmm:$kernel in
    qemu:*/debian-amd64/*) command=(qemu-system-x86_64 -accel tcg -cpu max) ;;
    qemu:*) command=(qemu-system-i386 -accel tcg -cpu max) ;;
    *) command=("$vmm" run) ;;
    esac
    # QEMU's timer is late on a busy host. Linux would take it for one that is not connected, and give up.
    case $vmm in qemu) append+=" no_timer_check" ;; esac
    command+=(-m "$megabytes" -nographic -no-reboot -device "isa-debug-exit,iobase=0xf4,iosize=0x04"
        -kernel "$kernel" -initrd "$initrd" -append "$append" "$@")
}
