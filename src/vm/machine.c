#include "vm.h"

#include "boot/post.h"
#include "cpu/cpuid.h"
#include "cpu/interp.h"
#include "observe/screen.h"
#include "translator/translator.h"
#include "waker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A guest that dies so often, each time so soon after its start, will not do better the next time. */
#define TRIPLE_FAULT_LIMIT 3
#define QUICK_DEATH_NS     5000000000u

/* --- what phys asks for: may come while the FPU is live --- */

GENERAL_REGS static void code_written(void *owner, u64 gpa, u64 bytes)
{
    struct vm *vm = owner;
    struct vcpu *v = &vm->vcpu;
    bool left = interp_code_written(v, gpa, bytes);
    if (v->engine && translator_code_written(v, gpa, bytes)) left = true;
    u8 *flags = phys_flags(&vm->phys, gpa);
    if (!left && flags) *flags &= (u8)~PHYS_CODE;
}

GENERAL_REGS static void watched_written(void *owner, u64 gpa, u64 bytes)
{
    struct vm *vm = owner;
    const u8 *flags = phys_flags(&vm->phys, gpa);
    if (flags && (*flags & PHYS_TRACED)) shadow_table_written(&vm->shadow, gpa, bytes);
    if (flags && (*flags & PHYS_CODE)) code_written(vm, gpa, bytes);
}

GENERAL_REGS static void protect(void *owner, u64 gpa_page)
{
    struct vm *vm = owner;
    shadow_drop_writes(&vm->shadow, gpa_page);
}

GENERAL_REGS static void before_device(void *owner)
{
    struct vm *vm = owner;
    fpu_shelter(&vm->vcpu);
}

static void message(void *owner, u64 gpa, u32 value)
{
    struct vm *vm = owner;
    apic_wires_message(&vm->chipset.apic, gpa, value);
}

GENERAL_REGS static void tracked_written(void *owner)
{
    video_written(&((struct vm *)owner)->chipset.video);
}

void machine_memory_changed(struct vm *vm, u64 gpa, u64 bytes)
{
    shadow_flush(&vm->shadow);
    for (u64 page = gpa; page < gpa + bytes; page += PAGE_SIZE)
        code_written(vm, page, PAGE_SIZE);
}

/* --- what the CPU asks for --- */

static u32 port_read(void *machine, u16 port, unsigned size)
{
    struct vm *vm = machine;
    vm->counters.port_reads++;
    return ports_read(&vm->ports, port, size);
}

static void port_write(void *machine, u16 port, unsigned size, u32 value)
{
    struct vm *vm = machine;
    vm->counters.port_writes++;
    ports_write(&vm->ports, port, size, value);
}

static u32 port_read_string(void *machine, u16 port, unsigned size, u8 *to, u32 count)
{
    struct vm *vm = machine;
    u32 done = ports_read_string(&vm->ports, port, size, to, count);
    vm->counters.port_string_bytes += (u64)done * size;
    return done;
}

static u32 port_write_string(void *machine, u16 port, unsigned size, const u8 *from, u32 count)
{
    struct vm *vm = machine;
    u32 done = ports_write_string(&vm->ports, port, size, from, count);
    vm->counters.port_string_bytes += (u64)done * size;
    return done;
}

static int acknowledge(void *machine)
{
    struct vm *vm = machine;
    return apic_wires_acknowledge(&vm->chipset.apic);
}

static u64 tsc(void *machine)
{
    struct vm *vm = machine;
    return vm_time_tsc(&vm->time);
}

static u64 tsc_hz(void *machine)
{
    struct vm *vm = machine;
    return vm_time_tsc_hz(&vm->time);
}

static struct time_sample sample_time(void *machine)
{
    struct vm *vm = machine;
    struct time_sample now = vm_time_sample(&vm->time);
    now.wall_ns = vm->wall_ns;
    return now;
}

static void apic_base_written(void *machine, u64 base)
{
    struct vm *vm = machine;
    apic_wires_base(&vm->chipset.apic, base);
}

