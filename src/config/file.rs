//! Finding and reading the config file.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::config::{error::Fault, tree::Place};

/// Where a config is looked for if nobody names one.
pub(super) const SEARCH: &[&str] = &["config/gatepost.toml", "/etc/gatepost/gatepost.toml"];

const MAX_LEN: u64 = 1 << 20;

/// The file to read. A named one is read or faulted; of the others the first that exists.
pub(super) fn choose(named: Option<&Path>, variable: Option<&str>, search: &[&str]) -> Option<PathBuf> {
    named
        .map(Path::to_owned)
        .or_else(|| variable.filter(|it| !it.is_empty()).map(PathBuf::from))
        .or_else(|| search.iter().map(PathBuf::from).find(|it| it.exists()))
}

/// The text, which is UTF-8, not empty and of a size that somebody may have written.
pub(super) fn read(path: &Path) -> Result<String, Fault> {
    let fault = |problem: String, hint: &str| Fault::new(&Place::Default, problem).hint(hint.to_owned());
    let unreadable = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            let hint =
                "name the file with --config or GATEPOST_CONFIG, or leave both out for the built-in defaults";
            return fault("the config file does not exist".to_owned(), hint);
        }
        fault(
            format!("the config file cannot be read: {}", error.kind()),
            "check who may read it",
        )
    };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(fault("the config is a directory".to_owned(), "name a file in it"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_LEN + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(fault(
            "the config file is over 1 MiB".to_owned(),
            "is it a config? one of a thousand sources is smaller",
        ));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(fault("the config file is UTF-16".to_owned(), "save it as UTF-8"));
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(fault(
            "the config file begins with a byte order mark".to_owned(),
            "save it as UTF-8 without one",
        ));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let n_line = 1 + String::from_utf8_lossy(before).matches('\n').count();
        fault(
            format!("the config file is not UTF-8: line {n_line} has other bytes"),
            "save it as UTF-8",
        )
    })?;
    if text.trim().is_empty() {
        let hint = "begin with a source, or leave the file out for the built-in defaults";
        return Err(fault("the config file is empty".to_owned(), hint));
    }
    Ok(text)
}
