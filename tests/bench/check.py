"""Says whether rtcd has become more expensive: instructions and system calls per delivery, publish, connect and poll, and bytes
per idle connection.

rtcd runs under callgrind with one worker, and check_loads.py puts small loads on it. Each figure is the difference between what
was executed with the load and without: an admin command makes callgrind write down what it has counted so far, and is itself
counted twice, once with nothing between. Instructions are those of the program and its libraries; what the kernel does shows
only as the number of system calls. Memory is what many idle connections add to a daemon without valgrind.

The figures are compared with baseline.json. One that has grown by more than 5 % fails the check; one that has shrunk by more
asks for a new baseline, which --update writes. Unlike times they hardly depend on what else the machine does: of ten runs
beside other work, none was more than 0.2 % from the median in any figure. They do depend on compiler and C library, which the
baseline therefore names. Where those differ all is still compared, but instructions may grow by 15 %, as much as a compiler is
likely to matter: so a gross mistake is still found, and whoever changes the compiler runs --update on a commit known to be good.
What libraries choose by the processor's abilities is switched off, so that the same instructions run on every x86-64.
"""

import argparse
import collections
import contextlib
import ctypes
import dataclasses
import glob
import json
import os
import re
import resource
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = "build-check"
OPTIONS = ["-Dtests=false", "-Dbench=true", "-Dwerror=true", "-Doptimization=2", "-Ddebug=true"]
BASELINE = os.path.join(HERE, "baseline.json")
PASSING = {"ok", "shrunk"}
MAY_GROW, MAY_GROW_OTHER_TOOLS = 0.05, 0.15
IDLE_WARM_UP, IDLE_CLIENTS = 64, 4000
PR_SET_THP_DISABLE = 41
DAEMON = {"limits.connections-per-address": "unlimited", "publish.to-group": "anyone", "connection.claimed-users": "true",
          "log.core": "warning", "connection.keep-alive": "1h", "connection.timeout": "2h", "transports.poll-wait": "10min"}
ABILITIES = "AVX AVX2 AVX_Fast_Unaligned_Load AVX512F AVX512VL BMI1 BMI2 ERMS FSRM SSE4_1 SSE4_2 SSSE3".split()
PLAIN_PROCESSOR = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=" + ",".join("-" + ability for ability in ABILITIES), "OPENSSL_ia32cap": "0:0"}

os.environ["BUILD"] = BUILD     # for harness
sys.path[:0] = [os.path.join(ROOT, "tests/integration")]
import check_loads  # noqa: E402
from harness import Daemon  # noqa: E402


@dataclasses.dataclass
class Figure:
    """One line of the table. A load puts `units` of what is counted on the daemon in each of its rounds."""
    name: str
    title: str
    load: object
    arguments: tuple = ()
    warm_up: int = 20
    rounds: int = 100
    units: int = 1

    def all_units(self):
        return self.rounds * self.units


MEMBERS = 100
COUNTED = [
    # The first messages find room among the 256 that a connection keeps; from then on each makes an older one go.
    Figure("delivery", "per delivery, 1 message under way", check_loads.fanout, (MEMBERS, 1), 300, 100, MEMBERS),
    Figure("delivery-32", "per delivery, 32 messages under way", check_loads.fanout, (MEMBERS, 32), 10, 30, 32 * MEMBERS),
    Figure("publish", "per publish by a client, to itself", check_loads.publish, (), 300, 300),
    Figure("publish-admin", "per publish by the admin socket, to one client", check_loads.publish_admin, (), 300, 300),
    Figure("publish-http", "per publish by HTTP, to one client", check_loads.publish_http, (), 300, 300),
    Figure("connect", "per WebSocket connection opened", check_loads.connect),
    Figure("longpoll", "per publish, poll answered and next poll", check_loads.longpoll, (), 20, 200),
]
SUFFIXES = {"": "instructions", "-calls": "system calls"}      # of the names of the two figures that each makes
IDLE = {f"idle-{name}": (f"bytes per idle {name} connection", open_client) for name, open_client in check_loads.IDLE.items()}
TITLES = {**{figure.name + suffix: f"{what} {figure.title}" for figure in COUNTED for suffix, what in SUFFIXES.items()},
          **{name: title for name, (title, _) in IDLE.items()}}


