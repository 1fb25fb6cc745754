//! Bulk work from a terminal: shows the plan, asks, makes the job, and shows how far it is.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::cli::{
    Output,
    client::{Client, Query, text},
    output::{self, Ended, Failure, Result, Table, note, rough},
};

/// How bulk work is done
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Bulk work")]
pub(crate) struct JobArgs {
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with_all = ["yes", "wait"])]
    plan: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// At most so many a second [default: 500; of a cancel: no limit]
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// Why; kept with the job
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Wait until the job has ended, also where no terminal shows how far it is
    #[arg(long)]
    wait: bool,
}

/// Which deliveries
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Which deliveries")]
pub(crate) struct Which {
    /// Of this source's events
    #[arg(long)]
    source: Option<String>,
    /// Of events of this type; `*` at the end stands for anything
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Of this event
    #[arg(long = "event", value_name = "EVENT")]
    event_id: Option<String>,
    /// Of this route
    #[arg(long)]
    route: Option<String>,
    /// To this destination
    #[arg(long)]
    destination: Option<String>,
    /// In this status
    #[arg(long)]
    status: Option<String>,
    /// Created at this time (RFC 3339) or later
    #[arg(long, value_name = "TIME")]
    after: Option<String>,
    /// Created before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// Part of the last error, of the sender's id or of the type
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
}

/// The names of what `Which` takes, for clap.
pub(crate) const WHICH: [&str; 9] = [
    "source",
    "event_type",
    "event_id",
    "route",
    "destination",
    "status",
    "after",
    "before",
    "q",
];

impl Which {
    pub(crate) fn filter(&self) -> Value {
        given([
            ("source", &self.source),
            ("type", &self.event_type),
            ("event_id", &self.event_id),
            ("route", &self.route),
            ("destination", &self.destination),
            ("status", &self.status),
            ("after", &self.after),
            ("before", &self.before),
            ("q", &self.q),
        ])
    }
}

/// An object of what was given.
pub(crate) fn given<const N: usize>(fields: [(&str, &Option<String>); N]) -> Value {
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.clone()?))));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// Shows the plan of what is asked for, and unless told otherwise makes the job.
pub(crate) async fn run(client: &Client, mut request: Value, args: &JobArgs, output: Output) -> Result {
    request["rate"] = args.rate.into();
    request["reason"] = args.reason.clone().into();
    if args.plan || !args.yes {
        let plan = client.post(&["v1", "jobs", "plan"], &request).await?;
        if args.plan {
            match output {
                Output::Json => output::data(&plan.text)?,
                Output::Table => output::data(shown(&plan.value))?,
            }
            return Ok(Ended::Fine);
        }
        note(shown(&plan.value));
        if count(&plan.value, "n_deliveries") == 0 && is_whole(&plan.value) {
            note("there is nothing to do");
            return Ok(Ended::Fine);
        }
        if !is_agreed()? {
            note("nothing was done");
            return Ok(Ended::Failed);
        }
    }
    let job = client.post(&["v1", "jobs"], &request).await?;
    let id = text(&job.value, "id");
    let is_shown = io::stderr().is_terminal();
    if output == Output::Json && !args.wait {
        output::data(&job.text)?;
    } else if output == Output::Table {
        output::data(format_args!("job `{id}` is made"))?;
    }
    if is_shown || args.wait {
        return follow(client, &id, output).await;
    }
    note(format_args!("`gatepost jobs show {id}` says how far it is"));
    Ok(Ended::Fine)
}

/// Asks on the terminal. Where there is none, somebody has to say `--yes`.
fn is_agreed() -> Result<bool> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(
            Failure::usage("nobody can be asked whether to go on: this is not a terminal")
                .hint("look with `--plan`, then say `--yes`"),
        );
    }
    let mut stderr = io::stderr().lock();
    // A terminal that is gone answers no.
    let _ = write!(stderr, "Go on? [y/N] ").and_then(|()| stderr.flush());
    drop(stderr);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// The plan as text.
fn shown(plan: &Value) -> String {
    let action = text(plan, "action");
    let n_deliveries = count(plan, "n_deliveries");
    let more = if is_whole(plan) { "" } else { "at least " };
    let what = match action.as_str() {
        "replay" => {
            let how = match text(plan, "config").as_str() {
                "original" => " by the config of then",
                _ => "",
            };
            let n_events = count(plan, "n_events");
            format!("replay {more}{n_events} events{how}: {more}{n_deliveries} new deliveries")
        }
        action => format!("{action} {more}{n_deliveries} deliveries"),
    };
    let mut lines = vec![what];
    let ways = rows(plan, "ways");
    if !ways.is_empty() {
        let mut table = Table::new(["ROUTE", "DESTINATION", "DELIVERIES", "PER SECOND", "REMARKS"]);
        for way in ways {
            let speed = match text(way, "per_second").as_str() {
                "-" => "-".to_owned(),
                speed => format!("{speed} ({})", text(way, "per_second_from")),
            };
            let remarks = rows(way, "remarks");
            let remarks: Vec<_> = remarks.iter().filter_map(Value::as_str).collect();
            table.row([
                text(way, "route"),
                text(way, "destination"),
                text(way, "n_deliveries"),
                speed,
                remarks.join("; "),
            ]);
        }
        lines.push(table.to_string());
    }
    for it in rows(plan, "skipped") {
        let reason = output::printable(&text(it, "reason"));
        lines.push(format!("skipped: {} ({reason})", text(it, "n")));
    }
    if let Some(seconds) = plan.get("seconds").and_then(Value::as_f64) {
        let rate = plan.get("rate").and_then(Value::as_u64);
        let rate = rate.map(|it| format!(", at most {it} a second (`--rate`)"));
        lines.push(format!(
            "takes about {}{}",
            rough(whole(seconds)),
            rate.unwrap_or_default()
        ));
    } else if action != "cancel" && n_deliveries > 0 {
        lines.push("how long it takes is not known: no destination has a rate or attempts yet".to_owned());
    }
    lines.join("\n")
}

