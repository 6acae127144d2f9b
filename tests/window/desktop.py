#!/usr/bin/python3
"""A user at a desktop, for tests: sends keys, pointer events and a window manager's messages to an X server, and reads its picture.

usage: desktop.py COMMAND... (on the display named by DISPLAY), several separated by "+":

    find TITLE            wait until a window's title contains TITLE, and mean that window from now on
    title TEXT            wait until its title contains TEXT
    key NAME-NAME...      press and let go (keysym names: ctrl-alt-f)
    type TEXT             characters of the US layout; \\n is Return
    move X Y              the pointer to that place in the window
    down BUTTON, up BUTTON
    click BUTTON          1 left, 2 middle, 3 right, 4 wheel up, 5 wheel down
    size WIDTH HEIGHT     make the window this big, in the corner of the screen
    geometry W H          wait until it is
    close                 what the close button sends
    leave                 the keyboard goes to nothing, as to another program; the next "find" gives it back
    pixel X Y             print it
    shot FILE             the window as PPM
    shows FILE            wait until the window is the picture in FILE (PPM), to the last pixel
    still                 wait until the picture stands still, but for a cursor
    answered              wait until it has changed since the last "type" by more than a cursor, and stands still
    sleep SECONDS
    latency N             N times: a key, until a pixel of the window has changed; prints milliseconds
"""
import sys
import time

import Xlib.display
import Xlib.error
from Xlib import X, XK
from Xlib.ext import xtest
from Xlib.protocol import event

WAIT = 60.0  # seconds; a slow host is no error
PACE = 0.02  # seconds between keys: fast typing, with which a guest's keyboard driver keeps up
KEYS = {"ctrl": "Control_L", "alt": "Alt_L", "shift": "Shift_L", "enter": "Return", "esc": "Escape", "tab": "Tab"}
# Keysyms of the unshifted key, where another key (of a keypad) has the sign itself.
NAMES = {" ": "space", "\n": "Return", "!": "exclam", '"': "quotedbl", "#": "numbersign", "$": "dollar",
         "%": "percent", "&": "ampersand", "'": "apostrophe", "(": "9", ")": "0", "*": "asterisk",
         "+": "plus", ",": "comma", "-": "minus", ".": "period", "/": "slash", ":": "colon", ";": "semicolon",
         "<": "less", "=": "equal", ">": "greater", "?": "question", "@": "at", "[": "bracketleft",
         "\\": "backslash", "]": "bracketright", "^": "asciicircum", "_": "underscore", "`": "grave",
         "{": "braceleft", "|": "bar", "}": "braceright", "~": "asciitilde"}
SHIFTED = set('~!@#$%^&*()_+{}|:"<>?')


try:
    display = Xlib.display.Display()
except Xlib.error.DisplayError as problem:
    sys.exit("desktop.py: %s" % problem)
root = display.screen().root
window = None
GONE = (Xlib.error.BadWindow, Xlib.error.BadDrawable, Xlib.error.BadMatch)


def title_of(which):
    try:
        return (which.get_wm_name() or "") if which else ""
    except GONE:
        return ""


def below(which):
    try:
        children = which.query_tree().children
    except GONE:
        return
    for child in children:
        yield child
        yield from below(child)


def geometry():
    if not window:
        return 0, 0
    box = window.get_geometry()
    return box.width, box.height


def wait(what, condition):
    end = time.monotonic() + WAIT
    while not condition():
        if time.monotonic() > end:
            sys.exit("desktop.py: waited %d s for %s; the title is \"%s\", the size %dx%d" %
                     ((WAIT, what, title_of(window)) + geometry()))
        time.sleep(0.02)


def find(text):
    def look():
        global window
        for which in below(root):
            if text in title_of(which):
                window = which
        return window

    def has_focus():
        if window.get_attributes().map_state != X.IsViewable:
            return False
        window.set_input_focus(X.RevertToPointerRoot, X.CurrentTime)
        display.sync()
        return display.get_input_focus().focus == window

    wait("a window \"%s\"" % text, look)
    wait("the window to take the keyboard", has_focus)


def keycode(name):
    code = display.keysym_to_keycode(XK.string_to_keysym(KEYS.get(name, name)))
    if not code:
        sys.exit("desktop.py: there is no key %s" % name)
    return code


def press(codes):
    for code in codes:
        xtest.fake_input(display, X.KeyPress, code)
    for code in reversed(codes):
        xtest.fake_input(display, X.KeyRelease, code)
    display.sync()


def type_text(text):
    global typed_at
    for character in text.replace("\\n", "\n"):
        codes = [keycode(NAMES.get(character, character))]
        if character in SHIFTED or character.isupper():
            codes.insert(0, keycode("shift"))
        press(codes)
        time.sleep(PACE)
    typed_at = picture()


