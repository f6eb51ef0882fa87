"""Reads the programs for what the build promises: that bugs are hard to use. Called with their paths."""

import re
import subprocess
import sys


def readelf(*arguments):
    return subprocess.run(["readelf", "-W", *arguments], capture_output=True, text=True, check=True).stdout


def check(path):
    """What is missing, a sentence each."""
    machine = re.search(r"Machine:\s+(.*)", readelf("-h", path))[1]
    segments, dynamic, symbols = readelf("-l", path), readelf("-d", path), readelf("--dyn-syms", path)
    producers = re.findall(r"DW_AT_producer.*", readelf("--debug-dump=info", path))

    if not re.search(r"Type:\s+DYN", readelf("-h", path)) or "PIE" not in dynamic:
        yield "it always lies at the same addresses (no PIE)"
    if "GNU_RELRO" not in segments or not re.search(r"BIND_NOW|Flags:.*\bNOW\b", dynamic):
        yield "its tables of functions stay writable (-z relro, -z now)"
    if not re.search(r"GNU_STACK\s+(?:\S+\s+){5}RW\s", segments):
        yield "its stack is executable (-z noexecstack)"
    if re.search(r"LOAD\s+(?:\S+\s+){5}RWE", segments):
        yield "a part of it is both writable and executable"
    if "TEXTREL" in dynamic:
        yield "its code is changed when it is loaded (TEXTREL)"
    if re.search(r"R(?:UN)?PATH", dynamic):
        yield "it names directories to look for libraries in"
    if "__stack_chk_fail" not in symbols:
        yield "its stack frames have no canaries (-fstack-protector-strong)"
    if not re.search(r"__\w+_chk\b", symbols):
        yield "no library function checks the sizes of buffers (_FORTIFY_SOURCE)"
    # That the linker marks the whole program for it depends on the C library, whose start files are linked in.
    branches = ["-fcf-protection=full"] if "X86-64" in machine else []
    for flag in ("-fstack-clash-protection", "-ftrivial-auto-var-init=zero", "-fstack-protector-strong", *branches):
        if not producers or not all(flag in line for line in producers):
            yield f"not all of it was compiled with {flag}"


def main():
    breaches = [f"{path}: {sentence}" for path in sys.argv[1:] for sentence in check(path)]
    print("\n".join(breaches) or f"{len(sys.argv) - 1} programs are hardened")
    sys.exit(bool(breaches))


if __name__ == "__main__":
    main()
