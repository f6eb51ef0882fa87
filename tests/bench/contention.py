"""Shows what more workers cost: instructions, locks taken and waits for locks, for each delivery of a fan-out, with 1, 2, 4 and 8
workers. What grows with the workers would keep them from sharing the work; time says little on a machine with fewer processors.

Instructions and locks are counted by callgrind on 400 members and one message at a time. Waits are futex calls, which there are
only where a lock was held by another thread, seen by strace under the benchmark's own load. Fails when a delivery takes a lock: all
that may take one is the message, once for each worker, so a lock that all deliveries share would show as 1.
"""

import argparse
import collections
import contextlib
import glob
import json
import os
import re
import subprocess
import sys

import check
import check_loads
from harness import Daemon, wait_until

WORKERS = (1, 2, 4, 8)
MEMBERS, WARM_UP, ROUNDS = 400, 20, 50
LOCK = re.compile(r"(___?)?pthread_(mutex|spin|rwlock_(rd|wr))_?lock(@.*)?$")
LOCKS_MAX = 0.1             # for each delivery: 8 workers take some 2 each for one message to 400 members
LOAD = {"clients": 1000, "messages": 300}


class Counted(check.Counted):
    """rtcd with several workers under callgrind."""

    def __init__(self, workers):
        super().__init__()
        self.arguments = [f"workers={workers}" if argument == "workers=1" else argument for argument in self.arguments]

    def mark(self):
        before = set(glob.glob(self.out + ".*"))
        self.admin("status")
        (path,) = set(glob.glob(self.out + ".*")) - before
        return check.instructions(check.self_costs(path)), locks_taken(path)


def locks_taken(path):
    """How often a function that takes a lock was called, from callgrind's file."""
    names, callee, taken = {}, "", collections.Counter()
    with open(path, encoding="utf-8") as file:
        for line in file:
            named = re.match(r"c?fn=(\(\d+\))(?: (.*))?", line)
            if named:
                names.setdefault(named[1], named[2])
                callee = names[named[1]]
            elif line.startswith("calls=") and LOCK.match(callee):
                taken[callee] += int(line[6:].split()[0])
    return sum(taken.values())


def counted(workers):
    """Instructions and locks for each delivery."""
    with Counted(workers) as daemon, check_loads.fanout(daemon, MEMBERS, 1) as turn:
        for _ in range(WARM_UP):
            turn()
        daemon.mark()
        nothing = daemon.mark()
        for _ in range(ROUNDS):
            turn()
        found = daemon.mark()
    return [(now - before) / (MEMBERS * ROUNDS) for now, before in zip(found, nothing)]


def waited(workers, load):
    """Futex calls for each thousand deliveries."""
    options = {**check.DAEMON, "limits.connections-per-address": "unlimited"}
    with Daemon(options, workers=workers) as daemon:
        summary = os.path.join(daemon.directory.name, "futexes")
        tracer = subprocess.Popen(["strace", "-f", "-c", "-e", "trace=futex", "-p", str(daemon.process.pid), "-o", summary],
                                  stderr=subprocess.PIPE)
        try:
            wait_until(lambda: is_traced(daemon.process.pid), "strace looks on")
            result = subprocess.run([load, f"--port={daemon.port}", f"--server={daemon.process.pid}", "--speak=rtcd",
                                     *(f"--{name}={value}" for name, value in LOAD.items()), "fanout"], stdout=subprocess.PIPE, check=True)
        finally:
            tracer.terminate()
            tracer.communicate()
        with open(summary, encoding="ascii") as file:
            calls = [int(line.split()[3]) for line in file if line.rstrip().endswith(" futex")]
    assert json.loads(result.stdout)["rate"] > 0
    return sum(calls) / (LOAD["clients"] * LOAD["messages"]) * 1000


def is_traced(pid):
    """Whether all of its threads are."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as file:
            if "TracerPid:\t0\n" in file:
                return False
    return True


def main():
    parser = argparse.ArgumentParser(prog="tests/bench/contention", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workers", nargs="*", type=int, metavar="WORKERS", default=WORKERS, help="how many (default: 1 2 4 8)")
    arguments = parser.parse_args()
    check.build()
    load = os.path.join(check.ROOT, check.BUILD, "tests/bench/load")
    print(f"{'workers':>7}{'instructions':>14}{'locks':>9}   for each delivery   {'waits for locks':>15}   for a thousand deliveries")
    bad = 0
    for workers in arguments.workers:
        instructions, locks = counted(workers)
        bad += locks > LOCKS_MAX
        print(f"{workers:>7}{instructions:>14,.0f}{locks:>9.4f}{'':>23}{waited(workers, load):>15.2f}", flush=True)
    sys.exit(f"a delivery takes more than {LOCKS_MAX} locks: something is shared by all" if bad else 0)


if __name__ == "__main__":
    main()
