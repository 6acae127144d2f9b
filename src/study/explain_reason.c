/*
 * The reason for the treatment of an instruction, from its row in the instruction table.
 */
#include "explain.h"

#include "cpu/arch.h"
#include "cpu/isa.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *explain_mark_name(enum explain_mark mark)
{
    static const char *const names[EXPLAIN_MARKS] = {"identical", "rewritten", "control flow", "inline",
                                                     "callout"};
    return names[mark];
}

const char *explain_flags(u16 flags, char *text, size_t bytes)
{
    static const struct {
        u16 flag;
        const char *name;
    } names[] = {{FL_CF, "CF"}, {FL_PF, "PF"}, {FL_AF, "AF"}, {FL_ZF, "ZF"}, {FL_SF, "SF"}, {FL_OF, "OF"}};
    size_t used = 0;
    snprintf(text, bytes, "none");
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        if (flags & names[n].flag && used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s%s", used ? " " : "", names[n].name);
    return text;
}

static const char *sensitivity_name(const struct isa_row *row)
{
    static const char *const names[] = {
        "",     "control",          "location",          "control and location",
        "mode", "control and mode", "location and mode", "control, location and mode"};
    return names[row->sensitivity];
}

/* "; privileged by CPL 0; sensitive by control (SDM 2A CLI)" */
static void say_system(const struct isa_row *row, char *text, size_t bytes)
{
    size_t used = strlen(text);
    if (used < bytes && row->privilege)
        used += (size_t)snprintf(text + used, bytes - used, "; privileged by %s", isa_privilege_name(row));
    if (used < bytes && row->sensitivity)
        used += (size_t)snprintf(text + used, bytes - used, "; sensitive by %s", sensitivity_name(row));
    if (used < bytes && row->manual) snprintf(text + used, bytes - used, " (%s)", row->manual);
}

const char *explain_reason(const struct explained_insn *i, char *text, size_t bytes)
{
    switch (i->mark) {
    case MARK_IDENTICAL: snprintf(text, bytes, "harmless: the host executes the same bytes"); break;
    case MARK_REWRITTEN:
        snprintf(text, bytes, "harmless, but %s%s",
                 i->memory ? "its memory operand goes through an entry of the shadow"
                           : "ESP, the stack or the encoding is not the host's",
                 i->hoisted ? "; one check serves several accesses" : "");
        break;
    case MARK_BRANCH: snprintf(text, bytes, "goes elsewhere: guest addresses are not host addresses"); break;
    case MARK_INLINE:
        snprintf(text, bytes, "emulated in line%s", i->hoisted ? "; one check serves several accesses" : "");
        break;
    case MARK_CALLOUT: snprintf(text, bytes, "the interpreter's routine does it"); break;
    case EXPLAIN_MARKS: break;
    }
    say_system(i->row, text, bytes);
    return text;
}

/* --- the story of one mnemonic --- */

static const char *story(const struct isa_row *row)
{
    bool traps = row->privilege != PRIVILEGE_NONE;
    if (!traps && !row->sensitivity) return "Innocuous: any CPU at any privilege gives the same result.";
    if (traps && !row->sensitivity)
        return "Privileged, and its result depends on nothing that a monitor must hide.";
    switch (row->privilege) {
    case PRIVILEGE_NONE:
        return "Sensitive and not privileged: it runs at CPL 3 without a trap, and its result is not the one "
               "that a kernel\n"
               "at CPL 0 gets. A monitor that only traps never sees it. Theorem 1 of Popek and Goldberg "
               "forbids this.";
    case PRIVILEGE_VM86:
        return "It traps in virtual-8086 mode only. In protected mode at CPL 3 it runs without a trap, "
               "leaves alone in\n"
               "silence what CPL forbids, and shows what is not the guest's. Theorem 1 forbids this.";
    case PRIVILEGE_TSD:
    case PRIVILEGE_PCE:
    case PRIVILEGE_UMIP:
        return "Whether it traps at CPL 3 depends on a bit of CR4, which the host's system owns.";
    default:
        return "Sensitive and privileged: a monitor that runs the kernel at CPL 3 gets a trap and can "
               "emulate it.";
    }
}

static const char *treatment(const struct isa_row *row)
{
    switch ((enum treatment)row->treatment) {
    case TREAT_IDENTICAL:
        return "executes it on the host as it is; memory operands go through the guest's tables";
    case TREAT_INLINE: return "emulates it by code in line, without leaving the block";
    case TREAT_BRANCH:
        return "rewrites it: an edge to the target's translation, the shadow return stack, or a look-up";
    case TREAT_CALLOUT: return "calls the interpreter's routine, and goes on with the block";
    case TREAT_END:
        return "calls the interpreter's routine and ends the block, since mode, mappings or EIP may have "
               "changed";
    }
    return "";
}

/* Is it the mnemonic, or a form of it: "MOV r32, CRn" of MOV? */
static bool is_form_of(const char *form, const char *mnemonic)
{
    size_t length = strlen(mnemonic);
    return !strncasecmp(form, mnemonic, length) && (!form[length] || form[length] == ' ');
}

bool explain_why(const char *mnemonic, FILE *out)
{
    bool found = false;
    for (unsigned n = 0; n < isa_row_numbers(); n++) {
        const struct isa_row *row = isa_row_numbered(n);
        if (!row || !is_form_of(row->name, mnemonic)) continue;
        char sensitive[64];
        snprintf(sensitive, sizeof(sensitive), row->sensitivity ? "by %s" : "no", sensitivity_name(row));
        fprintf(out, "%s%s\n  privileged: %s\n  sensitive:  %s\n  Ringer:     %s\n  manual:     %s\n\n%s\n",
                found ? "\n" : "", row->name, row->privilege ? isa_privilege_name(row) : "no", sensitive,
                treatment(row), row->manual ? row->manual : "SDM 2, under its mnemonic", story(row));
        found = true;
    }
    return found;
}
