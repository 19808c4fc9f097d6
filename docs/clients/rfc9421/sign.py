"""Signs one request by RFC 9421 (HTTP Message Signatures) and sends it.

    sign.py URL METHOD KEY_ID KEY_FILE [BODY]

KEY_FILE holds a shared secret (hmac-sha256), or an Ed25519 private key in PEM (ed25519). Needs Python 3.9, and
the package `cryptography` for Ed25519 only.
"""

import base64
import hashlib
import hmac
import secrets
import sys
import time
import urllib.error
import urllib.request


def sign(url, method, key_id, key, body=b""):
    """The headers to add."""
    scheme, _, rest = url.partition("://")
    rest = rest.partition("#")[0]
    host = rest.replace("?", "/").partition("/")[0]
    target = rest[len(host):]
    # Nothing is decoded, nothing is sorted: the parts are signed as they are sent.
    path, _, query = target.partition("?")
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
    components = {
        "@method": method,
        "@authority": host.lower().removesuffix(":443" if scheme == "https" else ":80"),
        "@path": path or "/",
        "@query": "?" + query,
        "content-digest": digest,
    }
    names = " ".join(f'"{name}"' for name in components)
    params = f'({names});created={int(time.time())};keyid="{key_id}";nonce="{secrets.token_hex(16)}"'
    # The signature base of RFC 9421 section 2.5.
    lines = [f'"{name}": {value}' for name, value in components.items()]
    base_text = "\n".join([*lines, f'"@signature-params": {params}']).encode()
    if key.startswith(b"-----BEGIN"):
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        signature = load_pem_private_key(key, None).sign(base_text)
    else:
        signature = hmac.new(key, base_text, hashlib.sha256).digest()
    return {
        "Content-Digest": digest,
        "Signature-Input": "sig1=" + params,
        "Signature": f"sig1=:{base64.b64encode(signature).decode()}:",
    }


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signature is for one URL."""

    def redirect_request(self, *_):
        return None


if __name__ == "__main__":
    url, method, key_id, key_file = sys.argv[1:5]
    body = sys.argv[5].encode() if len(sys.argv) > 5 else b""
    with open(key_file, "rb") as file:
        key = file.read().rstrip(b"\r\n")
    headers = sign(url, method, key_id, key, body)
    if body:
        headers["Content-Type"] = "application/json"
    # An empty body of a POST is said with "Content-Length: 0", which urllib does for b"".
    data = None if method in ("GET", "HEAD", "OPTIONS") and not body else body
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        answer = urllib.request.build_opener(NoRedirect).open(request)
    except urllib.error.HTTPError as error:  # every status from 300 on
        answer = error
    print(answer.status)
    print(answer.read().decode())
