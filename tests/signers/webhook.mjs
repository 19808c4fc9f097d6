// Signs as a webhook's sender does, with the services' own packages: `stripe`, `@octokit/webhooks-methods` and
// `standardwebhooks`.
//
// Own keys:
//   scheme     stripe, github or standard
//   secret
//   id         of a message of `standard`
import { readFileSync } from "node:fs";

const job = { headers: {}, body: "", ...JSON.parse(readFileSync(0, "utf8")) };
const now = job.now ?? Math.floor(Date.now() / 1000);

const schemes = {
  async stripe() {
    const { default: Stripe } = await import("stripe");
    const made = { payload: job.body, secret: job.secret, timestamp: now };
    return { "Stripe-Signature": new Stripe("sk_test_unused").webhooks.generateTestHeaderString(made) };
  },
  async github() {
    const { sign } = await import("@octokit/webhooks-methods");
    return { "X-Hub-Signature-256": await sign(job.secret, job.body) };
  },
  async standard() {
    const { Webhook } = await import("standardwebhooks");
    const signature = new Webhook(job.secret).sign(job.id, new Date(now * 1000), job.body);
    return { "webhook-id": job.id, "webhook-timestamp": String(now), "webhook-signature": signature };
  },
};

const headers = { ...job.headers, ...(await schemes[job.scheme]()) };
process.stdout.write(JSON.stringify({ url: job.url, headers, body: job.body }));
