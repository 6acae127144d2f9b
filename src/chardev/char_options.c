#include "char_options.h"

#include <stdlib.h>
#include <string.h>

#define SAY(...) (snprintf(error, error_bytes, __VA_ARGS__), false)

#define RINGBUF_BYTES 65536u

/* QEMU has several names for one kind. */
static const struct {
    const char *name;
    enum char_kind kind;
    const char *keys; /* what it takes beside id, mux, logfile and logappend */
} kinds[] = {
    {"null", CHAR_NULL, " "},
    {"stdio", CHAR_STDIO, " signal "},
    {"file", CHAR_FILE, " path append "},
    {"pipe", CHAR_PIPE, " path "},
    {"pty", CHAR_PTY, " "},
    {"ringbuf", CHAR_RINGBUF, " size "},
    {"socket", CHAR_SOCKET,
     " path host port server wait telnet reconnect nodelay delay ipv4 ipv6 tight abstract "},
    {"qemu-vdagent", CHAR_VDAGENT, " name mouse clipboard "},
    {"vc", CHAR_NULL, " width height cols rows "}, /* a console in QEMU's window: Ringer's has none */
    {"memory", CHAR_RINGBUF, " size "},
    {"tty", CHAR_FILE, " path "},
    {"serial", CHAR_FILE, " path "},
};

const char *char_kind_name(enum char_kind kind)
{
    for (unsigned n = 0; n < ARRAY_SIZE(kinds); n++)
        if (kinds[n].kind == kind) return kinds[n].name;
    return "null";
}

bool char_options_read(const struct char_options *options)
{
    return options->kind != CHAR_NULL && options->kind != CHAR_FILE && options->kind != CHAR_RINGBUF;
}

/* --- KEY=VALUE --- */

static bool parse_switch(const char *text, bool *on)
{
    *on = !text || !strcmp(text, "on") || !strcmp(text, "yes");
    return *on || !strcmp(text, "off") || !strcmp(text, "no");
}

static bool parse_number(const char *text, u64 *number)
{
    char *end;
    if (!text || *text < '0' || *text > '9') return false;
    *number = strtoull(text, &end, 0);
    if (*end == 'k' || *end == 'K') *number <<= 10, end++;
    if (*end == 'm' || *end == 'M') *number <<= 20, end++;
    return !*end;
}

static bool is_taken(unsigned kind, const char *key)
{
    char word[32];
    snprintf(word, sizeof(word), " %s ", key);
    return strstr(" mux logfile logappend ", word) || strstr(kinds[kind].keys, word);
}

/* False: the key does not take this value. */
static bool set(struct char_options *o, const char *key, const char *value)
{
    static const struct {
        const char *key;
        size_t at;
    } texts[] = {{"path", offsetof(struct char_options, path)},
                 {"host", offsetof(struct char_options, host)},
                 {"port", offsetof(struct char_options, port)},
                 {"logfile", offsetof(struct char_options, log)}},
      switches[] = {{"server", offsetof(struct char_options, server)},
                    {"wait", offsetof(struct char_options, wait)},
                    {"telnet", offsetof(struct char_options, telnet)},
                    {"mux", offsetof(struct char_options, mux)},
                    {"signal", offsetof(struct char_options, signal)},
                    {"append", offsetof(struct char_options, append)},
                    {"clipboard", offsetof(struct char_options, clipboard)},
                    {"logappend", offsetof(struct char_options, log_append)}},
      numbers[] = {{"reconnect", offsetof(struct char_options, reconnect_s)},
                   {"size", offsetof(struct char_options, size)}};
    for (unsigned n = 0; n < ARRAY_SIZE(texts); n++)
        if (!strcmp(texts[n].key, key)) {
            *(const char **)((char *)o + texts[n].at) = value;
            return value && *value;
        }
    for (unsigned n = 0; n < ARRAY_SIZE(switches); n++)
        if (!strcmp(switches[n].key, key)) return parse_switch(value, (bool *)((char *)o + switches[n].at));
    for (unsigned n = 0; n < ARRAY_SIZE(numbers); n++)
        if (!strcmp(numbers[n].key, key)) return parse_number(value, (u64 *)((char *)o + numbers[n].at));
    return true; /* a key without effect here */
}

