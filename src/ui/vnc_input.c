/*
 * Keys and pointer of VNC clients. See vnc.h.
 *
 * A client with "QEMU Extended Key Event" (RFB community specification) sends the position of a key, so only
 * the guest's layout matters. Other clients send the meaning of a key (an X keysym). Ringer then presses the
 * key that has this meaning on the US layout. If the meaning needs another state of the shift key than the
 * guest has now, as for symbols of other layouts, Ringer presses or releases shift around the key.
 */
#include "vnc_private.h"

#include "devices/input/ps2_keyboard.h"
#include "devices/input/ps2_mouse.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

static const struct key **find_held(struct vnc *vnc, const struct key *key)
{
    for (unsigned n = 0; n < VNC_HELD_MAX; n++)
        if (vnc->held[n] == key) return &vnc->held[n];
    return NULL;
}

static void press(struct vnc *vnc, const struct key *key, bool down)
{
    const struct key **place = find_held(vnc, key);
    if (down && !place && (place = find_held(vnc, NULL))) *place = key;
    if (!down && !place) return;
    if (!down) *place = NULL;
    console_send_key(vnc->console, key, down);
}

static const struct key *shift_key(const char *name)
{
    return key_by_name(name, strlen(name));
}

/* This does not go through press(), so the client's own state of shift is unchanged. */
static void with_shift(struct vnc *vnc, const struct key *key, bool shift)
{
    const struct key *left = shift_key("shift"), *right = shift_key("shift_r");
    bool held_left = find_held(vnc, left), held_right = find_held(vnc, right);
    if (shift) console_send_key(vnc->console, left, true);
    if (!shift && held_left) console_send_key(vnc->console, left, false);
    if (!shift && held_right) console_send_key(vnc->console, right, false);
    press(vnc, key, true);
    if (shift) console_send_key(vnc->console, left, false);
    if (!shift && held_left) console_send_key(vnc->console, left, true);
    if (!shift && held_right) console_send_key(vnc->console, right, true);
}

void vnc_key(rfbBool down, rfbKeySym keysym, rfbClientPtr client)
{
    struct vnc *vnc = client->screen->screenData;
    int shift;
    const struct key *key = key_by_keysym((u32)keysym, &shift);
    if (!key) return;
    bool held = find_held(vnc, shift_key("shift")) || find_held(vnc, shift_key("shift_r"));
    bool caps = console_get(&vnc->console->leds) & PS2_LED_CAPS;
    bool wanted = key_is_letter(key) && caps ? !shift : shift;
    if (down && shift >= 0 && wanted != held)
        with_shift(vnc, key, wanted);
    else
        press(vnc, key, down);
}

/* The client understands extended key events; tell it that the server does too. */
static rfbBool offer_scan_codes(rfbClientPtr client, void **data, int encoding)
{
    struct {
        rfbFramebufferUpdateMsg update;
        rfbFramebufferUpdateRectHeader rectangle;
    } answer = {{.type = rfbFramebufferUpdate, .nRects = htons(1)},
                {.encoding = htonl(rfbEncodingQemuExtendedKeyEvent)}};
    if ((u32)encoding != rfbEncodingQemuExtendedKeyEvent) return FALSE;
    if (rfbWriteExact(client, (const char *)&answer, sizeof(answer)) < 0) rfbCloseClient(client);
    return TRUE;
}

static_assert(sizeof(rfbQemuExtendedKeyEventMsg) == sz_rfbQemuExtendedKeyEventMsg &&
                  sizeof(rfbFramebufferUpdateMsg) + sizeof(rfbFramebufferUpdateRectHeader) == 16,
              "as they are on the wire");

/* Messages of this type with another subtype cannot be skipped, because their lengths are unknown. */
static rfbBool take_scan_code(rfbClientPtr client, void *data, const rfbClientToServerMsg *message)
{
    rfbQemuExtendedKeyEventMsg event;
    if (message->type != rfbQemuEvent) return FALSE;
    if (rfbReadExact(client, (char *)&event + 1, sizeof(event) - 1) <= 0 || event.subtype) {
        rfbCloseClient(client);
        return TRUE;
    }
    const struct key *key = key_by_scan_code(ntohl(event.keycode));
    if (key) press(client->screen->screenData, key, event.down);
    return TRUE;
}

static int scan_code_encodings[] = {(int)rfbEncodingQemuExtendedKeyEvent, 0};

rfbProtocolExtension vnc_scan_codes = {.pseudoEncodings = scan_code_encodings,
                                       .enablePseudoEncoding = offer_scan_codes,
                                       .handleMessage = take_scan_code};

void vnc_release_keys(struct vnc *vnc)
{
    for (unsigned n = 0; n < VNC_HELD_MAX; n++)
        if (vnc->held[n]) press(vnc, vnc->held[n], false);
}

/* Bits of a pointer event's mask (RFC 6143, 7.5.5). Each click of the wheel is a button that is pressed and
 * released. */
enum { MASK_LEFT = 1, MASK_MIDDLE = 2, MASK_RIGHT = 4, MASK_WHEEL_UP = 8, MASK_WHEEL_DOWN = 16 };

void vnc_pointer(int mask, int x, int y, rfbClientPtr client)
{
    struct vnc *vnc = client->screen->screenData;
    u8 buttons =
        (u8)((mask & MASK_LEFT ? PS2_BUTTON_LEFT : 0) | (mask & MASK_MIDDLE ? PS2_BUTTON_MIDDLE : 0) |
             (mask & MASK_RIGHT ? PS2_BUTTON_RIGHT : 0));
    int pressed = mask & ~client->lastPtrButtons;
    s16 wheel = (s16)((pressed & MASK_WHEEL_DOWN ? 1 : 0) - (pressed & MASK_WHEEL_UP ? 1 : 0));
    client->lastPtrButtons = mask;
    console_send(vnc->console, &(struct console_event){.kind = CONSOLE_POINT,
                                                       .x = console_scale(x, (u32)client->screen->width),
                                                       .y = console_scale(y, (u32)client->screen->height),
                                                       .wheel = wheel,
                                                       .buttons = buttons});
}

int vnc_leds(rfbScreenInfoPtr screen)
{
    const struct vnc *vnc = screen->screenData;
    u32 leds = console_get(&vnc->console->leds);
    return (leds & PS2_LED_CAPS ? rfbKeyboardMaskCapsLock : 0) |
           (leds & PS2_LED_NUM ? rfbKeyboardMaskNumLock : 0) |
           (leds & PS2_LED_SCROLL ? rfbKeyboardMaskScrollLock : 0);
}
