"""What the providers' own packages think of the vectors: see `tests/vectors/judge`.

A vector that we made says `judged by PACKAGE@VERSION FUNCTION` from then on, for every package that thinks of it what the vector
expects; one that comes from elsewhere, and names no package yet, says so too. Nothing but `from` is changed.
"""

import base64
import json
import re
import sys
from pathlib import Path

from judging import ROOT, Asked, Package, Packages

VECTORS = ROOT / "tests" / "vectors"
OURS, JUDGED = "self_computed", "judged by "


def asked(vector: dict) -> Asked:
    if "body_base64" in vector:
        body = base64.b64decode(vector["body_base64"])
    else:
        body = vector["body"].encode()
    return Asked(
        list(vector["headers"].items()),
        body,
        vector["secrets"],
        vector["now"] * 1000,
        (vector.get("public_url") or "https://gw.example.com").rstrip("/") + vector["target"],
        vector["target"],
        vector["method"],
        vector.get("options", {}),
    )


def is_ours(vector: dict) -> bool:
    return vector["from"] == OURS or vector["from"].startswith(JUDGED)


def origin(vector: dict, agreeing: list[Package]) -> str:
    """What `from` should say."""
    before = OURS if is_ours(vector) else vector["from"].split("; " + JUDGED)[0]
    judged = JUDGED + " and ".join(map(str, agreeing))
    if not agreeing or re.search(r"@\d|\(sdk-", before):
        return before
    return judged if before == OURS else f"{before}; {judged}"


def judge(packages: Packages, of_provider: list[Package], path: Path) -> str:
    vectors = json.loads(path.read_text())
    # What a handshake is answered is not theirs to say.
    judged = [it for it in vectors if it["expect"] != "answer"]
    verdicts = {str(it): packages.judge(it, [asked(vector) for vector in judged]) for it in of_provider}
    wants_some = any(it["expect"] == "accept" for it in judged)
    # One that takes nothing was asked the wrong way, and its refusals mean nothing.
    takes_some = [it for it in of_provider if not wants_some or any(verdict.accepted for verdict in verdicts[str(it)])]
    mute = [it for it in of_provider if it not in takes_some]
    of_provider = takes_some
    n_agreed, differences = 0, []
    for at, vector in enumerate(judged):
        expected = vector["expect"] == "accept"
        agreeing = [it for it in of_provider if verdicts[str(it)][at].accepted == expected]
        n_agreed += bool(agreeing)
        for it in of_provider:
            if it not in agreeing:
                said = verdicts[str(it)][at]
                differences.append(f"  {vector['id']} ({vector['why']}): {it} {said.said or said.accepted}")
        vector["from"] = origin(vector, agreeing)
    lines = ",\n".join(json.dumps(it, ensure_ascii=False) for it in vectors)
    path.write_text(f"[\n{lines}\n]\n")
    differences += [f"  {it} accepts nothing: {verdicts[str(it)][0].said}" for it in mute]
    return "\n".join([f"{path.stem}: {n_agreed} of {len(judged)} as {' and '.join(map(str, of_provider))}", *differences])


def main():
    with Packages() as packages:
        for path in sorted(VECTORS.glob("*.json")):
            of_provider = [it for it in packages.all if it.provider == path.stem]
            if of_provider and (len(sys.argv) == 1 or path.stem in sys.argv[1:]):
                print(judge(packages, of_provider, path), flush=True)


if __name__ == "__main__":
    main()
