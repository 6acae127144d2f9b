#include "options.h"

#include "base/log.h"
#include "cpu/cpuid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A setter's way to say what is wrong with its value. */
struct complaint {
    char *text;
    size_t bytes;
};

#define COMPLAIN(c, ...) (snprintf((c)->text, (c)->bytes, __VA_ARGS__), false)

/* --- values --- */

static bool parse_number(const char *text, u64 *out, const char **end)
{
    char *stop;
    errno = 0;
    if (*text < '0' || *text > '9') return false; /* strtoull would take signs and blanks */
    *out = strtoull(text, &stop, 0);
    *end = stop;
    return !errno;
}

static bool whole_number(const char *text, u64 *out)
{
    const char *end;
    return parse_number(text, out, &end) && !*end;
}

/* A size with an optional suffix; without one it is in units of 1 << default_shift. */
static bool parse_size(const char *text, unsigned default_shift, u64 *out)
{
    static const char suffixes[] = "bBkKmMgGtT";
    const char *end;
    if (!parse_number(text, out, &end)) return false;
    unsigned shift = default_shift;
    if (*end) {
        const char *suffix = strchr(suffixes, *end);
        if (!suffix || end[1]) return false;
        shift = (unsigned)(suffix - suffixes) / 2 * 10;
    }
    if (*out > UINT64_MAX >> shift) return false;
    *out <<= shift;
    return true;
}

/* The value of `key` in "key=value,key=value" as a copy, or NULL. For those of QEMU's arguments that are
 * lists. */
static char *list_value(const char *list, const char *key)
{
    size_t length = strlen(key);
    for (const char *item = list; item; item = strchr(item, ',') ? strchr(item, ',') + 1 : NULL)
        if (!strncmp(item, key, length) && item[length] == '=')
            return strndup(item + length + 1, strcspn(item + length + 1, ","));
    return NULL;
}

/* --- setters: one an option --- */

static bool set_kernel(struct options *o, const char *value, struct complaint *c)
{
    o->boot.kernel = value;
    return true;
}

static bool set_initrd(struct options *o, const char *value, struct complaint *c)
{
    o->boot.initrd = value;
    return true;
}

static bool set_append(struct options *o, const char *value, struct complaint *c)
{
    o->boot.append = value;
    return true;
}

static bool set_firmware(struct options *o, const char *value, struct complaint *c)
{
    o->boot.firmware = value;
    return true;
}

static bool set_drive(struct options *o, const char *value, struct complaint *c)
{
    return drive_options_add(&o->drives, value, c->text, c->bytes);
}

#define FILE_SETTER(name, interface, index, medium)                                                          \
    static bool set_##name(struct options *o, const char *value, struct complaint *c)                        \
    {                                                                                                        \
        return drive_options_add_file(&o->drives, value, interface, index, medium, c->text, c->bytes);       \
    }
FILE_SETTER(hda, DRIVE_IDE, 0, MEDIUM_DISK)
FILE_SETTER(hdb, DRIVE_IDE, 1, MEDIUM_DISK)
FILE_SETTER(hdc, DRIVE_IDE, 2, MEDIUM_DISK)
FILE_SETTER(hdd, DRIVE_IDE, 3, MEDIUM_DISK)
FILE_SETTER(cdrom, DRIVE_IDE, 2, MEDIUM_CDROM)
FILE_SETTER(fda, DRIVE_FLOPPY, 0, MEDIUM_DISK)
FILE_SETTER(fdb, DRIVE_FLOPPY, 1, MEDIUM_DISK)
#undef FILE_SETTER

static bool set_memory(struct options *o, const char *value, struct complaint *c)
{
    char *size = list_value(value, "size");
    u64 bytes;
    bool good = parse_size(size ? size : value, 20, &bytes);
    free(size);
    if (!good) return COMPLAIN(c, "the memory size \"%s\" is not a number with K, M or G behind it", value);
    if (bytes < MEMORY_MIN_BYTES || bytes > MEMORY_MAX_BYTES)
        return COMPLAIN(c, "a memory size of %s is out of bounds: it must be from %lluM to %lluG", value,
                        MEMORY_MIN_BYTES >> 20, MEMORY_MAX_BYTES >> 30);
    o->memory_bytes = align_up(bytes, PAGE_SIZE);
    return true;
}

