#!/usr/bin/env python3
"""Signs a request for each row of the catalog that has no file of vectors signed by somebody else's code.

Written from the rows alone, with Python's own hmac, and never from gatepost's code: what both agree on is at least no slip of one
of them. These vectors say `self_computed`, until `judge` has asked the sender's own package. Python 3.11 or newer; the package `cryptography` for senders that sign with a key pair. It writes
tests/vectors/NAME.json for each row, or for those that are named. Where a file has vectors of somebody else's, these are kept, and what must be refused is made of
the first of them.
"""

import base64
import copy
import datetime
import email.utils
import hashlib
import hmac
import json
import pathlib
import re
import sys
import tomllib
import urllib.parse

try:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
except ImportError:
    serialization = None

HERE = pathlib.Path(__file__).resolve().parent
ROWS = HERE.parents[1] / "src/provider/catalog/rows"
NOW = 1767225600
URL = "https://gw.example.com"
OURS = "self_computed"
# What `tests/vectors/judge` makes of it, where the sender's own package thinks the same.
JUDGED = "judged by "
PLAIN = "a-long-enough-plain-secret"
KEY = bytes(range(1, 33))


def rows():
    for path in sorted(ROWS.glob("*.toml")):
        if path.stem != "generic":
            yield from tomllib.loads(path.read_text()).items()


def is_ours(vector):
    return vector["from"] == OURS or vector["from"].startswith(JUDGED)


def many(value):
    return value if isinstance(value, list) else [value]


def secret_of(recipe):
    """The secret as an operator writes it, and the key that it means."""
    match recipe.get("secret_encoding", "text"):
        case "hex":
            return KEY.hex(), KEY
        case "base64":
            return base64.b64encode(KEY).decode(), KEY
        case "whsec":
            return "whsec_" + base64.b64encode(KEY).decode(), KEY
        case "sha256-of-text":
            return PLAIN, hashlib.sha256(PLAIN.encode()).digest()
        case "reversed":
            return PLAIN, PLAIN[::-1].encode()
        case _:
            return PLAIN, PLAIN.encode()


def is_public(recipe):
    return recipe.get("hash", "").startswith(("ed25519", "ecdsa", "rsa"))


def own_key(recipe):
    """A sender's key of our own, as an operator writes its public half; and what signs with it."""
    hash_name = recipe["hash"]
    hashes_of = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha512": hashes.SHA512}
    if hash_name == "ed25519":
        private = ed25519.Ed25519PrivateKey.from_private_bytes(KEY)
        if recipe.get("secret_encoding") == "public-key":
            form = serialization.PublicFormat.SubjectPublicKeyInfo
            return private.public_key().public_bytes(serialization.Encoding.PEM, form).decode(), private.sign
        raw = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        text = raw.hex() if recipe.get("secret_encoding") == "hex" else base64.b64encode(raw).decode()
        return text, private.sign
    if hash_name == "ecdsa-p521":
        private = ec.derive_private_key(int.from_bytes(KEY, "big"), ec.SECP521R1())

        def sign_with(message):
            numbers = decode_dss_signature(private.sign(message, ec.ECDSA(hashes.SHA512(), deterministic_signing=True)))
            return b"".join(it.to_bytes(66, "big") for it in numbers)

    elif hash_name.startswith("ecdsa-p256"):
        private = ec.derive_private_key(int.from_bytes(KEY, "big"), ec.SECP256R1())
        algorithm = hashes.SHA1() if hash_name.endswith("-sha1") else hashes.SHA256()
        signs = ec.ECDSA(algorithm, deterministic_signing=True)
        sign_with = lambda message: private.sign(message, signs)
    else:
        private = serialization.load_pem_private_key((HERE / "rsa-2048.pem").read_bytes(), None)
        algorithm = hashes_of[hash_name.rpartition("-")[2]]()
        pss = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
        used = pss if "-pss-" in hash_name else padding.PKCS1v15()
        sign_with = lambda message: private.sign(message, used, algorithm)
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private.public_key().public_bytes(serialization.Encoding.PEM, form).decode(), sign_with


def write_time(unit):
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    match unit:
        case "ms":
            return str(NOW * 1000)
        case "rfc3339":
            return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        case "iso8601":
            return moment.strftime("%Y-%m-%dT%H:%M:%S")
        case "http-date":
            return email.utils.format_datetime(moment, usegmt=True)
        case _:
            return str(NOW)


