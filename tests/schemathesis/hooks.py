"""What schemathesis cannot know of the scene that tests/it/app/described.rs sets."""

import json
import os
import urllib.request
import zlib

import schemathesis

BASE = os.environ["GATEPOST_URL"]
TOKEN = os.environ["GATEPOST_TOKEN"]


def call(path, body=None):
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(BASE + path, data, headers), timeout=20) as answer:
        return answer.read()


def listed(path, field):
    rows = json.loads(call(path))["data"]
    found = [row[field] for row in rows if row[field] is not None]
    assert found, f"nothing in {path}: the scene is not set"
    return found


# By the beginning of an operation's path: what stands there for its `{id}` or `{name}`.
KNOWN = {
    "/v1/events/": listed("/v1/events", "id"),
    "/v1/deliveries/": listed("/v1/deliveries", "id"),
    "/v1/requests/": listed("/v1/requests", "id"),
    "/v1/jobs/": listed("/v1/jobs", "id"),
    "/v1/issues/": listed("/v1/issues", "id"),
    "/v1/tokens/": listed("/v1/tokens", "id"),
    "/v1/sources/": listed("/v1/sources", "name"),
    "/v1/destinations/": listed("/v1/destinations", "name"),
    "/v1/routes/": listed("/v1/routes", "name"),
    "/v1/notifications/": listed("/v1/notifications", "name"),
    "/v1/queues/": ["jobs"],
}


# The first line of an export.
A_LINE = json.loads(call("/v1/events/export", {}).split(b"\n")[0])


def fresh_job(path):
    """One that runs for a while, and can be resumed where that is called for."""
    job = json.loads(call("/v1/jobs", {"action": "replay", "filter": {"source": "stripe"}, "rate": 1}))["id"]
    if path.endswith("/resume"):
        call(f"/v1/jobs/{job}/pause", {})
    return [job]


def open_delivery():
    """One that waits in the queue, where nothing else is done with it."""
    call("/v1/sources/meters/sample", {})
    return listed("/v1/deliveries?destination=jobs&status=pending", "id")[:1]


def whole(value):
    """JSON Schema takes 1.0 for a whole number; a whole number has no point here, and no writer of JSON gives it one."""
    if isinstance(value, dict):
        return {name: whole(it) for name, it in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def is_good(case, place):
    """Whether what stands there is meant to be good."""
    return all(it.mode.is_positive for location, it in case.meta.components.items() if location.value == place)


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Most calls are about a thing that is there, and nobody waits for what never comes."""
    path = case.operation.path
    known = next((it for start, it in KNOWN.items() if path.startswith(start)), None)
    draw = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
    for name, value in (case.path_parameters or {}).items():
        # A token of the config has no id, of which schemathesis makes `null` where it asks for that token.
        is_none = value in (None, "null")
        if known and is_good(case, "path") and (is_none or draw % 4):
            if path.startswith("/v1/jobs/{id}/"):
                known = fresh_job(path)
            elif path == "/v1/deliveries/{id}/cancel":
                known = open_delivery()
            case.path_parameters[name] = known[draw // 4 % len(known)]
    has_body = isinstance(case.body, dict)
    if path == "/v1/queues/{name}/receive" and is_good(case, "body"):
        case.body = {**(whole(case.body) if has_body else {}), "wait_s": 0}
    elif has_body and is_good(case, "body"):
        case.body = whole(case.body)


# Operations of which there may be no good call here: they need a token in a form, a provider of single sign-on, or a receipt.
MAY_BE_BAD = {"login", "begin_oidc_login", "oidc_login", "ack", "nack", "extend"}


@schemathesis.check
class GoodOnce:
    """Of every other operation at least one call is good: else what it answers then was never looked at."""

    def __init__(self):
        self.called = set()
        self.good = set()

    def after_response(self, ctx, response, case):
        name = case.operation.definition.raw["operationId"]
        if case.method.upper() != case.operation.method.upper():
            return
        self.called.add(name)
        if response.status_code < 400:
            self.good.add(name)

    def after_run(self, ctx):
        never = self.called - self.good - MAY_BE_BAD
        if never:
            raise AssertionError("no call was good of " + ", ".join(sorted(never)))


@schemathesis.serializer("application/x-ndjson")
def as_line(ctx, value):
    return value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n"


@schemathesis.deserializer("application/octet-stream")
def as_text(ctx, response):
    return response.content.decode("latin-1")


@schemathesis.deserializer("application/x-ndjson")
def first_line(ctx, response):
    """The schema is of one line; an export of nothing has none."""
    return json.loads(response.content.split(b"\n")[0]) if response.content else A_LINE