static bool set_cpu(struct options *o, const char *value, struct complaint *c)
{
    o->cpu = cpu_model_find(value);
    if (o->cpu) return true;
    int at = snprintf(c->text, c->bytes, "there is no CPU model \"%s\"; there are:", value);
    for (const char *const *name = cpu_model_names(); *name && at >= 0 && (size_t)at < c->bytes; name++)
        at += snprintf(c->text + at, c->bytes - (size_t)at, " %s", *name);
    return false;
}

static bool set_engine(struct options *o, const char *value, struct complaint *c)
{
    if (!strcmp(value, "translate"))
        o->engine = ENGINE_TRANSLATE;
    else if (!strcmp(value, "interp"))
        o->engine = ENGINE_INTERP;
    else
        return COMPLAIN(c, "there is no engine \"%s\"; there are translate and interp", value);
    return true;
}

static bool set_lockstep(struct options *o, const char *value, struct complaint *c)
{
    o->lockstep = 1;
    if (value && (!whole_number(value, &o->lockstep) || !o->lockstep))
        return COMPLAIN(c, "--lockstep takes a number of instructions, not \"%s\"", value);
    o->deterministic = true;
    o->translator.exact_flags = true;
    return true;
}

static bool set_stats_json(struct options *o, const char *value, struct complaint *c)
{
    o->stats_json = value;
    return true;
}

static bool set_trace(struct options *o, const char *value, struct complaint *c)
{
    /* FILE or FILE,ICOUNT: a comma that is not followed by a number belongs to the name. The arguments of
     * main() are the program's to write to (C11 5.1.2.2.1): the name ends at the comma. */
    char *comma = strrchr((char *)value, ',');
    o->trace = value;
    if (comma && whole_number(comma + 1, &o->trace_from)) *comma = '\0';
    o->engine = ENGINE_INTERP;
    return true;
}

static bool set_screen_dump(struct options *o, const char *value, struct complaint *c)
{
    o->screen_dump = value;
    return true;
}

static bool set_profile(struct options *o, const char *value, struct complaint *c)
{
    o->profile = value;
    return true;
}

static bool set_symbols(struct options *o, const char *value, struct complaint *c)
{
    o->symbols = value;
    return true;
}

static bool set_timeout(struct options *o, const char *value, struct complaint *c)
{
    u64 seconds;
    if (!whole_number(value, &seconds) || !seconds || seconds > 1000000000)
        return COMPLAIN(c, "the time limit \"%s\" is not a number of seconds", value);
    o->timeout_ns = seconds * 1000000000u;
    return true;
}

static bool set_cache_bytes(struct options *o, const char *value, struct complaint *c)
{
    if (!parse_size(value, 0, &o->translator.cache_bytes) || o->translator.cache_bytes < (64u << 10) ||
        o->translator.cache_bytes > (1u << 30))
        return COMPLAIN(c, "the code cache must have 64K to 1G, not \"%s\"", value);
    return true;
}

static bool set_block_limit(struct options *o, const char *value, struct complaint *c)
{
    u64 limit;
    if (!whole_number(value, &limit) || limit < 1 || limit > 64)
        return COMPLAIN(c, "a block has 1 to 64 instructions, not \"%s\"", value);
    o->translator.block_limit = (unsigned)limit;
    return true;
}

static bool set_windows(struct options *o, const char *value, struct complaint *c)
{
    static const char *const names[] = {
        [WINDOWS_AUTO] = "auto", [WINDOWS_ALWAYS] = "always", [WINDOWS_NEVER] = "never"};
    size_t word = strcspn(value, ",");
    bool good = !value[word] || whole_number(value + word + 1, &o->window_mappings);
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++)
        if (good && strlen(names[n]) == word && !strncmp(value, names[n], word)) {
            o->windows = (enum windows_policy)n;
            return true;
        }
    return COMPLAIN(c, "--windows is auto, always or never, and perhaps a number, not \"%s\"", value);
}

