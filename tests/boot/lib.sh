# shellcheck shell=bash
#
# Functions of the boot tests. Bash scripts with set -eu source this file. CTest sets in the environment:
#
#   RINGER      the program under test, or "qemu" to try the tests themselves
#   STOPWATCH   the program of stopwatch.c
#   BOOT_FILES  directory for initial file systems and QEMU TCG's reference outputs, kept from run to run
#
# A test prints its observations and ends with 0, or ends with one line that begins with "FAILED" and says what is wrong.

# shellcheck source=guests/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../guests/lib.sh"

: "${RINGER:?}" "${STOPWATCH:?}" "${BOOT_FILES:?}"
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

failed() {
    echo "FAILED: $*"
    exit 1
}

# Waits for all background jobs; all must have ended with status 0.
join() {
    local process bad=0
    for process in $(jobs -p); do wait "$process" || bad=1; done
    [ "$bad" -eq 0 ] || failed "see above"
}

# done_status KERNEL: Ringer's exit status when init has ended. The cloud kernel has no /dev/port, so init resets the machine there
# instead of writing its status.
done_status() { case $1 in cloud-*) echo 0 ;; *) echo "$guest_done_status" ;; esac }

kernel_file() { echo "$guest_cache/debian-$(arch_of "$1")/$1/vmlinuz"; }

# run_guest VMM NAME SECONDS KERNEL MEGABYTES APPEND OPTION...: boots; leaves $temporary/NAME.out (all output),
# NAME.err and NAME.report (stopwatch's), and the exit status in `status`.
run_guest() {
    local vmm=$1 name=$2 seconds=$3 kernel=$4 megabytes=$5 append=$6
    shift 6
    vmm_command "$vmm" "$(kernel_file "$kernel")" "$BOOT_FILES/initramfs-$kernel" "$megabytes" "console=ttyS0 panic=-1 $append" "$@"
    status=0
    "$STOPWATCH" --timeout "$seconds" --marker "ringer-guest: ready" --stamp "ringer-guest: " --report "$temporary/$name.report" \
        -- "${command[@]}" </dev/null >"$temporary/$name.out" 2>"$temporary/$name.err" || status=$?
}

report_value() { sed -n "s/^$2 //p" "$temporary/$1.report"; }

# The guest's output from init's marker to its status, without carriage returns, which is the part that is compared. (Before and behind
# it are messages of firmware and kernel, with times.)
guest_output() { tr -d '\r' <"$1" | sed -n '/ringer-guest: ready$/,/^ringer-guest: status/ { s/.*ringer-guest: ready$/ringer-guest: ready/; p }'; }

show_ending() {
    tail -n 25 "$temporary/$1.out" | sed 's/^/  guest: /'
    sed 's/^/  stderr: /' "$temporary/$1.err" | tail -n 60
}

# expect_end NAME [KERNEL]: the guest ended with init's status.
expect_end() {
    local expected
    expected=$(done_status "${2:-}")
    if [ "$status" -eq 124 ]; then
        show_ending "$1"
        failed "$1: the time ran out"
    fi
    if [ "$status" -ne "$expected" ]; then
        show_ending "$1"
        failed "$1: exit status $status, expected $expected"
    fi
}

# The two halves of `work`'s output: results, and the kernel's complaints with the status.
work_results() { sed '/^== warnings$/,$d' "$1"; }
work_complaints() { sed -n '/^== warnings$/,$p' "$1"; }

# expect_reference NAME KERNEL SIZE: the results are QEMU TCG's byte for byte, the status is the same, and the kernel has no
# complaint that it does not have under TCG. (Under TCG it may have more, because of unstable clocks.)
expect_reference() {
    local reference=$BOOT_FILES/reference-$2-$3 more
    guest_output "$temporary/$1.out" >"$temporary/$1.text"
    if ! diff -u --label "QEMU TCG" --label "$1" <(work_results "$reference") <(work_results "$temporary/$1.text"); then
        failed "$1: the output is not QEMU TCG's"
    fi
    more=$(work_complaints "$temporary/$1.text" | grep -vxFf <(work_complaints "$reference") || true)
    [ -z "$more" ] || failed "$1: the kernel has messages that it does not have under QEMU TCG: $more"
    grep -qx "== warnings" "$temporary/$1.text" || failed "$1: the output is not complete"
}

# expect_peak NAME MEGABYTES KERNEL OPTION...: the process never needed more than the guest's memory and 64 MB; 192 MB with a 64-bit kernel
# and 128 MB with blocks of few instructions, because such code may fill the whole code cache, which is 160 or 124 MB.
expect_peak() {
    local name=$1 megabytes=$2 more=64 limit peak
    shift 2
    case " $* " in
    *amd64*) more=192 ;;
    *" --block-limit="*) more=128 ;;
    esac
    limit=$(((megabytes + more) * 1024))
    peak=$(report_value "$name" peak_kb)
    [ "$peak" -le "$limit" ] || failed "$name: peak memory $peak KB, allowed are $limit KB"
}

# different FILE FILE: the number of pixels in which two pictures differ. (Without a precision a million would be 1e+06.)
different() { compare -precision 12 -metric AE "$1" "$2" null: 2>&1 || true; }

# start_x_server GEOMETRY: starts an X server for this test and sets DISPLAY; its process is in `server`. Xvfb writes the number of
# its display when it is ready.
start_x_server() {
    local number
    mkfifo "$temporary/display"
    Xvfb -displayfd 5 -screen 0 "$1" -nolisten tcp -noreset 5>"$temporary/display" >"$temporary/xvfb" 2>&1 &
    # shellcheck disable=SC2034
    server=$!
    read -r number <"$temporary/display" || failed "Xvfb does not start: $(cat "$temporary/xvfb")"
    export DISPLAY=:$number
}

# cost_of PROCESS: its processor time in ms, how often its threads were woken, and the time in seconds, all up to now. Other processes
# of the host do not affect the first two.
cost_of() {
    cat "/proc/$1"/task/*/schedstat | awk '{ ns += $1 } END { printf "%d ", ns / 1e6 }'
    awk '/^voluntary_ctxt_switches/ { sum += $2 } END { printf "%d ", sum }' "/proc/$1"/task/*/status
    cut -d' ' -f1 /proc/uptime
}

# expect_still BEFORE AFTER WAKEUPS: between these two cost_of, while the guest slept, its machine's threads were woken at most WAKEUPS
# times a second, and used at most a tenth of a processor.
expect_still() {
    awk -v before="$1" -v after="$2" -v limit="$3" 'BEGIN {
        split(before, b); split(after, a)
        seconds = a[3] - b[3]; cpu = (a[1] - b[1]) / seconds; woken = (a[2] - b[2]) / seconds
        printf "in %.1f s of sleep: %.1f ms of processor time and %.0f wake-ups a second\n", seconds, cpu, woken
        exit !(cpu <= 100 && woken <= limit)
    }' || failed "a guest that sleeps costs more than 100 ms of processor time or $3 wake-ups a second"
}

# complaints FILE: the kernel's messages of errors on a console.
complaints() {
    tr -d '\r' <"$1" |
        grep -aE 'WARNING|BUG|[Oo]ops|unchecked MSR|soft lockup|Call Trace|rcu.*stall|segfault|traps:|general protection|invalid opcode|Kernel panic|[Nn]ot tainted|nobody cared|divide error' || true
}
