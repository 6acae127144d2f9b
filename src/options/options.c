/*
 * The command line. See options.h; the tables are in options_*.c.
 */
#include "options_table.h"

#include "base/log.h"
#include "cpu/cpuid.h"
#include "mmu/phys.h"

#include <stdlib.h>
#include <string.h>

/* 2024-01-01 00:00:00 UTC: a deterministic run must not depend on the date. */
#define DETERMINISTIC_RTC_BASE 1704067200

/* In the order of ringer help. */
static const struct option_group *const groups[] = {
    &options_boot,    &options_drives, &options_machine, &options_firmware, &options_devices,
    &options_net,     &options_share,  &options_control, &options_display,  &options_observe,
    &options_engines, &options_qemu,   &options_testing,
};

static const struct option_row *find_row(const char *name, size_t length)
{
    for (unsigned g = 0; g < ARRAY_SIZE(groups); g++)
        for (unsigned i = 0; i < groups[g]->count; i++) {
            const struct option_row *row = &groups[g]->rows[i];
            if (!strncmp(row->name, name, length) && !row->name[length]) return row;
        }
    return NULL;
}

static bool ignore(const struct option_row *row, const char *value)
{
    static const struct option_row *told[32];
    for (unsigned n = 0; n < ARRAY_SIZE(told); n++) {
        if (told[n] == row) return true;
        if (told[n]) continue;
        told[n] = row;
        break;
    }
    log_warn("-%s%s%s has no effect: %s", row->name, value ? " " : "", value ? value : "", row->ignored);
    return true;
}

static bool parse_one(int argc, char **argv, int *at, struct options *options, struct complaint *c)
{
    const char *word = argv[*at];
    if (options->as_qemu && word[0] != '-') /* a bare file is a disk */
        return drive_options_add_file(&options->board.drives, word, DRIVE_IDE, 0, MEDIUM_DISK, c->text,
                                      c->bytes);
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
    if (row->ignored) return ignore(row, value);
    if (row->set) return row->set(options, value, c);
    if (row->flag) *(bool *)((char *)options + row->flag - 1) = true;
    if (row->string) *(const char **)((char *)options + row->string - 1) = value;
    return true;
}

static bool wants_window(const struct options *o)
{
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    bool desktop = (x && *x) || (wayland && *wayland);
    return desktop && !o->boot.kernel && !o->board.nographic && !o->vnc && !o->board.serial_count;
}

bool options_settle_cpu(struct options *o, bool is_64bit_kernel, char *error, size_t error_bytes)
{
    struct complaint complaint = {error, error_bytes}, *c = &complaint;
    if (is_64bit_kernel && !o->cpu_given) o->cpu = cpu_model_find("max64");
    u64 reach = 1ull << o->cpu->maxphyaddr, most = PHYS_LOW_RAM_END;
    if (reach > PHYS_HIGH_RAM) most += reach - PHYS_HIGH_RAM;
    if (o->board.memory_bytes <= most) return true;
    return COMPLAIN(
        c, "the CPU model %s reaches %lluG of memory at most: it has %u address lines, and PCI takes 1G",
        o->cpu->name, (unsigned long long)most >> 30, o->cpu->maxphyaddr);
}

/* Checks that need the whole command line. */
static bool check_together(const struct options *o, struct complaint *c)
{
    if (!o->boot.kernel && !o->boot.firmware && !o->boot_plan.option_roms && !o->board.drives.count &&
        !o->board.boots_network)
        return COMPLAIN(c, "nothing to boot: give a disk (-hda FILE), a CD (-cdrom FILE), a kernel (--kernel "
                           "FILE), -boot n, ...");
    if (!o->boot.kernel && o->boot.initrd) return COMPLAIN(c, "--initrd needs a --kernel, which is missing");
    if (!o->boot.kernel && o->boot.append) return COMPLAIN(c, "--append needs a --kernel, which is missing");
    if (o->lockstep && o->event_log.categories)
        return COMPLAIN(c, "--lockstep and --trace exclude each other");
    const struct event_log_options *log = &o->event_log;
    if (log->categories && (log->from || log->to != UINT64_MAX) && !o->deterministic &&
        o->engine != ENGINE_INTERP)
        return COMPLAIN(
            c, "--trace: from and to count instructions, which needs --deterministic or --engine=interp");
    if (o->lockstep && o->hot_blocks) return COMPLAIN(c, "--lockstep and --hot-blocks exclude each other");
    if (o->lockstep && o->profile) return COMPLAIN(c, "--lockstep and --profile exclude each other");
    if (o->symbols && !o->profile && !o->perf_map)
        return COMPLAIN(c, "--symbols needs --profile or --perf-map, which are missing");
    if (o->lockstep && o->engine == ENGINE_INTERP)
        return COMPLAIN(c,
                        "--lockstep and --engine=interp exclude each other: lockstep compares both engines");
    if (o->lockstep && o->board.net.count)
        return COMPLAIN(c, "--lockstep and a network exclude each other: received frames are not recorded");
    if (o->lockstep && o->board.shares.count)
        return COMPLAIN(
            c, "--lockstep and a shared folder exclude each other: both machines would change its files");
    if (o->keys && o->typed) return COMPLAIN(c, "--keys and --type exclude each other");
    if (o->keys && !strcmp(o->keys, "-") && o->lockstep)
        return COMPLAIN(c, "--lockstep runs a script of keys twice: give it in a file");
    if (o->board.nographic && o->display == DISPLAY_WINDOW)
        return COMPLAIN(c, "-nographic and a window exclude each other");
    return true;
}

