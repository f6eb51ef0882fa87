"""Killed under publishing, again and again: what was acknowledged is there, offsets are never given twice, and since does not lie."""

import json
import random
import socket
import threading
import unittest

from client import WebSocket
from harness import PATIENCE_S, has_plain_memory
from test_history_disk import disk, history, kill

ROUNDS = 200 if has_plain_memory() else 20
SEED = 6
LOOKED_AT = 12      # offsets of each round at which somebody comes back
KEYS = 7


class Publisher(threading.Thread):
    """Publishes numbers, several at a time, until its connection breaks. Knows which were acknowledged."""

    def __init__(self, numbers, enough):
        super().__init__()
        self.numbers, self.enough = numbers, enough
        self.asked, self.acknowledged = [], []

    def note(self, number):
        self.acknowledged.append(number)
        if len(self.acknowledged) == self.enough[0]:
            self.enough[1].set()

    def run(self):
        try:
            self.publish()
        except (OSError, EOFError, ValueError, AssertionError):
            self.enough[1].set()


class ByWebSocket(Publisher):
    def __init__(self, daemon, *rest):
        super().__init__(*rest)
        self.ws = WebSocket(daemon.port)
        self.seen = []
        self.ws.call("rtc.join", {"group": "g"})

    def take(self):
        """One envelope: a reply, or what was published."""
        envelope = self.ws.receive()
        if envelope["eventName"] == "rtc.reply":
            assert "error" not in envelope, envelope
            self.note(envelope["id"])
        elif envelope["eventName"] == "n":
            self.seen.append((envelope["offset"], envelope["data"]))

    def publish(self):
        for number in self.numbers:
            self.asked.append(number)
            self.ws.send("n", number, to={"group": "g"}, id=number)
            while len(self.asked) - len(self.acknowledged) > 8:
                self.take()
        raise AssertionError("never killed")


class ByAdminSocket(Publisher):
    """The value of a key is the number that set it; each tenth takes its key's value away."""

    def __init__(self, daemon, *rest):
        super().__init__(*rest)
        self.link = socket.socket(socket.AF_UNIX)
        self.link.settimeout(PATIENCE_S)
        self.link.connect(daemon.admin_path)

    def publish(self):
        replies = self.link.makefile("rb")
        for number in self.numbers:
            self.asked.append(number)
            request = {"group": "state.g", "event": "set", "data": number if number % 10 else None, "key": f"k{number % KEYS}"}
            self.link.sendall(json.dumps({"eventName": "publish", "data": request, "id": number}).encode() + b"\n")
            if len(self.asked) % 5 == 0:
                for _ in range(5):
                    self.note(json.loads(replies.readline())["id"])
        raise AssertionError("never killed")


def offsets_of(found):
    return [int(row[0].partition(":")[2]) for row in found]


class Killed(unittest.TestCase):
    def setUp(self):
        self.random = random.Random(SEED)
        self.known = {}             # offset -> number: whatever anybody ever saw there
        self.asked, self.acknowledged = set(), set()        # of the stream
        self.state = {}             # key -> number: the last that was acknowledged
        self.state_asked = {}       # key -> numbers asked for later

    def round(self, daemon, first):
        enough = (self.random.randrange(1, 60), threading.Event())
        numbers = range(first, first + 100000)
        publishers = [ByWebSocket(daemon, numbers, enough), ByAdminSocket(daemon, numbers, enough)]
        for publisher in publishers:
            publisher.start()
        self.assertTrue(enough[1].wait(PATIENCE_S))
        kill(daemon)
        for publisher in publishers:
            publisher.join()
        stream, state = publishers
        stream.ws.drop()
        state.link.close()
        return stream, state

    def check_stream(self, daemon, stream):
        found = history(daemon, "g", last=10000)
        rows = list(zip(offsets_of(found["rows"]), (row[3] for row in found["rows"])))
        offsets, numbers = [offset for offset, _ in rows], [number for _, number in rows]
        self.assertEqual(offsets, sorted(set(offsets)))
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertLessEqual(set(stream.acknowledged), set(numbers), "acknowledged and not there")
        self.assertLessEqual(set(numbers), self.asked)
        for offset, number in rows + stream.seen:
            self.assertEqual(self.known.setdefault(offset, number), number, f"offset {offset} was given twice")
        return found["epoch"], rows

    def check_since(self, daemon, epoch, rows, stream):
        stored = {offset for offset, _ in rows}
        seen = [offset for offset, _ in stream.seen]
        for offset in {*seen[-4:], *(self.random.choice(sorted(self.known)) for _ in range(LOOKED_AT))}:
            answer = history(daemon, "g", since=f"{epoch}:{offset}")
            if offset not in stored:
                self.assertFalse(answer["recovered"], f"since {offset}, which is not stored")
            if answer["recovered"]:
                self.assertEqual(offsets_of(answer["rows"]), [other for other, _ in rows if other > offset])
            elif offset in seen and offset in stored:
                raise AssertionError(f"since {offset} of the round before is not answered")

    def check_state(self, daemon, state):
        for number in state.asked:
            key = f"k{number % KEYS}"
            if number in state.acknowledged:
                self.state[key], self.state_asked[key] = number, []
            else:
                self.state_asked.setdefault(key, []).append(number)
        found = {row[2]: row[3] for row in history(daemon, "state.g")["rows"]}
        for key, number in self.state.items():
            possible = [number, *self.state_asked[key]]
            self.assertIn(found.get(key), [one if one % 10 else None for one in possible], f"{key} is none of {possible}")

    def test_what_was_acknowledged_is_there_however_often_it_is_killed(self):
        with disk(**{"queue.envelopes": "100000"}) as daemon:
            first = 1
            daemon.publish("n", 0, group="g")
            daemon.publish("set", 0, group="state.g", key="first")
            self.asked.add(0)
            for _ in range(ROUNDS):
                stream, state = self.round(daemon, first)
                first += 1 + max(len(stream.asked), len(state.asked))
                self.asked.update(stream.asked)
                self.acknowledged.update(stream.acknowledged)
                daemon.start()
                epoch, rows = self.check_stream(daemon, stream)
                self.check_since(daemon, epoch, rows, stream)
                self.check_state(daemon, state)
                if len(rows) > 2000:
                    daemon.admin("clear.history", group="g")
                    self.assertEqual(history(daemon, "g")["rows"], [])
            self.assertGreater(len(self.acknowledged), 2 * ROUNDS)
            self.assertEqual(daemon.counter("history_failed"), 0)


if __name__ == "__main__":
    unittest.main()
