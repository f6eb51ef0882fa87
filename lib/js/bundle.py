#!/usr/bin/env python3
"""Makes one ES module of rtc.js and the modules that it is made of, for pages: bundle.py OUTPUT (default: standard output).

Each module comes after those it imports. Imports and the word `export` go away, so all share one scope: names at the top of a
module must be unique among all of them (a test imports the result, which fails where they are not).
"""

import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
IMPORT = re.compile(r'^(?:import|export) \{[^}]*\} from "\./([^"]+)";\n', re.MULTILINE)
REEXPORT = re.compile(r'^export \{([^}]*)\} from "\./[^"]+";$', re.MULTILINE)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def order(path, done):
    """Paths of the modules that this one needs, and itself, each once."""
    for name in IMPORT.findall(read(path)):
        needed = os.path.normpath(os.path.join(os.path.dirname(path), name))
        if needed not in done:
            order(needed, done)
    if path not in done:
        done.append(path)
    return done


def main():
    entry = os.path.join(HERE, "rtc.js")
    *modules, _ = order(entry, [])
    parts = [IMPORT.sub("", read(entry)).strip()]
    for path in modules:
        text = re.sub(r"^export (?=(?:async )?function|class|const)", "", IMPORT.sub("", read(path)), flags=re.MULTILINE)
        if re.search(r"^(?:import|export)\b", text, re.MULTILINE):
            sys.exit(f"{path}: an import or export that this script does not know; see its patterns")
        parts.append(text.strip())
    names = [name.strip() for names in REEXPORT.findall(read(entry)) for name in names.split(",")]
    parts.append(f"export {{ {', '.join(sorted(names))} }};")
    text = "\n\n".join(parts) + "\n"
    if len(sys.argv) > 1:
        with open(sys.argv[1], "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
