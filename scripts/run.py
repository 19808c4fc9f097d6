#!/usr/bin/env python3
"""Portcullis, Envoy and an upstream on this machine, with credentials to try: `make run`.

Everything it makes is under .run/; nothing outlives it but those files.
"""

from __future__ import annotations

import argparse
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True

from demo import credentials, examples  # noqa: E402
from demo.problem import Problem  # noqa: E402
from demo.services import Service  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
SHIPPED_POLICIES = ROOT / "policies/shop"
SET_UP_ENVOY = ROOT / "scripts/setup-envoy.sh"
ENVOY_TEMPLATE = ROOT / "scripts/demo/envoy.yaml"
ECHO = ROOT / "k8s/base/echo.py"  # the demo's upstream and the example cluster's are the same
HOST = "localhost"


def main() -> int:
    options = parse_arguments()
    try:
        check_prerequisites(options)
        envoy = options.envoy or set_up_envoy()
        binary = options.binary or build()
        lock = enter_run_directory(options.run_dir)  # noqa: F841 held until the end
        return Demo(options, envoy, binary).run()
    except Problem as problem:
        print(f"\nproblem: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="send the printed requests, compare the answers, stop"
    )
    parser.add_argument(
        "--port", type=int, default=8080, help="where Envoy listens; 0 picks a free one (default: 8080)"
    )
    parser.add_argument(
        "--run-dir", type=Path, default=ROOT / ".run", metavar="DIR", help="default: .run"
    )
    parser.add_argument("--no-build", action="store_true", help="run --binary as it is")
    parser.add_argument("--binary", type=existing_file, metavar="PATH", help="a portcullis to run")
    parser.add_argument(
        "--envoy",
        type=existing_file,
        metavar="PATH",
        default=os.environ.get("PORTCULLIS_ENVOY") or None,
        help="an Envoy to run (default: $PORTCULLIS_ENVOY, else the one that scripts/setup-envoy.sh gets)",
    )
    options = parser.parse_args()
    if options.no_build != bool(options.binary):
        parser.error("--no-build and --binary PATH go together")
    options.run_dir = options.run_dir.resolve()
    return options


def existing_file(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text}")
    return path


def check_prerequisites(options: argparse.Namespace) -> None:
    missing = []
    if sys.version_info < (3, 9):
        missing.append(f"Python 3.9 or newer (here: {sys.version.split()[0]}): make run PYTHON=python3.12, say")
    if not shutil.which("openssl"):
        missing.append("openssl, to sign the demo's tokens: install it with your package manager")
    if not options.no_build:
        missing += missing_to_build()
    if missing:
        raise Problem("This machine lacks\n" + "\n".join(f"  - {what}" for what in missing))


def missing_to_build() -> list[str]:
    wanted = re.search(r'^rust-version = "(\d+)\.(\d+)', (ROOT / "Cargo.toml").read_text(), re.M)
    if not shutil.which("cargo"):
        return [f"cargo, Rust {wanted[1]}.{wanted[2]} or newer: https://rustup.rs installs it"]
    missing = []
    # Asked from the root, so that a toolchain chosen for this directory is the one that answers.
    said = subprocess.run(["rustc", "--version"], cwd=ROOT, capture_output=True, text=True).stdout
    found = re.match(r"rustc (\d+)\.(\d+)", said)
    if not found or (int(found[1]), int(found[2])) < (int(wanted[1]), int(wanted[2])):
        missing.append(
            f"Rust {wanted[1]}.{wanted[2]} or newer (here: {said.strip() or 'none'}): run `rustup update stable`"
        )
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        missing.append(
            "a C compiler, for the cryptography library: `apt install build-essential`,\n"
            "    `dnf install gcc`, `xcode-select --install`, or your system's like"
        )
    return missing


