/*
 * The console. See console.h.
 */
#include "console.h"

static bool take_next(struct console *console, struct console_event *event)
{
    pthread_mutex_lock(&console->lock);
    bool any = console->count > 0;
    if (any) {
        *event = console->queue[console->head];
        console->head = (console->head + 1) % CONSOLE_QUEUE_EVENTS;
        console->count--;
    } else {
        console->letter_sent = false;
    }
    pthread_mutex_unlock(&console->lock);
    return any;
}

static void delivered(struct letter *letter)
{
    struct console *console = container_of(letter, struct console, letter);
    struct console_event event;
    while (take_next(console, &event))
        console->take(console->machine, &event);
}

void console_init(struct console *console)
{
    *console = (struct console){.letter.run = delivered};
    pthread_mutex_init(&console->lock, NULL);
    clipboard_init(&console->clipboard);
}

void console_destroy(struct console *console)
{
    pthread_mutex_destroy(&console->lock);
    clipboard_destroy(&console->clipboard);
}

void console_attach(struct console *console, struct console_frontend *frontend)
{
    frontend->next = console->frontends;
    console->frontends = frontend;
}

void console_detach(struct console *console, struct console_frontend *frontend)
{
    for (struct console_frontend **at = &console->frontends; *at; at = &(*at)->next)
        if (*at == frontend) {
            *at = frontend->next;
            return;
        }
}

static s16 sum(int a, int b)
{
    int both = a + b;
    return (s16)(both < INT16_MIN ? INT16_MIN : both > INT16_MAX ? INT16_MAX : both);
}

/* Merge movement into preceding movement with the same buttons. Of two texts or sizes the last one counts. */
static bool merge(struct console_event *last, const struct console_event *event)
{
    if (last->kind != event->kind || last->buttons != event->buttons) return false;
    if (event->kind == CONSOLE_KEY || event->kind == CONSOLE_COMMAND) return false;
    last->wheel = sum(last->wheel, event->wheel);
    last->right = sum(last->right, event->right);
    last->lower = sum(last->lower, event->lower);
    last->x = event->x;
    last->y = event->y;
    return true;
}

void console_send(struct console *console, const struct console_event *event)
{
    pthread_mutex_lock(&console->lock);
    struct console_event *last =
        &console->queue[(console->head + console->count + CONSOLE_QUEUE_EVENTS - 1) % CONSOLE_QUEUE_EVENTS];
    if (!console->count || !merge(last, event)) {
        if (console->count < CONSOLE_QUEUE_EVENTS)
            console->queue[(console->head + console->count++) % CONSOLE_QUEUE_EVENTS] = *event;
    }
    bool send = !console->letter_sent && console->mailbox;
    console->letter_sent |= send;
    pthread_mutex_unlock(&console->lock);
    if (send) mailbox_send(console->mailbox, &console->letter);
}

void console_send_key(struct console *console, const struct key *key, bool down)
{
    console_send(console, &(struct console_event){.kind = CONSOLE_KEY, .key = key, .down = down});
}

void console_send_command(struct console *console, enum console_command command)
{
    console_send(console, &(struct console_event){.kind = CONSOLE_COMMAND, .command = command});
}

void console_copy(struct console *console, const char *text, size_t bytes)
{
    if (clipboard_put(&console->clipboard, CLIPBOARD_HOST, text, bytes))
        console_send(console, &(struct console_event){.kind = CONSOLE_COPY});
}

u16 console_scale(s64 at, u32 length)
{
    if (at < 0) at = 0;
    if (at > (s64)length - 1) at = (s64)length - 1;
    return (u16)(length > 1 ? at * 0xffff / (length - 1) : 0);
}

void console_set(struct console *console, u32 *field, u32 value)
{
    if (__atomic_exchange_n(field, value, __ATOMIC_SEQ_CST) == value) return;
    for (struct console_frontend *frontend = console->frontends; frontend; frontend = frontend->next)
        frontend->changed(frontend);
}

bool console_set_password(struct console *console, const char *password)
{
    bool taken = false;
    for (struct console_frontend *frontend = console->frontends; frontend; frontend = frontend->next)
        taken |= frontend->set_password && frontend->set_password(frontend, password);
    return taken;
}
