#include "outcome.h"

#include <stdio.h>
#include <string.h>

void outcome_keep_written(struct outcome *o, u32 eax_before, u32 ecx_before, const u8 memory_before[8])
{
    if (o->eax == eax_before) o->eax = 0;
    if (o->ecx == ecx_before) o->ecx = 0;
    if (!memcmp(o->memory, memory_before, sizeof(o->memory))) memset(o->memory, 0, sizeof(o->memory));
}

u32 outcome_difference(const struct outcome *a, const struct outcome *b)
{
    if (a->trapped || b->trapped) return a->trapped == b->trapped && a->vector == b->vector ? 0 : PART_TRAP;
    u32 parts = 0;
    if (a->eax != b->eax || a->ecx != b->ecx || a->edx != b->edx || a->ebx != b->ebx) parts |= PART_REGISTERS;
    if (memcmp(a->memory, b->memory, sizeof(a->memory)) != 0) parts |= PART_MEMORY;
    if (a->pushed != b->pushed) parts |= PART_STACK;
    if (a->zero != b->zero || a->carry != b->carry) parts |= PART_FLAGS;
    if (a->if_changed != b->if_changed) parts |= PART_IF;
    return parts;
}

static const char *names_of(u32 parts, const char *const *names, unsigned count, char *text, size_t bytes)
{
    size_t used = 0;
    snprintf(text, bytes, "-");
    for (unsigned n = 0; n < count; n++)
        if (parts >> n & 1 && used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s%s", used ? ", " : "", names[n]);
    return text;
}

const char *outcome_part_names(u32 parts, char *text, size_t bytes)
{
    static const char *const names[] = {"trap", "registers", "memory", "stack", "flags", "IF"};
    return names_of(parts, names, ARRAY_SIZE(names), text, bytes);
}

const char *outcome_control_names(u32 parts, char *text, size_t bytes)
{
    static const char *const names[CONTROL_PARTS] = {"IF",
                                                     "interrupt shadow",
                                                     "system flags",
                                                     "CPL",
                                                     "code segment",
                                                     "control registers",
                                                     "debug registers",
                                                     "table registers",
                                                     "MSRs",
                                                     "ports",
                                                     "halt"};
    return names_of(parts, names, ARRAY_SIZE(names), text, bytes);
}
