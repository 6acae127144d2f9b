/*
 * The VNC server: clients and the picture. See vnc.h.
 */
#include "vnc_private.h"

#include "base/confine.h"
#include "base/host_time.h"
#include "base/log.h"
#include "libraries.h"

#include <errno.h>
#include <linux/sockios.h>
#include <rfb/rfbregion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

#define BLANK_WIDTH     720
#define BLANK_HEIGHT    400
#define NS_PER_SECOND   1000000000ull
#define FRAME_NS        (NS_PER_SECOND / 50)
#define CLIENT_WAIT_MS  1000
#define BITS_PER_COLOUR 8
#define COLOURS         3
#define BYTES_PER_PIXEL 4
#define LOOK_AGAIN_NS   (NS_PER_SECOND / 50)
#define HOLD_NS         (NS_PER_SECOND / 2)   /* without a picture, wait this long for one */
#define LOGIN_NS        (120 * NS_PER_SECOND) /* time for the greeting, and for the user to type a password */
#define UNSENT_MAX      (256 << 10)           /* a client with more unsent data than this gets nothing new */

/* --- news from the vCPU thread --- */

static void wake(struct vnc *vnc)
{
    u64 one = 1;
    if (write(vnc->wake_fd, &one, sizeof(one)) < 0) { /* the counter is full, so the thread does not sleep */
    }
}

static void tell(struct vnc *vnc, u32 news)
{
    if (!(__atomic_fetch_or(&vnc->news, news, __ATOMIC_SEQ_CST) & news)) wake(vnc);
}

static void picture_changed(struct display_viewer *viewer)
{
    tell(container_of(viewer, struct vnc, viewer), VNC_CHANGED);
}

static void picture_ready(struct display_viewer *viewer)
{
    tell(container_of(viewer, struct vnc, viewer), VNC_READY);
}

static void state_changed(struct console_frontend *frontend)
{
    tell(container_of(frontend, struct vnc, frontend), VNC_STATE);
}

/* --- clients --- */

/* What the server knows of a client: the size that the client believes the screen has, and when it
 * connected. */
struct visitor {
    int width, height;
    u64 since_ns;
};

/* libvncserver does not do this, not even in rfbDisableExtension(). */
static void forget_extensions(rfbClientPtr client)
{
    while (client->extensions) {
        rfbExtensionData *first = client->extensions;
        client->extensions = first->next;
        free(first);
    }
}

static void client_gone(rfbClientPtr client)
{
    struct vnc *vnc = client->screen->screenData;
    vnc->clients--;
    vnc_release_keys(vnc);
    forget_extensions(client);
    free(client->clientData);
}

static enum rfbNewClientAction new_client(rfbClientPtr client)
{
    struct vnc *vnc = client->screen->screenData;
    struct visitor *visitor = vnc->clients < VNC_CLIENTS_MAX ? malloc(sizeof(*visitor)) : NULL;
    if (!visitor) return RFB_CLIENT_REFUSE;
    *visitor = (struct visitor){client->screen->width, client->screen->height, host_now_ns()};
    vnc->clients++;
    client->clientData = visitor;
    client->clientGoneHook = client_gone;
    /* The first size that a client gets should be the picture's: some clients cannot change it. */
    bool old = vnc->wants || vnc->asked || !vnc->viewer.frame.pixel;
    return old ? RFB_CLIENT_ON_HOLD : RFB_CLIENT_ACCEPT;
}

static void greet_clients(struct vnc *vnc)
{
    for (rfbClientPtr client = vnc->screen->clientHead; client; client = client->next)
        client->onHold = FALSE;
}

/* A client gets a message with a new size only if it has reported that it understands such messages. It reports that
 * after it has got the first size. A client that never does gets as much of the picture as fits in the first size. */
