"""What the PyPI packages say of a request: for each provider its own package, and what in it decides.

As `npm.mjs`: `True` is an acceptance, everything else, also an exception, a refusal.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from urllib.parse import parse_qs, parse_qsl, urlsplit


@dataclass
class Request:
    """With one secret of those that the source has."""

    method: str
    url: str
    target: str
    headers: dict[str, str]
    """Names in lower case; values that came several times are joined."""
    body: bytes
    secret: str
    options: dict[str, str]

    @cached_property
    def text(self) -> str:
        return self.body.decode()

    @cached_property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.text, keep_blank_values=True))

    @property
    def is_form(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


@dataclass
class Judge:
    provider: str
    package: str
    decides: str
    prepare: Callable[[], Callable[[Request], object]]

    @cached_property
    def verify(self) -> Callable[[Request], object]:
        return self.prepare()

    @property
    def version(self) -> str:
        return version(self.package)


JUDGES: dict[str, Judge] = {}
"""By `provider package`."""


def judge(provider: str, package: str, decides: str):
    def keep(prepare):
        JUDGES[f"{provider} {package}"] = Judge(provider, package, decides, prepare)
        return prepare

    return keep


def unless_it_raises(verify):
    """For packages that answer by raising."""

    def verified(it: Request) -> bool:
        verify(it)
        return True

    return verified


@judge("stripe", "stripe", "WebhookSignature.verify_header")
def _():
    from stripe import WebhookSignature

    return lambda it: WebhookSignature.verify_header(it.text, it.headers.get("stripe-signature"), it.secret, 300)


@judge("github", "gidgethub", "sansio.validate_event")
def _():
    from gidgethub.sansio import validate_event

    return unless_it_raises(
        lambda it: validate_event(it.body, signature=it.headers["x-hub-signature-256"], secret=it.secret)
    )


@judge("slack", "slack_sdk", "SignatureVerifier.is_valid_request")
def _():
    from slack_sdk.signature import SignatureVerifier

    return lambda it: SignatureVerifier(it.secret).is_valid_request(it.body, it.headers)


@judge("standard-webhooks", "standardwebhooks", "Webhook.verify")
def _():
    from standardwebhooks import Webhook

    return unless_it_raises(lambda it: Webhook(it.secret).verify(it.body, it.headers, json_parse=False))


@judge("twilio", "twilio", "RequestValidator.validate")
def _():
    from twilio.request_validator import RequestValidator

    def verify(it: Request):
        if it.is_form:
            # As a framework hands them over: each name with all its values.
            parameters = MultiDict(parse_qs(it.text, keep_blank_values=True))
        elif "bodySHA256" in parse_qs(urlsplit(it.url).query):
            parameters = it.text
        else:
            parameters = {}
        return RequestValidator(it.secret).validate(it.url, parameters, it.headers.get("x-twilio-signature", ""))

    class MultiDict(dict):
        def getlist(self, name):
            return self[name]

    return verify


@judge("square", "squareup", "webhooks_helper.verify_signature")
def _():
    from square.utils.webhooks_helper import verify_signature

    return lambda it: verify_signature(
        request_body=it.text,
        signature_header=it.headers.get("x-square-hmacsha256-signature"),
        signature_key=it.secret,
        notification_url=it.url,
    )


@judge("paddle", "paddle-python-sdk", "Verifier.verify")
def _():
    from paddle_billing.Notifications import Secret, Verifier

    class Asked:
        def __init__(self, it: Request):
            self.body, self.content, self.data = it.body, it.body, it.body
            self.headers = {name.title(): value for name, value in it.headers.items()}

    return lambda it: Verifier().verify(Asked(it), Secret(it.secret))


@judge("adyen", "Adyen", "util.is_valid_hmac_notification")
def _():
    from Adyen.util import is_valid_hmac_notification

    def verify(it: Request):
        items = [it["NotificationRequestItem"] for it in json.loads(it.body)["notificationItems"]]
        return len(items) > 0 and all(is_valid_hmac_notification(item, it.secret) for item in items)

    return verify


@judge("sendgrid", "sendgrid", "EventWebhook.verify_signature")
def _():
    from sendgrid.helpers.eventwebhook import EventWebhook, EventWebhookHeader

    signature, timestamp = (it.lower() for it in (EventWebhookHeader.SIGNATURE, EventWebhookHeader.TIMESTAMP))

    def verify(it: Request):
        webhook = EventWebhook()
        key = webhook.convert_public_key_to_ecdsa(it.secret)
        return webhook.verify_signature(it.text, it.headers[signature], it.headers[timestamp], key)

    return verify


@judge("discord", "discord-interactions", "verify_key")
def _():
    from discord_interactions import verify_key

    return lambda it: verify_key(
        it.body, it.headers["x-signature-ed25519"], it.headers["x-signature-timestamp"], it.secret
    )


@judge("line", "line-bot-sdk", "SignatureValidator.validate")
def _():
    from linebot.v3.webhook import SignatureValidator

    return lambda it: SignatureValidator(it.secret).validate(it.text, it.headers["x-line-signature"])


@judge("gocardless", "gocardless_pro", "webhooks._verify_signature")
def _():
    from gocardless_pro import webhooks

    return unless_it_raises(
        lambda it: webhooks._verify_signature(it.text, it.secret, it.headers["webhook-signature"])
    )


@judge("razorpay", "razorpay", "Utility.verify_webhook_signature")
def _():
    import razorpay

    utility = razorpay.Client(auth=("id", "secret")).utility
    return lambda it: utility.verify_webhook_signature(it.text, it.headers["x-razorpay-signature"], it.secret)


@judge("box", "boxsdk", "WebhooksManager.validate_message")
def _():
    from box_sdk_gen.managers.webhooks import WebhooksManager

    # Box signs with both of its keys, and the receiver may have either.
    return lambda it: WebhooksManager.validate_message(it.text, it.headers, it.secret, secondary_key=it.secret)


@judge("braintree", "braintree", "WebhookNotificationGateway.parse")
def _():
    import braintree

    def verify(it: Request):
        gateway = braintree.BraintreeGateway(
            braintree.Configuration(
                environment=braintree.Environment.Sandbox,
                merchant_id="merchant",
                public_key=it.options["public_key"],
                private_key=it.secret,
            )
        )
        gateway.webhook_notification.parse(it.form["bt_signature"], it.form["bt_payload"])

    return unless_it_raises(verify)


@judge("mailgun", "mailgun", "SecurityGuard.verify_webhook")
def _():
    from mailgun.security import SecurityGuard

    def verify(it: Request):
        signature = json.loads(it.body)["signature"]
        return SecurityGuard.verify_webhook(
            it.secret, signature["token"], signature["timestamp"], signature["signature"]
        )

    return verify


@judge("plivo", "plivo", "validate_v3_signature")
def _():
    from plivo.utils.signature_v3 import validate_v3_signature

    return lambda it: validate_v3_signature(
        it.method,
        it.url,
        it.headers["x-plivo-signature-v3-nonce"],
        it.secret,
        it.headers["x-plivo-signature-v3"],
        it.form,
    )


@judge("pusher", "pusher", "PusherClient.validate_webhook")
def _():
    import pusher

    def verify(it: Request):
        client = pusher.Pusher(app_id="1", key="key", secret=it.secret)
        return client.validate_webhook("key", it.headers.get("x-pusher-signature"), it.text) is not None

    return verify


@judge("viber", "viberbot", "Api.verify_signature")
def _():
    from viberbot import Api
    from viberbot.api.bot_configuration import BotConfiguration

    return lambda it: Api(BotConfiguration(name="x", avatar="", auth_token=it.secret)).verify_signature(
        it.body, it.headers["x-viber-content-signature"]
    )


@judge("workos", "workos", "Webhooks.verify_header")
def _():
    from workos.webhooks import Webhooks

    return unless_it_raises(
        lambda it: Webhooks(None).verify_header(
            event_body=it.body, event_signature=it.headers["workos-signature"], secret=it.secret
        )
    )


@judge("cronofy", "pycronofy", "Client.hmac_valid")
def _():
    from pycronofy import Client

    return lambda it: Client(client_id="id", client_secret=it.secret).hmac_valid(
        it.headers["cronofy-hmac-sha256"], it.text
    )


def by_anymail(provider: str, view: str, settings: str, url_settings: str | None = None):
    """django-anymail: the webhook views of a Django package that many run."""

    @judge(provider, "django-anymail", f"{view}.post")
    def _():
        from importlib import import_module

        from django.conf import settings as django
        from django.test import RequestFactory

        if not django.configured:
            django.configure(ALLOWED_HOSTS=["*"], ANYMAIL={}, SECRET_KEY="not-a-key", USE_TZ=True)
        module, _, name = view.rpartition(".")
        Class = getattr(import_module(f"anymail.webhooks.{module}"), name)

        def verify(it: Request):
            # A key in PEM is wanted without its first and last line.
            lines = it.secret.strip().splitlines()
            django.ANYMAIL = {settings: "".join(lines[1:-1]) if len(lines) > 2 else it.secret}
            if url_settings:
                django.ANYMAIL |= {url_settings: it.url}
            headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in it.headers.items()}
            request = RequestFactory().post(it.target, it.body, content_type=it.headers["content-type"], **headers)
            answer = Class.as_view().view_class()
            answer.setup(request)
            answer.validate_request(request)

        return unless_it_raises(verify)


by_anymail("mailersend", "mailersend.MailerSendTrackingWebhookView", "MAILERSEND_SIGNING_SECRET")
by_anymail("mandrill", "mandrill.MandrillCombinedWebhookView", "MANDRILL_WEBHOOK_KEY", "MANDRILL_WEBHOOK_URL")
by_anymail("mailtrap", "mailtrap.MailtrapTrackingWebhookView", "MAILTRAP_TRACKING_SECRET")
by_anymail("postal", "postal.PostalTrackingWebhookView", "POSTAL_WEBHOOK_KEY")
by_anymail("postmark", "postmark.PostmarkTrackingWebhookView", "WEBHOOK_SECRET")
by_anymail("sparkpost", "sparkpost.SparkPostTrackingWebhookView", "WEBHOOK_SECRET")
by_anymail("unisender-go", "unisender_go.UnisenderGoTrackingWebhookView", "UNISENDER_GO_API_KEY")


