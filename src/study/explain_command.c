#include "explain_command.h"
#include "explain.h"
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
        "                                              code of a 32-bit ELF kernel, by symbol or address\n"
        "ringer explain --why=MNEMONIC                 the story of one instruction: popf, sgdt, mov, ...\n\n"
        "  --mode=kernel|user|real|vm86   what the code runs as (default kernel)\n"
        "  --address=ADDRESS              where HEX lies (default 0xc0100000; 16-bit code: 0x7c00)\n"
        "  --bytes=N                      at most N bytes of the image\n"
        "  --format=text|html, --output=FILE\n",
        out);
}

struct request {
    struct report_place place;
    const char *image, *symbol, *why;
    enum explain_mode mode;
    u32 address, bytes;
    bool has_address;
    char hex[8192];
};

static u32 number(const char *text, const char *option)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);
    if (*end || end == text || value > UINT32_MAX)
        die(STATUS_USAGE, "%s takes a number, not '%s'", option, text);
    return (u32)value;
}

static enum explain_mode mode_of(const char *name)
{
    static const char *const names[EXPLAIN_MODES] = {"kernel", "user", "real", "vm86"};
    for (unsigned n = 0; n < EXPLAIN_MODES; n++)
        if (!strcmp(names[n], name)) return (enum explain_mode)n;
    die(STATUS_USAGE, "--mode is kernel, user, real or vm86, not %s", name);
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
        r->mode = mode_of(value);
    else if ((value = word_value(word, "--address")))
        r->address = number(value, "--address"), r->has_address = true;
    else if ((value = word_value(word, "--bytes")))
        r->bytes = number(value, "--bytes");
    else if (word[0] == '-')
        die(STATUS_USAGE, "explain has no option %s; see ringer explain --help", word);
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

static int explain_code(const struct request *r)
{
    char error[512], title[256];
    struct guest_code code;
    struct explanation x;
    bool good = r->image ? guest_code_from_elf(&code, r->image, r->symbol, r->bytes, error, sizeof(error))
                         : guest_code_from_hex(&code, r->hex, r->address, error, sizeof(error));
    if (!good) die(STATUS_USAGE, "%s", error);
    int status = explain(&x, &code, r->mode, error, sizeof(error));
    if (status) die(status == -EINVAL ? STATUS_USAGE : STATUS_HOST, "%s", error);
    if (r->image)
        snprintf(title, sizeof(title), "%s, translated", r->symbol);
    else
        snprintf(title, sizeof(title), "%u bytes at %08x, translated", code.bytes, code.eip);
    report_print(&r->place, print, &(struct page){&x, title});
    explanation_free(&x);
    guest_code_free(&code);
    return STATUS_OK;
}

int explain_command(int argc, char **argv)
{
    struct request r = {.place = {.formats = {"text", "html"}}};
    if (!argc || !strcmp(argv[0], "--help") || !strcmp(argv[0], "help")) {
        print_help(stdout);
        return STATUS_OK;
    }
    for (int n = 0; n < argc; n++)
        read_word(&r, argv[n]);
    if (!r.has_address) r.address = r.mode == EXPLAIN_REAL || r.mode == EXPLAIN_VM86 ? 0x7c00 : 0xc0100000;
    if (r.why) {
        if (!explain_why(r.why, stdout)) die(STATUS_USAGE, "the instruction table has no %s", r.why);
        return STATUS_OK;
    }
    if (!r.image != !r.symbol) die(STATUS_USAGE, "--image and --symbol belong together");
    if (r.image && r.hex[0]) die(STATUS_USAGE, "explain takes bytes or an image, not both");
    return explain_code(&r);
}