/* The items of a list in *rest, which is cut at its commas; two commas stand for one. QEMU's old forms: "server" is
 * server=on, and "nowait" is wait=off. */
static bool parse_items(struct char_options *o, unsigned kind, char *rest, char *error, size_t error_bytes)
{
    while (rest && *rest) {
        char *key = rest, *from = rest, *to = rest, *value = NULL;
        for (; *from && (*from != ',' || from[1] == ','); from++) {
            if (*from == ',') from++;
            *to++ = *from;
            if (*from != '=' || value) continue;
            to[-1] = 0;
            value = to;
        }
        rest = *from ? from + 1 : from;
        *to = 0;
        if (!strcmp(key, "id") && value) {
            free(o->id);
            o->id = strdup(value);
            continue;
        }
        bool no = !value && !strncmp(key, "no", 2) && is_taken(kind, key + 2);
        if (no) key += 2, value = "off";
        if (!is_taken(kind, key)) return SAY("-chardev %s: there is no key \"%s\"", kinds[kind].name, key);
        if (!set(o, key, value))
            return SAY("-chardev %s: %s does not take \"%s\"", kinds[kind].name, key, value ? value : "");
    }
    return true;
}

static bool check(const struct char_options *o, char *error, size_t error_bytes)
{
    bool file = o->kind == CHAR_FILE || o->kind == CHAR_PIPE;
    if (file && !o->path) return SAY("-chardev %s needs path=FILE", char_kind_name(o->kind));
    if (o->kind == CHAR_SOCKET && !o->path == !o->port)
        return SAY("-chardev socket needs path=SOCKET, or host= and port=");
    if (o->kind == CHAR_SOCKET && o->server && o->reconnect_s)
        return SAY("-chardev socket: only a client can have reconnect=");
    if (o->kind == CHAR_RINGBUF && (!o->size || o->size & (o->size - 1) || o->size > 1u << 30))
        return SAY("-chardev ringbuf: size= must be a power of two");
    return true;
}

static void set_defaults(struct char_options *o, enum char_kind kind)
{
    *o = (struct char_options){.kind = kind, .wait = true, .size = RINGBUF_BYTES};
}

bool char_options_parse(struct char_options *o, const char *list, char *error, size_t error_bytes)
{
    size_t length = strcspn(list, ",");
    unsigned kind = 0;
    if (!strncmp(list, "backend=", 8)) list += 8, length -= 8;
    while (kind < ARRAY_SIZE(kinds) &&
           (strlen(kinds[kind].name) != length || strncmp(kinds[kind].name, list, length)))
        kind++;
    if (kind == ARRAY_SIZE(kinds))
        return SAY("there is no chardev \"%.*s\"; -chardev help lists them", (int)length, list);
    set_defaults(o, kinds[kind].kind);
    o->text = strdup(list[length] ? list + length + 1 : "");
    bool good = o->text ? parse_items(o, kind, o->text, error, error_bytes) : SAY("out of memory");
    good = good && check(o, error, error_bytes);
    if (good && !o->id) good = SAY("-chardev %s needs id=ID", kinds[kind].name);
    if (!good) char_options_release(o);
    return good;
}

/* --- short forms --- */

/* "HOST:PORT,KEY=VALUE,..." behind tcp: or telnet:. */
static bool parse_inet(struct char_options *o, char *text, unsigned kind, char *error, size_t error_bytes)
{
    char *items = strchr(text, ',');
    if (items) *items++ = 0;
    char *colon = strrchr(text, ':');
    if (!colon || !colon[1]) return SAY("\"%s\" is not HOST:PORT", text);
    *colon = 0;
    o->host = *text ? text : NULL;
    o->port = colon + 1;
    return parse_items(o, kind, items, error, error_bytes);
}

