/*
 * The command line: both spellings of every option, and one clear sentence for every error.
 */
#include "board/device_table.h"
#include "cpu/cpuid.h"
#include "options/options.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>

static struct options options;
static enum command command;
static char error[512];

#define MAX_WORDS 24

/* Parse a line split at blanks. */
static bool parse_as_is(const char *line)
{
    static char text[512];
    static char *words[MAX_WORDS];
    int count = 0;
    snprintf(text, sizeof(text), "%s", line);
    for (char *word = strtok(text, " "); word && count < MAX_WORDS; word = strtok(NULL, " "))
        words[count++] = word;
    error[0] = 0;
    options_release(&options);
    return options_parse(count, words, device_table, &options, &command, error, sizeof(error));
}

/* The same for a machine without a network card: its devices are those of the line. */
static bool parse(const char *line)
{
    static char text[512];
    snprintf(text, sizeof(text), "%s%s", line, strstr(line, " -") ? " -net none" : "");
    return parse_as_is(text);
}

static bool complains(const char *line, const char *about)
{
    bool good = parse(line);
    if (!good && strstr(error, about) && !strchr(error, '\n')) return true;
    printf("%s: %s\n", line, good ? "accepted" : error);
    return false;
}

static bool goes(const struct char_options *chardev, const char *where)
{
    char text[128];
    if (!chardev) return false;
    char_options_describe(chardev, text, sizeof(text));
    return !strcmp(text, where);
}

static bool serial_goes(unsigned n, const char *where)
{
    const char *id = options.board.serial[n];
    return id && goes(device_options_chardev(&options.board.devices, id), where);
}

static void test_both_spellings(void)
{
    static const char *const lines[] = {
        "ringer run --kernel k --initrd i --memory 1G --cpu=max --engine=interp --no-reboot",
        "ringer -kernel k -initrd i -m 1024 -cpu max -engine interp -no-reboot",
        "ringer run -kernel=k -initrd=i -m size=1024M --cpu max --engine interp --no-reboot",
    };
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        CHECK(parse(lines[i]));
        CHECK_EQ(command, COMMAND_RUN);
        CHECK(options.boot.kernel && !strcmp(options.boot.kernel, "k"));
        CHECK(options.boot.initrd && !strcmp(options.boot.initrd, "i"));
        CHECK_EQ(options.board.memory_bytes, 1ull << 30);
        CHECK_EQ(options.engine, ENGINE_INTERP);
        CHECK(options.no_reboot);
        CHECK(serial_goes(0, "stdio"));
    }
}

static bool fits(const char *line, bool is_64bit_kernel)
{
    return parse(line) && options_settle_cpu(&options, is_64bit_kernel, error, sizeof(error));
}

static bool is_beyond(const char *line, const char *limit)
{
    return parse(line) && !options_settle_cpu(&options, false, error, sizeof(error)) &&
           strstr(error, limit) && !strchr(error, '\n');
}

/* RAM beyond 3 GB begins at 4 GB. A CPU with 32 address lines does not reach it, and one with 36 does not reach the end
 * of 64 GB. */
static void test_memory(void)
{
    CHECK(fits("ringer -kernel k -m 63G", false));
    CHECK_EQ(options.board.memory_bytes, 63ull << 30);
    CHECK(is_beyond("ringer -kernel k -m 64G", "63G"));
    CHECK(is_beyond("ringer -kernel k -m 64513", "63G"));
    CHECK(fits("ringer -kernel k -m 64G", true));
    CHECK(fits("ringer -kernel k -m 64G -cpu qemu64", false));
    CHECK(complains("ringer -kernel k -m 65G -cpu max64", "64G"));
    CHECK(fits("ringer -kernel k -m 3G -cpu pentium", false));
    CHECK(is_beyond("ringer -m 3073 -kernel k -cpu pentium", "3G"));
}

/* A model that the user names stays. */
static void test_settled_cpu(void)
{
    CHECK(fits("ringer -kernel k", false) && !strcmp(options.cpu->name, "max"));
    CHECK(fits("ringer -kernel k", true) && !strcmp(options.cpu->name, "max64"));
    CHECK(fits("ringer -kernel k -cpu max", true) && !strcmp(options.cpu->name, "max"));
}

/* As QEMU spells it. */
static void test_hpet(void)
{
    CHECK(parse("ringer -kernel k") && !options.board.hpet);
    CHECK(parse("ringer -kernel k -machine hpet=on") && options.board.hpet);
    CHECK(parse("ringer -kernel k -M pc,accel=tcg,hpet=on") && options.board.hpet);
    CHECK(parse("ringer -kernel k -M pc,hpet=off") && !options.board.hpet);
    CHECK(parse("ringer -kernel k -no-hpet") && !options.board.hpet);
    CHECK(complains("ringer -kernel k -machine hpet=perhaps", "on or off"));
}

static void test_network(void)
{
    CHECK(parse("ringer -kernel k -netdev user,id=n,net=192.168.7.0/24,hostfwd=tcp:127.0.0.1:8022-:22 "
                "-device e1000,netdev=n"));
    CHECK_EQ(options.board.net.count, 1);
    CHECK(!strcmp(options.board.net.netdev[0].id, "n"));
    CHECK(parse("ringer -kernel k -device virtio-net-pci,netdev=n,mac=52:54:00:00:00:01 -netdev user,id=n"));
    CHECK_EQ(device_number(&options.board.devices.device[0], "mac"), 0x525400000001);
    CHECK(parse("ringer -kernel k -nic user,model=virtio,restrict=on,mac=52:54:00:00:00:02"));
    CHECK(!strcmp(options.board.devices.device[0].type->name, "virtio-net-pci"));
    CHECK(parse("ringer -kernel k -net nic,model=e1000 -net user"));
    CHECK(parse("ringer -kernel k -net none -nic none"));
    CHECK_EQ(options.board.net.count, 0);
    CHECK(complains("ringer -kernel k -netdev user", "id="));
    CHECK(complains("ringer -kernel k -netdev slip,id=n", "slip"));
    CHECK(complains("ringer -kernel k -netdev user,id=n,colour=red", "colour"));
    CHECK(complains("ringer -kernel k -netdev user,id=n,hostfwd=tcp:8022", "tcp:8022"));
    CHECK(complains("ringer -kernel k -netdev user,id=n,net=10.0.2", "10.0.2"));
    CHECK(complains("ringer -kernel k -netdev tap,id=n", "ifname"));
    CHECK(complains("ringer -kernel k -netdev stream,id=n,server=on", "connect"));
    CHECK(complains("ringer -kernel k -device e1000,mac=01:00:00:00:00:00", "mac"));
    CHECK(complains("ringer -kernel k -nic user --lockstep", "network"));
}

