// What the npm packages say of a request: for each provider its own package, and what in it decides.
//
// A judge gets a request and answers `true`; everything else, also an exception, is a refusal. Packages are loaded when they
// are first asked.

import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** A file that a package does not export. */
const file = (name, path) => new URL(`./node_modules/${name}/${path}`, import.meta.url).pathname;

/** By `provider package`. */
export const judges = new Map();

function judge(provider, name, decides, prepare) {
  judges.set(`${provider} ${name}`, { provider, package: name, decides, prepare });
}

/** For packages that answer by throwing. */
const unlessItThrows =
  (verify) =>
  async (request) => {
    await verify(request);
    return true;
  };

const pick = (headers, names) => Object.fromEntries(names.filter((it) => it in headers).map((it) => [it, headers[it]]));

judge("stripe", "stripe", "webhooks.signature.verifyHeader", async () => {
  const { default: Stripe } = await import("stripe");
  const { signature } = new Stripe("sk_test_not_a_key").webhooks;
  return ({ text, headers, secret }) => signature.verifyHeader(text, headers["stripe-signature"], secret, 300);
});

judge("github", "@octokit/webhooks-methods", "verify", async () => {
  const { verify } = await import("@octokit/webhooks-methods");
  return ({ text, headers, secret }) => verify(secret, text, headers["x-hub-signature-256"]);
});

judge("slack", "@slack/bolt", "verifySlackRequest", async () => {
  const { verifySlackRequest } = require("@slack/bolt/dist/receivers/verify-request.js");
  return unlessItThrows(({ text, headers, secret }) =>
    verifySlackRequest({ signingSecret: secret, body: text, headers }),
  );
});

judge("shopify", "@shopify/shopify-api", "webhooks.validate", async () => {
  await import("@shopify/shopify-api/adapters/node");
  const { ApiVersion, LogSeverity, shopifyApi } = await import("@shopify/shopify-api");
  return async ({ text, headers, secret }) => {
    const api = shopifyApi({
      apiKey: "not-a-key",
      apiSecretKey: secret,
      apiVersion: ApiVersion.July26,
      hostName: "shop.example.com",
      isEmbeddedApp: false,
      logger: { level: LogSeverity.Error, log: () => {} },
    });
    const rawRequest = { headers, method: "POST", url: "/" };
    return (await api.webhooks.validate({ rawBody: text, rawRequest, rawResponse: {} })).valid;
  };
});

for (const [provider, name] of [
  ["standard-webhooks", "standardwebhooks"],
  ["svix", "svix"],
]) {
  judge(provider, name, "Webhook.verify", async () => {
    const { Webhook } = await import(name);
    return unlessItThrows(({ text, headers, secret }) =>
      new Webhook(secret).verify(text, headers, { jsonParse: false }),
    );
  });
}

judge("twilio", "twilio", "validateRequest and validateBody", async () => {
  const { validateRequest, validateBody } = require("twilio/lib/webhooks/webhooks.js");
  return ({ text, headers, secret, url, form }) => {
    const hash = new URL(url).searchParams.get("bodySHA256");
    const is_signed = validateRequest(secret, headers["x-twilio-signature"] ?? "", url, form ?? {});
    return is_signed && (form !== undefined || hash === null || validateBody(text, hash));
  };
});

judge("paddle", "@paddle/paddle-node-sdk", "webhooks.isSignatureValid", async () => {
  const { Paddle } = await import("@paddle/paddle-node-sdk");
  const { webhooks } = new Paddle("not-a-key");
  return ({ text, headers, secret }) => webhooks.isSignatureValid(text, secret, headers["paddle-signature"]);
});

judge("sendgrid", "@sendgrid/eventwebhook", "EventWebhook.verifySignature", async () => {
  const { EventWebhook, EventWebhookHeader } = require("@sendgrid/eventwebhook");
  const [signature, timestamp] = [EventWebhookHeader.SIGNATURE(), EventWebhookHeader.TIMESTAMP()];
  return ({ body, headers, secret }) => {
    const webhook = new EventWebhook();
    const key = webhook.convertPublicKeyToECDSA(secret);
    return webhook.verifySignature(key, body, headers[signature.toLowerCase()], headers[timestamp.toLowerCase()]);
  };
});

judge("discord", "discord-interactions", "verifyKey", async () => {
  const { verifyKey } = await import("discord-interactions");
  return ({ body, headers, secret }) =>
    verifyKey(body, headers["x-signature-ed25519"], headers["x-signature-timestamp"], secret);
});

judge("line", "@line/bot-sdk", "validateSignature", async () => {
  const { validateSignature } = await import("@line/bot-sdk");
  return ({ body, headers, secret }) => validateSignature(body, secret, headers["x-line-signature"]);
});

