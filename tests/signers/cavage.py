"""Signs by draft-cavage-http-signatures with `httpsig`.

Own keys:
  key_id, secret
  algorithm     default: hmac-sha256
  covered       default: (request-target), host, date and, with a body, digest
"""

import base64
import hashlib
import json
import sys
import time
from email.utils import formatdate
from urllib.parse import urlsplit

from httpsig import HeaderSigner

job = json.load(sys.stdin)
url, body = urlsplit(job["url"]), job.get("body", "")
target = url.path + ("?" + url.query if "?" in job["url"] else "")
headers = dict(job.get("headers", {}))
headers.setdefault("Date", formatdate(job.get("now", time.time()), usegmt=True))
covered = ["(request-target)", "host", "date"]
if body:
    digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
    headers.setdefault("Digest", "SHA-256=" + digest)
    covered.append("digest")
signer = HeaderSigner(
    key_id=job["key_id"],
    secret=job["secret"],
    algorithm=job.get("algorithm", "hmac-sha256"),
    headers=job.get("covered", covered),
    sign_header="authorization",
)
signed = signer.sign(headers, host=url.netloc, method=job["method"], path=target)
json.dump({"url": job["url"], "headers": dict(signed), "body": body}, sys.stdout)
