// Signs one request with the scheme HMAC-SHA256 and sends it. Needs Node 18 and no packages.
//
//   node sign.mjs URL METHOD KEY_ID SECRET_FILE [BODY]
import { createHash, createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

// The value of Authorization. `headers` are signed too; each may stand in the request once.
function sign(url, method, keyId, secret, body = "", headers = {}) {
  // `host` is in lower case and without the scheme's own port. Path and query are what fetch sends.
  const { host, pathname, search } = new URL(url);
  const timestamp = Math.floor(Date.now() / 1000);
  const nonce = randomBytes(16).toString("hex");
  const signed = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value.trim()])
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(";");
  const text = [
    "portcullis-hmac-sha256-v1",
    method,
    host,
    pathname,
    search,
    timestamp,
    nonce,
    keyId,
    names,
    ...signed.map(([name, value]) => `${name}:${value}`),
    createHash("sha256").update(body).digest("hex"),
  ].join("\n");
  const signature = createHmac("sha256", secret).update(text).digest("hex");
  const list = names && `SignedHeaders=${names}, `;
  return `HMAC-SHA256 KeyId=${keyId}, ${list}Timestamp=${timestamp}, Nonce=${nonce}, Signature=${signature}`;
}

const [url, method, keyId, secretFile, body = ""] = process.argv.slice(2);
const secret = readFileSync(secretFile, "utf8").replace(/[\r\n]+$/, "");
const headers = body ? { "Content-Type": "application/json" } : {};
headers.Authorization = sign(url, method, keyId, secret, body, headers);
// What is sent is what was signed: a bare `?` at the end is not, and a redirect is not followed.
const address = new URL(url);
address.search = address.search;
const answer = await fetch(address, { method, headers, body: body || undefined, redirect: "manual" });
console.log(answer.status);
console.log(await answer.text());
