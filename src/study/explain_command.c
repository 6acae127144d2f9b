#include "explain_command.h"
#include "explain.h"
#include "hot_code.h"
#include "report.h"

#include "base/log.h"
#include "base/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void print_help(FILE *out)
{
    fputs(
        "ringer explain [OPTION...] HEX...             bytes of code, as in: ringer explain 'fa 9c 58 25 ff "
        "fd ff ff'\n"
        "ringer explain [OPTION...] --image=VMLINUX --symbol=NAME\n"
        "                                              code of an ELF kernel, by symbol or address\n"
        "ringer explain [OPTION...] --hot=FILE         the hottest blocks of a run with --hot-blocks=FILE\n"
        "ringer explain [OPTION...] --machine=NAME     those of a running machine, sampled for --seconds=S "
        "(2)\n"
        "ringer explain --why=MNEMONIC                 the story of one instruction: popf, sgdt, mov, ...\n\n"
        "  --mode=kernel|user|real|vm86|kernel64|user64|window|window64\n"
        "                                 what the code runs as (default kernel; kernel64 for a 64-bit "
        "image);\n"
        "                                 window and window64: user code in a host window\n"
        "  --address=ADDRESS              where HEX lies (default 0xc0100000; 16-bit code: 0x7c00; 64-bit "
        "code:\n"
        "                                 0xffffffff81000000, of programs 0x400000)\n"
        "  --bytes=N                      at most N bytes of the image\n"
        "  --most=N                       at most N hot blocks (default 10)\n"
        "  --symbols=FILE                 names for hot blocks, from System.map or an ELF file\n"
        "  --format=text|html, --output=FILE\n",
        out);
}

struct request {
    struct report_place place;
    const char *image, *symbol, *why;
    enum explain_mode mode;
    bool has_mode;
    struct hot_request hot;
    u64 address;
    u32 bytes;
    bool has_address;
    char hex[8192];
};

static u64 number(const char *text, const char *option, u64 most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);
    if (*end || end == text || *text == '-' || value > most)
        die(STATUS_USAGE, "%s takes a number, not '%s'", option, text);
    return value;
}

static double seconds_of(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (*end || !(value >= 0.1 && value <= 3600)) die(STATUS_USAGE, "--seconds is 0.1 to 3600, not %s", text);
    return value;
}

static enum explain_mode mode_of(const char *name)
{
    static const char *const names[EXPLAIN_MODES] = {"kernel",   "user",   "real",   "vm86",
                                                     "kernel64", "user64", "window", "window64"};
    for (unsigned n = 0; n < EXPLAIN_MODES; n++)
        if (!strcmp(names[n], name)) return (enum explain_mode)n;
    die(STATUS_USAGE, "--mode is kernel, user, real, vm86, kernel64, user64, window or window64, not %s",
        name);
}

static void read_word(struct request *r, const char *word)
{
    const char *value;
    if (report_option(&r->place, word)) return;
    if ((value = word_value(word, "--image")))
        r->image = value;
    else if ((value = word_value(word, "--symbol")))
        r->symbol = value;
    else if ((value = word_value(word, "--why")))
        r->why = value;
    else if ((value = word_value(word, "--mode")))
        r->mode = mode_of(value), r->has_mode = true;
    else if ((value = word_value(word, "--address")))
        r->address = number(value, "--address", UINT64_MAX), r->has_address = true;
    else if ((value = word_value(word, "--bytes")))
        r->bytes = (u32)number(value, "--bytes", UINT32_MAX);
    else if ((value = word_value(word, "--hot")))
        r->hot.file = value;
    else if ((value = word_value(word, "--machine")))
        r->hot.machine = value;
    else if ((value = word_value(word, "--symbols")))
        r->hot.symbols = value;
    else if ((value = word_value(word, "--most")))
        r->hot.most = (unsigned)number(value, "--most", 1000);
    else if ((value = word_value(word, "--seconds")))
        r->hot.seconds = seconds_of(value);
    else if (word[0] == '-')
        die(STATUS_USAGE, "explain has no option %s, or it lacks its value; see ringer explain --help", word);
    else if (strlen(r->hex) + strlen(word) + 2 > sizeof(r->hex))
        die(STATUS_USAGE, "the command line has too many bytes of code");
    else
        strcat(strcat(r->hex, " "), word);
}

