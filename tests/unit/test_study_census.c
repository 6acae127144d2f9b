/*
 * The census on this host and on simulated CPUs: what it must find wherever it runs, and that it agrees with the
 * instruction table.
 */
#include "check.h"
#include "cpu/isa.h"
#include "study/census.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct census_entry *entry(const struct census *c, const char *form)
{
    for (unsigned n = 0; n < c->count; n++)
        if (!strcmp(c->entry[n].form, form)) return &c->entry[n];
    printf("no form %s\n", form);
    exit(1);
}

static enum census_class class_on(const struct census *c, const char *form, enum census_cpu cpu)
{
    return entry(c, form)->on[cpu].class;
}

/* Robin & Irvine found these by reading the manual. The gates of the experiment have DPL 0, so INT n traps. */
static void test_the_literature(const struct census *c)
{
    for (unsigned n = 0; n < c->count; n++) {
        const struct census_entry *e = &c->entry[n];
        if (!(e->traits & FORM_ROBIN) || !strcmp(e->form, "INT n")) continue;
        if (!census_breaks_theorem_1(e, CPU_PLAIN)) printf("%s does not break theorem 1\n", e->form);
        CHECK(census_breaks_theorem_1(e, CPU_PLAIN));
    }
    CHECK_EQ(class_on(c, "POPFD", CPU_PLAIN), CLASS_CONTROL);
    CHECK_EQ(class_on(c, "SGDT", CPU_PLAIN), CLASS_BEHAVIOUR);
    CHECK_EQ(class_on(c, "LGDT", CPU_PLAIN), CLASS_PRIVILEGED);
    CHECK_EQ(class_on(c, "CLI", CPU_PLAIN), CLASS_PRIVILEGED);
}

static void test_the_control_group(const struct census *c)
{
    for (unsigned n = 0; n < c->count; n++)
        if (c->entry[n].traits & FORM_ORDINARY)
            for (unsigned cpu = 0; cpu < CENSUS_CPUS; cpu++) {
                const struct census_observation *o = &c->entry[n].on[cpu];
                CHECK(o->verdict == VERDICT_NOT_TRIED || o->class == CLASS_INNOCUOUS);
                CHECK(o->verdict == VERDICT_NOT_TRIED || o->verdict == VERDICT_SAME);
            }
}

/* UMIP makes five forms trap, and no other. */
static void test_umip(const struct census *c)
{
    static const char *const umip[] = {"SGDT", "SIDT", "SLDT", "STR", "SMSW"};
    unsigned changed = 0;
    for (unsigned n = 0; n < c->count; n++)
        changed += c->entry[n].on[CPU_PLAIN].verdict != c->entry[n].on[CPU_UMIP].verdict;
    CHECK_EQ(changed, ARRAY_SIZE(umip));
    for (unsigned n = 0; n < ARRAY_SIZE(umip); n++) {
        CHECK_EQ(class_on(c, umip[n], CPU_PLAIN), CLASS_BEHAVIOUR);
        CHECK_EQ(class_on(c, umip[n], CPU_UMIP), CLASS_PRIVILEGED);
    }
}

/* CPUID faulting makes CPUID trap, and nothing else. */
static void test_cpuid_faulting(const struct census *c, enum census_cpu without, enum census_cpu with)
{
    for (unsigned n = 0; n < c->count; n++) {
        const struct census_entry *e = &c->entry[n];
        CHECK_EQ(e->on[without].verdict != e->on[with].verdict, !strcmp(e->form, "CPUID"));
    }
    CHECK(census_breaks_theorem_1(entry(c, "CPUID"), without));
    CHECK_EQ(class_on(c, "CPUID", with), CLASS_PRIVILEGED);
    CHECK_EQ(entry(c, "CPUID")->on[with].vector, 13);
}

