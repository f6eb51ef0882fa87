"""Makes librtc's pages from their prose and from lib/rtc.h, so that the two agree.

gen_librtc.py page HEADER PAGE.in        the page: @SYNOPSIS SECTION@ becomes the prototypes of a section of the header,
                                         @CODES@ and @CODES OWN@ the server's and the library's error codes
gen_librtc.py links HEADER DIRECTORY PAGE.in...   a symbolic link for each function to the page whose synopsis has it
"""

import os
import re
import sys

PROTOTYPE = re.compile(r"^(?!typedef|struct \w+ \{|enum \w+ \{|#|static)([a-z][\w ]*?[ *]+)(rtc_\w+)\(([^;{]*)\);", re.M)
SYNOPSIS = re.compile(r"^@SYNOPSIS (.+)@$", re.M)


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def sections(header):
    """Name to text."""
    parts = re.split(r"^/\* -+ (.+?) -+ \*/$", header, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def arguments(text):
    """At commas, but for those within the arguments of a function that is an argument."""
    found, depth, current = [], 0, ""
    for character in re.sub(r"\s+", " ", text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            found.append(current.strip())
            current = ""
        else:
            current += character
    return [*found, current.strip()]


def prototypes(text):
    for kind, name, parameters in PROTOTYPE.findall(without_comments(text)):
        yield kind.strip(), name, arguments(parameters)


def synopsis(header, name):
    lines = []
    for kind, function, parameters in prototypes(sections(header)[name]):
        lines += [f'.Ft "{kind}"', f".Fo {function}", *(f'.Fa "{parameter}"' for parameter in parameters), ".Fc"]
    assert lines, f"{name} has no functions"
    return "\n".join(lines)


def codes(header, own):
    body = re.search(r"enum rtc_code \{(.*?)\};", header, re.S)[1]
    server, library = body.split("RTC_BAD_ARGUMENT", 1)
    if not own:
        names = re.findall(r"RTC_(\w+)", without_comments(server))
        return ",\n".join(f".Dv RTC_{name}" for name in names if name != "OK").replace(",\n", " ,\n")
    rows = re.findall(r"(RTC_\w+)(?: = \d+)?,\s*(?:/\*\s*(.*?)\s*\*/)?", "RTC_BAD_ARGUMENT" + library, re.S)
    return "\n".join(f".It Dv {name}\n{sentence(comment) if comment else 'Memory ran out.'}" for name, comment in rows)


def sentence(comment):
    text = re.sub(r"\s+", " ", comment)
    return text[0].upper() + text[1:] + ("" if text.endswith(".") else ".")


def page(header, path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = SYNOPSIS.sub(lambda found: synopsis(header, found[1]), text)
    text = re.sub(r"^@CODES@$", lambda _: codes(header, False), text, flags=re.M)
    return re.sub(r"^@CODES OWN@$", lambda _: codes(header, True), text, flags=re.M)


def links(header, directory, pages):
    directory = os.environ.get("DESTDIR", "") + directory
    for path in pages:
        with open(path, encoding="utf-8") as file:
            wanted = SYNOPSIS.findall(file.read())
        target = os.path.basename(path).removesuffix(".in")
        for name in (function for section in wanted for _, function, _ in prototypes(sections(header)[section])):
            link = os.path.join(directory, f"{name}.3")
            if f"{name}.3" != target:
                if os.path.lexists(link):
                    os.unlink(link)
                os.symlink(target, link)


def main():
    what, header_path, *rest = sys.argv[1:]
    with open(header_path, encoding="utf-8") as file:
        header = file.read()
    if what == "page":
        sys.stdout.write(page(header, rest[0]))
    else:
        links(header, rest[0], rest[1:])


if __name__ == "__main__":
    main()