/* What serial ports and monitors name must be there. */
static bool settle_chardevs(const struct options *o, struct complaint *c)
{
    const struct device_options *devices = &o->board.devices;
    const struct control_options *control = &o->control;
    const char *missing = NULL;
    unsigned stdios = 0;
    for (unsigned n = 0; n < o->board.serial_count; n++)
        if (o->board.serial[n] && !device_options_chardev(devices, o->board.serial[n]))
            missing = o->board.serial[n];
    if (o->board.parallel && !device_options_chardev(devices, o->board.parallel)) missing = o->board.parallel;
    for (unsigned n = 0; n < control->monitors; n++)
        if (!device_options_chardev(devices, control->monitor[n].chardev))
            missing = control->monitor[n].chardev;
    if (missing) return COMPLAIN(c, "there is no -chardev with the id \"%s\"", missing);
    for (unsigned n = 0; n < devices->chardevs; n++)
        stdios += devices->chardev[n].kind == CHAR_STDIO;
    if (stdios && o->daemonize) return COMPLAIN(c, "-daemonize leaves no standard input for a chardev");
    return stdios < 2
               ? true
               : COMPLAIN(c, "there are two chardevs of standard input: give one mux=on, and name it twice");
}

/* Networks that another program serves at the socket of a chardev. */
static bool settle_networks(struct options *o, struct complaint *c)
{
    for (unsigned n = 0; n < o->board.net.count; n++) {
        const struct netdev_option *netdev = &o->board.net.netdev[n];
        if (netdev->kind == NETDEV_VHOST_USER &&
            !device_options_lend(&o->board.devices, netdev->chardev, c->text, c->bytes))
            return false;
    }
    return true;
}

/* Drives and devices name each other, so this needs the whole command line too. */
static bool settle_devices(struct options *o, struct complaint *c)
{
    struct device_options *devices = &o->board.devices;
    struct drive_options *drives = &o->board.drives;
    return options_add_agents(o, c) && options_settle_cards(o, c) &&
           device_options_take_drives(devices, drives, c->text, c->bytes) &&
           drive_options_settle(drives, c->text, c->bytes) &&
           device_options_settle(devices, drives, c->text, c->bytes) && settle_networks(o, c) &&
           settle_chardevs(o, c);
}

/* Has a monitor standard input, so that the first serial port does not get it? */
static bool monitor_on_stdio(const struct options *o)
{
    for (unsigned n = 0; n < o->control.monitors; n++) {
        const struct char_options *chardev =
            device_options_chardev(&o->board.devices, o->control.monitor[n].chardev);
        if (chardev && chardev->kind == CHAR_STDIO) return true;
    }
    return false;
}

/* Defaults that depend on other options. */
static void fill_in_defaults(struct options *o, struct complaint *c)
{
    if (o->display == DISPLAY_AUTO) o->display = wants_window(o) ? DISPLAY_WINDOW : DISPLAY_NONE;
    if (!o->board.audio) o->board.audio = o->display == DISPLAY_WINDOW && !o->deterministic ? "auto" : "none";
    /* With a window, Ctrl-C in the terminal should end Ringer, so the serial port does not take the terminal. */
    if (!o->board.serial_count && !o->nodefaults && !device_options_type_from_stdio(&o->board.devices))
        o->board.serial[0] = device_options_chardev_for(
            &o->board.devices, "serial0",
            o->display == DISPLAY_WINDOW || o->daemonize || monitor_on_stdio(o) ? "null" : "stdio", c->text,
            c->bytes);
    control_options_fill_in(o);
    if (o->nodefaults && !o->video_given) o->board.video = VIDEO_NONE;
    /* Both machines write the same data. Neither may see the writes of the other. */
    if (o->lockstep) o->board.drives.snapshot = true;
    if (o->deterministic && o->board.rtc_base < 0) o->board.rtc_base = DETERMINISTIC_RTC_BASE;
}

