"""How providers sign, written from their documents and never from gatepost's code: what the random requests are made with.

Where this and a package differ, no request of a sender is accepted, and the run fails for it.
"""

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from urllib.parse import parse_qsl, urlencode

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

JSON, FORM = "application/json", "application/x-www-form-urlencoded"


@dataclass
class Draft:
    """A request on its way out. Whoever signs may still change the body, where the signature is in it."""

    rng: random.Random
    secret: str
    """As the sender has it: for a key pair, the seed of the private key."""
    at_ms: int
    time: str
    """As it is written and signed: not always a time."""
    id: str
    url: str
    body: bytes
    content_type: str = JSON
    options: dict[str, str] = field(default_factory=dict)


Headers = list[tuple[str, str]]


@dataclass
class Sender:
    sign: Callable[[Draft], Headers]
    secret: Callable[[random.Random], str]
    time: str | None = None
    """How the signed time is written: as `timestamp_unit` of a row."""
    tolerance_s: int = 300
    known_to_receiver: Callable[[str], str] = lambda secret: secret
    """What the receiver has of the secret: of a key pair the public half."""
    content_types: tuple[str, ...] = (JSON, JSON, JSON, FORM)
    has_own_tolerance: bool = False
    """The package's is another one than the row's: the source is given the package's."""
    options: dict[str, str] = field(default_factory=dict)
    shape: Callable[[random.Random], bytes] | None = None
    """Of bodies that the sender must be able to sign; else any."""


def mac(name: str, key: str | bytes, *parts: str | bytes) -> bytes:
    message = b"".join(it.encode() if isinstance(it, str) else it for it in parts)
    return hmac.digest(key.encode() if isinstance(key, str) else key, message, name)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def fields(signature: str, timestamp: str, name: str, separator: str = ",") -> str:
    return f"{timestamp}{separator}{name}={signature}"


# Secrets.


def text(prefix: str = "", n: int = 32) -> Callable[[random.Random], str]:
    return lambda rng: prefix + "".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=n))


def hexadecimal(rng: random.Random) -> str:
    return rng.randbytes(32).hex()


def whsec(rng: random.Random) -> str:
    return "whsec_" + b64(rng.randbytes(rng.choice([24, 32, 48])))


def ed25519_key(seed: str) -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest())


def ed25519_public(seed: str) -> bytes:
    return ed25519_key(seed).public_key().public_bytes_raw()