judge("gocardless", "gocardless-nodejs", "webhooks.verifySignature", async () => {
  const { verifySignature } = require("gocardless-nodejs/webhooks");
  return unlessItThrows(({ body, headers, secret }) => verifySignature(body, secret, headers["webhook-signature"]));
});

judge("razorpay", "razorpay", "validateWebhookSignature", async () => {
  const { validateWebhookSignature } = require("razorpay/dist/utils/razorpay-utils.js");
  return ({ text, headers, secret }) => validateWebhookSignature(text, headers["x-razorpay-signature"], secret);
});

judge("workos", "@workos-inc/node", "webhooks.verifyHeader", async () => {
  const { WorkOS } = await import("@workos-inc/node");
  const { webhooks } = new WorkOS("not-a-key");
  return ({ text, headers, secret }) =>
    webhooks.verifyHeader({ payload: text, sigHeader: headers["workos-signature"], secret });
});

judge("clerk", "@clerk/backend", "verifyWebhook", async () => {
  const { verifyWebhook } = await import("@clerk/backend/webhooks");
  return unlessItThrows(({ body, headers, secret, url }) =>
    verifyWebhook(new Request(url, { method: "POST", headers, body }), { signingSecret: secret }),
  );
});

judge("resend", "resend", "webhooks.verify", async () => {
  const { Resend } = await import("resend");
  const { webhooks } = new Resend("re_not_a_key");
  return unlessItThrows(({ text, headers, secret }) =>
    webhooks.verify({
      payload: text,
      headers: {
        id: headers["svix-id"] ?? headers["webhook-id"],
        timestamp: headers["svix-timestamp"] ?? headers["webhook-timestamp"],
        signature: headers["svix-signature"] ?? headers["webhook-signature"],
      },
      webhookSecret: secret,
    }),
  );
});

judge("braintree", "braintree", "webhookNotification.parse", async () => {
  const { default: braintree } = await import("braintree");
  return unlessItThrows(({ form, secret, options }) => {
    const gateway = new braintree.BraintreeGateway({
      environment: braintree.Environment.Sandbox,
      merchantId: "merchant",
      publicKey: options.public_key,
      privateKey: secret,
    });
    return gateway.webhookNotification.parse(form.bt_signature, form.bt_payload);
  });
});

judge("linear", "@linear/sdk", "LinearWebhookClient.verify", async () => {
  const { LinearWebhookClient } = require("@linear/sdk/webhooks");
  return ({ body, headers, secret }) =>
    new LinearWebhookClient(secret).verify(body, headers["linear-signature"], JSON.parse(body).webhookTimestamp);
});

judge("mux", "@mux/mux-node", "webhooks.verifySignature", async () => {
  const { default: Mux } = await import("@mux/mux-node");
  const { webhooks } = new Mux({ tokenId: "id", tokenSecret: "secret" });
  return unlessItThrows(({ text, headers, secret }) => webhooks.verifySignature(text, headers, secret));
});

judge("openai", "openai", "webhooks.verifySignature", async () => {
  const { default: OpenAI } = await import("openai");
  const { webhooks } = new OpenAI({ apiKey: "not-a-key" });
  return unlessItThrows(({ text, headers, secret }) => webhooks.verifySignature(text, headers, secret));
});

judge("notion", "@notionhq/client", "verifyWebhookSignature", async () => {
  const { verifyWebhookSignature } = await import("@notionhq/client");
  return ({ text, headers, secret }) =>
    verifyWebhookSignature({
      body: text,
      signature: headers["x-notion-signature"],
      verificationToken: secret,
    });
});

judge("retell", "retell-sdk", "Retell.verify", async () => {
  const { Retell } = await import("retell-sdk");
  return ({ text, headers, secret }) => Retell.verify(text, secret, headers["x-retell-signature"]);
});

judge("sanity", "@sanity/webhook", "isValidSignature", async () => {
  const { isValidSignature } = await import("@sanity/webhook");
  return ({ text, headers, secret }) => isValidSignature(text, headers["sanity-webhook-signature"], secret);
});

judge("telnyx", "telnyx", "webhooks.unwrap", async () => {
  const { default: Telnyx } = await import("telnyx");
  const { webhooks } = new Telnyx({ apiKey: "not-a-key" });
  return unlessItThrows(({ text, headers, secret }) => webhooks.unwrap(text, { headers, key: secret }));
});

judge("pusher", "pusher", "WebHook.isValid", async () => {
  const { default: Pusher } = await import("pusher");
  return ({ text, headers, secret }) => {
    const pusher = new Pusher({ appId: "1", key: "key", secret, cluster: "eu" });
    return pusher.webhook({ headers: { ...headers, "x-pusher-key": "key" }, rawBody: text }).isValid();
  };
});

