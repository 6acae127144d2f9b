#!/bin/sh
# In a guest: patches kernel text, and inserts and removes modules, while the kernel is busy.
# Prints only what is the same every time.

tracing=/sys/kernel/tracing
mount -t tracefs none $tracing 2>/dev/null

say_each() { for word in "$@"; do [ -d "/sys/module/$word" ] && echo "$word"; done; }

# Modules that get other addresses each time, or the same addresses with other text.
n=0
while [ $n -lt 12 ]; do
    for module in xor raid6_pq; do insmod "/modules/$module.ko" || echo "insmod $module failed"; done
    say_each xor raid6_pq >/tmp/there
    [ "$(wc -l </tmp/there)" = 2 ] || echo "modules missing in round $n"
    for module in raid6_pq xor; do rmmod "$module" || echo "rmmod $module failed"; done
    n=$((n + 1))
done
echo "modules: $n rounds"

# Every function's first bytes, on and off; the kernel checks the text it replaces and complains if it is another.
if [ -w $tracing/current_tracer ] && grep -qw function $tracing/available_tracers; then
    for n in 1 2 3; do
        echo 'vfs_* kmem_cache_* sys_* do_*' >$tracing/set_ftrace_filter
        echo function >$tracing/current_tracer
        ls -lR /proc/self /sys/module >/dev/null 2>&1
        [ "$(head -n 200 $tracing/trace | grep -c '<-')" -gt 50 ] || echo "no functions traced"
        echo nop >$tracing/current_tracer
        echo >$tracing/trace
    done
    echo >$tracing/set_ftrace_filter
fi
# An INT3 in a hot function (and with optprobes a jump), in and out.
if [ -w $tracing/kprobe_events ]; then
    for n in 1 2 3 4 5; do
        echo 'p:probe_open do_sys_openat2' >$tracing/kprobe_events
        echo 'r:probe_read vfs_read' >>$tracing/kprobe_events
        echo 1 >$tracing/events/kprobes/enable
        for file in version uptime stat meminfo cpuinfo version stat uptime; do cat /proc/$file >/dev/null; done
        echo 0 >$tracing/events/kprobes/enable # tracing ends first: reading the trace would add to it without end
        [ "$(grep -c probe_ $tracing/trace)" -ge 16 ] || echo "probes not hit"
        echo >$tracing/kprobe_events
        echo >$tracing/trace
    done
fi
# Static keys.
for n in 1 2 3 4 5 6 7 8; do
    for key in sched_schedstats bpf_stats_enabled; do
        for value in 1 0; do [ -w /proc/sys/kernel/$key ] && echo $value >/proc/sys/kernel/$key; done
    done
    [ -d $tracing/events/sched ] && for value in 1 0; do echo $value >$tracing/events/sched/enable; done
done
echo "text: patched"
dmesg | grep -E 'WARNING|BUG|Oops|general protection|invalid opcode|ftrace (failed|bug|faulted)' || echo "dmesg: clean"
