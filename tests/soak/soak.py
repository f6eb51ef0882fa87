"""A soak: a crowd of all kinds against one daemon, round after round, for as long as is asked for; a tenth of it, but at least two
rounds, is warm-up. Nothing may be lost, doubled or out of order; and whenever a round is over and everybody has gone, memory and
descriptors are what they were after the warm-up. Prints a line a round (on a terminal also where it is), ends with
"N passed, N failed".

  soak.py [SECONDS]       default 60
"""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
import traceback

import crowd
from crowd import Admin, Others, Steady

from rig import Driver, Proxy
import certificates
from harness import CONTEXTS, BUILD, Daemon, free_port, wait_until

ROUND_S, ROUNDS_MIN, WARM_UP_MIN, REST_S = 40, 4, 2, 9       # a rest is about as long as resume.window
# Quiet memory at the end beside that after the warm-up; measured: 1.00 to 1.03.
GROWTH_MAX = 1.10
OPTIONS = {"connection.claimed-users": "true", "publish.to-group": "anyone", "limits.connections-per-address": "unlimited",
           "connection.keep-alive": "1s", "connection.timeout": "3s", "resume.window": "8s", "http.idle-timeout": "5s", "http.write-timeout": "5s",
           "queue.bytes": "256KiB", "queue.time": "5s"}


class SoakDaemon(Daemon):
    def __init__(self, folder):
        authority = certificates.Authority(folder)
        super().__init__({**OPTIONS, "tls.certificates": authority.issue_for("localhost").item}, config=self.good_config(50))
        self.tls_port = free_port()
        self.arguments += ["--set", f"listen=127.0.0.1:{self.port},tls:127.0.0.1:{self.tls_port}"]
        CONTEXTS[self.tls_port] = (certificates.context(authority), "localhost")

    @staticmethod
    def good_config(groups):
        return f"connection: {{groups: {groups}}}\n"

    def memory_kib(self):
        """Anonymous memory that is there; pages of files come and go as the system likes."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))

    def descriptor_count(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Soak:
    def __init__(self, seconds):
        self.rounds = max(ROUNDS_MIN, round(seconds / ROUND_S))
        self.round_s = max(5, seconds / self.rounds - REST_S)
        self.warm_up = max(WARM_UP_MIN, self.rounds // 10)
        self.complaints, self.quiet, self.busy = [], [], []
        self.is_terminal = sys.stdout.isatty()

    def complain(self, text):
        if len(self.complaints) < 50:
            self.complaints.append(text)

    def run(self):
        with tempfile.TemporaryDirectory(prefix="rtcd-soak-") as folder, SoakDaemon(folder) as daemon, Proxy(daemon.port) as proxy:
            self.daemon, self.others = daemon, Others(daemon, self.complain)
            daemon.admin("ping")        # by then each worker has opened what is its own
            self.descriptors = daemon.descriptor_count()
            with Driver("librtc", sink=lambda seen: self.steady.take(seen)) as driver:
                self.steady = Steady(driver, proxy, self.complain)
                for number in range(1, self.rounds + 1):
                    self.round(number)
                    self.rest(number)
                    if self.complaints:
                        break

    def thread(self, work, *arguments):
        def run():
            try:
                work(*arguments)
            except Exception:       # whatever it is, the soak has failed
                self.complain(traceback.format_exc())
        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def round(self, number):
        until, admin, started = threading.Event(), Admin(self.daemon.admin_path), time.monotonic()
        self.steady.open(number)
        works = [(self.steady.publish_all, until, admin), (self.steady.cut, until), (self.others.come_and_go, until),
                 (self.others.come_and_go, until), (self.others.look_on, until), (self.others.be_slow, until)]
        threads, busy = [self.thread(*work) for work in works], []
        while (elapsed := time.monotonic() - started) < self.round_s and not self.complaints:
            busy.append(self.daemon.memory_kib())
            if self.is_terminal:
                print(f"\rround {number} of {self.rounds}: {elapsed:.0f} s, {self.steady.received} received", end="", flush=True)
            until.wait(0.5)
        until.set()
        for thread in threads:
            thread.join()
        admin.close()
        self.busy.append(statistics.median(busy or [0]))
        self.steady.close()

    def rest(self, number):
        """Everybody has left, those who broke off are forgotten: what is left is what the daemon keeps for itself."""
        wait_until(lambda: not self.daemon.connections(), "everybody to be forgotten", 60)
        wait_until(lambda: self.daemon.descriptor_count() <= self.descriptors, f"descriptors to be the {self.descriptors} of the start", 60)
        self.daemon.write_config(self.daemon.good_config(50))
        self.daemon.admin("reload")
        memory = []
        # Memory goes back to the system a little after it is free.
        wait_until(lambda: memory.append(self.daemon.memory_kib()) or len(memory) > 100 and memory[-1] >= memory[-100], "memory to settle", 60)
        self.quiet.append((memory[-1], self.daemon.descriptor_count()))
        done, steady = self.others.done, self.steady
        print(f"{chr(13) if self.is_terminal else ''}round {number} of {self.rounds}: {steady.received} received, {steady.cuts} links cut, "
              f"{steady.resumed} resumed, {sum(done.values())} other acts, {done['reload']} + {done['bad_reload']} reloads, "
              f"{done['read_nothing']} slow readers; memory busy {self.busy[-1]:.0f} KiB, quiet {memory[-1]} KiB, "
              f"{self.quiet[-1][1]} descriptors", flush=True)

    def verdicts(self):
        yield "nothing was lost, doubled or out of order, and nobody was refused", not self.complaints, self.complaints
        measured = self.quiet[self.warm_up - 1:] if len(self.quiet) == self.rounds else []
        memory, descriptors = [m for m, _ in measured], [d for _, d in measured]
        third = max(1, len(memory) // 3)
        growth = statistics.median(memory[-third:]) / statistics.median(memory[:third]) if memory else 0
        busy = self.busy[self.warm_up:]
        busy_growth = statistics.median(busy[-third:]) / statistics.median(busy[:third]) if memory else 0
        if "asan" not in BUILD:     # which keeps what is freed for a while
            yield f"memory at rest is flat: {growth:.3f} of what it was", 0 < growth <= GROWTH_MAX, memory
            yield f"memory in the crowd is flat: {busy_growth:.3f} of what it was", 0 < busy_growth <= GROWTH_MAX, busy
        yield f"descriptors at rest are the same: {sorted(set(descriptors))}", len(set(descriptors)) == 1, descriptors


def main():
    parser = argparse.ArgumentParser(prog="tests/soak/soak.py", description=__doc__)
    parser.add_argument("seconds", type=int, nargs="?", default=60)
    soak = Soak(parser.parse_args().seconds)
    try:
        soak.run()
    except Exception:       # the daemon's end is looked over too
        soak.complain(traceback.format_exc())
    passed = failed = 0
    for name, is_good, details in soak.verdicts():
        print(("ok   " if is_good else "FAIL ") + name)
        passed, failed = passed + is_good, failed + (not is_good)
        if not is_good:
            print("\n".join(map(str, details)))
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
