"""Signs one request with the scheme HMAC-SHA256 and sends it. Needs Python 3.9 and nothing else.

    sign.py URL METHOD KEY_ID SECRET_FILE [BODY]
"""

import hashlib
import hmac
import secrets
import sys
import time
import urllib.error
import urllib.request


def sign(url, method, key_id, secret, body=b"", headers=None):
    """The value of Authorization. `headers` are signed too; each may stand in the request once."""
    scheme, _, rest = url.partition("://")
    rest = rest.partition("#")[0]
    host = rest.replace("?", "/").partition("/")[0]
    target = rest[len(host):]
    # Nothing is decoded, nothing is sorted: the parts are signed as they are sent.
    path, mark, query = target.partition("?")
    host = host.lower().removesuffix(":443" if scheme == "https" else ":80")
    timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
    signed = sorted((name.lower(), value.strip()) for name, value in (headers or {}).items())
    names = ";".join(name for name, _ in signed)
    text = "\n".join([
        "portcullis-hmac-sha256-v1",
        method,
        host,
        path or "/",
        mark + query,
        timestamp,
        nonce,
        key_id,
        names,
        *(name + ":" + value for name, value in signed),
        hashlib.sha256(body).hexdigest(),
    ])
    signature = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    names = f"SignedHeaders={names}, " if names else ""
    return f"HMAC-SHA256 KeyId={key_id}, {names}Timestamp={timestamp}, Nonce={nonce}, Signature={signature}"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A signature is for one URL."""

    def redirect_request(self, *_):
        return None


if __name__ == "__main__":
    url, method, key_id, secret_file = sys.argv[1:5]
    body = sys.argv[5].encode() if len(sys.argv) > 5 else b""
    with open(secret_file, "rb") as file:
        secret = file.read().rstrip(b"\r\n")
    headers = {"Content-Type": "application/json"} if body else {}
    headers["Authorization"] = sign(url, method, key_id, secret, body, headers)
    # An empty body of a POST is said with "Content-Length: 0", which urllib does for b"".
    data = None if method in ("GET", "HEAD", "OPTIONS") and not body else body
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        answer = urllib.request.build_opener(NoRedirect).open(request)
    except urllib.error.HTTPError as error:  # every status from 300 on
        answer = error
    print(answer.status)
    print(answer.read().decode())
