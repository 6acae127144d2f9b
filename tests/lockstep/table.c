/*
 * Checks the instruction table from outside, by an example of each system form (forms.h), and prints it.
 *
 * 1. On the host CPU at CPL 3, in a child process: does it trap, or run with the result of a guest's CPL 0 (same), or run
 *    with another result (differs in silence)? A privileged form must trap, a sensitive form must not be the same, and any
 *    other form must be the same. 32-bit code is used if the host executes it, otherwise 64-bit mode, which has most forms.
 *    UMIP (which Linux may emulate with invented values), CR4.TSD and CR4.PCE depend on the host: both answers are right,
 *    and the table shows which it was.
 * 2. In the interpreter, at CPL 0 and 3, IOPL 0 and 3, in real, protected and virtual-8086 mode, with those bits of CR4 and
 *    the gates' DPL either way: it raises what isa_trap() returns, and nothing else. (No 64-bit host executes virtual-8086
 *    code: there the interpreter follows only the manual.)
 */
#include "study/guest_experiment.h"
#include "study/host_experiment.h"

#include "check.h"
#include "cpu/insn.h"
#include "cpu/isa.h"
#include "table_long.h"

#include <stdio.h>
#include <string.h>

enum verdict { VERDICT_SAME, VERDICT_DIFFERS, VERDICT_TRAPS, VERDICT_UNTRIED };

static const struct guest_setting guest_modes[] = {
    {.name = "real mode"},
    {.name = "CPL 0, IOPL 0", .protected = true},
    {.name = "CPL 0, IOPL 3", .protected = true, .iopl = 3},
    {.name = "CPL 3, IOPL 0", .protected = true, .cpl = 3},
    {.name = "CPL 3, IOPL 3", .protected = true, .cpl = 3, .iopl = 3},
    {.name = "virtual-8086, IOPL 0", .protected = true, .vm86 = true, .cpl = 3},
    {.name = "virtual-8086, IOPL 3", .protected = true, .vm86 = true, .cpl = 3, .iopl = 3},
};
enum { MODE_REAL = 0, MODE_VM86 = 5, MODE_VM86_IOPL = 6 };

static enum verdict compare(const struct outcome *host, const struct outcome *guest)
{
    if (host->trapped) return VERDICT_TRAPS;
    return outcome_difference(host, guest) ? VERDICT_DIFFERS : VERDICT_SAME;
}

/* --- holding rows against it --- */

static bool may_be(const struct isa_row *row, enum verdict verdict)
{
    const struct isa_mode user = {.protected = true, .cpl = 3, .gate_dpl = 3};
    bool traps = isa_trap(row, &user) != ISA_NO_TRAP && row->privilege != PRIVILEGE_PCE;
    if (traps) return verdict == VERDICT_TRAPS;
    if (row->sensitivity) return verdict != VERDICT_SAME;
    return verdict == VERDICT_SAME;
}

static const char *sensitivity(const struct isa_row *row)
{
    static const char *const names[] = {"-",    "control",       "location",       "control, location",
                                        "mode", "control, mode", "location, mode", "all three"};
    return names[row->sensitivity];
}

/* What the row's routine does in a mode where nothing but IOPL lets anything through. */
static const char *outcome_in(struct guest_experiment *g, const struct form_example *e, unsigned mode)
{
    struct outcome outcome = guest_experiment_run(g, e, &guest_modes[mode]);
    if (!outcome.trapped) return "runs";
    switch (outcome.vector) {
    case VEC_UD: return "#UD";
    case VEC_NM: return "#NM";
    case VEC_GP: return "#GP";
    default: return "traps";
    }
}

