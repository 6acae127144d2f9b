/*
 * x87, MMX and SSE instructions, executed on the host: each becomes a function of the instruction itself and
 * RET, with its memory operand at [r9] (a bounce buffer) and ESP in r8. Functions are found again by their
 * bytes, which are few enough to be the key.
 *
 * The arena is mapped twice, for writing and for executing. No host signal can come of a thunk: #MF was
 * looked for before, SIMD exceptions are masked while it runs and raised afterwards, and memory is the
 * buffer.
 */
#include "base/hash.h"
#include "exec.h"
#include "host_alu.h"
#include "interp_private.h"
#include "isa.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THUNK_SLOTS 4096u
#define THUNK_BYTES 16u
#define ARENA_BYTES (THUNK_SLOTS * THUNK_BYTES)

struct thunks {
    u8 *write;
    const u8 *exec;
    _Alignas(64) u8 bounce[64];
};

/* As thunk_call.S knows it. */
struct thunk_frame {
    u64 gpr[8];
    u64 flags; /* packed, see host_alu.h */
    void *memory;
    const void *code;
};
_Static_assert(offsetof(struct thunk_frame, flags) == 64, "thunk_call.S");
_Static_assert(offsetof(struct thunk_frame, memory) == 72, "thunk_call.S");
_Static_assert(offsetof(struct thunk_frame, code) == 80, "thunk_call.S");

void thunk_call(struct thunk_frame *frame);

int thunks_init(struct vcpu *v)
{
    struct thunks *t = aligned_alloc(64, sizeof *t);
    if (!t) return -ENOMEM;
    int error = 0, fd = memfd_create("ringer-thunks", MFD_CLOEXEC);
    void *write = MAP_FAILED, *exec = MAP_FAILED;
    if (fd < 0 || ftruncate(fd, ARENA_BYTES) < 0 ||
        (write = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) == MAP_FAILED ||
        (exec = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0)) == MAP_FAILED)
        error = -errno;
    if (fd >= 0) close(fd);
    t->write = write;
    t->exec = exec;
    v->thunks = t;
    if (error) thunks_destroy(v);
    return error;
}

void thunks_destroy(struct vcpu *v)
{
    struct thunks *t = v->thunks;
    if (!t) return;
    if (t->write != MAP_FAILED) munmap(t->write, ARENA_BYTES);
    if (t->exec != MAP_FAILED) munmap((void *)(uintptr_t)t->exec, ARENA_BYTES);
    free(t);
    v->thunks = NULL;
}

/* --- making them --- */

static const struct operand *memory_operand(const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (i->op[n].kind == OPND_MEM) return &i->op[n];
    return NULL;
}

static bool esp_in(const struct insn *i, enum operand_field field)
{
    for (unsigned n = 0; n < i->operand_count; n++) {
        const struct operand *o = &i->op[n];
        if (o->kind == OPND_REG && o->reg_class <= RC_GPR32 && o->field == field && o->reg == REG_ESP)
            return true;
    }
    return false;
}

/* Bytes from the lowest on. A mandatory prefix, REX, 0F 38, opcode, ModRM, an immediate and RET are eight:
 * one u64. */
struct code {
    u64 bytes;
    unsigned length;
};

static void put(struct code *c, u8 byte)
{
    c->bytes |= (u64)byte << (8 * c->length++);
}

static u64 thunk_code(const struct insn *i, bool memory)
{
    enum { REX = 0x40, REX_R = 4, REX_B = 1, R8 = 0, R9 = 1 };
    struct code c = {0, 0};
    u8 rex = 0, modrm = i->modrm;
    if (esp_in(i, FIELD_MODRM_REG)) {
        rex |= REX_R;
        modrm = (modrm & ~0x38) | R8 << 3;
    }
    if (memory) {
        rex |= REX_B;
        modrm = (modrm & 0x38) | R9;
    } else if (esp_in(i, FIELD_MODRM_RM)) {
        rex |= REX_B;
        modrm = (modrm & ~7) | R8;
    }
    if (i->mandatory) put(&c, i->mandatory);
    if (rex) put(&c, REX | rex);
    if (i->map >= 1) put(&c, 0x0f);
    if (i->map == 2) put(&c, 0x38);
    if (i->map == 3) put(&c, 0x3a);
    put(&c, i->opcode);
    if (i->has_modrm) put(&c, modrm);
    if (i->imm_bytes) put(&c, i->bytes[i->imm_offset]);
    put(&c, 0xc3); /* RET */
    return c.bytes;
}

/* Code that may have been executed was replaced through another address: serialize (SDM 3A 8.1.3). */
static void serialize(void)
{
    u32 eax = 0, ecx = 0;
    __asm__ volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "ebx", "edx", "memory");
}

static const void *find_thunk(struct thunks *t, u64 code)
{
    u64 slot = (hash_multiply(code) >> 40) % THUNK_SLOTS * THUNK_BYTES;
    u64 *write = (u64 *)(t->write + slot);
    if (unlikely(*write != code)) {
        bool replaces = *write;
        *write = code;
        if (replaces) serialize();
    }
    return t->exec + slot;
}

/* --- running them --- */

static void frame_prepare(struct thunk_frame *f, const struct vcpu *v, const struct insn *i, bool memory)
{
    struct thunks *t = v->thunks;
    for (unsigned n = 0; n < ARRAY_SIZE(f->gpr); n++)
        f->gpr[n] = v->gpr[n];
    f->flags = flags_pack(v->eflags);
    f->memory = t->bounce;
    f->code = find_thunk(t, thunk_code(i, memory));
}