def move(x, y):
    window.warp_pointer(int(x), int(y))
    display.sync()
    time.sleep(PACE)


def push(button, down):
    xtest.fake_input(display, X.ButtonPress if down else X.ButtonRelease, int(button))
    display.sync()
    time.sleep(PACE)


def leave():
    display.set_input_focus(X.NONE, X.RevertToPointerRoot, X.CurrentTime)
    display.sync()


def close():
    window.send_event(event.ClientMessage(window=window, client_type=display.intern_atom("WM_PROTOCOLS"),
                                          data=(32, [display.intern_atom("WM_DELETE_WINDOW"), 0, 0, 0, 0])))
    display.sync()


def resize(width, height):
    window.configure(x=0, y=0, width=int(width), height=int(height))
    display.sync()


def pixels(x, y, width, height):
    """Four bytes a pixel, blue first; None if there is no window or it is smaller."""
    try:
        return window.get_image(x, y, width, height, X.ZPixmap, 0xffffffff).data
    except GONE:
        return b""


def picture():
    """The window as PPM."""
    width, height = geometry()
    data = pixels(0, 0, width, height)
    if not data:
        return b""
    rgb = bytearray(width * height * 3)
    rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
    return b"P6 %d %d 255\n" % (width, height) + rgb


def shot(path):
    with open(path, "wb") as out:
        out.write(picture())


def same_picture(one, other):
    """Headers of PPM files may have any white space."""
    head, other_head = one[:40].split(None, 4)[:4], other[:40].split(None, 4)[:4]
    size = int(head[1]) * int(head[2]) * 3 if len(head) == 4 else 1
    return head == other_head and one[-size:] == other[-size:]


def shows(path):
    with open(path, "rb") as file:
        expected = file.read()
    wait("the picture in %s" % path, lambda: same_picture(picture(), expected))


def same_but_cursor(one, other):
    """Only lines within a band of 40 may differ: a blinking cursor, or a clock."""
    if len(one) != len(other):
        return False
    stride = geometry()[0] * 3
    at = len(one) % stride
    lines = [n for n in range((len(one) - at) // stride)
             if one[at + n * stride:at + (n + 1) * stride] != other[at + n * stride:at + (n + 1) * stride]]
    return not lines or lines[-1] - lines[0] < 40


def still():
    """Waits until the picture has stood still for as long as a cursor takes to blink."""
    def settled():
        before = picture()
        for _ in range(4):
            time.sleep(0.15)
            if not before or not same_but_cursor(before, picture()):
                return False
        return True
    wait("a picture that stands still", settled)


typed_at = b""


def answered():
    wait("an answer to what was typed", lambda: picture() != typed_at)
    still()


def latency(count):
    """The next character goes into the lowest line that is not empty."""
    width, height = geometry()
    data = pixels(0, 0, width, height)
    stride = width * 4
    lines = [y for y in range(height) if any(data[y * stride:(y + 1) * stride:4])]
    top = max(lines[-1] - 16, 0)
    times = []
    for n in range(int(count)):
        code = keycode("x" if n % 2 == 0 else "BackSpace")
        before = pixels(0, top, width, 20)
        start = time.perf_counter()
        press([code])
        while pixels(0, top, width, 20) == before:
            if time.perf_counter() - start > WAIT:
                sys.exit("desktop.py: no pixel changed within %d s of a key" % WAIT)
        times.append((time.perf_counter() - start) * 1000)
        time.sleep(0.11 + 0.007 * (n % 10))
    times.sort()
    print("latency_ms median %.1f p95 %.1f max %.1f" % (times[len(times) // 2], times[len(times) * 95 // 100], times[-1]))


def pixel(x, y):
    print("%06x" % int.from_bytes(pixels(int(x), int(y), 1, 1)[:3], "little"))


COMMANDS = {
    "find": find, "title": lambda text: wait("the title \"%s\"" % text, lambda: text in title_of(window)),
    "key": lambda chord: press([keycode(name) for name in chord.split("-")]), "type": type_text, "move": move,
    "down": lambda button: push(button, 1), "up": lambda button: push(button, 0),
    "click": lambda button: (push(button, 1), push(button, 0)), "close": close, "leave": leave, "pixel": pixel, "shot": shot,
    "latency": latency, "size": resize, "shows": shows, "still": still, "answered": answered,
    "geometry": lambda w, h: wait("%sx%s" % (w, h), lambda: geometry() == (int(w), int(h))),
    "sleep": lambda seconds: time.sleep(float(seconds)),
}


def main():
    words, command = sys.argv[1:], []
    for word in words + ["+"]:
        if word != "+":
            command.append(word)
        elif command:
            COMMANDS[command[0]](*command[1:])
            command = []


main()