static bool set_flush_every(struct options *o, const char *value, struct complaint *c)
{
    if (whole_number(value, &o->translator.flush_every) && o->translator.flush_every) return true;
    return COMPLAIN(c, "--flush-every takes a number of exits, not \"%s\"", value);
}

static bool set_rtc_base(struct options *o, const char *value, struct complaint *c)
{
    u64 seconds;
    struct tm tm = {0};
    if (!strcmp(value, "utc")) {
        o->rtc_base = RTC_BASE_NOW;
        return true;
    }
    if (!strcmp(value, "localtime")) {
        o->rtc_base = RTC_BASE_LOCAL;
        return true;
    }
    if (whole_number(value, &seconds) && seconds < 1ull << 40) {
        o->rtc_base = (s64)seconds;
        return true;
    }
    const char *rest = strptime(value, "%Y-%m-%d", &tm);
    if (rest && *rest) rest = strptime(rest, "T%H:%M:%S", &tm);
    if (!rest || *rest)
        return COMPLAIN(
            c,
            "the clock can start at utc, localtime, 2024-01-31, 2024-01-31T23:59:59 or a Unix time, not "
            "at \"%s\"",
            value);
    o->rtc_base = timegm(&tm);
    return true;
}

static bool set_debug(struct options *o, const char *value, struct complaint *c)
{
    log_enable_debug();
    return true;
}

static bool set_serial(struct options *o, const char *value, struct complaint *c)
{
    if (o->serial_count == ARRAY_SIZE(o->serial)) return COMPLAIN(c, "there are only four serial ports");
    if (!strncmp(value, "mon:", 4)) { /* QEMU's monitor beside it: of that we have the escape keys */
        value += 4;
        o->nographic = true;
    }
    o->serial[o->serial_count++] = strcmp(value, "none") ? value : NULL;
    return true;
}

static bool set_debugcon(struct options *o, const char *value, struct complaint *c)
{
    o->debugcon = value;
    return true;
}

static bool fit_debug_exit(struct options *o, const char *port, const char *bytes, struct complaint *c)
{
    u64 base = 0x501, size = 2; /* as QEMU's isa-debug-exit has them */
    if ((port && (!whole_number(port, &base) || base > 0xffff)) ||
        (bytes && (!whole_number(bytes, &size) || (size != 1 && size != 2 && size != 4))) ||
        base + size > 0x10000)
        return COMPLAIN(c, "isa-debug-exit takes iobase=PORT and iosize=1, 2 or 4");
    o->debug_exit = true;
    o->debug_exit_port = (u16)base;
    o->debug_exit_bytes = (u8)size;
    return true;
}

static bool set_debug_exit(struct options *o, const char *value, struct complaint *c)
{
    return fit_debug_exit(o, value ? value : "0xf4", "4", c);
}

static bool set_device(struct options *o, const char *value, struct complaint *c)
{
    size_t length = strcspn(value, ",");
    if (strncmp(value, "isa-debug-exit", length) || length != strlen("isa-debug-exit"))
        return COMPLAIN(c, "there is no device \"%.*s\"; there is isa-debug-exit", (int)length, value);
    char *port = list_value(value, "iobase"), *bytes = list_value(value, "iosize");
    bool good = fit_debug_exit(o, port, bytes, c);
    free(port);
    free(bytes);
    return good;
}

static bool set_rtc(struct options *o, const char *value, struct complaint *c)
{
    char *base = list_value(value, "base");
    bool good = !base || set_rtc_base(o, base, c);
    free(base);
    return good;
}

