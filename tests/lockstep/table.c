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
#include "forms.h"
#include "native.h"

#include "cpu/isa.h"
#include "cpu_fixture.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_AT (SCRATCH_AT + 0x2000)

/* What can be seen of an instruction: registers, [ESI], what it pushed, flags, and whether IF changed. */
struct seen {
    bool trapped, done;
    u32 vector;
    u32 eax, ecx, edx, ebx, memory, pushed;
    bool if_changed, zero, carry;
};

enum verdict { VERDICT_SAME, VERDICT_DIFFERS, VERDICT_TRAPS, VERDICT_UNTRIED };

static void see_flags(struct seen *seen, u32 before, u32 after)
{
    seen->if_changed = (before ^ after) & FL_IF;
    seen->zero = after & FL_ZF;
    seen->carry = after & FL_CF;
}

/* --- operands --- */

struct context {
    u32 cs, ss, next, flags;
    unsigned bytes; /* of a word */
    u8 *memory, *stack;
};

static u32 value_of(const struct context *c, u32 value)
{
    switch (value) {
    case VALUE_CS: return c->cs;
    case VALUE_SS: return c->ss;
    case VALUE_NEXT: return c->next;
    case VALUE_FLAGS: return c->flags;
    default: return value;
    }
}

static void put_words(const struct form_example *e, const struct context *c)
{
    for (unsigned n = 0; n < 3; n++) {
        u32 value = value_of(c, e->words[n]);
        memcpy(c->memory + n * c->bytes, &value, c->bytes);
        memcpy(c->stack + n * c->bytes, &value, c->bytes);
    }
}

static void decode_example(const struct form_example *e, struct insn *i, u8 *bytes, bool code32)
{
    unsigned n = 0;
    memset(bytes, 0, INSN_MAX_BYTES);
    if (!code32 && (e->traits & FORM_MEMORY)) bytes[n++] = 0x67;
    memcpy(bytes + n, e->bytes, e->length);
    insn_decode(i, bytes, INSN_MAX_BYTES, code32);
}

/* --- the guest --- */

struct guest_mode {
    const char *name;
    bool protected, vm86;
    u8 cpl, iopl;
};

static const struct guest_mode guest_modes[] = {
    {"real mode", false, false, 0, 0},          {"CPL 0, IOPL 0", true, false, 0, 0},
    {"CPL 0, IOPL 3", true, false, 0, 3},       {"CPL 3, IOPL 0", true, false, 3, 0},
    {"CPL 3, IOPL 3", true, false, 3, 3},       {"virtual-8086, IOPL 0", true, true, 3, 0},
    {"virtual-8086, IOPL 3", true, true, 3, 3},
};

enum { LOW_MEMORY = 0xa000, LOW_STACK = 0xf000, LOW_CODE = 0x7000, VECTOR_OF_INT_N = 0x20 };

static void set_16_bit(struct cpu_fixture *f, const struct guest_mode *m)
{
    struct vcpu *v = f->v;
    if (m->vm86)
        v->eflags |= FL_VM;
    else
        v->paging.cr0 &= ~(u32)CR0_PE;
    for (enum seg seg = 0; seg < SEG_COUNT; seg++)
        segment_set_real(v, seg, 0);
    if (!m->vm86) v->idtr = (struct desc_table){0, 0x3ff};
    shadow_load_root(v->shadow, &v->paging);
}

static void set_guest(struct cpu_fixture *f, const struct guest_mode *m, u8 gate_dpl)
{
    struct vcpu *v = f->v;
    static const u8 vectors[] = {VEC_DB, VEC_BP, VEC_OF, VECTOR_OF_INT_N};
    fixture_protected(f, m->cpl);
    put_descriptor(f, AT_GDT, TASK2, AT_TASK2, 0x67, 0x89);
    for (unsigned n = 0; n < sizeof(vectors); n++)
        put_vector(f, vectors[n], CODE0, AT_HANDLER, 0x8e | gate_dpl << 5);
    v->eflags = FL_ONE | (u32)m->iopl << FL_IOPL_SHIFT;
    v->sysenter_cs = CODE0;
    v->sysenter_eip = AT_HANDLER;
    v->sysenter_esp = AT_STACK0;
    if (!m->protected || m->vm86) set_16_bit(f, m);
    vcpu_update_mode(v);
}