static void tell_size(rfbClientPtr client)
{
    struct visitor *known = client->clientData;
    int width = client->screen->width, height = client->screen->height;
    bool same = known->width == width && known->height == height;
    if (client->useNewFBSize && !same) client->newFBSizePending = TRUE;
    if (client->state != RFB_NORMAL || client->newFBSizePending) {
        known->width = width; /* the next message has this size */
        known->height = height;
    } else if (!same) {
        sraRegion *room = sraRgnCreateRect(0, 0, known->width, known->height);
        sraRgnAnd(client->modifiedRegion, room);
        sraRgnDestroy(room);
    }
}

/* The client's socket still holds unread data: an update now would make all other clients wait. */
static bool is_slow(rfbClientPtr client)
{
    int unsent = 0;
    return ioctl(client->sock, SIOCOUTQ, &unsent) == 0 && unsent > UNSENT_MAX;
}

/* Returns when a client must be looked at again, UINT64_MAX for never. */
static u64 update_client(rfbClientPtr client, u64 now)
{
    const struct visitor *visitor = client->clientData;
    u64 login_ns = visitor->since_ns + LOGIN_NS;
    tell_size(client);
    if (client->onHold) {
        u64 hold_ns = visitor->since_ns + HOLD_NS;
        if (now >= hold_ns) client->onHold = FALSE;
        return hold_ns;
    }
    if (client->state != RFB_NORMAL) {
        if (now >= login_ns) rfbCloseClient(client);
        return login_ns;
    }
    if (is_slow(client)) return now + LOOK_AGAIN_NS;
    rfbUpdateClient(client);
    return UINT64_MAX;
}

static u64 update_clients(struct vnc *vnc, u64 now)
{
    u64 again = UINT64_MAX;
    for (rfbClientPtr client = vnc->screen->clientHead, next; client; client = next) {
        u64 at = client->sock == RFB_INVALID_SOCKET ? UINT64_MAX : update_client(client, now);
        next = client->next;
        if (client->sock == RFB_INVALID_SOCKET)
            rfbClientConnectionGone(client);
        else if (at < again)
            again = at;
    }
    return again;
}

/* --- the picture --- */

/* Set Ringer's order of colours, after libvncserver has set its own, and the conversion to each client's. */
static void set_format(rfbScreenInfo *screen)
{
    screen->serverFormat.redShift = 16;
    screen->serverFormat.greenShift = 8;
    screen->serverFormat.blueShift = 0;
    for (rfbClientPtr client = screen->clientHead; client; client = client->next)
        screen->setTranslateFunction(client);
}

static void draw(struct vnc *vnc)
{
    const struct display_frame *frame = &vnc->viewer.frame;
    vnc->blink_ns = display_draw(&vnc->viewer, host_now_ns());
    if (frame->resized) {
        rfbNewFramebuffer(vnc->screen, (char *)frame->pixel, (int)frame->width, (int)frame->height,
                          BITS_PER_COLOUR, COLOURS, BYTES_PER_PIXEL);
        set_format(vnc->screen);
        return;
    }
    for (u32 n = 0; n < frame->damage_count; n++) {
        const struct display_rect *rect = &frame->damage[n];
        rfbMarkRectAsModified(vnc->screen, (int)rect->x, (int)rect->y, (int)(rect->x + rect->width),
                              (int)(rect->y + rect->height));
    }
}

/* --- the thread --- */

/* Do everything that is due. Returns when more is due, UINT64_MAX for never. */
static u64 work(struct vnc *vnc)
{
    u64 now = host_now_ns();
    u32 news = __atomic_exchange_n(&vnc->news, 0, __ATOMIC_SEQ_CST);
    if (news & VNC_CHANGED) vnc->wants = true;
    if (news & VNC_STATE) vnc_guest_copied(vnc);
    if (news & VNC_READY) {
        vnc->asked = false;
        draw(vnc);
        greet_clients(vnc);
    }
    if (!vnc->clients) return UINT64_MAX;
    if (vnc->wants && !vnc->asked && now >= vnc->next_ask_ns) {
        vnc->wants = false;
        vnc->asked = true;
        vnc->next_ask_ns = now + FRAME_NS;
        display_ask(&vnc->viewer);
    }
    if (!vnc->asked && now >= vnc->blink_ns) draw(vnc);
    u64 next = update_clients(vnc, now);
    if (vnc->wants && !vnc->asked && vnc->next_ask_ns < next) next = vnc->next_ask_ns;
    if (!vnc->asked && vnc->blink_ns < next) next = vnc->blink_ns;
    return next;
}

