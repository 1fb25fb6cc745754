"""What is sent: genuine events that must arrive, and forgeries that must not."""

import gzip
import json
import time
import urllib.parse
import uuid
from dataclasses import dataclass, field, replace

from settings import OLD_STRIPE_SECRET
from signers import Headers, Kind, Sign, digest, stripe_python

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

# What stands in the place of `@note@`: inside a JSON string, as it is.
NOTES = {
    "plain text": "an order",
    "non-ASCII text": "Grüße, Zoë: 日本語 עברית 🦀 \u2028",
    "CRLF": "an order with Windows line ends",
    "duplicate keys": 'first","note": "second',
    "odd escapes": "caf\\u00e9 \\/ \\ud83e\\udd80 \\u0000 \\n",
}

# Numbers that no JSON library writes as it read them, in all of them.
BODIES = {
    "stripe": """{
  "id": "@id@",
  "object": "event",
  "api_version": "2026-09-30.dahlia",
  "created": 1763675904,
  "data": {"object": {"id": "pi_3SVkQ2", "amount": 2000, "rate": 1.10, "note": "@note@"}},
  "livemode": false,
  "type": "payment_intent.succeeded"
}
""",
    "github": """{
  "action": "opened",
  "issue": {"id": 73464126, "number": 1347, "title": "@note@", "note": "@note@"},
  "repository": {"id": 186853002, "full_name": "octo/hello", "size": 1.0e2},
  "sender": {"login": "octo", "id": 21031067}
}
""",
    "slack": """{
  "token": "XXYYZZ",
  "team_id": "T0001",
  "api_app_id": "A0001",
  "event": {"type": "app_mention", "text": "@note@", "note": "@note@", "ts": "1763675904.000100", "channel": "C0001"},
  "type": "event_callback",
  "event_id": "@id@",
  "event_time": 1763675904
}
""",
    "shopify": """{
  "id": 820982911946154508,
  "admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
  "total_price": "408.00",
  "total_weight": 0.10,
  "note": "@note@"
}
""",
    "standard": """{
  "type": "contact.created",
  "timestamp": "2026-11-20T22:10:00.000Z",
  "data": {"id": "1f81eb52-5198-4599-803e-771906343485", "balance": 12345678901234567890.10, "note": "@note@"}
}
""",
    "gitlab": """{
  "object_kind": "issue",
  "project": {"id": 1, "path_with_namespace": "group/project"},
  "object_attributes": {"id": 301, "iid": 23, "weight": 1.50, "note": "@note@"}
}
""",
    "orders": """{
  "type": "bestellung.geändert",
  "total": 99.90,
  "note": "@note@"
}
""",
}
BODIES["svix"] = BODIES["standard"]

TYPES = {
    "stripe": "payment_intent.succeeded",
    "github": "issues",
    "slack": "app_mention",
    "shopify": "orders/create",
    "standard": "contact.created",
    "svix": "contact.created",
    "gitlab": "issue",
    "orders": "bestellung.geändert",
}


@dataclass
class Case:
    """A genuine request."""

    name: str
    kind: Kind
    headers: Headers
    body: bytes
    type: str | None
    external_id: str | None
    secret: str
    content_type: str = JSON
    age_s: int = 0
    fails_first: bool = False
    is_text: bool = True
    """Else the packages cannot take it: they sign strings."""


@dataclass
class Forgery:
    name: str
    source: str
    headers: list[tuple[str, str]]
    body: bytes
    cause: str
    kind: Kind
    is_refused_by_packages: bool = True
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    """Goes into the query, to find it again in the list."""


def new_id(kind: Kind) -> str:
    prefix = {"stripe": "evt_", "slack": "Ev", "standard": "msg_", "svix": "msg_"}.get(kind.source, "")
    return prefix + (str(uuid.uuid4()) if not prefix else uuid.uuid4().hex)


def body_of(kind: Kind, id: str, variation: str = "plain text") -> bytes:
    text = BODIES[kind.source].replace("@id@", id).replace("@note@", NOTES[variation])
    return (text.replace("\n", "\r\n") if variation == "CRLF" else text).encode()


