//! Where a source's own config says that the id of an event is: the words, and what is read there.

use std::path::Path;

use gatepost::{
    event::headers::Headers,
    provider::{self, Call, recipe},
};

use super::{
    Target, Verdict,
    input::{Input, joined},
    text::{form, is_token},
    tree,
};

pub const TARGET: Target = Target {
    name: "place",
    run: |bytes| compare(read, bytes),
    seeds,
};

/// What a request shows.
pub(crate) struct Shown<'a> {
    pub(crate) header: (&'a str, &'a [u8]),
    pub(crate) query: &'a str,
    pub(crate) is_form: bool,
    pub(crate) body: &'a [u8],
}

/// Whether the words are right, and what stands there; nothing for a place that is right and empty.
pub(crate) type Reference = fn(&str, &Shown<'_>) -> Option<Option<String>>;

pub(crate) fn compare(reference: Reference, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let is_form = input.byte() % 2 == 1;
    let (words, name, value, query) = (input.utf8(), input.utf8(), input.utf8().as_bytes(), input.utf8());
    if name.eq_ignore_ascii_case("content-type") || words.starts_with("xml:") {
        // The one would say which kind the body is, and that is said already; of the other the reference knows nothing.
        return Ok(());
    }
    let shown = Shown {
        header: (name, value),
        query,
        is_form,
        body: input.rest(),
    };

    let places = recipe::Places {
        event_id: Some(words.to_owned()),
        ..recipe::Places::default()
    };
    let row = recipe::with_places(
        provider::find("unverified").expect("it is in the catalog"),
        &places,
    );
    let expected = reference(words, &shown);
    let row = match (row, &expected) {
        (Ok(row), Some(_)) => row,
        (Err(faults), None) => {
            ensure!(!faults.is_empty(), "`{words}` is refused for no reason");
            return Ok(());
        }
        (row, _) => {
            return Err(format!(
                "`{words}` is read as {:?}, expected {expected:?}",
                row.map(|it| it.event_id)
            ));
        }
    };
    let mut pairs = vec![(name, value)];
    if is_form {
        pairs.insert(0, ("content-type", &b"application/x-www-form-urlencoded"[..]));
    }
    let target = format!("/webhooks/x?{query}");
    let call = Call {
        method: "POST",
        url: None,
        target: &target,
        headers: &Headers::from_pairs(pairs),
        body: shown.body,
    };
    let found = row.names(&call).external_id;
    // The pieces of a header have tests of their own.
    if words.strip_prefix("header:").is_some_and(|it| it.contains(':')) {
        return Ok(());
    }
    // A batch is named by all of its elements, as tests of its own hold.
    if words.contains("/*") || words.contains("/0") {
        return Ok(());
    }
    // What stands before a fault in the JSON may be found too, which the tree cannot say.
    if json_of(words, &shown).is_some_and(|it| tree::parse_whole(&it).is_none()) {
        return Ok(());
    }
    let expected = if words == "body" {
        Some(shown.body.to_vec()).filter(|it| !it.is_empty())
    } else {
        expected.flatten().map(String::into_bytes)
    };
    ensure!(
        found == expected,
        "`{words}` leads to {found:?}, expected {expected:?}"
    );
    Ok(())
}

/// The text in which a pointer is looked up.
fn json_of(words: &str, shown: &Shown<'_>) -> Option<Vec<u8>> {
    let (kind, rest) = words.split_once(':')?;
    match (kind, shown.is_form) {
        ("body", false) => Some(shown.body.to_vec()),
        ("form", true) => {
            let (field, _) = rest.split_once(':')?;
            let (_, value) = form(shown.body).into_iter().find(|(name, _)| name == field)?;
            Some(value.into_bytes())
        }
        _ => None,
    }
}

pub(crate) fn read(words: &str, shown: &Shown<'_>) -> Option<Option<String>> {
    if words == "body" {
        return Some(None);
    }
    let (kind, rest) = words.split_once(':').filter(|(_, rest)| !rest.is_empty())?;
    let in_json = |text: &[u8], pointer: &str| tree::at_pointer(&tree::parse(text)?, pointer);
    let field = |text: &[u8], name: &str| {
        form(text)
            .into_iter()
            .find(|(it, _)| it == name)
            .map(|(_, value)| value)
    };
    let value = match kind {
        "header" if is_token(rest) => return Some(header(rest, shown)),
        "header" => {
            let (name, piece) = rest.split_once(':')?;
            return (is_token(name) && !piece.is_empty()).then_some(None);
        }
        "query" => field(shown.query.as_bytes(), rest),
        "form" => match rest.split_once(':') {
            Some((_, pointer)) if !pointer.starts_with('/') => return None,
            _ if !shown.is_form => None,
            Some((name, pointer)) => field(shown.body, name).and_then(|it| in_json(it.as_bytes(), pointer)),
            None => field(shown.body, rest),
        },
        "body" if rest.starts_with('/') => in_json(shown.body, rest).filter(|_| !shown.is_form),
        _ => return None,
    };
    Some(value.filter(|it| !it.is_empty()))
}

fn header(name: &str, shown: &Shown<'_>) -> Option<String> {
    if shown.is_form && name.eq_ignore_ascii_case("content-type") {
        return Some("application/x-www-form-urlencoded".to_owned());
    }
    let (found, value) = shown.header;
    let is_there = found.eq_ignore_ascii_case(name) && !value.is_empty();
    is_there.then(|| String::from_utf8_lossy(value).into_owned())
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        (0, "header:X-Event-Id", "x-event-id", "", ""),
        (0, "body:/data/*/id", "", "", r#"{"data":[{"id":"a"}]}"#),
        (0, "query:id", "", "x=1&id=%41+b", ""),
        (1, "form:id", "", "", "id=1&id=2"),
        (
            1,
            "form:payload:/a/b",
            "",
            "",
            "payload=%7B%22a%22%3A%7B%22b%22%3A1%7D%7D",
        ),
        (0, "body:id", "", "", "{}"),
        (0, "form:", "", "", ""),
        (0, "cookie:a", "", "", ""),
    ]
    .into_iter()
    .map(|(number, words, name, query, body)| {
        let texts = [words, name, "value", query, body].map(str::as_bytes);
        joined(&[number], &texts)
    })
    .collect()
}