static __attribute__((noinline)) u8 execute(struct vcpu *v, const struct insn *i)
{
    if (FAULT_CATCH(v)) return v->fault.vector;
    v->insn_start = (u32)v->rip;
    v->rip = (u32)(v->rip + i->length);
    i->row->execute(v, i);
    return ISA_NO_TRAP;
}

static u8 run_guest(struct cpu_fixture *f, const struct form_example *e, const struct guest_mode *m,
                    struct seen *seen)
{
    struct vcpu *v = f->v;
    bool code32 = m->protected && !m->vm86;
    u32 memory = code32 ? SCRATCH_AT : LOW_MEMORY, stack = code32 ? STACK_AT : LOW_STACK;
    u8 bytes[INSN_MAX_BYTES];
    struct insn i;
    decode_example(e, &i, bytes, code32);
    struct context c = {
        .cs = v->seg[SEG_CS].selector,
        .ss = v->seg[SEG_SS].selector,
        .next = LOW_CODE,
        .flags = v->eflags ^ FL_IF,
        .bytes = i.operand_bytes == 4 ? 4 : 2,
        .memory = f->phys.ram + memory,
        .stack = f->phys.ram + stack,
    };
    put_words(e, &c);
    v->rip = LOW_CODE;
    v->gpr[REG_EAX] = value_of(&c, e->eax);
    v->gpr[REG_ECX] = e->ecx;
    v->gpr[REG_EDX] = v->gpr[REG_EBX] = 0;
    v->gpr[REG_ESI] = v->gpr[REG_EDI] = memory;
    v->gpr[REG_ESP] = stack;
    if (e->traits & FORM_OVERFLOW) v->eflags |= FL_OF;
    u32 flags = v->eflags;
    u8 vector = execute(v, &i);
    fpu_park(v);
    *seen = (struct seen){.done = true, .trapped = vector != ISA_NO_TRAP, .vector = vector};
    seen->eax = (u32)v->gpr[REG_EAX];
    seen->ecx = (u32)v->gpr[REG_ECX];
    seen->edx = (u32)v->gpr[REG_EDX];
    seen->ebx = (u32)v->gpr[REG_EBX];
    memcpy(&seen->memory, c.memory, 4);
    if (v->gpr[REG_ESP] < stack && stack - v->gpr[REG_ESP] <= 8)
        memcpy(&seen->pushed, f->phys.ram + v->gpr[REG_ESP], c.bytes);
    see_flags(seen, flags, v->eflags);
    return vector;
}

/* --- the host, in 32-bit code or in 64-bit mode --- */

struct host_frame {
    u64 rax, rcx, rdx, rbx, rsi, rsp, flags, code, own_rsp;
} host_frame __attribute__((used));
void host_enter(void);
extern const u8 host_resume[];

__asm__("    .text\n"
        "    .globl host_enter, host_resume\n"
        "host_enter:\n"
        "    push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "    mov %rsp, host_frame+64(%rip)\n"
        "    pushq host_frame+48(%rip)\n"
        "    popfq\n"
        "    mov host_frame(%rip), %rax\n"
        "    mov host_frame+8(%rip), %rcx\n"
        "    mov host_frame+16(%rip), %rdx\n"
        "    mov host_frame+24(%rip), %rbx\n"
        "    mov host_frame+32(%rip), %rsi\n"
        "    mov %rsi, %rdi\n"
        "    mov host_frame+40(%rip), %rsp\n"
        "    jmp *host_frame+56(%rip)\n"
        "host_resume:\n"
        "    mov %rax, host_frame(%rip)\n"
        "    mov %rcx, host_frame+8(%rip)\n"
        "    mov %rdx, host_frame+16(%rip)\n"
        "    mov %rbx, host_frame+24(%rip)\n"
        "    mov %rsp, host_frame+40(%rip)\n"
        "    mov host_frame+64(%rip), %rsp\n"
        "    pushfq\n"
        "    popq host_frame+48(%rip)\n"
        "    cld\n"
        "    pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
        "    ret\n");

static struct seen *shared; /* with the child */

static void trapped(int signal, siginfo_t *info, void *context)
{
    shared->trapped = shared->done = true;
    shared->vector = (u32)((ucontext_t *)context)->uc_mcontext.gregs[REG_TRAPNO];
    _exit(0);
}

