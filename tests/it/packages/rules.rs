//! Where gatepost and an official package differ on purpose: which requests, and why.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::Case;

/// Why gatepost and some packages differ about some requests.
pub(super) struct Rule {
    /// `registry provider`; every package where there is none.
    of: &'static [&'static str],
    /// What gatepost says, where it is the one that refuses.
    causes: &'static [&'static str],
    /// Whether it is about this request.
    holds: fn(&Case) -> bool,
    #[expect(dead_code, reason = "for readers")]
    why: &'static str,
}

impl Rule {
    pub(super) fn is_about(&self, case: &Case, cause: Option<&str>) -> bool {
        let is_of = |it: &&str| {
            case.id
                .strip_prefix(*it)
                .is_some_and(|rest| rest.starts_with(' '))
        };
        (self.of.is_empty() || self.of.iter().any(is_of))
            && cause.is_none_or(|it| self.causes.contains(&it))
            && (self.holds)(case)
    }
}

fn always(_: &Case) -> bool {
    true
}

/// What gatepost refuses and a package takes.
pub(super) const STRICTER: &[Rule] = &[
    Rule {
        of: &[],
        causes: &["duplicate_header"],
        holds: |it| it.repeats_a_header() || it.repeats_a_field(),
        why: "A header or field of the signature that came twice: packages see the first, the last, or both joined, so each \
              could be shown another one than its neighbour.",
    },
    Rule {
        of: &[],
        causes: &["malformed_timestamp"],
        holds: Case::has_odd_time,
        why: "One second has one spelling here. Packages read `+1`, `1.0`, `1e9`, `0x1f`, ` 1`, `1abc` and other digits as the \
              languages they are written in do, or never look at the time.",
    },
    Rule {
        of: &[],
        causes: &["malformed_signature"],
        holds: Case::has_odd_signature,
        why: "A signature has one spelling here, and a header that claims to hold one holds nothing else: not in another case or \
              alphabet, not padded otherwise, nothing behind it, its time once, at most 16 of them in 4096 bytes. Packages \
              decode what they can and drop the rest.",
    },
    Rule {
        of: &[
            "PyPI stripe",
            "npm stripe",
            "npm slack",
            "npm mux",
            "npm paddle",
            "npm workos",
            "npm sanity",
            "PyPI sendgrid",
            "npm sendgrid",
            "npm hubspot",
            "npm retell",
        ],
        causes: &["timestamp_ahead"],
        holds: always,
        why: "These look at the past alone, so that a request signed for later stays good until then.",
    },
    Rule {
        of: &["npm sanity", "PyPI sendgrid", "npm sendgrid"],
        causes: &["timestamp_stale"],
        holds: always,
        why: "These have no clock: a request that somebody recorded stays good for ever.",
    },
    Rule {
        of: &[],
        causes: &["timestamp_stale", "timestamp_ahead"],
        holds: |it| it.now_ms % 1000 != 0 || it.header("-timestamp").is_some_and(|it| it.contains('.')),
        why: "Packages count whole seconds, and so allow up to one more.",
    },
    Rule {
        of: &[],
        causes: &["unusable_source"],
        holds: |it| it.secrets.iter().any(|it| !is_base64(it)),
        why: "A secret with a character too many is no base64: gatepost says so at its start, packages decode the rest of it.",
    },
    Rule {
        of: &[],
        causes: &["malformed_signed_part"],
        holds: |it| it.header("-id").is_some_and(|it| it.contains('.')),
        why: "An id with the dot that ends it in the signed text: bytes could move from the id to the time under one signature.",
    },
    Rule {
        of: &["npm twilio", "PyPI twilio"],
        causes: &["signed_part_missing"],
        holds: |it| !it.is_form() && !it.target.contains("bodySHA256="),
        why: "A body that is no form and whose hash is not in the URL: nothing covers it.",
    },
    Rule {
        of: &["npm discord", "PyPI discord"],
        causes: &["signed_part_missing"],
        holds: |it| it.header("-timestamp").is_none_or(str::is_empty),
        why: "A timestamp of no characters, or none at all, which the packages take for the same: Discord never sends either, and \
              whoever could get a body signed without a time could show it for ever.",
    },
    Rule {
        of: &[],
        causes: &["signature_mismatch", "unsigned"],
        holds: Case::has_byte_order_mark,
        why: "A byte order mark that nobody signed: packages that decode the body first drop it.",
    },
    Rule {
        of: &["PyPI braintree", "npm braintree"],
        causes: &["unsigned"],
        holds: Case::repeats_a_field,
        why: "A form with two payloads, of which one is not Braintree's.",
    },
    Rule {
        of: &["npm sendgrid", "PyPI sendgrid"],
        causes: &["signature_mismatch"],
        holds: |it| it.header("-signature").is_some_and(|it| !is_der(it)),
        why: "The two numbers of a signature have one spelling in DER; the packages' own reader does not look at every length.",
    },
    Rule {
        of: &["npm workos", "PyPI workos", "npm retell", "npm hubspot"],
        causes: &["unsigned", "timestamp_missing"],
        holds: |it| !it.is_written_as_sent(),
        why: "Header fields that are not written as the sender writes them: WorkOS' named `t` and `v1` with a space between, Retell's \
              in lower case, HubSpot's with the version of the signature beside it.",
    },
];

