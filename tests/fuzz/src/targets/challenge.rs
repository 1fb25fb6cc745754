//! Slack's handshakes: `url_verification` in JSON, `ssl_check` in a form.

use std::path::Path;

use gatepost::{
    event::headers::Headers,
    provider::{self, Answer, Call},
};

use super::{
    Target, Verdict,
    input::{Input, joined},
    text::form,
    tree,
};

pub const TARGET: Target = Target {
    name: "challenge",
    run: |bytes| compare(answer, bytes),
    seeds,
};

pub(crate) fn compare(reference: fn(&str, &[u8]) -> Option<Vec<u8>>, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let content_type = input.utf8();
    let body = input.rest();
    let headers = Headers::from_pairs([("content-type", content_type.as_bytes())]);
    let call = Call {
        method: "POST",
        url: None,
        target: "/webhooks/slack",
        headers: &headers,
        body,
    };
    let slack = provider::find("slack").expect("it is in the catalog");
    let found = slack.signed_handshake(&[], &call).map(|it| it.answer);
    if let Some(Answer {
        status,
        content_type,
        body,
        ..
    }) = &found
    {
        ensure!(
            *status == 200 && body.len() <= 1024,
            "{status} with {} bytes",
            body.len()
        );
        // Nothing that a browser would run comes back.
        ensure!(
            content_type.as_deref() == Some("text/plain") || body.is_empty(),
            "{content_type:?} with a body"
        );
    }
    if is_form(content_type) || tree::parse(body).is_some() {
        let (found, expected) = (found.map(|it| it.body), reference(content_type, body));
        ensure!(found == expected, "{found:?}, expected {expected:?}");
    }
    Ok(())
}

fn is_form(content_type: &str) -> bool {
    content_type
        .to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded")
}

/// What is answered, if this is a handshake.
pub(crate) fn answer(content_type: &str, body: &[u8]) -> Option<Vec<u8>> {
    if is_form(content_type) {
        let fields = form(body);
        let first = |name| {
            fields
                .iter()
                .find(|(it, _)| it == name)
                .map(|(_, value)| value.as_str())
        };
        let is_check = first("ssl_check") == Some("1") && first("command").unwrap_or_default().is_empty();
        return is_check.then(Vec::new);
    }
    let tree = tree::parse(body)?;
    let is_challenge = tree::at_pointer(&tree, "/type")? == "url_verification";
    let challenge = tree::at_pointer(&tree, "/challenge").filter(|_| is_challenge)?;
    let is_printable = !challenge.bytes().any(|it| it.is_ascii_control());
    (is_printable && (1..=1024).contains(&challenge.len())).then(|| challenge.into_bytes())
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let form = "application/x-www-form-urlencoded";
    [
        ("application/json", r#"{"type":"url_verification","token":"x","challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#),
        ("application/json", r#"{"challenge":12,"type":"url_verification"}"#),
        ("", r#"{"type":"url_verification","type":"x","challenge":"\u0000<b>"}"#),
        ("application/json", r#"{"type":"event_callback","challenge":"x"}"#),
        (form, "ssl_check=1&token=x"),
        (form, "ssl_check=1&command=%2Fgo"),
        ("Application/X-WWW-Form-Urlencoded; charset=utf-8", "token=x&ssl%5Fcheck=%31&command="),
        (form, "payload=%7B%7D"),
    ]
    .into_iter()
    .map(|(content_type, body)| joined(&[], &[content_type.as_bytes(), body.as_bytes()]))
    .collect()
}
