//! Secret references, resolved: `{ env = "NAME" }` and `{ file = "PATH" }`. Nothing here prints a secret.

use std::{fs::File, io::Read as _, path::Path};

use crate::{
    base::{nearest::nearest, secret::Secret},
    config::{
        error::Fault,
        mask::is_variable_name,
        section::{Bad, Reading, Section},
        tree::{Node, Place, Value},
        value::{any_text, shown},
    },
};

/// Whether text may stand in place of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Literal {
    /// Only from an environment variable: it is no more in the file than a reference is.
    Refused,
    /// It need not be secret: a header's value, a URL.
    Allowed,
}

const MISSING: &str = "does not exist";
const MAX_SECRET_LEN: u64 = 64 * 1024;

/// `path` is the key's, for messages; `shape` the same with `*` for chosen names.
pub(super) fn secret(
    node: &Node,
    path: &str,
    shape: &str,
    literal: Literal,
    reading: &mut Reading<'_>,
) -> Result<Secret, Bad> {
    let is_text_fine = literal == Literal::Allowed || matches!(node.place, Place::Variable(_));
    match (&node.value, node.text()) {
        (Value::Table(_), _) => reference(node, path, shape, reading),
        (_, Some(text)) if is_text_fine && !text.trim().is_empty() => Ok(Secret::new(text)),
        (_, Some(_)) if is_text_fine => {
            let fault = Fault::new(&node.place, format!("`{path}` is empty")).label("expected some text");
            Err(reading.fault(fault))
        }
        (Value::Text(_), _) => Err(reading.fault(literal_fault(node, path))),
        _ => {
            let text = if literal == Literal::Allowed { "text, " } else { "" };
            let label = format!(
                "expected {text}{{ env = \"NAME\" }} or {{ file = \"PATH\" }}, found {}",
                node.kind()
            );
            Err(reading.fault(Fault::new(&node.place, format!("bad value for `{path}`")).label(label)))
        }
    }
}

fn literal_fault(node: &Node, path: &str) -> Fault {
    let variable = variable_for(path);
    Fault::new(&node.place, format!("`{path}` holds a secret in plain text"))
        .label("expected a reference, found text")
        .hint(format!(
            "write {{ env = \"{variable}\" }} and set that variable,\n\
             or {{ file = \"/run/secrets/{}\" }} and put it into that file",
            variable.to_lowercase()
        ))
}

