"""Runs clang-tidy (.clang-tidy says what for) or cppcheck over the programs' sources, on all processors.

Usage: analyse.py clang-tidy|cppcheck BUILD-DIRECTORY; its compile_commands.json says what is compiled, and how.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("lib/", "daemon/", "cli/", "man/")


def commands(build):
    """Of the sources of lib, daemon, cli and man, once each, as clang understands them."""
    seen = {}
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        for command in json.load(file):
            path = os.path.relpath(os.path.join(command["directory"], command["file"]), ROOT)
            if path.startswith(FOLDERS) and path not in seen:
                words = [word for word in command["command"].split() if not word.startswith(("-fanalyzer", "-Wno-analyzer"))]
                seen[path] = {**command, "command": " ".join(words)}
    return seen


def clang_tidy(sources):
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump(list(sources.values()), file)

        def one(path):
            result = subprocess.run(["clang-tidy", "--quiet", "-p", directory, os.path.join(ROOT, path)], capture_output=True, text=True,
                                    check=False)
            return result.returncode, result.stdout + (result.stderr if result.returncode else "")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(one, sorted(sources)))
    print("".join(text for status, text in results if status))
    return max(status for status, _ in results)


def cppcheck(sources):
    """missing includes and unused functions are the compiler's and the linker's business."""
    return subprocess.run(["cppcheck", "--quiet", f"-j{os.cpu_count()}", "--enable=warning,performance,portability", "--error-exitcode=1",
                           "--std=c11", "-I.", "-D__GNUC__=12", "-D_GNU_SOURCE", "-DTEST_DIALECTS", *sorted(sources)], cwd=ROOT,
                          check=False).returncode


def main():
    tool, build = sys.argv[1:]
    sources = commands(os.path.join(ROOT, build))
    status = {"clang-tidy": clang_tidy, "cppcheck": cppcheck}[tool](sources)
    print(f"{tool}: {len(sources)} files")
    sys.exit(1 if status else 0)


if __name__ == "__main__":
    main()
