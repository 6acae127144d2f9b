"""gdb: symbols of the guest's kernel modules.

    (gdb) source docs/examples/modules.py
    (gdb) modules FOLDER            with debug information of the kernel: the modules that are loaded now
    (gdb) modules FOLDER FILE       without: FILE is what the guest prints by  grep . /sys/module/*/sections/.[a-z]*

FOLDER has the modules as files NAME.ko, at any depth: the kernel's own, which have a table of symbols, or those of its package of
debug information, which have source lines too. A module is where its loader has put it, so only the running guest knows.
"""
import os

import gdb


def files_below(folder):
    """Path by the module's name, which has _ where the name of the file may have -."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".ko"):
                found[name[:-3].replace("-", "_")] = os.path.join(where, name)
    return found


def sections_in_memory():
    """{module: {section: address}}, by the kernel's list of its modules (struct module, kernel/module/sysfs.c)."""
    loaded = {}
    module = gdb.lookup_type("struct module")
    offset = next(int(field.bitpos) // 8 for field in module.fields() if field.name == "list")
    head = gdb.parse_and_eval("&modules")
    at = head["next"]
    while at != head:
        one = gdb.Value(int(at) - offset).cast(module.pointer())
        attributes = one["sect_attrs"]
        sections = [attributes["attrs"][n] for n in range(int(attributes["nsections"]))]
        loaded[one["name"].string()] = {each["battr"]["attr"]["name"].string(): int(each["address"]) for each in sections}
        at = at["next"]
    return loaded


def sections_in_file(path):
    """The same of lines /sys/module/NAME/sections/SECTION:0xADDRESS"""
    loaded = {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            name, colon, address = line.strip().partition(":0x")
            if colon and "/sections/" in name:
                module, section = name.split("/module/")[-1].split("/sections/")
                loaded.setdefault(module, {})[section] = int(address, 16)
    return loaded


class Modules(gdb.Command):
    """modules FOLDER [FILE]: load the symbols of the guest's kernel modules from the files NAME.ko below FOLDER. FILE has the
addresses of their sections, as /sys/module/NAME/sections says them; without it they are read from the guest's memory."""

    def __init__(self):
        super().__init__("modules", gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if len(words) not in (1, 2):
            raise gdb.GdbError("usage: modules FOLDER [FILE]")
        try:
            loaded = sections_in_file(words[1]) if len(words) == 2 else sections_in_memory()
        except (OSError, gdb.error) as error:
            raise gdb.GdbError("the guest's modules cannot be found: %s" % error) from error
        files, without = files_below(words[0]), []
        for name, sections in sorted(loaded.items()):
            if name not in files or ".text" not in sections:
                without.append(name)
                continue
            others = "".join(" -s %s %#x" % (section, sections[section]) for section in (".data", ".rodata", ".bss", ".init.text") if section in sections)
            gdb.execute("add-symbol-file \"%s\" %#x%s" % (files[name], sections[".text"], others), from_tty=False, to_string=True)
            print("%s at %#x" % (name, sections[".text"]))
        if without:
            print("no file or no code: " + " ".join(without))


Modules()
