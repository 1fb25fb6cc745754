"""Official packages against the real gatepost: what they sign is stored and delivered, what they refuse is refused.

Once on SQLite, once on Postgres. Started by `run`, which installs the packages and builds gatepost.
"""

import base64
import contextlib
import hashlib
import hmac
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.parse
from pathlib import Path

from cases import FORM, JSON, Case, Forgery, forged, genuine
from settings import APP_SECRET, PLAIN_SECRET, config, variables
from signers import Kind, Node, kinds, standard_python
from surroundings import Answer, Gateway, Handler, Missing, postgres, start, stop, wait_until

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "target" / "debug" / "gatepost"
MOST_S = 300
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)


class Checks:
    """One line each."""

    def __init__(self):
        self.engine = ""
        self.n_passed = self.n_failed = 0

    def check(self, name: str, faults: list[str]):
        if faults:
            self.n_failed += 1
        else:
            self.n_passed += 1
        verdict = "FAIL" if faults else "ok  "
        print(f"{verdict} {self.engine:8} {name}{': ' if faults else ''}{'; '.join(faults)}", flush=True)


def differences(**facts) -> list[str]:
    """Of pairs (found, expected), those that differ."""
    return [
        f"{name.replace('_', ' ')}: found {found!r}, expected {expected!r}"
        for name, (found, expected) in facts.items()
        if found != expected
    ]


def destinations_of(case: Case) -> list[str]:
    return ["app", "plain"] if case.kind.source == "orders" else ["app"]


def verified_of(case: Case) -> str:
    return "body" if case.kind.covers_body else "origin"


def target_of(forgery: Forgery) -> str:
    return f"/webhooks/{forgery.source}?forgery={forgery.key}"


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def faults_of_signature(headers: dict, body: bytes, secret: str, is_text: bool, node: Node) -> list[str]:
    """Our own signature in the eyes of the official packages."""
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    message = f"{headers.get('webhook-id')}.{headers.get('webhook-timestamp')}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.digest(key, message, "sha256")).decode()
    faults = differences(our_signature=(headers.get("webhook-signature"), expected))
    if not is_text:
        # The packages take text alone, so the standard library has the last word.
        return faults
    python_secret = secret if secret.startswith("whsec_") else key
    format = "prefixed" if secret.startswith("whsec_") else "raw"

    def by_npm(body: bytes) -> bool:
        return node.verify("standard.verify", body, headers=headers, secret=secret, format=format)

    other = body + b" "
    return faults + differences(
        our_signature_by_PyPI=(standard_python(body, headers, python_secret), True),
        our_signature_by_npm=(by_npm(body), True),
        another_body_by_PyPI=(standard_python(other, headers, python_secret), False),
        another_body_by_npm=(by_npm(other), False),
    )


