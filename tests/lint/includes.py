"""Checks every #include against layers.txt."""

import os
import re
import subprocess
import sys


def read_rules(path):
    layers, files, doors = {}, {}, {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            line = line.split("#", 1)[0].strip()
            if not line:
                continue
            kind, rest = line.split(None, 1)
            name, _, values = rest.partition(":")
            {"layer": layers, "file": files, "door": doors}[kind][name.strip()] = set(values.split())
    return layers, files, doors


def check(root, path, rules):
    layers, files, doors = rules
    folder = os.path.dirname(path)
    allowed = files.get(path) or ({folder} | layers[folder] if folder in layers else None)
    if allowed is None:
        yield f"{path}: its folder has no rule in layers.txt"
        return
    with open(os.path.join(root, path), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            own = re.match(r'#include "([^"]+)"', line)
            foreign = re.match(r"#include <([^>]+)>", line)
            if own and not os.path.exists(os.path.join(root, own[1])):
                yield f'{path}:{number}: "{own[1]}" is not written from the top of the tree'
            elif own and os.path.dirname(own[1]) not in allowed:
                yield f'{path}:{number}: {folder} may not include "{own[1]}"'
            for prefix, door in doors.items():
                if foreign and foreign[1].startswith(prefix) and path not in door and not path.startswith("tests/"):
                    yield f"{path}:{number}: <{foreign[1]}> belongs to {', '.join(sorted(door))}"


def main():
    root = sys.argv[1]
    rules = read_rules(os.path.join(root, "tests/lint/layers.txt"))
    paths = subprocess.run(["find", "lib", "daemon", "cli", "man", "tests", "-name", "*.[ch]"], cwd=root, capture_output=True,
                           text=True, check=True).stdout.split()
    breaches = [breach for path in sorted(paths) for breach in check(root, path, rules)]
    print("\n".join(breaches) or f"{len(paths)} files keep the layers")
    sys.exit(bool(breaches))


if __name__ == "__main__":
    main()