bool options_parse(int argc, char **argv, const struct device_type *const *types, struct options *options,
                   enum command *command, char *error, size_t error_bytes)
{
    struct complaint complaint = {error, error_bytes};
    *options = (struct options){.board = {.memory_bytes = 128u << 20,
                                          .rtc_base = RTC_BASE_NOW,
                                          .devices = {.types = types},
                                          .firmware = {.bios_release = {0xff, 0xff}}},
                                .cpu = cpu_model_find("max"),
                                .translator = translator_defaults(),
                                .boot_plan = {.order = {BOOT_DISK, BOOT_FLOPPY, BOOT_CD}, .fail_wait_ms = -1},
                                .timeout_ns = UINT64_MAX,
                                .sandbox = true,
                                .window_closes = true};
    *command = COMMAND_RUN;
    int at = 1;
    const char *name = argc ? strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0] : "";
    options->as_qemu = !strncmp(name, "qemu-system-", 12);
    options->as_x86_64 = !strcmp(name, "qemu-system-x86_64");
    if (options->as_x86_64) options->cpu = cpu_model_find("max64");
    if (options->as_qemu && argc > 1) {
        /* no commands */
    } else if (argc < 2 || !strcmp(argv[1], "help")) {
        static const struct {
            const char *word;
            enum command command;
        } topics[] = {{"keys", COMMAND_HELP_KEYS},
                      {"bash", COMMAND_HELP_BASH},
                      {"zsh", COMMAND_HELP_ZSH},
                      {"devices", COMMAND_HELP_DEVICES},
                      {"testing", COMMAND_HELP_TESTING}};
        *command = COMMAND_HELP;
        for (unsigned n = 0; n < ARRAY_SIZE(topics) && argc > 2; n++)
            if (!strcmp(argv[2], topics[n].word)) *command = topics[n].command;
        if (argc > 2 && *command == COMMAND_HELP)
            return COMPLAIN(&complaint, "there is no help on \"%s\"; there is on devices, keys and testing",
                            argv[2]);
        return true;
    }
    if (options->as_qemu)
        at = 1;
    else if (!strcmp(argv[1], "run"))
        at++;
    else if (argv[1][0] != '-')
        return COMPLAIN(&complaint,
                        "there is no command \"%s\"; there are run, new, start, stop, list, edit, remove, "
                        "window, ctl, watch, inspect, disk, census, explain, simulate and help",
                        argv[1]);
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
        if (options->help != COMMAND_RUN) {
            *command = options->help;
            return true;
        }
    }
    if (!check_together(options, &complaint) || !settle_devices(options, &complaint)) return false;
    fill_in_defaults(options, &complaint);
    return true;
}

#define LEFT_COLUMN 28

/* A row and its other spellings. Returns how many rows that was. */
static unsigned print_row(FILE *out, const struct option_row *row, unsigned left_over)
{
    char left[80];
    int used = 0;
    unsigned count = 1;
    while (count < left_over && !row[count].help)
        count++;
    for (unsigned r = 0; r < count; r++) {
        const char *argument = row[r].argument;
        used += snprintf(left + used, sizeof(left) - (size_t)used, "%s-%s%s%s%s", r == 0 ? "" : ", ",
                         row[r].name[1] ? "-" : "", row[r].name, argument && argument[0] != '[' ? " " : "",
                         argument ? argument : "");
    }
    if (used > LEFT_COLUMN)
        fprintf(out, "  %s\n  %*s %s\n", left, LEFT_COLUMN, "", row->help);
    else
        fprintf(out, "  %-*s %s\n", LEFT_COLUMN, left, row->help);
    return count;
}

void options_release(struct options *options)
{
    drive_options_release(&options->board.drives);
    device_options_release(&options->board.devices);
    net_options_release(&options->board.net);
    share_options_release(&options->board.shares);
    firmware_options_release(&options->board.firmware);
    control_options_release(&options->control);
}

static void print_group(const struct option_group *group, FILE *out)
{
    fprintf(out, "\n%s\n", group->heading);
    for (unsigned i = 0; i < group->count;)
        i += print_row(out, &group->rows[i], group->count - i);
}

void options_help_testing(FILE *out)
{
    fputs(
        "Options for tests of Ringer itself. Most disable or force one mechanism, and the guest must compute "
        "the\n"
        "same with and without it. No guest needs them.\n",
        out);
    print_group(&options_testing, out);
}

/* Programs look for rows that begin with "-option". */
void options_help_qemu(FILE *out)
{
    for (unsigned g = 0; g < ARRAY_SIZE(groups); g++)
        for (unsigned n = 0; n < groups[g]->count && groups[g] != &options_testing; n++) {
            const struct option_row *row = &groups[g]->rows[n];
            const char *help = row->help ? row->help : "another spelling of the option above";
            fprintf(out, "-%s %s\n                %s\n", row->name, row->argument ? row->argument : "", help);
        }
}

