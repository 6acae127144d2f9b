/*
 * The interpreter's loop: fetch, checks before the routine, the routine, traps after it (interp.h).
 */
#include "interp.h"
#include "cpuid.h"
#include "debug_points.h"
#include "exec.h"
#include "interp_private.h"
#include "isa.h"

#include <errno.h>
#include <stdlib.h>

#define DEBUGCTL_BTF 2u

int interp_init(struct vcpu *v)
{
    struct decode_cache *cache = calloc(1, sizeof *cache);
    if (!cache) return -ENOMEM;
    int error = decode_cache_init(cache);
    if (error) {
        free(cache);
        return error;
    }
    v->decode_cache = cache;
    error = thunks_init(v);
    if (error) interp_destroy(v);
    return error;
}

void interp_destroy(struct vcpu *v)
{
    if (!v->decode_cache) return;
    thunks_destroy(v);
    decode_cache_destroy(v->decode_cache);
    free(v->decode_cache);
    v->decode_cache = NULL;
}

bool interp_code_written(struct vcpu *v, u64 gpa, u64 bytes)
{
    return decode_cache_written(v->decode_cache, gpa, bytes);
}

/* --- checks, in order of priority (SDM 3A table 6-2) --- */

static bool waits_for_x87(const struct cpu_model *model, const struct insn *i)
{
    for (unsigned n = 0; n < i->operand_count; n++)
        if (i->op[n].kind == OPND_REG && i->op[n].reg_class == RC_MMX) return true;
    return (i->row->traits & ISA_MAY_WAIT) && model->cvtpi2ps_waits;
}

/* Raise #UD and #NM of FP and SIMD. Returns whether the instruction raises pending x87 exceptions. */
static bool check_unit(struct vcpu *v, const struct insn *i)
{
    u32 cr0 = v->paging.cr0;
    unsigned traits = i->row->traits;
    if (traits & ISA_WAIT) {
        if ((cr0 & CR0_MP) && (cr0 & CR0_TS)) fault_raise(v, VEC_NM);
        return true;
    }
    if (traits & ISA_FPU) {
        if (cr0 & (CR0_EM | CR0_TS)) fault_raise(v, VEC_NM);
        return !(traits & ISA_NOWAIT);
    }
    if (traits & ISA_AVX) {
        if (!(v->mode & MODE_AVX) || (isa_is_avx512(i) && !(v->xcr0 & XCR0_AVX512))) fault_raise(v, VEC_UD);
        if (cr0 & CR0_TS) fault_raise(v, VEC_NM);
        return false;
    }
    if ((cr0 & CR0_EM) || ((traits & ISA_SSE) && !(v->paging.cr4 & CR4_OSFXSR))) fault_raise(v, VEC_UD);
    if (cr0 & CR0_TS) fault_raise(v, VEC_NM);
    return (traits & ISA_MMX) || waits_for_x87(v->model, i);
}

/* An x87 exception is pending. With CR0.NE it raises #MF. Without, FERR# goes up, and the instruction waits for
 * the interrupt that follows (SDM 1 8.7): it begins again and again until then. */
static void raise_fpu_error(struct vcpu *v)
{
    if (v->paging.cr0 & CR0_NE) fault_raise(v, VEC_MF);
    fpu_park(v);
    if (v->host->ferr) v->host->ferr(v->host->machine, true);
}

/* May the routine be called? False, without a fault: the instruction must begin again. */
static bool check(struct vcpu *v, const struct insn *i)
{
    bool known = isa_exposed(v->model, i) || (i->row->traits & ISA_OLDER_MEANING);
    /* In real and virtual-8086 mode C4, C5 and 62 are LES, LDS and BOUND. Those of a register raise #UD. */
    if (!known || !isa_lock_is_legal(i) || (insn_has_vex(i) && !vcpu_protected(v))) fault_raise(v, VEC_UD);
    if (!(i->row->traits & ISA_UNIT)) return true;
    if (!check_unit(v, i) || !fpu_error_pending(v)) return true;
    raise_fpu_error(v);
    return false;
}

/* --- one instruction --- */

static inline enum exit_reason execute(struct vcpu *v, const struct insn *i, bool plain)
{
    v->inhibit = 0;
    v->eflags &= ~(u32)FL_RF; /* every instruction clears RF; IRET and task switches set it afterwards */
    v->rip = mode_mask_rip(v->mode, v->insn_start + i->length);
    if (likely(plain || check(v, i)))
        i->row->execute(v, i);
    else
        v->rip = v->insn_start;
    return unlikely(v->halted) ? EXIT_HALT : EXIT_NONE;
}

