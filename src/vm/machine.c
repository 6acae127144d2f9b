#include "vm.h"

#include "boot/direct_start.h"
#include "boot/loader.h"
#include "cpu/cpuid.h"
#include "cpu/interp.h"
#include "key_script.h"
#include "observe/screen.h"
#include "seams.h"
#include "translator/translator.h"
#include "waker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#ifdef RINGER_SANITIZED
#include <sanitizer/lsan_interface.h>
#endif

/* This many triple faults in a row, each within this time after a start: the guest would only have another one. */
#define TRIPLE_FAULT_LIMIT 3
#define QUICK_DEATH_NS     5000000000u

/* --- power-on --- */

static bool fail(char *error, size_t error_bytes, const char *what, int failed)
{
    snprintf(error, error_bytes, "%s: %s", what, strerror(-failed));
    return false;
}

static bool make_memory(struct vm *vm, char *error, size_t error_bytes)
{
    int failed = phys_init_with_video(&vm->phys, vm->options->board.memory_bytes,
                                      video_memory_bytes(vm->options->board.video));
    if (failed) return fail(error, error_bytes, "cannot allocate the guest's memory", failed);
    vm->phys.a20_mask = ~0ull;
    seams_of_phys(vm);
    failed = shadow_init(&vm->shadow, &vm->phys, &vm->counters);
    if (failed) return fail(error, error_bytes, "cannot allocate shadow page tables", failed);
    vm->shadow.forced_slow = vm->options->translator.forced_slow;
    vm->shadow.untraced = vm->options->no_traces;
    vm->shadow.windows = vm->options->windows;
    vm->shadow.deterministic = vm->options->deterministic;
    vm->shadow.no_low_window = vm->options->no_low_window;
    vm->shadow.no_borrowing = vm->options->no_borrowing;
    if (vm->options->spaces) vm->shadow.spaces_max = vm->options->spaces;
    if (vm->options->window_mappings) vm->shadow.window_mappings_max = vm->options->window_mappings;
    vm->shadow.no_prefill = vm->options->no_prefill;
    return true;
}

/* The Unix time that the real-time clock shows at power-on, in nanoseconds, and never as local time. */
static u64 wall_at_power_on(const struct vm *vm)
{
    s64 base = vm->options->board.rtc_base;
    if (base != RTC_BASE_NOW && base != RTC_BASE_LOCAL) return base > 0 ? (u64)base * 1000000000u : 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (u64)now.tv_sec * 1000000000u + (u64)now.tv_nsec - clock_now(&vm->time.clock);
}

static bool make_cpu(struct vm *vm, char *error, size_t error_bytes)
{
    struct vcpu *v = &vm->vcpu;
    seams_of_cpu(vm);
    v->phys = &vm->phys;
    v->shadow = &vm->shadow;
    v->model = vm->options->cpu;
    v->counters = &vm->counters;
    v->deterministic = vm->options->deterministic;
    v->instruments.no_fast_entry = vm->options->translator.no_fast_entry;
    v->instruments.no_bulk_strings = vm->options->translator.no_bulk_strings;
    v->instruments.fpu_always_park = vm->options->no_fpu_shelter;
    v->paging.maxphyaddr = v->model->maxphyaddr;
    int failed = interp_init(v);
    if (failed) return fail(error, error_bytes, "cannot start the interpreter", failed);
    if (vm->options->engine == ENGINE_INTERP) return true;
    failed = translator_init(v, &vm->options->translator);
    if (failed) return fail(error, error_bytes, "cannot start the translator", failed);
    return true;
}

static void reset_cpu(struct vm *vm, bool hard)
{
    struct vcpu *v = &vm->vcpu;
    if (hard)
        vcpu_reset(v);
    else
        vcpu_init(v);
    if (vm->chipset.apic.fitted) apic_wires_cpu_reset(&vm->chipset.apic, v->apic_base);
    v->halted = false;
    __atomic_and_fetch(&v->pending, PENDING_HOST | PENDING_INTERRUPT, __ATOMIC_SEQ_CST);
}

