//! `gatepost events export` and `import`: events out of a store and into one, a page at a time.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use crate::cli::{
    bulk::given,
    client::{AdminArgs, Client, Query, text},
    output::{self, Ended, Failure, Result, note},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Export {
    /// Only this source's
    #[arg(long)]
    source: Option<String>,
    /// Only this type; `*` at the end stands for anything
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Only events with a delivery in this status
    #[arg(long)]
    status: Option<String>,
    /// Only events with a delivery to this destination
    #[arg(long)]
    destination: Option<String>,
    /// Received at this time (RFC 3339) or later
    #[arg(long, visible_alias = "from", value_name = "TIME")]
    after: Option<String>,
    /// Received before this time (RFC 3339)
    #[arg(long, visible_alias = "to", value_name = "TIME")]
    before: Option<String>,
    /// Part of the sender's id or of the type
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
    /// Where to; it must not be there yet [default: stdout]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Import {
    /// What `export` wrote; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Store also what does not verify with today's secrets, as events of which nothing was verified
    #[arg(long)]
    unverified: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

pub(crate) async fn export(file: Option<&Path>, args: Export) -> Result {
    let client = Client::new(file, &args.admin)?;
    let filter = given([
        ("source", &args.source),
        ("type", &args.event_type),
        ("status", &args.status),
        ("destination", &args.destination),
        ("after", &args.after),
        ("before", &args.before),
        ("q", &args.q),
    ]);
    let mut target = args.output.as_deref().map(create).transpose()?;
    let mut cursor: Option<String> = None;
    let (mut n_events, mut n_left_out) = (0, 0_u64);
    loop {
        let body = json!({ "filter": filter, "cursor": cursor });
        let page = client
            .send(
                Method::POST,
                &["v1", "events", "export"],
                &Query::default(),
                "application/json",
                Bytes::from(body.to_string()),
            )
            .await?;
        n_events += page.body.split_inclusive(|it| *it == b'\n').count();
        match &mut target {
            Some(target) => target.write_all(&page.body)?,
            None => output::raw(&page.body)?,
        }
        let left_out = page.headers.get("gatepost-left-out");
        let left_out = left_out.and_then(|it| it.to_str().ok()?.parse().ok());
        n_left_out += left_out.unwrap_or(0);
        let next = page.headers.get("gatepost-next").map(HeaderValue::to_str);
        match next {
            Some(Ok(next)) => cursor = Some(next.to_owned()),
            _ => break,
        }
    }
    if let Some(mut target) = target {
        target.flush()?;
        target.get_ref().sync_all()?;
    }
    note(format_args!("{n_events} events exported"));
    if n_left_out > 0 {
        note(format_args!(
            "{n_left_out} events cannot be read from the store and were left out; its log names them"
        ));
        return Ok(Ended::Failed);
    }
    Ok(Ended::Fine)
}

/// For this user alone: it holds whatever the senders sent.
fn create(path: &Path) -> Result<BufWriter<File>> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    let file = file.map_err(|error| {
        Failure::new(anyhow::Error::new(error).context(format!("cannot make `{}`", path.display())))
    })?;
    Ok(BufWriter::new(file))
}

/// Lines and bytes of one call.
const MAX_LINES: usize = 200;
const MAX_BATCH: usize = 8 << 20;
/// More than any line of an export.
const MAX_LINE: u64 = 48 << 20;

/// What became of the lines, in numbers.
#[derive(Debug, Default)]
struct Counts {
    accepted: usize,
    duplicates: usize,
    conflicts: usize,
    refused: usize,
}

pub(crate) async fn import(file: Option<&Path>, args: Import) -> Result {
    let client = Client::new(file, &args.admin)?;
    let mut query = Query::default();
    query.push("unverified", args.unverified.then_some("true"));
    let mut source: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(&args.file).map_err(|error| {
            Failure::new(anyhow::Error::new(error).context(format!("cannot read `{}`", args.file.display())))
        })?;
        Box::new(BufReader::new(file))
    };
    let mut counts = Counts::default();
    let mut n_before = 0;
    loop {
        let (batch, n_lines) = batch(&mut source)?;
        if batch.is_empty() {
            break;
        }
        let answer = client
            .send(
                Method::POST,
                &["v1", "events", "import"],
                &query,
                "application/x-ndjson",
                Bytes::from(batch),
            )
            .await?;
        let answer: Value = serde_json::from_slice(&answer.body).map_err(Failure::new)?;
        counts.add(&answer, n_before);
        n_before += n_lines;
    }
    output::data(format_args!(
        "{} events imported, {} were there, {} conflict, {} refused",
        counts.accepted, counts.duplicates, counts.conflicts, counts.refused
    ))?;
    Ok(if counts.refused + counts.conflicts == 0 {
        Ended::Fine
    } else {
        Ended::Failed
    })
}

/// The next lines, as many as go into one call, and how many there are.
fn batch(source: &mut dyn BufRead) -> Result<(Vec<u8>, usize)> {
    let (mut batch, mut n_lines) = (Vec::new(), 0);
    while n_lines < MAX_LINES && batch.len() < MAX_BATCH {
        let n_before = batch.len();
        let n_read = source.take(MAX_LINE).read_until(b'\n', &mut batch)?;
        if n_read == 0 {
            break;
        }
        if batch.len() - n_before >= usize::try_from(MAX_LINE).unwrap_or(usize::MAX) {
            return Err(Failure::text("a line is longer than any of an export"));
        }
        if batch[n_before..].trim_ascii().is_empty() {
            batch.truncate(n_before);
            continue;
        }
        n_lines += 1;
    }
    Ok((batch, n_lines))
}

impl Counts {
    /// Says on stderr which lines were not taken, and why. `n_before`: lines of earlier calls.
    fn add(&mut self, answer: &Value, n_before: usize) {
        let rows = answer.get("data").and_then(Value::as_array);
        for row in rows.map_or(&[][..], Vec::as_slice) {
            let line = row.get("line").and_then(Value::as_u64).unwrap_or(0);
            let line = n_before.saturating_add(usize::try_from(line).unwrap_or(0));
            match text(row, "result").as_str() {
                "accepted" => self.accepted += 1,
                "duplicate" => self.duplicates += 1,
                "conflict" => {
                    self.conflicts += 1;
                    note(format_args!(
                        "event {line}: the source has it with another body, as `{}`",
                        text(row, "event_id")
                    ));
                }
                _ => {
                    self.refused += 1;
                    let explanation = output::printable(&text(row, "explanation"));
                    note(format_args!(
                        "event {line}: {} ({explanation})",
                        text(row, "cause")
                    ));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_whole_lines_without_empty_ones() {
        let text = "1\n\n  \n2\n3".repeat(100);
        let mut source = text.as_bytes();
        let (first, n_first) = batch(&mut source).unwrap();
        assert_eq!(n_first, 200);
        assert_eq!(first.split_inclusive(|it| *it == b'\n').count(), 200);
        let (second, n_second) = batch(&mut source).unwrap();
        assert_eq!((n_second, second.ends_with(b"3")), (1, true));
        assert!(batch(&mut source).unwrap().0.is_empty());
    }
}