static void tsc_moved(void *machine)
{
    struct vm *vm = machine;
    lapic_tsc_moved(&vm->chipset.apic.lapic);
}

static u64 tsc_deadline(void *machine)
{
    const struct vm *vm = machine;
    return lapic_deadline(&vm->chipset.apic.lapic);
}

static void set_tsc_deadline(void *machine, u64 deadline)
{
    struct vm *vm = machine;
    lapic_set_deadline(&vm->chipset.apic.lapic, deadline);
}

static void ferr(void *machine, bool level)
{
    struct vm *vm = machine;
    chipset_ferr(&vm->chipset, level);
}

/* --- power-on --- */

static bool fail(char *error, size_t error_bytes, const char *what, int failed)
{
    snprintf(error, error_bytes, "%s: %s", what, strerror(-failed));
    return false;
}

static bool make_memory(struct vm *vm, char *error, size_t error_bytes)
{
    int failed =
        phys_init_with_video(&vm->phys, vm->options->memory_bytes, video_memory_bytes(vm->options->video));
    if (failed) return fail(error, error_bytes, "cannot have that much guest memory", failed);
    vm->phys.a20_mask = ~0ull;
    vm->phys.watched_written = watched_written;
    vm->phys.protect = protect;
    vm->phys.before_device = before_device;
    vm->phys.message = message;
    vm->phys.tracked_written = tracked_written;
    vm->phys.owner = vm;
    failed = shadow_init(&vm->shadow, &vm->phys, &vm->counters);
    if (failed) return fail(error, error_bytes, "cannot have shadow page tables", failed);
    vm->shadow.forced_slow = vm->options->translator.forced_slow;
    vm->shadow.untraced = vm->options->no_traces;
    vm->shadow.windows = vm->options->windows;
    vm->shadow.no_low_window = vm->options->no_low_window;
    vm->shadow.no_borrowing = vm->options->no_borrowing;
    if (vm->options->window_mappings) vm->shadow.window_mappings_max = vm->options->window_mappings;
    vm->shadow.no_prefill = vm->options->no_prefill;
    return true;
}

/* Unix time at power-on: the real-time clock's, but to the nanosecond, and never local. */
static u64 wall_at_power_on(const struct vm *vm)
{
    s64 base = vm->options->rtc_base;
    if (base != RTC_BASE_NOW && base != RTC_BASE_LOCAL) return base > 0 ? (u64)base * 1000000000u : 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec - clock_now(&vm->time.clock);
}

static bool make_cpu(struct vm *vm, char *error, size_t error_bytes)
{
    static const struct vcpu_apic apic = {.base_written = apic_base_written,
                                          .tsc_moved = tsc_moved,
                                          .deadline = tsc_deadline,
                                          .set_deadline = set_tsc_deadline};
    struct vcpu *v = &vm->vcpu;
    vm->cpu_host = (struct vcpu_host){.port_read = port_read,
                                      .port_write = port_write,
                                      .port_read_string = port_read_string,
                                      .port_write_string = port_write_string,
                                      .interrupt_acknowledge = acknowledge,
                                      .tsc = tsc,
                                      .tsc_hz = tsc_hz,
                                      .sample_time = vm->options->no_kvm_clock ? NULL : sample_time,
                                      .ferr = ferr,
                                      .apic = vm->options->no_apic ? NULL : &apic,
                                      .machine = vm};
    v->host = &vm->cpu_host;
    v->phys = &vm->phys;
    v->shadow = &vm->shadow;
    v->model = vm->options->cpu;
    v->counters = &vm->counters;
    v->deterministic = vm->options->deterministic;
    v->no_fast_entry = vm->options->translator.no_fast_entry;
    v->no_bulk_strings = vm->options->translator.no_bulk_strings;
    v->fpu_always_park = vm->options->no_fpu_shelter;
    v->paging.maxphyaddr = v->model->maxphyaddr;
    int failed = interp_init(v);
    if (failed) return fail(error, error_bytes, "cannot start the interpreter", failed);
    if (vm->options->engine == ENGINE_INTERP) return true;
    failed = translator_init(v, &vm->options->translator);
    if (failed) return fail(error, error_bytes, "cannot start the translator", failed);
    return true;
}

