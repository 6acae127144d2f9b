/*
 * What the event log of --trace can report, one row for each event: its category, its name, and the line's fields. The
 * log itself is observe/event_log.c; docs/EVENTS.md explains the fields.
 *
 * Events are reported in C code where something is counted (counters.h), never in translated code. Without a log that
 * costs one comparison with NULL.
 *
 * Fields: %x hexadecimal, %d decimal, %r an exit reason, %f an instruction form (to the end of the line).
 */
#ifndef RINGER_BASE_EVENTS_H
#define RINGER_BASE_EVENTS_H

#include "counters.h"

/* Category, name, what --trace=help says of it. "instruction" has lines of its own. */
#define RINGER_EVENT_CATEGORIES(X)                                                                           \
    X(INSTRUCTION, "instruction", "every instruction, by the interpreter")                                   \
    X(DISPATCH, "dispatch", "the dispatcher gives the CPU to an engine, and gets it back")                   \
    X(EXIT, "exit", "translated code calls C code")                                                          \
    X(SHADOW, "shadow", "the shadow's entries and address spaces")                                           \
    X(TRACE, "trace", "write traces on page tables")                                                         \
    X(BLOCK, "block", "blocks of the translation cache")                                                     \
    X(DEVICE, "device", "accesses to ports and memory-mapped devices")                                       \
    X(INTERRUPT, "interrupt", "interrupts and exceptions, and HLT")

#define RINGER_EVENTS(X)                                                                                     \
    X(DISPATCH, TRANSLATOR, "translator", "address=%x cpl=%d")                                               \
    X(DISPATCH, INTERPRETER, "interpreter", "address=%x cpl=%d")                                             \
    X(DISPATCH, RETURN, "return", "address=%x reason=%r")                                                    \
    X(EXIT, SLOW, "slow-access", "linear=%x bytes=%d write=%d")                                              \
    X(EXIT, CALLOUT, "callout", "address=%x form=%f")                                                        \
    X(EXIT, STRING, "string", "address=%x form=%f")                                                          \
    X(EXIT, FAST, "fast-routine", "address=%x form=%f")                                                      \
    X(EXIT, EDGE, "unlinked-edge", "target=%x")                                                              \
    X(EXIT, SITE, "site-miss", "target=%x")                                                                  \
    X(EXIT, SEGMENT, "segment-miss", "linear=%x class=%d")                                                   \
    X(EXIT, INDIRECT, "indirect-miss", "target=%x")                                                          \
    X(EXIT, LOOKUP, "dispatch", "target=%x")                                                                 \
    X(EXIT, BUDGET, "budget", "address=%x")                                                                  \
    X(EXIT, CROSS, "second-page", "address=%x")                                                              \
    X(EXIT, STEP, "step", "address=%x")                                                                      \
    X(SHADOW, FILL, "fill", "linear=%x gpa=%x read=%d write=%d")                                             \
    X(SHADOW, FILL_EXEC, "fill-exec", "linear=%x gpa=%x")                                                    \
    X(SHADOW, FLUSH, "flush", "")                                                                            \
    X(SHADOW, INVPCID, "invpcid", "type=%d pcid=%d")                                                         \
    X(SHADOW, INVLPG, "invlpg", "linear=%x")                                                                 \
    X(SHADOW, SPACE, "space", "cr3=%x known=%d")                                                             \
    X(SHADOW, EVICT, "evict", "cr3=%x")                                                                      \
    X(SHADOW, WINDOW, "window", "cr3=%x base=%x")                                                            \
    X(SHADOW, NO_WINDOW, "no-window", "cr3=%x")                                                              \
    X(TRACE, BEGIN, "begin", "gpa=%x")                                                                       \
    X(TRACE, WRITE, "write", "gpa=%x bytes=%d")                                                              \
    X(TRACE, STORM, "storm", "gpa=%x")                                                                       \
    X(TRACE, END, "end", "ram=%x")                                                                           \
    X(BLOCK, MADE, "made", "address=%x gpa=%x instructions=%d host-bytes=%d")                                \
    X(BLOCK, COPIED, "copied", "address=%x gpa=%x")                                                          \
    X(BLOCK, KILLED, "killed", "address=%x gpa=%x")                                                          \
    X(BLOCK, LINK, "link", "from=%x to=%x")                                                                  \
    X(BLOCK, UNLINK, "unlink", "from=%x to=%x")                                                              \
    X(BLOCK, SEGMENT, "evict", "segment=%d blocks=%d")                                                       \
    X(BLOCK, FLUSH, "flush", "blocks=%d")                                                                    \
    X(DEVICE, IN, "in", "port=%x bytes=%d value=%x")                                                         \
    X(DEVICE, OUT, "out", "port=%x bytes=%d value=%x")                                                       \
    X(DEVICE, INS, "ins", "port=%x bytes=%d count=%d")                                                       \
    X(DEVICE, OUTS, "outs", "port=%x bytes=%d count=%d")                                                     \
    X(DEVICE, READ, "read", "gpa=%x bytes=%d value=%x")                                                      \
    X(DEVICE, WRITE, "write", "gpa=%x bytes=%d value=%x")                                                    \
    X(INTERRUPT, EXTERNAL, "external", "vector=%d address=%x")                                               \
    X(INTERRUPT, NMI, "nmi", "address=%x")                                                                   \
    X(INTERRUPT, EXCEPTION, "exception", "vector=%d error=%x address=%x")                                    \
    X(INTERRUPT, PAGE_FAULT, "page-fault", "linear=%x error=%x address=%x")                                  \
    X(INTERRUPT, HALT, "halt", "address=%x")

enum event_category {
#define CATEGORY(category, name, help) EVENT_##category,
    RINGER_EVENT_CATEGORIES(CATEGORY)
#undef CATEGORY
        EVENT_CATEGORIES
};

enum event {
#define EVENT(category, id, name, fields) EVENT_##category##_##id,
    RINGER_EVENTS(EVENT)
#undef EVENT
        EVENTS
};

/* The rows of the two lists. */
struct event_category_row {
    const char *name, *help;
};
struct event_row {
    enum event_category category;
    const char *name, *fields;
};
extern const struct event_category_row event_categories[EVENT_CATEGORIES];
extern const struct event_row event_rows[EVENTS];

struct events {
    /* `arg` has the four fields in order. The guest's FPU state may be live. */
    void (*note)(struct events *events, enum event event, const u64 arg[4]);
};

__attribute__((cold, noinline, unused)) static void event_note(struct events *events, enum event event, u64 a,
                                                               u64 b, u64 c, u64 d)
{
    events->note(events, event, (const u64[4]){a, b, c, d});
}

#define note_event(events, what, ...)                                                                        \
    do {                                                                                                     \
        if (unlikely(events)) EVENT_CALL_(events, what, ##__VA_ARGS__, 0, 0, 0, 0);                          \
    } while (0)
#define EVENT_CALL_(events, what, a, b, c, d, ...) event_note(events, what, a, b, c, d)

#endif