def genuine(kinds: dict[str, Kind]) -> list[Case]:
    now = int(time.time())
    cases = []

    def add(name: str, kind: Kind, sign: Sign, body: bytes | None = None, **rest):
        id = new_id(kind)
        body = body_of(kind, id) if body is None else body.replace(b"@id@", id.encode())
        secret = rest.pop("secret", kind.secret)
        headers = {**kind.fixed, **sign(body, secret, now - rest.get("age_s", 0), id), **rest.pop("also", {})}
        rest = {"type": TYPES[kind.source], "external_id": id, **rest}
        cases.append(Case(name, kind, headers, body, secret=secret, **rest))

    for kind in kinds.values():
        for package, sign in kind.signers.items():
            for variation in NOTES:
                add(f"{kind.name} ({package}), {variation}", kind, sign, body_of(kind, "@id@", variation))
        sign = next(iter(kind.signers.values()))
        if kind.signs_time:
            add(f"{kind.name}, signed 4 minutes ago", kind, sign, age_s=240)
        add(f"{kind.name}, the handler fails first", kind, sign, fails_first=True)

    stripe, github, slack = kinds["stripe"], kinds["github"], kinds["slack"]
    add("stripe, the older of two secrets", stripe, stripe.signers["stripe, npm"], secret=OLD_STRIPE_SECRET)

    def rotating(body, secret, timestamp, id):
        right = stripe_python(body, secret, timestamp, id)["stripe-signature"].split(",")[1]
        return {"stripe-signature": f"t={timestamp},v1={'0' * 64},{right},v0={'1' * 64}"}

    add("stripe, two signatures and a v0", stripe, rotating)

    by_octokit = github.signers["@octokit/webhooks-methods"]
    # The example that GitHub publishes, secret and all.
    add("github, the published `Hello, World!`", github, by_octokit, b"Hello, World!", content_type="text/plain")
    published = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    if cases[-1].headers["x-hub-signature-256"] != published:
        raise RuntimeError("@octokit/webhooks-methods does not sign as GitHub's documentation says")
    form = b"payload=" + urllib.parse.quote_plus(body_of(github, "").decode()).encode()
    add("github, form-encoded", github, by_octokit, form, content_type=FORM)
    ping = b'{"zen":"Keep it logically awesome.","hook_id":292430182}'
    add("github, ping", github, by_octokit, ping, type="ping", also={"x-github-event": "ping"})

    by_slack = slack.signers["slack_sdk"]
    interaction = {"type": "block_actions", "trigger_id": "13345224609.738474920.80", "text": "Größe 🦀 & more"}
    form = b"payload=" + urllib.parse.quote_plus(json.dumps(interaction)).encode()
    no_id = {"external_id": None, "content_type": FORM}
    add("slack, interaction", slack, by_slack, form, type="block_actions", **no_id)
    fields = {"token": "XXYYZZ", "channel_id": "C0001", "command": "/deploy", "text": "prod +1 % 🚀"}
    command = urllib.parse.urlencode(fields).encode()
    add("slack, slash command", slack, by_slack, command, type="/deploy", **no_id)

    shopify = kinds["shopify"]
    by_hand = shopify.signers["here"]
    xml = '<?xml version="1.0" encoding="UTF-8"?>\r\n<order><note>Größe</note></order>\r\n'.encode()
    add("shopify, XML", shopify, by_hand, xml, content_type="application/xml")

    def new_headers(body, secret, timestamp, id):
        old = by_hand(body, secret, timestamp, id)
        return {
            "shopify-hmac-sha256": old["x-shopify-hmac-sha256"],
            "shopify-webhook-id": id,
            "shopify-event-id": str(uuid.uuid4()),
            "shopify-topic": "Product",
            "shopify-handle": "product-updates",
            "shopify-action": "update",
            "shopify-shop-domain": "example.myshopify.com",
            "shopify-api-version": "2026-07",
        }

    add("shopify, an `Events` delivery", replace(shopify, fixed={}), new_headers, type="Product")

    gitlab = kinds["gitlab signing token"]
    by_standard = gitlab.signers["standardwebhooks, PyPI"]
    token = {"x-gitlab-token": kinds["gitlab secret token"].secret}
    add("gitlab, both tokens at once", gitlab, by_standard, also=token)

    orders = kinds["orders"]
    binary = gzip.compress(b"not text", mtime=0) + bytes(range(256))
    by_us = orders.signers["here"]
    octets = "application/octet-stream"
    add("orders, bytes that are no text", orders, by_us, binary, type=None, content_type=octets, is_text=False)
    add("orders, an empty body", orders, by_us, b"", type=None, is_text=False)
    add("orders, 1 MiB", orders, by_us, b"[" + b"1.0,\r\n" * 174762 + b"1]", type=None)
    return cases


# What is posted to a source with headers that are right for another one, and why it is refused there.
NEIGHBOURS = {
    "stripe": ("slack", "unsigned"),
    "github": ("stripe", "unsigned"),
    "slack": ("github", "unsigned"),
    "shopify": ("github", "unsigned"),
    "standard": ("svix", "signature_mismatch"),
    "svix": ("standard", "signature_mismatch"),
    "gitlab signing token": ("standard", "signature_mismatch"),
    "gitlab secret token": ("orders", "unsigned"),
    "orders": ("stripe", "unsigned"),
}


