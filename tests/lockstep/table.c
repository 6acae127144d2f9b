/*
 * Checks the instruction table from outside, by an example of each system form (forms.h), and prints it.
 *
 * 1. On the host CPU at CPL 3, in a child process: does it trap, or run with the result of a guest's CPL 0 (same), or
 *    run with another result (differs in silence)? A privileged form must trap, a sensitive form must not be the same,
 *    and any other form must be the same. 32-bit code is used if the host executes it, otherwise 64-bit mode, which has
 *    most forms. The forms that only 64-bit mode has are executed there.
 *    UMIP (which Linux may emulate with invented values), CR4.TSD and CR4.PCE depend on the host: both answers are
 *    right, and the table shows which it was.
 * 2. In the interpreter, at CPL 0 and 3, IOPL 0 and 3, in real, protected, virtual-8086 and 64-bit mode, with those
 *    bits of CR4 and the gates' DPL either way: it raises what isa_trap() returns, and nothing else. (No 64-bit host
 *    executes virtual-8086 code: there the interpreter follows only the manual.)
 */
#include "study/guest_experiment.h"
#include "study/host_experiment.h"

#include "check.h"
#include "cpu/insn.h"
#include "cpu/isa.h"

#include <stdio.h>
#include <string.h>

enum verdict { VERDICT_SAME, VERDICT_DIFFERS, VERDICT_TRAPS, VERDICT_COMPAT, VERDICT_OWN };

static const struct guest_setting guest_modes[] = {
    {.name = "real mode"},
    {.name = "CPL 0, IOPL 0", .protected = true},
    {.name = "CPL 0, IOPL 3", .protected = true, .iopl = 3},
    {.name = "CPL 3, IOPL 0", .protected = true, .cpl = 3},
    {.name = "CPL 3, IOPL 3", .protected = true, .cpl = 3, .iopl = 3},
    {.name = "virtual-8086, IOPL 0", .protected = true, .vm86 = true, .cpl = 3},
    {.name = "virtual-8086, IOPL 3", .protected = true, .vm86 = true, .cpl = 3, .iopl = 3},
    {.name = "64-bit mode, CPL 0, IOPL 0", .protected = true, .code64 = true},
    {.name = "64-bit mode, CPL 0, IOPL 3", .protected = true, .code64 = true, .iopl = 3},
    {.name = "64-bit mode, CPL 3, IOPL 0", .protected = true, .code64 = true, .cpl = 3},
    {.name = "64-bit mode, CPL 3, IOPL 3", .protected = true, .code64 = true, .cpl = 3, .iopl = 3},
};
enum { MODE_REAL = 0, MODE_KERNEL = 1, MODE_VM86 = 5, MODE_VM86_IOPL = 6, MODE_KERNEL64 = 7 };

static bool exists_in(const struct form_example *e, const struct guest_setting *m)
{
    return !(e->traits & (m->code64 ? FORM_COMPAT : FORM_LONG));
}

static enum code_size size_of(const struct guest_setting *m)
{
    return m->code64 ? CODE_64 : m->protected && !m->vm86 ? CODE_32 : CODE_16;
}

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
    if (!exists_in(e, &guest_modes[mode])) return "-";
    struct outcome outcome = guest_experiment_run(g, e, &guest_modes[mode]);
    if (!outcome.trapped) return "runs";
    switch (outcome.vector) {
    case VEC_UD: return "#UD";
    case VEC_NM: return "#NM";
    case VEC_GP: return "#GP";
    default: return "traps";
    }
}

static const struct form_example *example_of(const char *form)
{
    for (unsigned n = 0; n < form_example_count; n++)
        if (!strcmp(form_examples[n].form, form)) return &form_examples[n];
    return NULL;
}

/* The verdict if the host cannot try the example; else VERDICT_SAME. */
static enum verdict cannot_try(const struct form_example *e, bool compat)
{
    if ((e->traits & FORM_COMPAT) && !compat) return VERDICT_COMPAT;
    if (!(e->traits & FORM_OWN)) return VERDICT_SAME;
    bool may_read = !host_experiment_run(example_of("RDFSBASE"), &(struct host_trial){0}).trapped;
    return may_read ? VERDICT_OWN : VERDICT_SAME;
}

static void check_host(struct guest_experiment *g, const struct form_example *e, bool compat)
{
    static const char *const names[] = {"same", "differs in silence", "traps", "(not in 64-bit mode)",
                                        "(the process's own)"};
    struct outcome host;
    struct insn i;
    u8 bytes[INSN_MAX_BYTES];
    bool code64 = e->traits & FORM_LONG;
    form_decode(e, code64 ? CODE_64 : CODE_32, &i, bytes);
    const struct isa_row *row = i.row;
    if (strcmp(row->name, e->form)) printf("%s is decoded as %s\n", e->form, row->name);
    CHECK(!strcmp(row->name, e->form));
    enum verdict verdict = cannot_try(e, compat);
    if (verdict == VERDICT_SAME) {
        struct guest_setting kernel = guest_modes[code64 ? MODE_KERNEL64 : MODE_KERNEL];
        kernel.gate_dpl = 3;
        struct outcome guest = guest_experiment_run(g, e, &kernel);
        host = host_experiment_run(e, &(struct host_trial){.code32 = compat && !code64});
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
    form_decode(e, size_of(m), &i, bytes);
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
        bool tried = example_of(row->name);
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
    for (unsigned n = 0; n < form_example_count; n++)
        check_host(guest, &form_examples[n], compat);
    printf("\n");
    for (unsigned n = 0; n < form_example_count; n++)
        for (unsigned m = 0; m < ARRAY_SIZE(guest_modes); m++)
            for (unsigned others = 0; others < 32 && exists_in(&form_examples[n], &guest_modes[m]); others++)
                check_guest(guest, &form_examples[n], &guest_modes[m], others);
    check_all_rows_tried();
    guest_experiment_close(guest);
    return check_report();
}
