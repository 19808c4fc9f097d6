// Signs by RFC 9421 with `http-message-signatures`, or where `"sdk": "http-message-sig"` asks for it (Ed25519 and
// RSA-PSS only), with that one.
//
// Own keys:
//   key_id, algorithm          as RFC 9421 names them
//   secret | private_key       the shared secret | PEM of PKCS #8
//   components                 default: @method, @authority, @path, @query and, with a body, content-digest
//   label, tag, nonce, expires_in, alg (default: true)
//
// `http-message-signatures` signs rsa-pss-sha512 with the longest salt, where RFC 9421 section 3.3.1 asks for 64
// bytes: take `http-message-sig` for that algorithm.
import { createHash, webcrypto } from "node:crypto";
import { readFileSync } from "node:fs";

const job = JSON.parse(readFileSync(0, "utf8"));
const headers = { ...job.headers };
const body = job.body ?? "";
const has = (name) => Object.keys(headers).some((own) => own.toLowerCase() === name);
if (body && !has("content-digest")) {
  headers["Content-Digest"] = `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}
const usual = ["@method", "@authority", "@path", "@query", ...(has("content-digest") ? ["content-digest"] : [])];
const components = job.components ?? usual;
const label = job.label ?? "sig1";
const created = job.now ?? Math.floor(Date.now() / 1000);
const expires = job.expires_in === undefined ? undefined : created + job.expires_in;
const alg = job.alg ?? true;

async function withMessageSignatures() {
  const { httpbis, createSigner } = await import("http-message-signatures");
  const date = (seconds) => (seconds === undefined ? undefined : new Date(seconds * 1000));
  const given = [...(expires === undefined ? [] : ["expires"]), ...(alg ? ["alg"] : [])];
  const signed = await httpbis.signMessage(
    {
      key: createSigner(job.secret ?? job.private_key, job.algorithm, job.key_id),
      name: label,
      fields: components,
      params: ["created", "keyid", ...given, "nonce", "tag"],
      paramValues: { created: date(created), expires: date(expires), nonce: job.nonce, tag: job.tag },
    },
    { method: job.method, url: job.url, headers },
  );
  return signed.headers;
}

async function withMessageSig() {
  const { createSignature, component } = await import("http-message-sig");
  const [imported, signing] = {
    ed25519: [{ name: "Ed25519" }, { name: "Ed25519" }],
    "rsa-pss-sha512": [{ name: "RSA-PSS", hash: "SHA-512" }, { name: "RSA-PSS", saltLength: 64 }],
  }[job.algorithm];
  const der = Buffer.from(job.private_key.replace(/-----[^-]*-----|\s/g, ""), "base64");
  const key = await webcrypto.subtle.importKey("pkcs8", der, imported, false, ["sign"]);
  const parameters = { created, keyid: job.key_id };
  if (expires !== undefined) parameters.expires = expires;
  if (job.nonce) parameters.nonce = job.nonce;
  if (alg) parameters.alg = job.algorithm;
  if (job.tag) parameters.tag = job.tag;
  // `"x-list";key="a"` is a component with a parameter.
  const listed = components.map((text) => {
    const [, name, member] = /^"([^"]+)";key="([^"]+)"$/.exec(text) ?? [];
    return name ? component(name, { key: member }) : text;
  });
  const request = new Request(job.url, { method: job.method, headers, body: body || undefined });
  const signed = await createSignature(request, {
    label,
    components: listed,
    parameters,
    signer: {
      algorithm: job.algorithm,
      sign: async (base) => new Uint8Array(await webcrypto.subtle.sign(signing, key, base)),
    },
  });
  return { ...headers, "Signature-Input": signed.signatureInput, Signature: signed.signature };
}

const signed = job.sdk === "http-message-sig" ? await withMessageSig() : await withMessageSignatures();
process.stdout.write(JSON.stringify({ url: job.url, headers: signed, body }));
