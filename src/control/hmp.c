/*
 * HMP, lines for people. The prompt is QEMU's, "(qemu) ", because programs that drive QEMU wait for it. The client is
 * a terminal in raw mode or a socket, so this file echoes typed characters and does some editing.
 */
#include "control_private.h"
#include "vm/vm.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char prompt[] = "(qemu) ";

/* --- running a line --- */

/* The row with the longest name that begins the line; *rest: what is behind it. */
static const struct control_command *find(const char *line, const char **rest)
{
    const struct control_command *found = NULL;
    size_t longest = 0;
    for (const struct control_command *c = control_commands; c->run; c++) {
        size_t length = c->hmp ? strlen(c->hmp) : 0;
        if (length <= longest || strncmp(line, c->hmp, length)) continue;
        if (line[length] && line[length] != ' ') continue;
        found = c;
        longest = length;
    }
    *rest = line + longest;
    return found;
}

/* The next word of a line, perhaps in quotes. The caller frees it. NULL: there is none. */
static char *next_word(const char **line)
{
    while (**line == ' ')
        ++*line;
    bool quoted = **line == '"';
    const char *from = *line + quoted, *to = from;
    while (*to && (quoted ? *to != '"' : *to != ' '))
        to++;
    if (to == from && !quoted) return NULL;
    *line = to + (quoted && *to);
    return strndup(from, (size_t)(to - from));
}

static bool take_value(struct control_call *call, const struct control_argument *a, const char *word)
{
    char *end;
    if (a->type == ARGUMENT_NUMBER) {
        long long number = strtoll(word, &end, 0);
        if (*end || end == word) {
            call_fail(call, "%s is a number, not \"%.100s\"", a->name, word);
            return false;
        }
        json_object_object_add(call->arguments, a->name, json_object_new_int64(number));
    } else if (a->type == ARGUMENT_SWITCH) {
        bool on = !strcmp(word, "on");
        if (!on && strcmp(word, "off")) {
            call_fail(call, "%s is on or off, not \"%.100s\"", a->name, word);
            return false;
        }
        json_object_object_add(call->arguments, a->name, json_object_new_boolean(on));
    } else {
        json_object_object_add(call->arguments, a->name, json_object_new_string(word));
    }
    return true;
}

static bool take_flag(struct control_call *call, const struct control_command *command, const char *word)
{
    for (const struct control_argument *a = command->arguments; a && a->name && word[0] == '-'; a++)
        if (a->flag && word[1] == a->flag && !word[2]) {
            json_object_object_add(call->arguments, a->name, json_object_new_boolean(true));
            return true;
        }
    return false;
}

static void take_words(struct control_call *call, const struct control_command *command, const char *line)
{
    const struct control_argument *a = command->arguments;
    while (a && a->name && !a->positional)
        a++;
    while (*line == ' ')
        line++;
    if (a && a->name && a->rest && *line) {
        take_value(call, a, line);
        return;
    }
    for (char *word; !call->failed && (word = next_word(&line)); free(word)) {
        if (take_flag(call, command, word)) continue;
        if (!a || !a->name) {
            call_fail(call, "%s does not take \"%.100s\"", command->hmp, word);
            continue;
        }
        take_value(call, a, word);
        do
            a++;
        while (a->name && !a->positional);
    }
}

char *control_hmp(struct control *control, const char *line)
{
    const char *rest;
    struct control_call call = {.control = control, .vm = control->vm, .by_line = true};
    struct json_object *text = json_object_new_string("");
    while (*line == ' ')
        line++;
    if (!strcmp(line, "info")) line = "help info";
    const struct control_command *command = *line ? find(line, &rest) : NULL;
    call.arguments = json_object_new_object();
    if (command) take_words(&call, command, rest);
    if (*line && !command)
        text_add(text, "unknown command: '%.100s'\n", line);
    else if (command && !call.failed && command_check(&call, command))
        command_run(&call, command);
    if (call.failed)
        text_add(text, "Error: %s\n", call.error);
    else if (command && command->print)
        command->print(call.result, text);
    else if (call.result && json_object_is_type(call.result, json_type_string))
        text_add(text, "%s", json_object_get_string(call.result));
    if (call.afterwards) call.afterwards(&call);
    char *said = strdup(json_object_get_string(text));
    json_object_put(call.arguments);
    json_object_put(call.result);
    json_object_put(text);
    return said;
}

