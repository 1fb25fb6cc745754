"""What happens to requests on purpose: what is signed that no sender signs, and what is changed once it is signed."""

import json
import random
import re
import unicodedata

from senders import FORM, Draft, Headers, Sender, write_time

NOTES = [
    "an order",
    "Grüße, Zoë: 日本語 עברית 🦀 \u2028",
    'first","note": "second',
    "caf\\u00e9 \\/ \\ud83e\\udd80 \\u0000 \\n",
    "e\u0301 is not \u00e9",
    "a+b%20c&d=e;f",
]


def body(rng: random.Random, content_type: str) -> tuple[str, bytes]:
    """A body of any kind, and its kind."""
    note = rng.choice(NOTES)
    if content_type == FORM:
        fields = ["MessageStatus=delivered", "Body=" + rng.choice(["Gr%C3%BC%C3%9Fe", "a+b", "", "%F0%9F%A6%80", "x%26y"])]
        fields += [f"f{rng.randrange(9)}={rng.randrange(99)}" for _ in range(rng.randrange(5))]
        rng.shuffle(fields)
        return "a form", "&".join(fields).encode()
    document = (
        f'{{\n  "id": "evt_{rng.randrange(10**9)}",\n  "type": "order.paid", "amount": 1.10, "large": 12345678901234567890,\n'
        f'  "created": 1763675904, "note": "{note}",\n  "data": {{"object": {{"id": "o_{rng.random()}"}}}}\n}}\n'
    )
    match rng.choices(range(8), [63, 8, 8, 6, 4, 4, 4, 2])[0]:
        case 0:
            return "JSON", document.encode()
        case 1:
            return "JSON without spaces", json.dumps(json.loads(document), separators=(",", ":")).encode()
        case 2:
            return "JSON with Windows line ends", document.replace("\n", "\r\n").encode()
        case 3:
            return "empty", b""
        case 4:
            return "no JSON", f"order {note}".encode()
        case 5:
            return "JSON with a byte order mark", b"\xef\xbb\xbf" + document.encode()
        case 6:
            return "no UTF-8", document.encode() + bytes(range(128, 256))
        case _:
            return "large", b"[" + b"1.0,\r\n" * rng.randrange(1_000, 4_000) + b"1]"


def age_ms(rng: random.Random, tolerance_s: int) -> tuple[str, int]:
    """How old the signature is when it is checked."""
    edge = tolerance_s * 1000
    match rng.choices(range(9), [46, 8, 8, 8, 8, 6, 6, 6, 4])[0]:
        case 0:
            return "", rng.randrange(edge)
        case 1:
            return "exactly as old as allowed", edge
        case 2:
            return "a second before it is too old", edge - 1000
        case 3:
            return "a second too old", edge + 1000
        case 4:
            return "too old", edge + rng.randrange(2, 100_000) * 1000
        case 5:
            return "a little ahead", -rng.randrange(1, tolerance_s) * 1000
        case 6:
            return "exactly as far ahead as allowed", -edge
        case 7:
            return "a second too far ahead", -edge - 1000
        case _:
            return "far ahead", -edge - rng.randrange(2, 10**9) * 1000


