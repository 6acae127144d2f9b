#!/bin/sh
# life.sh: docs/life still prints what docs/LIFE.md quotes: the same functions in the same order, and the decisive results.
# Hazard: an outdated document. Skipped (77) without gdb.
set -eu
life=$(dirname "$0")/../../docs/life
command -v gdb >/dev/null || exit 77
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# expect LIFE PATTERN...: the patterns occur in this order, each on a later line than the one before.
expect() {
    name=$1 at=1
    shift
    "$life" "$name" >"$output"
    for pattern in "$@"; do
        line=$(tail -n "+$at" "$output" | grep -nE -m1 -- "$pattern" | cut -d: -f1)
        if [ -z "$line" ]; then
            echo "docs/life $name: no \"$pattern\" from line $at on in:"
            cat "$output"
            exit 1
        fi
        at=$((at + line))
    done
}

expect popf 'popfd' '0x3d7100' 'jne' '0x200' 'jne' 'xor +dword ptr \[r15' 'sahf' 'dec +ecx'
expect cr3 'mov +cr3, eax' 'call +qword ptr' ' shadow_load_root ' ' control_write ' ' translator_callout ' '= 0x11[12]000' '= 0x11[12]000'
expect pte ' shadow_table_written ' ' guarded_write ' ' translator_slow_access ' ' thunk_slow ' '= 0x117014' 'base = 262144, view = 0, level = 1' \
    '= 0x7' '= 0x0'
expect in 'in +al, 0x71' 'call +qword ptr' ' ports_read ' ' io_read ' ' exec_in ' ' interp_callout ' ' translator_callout ' ' thunk_callout ' '= 0x71'
expect smc 'add +eax, 0x3e8' ' cache_code_written ' ' translator_code_written ' ' translator_step ' ' translator_slow_access ' 'add +eax, 0x3e7'

# --stats counts the guest's port reads: 20 rounds of 1024 INs.
kernel=$(dirname "$RINGER")/bench/nano/nano.elf
"$RINGER" run --start=direct --kernel "$kernel" --append "in 1024" -m 16 -nographic -serial null -no-reboot -debugcon null -debug-exit \
    --stats-json="$output" </dev/null || [ $? = 33 ]
grep -q '"port_reads": 20480,' "$output" || {
    grep port_ "$output"
    echo "20480 INs are not counted as port reads"
    exit 1
}
echo "docs/life prints what docs/LIFE.md quotes"
