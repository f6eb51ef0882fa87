"""The cut test: clients that send 1 to 50 to a group of their own, and get them back, each through TCP connections of which one is
cut, each at another byte: at every offset of what goes up, and of what comes down, over all transports and protocols, in both
libraries. Each must end with exactly 1 to 50 (and the 51 that is sent once 50 is back), in order, once, and then stop in good order.

  cuts.py [--every] [--seconds S] [--seed N] [--at-once N] [--library L] [--transport T] [--protocol P] [--cut DIRECTION:OFFSET:DAMAGE…]

Besides, clients begin with sse or polling, and move up to WebSocket in the midst of it: "up" in what is printed.

--every takes all offsets. Without it as many as the time allows are taken, which lie evenly between all others, from a place on
that the seed decides; the seed is printed. --cut takes just these.
"""

import argparse
import contextlib
import queue
import random
import sys
import time

from play import LISTENERS
from rig import CLIENTS, Driver, Proxy, encoded_address
from scenarios import WAYS

from harness import Daemon

COUNT, WINDOW = 50, 10
SILENCE_S = 30                      # nothing is seen of any client for so long: they hang
ANSWER_S = 5                        # for one that hangs, to say so
CLIENTS_PER_DRIVER = 20000          # fetch keeps something for each host that it has ever seen
STARTING_S = 0.5                    # what a field takes beside its cuts
DAMAGES = ("reset", "end")
UP_WAYS = (("sse", "json", "up"), ("longpoll", "msgpack", "up"), ("shortpoll", "json", "up"))
WANTED = list(range(1, COUNT + 2))


class Field:
    """The clients of one library, transport and protocol, and what is wrong with them."""

    def __init__(self, library, way, daemon, proxy, at_once):
        self.library, self.way, self.daemon, self.proxy, self.at_once = library, way, daemon, proxy, at_once
        self.problems, self.resumed, self.done = [], 0, 0
        self.driver, self.begun, self.open = None, 0, {}
        self.moves_up = self.way[2:] == ("up",)

    def __str__(self):
        return ", ".join([self.library, *self.way])

    def run(self, jobs, seconds=None):
        """jobs: (host, what it is for people). Begins no more once the time is over."""
        deadline = time.monotonic() + seconds if seconds else None
        jobs = iter(jobs)
        job = next(jobs, None)
        while job or self.open:
            if self.driver is None or (self.begun >= CLIENTS_PER_DRIVER and not self.open):
                self.end()
                self.things, self.begun = queue.SimpleQueue(), 0
                self.driver = Driver(self.library, self.things.put)
            while job and len(self.open) < self.at_once and self.begun < CLIENTS_PER_DRIVER:
                self.begin(*job)
                job = next(jobs, None) if not deadline or time.monotonic() < deadline else None
            if not self.take():
                return

    def begin(self, host, what):
        self.begun += 1
        client = f"c{self.begun}"
        self.open[client] = what
        self.driver.write({"do": "build", "client": client, "url": f"http://{host}:{self.proxy.port}/rtc", "protocols": [self.way[1]],
                           "transports": ["websocket", self.way[0]] if self.moves_up else [self.way[0]], "upgrade": 5 if self.moves_up else 0,
                           "reconnectDelays": [0, 20], "reconnectJitter": 0, "retryFirst": True, "quiet": True},
                          {"do": "start", "client": client}, {"do": "count", "client": client, "group": client, "to": COUNT, "window": WINDOW})

    def take(self):
        """One thing that was seen. False: there is no going on."""
        try:
            thing = self.things.get(timeout=SILENCE_S)
        except queue.Empty:
            thing = None
        if thing is None:
            self.give_up()
            return False
        client, what = thing["client"], self.open.get(thing["client"])
        if thing["saw"] == "counted":
            self.resumed += thing["resumed"]
            if thing["numbers"] != WANTED:
                self.problems.append(f"{what}: came back with {thing['numbers']}")
            self.driver.write({"do": "stop", "client": client})
        elif thing["saw"] in ("close", "refused"):
            if thing["saw"] == "refused" or thing["code"] != "stopped":
                self.problems.append(f"{what}: {thing}")
            if self.open.pop(client, None):
                self.done += 1
                self.driver.write({"do": "free", "client": client})
        return True

    def give_up(self):
        how = "the driver ended" if self.driver.has_ended else f"nothing happened for {SILENCE_S} s"
        self.problems += [f"{what} ({client}): {how}{self.state_of(client)}" for client, what in self.open.items()] or \
            [f"{how}\n{self.driver.said()[-3000:]}"]
        self.open = {}
        self.driver.kill()
        self.driver = None

    def state_of(self, client):
        """What the client, its log and the daemon say of it, to be read by people."""
        lines = [line for line in self.driver.log.copy() if line.startswith(f"{client}: ")][-40:]
        if not self.driver.has_ended:
            self.driver.do(client, "ask", id=1)
            with contextlib.suppress(queue.Empty):
                answer = self.things.get(timeout=ANSWER_S)
                lines.append(f"client: {answer}")
                lines.append(f"daemon: {self.daemon.admin('show.connection', connection=answer['connectionId'])}")
        return "".join(f"\n     {line}" for line in lines)

    def end(self):
        driver, self.driver = self.driver, None
        if not driver:
            return
        try:
            driver.close()
        except Exception as error:      # pylint: disable=broad-except
            self.problems.append(f"the driver's end: {error}")
            driver.kill()