static bool check_smp(struct options *o, const char *value, struct complaint *c)
{
    char *cpus = list_value(value, "cpus");
    bool one = !strcmp(cpus ? cpus : value, "1") || !strncmp(value, "1,", 2);
    free(cpus);
    return one ? true : COMPLAIN(c, "the machine has one CPU, -smp %s cannot be had", value);
}

static bool check_machine(struct options *o, const char *value, struct complaint *c)
{
    char *type = list_value(value, "type");
    const char *name = type ? type : value;
    bool pc =
        !strncmp(name, "pc", strcspn(name, ",")) || !strncmp(name, "pc-i440fx-", 10) || strchr(name, '=');
    free(type);
    return pc ? true : COMPLAIN(c, "there is no machine \"%s\"; there is pc", value);
}

static bool check_accelerator(struct options *o, const char *value, struct complaint *c)
{
    log_debug("-accel %s: Ringer is its own accelerator", value);
    return true;
}

static bool check_none(struct options *o, const char *value, struct complaint *c)
{
    return !strcmp(value, "none") ? true : COMPLAIN(c, "\"%s\" cannot be had; there is none", value);
}

static bool check_monitor(struct options *o, const char *value, struct complaint *c)
{
    return !strcmp(value, "none") || !strcmp(value, "null")
               ? true
               : COMPLAIN(c, "there is no monitor to put on \"%s\"", value);
}

static bool accept(struct options *o, const char *value, struct complaint *c)
{
    return true;
}

/* 2024-01-01 00:00:00 UTC: a deterministic run may not depend on today. */
#define DETERMINISTIC_RTC_BASE 1704067200

/* --- the table --- */

struct option_row {
    const char *name;
    const char *argument; /* NULL: none; "[=...]": optional, only behind '=' */
    const char *help;     /* NULL: another spelling of the row above */
    bool (*set)(struct options *o, const char *value, struct complaint *c);
    size_t flag; /* without a setter: offset in struct options of the bool to be set, + 1 */
};
#define SWITCH(field) NULL, offsetof(struct options, field) + 1

