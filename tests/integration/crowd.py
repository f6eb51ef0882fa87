"""Many subscribers in a process of their own, so that they can be stopped all at once. Run as a program by Crowd."""

import json
import os
import signal
import subprocess
import sys

from client import Closed, WebSocket
from harness import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


class Crowd:
    """`count` members of a group. answers() is what each of them got, once it has come to its end."""

    def __init__(self, port, count, group):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), str(port), str(count), group],
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: self._state() in "Tt", "the crowd to stand still")

    def _state(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0]

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def answers(self):
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def read_on(client):
    """What came until the end: data, or how many were lost; and how it ended."""
    got = []
    try:
        while True:
            envelope = client.receive()
            if envelope["eventName"] == "n":
                got.append(envelope["data"]["number"])
            elif envelope["eventName"] == "rtc.close":
                return {"got": got, "end": envelope["data"]["reason"]}
    except (Closed, OSError, EOFError) as error:
        return {"got": got, "end": type(error).__name__}


def come_back(port, client, answer):
    with WebSocket(port, token=client.token, received=client.received) as back:
        return {**answer, "resumed": back.welcome["data"]["resumed"]}


def main(port, count, group):
    clients = [WebSocket(port, group=group) for _ in range(count)]
    print("ready", flush=True)
    answers = [come_back(port, client, read_on(client)) for client in clients]
    print(json.dumps(answers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