def measure(field):
    """How many bytes an exchange is, up and down, without any cut: the most of a few."""
    hosts = [f"127.9.0.{number}" for number in range(1, 9)]
    field.run([(host, "an exchange that nobody cuts") for host in hosts])
    lengths = [field.proxy.command("count", host) for host in hosts]
    return {direction: max(length[direction] for length in lengths) for direction in ("up", "down")}


def spread(count, start):
    """0 … count - 1, each once, so that wherever one stops, what was taken lies evenly: by their bits in reverse."""
    bits = max(1, (count - 1).bit_length())
    reversed_ones = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(1 << bits))
    return [(number + start) % count for number in reversed_ones if number < count]


def jobs_of(lengths, chance):
    cuts = [(direction, offset) for direction in ("up", "down") for offset in range(lengths[direction] + 1)]
    for number in spread(len(cuts), chance.randrange(len(cuts))):
        yield job_of(*cuts[number], chance.choice(DAMAGES))


def job_of(direction, offset, damage):
    return encoded_address(direction, offset, damage), f"--cut {direction}:{offset}:{damage}"


def test(library, way, arguments, seconds):
    """Cuts in one field. How many failed."""
    started, seed = time.monotonic(), f"{arguments.seed} {library} {way}"
    options = {**LISTENERS, "resume.parked": 100000, "log.core": "error", "log.net": "error"}
    with Daemon(options) as daemon, Proxy(daemon.port) as proxy:
        field = Field(library, way, daemon, proxy, arguments.at_once)
        proxy.command("usual", "late" if field.moves_up else "plain")
        lengths = measure(field)
        field.done = field.resumed = 0
        if not field.problems:
            jobs = list(jobs_of(lengths, random.Random(seed))) if not arguments.cut else \
                [job_of(direction, int(offset), damage) for direction, offset, damage in (cut.split(":") for cut in arguments.cut)]
            field.run(jobs, None if arguments.every or arguments.cut else seconds)
        field.end()
    took = time.monotonic() - started
    print(f"{'FAIL' if field.problems else 'ok':<5}{field}: {field.done:,} cuts of {lengths['up'] + lengths['down'] + 2:,} ({lengths['up']:,} bytes up, "
          f"{lengths['down']:,} down), {field.resumed:,} times resumed, {took:.1f} s", flush=True)
    for problem in field.problems[:10]:
        print(f"     {problem}", flush=True)
    if len(field.problems) > 10:
        print(f"     and {len(field.problems) - 10} more")
    return field.done, len(field.problems)


def main():
    parser = argparse.ArgumentParser(description="Cut the clients' connections at every byte.")
    parser.add_argument("--every", action="store_true", help="all offsets, however long it takes")
    parser.add_argument("--seconds", type=float, default=110, help="for all together (default 110)")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--at-once", type=int, default=100, help="clients at a time (default 100)")
    parser.add_argument("--library", choices=CLIENTS)
    parser.add_argument("--transport")
    parser.add_argument("--protocol")
    parser.add_argument("--cut", action="append", metavar="DIRECTION:OFFSET:DAMAGE")
    arguments = parser.parse_args()
    arguments.seed = random.SystemRandom().randrange(1 << 32) if arguments.seed is None else arguments.seed
    print(f"seed {arguments.seed}", flush=True)
    fields = [(library, way) for library in CLIENTS for way in WAYS + UP_WAYS
              if arguments.library in (None, library) and arguments.transport in (None, way[0]) and arguments.protocol in (None, way[1])]
    results, until = [], time.monotonic() + arguments.seconds
    for number, (library, way) in enumerate(fields):
        results.append(test(library, way, arguments, max(1, (until - time.monotonic()) / (len(fields) - number) - STARTING_S)))
    failed = sum(bool(problems) for _, problems in results)
    print(f"{sum(done for done, _ in results):,} cuts")
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