def encode(encoding, digest):
    text = digest.hex()
    match encoding:
        case "hex-upper":
            return text.upper()
        case "base64":
            return base64.b64encode(digest).decode()
        case "base64-unpadded":
            return base64.b64encode(digest).decode().rstrip("=")
        case "base64url":
            return base64.urlsafe_b64encode(digest).decode()
        case "base64url-unpadded":
            return base64.urlsafe_b64encode(digest).decode().rstrip("=")
        case "base64-of-hex":
            return base64.b64encode(text.encode()).decode()
        case "base64url-of-hex":
            return base64.urlsafe_b64encode(text.encode()).decode()
        case "percent-of-base64":
            return urllib.parse.quote(base64.b64encode(digest).decode(), safe="")
        case _:
            return text


class Request:
    def __init__(self, name, row):
        self.name = name
        self.target = f"/webhooks/{name}"
        self.headers = {"content-type": "application/json"}
        self.data = {"note": "a request made from the row of the catalog", "amount": 1}
        # What is in a form, with the fields that are JSON; `None` for other bodies.
        self.form = {"note": self.data["note"], "amount": "1"} if is_form(row) else None
        self.options = {}
        # The claims of a token, of which one may be JSON in a string.
        self.claims = {}
        # Pieces of headers by the header's name: fields, and what stands in a token's own header.
        self.fields = {}
        self.protected = {}
        for kind, text in [("event_id", "example-1"), ("event_type", "example.created"), ("event_time", str(NOW))]:
            first = (many(row.get(kind, [])) or [""])[0]
            places = first.split(" + ") if first else []
            for place, share in zip(places, text.split(".") if len(places) > 1 else [text]):
                self.put(place, share)

    def put(self, place, value):
        kind, _, rest = place.partition(":")
        if kind == "header":
            header, _, piece = rest.partition(":")
            if not piece:
                self.headers.setdefault(header, value)
            elif re.fullmatch(r"/[0-9]+", piece):
                self.headers.setdefault(header, f"Example/{value}")
            elif piece.startswith("/"):
                self.protected.setdefault(header, {})[piece[1:]] = value
            elif not piece.startswith("."):
                self.fields.setdefault(header, {})[piece] = value
        elif kind == "query":
            self.target += f"{'&' if '?' in self.target else '?'}{rest}={value}"
        elif kind == "form" and self.form is not None:
            field, _, pointer = rest.partition(":")
            if pointer:
                self.form[field] = put_at(self.form.get(field, {}), pointer, value)
            else:
                self.form[rest] = value
        elif kind == "claim":
            *outer, last = rest.replace(":", "").split("/")[1:]
            at = self.claims
            for name in outer:
                at = at.setdefault(name, {})
            at[last] = value
        elif kind == "body":
            self.data = put_at(self.data, rest, value)

    def get(self, place):
        kind, _, rest = place.partition(":")
        if kind == "header":
            header, _, piece = rest.partition(":")
            if not piece:
                return self.headers[header]
            if re.fullmatch(r"/[0-9]+", piece):
                return self.headers[header].split("/")[int(piece[1:])]
            if piece.startswith("."):
                return self.protected_header(header)
            return self.fields[header][piece]
        if kind == "query":
            return dict(urllib.parse.parse_qsl(self.target.partition("?")[2]))[rest]
        if kind == "form":
            field, _, pointer = rest.partition(":")
            return get_at(self.form[field], pointer) if pointer else self.form[rest]
        return get_at(self.data, rest)

    def copy(self):
        return copy.deepcopy(self)

    def change(self, place):
        kind, _, rest = place.partition(":")
        if kind == "header":
            self.headers[rest] = "another-part"
        elif kind == "query":
            self.target = self.target.replace(f"{rest}={self.get(place)}", f"{rest}=another-part")
        else:
            self.put(place, "another-part")

    def protected_header(self, header):
        return url_safe(json.dumps({"alg": "example", "kid": "k1"} | self.protected.get(header, {})).encode())

    def body(self):
        if self.form is None:
            return json.dumps(self.data, separators=(",", ":"))
        fields = {it: json.dumps(value, separators=(",", ":")) if isinstance(value, (dict, list)) else value
                  for it, value in self.form.items()}
        if self.name in MULTIPART:
            self.headers["content-type"] = "multipart/form-data; boundary=xyz"
            part = '--xyz\r\nContent-Disposition: form-data; name="{}"\r\n\r\n{}\r\n'
            return "".join(part.format(*it) for it in fields.items()) + "--xyz--\r\n"
        self.headers["content-type"] = "application/x-www-form-urlencoded"
        return urllib.parse.urlencode(fields)


# Senders whose forms are of this kind.
MULTIPART = {"dropbox-sign"}