def forged(kinds: dict[str, Kind]) -> list[Forgery]:
    now = int(time.time())
    forgeries = []

    def add(name: str, kind: Kind, headers: Headers, body: bytes, cause: str, also=(), **rest):
        pairs = [*{"content-type": JSON, **kind.fixed, **headers}.items(), *also]
        forgeries.append(Forgery(f"{kind.name}, {name}", kind.source, pairs, body, cause, kind, **rest))

    def without(headers: Headers, *names: str) -> Headers:
        return {name: value for name, value in headers.items() if name not in names}

    for kind in kinds.values():
        for package, sign in kind.signers.items():
            id = new_id(kind)
            body = body_of(kind, id)
            headers = sign(body, kind.secret, now, id)
            by = f"({package})"
            if kind.covers_body:
                changed = body.replace(b"order", b"0rder", 1)
                add(f"one byte changed {by}", kind, headers, changed, kind.mismatch)
                add(f"a line end appended {by}", kind, headers, body + b"\n", kind.mismatch)
                add(f"cut {by}", kind, headers, body[:-2], kind.mismatch)
                rewritten = json.dumps(json.loads(body)).encode()
                add(f"parsed and written again {by}", kind, headers, rewritten, kind.mismatch)
            add(f"wrong secret {by}", kind, sign(body, kind.other_secret, now, id), body, kind.mismatch)
            add(f"no signature {by}", kind, without(headers, kind.signature, "x-hub-signature"), body, "unsigned")
            if kind.signs_time:
                old = sign(body, kind.secret, now - 310, id)
                add(f"signed 310 s ago {by}", kind, old, body, "timestamp_stale")
                ahead = sign(body, kind.secret, now + 600, id)
                refused = kind.refuses_future
                add(f"signed for later {by}", kind, ahead, body, "timestamp_ahead", is_refused_by_packages=refused)
        neighbour, cause = NEIGHBOURS[kind.name]
        other = kinds[neighbour]
        foreign = next(iter(other.signers.values()))(body, other.secret, now, id)
        add(f"signed for `{other.source}`", kind, foreign, body, cause)
        twice = [(kind.signature, headers[kind.signature])]
        # The packages see one value, as their frameworks join or pick it.
        add("the signature twice", kind, headers, body, "duplicate_header", also=twice, is_refused_by_packages=False)

    id = uuid.uuid4().hex
    stripe, github, slack = kinds["stripe"], kinds["github"], kinds["slack"]
    body = body_of(stripe, "evt_" + id)
    header = stripe.signers["stripe, npm"](body, stripe.secret, now - 3600, id)["stripe-signature"]
    younger = {"stripe-signature": header.replace(f"t={now - 3600}", f"t={now}")}
    add("an old one with its time set to now", stripe, younger, body, "signature_mismatch")
    only_v0 = {"stripe-signature": header.replace("v1=", "v0=").replace(f"t={now - 3600}", f"t={now}")}
    add("only a v0", stripe, only_v0, body, "unsigned")
    body = body_of(github, id)
    sha1 = {"x-hub-signature": f"sha1={digest('sha1', github.secret, body).hexdigest()}", "x-github-delivery": id}
    add("only the SHA-1 signature", github, sha1, body, "weak_signature")
    body = body_of(slack, "Ev" + id)
    headers = slack.signers["slack_sdk"](body, slack.secret, now, id)
    add("no timestamp", slack, without(headers, "x-slack-request-timestamp"), body, "timestamp_missing")
    younger = {**headers, "x-slack-request-timestamp": str(now - 1)}
    add("another timestamp", slack, younger, body, "signature_mismatch")
    standard, svix = kinds["standard"], kinds["svix"]
    body = body_of(standard, "")
    headers = standard.signers["standardwebhooks, npm"](body, standard.secret, now, f"msg_{id}")
    add("no id", standard, without(headers, "webhook-id"), body, "signed_part_missing")
    add("another id", standard, {**headers, "webhook-id": "msg_other"}, body, "signature_mismatch")
    as_svix = {name.replace("webhook-", "svix-"): value for name, value in headers.items()}
    # `standardwebhooks` looks at its own names alone, and those are right.
    mixed = {**headers, **as_svix}
    add("headers of two families", standard, mixed, body, "mixed_headers", is_refused_by_packages=False)
    signed, token = kinds["gitlab signing token"], kinds["gitlab secret token"]
    wrong = signed.signers["standardwebhooks, npm"](body, signed.other_secret, now, id)
    both = {**wrong, "x-gitlab-token": token.secret}
    add("wrong beside the right secret token", signed, both, body, "signature_mismatch")
    return forgeries