/* A row without a name is a heading. */
static const struct option_row rows[] = {
    {NULL, NULL, "What to boot", NULL, 0},
    {"kernel", "FILE", "a Linux bzImage, a Multiboot or a PVH kernel", set_kernel, 0},
    {"initrd", "FILE", "its initial RAM disk (Multiboot: its modules)", set_initrd, 0},
    {"append", "TEXT", "its command line", set_append, 0},
    {"no-unpack", NULL, "leave unpacking a compressed kernel to the guest (slower; random address)",
     SWITCH(boot.guest_unpacks)},
    {"bios", "FILE", "a firmware image, started at the reset vector", set_firmware, 0},

    {NULL, NULL, "Media", NULL, 0},
    {"hda", "FILE", "disk image in the first IDE drive; -hdb, -hdc, -hdd: in the others", set_hda, 0},
    {"hdb", "FILE", NULL, set_hdb, 0},
    {"hdc", "FILE", NULL, set_hdc, 0},
    {"hdd", "FILE", NULL, set_hdd, 0},
    {"cdrom", "FILE", "CD-ROM image in the third IDE drive", set_cdrom, 0},
    {"fda", "FILE", "floppy image in the first floppy drive; -fdb: in the second", set_fda, 0},
    {"fdb", "FILE", NULL, set_fdb, 0},
    {"drive", "LIST", "file=FILE,if=ide|virtio|floppy|none,format=raw|qcow2,media=disk|cdrom, ...", set_drive, 0},
    {"snapshot", NULL, "whatever is written to disks is forgotten at the end", SWITCH(drives.snapshot)},

    {NULL, NULL, "The machine", NULL, 0},
    {"memory", "SIZE", "guest memory: 512 or 512M, 1G, ... (default 128M)", set_memory, 0},
    {"m", "SIZE", NULL, set_memory, 0},
    {"cpu", "MODEL", "CPU model (default max: all that Ringer does on this host)", set_cpu, 0},
    {"serial", "TO", "next serial port: stdio, null, none, file:PATH (default stdio)", set_serial, 0},
    {"debugcon", "TO", "debug console at port E9h: stdio, null, file:PATH", set_debugcon, 0},
    {"debug-exit", "[=PORT]", "fit the debug exit port (default F4h): writing V ends with status 2V+1",
     set_debug_exit, 0},
    {"device", "DEVICE", "isa-debug-exit,iobase=PORT,iosize=N, as in QEMU", set_device, 0},
    {"rtc-base", "TIME", "clock at start: utc, localtime, 2024-01-31T23:59:59, Unix time", set_rtc_base, 0},
    {"rtc", "base=TIME", NULL, set_rtc, 0},
    {"no-kvm-clock", NULL, "do not offer KVM's paravirtual clock", SWITCH(no_kvm_clock)},
    {"no-isa-pnp", NULL, "no Plug and Play ISA card (Linux looks for one for 0.3 s longer)",
     SWITCH(no_isa_pnp)},
    {"no-reboot", NULL, "end when the guest resets or dies of a triple fault", SWITCH(no_reboot)},
    {"no-shutdown", NULL, "stay when the guest has stopped for good", SWITCH(no_shutdown)},

    {NULL, NULL, "Seeing what it does", NULL, 0},
    {"screen-dump", "FILE", "write the text screen there at the end and on SIGUSR1", set_screen_dump, 0},
    {"timeout", "SECONDS", "end with status 5 after that time", set_timeout, 0},
    {"stats", NULL, "print counters to stderr at the end", SWITCH(stats)},
    {"stats-json", "FILE", "write them there, as a JSON object", set_stats_json, 0},
    {"profile", "FILE", "folded stacks of where host time goes to FILE, tables to FILE.txt", set_profile, 0},
    {"perf-map", NULL, "write /tmp/perf-PID.map, so that perf names translated code", SWITCH(perf_map)},
    {"symbols", "FILE", "guest function names for these two, as in System.map", set_symbols, 0},
    {"trace", "FILE[,N]", "one line an instruction to FILE or stderr, from icount N (interpreter)", set_trace,
     0},
    {"debug", NULL, "say more on stderr", set_debug, 0},

    {NULL, NULL, "Engines, and testing them", NULL, 0},
    {"engine", "NAME", "translate (default) or interp", set_engine, 0},
    {"deterministic", NULL, "guest time is instructions executed: same inputs, same run",
     SWITCH(deterministic)},
    {"lockstep", "[=N]", "run both engines, compare every N instructions (default: every block)",
     set_lockstep, 0},
    {"cache-bytes", "SIZE", "code cache, metadata included (default 96M)", set_cache_bytes, 0},
    {"block-limit", "N", "guest instructions a block, 1 to 64", set_block_limit, 0},
    {"no-chaining", NULL, "every block returns to the dispatcher", SWITCH(translator.no_chaining)},
    {"no-inline-cache", NULL, "indirect branches go through the dispatcher",
     SWITCH(translator.no_inline_cache)},
    {"keep-locks", NULL, "LOCK prefixes are executed, though one vCPU needs none",
     SWITCH(translator.keep_locks)},
    {"no-checked-sites", NULL, "instructions that keep faulting in host windows stay there",
     SWITCH(translator.no_checked_sites)},
    {"no-relocation", NULL, "code mapped at another address is translated anew",
     SWITCH(translator.no_relocation)},
    {"no-site-cache", NULL, "indirect branches do not remember where they went",
     SWITCH(translator.no_site_cache)},
    {"no-return-stack", NULL, "guest returns are looked up like other indirect branches",
     SWITCH(translator.no_return_stack)},
    {"no-flag-lookahead", NULL, "arithmetic flags are live behind every block",
     SWITCH(translator.no_flag_lookahead)},
    {"no-superblocks", NULL, "every jump ends its block", SWITCH(translator.no_superblocks)},
    {"no-hoisting", NULL, "every memory access is checked by itself", SWITCH(translator.no_hoisting)},
    {"no-traces", NULL, "shadow tables are flushed as a TLB is, page tables not traced", SWITCH(no_traces)},
    {"windows", "WHEN[,N]", "host windows for user code: auto, always, never; N mappings at most",
     set_windows, 0},
    {"no-prefill", NULL, "a walk fills the one page asked for, not its neighbours", SWITCH(no_prefill)},
    {"no-fast-entry", NULL, "kernel entry, exit and segment loads take the general routines",
     SWITCH(translator.no_fast_entry)},
    {"no-bulk-strings", NULL, "repeated string instructions go element by element",
     SWITCH(translator.no_bulk_strings)},
    {"no-fpu-shelter", NULL, "save the whole FPU state before devices and other library code",
     SWITCH(no_fpu_shelter)},
    {"forced-slow", NULL, "every memory access takes the slow path", SWITCH(translator.forced_slow)},
    {"exact-flags", NULL, "arithmetic flags are right even in frames of faults",
     SWITCH(translator.exact_flags)},
    {"no-decode-memo", NULL, "every translated instruction is decoded from scratch",
     SWITCH(translator.no_decode_memo)},
    {"flush-every", "N", "flush the code cache every N exits", set_flush_every, 0},

    {NULL, NULL, "Accepted for QEMU's sake", NULL, 0},
    {"nographic", NULL, "escape keys work even if standard input is no terminal", SWITCH(nographic)},
    {"display", "none", "there is no window yet", check_none, 0},
    {"vga", "TYPE", "the text screen is always there: see --screen-dump", accept, 0},
    {"smp", "1", "one CPU", check_smp, 0},
    {"machine", "pc", "the one machine", check_machine, 0},
    {"M", "pc", NULL, check_machine, 0},
    {"accel", "ANY", "ignored", check_accelerator, 0},
    {"net", "none", "no network yet", check_none, 0},
    {"nic", "none", NULL, check_none, 0},
    {"monitor", "none", "no monitor", check_monitor, 0},
    {"nodefaults", NULL, "ignored", accept, 0},
    {"no-user-config", NULL, "ignored", accept, 0},
};

