"""The configuration that the checks run with: the one under test, so written as an operator would."""

import base64
import hashlib

from signers import Kind

# Still in use while the sender changes over.
OLD_STRIPE_SECRET = "whsec_stripe_of_yesterday_0123456"
# Both ways in which a signing secret may be written.
APP_SECRET = "whsec_" + base64.b64encode(hashlib.sha256(b"app").digest()).decode()
PLAIN_SECRET = "a plain text as signing secret"

CONFIG = """
[server]
listen = "127.0.0.1:0"

[admin]
listen = "127.0.0.1:0"

[store]
url = { env = "STORE_URL" }

[sources.stripe]
provider = "stripe"
secrets = [{ env = "STRIPE" }, { env = "STRIPE_OLD" }]

[sources.github]
provider = "github"
secrets = [{ env = "GITHUB" }]

[sources.slack]
provider = "slack"
secrets = [{ env = "SLACK" }]

[sources.shopify]
provider = "shopify"
secrets = [{ env = "SHOPIFY" }]

[sources.standard]
provider = "standard-webhooks"
secrets = [{ env = "STANDARD" }]

[sources.svix]
provider = "svix"
secrets = [{ env = "SVIX" }]

[sources.gitlab]
provider = "gitlab"
secrets = [{ env = "GITLAB_SIGNING_TOKEN" }, { env = "GITLAB_SECRET_TOKEN" }]

[sources.orders]
provider = "hmac"
secrets = [{ env = "ORDERS" }]
event_id = "header:x-event-id"
event_type = "body:/type"

[sources.orders.hmac]
header = "x-signature"
prefix = "sha256="
signed = "{timestamp}.{body}"
timestamp_header = "x-timestamp"
tolerance = "5m"

[destinations.app]
url = "HANDLER/app"
signing_secret = { env = "APP_SECRET" }
retry = { first = "100ms", cap = "1s" }

[destinations.plain]
url = "HANDLER/plain"
signing_secret = { env = "PLAIN_SECRET" }
retry = { first = "100ms", cap = "1s" }
"""
SOURCES = ("stripe", "github", "slack", "shopify", "standard", "svix", "gitlab", "orders")


def config(handler_url: str) -> str:
    routes = [(source, "app") for source in SOURCES] + [("orders", "plain")]
    return CONFIG.replace("HANDLER", handler_url) + "".join(
        f'\n[[routes]]\nsource = "{source}"\ndestination = "{destination}"\n' for source, destination in routes
    )


def variables(all_kinds: dict[str, Kind], store_url: str) -> dict[str, str]:
    return {
        **{name.upper(): all_kinds[name].secret for name in SOURCES if name in all_kinds},
        "STORE_URL": store_url,
        "STRIPE_OLD": OLD_STRIPE_SECRET,
        "GITLAB_SIGNING_TOKEN": all_kinds["gitlab signing token"].secret,
        "GITLAB_SECRET_TOKEN": all_kinds["gitlab secret token"].secret,
        "APP_SECRET": APP_SECRET,
        "PLAIN_SECRET": PLAIN_SECRET,
    }
