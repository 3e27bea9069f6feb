"""Two shops behind haproxy under constant load, restarted one after the other: no request is lost.

haproxy asks for readiness as a kubelet does: a few failures take an instance out, a few successes put it back. It
makes no second attempt at a request, so one that meets an instance that is gone is an error here.
"""

import http.client
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

SHOP = sys.argv[1]
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 1
CLIENTS = 6

CONFIGURATION = """
global
    stats socket {socket} mode 600 level admin
defaults
    mode http
    retries 0
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout check 1s
frontend shop
    bind 127.0.0.1:{port}
    default_backend shops
backend shops
    balance roundrobin
    option httpchk GET /health/ready
    default-server check inter 200ms fall 2 rise 2
    server a 127.0.0.1:{a}
    server b 127.0.0.1:{b}
"""


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def free_row():
    """The first of four free ports in a row."""
    while True:
        (first,) = free_ports(1)
        try:
            held = [socket.create_server(("127.0.0.1", first + offset)) for offset in range(4)]
        except (OSError, OverflowError):
            continue
        for one in held:
            one.close()
        return first


class Shop:
    """One instance, which comes back on the same ports."""

    def __init__(self, log):
        self.port, self.log = free_row(), log
        self.process = None

    def start(self):
        arguments = ["--no-load", "--port", str(self.port), "--admin", "0", "--drain", "2"]
        output = open(self.log, "ab")
        self.process = subprocess.Popen([SHOP, *arguments], stdout=output, stderr=subprocess.DEVNULL)
        output.close()

    def restart(self):
        self.process.terminate()
        code = self.process.wait(timeout=60)
        assert code == 0, f"an instance ended with {code}"
        self.start()


def up(path):
    """Which instances haproxy sends requests to."""
    with socket.socket(socket.AF_UNIX) as stats:
        stats.connect(path)
        stats.sendall(b"show stat\n")
        text = b"".join(iter(lambda: stats.recv(65536), b"")).decode()
    header, *rows = [line.split(",") for line in text.strip().lstrip("# ").splitlines()]
    name, status = header.index("svname"), header.index("status")
    return {row[name] for row in rows if row[name] in "ab" and row[status] == "UP"}


def until(what, is_so):
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Load:
    """Clients that order without a pause, each on a connection of its own."""

    def __init__(self, port):
        self.port, self.lost, self.answered, self.stopped = port, [], 0, threading.Event()
        self.lock = threading.Lock()
        self.clients = [threading.Thread(target=self.order, daemon=True) for _ in range(CLIENTS)]
        for client in self.clients:
            client.start()

    def order(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = json.dumps({"user": 1, "method": "card", "amount": 4200})
        while not self.stopped.is_set():
            try:
                connection.request("POST", "/orders", body, {"content-type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                problem = None if answer.status == 200 else f"{answer.status}: {text[:200]}"
            except (OSError, http.client.HTTPException) as error:
                problem = repr(error)
                connection.close()
                time.sleep(0.01)
            with self.lock:
                self.answered += 1
                if problem:
                    self.lost.append(problem)

    def stop(self):
        self.stopped.set()
        for client in self.clients:
            client.join()


def main():
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        stats = str(directory / "haproxy.sock")
        shops = [Shop(directory / "a.log"), Shop(directory / "b.log")]
        (port,) = free_ports(1)
        configuration = directory / "haproxy.cfg"
        configuration.write_text(
            CONFIGURATION.format(socket=stats, port=port, a=shops[0].port, b=shops[1].port)
        )
        for shop in shops:
            shop.start()
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", str(configuration)], stderr=subprocess.DEVNULL)
        try:
            until("haproxy starts", lambda: pathlib.Path(stats).exists())
            until("both are up", lambda: up(stats) == {"a", "b"})
            load = Load(port)
            restarts = 0
            for _ in range(ROUNDS):
                for name, shop in zip("ab", shops):
                    shop.restart()
                    restarts += 1
                    until(f"{name} is back", lambda: up(stats) == {"a", "b"})
                    time.sleep(0.5)
            load.stop()
            assert not load.lost, f"{len(load.lost)} of {load.answered} requests were lost: {load.lost[:5]}"
            assert load.answered > 100, load.answered
        finally:
            haproxy.kill()
            for shop in shops:
                shop.process.terminate()
                shop.process.wait(timeout=60)
        for shop in shops:
            lines = [json.loads(line) for line in shop.log.read_text().splitlines()]
            bad = [line for line in lines if line["level"] in ("WARN", "ERROR")]
            assert not bad, f"lines that nobody should have to read: {bad[:5]}"
        print(f"rolling: {load.answered} requests, {restarts} restarts, none lost")


main()