def bent_time(rng: random.Random, text: str, at_ms: int) -> str:
    """A text in the place of the time, signed as if it were one."""
    return rng.choice(
        [
            "",
            "0",
            "-1",
            "abc",
            "NaN",
            "Infinity",
            f"0{text}",
            f"+{text}",
            f"{text}.0",
            f"{text}.9",
            f"{text}e0",
            f"{text}abc",
            f"{text} ",
            f"0x{at_ms // 1000:x}",
            text[:3] + "_" + text[3:],
            text.translate({ord("0") + i: 0x660 + i for i in range(10)}),
            text + "0" * 20,
            str(at_ms),
            str(at_ms // 1000),
            write_time(at_ms, "rfc3339"),
            write_time(at_ms, "rfc3339").replace("Z", "+00:00"),
            write_time(at_ms, "rfc3339").replace("T", " "),
        ]
    )


def change_header(rng: random.Random, value: str) -> tuple[str, str]:
    """Another text in the place of a header's."""
    at = rng.randrange(len(value)) if value else 0
    segments = re.split(r"([,; ]+)", value)

    def flip() -> str:
        other = rng.choice([it for it in "0123456789abcdefABCXYZ+/=" if it != value[at : at + 1]])
        return value[:at] + other + value[at + 1 :]

    last = segments[-1]
    changes = {
        "one character changed": flip,
        "cut": lambda: value[:at],
        "a character too many": lambda: value + rng.choice("0aA="),
        "in upper case": value.upper,
        "in lower case": value.lower,
        "last part in upper case": lambda: "".join(segments[:-1]) + re.sub(r"[^=]+=*$", lambda it: it[0].upper(), last),
        "without padding": lambda: value.rstrip("="),
        "padded once more": lambda: value + "=",
        "in the other base64": lambda: value.translate(str.maketrans("+/-_", "-_+/")),
        "last bits changed": lambda: re.sub(r"(.)(=+)$", lambda it: chr(ord(it[1]) + 1) + it[2], value),
        "empty": lambda: "",
        "garbage": lambda: rng.choice(["garbage", "null", "undefined", "v1=", "t=,v1=", ",", "=", "sha256=", "\u2014", "{}"]),
        "spaces after commas": lambda: value.replace(",", ", "),
        "no spaces": lambda: value.replace(" ", ""),
        "parts in another order": lambda: "".join(reversed(segments)),
        "last part twice": lambda: value + (segments[-2] if len(segments) > 1 else ",") + last,
        "first part twice": lambda: segments[0] + (segments[1] if len(segments) > 1 else ",") + value,
        "a wrong one before it": lambda: wrong(last) + " " + value,
        "a wrong one before the last": lambda: "".join(segments[:-1])
        + wrong(last)
        + (segments[-2] if len(segments) > 1 else ",")
        + last,
        "a wrong one after it": lambda: value + (segments[-2] if len(segments) > 1 else ",") + wrong(last),
        "twenty wrong ones after it": lambda: value + ((segments[-2] if len(segments) > 1 else ",") + wrong(last)) * 20,
        "another version after it": lambda: value + rng.choice([",v0=", ",v2=", " v2,", ";h2=", ", v3="]) + "a" * 64,
        "an unknown field before it": lambda: rng.choice(["x=1,", "v0=abc,", "x=1;", "x "]) + value,
        "in quotes": lambda: f'"{value}"',
        "with a prefix": lambda: rng.choice(["sha256=", "sha1=", "v1=", "v1,", "0x", "SHA256="]) + value,
        "without its prefix": lambda: re.sub(r"^[a-z0-9]+[=,]", "", value),
        "a long one": lambda: value + "a" * 5000,
        "a space within": lambda: value[:at] + " " + value[at:],
        "a tab within": lambda: value[:at] + "\t" + value[at:],
    }

    def wrong(text: str) -> str:
        """Like it, and not it."""
        return re.sub(r"[0-9a-zA-Z+/]{16,}", lambda it: it[0][::-1], text)

    name = rng.choice(list(changes))
    return name, changes[name]()


def change_body(rng: random.Random, was: bytes) -> tuple[str, bytes]:
    at = rng.randrange(len(was)) if was else 0

    def again() -> bytes:
        try:
            return json.dumps(json.loads(was)).encode()
        except ValueError:
            return was + b" "

    changes = {
        "a bit changed": lambda: was[:at] + bytes([was[at] ^ 1 << rng.randrange(8)]) + was[at + 1 :] if was else b"x",
        "a line end after it": lambda: was + b"\n",
        "a NUL after it": lambda: was + b"\0",
        "cut": lambda: was[:at],
        "empty": lambda: b"",
        "parsed and written again": again,
        "Unix line ends": lambda: was.replace(b"\r\n", b"\n"),
        "a byte order mark before it": lambda: b"\xef\xbb\xbf" + was,
        "in another normal form": lambda: unicodedata.normalize("NFC", was.decode(errors="replace")).encode(),
        "twice": lambda: was + was,
        "pairs in another order": lambda: b"&".join(reversed(was.split(b"&"))),
        "a pair twice": lambda: was + b"&" + was.split(b"&")[0],
    }
    name = rng.choice(list(changes))
    return name, changes[name]()


def damage(rng: random.Random, draft: Draft, headers: Headers, sender: Sender) -> tuple[str, Headers]:
    """One change to a request that is signed already; what it was."""
    if not headers or rng.random() < 0.25:
        what, draft.body = change_body(rng, draft.body)
        return f"body: {what}", headers
    at = rng.randrange(len(headers))
    name, value = headers[at]
    match rng.choices(range(7), [70, 6, 6, 6, 6, 3, 3])[0]:
        case 0:
            what, value = change_header(rng, value)
            return f"{name}: {what}", [*headers[:at], (name, value), *headers[at + 1 :]]
        case 1:
            return f"{name}: missing", headers[:at] + headers[at + 1 :]
        case 2:
            return f"{name}: twice", [*headers, (name, value)]
        case 3:
            return f"{name}: a wrong one before it", [(name, change_header(rng, value)[1]), *headers]
        case 4:
            return f"{name}: a wrong one after it", [*headers, (name, change_header(rng, value)[1])]
        case 5:
            return "names in another case", [(rng.choice([it.upper(), it.lower(), it.title()]), text) for it, text in headers]
        case _:
            if sender.time is None:
                return "in another order", headers[::-1]
            now = write_time(draft.at_ms + 60_000, sender.time)
            return "another time", [(it, text.replace(draft.time, now) if draft.time else text) for it, text in headers]
