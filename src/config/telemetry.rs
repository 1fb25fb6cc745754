//! `[telemetry]`.

use crate::{
    base::safe_url::SafeUrl,
    config::{
        destination::named_secrets,
        error::Fault,
        process,
        section::{Bad, Reading, Section},
        tree::{Node, Value},
        value,
    },
    telemetry::{Settings, export},
};

/// `None`: no endpoint, so no traces.
pub(super) fn telemetry(top: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<Settings>, Bad> {
    let mut section = process::required(top, "telemetry", reading)?;
    let endpoint = endpoint(&mut section, reading);
    let headers = named_secrets(&mut section, "headers", "telemetry.headers.*", reading);
    let headers = headers.and_then(|given| match export::headers(&given) {
        Ok(_) => Ok(given),
        Err((name, problem)) => {
            let key = format!("headers.{name}");
            let path = section.path_of(&key);
            let fault = Fault::new(
                &section.place_of(&key),
                format!("`{}`: {problem}", value::shown(&path)),
            );
            Err(reading.fault(fault.hint("a file may end in one line break too many".to_owned())))
        }
    });
    let sample_ratio = section.need("sample_ratio", reading, ratio);
    let service_name = section.need("service_name", reading, value::text);
    section.finish(reading);
    let (endpoint, headers, sample_ratio, service_name) = (endpoint?, headers?, sample_ratio?, service_name?);
    Ok(endpoint.map(|endpoint| Settings {
        endpoint,
        headers,
        sample_ratio,
        service_name,
    }))
}

fn endpoint(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<SafeUrl>, Bad> {
    let url = section.read("endpoint", reading, |node| {
        value::public_url(node).map_err(|it| value::Mismatch {
            expected: "an http or https URL without a query, as in \"http://127.0.0.1:4318\"".to_owned(),
            ..it
        })
    })?;
    let Some(url) = url.map(SafeUrl::new) else {
        return Ok(None);
    };
    match export::target(&url) {
        Ok(_) => Ok(Some(url)),
        Err(failure) => {
            let problem = format!("`telemetry.endpoint`: {}", failure.explanation);
            let fault = Fault::new(&section.place_of("endpoint"), problem);
            let hint =
                "loopback and private addresses may be named; link-local, metadata and reserved ones never";
            Err(reading.fault(fault.hint(hint.to_owned())))
        }
    }
}

/// From 0 to 1.
fn ratio(node: &Node) -> value::Read<f64> {
    let ratio = match node.value {
        Value::Float(number) => Some(number),
        Value::Integer(0) => Some(0.0),
        Value::Integer(1) => Some(1.0),
        _ => None,
    };
    match ratio {
        Some(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => value::mismatch(node, "a number from 0.0 to 1.0, without quotes"),
    }
}
