"""The loads that check.py counts the instructions of, each so small and strictly one after the other that it costs the same
every time.

A load is a context manager that opens its clients on a running daemon and yields its round: a function that puts one round
on the daemon and returns when all of it has arrived. A message is never sent before what came of the last one is there, so that
nothing depends on how fast the daemon is under valgrind. It knows nothing of figures.
"""

import contextlib
import hashlib
import json
import os
import socket

from client import TEXT, Http, Poller, Sse, WebSocket, frame
from harness import wait_until

GROUP = "check"
API_KEY = "rtck_" + "A" * 48
API_KEY_LINE = f"check sha256:{hashlib.sha256(API_KEY.encode()).hexdigest()} level=operator\n"
DATA = "abcdefghijklmnopqrstuvwxyz" * 5     # 130 bytes
MESSAGE = frame(TEXT, json.dumps({"eventName": "bench", "to": {"group": GROUP}, "data": DATA}).encode())


def take(link, count):
    """That many bytes; nobody looks at them."""
    while count:
        piece = link.recv(min(count, 65536))
        if not piece:
            raise EOFError("the daemon hung up")
        count -= len(piece)


def open_websocket(daemon, number, **query):
    return WebSocket(daemon.port, user=f"user{number}", **query)


@contextlib.contextmanager
def clients_of(opened):
    """Ends them all in the end, on purpose, so that the daemon keeps nothing of them for the next load."""
    try:
        yield opened
    finally:
        for client in opened:
            client.close()


def expect_message(client):
    """The next payload that is not just an acknowledgement, which come now and then."""
    while True:
        opcode, payload = client.frame()
        if opcode == TEXT and b"rtc.ack" not in payload:
            return payload


@contextlib.contextmanager
def fanout(daemon, members, under_way):
    """So many messages at once, sent in one piece, to all members."""
    with clients_of([open_websocket(daemon, i, group=GROUP) for i in range(members)]) as listeners, \
            clients_of([open_websocket(daemon, members)]) as (publisher,):
        publisher.send_raw(MESSAGE)
        for listener in listeners:
            length = 4 + len(expect_message(listener))    # with the frame's header

        def turn():
            publisher.send_raw(MESSAGE * under_way)
            for listener in listeners:
                take(listener.link, length * under_way)

        yield turn


@contextlib.contextmanager
def publish(daemon):
    """A client says something to a group in which it is alone."""
    with clients_of([open_websocket(daemon, 0, group=GROUP)]) as (client,):

        def turn():
            client.send_raw(MESSAGE)
            expect_message(client)

        yield turn


@contextlib.contextmanager
def publish_admin(daemon):
    """The admin socket says something to a group of one."""
    line = json.dumps({"eventName": "publish", "data": {"event": "bench", "data": DATA, "group": GROUP}, "id": 1}).encode() + b"\n"
    with clients_of([open_websocket(daemon, 0, group=GROUP)]) as (client,), socket.socket(socket.AF_UNIX) as link:
        link.connect(daemon.admin_path)
        answers = link.makefile("rb")

        def turn():
            link.sendall(line)
            answer = json.loads(answers.readline())
            assert answer["data"]["recipients"] == 1, answer
            expect_message(client)

        yield turn


@contextlib.contextmanager
def publish_http(daemon):
    """A program with an API key says something to a group of one, over a link that stays."""
    body = json.dumps({"group": GROUP, "event": "bench", "data": DATA}).encode()
    with clients_of([open_websocket(daemon, 0, group=GROUP), Http(daemon.port)]) as (client, http):

        def turn():
            answer = http.request("POST", "/api/v1/publish", body, {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"})
            assert answer.json() == {"recipients": 1}, answer.body
            expect_message(client)

        yield turn


@contextlib.contextmanager
def connect(daemon):
    """A WebSocket client more, in a group, with a user of its own."""
    with clients_of([]) as opened:
        yield lambda: opened.append(open_websocket(daemon, len(opened), group=GROUP))


def is_at_rest(daemon):
    """Whether all of the daemon's threads wait. What is sent to it wakes one before send() returns."""
    tasks = f"/proc/{daemon.process.pid}/task"
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/stat", encoding="ascii") as file:
            if file.read().rpartition(")")[2].split()[0] != "S":
                return False
    return True


@contextlib.contextmanager
def longpoll(daemon):
    """A message from a WebSocket client answers a poll that waits, and the next poll begins to wait."""
    with clients_of([open_websocket(daemon, 0)]) as (publisher,), Poller(daemon.port, user="user1", group=GROUP) as poller:

        def ask():
            poller.ask()
            wait_until(lambda: is_at_rest(daemon), "the poll is read")

        def turn():
            publisher.send_raw(MESSAGE)
            assert len(poller.answer()) == 1
            ask()

        ask()
        yield turn


def open_poller(daemon, number):
    poller = Poller(daemon.port, user=f"user{number}", group=GROUP)
    poller.ask()
    return poller


# How a client that is then idle comes to be on each transport.
IDLE = {
    "websocket": lambda daemon, number: open_websocket(daemon, number, group=GROUP),
    "sse": lambda daemon, number: Sse(daemon.port, user=f"user{number}", group=GROUP),
    "longpoll": open_poller,
}