static inline void begin(struct vcpu *v)
{
    v->insn_start = v->rip;
    v->icount++;
    v->counters->interp_instructions++;
}

static inline enum exit_reason step_plain(struct vcpu *v)
{
    begin(v);
    const struct decoded *d = decode_fetch(v, v->insn_start);
    return execute(v, &d->insn, d->plain);
}

/* Software interrupts clear TF on the way to their handler, so they do not trap themselves (SDM 3B 17.3.1.4). */
static bool entered_handler(const struct vcpu *v, const struct insn *i, u64 next)
{
    return (i->row->traits & ISA_SOFTWARE_INTERRUPT) && v->rip != next;
}

static bool single_step_due(const struct vcpu *v, const struct insn *i, u64 next)
{
    if ((i->row->traits & ISA_TRAPS_ITSELF) || entered_handler(v, i, next)) return false;
    bool branched = v->rip != next && v->rip != v->insn_start;
    return !(v->debugctl & DEBUGCTL_BTF) || branched;
}

/* One instruction with TF or breakpoints armed. MOV SS and POP SS hold their traps off until the next instruction
 * is done (SDM 3A 6.8.3). */
static enum exit_reason step_armed(struct vcpu *v)
{
    bool shadow = v->inhibit & INHIBIT_MOV_SS, single_step = v->eflags & FL_TF;
    begin(v);
    u32 hits = shadow ? 0 : debug_match_code(v, segment_linear(v, SEG_CS, v->insn_start));
    if (hits) {
        v->dr[6] = (v->dr[6] & ~DR6_BREAKPOINTS) | hits;
        fault_raise(v, VEC_DB);
    }
    const struct decoded *d = decode_fetch(v, v->insn_start);
    u64 next = mode_mask_rip(v->mode, v->insn_start + d->insn.length);
    enum exit_reason reason = execute(v, &d->insn, d->plain);
    if (v->inhibit & INHIBIT_MOV_SS) return reason;
    if (single_step && single_step_due(v, &d->insn, next)) v->debug_trap |= DR6_BS;
    if (!v->debug_trap) return reason;
    u32 bits = v->debug_trap;
    v->debug_trap = 0;
    __atomic_and_fetch(&v->pending, ~(u32)PENDING_DEBUG, __ATOMIC_RELAXED);
    return debug_trap_deliver(v, bits);
}

static inline enum exit_reason step(struct vcpu *v)
{
    return unlikely(v->mode & MODE_STEP) ? step_armed(v) : step_plain(v);
}

/* A fault was raised: go back to the start of the instruction and deliver the fault. Hits of data breakpoints
 * are dropped, because the instruction will be executed again. */
static enum exit_reason catch_fault(struct vcpu *v)
{
    if (!v->in_new_task) {
        v->rip = v->insn_start;
        debug_points_forget_access(v);
        if (v->debug_trap) {
            v->debug_trap = 0;
            __atomic_and_fetch(&v->pending, ~(u32)PENDING_DEBUG, __ATOMIC_RELAXED);
        }
    }
    return exception_deliver(v);
}

/* --- the engine --- */

enum exit_reason interp_run(struct vcpu *v)
{
    enum exit_reason reason = EXIT_NONE;
    if (FAULT_CATCH(v)) reason = catch_fault(v);
    while (reason == EXIT_NONE) {
        if (unlikely(vcpu_pending(v)) && !v->inhibit) return EXIT_PENDING;
        if (unlikely(v->icount >= v->icount_limit)) return EXIT_BUDGET;
        if (debug_points_stop(v)) return EXIT_BREAKPOINT;
        reason = step(v);
    }
    return reason;
}

enum exit_reason interp_step(struct vcpu *v)
{
    if (debug_points_stop(v)) return EXIT_BREAKPOINT;
    if (FAULT_CATCH(v)) return catch_fault(v);
    return step(v);
}

enum exit_reason interp_callout(struct vcpu *v, const struct insn *i, bool plain)
{
    if (FAULT_CATCH(v)) return catch_fault(v);
    v->insn_start = v->rip;
    return execute(v, i, plain);
}
