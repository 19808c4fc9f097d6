#!/usr/bin/env python3
"""What a check costs next to a server that decides nothing, on this machine: part of `make bench`.

Three servers stand side by side: Portcullis, a no-op gRPC server in the same runtime shape, and a no-op
on Tokio's work-stealing runtime. They answer the same load in turns, round after round, so that whatever
else the machine does falls on all of them alike; what counts is the ratio within a round. Each server has
one processor and one worker thread, and the load generator has another processor, where there are two.

Nothing here passes or fails by a time: it prints what it saw. Linux only, as it reads /proc.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_POLICIES = ROOT / "policies/shop"
START_SECONDS = 10
IDLE_SECONDS = 2

# What is sent, how it is answered, and what it is called.
SCENARIOS = [
    ("API key", "api-key", "allow"),
    ("JWT, cached", "jwt-es256", "allow"),
    ("deny, no credential", "no-credential", "deny"),
]


def main() -> int:
    options = parse_arguments()
    if sys.platform != "linux":
        print("The comparison reads /proc and runs on Linux only: skipped.")
        return 0
    programs = build(options.profile)
    # A Unix domain socket's path is short, so it stands in the system's own directory for such things.
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        subprocess.run([programs["load"], "prepare", directory], check=True)
        at_rest(programs["portcullis"], directory)
        compare(options, programs, directory)
        reloading(options, programs, directory)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="bench", help="cargo's profile; `quick` builds faster (default: bench)")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    parser.add_argument("--checks", type=int, default=150_000, help="per server, scenario and round (default: 150000)")
    parser.add_argument("--connections", type=int, default=4, help="HTTP/2 connections (default: 4)")
    parser.add_argument("--streams", type=int, default=16, help="calls in flight on each (default: 16)")
    parser.add_argument("--tcp", action="store_true", help="over TCP, not a Unix domain socket")
    return parser.parse_args()


def build(profile: str) -> dict[str, str]:
    # One command line for all of them: built apart, their dependencies would differ in features.
    command = [
        "cargo", "bench", "--profile", profile, "--no-run", "--bench", "noop", "--bench", "load",
        "--message-format", "json-render-diagnostics",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    programs = {}
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] in ("portcullis", "noop", "load"):
            programs[message["target"]["name"]] = message["executable"]
    return programs


class Server:
    """A server that runs until `stop`."""

    def __init__(self, command: list, environment: dict[str, str], processor: int | None) -> None:
        pin = (lambda: os.sched_setaffinity(0, {processor})) if processor is not None else None
        self.process = subprocess.Popen(
            [str(part) for part in command],
            env=environment,
            stdin=subprocess.DEVNULL,
            # The audit log is written, as in production, and read by nobody.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=pin,
        )

    def wait_until(self, ready, pause: float = 0.01) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{self.process.args[0]} did not start")
            time.sleep(pause)

    def status(self, field: str) -> str:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return line.split(":")[1].strip()
        return "unknown"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def portcullis(program: str, policies: Path, *more: str, processor: int | None = None) -> Server:
    # PORTCULLIS_… variables stand for flags; what is measured has the flags given here and no others.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PORTCULLIS_")}
    command = [program, "serve", "--policies", policies, "--audit", "stdout", "--log-format", "json", *more]
    return Server(command, environment, processor)


def at_rest(program: str, directory: Path) -> None:
    """Time from the start to readiness, and memory when nothing happens, with the shipped policies."""
    times, memory = [], ""
    for attempt in range(11):
        admin = free_port()
        socket_path = directory / f"rest-{attempt}.sock"
        started = time.monotonic()
        server = portcullis(
            program, SHIPPED_POLICIES,
            "--listen-tcp", "none", "--listen-unix", str(socket_path), "--admin-listen", f"127.0.0.1:{admin}",
        )  # fmt: skip
        server.wait_until(lambda: answers_200(admin, "/readyz"), pause=0.0005)
        times.append((time.monotonic() - started) * 1000)
        if attempt == 10:
            time.sleep(IDLE_SECONDS)
            memory = server.status("RssAnon")
        server.stop()
    print(f"\nFrom exec to /readyz 200: {spread(times, 'ms')}, {len(times)} starts")
    print(f"Anonymous memory (RssAnon) when idle, with policies/shop: {mebibytes(memory)}")


def compare(options: argparse.Namespace, programs: dict[str, str], directory: Path) -> None:
    processors = sorted(os.sched_getaffinity(0))
    server_on, load_on = (processors[0], processors[1]) if len(processors) > 1 else (None, None)
    servers, targets = {}, {}
    try:
        for name in ("portcullis", "workers", "work-stealing"):
            listen, targets[name] = endpoint(options, directory, name)
            if name == "portcullis":
                other = "--listen-tcp" if listen[0] == "--unix" else "--listen-unix"
                listening = [f"--listen-{listen[0][2:]}", listen[1], other, "none", "--admin-listen", "none"]
                # The load keeps more in flight than a pinned server can answer in Envoy's time.
                more = [*listening, "--workers", "1", "--check-timeout", "10s"]
                server = portcullis(programs["portcullis"], directory / "policies", *more, processor=server_on)
            else:
                command = [programs["noop"], "--shape", name, "--workers", "1", *listen]
                server = Server(command, dict(os.environ), server_on)
            servers[name] = server
            server.wait_until(lambda target=targets[name]: listens(target))
        pinned = f"servers on processor {server_on}, load on {load_on}" if load_on is not None else "not pinned"
        print(
            f"\n{options.rounds} rounds of {options.checks} checks, {options.connections} connections with "
            f"{options.streams} calls in flight each, over {'TCP' if options.tcp else 'a Unix domain socket'}; {pinned}"
        )
        results = {}
        for round_number in range(options.rounds):
            print(f"\r  round {round_number + 1} ... ", end="", file=sys.stderr, flush=True)
            for label, check, expected in SCENARIOS:
                for name, server in servers.items():
                    answer = expected if name == "portcullis" else "allow"
                    command = [
                        programs["load"], "run", *targets[name], "--pid", server.process.pid,
                        "--check", directory / check, "--expect", answer, "--checks", options.checks,
                        "--connections", options.connections, "--streams", options.streams,
                    ]  # fmt: skip
                    results.setdefault((label, name), []).append(run_load(command, load_on))
        print("\r", end="", file=sys.stderr)
        report(results)
    finally:
        for server in servers.values():
            server.stop()


def reloading(options: argparse.Namespace, programs: dict[str, str], directory: Path) -> None:
    """What checks wait for while 10,000 routes and 10,000 consumers are compiled and swapped, next to before."""
    policies = directory / "large"
    shutil.copytree(directory / "policies", policies)
    write_many(policies)
    admin, path = free_port(), directory / "reload.sock"
    listening = ["--listen-unix", str(path), "--listen-tcp", "none", "--admin-listen", f"127.0.0.1:{admin}"]
    server = portcullis(programs["portcullis"], policies, *listening, "--workers", "1", "--check-timeout", "10s")
    server.wait_until(lambda: answers_200(admin, "/readyz"))
    label, check, expected = SCENARIOS[0]
    command = [
        programs["load"], "run", "--unix", str(path), "--pid", server.process.pid, "--check", directory / check,
        "--expect", expected, "--checks", options.checks, "--connections", 1, "--streams", 1,
    ]  # fmt: skip
    try:
        print(f"\n10,000 routes and 10,000 consumers, {label}, one call in flight, nothing pinned")
        for name, every in (("before", None), ("during reloads", 1.0)):
            done, stop = [0], threading.Event()
            writer = threading.Thread(target=change_policies, args=(policies, every, stop, done))
            before = generations(admin)
            writer.start()
            results = [run_load(command, None) for _ in range(3)]
            stop.set()
            writer.join()
            figures = ", ".join(
                f"{field} {statistics.median(one[f'{field}_us'] for one in results):.0f} us"
                for field in ("p50", "p99", "p999")
            )
            print(f"  {name}: {figures}; {generations(admin) - before:.0f} reloads")
    finally:
        server.stop()


def write_many(policies: Path) -> None:
    for file in range(10):
        routes = [
            f"      - {{path: '/v{file}/{number}/{{id}}', methods: [GET], scopes: [orders:read]}}\n"
            for number in range(1_000)
        ]
        text = f"policies:\n  many-{file}:\n    hosts: [many-{file}.example.com]\n    authenticate: many\n    routes:\n"
        (policies / f"many-{file}.yaml").write_text(text + "".join(routes))
    keys = [
        f"  partner-{number}: {{scopes: [orders:read], credentials: {{many: [{{id: k{number}, "
        f"hash: 'sha256:{hashlib.sha256(str(number).encode()).hexdigest()}'}}]}}}}\n"
        for number in range(10_000)
    ]
    (policies / "many-consumers.yaml").write_text("consumers:\n" + "".join(keys))
    (policies / "many.yaml").write_text("authenticators: {many: {api_key: {from: [{header: x-many-key}]}}}\n")


def change_policies(policies: Path, every: float | None, stop: threading.Event, done: list[int]) -> None:
    while every and not stop.wait(every):
        done[0] += 1
        beside = policies / ".changed"
        beside.write_text(f"roles: {{role-{done[0]}: {{scopes: [orders:read]}}}}\n")
        beside.rename(policies / "changed.yaml")


def generations(admin: int) -> float:
    """How often policies were taken up, as the metrics count it."""
    connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=5)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    connection.close()
    counted = [line for line in lines if line.startswith("portcullis_config_reloads_total") and 'outcome="loaded"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counted)


def endpoint(options: argparse.Namespace, directory: Path, name: str) -> tuple[list[str], list[str]]:
    if options.tcp:
        address = ["--tcp", f"127.0.0.1:{free_port()}"]
    else:
        address = ["--unix", str(directory / f"{name}.sock")]
    return address, address


def run_load(command: list, processor: int | None) -> dict:
    pin = (lambda: os.sched_setaffinity(0, {processor})) if processor is not None else None
    command = [str(part) for part in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, preexec_fn=pin, check=True)
    return json.loads(done.stdout)


def report(results: dict[tuple[str, str], list[dict]]) -> None:
    columns = [24, 26, 14, 12, 12, 12]
    print_row(columns, "", "CPU us per check", "checks/s", "p50 us", "p99 us", "p99.9 us")
    for (label, name), rounds in results.items():
        server = "Portcullis" if name == "portcullis" else f"no-op, {name}"
        if name == "portcullis":
            print(f"\n{label}")

        def median(field: str, rounds=rounds) -> str:
            return f"{statistics.median(one[field] for one in rounds):.0f}"

        cpu = spread([one["cpu_us_per_check"] for one in rounds], "")
        fields = [median(field) for field in ("per_second", "p50_us", "p99_us", "p999_us")]
        print_row(columns, f"  {server}", cpu, *fields)
    print("\nCPU per check as a ratio, pair by pair: median [least - most]\n")
    columns = [24, 30, 30]
    print_row(columns, "", "to no-op, same runtime shape", "to no-op, work-stealing")
    for label, *_ in SCENARIOS:
        ratios = []
        for other in ("workers", "work-stealing"):
            pairs = zip(results[label, "portcullis"], results[label, other])
            ratios.append(spread([a["cpu_us_per_check"] / b["cpu_us_per_check"] for a, b in pairs], "", digits=2))
        print_row(columns, f"  {label}", *ratios)


def print_row(widths: list[int], *cells: str) -> None:
    print("".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())


def spread(values: list[float], unit: str, digits: int = 1) -> str:
    number = f".{digits}f"
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:{number}} [{least:{number}} - {most:{number}}] {unit}".rstrip()


def mebibytes(kibibytes: str) -> str:
    """Of what /proc says: `17284 kB`."""
    return f"{int(kibibytes.split()[0]) / 1024:.1f} MiB"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(target: list[str]) -> bool:
    kind, address = target
    family = socket.AF_UNIX if kind == "--unix" else socket.AF_INET
    where = address if kind == "--unix" else (address.split(":")[0], int(address.split(":")[1]))
    with socket.socket(family) as probe:
        return probe.connect_ex(where) == 0


def answers_200(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