static const struct option_row *find_row(const char *name, size_t length)
{
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].name && !strncmp(rows[i].name, name, length) && !rows[i].name[length]) return &rows[i];
    return NULL;
}

static bool parse_one(int argc, char **argv, int *at, struct options *options, struct complaint *c)
{
    const char *word = argv[*at];
    if (word[0] != '-' || !word[1]) return COMPLAIN(c, "\"%s\" is not an option; see ringer help", word);
    const char *name = word + 1 + (word[1] == '-');
    size_t length = strcspn(name, "=");
    const char *value = name[length] ? name + length + 1 : NULL;
    const struct option_row *row = find_row(name, length);
    if (!row)
        return COMPLAIN(c, "there is no option \"%.*s\"; see ringer help", (int)(name + length - word), word);
    if (!row->argument && value) return COMPLAIN(c, "%s: the option takes no argument", word);
    if (row->argument && row->argument[0] != '[' && !value) {
        if (*at + 1 >= argc) return COMPLAIN(c, "%s: the argument %s is missing", word, row->argument);
        value = argv[++*at];
    }
    if (row->set) return row->set(options, value, c);
    *(bool *)((char *)options + row->flag - 1) = true;
    return true;
}

/* What only the whole command line can tell. */
static bool check_together(struct options *o, struct complaint *c)
{
    if (!o->boot.kernel && !o->boot.firmware)
        return COMPLAIN(c, "nothing to boot: give --kernel FILE or --bios FILE");
    if (!o->boot.kernel && o->boot.initrd) return COMPLAIN(c, "--initrd is for a --kernel, which is missing");
    if (!o->boot.kernel && o->boot.append) return COMPLAIN(c, "--append is for a --kernel, which is missing");
    if (o->lockstep && o->trace) return COMPLAIN(c, "--lockstep and --trace cannot be had together");
    if (o->lockstep && o->profile) return COMPLAIN(c, "--lockstep and --profile cannot be had together");
    if (o->symbols && !o->profile && !o->perf_map)
        return COMPLAIN(c, "--symbols is for --profile or --perf-map, which are missing");
    if (o->lockstep && o->engine == ENGINE_INTERP)
        return COMPLAIN(c, "--lockstep compares both engines: --engine=interp makes no sense with it");
    if (!drive_options_settle(&o->drives, c->text, c->bytes)) return false;
    if (!o->serial_count) o->serial[0] = "stdio";
    if (o->deterministic && o->rtc_base < 0) o->rtc_base = DETERMINISTIC_RTC_BASE;
    return true;
}