/// What gatepost takes and a package refuses. In each of these the request holds a right signature of its time and body.
pub(super) const WIDER: &[Rule] = &[
    Rule {
        of: &[],
        causes: &[],
        holds: |it| std::str::from_utf8(&it.body()).is_err(),
        why: "Senders sign bytes, and gatepost verifies bytes. Packages that take text cannot see a body that is none.",
    },
    Rule {
        of: &[],
        causes: &[],
        holds: |it| it.body().is_empty(),
        why: "An empty body that is signed: packages refuse to look at it.",
    },
    Rule {
        of: &[
            "npm clerk",
            "npm resend",
            "npm lithic",
            "npm telnyx",
            "npm pusher",
            "PyPI pusher",
            "npm linear",
            "PyPI mailgun",
        ],
        causes: &[],
        holds: |it| serde_json::from_slice::<serde_json::Value>(&it.body()).is_err(),
        why: "These verify and parse in one step, and fail where the body is no JSON. What a handler makes of a genuine request is \
              its own affair.",
    },
    Rule {
        of: &["PyPI pusher"],
        causes: &[],
        holds: always,
        why: "Pusher's Python package alone looks at the time in the body; its other packages do not, and Pusher tries again for five \
              minutes with the same one.",
    },
    Rule {
        of: &["npm shopify"],
        causes: &[],
        holds: |it| {
            it.odd
                .iter()
                .any(|it| it.starts_with("X-Shopify-") && !it.contains("Hmac"))
        },
        why: "Shopify's package wants the headers that it routes by; none of them is signed.",
    },
    Rule {
        of: &["PyPI adyen"],
        causes: &[],
        holds: |it| it.count_in_body("\"amount\"") < it.count_in_body("\"NotificationRequestItem\""),
        why: "Adyen's package fails on an item without an amount; its documents say that what is absent is signed as nothing.",
    },
    Rule {
        of: &[
            "PyPI paddle",
            "npm paddle",
            "PyPI workos",
            "npm workos",
            "npm retell",
            "npm sanity",
            "PyPI standard-webhooks",
        ],
        causes: &[],
        holds: |it| it.has_more_fields(),
        why: "One of several signatures in the header is right, beside others or fields of tomorrow, or they come in another order: \
              these packages read fields by position, or only the last one, or fail on one that they do not know.",
    },
    Rule {
        of: &["PyPI workos"],
        causes: &[],
        holds: |it| it.odd.iter().any(|it| it.starts_with("exactly as")),
        why: "The package counts in floating point, and so refuses some that are exactly as old as it allows.",
    },
];

fn is_base64(secret: &str) -> bool {
    STANDARD
        .decode(secret.strip_prefix("whsec_").unwrap_or(secret))
        .is_ok()
}

/// A sequence of two numbers, each as short as it can be.
fn is_der(signature: &str) -> bool {
    fn after_number(bytes: &[u8]) -> Option<&[u8]> {
        let (&[2, n_bytes], rest) = bytes.split_first_chunk()? else {
            return None;
        };
        let (number, rest) = rest.split_at_checked(n_bytes.into())?;
        let is_short = match number {
            [0, second, ..] => *second >= 0x80,
            [first, ..] => *first < 0x80,
            [] => false,
        };
        is_short.then_some(rest)
    }
    let bytes = STANDARD.decode(signature).unwrap_or_default();
    let Some((&[0x30, n_bytes], rest)) = bytes.split_first_chunk() else {
        return false;
    };
    rest.len() == usize::from(n_bytes) && after_number(rest).and_then(after_number) == Some(&[])
}