static void reset_cpu(struct vm *vm)
{
    struct vcpu *v = &vm->vcpu;
    vcpu_reset(v);
    if (vm->chipset.apic.fitted) apic_wires_cpu_reset(&vm->chipset.apic);
    v->halted = false;
    __atomic_and_fetch(&v->pending, PENDING_HOST | PENDING_INTERRUPT, __ATOMIC_SEQ_CST);
}

/* The reset line: CPU and chips as at power-on, RAM as it was, and what is to be booted put there anew.
 * Returns an exit status, with one sentence in error unless it is 0. */
static int restart(struct vm *vm, char *error, size_t error_bytes)
{
    struct vcpu *v = &vm->vcpu;
    disk_crew_drain(&vm->drives.crew); /* or it would write into what is loaded below */
    chipset_reset(&vm->chipset);
    reset_cpu(vm);
    v->tsc_offset = 0 - vm_time_tsc(&vm->time); /* RESET clears the TSC (SDM 3A table 9-1), INIT does not */
    vm->last_reset_ns = clock_now(&vm->time.clock);
    struct boot_files files = vm->options->boot;
    if (firmware_runs(&vm->chipset.firmware)) {
        files.kernel = files.initrd = files.append = NULL;
        if (!files.firmware) files.firmware = vm->chipset.firmware.image;
    } else {
        post(vm);
        files.screen = vm->chipset.video.screen;
    }
    int status = loader_load(v, &files, error, error_bytes);
    if (status) return status;
    chipset_firmware_loaded(&vm->chipset);
    vcpu_update_mode(v);
    return STATUS_OK;
}

static bool power_on(struct vm *vm, int *status, char *error, size_t error_bytes)
{
    *status = STATUS_HOST;
    if (!make_memory(vm, error, error_bytes)) return false;
    vm_time_init(&vm->time, &vm->vcpu, vm->options->deterministic);
    vm->wall_ns = wall_at_power_on(vm);
    if (!make_cpu(vm, error, error_bytes)) return false;
    *status = STATUS_USAGE;
    if (!drives_init(&vm->drives, vm, error, error_bytes)) return false;
    if (!chipset_init(&vm->chipset, vm, error, error_bytes)) return false;
    *status = restart(vm, error, error_bytes);
    return *status == STATUS_OK;
}

struct vm *machine_create(const struct options *options, enum machine_role role, int *status, char *error,
                          size_t error_bytes)
{
    struct vm *vm = aligned_alloc(_Alignof(struct vm), sizeof(*vm));
    *status = STATUS_HOST;
    if (!vm) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    memset(vm, 0, sizeof(*vm));
    vm->options = options;
    vm->role = role;
    vm->powered_on_ns = host_now_ns();
    if (power_on(vm, status, error, error_bytes)) return vm;
    machine_destroy(vm);
    return NULL;
}

void machine_destroy(struct vm *vm)
{
    drives_destroy(&vm->drives); /* first: what is under way uses guest memory and requests of devices */
    chipset_destroy(&vm->chipset);
    if (vm->vcpu.engine) translator_destroy(&vm->vcpu);
    if (vm->vcpu.decode_cache) interp_destroy(&vm->vcpu);
    if (vm->shadow.phys) shadow_destroy(&vm->shadow);
    if (vm->phys.ram) phys_destroy(&vm->phys);
    free(vm);
}

static void wake(void *owner)
{
    waker_wake(((struct vm *)owner)->waker);
}

static void notice(void *owner)
{
    waker_notice(((struct vm *)owner)->waker);
}

void machine_set_waker(struct vm *vm, struct waker *waker)
{
    vm->waker = waker;
    vm->post.owner = vm;
    vm->post.wake = waker ? wake : NULL;
    vm->post.notice = waker ? notice : NULL;
    vm_time_set_waker(&vm->time, waker);
    chipset_start(&vm->chipset);
}

/* --- resets and ends --- */