static void test_chardevs(void)
{
    const struct char_options *c = options.board.devices.chardev;
    const struct control_options *control = &options.control;
    CHECK(parse("ringer -kernel k -chardev socket,id=a,path=/tmp/a,,b,server=on,wait=off -serial chardev:a "
                "-serial tcp:localhost:4444,server,nowait -serial telnet::4445 -serial unix:/s,reconnect=2"));
    CHECK(c[0].kind == CHAR_SOCKET && !strcmp(c[0].path, "/tmp/a,b") && c[0].server && !c[0].wait);
    CHECK(!strcmp(options.board.serial[0], "a") && serial_goes(1, "tcp:localhost:4444,server=on"));
    CHECK(!c[1].wait && c[1].server && !c[1].telnet);
    CHECK(serial_goes(2, "telnet::4445") && c[2].telnet && !c[2].server && !c[2].host);
    CHECK(serial_goes(3, "unix:/s") && c[3].reconnect_s == 2);
    CHECK_EQ(control->monitors, 0); /* no terminal */
    /* Standard input and output are one chardev. */
    CHECK(parse("ringer -kernel k -serial mon:stdio -debugcon stdio -qmp unix:/q,server=on,wait=off"));
    CHECK_EQ(options.board.devices.chardevs, 2);
    CHECK(c[0].mux && !strcmp(c[0].id, "serial0"));
    CHECK(control->monitors == 2 && !control->monitor[0].qmp &&
          !strcmp(control->monitor[0].chardev, "serial0"));
    CHECK(control->monitor[1].qmp && !strcmp(control->monitor[1].chardev, c[1].id));
    CHECK(parse("ringer -kernel k -chardev stdio,id=s,mux=on,signal=off -serial chardev:s -mon "
                "chardev=s,mode=readline -monitor none -echr 20"));
    CHECK(control->monitors == 1 && !strcmp(control->monitor[0].chardev, "s") && control->escape == 20);
    CHECK(parse("ringer -kernel k -mon chardev=q,mode=control,pretty=on -chardev null,id=q"));
    CHECK(control->monitor[0].qmp && control->monitor[0].pretty && !strcmp(control->monitor[0].chardev, "q"));
    CHECK(control->monitors == 2); /* and one behind Ctrl-A c */
    CHECK(parse("ringer -kernel k -nodefaults"));
    CHECK(!options.board.serial[0] && !control->monitors && options.board.video == VIDEO_NONE);
    CHECK(parse("ringer -kernel k -nodefaults -vga std -serial pty -S"));
    CHECK(serial_goes(0, "pty") && options.board.video == VIDEO_STANDARD && control->stopped);
    CHECK(parse(
        "ringer -kernel k -chardev ringbuf,id=r,size=4k -chardev file,id=f,path=/proc/self/fd/1,append=on "
        "-chardev pipe,id=p,path=/p,logfile=l,logappend=on"));
    CHECK(c[0].size == 4096 && c[1].append && !strcmp(c[2].log, "l") && c[2].log_append);
}

/* A machine has an e1000 on a user network, as QEMU's has, unless an option says something about the network. */
static void test_default_card(void)
{
    static const char *const without[] = {
        "ringer -kernel k -nodefaults", "ringer -kernel k -net none",
        "ringer -kernel k -nic none",   "ringer -kernel k --deterministic",
        "ringer -kernel k --lockstep",  "ringer -kernel k -netdev user,id=n"};
    const struct device_options *devices = &options.board.devices;
    CHECK(parse_as_is("ringer -kernel k -device virtio-rng-pci"));
    CHECK_EQ(devices->count, 2);
    CHECK(!strcmp(devices->device[0].type->name, "e1000"));
    CHECK_EQ(options.board.net.netdev[0].kind, NETDEV_USER);
    for (unsigned n = 0; n < ARRAY_SIZE(without); n++) {
        CHECK(parse_as_is(without[n]));
        CHECK_EQ(devices->count, 0);
    }
    CHECK(parse_as_is("ringer -kernel k -net none -netdev user,id=n -device virtio-net-pci,netdev=n"));
    CHECK_EQ(devices->count, 1);
    CHECK_EQ(options.board.net.count, 1);
    /* Cards of -nic come first on the bus, wherever the option stands. */
    CHECK(
        parse("ringer -kernel k -device virtio-rng-pci -nic user,model=virtio -nic user,model=e1000,addr=9"));
    CHECK_EQ(devices->count, 3);
    CHECK(!strcmp(devices->device[0].type->name, "virtio-net-pci"));
    CHECK(!strcmp(devices->device[1].type->name, "e1000"));
    CHECK_EQ(device_number(&devices->device[1], "addr"), 9);
    /* A card of "-net nic" alone has a cable that leads nowhere. */
    CHECK(parse("ringer -kernel k -net nic,model=virtio"));
    CHECK_EQ(devices->count, 1);
    CHECK(!device_text(&devices->device[0], "netdev"));
    CHECK(complains("ringer -kernel k -nic user,model=virtio-blk-pci", "no network card"));
}

/* Hazards: -global that stands behind its -device, or before; that overrides what the -device says; a list cut at a
 * comma within a text. */
