"""Signs as a webhook's sender does, with the services' own SDKs: `stripe`, `slack-sdk`, `standardwebhooks`, `twilio`.

Own keys:
  scheme        stripe, slack, standard, twilio, shopify or github
  secret
  id            of a message of `standard`
  svix          true: the headers of `standard` are called svix-…, as Svix sends them
  algorithm     HMAC_SHA256 for `twilio`, whose default is HMAC_SHA1
  header, timestamp_header
                other names for the headers of `stripe`, `slack` and `standard`, the latter without its `v1,`: for
                services that sign as these do

`shopify` and `github` are signed by Python's own `hmac`: their packages of 28 and 56 MB do the same in one line.
"""

import base64
import hmac
import json
import sys
import time
from datetime import datetime, timezone
from urllib.parse import parse_qs

job = json.load(sys.stdin)
url, body, secret = job["url"], job.get("body", ""), job["secret"]
headers = job.get("headers", {})
now = int(job.get("now", time.time()))


def stripe():
    from stripe import WebhookSignature

    signature = WebhookSignature.generate_signature_header(body, secret, now)
    return {job.get("header", "Stripe-Signature"): signature}


def slack():
    from slack_sdk.signature import SignatureVerifier

    signature = SignatureVerifier(secret).generate_signature(timestamp=str(now), body=body)
    return {
        job.get("header", "X-Slack-Signature"): signature,
        job.get("timestamp_header", "X-Slack-Request-Timestamp"): str(now),
    }


def standard():
    from standardwebhooks import Webhook

    prefix = "svix-" if job.get("svix") else "webhook-"
    signature = Webhook(secret).sign(job["id"], datetime.fromtimestamp(now, tz=timezone.utc), body)
    added = {prefix + "id": job["id"], prefix + "timestamp": str(now)}
    if "header" in job:
        return {**added, job["header"]: signature.removeprefix("v1,")}
    return {**added, prefix + "signature": signature}


class Form(dict):
    """What Twilio's validator asks of a web framework's form."""

    def getlist(self, name):
        return self[name]


def twilio():
    from twilio.request_validator import RequestValidator

    global url
    validator = RequestValidator(secret)
    parameters = {}
    if headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
        parameters = Form(parse_qs(body, keep_blank_values=True))
    elif body:
        url += ("&" if "?" in url else "?") + "bodySHA256=" + validator.compute_hash(body)
    algorithm = job.get("algorithm")
    added = {"X-Twilio-Signature": validator.compute_signature(url, parameters, algorithm)}
    if algorithm:
        added["X-Twilio-Webhooks-Signature-Settings"] = f"key=webhooks_sharedkey_1,algorithm={algorithm}"
    return added


def digest():
    return hmac.digest(secret.encode(), body.encode(), "sha256")


def shopify():
    return {"X-Shopify-Hmac-Sha256": base64.b64encode(digest()).decode()}


def github():
    return {"X-Hub-Signature-256": "sha256=" + digest().hex()}


schemes = [stripe, slack, standard, twilio, shopify, github]
added = {scheme.__name__: scheme for scheme in schemes}[job["scheme"]]()
json.dump({"url": url, "headers": {**headers, **added}, "body": body}, sys.stdout)
