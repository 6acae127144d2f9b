#include "census.h"
#include "guest_experiment.h"

#include "cpu/insn.h"
#include "cpu/isa.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- the guests' settings --- */

/* The meaning: the results for the guest's kernel and programs on a machine of their own. */
static const struct guest_setting kernel = {.protected = true};
static const struct guest_setting kernel_elsewhere = {.protected = true, .elsewhere = true};
static const struct guest_setting kernel_other_mode = {.protected = true, .other_mode = true};
static const struct guest_setting user = {.protected = true, .cpl = 3};
static const struct guest_setting real_mode = {0};
static const struct guest_setting wide_kernel = {.protected = true, .code64 = true};
static const struct guest_setting wide_user = {.protected = true, .code64 = true, .cpl = 3};

/* The simulated CPUs, on which a monitor runs the same code at CPL 3 with tables and mode bits of its own. */
static const struct guest_setting simulated[CENSUS_CPUS] = {
    [CPU_PLAIN] = {.protected = true, .cpl = 3, .elsewhere = true, .other_mode = true},
    [CPU_UMIP] = {.protected = true, .cpl = 3, .elsewhere = true, .other_mode = true, .umip = true},
    [CPU_FAULTING] = {.protected = true,
                      .cpl = 3,
                      .elsewhere = true,
                      .other_mode = true,
                      .umip = true,
                      .cpuid_faults = true},
    [CPU_WIDE] = {.protected = true, .code64 = true, .cpl = 3, .elsewhere = true, .other_mode = true},
    [CPU_WIDE_UMIP] =
        {.protected = true, .code64 = true, .cpl = 3, .elsewhere = true, .other_mode = true, .umip = true},
    [CPU_WIDE_FAULTING] = {.protected = true,
                           .code64 = true,
                           .cpl = 3,
                           .elsewhere = true,
                           .other_mode = true,
                           .umip = true,
                           .cpuid_faults = true},
    [CPU_VM86] = {.protected = true, .vm86 = true, .cpl = 3, .elsewhere = true, .other_mode = true},
};

/* --- one example --- */

/* What a kernel at CPL 0 gets of a program at CPL 3: traps and entries alike. */
static struct outcome run_guest(struct guest_experiment *g, const struct form_example *e,
                                const struct guest_setting *setting)
{
    struct outcome o = guest_experiment_run(g, e, setting);
    if (o.entered) o = (struct outcome){.trapped = true, .vector = OUTCOME_ENTERED};
    return o;
}

struct trial {
    struct guest_experiment *guest;
    const struct form_example *example;
    struct outcome meaning, user_meaning;
};

static void observe(struct census_observation *o, const struct trial *t, const struct outcome *seen)
{
    u32 parts = 0;
    enum census_verdict verdict = VERDICT_TRAPS;
    if (seen->trapped) {
        o->some_trapped = true;
    } else {
        parts = outcome_difference(seen, &t->meaning);
        verdict = parts ? VERDICT_DIFFERS : VERDICT_SAME;
        o->user_differs |= !t->user_meaning.trapped && outcome_difference(seen, &t->user_meaning);
    }
    o->parts |= parts;
    if (verdict <= o->verdict) return;
    o->verdict = verdict;
    o->vector = seen->vector;
}

static bool has_selectors(const struct form_example *e)
{
    for (unsigned n = 0; n < ARRAY_SIZE(e->words); n++)
        if (e->words[n] == VALUE_CS || e->words[n] == VALUE_SS) return true;
    return e->eax == VALUE_CS || e->eax == VALUE_SS;
}

/* With the kernel's selectors, which the guest has in its code, and with the selectors of the segments in which the
 * monitor runs it. */
static void observe_host(struct census_entry *entry, const struct trial *t, bool code32)
{
    struct census_observation *o = &entry->on[code32 ? CPU_HOST_32 : CPU_HOST_64];
    struct host_trial host = {.code32 = code32};
    struct outcome seen = host_experiment_run(t->example, &host);
    observe(o, t, &seen);
    if (!has_selectors(t->example)) return;
    host.own_selectors = true;
    seen = host_experiment_run(t->example, &host);
    observe(o, t, &seen);
}

static void observe_simulated(struct census_entry *entry, const struct trial *t, enum census_cpu cpu)
{
    struct guest_setting setting = simulated[cpu];
    struct outcome seen = run_guest(t->guest, t->example, &setting);
    observe(&entry->on[cpu], t, &seen);
    if (!has_selectors(t->example) || setting.vm86) return;
    setting.kernel_selectors = true;
    seen = run_guest(t->guest, t->example, &setting);
    observe(&entry->on[cpu], t, &seen);
}

/* The instruction's meaning, and what the meaning depends on. A form that always traps in user mode is privileged,
 * and does not depend on the mode. A form that traps with some operands depends on it. */
static void find_sensitivity(struct census_entry *entry, const struct trial *t, bool wide)
{
    struct guest_setting user_with_kernel = wide ? wide_user : user;
    struct guest_setting elsewhere = kernel_elsewhere, other_mode = kernel_other_mode;
    elsewhere.code64 = other_mode.code64 = wide;
    user_with_kernel.kernel_selectors = true;
    struct outcome moved = run_guest(t->guest, t->example, &elsewhere);
    struct outcome other = run_guest(t->guest, t->example, &other_mode);
    struct outcome with_kernel = run_guest(t->guest, t->example, &user_with_kernel);
    entry->control |= t->meaning.control;
    entry->location |= outcome_difference(&t->meaning, &moved) != 0;
    entry->mode |= outcome_difference(&t->meaning, &other) != 0;
    if (!t->user_meaning.trapped)
        entry->mode |= outcome_difference(&t->meaning, &t->user_meaning) || with_kernel.trapped;
}