static void sleep_until(struct vnc *vnc, u64 wake_ns)
{
    fd_set fds = vnc->screen->allFds;
    struct timespec left, *timeout = NULL;
    int last = vnc->screen->maxFd > vnc->wake_fd ? vnc->screen->maxFd : vnc->wake_fd;
    FD_SET(vnc->wake_fd, &fds);
    for (rfbClientPtr client = vnc->screen->clientHead; client; client = client->next)
        if (client->onHold) FD_CLR(client->sock, &fds);
    if (wake_ns != UINT64_MAX) {
        u64 now = host_now_ns(), ns = wake_ns > now ? wake_ns - now : 0;
        left = (struct timespec){(time_t)(ns / NS_PER_SECOND), (long)(ns % NS_PER_SECOND)};
        timeout = &left;
    }
    u64 count;
    if (pselect(last + 1, &fds, NULL, NULL, timeout, NULL) > 0 && FD_ISSET(vnc->wake_fd, &fds) &&
        read(vnc->wake_fd, &count, sizeof(count)) < 0) { /* the counter was 0 after all */
    }
}

static void *serve(void *argument)
{
    struct vnc *vnc = argument;
    confine_thread(ROLE_VNC);
    while (!__atomic_load_n(&vnc->stop, __ATOMIC_SEQ_CST)) {
        sleep_until(vnc, work(vnc));
        rfbCheckFds(vnc->screen, 0);
    }
    return NULL;
}

/* --- the password --- */

/* The server's thread reads it, and a monitor's command may change it meanwhile. */
static rfbBool check_password(rfbClientPtr client, const char *answer, int bytes)
{
    struct vnc *vnc = client->screen->screenData;
    pthread_mutex_lock(&vnc->password_lock);
    vnc->passwords[0] = vnc->password[0] ? vnc->password : NULL;
    rfbBool good = rfbCheckPasswordByList(client, answer, bytes);
    pthread_mutex_unlock(&vnc->password_lock);
    return good;
}

static bool set_password(struct console_frontend *frontend, const char *password)
{
    struct vnc *vnc = container_of(frontend, struct vnc, frontend);
    if (!vnc->wants_password) return false;
    pthread_mutex_lock(&vnc->password_lock);
    snprintf(vnc->password, sizeof(vnc->password), "%.*s", VNC_PASSWORD_MAX, password);
    pthread_mutex_unlock(&vnc->password_lock);
    return true;
}

/* --- opening and closing --- */

/* libvncserver's messages are about clients: they are debugging output. */
static void say(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    text[strcspn(text, "\n")] = 0;
    log_debug("VNC: %s", text);
}