static void test_what_the_guest_is_told(void)
{
    const struct firmware_options *told = &options.board.firmware;
    const struct device_options *devices = &options.board.devices;
    CHECK(parse("ringer -kernel k -smbios type=1,serial=S,,7,product=P -smbios type=0,release=2.7 -smbios "
                "type=11,value=a=b,value=c -uuid 00112233-4455-6677-8899-aabbccddeeff"));
    CHECK(!strcmp(told->field[SYSTEM_SERIAL], "S,7") && !strcmp(told->field[SYSTEM_PRODUCT], "P"));
    CHECK(told->bios_release[0] == 2 && told->bios_release[1] == 7);
    CHECK(told->oem_count == 2 && !strcmp(told->oem[0], "a=b"));
    CHECK(told->has_uuid && told->uuid[0] == 0 && told->uuid[15] == 0xff && told->uuid[6] == 0x66);
    CHECK(parse("ringer -kernel k -fw_cfg name=opt/a,string=x=1 -fw_cfg opt/b,file=f"));
    CHECK(told->items == 2 && !strcmp(told->item[0].string, "x=1") && !strcmp(told->item[1].file, "f"));
    CHECK(complains("ringer -kernel k -uuid 1", "UUID"));
    CHECK(complains("ringer -kernel k -smbios type=1,colour=red", "colour"));
    CHECK(complains("ringer -kernel k -smbios type=0,release=2", "MAJOR.MINOR"));
    CHECK(complains("ringer -kernel k -smbios file=/no/such", "/no/such"));
    CHECK(complains("ringer -kernel k -fw_cfg opt/a", "opt/a"));
    CHECK(complains("ringer -kernel k -fw_cfg opt/a,string=x,file=y", "opt/a"));

    CHECK(parse("ringer -kernel k -device e1000 -global e1000.mac=52:54:00:00:00:01 -device "
                "e1000,mac=52:54:00:00:00:02"));
    CHECK_EQ(device_number(&devices->device[0], "mac"), 0x525400000001ull);
    CHECK_EQ(device_number(&devices->device[1], "mac"), 0x525400000002ull);
    CHECK(parse("ringer -kernel k -drive file=d,if=virtio,format=raw -global "
                "driver=virtio-blk-pci,property=serial,value=S -global no.such=1"));
    CHECK(!strcmp(device_text(&devices->device[0], "serial"), "S"));
    CHECK(complains("ringer -kernel k -device e1000 -global e1000.mac=red", "mac"));
    CHECK(complains("ringer -kernel k -global nonsense", "nonsense"));
}

/* A link named as QEMU's program (hazards: a script that ends at an option which only tunes QEMU). */
static void test_called_as_qemu(void)
{
    CHECK(parse(
        "/usr/bin/qemu-system-i386 disk.img -smp 4,sockets=2 -uuid 12345678-9abc-def0-1234-56789abcdef0 "
        "-overcommit mem-lock=on -sandbox on "
        "-boot "
        "order=c,strict=on,menu=off -rtc base=utc,clock=host,driftfix=slew -name guest=g,debug-threads=on "
        "-global PIIX4_PM.disable_s3=1 -enable-kvm -parallel none -msg timestamp=on -only-migratable"));
    CHECK(options.as_qemu && options.board.drives.count == 1 &&
          !strcmp(options.board.drives.drive[0].file, "disk.img"));
    CHECK(!strcmp(options.board.name, "g"));
    CHECK(parse("qemu-system-x86_64 -version") && command == COMMAND_VERSION && options.as_qemu);
    CHECK(parse("qemu-system-i386 -kernel k -pidfile p -daemonize") && options.daemonize &&
          !strcmp(options.pid_file, "p"));
    CHECK(serial_goes(0, "null"));
    static const struct {
        const char *line;
        enum command command;
    } helps[] = {
        {"ringer -machine help", COMMAND_HELP_MACHINES}, {"ringer -M help", COMMAND_HELP_MACHINES},
        {"ringer -cpu help", COMMAND_HELP_CPUS},         {"ringer -chardev help", COMMAND_HELP_CHARDEVS},
        {"ringer -display help", COMMAND_HELP_DISPLAYS}, {"ringer -netdev help", COMMAND_HELP_NETDEVS},
        {"ringer -device help", COMMAND_HELP_DEVICES}};
    for (unsigned n = 0; n < ARRAY_SIZE(helps); n++)
        CHECK(parse(helps[n].line) && command == helps[n].command);
    CHECK(complains("ringer disk.img -kernel k", "no command"));
}

static void test_qemu_line(void)
{
    CHECK(parse(
        "ringer -M pc -accel tcg -smp 1 -m 128 -nographic -display none -net none -serial mon:stdio -kernel "
        "k "
        "-device isa-debug-exit,iobase=0xf4,iosize=0x04 -debugcon file:x -rtc base=2006-06-17T16:01:21"));
    CHECK_EQ(options.board.memory_bytes, 128u << 20);
    const struct device_options *devices = &options.board.devices;
    CHECK(options.board.nographic);
    CHECK_EQ(devices->count, 2);
    CHECK(devices->device[0].type == &isa_debug_exit_type);
    CHECK_EQ(device_number(&devices->device[0], "iobase"), 0xf4);
    CHECK_EQ(device_number(&devices->device[0], "iosize"), 4);
    CHECK_EQ(options.board.rtc_base, 1150560081);
    CHECK(devices->device[1].type == &isa_debugcon_type);
    CHECK(goes(device_chardev(&devices->device[1], "chardev"), "file:x"));
    CHECK_EQ(options.engine, ENGINE_TRANSLATE);
    CHECK(parse("ringer -kernel k -serial none -serial file:y"));
    CHECK(options.board.serial[0] == NULL);
    CHECK(serial_goes(1, "file:y"));
}

