//! `[issues]`: what counts as wrong.

use std::time::Duration;

use crate::{
    alert::{
        self,
        rule::{After, AtLeast, Common, OlderThan, Rule, Rules, Silence, Strain, Within},
    },
    config::{
        section::{Bad, Reading, Section},
        value::{self, DAY, HOUR, MINUTE},
    },
    store::issue::Severity,
};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

pub(super) const SEVERITIES: &[(&str, Severity)] =
    &[("warning", Severity::Warning), ("critical", Severity::Critical)];

/// Without who is told.
pub(super) fn issues(top: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<alert::Settings, Bad> {
    let Some(mut section) = top.section("issues", reading)? else {
        return Err(top.missing("issues", reading));
    };
    let every = section.need("every", reading, value::duration(SECOND, HOUR));
    let resolve_after = section.need("resolve_after", reading, value::duration(SECOND, DAY));
    let keep = section.need("keep", reading, value::duration(DAY, 3650 * DAY));
    let dashboard_url = section.read("dashboard_url", reading, value::public_url);
    let rules = rules(&mut section, reading);
    section.finish(reading);
    Ok(alert::Settings {
        every: every?,
        resolve_after: resolve_after?,
        keep: keep?,
        dashboard_url: dashboard_url?,
        rules: rules?,
        notifications: Vec::new(),
    })
}

fn rules(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Rules, Bad> {
    let dead_letters = rule(Rule::DeadLetters, section, reading, at_least);
    let failing = rule(Rule::Failing, section, reading, after);
    let held = rule(Rule::Held, section, reading, after);
    let refusals = rule(Rule::Refusals, section, reading, |section, reading| {
        let at_least = at_least(section, reading);
        let within = section.need("within", reading, value::duration(SECOND, DAY));
        Ok((at_least?, Within(within?)))
    });
    let backlog = rule(Rule::Backlog, section, reading, |section, reading| {
        let older_than = section.need("older_than", reading, value::duration(SECOND, 30 * DAY));
        older_than.map(OlderThan)
    });
    let ledger = rule(Rule::Ledger, section, reading, |_, _| Ok(()));
    let silence = rule(Rule::Silence, section, reading, |section, reading| {
        let times = section.need("times", reading, value::number(1, 100_u32));
        let at_least = section.need("at_least", reading, value::duration(SECOND, 30 * DAY));
        Ok(Silence {
            times: times?,
            at_least: at_least?,
        })
    });
    let store = rule(Rule::Store, section, reading, |section, reading| {
        let slower_than = section.need("slower_than", reading, value::duration(MILLISECOND, MINUTE));
        let free_below = section.need("free_below", reading, value::size(0, 1 << 50));
        Ok(Strain {
            slower_than: slower_than?,
            free_below: free_below?,
        })
    });
    let expiry = rule(Rule::Expiry, section, reading, |section, reading| {
        let within = section.need("within", reading, value::duration(HOUR, 365 * DAY));
        within.map(Within)
    });
    let (common, (at_least, within)) = refusals?;
    Ok(Rules {
        dead_letters: dead_letters?,
        failing: failing?,
        held: held?,
        refusals: (common, at_least, within),
        backlog: backlog?,
        ledger: ledger?.0,
        silence: silence?,
        store: store?,
        expiry: expiry?,
    })
}

/// The table of one rule: what every rule has, and what `more` reads.
fn rule<T>(
    rule: Rule,
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
    more: impl FnOnce(&mut Section<'_>, &mut Reading<'_>) -> Result<T, Bad>,
) -> Result<(Common, T), Bad> {
    let name = rule.as_str();
    let Some(mut section) = section.section(name, reading)? else {
        return Err(section.missing(name, reading));
    };
    let is_enabled = section.need("enabled", reading, value::boolean);
    let severity = section.need("severity", reading, value::choice(SEVERITIES));
    let more = more(&mut section, reading);
    section.finish(reading);
    let common = Common {
        is_enabled: is_enabled?,
        severity: severity?,
    };
    Ok((common, more?))
}

fn at_least(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<AtLeast, Bad> {
    let number = section.need("at_least", reading, value::number(1, 10_000_i64));
    number.map(|it| AtLeast(it.unsigned_abs()))
}

fn after(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<After, Bad> {
    let after = section.need(
        "after",
        reading,
        value::duration(Duration::ZERO, 60 * 24 * MINUTE),
    );
    after.map(After)
}