class Counted(Daemon):
    """rtcd under callgrind."""
    MARK = "admin_status"       # the function that runs when marked() asks for the status

    def __init__(self):
        super().__init__(DAEMON, workers=1, environment=PLAIN_PROCESSOR)
        self.out = os.path.join(self.directory.name, "callgrind")
        keys = os.path.join(self.directory.name, "keys")
        with open(keys, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(check_loads.API_KEY_LINE)
        self.arguments += ["--set", f"auth.api-keys={keys}"]
        self.arguments = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={self.out}", f"--dump-before={self.MARK}",
                          "--collect-systime=yes", "--fair-sched=yes", "--vgdb=no", *self.arguments]

    def mark(self):
        """What was executed since the last mark."""
        before = set(glob.glob(self.out + ".*"))
        self.admin("status")
        (path,) = set(glob.glob(self.out + ".*")) - before
        return self_costs(path)


def self_costs(path):
    """Of each function itself, how many of each event, from callgrind's file: the numbers of a line belong to the last fn=, but for
    a line after calls=, which are the callee's. Names are written out only once, and zeros at the end of a line not at all."""
    names, costs, function, is_callee, events = {}, collections.defaultdict(collections.Counter), None, False, []
    with open(path, encoding="utf-8") as file:
        for line in file:
            named = re.match(r"c?fn=(\(\d+\))(?: (.*))?", line)
            if named:
                names.setdefault(named[1], named[2])
                function = named[1] if line.startswith("fn=") else function
            elif line.startswith("events:"):
                events = line.split()[1:]
            elif re.match(r"[-+*0-9]", line) and not is_callee:
                costs[names[function]].update(dict(zip(events, map(int, line.split()[1:]))))
            is_callee = line.startswith("calls=")
    return costs


def instructions(costs):
    return sum(cost["Ir"] for cost in costs.values())


def system_calls(costs):
    """But for the loop's waiting, as how often that returns depends on how long things take, and clocks, which only valgrind asks
    the kernel for."""
    return sum(cost["sysCount"] for name, cost in costs.items() if not name.startswith(("epoll_wait", "epoll_pwait", "clock_gettime")))


def build():
    steps = [["ninja", "-C", BUILD]]
    if not os.path.exists(os.path.join(ROOT, BUILD, "build.ninja")):
        steps.insert(0, ["meson", "setup", *OPTIONS, BUILD])
    for step in steps:
        result = subprocess.run(step, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode:
            sys.exit(result.stdout)


def tools():
    """What the figures depend on beside the source. The compiler signs the program."""
    comment = subprocess.run(["readelf", "-p", ".comment", os.path.join(ROOT, BUILD, "daemon/rtcd")], stdout=subprocess.PIPE, check=True,
                             text=True).stdout
    compilers = sorted({line.split("]", 1)[1].strip() for line in comment.splitlines() if "]" in line})
    return {"compiler": ", ".join(compilers), "libc": os.confstr("CS_GNU_LIBC_VERSION"), "machine": os.uname().machine}


def count(daemon, figure):
    """What a figure's load executed, and the two figures."""
    with figure.load(daemon, *figure.arguments) as turn:
        for _ in range(figure.warm_up):
            turn()
        daemon.mark()
        nothing = daemon.mark()
        for _ in range(figure.rounds):
            turn()
        costs = daemon.mark()
    return costs, {figure.name + suffix: (total(costs) - total(nothing)) / figure.all_units()
                   for suffix, total in (("", instructions), ("-calls", system_calls))}


def resident_bytes(pid):
    """Exact where it may be read; what status says is right to some 100 KiB."""
    for name, field in (("smaps_rollup", "Rss:"), ("status", "VmRSS:")):
        with contextlib.suppress(PermissionError), open(f"/proc/{pid}/{name}", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(field)) * 1024
    raise RuntimeError(f"the memory of {pid} cannot be read")


def idle_bytes(open_client):
    with Daemon(DAEMON, workers=1) as daemon, contextlib.ExitStack() as clients:
        def open_clients(first, last):
            for number in range(first, last):
                clients.enter_context(open_client(daemon, number))
            # A welcome to whom came last says that what came before has been read.
            check_loads.open_websocket(daemon, "last").close()
            return resident_bytes(daemon.process.pid)

        before = open_clients(0, IDLE_WARM_UP)
        return (open_clients(IDLE_WARM_UP, IDLE_WARM_UP + IDLE_CLIENTS) - before) / IDLE_CLIENTS


def measure(names):
    """Each on a daemon of its own, so that no figure depends on those before it."""
    figures = {}
    for figure in COUNTED:
        if any(figure.name + suffix in names for suffix in SUFFIXES):
            with Counted() as daemon:
                figures.update(count(daemon, figure)[1])
    figures.update({name: idle_bytes(open_client) for name, (_, open_client) in IDLE.items() if name in names})
    return {name: float(f"{figure:.5g}") for name, figure in figures.items() if name in names}


def judge(was, now, may_grow):
    if was is None or now is None:
        return "NO BASELINE" if was is None else "NOT MEASURED"
    if now > was * (1 + may_grow):
        return "GROWN"
    return "shrunk" if now < was * (1 - may_grow) else "ok"


def number(value):
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def compare(baseline, figures, names):
    """Prints the table, and returns the verdicts."""
    here, there = tools(), baseline["tools"]
    if here != there:
        print(f"The baseline was taken with {', '.join(there.values())}.\nHere is {', '.join(here.values())}: instructions may grow by "
              f"{MAY_GROW_OTHER_TOOLS:.0%}.\nIf this is what builds rtcd from now on: tests/bench/check --update, on a commit known to be good.")
    may_grow = {figure.name: MAY_GROW if here == there else MAY_GROW_OTHER_TOOLS for figure in COUNTED}
    verdicts = {}
    print(f"{'figure':<19}{'baseline':>10}{'now':>10}{'change':>9}  {'':<12} what")
    for name in names:
        was, now = baseline["figures"].get(name), figures.get(name)
        verdicts[name] = judge(was, now, may_grow.get(name, MAY_GROW))
        change = f"{now / was - 1:+.1%}" if was and now else ""
        print(f"{name:<19}{number(was):>10}{number(now):>10}{change:>9}  {verdicts[name]:<12} {TITLES.get(name, '')}")
    if "shrunk" in verdicts.values():
        print("Better than the baseline: keep it so with tests/bench/check --update")
    passed = sum(verdict in PASSING for verdict in verdicts.values())
    print(f"{passed} passed, {len(verdicts) - passed} failed")
    return verdicts


def baseline_of(path):
    if not os.path.exists(path):
        return {"tools": tools(), "figures": {}}
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def update(path, figures):
    """Writes those figures, and keeps the others."""
    figures = {**baseline_of(path)["figures"], **figures}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"tools": tools(), "figures": {name: figures[name] for name in TITLES if name in figures}}, file, indent=2)
        file.write("\n")