void vm_stop(struct vm *vm, enum stop_cause cause, int status, const char *format, ...)
{
    if (vm->stopping) return;
    vm->stopping = true;
    vm->stopped_by_host = cause == STOP_HOST;
    vm->status = status;
    if (format) {
        va_list args;
        va_start(args, format);
        vsnprintf(vm->last_words, sizeof(vm->last_words), format, args);
        va_end(args);
    }
    __atomic_or_fetch(&vm->vcpu.pending, PENDING_EXIT, __ATOMIC_SEQ_CST);
}

static void set_paused(struct vm *vm, u8 paused)
{
    struct console *console = &vm->chipset.console.console;
    vm->paused = paused;
    vm_time_freeze(&vm->time, paused);
    console_set(console, &console->paused, paused != 0);
}

void machine_pause(struct vm *vm, enum pause_reason reason)
{
    set_paused(vm, vm->paused | reason);
    __atomic_or_fetch(&vm->vcpu.pending, PENDING_HOST, __ATOMIC_SEQ_CST);
}

void machine_resume(struct vm *vm, enum pause_reason reason)
{
    set_paused(vm, vm->paused & ~reason);
}

void machine_request_reset(struct vm *vm, bool hard)
{
    if (vm->options->no_reboot) {
        vm_stop(vm, STOP_GUEST, STATUS_OK, NULL);
        return;
    }
    vm->reset_wanted = true;
    vm->hard_reset = hard;
    __atomic_or_fetch(&vm->vcpu.pending, PENDING_EXIT, __ATOMIC_SEQ_CST);
}

void machine_reset(struct vm *vm)
{
    char error[512];
    vm->reset_wanted = false;
    fpu_park(&vm->vcpu);
    chipset_flush_output(&vm->chipset);
    log_debug("the guest resets the %s", vm->hard_reset ? "machine" : "CPU");
    /* Firmware finds out why it was started again by itself (CMOS 0Fh); a kernel that was loaded directly
     * cannot. */
    if (!vm->hard_reset && firmware_runs(&vm->chipset.firmware))
        reset_cpu(vm);
    else if (restart(vm, error, sizeof(error)))
        vm_stop(vm, STOP_HOST, STATUS_HOST, "cannot boot again: %s", error);
}

void machine_triple_fault(struct vm *vm)
{
    const struct vcpu *v = &vm->vcpu;
    bool quick = clock_now(&vm->time.clock) - vm->last_reset_ns < QUICK_DEATH_NS;
    vm->quick_triple_faults = quick ? vm->quick_triple_faults + 1 : 0;
    bool hopeless = vm->quick_triple_faults >= TRIPLE_FAULT_LIMIT;
    if (vm->options->no_reboot || hopeless) {
        vm_stop(vm, STOP_GUEST, STATUS_GUEST,
                "the guest died of a triple fault%s at %04x:%08x (exception %u, error code %#x; ESP %08x, "
                "CR0 %08x, CR2 "
                "%08x, CR3 %08x, IDT at %08x)",
                hopeless ? ", as it does after every reset," : "", v->seg[SEG_CS].selector, (u32)v->rip,
                v->fault.vector, v->fault.has_error ? v->fault.error : 0, (u32)v->gpr[REG_ESP], v->paging.cr0,
                v->cr2, (u32)v->paging.cr3, v->idtr.base);
        return;
    }
    log_debug("the guest died of a triple fault at %04x:%08x", v->seg[SEG_CS].selector, (u32)v->rip);
    machine_request_reset(vm, true);
}

/* --- the host side --- */

void machine_dump_screen(struct vm *vm)
{
    const char *text = vm->options->screen_dump, *picture = vm->options->screenshot;
    if (vm->role == MACHINE_FOLLOWER) return;
    int failed = text ? screen_dump(vm, text) : 0;
    if (failed) log_warn("cannot write the screen dump %s: %s", text, strerror(-failed));
    failed = picture ? screen_shot(vm, picture) : 0;
    if (failed) log_warn("cannot write the screenshot %s: %s", picture, strerror(-failed));
}