def is_form(row):
    """Whether what it signs is in a form, or all that is there."""
    proof = json.dumps([many(row[it])[0] for it in ("hmac", "token") if row.get(it)])
    names = [many(row[it])[0] for it in ("event_type", "event_time", "resource") if row.get(it)]
    return "form:" in proof or "_form" in proof or ('"query"' in proof and all(it.startswith("form:") for it in names))


def put_at(data, pointer, value):
    """The data with a value at a pointer; arrays of one element where it says `*` or `0`."""
    tokens = pointer.split("/")[1:]
    if tokens[0] in ("*", "0") and isinstance(data, dict):
        data = [data]
    at = data
    for token, following in zip(tokens, [*tokens[1:], None]):
        is_last = following is None
        fresh = value if is_last else ([None] if following in ("*", "0") else {})
        if isinstance(at, list):
            if is_last or at[0] is None:
                at[0] = fresh
            at = at[0]
        else:
            if is_last:
                at[token] = fresh
            at = at.setdefault(token, fresh)
    return data


def get_at(data, pointer):
    for token in pointer.split("/")[1:]:
        data = data[0] if isinstance(data, list) else data[token]
    return data


def digest(name, data):
    """A bare hash."""
    if name == "keccak256":
        return keccak256(data)
    return hashlib.new(name, data).digest()