static struct direct_machine direct_machine_of(struct vm *vm)
{
    return (struct direct_machine){
        .board = &vm->board, .apic = &vm->chipset.apic, .video = &vm->chipset.video, .cpu = vm->vcpu.model};
}

/* The reset line: CPU and chips are as at power-on, RAM stays as it was, and the boot files are loaded again.
 * Returns an exit status, with one sentence in error unless it is 0. */
static int restart(struct vm *vm, char *error, size_t error_bytes)
{
    struct vcpu *v = &vm->vcpu;
    disk_crew_drain(&vm->drives.crew); /* a request under way could overwrite what is loaded below */
    chipset_reset(&vm->chipset);
    firmware_reset(&vm->firmware);
    reset_cpu(vm, true);
    v->tsc_offset = 0 - vm_time_tsc(&vm->time); /* RESET clears the TSC (SDM 3A table 9-1), INIT does not */
    vm->last_reset_ns = clock_now(&vm->time.clock);
    struct boot_files files = vm->options->boot;
    struct boot_screen screen = {0};
    if (firmware_runs(&vm->firmware)) {
        files.kernel = files.initrd = files.append = NULL;
        if (!files.firmware) files.firmware = vm->firmware.image;
    } else {
        struct direct_machine direct = direct_machine_of(vm);
        screen = direct_start(&direct, files.append);
    }
    bool flash = firmware_runs(&vm->firmware) && vm->board.facts.flash;
    int status = flash ? STATUS_OK : loader_load(v, &files, screen, error, error_bytes);
    if (status) return status;
    chipset_firmware_loaded(&vm->chipset);
    vcpu_update_mode(v);
    return STATUS_OK;
}

static bool make_board(struct vm *vm, char *error, size_t error_bytes)
{
    const struct options *o = vm->options;
    seams_of_board(vm);
    board_init(&vm->board);
    if (!drives_init(&vm->drives, &vm->board, error, error_bytes)) return false;
    if (!chipset_init(&vm->chipset, &vm->board, error, error_bytes)) return false;
    if (o->keys || o->typed) {
        vm->script = key_script_load(o->keys, o->typed, error, error_bytes);
        if (!vm->script) return false;
    }
    return firmware_init(&vm->firmware,
                         &(struct firmware_wiring){.board = &vm->board,
                                                   .rtc = &vm->chipset.rtc,
                                                   .cpu = o->cpu,
                                                   .files = &o->boot,
                                                   .plan = &o->boot_plan},
                         error, error_bytes);
}

static bool power_on(struct vm *vm, int *status, char *error, size_t error_bytes)
{
    *status = STATUS_HOST;
    if (!make_memory(vm, error, error_bytes)) return false;
    vm_time_init(&vm->time, &vm->vcpu, vm->options->deterministic);
    vm->wall_ns = wall_at_power_on(vm);
    if (!make_cpu(vm, error, error_bytes)) return false;
    *status = STATUS_USAGE;
    if (!make_board(vm, error, error_bytes)) return false;
    *status = restart(vm, error, error_bytes);
    return *status == STATUS_OK;
}