def set_up_envoy() -> Path:
    step("Envoy")
    last = ""
    with subprocess.Popen([str(SET_UP_ENVOY)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as script:
        for line in script.stdout:  # its last line is Envoy's path, the others tell what it does
            if last:
                print(f"   {last}", flush=True)
            last = line.strip()
    if script.returncode != 0:
        raise Problem("scripts/setup-envoy.sh could not get Envoy; what it said stands above.")
    return Path(last)


def build() -> Path:
    step("Portcullis (the first build takes some minutes)")
    command = ["cargo", "build", "--profile", "quick", "--message-format", "json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # its progress shows
    if done.returncode != 0:
        raise Problem("The build failed; what cargo said stands above.")
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "portcullis":
            return Path(message["executable"])
    raise Problem("cargo built no portcullis binary")


def enter_run_directory(run_dir: Path):
    """One demo per directory, and the directory for its owner only: credentials lie there."""
    run_dir.mkdir(parents=True, exist_ok=True)
    run_dir.chmod(0o700)
    lock = open(run_dir / "lock", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Problem(f"A demo is running in {run_dir} already: stop it, or choose another --run-dir.") from None
    return lock


class Demo:
    def __init__(self, options: argparse.Namespace, envoy: Path, binary: Path) -> None:
        self.options = options
        self.envoy = envoy
        self.binary = binary
        self.dir = options.run_dir
        self.policies = self.dir / "policies"
        self.variables = self.dir / "credentials.env"
        self.audit_log = self.dir / "audit.log"
        self.socket = self.dir / "portcullis.sock"
        self.admin = ""
        self.services: list[Service] = []
        self.signals = 0

    def run(self) -> int:
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, self.on_signal)
        try:
            step("Credentials")
            values = self.make_credentials()
            step("Portcullis, Envoy and an upstream")
            port = self.start()
            return self.check(port, values) if self.options.check else self.wait(port)
        except Stopped:
            return 130 if self.options.check else 0
        finally:
            self.stop()

    def on_signal(self, *_) -> None:
        self.signals += 1
        if self.signals > 1:  # somebody is in a hurry
            for service in self.services:
                service.kill()

    def pause(self, seconds: float) -> None:
        """Waits. A signal takes effect here and nowhere else, so no child is lost on its way up."""
        if not self.signals:
            time.sleep(seconds)
        if self.signals:
            raise Stopped

    def make_credentials(self) -> dict[str, str]:
        key = credentials.new_api_key(self.binary, "acme-billing", ["orders:read"])
        stranger = credentials.new_api_key(self.binary, "acme-billing", ["orders:read"])
        signing = credentials.SigningKey()
        credentials.write_policies(SHIPPED_POLICIES, self.policies, key, signing.jwks())
        values = {
            "KEY": key["key"],
            "WRONG_KEY": stranger["key"],  # a well-made key that no consumer holds
            "TOKEN": signing.token("alice", "orders:read orders:write internal"),
            "WEAK_TOKEN": signing.token("bob", "profile"),
            "EXPIRED_TOKEN": signing.token("alice", "orders:read", expired=True),
        }
        credentials.write_shell_variables(self.variables, values)
        command = [str(self.binary), "check", str(self.policies)]
        checked = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if checked.returncode != 0:
            raise Problem(f"`portcullis check` refuses the demo's policies:\n\n{checked.stdout.strip()}")
        return values

    def start(self) -> int:
        upstream_port = self.start_upstream()
        self.start_portcullis()
        return self.start_envoy(upstream_port)

    def start_upstream(self) -> int:
        upstream = self.spawn("upstream", [sys.executable, str(ECHO), "--port", "0"])
        listening = re.compile(r"listening on 127\.0\.0\.1:(\d+)\n")
        upstream.wait_until(lambda: listening.search(upstream.log.read_text()), self.pause)
        return int(listening.search(upstream.log.read_text())[1])

    def start_portcullis(self) -> None:
        admin = free_port(9002, "Portcullis's admin listener")
        self.admin = f"127.0.0.1:{admin}"
        # Socket and files are named as seen from the run directory: a socket's path may not be
        # longer than about a hundred bytes, and a checkout's can be.
        command = [
            str(self.binary), "serve", "--policies", "policies",
            "--listen-tcp", "none", "--listen-unix", self.socket.name,
            "--admin-listen", self.admin, "--audit", "stdout",
            # Nothing calls it any more when it is told to stop: Envoy has gone first.
            "--drain-delay", "0s", "--drain-timeout", "5s",
        ]  # fmt: skip
        self.socket.unlink(missing_ok=True)  # of a run that was killed: the lock says there is no other
        portcullis = self.spawn("portcullis", command, output=self.audit_log)
        portcullis.wait_until(lambda: answers_200(admin, "/readyz"), self.pause)

    def start_envoy(self, upstream_port: int) -> int:
        port = free_port(self.options.port, "Envoy")
        text = ENVOY_TEMPLATE.read_text(encoding="utf-8")
        places = {"ENVOY_PORT": port, "UPSTREAM_PORT": upstream_port, "SOCKET": self.socket.name}
        for name, value in places.items():
            text = text.replace(f"@{name}@", str(value))
        (self.dir / "envoy.yaml").write_text(text, encoding="utf-8")
        command = [
            str(self.envoy), "-c", "envoy.yaml", "--concurrency", "2", "--log-level", "warning",
            "--disable-hot-restart",
        ]  # fmt: skip
        envoy = self.spawn("envoy", command)
        # The public route answers through all three of them.
        envoy.wait_until(lambda: answers_200(port, "/healthz"), self.pause)
        return port

    def spawn(self, name: str, command: list[str], output: Path | None = None) -> Service:
        service = Service(name, command, log=self.dir / f"{name}.log", cwd=self.dir, output=output)
        self.services.append(service)
        return service

    def wait(self, port: int) -> int:
        address = f"http://{HOST}:{port}"
        print(
            f"\nReady: Portcullis guards {address}\n\n"
            "Paste this into another terminal, then any command below (a comment says what it answers):\n\n"
            f"    . {from_here(self.variables)}"
        )
        print(examples.printed(address))
        print(
            f"\nRules: {from_here(self.policies)}   logs: {from_here(self.dir)}/*.log   "
            f"metrics: http://{self.admin}/metrics\n"
            "Ctrl-C stops everything. Portcullis's decisions, as they are made (in full in audit.log):\n",
            flush=True,
        )
        with open(self.audit_log, encoding="utf-8", errors="replace") as audit:
            audit.seek(0, os.SEEK_END)
            unfinished = ""
            while True:
                *lines, unfinished = (unfinished + audit.read()).split("\n")
                for line in lines:
                    print(decision(line), flush=True)
                for service in self.services:
                    service.ensure_alive()
                self.pause(0.2)

    def check(self, port: int, values: dict[str, str]) -> int:
        results = []
        print()
        for example, difference in examples.check(port, HOST, values):
            self.pause(0)
            results.append(difference)
            verdict = "FAIL" if difference else "ok"
            print(f"{verdict:<6}{example.status:<5}{example.method:<7}{example.path:<30}{example.about}")
            if difference:
                print(f"{'':<6}promised: {example.promise()}\n{'':<6}but: {difference}")
        for service in self.services:
            service.ensure_alive()
        failed = sum(1 for difference in results if difference)
        print(f"\n{len(results) - failed} of {len(results)} requests were answered as promised.", flush=True)
        if failed:
            print(f"The logs: {from_here(self.dir)}/*.log", file=sys.stderr)
        return 1 if failed else 0

    def stop(self) -> None:
        """Envoy first, so that nobody asks Portcullis any more; then Portcullis, then the upstream."""
        if self.services and not self.options.check:
            print("\nStopping Envoy, Portcullis and the upstream ...", flush=True)
        for service in reversed(self.services):
            service.stop()


class Stopped(Exception):
    """SIGINT or SIGTERM came."""


def free_port(wanted: int, whose: str) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as problem:
                if port == 0:
                    raise
                print(f"   port {port} can't be had ({problem.strerror}): {whose} takes another")
                continue
            return probe.getsockname()[1]
    raise AssertionError


def answers_200(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


# What a reader who has just sent the request knows, or does not look for on a screen.
NOT_ON_SCREEN = re.compile(
    r"time|timestamp|ts|.*id|.*user_agent|.*address|.*trace.*|.*duration.*|.*_us|.*_ms|level|target"
)


def decision(line: str) -> str:
    """One audit record in one line of the screen."""
    try:
        record = json.loads(line)
        fields = [f"{name}={value}" for name, value in flat(record) if not NOT_ON_SCREEN.fullmatch(name)]
        text = " ".join(fields)
    except (ValueError, AttributeError):
        text = line
    width = shutil.get_terminal_size((100, 24)).columns
    return text if len(text) < width else text[: width - 4] + " ..."


def flat(record: dict):
    for name, value in record.items():
        if isinstance(value, dict):
            yield from flat(value)
        elif value not in (None, "", []):
            yield name, value


def step(what: str) -> None:
    print(f"-- {what}", flush=True)


def from_here(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


if __name__ == "__main__":
    sys.exit(main())
