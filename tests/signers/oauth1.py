"""Signs by OAuth 1.0a with `oauthlib`.

Own keys:
  consumer_key, secret | private_key     the shared secret | PEM of an RSA key
  token, token_secret
  signature_method                       default: HMAC-SHA1
  place                                  header (the default), query or body
  realm, nonce

oauthlib adds `oauth_body_hash`, always of SHA-1, to a body that is no form.
"""

import json
import sys

from oauthlib.oauth1 import Client

job = json.load(sys.stdin)
places = {"header": "AUTH_HEADER", "query": "QUERY", "body": "BODY"}
client = Client(
    job["consumer_key"],
    client_secret=job.get("secret"),
    resource_owner_key=job.get("token"),
    resource_owner_secret=job.get("token_secret"),
    signature_method=job.get("signature_method", "HMAC-SHA1"),
    signature_type=places[job.get("place", "header")],
    rsa_key=job.get("private_key"),
    nonce=job.get("nonce"),
    timestamp=str(job["now"]) if "now" in job else None,
)
url, headers, body = client.sign(
    job["url"],
    http_method=job["method"],
    body=job.get("body") or None,
    headers=dict(job.get("headers", {})),
    realm=job.get("realm"),
)
json.dump({"url": url, "headers": headers, "body": body or ""}, sys.stdout)
