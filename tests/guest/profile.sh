#!/bin/sh
# profile.sh RINGER KERNEL: the profiler finds the loop of profile.S, by its symbol and by its address, with either engine. Every line
# of the folded stacks and of the map for perf has the right format.
ringer=$1
kernel=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
fail() {
    echo "FAILED: $1"
    head -n 20 "$directory/folded" "$directory/folded.txt" 2>/dev/null
    exit 1
}

# run STATUS OPTION...: a profile of the kernel in $directory/folded
run() {
    wanted=$1
    shift
    "$ringer" run --kernel "$kernel" --start=direct -m 16 -nographic -serial null -no-reboot -debug-exit \
        --profile="$directory/folded" "$@" </dev/null &
    pid=$!
    wait $pid
    status=$?
    [ $status = "$wanted" ] || fail "status $status instead of $wanted"
    grep -qvE '^ringer(;[^;]+)+ [0-9]+$' "$directory/folded" && fail "a line is not a folded stack"
    top=$(sort -t ' ' -k 1 "$directory/folded" | awk '{ n = $NF; if (n > most) { most = n; top = $0 } } END { print top }')
}

nm "$kernel" >"$directory/symbols"
address=$(awk '$3 == "hot_loop" { print $1 }' "$directory/symbols")

run 33
[ "${top% *}" = "ringer;translated;kernel;$address" ] || fail "the loop at $address is not on top: $top"
grep -q "^  *[0-9.]* *[0-9.]*  translated code$" "$directory/folded.txt" || fail "there is no table of engines"

run 33 --symbols="$directory/symbols" --perf-map
map=/tmp/perf-$pid.map
[ "${top% *}" = "ringer;translated;kernel;hot_loop" ] || fail "hot_loop is not on top: $top"
[ -s "$map" ] || fail "there is no map for perf"
cp "$map" "$directory/map"
rm -f "$map"
grep -qvE '^[0-9a-f]+ [0-9a-f]+ [^ ]+$' "$directory/map" && fail "a line of the map is not \"address bytes name\""
grep -q ' hot_loop$' "$directory/map" || fail "hot_loop is not in the map"

# Flushes write the map before they forget the blocks.
run 33 --perf-map --cache-bytes=64K --flush-every=2
map=/tmp/perf-$pid.map
grep -q " guest_kernel_$address\$" "$map" || fail "the loop is not in the map"
rm -f "$map"

run 5 --engine=interp --timeout=2
case $top in
"ringer;interpreter;kernel;$address;"* | "ringer;interpreter;kernel;"*) ;;
*) fail "the interpreter is not on top: $top" ;;
esac