/* Two rows must not define the same option (hazard: a new device breaks help or parser). */
static void test_device_table(void)
{
    for (const struct device_type *const *type = device_table; *type; type++) {
        CHECK(device_type_find(device_table, (*type)->name) == *type);
        CHECK((*type)->help && (*type)->bus && (*type)->bus->name);
        for (const struct property *p = (*type)->properties; p && p->name; p++) {
            CHECK(p->help != NULL);
            CHECK_EQ(p->kind == PROPERTY_CHOICE, p->choices != NULL);
            CHECK_EQ(p->kind == PROPERTY_NUMBER, p->most != 0);
            for (const struct property *other = (*type)->bus->properties; other->name; other++)
                CHECK(strcmp(p->name, other->name));
        }
        char line[128];
        snprintf(line, sizeof(line), "ringer -device %s,help", (*type)->name);
        CHECK(parse(line) && command == COMMAND_HELP_DEVICES && options.device_help_type == *type);
    }
    CHECK(parse("ringer -device help") && command == COMMAND_HELP_DEVICES && !options.device_help_type);
    CHECK(complains("ringer -device nothing,help", "there is no device"));
}

/* QEMU's names of one type: with and without "-pci", and for virtio with the interfaces. */
static void test_names_of_types(void)
{
    static const struct {
        const char *name;
        u64 no_legacy;
    } names[] = {{"virtio-rng-pci", 0},
                 {"virtio-rng", 0},
                 {"virtio-rng-pci-transitional", 0},
                 {"virtio-rng-transitional", 0},
                 {"virtio-rng-pci-non-transitional", 1},
                 {"virtio-rng-non-transitional", 1}};
    for (unsigned n = 0; n < ARRAY_SIZE(names); n++) {
        char line[128];
        snprintf(line, sizeof(line), "ringer -kernel k -device %s -global virtio-rng.max-bytes=7",
                 names[n].name);
        CHECK(parse(line));
        const struct device_option *device = &options.board.devices.device[0];
        CHECK(!strcmp(device->type->name, "virtio-rng-pci"));
        CHECK_EQ(device_number(device, "disable-legacy"), names[n].no_legacy);
        CHECK_EQ(device_number(device, "max-bytes"), 7);
    }
    CHECK(complains("ringer -device virtio-rng-pci-non-transitional,disable-modern=on",
                    "says which interfaces"));
    CHECK(
        complains("ringer -device virtio-rng-pci-transitional,disable-legacy=off", "says which interfaces"));
    CHECK(complains("ringer -device ne2k_pci-transitional", "ne2k_pci-transitional"));
    CHECK(parse("ringer -kernel k -nic user,model=virtio-net-non-transitional"));
    CHECK_EQ(device_number(&options.board.devices.device[0], "disable-legacy"), 1);
}

static void test_devices(void)
{
    CHECK(parse(
        "ringer -kernel k -device virtio-serial-pci,addr=1f.0 -device virtconsole,chardev=c -chardev "
        "stdio,id=c "
        "-drive if=none,id=d,file=f -device virtio-blk-pci,drive=d,serial=s,disable-legacy=on,id=i -device "
        "virtio-rng-pci,disable-modern=on"));
    const struct device_options *devices = &options.board.devices;
    CHECK_EQ(devices->count, 4);
    const struct device_option *d = devices->device;
    CHECK(d[0].type == &virtio_serial_type && d[1].type == &virtconsole_type);
    CHECK_EQ(device_number(&d[0], "addr"), 0x1f);
    CHECK_EQ(d[1].parent, 1);
    CHECK(goes(device_chardev(&d[1], "chardev"), "stdio"));
    CHECK(!options.board.serial[0]); /* one console on standard input is enough */
    CHECK(!strcmp(device_text(&d[2], "drive"), "d") && !strcmp(d[2].id, "i"));
    CHECK(!strcmp(device_text(&d[2], "serial"), "s"));
    CHECK(device_number(&d[2], "disable-legacy") && !device_number(&d[2], "disable-modern"));
    CHECK(device_number(&d[3], "disable-modern") && !device_text(&d[3], "addr"));
    CHECK(parse("ringer -kernel k --virtio-console=file:f -chardev file,id=f,path=g"));
    CHECK(goes(device_chardev(&d[1], "chardev"), "file:f"));
    CHECK(!strcmp(devices->chardev[1].id, "f") && goes(&devices->chardev[1], "file:g"));
    /* The port of the named device, or of the last device with a free port. */
    CHECK(parse("ringer -kernel k -device virtio-serial-pci,id=a -device virtio-serial-pci,id=b -chardev "
                "null,id=c -device virtconsole,chardev=c,bus=a.0 -device virtconsole,chardev=c"));
    CHECK(d[2].parent == 1 && d[3].parent == 2);
    CHECK(
        parse("ringer -kernel k -drive if=none,id=d,file=f -device virtio-blk-pci,serial=a,,b=c,,,drive=d"));
    CHECK(!strcmp(device_text(&d[0], "serial"), "a,b=c,") && !strcmp(device_text(&d[0], "drive"), "d"));
    CHECK(serial_goes(0, "stdio"));
}

static void test_placed_drives(void)
{
    CHECK(parse(
        "ringer -device ide-hd,drive=d,bus=ide.1,unit=1,serial=S77,bootindex=0 -drive if=none,id=d,file=f "
        "-drive if=none,id=c -device ide-cd,drive=c -device floppy,drive=a,unit=1 -drive if=none,id=a -hda "
        "g"));
    const struct drive_option *drive = options.board.drives.drive;
    CHECK_EQ(drive[0].interface, DRIVE_IDE);
    CHECK_EQ(drive[0].index, 3);
    CHECK_EQ(drive[0].boot_index, 1);
    CHECK(!strcmp(drive[0].serial, "S77"));
    CHECK_EQ(drive[1].interface, DRIVE_IDE);
    CHECK_EQ(drive[1].index, 2);
    CHECK(drive[1].medium == MEDIUM_CDROM && drive[1].read_only && !drive[1].file);
    CHECK_EQ(drive[2].interface, DRIVE_FLOPPY);
    CHECK_EQ(drive[2].index, 1);
    CHECK(complains("ringer -device ide-hd,drive=d -drive if=none,id=d", "file"));
    CHECK(complains("ringer -hda f -device ide-hd,drive=d", "\"d\""));
    CHECK(complains("ringer -kernel k -device virtio-blk-pci,drive=d", "\"d\""));
    CHECK(complains("ringer -hda f -device ide-hd", "drive=ID"));
    CHECK(complains("ringer -hda f -device virtio-scsi-pci -device scsi-hd", "drive=ID"));
    CHECK(parse("ringer -device virtio-scsi-pci -device scsi-cd,id=c -kernel k"));
    CHECK(complains("ringer -drive id=d,file=f -device ide-hd,drive=d", "if=none"));
    CHECK(
        complains("ringer -drive id=d,if=none,file=f -device ide-hd,drive=d -device ide-cd,drive=d", "two"));
    CHECK(complains("ringer -drive id=d,if=none,media=cdrom,file=f -device ide-hd,drive=d", "ide-cd"));
    CHECK(complains("ringer -drive id=d,if=none,file=f -device ide-hd,drive=d,bus=ide.2", "ide.1"));
    CHECK(complains("ringer -drive id=d,if=none,file=f -device ide-hd,drive=d -hda g -hdb g -hdc g -hdd g",
                    "no room"));
}

