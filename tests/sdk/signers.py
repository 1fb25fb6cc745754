"""The official packages as signers and verifiers, under one shape."""

import base64
import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

import standardwebhooks
import stripe
from slack_sdk.signature import SignatureVerifier

Headers = dict[str, str]
Sign = Callable[[bytes, str, int, str], Headers]
"""Of body, secret, unix seconds and the sender's id of the event."""
Verify = Callable[[bytes, Headers, str], bool]


class Node:
    """The npm packages, in one process for the whole run."""

    def __init__(self, process: subprocess.Popen):
        self.process = process

    def __call__(self, operation: str, body: bytes, **rest):
        question = {"operation": operation, "body": base64.b64encode(body).decode(), **rest}
        self.process.stdin.write(json.dumps(question).encode() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("node ended: see above")
        return json.loads(line)

    def sign(self, operation: str, body: bytes, **rest) -> str:
        reply = self(operation, body, **rest)
        if "value" not in reply:
            raise RuntimeError(f"{operation} failed: {reply['error']}")
        return reply["value"]

    def verify(self, operation: str, body: bytes, **rest) -> bool:
        return self(operation, body, **rest).get("value") is True


@dataclass
class Kind:
    """One way of signing, and the source that it is for."""

    name: str
    source: str
    secret: str
    other_secret: str
    signers: dict[str, Sign]
    """By the package that signs. `here`: the package only verifies, so the signature is made here and put before it."""
    verifiers: dict[str, Verify]
    signature: str
    """The header without which it is unsigned."""
    signs_time: bool = True
    mismatch: str = "signature_mismatch"
    covers_body: bool = True
    refuses_future: bool = True
    """Whether the packages do: gatepost always does."""
    fixed: Headers = field(default_factory=dict)


def digest(hash_name: str, secret: str, message: bytes) -> hmac.HMAC:
    return hmac.new(secret.encode(), message, hash_name)


def is_accepted(verify: Callable, *arguments, **named) -> bool:
    """For packages that answer by raising."""
    try:
        verify(*arguments, **named)
    except (stripe.SignatureVerificationError, standardwebhooks.WebhookVerificationError):
        return False
    return True


def standard_python(body: bytes, headers: Headers, secret: str | bytes) -> bool:
    return is_accepted(standardwebhooks.Webhook(secret).verify, body, headers, json_parse=False)


def standard_signature(body: bytes, secret: str, timestamp: int, id: str) -> str:
    moment = datetime.fromtimestamp(timestamp, timezone.utc)
    return standardwebhooks.Webhook(secret).sign(id, moment, body.decode())


def standard(node: Node, prefix: str, with_key: bool = False) -> tuple[dict[str, Sign], dict[str, Verify]]:
    """The packages of Standard Webhooks under the header names of `prefix`."""

    def headers_of(signature: str, timestamp: int, id: str) -> Headers:
        key = {"idempotency-key": id} if with_key else {}
        return {
            f"{prefix}-id": id,
            f"{prefix}-timestamp": str(timestamp),
            f"{prefix}-signature": signature,
            **key,
        }

    def renamed(headers: Headers) -> Headers:
        """What the packages look for: they know `webhook-*` alone, which a delivery has as ours."""
        names = ("id", "timestamp", "signature")
        return {f"webhook-{it}": headers[f"{prefix}-{it}"] for it in names if f"{prefix}-{it}" in headers}

    def by_python(body, secret, timestamp, id):
        return headers_of(standard_signature(body, secret, timestamp, id), timestamp, id)

    def by_npm(body, secret, timestamp, id):
        signature = node.sign("standard.sign", body, secret=secret, timestamp=timestamp, id=id)
        return headers_of(signature, timestamp, id)

    signers = {"standardwebhooks, PyPI": by_python, "standardwebhooks, npm": by_npm}
    verifiers = {
        "standardwebhooks, PyPI": lambda body, headers, secret: standard_python(body, renamed(headers), secret),
        "standardwebhooks, npm": lambda body, headers, secret: node.verify(
            "standard.verify", body, secret=secret, headers=renamed(headers)
        ),
    }
    return signers, verifiers


def stripe_python(body: bytes, secret: str, timestamp: int, id: str) -> Headers:
    header = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp)
    return {"stripe-signature": header}


def slack_python(body: bytes, secret: str, timestamp: int, id: str) -> Headers:
    signature = SignatureVerifier(secret).generate_signature(timestamp=str(timestamp), body=body)
    return {"x-slack-request-timestamp": str(timestamp), "x-slack-signature": signature}


