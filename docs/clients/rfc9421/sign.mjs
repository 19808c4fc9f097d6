// Signs one request by RFC 9421 (HTTP Message Signatures) and sends it. Needs Node 18 and no packages.
//
//   node sign.mjs URL METHOD KEY_ID KEY_FILE [BODY]
//
// KEY_FILE holds a shared secret (hmac-sha256), or an Ed25519 private key in PEM (ed25519).
import crypto from "node:crypto";
import { readFileSync } from "node:fs";

// The headers to add.
function sign(url, method, keyId, key, body = "") {
  // `host` is in lower case and without the scheme's own port. Path and query are what fetch sends.
  const { host, pathname, search } = new URL(url);
  const digest = `sha-256=:${crypto.createHash("sha256").update(body).digest("base64")}:`;
  const components = {
    "@method": method,
    "@authority": host,
    "@path": pathname,
    "@query": search || "?",
    "content-digest": digest,
  };
  const names = Object.keys(components).map((name) => `"${name}"`).join(" ");
  const created = Math.floor(Date.now() / 1000);
  const nonce = crypto.randomBytes(16).toString("hex");
  const params = `(${names});created=${created};keyid="${keyId}";nonce="${nonce}"`;
  // The signature base of RFC 9421 section 2.5.
  const lines = Object.entries(components).map(([name, value]) => `"${name}": ${value}`);
  const base = Buffer.from([...lines, `"@signature-params": ${params}`].join("\n"));
  const signature = key.startsWith("-----BEGIN")
    ? crypto.sign(null, base, key)
    : crypto.createHmac("sha256", key).update(base).digest();
  return {
    "Content-Digest": digest,
    "Signature-Input": `sig1=${params}`,
    Signature: `sig1=:${signature.toString("base64")}:`,
  };
}

const [url, method, keyId, keyFile, body = ""] = process.argv.slice(2);
const key = readFileSync(keyFile, "utf8").replace(/[\r\n]+$/, "");
const headers = sign(url, method, keyId, key, body);
if (body) headers["Content-Type"] = "application/json";
// What is sent is what was signed: a bare `?` at the end is not, and a redirect is not followed.
const address = new URL(url);
address.search = address.search;
const answer = await fetch(address, { method, headers, body: body || undefined, redirect: "manual" });
console.log(answer.status);
console.log(await answer.text());
