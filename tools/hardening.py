"""
Checks that a program was built with everything that makes a mistake in it harder to use:
tools/hardening.py PROGRAM. Reads it with readelf, which comes with the compiler.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

FLAGS = ["-O2", "-fPIE", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3", "-fstack-protector-strong",
         "-fcf-protection=full"]
LINK = ["-pie", "-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack", "-Wl,-z,separate-code"]

# A function with a buffer whose size the compiler knows, and which it may well overflow.
SOURCE = r"""
#include <stdio.h>
#include <string.h>
int main(int count, char **arguments)
{
    char buffer[16];
    memcpy(buffer, arguments[0], (size_t)count * 4);
    snprintf(buffer, (size_t)count + 8, "%s", arguments[0]);
    return printf("%s\n", buffer) < 0;
}
"""


def readelf(option, program):
    return subprocess.run(["readelf", "--wide", option, program], capture_output=True, text=True,
                          check=True).stdout


def segments(program):
    """(type, flags) of each program header."""
    rows = re.findall(r"^  (\w+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([R ][W ][E ])",
                      readelf("--program-headers", program), re.M)
    return [(kind, flags.replace(" ", "")) for kind, flags in rows]


def complaints(program, is_x86=None):
    """What is missing, in words."""
    header = readelf("--file-header", program)
    dynamic = readelf("--dynamic", program)
    symbols = readelf("--dyn-syms", program)
    headers = segments(program)
    is_x86 = "X86-64" in header if is_x86 is None else is_x86
    stacks = [flags for kind, flags in headers if kind == "GNU_STACK"]
    loads = [flags for kind, flags in headers if kind == "LOAD"]
    checks = [
        ("it is not position independent (PIE)", "DYN" in header and "PIE" in dynamic),
        ("its relocations stay writable (RELRO)", "GNU_RELRO" in [kind for kind, _ in headers]),
        ("its symbols are bound when they are used (now)", re.search(r"\bNOW\b", dynamic)),
        ("its stack is executable", stacks and not any("E" in flags for flags in stacks)),
        ("it has memory to write to and execute", not any({"W", "E"} <= set(each)
                                                          for each in loads)),
        ("code and data share pages (separate-code)", "RE" in loads and loads[0] == "R"),
        ("its code is relocated", "TEXTREL" not in dynamic),
        ("its functions do not watch over the stack", "__stack_chk_fail" in symbols),
        ("it calls no checked functions (FORTIFY)", re.search(r"__\w+_chk\b(?<!stack_chk)",
                                                              symbols)),
        ("its functions have no landing pads (CET)", not is_x86 or has_landing_pads(program)),
    ]
    return [text for text, holds in checks if not holds]


def has_landing_pads(program):
    """
    Not by the note: the C library's start files come without it, so no program has it. What the
    compiler itself links in begins two functions so.
    """
    code = subprocess.run(["objdump", "--disassemble", "--section=.text", program],
                          capture_output=True, text=True, check=True).stdout
    return code.count("endbr64") > 2


def compile_program(folder, *instead):
    """What comes later on the command line wins."""
    source, program = folder / "x.c", folder / "x"
    source.write_text(SOURCE)
    subprocess.run(["gcc", *FLAGS, "-o", program, source, *LINK, *instead], check=True)
    return str(program)


def self_test():
    """Each flag that is turned round is missed."""
    cases = [
        (["-no-pie", "-fno-pie"], "position independent"),
        (["-Wl,-z,norelro"], "RELRO"),
        (["-Wl,-z,lazy"], "(now)"),
        (["-Wl,-z,execstack"], "stack is executable"),
        (["-Wl,-z,noseparate-code"], "separate-code"),
        (["-fno-stack-protector"], "watch over the stack"),
        (["-U_FORTIFY_SOURCE"], "FORTIFY"),
        (["-fcf-protection=none"], "CET"),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        found = complaints(compile_program(folder))
        assert found == [], found
        for instead, word in cases:
            found = complaints(compile_program(folder, *instead))
            assert any(word in each for each in found), (word, found)
    print("each missing flag is found")


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    found = complaints(sys.argv[1])
    for each in found:
        print(f"{sys.argv[1]}: {each}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
