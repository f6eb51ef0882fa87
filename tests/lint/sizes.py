"""No file over 500 lines, no function over 60."""

import os
import re
import subprocess
import sys

FILE_LINES, FUNCTION_LINES = 500, 60


def check(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        lines = file.read().splitlines()
    if len(lines) > FILE_LINES:
        yield f"{path}: {len(lines)} lines; a file has one idea and at most {FILE_LINES}"
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start - 1 > FUNCTION_LINES:
                yield f"{path}:{start}: a function of {number - start - 1} lines; {FUNCTION_LINES} fit a screen"
            start = None
        elif re.match(r"\S.*\) \{$", line):
            yield f"{path}:{number}: a function's brace stands on a line of its own"


def main():
    root = sys.argv[1]
    paths = subprocess.run(["find", "lib", "daemon", "cli", "man", "tests", "-name", "*.[ch]"], cwd=root, capture_output=True,
                           text=True, check=True).stdout.split()
    breaches = [breach for path in sorted(paths) for breach in check(root, path)]
    print("\n".join(breaches) or f"{len(paths)} files are small")
    sys.exit(bool(breaches))


if __name__ == "__main__":
    main()