def keccak256(data):
    """Keccak with the padding from before SHA-3, as in its authors' description."""
    mask = (1 << 64) - 1

    def turned(lane, by):
        return ((lane << by) | (lane >> (64 - by))) & mask if by else lane

    lanes = [[0] * 5 for _ in range(5)]
    padded = bytearray(data + b"\x01" + bytes(-(len(data) + 1) % 136))
    padded[-1] |= 0x80
    for block in range(0, len(padded), 136):
        for idx in range(17):
            lanes[idx % 5][idx // 5] ^= int.from_bytes(padded[block + 8 * idx :][:8], "little")
        register = 1
        for _ in range(24):
            columns = [lanes[x][0] ^ lanes[x][1] ^ lanes[x][2] ^ lanes[x][3] ^ lanes[x][4] for x in range(5)]
            mixed = [columns[x - 1] ^ turned(columns[(x + 1) % 5], 1) for x in range(5)]
            lanes = [[lane ^ mixed[x] for lane in lanes[x]] for x in range(5)]
            x, y, current = 1, 0, lanes[1][0]
            for step in range(24):
                x, y = y, (2 * x + 3 * y) % 5
                current, lanes[x][y] = lanes[x][y], turned(current, (step + 1) * (step + 2) // 2 % 64)
            for y in range(5):
                row = [lanes[x][y] for x in range(5)]
                for x in range(5):
                    lanes[x][y] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5] & mask)
            for bit in range(7):
                if register & 1:
                    lanes[0][0] ^= 1 << ((1 << bit) - 1)
                register = (register << 1) ^ (0x171 if register & 0x80 else 0)
    return b"".join(lanes[idx % 5][idx // 5].to_bytes(8, "little") for idx in range(4))


FUNCTIONS = {
    "md5": lambda it: digest("md5", it),
    "sha256": lambda it: digest("sha256", it),
    "sha512": lambda it: digest("sha512", it),
    "hex": lambda it: it.hex().encode(),
    "base64": base64.b64encode,
    "base64url": lambda it: url_safe(it).encode(),
    "quoted": lambda it: json.dumps(it.decode(), ensure_ascii=False).encode(),
    "lower": lambda it: it.decode().lower().encode(),
    "upper": lambda it: it.decode().upper().encode(),
}


def pieces(template):
    """The parts of a template: literal text, and what stands in braces."""
    literal, at = "", 0
    while at < len(template):
        if template[at : at + 2] in ("{{", "}}"):
            literal += template[at]
            at += 2
        elif template[at] == "{":
            if literal:
                yield "literal", literal
            literal, end, n_open = "", at + 1, 1
            while n_open:
                n_open += {"{": 1, "}": -1}.get(template[end], 0)
                end += 1
            yield "part", template[at + 1 : end - 1]
            at = end
        else:
            literal += template[at]
            at += 1
    if literal:
        yield "literal", literal


def places_in(template):
    for kind, part in pieces(template):
        word, _, inner = part.partition(":")
        if kind == "part" and word in FUNCTIONS:
            yield from places_in(inner if "{" in inner else "{" + inner + "}")
        elif kind == "part" and word in ("header", "body", "query", "form") and not part.endswith("?"):
            yield part


class Message:
    def __init__(self, request, timestamp, id_header, secret):
        self.request, self.timestamp, self.id_header, self.secret = request, timestamp, id_header, secret

    def of(self, template):
        for place in places_in(template):
            if not self.is_there(place):
                self.request.put(place, "example-part")
        return b"".join(it.encode() if kind == "literal" else self.part(it) for kind, it in pieces(template))

    def is_there(self, place):
        try:
            return self.request.get(place) is not None
        except (KeyError, IndexError):
            return False

    def part(self, name):
        request = self.request
        match name:
            case "body":
                return request.body().encode()
            case "timestamp":
                return self.timestamp.encode()
            case "id":
                return request.headers.setdefault(self.id_header, "example-1").encode()
            case "url":
                return (URL + request.target).encode()
            case "method":
                return b"POST"
            case "path":
                return request.target.partition("?")[0].encode()
            case "target":
                return request.target.encode()
            case "secret":
                return self.secret
            case "sorted_form":
                fields = urllib.parse.parse_qsl(request.body(), keep_blank_values=True)
                return "".join(it + value for it, value in sorted(set(fields))).encode()
            case "sorted_json":
                return json.dumps(request.data, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
        word, _, inner = name.partition(":")
        if word in FUNCTIONS:
            return FUNCTIONS[word](self.of(inner if "{" in inner else "{" + inner + "}"))
        if word == "raw":
            if not self.is_there("body:" + inner):
                request.put("body:" + inner, {"id": "example-part"})
            return json.dumps(request.get("body:" + inner), separators=(",", ":")).encode()
        if word == "php_json":
            if not self.is_there("body:" + inner):
                request.put("body:" + inner, {"id": "example-part", "name": "é/"})
            return json.dumps(request.get("body:" + inner), separators=(",", ":")).replace("/", "\\/").encode()
        if word == "body_with_secret":
            request.put("body:" + inner, "")
            with_secret = request.copy()
            with_secret.put("body:" + inner, self.secret.decode())
            return with_secret.body().encode()
        if name == "body_without_space":
            return "".join(request.body().split()).encode()
        if word == "signature_base":
            return self.signature_base(inner.split(",")).encode()
        if word == "listed":
            header = inner.removeprefix("header:")
            names = sorted(["x-contentful-timestamp", header])
            request.headers[header] = ",".join(names)
            return ";".join(f"{it}:{request.headers[it]}" for it in names).encode()
        if word == "option":
            return request.options.setdefault(inner, f"example-{inner}").encode()
        if name.startswith("body_"):
            return hashlib.new(name.removeprefix("body_"), request.body().encode()).hexdigest().encode()
        if name.endswith("?") and not self.is_there(name[:-1]):
            return b""
        value = request.get(name.removesuffix("?"))
        return (json.dumps(value) if isinstance(value, bool) else str(value)).encode()


    def signature_base(self, names):
        """RFC 9421, with the digest of RFC 9530."""
        request = self.request
        listed = " ".join(f'"{it}"' for it in names)
        parameters = f'({listed});created={NOW};keyid="k1";alg="ed25519"'
        request.headers["signature-input"] = f"sig1={parameters}"
        hashed = base64.b64encode(hashlib.sha256(request.body().encode()).digest()).decode()
        request.headers["content-digest"] = f"sha-256=:{hashed}:"
        values = {"@request-target": request.target} | request.headers
        lines = [f'"{it}": {values[it]}' for it in names]
        return "\n".join([*lines, f'"@signature-params": {parameters}'])


def with_options(text, options):
    """A prefix or a pattern with an operator's options put in."""
    return re.sub(r"\{option:([a-z_]+)\}", lambda it: options.setdefault(it[1], f"example-{it[1]}"), text)


def sign(recipe, request, id_header):
    """Signs in place; the secret, and the place of the signature."""
    secret, key = secret_of(recipe)
    if is_public(recipe):
        secret, sign_with_own = own_key(recipe)
    timestamp = write_time(recipe.get("timestamp_unit"))
    if header := recipe.get("timestamp_header"):
        request.headers[header] = timestamp
    if place := recipe.get("timestamp_place"):
        request.put(place, int(timestamp) if timestamp.isdigit() and not place.startswith("form:") else timestamp)
    place = f"header:{recipe['header']}" if "header" in recipe else recipe["place"]
    for there, value in recipe.get("when", {}).items():
        # Of the signature itself it says how it begins.
        if there != place:
            request.put(there, many(value)[0])
    message = Message(request, timestamp, id_header, key)
    signed = message.of(recipe.get("signed", "{body}"))
    hash_name = recipe.get("hash", "sha256")
    if is_public(recipe):
        made = sign_with_own(signed)
    elif hash_name.startswith("plain-"):
        made = digest(hash_name.removeprefix("plain-"), signed)
    else:
        made = hmac.new(message.of(recipe["key"]) if "key" in recipe else key, signed, hash_name).digest()
    text = with_options(recipe.get("prefix", ""), request.options) + encode(recipe.get("encoding", "hex"), made)
    header, _, piece = place.removeprefix("header:").partition(":") if place.startswith("header:") else ("", "", "")
    if recipe.get("member"):
        text = f"sig1=:{text}:"
    elif "position" in recipe:
        separator = recipe.get("separator", ",")
        asked = request.fields.get(header, {})
        parts = [asked.get(f"{separator}{it}", "1") for it in range(recipe["position"])]
        if (position := recipe.get("timestamp_position")) is not None:
            parts[position] = timestamp
        if separator == ".":
            parts = [request.protected_header(header), ""]
        text = separator.join([*parts, text])
    elif field := recipe.get("field"):
        separator = recipe.get("separator", ",")
        fields = {it: value for it, value in request.fields.get(header, {}).items() if it != recipe.get("timestamp_field")}
        if time_field := recipe.get("timestamp_field"):
            fields = {time_field: timestamp} | fields
        text = separator.join(f"{it}={value}" for it, value in (fields | {field: text}).items())
    elif piece.startswith("/"):
        text = base64.b64encode(json.dumps({"alg": "example", "kid": "k1", piece[1:]: text}).encode()).decode()
    elif piece:
        fields = {"keyid": "k1"} | request.fields.get(header, {}) | {piece: text}
        text = ",".join(f'{it}="{value}"' for it, value in fields.items())
    request.put(f"header:{header}" if piece else place, text)
    return secret, place


def vectors(name, row):
    request = Request(name, row)
    is_time = False
    tolerance = 300
    if (recipe := row.get("standard_webhooks")) is not None:
        names = recipe.get("headers", ["webhook"])[0]
        is_text = recipe.get("secret") == "text"
        hmac_recipe = {
            "header": f"{names}-signature",
            "prefix": "v1,",
            "encoding": "base64",
            "timestamp_header": f"{names}-timestamp",
            "signed": "{id}.{timestamp}.{body}",
            "secret_encoding": "text" if is_text else "whsec",
        }
        secret, place = sign(hmac_recipe, request, f"{names}-id")
        is_time = True
    elif "hmac" in row:
        recipe = many(row["hmac"])[0]
        if "each" in recipe or (is_public(recipe) and not serialization):
            return None
        first = (many(row.get("event_id", [])) or [""])[0]
        secret, place = sign(recipe, request, first.removeprefix("header:"))
        is_time = has_time(recipe)
        tolerance = recipe.get("tolerance", 300)
    elif (recipe := row.get("jwt")) is not None:
        # Certificates are made of chance: see the file itself.
        if serialization is None or "chain" in recipe:
            return None
        token, secret = signed_token(recipe, request)
        right = with_token(recipe, right_of(name, request, secret), token)
        return list(bent_token(name, right, recipe))
    elif "token" in row:
        recipe = many(row["token"])[0]
        secret, place = PLAIN, token_place(recipe)
        if place.startswith("form:"):
            return []
        request.put(place, token_prefix(recipe) + secret)
    elif row.get("basic"):
        secret, place = "user:" + PLAIN, "header:authorization"
        request.put(place, "Basic " + base64.b64encode(secret.encode()).decode())
    else:
        return []
    is_signed = "hmac" in row or "standard_webhooks" in row
    signed = "{body}" if "standard_webhooks" in row else many(row.get("hmac", {}))[0].get("signed", "{body}")
    is_bound = any(it in signed for it in ("{body}", "{body_", "{sorted_", "content-digest"))
    right = right_of(name, request, secret)
    made = list(bent(name, right, place, tolerance if is_time else None, is_signed, is_bound, is_in_pieces(row, place)))
    for it in made:
        if "content-digest" in signed and it["id"].endswith("-s02"):
            it["cause"] = "malformed_signed_part"
    if is_signed and not is_bound:
        made.append(tampered(name, right, request, signed))
    return made + list(other_ways(name, row))


def is_in_pieces(row, place):
    """Whether the header is no proof of this kind at all without its other pieces."""
    own = [it for it in many(row.get("hmac", {}))[0].get("when", {}) if it.startswith(place + ":")]
    return place.startswith("header:") and (place.count(":") > 1 or bool(own))


def has_time(recipe):
    return recipe.get("timestamp_unit") != "none" and any(it.startswith("timestamp") for it in recipe)


def other_ways(name, row):
    """A right request in each further way that the row knows."""
    for number, recipe in enumerate(many(row.get("hmac", []))[1:], 11):
        if "each" in recipe or is_public(recipe):
            continue
        request = Request(name, row)
        first = (many(row.get("event_id", [])) or [""])[0]
        secret, _ = sign(recipe, request, first.removeprefix("header:"))
        ours = {"id": f"{name}-s{number}", "why": "in another way of the row"}
        yield right_of(name, request, secret) | ours
    if "hmac" not in row:
        for place, recipe in enumerate(many(row.get("token", []))[1:], 1):
            yield from token_elsewhere(name, row, recipe, 10 * place + 1)


def token_elsewhere(name, row, recipe, number):
    """A right and a wrong token in a further place of the row, of which the first that a request shows is the only one that counts."""
    request, both = Request(name, row), Request(name, row)
    for it in (request, both):
        it.put(token_place(recipe), token_prefix(recipe) + PLAIN)
    first = many(row["token"])[0]
    both.put(token_place(first), token_prefix(first) + another(PLAIN))
    right = right_of(name, request, PLAIN) | {"id": f"{name}-s{number}", "why": "in another place of the row"}
    refused = {"expect": "reject", "cause": "wrong_credentials"}
    yield right
    ours = {"id": f"{name}-s{number + 1}", "why": "credentials of somebody else in another place of the row"}
    yield right | refused | ours | {"secrets": [another(PLAIN)]}
    ours = {"id": f"{name}-s{number + 2}", "why": "wrong credentials in the first place, right ones in another"}
    yield right_of(name, both, PLAIN) | refused | ours


def tampered(name, right, request, signed):
    """The right request with another value in the first thing that is signed."""
    taken = [it for it in places_in(signed) if not it.startswith("header:") or it.count(":") == 1]
    taken += [f"body:{it.partition(':')[2]}/id" for _, it in pieces(signed) if it.startswith(("raw:", "php_json:"))]
    taken += [it.removesuffix("?") for _, it in pieces(signed) if it.endswith("?")]
    changed = request.copy()
    changed.change(taken[0])
    ours = {"id": f"{name}-s07", "why": f"{taken[0]} changed", "from": OURS, "expect": "reject", "cause": "signature_mismatch"}
    return right | ours | {"target": changed.target, "headers": changed.headers, "body": changed.body()}


def url_safe(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def in_strings(claims):
    """The claims with each object among them as JSON in a string."""
    return {it: json.dumps(in_strings(value)) if isinstance(value, dict) else value for it, value in claims.items()}


def token_prefix(recipe):
    """Of a JWT too, which has a place more often."""
    return recipe.get("prefix", "" if recipe.keys() & {"header", "place", "query"} else "Bearer ")


def token_place(recipe):
    if "query" in recipe:
        return f"query:{recipe['query']}"
    return in_each(recipe, recipe.get("place") or f"header:{recipe.get('header', 'authorization')}")


def with_token(recipe, request, token):
    """The request with a token where the row says; `None`: with none."""
    if recipe.get("place") == "body":
        return request | {"body": token or ""}
    header = recipe.get("header", "authorization")
    headers = {it: text for it, text in request["headers"].items() if it != header}
    return request | {"headers": headers if token is None else headers | {header: token_prefix(recipe) + token}}


def token_of(recipe, request):
    if recipe.get("place") == "body":
        return request["body"]
    return request["headers"][recipe.get("header", "authorization")].removeprefix(token_prefix(recipe))


def signed_token(recipe, request):
    """A JWT with every claim that the row wants; and the secret."""
    claims = {"iat": NOW, "exp": NOW + 300} | in_strings(request.claims)
    for claim, wanted in recipe.get("claims", {}).items():
        known = {"{url}": URL + request.target, "{body}": request.body(), "**": "example"}
        first = many(wanted)[0]
        claims[claim] = known.get(first) or with_options(first, request.options)
    if claim := recipe.get("body"):
        digest = hashlib.sha256(request.body().encode())
        is_base64 = recipe.get("body_encoding") == "base64"
        claims[claim] = base64.b64encode(digest.digest()).decode() if is_base64 else digest.hexdigest()
    if claim := recipe.get("url"):
        claims[claim] = hashlib.sha256((URL + request.target).encode()).hexdigest()
    header = {"alg": recipe["algorithm"], "typ": "JWT"}
    text = ".".join(url_safe(json.dumps(it).encode()) for it in (header, claims))
    if recipe["algorithm"] == "HS256":
        return f"{text}.{url_safe(hmac.new(PLAIN.encode(), text.encode(), 'sha256').digest())}", PLAIN
    public, sign_with = own_key({"hash": "rsa-sha256"})
    return f"{text}.{url_safe(sign_with(text.encode()))}", public


def bent_token(name, right, recipe):
    """The right token, and those that must be refused."""
    yield right
    head, claims, signature = token_of(recipe, right).split(".")
    none = url_safe(b'{"alg":"none"}')
    wrong = [
        ("not signed", "unsigned", None),
        ("signed with another algorithm", "malformed_credentials", f"{none}.{claims}."),
        ("claims of another token", "signature_mismatch", f"{head}.{url_safe(b'{}')}.{signature}"),
        ("two parts", "malformed_credentials", f"{head}.{claims}"),
    ]
    for number, (why, cause, token) in enumerate(wrong, 2):
        ours = {"id": f"{name}-s{number:02}", "why": why, "from": OURS, "expect": "reject", "cause": cause}
        yield with_token(recipe, right, token) | ours
    ours = {"id": f"{name}-s06", "from": OURS, "expect": "reject"}
    if "body" in recipe or "{body}" in recipe.get("claims", {}).values():
        cause = "malformed_signed_part"
        yield right | ours | {"why": "body changed", "cause": cause, "body": right["body"] + " "}
    yield right | ours | {"id": f"{name}-s07", "why": "too old", "cause": "timestamp_stale", "now": right["now"] + 7200}


def right_of(name, request, secret):
    return {
        "id": f"{name}-s01",
        "why": "as the row says",
        "from": OURS,
        "secrets": [secret],
        "now": NOW,
        "method": "POST",
        "public_url": URL,
        "target": request.target,
        "headers": request.headers,
        "body": request.body(),
        "expect": "accept",
    } | ({"options": request.options} if request.options else {})


def in_each(recipe, place):
    """The place in the first element, where each is signed by itself."""
    return f"body:{recipe['each']}/0{place.removeprefix('body:')}" if "each" in recipe else place


def topped_up(name, row, foreign):
    """What must be refused, made of a request that somebody else signed."""
    others = []
    if (recipe := row.get("jwt")) is not None and "chain" in recipe:
        return
    if recipe is not None:
        right = next(it for it in foreign if it["expect"] == "accept")
        yield from list(bent_token(name, right, recipe))[1:]
        return
    if row.get("basic"):
        place, tolerance, is_signed = "header:authorization", None, False
    elif (recipe := row.get("standard_webhooks")) is not None:
        names = recipe.get("headers", ["webhook"])
        place, tolerance, is_signed = f"header:{names[0]}-signature", 300, True
        others = [f"header:{it}-signature" for it in names[1:]]
    elif "hmac" in row:
        recipe = many(row["hmac"])[0]
        place = f"header:{recipe['header']}" if "header" in recipe else in_each(recipe, recipe["place"])
        tolerance, is_signed = recipe.get("tolerance", 300) if has_time(recipe) else None, True
        others = [f"header:{it['header']}" for it in recipe.get("also", [])]
    else:
        recipe = many(row["token"])[0]
        place = recipe.get("place") or f"header:{recipe.get('header', 'authorization')}"
        place, tolerance, is_signed = in_each(recipe, place), None, False
    for place in [place, *others]:
        kind, _, rest = place.partition(":")
        for it in foreign:
            if it["expect"] != "reject" and (kind in ("body", "xml", "form") or rest.partition(":")[0] in it["headers"]):
                is_bound = kind not in ("body", "form") and "body_base64" not in it
                in_pieces = is_in_pieces(row, place)
                yield from list(bent(name, it, place, tolerance, is_signed, is_bound, in_pieces))[1:]
                return


def bent(name, right, place, tolerance, is_signed, is_bound, is_in_pieces=False):
    """The right request, and those that must be refused."""
    yield right

    def refused(number, why, cause, **changes):
        ours = {"id": f"{name}-s{number:02}", "why": why, "from": OURS, "expect": "reject", "cause": cause}
        return {key: it for key, it in right.items() if key != "answer"} | ours | changes

    def without(value):
        """The request with another text in the place of the proof; `None`: with none."""
        kind, _, rest = place.partition(":")
        if kind == "header":
            rest = rest.partition(":")[0]
            # Box signs with a second key too.
            proofs = (rest, rest.replace("-primary", "-secondary"))
            headers = {it: text for it, text in right["headers"].items() if it not in proofs}
            return {"headers": headers if value is None else headers | {rest: value}}
        if kind == "form" and ":" in rest:
            field, _, pointer = rest.partition(":")
            old = re.search(f'name="{field}"\r\n\r\n(.*?)\r\n--', right["body"], re.DOTALL)[1]
            return {"body": right["body"].replace(old, spoilt(old, pointer, value))}
        if kind == "form":
            fields = [it for it in urllib.parse.parse_qsl(right["body"]) if it[0] != rest or value is not None]
            fields = [(it, value if it == rest else text) for it, text in fields]
            return {"body": urllib.parse.urlencode(fields)}
        if kind == "xml":
            old = f"<{rest}>{value_at(right, place)}</{rest}>"
            new = "" if value is None else f"<{rest}>{value}</{rest}>"
            return {"body": right["body"].replace(old, new)}
        if kind == "query":
            path = right["target"].partition("?")[0]
            return {"target": path if value is None else f"{path}?{rest}={urllib.parse.quote(value)}"}
        return {"body": spoilt(right["body"], rest, value)}

    other = another(right["secrets"][0])
    if is_signed:
        if is_bound:
            body = right["body"].replace('"amount":1', '"amount":2')
            changed = body if body != right["body"] else body + " "
            yield refused(2, "body changed", "signature_mismatch", body=changed)
        yield refused(3, "signed with another secret", "signature_mismatch", secrets=[other])
        yield refused(4, "not signed", "unsigned", **without(None))
        cause = None if is_in_pieces else "malformed_signature"
        yield refused(5, "signature cannot be read", cause, **without("\u2014"))
        if tolerance is not None:
            late = right["now"] + tolerance + (1 if is_ours(right) else 900)
            yield refused(6, "too old", "timestamp_stale", now=late)
    else:
        value = value_at(right, place)
        yield refused(2, "credentials of somebody else", "wrong_credentials", secrets=[other])
        yield refused(3, "without credentials", "unsigned", **without(None))
        yield refused(4, "credentials with a character too many", None, **without(value + "x"))
        yield refused(5, "credentials cut short", None, **without(value[:-1]))


def still_judged(vector, known):
    """A package's word holds for as long as the request is the same."""
    for it in known:
        if it["from"].startswith(JUDGED) and it | {"from": OURS} == vector:
            return it
    return vector


def spoilt(text, pointer, value):
    """JSON with another value at a pointer; `None`: with none."""
    data = json.loads(text)
    outer, _, last = pointer.rpartition("/")
    at = get_at(data, outer)
    if value is None:
        del at[last]
    else:
        at[last] = value
    return json.dumps(data, separators=(",", ":"))


def value_at(right, place):
    kind, _, rest = place.partition(":")
    if kind == "header":
        return right["headers"][rest]
    if kind == "query":
        return right["target"].partition("=")[2]
    if kind == "xml":
        return re.search(f"<{rest}>(.*?)</{rest}>", right["body"])[1]
    return get_at(json.loads(right["body"]), rest)


def another(secret):
    """A different secret of the same form."""
    if secret.startswith("-----BEGIN") or secret.startswith("MFkw"):
        return (HERE / "another-public-key.pem").read_text()
    if re.fullmatch(r"[0-9a-fA-F]{32,}", secret):
        return secret[::-1]
    if ":" in secret:
        return secret.partition(":")[0] + ":another-plain-secret"
    for prefix in ("whsec_", "whpk_", ""):
        rest = secret.removeprefix(prefix)
        if secret.startswith(prefix) and prefix:
            return prefix + base64.b64encode(KEY[::-1]).decode()
        if re.fullmatch(r"[A-Za-z0-9+/]{16,}={0,2}", rest):
            return base64.b64encode(KEY[::-1]).decode()
    return "another-plain-secret"


def main():
    wanted = set(sys.argv[1:])
    if unknown := wanted - {name for name, _ in rows()}:
        sys.exit(f"no row is called {', '.join(sorted(unknown))}")
    n_written = 0
    for name, row in rows():
        if wanted and name not in wanted:
            continue
        path = HERE / f"{name}.json"
        known = json.loads(path.read_text()) if path.exists() else []
        foreign = [it for it in known if not is_ours(it)]
        is_signed = any(it["expect"] == "accept" or name == "discord" for it in foreign)
        ours = topped_up(name, row, foreign) if is_signed else vectors(name, row)
        made = ours if ours is None else foreign + [still_judged(it, known) for it in ours]
        if made is None:
            print(f"{path.name}: left as it is, for want of the package `cryptography`")
            continue
        if not made:
            path.unlink(missing_ok=True)
            continue
        lines = ",\n".join(json.dumps(it, ensure_ascii=False) for it in made)
        path.write_text(f"[\n{lines}\n]\n")
        n_written += 1
    print(f"{n_written} files")


if __name__ == "__main__":
    main()