static void run_64(const struct form_example *e)
{
    static const int signals[] = {SIGSEGV, SIGILL, SIGTRAP, SIGBUS, SIGFPE};
    struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    for (unsigned n = 0; n < sizeof(signals) / sizeof(signals[0]); n++)
        sigaction(signals[n], &action, NULL);
    u8 *code = (u8 *)(uintptr_t)CODE_AT;
    u64 back = (u64)(uintptr_t)host_resume;
    memcpy(code, e->bytes, e->length);
    memcpy(code + e->length, "\xff\x25\0\0\0\0", 6); /* jmp [rip] */
    memcpy(code + e->length + 6, &back, 8);
    host_frame.code = CODE_AT;
    u64 flags = host_frame.flags;
    host_enter();
    shared->eax = (u32)host_frame.rax;
    shared->ecx = (u32)host_frame.rcx;
    shared->edx = (u32)host_frame.rdx;
    shared->ebx = (u32)host_frame.rbx;
    see_flags(shared, (u32)flags, (u32)host_frame.flags);
    if (host_frame.rsp < STACK_AT) memcpy(&shared->pushed, (void *)(uintptr_t)host_frame.rsp, 4);
}

static void run_32(const struct form_example *e, const struct state *in)
{
    struct state out;
    native_run(e->bytes, e->length, in, &out);
    shared->trapped = out.vector != VECTOR_END;
    shared->vector = out.vector;
    shared->eax = out.gpr[0];
    shared->ecx = out.gpr[1];
    shared->edx = out.gpr[2];
    shared->ebx = out.gpr[3];
    see_flags(shared, in->eflags, out.eflags);
    if (out.gpr[4] < STACK_AT) memcpy(&shared->pushed, (void *)(uintptr_t)out.gpr[4], 4);
}

static void in_child(const struct form_example *e, bool code32)
{
    struct context c = {.cs = CODE0,
                        .ss = DATA0,
                        .next = CODE_AT + e->length,
                        .flags = 2,
                        .bytes = 4,
                        .memory = native_scratch(),
                        .stack = (u8 *)(uintptr_t)STACK_AT};
    u32 flags = FL_ONE | FL_IF | (e->traits & FORM_OVERFLOW ? FL_OF : 0), eax = value_of(&c, e->eax);
    alarm(5); /* a form that leads elsewhere */
    memset(native_scratch(), 0, SCRATCH_BYTES);
    put_words(e, &c);
    if (code32) {
        struct state in = {.eip = CODE_AT, .eflags = flags};
        in.gpr[0] = eax;
        in.gpr[1] = e->ecx;
        in.gpr[4] = STACK_AT;
        in.gpr[6] = in.gpr[7] = SCRATCH_AT;
        memcpy(in.fx, "\x7f\x03", 2);
        memcpy(in.fx + 24, "\x80\x1f", 2);
        run_32(e, &in);
    } else {
        host_frame = (struct host_frame){
            .rax = eax, .rcx = e->ecx, .rsi = SCRATCH_AT, .rsp = STACK_AT, .flags = flags};
        run_64(e);
    }
    memcpy(&shared->memory, native_scratch(), 4);
    shared->done = true;
    _exit(0);
}

static struct seen run_host(const struct form_example *e, bool code32)
{
    *shared = (struct seen){0};
    fflush(stdout);
    pid_t child = fork();
    if (!child) in_child(e, code32);
    int status;
    waitpid(child, &status, 0);
    /* It did not come back from where the instruction led. */
    if (!shared->done) *shared = (struct seen){.trapped = true, .done = true, .vector = ISA_NO_TRAP};
    return *shared;
}