static void frame_commit(const struct thunk_frame *f, struct vcpu *v)
{
    for (unsigned n = 0; n < ARRAY_SIZE(f->gpr); n++)
        v->gpr[n] = (u32)f->gpr[n];
    flags_unpack(v, f->flags);
}

enum mxcsr_bits {
    MXCSR_FLAGS = 0x3f,
    MXCSR_BEFORE = 0x07, /* invalid, denormal, divide by zero: found before the result is computed */
    MXCSR_UE = 0x10,
    MXCSR_MASKS = 0x1f80,
    MXCSR_UM = 0x800,
    MXCSR_FTZ = 0x8000,
    MXCSR_MASK_SHIFT = 7,
};

/* Run from the state before with all exceptions masked; the flags it raises. */
static u32 run_masked(struct vcpu *v, struct thunk_frame *f, u32 mxcsr)
{
    fpu_set_mxcsr(v, (mxcsr & ~(u32)MXCSR_FLAGS) | MXCSR_MASKS);
    fpu_load(v);
    thunk_call(f);
    return fpu_mxcsr(v) & MXCSR_FLAGS;
}

/* Underflow is a tiny result where it is unmasked, but a tiny and inexact one where it is masked (SDM
 * 1 4.9.1.5). Flushing to zero tells of every tiny result. */
static bool is_tiny(struct vcpu *v, const struct thunk_frame *f, u32 mxcsr)
{
    struct thunk_frame again = *f;
    u32 raised = run_masked(v, &again, mxcsr | MXCSR_FTZ);
    fpu_discard(v);
    return raised & MXCSR_UE;
}

/* Some SIMD exception is unmasked: run with all masked, then see. If one would have been raised the state
 * before is still in v->fpu. Exceptions found before computing keep those after it from being noted (SDM
 * 1 11.5.2). */
static void run_unmasked(struct vcpu *v, struct thunk_frame *f)
{
    fpu_park(v);
    u32 old = fpu_mxcsr(v), tiny = 0;
    if (!(old & MXCSR_UM) && is_tiny(v, f, old)) tiny = MXCSR_UE;
    u32 raised = run_masked(v, f, old) | tiny, unmasked = raised & ~(old >> MXCSR_MASK_SHIFT);
    if (!unmasked) {
        fpu_set_mxcsr(v, old | raised);
        return;
    }
    if (unmasked & MXCSR_BEFORE) raised &= MXCSR_BEFORE;
    fpu_discard(v);
    fpu_set_mxcsr(v, old | raised);
    fault_raise(v, v->paging.cr4 & CR4_OSXMMEXCPT ? VEC_XM : VEC_UD);
}

/* Memory operands of 16 bytes must be aligned, but for these (SDM 2 table 2-21 "Type 4", without alignment).
 * The SHA instructions are checked by some CPUs and not by others: nobody can rely on the fault, and where
 * the host does not check, translated code does not either. */
static bool may_be_unaligned(u16 mnemonic)
{
    switch (mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_PCMPISTRI:
    case ZYDIS_MNEMONIC_PCMPISTRM:
    case ZYDIS_MNEMONIC_SHA1MSG1:
    case ZYDIS_MNEMONIC_SHA1MSG2:
    case ZYDIS_MNEMONIC_SHA1NEXTE:
    case ZYDIS_MNEMONIC_SHA1RNDS4:
    case ZYDIS_MNEMONIC_SHA256MSG1:
    case ZYDIS_MNEMONIC_SHA256MSG2:
    case ZYDIS_MNEMONIC_SHA256RNDS2: return true;
    default: return false;
    }
}

static void prepare_memory(struct vcpu *v, const struct insn *i, const struct operand *o, u32 address,
                           u8 *bounce)
{
    if (o->bytes == 16 && !may_be_unaligned(i->mnemonic) &&
        (mem_linear(v, i->mem_seg, address, 16, o->written) & 15))
        fault_raise_error(v, VEC_GP, 0);
    if (o->written) mem_probe_write(v, i->mem_seg, address, o->bytes);
    /* An x87 store that meets an unmasked exception stores nothing: what was there is written again. */
    if (o->read || (i->row->traits & ISA_FPU)) mem_read_bytes(v, i->mem_seg, address, bounce, o->bytes);
}

void thunk_execute(struct vcpu *v, const struct insn *i)
{
    struct thunks *t = v->thunks;
    const struct operand *memory = memory_operand(i);
    struct thunk_frame frame;
    u32 address = memory ? exec_address(v, i) : 0;
    if (memory) prepare_memory(v, i, memory, address, t->bounce);
    frame_prepare(&frame, v, i, memory);
    fpu_load(v);
    if ((i->row->traits & ISA_SSE) && (fpu_mxcsr(v) & MXCSR_MASKS) != MXCSR_MASKS)
        run_unmasked(v, &frame);
    else
        thunk_call(&frame);
#ifdef RINGER_SANITIZED
    fpu_park(v); /* the sanitizer's runtime uses vector registers wherever it likes */
#endif
    if (memory && memory->written) mem_write_bytes(v, i->mem_seg, address, t->bounce, memory->bytes);
    frame_commit(&frame, v);
}