def orders_here(body: bytes, secret: str, timestamp: int, id: str) -> Headers:
    signature = digest("sha256", secret, str(timestamp).encode() + b"." + body).hexdigest()
    return {"x-signature": f"sha256={signature}", "x-timestamp": str(timestamp), "x-event-id": id}


def shopify_here(body: bytes, secret: str, timestamp: int, id: str) -> Headers:
    signature = base64.b64encode(digest("sha256", secret, body).digest()).decode()
    return {"x-shopify-hmac-sha256": signature, "x-shopify-webhook-id": id}


def kinds(node: Node) -> dict[str, Kind]:
    def stripe_npm(body, secret, timestamp, id):
        return {"stripe-signature": node.sign("stripe.sign", body, secret=secret, timestamp=timestamp)}

    def github_npm(body, secret, timestamp, id):
        # GitHub sends the outdated one beside it.
        return {
            "x-hub-signature-256": node.sign("github.sign", body, secret=secret),
            "x-hub-signature": f"sha1={digest('sha1', secret, body).hexdigest()}",
            "x-github-delivery": id,
        }

    def by_node(operation):
        return lambda body, headers, secret: node.verify(operation, body, secret=secret, headers=headers)

    def whsec(text: str) -> str:
        return "whsec_" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    all_kinds = [
        Kind(
            "stripe",
            "stripe",
            "whsec_stripe_of_today_0123456789",
            "whsec_stripe_of_nobody_0123456789",
            {"stripe, PyPI": stripe_python, "stripe, npm": stripe_npm},
            {
                "stripe, PyPI": lambda body, headers, secret: is_accepted(
                    stripe.WebhookSignature.verify_header, body, headers.get("stripe-signature"), secret, 300
                ),
                "stripe, npm": by_node("stripe.verify"),
            },
            "stripe-signature",
            refuses_future=False,
        ),
        Kind(
            "github",
            "github",
            # Of GitHub's own documentation, with its apostrophe.
            "It's a Secret to Everybody",
            "It's another secret to everybody",
            {"@octokit/webhooks-methods": github_npm},
            {"@octokit/webhooks-methods": by_node("github.verify")},
            "x-hub-signature-256",
            signs_time=False,
            fixed={
                "user-agent": "GitHub-Hookshot/044aadd",
                "x-github-event": "issues",
                "x-github-hook-id": "292430182",
            },
        ),
        Kind(
            "slack",
            "slack",
            "8f742231b10e8888abcd99yyyzzz85a5",
            "00000000000000000000000000000000",
            {"slack_sdk": slack_python},
            {
                "slack_sdk": lambda body, headers, secret: SignatureVerifier(secret).is_valid_request(body, headers),
            },
            "x-slack-signature",
        ),
        Kind(
            "shopify",
            "shopify",
            "shpss_0123456789abcdef0123456789abcdef",
            "shpss_ffffffffffffffffffffffffffffffff",
            {"here": shopify_here},
            {"@shopify/shopify-api": by_node("shopify.verify")},
            "x-shopify-hmac-sha256",
            signs_time=False,
            fixed={
                "x-shopify-topic": "orders/create",
                "x-shopify-shop-domain": "example.myshopify.com",
                "x-shopify-api-version": "2026-07",
            },
        ),
        Kind(
            "standard",
            "standard",
            whsec("standard"),
            whsec("nobody"),
            *standard(node, "webhook"),
            "webhook-signature",
        ),
        Kind("svix", "svix", whsec("svix"), whsec("nobody"), *standard(node, "svix"), "svix-signature"),
        Kind(
            "gitlab signing token",
            "gitlab",
            whsec("gitlab"),
            whsec("nobody"),
            *standard(node, "webhook", with_key=True),
            "webhook-signature",
            fixed={"x-gitlab-event": "Issue Hook"},
        ),
        Kind(
            "gitlab secret token",
            "gitlab",
            "glpat-classic-token-of-today",
            "glpat-classic-token-of-nobody",
            {"here": lambda body, secret, timestamp, id: {"x-gitlab-token": secret, "idempotency-key": id}},
            {},
            "x-gitlab-token",
            signs_time=False,
            mismatch="wrong_credentials",
            covers_body=False,
            fixed={"x-gitlab-event": "Issue Hook"},
        ),
        Kind(
            "orders",
            "orders",
            "a secret for our own orders",
            "a secret for nobody's orders",
            {"here": orders_here},
            {},
            "x-signature",
        ),
    ]
    return {it.name: it for it in all_kinds}