/* In 64-bit mode the bytes may be of another form, as 9Ch is PUSHFQ, or of none. */
static bool is_form_of_64(const struct form_example *e)
{
    struct insn i;
    u8 bytes[INSN_MAX_BYTES];
    if (e->traits & FORM_COMPAT) return false;
    form_decode(e, CODE_64, &i, bytes);
    return !strcmp(i.row->name, e->form);
}

static void try_example(struct census *c, struct census_entry *entry, struct guest_experiment *guest,
                        const struct form_example *e)
{
    struct trial t = {.guest = guest, .example = e};
    if (!(e->traits & FORM_LONG)) {
        t.meaning = run_guest(guest, e, &kernel);
        t.user_meaning = run_guest(guest, e, &user);
        find_sensitivity(entry, &t, false);
        if (c->has_32) observe_host(entry, &t, true);
        observe_simulated(entry, &t, CPU_PLAIN);
        observe_simulated(entry, &t, CPU_UMIP);
        observe_simulated(entry, &t, CPU_FAULTING);
        t.meaning = run_guest(guest, e, &real_mode);
        t.user_meaning = t.meaning;
        if (!t.meaning.trapped) observe_simulated(entry, &t, CPU_VM86);
    }
    if (!is_form_of_64(e)) return;
    t.meaning = run_guest(guest, e, &wide_kernel);
    t.user_meaning = run_guest(guest, e, &wide_user);
    if (e->traits & FORM_LONG) find_sensitivity(entry, &t, true);
    observe_host(entry, &t, false);
    observe_simulated(entry, &t, CPU_WIDE);
    observe_simulated(entry, &t, CPU_WIDE_UMIP);
    observe_simulated(entry, &t, CPU_WIDE_FAULTING);
}

/* --- classes --- */

static enum census_class classify(const struct census_entry *e, const struct census_observation *o)
{
    if (o->verdict == VERDICT_TRAPS) return CLASS_PRIVILEGED;
    if (e->control) return CLASS_CONTROL;
    return census_is_sensitive(e) || o->verdict == VERDICT_DIFFERS ? CLASS_BEHAVIOUR : CLASS_INNOCUOUS;
}

bool census_breaks_theorem_1(const struct census_entry *e, enum census_cpu cpu)
{
    const struct census_observation *o = &e->on[cpu];
    return o->verdict > VERDICT_TRAPS && o->class != CLASS_INNOCUOUS;
}

bool census_breaks_theorem_3(const struct census_entry *e, enum census_cpu cpu)
{
    const struct census_observation *o = &e->on[cpu];
    return o->verdict > VERDICT_TRAPS && o->user_differs;
}

enum census_class census_class_of(const struct census_entry *e, enum census_cpu reference)
{
    return e->on[e->traits & FORM_LONG ? CPU_WIDE : reference].class;
}

enum census_cpu census_reference(const struct census *c)
{
    if (c->has_32) return CPU_HOST_32;
    return c->host.umip ? CPU_UMIP : CPU_PLAIN;
}

/* --- all --- */

static struct census_entry *entry_of(struct census *c, const struct form_example *e)
{
    for (unsigned n = 0; n < c->count; n++)
        if (!strcmp(c->entry[n].form, e->form)) return &c->entry[n];
    struct census_entry *entry = &c->entry[c->count++];
    u8 bytes[INSN_MAX_BYTES];
    struct insn i;
    form_decode(e, e->traits & FORM_LONG ? CODE_64 : CODE_32, &i, bytes);
    *entry = (struct census_entry){.form = e->form, .row = i.row};
    return entry;
}

static bool cpuid_faults(void)
{
    for (unsigned n = 0; n < form_example_count; n++)
        if (!strcmp(form_examples[n].form, "CPUID"))
            return host_experiment_run(&form_examples[n], &(struct host_trial){.cpuid_faults = true}).trapped;
    return false;
}

bool census_take(struct census *c, char *error, size_t error_bytes)
{
    *c = (struct census){0};
    int failed = host_experiment_init();
    if (failed) {
        snprintf(error, error_bytes, "cannot map memory for the experiments: %s", strerror(-failed));
        return false;
    }
    struct guest_experiment *guest = guest_experiment_open();
    c->entry = calloc(form_example_count, sizeof(*c->entry));
    if (!guest || !c->entry) {
        snprintf(error, error_bytes, "out of memory");
        guest_experiment_close(guest);
        census_release(c);
        return false;
    }
    c->host = host_experiment_features();
    c->has_32 = host_experiment_has_32();
    for (unsigned n = 0; n < form_example_count; n++) {
        const struct form_example *e = &form_examples[n];
        if (e->traits & FORM_ABSENT) continue;
        struct census_entry *entry = entry_of(c, e);
        entry->traits |= e->traits;
        try_example(c, entry, guest, e);
    }
    for (unsigned n = 0; n < c->count; n++)
        for (unsigned cpu = 0; cpu < CENSUS_CPUS; cpu++)
            c->entry[n].on[cpu].class = classify(&c->entry[n], &c->entry[n].on[cpu]);
    c->cpuid_faulted = c->host.cpuid_faulting && cpuid_faults();
    guest_experiment_close(guest);
    return true;
}

void census_release(struct census *c)
{
    free(c->entry);
    c->entry = NULL;
}
