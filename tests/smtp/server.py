"""A mail server for the tests: `server.py PORT DIRECTORY relay|login|starttls|tls`.

Each mail that it takes becomes DIRECTORY/mail/N.json, as Python's own parser reads it. DIRECTORY/refuse.json says what it refuses, and
how: {"RCPT ops@example.com": "450 4.2.1 later", "DATA": "554 no"}. All but `relay` want user `gatepost` and password `of-the-mailer`;
`login` takes them in the clear, and by AUTH LOGIN alone. The two with TLS have their certificate and key in DIRECTORY.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult

port, directory, kind = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
mails = directory / "mail"
mails.mkdir(exist_ok=True)


def refusal(what):
    try:
        return json.loads((directory / "refuse.json").read_text()).get(what)
    except FileNotFoundError:
        return None


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        refused = refusal(f"RCPT {address}")
        if refused is None:
            envelope.rcpt_tos.append(address)
        return refused or "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        refused = refusal("DATA")
        if refused is None:
            keep(envelope)
        return refused or "250 2.0.0 taken"


def keep(envelope):
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
    taken = {
        "from": envelope.mail_from,
        "to": envelope.rcpt_tos,
        "headers": [[name, str(value)] for name, value in mail.items()],
        "body": mail.get_content().replace("\r\n", "\n"),
        "defects": [str(it) for it in mail.defects] + [str(it) for value in mail.values() for it in value.defects],
    }
    path = mails / f"{len(list(mails.glob('*.json'))):03}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(taken))
    fresh.rename(path)


def authenticate(server, session, envelope, mechanism, data):
    is_known = (data.login, data.password) == (b"gatepost", b"of-the-mailer")
    return AuthResult(success=is_known, handled=False)


async def main():
    options, context = {}, None
    if kind != "relay":
        options = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": kind == "starttls"}
    if kind == "login":
        options["auth_exclude_mechanism"] = ["PLAIN"]
    if kind in ("starttls", "tls"):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(directory / "server.pem", directory / "server.key")
    if kind == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Handler(), loop=loop, **options),
        host="127.0.0.1",
        port=port,
        ssl=context if kind == "tls" else None,
    )
    await server.serve_forever()


asyncio.run(main())
