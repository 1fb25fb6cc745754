//! What a person or a pipe reads: data to stdout, everything else to stderr.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use crate::base::clock::{Timestamp, wall_now};

/// How a command ended without a fault of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Fine,
    /// It ran, and the answer is no.
    Failed,
    /// Wrong usage or a faulty config, reported already.
    Refused,
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Fine => Self::SUCCESS,
            Ended::Failed => Self::FAILURE,
            Ended::Refused => Self::from(2),
        }
    }
}

/// Why a command could not do its work, what to do about it, and which exit code says so.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    hint: Option<String>,
    is_usage: bool,
}

pub(crate) type Result<T = Ended> = std::result::Result<T, Failure>;

impl Failure {
    /// It was tried and did not work: exit code 1.
    pub(crate) fn new(error: impl Into<anyhow::Error>) -> Self {
        Self {
            error: error.into(),
            hint: None,
            is_usage: false,
        }
    }

    pub(crate) fn text(text: impl fmt::Display) -> Self {
        Self::new(anyhow::anyhow!("{text}"))
    }

    /// What was asked for makes no sense: exit code 2.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self {
            is_usage: true,
            ..Self::text(text)
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints the error, its causes and the hint, each on a line of its own.
    pub(crate) fn report(&self) -> Ended {
        for (idx, text) in causes(self.error.chain()).iter().enumerate() {
            let label = if idx == 0 { "error" } else { "caused by" };
            note(format_args!("{label}: {text}"));
        }
        if let Some(hint) = &self.hint {
            note(format_args!("hint: {hint}"));
        }
        if self.is_usage {
            Ended::Refused
        } else {
            Ended::Failed
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

impl From<crate::store::error::StoreError> for Failure {
    fn from(error: crate::store::error::StoreError) -> Self {
        let hint = match &error {
            crate::store::error::StoreError::Unusable { hint, .. } => Some(hint.clone()),
            _ => None,
        };
        Self {
            hint,
            ..Self::new(error)
        }
    }
}

/// The texts of an error and its causes, without those that the one before says already.
pub(crate) fn causes<'a>(chain: impl Iterator<Item = &'a (dyn std::error::Error + 'static)>) -> Vec<String> {
    chain
        .map(ToString::to_string)
        .fold(Vec::new(), |mut said: Vec<String>, text| {
            if !said.last().is_some_and(|it| it.contains(&text)) {
                said.push(text);
            }
            said
        })
}

/// Writes data to stdout. Whoever closed the pipe has read enough: that is no failure.
pub(crate) fn data(text: impl fmt::Display) -> Result<()> {
    raw(format!("{text}\n").as_bytes())
}

/// Writes bytes to stdout as they are.
pub(crate) fn raw(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            anyhow::Error::new(error).context("cannot write to stdout"),
        )),
        _ => Ok(()),
    }
}

/// One line to stderr. A stderr that is gone is nobody's business.
pub(crate) fn note(text: impl fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// JSON on one level of indentation, for output that we made ourselves.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string(value).map_err(Failure::new)?;
    data(text)
}

/// Rows under headings, aligned; the last column is not padded.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self {
            rows: vec![headings.iter().map(ToString::to_string).collect()],
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|it| printable(&it)).to_vec());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.len() <= 1
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|it| it.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..n_columns).map(width).collect();
        for (idx, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&widths);
            let line: Vec<_> = cells.map(|(cell, width)| format!("{cell:<width$}")).collect();
            if idx != 0 {
                writeln!(f)?;
            }
            f.write_str(line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Text from outside without the characters that could move the cursor or colour a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// How long ago an RFC 3339 time was (`12s ago`), or how far off it is (`in 3m`); the text itself where it is none.
pub(crate) fn relative(text: &str) -> String {
    Timestamp::parse_rfc3339(text).map_or_else(|| text.to_owned(), |at| relative_to(at, wall_now()))
}

fn relative_to(at: Timestamp, now: Timestamp) -> String {
    if now < at {
        format!("in {}", rough(at.since(now).as_secs()))
    } else {
        format!("{} ago", rough(now.since(at).as_secs()))
    }
}

/// So many seconds in the largest unit that leaves something.
pub(crate) fn rough(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Colours, where a terminal shows them and nobody said `NO_COLOR`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint {
    is_on: bool,
}

impl Paint {
    pub(crate) fn for_stdout(no_color: bool) -> Self {
        Self {
            is_on: !no_color && io::stdout().is_terminal(),
        }
    }

    pub(crate) fn bold(self, text: impl fmt::Display) -> String {
        self.with("1", text)
    }
    pub(crate) fn dim(self, text: impl fmt::Display) -> String {
        self.with("2", text)
    }
    pub(crate) fn green(self, text: impl fmt::Display) -> String {
        self.with("32", text)
    }
    pub(crate) fn red(self, text: impl fmt::Display) -> String {
        self.with("31", text)
    }
    pub(crate) fn cyan(self, text: impl fmt::Display) -> String {
        self.with("36", text)
    }

    fn with(self, code: &str, text: impl fmt::Display) -> String {
        if self.is_on {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let mut table = Table::new(["ID", "SOURCE", "TYPE"]);
        table.row(["evt_1".into(), "stripe".into(), "a".into()]);
        table.row(["evt_10".into(), "x".into(), String::new()]);
        assert_eq!(
            table.to_string(),
            "ID      SOURCE  TYPE\nevt_1   stripe  a\nevt_10  x"
        );
    }

    #[test]
    fn a_cause_that_was_said_is_not_said_again() {
        let error = anyhow::anyhow!("refused")
            .context("no connection: refused")
            .context("no store");
        assert_eq!(causes(error.chain()), ["no store", "no connection: refused"]);
    }

    #[test]
    fn hostile_text_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
    }

    #[test]
    fn times_read_as_distances() {
        let now = Timestamp::from_unix_seconds(1_000_000);
        assert_eq!(relative_to(now, now), "0s ago");
        assert_eq!(relative_to(now.minus(Duration::from_secs(61)), now), "1m ago");
        assert_eq!(relative_to(now.plus(Duration::from_hours(2)), now), "in 2h");
        assert_eq!(relative_to(now.minus(Duration::from_hours(72)), now), "3d ago");
        assert_eq!(relative("soon"), "soon");
    }
}
