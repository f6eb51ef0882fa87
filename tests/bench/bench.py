"""Measures rtcd beside the floor, a bare epoll + writev broadcaster, and prints a table. Called by tests/bench/run.

The programs run in turn, one fresh server for each figure, for several rounds. The server has the first processor, the load
generator the last. Ratios are taken within a round; the table has medians, and the smallest and largest in brackets.
"""

import argparse
import csv
import dataclasses
import json
import os
import resource
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = "build-bench"
DESCRIPTORS = 10200       # of one program with 10,000 clients
sys.path.insert(0, os.path.join(ROOT, "tests/integration"))


@dataclasses.dataclass
class Figure:
    key: str            # in what load prints
    title: str
    scale: float = 1    # what is printed is the value divided by this
    places: int = 2
    target: float = 0   # rtcd's figure must not exceed this; 0: none
    ratio_target: float = 0     # the same for its ratio to the floor


@dataclasses.dataclass
class Scenario:
    kind: str
    arguments: list
    figures: list
    floor: list = dataclasses.field(default_factory=list)


def fanout(size, *extra):
    return Scenario("fanout", ["--clients=1000", f"--bytes={size}", *extra],
                    [Figure("cpu_ns", "CPU per delivery, us", 1000, ratio_target=1.3), Figure("rate", "deliveries/s", 1, 0)])


SCENARIOS = {
    "idle": Scenario("idle", ["--clients=10000"], [Figure("bytes", "RSS per connection, bytes", 1, 0, target=1024)]),
    "fanout-128": fanout(128, "--messages=300"),
    "fanout-1024": fanout(1024, "--messages=300"),
    "fanout-128-mixed": fanout(128, "--messages=300", "--msgpack=50"),
    "fanout-128-window-4": fanout(128, "--messages=1000", "--window=4"),
    "fanout-128-window-32": fanout(128, "--messages=4000", "--window=32"),
    "echo": Scenario("echo", ["--messages=20000"],
                     [Figure("p50_ns", "p50, us", 1000, 1), Figure("p99_ns", "p99, us", 1000, 1),
                      Figure("cpu_ns", "CPU per echo, us", 1000)], ["--echo"]),
    "connect": Scenario("connect", ["--clients=10000"],
                        [Figure("rate", "connections/s", 1, 0), Figure("cpu_ns", "CPU per connection, us", 1000, 1)]),
}


def build():
    if not os.path.exists(os.path.join(ROOT, BUILD, "build.ninja")):
        subprocess.run(["meson", "setup", "-Dtests=false", "-Dbench=true", "-Dwerror=true", "-Doptimization=3", BUILD], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "--quiet"], cwd=ROOT, check=True)


def program(name):
    return os.path.join(ROOT, BUILD, name)


def on_processor(number):
    return lambda: os.sched_setaffinity(0, {number})


class Floor:
    """The bare broadcaster, for one run."""
    load_arguments = ()

    def __init__(self, scenario, processor):
        self.port = harness.free_port()
        self.process = subprocess.Popen([program("tests/bench/floor"), str(self.port), *scenario.floor], stdout=subprocess.PIPE,
                                        preexec_fn=on_processor(processor))

    def __enter__(self):
        self.process.stdout.readline()
        return self

    def __exit__(self, *why):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Rtcd:
    """rtcd with one worker, at its defaults but for the limits that one address with many clients meets."""
    load_arguments = ("--rtcd",)

    def __init__(self, scenario, processor):
        options = {"limits.connections-per-address": "unlimited", "publish.to-group": "anyone", "log.core": "warning"}
        self.daemon = harness.Daemon(options, workers=1)
        self.daemon.arguments = ["taskset", "-c", str(processor), *self.daemon.arguments]
        self.port = self.daemon.port

    def __enter__(self):
        self.daemon.__enter__()
        self.process = self.daemon.process
        return self

    def __exit__(self, *why):
        self.daemon.__exit__(*why)


def measure(server, scenario, processors):
    with server(scenario, processors[0]) as running:
        load = [program("tests/bench/load"), f"--port={running.port}", f"--server={running.process.pid}", *server.load_arguments,
                *scenario.arguments, scenario.kind]
        result = subprocess.run(load, stdout=subprocess.PIPE, check=True, preexec_fn=on_processor(processors[-1]), timeout=300)
    return json.loads(result.stdout)


def spread(values, places):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{places}f} ({low:,.{places}f}-{high:,.{places}f})"


def rows_of(name, scenario, floors, ours):
    for figure in scenario.figures:
        floor = [one[figure.key] / figure.scale for one in floors]
        rtcd = [one[figure.key] / figure.scale for one in ours]
        ratios = [mine / bare for mine, bare in zip(rtcd, floor)]
        target, reached = "", ""
        if figure.ratio_target:
            target, reached = f"<= {figure.ratio_target} x floor", statistics.median(ratios) <= figure.ratio_target
        elif figure.target:
            target, reached = f"<= {figure.target:g}", statistics.median(rtcd) <= figure.target
        yield [name, figure.title, spread(floor, figure.places), spread(rtcd, figure.places), spread(ratios, 2), target,
               {"": "", True: "yes", False: "NO"}[reached]]


HEADER = ["scenario", "figure", "floor", "rtcd", "ratio", "target", "reached"]


def print_table(rows):
    widths = [max(len(row[i]) for row in [HEADER, *rows]) for i in range(len(HEADER))]
    for row in [HEADER, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each figure is taken (default 5)")
    parser.add_argument("--csv", metavar="FILE", help="write the table there as well, as CSV")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"one of: {', '.join(SCENARIOS)} (default: all)")
    arguments = parser.parse_args()
    unknown = set(arguments.scenarios) - set(SCENARIOS)
    if unknown or arguments.rounds < 1:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}" if unknown else "--rounds must be at least 1")
    return arguments


def main():
    arguments = parse_arguments()
    build()
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if limit != resource.RLIM_INFINITY and limit < DESCRIPTORS:
        sys.exit(f"bench: {DESCRIPTORS} open files are needed, and at most {limit} allowed (ulimit -Hn)")
    processors = sorted(os.sched_getaffinity(0))
    names = arguments.scenarios or list(SCENARIOS)
    taken = {name: {Floor: [], Rtcd: []} for name in names}
    for number in range(arguments.rounds):
        for name in names:
            for server in (Floor, Rtcd):
                if sys.stderr.isatty():
                    print(f"\r\x1b[Kround {number + 1} of {arguments.rounds}: {name}, {server.__name__.lower()}", end="", file=sys.stderr)
                taken[name][server].append(measure(server, SCENARIOS[name], processors))
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    rows = [row for name in names for row in rows_of(name, SCENARIOS[name], taken[name][Floor], taken[name][Rtcd])]
    print_table(rows)
    if arguments.csv:
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADER, *rows])


os.environ["BUILD"] = BUILD
import harness  # noqa: E402 - it reads BUILD

if __name__ == "__main__":
    main()