static void check_host(struct guest_experiment *g, const struct form_example *e, bool compat)
{
    static const char *const names[] = {"same", "differs in silence", "traps", "(not in 64-bit mode)"};
    struct outcome host;
    struct insn i;
    u8 bytes[INSN_MAX_BYTES];
    form_decode(e, true, &i, bytes);
    const struct isa_row *row = i.row;
    if (strcmp(row->name, e->form)) printf("%s is decoded as %s\n", e->form, row->name);
    CHECK(!strcmp(row->name, e->form));
    enum verdict verdict = VERDICT_UNTRIED;
    if (compat || !(e->traits & FORM_COMPAT)) {
        struct guest_setting kernel = guest_modes[1];
        kernel.gate_dpl = 3;
        struct outcome guest = guest_experiment_run(g, e, &kernel);
        host = host_experiment_run(e, &(struct host_trial){.code32 = compat});
        verdict = compare(&host, &guest);
        CHECK(may_be(row, verdict));
    }
    char how[64];
    snprintf(how, sizeof(how),
             verdict == VERDICT_TRAPS && host.vector != OUTCOME_NO_VECTOR ? "%s (vector %u)" : "%s",
             names[verdict], verdict == VERDICT_TRAPS ? host.vector : 0);
    printf("%-17s %-23s %-18s %-21s %-5s ", row->name, isa_privilege_name(row), sensitivity(row), how,
           outcome_in(g, e, MODE_REAL));
    printf("%-5s %-7s %-21s %s\n", outcome_in(g, e, MODE_VM86), outcome_in(g, e, MODE_VM86_IOPL),
           isa_treatment_name(row), row->manual ? row->manual : "");
}

/* One form in one mode, with what else decides. */
static void check_guest(struct guest_experiment *g, const struct form_example *e,
                        const struct guest_setting *m, unsigned others)
{
    struct guest_setting s = *m;
    struct isa_mode mode = {.protected = m->protected,
                            .vm86 = m->vm86,
                            .cpl = m->cpl,
                            .iopl = m->iopl,
                            .gate_dpl = others & 1 ? 3 : 0,
                            .tsd = others & 2,
                            .pce = others & 4,
                            .umip = others & 8,
                            .port_allowed = others & 16};
    struct insn i;
    u8 bytes[INSN_MAX_BYTES];
    form_decode(e, m->protected && !m->vm86, &i, bytes);
    s.gate_dpl = mode.gate_dpl;
    s.tsd = mode.tsd;
    s.pce = mode.pce;
    s.umip = mode.umip;
    s.port_allowed = mode.port_allowed;
    struct outcome outcome = guest_experiment_run(g, e, &s);
    u8 expected = isa_trap(i.row, &mode), vector = outcome.trapped ? outcome.vector : ISA_NO_TRAP;
    if (e->traits & FORM_ABSENT) expected = VEC_GP;
    if (vector != expected)
        printf("%s, %s, gate DPL %u, bitmap %d TSD %d PCE %d UMIP %d: vector %u, the row says %u\n",
               i.row->name, m->name, mode.gate_dpl, mode.port_allowed, mode.tsd, mode.pce, mode.umip, vector,
               expected);
    CHECK_EQ(vector, expected);
}

/* Each system row has an example. */
static void check_all_rows_tried(void)
{
    for (unsigned n = 0; n < isa_row_numbers(); n++) {
        const struct isa_row *row = isa_row_numbered(n);
        if (!row || !(row->privilege || row->sensitivity || row->manual)) continue;
        bool tried = long_form_known(row->name);
        for (unsigned k = 0; k < form_example_count; k++)
            tried |= !strcmp(form_examples[k].form, row->name);
        if (!tried) printf("no example of %s\n", row->name);
        CHECK(tried);
        CHECK(row->manual && isa_row_number(row) == n);
    }
}

int main(void)
{
    struct guest_experiment *guest = guest_experiment_open();
    if (!guest || host_experiment_init()) {
        fprintf(stderr, "cannot set up\n");
        return 3;
    }
    bool compat = host_experiment_has_32();
    printf("host: %s; UMIP %s\n\n", compat ? "32-bit code" : "executes no 32-bit code, 64-bit mode instead",
           host_experiment_features().umip ? "is there" : "is not there");
    printf("%-17s %-23s %-18s %-21s %-5s %-5s %-7s %-21s %s\n", "form", "privileged by", "sensitive",
           "on the host, CPL 3", "real", "vm86", "IOPL 3", "treatment", "manual");
    /* 64-bit mode has tests/lockstep/oracle64. */
    for (unsigned n = 0; n < form_example_count; n++)
        if (!(form_examples[n].traits & FORM_WIDE)) check_host(guest, &form_examples[n], compat);
    printf("\n");
    for (unsigned n = 0; n < form_example_count; n++)
        for (unsigned m = 0; m < ARRAY_SIZE(guest_modes); m++)
            for (unsigned others = 0; others < 32; others++)
                if (!(form_examples[n].traits & FORM_WIDE))
                    check_guest(guest, &form_examples[n], &guest_modes[m], others);
    check_long_forms();
    check_all_rows_tried();
    guest_experiment_close(guest);
    return check_report();
}
