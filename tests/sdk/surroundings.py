"""What the checks run in: a handler, gatepost itself, a Postgres. Everything that is started here is ended here."""

import glob
import http.client
import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.parse
from collections import defaultdict, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PATIENCE_S = 30


class Missing(Exception):
    """Something of this machine that the checks cannot do without."""


def wait_until(what: str, is_so: Callable, patience_s: float = PATIENCE_S):
    """Asks until there is an answer, and gives it back."""
    deadline = time.monotonic() + patience_s
    while not (answer := is_so()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience_s} s for {what}")
        time.sleep(0.02)
    return answer


def start(command: list[str], **options) -> subprocess.Popen:
    """A session of its own: Ctrl-C reaches us alone, and we end it in our order."""
    return subprocess.Popen(command, start_new_session=True, **options)


def stop(process: subprocess.Popen, how: int = signal.SIGTERM) -> int:
    """Ends a process of ours, at last by force."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


class Handler:
    """The operator's handler: keeps what it gets, by `webhook-id`, and takes it."""

    def __init__(self):
        self.got = defaultdict(list)
        """Per id: path, headers with names in lower case, body."""
        self.fails_first = set()
        """External ids of which the first attempt is answered with 503."""
        outer = self

        class OneRequest(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {}
                for name, value in self.headers.items():
                    headers.setdefault(name.lower(), []).append(value)
                self.send_response(outer.take(self.path, {k: ", ".join(v) for k, v in headers.items()}, body))
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), OneRequest)
        self.server.daemon_threads = True
        self.lock = threading.Lock()
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, path: str, headers: dict, body: bytes) -> int:
        with self.lock:
            self.got[headers.get("webhook-id")].append((path, headers, body))
        is_first = headers.get("gatepost-attempt") == "1"
        return 503 if is_first and headers.get("gatepost-external-id") in self.fails_first else 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.content_type = response.getheader("content-type")
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def ask(address: str, method: str, target: str, body: bytes | None = None, headers=()) -> Answer:
    """One request. `headers` are pairs and may repeat a name."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE_S)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("content-length", str(len(body)))
        connection.endheaders(body)
        return Answer(connection.getresponse())
    finally:
        connection.close()


class Gateway:
    """The real binary, on free ports."""

    def __init__(self, binary: Path, directory: Path, config: str, variables: dict[str, str]):
        file = directory / "gatepost.toml"
        file.write_text(config)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        self.process = start(
            [str(binary), "serve"],
            cwd=directory,
            env={**kept, **variables, "GATEPOST_CONFIG": str(file)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.log = deque(maxlen=2000)
        self.public = self.admin = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip()
            self.log.append(line)
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if str(entry.get("message", "")).startswith("listening on"):
                self.admin, self.public = entry["admin"], entry["public"]

    def __enter__(self):
        try:
            wait_until("the line `listening on`", self._is_listening)
            wait_until("readiness", lambda: self.get("/readyz").status == 200)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _is_listening(self):
        if self.process.poll() is not None:
            self.reader.join(1)
            raise RuntimeError("gatepost ended at its start:\n" + "\n".join(self.log))
        return self.public

    def __exit__(self, *_):
        self.exit_code = stop(self.process)
        self.reader.join(PATIENCE_S)

    def get(self, target: str) -> Answer:
        return ask(self.admin, "GET", target)

    def post(self, target: str, body: bytes, headers) -> Answer:
        return ask(self.public, "POST", target, body, headers)

    def all(self, target: str) -> list[dict]:
        """Every page of a list."""
        rows, cursor = [], None
        while True:
            query = {"limit": 200, **({"cursor": cursor} if cursor else {})}
            page = self.get(f"{target}?{urllib.parse.urlencode(query)}").json()
            rows += page["data"]
            cursor = page["next"]
            if not cursor:
                return rows


def postgres_binaries() -> Path:
    """Where `initdb`, `postgres` and `psql` are."""
    places = [os.environ.get("GATEPOST_TEST_POSTGRES_BIN", "")]
    versions = glob.glob("/usr/lib/postgresql/*/bin")
    places += sorted(versions, key=lambda it: int(it.split("/")[4]) if it.split("/")[4].isdigit() else 0, reverse=True)
    if config := shutil.which("pg_config"):
        places.append(subprocess.run([config, "--bindir"], capture_output=True, text=True).stdout.strip())
    for place in filter(None, places):
        if all((Path(place) / name).exists() for name in ("initdb", "postgres", "psql")):
            return Path(place)
    raise Missing(
        "no Postgres binaries: `initdb`, `postgres` and `psql` are neither in /usr/lib/postgresql/*/bin nor where "
        "`pg_config --bindir` says. Install them (Debian: apt-get install postgresql), or set "
        "GATEPOST_TEST_POSTGRES_BIN to their directory, or GATEPOST_TEST_POSTGRES_URL to a server's URL (needs `psql`)"
    )


class ThrowAwayPostgres:
    """A cluster in a temporary directory, removed at the end."""

    def __init__(self):
        binaries = postgres_binaries()
        self.server = None
        self.directory = Path(tempfile.mkdtemp(prefix="gatepost-sdk."))
        try:
            # Postgres refuses to run as root.
            owner = pwd.getpwnam("nobody") if os.getuid() == 0 else None
            run_as = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []} if owner else {}
            if owner:
                os.chown(self.directory, owner.pw_uid, owner.pw_gid)
            options = {
                "cwd": self.directory,
                "env": {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LC_ALL": "C"},
                "stdin": subprocess.DEVNULL,
                "stderr": subprocess.STDOUT,
                **run_as,
            }
            data = str(self.directory / "data")
            initdb = [str(binaries / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
            made = subprocess.run(initdb, stdout=subprocess.PIPE, text=True, **options)
            if made.returncode != 0:
                raise RuntimeError(f"initdb failed:\n{made.stdout}")
            settings = ["-c", "listen_addresses=", "-c", "shared_buffers=64MB"]
            command = [str(binaries / "postgres"), "-D", data, "-k", str(self.directory), *settings]
            with open(self.directory / "log", "wb") as log:
                self.server = start(command, stdout=log, **options)
            self.url = f"postgres:///postgres?host={self.directory}&user=postgres"
            wait_until("Postgres", lambda: self._is_up(binaries))
        except BaseException:
            self.__exit__()
            raise

    def _is_up(self, binaries: Path) -> bool:
        if self.server.poll() is not None:
            raise RuntimeError("Postgres ended at its start:\n" + (self.directory / "log").read_text())
        question = [str(binaries / "psql"), self.url, "-XAtqc", "select 1"]
        return subprocess.run(question, capture_output=True).returncode == 0

    def __enter__(self) -> str:
        return self.url

    def __exit__(self, *_):
        if self.server:
            # Nothing in it is worth a clean shutdown.
            stop(self.server, signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)


class OwnDatabase:
    """A database of our own on somebody's server, dropped at the end."""

    def __init__(self, server_url: str):
        found = shutil.which("psql")
        self.psql = found or str(postgres_binaries() / "psql")
        self.server_url = server_url
        self.name = f"gatepost_sdk_{os.getpid()}"
        parts = urllib.parse.urlsplit(server_url)
        # `urlunsplit` would drop the empty host of `postgres:///...`.
        query = f"?{parts.query}" if parts.query else ""
        self.url = f"{parts.scheme}://{parts.netloc}/{self.name}{query}"

    def _run(self, sql: str):
        done = subprocess.run([self.psql, self.server_url, "-Xqc", sql], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"psql failed: {done.stderr.strip()}")

    def __enter__(self) -> str:
        self._run(f"create database {self.name}")
        return self.url

    def __exit__(self, *_):
        self._run(f"drop database if exists {self.name} with (force)")


def postgres():
    url = os.environ.get("GATEPOST_TEST_POSTGRES_URL")
    return OwnDatabase(url) if url else ThrowAwayPostgres()