/* 64-bit mode: the forms that left, those that came, and UMIP. */
static void test_wide(const struct census *c)
{
    static const char *const gone[] = {"POP SS", "LDS", "LES", "INTO", "ARPL", "PUSHFD"};
    static const char *const umip[] = {"SGDT", "SIDT", "SLDT", "STR", "SMSW"};
    for (unsigned n = 0; n < ARRAY_SIZE(gone); n++) {
        CHECK_EQ(entry(c, gone[n])->on[CPU_WIDE].verdict, VERDICT_NOT_TRIED);
        CHECK_EQ(entry(c, gone[n])->on[CPU_HOST_64].verdict, VERDICT_NOT_TRIED);
    }
    for (unsigned n = 0; n < c->count; n++)
        if (c->entry[n].traits & FORM_LONG) CHECK_EQ(c->entry[n].on[CPU_PLAIN].verdict, VERDICT_NOT_TRIED);
    CHECK_EQ(class_on(c, "SWAPGS", CPU_WIDE), CLASS_PRIVILEGED);
    CHECK_EQ(class_on(c, "SYSRET", CPU_WIDE), CLASS_PRIVILEGED);
    CHECK_EQ(entry(c, "SYSCALL")->on[CPU_WIDE].vector, OUTCOME_ENTERED);
    CHECK_EQ(class_on(c, "IRETQ", CPU_WIDE), CLASS_CONTROL);
    CHECK_EQ(class_on(c, "POPFQ", CPU_WIDE), CLASS_CONTROL);
    unsigned changed = 0;
    for (unsigned n = 0; n < c->count; n++)
        changed += c->entry[n].on[CPU_WIDE].verdict != c->entry[n].on[CPU_WIDE_UMIP].verdict;
    CHECK_EQ(changed, ARRAY_SIZE(umip));
    for (unsigned n = 0; n < ARRAY_SIZE(umip); n++) {
        CHECK_EQ(class_on(c, umip[n], CPU_WIDE), CLASS_BEHAVIOUR);
        CHECK_EQ(class_on(c, umip[n], CPU_WIDE_UMIP), CLASS_PRIVILEGED);
    }
}

/* A form that is observed to be sensitive is sensitive in the table. The reverse need not show in one example. */
static void test_the_table(const struct census *c)
{
    for (unsigned n = 0; n < c->count; n++) {
        const struct census_entry *e = &c->entry[n];
        u8 seen = (u8)((e->control ? SENSITIVE_CONTROL : 0) | (e->location ? SENSITIVE_LOCATION : 0) |
                       (e->mode ? SENSITIVE_MODE : 0));
        bool trapped = e->on[e->traits & FORM_LONG ? CPU_WIDE : CPU_PLAIN].verdict == VERDICT_TRAPS;
        if (!trapped && seen & ~e->row->sensitivity)
            printf("%s: observed %x, the table has %x\n", e->form, seen, e->row->sensitivity);
        CHECK(trapped || !(seen & ~e->row->sensitivity));
        /* The bases of FS and GS move with the guest's own segments, so no other table shows in them. */
        bool base = strstr(e->form, "SBASE");
        CHECK(base || (seen != 0 || trapped) == (e->row->sensitivity != 0 || trapped));
    }
}

/* Where 64-bit mode of the host has the form, it shows the same as the simulated CPU. */
static void test_the_host(const struct census *c)
{
    CHECK(census_breaks_theorem_1(entry(c, "POPFQ"), CPU_HOST_64));
    CHECK(census_breaks_theorem_1(entry(c, "PUSHFQ"), CPU_HOST_64));
    CHECK_EQ(class_on(c, "HLT", CPU_HOST_64), CLASS_PRIVILEGED);
    /* What a program may do at all is the same on every CPU with 64-bit mode. */
    static const char *const same[] = {"CLI",   "SWAPGS", "SYSRET",  "LGDT", "PUSHFD",
                                       "POPFD", "IRETQ",  "SYSCALL", "LAR",  "PUSH Sreg"};
    for (unsigned n = 0; n < ARRAY_SIZE(same); n++) {
        if (class_on(c, same[n], CPU_HOST_64) != class_on(c, same[n], CPU_WIDE)) printf("%s\n", same[n]);
        CHECK_EQ(class_on(c, same[n], CPU_HOST_64), class_on(c, same[n], CPU_WIDE));
    }
    CHECK_EQ(class_on(c, "ADD", CPU_HOST_64), CLASS_INNOCUOUS);
}

static char *printed(const struct census *c, void (*print)(const struct census *c, FILE *out))
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    print(c, out);
    fclose(out);
    return text;
}

static void test_reports(const struct census *c)
{
    char *text = printed(c, census_print_text), *html = printed(c, census_print_html),
         *json = printed(c, census_print_json);
    CHECK(strstr(text, "\nPOPFD "));
    CHECK(strstr(html, "<td>POPFD</td>") && strstr(html, "</html>"));
    json_object *j = json_tokener_parse(json), *forms;
    CHECK(j && json_object_object_get_ex(j, "forms", &forms));
    CHECK_EQ(json_object_array_length(forms), c->count);
    json_object_put(j);
    free(text);
    free(html);
    free(json);
}

int main(void)
{
    struct census c;
    char error[256];
    if (!census_take(&c, error, sizeof(error))) {
        fprintf(stderr, "%s\n", error);
        return 3;
    }
    test_the_literature(&c);
    test_the_control_group(&c);
    test_umip(&c);
    test_wide(&c);
    test_cpuid_faulting(&c, CPU_UMIP, CPU_FAULTING);
    test_cpuid_faulting(&c, CPU_WIDE_UMIP, CPU_WIDE_FAULTING);
    test_the_table(&c);
    test_the_host(&c);
    test_reports(&c);
    census_release(&c);
    return check_report();
}