struct vm *machine_create(const struct options *options, enum machine_role role, struct chardevs *chardevs,
                          int *status, char *error, size_t error_bytes)
{
    /* Fresh pages are zero, so most of them need not be there before they are used. */
    struct vm *vm = mmap(NULL, sizeof(*vm), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *status = STATUS_HOST;
    if (vm == MAP_FAILED) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
#ifdef RINGER_SANITIZED
    __lsan_register_root_region(vm, sizeof(*vm)); /* what it points to is not lost at an early end */
#endif
    vm->options = options;
    vm->role = role;
    vm->chardevs = chardevs;
    vm->powered_on_ns = host_now_ns();
    if (power_on(vm, status, error, error_bytes)) return vm;
    machine_destroy(vm);
    return NULL;
}

void machine_destroy(struct vm *vm)
{
    drives_destroy(&vm->drives); /* first: I/O under way uses guest memory and requests of devices */
    key_script_free(vm->script);
    chipset_destroy(&vm->chipset);
    firmware_destroy(&vm->firmware);
    if (vm->vcpu.engine) translator_destroy(&vm->vcpu);
    if (vm->vcpu.decode_cache) interp_destroy(&vm->vcpu);
    if (vm->shadow.phys) shadow_destroy(&vm->shadow);
    if (vm->phys.ram) phys_destroy(&vm->phys);
#ifdef RINGER_SANITIZED
    __lsan_unregister_root_region(vm, sizeof(*vm));
#endif
    munmap(vm, sizeof(*vm));
}

static void wake(void *owner)
{
    waker_wake(((struct vm *)owner)->waker);
}

static void notice(void *owner)
{
    waker_notice(((struct vm *)owner)->waker);
}

static u32 run(void *owner)
{
    return waker_run(((struct vm *)owner)->waker);
}

void machine_set_waker(struct vm *vm, struct waker *waker)
{
    vm->waker = waker;
    waker->sampled = &vm->vcpu.sampled;
    mailbox_open(&vm->mailbox, &(struct mailbox_calls){wake, notice, run}, vm);
    vm_time_set_waker(&vm->time, waker);
    machine_start(vm);
}

void machine_stop_timers(struct vm *vm)
{
    vm_time_set_waker(&vm->time, NULL);
}

void machine_start(struct vm *vm)
{
    if (!board_start_net(&vm->board)) log_warn("cannot start the network thread: the guest has no network");
    board_start_input(&vm->board);
    if (!vm->started && vm->script) key_script_start(vm->script, vm);
    vm->started = true;
}

/* --- resets and ends --- */

static void tell(struct vm *vm, enum machine_event event, bool by_guest)
{
    for (struct machine_listener *l = vm->listeners; l; l = l->next)
        l->tell(l->owner, event, by_guest);
}

void machine_listen(struct vm *vm, struct machine_listener *listener)
{
    listener->next = vm->listeners;
    vm->listeners = listener;
}

void machine_leave(struct vm *vm, struct machine_listener *listener)
{
    for (struct machine_listener **at = &vm->listeners; *at; at = &(*at)->next)
        if (*at == listener) {
            *at = listener->next;
            return;
        }
}

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
    tell(vm, MACHINE_SHUTDOWN, cause == STOP_GUEST);
}

static void set_paused(struct vm *vm, u8 paused)
{
    struct console *console = &vm->chipset.console.console;
    bool before = vm->paused;
    vm->paused = paused;
    if (!paused) {
        vm->debugger.stopped = false;
        vm->resumed = true;
    }
    if (before != (paused != 0)) tell(vm, paused ? MACHINE_PAUSED : MACHINE_RESUMED, false);
    vm_time_freeze(&vm->time, paused);
    console_set(console, &console->paused, paused != 0);
}

