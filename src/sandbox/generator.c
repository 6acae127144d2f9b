/*
 * Not part of ringer: the build runs this. The arguments are the two headers to be written, for filter.c and for
 * refusal.c, and a file for intermediate results.
 *
 * A program that threads have in common comes first: deadly calls trap, and all else passes. Then a program for each
 * role: calls of its rows pass, and all others trap, so that refusal.c says which it was.
 */
#include "base/types.h"
#include "rules.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Above every number of a system call. */
#define CALLS 512

static _Noreturn void fail(const char *what, int error)
{
    fprintf(stderr, "generator: %s: %s\n", what, strerror(error));
    exit(1);
}

static int number_of(const char *name)
{
    int number = seccomp_syscall_resolve_name(name);
    if (number < 0) fail(name, ENOSYS);
    return number;
}

static scmp_filter_ctx begin(u32 otherwise)
{
    scmp_filter_ctx filter = seccomp_init(otherwise);
    if (!filter) fail("seccomp_init()", ENOMEM);
    return filter;
}

static void add(scmp_filter_ctx filter, u32 action, const char *name)
{
    int failed = seccomp_rule_add(filter, action, number_of(name), 0);
    if (failed) fail(name, -failed);
}

static void allow(scmp_filter_ctx filter, const struct rule *rule)
{
    struct scmp_arg_cmp compare[RULE_CONDITIONS];
    for (unsigned n = 0; n < rule->conditions; n++)
        compare[n] = SCMP_CMP(rule->condition[n].argument, SCMP_CMP_MASKED_EQ, rule->condition[n].mask,
                              rule->condition[n].value);
    int failed =
        seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number_of(rule->name), rule->conditions, compare);
    if (failed) fail(rule->name, -failed);
}

/* Does a row allow the call, or does one without conditions? */
static bool is_allowed(const char *name, unsigned role, bool always)
{
    for (const struct rule *rule = rules_allowed; rule->name; rule++)
        if (!strcmp(rule->name, name) && rule->roles >> role & 1 && !(always && rule->conditions))
            return true;
    return false;
}

static void refuse(scmp_filter_ctx filter, const struct rule_refusal *refusal, unsigned role)
{
    bool judged = is_allowed(refusal->name, role, false);
    if (!(refusal->roles >> role & 1) || is_allowed(refusal->name, role, true)) return;
    if (judged && !refusal->conditions) return; /* refusal.c does it */
    const struct rule_condition *c = &refusal->condition;
    struct scmp_arg_cmp compare = SCMP_CMP(c->argument, SCMP_CMP_MASKED_EQ, c->mask, c->value);
    int failed = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(refusal->error), number_of(refusal->name),
                                        judged, &compare);
    if (failed) fail(refusal->name, -failed);
}

static void write_program(FILE *out, const char *scratch, const char *name, scmp_filter_ctx filter)
{
    struct sock_filter op;
    FILE *program = fopen(scratch, "w+");
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree of comparisons, not a list */
    int failed = program ? seccomp_export_bpf(filter, fileno(program)) : -errno;
    if (failed) fail(name, -failed);
    fseek(program, 0, SEEK_SET);
    fprintf(out, "static const struct sock_filter %s[] = {\n", name);
    while (fread(&op, sizeof(op), 1, program) == 1)
        fprintf(out, "    {0x%x, %u, %u, 0x%x},\n", op.code, op.jt, op.jf, op.k);
    fprintf(out, "};\n");
    fclose(program);
    seccomp_release(filter);
}

static void write_common(FILE *out, const char *scratch, const char *name, bool programs)
{
    scmp_filter_ctx filter = begin(SCMP_ACT_ALLOW);
    for (const char *const *deadly = rules_deadly; *deadly; deadly++)
        add(filter, SCMP_ACT_TRAP, *deadly);
    for (const char *const *denied = rules_programs; *denied && !programs; denied++)
        add(filter, SCMP_ACT_ERRNO(EPERM), *denied); /* for threads of libraries; a role's filter traps */
    write_program(out, scratch, name, filter);
}

/* --- for refusal.c --- */

static void write_tables(FILE *out)
{
    fprintf(out, "static const char *const call_names[] = {\n");
    for (int number = 0; number < CALLS; number++) {
        char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, number);
        if (name) fprintf(out, "    [%d] = \"%s\",\n", number, name);
        free(name);
    }
    fprintf(out, "};\nstatic const struct refused refused[] = {\n");
    for (const struct rule_refusal *refusal = rules_refused; refusal->name; refusal++)
        fprintf(out, "    {%d, 0x%x, %d},\n", number_of(refusal->name), refusal->roles, refusal->error);
    fprintf(out, "};\nstatic const short deadly[] = {");
    for (const char *const *name = rules_deadly; *name; name++)
        fprintf(out, "%d, ", number_of(*name));
    for (const char *const *name = rules_programs; *name; name++)
        fprintf(out, "%d, ", number_of(*name));
    fprintf(out, "};\n");
}

int main(int argc, char **argv)
{
    static const char *const names[] = {
        [ROLE_VCPU] = "vcpu",       [ROLE_WAKER] = "waker",           [ROLE_DISK] = "disk",
        [ROLE_NETWORK] = "network", [ROLE_CHARACTERS] = "characters", [ROLE_FOLDER] = "folder",
        [ROLE_VNC] = "vnc",         [ROLE_WINDOW] = "window"};
    static_assert(ARRAY_SIZE(names) == ROLE_COUNT, "each role has a name");
    FILE *out = argc == 4 ? fopen(argv[1], "w") : NULL, *tables = out ? fopen(argv[2], "w") : NULL;
    if (!tables) fail("no output", errno);
    fprintf(out, "/* Written by src/sandbox/generator.c. */\n");
    fprintf(tables, "/* Written by src/sandbox/generator.c. */\n");
    write_common(out, argv[3], "program_common", false);
    write_common(out, argv[3], "program_common_exec", true);
    for (unsigned role = 0; role < ROLE_COUNT; role++) {
        char name[64];
        scmp_filter_ctx filter = begin(SCMP_ACT_TRAP);
        snprintf(name, sizeof(name), "program_%s", names[role]);
        for (const struct rule *rule = rules_allowed; rule->name; rule++)
            if (rule->roles >> role & 1 && (!rule->conditions || !is_allowed(rule->name, role, true)))
                allow(filter, rule);
        for (const struct rule_refusal *refusal = rules_refused; refusal->name; refusal++)
            refuse(filter, refusal, role);
        write_program(out, argv[3], name, filter);
    }
    write_tables(tables);
    return fclose(out) || fclose(tables) ? 1 : 0;
}
