#!/usr/bin/env python3
"""What a user does at a desktop, for tests: keys, pointer and window manager's messages into an X server, and eyes.

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
    pixel X Y             print it
    shot FILE             the window as PPM
    sleep SECONDS
    latency N             N times: a key, until a pixel of the window has changed; prints milliseconds
"""
import ctypes as c
import os
import sys
import time

x11, xtst = c.CDLL("libX11.so.6"), c.CDLL("libXtst.so.6")
WAIT = 20.0
KEYS = {"ctrl": "Control_L", "alt": "Alt_L", "shift": "Shift_L", "enter": "Return", "esc": "Escape"}
# Keysyms of the unshifted key, where another key (of a keypad) has the sign itself.
NAMES = {" ": "space", "\n": "Return", "!": "exclam", '"': "quotedbl", "#": "numbersign", "$": "dollar",
         "%": "percent", "&": "ampersand", "'": "apostrophe", "(": "9", ")": "0", "*": "asterisk",
         "+": "plus", ",": "comma", "-": "minus", ".": "period", "/": "slash", ":": "colon", ";": "semicolon",
         "<": "less", "=": "equal", ">": "greater", "?": "question", "@": "at", "[": "bracketleft",
         "\\": "backslash", "]": "bracketright", "^": "asciicircum", "_": "underscore", "`": "grave",
         "{": "braceleft", "|": "bar", "}": "braceright", "~": "asciitilde"}
SHIFTED = set('~!@#$%^&*()_+{}|:"<>?')


class Image(c.Structure):
    _fields_ = [("width", c.c_int), ("height", c.c_int), ("xoffset", c.c_int), ("format", c.c_int),
                ("data", c.POINTER(c.c_char)), ("byte_order", c.c_int), ("bitmap_unit", c.c_int),
                ("bitmap_bit_order", c.c_int), ("bitmap_pad", c.c_int), ("depth", c.c_int),
                ("bytes_per_line", c.c_int), ("bits_per_pixel", c.c_int)]


class ClientMessage(c.Structure):
    _fields_ = [("type", c.c_int), ("serial", c.c_ulong), ("send_event", c.c_int), ("display", c.c_void_p),
                ("window", c.c_ulong), ("message_type", c.c_ulong), ("format", c.c_int), ("data", c.c_long * 5),
                ("pad", c.c_long * 24)]


for library, name, result, arguments in [
        (x11, "XOpenDisplay", c.c_void_p, [c.c_char_p]),
        (x11, "XDefaultRootWindow", c.c_ulong, [c.c_void_p]),
        (x11, "XQueryTree", c.c_int, [c.c_void_p, c.c_ulong, c.c_void_p, c.c_void_p, c.c_void_p, c.c_void_p]),
        (x11, "XFetchName", c.c_int, [c.c_void_p, c.c_ulong, c.POINTER(c.c_char_p)]),
        (x11, "XStringToKeysym", c.c_ulong, [c.c_char_p]),
        (x11, "XKeysymToKeycode", c.c_ubyte, [c.c_void_p, c.c_ulong]),
        (x11, "XSetInputFocus", c.c_int, [c.c_void_p, c.c_ulong, c.c_int, c.c_ulong]),
        (x11, "XSync", c.c_int, [c.c_void_p, c.c_int]),
        (x11, "XFree", c.c_int, [c.c_void_p]),
        (x11, "XMoveResizeWindow", c.c_int, [c.c_void_p, c.c_ulong, c.c_int, c.c_int, c.c_uint, c.c_uint]),
        (x11, "XGetGeometry", c.c_int, [c.c_void_p, c.c_ulong] + [c.c_void_p] * 7),
        (x11, "XInternAtom", c.c_ulong, [c.c_void_p, c.c_char_p, c.c_int]),
        (x11, "XSendEvent", c.c_int, [c.c_void_p, c.c_ulong, c.c_int, c.c_long, c.c_void_p]),
        (x11, "XWarpPointer", c.c_int, [c.c_void_p, c.c_ulong, c.c_ulong] + [c.c_int] * 6),
        (x11, "XGetImage", c.POINTER(Image), [c.c_void_p, c.c_ulong, c.c_int, c.c_int, c.c_uint, c.c_uint,
                                              c.c_ulong, c.c_int]),
        (x11, "XDestroyImage", c.c_int, [c.POINTER(Image)]),
        (xtst, "XTestFakeKeyEvent", c.c_int, [c.c_void_p, c.c_uint, c.c_int, c.c_ulong]),
        (xtst, "XTestFakeButtonEvent", c.c_int, [c.c_void_p, c.c_uint, c.c_int, c.c_ulong])]:
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments

