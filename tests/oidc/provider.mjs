// An OpenID provider for one test: node provider.mjs PORT REDIRECT_URI. Whoever types a name is that person; `ann` is on call, `pat` is of the
// platform team, everybody else is in no group.
import Provider from "oidc-provider";

const [port, redirectUri] = process.argv.slice(2);
const groups = { ann: ["support", "on-call"], pat: ["platform"] };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    {
      client_id: "gatepost",
      client_secret: "canary-secret-of-the-client:%/+",
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  pkce: { methods: ["S256"], required: () => true },
  scopes: ["openid", "email", "groups"],
  claims: { openid: ["sub"], email: ["email", "email_verified"], groups: ["groups"] },
  // Into the ID token, and not only into the user info.
  conformIdTokenClaims: false,
  cookies: { keys: ["a key of this test"] },
  findAccount: (_context, name) => ({
    accountId: name,
    claims: () => ({ sub: name, email: `${name}@example.com`, email_verified: true, groups: groups[name] ?? [] }),
  }),
});
provider.listen(Number(port), "127.0.0.1");
// Whoever started it is gone.
process.stdin.resume().on("end", () => process.exit());