bool options_parse(int argc, char **argv, struct options *options, enum command *command, char *error,
                   size_t error_bytes)
{
    struct complaint complaint = {error, error_bytes};
    *options = (struct options){.memory_bytes = 128u << 20,
                                .cpu = cpu_model_find("max"),
                                .translator = translator_defaults(),
                                .rtc_base = RTC_BASE_NOW,
                                .timeout_ns = UINT64_MAX};
    *command = COMMAND_RUN;
    int at = 1;
    if (argc < 2 || !strcmp(argv[1], "help")) {
        *command = COMMAND_HELP;
        return true;
    }
    if (!strcmp(argv[1], "run"))
        at++;
    else if (argv[1][0] != '-')
        return COMPLAIN(&complaint, "there is no command \"%s\"; there are run and help", argv[1]);
    for (; at < argc; at++) {
        const char *word = argv[at];
        if (!strcmp(word, "--help") || !strcmp(word, "-help") || !strcmp(word, "-h")) {
            *command = COMMAND_HELP;
            return true;
        }
        if (!strcmp(word, "--version") || !strcmp(word, "-version")) {
            *command = COMMAND_VERSION;
            return true;
        }
        if (!parse_one(argc, argv, &at, options, &complaint)) return false;
    }
    return check_together(options, &complaint);
}

static void print_row(FILE *out, unsigned i)
{
    char left[64];
    int used = 0;
    unsigned last = i;
    while (last + 1 < ARRAY_SIZE(rows) && rows[last + 1].name && !rows[last + 1].help)
        last++;
    for (unsigned r = i; r <= last; r++) {
        const char *argument = rows[r].argument;
        used += snprintf(left + used, sizeof(left) - (size_t)used, "%s-%s%s%s%s", r == i ? "" : ", ",
                         rows[r].name[1] ? "-" : "", rows[r].name, argument && argument[0] != '[' ? " " : "",
                         argument ? argument : "");
    }
    fprintf(out, "  %-28s %s\n", left, rows[i].help);
}

void options_help(FILE *out)
{
    fputs("ringer run OPTION...    run a 32-bit x86 operating system, unmodified, as an ordinary process\n"
          "ringer help             this text\n"
          "ringer --version\n\n"
          "\"run\" may be left out. An option may have one dash or two, and its argument behind '=' or as "
          "the next word.\n",
          out);
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        if (!rows[i].name)
            fprintf(out, "\n%s\n", rows[i].help);
        else if (rows[i].help)
            print_row(out, i);
    }
    fputs("\nKeys, when standard input is a terminal\n"
          "  Ctrl-A x   quit           Ctrl-A h   help           Ctrl-A a   send Ctrl-A\n"
          "  All others, Ctrl-C among them, go to the guest.\n"
          "\nExit status\n"
          "  0   the guest stopped for good (powered off, halted with interrupts off), or you quit\n"
          "  1   the guest cannot go on: triple fault with --no-reboot, ...\n"
          "  2   bad option or bad input file: nothing was run\n"
          "  3   the host refused something (memory, a file, the terminal)\n"
          "  4   --lockstep found a difference\n"
          "  5   --timeout ran out\n"
          "  2V+1   the guest wrote V to the debug exit port\n",
          out);
}