/* Objects and lists have the same keys; nodes lie in one another. */
static void test_nodes(void)
{
    CHECK(parse(
        "ringer -blockdev {\"driver\":\"file\",\"node-name\":\"s\",\"filename\":\"a,b\"} -blockdev "
        "driver=qcow2,node-name=d,file=s,read-only=on -device "
        "{\"driver\":\"virtio-blk-pci\",\"drive\":\"d\"} -blockdev "
        "driver=raw,node-name=f,file.driver=file,file.filename=g,cache.no-flush=on -device ide-hd,drive=f"));
    const struct drive_option *drive = options.board.drives.drive;
    CHECK(drive[0].node && !strcmp(drive[0].file, "a,b"));
    CHECK_EQ(drive[0].above, 1);
    CHECK(drive[1].below[0] == &drive[0] && drive[1].read_only && !strcmp(drive[1].file, "a,b"));
    CHECK(!strcmp(drive[1].format, "qcow2"));
    CHECK(drive[2].never_flush && drive[2].interface == DRIVE_IDE && !strcmp(drive[2].file, "g"));
    CHECK(parse("ringer -device ide-cd,id=c -kernel k"));
    CHECK(!strcmp(drive[0].id, "c") && !drive[0].file && drive[0].medium == MEDIUM_CDROM);
    CHECK(parse("ringer -blockdev {\"driver\":\"qcow2\",\"node-name\":\"a\",\"backing\":null,\"file\":{"
                "\"driver\":\"file\",\"filename\":\"f\"}} -blockdev "
                "driver=qcow2,node-name=b,backing=,file.driver=file,file.filename=g -blockdev "
                "driver=qcow2,node-name=c,file.driver=file,file.filename=h -device virtio-blk-pci,drive=a"));
    CHECK(drive[0].no_backing && drive[1].no_backing && !drive[2].no_backing);
    CHECK(complains("ringer -blockdev driver=raw,node-name=a,file.driver=file,file.filename=f,backing=b",
                    "unexpected"));
    CHECK(complains("ringer -blockdev {\"driver\":\"raw\"", "JSON"));
    CHECK(complains("ringer -blockdev [1]", "driver"));
    CHECK(complains("ringer -blockdev driver=raw,file=s", "node-name"));
    CHECK(complains("ringer -blockdev driver=raw,node-name=d,file=s", "'s'"));
    CHECK(complains("ringer -blockdev driver=raw,node-name=d", "file"));
    CHECK(complains("ringer -blockdev driver=vvfat,node-name=d,file=s", "vvfat"));
    CHECK(complains("ringer -blockdev driver=file,node-name=d,filename=f,size=1", "size"));
    CHECK(complains(
        "ringer -blockdev driver=file,node-name=s,filename=f -blockdev driver=raw,node-name=d,file=s -device "
        "ide-hd,drive=s",
        "above"));
    CHECK(complains("ringer -device {\"id\":\"d\"}", "driver"));
    CHECK(complains("ringer -netdev {\"id\":\"d\"}", "type"));
    CHECK(complains("ringer -object {\"id\":\"d\"}", "qom-type"));
}

static void test_own_options(void)
{
    CHECK(parse("ringer run --kernel k --lockstep=1000 --cache-bytes=256K --block-limit 1 --flush-every=7 "
                "--forced-slow "
                "--no-chaining --no-inline-cache --no-bulk-strings --no-fast-entry --timeout 5 --rtc-base "
                "12345 --stats "
                "--debug-exit"));
    CHECK_EQ(options.lockstep, 1000);
    CHECK(options.deterministic && options.translator.exact_flags);
    CHECK_EQ(options.translator.cache_bytes, 256 << 10);
    CHECK_EQ(options.translator.block_limit, 1);
    CHECK_EQ(options.translator.flush_every, 7);
    CHECK(options.translator.forced_slow && options.translator.no_chaining &&
          options.translator.no_inline_cache && options.translator.no_bulk_strings &&
          options.translator.no_fast_entry);
    CHECK_EQ(options.timeout_ns, 5000000000u);
    CHECK_EQ(options.board.rtc_base, 12345);
    CHECK_EQ(device_number(&options.board.devices.device[0], "iobase"), 0xf4);
    CHECK_EQ(options.spaces, 0);
    CHECK(parse("ringer run --kernel k --spaces=3"));
    CHECK_EQ(options.spaces, 3);
    CHECK(complains("ringer run --kernel k --spaces=0", "1023"));
    CHECK(complains("ringer run --kernel k --spaces=1024", "1023"));
    CHECK(parse("ringer run --kernel k --trace=instruction,exit,file=a,,b.txt,from=77,cpl=3"));
    CHECK(!strcmp(options.event_log.path, "a,b.txt"));
    CHECK_EQ(options.event_log.categories, 1u << EVENT_INSTRUCTION | 1u << EVENT_EXIT);
    CHECK_EQ(options.event_log.from, 77);
    CHECK_EQ(options.event_log.to, UINT64_MAX);
    CHECK_EQ(options.event_log.cpls, 8);
    CHECK_EQ(options.engine, ENGINE_INTERP);
    CHECK(parse("ringer run --kernel k --trace shadow"));
    CHECK(!options.event_log.path);
    CHECK_EQ(options.event_log.from, 0);
    CHECK_EQ(options.event_log.cpls, 0xf);
    CHECK(complains("ringer run --kernel k --trace=log.txt", "no events \"log.txt\""));
    CHECK(complains("ringer run --kernel k --trace=file=x", "names no events"));
    CHECK(complains("ringer run --kernel k --trace=exit,cpl=4", "cpl is 0 to 3"));
    CHECK(complains("ringer run --kernel k --trace=exit,from=x", "not a number"));
    CHECK(complains("ringer run --kernel k --trace=exit,from=1", "--deterministic"));
    CHECK(parse("ringer run --kernel k --trace=exit,from=1 --deterministic"));
    CHECK(parse("ringer run --kernel k --profile=out.folded --symbols System.map --perf-map "
                "--stats-json=s.json"));
    CHECK(!strcmp(options.stats_json, "s.json"));
    CHECK(!strcmp(options.profile, "out.folded") && !strcmp(options.symbols, "System.map") &&
          options.perf_map);
    CHECK(parse("ringer run --kernel k --deterministic"));
    CHECK_EQ(options.board.rtc_base, 1704067200); /* no run may depend on today */
}

