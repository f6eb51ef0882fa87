"""Secrets, and what is kept of them, are compared in a time that does not tell where they differ: not by memcmp and its like."""

import glob
import os
import re
import sys

COMPARISON = re.compile(r"\b(?:memcmp|strcmp|strncmp|strcasecmp|bytes_equal|bytes_is|table_find)\s*\(")
SECRET = re.compile(r"\b(?:secret|secrets|digest|hash|raw|mac|password)\b")
TRIED = ["if (memcmp(connection->secret, token, 18) == 0)", "return bytes_equal(a, grant->terms.digest);", "memcmp(x,\n    keys->items[i].hash, 32)"]


def arguments(text, start):
    """What stands up to the bracket that closes the one before `start`."""
    depth, end = 1, start
    while depth and end < len(text):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        end += 1
    return re.sub(r'"[^"]*"', "", text[start:end - 1])


def breaches(text):
    for match in COMPARISON.finditer(text):
        compared = arguments(text, match.end())
        if SECRET.search(compared):
            yield text.count("\n", 0, match.start()) + 1, " ".join(compared.split())


def main():
    root = sys.argv[1]
    assert all(list(breaches(text)) for text in TRIED), "the pattern finds nothing any more"
    found, seen = [], 0
    for folder in ("daemon", "lib", "cli"):
        for path in sorted(glob.glob(os.path.join(root, folder, "**", "*.[ch]"), recursive=True)):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            seen += 1
            found += [f"{os.path.relpath(path, root)}:{line}: a secret is compared: {what}" for line, what in breaches(text)]
    print("\n".join(found) or f"{seen} files compare no secret in a telling way")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