static enum verdict compare(const struct seen *host, const struct seen *guest)
{
    if (host->trapped) return VERDICT_TRAPS;
    bool same = !guest->trapped && host->eax == guest->eax && host->ecx == guest->ecx &&
                host->edx == guest->edx && host->ebx == guest->ebx && host->memory == guest->memory &&
                host->pushed == guest->pushed && host->if_changed == guest->if_changed &&
                host->zero == guest->zero && host->carry == guest->carry;
    return same ? VERDICT_SAME : VERDICT_DIFFERS;
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

static void check_host(struct cpu_fixture *f, const struct form_example *e, bool compat)
{
    static const char *const names[] = {"same", "differs in silence", "traps", "(not in 64-bit mode)"};
    struct seen guest, host;
    struct insn i;
    u8 bytes[INSN_MAX_BYTES];
    decode_example(e, &i, bytes, true);
    const struct isa_row *row = i.row;
    if (strcmp(row->name, e->form)) printf("%s is decoded as %s\n", e->form, row->name);
    CHECK(!strcmp(row->name, e->form));
    enum verdict verdict = VERDICT_UNTRIED;
    if (compat || !(e->traits & FORM_COMPAT)) {
        set_guest(f, &guest_modes[1], 3);
        run_guest(f, e, &guest_modes[1], &guest);
        host = run_host(e, compat);
        verdict = compare(&host, &guest);
        CHECK(may_be(row, verdict));
    }
    char how[64];
    snprintf(how, sizeof(how),
             verdict == VERDICT_TRAPS && host.vector != ISA_NO_TRAP ? "%s (vector %u)" : "%s", names[verdict],
             verdict == VERDICT_TRAPS ? host.vector : 0);
    printf("%-17s %-23s %-18s %-21s %-21s %s\n", row->name, isa_privilege_name(row), sensitivity(row), how,
           isa_treatment_name(row), row->manual ? row->manual : "");
}

/* One form in one mode, with what else decides. */
static void check_guest(struct cpu_fixture *f, const struct form_example *e, const struct guest_mode *m,
                        unsigned others)
{
    struct isa_mode mode = {.protected = m->protected,
                            .vm86 = m->vm86,
                            .cpl = m->cpl,
                            .iopl = m->iopl,
                            .gate_dpl = others & 1 ? 3 : 0,
                            .tsd = others & 2,
                            .pce = others & 4,
                            .umip = others & 8,
                            .port_allowed = others & 16};
    struct seen seen;
    struct insn i;
    u8 bytes[INSN_MAX_BYTES];
    bool code32 = m->protected && !m->vm86;
    decode_example(e, &i, bytes, code32);
    set_guest(f, m, mode.gate_dpl);
    f->v->tr.limit = mode.port_allowed ? 0x2067 : 0x67; /* with an I/O bitmap, of zeros, or without */
    if (mode.tsd) f->v->paging.cr4 |= CR4_TSD;
    if (mode.umip) f->v->paging.cr4 |= CR4_UMIP;
    if (mode.pce) f->v->paging.cr4 |= CR4_PCE;
    vcpu_update_mode(f->v);
    u8 expected = isa_trap(i.row, &mode), vector = run_guest(f, e, m, &seen);
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
        bool tried = false;
        for (unsigned k = 0; k < ARRAY_SIZE(form_examples); k++)
            tried |= !strcmp(form_examples[k].form, row->name);
        if (!tried) printf("no example of %s\n", row->name);
        CHECK(tried);
        CHECK(row->manual && isa_row_number(row) == n);
    }
}

static bool host_has_umip(void)
{
    u32 a = 7, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c & F7C_UMIP;
}

int main(void)
{
    static struct cpu_fixture f;
    shared = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || native_init()) {
        fprintf(stderr, "cannot set up\n");
        return 3;
    }
    fixture_init(&f);
    f.tsc = 0x1234567;
    bool compat = native_works();
    printf("host: %s; UMIP %s\n\n", compat ? "32-bit code" : "executes no 32-bit code, 64-bit mode instead",
           host_has_umip() ? "is there" : "is not there");
    printf("%-17s %-23s %-18s %-21s %-21s %s\n", "form", "privileged by", "sensitive", "on the host, CPL 3",
           "treatment", "manual");
    for (unsigned n = 0; n < ARRAY_SIZE(form_examples); n++)
        check_host(&f, &form_examples[n], compat);
    printf("\n");
    for (unsigned n = 0; n < ARRAY_SIZE(form_examples); n++)
        for (unsigned m = 0; m < ARRAY_SIZE(guest_modes); m++)
            for (unsigned others = 0; others < 32; others++)
                check_guest(&f, &form_examples[n], &guest_modes[m], others);
    check_all_rows_tried();
    fixture_destroy(&f);
    return check_report();
}
