"""The handlers of docs/handlers.md, as they stand there, behind the real gatepost.

What the page leaves to its reader is filled in: `rememberAndWork`, and the port. Go is run where it is installed, Rails where
it, its SQLite, Puma and `standardwebhooks` are.
Started by `run`, which installs the packages and builds gatepost.
"""

import base64
import contextlib
import hmac
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from check import BINARY, Checks, differences
from surroundings import Gateway, ask, start, stop, wait_until

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "handlers.md"
NODE = ROOT / "target" / "sdk" / "node"

STRIPE_SECRET = "whsec_handlers_of_the_page_0123456789"
SIGNING_SECRET = "whsec_" + base64.b64encode(b"the handlers of the page").decode()
BODY = b'{"id":"evt_1","object":"event","type":"invoice.paid","created":1700000000,"data":{"object":{"id":"in_1"}}}'

CONFIG = """
[server]
listen = "127.0.0.1:0"
[admin]
listen = "127.0.0.1:0"
[store]
url = { env = "STORE_URL" }
[log]
format = "json"
[sources.stripe]
provider = "stripe"
secrets = [{ env = "STRIPE" }]
[destinations.handler]
url = { env = "HANDLER_URL" }
signing_secret = { env = "SIGNING_SECRET" }
retry = { max_attempts = 1 }
[[routes]]
source = "stripe"
destination = "handler"
"""

REMEMBER_JS = """
const seen = new Set();
async function rememberAndWork(id) {
  const isNew = !seen.has(id);
  seen.add(id);
  return isNew;
}
"""
REMEMBER_PYTHON = """

seen = set()


async def remember_and_work(id, event):
    is_new = id not in seen
    seen.add(id)
    return is_new
"""
REMEMBER_RUST = """
struct Busy;

impl Busy {
    fn seconds(&self) -> u32 {
        30
    }
}

static SEEN: std::sync::Mutex<std::collections::BTreeSet<String>> = std::sync::Mutex::new(std::collections::BTreeSet::new());

async fn remember_and_work(id: &str, body: &[u8]) -> Result<bool, Busy> {
    if body.is_empty() {
        return Err(Busy);
    }
    Ok(SEEN.lock().unwrap().insert(id.to_owned()))
}

#[tokio::main]
async fn main() {
    let webhook = Webhook::new(&std::env::var("BILLING_SIGNING_SECRET").unwrap()).unwrap();
    let listener = tokio::net::TcpListener::bind(std::env::args().nth(1).unwrap()).await.unwrap();
    axum::serve(listener, router(webhook)).await.unwrap();
}
"""
BEFORE_RAILS = """
require "rails"
require "action_controller/railtie"
require "active_record/railtie"
require "standardwebhooks"

class Application < Rails::Application
  config.eager_load = false
  config.hosts.clear
  config.logger = Logger.new($stderr)
  config.log_level = :error
  config.secret_key_base = "of the page"
end

ENV["DATABASE_URL"] = "sqlite3:seen.db"

class SeenEvent < ActiveRecord::Base
end

"""
AFTER_RAILS = """
class HooksController
  def handle(event)
    raise "not the event" unless event["id"] == "evt_1"
  end
end

Application.initialize!
ActiveRecord::Schema.verbose = false
ActiveRecord::Schema.define { create_table(:seen_events) { |it| it.string :webhook_id, null: false, index: { unique: true } } }
Rails.application.routes.draw { post "/hooks", to: "hooks#create" }
run Rails.application
"""
REMEMBER_GO = """package main

import (
	"context"
	"sync"
)

var seen sync.Map

func rememberAndWork(_ context.Context, id string, _ []byte) (bool, error) {
	_, isKnown := seen.LoadOrStore(id, true)
	return !isKnown, nil
}
"""