display = x11.XOpenDisplay(None)
if not display:
    sys.exit("desktop.py: no X server at DISPLAY=%s" % os.environ.get("DISPLAY"))
root = x11.XDefaultRootWindow(display)
# Windows may go while we look at them.
HANDLER = c.CFUNCTYPE(c.c_int, c.c_void_p, c.c_void_p)
ignore = HANDLER(lambda display, event: 0)
x11.XSetErrorHandler(ignore)
window = 0


def sync():
    x11.XSync(display, 0)


def title_of(which):
    name = c.c_char_p()
    if not x11.XFetchName(display, which, c.byref(name)) or not name.value:
        return ""
    text = name.value.decode("latin-1")
    x11.XFree(name)
    return text


def below(which):
    top, parent, children, count = c.c_ulong(), c.c_ulong(), c.POINTER(c.c_ulong)(), c.c_uint()
    if not x11.XQueryTree(display, which, c.byref(top), c.byref(parent), c.byref(children), c.byref(count)):
        return
    for n in range(count.value):
        yield children[n]
        yield from below(children[n])
    if children:
        x11.XFree(children)


def geometry():
    top, x, y, width, height, border, depth = (c.c_ulong(), c.c_int(), c.c_int(), c.c_uint(), c.c_uint(), c.c_uint(),
                                               c.c_uint())
    x11.XGetGeometry(display, window, *map(c.byref, (top, x, y, width, height, border, depth)))
    return width.value, height.value


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
    wait("a window \"%s\"" % text, look)
    time.sleep(0.2)
    x11.XSetInputFocus(display, window, 1, 0)
    sync()
    time.sleep(0.2)


def keycode(name):
    code = x11.XKeysymToKeycode(display, x11.XStringToKeysym(KEYS.get(name, name).encode()))
    if not code:
        sys.exit("desktop.py: there is no key %s" % name)
    return code


def press(codes):
    for code in codes:
        xtst.XTestFakeKeyEvent(display, code, 1, 0)
    for code in reversed(codes):
        xtst.XTestFakeKeyEvent(display, code, 0, 0)
    sync()


def type_text(text):
    for character in text.replace("\\n", "\n"):
        codes = [keycode(NAMES.get(character, character))]
        if character in SHIFTED or character.isupper():
            codes.insert(0, keycode("shift"))
        press(codes)
        time.sleep(0.02)


def move(x, y):
    x11.XWarpPointer(display, 0, window, 0, 0, 0, 0, int(x), int(y))
    sync()
    time.sleep(0.05)


def push(button, down):
    xtst.XTestFakeButtonEvent(display, int(button), down, 0)
    sync()
    time.sleep(0.05)


def close():
    message = ClientMessage(type=33, window=window, format=32,
                            message_type=x11.XInternAtom(display, b"WM_PROTOCOLS", 0))
    message.data[0] = x11.XInternAtom(display, b"WM_DELETE_WINDOW", 0)
    x11.XSendEvent(display, window, 0, 0, c.byref(message))
    sync()


def pixels(x, y, width, height):
    image = x11.XGetImage(display, window, x, y, width, height, 0xffffffff, 2)
    if not image:
        return b""
    data = c.string_at(image.contents.data, image.contents.bytes_per_line * height)
    x11.XDestroyImage(image)
    return data


def shot(path):
    width, height = geometry()
    data = pixels(0, 0, width, height)
    rgb = bytearray(width * height * 3)
    rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
    with open(path, "wb") as out:
        out.write(b"P6 %d %d 255\n" % (width, height) + rgb)


def latency(count):
    """The lowest line with something in it is where the next character goes."""
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
            if time.perf_counter() - start > 2:
                sys.exit("desktop.py: no pixel changed within 2 s of a key")
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
    "click": lambda button: (push(button, 1), push(button, 0)), "close": close, "pixel": pixel, "shot": shot,
    "latency": latency,
    "size": lambda w, h: (x11.XMoveResizeWindow(display, window, 0, 0, int(w), int(h)), sync()),
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
