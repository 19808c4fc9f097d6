// Signs by OAuth 1.0a with `oauth-1.0a`.
//
// Own keys:
//   consumer_key, secret | private_key     the shared secret | PEM of an RSA key
//   token, token_secret
//   signature_method                       default: HMAC-SHA1
//   place                                  header (the default) or query
//   realm, nonce
//   body_hash                              true: `oauth_body_hash`, by the method's own hash
//
// The package takes the URL as it is written: give it host and scheme in lower case, a path, no default port, and a
// query without `+` and without names that need an escape. It signs others wrongly.
import crypto from "node:crypto";
import { readFileSync } from "node:fs";
import OAuth from "oauth-1.0a";

const job = JSON.parse(readFileSync(0, "utf8"));
const method = job.signature_method ?? "HMAC-SHA1";
const hash = method.endsWith("SHA256") ? "sha256" : "sha1";
const makers = {
  HMAC: (text, key) => crypto.createHmac(hash, key).update(text).digest("base64"),
  RSA: (text) => crypto.createSign(`RSA-${hash}`).update(text).sign(job.private_key, "base64"),
  PLAINTEXT: (_text, key) => key,
};
const oauth = OAuth({
  consumer: { key: job.consumer_key, secret: job.secret ?? "" },
  signature_method: method,
  hash_function: makers[method.split("-")[0]],
  body_hash_function: (text) => crypto.createHash(hash).update(text).digest("base64"),
  realm: job.realm,
});
if (job.now !== undefined) oauth.getTimeStamp = () => job.now;
if (job.nonce !== undefined) oauth.getNonce = () => job.nonce;

const headers = { ...job.headers };
const body = job.body ?? "";
const request = { url: job.url, method: job.method };
if (headers["Content-Type"]?.startsWith("application/x-www-form-urlencoded")) {
  const form = new URLSearchParams(body);
  const values = (name) => (form.getAll(name).length > 1 ? form.getAll(name) : form.get(name));
  request.data = Object.fromEntries([...form.keys()].map((name) => [name, values(name)]));
} else if (job.body_hash) {
  request.data = body;
  request.includeBodyHash = true;
}

const token = job.token === undefined ? undefined : { key: job.token, secret: job.token_secret ?? "" };
const signed = oauth.authorize(request, token);
let url = job.url;
if (job.place === "query") {
  // The package puts the request's own parameters among those that it returns.
  const own = Object.entries(signed).filter(([name]) => name.startsWith("oauth_"));
  url += (url.includes("?") ? "&" : "?") + new URLSearchParams(own).toString();
} else {
  Object.assign(headers, oauth.toHeader(signed));
}
process.stdout.write(JSON.stringify({ url, headers, body }));