def profile(name, lines=40):
    (figure,) = [figure for figure in COUNTED if figure.name == name]
    with Counted() as daemon:
        costs, each = count(daemon, figure)
    print(f"{'instructions':>12}{'calls':>8}  {figure.title}")
    for function, cost in sorted(costs.items(), key=lambda item: -item[1]["Ir"]):
        calls = cost["sysCount"] / figure.all_units()
        print(f"{cost['Ir'] / figure.all_units():>12,.1f}{f'{calls:.3f}' if calls else '':>8}  {function}")
    print(f"{each[name]:>12,.1f}{each[name + '-calls']:>8.3f}  in all, less the admin command that ends the load, and waits")


def self_test():
    """That the check notices growth, and only growth: what is measured, against baselines made larger and smaller."""
    now = measure(["publish"])
    cases = [(1, "ok"), (1.04, "ok"), (1.06, "GROWN"), (0.9, "shrunk"), (None, "NO BASELINE")]
    passed = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "baseline.json")
        for growth, expected in cases:
            update(path, {"publish": now["publish"] / growth} if growth else {})
            print(f"-- expected: {expected}")
            passed += compare(baseline_of(path), now, ["publish"]) == {"publish": expected}
            os.unlink(path)
    print(f"{passed} passed, {len(cases) - passed} failed")
    return passed == len(cases)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="make what is measured now the baseline")
    parser.add_argument("--profile", metavar="FIGURE", choices=[figure.name for figure in COUNTED],
                        help="show which functions execute the instructions of one figure")
    parser.add_argument("--self-test", action="store_true", help="see that the check notices growth")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"one of: {', '.join(TITLES)} (default: all)")
    arguments = parser.parse_args()
    unknown = set(arguments.figures) - set(TITLES)
    if unknown:
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    return arguments


def main():
    arguments = parse_arguments()
    build()
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    # Inherited by the daemons: huge pages would make memory grow by 2 MiB at a time.
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    if arguments.profile:
        return profile(arguments.profile)
    if arguments.self_test:
        sys.exit(not self_test())
    names = arguments.figures or list(TITLES)
    figures = measure(names)
    if arguments.update:
        update(BASELINE, figures)
    baseline = baseline_of(BASELINE)
    if not arguments.figures:
        names = list(dict.fromkeys([*TITLES, *baseline["figures"]]))
    sys.exit(not set(compare(baseline, figures, names).values()) <= PASSING)


if __name__ == "__main__":
    main()