static void test_display(void)
{
    setenv("DISPLAY", ":0", 1);
    CHECK(parse("ringer -bios b"));
    CHECK_EQ(options.display, DISPLAY_WINDOW);
    CHECK(serial_goes(0, "null") && !strcmp(options.board.audio, "auto"));
    static const char *const without[] = {"ringer -kernel k", "ringer -bios b -nographic",
                                          "ringer -bios b -vnc :1", "ringer -bios b -serial stdio",
                                          "ringer -bios b -display none"};
    for (unsigned n = 0; n < ARRAY_SIZE(without); n++) {
        CHECK(parse(without[n]));
        CHECK_EQ(options.display, DISPLAY_NONE);
        CHECK(serial_goes(0, "stdio") && !strcmp(options.board.audio, "none"));
    }
    unsetenv("DISPLAY");
    unsetenv("WAYLAND_DISPLAY");
    CHECK(parse("ringer -bios b"));
    CHECK_EQ(options.display, DISPLAY_NONE);
    CHECK(parse("ringer -kernel k -display sdl,full-screen=on,scale=whole -audio wav:x -name N,process=p"));
    CHECK(options.display == DISPLAY_WINDOW && options.full_screen && options.whole_scale);
    CHECK(!strcmp(options.board.audio, "wav:x") && !strcmp(options.board.name, "N"));
    CHECK(options.window_closes);
    CHECK(parse("ringer -kernel k -display sdl -no-quit") && !options.window_closes);
    CHECK(parse("ringer -kernel k -display sdl,window-close=off") && !options.window_closes);
    CHECK(complains("ringer -kernel k -display sdl,window-close=maybe", "window-close"));
    CHECK(parse("ringer -kernel k -display gtk -audiodev pa,id=a"));
    CHECK(options.display == DISPLAY_WINDOW && !strcmp(options.board.audio, "sdl"));
    CHECK(parse("ringer -kernel k -display vnc=:3"));
    CHECK(!strcmp(options.vnc, ":3"));
    CHECK(parse("ringer help keys"));
    CHECK_EQ(command, COMMAND_HELP_KEYS);
    CHECK(complains("ringer -kernel k -display curses", "curses"));
    CHECK(complains("ringer -kernel k -display sdl,scale=big", "big"));
    CHECK(complains("ringer -kernel k -display sdl -nographic", "-nographic"));
    CHECK(complains("ringer -kernel k -audio oss", "oss"));
    CHECK(complains("ringer -kernel k -keys f -type t", "--type"));
    CHECK(complains("ringer -kernel k -keys - --lockstep", "--lockstep"));
    CHECK(complains("ringer -kernel k -k de", "en-us"));
    CHECK(parse("ringer -kernel k -usb -usbdevice tablet -device usb-kbd,bus=usb-bus.0"));
    CHECK_EQ(options.board.devices.count, 3);
    CHECK(complains("ringer -kernel k -usbdevice mouse", "mouse"));
    CHECK(complains("ringer -kernel k -device usb-tablet", "piix3-usb-uhci"));
    CHECK(complains("ringer -kernel k -usb -device usb-kbd -device usb-kbd -device usb-kbd", "free port"));
}

static void test_commands(void)
{
    CHECK(parse("ringer"));
    CHECK_EQ(command, COMMAND_HELP);
    CHECK(parse("ringer help"));
    CHECK_EQ(command, COMMAND_HELP);
    CHECK(parse("ringer run --help"));
    CHECK_EQ(command, COMMAND_HELP);
    CHECK(parse("ringer --version"));
    CHECK_EQ(command, COMMAND_VERSION);
}

static bool is_drive(unsigned n, const char *file, enum drive_interface interface, unsigned index)
{
    const struct drive_option *drive = &options.board.drives.drive[n];
    return drive->interface == interface && drive->index == index &&
           (file ? drive->file && !strcmp(drive->file, file) : !drive->file);
}

