"""Makes C arrays of the files that pages.def names, each with a hash for its entity tag. Called by meson. Of a Python script that a row
names, what it writes to standard output.

Usage: embed.py TOP OUTPUT DEPFILE"""

import glob
import hashlib
import os
import re
import subprocess
import sys

ROW = re.compile(r'^PAGE\((\w+), "([^"]+)"', re.MULTILINE)
COLUMNS = 24


def contents_of(path):
    """The bytes of a row's file, and the files that they depend on."""
    if not path.endswith(".py"):
        with open(path, "rb") as file:
            return file.read(), [path]
    sources = glob.glob(os.path.join(os.path.dirname(path), "**", "*.js"), recursive=True)
    return subprocess.run([sys.executable, path], stdout=subprocess.PIPE, check=True).stdout, [path, *sorted(sources)]


def main():
    top, output, depfile = sys.argv[1:]
    table = os.path.join(top, "daemon/page/pages.def")
    with open(table, encoding="utf-8") as file:
        rows = ROW.findall(file.read())
    arrays, contents, read = [], [], [table]
    for name, path in rows:
        data, needed = contents_of(os.path.join(top, path))
        read += needed
        lines = [",".join(map(str, data[i:i + COLUMNS])) for i in range(0, len(data), COLUMNS)]
        arrays.append(f"static const unsigned char {name}[] = {{\n" + ",\n".join(lines) + "};\n")
        digest = hashlib.sha256(data).hexdigest()[:32]
        contents.append(f'    [PAGE_{name}] = {{{{{name}, sizeof({name})}}, "{digest}"}},\n')
    with open(output, "w", encoding="ascii") as file:
        file.write("/* Made by daemon/page/embed.py. */\n#include \"daemon/page/pages.h\"\n\n" + "\n".join(arrays)
                   + "\nconst struct http_content page_contents[PAGE_COUNT] = {\n" + "".join(contents) + "};\n")
    with open(depfile, "w", encoding="utf-8") as file:
        file.write(f"{output}: " + " ".join(path.replace(" ", "\\ ") for path in read) + "\n")


if __name__ == "__main__":
    main()
