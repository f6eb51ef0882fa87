"""./quickstart --check: one client on each transport, one publish from the shell, four events received."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.parse

import msgpack
import websockets

PATIENCE_S = 30
DATA = {"title": "hello"}


class CheckFailed(Exception):
    pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def curl(*arguments):
    child = await asyncio.create_subprocess_exec("curl", "-sS", "--fail", *arguments, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    if child.returncode:
        raise CheckFailed(f"curl ended with {child.returncode}")
    return out


async def http_status(url):
    child = await asyncio.create_subprocess_exec("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", url, stdout=asyncio.subprocess.PIPE)
    return (await child.communicate())[0].decode()


async def websocket(base, ready):
    url = base.replace("http", "ws") + "/websocket?group=news"
    async with websockets.connect(url, subprotocols=["rtc.v1.msgpack"]) as ws:
        assert msgpack.unpackb(await ws.recv())["eventName"] == "rtc.welcome"
        ready.set()
        return msgpack.unpackb(await ws.recv())


async def sse(base, ready):
    child = await asyncio.create_subprocess_exec("curl", "-sSN", f"{base}/sse?group=news", stdout=asyncio.subprocess.PIPE)
    try:
        async for line in child.stdout:
            if line.startswith(b"data: "):
                envelope = json.loads(line[6:])
                if envelope["eventName"] != "rtc.welcome":
                    return envelope
                ready.set()
        raise CheckFailed("the event stream ended")
    finally:
        child.terminate()
        await child.wait()


async def polling(base, ready, wait):
    first = json.loads(await curl(f"{base}/poll?group=news&wait=0"))
    token = urllib.parse.quote(first["messages"][0]["data"]["connectionToken"])
    ready.set()
    while True:
        body = await curl(f"{base}/poll?token={token}&received=0&wait={wait}")
        if body:
            return json.loads(body)["messages"][0]


async def start(build, directory, port):
    notify = os.path.join(directory, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(notify)
        listener.settimeout(PATIENCE_S)
        daemon = await asyncio.create_subprocess_exec(
            os.path.join(build, "daemon/rtcd"), "--config", "conf/rtcd.yaml", "--set", f"listen=127.0.0.1:{port}",
            "--set", f"admin.listen={directory}/admin.sock", env=dict(os.environ, NOTIFY_SOCKET=notify))
        try:
            while b"READY=1" not in await asyncio.to_thread(listener.recv, 4096):
                pass
        except TimeoutError:
            raise CheckFailed(f"rtcd did not become ready; exit status {daemon.returncode}") from None
    return daemon


async def check(build, directory):
    port = free_port()
    base = f"http://127.0.0.1:{port}/rtc"
    daemon = await start(build, directory, port)
    try:
        if await http_status(f"http://127.0.0.1:{port}/echo") != "404":
            raise CheckFailed("this build has what only tests should have (-Dtest_dialects)")
        transports = {"websocket (MessagePack)": websocket, "sse": sse, "longpoll": lambda b, r: polling(b, r, 20000),
                      "shortpoll": lambda b, r: polling(b, r, 0)}
        readies = {name: asyncio.Event() for name in transports}
        tasks = {name: asyncio.create_task(client(base, readies[name])) for name, client in transports.items()}
        for name, ready in readies.items():
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({waiting, tasks[name]}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
            if not ready.is_set():
                waiting.cancel()
                tasks[name].cancel()
                raise CheckFailed(f"{name}: no welcome: {tasks[name].exception() if tasks[name].done() else 'timed out'}")
        command = [os.path.join(build, "cli/rtcctl"), "--socket", f"{directory}/admin.sock", "publish", "--group", "news",
                   "headline", json.dumps(DATA)]
        print("$ rtcctl publish --group news headline", f"'{json.dumps(DATA)}'")
        published = subprocess.run(command, capture_output=True, text=True, check=False)
        if published.returncode:
            raise CheckFailed(f"rtcctl: {published.stderr}")
        for name, task in tasks.items():
            envelope = await asyncio.wait_for(task, PATIENCE_S)
            if (envelope["eventName"], envelope["data"]) != ("headline", DATA):
                raise CheckFailed(f"{name} received {envelope}")
            print(f"{name:<24} received {json.dumps(envelope)}")
    finally:
        daemon.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(daemon.wait(), PATIENCE_S)
    if status:
        raise CheckFailed(f"rtcd ended with {status}")
    print("All four transports received the event.")


def main():
    try:
        with tempfile.TemporaryDirectory(prefix="rtcd-check-") as directory:
            asyncio.run(check(sys.argv[1], directory))
    except (CheckFailed, asyncio.TimeoutError, OSError) as error:
        sys.exit(f"quickstart --check failed: {error or type(error).__name__}")


if __name__ == "__main__":
    main()
