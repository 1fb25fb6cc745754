//! The variables that programs with OpenTelemetry share (`OTEL_...`), for what the config leaves open.
//!
//! They may be there for another program's sake, so nothing in them is a fault: what cannot be used is left out, with a warning that
//! does not show it.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    base::{safe_url::SafeUrl, secret::Secret},
    config::{
        tree::{Entry, Node, Place, Table, Value},
        value,
    },
    telemetry::export,
};

const DISABLED: &str = "OTEL_SDK_DISABLED";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
/// The one that gatepost speaks.
const PROTOBUF: &str = "http/protobuf";

/// Fills `[telemetry]` where nobody wrote: the file, a variable of ours and a flag win.
pub(super) fn fill(tree: &mut Table, environment: &BTreeMap<String, String>, warnings: &mut Vec<String>) {
    // One set to nothing counts as not set.
    let given = |name| {
        environment
            .get(name)
            .map(|it| it.trim())
            .filter(|it| !it.is_empty())
    };
    let Some(telemetry) = tree.0.get_mut("telemetry") else {
        return;
    };
    let Value::Table(telemetry) = &mut telemetry.node.value else {
        return;
    };
    if let Some(name) = given(SERVICE_NAME)
        && telemetry
            .get("service_name")
            .is_none_or(|it| it.place == Place::Default)
    {
        put(
            telemetry,
            SERVICE_NAME,
            "service_name",
            Value::Text(name.to_owned()),
        );
    }
    let is_off = given(DISABLED).is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let Some(endpoint) = given(ENDPOINT).filter(|_| !is_off && telemetry.get("endpoint").is_none()) else {
        // Headers are for the collector that is named beside them: they may hold its credentials.
        return;
    };
    if given(PROTOCOL).is_some_and(|it| it != PROTOBUF) {
        warnings.push(format!(
            "`{ENDPOINT}` is left out, and there are no traces: `{PROTOCOL}` is not `{PROTOBUF}`, which gatepost speaks"
        ));
        return;
    }
    let endpoint = Value::Text(endpoint.to_owned());
    if !may_be_sent_to(&node(ENDPOINT, endpoint.clone())) {
        warnings.push(format!(
            "`{ENDPOINT}` is left out, and there are no traces: it is no http or https URL that may be sent to, as \
             `http://127.0.0.1:4318` is"
        ));
        return;
    }
    put(telemetry, ENDPOINT, "endpoint", endpoint);
    let Some(text) = given(HEADERS).filter(|_| telemetry.get("headers").is_none()) else {
        return;
    };
    match headers(text) {
        Some(table) => put(telemetry, HEADERS, "headers", Value::Table(table)),
        None => warnings.push(format!(
            "`{HEADERS}` is left out: expected names and values of headers, as in `authorization=Basic%20abc,x-tenant=7`"
        )),
    }
}

fn node(variable: &str, value: Value) -> Node {
    Node {
        value,
        place: Place::Variable(Arc::from(variable)),
        raw: None,
    }
}

fn entry(variable: &str, value: Value) -> Entry {
    let node = node(variable, value);
    Entry {
        key: node.place.clone(),
        node,
    }
}

fn put(table: &mut Table, variable: &str, key: &str, value: Value) {
    table.0.insert(key.to_owned(), entry(variable, value));
}

fn may_be_sent_to(node: &Node) -> bool {
    value::public_url(node).is_ok_and(|url| export::target(&SafeUrl::new(url)).is_ok())
}

/// `name=value,name=value`, values with `%20` for what cannot stand there. `None`: one of them cannot be sent.
fn headers(text: &str) -> Option<Table> {
    let mut table = Table::default();
    let mut all = Vec::new();
    for pair in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (name.trim().to_lowercase(), decoded(value.trim())?);
        if value.trim().is_empty() {
            return None;
        }
        all.push((name.clone(), Secret::new(value.as_str())));
        table.0.insert(name, entry(HEADERS, Value::Text(value)));
    }
    export::headers(&all).is_ok().then_some(table)
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split('%');
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let digits = part.get(..2)?;
        bytes.extend(hex::decode(digits).ok()?);
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}
