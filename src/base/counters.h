/*
 * The counters that --stats prints, one row for each, in groups. They are plain fields of a struct in struct vm. Only
 * the vCPU thread changes them.
 */
#ifndef RINGER_BASE_COUNTERS_H
#define RINGER_BASE_COUNTERS_H

#include "types.h"

#define RINGER_COUNTERS(X)                                                                                   \
    X(interp_instructions, "instructions executed by the interpreter")                                       \
    X(decode_misses, "instructions decoded for the interpreter")                                             \
    X(blocks_translated, "blocks translated")                                                                \
    X(blocks_relocated, "blocks copied from a block at another address")                                     \
    X(instructions_translated, "guest instructions translated")                                              \
    X(decodes, "of these, decoded from scratch")                                                             \
    X(bytes_emitted, "host bytes emitted")                                                                   \
    X(translate_ticks, "ticks of the host's TSC spent translating")                                          \
    X(flags_found_dead, "edges to targets where the look-ahead found the flags dead")                        \
    X(engine_entries, "entries into translated code")                                                        \
    X(block_lookups, "block lookups in C code, by block key")                                                \
    X(block_lookup_hits, "block lookups answered by the hash table")                                         \
    X(block_probe_hits, "block lookups answered by the jump table")                                          \
    X(chains_made, "edges linked")                                                                           \
    X(chains_broken, "edges unlinked")                                                                       \
    X(indirect_misses, "indirect branches that missed the jump table")                                       \
    X(sites_filled, "targets patched into indirect branches")                                                \
    X(sites_given_up, "indirect branches found to have many targets")                                        \
    X(sites_tried_again, "of these, given a target again because they ran when work came")                   \
    X(blocks_run, "blocks run (with --count-hits)")                                                          \
    X(sites_run, "indirect branches with a remembered target run (with --count-hits)")                       \
    X(site_misses, "of these, to another target")                                                            \
    X(returns_run, "guest returns by the shadow return stack (with --count-hits)")                           \
    X(return_misses, "guest returns to another address than the shadow return stack's")                      \
    X(return_stack_resets, "shadow return stacks emptied because mode or mappings changed")                  \
    X(return_stack_overflows, "shadow return stacks emptied because they were full")                         \
    X(blocks_invalidated, "blocks killed")                                                                   \
    X(code_writes, "writes that reached a page holding code")                                                \
    X(code_writes_harmless, "of these, writes beside the code")                                              \
    X(metadata_bytes, "bytes of metadata made for blocks")                                                   \
    X(cache_flushes, "whole flushes of the code cache")                                                      \
    X(segments_evicted, "segments of the code cache evicted")                                                \
    X(blocks_evicted, "live blocks evicted by these")                                                        \
    X(blocks_promoted, "blocks copied to the old generation instead")                                        \
    X(callouts, "callouts: instructions handed to the interpreter by translated code")                       \
    X(fast_entries, "kernel entries, exits and segment loads done by fast routines")                         \
    X(fast_declined, "kernel entries, exits and segment loads left to the general routines")                 \
    X(string_inline, "repeated string instructions done inline")                                             \
    X(string_bulk, "repeated string instructions done page by page, in C code")                              \
    X(string_bulk_bytes, "bytes that these moved or compared")                                               \
    X(string_slow, "of these, finished by the interpreter")                                                  \
    X(jumps_passed, "conditional jumps inside translated blocks")                                            \
    X(jumps_followed, "unconditional jumps inside translated blocks")                                        \
    X(hoists, "hoisted checks emitted")                                                                      \
    X(hoisted_checks, "checks saved by these")                                                               \
    X(hoists_failed, "times a hoisted check failed")                                                         \
    X(hoists_left, "times a block was left because a checked entry was dropped")                             \
    X(slow_accesses, "memory accesses that took the slow path")                                              \
    X(device_moves, "MOVs to and from devices without the interpreter")                                      \
    X(slow_interpreted, "memory accesses that had to be interpreted")                                        \
    X(shadow_fills, "shadow entries filled")                                                                 \
    X(shadow_borrowed, "supervisor accesses through a borrowed user entry")                                  \
    X(shadow_prefills, "neighbouring pages filled along with the requested one")                             \
    X(shadow_flushes, "flushes of the shadow")                                                               \
    X(space_switches, "loads of another address space")                                                      \
    X(space_hits, "of these, to a space that the shadow remembered")                                         \
    X(space_evictions, "address spaces evicted with entries")                                                \
    X(space_shrinks, "times the memory of an address space's view was given back to the host")               \
    X(traces_begun, "write traces begun on page tables")                                                     \
    X(trace_writes, "writes to traced pages")                                                                \
    X(trace_drops, "pages that lost entries by these writes")                                                \
    X(trace_storms, "trace storms: traces ended because the page was written too often")                     \
    X(kicks, "kicks: another thread made something pending")                                                 \
    X(kicks_again, "of these, outside translated code, so repeated later")                                   \
    X(window_promotions, "address spaces given a host window")                                               \
    X(window_low, "of these, given the low window")                                                          \
    X(window_demotions, "host windows taken away")                                                           \
    X(window_faults, "host page faults in windows")                                                          \
    X(window_mappings, "runs of pages mapped into windows")                                                  \
    X(window_pages, "pages in these runs")                                                                   \
    X(window_misses, "addresses of another segment than 64-bit code expected")                               \
    X(window_checked, "blocks translated again for a checked site")                                          \
    X(window_unmaps, "runs of pages unmapped from windows")                                                  \
    X(shadow_invlpgs, "pages that lost entries by INVLPG")                                                   \
    X(page_walks, "guest page-table walks")                                                                  \
    X(exceptions, "exceptions delivered to the guest")                                                       \
    X(page_faults, "of these, page faults")                                                                  \
    X(interrupts, "external interrupts delivered")                                                           \
    X(port_reads, "port reads")                                                                              \
    X(port_writes, "port writes")                                                                            \
    X(port_string_bytes, "bytes of string I/O taken in bulk")                                                \
    X(mmio_accesses, "accesses to memory-mapped devices")                                                    \
    X(pvclock_updates, "times the paravirtual clock's page was written")                                     \
    X(halts, "times the guest halted")                                                                       \
    X(host_signals, "host signals that sent a guest instruction to the interpreter")                         \
    X(fpu_parks, "times the guest FPU state was parked")                                                     \
    X(fpu_shelters, "times only its XMM registers were sheltered")

struct events; /* events.h */

struct counters {
#define FIELD(name, text) u64 name;
    RINGER_COUNTERS(FIELD)
#undef FIELD
    struct events *events; /* the log that reports some of what is counted, each time; NULL: none */
};

#endif