class Run:
    """Everything against one store."""

    def __init__(self, checks: Checks, node: Node, all_kinds: dict[str, Kind], gateway: Gateway, handler: Handler):
        self.checks, self.node, self.kinds = checks, node, all_kinds
        self.gateway, self.handler = gateway, handler
        # Answers to genuine requests for an event that is there already.
        self.n_known = self.n_taken_for_new = 0

    def run(self):
        cases = genuine(self.kinds)
        self.handler.fails_first |= {it.external_id for it in cases if it.fails_first}
        sent = [(it, self.faults_of_packages(it), *self.send_twice(it)) for it in cases]
        self.check_handshakes()
        self.check_reused_ids({case.name: (case, first) for case, _, first, _ in sent})
        # Made only now: their times of signing count.
        forgeries = forged(self.kinds)
        refused = [(it, self.faults_of_forgery(it), self.send_forgery(it)) for it in forgeries]

        n_events = len(cases) + self.n_taken_for_new
        n_deliveries = n_events + sum(it.kind.source == "orders" for it in cases)
        expected = {
            "stored": n_events,
            "duplicates": len(cases) + self.n_known,
            # With the one of the handshakes.
            "rejected": len(forgeries) + 1,
            "delivered": n_deliveries,
            "open": 0,
            "dead": 0,
            "balanced": True,
        }
        with contextlib.suppress(TimeoutError):
            wait_until("the ledger", lambda: self.ledger(expected) == expected)
        faults = differences(ledger=(self.ledger(expected), expected))
        self.checks.check("the ledger: all is delivered or rejected, and nothing else is there", faults)

        # Nothing is open, so nothing can come any more.
        events = self.gateway.all("/v1/events")
        for case, faults, first, second in sent:
            self.checks.check(case.name, faults + self.faults_of_case(case, first, second, events))
        n_second_tries = sum(len(destinations_of(it)) for it in cases if it.fails_first)
        n_at_handler = sum(len(it) for it in self.handler.got.values())
        faults = differences(
            requests_at_the_handler=(n_at_handler, n_deliveries + n_second_tries), events=(len(events), n_events)
        )
        self.checks.check("no handler got anything else, and no event is stored twice", faults)

        rejected = {it["target"]: it for it in self.gateway.all("/v1/requests")}
        for forgery, faults, answer in refused:
            faults += self.faults_of_refusal(forgery, answer, rejected.get(target_of(forgery), {}))
            self.checks.check(f"refused as {forgery.cause}: {forgery.name}", faults)
        n_answers = len({(it.status, it.content_type, it.body) for _, _, it in refused})
        self.checks.check("a refusal does not say why", differences(different_answers=(n_answers, 1)))

    def ledger(self, wanted) -> dict:
        ledger = self.gateway.get("/v1/ledger").json()
        return {name: ledger[name] for name in wanted}

    def send_twice(self, case: Case) -> list[Answer]:
        headers = [*case.headers.items(), ("content-type", case.content_type)]
        return [self.gateway.post(f"/webhooks/{case.kind.source}", case.body, headers) for _ in range(2)]

    def send_forgery(self, forgery: Forgery) -> Answer:
        return self.gateway.post(target_of(forgery), forgery.body, forgery.headers)

    def faults_of_packages(self, case: Case) -> list[str]:
        """A genuine request is one that the package takes."""
        if not case.is_text:
            return []
        verifiers = case.kind.verifiers.items()
        found = {f"as sent, by {name}": verify(case.body, case.headers, case.secret) for name, verify in verifiers}
        return differences(**{name: (it, True) for name, it in found.items()})

    def faults_of_forgery(self, forgery: Forgery) -> list[str]:
        """A forgery that the package takes would prove nothing."""
        if not forgery.is_refused_by_packages:
            return []
        kind, headers = forgery.kind, dict(forgery.headers)
        found = {f"by {name}": verify(forgery.body, headers, kind.secret) for name, verify in kind.verifiers.items()}
        return differences(**{name: (it, False) for name, it in found.items()})

    def faults_of_case(self, case: Case, first: Answer, second: Answer, events: list[dict]) -> list[str]:
        if (first.status, second.status) != (200, 200):
            return [f"answered {first.status} {first.body!r}, then {second.status} {second.body!r}"]
        first, second = first.json(), second.json()
        id = first["id"]
        is_same = [it["id"] == id or case.external_id and it["external_id"] == case.external_id for it in events]
        event = self.gateway.get(f"/v1/events/{id}").json()
        deliveries = sorted((it["destination"], it["status"], it["attempts"]) for it in event["deliveries"])
        numbers = (1, 2) if case.fails_first else (1,)
        got = self.handler.got[id]
        faults = differences(
            first_answer=(first, {"id": id, "status": "accepted"}),
            second_answer=(second, {"id": id, "status": "duplicate"}),
            rows=(sum(map(bool, is_same)), 1),
            stored_body=(sha256(self.gateway.get(f"/v1/events/{id}/body").body), sha256(case.body)),
            source=(event["source"], case.kind.source),
            external_id=(event["external_id"], case.external_id),
            type=(event["type"], case.type),
            verified=(event["verified"], verified_of(case)),
            size=(event["size"], len(case.body)),
            deliveries=(deliveries, [(it, "delivered", len(numbers)) for it in destinations_of(case)]),
            at_the_handler=(
                sorted((path, it["gatepost-attempt"]) for path, it, _ in got),
                [(f"/{it}", str(number)) for it in destinations_of(case) for number in numbers],
            ),
        )
        for path, headers, body in got:
            faults += self.faults_of_delivery(case, path, headers, body)
        return faults

    def faults_of_delivery(self, case: Case, path: str, headers: dict, body: bytes) -> list[str]:
        said = {name: urllib.parse.unquote(headers[name]) for name in headers if name.startswith("gatepost-")}
        faults = differences(
            delivered_body=(sha256(body), sha256(case.body)),
            content_type=(headers.get("content-type"), case.content_type),
            gatepost_source=(said.get("gatepost-source"), case.kind.source),
            gatepost_event_type=(said.get("gatepost-event-type"), case.type),
            gatepost_external_id=(said.get("gatepost-external-id"), case.external_id),
            gatepost_verified=(said.get("gatepost-verified"), verified_of(case)),
            gatepost_origin=(said.get("gatepost-origin"), "received"),
        )
        secret = APP_SECRET if path == "/app" else PLAIN_SECRET
        faults += faults_of_signature(headers, body, secret, case.is_text, self.node)
        # A handler with the provider's own package in it goes on working behind gatepost. Not where the sender signs in
        # `webhook-*`: those headers are ours by then. And not where the package's clock would say no.
        if case.is_text and not case.age_s and not case.kind.signature.startswith("webhook-"):
            for package, verify in case.kind.verifiers.items():
                faults += differences(**{f"as delivered, by {package}": (verify(body, headers, case.secret), True)})
        return faults

    def faults_of_refusal(self, forgery: Forgery, answer: Answer, row: dict) -> list[str]:
        return differences(
            answer=(answer.status, 401),
            cause=(row.get("cause"), forgery.cause),
            source=(row.get("source"), forgery.source),
            size=(row.get("size"), len(forgery.body)),
            accepted_as=(row.get("accepted_as"), None),
        )

    def check_handshakes(self):
        slack = self.kinds["slack"]
        now = int(time.time())

        def post(body: bytes, content_type: str, secret: str) -> Answer:
            headers = {"content-type": content_type, **slack.signers["slack_sdk"](body, secret, now, "")}
            return self.gateway.post("/webhooks/slack", body, headers.items())

        challenge = b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"
        body = b'{"token":"XXYYZZ","challenge":"%s","type":"url_verification"}' % challenge
        answer = post(body, JSON, slack.secret)
        got = (answer.status, (answer.content_type or "").split(";")[0], answer.body)
        faults = differences(answer=(got, (200, "text/plain", challenge)))
        self.checks.check("slack, url_verification: the challenge comes back", faults)
        answer = post(body, JSON, slack.other_secret)
        faults = differences(status=(answer.status, 401), echoed=(challenge in answer.body, False))
        self.checks.check("slack, url_verification: a forged one gets nothing back", faults)
        answer = post(b"ssl_check=1&token=XXYYZZ", FORM, slack.secret)
        self.checks.check("slack, ssl_check", differences(status=(answer.status, 200)))

    def check_reused_ids(self, firsts: dict[str, tuple[Case, Answer]]):
        """Requests that are genuine, and new as requests but not as events."""
        now = int(time.time())

        def again(what: str, name: str, change=lambda body: body, **also: str):
            case, first = firsts[name]
            body = change(case.body)
            sign = next(iter(case.kind.signers.values()))
            headers = {"content-type": case.content_type, **case.kind.fixed}
            headers |= sign(body, case.secret, now, case.external_id)
            headers |= {name.replace("_", "-"): value for name, value in also.items()}
            answer = self.gateway.post(f"/webhooks/{case.kind.source}", body, headers.items())
            got = answer.json() if answer.status == 200 else {"status": answer.status}
            expected = {"id": first.json().get("id"), "status": "duplicate"}
            self.n_known += got["status"] == "duplicate"
            self.n_taken_for_new += got["status"] == "accepted"
            self.checks.check(f"{what}: a duplicate", differences(answer=(got, expected)))

        for name in ("stripe", "standard", "svix", "gitlab signing token", "orders"):
            again(f"{name}, a retry with a signature of its own", f"{name}, signed 4 minutes ago")
        again(
            "stripe, the same id with another body",
            "stripe (stripe, PyPI), plain text",
            lambda body: body.replace(b"2000", b"9000"),
        )
        # Or whoever holds one signed request could make as many events of it as they like.
        again(
            "gitlab, a signed id beside another `idempotency-key`, which nobody signed",
            "gitlab signing token, signed 4 minutes ago",
            idempotency_key="0e5b6b1c-7f0e-4d0e-9d2e-1a2b3c4d5e6f",
        )


