"""Plays the scenarios: each with each client library, over each transport and protocol, against the real daemon behind the
proxy. Ends with "N passed, N failed".

  play.py [--library librtc|rtc.js] [--transport T] [--protocol P] [--jobs N] [--list] [SCENARIO-PATTERN...]
"""

import argparse
import concurrent.futures
import contextlib
import fnmatch
import os
import sys
import threading
import time
import traceback

import fakes
import scenarios
from rig import CLIENTS, Driver, Proxy

from harness import Daemon, Program, free_port, wait_until

LISTENERS = {"publish.to-group": "members", "limits.connections-per-address": "unlimited"}
CA_FILE = os.path.join(fakes.certificates().name, "ca.crt")
CLOSED_PORT = free_port()
NOT_COUNTED = {"token", "policy", "stopped", "answer"}      # may be left over in any scenario
DEFAULTS = {"url": "$url", "transports": ["$transport"], "protocols": ["$protocol"], "reconnectDelays": [0, 20, 50], "reconnectJitter": 0, "upgrade": 0}


def matches(wanted, got, is_exact=False):
    if isinstance(wanted, type):
        return isinstance(got, wanted)
    if isinstance(wanted, tuple):
        return any(matches(one, got, is_exact) for one in wanted)
    if isinstance(wanted, dict) and not is_exact:
        return isinstance(got, dict) and all(matches(value, got.get(name), name == "data") for name, value in wanted.items())
    return wanted == got and isinstance(wanted, bool) == isinstance(got, bool)


class Place:
    """A daemon, and the proxy before it."""

    def __init__(self, options, config=None):
        self.daemon = Daemon({**LISTENERS, **options}, config)

    def __enter__(self):
        self.daemon.__enter__()
        self.proxy = Proxy(self.daemon.port)
        return self

    def __exit__(self, *error):
        try:
            self.proxy.__exit__(*error)
        finally:
            self.daemon.__exit__(*error)


class Play:
    """One scenario, played once."""

    numbers = iter(range(1, 1 << 60))

    def __init__(self, scenario, driver, place, way):
        self.scenario, self.driver, self.daemon, self.proxy = scenario, driver, place.daemon, place.proxy
        self.address = self.proxy.fresh()
        self.id = f"p{next(self.numbers)}"
        self.clients, self.step = set(), None
        self.values = {"g": self.id + "-g", "h": self.id + "-h", "ask": self.id + "-ask", "url": f"http://{self.address}:{self.proxy.port}/rtc",
                       "https": f"https://{self.address}:{self.proxy.port}/rtc", "direct": f"http://127.0.0.1:{CLOSED_PORT}/rtc", "transport": way[0], "next": way[0], "protocol": way[1],
                       "ca": CA_FILE}

    def filled(self, value):
        """With the values that "$name" stands for."""
        if isinstance(value, str) and value.startswith("$"):
            return self.values[value[1:]]
        if isinstance(value, dict):
            return {name: self.filled(member) for name, member in value.items()} if "$binary" not in value else value
        return type(value)(map(self.filled, value)) if isinstance(value, (list, tuple)) else value

    def name(self, client):
        self.clients.add(client)
        return f"{self.id}{client}"

    def run(self):
        with contextlib.ExitStack() as stack:
            self.stack = stack
            if self.scenario.fake:
                kind = fakes.Tls if self.scenario.fake.startswith("tls_") else fakes.Fake
                self.values["fake"] = stack.enter_context(kind(self.scenario.fake, (self.address, self.proxy.port))).url
            for number, step in enumerate(self.scenario.steps, 1):
                self.step = f"step {number}, {step}"
                getattr(self, "step_" + step[0])(*map(self.filled, step[1:]))
            self.step = "the end"
            self.step_nothing(None)

    def end(self):
        for client in self.clients:
            self.driver.do(self.name(client), "free")
            self.driver.forget(self.name(client))

    def step_do(self, client, word, fields):
        if word == "build":
            fields = {**self.filled(DEFAULTS), **fields}
        self.driver.do(self.name(client), word, **fields)

    def step_see(self, client, saw, fields):
        thing = self.driver.see(self.name(client), saw)
        assert matches(fields, thing), f"seen: {saw} {str(thing)[:2000]}"
        if saw == "answer":
            self.values.update({f"{client}.{name}": value for name, value in thing.items()})

    def step_nothing(self, client, kinds=()):
        for one in [client] if client else self.clients:
            rest = {kind: things for kind, things in self.driver.rest(self.name(one)).items()
                    if (kind in kinds if kinds else kind not in NOT_COUNTED | set(self.scenario.loose))}
            assert not rest, f"left over at {one}: {str(rest)[:2000]}"

    def step_until(self, client, fields):
        def is_so():
            self.driver.do(self.name(client), "ask", id=0)
            return matches(fields, self.driver.see(self.name(client), "answer"))
        wait_until(is_so, f"{client}: {fields}")

    def step_proxy(self, words):
        self.proxy.command(words[0], self.address, *words[1:])

    def step_daemon(self, word):
        if word == "pause":
            self.paused = self.daemon.paused()
            self.paused.__enter__()
        elif word == "go_on":
            self.paused.__exit__(None, None, None)
        elif word == "kill":
            self.daemon.process.kill()
            self.daemon.process.wait()
        elif isinstance(word, str):
            getattr(self.daemon, word)()
        else:
            wait_until(lambda: sum(c["address"].startswith(f"{self.address}:") for c in self.daemon.connections()) == word,
                       f"the daemon to know {word} connections of these clients")

    def step_parked(self, client):
        connection = self.connection_id(client)
        wait_until(lambda: any(c["id"] == connection and c["state"] == "parked" for c in self.daemon.connections()), f"{client} to be parked")

    def step_publish(self, event, data, to):
        to = dict(to)
        recipients = to.pop("recipients", None)
        count = self.daemon.publish(event, data, **to)
        assert recipients in (None, count), f"published to {count} connections"

    def step_handle(self, event):
        self.program = self.stack.enter_context(Program(self.daemon, event))

    def step_taken(self, data):
        self.event = self.program.take()
        assert matches(data, self.event["data"], True), f"the handler has {self.event}"

    def step_answer(self, data, error):
        self.program.reply(self.event, data, **error)

    def step_publish_numbers(self, group, count):
        self.daemon.rtcctl("publish", "--group", group, "--stream", input="".join('{"eventName":"n","data":%d}\n' % n for n in range(1, count + 1)))

    def step_see_numbers(self, client, count):
        numbers = [self.driver.see(self.name(client), "event")["data"] for _ in range(count)]
        assert numbers == list(range(1, count + 1)), numbers

    def connection_id(self, client):
        self.driver.do(self.name(client), "ask", id=0)
        return self.driver.see(self.name(client), "answer")["connectionId"]

    def step_disconnect(self, client, how):
        self.daemon.admin("disconnect", connection=self.connection_id(client), **how)

    def step_take_out(self, client, group):
        self.daemon.admin("leave", connection=self.connection_id(client), group=group)