void machine_pause(struct vm *vm, enum pause_reason reason)
{
    if (reason == PAUSE_DISK) tell(vm, MACHINE_DISK_FAILED, false);
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

void machine_reset_by_host(struct vm *vm)
{
    if (vm->options->no_reboot) {
        vm_stop(vm, STOP_HOST, STATUS_OK, NULL);
        return;
    }
    vm->reset_wanted = vm->hard_reset = vm->reset_by_host = true;
    __atomic_or_fetch(&vm->vcpu.pending, PENDING_EXIT, __ATOMIC_SEQ_CST);
}

void machine_reset(struct vm *vm)
{
    char error[512];
    tell(vm, MACHINE_RESET, !vm->reset_by_host);
    vm->reset_by_host = false;
    vm->reset_wanted = vm->suspend_wanted = vm->wake_wanted = vm->suspended = false;
    fpu_park(&vm->vcpu);
    board_flush_output(&vm->board);
    log_debug("the guest resets the %s", vm->hard_reset ? "machine" : "CPU");
    /* Firmware finds the reason of the reset in CMOS 0Fh. A directly started kernel has no firmware. */
    if (!vm->hard_reset && firmware_runs(&vm->firmware))
        reset_cpu(vm, false);
    else if (restart(vm, error, sizeof(error)))
        vm_stop(vm, STOP_HOST, STATUS_HOST, "cannot boot again: %s", error);
}

/* --- S3 --- */

void machine_request_suspend(struct vm *vm)
{
    vm->suspend_wanted = true;
    __atomic_or_fetch(&vm->vcpu.pending, PENDING_EXIT, __ATOMIC_SEQ_CST);
}

void machine_request_wake(struct vm *vm)
{
    vm->wake_wanted = true;
    __atomic_or_fetch(&vm->vcpu.pending, PENDING_EXIT, __ATOMIC_SEQ_CST);
}

static void suspend(struct vm *vm)
{
    log_debug("the guest suspends to RAM");
    fpu_park(&vm->vcpu);
    board_flush_output(&vm->board);
    disk_crew_drain(&vm->drives.crew);
    reset_cpu(vm, true);
    vm->suspended = true;
    tell(vm, MACHINE_SUSPENDED, true);
    chipset_suspend(&vm->chipset);
}

static void start_in_real_mode(struct vcpu *v, u32 address)
{
    u16 selector = (u16)(address >> 4);
    v->seg[SEG_CS].selector = selector;
    v->seg[SEG_CS].base = (u32)selector << 4;
    v->rip = address & 15;
    vcpu_update_mode(v);
}

/* Firmware starts at the reset vector and finds out why. Without firmware this does what firmware would do: it sets up
 * the chips and jumps to the guest's waking vector (ACPI 2.0c 5.2.9, "Firmware Waking Vector"), in real mode. */
static void wake_up(struct vm *vm)
{
    log_debug("the guest wakes");
    vm->suspended = false;
    tell(vm, MACHINE_WOKEN, true);
    if (firmware_runs(&vm->firmware)) return;
    struct direct_machine direct = direct_machine_of(vm);
    u32 vector = direct_wake(&direct, vm->options->boot.append);
    if (vector)
        start_in_real_mode(&vm->vcpu, vector);
    else
        machine_request_reset(vm, true);
}

void machine_change_power(struct vm *vm)
{
    if (vm->suspend_wanted) {
        vm->suspend_wanted = false;
        suspend(vm);
    }
    if (vm->wake_wanted) {
        vm->wake_wanted = false;
        wake_up(vm);
    }
}

void machine_triple_fault(struct vm *vm)
{
    const struct vcpu *v = &vm->vcpu;
    bool quick = clock_now(&vm->time.clock) - vm->last_reset_ns < QUICK_DEATH_NS;
    vm->quick_triple_faults = quick ? vm->quick_triple_faults + 1 : 0;
    bool hopeless = vm->quick_triple_faults >= TRIPLE_FAULT_LIMIT;
    if (vm->options->no_reboot || hopeless) {
        vm_stop(
            vm, STOP_GUEST, STATUS_GUEST,
            "the guest died of a triple fault%s at %04x:%08llx (exception %u, error code %#x; ESP %08llx, "
            "CR0 %08x, CR2 "
            "%08llx, CR3 %08llx, IDT at %08llx)",
            hopeless ? ", as it does after every reset," : "", v->seg[SEG_CS].selector, (ull)v->rip,
            v->fault.vector, v->fault.has_error ? v->fault.error : 0, (ull)v->gpr[REG_ESP], v->paging.cr0,
            (ull)v->cr2, (ull)v->paging.cr3, (ull)v->idtr.base);
        return;
    }
    log_debug("the guest died of a triple fault at %04x:%08llx", v->seg[SEG_CS].selector, (ull)v->rip);
    machine_request_reset(vm, true);
}

/* --- the host side --- */

void machine_dump_screen(struct vm *vm)
{
    const char *text = vm->options->screen_dump, *picture = vm->options->screenshot;
    if (vm->role == MACHINE_FOLLOWER) return;
    int failed = text ? screen_dump(machine_vga(vm), text) : 0;
    if (failed) log_warn("cannot write the screen dump %s: %s", text, strerror(-failed));
    failed = picture ? screen_shot(machine_display(vm), picture) : 0;
    if (failed) log_warn("cannot write the screenshot %s: %s", picture, strerror(-failed));
}
