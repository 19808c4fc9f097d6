"""The requests of the demo: one list, from which the printed commands and `--check` both come."""

from __future__ import annotations

import http.client
import json
import shlex
import textwrap
from dataclasses import dataclass, field
from typing import Iterator


WIDTH = 92  # of a printed line, less its indent


@dataclass(frozen=True)
class Example:
    about: str
    method: str
    path: str
    status: int
    # A value may end in `$NAME`, one of the run's credentials.
    headers: tuple[tuple[str, str], ...] = ()
    # Refused: the public class of the reason (the last part of the body's `type`), or for a gRPC
    # caller the grpc-status.
    error: str | None = None
    grpc_status: str | None = None
    # Let in: what the upstream received. `sees` by value, `not_as_sent` present with another value.
    sees: dict[str, str] = field(default_factory=dict)
    never_sees: tuple[str, ...] = ()
    not_as_sent: str | None = None

    def curl(self, address: str) -> str:
        words = ["curl", "-i"]
        if self.method != "GET":
            words += ["-X", self.method]
        if ".." in self.path:
            words.append("--path-as-is")
        words.append(shlex.quote(f"{address}{self.path}"))
        headers = [f'-H "{name}: {value}"' for name, value in self.headers]
        line = " ".join(words + headers)
        if len(line) <= WIDTH:
            return line
        return " \\\n      ".join([" ".join(words), " ".join(headers)])

    def promise(self) -> str:
        answer = f"{self.status} {self.error}" if self.error else str(self.status)
        if self.grpc_status:
            answer += f", grpc-status: {self.grpc_status}"
        sees = [f"{name}: {value}" for name, value in self.sees.items()]
        sees += [f"no {name}" for name in self.never_sees]
        if self.not_as_sent:
            sees.append(f"the true {self.not_as_sent}")
        return f"{answer}; the upstream sees {', '.join(sees)}" if sees else answer


KEY = ("x-api-key", "$KEY")
TOKEN = ("authorization", "Bearer $TOKEN")

GROUPS: tuple[tuple[str, tuple[Example, ...]], ...] = (
    (
        "Who has the right gets in",
        (
            Example("a public route asks for nothing", "GET", "/healthz", 200),
            Example(
                "a key reads orders; the upstream never gets the key",
                "GET", "/orders", 200, (KEY,),
                sees={"x-auth-consumer": "acme-billing", "x-auth-scopes": "orders:read"},
                never_sees=("x-api-key",),
            ),
            Example(
                "a user's token writes them", "PUT", "/orders/42", 200, (TOKEN,),
                sees={"x-auth-subject": "alice", "x-auth-consumer": "shop-web"},
                never_sees=("authorization",),
            ),
            Example("a token with the scope for it", "GET", "/internal/report", 200, (TOKEN,)),
            Example(
                "a gRPC method, by its route", "POST", "/orders.v1.OrderService/Get", 200,
                (KEY, ("content-type", "application/grpc")),
                sees={"x-auth-consumer": "acme-billing"},
            ),
        ),
    ),
    (
        "Who claims to be somebody else gains nothing",
        (
            Example(
                "a forged identity beside a real key", "GET", "/orders", 200,
                (KEY, ("x-auth-principal", "admin")), not_as_sent="x-auth-principal",
            ),
            Example(
                "a forged identity on a public route", "GET", "/healthz", 200,
                (("x-auth-principal", "admin"),), never_sees=("x-auth-principal",),
            ),
        ),
    ),
    (
        "Everyone else stays out",
        (
            Example("no credential", "GET", "/orders", 401, error="credentials_missing"),
            Example(
                "a key that was never listed", "GET", "/orders", 401, (("x-api-key", "$WRONG_KEY"),),
                error="credentials_invalid",
            ),
            Example(
                "an expired token", "GET", "/orders", 401, (("authorization", "Bearer $EXPIRED_TOKEN"),),
                error="credentials_expired",
            ),
            Example("a key that may only read", "PUT", "/orders/42", 403, (KEY,), error="insufficient_scope"),
            Example(
                "a token without the scope", "GET", "/orders", 403, (("authorization", "Bearer $WEAK_TOKEN"),),
                error="insufficient_scope",
            ),
            Example(
                "a key where only tokens count", "GET", "/internal/report", 401, (KEY,),
                error="credentials_missing",
            ),
            Example("a route nobody wrote", "GET", "/nowhere", 403, (KEY,), error="forbidden"),
            Example("a method nobody wrote", "DELETE", "/orders", 405, (KEY,), error="method_not_allowed"),
            Example(
                "a path with two readings", "GET", "/internal/../orders", 400, (KEY,),
                error="request_malformed",
            ),
            Example(
                "no credential, asked by a gRPC client", "POST", "/orders.v1.OrderService/Get", 200,
                (("content-type", "application/grpc"),), grpc_status="16",
            ),
        ),
    ),
)  # fmt: skip


def printed(address: str) -> str:
    """The examples as lines for a shell: commands, and comments that say what they answer."""
    lines = []
    for title, examples in GROUPS:
        lines += ["", f"## {title}"]
        for example in examples:
            lines += ["", *_comment(f"{example.about}: {example.promise()}"), example.curl(address)]
    return textwrap.indent("\n".join(lines), "    ")


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text, width=WIDTH, initial_indent="# ", subsequent_indent="#   ",
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def check(port: int, host: str, credentials: dict[str, str]) -> Iterator[tuple[Example, str | None]]:
    """Sends every example, and says for each what was not as promised (nothing: None)."""
    for _, examples in GROUPS:
        for example in examples:
            yield example, _difference(example, port, host, credentials)


def _difference(example: Example, port: int, host: str, credentials: dict[str, str]) -> str | None:
    try:
        status, headers, body = _send(example, port, host, credentials)
    except (OSError, http.client.HTTPException) as problem:
        return f"no answer: {problem}"
    if status != example.status:
        return f"status {status} ({_error_class(body) or 'no problem type'})"
    if example.grpc_status:
        seen = headers.get("grpc-status")
        return None if seen == example.grpc_status else f"grpc-status {seen}"
    if example.error:
        seen = _error_class(body)
        return None if seen == example.error else f"type ends in {seen}"
    return _upstream_difference(example, body)


def _upstream_difference(example: Example, body: bytes) -> str | None:
    try:
        received = json.loads(body)["headers"]
    except (ValueError, KeyError, TypeError):
        return "the answer is not the echo's"
    for name, value in example.sees.items():
        if received.get(name) != value:
            return f"upstream saw {name}: {received.get(name)}"
    for name in example.never_sees:
        if name in received:
            return f"upstream saw {name}"
    if example.not_as_sent:
        sent = dict(example.headers)[example.not_as_sent]
        seen = received.get(example.not_as_sent)
        if not seen or sent in seen.split(", "):
            return f"upstream saw {example.not_as_sent}: {seen}"
    return None


def _send(example: Example, port: int, host: str, credentials: dict[str, str]):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(example.method, example.path, skip_host=True)
        connection.putheader("host", f"{host}:{port}")
        for name, value in example.headers:
            connection.putheader(name, _filled_in(value, credentials))
        connection.endheaders()
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


def _filled_in(value: str, credentials: dict[str, str]) -> str:
    prefix, dollar, name = value.partition("$")
    return prefix + credentials[name] if dollar else value


def _error_class(body: bytes) -> str | None:
    try:
        return json.loads(body)["type"].rpartition(":")[2]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
