// Signs by draft-cavage-http-signatures with `http-signature`.
//
// Own keys:
//   key_id, secret
//   algorithm     default: hmac-sha256
//   covered       default: (request-target), host, date and, with a body, digest
//   expires_in    seconds
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import httpSignature from "http-signature";

const job = JSON.parse(readFileSync(0, "utf8"));
if (job.now !== undefined) Date.now = () => job.now * 1000;
const body = job.body ?? "";
const headers = { ...job.headers };
const named = (wanted) => Object.keys(headers).find((own) => own.toLowerCase() === wanted.toLowerCase());
const [, host, target] = /^\w+:\/\/([^/]+)(\/.*)?$/.exec(job.url);
if (!named("date")) headers.Date = new Date(Date.now()).toUTCString();
const covered = ["(request-target)", "host", "date"];
if (body) {
  covered.push("digest");
  if (!named("digest")) headers.Digest = `SHA-256=${createHash("sha256").update(body).digest("base64")}`;
}
// What the package needs of an http.ClientRequest.
const request = {
  method: job.method,
  path: target ?? "/",
  getHeader: (name) => (name.toLowerCase() === "host" ? host : headers[named(name)]),
  setHeader: (name, value) => {
    headers[name] = value;
  },
};
httpSignature.signRequest(request, {
  keyId: job.key_id,
  key: job.secret,
  algorithm: job.algorithm ?? "hmac-sha256",
  headers: job.covered ?? covered,
  expiresIn: job.expires_in,
});
process.stdout.write(JSON.stringify({ url: job.url, headers, body }));