/* All groups but the last one, which is for tests. */
void options_help_completion(enum command command, FILE *out)
{
    options_completion(command, groups, ARRAY_SIZE(groups) - 1, out);
}

static void print_events(FILE *out)
{
    for (unsigned n = 0; n < EVENT_CATEGORIES; n++)
        fprintf(out, "%-14s %s\n", event_categories[n].name, event_categories[n].help);
    fputs("\nlines: TIME CATEGORY EVENT FIELDS, with TIME in nanoseconds of the guest's clock\n", out);
    for (unsigned n = 0; n < EVENTS; n++)
        fprintf(out, "%s %s%s%s\n", event_categories[event_rows[n].category].name, event_rows[n].name,
                *event_rows[n].fields ? " " : "", event_rows[n].fields);
}

void options_help_values(enum command command, FILE *out)
{
    switch (command) {
    case COMMAND_HELP_CPUS:
        fputs("Available CPUs:\n", out);
        for (const char *const *name = cpu_model_names(); *name; name++)
            fprintf(out, "x86 %s\n", *name);
        break;
    case COMMAND_HELP_MACHINES:
        fputs("Supported machines are:\n"
              "pc                   Standard PC (i440FX + PIIX) (alias of pc-i440fx-7.2)\n"
              "pc-i440fx-7.2        Standard PC (i440FX + PIIX) (default)\n",
              out);
        break;
    case COMMAND_HELP_EVENTS: print_events(out); break;
    case COMMAND_HELP_DISPLAYS: fputs("Available display backend types:\nnone\nsdl\nvnc\n", out); break;
    default: break;
    }
}

void options_help(FILE *out)
{
    fputs("ringer run OPTION...     run an x86 operating system, unmodified, as an ordinary process\n"
          "ringer disk ...          make, show and convert disk images; without arguments: usage\n"
          "ringer new NAME ...      make a machine that is kept; ringer start|stop|edit|remove NAME; ringer "
          "list\n"
          "ringer window            the same in a window\n"
          "ringer ctl NAME ...      commands for a machine that runs; without arguments: which run\n"
          "ringer watch NAME        what a running machine does, live; ringer inspect NAME ADDRESS: its "
          "mappings\n"
          "ringer census            which instructions are privileged, sensitive, innocuous on this host\n"
          "ringer explain           guest code beside its translation, and why; without arguments: usage\n"
          "ringer simulate          replacement policies of the code cache, on a log of --block-log\n"
          "ringer help              this text\n"
          "ringer help devices      what -device can add; also: -device NAME,help\n"
          "ringer help keys         the language of scripts for --keys\n"
          "ringer help bash         a completion script for bash; ringer help zsh: for zsh\n"
          "ringer help testing      options for tests of Ringer itself\n"
          "ringer --version\n\n"
          "\"run\" may be left out. An option may have one dash or two, and its argument behind '=' or as "
          "the next word.\n"
          "\nExamples\n"
          "  ringer -cdrom debian.iso -hda disk.qcow2 -m 512\n"
          "  ringer --kernel vmlinuz --initrd initrd.img --append console=ttyS0\n",
          out);
    for (unsigned g = 0; g < ARRAY_SIZE(groups); g++)
        if (groups[g] != &options_testing) print_group(groups[g], out);
    fputs("\nKeys, when standard input is a terminal\n"
          "  Ctrl-A x   quit           Ctrl-A h   help           Ctrl-A a   send Ctrl-A\n"
          "  Ctrl-A b   send a break   Ctrl-A c   monitor        Ctrl-A t   time stamps\n"
          "  All others, Ctrl-C among them, go to the guest.\n"
          "\nKeys in the window, with Ctrl and Alt held\n"
          "  F   full screen            G   grab or release the mouse     U   the picture's own size\n"
          "  P   pause or resume        R   reset\n"
          "  Closing the window presses the power button; closing it again switches off.\n"
          "\nExit status\n"
          "  0   the guest powered off, halted for good (with interrupts off), or reset itself under\n"
          "      --no-reboot; or you quit\n"
          "  1   the guest cannot go on: a triple fault with --no-reboot, or triple faults soon after each "
          "reset\n"
          "  2   bad option or bad input file: nothing was run\n"
          "  3   the host refused something (memory, a file, the terminal)\n"
          "  4   --lockstep found a difference\n"
          "  5   --timeout ran out, or a script of keys waited for something that did not come\n"
          "  2V+1   (its low eight bits) the guest wrote V to the debug exit port\n"
          "  1 to 5, and a guest that halted for good, are explained by a line \"ringer: ...\" on standard "
          "error. If\n"
          "  1, 3 or 5 is the guest's 2V+1, the line is \"ringer: the guest wrote ...\". Statuses from 7 on "
          "are "
          "always\n"
          "  the guest's.\n",
          out);
}
