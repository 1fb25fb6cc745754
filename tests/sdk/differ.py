"""Random requests, of which official packages and gatepost must think the same.

    tests/sdk/run differ [--seed N] [--cases N] [--only PROVIDER] [--case ID]

Each package judges its own requests: signed as its provider signs, then changed in headers, bodies, times and keys. What it said is
written to a file with the request, a JSON object a line, and `tests/it/packages.rs` asks gatepost the same. Where they differ, a
rule there says why, or the run fails. The same seed makes the same requests.
"""

import argparse
import base64
import json
import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from changes import age_ms, bent_time, body, damage
from judging import ROOT, Asked, Package, Packages, Verdict
from senders import SENDERS, Draft, Sender, write_time

SAMPLE = Path(__file__).with_name("cases.jsonl")
WRITTEN = ROOT / "target" / "sdk" / "cases.jsonl"
PUBLIC_URL = "https://gw.example.com"
NOW_MS = 1767225600_000

# What must pass does not depend on the hour; whoever looks for more differences gives another one.
SEED = 6


def make(seed: int, package: Package, number: int) -> tuple[Asked, list[str], Sender]:
    """One request and what is odd about it. Of nothing but its arguments, so that it can be made again alone."""
    sender = SENDERS[package.provider]
    rng = random.Random(f"{seed} {package.registry} {package.key} {number}")
    odd = []

    def note(what: str):
        if what:
            odd.append(what)

    content_type = rng.choice(sender.content_types)
    if sender.shape:
        content = sender.shape(rng)
    else:
        kind, content = body(rng, content_type)
        note("" if kind == "JSON" else f"body: {kind}")
    at_ms, now_ms = NOW_MS + rng.randrange(10**7) * 1000, 0
    written = ""
    if sender.time:
        at_ms += rng.randrange(1000) if sender.time == "ms" else 0
        how_old, age = age_ms(rng, sender.tolerance_s)
        note(how_old)
        now_ms = at_ms + age
        if rng.random() < 0.1:
            note("a fraction of a second later")
            now_ms += rng.randrange(1, 1000)
        written = write_time(at_ms, sender.time)
        if rng.random() < 0.06:
            written = bent_time(rng, written, at_ms)
            note(f"time written as {written!r}")
    target = f"/webhooks/{package.provider}" + rng.choices(["", "?a=b&c=%C3%A4", "/?x=~"], [80, 12, 8])[0]
    secret = sender.secret(rng)
    draft = Draft(
        rng, secret, at_ms, written, f"msg_{rng.randrange(10**12)}", PUBLIC_URL + target, content, content_type, sender.options
    )
    if rng.random() < 0.03:
        draft.id = rng.choice(["", "a.b", "é", "msg_1 ", "x" * 300])
        note(f"id {draft.id[:9]!r}")
    headers = sender.sign(draft)
    for _ in range(rng.choices([0, 1, 2], [40, 48, 12])[0]):
        what, headers = damage(rng, draft, headers, sender)
        note(what)
    secrets = [sender.known_to_receiver(it) for it in keyring(rng, sender, secret, note)]
    target = draft.url.removeprefix(PUBLIC_URL)
    if rng.random() < 0.04:
        target += rng.choice(["&x=1", "?x=1", "/"])
        note("sent to another URL")
    # HTTP drops white space around a value.
    headers = [("Content-Type", draft.content_type), *((name, value.strip(" \t")) for name, value in headers)]
    asked = Asked(headers, draft.body, secrets, now_ms or at_ms, PUBLIC_URL + target, target, options=sender.options)
    return asked, odd, sender


def keyring(rng: random.Random, sender: Sender, right: str, note) -> list[str]:
    """What the receiver has, as the sender has it."""
    match rng.choices(range(6), [76, 6, 6, 6, 3, 3])[0]:
        case 0:
            return [right]
        case 1:
            note("another secret")
            return [sender.secret(rng)]
        case 2:
            note("an older secret too")
            return [sender.secret(rng), right]
        case 3:
            note("a newer secret too")
            return [right, sender.secret(rng)]
        case 4:
            note("another secret, of one character more")
            return [right + right[-1]]
        case _:
            note("two other secrets")
            return [sender.secret(rng), sender.secret(rng)]


def line(id: str, package: Package, asked: Asked, odd: list[str], sender: Sender, verdict: Verdict) -> str:
    try:
        written = {"body": asked.body.decode()}
    except UnicodeDecodeError:
        written = {"body_base64": base64.b64encode(asked.body).decode()}
    case = {
        "id": id,
        "odd": odd,
        "package": str(package),
        "provider": package.provider,
        "secrets": asked.secrets,
        "tolerance_s": sender.tolerance_s if sender.has_own_tolerance else None,
        "options": asked.options,
        "now_ms": asked.now_ms,
        "public_url": PUBLIC_URL,
        "target": asked.target,
        "headers": asked.headers,
        **written,
        "accepted": verdict.accepted,
        "said": verdict.said,
    }
    return json.dumps(case, ensure_ascii=False) + "\n"


def judged(packages: Packages, package: Package, seed: int, numbers: list[int]) -> tuple[str, list[str]]:
    """A summary, and the lines of the file."""
    made = [make(seed, package, it) for it in numbers]
    verdicts = packages.judge(package, [asked for asked, _, _ in made])
    n_accepted = sum(it.accepted for it in verdicts)
    if len(made) >= 100 and not len(made) // 6 < n_accepted < len(made) * 5 // 6:
        raise SystemExit(f"{package} accepts nearly none or nearly all: it is asked the wrong way")
    ids = [f"{package.registry} {package.key} {it}" for it in numbers]
    lines = [line(id, package, *it, verdict) for id, it, verdict in zip(ids, made, verdicts)]
    return f"{package}: {n_accepted} of {len(made)} accepted", lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=SEED, help=f"default: {SEED}; another one asks anew")
    parser.add_argument("--cases", type=int, default=1000, help="of each package (default: 1000)")
    parser.add_argument("--only", help="one provider")
    parser.add_argument("--case", help="one request, by the id that a failure prints")
    parser.add_argument("--write-sample", action="store_true", help=f"keep them as {SAMPLE.name}, for runs without packages")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    file = SAMPLE if given.write_sample else WRITTEN
    with Packages() as packages, file.open("w") as out, ThreadPoolExecutor(2) as pool:
        asked = [it for it in packages.all if it.provider in SENDERS and given.only in (None, it.provider)]
        numbers = list(range(given.cases))
        if given.case:
            of, _, number = given.case.rpartition(" ")
            asked = [it for it in asked if of == f"{it.registry} {it.key}"]
            numbers = [int(number)]
        # Node works on its own meanwhile.
        of_registries = [[it for it in asked if it.registry == registry] for registry in ("npm", "PyPI")]
        for done in pool.map(lambda some: [judged(packages, it, given.seed, numbers) for it in some], of_registries):
            for summary, lines in done:
                print(summary)
                out.writelines(lines)
    sys.stdout.flush()
    test = ["cargo", "test", "--locked", "--quiet", "--test", "it", "--", "packages::", "--nocapture"]
    variables = {"GATEPOST_TEST_CASES": str(file), "GATEPOST_TEST_SEED": str(given.seed)}
    return subprocess.run(test, cwd=ROOT, env={**os.environ, **variables}).returncode


if __name__ == "__main__":
    sys.exit(main())
