"""Child processes that start in order, are watched, and stop in order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

from .problem import Problem

READY_SECONDS = 30
STOP_SECONDS = 10
LOG_LINES_SHOWN = 15


class Service:
    """One child. What it says goes to `log`; its standard output to `output`, where one is given."""

    def __init__(self, name: str, command: list[str], *, log: Path, cwd: Path, output: Path | None = None) -> None:
        self.name = name
        self.log = log
        with open(log, "wb") as log_file, open(output or os.devnull, "wb") as output_file:
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output_file if output else log_file,
                    stderr=log_file,
                    # Ctrl-C reaches a terminal's whole foreground group. A session of its own keeps
                    # it from the children, so that they stop when it is their turn.
                    start_new_session=True,
                    preexec_fn=_die_with_parent,
                )
            except OSError as problem:
                raise Problem(f"Can't start {name} ({command[0]}): {problem.strerror}") from problem

    def ensure_alive(self) -> None:
        status = self._process.poll()
        if status is not None:
            raise Problem(f"{self.name} {_ending(status)}. {self.last_words()}")

    def last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        if not lines:
            return f"It left no word in {self.log}."
        return f"The end of {self.log}:\n\n" + "\n".join(f"  {line}" for line in lines)

    def wait_until(self, ready: Callable[[], bool], pause: Callable[[float], None]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            self.ensure_alive()
            if time.monotonic() > deadline:
                raise Problem(f"{self.name} was not ready within {READY_SECONDS} seconds. {self.last_words()}")
            pause(0.05)

    def stop(self) -> None:
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not stop within {STOP_SECONDS} seconds: killing it", file=sys.stderr)
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        self._process.kill()


def _ending(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended by itself with status {status}"


def _environment() -> dict[str, str]:
    # PORTCULLIS_… variables stand for flags; the demo means the flags that it gives, and no others.
    return {
        name: value
        for name, value in os.environ.items()
        if name != "RUST_LOG" and not name.startswith("PORTCULLIS_")
    }


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    # Should this script be killed outright, Linux stops the children for it.
    if _LIBC:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