def example(title: str) -> str:
    """The code under a heading of the page."""
    found = re.search(rf"^## {title}\n(?:\n[^#`\n][^\n]*\n)*\n```\w+\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    if not found:
        raise LookupError(f"{PAGE.name} has no example under `{title}`")
    return found[1]


def express(directory: Path, port: int) -> list[str]:
    code = example("Express")
    if code.count("app.listen(3000)") != 1:
        raise LookupError("the example of Express listens elsewhere")
    # Node looks for packages beside the file that imports them.
    file = NODE / "handler-of-the-page.mjs"
    file.write_text(code.replace("app.listen(3000)", f'app.listen({port}, "127.0.0.1")') + REMEMBER_JS)
    return ["node", str(file)]


def fastapi(directory: Path, port: int) -> list[str]:
    (directory / "handler.py").write_text(example("FastAPI") + REMEMBER_PYTHON)
    options = ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    return [sys.executable, "-m", "uvicorn", "handler:app", *options]


def axum(directory: Path, port: int) -> list[str]:
    """In a crate of its own, whose lock has the versions of ours."""
    crate = ROOT / "target" / "sdk" / "axum"
    (crate / "src").mkdir(parents=True, exist_ok=True)
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copyfile(ROOT / "tests" / "sdk" / "axum" / name, crate / name)
    (crate / "src" / "main.rs").write_text(example("axum") + REMEMBER_RUST)
    subprocess.run(["cargo", "build", "--locked", "--quiet", "--manifest-path", crate / "Cargo.toml"], check=True)
    return [str(BINARY.parent / "handler-of-the-page"), f"127.0.0.1:{port}"]


def go(directory: Path, port: int) -> list[str]:
    code = example("Go")
    if code.count('":3000"') != 1:
        raise LookupError("the example of Go listens elsewhere")
    (directory / "main.go").write_text(code.replace('":3000"', f'"127.0.0.1:{port}"'))
    (directory / "remember.go").write_text(REMEMBER_GO)
    # The standard library alone: nothing is to be had from anywhere.
    environment = {**os.environ, "GOCACHE": str(ROOT / "target" / "sdk" / "go"), "GOPROXY": "off", "GO111MODULE": "off"}
    subprocess.run(["go", "vet", "main.go", "remember.go"], cwd=directory, env=environment, check=True)
    subprocess.run(["go", "build", "-o", "handler", "main.go", "remember.go"], cwd=directory, env=environment, check=True)
    return [str(directory / "handler")]


def rails(directory: Path, port: int) -> list[str]:
    (directory / "config.ru").write_text(BEFORE_RAILS + example("Rails") + AFTER_RAILS)
    return ["puma", "--quiet", "--bind", f"tcp://127.0.0.1:{port}", "config.ru"]


def has_rails() -> bool:
    if not shutil.which("ruby") or not shutil.which("puma"):
        return False
    needed = "require 'rails'; require 'sqlite3'; require 'standardwebhooks'"
    return subprocess.run(["ruby", "-e", needed], stderr=subprocess.DEVNULL).returncode == 0


def free_port() -> int:
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def signed() -> list[tuple[str, str]]:
    now = int(time.time())
    tag = hmac.digest(STRIPE_SECRET.encode(), f"{now}.".encode() + BODY, "sha256").hex()
    return [("stripe-signature", f"t={now},v1={tag}"), ("content-type", "application/json")]


def outcomes(gateway: Gateway, id: str) -> list[tuple]:
    """Of each delivery: what it came by, its status, and what the handler answered."""
    event = gateway.get(f"/v1/events/{id}").json()
    shown = [gateway.get(f"/v1/deliveries/{it['id']}").json() for it in event["deliveries"]]
    return sorted((it["origin"], it["status"], *(attempt["status_code"] for attempt in it["attempts"])) for it in shown)


def check(checks: Checks, name: str, command):
    checks.engine = name
    with tempfile.TemporaryDirectory(prefix="gatepost-handlers.") as text:
        directory, port = Path(text), free_port()
        environment = {**os.environ, "BILLING_SIGNING_SECRET": SIGNING_SECRET}
        handler = start(command(directory, port), cwd=directory, env=environment)
        try:
            wait_until(name, lambda: answers(port))
            variables = {
                "STORE_URL": f"sqlite:{directory / 'gatepost.db'}",
                "STRIPE": STRIPE_SECRET,
                "SIGNING_SECRET": SIGNING_SECRET,
                "HANDLER_URL": f"http://127.0.0.1:{port}/hooks",
            }
            with Gateway(BINARY, directory, CONFIG, variables) as gateway:
                behind(checks, gateway, port)
        finally:
            stop(handler)


def behind(checks: Checks, gateway: Gateway, port: int):
    id = gateway.post("/webhooks/stripe", BODY, signed()).json()["id"]

    def is_done(n: int) -> list[tuple] | None:
        found = outcomes(gateway, id)
        return found if len(found) == n and all(it[1] in ("delivered", "dead") for it in found) else None

    first = wait_until("the delivery", lambda: is_done(1))
    checks.check("an event is taken", differences(deliveries=(first, [("received", "delivered", 204)])))
    ask(gateway.admin, "POST", f"/v1/events/{id}/replay", b"{}", [("content-type", "application/json")])
    both = wait_until("the replay", lambda: is_done(2))
    expected = [("received", "delivered", 204), ("replayed", "delivered", 409)]
    checks.check("what it has done before it says so of, and that counts", differences(deliveries=(both, expected)))
    address = f"127.0.0.1:{port}"
    forged = [("webhook-id", "evt_x"), ("webhook-timestamp", str(int(time.time()))), ("webhook-signature", "v1,AAAA")]
    status = ask(address, "POST", "/hooks", BODY, forged).status
    checks.check("what gatepost did not sign is refused", differences(status=(status, 401)))
    status = ask(address, "POST", "/hooks", BODY).status
    checks.check("what nobody signed is refused", differences(status=(status, 401)))


def main() -> int:
    checks = Checks()
    is_there = {"go": shutil.which("go"), "rails": has_rails()}
    for name, command in (("express", express), ("fastapi", fastapi), ("axum", axum), ("go", go), ("rails", rails)):
        if not is_there.get(name, True):
            print(f"{name} is not installed: its handler is not run here")
            continue
        check(checks, name, command)
    print(f"{checks.n_passed} passed, {checks.n_failed} failed")
    return 1 if checks.n_failed else 0


if __name__ == "__main__":
    sys.exit(main())