static bool make_screen(struct vnc *vnc, int fd)
{
    rfbLogProc *log = library_variable(&vnc_library, "rfbLog"),
               *err = library_variable(&vnc_library, "rfbErr");
    if (log) *log = say;
    if (err) *err = say;
    vnc->blank = calloc(BLANK_WIDTH * BLANK_HEIGHT, BYTES_PER_PIXEL);
    rfbScreenInfo *screen =
        rfbGetScreen(NULL, NULL, BLANK_WIDTH, BLANK_HEIGHT, BITS_PER_COLOUR, COLOURS, BYTES_PER_PIXEL);
    vnc->screen = screen;
    if (!vnc->blank || !screen) return false;
    screen->screenData = vnc;
    screen->frameBuffer = (char *)vnc->blank;
    screen->desktopName = vnc->console->name ? vnc->console->name : "Ringer";
    screen->alwaysShared = TRUE;
    screen->deferUpdateTime = 0;
    screen->maxClientWait = CLIENT_WAIT_MS;
    screen->cursor = NULL;
    screen->autoPort = FALSE;
    screen->port = screen->ipv6port = 0;
    screen->ignoreSIGPIPE = FALSE;       /* it is ignored already */
    screen->handleEventsEagerly = FALSE; /* a client that never stops sending must not keep the thread busy */
    screen->kbdAddEvent = vnc_key;
    screen->ptrAddEvent = vnc_pointer;
    screen->getKeyboardLedStateHook = vnc_leds;
    screen->newClientHook = new_client;
    if (vnc->console->shares) {
        screen->setXCutText = vnc_cut_latin;
        screen->setXCutTextUTF8 = vnc_cut;
    }
    if (vnc->wants_password) {
        screen->authPasswdData = vnc->passwords;
        screen->passwordCheck = check_password;
    }
    set_format(screen);
    rfbRegisterProtocolExtension(&vnc_scan_codes);
    rfbInitServer(screen);
    /* Ringer opens the socket itself, so that it can report what is wrong with the address. */
    screen->listenSock = fd;
    FD_SET(fd, &screen->allFds);
    screen->maxFd = fd;
    return true;
}

struct vnc *vnc_open(struct console *console, const char *specification, int *status, char *error,
                     size_t error_bytes)
{
    *status = STATUS_HOST;
    if (!library_load(&vnc_library, error, error_bytes)) return NULL;
    struct vnc *vnc = calloc(1, sizeof(*vnc));
    if (!vnc) {
        snprintf(error, error_bytes, "out of memory");
        return NULL;
    }
    vnc->console = console;
    vnc->blink_ns = UINT64_MAX;
    vnc->viewer.changed = picture_changed;
    vnc->viewer.ready = picture_ready;
    vnc->frontend.changed = state_changed;
    vnc->frontend.set_password = set_password;
    pthread_mutex_init(&vnc->password_lock, NULL);
    vnc->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fd = vnc_listen(vnc, specification, status, error, error_bytes);
    if (fd >= 0 && (vnc->wake_fd < 0 || !make_screen(vnc, fd))) {
        *status = STATUS_HOST;
        snprintf(error, error_bytes, "cannot start a VNC server: %s", strerror(errno));
        close(fd);
        fd = -1;
    }
    if (fd >= 0 && (!console->display || display_attach(console->display, &vnc->viewer))) {
        *status = STATUS_HOST;
        snprintf(error, error_bytes, "cannot start a VNC server: the machine has no display");
        fd = -1;
    }
    if (fd < 0) {
        vnc_close(vnc);
        return NULL;
    }
    console_attach(console, &vnc->frontend);
    return vnc;
}

void vnc_start(struct vnc *vnc)
{
    int failed = pthread_create(&vnc->thread, NULL, serve, vnc);
    if (failed) die(STATUS_HOST, "cannot start the VNC server's thread: %s", strerror(failed));
    vnc->running = true;
}

void vnc_stop(struct vnc *vnc)
{
    if (!vnc->running) return;
    __atomic_store_n(&vnc->stop, 1, __ATOMIC_SEQ_CST);
    wake(vnc);
    pthread_join(vnc->thread, NULL);
    vnc->running = false;
}

void vnc_close(struct vnc *vnc)
{
    if (!vnc) return;
    console_detach(vnc->console, &vnc->frontend);
    if (vnc->screen) {
        rfbShutdownServer(vnc->screen, TRUE);
        vnc->screen->frameBuffer = NULL;
        rfbScreenCleanup(vnc->screen);
        rfbUnregisterProtocolExtension(&vnc_scan_codes);
    }
    display_detach(&vnc->viewer);
    if (vnc->wake_fd >= 0) close(vnc->wake_fd);
    pthread_mutex_destroy(&vnc->password_lock);
    free(vnc->blank);
    free(vnc);
}