def run(checks: Checks, engine: str, store_url: str, node: Node, directory: Path):
    checks.engine = engine
    directory.mkdir()
    all_kinds = kinds(node)
    store_url = store_url or f"sqlite:{directory / 'gatepost.db'}"
    with Handler() as handler:
        gateway = Gateway(BINARY, directory, config(handler.url), variables(all_kinds, store_url))
        try:
            with gateway:
                Run(checks, node, all_kinds, gateway, handler).run()
        except BaseException:
            print("\n".join(["the last lines of gatepost's log:", *list(gateway.log)[-30:]]), file=sys.stderr)
            raise
        errors = [it for it in gateway.log if '"level":"ERROR"' in it or "panicked" in it]
        faults = differences(exit_code=(gateway.exit_code, 0), errors=(errors, []))
        checks.check("gatepost stops when asked to, and logged no error", faults)


def interrupted(number: int, _frame):
    # Once is enough: what follows is clearing up.
    for it in ENDINGS:
        signal.signal(it, signal.SIG_IGN)
    if number == signal.SIGALRM:
        raise TimeoutError(f"not done after {MOST_S} s")
    raise KeyboardInterrupt


def main() -> int:
    for number in ENDINGS:
        signal.signal(number, interrupted)
    signal.alarm(MOST_S)
    checks = Checks()
    process = start(
        ["node", str(ROOT / "target" / "sdk" / "node" / "sign.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        node = Node(process)
        with tempfile.TemporaryDirectory(prefix="gatepost-sdk.") as directory:
            run(checks, "sqlite", "", node, Path(directory) / "sqlite")
            with postgres() as url:
                run(checks, "postgres", url, node, Path(directory) / "postgres")
    except Missing as error:
        checks.check("the run itself", [str(error)])
    except Exception as error:
        traceback.print_exc()
        checks.check("the run itself", [repr(error)])
    except KeyboardInterrupt:
        checks.check("the run itself", ["interrupted"])
    finally:
        stop(process)
    print(f"{checks.n_passed} passed, {checks.n_failed} failed")
    return 1 if checks.n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
