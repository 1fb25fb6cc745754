// The npm packages, for `signers.py`: a JSON object a line in, a JSON object a line out. Bodies travel in base64.

import { createInterface } from "node:readline";
import { sign as githubSign, verify as githubVerify } from "@octokit/webhooks-methods";
import "@shopify/shopify-api/adapters/node";
import { ApiVersion, LogSeverity, shopifyApi } from "@shopify/shopify-api";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";

const stripe = new Stripe("sk_test_not_a_key");

function shopify(secret) {
  return shopifyApi({
    apiKey: "not-a-key",
    apiSecretKey: secret,
    apiVersion: ApiVersion.July26,
    hostName: "shop.example.com",
    isEmbeddedApp: false,
    logger: { level: LogSeverity.Error, log: (_severity, text) => console.error(text) },
  });
}

const operations = {
  "stripe.sign": ({ body, secret, timestamp }) =>
    stripe.webhooks.generateTestHeaderString({ payload: body.toString(), secret, timestamp }),
  "stripe.verify": ({ body, secret, headers }) =>
    stripe.webhooks.signature.verifyHeader(body.toString(), headers["stripe-signature"], secret, 300),
  "github.sign": ({ body, secret }) => githubSign(secret, body.toString()),
  "github.verify": ({ body, secret, headers }) =>
    githubVerify(secret, body.toString(), headers["x-hub-signature-256"]),
  "shopify.verify": async ({ body, secret, headers }) => {
    const rawRequest = { headers, method: "POST", url: "/" };
    const result = await shopify(secret).webhooks.validate({ rawBody: body.toString(), rawRequest, rawResponse: {} });
    return result.valid;
  },
  "standard.sign": ({ body, secret, id, timestamp }) =>
    new Webhook(secret).sign(id, new Date(timestamp * 1000), body.toString()),
  "standard.verify": ({ body, secret, headers, format }) => {
    new Webhook(secret, { format }).verify(body.toString(), headers, { jsonParse: false });
    return true;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { operation, body, ...rest } = JSON.parse(line);
  let reply;
  try {
    reply = { value: await operations[operation]({ ...rest, body: Buffer.from(body, "base64") }) };
  } catch (error) {
    reply = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