/// A good name for the variable: `sources.stripe.secrets[0]` is `STRIPE_SECRET`.
fn variable_for(path: &str) -> String {
    if path.starts_with("admin.") {
        return "GATEPOST_ADMIN_TOKEN".to_owned();
    }
    let own = path
        .strip_prefix("sources.")
        .or_else(|| path.strip_prefix("destinations."))
        .or_else(|| path.strip_prefix("notifications."));
    let own = own.unwrap_or(path).split('[').next().unwrap_or(path);
    let own = own
        .strip_suffix("secrets")
        .map_or(own.to_owned(), |it| format!("{it}secret"));
    own.chars()
        .map(|it| {
            if it.is_ascii_alphanumeric() {
                it.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect()
}

fn reference(node: &Node, path: &str, shape: &str, reading: &mut Reading<'_>) -> Result<Secret, Bad> {
    let mut section = Section::of(node, path.to_owned(), shape, reading)?;
    let place_of = |node: Option<&Node>| node.map(|it| it.place.clone());
    let place_of_env = place_of(section.node("env", reading));
    let place_of_file = place_of(section.node("file", reading));
    let env = section.read("env", reading, any_text);
    let file = section.read("file", reading, any_text);
    section.finish(reading);
    match (env?, file?) {
        (Some(name), None) => from_variable(&name, path, &place_of_env.unwrap_or(Place::Default), reading),
        (None, Some(file)) => from_file(&file, path, &place_of_file.unwrap_or(Place::Default), reading),
        (Some(_), Some(_)) => {
            let fault = Fault::new(&node.place, format!("`{path}` names two places for one secret"))
                .label("expected either `env` or `file`, found both");
            Err(reading.fault(fault))
        }
        (None, None) => {
            let fault = Fault::new(&node.place, format!("`{path}` names no secret"))
                .label("expected { env = \"NAME\" } or { file = \"PATH\" }");
            Err(reading.fault(fault))
        }
    }
}

fn from_variable(name: &str, path: &str, place: &Place, reading: &mut Reading<'_>) -> Result<Secret, Bad> {
    if !is_variable_name(name) {
        let fault = Fault::new(place, format!("`{path}` does not name an environment variable"))
            .label("expected a name of letters, digits and `_`")
            .hint("write the variable's name here, not the secret itself".to_owned());
        return Err(reading.fault(fault));
    }
    match reading.environment.get(name) {
        Some(value) if !value.trim().is_empty() => Ok(Secret::new(value.as_bytes())),
        Some(_) => {
            let fault = Fault::new(place, format!("environment variable `{name}` is empty"))
                .label(format!("expected the secret for `{path}` in it"));
            Err(reading.fault(fault))
        }
        None => {
            let near = nearest(name, reading.environment.keys().map(String::as_str));
            let hint = match near {
                Some(near) => format!("there is one called `{near}`; did you mean that?"),
                None => format!("set it where gatepost is started: {name}=... gatepost serve"),
            };
            let fault = Fault::new(place, format!("environment variable `{name}` is not set"))
                .label(format!("expected the secret for `{path}` in it"))
                .hint(hint);
            Err(reading.fault(fault))
        }
    }
}

fn from_file(name: &str, path: &str, place: &Place, reading: &mut Reading<'_>) -> Result<Secret, Bad> {
    let file = reading.directory.join(name);
    if name.is_empty() {
        let fault = Fault::new(place, format!("`{path}` names no file")).label("expected a path");
        return Err(reading.fault(fault));
    }
    // Also one that is missing: when it comes, the config may be whole.
    reading.watched.insert(file.clone());
    let problem = match read_secret(&file) {
        Ok((secret, is_world_readable)) => {
            // A container's secrets are mounted so, and nobody else is in there.
            if is_world_readable && !file.starts_with("/run/secrets") {
                let warning =
                    format!("`{path}`: every user of this machine can read `{name}`; try chmod 600");
                reading.warnings.push(warning);
            }
            return Ok(secret);
        }
        Err(problem) => problem,
    };
    let fault = Fault::new(place, format!("the secret file `{}` {problem}", shown(name)))
        .label(format!("expected the secret for `{path}` in it"))
        .hint(
            (problem == MISSING && Path::new(name).is_relative())
                .then(|| "a relative path starts at the config file's directory".to_owned()),
        );
    Err(reading.fault(fault))
}

/// The secret without its line's end, and whether others can read the file.
fn read_secret(path: &Path) -> Result<(Secret, bool), String> {
    let describe = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => MISSING.to_owned(),
        kind => format!("cannot be read: {kind}"),
    };
    let file = File::open(path).map_err(describe)?;
    let metadata = file.metadata().map_err(describe)?;
    if metadata.is_dir() {
        return Err("is a directory".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAX_SECRET_LEN + 1)
        .read_to_end(&mut bytes)
        .map_err(describe)?;
    if bytes.len() as u64 > MAX_SECRET_LEN {
        return Err("is over 64 KiB: no secret is that long".to_owned());
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    let secret = Secret::new(bytes);
    if secret.is_blank() {
        return Err("is empty".to_owned());
    }
    Ok((secret, is_world_readable(&metadata)))
}

#[cfg(unix)]
fn is_world_readable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o004 != 0
}

#[cfg(not(unix))]
const fn is_world_readable(_metadata: &std::fs::Metadata) -> bool {
    false
}
