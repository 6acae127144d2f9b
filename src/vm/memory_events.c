/*
 * Reports of writes to guest memory go from here to all that is derived from that memory: decoded and translated
 * code, shadow tables, the display.
 *
 * The callbacks of struct phys run in the middle of an instruction, while the guest's FPU state is live: this file and
 * all that it calls are compiled for general registers only (tests/lint/stray_calls).
 */
#include "memory_events.h"

#include "cpu/interp.h"
#include "translator/translator.h"
#include "vm.h"

static void code_written(struct vm *vm, u64 gpa, u64 bytes)
{
    struct vcpu *v = &vm->vcpu;
    bool left = interp_code_written(v, gpa, bytes);
    if (v->engine && translator_code_written(v, gpa, bytes)) left = true;
    u8 *flags = phys_flags(&vm->phys, gpa);
    if (!left && flags) *flags &= (u8)~PHYS_CODE;
}

static void guarded_written(void *owner, u64 gpa, u64 bytes)
{
    struct vm *vm = owner;
    const u8 *flags = phys_flags(&vm->phys, gpa);
    if (flags && (*flags & PHYS_TRACED)) shadow_table_written(&vm->shadow, gpa, bytes);
    if (flags && (*flags & PHYS_CODE)) code_written(vm, gpa, bytes);
}

static void protect(void *owner, u64 gpa_page)
{
    struct vm *vm = owner;
    shadow_drop_writes(&vm->shadow, gpa_page);
}

static void before_device(void *owner)
{
    struct vm *vm = owner;
    fpu_shelter(&vm->vcpu);
}

/* The first write to a page of video memory since the display collected the written ones. The display is told once a
 * frame. */
static void video_written(void *owner)
{
    struct vm *vm = owner;
    struct video *video = &vm->chipset.video;
    if (!video->vga.display.armed || video->written) return;
    video->written = true;
    __atomic_or_fetch(&vm->vcpu.pending, PENDING_HOST, __ATOMIC_SEQ_CST);
}

void memory_events_wire(struct vm *vm)
{
    vm->phys.guarded_written = guarded_written;
    vm->phys.protect = protect;
    vm->phys.before_device = before_device;
    vm->phys.video_written = video_written;
}

void memory_changed_at(struct vm *vm, u64 gpa, u64 bytes)
{
    shadow_flush(&vm->shadow);
    for (u64 page = gpa; page < gpa + bytes; page += PAGE_SIZE)
        code_written(vm, page, PAGE_SIZE);
}
