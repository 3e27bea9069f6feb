"""Attacks the admin server of a shop, while a prober in a process of its own asks as a kubelet and a scraper do.

`attack.py SHOP SECONDS`. Everything stays on loopback. The prober must see no failure: /health/live and /health/ready
answer within a second, /metrics within five, and a profile that has begun comes to its end. Needs the standard library
alone.
"""

import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time

PROBE_PERIOD, PROBE_TIME = 0.05, 1
SCRAPE_PERIOD, SCRAPE_TIME = 1, 5
# The connections of each crowd, and how many of those that were closed are opened again after a pause.
CROWD, AGAIN = 160, 20

counts, counting = {}, threading.Lock()


def count(attack):
    with counting:
        counts[attack] = counts.get(attack, 0) + 1


def open_shop(shop):
    """Starts the shop, and gives its process and the address of its admin server."""
    arguments = [shop, "--no-load", "--port", "0", "--admin", "0"]
    process = subprocess.Popen(
        arguments,
        env=os.environ | {"OBS_CPU_PROFILING": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    admin = None
    for line in process.stderr:
        words = line.split()
        if len(words) == 2 and words[0] == "admin":
            host, port = words[1].removeprefix("http://").rsplit(":", 1)
            admin = (host, int(port))
        if line.startswith("Ctrl-C"):
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    if admin is None:
        process.kill()
        sys.exit("the shop has not started")
    return process, admin


def get(address, path, timeout):
    """The status and the body of an answer, on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def probe(address, seconds):
    """The prober: prints the times and the failures of each path."""
    results = {}

    def ask(path, period, timeout):
        times, failures = results.setdefault(path, ([], []))
        end = time.monotonic() + seconds
        while (began := time.monotonic()) < end:
            try:
                status, body = get(address, path, timeout)
                if status != 200 or not body:
                    failures.append(f"{status}: {body[:200]!r}")
            except OSError as error:
                failures.append(repr(error))
            except http.client.HTTPException as error:
                failures.append(repr(error))
            took = time.monotonic() - began
            times.append(took)
            if took > timeout:
                failures.append(f"{took:.3f} s")
            time.sleep(max(0, period - took))

    probes = [("/health/live", PROBE_PERIOD, PROBE_TIME), ("/health/ready", PROBE_PERIOD, PROBE_TIME)]
    run([(ask, each) for each in [*probes, ("/metrics", SCRAPE_PERIOD, SCRAPE_TIME)]])
    print(json.dumps(results))


def run(work):
    threads = [threading.Thread(target=target, args=arguments, daemon=True) for target, arguments in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def hold(attack, address, end, first, more=b"", pause=0.5):
    """Holds a crowd of connections that each send `first`, and then a byte of `more` after each pause. Those that the server
    closes are opened again."""
    crowd = []
    while time.monotonic() < end:
        kept = []
        for connection, sent in crowd:
            try:
                if more:
                    connection.send(more[sent % len(more) :][:1])
                # An answer to it, or the end: a client of this kind does not read more than a little.
                if connection.recv(64) == b"":
                    raise ConnectionResetError
                kept.append((connection, sent + 1))
            except BlockingIOError:
                kept.append((connection, sent + 1))
            except OSError:
                connection.close()
        # At first all at once, then some at a time, or the crowds would need the processor for themselves.
        room = CROWD if not crowd else AGAIN
        crowd = kept
        while len(crowd) < CROWD and room and time.monotonic() < end:
            room -= 1
            try:
                connection = socket.create_connection(address, timeout=1)
                connection.sendall(first)
                connection.setblocking(False)
            except OSError:
                break
            count(attack)
            crowd.append((connection, 0))
        time.sleep(pause)
    for connection, _ in crowd:
        connection.close()


def repeat(attack, address, end, sends, reads):
    """Sends the bytes on a new connection, again and again. Reads the answer to its end, or leaves at once."""
    while time.monotonic() < end:
        try:
            with socket.create_connection(address, timeout=5) as connection:
                connection.sendall(sends)
                while reads and connection.recv(1 << 16):
                    pass
        except OSError:
            pass
        count(attack)
        if not reads:
            time.sleep(0.01)


def unread(attack, address, end):
    """Asks for many answers on each connection and reads none."""
    request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50
    hold(attack, address, end, request, pause=1)


def profiles(attack, address, end, paths, failures):
    """Takes profiles that last nearly as long as the attack. Each comes to its end."""
    for path in paths:
        while time.monotonic() < end - 3:
            seconds = max(1, int(end - time.monotonic()) - 2)
            try:
                status, body = get(address, path.format(seconds=seconds), seconds + 30)
            except (OSError, http.client.HTTPException) as error:
                status, body = repr(error), b""
            count(attack)
            # A shop without the feature for it says so.
            if status == 501:
                break
            if status != 200 or not body:
                failures.append(f"{path}: {status} {body[:200]!r}")
                time.sleep(1)


def attacks(address, end, failures):
    """All attacks at once."""
    live = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
    put = b"PUT /debug/log-level HTTP/1.1\r\nHost: localhost\r\n"
    metrics = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    large = live + b"x: " + b"y" * 20_000 + b"\r\n\r\n"
    held = [
        ("slow bodies of probes", live + b"Content-Length: 1\r\n\r\n"),
        ("slow bodies", put + b"Content-Length: 1000\r\n\r\n", b"x"),
        ("slow chunks", put + b"Transfer-Encoding: chunked\r\n\r\n1\r\n", b"a\r\n1\r\n"),
        ("slow heads", live, b"x-header: value\r\n"),
        ("idle connections", b""),
        ("idle after a request", live + b"\r\n"),
    ]
    work = [(hold, (attack, address, end, *rest)) for attack, *rest in held]
    work += [(repeat, ("scrapes", address, end, metrics, True)) for _ in range(48)]
    work += [(repeat, ("oversized heads", address, end, large, True)) for _ in range(2)]
    work += [(repeat, ("not HTTP", address, end, b"\x16\x03\x01\r\n\r\n", True))]
    work += [(repeat, ("scrapes that hang up", address, end, metrics, False))]
    work += [(unread, ("answers not read", address, end))]
    long = "/debug/pprof/block?seconds={seconds}"
    work += [(profiles, ("long profiles", address, end, [long], failures)) for _ in range(4)]
    work += [(profiles, ("CPU profiles", address, end, ["/debug/pprof/profile?seconds={seconds}"], failures))]
    # While the long ones hold their places.
    short = ["/debug/pprof/tasks", "/debug/pprof/block?seconds=1"]
    work += [(repeat_profiles, ("short profiles", address, end, short, failures))]
    return work


def repeat_profiles(attack, address, end, paths, failures):
    while time.monotonic() < end - 3:
        for path in paths:
            try:
                status, body = get(address, path, 20)
            except (OSError, http.client.HTTPException) as error:
                status, body = repr(error), b""
            count(attack)
            if status != 200 or not body:
                failures.append(f"{path}: {status} {body[:200]!r}")
        time.sleep(0.5)


def main(shop, seconds):
    # Each crowd needs its descriptors.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 4096, hard))
    process, address = open_shop(shop)
    failures = []
    try:
        end = time.monotonic() + 30
        while get(address, "/health/ready", 5)[0] != 200:
            if time.monotonic() > end:
                sys.exit("the shop does not become ready")
            time.sleep(0.1)
        prober = subprocess.Popen(
            [sys.executable, __file__, "--probe", address[0], str(address[1]), str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        run(attacks(address, time.monotonic() + seconds, failures))
        results = json.loads(prober.communicate(timeout=60)[0])
        if process.poll() is not None:
            failures.append(f"the shop has ended with {process.returncode}")
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            failures.append("the shop does not end")
    print("\n".join(f"{number:8} {attack}" for attack, number in sorted(counts.items())))
    for path, (times, failed) in results.items():
        failures += [f"{path}: {failure}" for failure in failed]
        times.sort()
        marks = [f"{name} {1000 * times[int(share * (len(times) - 1))]:.1f} ms" for name, share in
                 [("median", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("slowest", 1)]]
        print(f"{path}: {len(times)} asked, {len(failed)} failed; {', '.join(marks)}")
    for failure in failures[:20]:
        print(f"FAILED {failure}")
    return 1 if failures else 0


if sys.argv[1] == "--probe":
    probe((sys.argv[2], int(sys.argv[3])), float(sys.argv[4]))
else:
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