static bool parse_unix(struct char_options *o, char *text, unsigned kind, char *error, size_t error_bytes)
{
    char *items = strchr(text, ',');
    if (items) *items++ = 0;
    o->path = text;
    return parse_items(o, kind, items, error, error_bytes);
}

static bool parse_short(struct char_options *o, const char *text, char *error, size_t error_bytes)
{
    static const struct {
        const char *prefix;
        const char *kind;
        bool rest; /* all behind the colon is a path */
    } forms[] = {{"file:", "file", true},       {"pipe:", "pipe", true},      {"unix:", "socket", false},
                 {"tcp:", "socket", false},     {"telnet:", "socket", false}, {"stdio", "stdio", false},
                 {"null", "null", false},       {"none", "null", false},      {"pty", "pty", false},
                 {"ringbuf", "ringbuf", false}, {"vc", "vc", false},          {"/dev/", "tty", true}};
    unsigned form = 0, kind = 0;
    while (form < ARRAY_SIZE(forms) && strncmp(text, forms[form].prefix, strlen(forms[form].prefix)))
        form++;
    if (form == ARRAY_SIZE(forms))
        return SAY("\"%s\" is not one of stdio, null, none, file:PATH, pipe:PATH, pty, ringbuf, "
                   "unix:PATH, tcp:HOST:PORT, telnet:HOST:PORT and chardev:ID",
                   text);
    const char *prefix = forms[form].prefix;
    while (strcmp(kinds[kind].name, forms[form].kind))
        kind++;
    set_defaults(o, kinds[kind].kind);
    const char *rest = *prefix == '/' ? text : text + strlen(prefix);
    bool named = prefix[strlen(prefix) - 1] == ':' || *prefix == '/';
    if (!named && *rest && *rest != ',' && (*rest != ':' || strcmp(prefix, "vc")))
        return SAY("\"%s\" is not a chardev; -chardev help lists them", text);
    o->text = strdup(rest + (!named && *rest != 0));
    if (!o->text) return SAY("out of memory");
    if (forms[form].rest) return o->path = o->text, true;
    if (!strcmp(prefix, "unix:")) return parse_unix(o, o->text, kind, error, error_bytes);
    if (o->kind != CHAR_SOCKET)
        return !strcmp(prefix, "vc") || parse_items(o, kind, o->text, error, error_bytes);
    o->telnet = *prefix == 't' && prefix[1] == 'e';
    return parse_inet(o, o->text, kind, error, error_bytes);
}

bool char_options_short(struct char_options *o, const char *id, const char *text, char *error,
                        size_t error_bytes)
{
    *o = (struct char_options){0};
    bool good = parse_short(o, text, error, error_bytes) && check(o, error, error_bytes);
    free(o->id);
    o->id = NULL;
    if (good && !(o->id = strdup(id))) good = SAY("out of memory");
    if (!good) char_options_release(o);
    return good;
}

void char_options_release(struct char_options *o)
{
    free(o->id);
    free(o->text);
    *o = (struct char_options){0};
}

/* --- for people --- */

void char_options_describe(const struct char_options *o, char *text, size_t bytes)
{
    const char *role = o->server ? ",server=on" : "";
    if (o->kind == CHAR_SOCKET && o->path)
        snprintf(text, bytes, "unix:%s%s", o->path, role);
    else if (o->kind == CHAR_SOCKET)
        snprintf(text, bytes, "%s:%s:%s%s", o->telnet ? "telnet" : "tcp", o->host ? o->host : "", o->port,
                 role);
    else
        snprintf(text, bytes, "%s%s%s", char_kind_name(o->kind), o->path ? ":" : "", o->path ? o->path : "");
}

void char_options_help(FILE *out)
{
    fputs("Available chardev backend types:\n", out);
    for (unsigned n = 0; n < ARRAY_SIZE(kinds); n++)
        fprintf(out, "  %s\n", kinds[n].name);
}