def p256_key(seed: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
    return ec.derive_private_key(number >> 1 | 1, ec.SECP256R1())


def p256_public(seed: str) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return b64(p256_key(seed).public_key().public_bytes(serialization.Encoding.DER, form))


# Signatures.


def in_header(name: str, write: Callable[[Draft], str], time_header: str | None = None):
    def sign(it: Draft) -> Headers:
        times = [(time_header, it.time)] if time_header else []
        return [*times, (name, write(it))]

    return sign


def standard(prefix: str, key: Callable[[str], bytes] | None = None):
    def sign(it: Draft) -> Headers:
        material = key(it.secret) if key else base64.b64decode(it.secret.removeprefix("whsec_"))
        signature = "v1," + b64(mac("sha256", material, it.id, ".", it.time, ".", it.body))
        return [(f"{prefix}-id", it.id), (f"{prefix}-timestamp", it.time), (f"{prefix}-signature", signature)]

    return sign


def twilio(it: Draft) -> Headers:
    text = it.url
    if it.content_type == FORM:
        pairs = sorted(set(parse_qsl(it.body.decode(), keep_blank_values=True)))
        text += "".join(name + value for name, value in pairs)
    elif it.body:
        # Seldom forgotten, so that nothing covers the body.
        if it.rng.random() < 0.9:
            it.url += f"{'&' if '?' in it.url else '?'}bodySHA256={hashlib.sha256(it.body).hexdigest()}"
        text = it.url
    return [("X-Twilio-Signature", b64(mac("sha1", it.secret, text)))]


ADYEN = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")


def adyen(it: Draft) -> Headers:
    data = json.loads(it.body)
    for element in data["notificationItems"]:
        item = element["NotificationRequestItem"]
        amount = item.get("amount", {})
        signed = [item.get(name, "") for name in ADYEN]
        signed += [str(amount.get("value", "")), amount.get("currency", "")]
        signed += [item.get("eventCode", ""), str(item.get("success", ""))]
        signature = b64(mac("sha256", bytes.fromhex(it.secret), ":".join(signed)))
        item.setdefault("additionalData", {})["hmacSignature"] = signature
    it.body = json.dumps(data).encode()
    return []


def adyen_body(rng: random.Random) -> bytes:
    def item():
        made = {
            "additionalData": {},
            "eventCode": rng.choice(["AUTHORISATION", "REFUND", "CANCELLATION"]),
            "success": rng.choice(["true", "false"]),
            "eventDate": "2026-01-01T00:00:00+01:00",
            "merchantAccountCode": rng.choice(["TestMerchant", "Händler", "a:b"]),
            "merchantReference": rng.choice(["order-1", "Größe 🦀", "", "a\\b"]),
            "pspReference": "".join(rng.choices("0123456789ABCDEF", k=16)),
            "amount": {"currency": "EUR", "value": rng.randrange(100_000)},
        }
        if rng.random() < 0.5:
            made["originalReference"] = "9913140798220028"
        if rng.random() < 0.1:
            del made[rng.choice(["merchantReference", "amount", "success"])]
        return {"NotificationRequestItem": made}

    return json.dumps({"live": "false", "notificationItems": [item() for _ in range(rng.choice([1, 1, 1, 2, 3]))]}).encode()


def shopify(it: Draft) -> Headers:
    return [
        ("X-Shopify-Topic", "orders/create"),
        ("X-Shopify-Shop-Domain", "example.myshopify.com"),
        ("X-Shopify-API-Version", "2026-07"),
        ("X-Shopify-Webhook-Id", it.id or "msg_1"),
        ("X-Shopify-Hmac-Sha256", b64(mac("sha256", it.secret, it.body))),
    ]


def braintree(it: Draft) -> Headers:
    payload = base64.encodebytes(it.body).decode()
    signature = mac("sha1", hashlib.sha1(it.secret.encode()).digest(), payload).hex()
    pairs = [("bt_signature", f"{it.options['public_key']}|{signature}"), ("bt_payload", payload)]
    it.body, it.content_type = urlencode(pairs).encode(), FORM
    return []


def braintree_body(rng: random.Random) -> bytes:
    kind = rng.choice(["subscription_charged_successfully", "check", "dispute_opened"])
    return (
        f"<notification><timestamp type='datetime'>2026-01-01T00:00:00Z</timestamp><kind>check</kind>"
        f"<subject><check type='boolean'>true</check><note>{kind} Größe {rng.random()}</note></subject></notification>"
    ).encode()


def linear(it: Draft) -> Headers:
    it.body = f'{{"action": "create", "type": "Issue", "id": "{it.id}", "webhookTimestamp": {it.time or "null"}}}'.encode()
    return [("Linear-Signature", mac("sha256", it.secret, it.body).hex())]


def pusher(it: Draft) -> Headers:
    it.body = f'{{"time_ms": {it.time or "null"}, "events": [{{"name": "channel_occupied", "channel": "{it.id}"}}]}}'.encode()
    return [("X-Pusher-Signature", mac("sha256", it.secret, it.body).hex())]


def mailgun(it: Draft) -> Headers:
    token = it.rng.randbytes(25).hex()
    signature = mac("sha256", it.secret, it.time, token).hex()
    signed = {"token": token, "timestamp": it.time, "signature": signature}
    it.body = json.dumps({"signature": signed, "event-data": {"id": it.id, "event": "opened"}}).encode()
    return []


def box(it: Draft) -> Headers:
    moment = it.time
    other = it.rng.choice([it.secret, "another-signature-key"])
    return [
        ("BOX-DELIVERY-ID", it.id),
        ("BOX-DELIVERY-TIMESTAMP", moment),
        ("BOX-SIGNATURE-ALGORITHM", "HmacSHA256"),
        ("BOX-SIGNATURE-VERSION", "1"),
        ("BOX-SIGNATURE-PRIMARY", b64(mac("sha256", it.secret, it.body, moment))),
        ("BOX-SIGNATURE-SECONDARY", b64(mac("sha256", other, it.body, moment))),
    ]


def hubspot(it: Draft) -> Headers:
    match it.rng.choice(["v1", "v2", "v3", "v3"]):
        case "v3":
            signature = b64(mac("sha256", it.secret, "POST", it.url, it.body, it.time))
            return [("X-HubSpot-Signature-v3", signature), ("X-HubSpot-Request-Timestamp", it.time)]
        case version:
            parts = ["POST", it.url] if version == "v2" else []
            message = it.secret.encode() + "".join(parts).encode() + it.body
            signature = hashlib.sha256(message).hexdigest()
            return [("X-HubSpot-Signature", signature), ("X-HubSpot-Signature-Version", version)]


def discord(it: Draft) -> Headers:
    signature = ed25519_key(it.secret).sign(it.time.encode() + it.body).hex()
    return [("X-Signature-Ed25519", signature), ("X-Signature-Timestamp", it.time)]


def telnyx(it: Draft) -> Headers:
    signature = b64(ed25519_key(it.secret).sign(f"{it.time}|".encode() + it.body))
    return [("telnyx-signature-ed25519", signature), ("telnyx-timestamp", it.time)]


def sendgrid(it: Draft) -> Headers:
    signature = p256_key(it.secret).sign(it.time.encode() + it.body, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return [
        ("X-Twilio-Email-Event-Webhook-Signature", b64(signature)),
        ("X-Twilio-Email-Event-Webhook-Timestamp", it.time),
    ]


def signed_hex(*parts):
    """Of `{body}` and what else is named, in hex."""
    return lambda it: mac("sha256", it.secret, *(_part(it, part) for part in parts)).hex()


def signed_b64(*parts):
    return lambda it: b64(mac("sha256", it.secret, *(_part(it, part) for part in parts)))


def _part(it: Draft, part: str) -> str | bytes:
    return {"{body}": it.body, "{time}": it.time, "{url}": it.url}.get(part, part)


HEX, B64 = signed_hex("{body}"), signed_b64("{body}")
TIMED = signed_hex("{time}", ".", "{body}")


def t_and_v1(it: Draft) -> str:
    return f"t={it.time},v1={TIMED(it)}"


SENDERS = {
    "stripe": Sender(in_header("Stripe-Signature", t_and_v1), text("whsec_"), "s"),
    "github": Sender(in_header("X-Hub-Signature-256", lambda it: "sha256=" + HEX(it)), text()),
    "slack": Sender(
        in_header(
            "X-Slack-Signature",
            lambda it: "v0=" + signed_hex("v0:", "{time}", ":", "{body}")(it),
            "X-Slack-Request-Timestamp",
        ),
        hexadecimal,
        "s",
    ),
    "standard-webhooks": Sender(standard("webhook"), whsec, "s"),
    "svix": Sender(standard("svix"), whsec, "s"),
    "resend": Sender(standard("svix"), whsec, "s"),
    "clerk": Sender(standard("svix"), whsec, "s"),
    "openai": Sender(standard("webhook"), whsec, "s"),
    "lithic": Sender(standard("webhook"), whsec, "s"),
    "twilio": Sender(twilio, text(), content_types=(FORM, FORM, JSON)),
    "shopify": Sender(shopify, text("shpss_")),
    "square": Sender(in_header("X-Square-HmacSha256-Signature", signed_b64("{url}", "{body}")), text()),
    "paddle": Sender(
        in_header("Paddle-Signature", lambda it: f"ts={it.time};h1={signed_hex('{time}', ':', '{body}')(it)}"),
        text("pdl_ntfset_"),
        "s",
        tolerance_s=5,
        has_own_tolerance=True,
    ),
    "adyen": Sender(adyen, hexadecimal, content_types=(JSON,), shape=adyen_body),
    "sendgrid": Sender(sendgrid, text(), "s", known_to_receiver=p256_public),
    "discord": Sender(discord, text(), "s", known_to_receiver=lambda seed: ed25519_public(seed).hex()),
    "line": Sender(in_header("x-line-signature", B64), hexadecimal),
    "gocardless": Sender(in_header("Webhook-Signature", HEX), text()),
    "razorpay": Sender(in_header("X-Razorpay-Signature", HEX), text()),
    "workos": Sender(in_header("WorkOS-Signature", lambda it: f"t={it.time}, v1={TIMED(it)}"), text(), "ms", 180),
    "box": Sender(box, text(), "rfc3339", 600),
    "braintree": Sender(
        braintree, text(), content_types=(FORM,), options={"public_key": "public-key"}, shape=braintree_body
    ),
    "mux": Sender(in_header("Mux-Signature", t_and_v1), text(), "s"),
    "notion": Sender(in_header("X-Notion-Signature", lambda it: "sha256=" + HEX(it)), text("secret_")),
    "telnyx": Sender(telnyx, text(), "s", known_to_receiver=lambda seed: b64(ed25519_public(seed))),
    "pusher": Sender(pusher, text(), "ms", content_types=(JSON,)),
    "retell": Sender(
        in_header("X-Retell-Signature", lambda it: f"v={it.time},d={signed_hex('{body}', '{time}')(it)}"),
        text("key_"),
        "ms",
    ),
    "sanity": Sender(
        in_header(
            "sanity-webhook-signature",
            lambda it: f"t={it.time},v1="
            + base64.urlsafe_b64encode(mac("sha256", it.secret, it.time, ".", it.body)).decode().rstrip("="),
        ),
        text(),
        "ms",
    ),
    "linear": Sender(linear, text("lin_wh_"), "ms", 60, content_types=(JSON,)),
    "hubspot": Sender(hubspot, text(), "ms"),
    "mailgun": Sender(mailgun, hexadecimal, "s", 900, content_types=(JSON,)),
    "orb": Sender(
        in_header(
            "X-Orb-Signature", lambda it: "v1=" + signed_hex("v1:", "{time}", ":", "{body}")(it), "X-Orb-Timestamp"
        ),
        text(),
        "iso8601",
    ),
}


def write_time(at_ms: int, unit: str) -> str:
    if unit in ("rfc3339", "iso8601"):
        zone = "Z" if unit == "rfc3339" else ""
        return datetime.fromtimestamp(at_ms / 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + zone
    return str(at_ms if unit == "ms" else at_ms // 1000)