struct page {
    const struct explanation *x;
    const char *title;
};

static void print(const void *what, const char *format, FILE *out)
{
    const struct page *page = what;
    if (!strcmp(format, "html"))
        explain_print_html(page->x, page->title, out);
    else
        explain_print_text(page->x, out);
}

static int explain_code(struct request *r)
{
    char error[512], title[256];
    struct guest_code code;
    struct explanation x = {0};
    bool good = r->image ? guest_code_from_elf(&code, r->image, r->symbol, r->bytes, error, sizeof(error))
                         : guest_code_from_hex(&code, r->hex, r->address, error, sizeof(error));
    if (!good) die(STATUS_USAGE, "%s", error);
    if (!r->has_mode && code.wide) r->mode = EXPLAIN_KERNEL64;
    int status = explain(&x, &code, r->mode, error, sizeof(error));
    if (status) die(status == -EINVAL ? STATUS_USAGE : STATUS_HOST, "%s", error);
    if (r->image)
        snprintf(title, sizeof(title), "%s, translated", r->symbol);
    else
        snprintf(title, sizeof(title), "%u bytes at %08llx, translated", code.bytes,
                 (unsigned long long)code.rip);
    report_print(&r->place, print, &(struct page){&x, title});
    explanation_free(&x);
    guest_code_free(&code);
    return STATUS_OK;
}

static int explain_hot(const struct request *r)
{
    char title[256];
    struct explanation x = {0};
    int status = hot_code_explain(&r->hot, &x);
    if (status == STATUS_OK) {
        snprintf(title, sizeof(title), "The hottest blocks of %s",
                 r->hot.file ? r->hot.file : r->hot.machine);
        report_print(&r->place, print, &(struct page){&x, title});
    }
    explanation_free(&x);
    return status;
}

static u64 default_address(enum explain_mode mode)
{
    switch (mode) {
    case EXPLAIN_REAL:
    case EXPLAIN_VM86: return 0x7c00;
    case EXPLAIN_KERNEL64: return 0xffffffff81000000;
    case EXPLAIN_USER64:
    case EXPLAIN_WINDOW64: return 0x400000;
    default: return 0xc0100000;
    }
}

int explain_command(int argc, char **argv)
{
    struct request r = {.place = {.formats = {"text", "html"}}, .hot = {.most = 10, .seconds = 2}};
    if (!argc || !strcmp(argv[0], "--help") || !strcmp(argv[0], "help")) {
        print_help(stdout);
        return STATUS_OK;
    }
    for (int n = 0; n < argc; n++)
        read_word(&r, argv[n]);
    if (!r.has_address) r.address = default_address(r.mode);
    if (r.why) {
        if (r.place.format && strcmp(r.place.format, "text") != 0)
            die(STATUS_USAGE, "--why prints text, no %s", r.place.format);
        FILE *out = report_begin(&r.place);
        if (!explain_why(r.why, out)) die(STATUS_USAGE, "the instruction table has no \"%s\"", r.why);
        report_end(&r.place, out);
        return STATUS_OK;
    }
    bool hot = r.hot.file || r.hot.machine;
    if (hot && (r.image || r.hex[0] || (r.hot.file && r.hot.machine)))
        die(STATUS_USAGE, "explain takes one of: bytes, an image, --hot, --machine");
    if (hot) return explain_hot(&r);
    if (!r.image != !r.symbol) die(STATUS_USAGE, "--image and --symbol belong together");
    if (r.image && r.hex[0]) die(STATUS_USAGE, "explain takes bytes or an image, not both");
    return explain_code(&r);
}