static void test_drives(void)
{
    CHECK(parse("ringer -kernel k -hda a -hdb b -cdrom c -hdd d -fda e -fdb f"));
    CHECK_EQ(options.board.drives.count, 6);
    CHECK(is_drive(0, "a", DRIVE_IDE, 0) && is_drive(1, "b", DRIVE_IDE, 1));
    CHECK(is_drive(2, "c", DRIVE_IDE, 2) && is_drive(3, "d", DRIVE_IDE, 3));
    CHECK(is_drive(4, "e", DRIVE_FLOPPY, 0) && is_drive(5, "f", DRIVE_FLOPPY, 1));
    CHECK(options.board.drives.drive[2].medium == MEDIUM_CDROM && options.board.drives.drive[2].read_only);
    CHECK(parse("ringer -kernel k -snapshot -drive file=a,,b,if=virtio,format=qcow2,cache=writethrough,"
                "werror=stop,rerror=ignore,discard=ignore,detect-zeroes=unmap,id=x,snapshot=on "
                "-drive if=ide,media=cdrom -drive file=c -drive file=d,if=virtio,readonly=on "
                "-drive file=e,bus=1,unit=1"));
    CHECK(options.board.drives.snapshot);
    CHECK(is_drive(0, "a,b", DRIVE_VIRTIO, 0) && is_drive(1, NULL, DRIVE_IDE, 2));
    CHECK(is_drive(2, "c", DRIVE_IDE, 0) && is_drive(3, "d", DRIVE_VIRTIO, 1));
    CHECK(is_drive(4, "e", DRIVE_IDE, 3));
    const struct drive_option *drive = &options.board.drives.drive[0];
    CHECK(!strcmp(drive->format, "qcow2") && !strcmp(drive->id, "x") && drive->write_through);
    CHECK(drive->snapshot && drive->no_discard && !drive->read_only);
    CHECK_EQ(drive->on_write_error, ON_ERROR_STOP);
    CHECK_EQ(drive->on_read_error, ON_ERROR_IGNORE);
    CHECK_EQ(drive->detect_zeroes, DETECT_ZEROES_UNMAP);
    CHECK(options.board.drives.drive[3].read_only && !options.board.drives.drive[3].no_discard);
    CHECK_EQ(options.board.drives.drive[3].on_write_error, ON_ERROR_ENOSPC);
    CHECK(parse("ringer -drive if=pflash,format=raw,unit=1,file=v -pflash c"));
    CHECK(is_drive(0, "v", DRIVE_FLASH, 1) && is_drive(1, "c", DRIVE_FLASH, 0));
    CHECK(complains("ringer -pflash a -pflash b -pflash c", "2 pflash drives"));
    CHECK(complains("ringer -kernel k -hdc a -cdrom b", "ide drive 2"));
    CHECK(complains("ringer -kernel k -drive file=a,index=4", "4 ide drives"));
    CHECK(complains("ringer -kernel k -hda a -hdb a -hdc a -hdd a -drive file=e", "no room for e"));
    CHECK(complains("ringer -kernel k -drive file=a,if=scsi", "scsi"));
    CHECK(complains("ringer -kernel k -drive file=a,format=vmdk", "vmdk"));
    CHECK(complains("ringer -kernel k -drive file=a,colour=red", "colour"));
    CHECK(complains("ringer -kernel k -drive a.img", "a.img"));
    CHECK(complains("ringer -kernel k -drive if=ide", "file=FILE"));
    CHECK(complains("ringer -kernel k -drive file=a,readonly=maybe", "maybe"));
    CHECK(complains("ringer -kernel k -drive file=a,index=100", "100"));
    CHECK(complains("ringer -kernel k -drive file=a,if=none", "id="));
    CHECK(complains("ringer -kernel k -drive file=a,if=none,id=x -drive file=b,if=none,id=x", "\"x\""));
    CHECK(complains("ringer -kernel k -drive file=a,rerror=enospc", "rerror"));
    CHECK(complains("ringer -kernel k -drive file=a,index=1,unit=0", "index"));
}

static void test_bad(void)
{
    CHECK(complains("ringer walk", "\"walk\""));
    CHECK(complains("ringer run --kernle k", "\"--kernle\""));
    CHECK(!parse_as_is("ringer run --kernel") && strstr(error, "missing"));
    CHECK(complains("ringer run", "nothing to boot"));
    CHECK(complains("ringer run --kernel k --lockstep --profile=p", "--profile"));
    CHECK(complains("ringer run --kernel k --symbols=s", "--symbols"));
    CHECK(complains("ringer run --kernel k --stats=3", "no argument"));
    CHECK(complains("ringer run --kernel k disk.img", "\"disk.img\""));
    CHECK(complains("ringer -kernel k -m 0", "out of bounds"));
    CHECK(complains("ringer -kernel k -m -5", "-5"));
    CHECK(complains("ringer -kernel k -m 99999999999999999999", "9999"));
    CHECK(complains("ringer -kernel k -m 16777216T", "16777216T"));
    CHECK(complains("ringer -kernel k -m 100000G", "out of bounds"));
    CHECK(complains("ringer -kernel k -m 12Q", "12Q"));
    CHECK(complains("ringer -kernel k -m 12MM", "12MM"));
    CHECK(complains("ringer -kernel k -smp many", "number of CPUs"));
    CHECK(complains("ringer -kernel k -daemonize -serial stdio", "standard input"));
    CHECK(complains("ringer -kernel k -M microvm", "microvm"));
    CHECK(complains("ringer -kernel k -cpu 8086", "max"));
    CHECK(complains("ringer -kernel k -device e1001", "e1001"));
    CHECK(complains("ringer -kernel k -device isa-debug-exit,iosize=3", "iosize"));
    CHECK(complains("ringer -kernel k -device virtio-blk-pci", "drive"));
    CHECK(complains("ringer -kernel k -device virtio-blk-pci,drive=d,speed=9", "speed"));
    CHECK(complains("ringer -kernel k -device virtio-rng-pci,addr=20", "1 to 1f"));
    CHECK(complains("ringer -kernel k -device virtio-rng-pci,disable-modern=maybe", "maybe"));
    CHECK(complains("ringer -kernel k -device virtio-rng-pci,disable-modern=on,disable-legacy=on",
                    "can be disabled"));
    CHECK(complains("ringer -kernel k -device virtconsole,chardev=c", "virtio-serial-pci"));
    CHECK(complains("ringer -kernel k -device virtio-serial-pci -device virtconsole,chardev=c", "\"c\""));
    CHECK(complains("ringer -kernel k -chardev pty", "id=ID"));
    CHECK(complains("ringer -kernel k -chardev teletype,id=c", "teletype"));
    CHECK(complains("ringer -kernel k -chardev null,id=c -chardev null,id=c", "\"c\""));
    CHECK(complains("ringer -kernel k -chardev socket,id=c", "path=SOCKET"));
    CHECK(complains("ringer -kernel k -chardev socket,id=c,path=p,speed=9600", "speed"));
    CHECK(complains("ringer -kernel k -chardev socket,id=c,path=p,server=perhaps", "perhaps"));
    CHECK(complains("ringer -kernel k -serial chardev:c", "\"c\""));
    CHECK(complains("ringer -kernel k -mon chardev=c", "\"c\""));
    CHECK(complains("ringer -kernel k -mon mode=control", "chardev=ID"));
    CHECK(complains("ringer -kernel k -serial stdio -chardev stdio,id=c", "standard input"));
    CHECK(complains("ringer -kernel k -echr 256", "-echr"));
    CHECK(complains("ringer -kernel k -chardev file,id=c", "path"));
    CHECK(complains("ringer -kernel k --engine=jit", "jit"));
    CHECK(complains("ringer -kernel k --block-limit 65", "64"));
    CHECK(complains("ringer -kernel k --timeout soon", "soon"));
    CHECK(complains("ringer -kernel k --rtc-base 2024-13-45", "2024-13-45"));
    CHECK(complains("ringer -initrd i -bios b", "--kernel"));
    CHECK(complains("ringer -kernel k --lockstep --engine=interp", "interp"));
    CHECK(complains("ringer -kernel k --lockstep --trace exit", "exclude"));
}