class Worker(threading.local):
    """Each thread has a driver of its own for each library, so that one that crashes takes no other scenario along."""

    def __init__(self):
        self.drivers = {}

    def driver(self, library):
        if library in self.drivers and self.drivers[library].has_ended:
            del self.drivers[library]
        if library not in self.drivers:
            self.drivers[library] = Driver(library, NODE_EXTRA_CA_CERTS=CA_FILE)
            ALL_DRIVERS.append(self.drivers[library])
        return self.drivers[library]


ALL_DRIVERS = []


def play(worker, shared, scenario, library, way):
    """None, or why it failed."""
    driver, one = worker.driver(library), None
    try:
        with contextlib.ExitStack() as stack:
            place = shared if scenario.options is None else stack.enter_context(Place(scenario.options, scenario.config))
            one = Play(scenario, driver, place, way)
            stack.callback(one.end)
            one.run()
            one.step = "the end of the daemon and the proxy"
    except Exception as error:      # pylint: disable=broad-except
        why = str(error) if isinstance(error, AssertionError) else traceback.format_exc()
        lines = [line for line in driver.log.copy() if one and line.startswith(one.id)]
        return f"{str(one.step)[:500] if one else 'the daemon'}\n    {why}\n" + "".join(f"    | {line}\n" for line in lines[-20:])
    return None


def chosen(arguments):
    for name, scenario in scenarios.SCENARIOS.items():
        if arguments.patterns and not any(fnmatch.fnmatchcase(name, pattern) for pattern in arguments.patterns):
            continue
        for library in CLIENTS:
            for way in scenario.ways:
                if arguments.library in (None, library) and arguments.transport in (None, way[0]) and arguments.protocol in (None, way[1]):
                    yield name, scenario, library, way


def main():
    parser = argparse.ArgumentParser(description="Play the scenarios with the clients.")
    parser.add_argument("--library", choices=CLIENTS)
    parser.add_argument("--transport", choices=scenarios.TRANSPORTS)
    parser.add_argument("--protocol", choices=("json", "msgpack"))
    parser.add_argument("--jobs", type=int, default=6, help="how many are played at a time")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--verbose", action="store_true", help="name the good ones too")
    parser.add_argument("patterns", nargs="*", metavar="SCENARIO", help="name or pattern; default: all")
    arguments = parser.parse_args()
    plays = list(chosen(arguments))
    if arguments.list:
        print("\n".join(dict.fromkeys(name for name, *_ in plays)))
        return
    passed = failed = 0
    worker, started = Worker(), time.monotonic()
    with Place({}) as shared, concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        futures = {pool.submit(play, worker, shared, scenario, library, way): f"{library}, {way[0]}, {way[1]}: {name}" for name, scenario, library, way in plays}
        for future in concurrent.futures.as_completed(futures):
            why = future.result()
            passed += why is None
            failed += why is not None
            if why:
                print(f"FAIL {futures[future]}\n    {why}", flush=True)
            elif arguments.verbose:
                print(f"ok   {futures[future]}", flush=True)
        for driver in ALL_DRIVERS:
            try:
                if not driver.has_ended:
                    driver.close()
            except Exception as error:      # pylint: disable=broad-except
                failed += 1
                print(f"FAIL {driver.library}: its driver's end\n    {error}", flush=True)
                driver.kill()
    print(f"{time.monotonic() - started:.0f} s")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
