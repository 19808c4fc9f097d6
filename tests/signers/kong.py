"""Signs for Kong's hmac-auth with `httpie-kong-hmac`.

Own keys:
  key_id, secret
  algorithm     default: hmac-sha256
  covered       default: request-line, host, date and, with a body, digest
  header        Proxy-Authorization in place of Authorization
"""

import json
import sys
import time
import types
from email.utils import formatdate

import requests

# The package is a plugin of HTTPie, of which it needs a base class and nothing else.
httpie = types.ModuleType("httpie")
httpie.plugins = types.ModuleType("httpie.plugins")
httpie.plugins.AuthPlugin = object
sys.modules.update({"httpie": httpie, "httpie.plugins": httpie.plugins})

from httpie_kong_hmac import KongHMAC  # noqa: E402

job = json.load(sys.stdin)
body = job.get("body", "")
request = requests.Request(
    job["method"], job["url"], headers=job.get("headers", {}), data=body.encode()
).prepare()
request.headers.setdefault("Date", formatdate(job.get("now", time.time()), usegmt=True))
request.headers["Host"] = job["url"].split("/")[2]
covered = job.get("covered", ["request-line", "host", "date"])
signed = KongHMAC(job["key_id"], job["secret"], job.get("algorithm", "hmac-sha256"), covered)(request)
headers = dict(signed.headers)
if "header" in job:
    headers[job["header"]] = headers.pop("Authorization")
json.dump({"url": signed.url, "headers": headers, "body": body}, sys.stdout)
