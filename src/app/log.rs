//! Logs to stderr: text on a terminal, JSON elsewhere.

use std::{fmt, io::IsTerminal};

use tracing::{Dispatch, field::Field};
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt,
    fmt::{
        MakeWriter,
        format::{Writer, debug_fn},
    },
    util::SubscriberInitExt,
};

use crate::config::Log;

/// Starts the log. A second call changes nothing.
pub fn init(log: &Log) {
    // Someone has started one already, in a test: that one stays.
    let _ = writing_to(std::io::stderr, std::io::stderr().is_terminal(), log).try_init();
}

fn writing_to<W>(writer: W, is_terminal: bool, log: &Log) -> Dispatch
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(false);
    if log.is_json.unwrap_or(!is_terminal) {
        builder.json().flatten_event(true).finish().into()
    } else {
        let fields = debug_fn(show).delimited(" ");
        builder.with_ansi(is_terminal).fmt_fields(fields).finish().into()
    }
}

/// A field of a line of text. The library escapes messages and what is printed with `?`, and nothing of what is shown with
/// `%`: a terminal would obey that, and a line break would begin a line that looks like ours. Messages are our own and may
/// have several lines.
fn show(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let is_message = field.name() == "message";
    if !is_message {
        write!(writer, "{field}=")?;
    }
    for it in format!("{value:?}").chars() {
        if it.is_control() && !(is_message && it == '\n') {
            write!(writer, "{}", it.escape_default())?;
        } else {
            writer.write_char(it)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn logged(is_json: bool, text: &str) -> String {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let log = Log {
            filter: "info".to_owned(),
            is_json: Some(is_json),
        };
        let writer = Kept(Arc::clone(&bytes));
        let dispatch = writing_to(move || writer.clone(), false, &log);
        tracing::dispatcher::with_default(&dispatch, || {
            let error = std::io::Error::other(text.to_owned());
            tracing::warn!(shown = %text, printed = ?text, error = &error as &dyn std::error::Error, "it said {text}");
        });
        let bytes = bytes.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[derive(Clone)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn g06_a_line_of_json_is_one_line_whatever_it_says() {
        for it in (0..=0x9f_u8).map(char::from).filter(|it| it.is_control()) {
            let logged = logged(true, &format!("a{it}[31mb\r\n{{\"level\":\"ERROR\"}}"));
            let line = logged.strip_suffix('\n').unwrap();
            let shown = |it: char| !it.is_control() || ('\u{7f}'..='\u{9f}').contains(&it);
            assert!(line.chars().all(shown), "{line:?}");
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(json["level"], "WARN", "{line}");
        }
    }

    #[test]
    fn g06_no_terminal_obeys_what_somebody_else_wrote() {
        for it in (0..=0x9f_u8).map(char::from).filter(|it| it.is_control()) {
            let logged = logged(false, &format!("a{it}[31mb"));
            let line = logged.strip_suffix('\n').unwrap();
            // A line break in a message is our own, and stays.
            let fields = line.split_once(" shown=").unwrap().1;
            assert!(!fields.contains(it), "{line:?}");
            assert!(it == '\n' || !line.contains(it), "{line:?}");
            assert!(
                fields.starts_with(&format!("a{}[31mb printed=", it.escape_default())),
                "{line:?}"
            );
        }
    }
}