/* --- help --- */

static void describe(const struct control_command *c, struct json_object *text)
{
    char left[160];
    int used = snprintf(left, sizeof(left), "%s", c->hmp);
    for (const struct control_argument *a = c->arguments; a && a->name; a++) {
        const char *open = a->optional ? "[" : "", *close = a->optional ? "]" : "";
        if (a->flag) used += snprintf(left + used, sizeof(left) - (size_t)used, " [-%c]", a->flag);
        if (a->positional)
            used += snprintf(left + used, sizeof(left) - (size_t)used, " %s%s%s", open, a->name, close);
    }
    text_add(text, "%s -- %s\n", left, c->help);
}

void run_help(struct control_call *call)
{
    const char *about = call_text(call, "command");
    call->result = json_object_new_string("");
    for (const struct control_command *c = control_commands; c->run; c++)
        if (c->hmp && (!about || !strncmp(c->hmp, about, strlen(about)))) describe(c, call->result);
    if (!json_object_get_string_len(call->result)) call_fail(call, "unknown command: '%.100s'", about);
}

void run_hmp(struct control_call *call)
{
    char *said = control_hmp(call->control, call_text(call, "command-line"));
    call->result = json_object_new_string(said);
    free(said);
}

/* --- the session --- */

/* Terminals are raw: every line ends with CR LF. */
static void say(struct session *s, const char *text)
{
    char piece[512];
    u32 count = 0;
    for (; *text; text++) {
        if (*text == '\n') piece[count++] = '\r';
        piece[count++] = *text;
        if (count < sizeof(piece) - 3 && text[1]) continue;
        piece[count] = 0;
        session_say(s, piece);
        count = 0;
    }
}

static void greet(struct session *s)
{
    char text[128];
    snprintf(text, sizeof(text), "QEMU 7.2.0 monitor of Ringer %s - type 'help' for more information\n",
             s->control->version);
    s->greeted = true;
    s->length = 0;
    say(s, text);
    say(s, prompt);
}

/* On a shared chardev, the greeting comes when the session gets the input. */
static void opened(struct session *s)
{
    if (!s->front.chardev->options->mux && s->front.chardev->options->kind != CHAR_STDIO) greet(s);
}

static void focused(struct session *s)
{
    if (!s->greeted) {
        greet(s);
        return;
    }
    say(s, "\n");
    say(s, prompt);
}

static void run(struct session *s)
{
    s->said = control_hmp(s->control, s->line);
}

static void answer(struct session *s)
{
    if (s->call.failed) {
        say(s, s->call.error);
        say(s, "\n");
    }
    if (s->said) say(s, s->said);
    s->length = 0;
    say(s, prompt);
}

static void erase(struct session *s, u32 count)
{
    for (; count && s->length; count--, s->length--)
        session_say(s, "\b \b");
}

/* Returns whether the line is complete. */
static bool type(struct session *s, char c)
{
    char echo[2] = {c, 0};
    if (s->escape) { /* ESC [ A and the like: there is no history */
        s->escape = s->escape == 1 && c == '[' ? 2 : s->escape == 2 && !isalpha((unsigned char)c) ? 2 : 0;
        return false;
    }
    switch (c) {
    case '\r':
    case '\n': say(s, "\n"); return true;
    case 8:
    case 127: erase(s, 1); return false;
    case 3:
    case 21: erase(s, s->length); return false;
    case 27: s->escape = 1; return false;
    }
    if ((unsigned char)c >= ' ' && s->length + 1 < sizeof(s->line)) {
        s->line[s->length++] = c;
        session_say(s, echo);
    }
    return false;
}

static u32 take(struct session *s, const char *bytes, u32 count)
{
    for (u32 n = 0; n < count; n++) {
        if (!type(s, bytes[n])) continue;
        s->line[s->length] = 0;
        s->command = NULL;
        session_run(s);
        return n + 1;
    }
    return count;
}

const struct session_protocol session_hmp = {
    .opened = opened, .focused = focused, .take = take, .run = run, .answer = answer};
