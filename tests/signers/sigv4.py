"""Signs by AWS Signature Version 4 with `botocore`.

Own keys:
  access_key_id, secret, region, service
  session_token
  presign             the life of a presigned URL in seconds; without it Authorization is signed
  unsigned_payload    true: UNSIGNED-PAYLOAD
"""

import datetime
import json
import sys

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

job = json.load(sys.stdin)
if "now" in job:
    fixed = datetime.datetime.fromtimestamp(job["now"], datetime.timezone.utc)
    botocore.auth.get_current_datetime = lambda *_, **__: fixed

body = job.get("body", "")
request = AWSRequest(
    method=job["method"], url=job["url"], headers=dict(job.get("headers", {})), data=body.encode()
)
request.context["payload_signing_enabled"] = not job.get("unsigned_payload")
credentials = Credentials(job["access_key_id"], job["secret"], job.get("session_token"))
scope = (job["service"], job["region"])
s3 = job["service"] == "s3"
if "presign" in job:
    # These signers take a body for parameters that belong into the URL.
    request.data = b""
    kind = botocore.auth.S3SigV4QueryAuth if s3 else botocore.auth.SigV4QueryAuth
    kind(credentials, *scope, expires=job["presign"]).add_auth(request)
else:
    kind = botocore.auth.S3SigV4Auth if s3 else botocore.auth.SigV4Auth
    kind(credentials, *scope).add_auth(request)
json.dump({"url": request.url, "headers": dict(request.headers.items()), "body": body}, sys.stdout)
