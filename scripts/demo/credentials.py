"""Credentials for one run: minted now, worth nothing anywhere else.

Tokens are signed with the `openssl` program: macOS and nearly every Linux have it, where PyJWT
would bring a compiled cryptography package along, and a signature written by hand in Python has no
place in a project like this one.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from .problem import Problem

ISSUER = "https://login.example.com"
AUDIENCE = "orders-api"
APPLICATION = "shop-web"
LIFETIME_SECONDS = 12 * 60 * 60

# What consumers.yaml ships with in place of a key.
SHIPPED_KEY_ID = "id: acme-reads\n"
SHIPPED_KEY_HASH = "sha256:" + "0" * 64
JWKS_FILE = "company-login.jwks.json"


def write_policies(shipped: Path, target: Path, key: dict, jwks: dict) -> None:
    """Copies the shipped policies, with this run's key and key set in their places."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(shipped, target)
    consumers = target / "consumers.yaml"
    text = consumers.read_text(encoding="utf-8")
    for place, value in ((SHIPPED_KEY_ID, f"id: {key['id']}\n"), (SHIPPED_KEY_HASH, key["hash"])):
        if text.count(place) != 1:
            raise Problem(
                f"{shipped / 'consumers.yaml'} should hold `{place.strip()}` exactly once: that is\n"
                "where the demo puts the key it makes."
            )
        text = text.replace(place, value)
    consumers.write_text(text, encoding="utf-8")
    (target / JWKS_FILE).write_text(json.dumps(jwks, indent=2) + "\n", encoding="utf-8")


def write_shell_variables(path: Path, values: dict[str, str]) -> None:
    """A file to source, readable by its owner only. The values need no escaping: base64url, . and _."""
    text = "".join(f"{name}='{value}'\n" for name, value in values.items())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def new_api_key(portcullis: Path, consumer: str, scopes: list[str]) -> dict:
    """`portcullis keys new`: the key itself for the caller, its id and hash for the policies."""
    command = [
        str(portcullis), "keys", "new", "--environment", "live", "--consumer", consumer,
        "--authenticator", "partner-key", "--scopes", ",".join(scopes), "--output", "json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Problem(f"`portcullis keys new` failed with status {done.returncode}:\n{done.stderr.strip()}")
    try:
        made = json.loads(done.stdout)
        return {name: made[name] for name in ("key", "id", "hash")}
    except (ValueError, KeyError, TypeError):
        raise Problem(
            "`portcullis keys new --output json` should print an object with key, id and hash, but printed\n"
            f"{done.stdout.strip()[:200]!r}"
        ) from None


class SigningKey:
    """An ES256 key pair that lives as long as this object: nothing keeps its private half."""

    def __init__(self) -> None:
        self.id = "demo-" + secrets.token_hex(4)
        self._pem = _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")

    def jwks(self) -> dict:
        public = _openssl("pkey", "-pubout", "-outform", "DER", stdin=self._pem)
        point = public[-65:]  # a P-256 SubjectPublicKeyInfo ends in the point: 04, x, y
        if len(point) != 65 or point[0] != 4:
            raise Problem("openssl printed a public key in a form that this script does not know")
        jwk = {
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": _base64url(point[1:33]), "y": _base64url(point[33:]),
        }  # fmt: skip
        return {"keys": [jwk]}

    def token(self, subject: str, scope: str, *, expired: bool = False) -> str:
        now = int(time.time())
        issued = now - 2 * LIFETIME_SECONDS if expired else now
        header = {"alg": "ES256", "typ": "JWT", "kid": self.id}
        claims = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "azp": APPLICATION, "scope": scope,
            "iat": issued, "exp": issued + LIFETIME_SECONDS, "jti": secrets.token_urlsafe(12),
        }  # fmt: skip
        signed = f"{_base64url(_json(header))}.{_base64url(_json(claims))}"
        return f"{signed}.{_base64url(self._sign(signed.encode()))}"

    def _sign(self, message: bytes) -> bytes:
        # `dgst` reads the message from its standard input, so the key has to be a file for a moment.
        with tempfile.NamedTemporaryFile(prefix="portcullis-demo-") as file:
            file.write(self._pem)
            file.flush()
            der = _openssl("dgst", "-sha256", "-sign", file.name, stdin=message)
        return raw_signature(der)


def raw_signature(der: bytes) -> bytes:
    """ECDSA's DER (a sequence of two integers) as JWS wants it: r and s in 32 bytes each."""

    def integer(at: int) -> tuple[int, int]:
        if der[at] != 0x02:
            raise Problem("openssl printed a signature in a form that this script does not know")
        start = at + 2
        end = start + der[at + 1]
        return int.from_bytes(der[start:end], "big"), end

    r, at = integer(2)  # after the sequence's own tag and length, one byte each for P-256
    s, _ = integer(at)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True)
    if done.returncode != 0:
        raise Problem(
            f"`openssl {arguments[0]}` failed; the demo signs its tokens with it:\n"
            + done.stderr.decode(errors="replace").strip()
        )
    return done.stdout


def _json(value: dict) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
