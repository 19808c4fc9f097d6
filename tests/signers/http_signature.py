"""Signs by RFC 9421 with `requests-http-signature`, which is built on `http-message-signatures`.

Own keys:
  key_id, algorithm          as RFC 9421 names them: hmac-sha256, ed25519, ecdsa-p256-sha256, rsa-pss-sha512, …
  secret | private_key       the shared secret | PEM
  components                 what is covered beside `date` and `content-digest`, which the SDK adds and covers
  label, tag, nonce, expires_in, alg (default: true)
"""

import datetime
import json
import sys

import requests
from requests_http_signature import HTTPSignatureAuth, algorithms

ALGORITHMS = {
    "hmac-sha256": algorithms.HMAC_SHA256,
    "ecdsa-p256-sha256": algorithms.ECDSA_P256_SHA256,
    "ecdsa-p384-sha384": algorithms.ECDSA_P384_SHA384,
    "ed25519": algorithms.ED25519,
    "rsa-pss-sha512": algorithms.RSA_PSS_SHA512,
    "rsa-v1_5-sha256": algorithms.RSA_V1_5_SHA256,
}

job = json.load(sys.stdin)


class Auth(HTTPSignatureAuth):
    """With the time and the nonce that the test asks for."""

    def get_created(self, request):
        if "now" not in job:
            return super().get_created(request)
        self.add_date(request, timestamp=int(job["now"]))
        return datetime.datetime.fromtimestamp(job["now"])

    def get_nonce(self, request):
        return job.get("nonce")


options = {}
if "components" in job:
    options["covered_component_ids"] = job["components"]
if "expires_in" in job:
    options["expires_in"] = datetime.timedelta(seconds=job["expires_in"])
auth = Auth(
    signature_algorithm=ALGORITHMS[job["algorithm"]],
    key=(job.get("secret") or job["private_key"]).encode(),
    key_id=job["key_id"],
    label=job.get("label"),
    tag=job.get("tag"),
    include_alg=job.get("alg", True),
    use_existing_digest=any(name.lower() == "content-digest" for name in job.get("headers", {})),
    **options,
)
body = job.get("body", "")
signed = requests.Request(
    job["method"], job["url"], headers=job.get("headers", {}), data=body.encode(), auth=auth
).prepare()
json.dump({"url": signed.url, "headers": dict(signed.headers), "body": body}, sys.stdout)