/// Whether a plan counted all there is. If not, there may be work even where it found none.
fn is_whole(plan: &Value) -> bool {
    plan.get("complete").and_then(Value::as_bool) != Some(false)
}

/// How often a job is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(300);
/// Cells of the bar.
const BAR: u64 = 30;

/// Shows how far a job is until it has ended; where no terminal shows it, only waits.
pub(crate) async fn follow(client: &Client, id: &str, output: Output) -> Result {
    let is_shown = io::stderr().is_terminal();
    if is_shown {
        note(format_args!(
            "Ctrl-C leaves it running; `gatepost jobs cancel {id}` ends it"
        ));
    }
    let (started_at, mut n_at_start) = (Instant::now(), None);
    loop {
        let reply = client.get(&["v1", "jobs", id], &Query::default()).await?;
        let job = &reply.value;
        let n = count(job, "n_matched");
        let n_before = *n_at_start.get_or_insert(n);
        if is_shown {
            let line = progress(job, n - n_before.min(n), started_at.elapsed());
            // The line before is longer at most by what the spaces cover.
            let _ = write!(io::stderr().lock(), "\r{line:<78}");
        }
        let state = text(job, "state");
        if ["done", "cancelled"].contains(&state.as_str()) {
            if is_shown {
                note("");
            }
            match output {
                Output::Json => output::data(&reply.text)?,
                Output::Table => output::data(ended(job))?,
            }
            return Ok(if state == "done" {
                Ended::Fine
            } else {
                Ended::Failed
            });
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// One line: a bar, the numbers, how long it still takes at the speed so far.
fn progress(job: &Value, n_lately: u64, lately: Duration) -> String {
    let (n, n_planned) = (count(job, "n_matched"), count(job, "n_planned"));
    let part_of = |whole: u64| n.min(n_planned) * whole / n_planned.max(1);
    let n_full = part_of(BAR);
    let bar: String = (0..BAR).map(|idx| if idx < n_full { '#' } else { '.' }).collect();
    let millis = u64::try_from(lately.as_millis()).unwrap_or(u64::MAX).max(1);
    let per_second = n_lately.saturating_mul(1_000) / millis;
    let left = if text(job, "state") == "paused" {
        "paused".to_owned()
    } else {
        let left = n_planned.saturating_sub(n).checked_div(per_second);
        left.map_or_else(String::new, |it| format!("{per_second}/s, {} left", rough(it)))
    };
    format!("[{bar}] {n} of {n_planned} ({}%) {left}", part_of(100))
}

fn ended(job: &Value) -> String {
    let done = match text(job, "action").as_str() {
        "replay" => "made",
        "cancel" => "given up",
        _ => "put back",
    };
    format!(
        "job `{}` is {}: {} of {} found, {} deliveries {done}, {} skipped",
        text(job, "id"),
        text(job, "state"),
        text(job, "n_matched"),
        text(job, "n_planned"),
        text(job, "n_changed"),
        text(job, "n_skipped"),
    )
}

fn rows<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    let rows = value.get(field).and_then(Value::as_array);
    rows.map_or(&[], Vec::as_slice)
}

pub(crate) fn count(value: &Value, field: &str) -> u64 {
    value.get(field).and_then(Value::as_u64).unwrap_or(0)
}

/// Of an estimate; nothing negative, and no fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, which is as good as any number there"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_says_how_many_where_to_how_long_and_what_is_left_out() {
        let plan = json!({
            "action": "replay", "n_events": 30, "n_deliveries": 20, "complete": true, "seconds": 125.4, "rate": 500,
            "ways": [{
                "route": "r", "destination": "billing", "n_deliveries": 20, "per_second": 8.0,
                "per_second_from": "configured", "remarks": ["paused: they are held until it is resumed"],
            }],
            "skipped": [{ "cause": "no_route", "reason": "no route of `s` takes them", "n": 10 }],
        });
        assert_eq!(
            shown(&plan),
            "replay 30 events: 20 new deliveries\n\
             ROUTE  DESTINATION  DELIVERIES  PER SECOND        REMARKS\n\
             r      billing      20          8.0 (configured)  paused: they are held until it is resumed\n\
             skipped: 10 (no route of `s` takes them)\n\
             takes about 2m, at most 500 a second (`--rate`)"
        );
        let plan = json!({ "action": "replay", "config": "original", "n_events": 7, "n_deliveries": 0, "complete": true });
        assert_eq!(
            shown(&plan),
            "replay 7 events by the config of then: 0 new deliveries"
        );
        let plan = json!({ "action": "retry", "n_deliveries": 7, "complete": false });
        let text = shown(&plan);
        assert!(text.starts_with("retry at least 7 deliveries\n"), "{text}");
        assert!(text.contains("not known"), "{text}");
    }

    #[test]
    fn progress_is_a_share_a_speed_and_a_rest() {
        let job = json!({ "state": "running", "n_matched": 500, "n_planned": 1000 });
        let line = progress(&job, 100, Duration::from_secs(10));
        assert_eq!(
            line,
            "[###############...............] 500 of 1000 (50%) 10/s, 50s left"
        );
        let none = json!({ "state": "paused", "n_matched": 0, "n_planned": 0 });
        assert!(progress(&none, 0, Duration::ZERO).ends_with("0 of 0 (0%) paused"));
    }
}
