"""Measures rtcd beside the floors (bare broadcasters), and beside other servers. Called by tests/bench/run.

The programs run in turn, one fresh server for each figure, for several rounds. The server has the first processor, the load
generator the last. Ratios are taken within a round; tables have medians, and the smallest and largest.
"""

import argparse
import csv
import fnmatch
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path += [os.path.join(ROOT, "tests/integration"), os.path.dirname(os.path.abspath(__file__))]
os.environ["BUILD"] = "build-bench"

# They read BUILD.
import harness  # noqa: E402
from peers import PEERS  # noqa: E402
from plot import plot  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402
from servers import FLOORS_AND_RTCD, on_processors, program  # noqa: E402

OWN_DESCRIPTORS = 300       # of a program, beside those of its clients
RUN_S = 300
SERVERS = {server.name: server for server in [*FLOORS_AND_RTCD, *PEERS]}
PEER_NAMES = {server.name for server in PEERS}


def build():
    if not os.path.exists(os.path.join(harness.BUILD, "build.ninja")):
        subprocess.run(["meson", "setup", "-Dtests=false", "-Dbench=true", "-Dwerror=true", "-Doptimization=3", harness.BUILD], cwd=ROOT,
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", harness.BUILD, "--quiet"], cwd=ROOT, check=True)


class Progress:
    """What goes on, on standard error: a line that is rewritten on a terminal, else lines with the seconds since the start."""

    def __init__(self):
        self.is_terminal, self.start = sys.stderr.isatty(), time.monotonic()

    def show(self, text):
        if self.is_terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            self.note(f"{time.monotonic() - self.start:6.1f} s  {text}")

    def note(self, text):
        print(f"\r\x1b[K{text}" if self.is_terminal else text, file=sys.stderr, flush=True)


def clients_allowed():
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit - OWN_DESCRIPTORS


class Run:
    """All rounds of all scenarios. figures[scenario][server][round] is what load printed, or None where a run failed."""

    def __init__(self, arguments):
        self.arguments, self.progress = arguments, Progress()
        self.processors = sorted(os.sched_getaffinity(0))
        self.allowed = clients_allowed()
        self.speeches = subprocess.run([program("tests/bench/load"), "--speeches"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        self.present = {}
        self.failures = 0
        self.servers = {name: self.servers_of(SCENARIOS[name]) for name in arguments.scenarios}
        self.servers = {name: servers for name, servers in self.servers.items() if servers}
        self.figures = {name: {server: [] for server in servers} for name, servers in self.servers.items()}

    def is_present(self, name):
        if name not in self.present:
            missing = SERVERS[name].missing()
            self.present[name] = not missing
            if missing:
                self.progress.note(f"{name} is left out: {missing}")
        return self.present[name]

    def servers_of(self, scenario):
        arguments = self.arguments
        names = [scenario.base, *scenario.servers, *(["floor-uring"] if "rtcd-uring" in scenario.servers else []),
                 *(PEER_NAMES if scenario.has_peers else [])]
        wanted = [name for name in SERVERS if name in names and scenario.kind in SERVERS[name].speaks]
        if arguments.servers:
            wanted = [name for name in wanted if name in arguments.servers]
        else:
            wanted = [name for name in wanted if (arguments.peers or name not in PEER_NAMES) and (arguments.uring or "uring" not in name)]
        return [name for name in wanted if self.is_present(name)]

    def clients_of(self, scenario):
        return min(scenario.clients, self.allowed)

    def speech(self, server, suffix):
        speech = server.speech + suffix
        return speech if speech in self.speeches else server.speech

    def measure(self, scenario, server):
        mix = [f"--mix={self.speech(server, scenario.mix)}"] if scenario.mix else []
        with server(scenario, self.processors[0]) as running:
            load = [program("tests/bench/load"), f"--port={running.port}", *(f"--server={pid}" for pid in running.pids),
                    f"--speak={self.speech(server, scenario.suffix)}", *mix, *running.load_arguments, f"--clients={self.clients_of(scenario)}",
                    *scenario.arguments, scenario.load or scenario.kind]
            result = subprocess.run(load, capture_output=True, text=True, preexec_fn=on_processors(self.processors[-1]), timeout=RUN_S,
                                    check=False)
        if result.returncode:
            raise RuntimeError(result.stderr.strip() or f"load ended with {result.returncode}")
        return json.loads(result.stdout)

    def take(self, name, server):
        try:
            return self.measure(SCENARIOS[name], SERVERS[server])
        except (RuntimeError, AssertionError, OSError, subprocess.TimeoutExpired) as error:
            self.failures += 1
            self.progress.note(f"{name}, {server}: {error}")
            return None

    def rounds(self):
        for name in self.servers:
            scenario = SCENARIOS[name]
            if scenario.clients > self.allowed:
                self.progress.note(f"{name}: {scenario.clients:,} connections are wanted, and this machine allows only {self.allowed:,} "
                                   f"(open files: ulimit -Hn): measured with these")
        for number in range(1, self.arguments.rounds + 1):
            for name, servers in self.servers.items():
                # In turn from either end, so that no server always comes after the same one.
                for server in servers if number % 2 else reversed(servers):
                    self.progress.show(f"round {number} of {self.arguments.rounds}: {name}, {server}")
                    self.figures[name][server].append(self.take(name, server))
        self.progress.show("done")

    def values(self, name, server, key):
        """One a round; None where that run failed."""
        runs = self.figures.get(name, {}).get(server, [])
        return [run[key] if run else None for run in runs]

    def ratios(self, name, server, key, base_name, base):
        pairs = zip(self.values(name, server, key), self.values(base_name, base, key))
        return [ours / theirs for ours, theirs in pairs if ours is not None and theirs]


def judged(run, name, server, figure):
    """The target of a figure, and whether it is reached: yes, NO, or a dash where what it is related to was not measured."""
    for target in SCENARIOS[name].targets:
        if (target.server, target.figure) != (server, figure.key):
            continue
        if target.of or target.scenario:
            values = run.ratios(name, server, figure.key, target.scenario or name, target.of or server)
        else:
            values = [value / figure.scale for value in run.values(name, server, figure.key) if value is not None]
        if not values:
            return str(target), "-"
        middle = statistics.median(values)
        return str(target), "yes" if (middle >= target.limit if target.at_least else middle <= target.limit) else "NO"
    return "", ""


def spread(values, places):
    return [f"{value:,.{places}f}" for value in (statistics.median(values), min(values), max(values))] if values else ["", "", ""]


HEADER = ["scenario", "figure", "server", "median", "min", "max", "ratio", "ratio min", "ratio max", "to", "target", "reached"]


def rows_of(run, name):
    scenario = SCENARIOS[name]
    for figure in scenario.figures:
        for server in run.servers[name]:
            values = [value / figure.scale for value in run.values(name, server, figure.key) if value is not None]
            has_ratio = figure.has_ratio and scenario.base and server != scenario.base
            ratios = run.ratios(name, server, figure.key, name, scenario.base) if has_ratio else []
            yield [name, figure.title, server, *(spread(values, figure.places) if values else ["failed", "", ""]), *spread(ratios, 2),
                   scenario.base if ratios else "", *judged(run, name, server, figure)]


def print_table(header, rows):
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    for row in [header, *rows]:
        print("  ".join(cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
    print()


def print_scenario(run, name, rows):
    scenario = SCENARIOS[name]
    clients = run.clients_of(scenario)
    print(f"{name}: {scenario.title}{f' (this machine allows only {clients:,})' if clients < scenario.clients else ''}")
    shown, last = [], None
    for _, figure, *cells in rows:
        shown.append([figure if figure != last else "", *cells])
        last = figure
    print_table(HEADER[1:], shown)


def draw(run, name, directory):
    scenario, rows = SCENARIOS[name], []
    figure = scenario.figures[0]
    for server in run.servers[name]:
        values = [value / figure.scale for value in run.values(name, server, figure.key) if value is not None]
        if values:
            rows.append((server, min(values), statistics.median(values), max(values)))
    if rows:
        plot(os.path.join(directory, f"{name}.svg"), scenario.title, figure.title, rows)


def print_list():
    for name, scenario in SCENARIOS.items():
        print(f"{'*' if scenario.is_default else ' '} {name:32} {scenario.title}")
    print("\n* those that run when none is named")


def chosen_scenarios(parser, patterns):
    chosen = [name for name, scenario in SCENARIOS.items() if scenario.is_default] if not patterns else []
    for pattern in patterns:
        found = fnmatch.filter(SCENARIOS, pattern)
        if not found:
            parser.error(f"there is no scenario {pattern}; --list shows all")
        chosen += [name for name in found if name not in chosen]
    return chosen


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tests/bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="show all scenarios")
    parser.add_argument("--rounds", type=int, default=5, help="how often each figure is taken (default 5)")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=False,
                        help=f"measure other servers too ({', '.join(sorted(PEER_NAMES))}); takes four times as long")
    parser.add_argument("--uring", action="store_true", help="measure io_uring too, where scenarios have it")
    parser.add_argument("--servers", metavar="A,B", help=f"measure just these, of: {', '.join(SERVERS)}")
    parser.add_argument("--csv", metavar="FILE", help="write all tables there as well, as CSV")
    parser.add_argument("--svg", metavar="DIRECTORY", help="draw a chart of each scenario there")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="by name, or by a pattern such as 'fanout-10k-*'")
    arguments = parser.parse_args()
    arguments.scenarios = chosen_scenarios(parser, arguments.scenarios)
    arguments.servers = arguments.servers.split(",") if arguments.servers else []
    unknown = sorted(set(arguments.servers) - set(SERVERS))
    if unknown or arguments.rounds < 1:
        parser.error(f"there is no server {', '.join(unknown)}" if unknown else "--rounds must be at least 1")
    return arguments


def main():
    arguments = parse_arguments()
    if arguments.list:
        print_list()
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))     # so that the servers are stopped
    build()
    run = Run(arguments)
    run.rounds()
    rows = {name: list(rows_of(run, name)) for name in run.servers}
    for name in run.servers:
        print_scenario(run, name, rows[name])
    if arguments.csv:
        with open(arguments.csv, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEADER, *([*row[:3], *(cell.replace(",", "") for cell in row[3:])] for name in run.servers
                                                  for row in rows[name])])
    if arguments.svg:
        os.makedirs(arguments.svg, exist_ok=True)
        for name in run.servers:
            draw(run, name, arguments.svg)
    sys.exit(f"{run.failures} runs failed" if run.failures else 0)


if __name__ == "__main__":
    main()
