"""The top level holds what it should, and nothing is left for later."""

import os
import re
import subprocess
import sys

TOP = {"meson.build", "meson_options.txt", "daemon", "cli", "lib", "conf", "systemd", "tests", "man", "README.md", "quickstart", "LICENSE",
       "CONTRIBUTING.md"}
MARKS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")


def main():
    root = sys.argv[1]
    breaches = [f"{name}: not part of the top level" for name in os.listdir(root)
                if name not in TOP and not name.startswith((".", "build"))]
    for folder in ("lib", "daemon", "cli", "man", "tests", "conf", "systemd"):
        for path in subprocess.run(["find", folder, "-type", "f", "-not", "-path", "*/corpus/*", "-not", "-name", "*.pyc"], cwd=root,
                                   capture_output=True, text=True, check=True).stdout.split():
            with open(os.path.join(root, path), encoding="utf-8") as file:
                for number, line in enumerate(file, 1):
                    if MARKS.search(line):
                        breaches.append(f"{path}:{number}: left for later: {line.strip()}")
                    if line.rstrip("\n") != line.rstrip() :
                        breaches.append(f"{path}:{number}: blanks at the end of the line")
    print("\n".join(breaches) or "the tree is tidy")
    sys.exit(bool(breaches))


if __name__ == "__main__":
    main()
