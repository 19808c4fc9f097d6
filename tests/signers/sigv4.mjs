// Signs by AWS Signature Version 4 with `@smithy/signature-v4`, which AWS's SDK for JavaScript signs with, or where
// `"sdk": "aws4"` asks for it, with `aws4`.
//
// Own keys:
//   access_key_id, secret, region, service
//   session_token
//   presign             the life of a presigned URL in seconds; without it Authorization is signed
//   unsigned_payload    true: UNSIGNED-PAYLOAD
import { readFileSync } from "node:fs";
import { Sha256 } from "@aws-crypto/sha256-js";
import { HttpRequest } from "@smithy/protocol-http";
import { SignatureV4 } from "@smithy/signature-v4";
import aws4 from "aws4";

const job = JSON.parse(readFileSync(0, "utf8"));
const url = new URL(job.url);
const body = job.body ?? "";
const now = job.now === undefined ? new Date() : new Date(job.now * 1000);
const unsigned = job.unsigned_payload ? { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } : {};
const headers = { ...job.headers, ...unsigned };
const credentials = {
  accessKeyId: job.access_key_id,
  secretAccessKey: job.secret,
  sessionToken: job.session_token,
};

function withAws4() {
  const time = now.toISOString().replace(/[:-]|\.\d{3}/g, "");
  const request = {
    method: job.method,
    host: url.host,
    path: url.pathname + url.search,
    headers,
    body: body || undefined,
    service: job.service,
    region: job.region,
    signQuery: job.presign !== undefined,
  };
  if (request.signQuery) {
    request.path += `${url.search ? "&" : "?"}X-Amz-Expires=${job.presign}&X-Amz-Date=${time}`;
  } else {
    request.headers["X-Amz-Date"] = time;
  }
  const signed = aws4.sign(request, credentials);
  return { url: url.origin + signed.path, headers: signed.headers };
}

async function withSmithy() {
  const signer = new SignatureV4({
    service: job.service,
    region: job.region,
    credentials,
    sha256: Sha256,
    uriEscapePath: job.service !== "s3",
  });
  const query = {};
  for (const name of url.searchParams.keys()) {
    const values = url.searchParams.getAll(name);
    query[name] = values.length > 1 ? values : values[0];
  }
  const request = new HttpRequest({
    method: job.method,
    protocol: url.protocol,
    hostname: url.hostname,
    port: url.port ? Number(url.port) : undefined,
    path: url.pathname,
    query,
    headers: { host: url.host, ...headers },
    body: body || undefined,
  });
  const presigned = job.presign !== undefined;
  // S3's client states that a presigned URL leaves the body unsigned.
  if (presigned && job.service === "s3") request.headers["X-Amz-Content-Sha256"] = "UNSIGNED-PAYLOAD";
  const signed = presigned
    ? await signer.presign(request, { signingDate: now, expiresIn: job.presign })
    : await signer.sign(request, { signingDate: now });
  const escaped = (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, escaped);
  const search = Object.entries(signed.query)
    .flatMap(([name, value]) => [value].flat().map((one) => `${encode(name)}=${encode(one)}`))
    .join("&");
  return { url: url.origin + signed.path + (search && `?${search}`), headers: signed.headers };
}

const signed = job.sdk === "aws4" ? withAws4() : await withSmithy();
const lines = Object.entries(signed.headers).map(([name, value]) => [name, String(value)]);
process.stdout.write(JSON.stringify({ url: signed.url, headers: Object.fromEntries(lines), body }));
