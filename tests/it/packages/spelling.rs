//! Whether a request's time and signatures are written as their sender writes them: judged here anew, from the row's data alone.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use gatepost::{
    base::clock::Timestamp,
    provider::{
        self,
        place::Place,
        scheme::{Accepted, Encoding, Layout, Scheme, Signature, Unit},
    },
};

use super::Case;

const MAX_SIGNATURES: usize = 16;
const MAX_LEN: usize = 4096;

impl Case {
    fn schemes(&self) -> Vec<Signature> {
        let row = provider::find(&self.provider).unwrap().clone();
        let row = row.with_options(&self.options);
        let schemes = row.schemes.iter();
        schemes
            .filter_map(|it| match it {
                Scheme::Signature(signature) => Some(signature.clone()),
                _ => None,
            })
            .collect()
    }

    fn value(&self, place: &Place) -> Option<String> {
        match place {
            Place::Header(name) => {
                let mut headers = self.headers.iter();
                let (_, value) = headers.find(|(it, _)| it.eq_ignore_ascii_case(name))?;
                Some(value.clone())
            }
            Place::Body(pointer) => {
                let body = self.body();
                let text = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&body);
                let body: serde_json::Value = serde_json::from_slice(text).ok()?;
                let value = body.pointer(pointer)?;
                Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            }
            Place::Form(field) => {
                let body = self.body();
                let mut pairs = url::form_urlencoded::parse(&body);
                pairs
                    .find(|(name, _)| name == field)
                    .map(|(_, value)| value.into_owned())
            }
            _ => None,
        }
    }

    /// Whether a signed time is there that is no plain number, or no time where its sender writes a date.
    pub(super) fn has_odd_time(&self) -> bool {
        self.schemes().iter().any(|it| {
            let Some(time) = it.time else { return false };
            it.families.iter().any(|family| {
                let beside = || {
                    let value = self.value(family.signatures.first()?)?;
                    field(&it.layout, &value).map(str::to_owned)
                };
                let text = family
                    .timestamp
                    .as_ref()
                    .and_then(|it| self.value(it))
                    .or_else(beside);
                text.is_some_and(|it| !is_plain(&it, time.unit))
            })
        })
    }

    /// Whether what should be signatures is too long, too many, or not each in its one spelling; or their time comes twice.
    pub(super) fn has_odd_signature(&self) -> bool {
        self.schemes().iter().any(|it| {
            let places = it.families.iter().flat_map(|it| it.signatures.iter());
            places
                .filter_map(|place| self.value(place))
                .any(|value| is_odd(it, &value))
        })
    }
}

/// The time beside a signature.
fn field<'t>(layout: &Layout, value: &'t str) -> Option<&'t str> {
    let Layout::Fields {
        separator,
        timestamp: Some(name),
        ..
    } = layout
    else {
        return None;
    };
    let mut fields = value.split(separator.as_ref());
    fields.find_map(|it| it.strip_prefix(name.as_ref())?.strip_prefix('='))
}

fn is_plain(text: &str, unit: Unit) -> bool {
    match unit {
        Unit::Seconds | Unit::Millis => {
            let is_number = text.bytes().all(|it| it.is_ascii_digit()) && !text.is_empty();
            is_number && text.len() <= 15 && (text == "0" || !text.starts_with('0'))
        }
        _ => {
            Timestamp::parse_rfc3339(text).is_some()
                || Timestamp::parse_rfc3339(&format!("{text}Z")).is_some()
        }
    }
}

fn is_odd(signature: &Signature, value: &str) -> bool {
    let is_right = |text: &str| signature.accepted.iter().any(|it| is_spelled_right(it, text));
    let texts: Vec<&str> = match &signature.layout {
        Layout::One | Layout::Member => vec![value],
        Layout::List { separator } => value.split(separator.as_ref()).collect(),
        Layout::Fields { separator, .. } | Layout::Positions { separator, .. } => {
            value.split(separator.as_ref()).collect()
        }
    };
    let is_odd_field = |text: &&str| match &signature.layout {
        Layout::Fields {
            signature, timestamp, ..
        } => match text.split_once('=') {
            Some((name, rest)) if name == signature => !is_right(rest),
            Some((name, _)) if timestamp.as_ref().is_some_and(|it| it == name) => false,
            Some((name, _)) => !name.bytes().all(|it| it.is_ascii_graphic()) || name.is_empty(),
            None => true,
        },
        _ => !is_right(text),
    };
    let times = match &signature.layout {
        Layout::Fields {
            timestamp: Some(name),
            ..
        } => texts
            .iter()
            .filter(|it| it.starts_with(&format!("{name}=")))
            .count(),
        _ => 0,
    };
    value.len() > MAX_LEN || texts.len() > MAX_SIGNATURES || times > 1 || texts.iter().any(is_odd_field)
}

fn is_spelled_right(rule: &Accepted, text: &str) -> bool {
    let Some(text) = text.strip_prefix(rule.prefix.as_ref()) else {
        return false;
    };
    let is_long_enough = |n_bytes: usize| rule.method.n_bytes().is_none_or(|it| it == n_bytes);
    match rule.encoding {
        Encoding::HexLower => {
            text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
                && text.len() % 2 == 0
                && is_long_enough(text.len() / 2)
        }
        Encoding::Base64 => STANDARD.decode(text).is_ok_and(|it| is_long_enough(it.len())),
        Encoding::Base64UrlUnpadded => URL_SAFE_NO_PAD
            .decode(text)
            .is_ok_and(|it| is_long_enough(it.len())),
        other => panic!("{other:?} is not known here yet"),
    }
}