judge("hubspot", "@hubspot/api-client", "Signature.isValid", async () => {
  const { Signature } = await import("@hubspot/api-client");
  return ({ text, headers, secret, url, method }) => {
    const v3 = headers["x-hubspot-signature-v3"];
    return Signature.isValid({
      signatureVersion: v3 === undefined ? headers["x-hubspot-signature-version"] : "v3",
      signature: v3 ?? headers["x-hubspot-signature"],
      method,
      clientSecret: secret,
      requestBody: text,
      url,
      timestamp: Number(headers["x-hubspot-request-timestamp"]),
    });
  };
});

judge("replicate", "replicate", "validateWebhook", async () => {
  const { validateWebhook } = require("replicate");
  return ({ text, headers, secret }) => validateWebhook({ headers, body: text }, secret);
});

// Of one generator of packages: `webhooks.NAME(body, headers, secret)`.
for (const [provider, name, method, options] of [
  ["lithic", "lithic", "verifySignature", { apiKey: "not-a-key" }],
  ["orb", "orb-billing", "verifySignature", { apiKey: "not-a-key" }],
  ["finch", "@tryfinch/finch-api", "verifySignature", { accessToken: "not-a-key" }],
]) {
  judge(provider, name, `webhooks.${method}`, async () => {
    const { default: Client } = await import(name);
    const { webhooks } = new Client(options);
    return unlessItThrows(({ text, headers, secret }) => webhooks[method](text, headers, secret));
  });
}

// And of a later one: `webhooks.unwrap(body, { headers, key })`.
for (const [provider, name, find] of [
  ["dodo-payments", "dodopayments", (Client) => new Client({ bearerToken: "not-a-key" }).webhooks],
  ["anthropic", "@anthropic-ai/sdk", (Client) => new Client({ apiKey: "not-a-key" }).beta.webhooks],
]) {
  judge(provider, name, "webhooks.unwrap", async () => {
    const { default: Client } = await import(name);
    const webhooks = find(Client);
    return unlessItThrows(({ text, headers, secret }) => webhooks.unwrap(text, { headers, key: secret }));
  });
}

judge("modern-treasury", "modern-treasury", "webhooks.validateSignature", async () => {
  const { default: ModernTreasury } = await import("modern-treasury");
  const { webhooks } = new ModernTreasury({ apiKey: "not-a-key", organizationID: "id" });
  return ({ text, headers, secret }) => webhooks.validateSignature(text, headers, { key: secret });
});

judge("polar", "@polar-sh/sdk", "webhooks.validateEvent", async () => {
  const { webhooks } = await import("@polar-sh/sdk/2026-10");
  return async ({ text, headers, secret }) => {
    try {
      await webhooks.validateEvent(text, headers, secret);
    } catch (error) {
      // What it says of an event that it verified and does not know is another matter.
      if (error instanceof webhooks.PolarWebhookVerificationError) return false;
    }
    return true;
  };
});

judge("smartcar", "smartcar", "verifyPayload", async () => {
  const { default: smartcar } = await import("smartcar");
  return ({ text, headers, secret }) => smartcar.verifyPayload(secret, headers["sc-signature"], JSON.parse(text));
});

judge("livekit", "livekit-server-sdk", "WebhookReceiver.receive", async () => {
  const { WebhookReceiver } = await import("livekit-server-sdk");
  return unlessItThrows(({ text, headers, secret }) =>
    new WebhookReceiver("example", secret).receive(text, headers.authorization),
  );
});

judge("cloudinary", "cloudinary", "utils.verifyNotificationSignature", async () => {
  const { v2 } = require("cloudinary");
  return ({ text, headers, secret }) => {
    v2.config({ api_secret: secret });
    return v2.utils.verifyNotificationSignature(
      text,
      Number(headers["x-cld-timestamp"]),
      headers["x-cld-signature"],
      300,
    );
  };
});

judge("onfido", "@onfido/api", "WebhookEventVerifier.readPayload", async () => {
  const { WebhookEventVerifier } = require("@onfido/api");
  return unlessItThrows(({ text, headers, secret }) =>
    new WebhookEventVerifier(secret).readPayload(text, headers["x-sha2-signature"]),
  );
});

judge("getstream", "stream-chat", "StreamChat.verifyWebhook", async () => {
  const { StreamChat } = await import("stream-chat");
  return ({ text, headers, secret }) => new StreamChat("key", secret).verifyWebhook(text, headers["x-signature"]);
});

judge("easypost", "@easypost/api", "Utils.validateWebhook", async () => {
  const { default: EasyPost } = await import("@easypost/api");
  const { Utils } = new EasyPost("not-a-key");
  return unlessItThrows(({ body, headers, secret }) =>
    Utils.validateWebhook(body, { "X-Hmac-Signature": headers["x-hmac-signature"] }, secret),
  );
});

