#!/bin/sh
# In a guest: "before" gives the 64-bit hazard program swap space on zram, huge pages and core files, and "after" says what was used of
# it. Prints only what is the same every time.

value() { sed -n "s/^$1 //p" /proc/vmstat; }

case $1 in
before)
    echo /tmp/core >/proc/sys/kernel/core_pattern
    echo 12 >/proc/sys/vm/nr_hugepages
    while read -r module; do insmod "/modules/$module"; done </modules/order
    for module in raid6_pq xor; do rmmod $module; done
    echo 600M >/sys/block/zram0/disksize
    mkswap /dev/zram0 >/dev/null && swapon /dev/zram0
    ;;
after)
    [ "$(value pswpout)" -gt 1000 ] && [ "$(value pswpin)" -gt 1000 ] && echo "machine: swap used"
    [ "$(value thp_fault_alloc)" -gt 4 ] && [ "$(value thp_split_pmd)" -gt 0 ] && echo "machine: transparent huge pages used"
    grep -q '^HugePages_Total: *12$' /proc/meminfo && echo "machine: huge pages used"
    grep -q '^1$' /proc/sys/net/core/bpf_jit_enable && echo "machine: eBPF compiler used"
    grep -q vsyscall /proc/self/maps && echo "machine: vsyscall page used"
    swapoff /dev/zram0
    for module in zram zsmalloc lzo-rle; do rmmod $module 2>/dev/null; done
    true
    ;;
esac