static void test_shares(void)
{
    CHECK(parse("ringer -kernel k -virtfs "
                "local,path=/a,mount_tag=t,security_model=mapped-xattr,readonly=on,multidevs=forbid"));
    const struct share_option *share = &options.board.shares.share[0];
    CHECK(options.board.shares.count == 1 && !strcmp(share->options.path, "/a"));
    CHECK(share->options.security == SHARE_MAPPED && share->options.devices == SHARE_FORBID &&
          share->options.read_only);
    CHECK(!strcmp(options.board.devices.device[0].type->name, "virtio-9p-pci"));
    CHECK(!strcmp(device_text(&options.board.devices.device[0], "fsdev"), share->id));
    CHECK(parse("ringer -kernel k -virtfs local,id=i,path=/a,mount_tag=/dev/root,readonly -virtfs "
                "local,path=/b,mount_tag=c"));
    CHECK(share->options.read_only && share->options.security == SHARE_NONE &&
          share->options.devices == SHARE_REMAP);
    CHECK(!strcmp(device_text(&options.board.devices.device[0], "mount_tag"), "/dev/root"));
    /* The device may stand before its folder. */
    CHECK(parse("ringer -kernel k -device virtio-9p-pci,fsdev=f,mount_tag=t -fsdev "
                "local,id=f,path=/a,fmode=0644,dmode=755"));
    CHECK(share->options.file_mode == 0644 && share->options.directory_mode == 0755);
    CHECK(complains("ringer -kernel k -virtfs local,path=/a", "mount_tag"));
    CHECK(complains("ringer -kernel k -virtfs local,mount_tag=t", "path"));
    CHECK(complains("ringer -kernel k -virtfs proxy,path=/a,mount_tag=t", "local"));
    CHECK(complains("ringer -kernel k -virtfs local,path=/a,mount_tag=t,security_model=mapped-file",
                    "mapped-file"));
    CHECK(complains("ringer -kernel k -virtfs local,path=/a,mount_tag=t,colour=red", "colour"));
    CHECK(complains("ringer -kernel k -fsdev local,path=/a", "id="));
    CHECK(complains("ringer -kernel k -fsdev local,id=a,path=/a -fsdev local,id=a,path=/b", "two"));
    CHECK(complains("ringer -kernel k -virtfs local,path=/a,mount_tag=a-tag-that-is-longer-than-any-may-be",
                    "31"));
    CHECK(complains("ringer -kernel k -virtfs local,path=/a,mount_tag=t --lockstep", "exclude"));
}

static void test_vhost_user(void)
{
    CHECK(parse("ringer -kernel k -device vhost-user-fs-pci,chardev=c,tag=t -chardev socket,id=c,path=/tmp/s "
                "-object memory-backend-memfd,id=m,size=128M,share=on -numa node,memdev=m"));
    CHECK(options.board.devices.chardev[0].lent);
    CHECK(parse(
        "ringer -kernel k -machine pc,memory-backend=m -object memory-backend-file,id=m,mem-path=/dev/shm "
        "-chardev socket,id=c,path=/tmp/s -netdev vhost-user,id=n,chardev=c -device "
        "virtio-net-pci,netdev=n"));
    CHECK(options.board.devices.chardev[0].lent);
    CHECK(complains("ringer -kernel k -netdev vhost-user,id=n", "chardev"));
    CHECK(complains("ringer -kernel k -netdev vhost-user,id=n,chardev=c", "\"c\""));
    CHECK(complains("ringer -kernel k -chardev null,id=c -device vhost-user-blk-pci,chardev=c", "socket"));
    CHECK(complains("ringer -kernel k -chardev socket,id=c,path=/s -device vhost-user-fs-pci,chardev=c",
                    "tag"));
    CHECK(complains("ringer -kernel k -chardev socket,id=c,path=/s -device "
                    "vhost-user-fs-pci,chardev=c,tag=t,disable-modern=on",
                    "disable-modern"));
}

int main(void)
{
    test_both_spellings();
    test_memory();
    test_settled_cpu();
    test_hpet();
    test_network();
    test_default_card();
    test_what_the_guest_is_told();
    test_called_as_qemu();
    test_qemu_line();
    test_chardevs();
    test_names_of_types();
    test_devices();
    test_device_table();
    test_placed_drives();
    test_nodes();
    test_own_options();
    test_display();
    test_commands();
    test_drives();
    test_bad();
    options_release(&options);
    test_shares();
    test_vhost_user();
    return check_report();
}