judge("vonage", "@vonage/jwt", "verifySignature", async () => {
  const { verifySignature } = await import("@vonage/jwt");
  return ({ headers, secret }) => verifySignature(headers.authorization?.replace(/^Bearer /, ""), secret);
});

judge("messagebird", "messagebird", "webhook-signature-jwt verify", async () => {
  const { createSecretKey } = await import("node:crypto");
  const { verify } = require("messagebird/lib/webhook-signature-jwt.js");
  return unlessItThrows(({ body, headers, secret, url }) =>
    verify(url, body, headers["messagebird-signature-jwt"], createSecretKey(Buffer.from(secret))),
  );
});

judge("webflow", "webflow-api", "webhooks.verifySignature", async () => {
  const { WebflowClient } = await import("webflow-api");
  const { webhooks } = new WebflowClient({ accessToken: "not-a-key" });
  return ({ text, headers, secret }) => webhooks.verifySignature({ headers, body: text, secret });
});

judge("fintoc", "fintoc", "WebhookSignature.verifyHeader", async () => {
  const { WebhookSignature } = await import("fintoc");
  return unlessItThrows(({ text, headers, secret }) =>
    WebhookSignature.verifyHeader(text, headers["fintoc-signature"], secret, 300),
  );
});

judge("fathom", "fathom-typescript", "Fathom.verifyWebhook", async () => {
  const { Fathom } = await import("fathom-typescript");
  return unlessItThrows(({ text, headers, secret }) => Fathom.verifyWebhook(secret, headers, text));
});

judge("crisp", "crisp-api", "verifyHook", async () => {
  const { Crisp } = await import("crisp-api");
  const client = new Crisp();
  client.setRtmMode("webhooks");
  await client.on("message:send", () => {});
  return ({ text, headers, secret }) =>
    client.verifyHook(secret, JSON.parse(text), headers["x-crisp-request-timestamp"], headers["x-crisp-signature"]);
});

judge("worldline-direct", "onlinepayments-sdk-nodejs", "webhooks.validate", async () => {
  const { webhooks } = require("onlinepayments-sdk-nodejs");
  return unlessItThrows(({ body, headers, secret }) =>
    // The key's id is whichever it is: we know of one key.
    webhooks
      .init({ getSecretKey: async () => secret })
      .validate(body, { "x-gcs-keyid": "id", ...headers }),
  );
});

judge("acuity-scheduling", "acuityscheduling", "bodyParserVerify", async () => {
  const acuity = require("acuityscheduling");
  return unlessItThrows(({ body, headers, secret }) =>
    acuity.bodyParserVerify(secret)({ headers, get: (it) => headers[it.toLowerCase()] }, {}, body, "utf8"),
  );
});

judge("shopware", "@shopware-ag/app-server-sdk", "WebCryptoHmacSigner.verify", async () => {
  const { WebCryptoHmacSigner } = require(file("@shopware-ag/app-server-sdk", "dist/commonjs/signer.js"));
  return ({ text, headers, secret }) =>
    new WebCryptoHmacSigner().verify(headers["shopware-shop-signature"], text, secret);
});

judge("telegram", "grammy", "webhookCallback", async () => {
  const { Bot, webhookCallback } = await import("grammy");
  return async ({ body, headers, secret, url }) => {
    const bot = new Bot("1:not-a-token", { botInfo: { id: 1, is_bot: true, first_name: "x", username: "x" } });
    const callback = webhookCallback(bot, "std/http", { secretToken: secret });
    return (await callback(new Request(url, { method: "POST", headers, body }))).status === 200;
  };
});

judge("meta", "whatsapp-api-js", "verifyRequestSignature", async () => {
  const { WhatsAppAPI } = await import("whatsapp-api-js");
  return ({ text, headers, secret }) =>
    new WhatsAppAPI({ token: "x", appSecret: secret }).verifyRequestSignature(text, headers["x-hub-signature-256"]);
});

judge("coinbase-commerce", "coinbase-commerce-node", "Webhook.verifySigHeader", async () => {
  const { Webhook } = require("coinbase-commerce-node");
  return unlessItThrows(({ text, headers, secret }) =>
    Webhook.verifySigHeader(text, headers["x-cc-webhook-signature"], secret),
  );
});

judge("jira-connect", "atlassian-jwt", "decodeSymmetric and createQueryStringHash", async () => {
  const jwt = await import("atlassian-jwt");
  return ({ headers, secret, method, target }) => {
    const token = headers.authorization?.replace(/^JWT /, "");
    const claims = jwt.decodeSymmetric(token, secret, jwt.SymmetricAlgorithm.HS256);
    const request = jwt.fromMethodAndUrl(method, target);
    return claims.qsh === jwt.createQueryStringHash(request, false) && Date.now() / 1000 < claims.exp;
  };
});
