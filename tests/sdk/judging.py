"""Asks the packages what they say of a request, at a time of our choosing."""

import base64
import contextlib
import io
import json
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import time_machine

from judges import pypi

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "target" / "sdk" / "node"


@dataclass
class Asked:
    """A request as it came, and what its receiver knows."""

    headers: list[tuple[str, str]]
    body: bytes
    secrets: list[str]
    now_ms: int
    url: str
    target: str
    method: str = "POST"
    options: dict[str, str] = field(default_factory=dict)

    def joined(self) -> dict[str, str]:
        """The headers as Node and Python's frameworks hand them over."""
        joined: dict[str, str] = {}
        for name, value in self.headers:
            name = name.lower()
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
        return joined


@dataclass
class Verdict:
    accepted: bool
    said: str | None = None
    """Of a refusal: the package's own words, where it has some."""


@dataclass
class Package:
    """One package as a judge of one provider's requests."""

    registry: str
    provider: str
    name: str
    version: str
    decides: str

    @property
    def key(self) -> str:
        return f"{self.provider} {self.name}"

    def __str__(self) -> str:
        return f"{self.registry} {self.name}@{self.version} {self.decides}"


class Packages:
    """All that are installed, and Node for those that are npm's."""

    def __enter__(self):
        self.node = subprocess.Popen(["node", str(NODE / "main.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        [of_npm] = self._ask_node([{"judges": True}])
        self.all = [
            Package("PyPI", it.provider, it.package, it.version, it.decides) for it in pypi.JUDGES.values()
        ] + [Package("npm", it["provider"], it["package"], it["version"], it["decides"]) for it in of_npm.values()]
        return self

    def __exit__(self, *_):
        self.node.stdin.close()
        self.node.wait(30)

    def judge(self, package: Package, asked: list[Asked]) -> list[Verdict]:
        """As a receiver with several secrets: one after the other until one is right."""
        ask = self._ask_pypi if package.registry == "PyPI" else self._ask_npm
        pairs = [(it, secret) for it in asked for secret in it.secrets]
        verdicts = iter(ask(package, pairs))
        return [_any([next(verdicts) for _ in it.secrets]) for it in asked]

    def _ask_pypi(self, package: Package, pairs: list[tuple[Asked, str]]) -> list[Verdict]:
        verify = pypi.JUDGES[package.key].verify
        verdicts = []
        # Some print what they think.
        with time_machine.travel(0, tick=False) as clock, contextlib.redirect_stdout(io.StringIO()):
            for it, secret in pairs:
                clock.move_to(it.now_ms / 1000)
                request = pypi.Request(it.method, it.url, it.target, it.joined(), it.body, secret, it.options)
                try:
                    verdicts.append(Verdict(verify(request) is True))
                except Exception as error:
                    verdicts.append(Verdict(False, f"{type(error).__name__}: {error}"[:200]))
        return verdicts

    def _ask_npm(self, package: Package, pairs: list[tuple[Asked, str]]) -> list[Verdict]:
        questions = [
            {
                "judge": package.key,
                "now_ms": it.now_ms,
                "method": it.method,
                "url": it.url,
                "target": it.target,
                "headers": it.joined(),
                "body": base64.b64encode(it.body).decode(),
                "secret": secret,
                "options": it.options,
            }
            for it, secret in pairs
        ]
        return [Verdict(it["accepted"], it.get("said")) for it in self._ask_node(questions)]

    def _ask_node(self, questions: list[dict]) -> list[dict]:
        def write():
            for it in questions:
                self.node.stdin.write(json.dumps(it).encode() + b"\n")
            self.node.stdin.flush()

        # Beside us: with both pipes full, each side would wait for the other.
        writer = threading.Thread(target=write)
        writer.start()
        replies = []
        for _ in questions:
            line = self.node.stdout.readline()
            if not line:
                raise RuntimeError("node ended: see above")
            replies.append(json.loads(line))
        writer.join()
        return replies


def _any(verdicts: list[Verdict]) -> Verdict:
    said = "; ".join(it.said for it in verdicts if it.said)
    return Verdict(any(it.accepted for it in verdicts), said or None)
