//! The sections of what was run: crashes, power losses, flaws, fuzzing, mutants.

use std::fmt::Write;

use serde_json::Value;

use crate::{
    report::{bound, cell, grouped},
    summary::{Spread, Summary},
};

pub(super) fn crash(text: &mut String, runs: &[Summary]) {
    text.push_str("\n## Crashes\n\nThe real binary, killed by SIGKILL at random moments and by `abort` at named points of its code, under load: genuine\nevents, repeats, conflicts, and about a tenth of forgeries. After each 150 cycles every acknowledgement that was read\nfrom a socket is looked for in the store and at the handler.\n");
    if runs.is_empty() {
        text.push_str("\nNot run.\n");
    }
    for run in runs {
        one(text, run);
    }
}

fn one(text: &mut String, run: &Summary) {
    let Summary {
        store,
        replicas,
        commit,
        command,
        ..
    } = run;
    let (cycles, acknowledged) = (grouped(run.cycles), grouped(run.n_acknowledged));
    let plural = if *replicas == 1 {
        "one process"
    } else {
        "processes side by side"
    };
    let head = if *replicas == 1 {
        plural.to_owned()
    } else {
        format!("{replicas} {plural}")
    };
    let _ = writeln!(text, "\n### {store}, {head}: {cycles} cycles\n");
    if run.n_lost == 0 && run.failures.is_empty() {
        let _ = writeln!(
            text,
            "No event acknowledged with 2xx was lost in {cycles} crash cycles at commit `{commit}`; repeat with `{command}`. That is none of\n{acknowledged} acknowledgements: with 95 % confidence a cycle loses one with a probability {}, and an acknowledgement is lost with one {}.",
            bound(run.cycles),
            bound(run.n_acknowledged)
        );
    } else {
        let _ = writeln!(text, "**This run failed**: {}.", run.failures.join("; "));
    }
    if run.is_interrupted {
        text.push_str("It was stopped before its end.\n");
    }
    let points: Vec<_> = run.points.iter().map(|(name, n)| format!("{name} {n}")).collect();
    let ends: Vec<_> = run.ends.iter().map(|(name, n)| format!("{name} {n}")).collect();
    let rows = [
        ("processes that died without notice", grouped(run.n_kills)),
        ("how cycles ended", ends.join(", ")),
        ("deaths at named points", points.join(", ")),
        (
            "connections broken",
            format!(
                "{} times the store's, {} times the handler's",
                run.n_store_faults, run.n_sink_faults
            ),
        ),
        ("events", grouped(run.n_events)),
        (
            "answered 200",
            format!(
                "{acknowledged}, of those {} duplicates and {} conflicts",
                grouped(run.n_duplicates),
                grouped(run.n_conflicts)
            ),
        ),
        (
            "forgeries answered 401",
            format!(
                "{} of {}; the others met a death or a 503",
                grouped(run.n_rejected),
                grouped(run.n_forged)
            ),
        ),
        (
            "503, cut, refused",
            format!(
                "{}, {}, {}: sent again under the same id until answered",
                grouped(run.n_own_faults),
                grouped(run.n_broken),
                grouped(run.n_refused)
            ),
        ),
        (
            "delivered",
            format!(
                "{}, and {} dead letters whose handler never took them",
                grouped(run.n_delivered),
                grouped(run.n_dead)
            ),
        ),
        (
            "acknowledged and not stored byte for byte",
            run.n_lost.to_string(),
        ),
        (
            "unverified, and stored as verified",
            run.n_unverified_as_verified.to_string(),
        ),
        ("stored twice", run.n_stored_twice.to_string()),
        (
            "taken more than once by the handler",
            format!("{} deliveries", grouped(run.n_delivered_twice)),
        ),
        (
            "attempts that died unrecorded",
            format!(
                "{} in all, at most {} of one process, which has {} places",
                grouped(run.n_unsettled),
                run.max_unsettled,
                run.in_hand
            ),
        ),
        (
            "ledger",
            if run.is_balanced {
                "balanced after each store".to_owned()
            } else {
                "not balanced".to_owned()
            },
        ),
        ("from a start to the first 200", spread(&run.recovery)),
        (
            "from a replica's death until others had done its work",
            spread(&run.takeover),
        ),
        (
            "seed, build, date, machine",
            format!(
                "{}, {}, {}, {}, {:.0} s",
                run.seed, run.profile, run.date, run.machine, run.wall_s
            ),
        ),
    ];
    text.push_str("\n| what | how much |\n|---|---|\n");
    for (what, how_much) in rows.iter().filter(|(_, it)| !it.is_empty()) {
        let _ = writeln!(text, "| {what} | {how_much} |");
    }
}

fn spread(it: &Spread) -> String {
    if it.n == 0 {
        return String::new();
    }
    format!(
        "p50 {} ms, p99 {} ms, at most {} ms, of {}",
        it.p50_ms,
        it.p99_ms,
        it.max_ms,
        grouped(it.n as u64)
    )
}

pub(super) fn power(text: &mut String, runs: &[Value]) {
    text.push_str("\n## Power losses, SQLite\n\nA library between gatepost and the kernel forgets what was not synced, in part and out of order, as a disk does.\nRepeat with `tests/campaign/power/run`.\n\n");
    if runs.is_empty() {
        text.push_str("Not run.\n");
        return;
    }
    let names = [
        "commit",
        "seed",
        "mode",
        "flaw",
        "cycles",
        "acknowledged",
        "lost",
        "integrity_failures",
        "failed_starts",
        "ledger",
        "forgotten_sectors",
        "torn_writes",
        "recovery_p99_ms",
    ];
    table(text, &names, runs);
    for run in runs.iter().filter(|it| it["flaw"].is_null() && it["lost"] == 0) {
        let n_cycles = run["cycles"].as_u64().unwrap_or(0);
        let _ = writeln!(
            text,
            "\nNo event acknowledged with 2xx was lost in {} power losses at commit `{}` (95 %: a loss loses one with a probability {}).",
            grouped(n_cycles),
            cell(&run["commit"]),
            bound(n_cycles)
        );
    }
}

pub(super) fn flaws(text: &mut String, runs: &[Value]) {
    text.push_str("\n## Deliberate defects\n\nA campaign that sees nothing proves nothing: gatepost is built with each of these defects, and the campaign must fail.\nRepeat with `tests/campaign/run flaws`.\n\n");
    if runs.is_empty() {
        text.push_str("Not run.\n");
        return;
    }
    text.push_str("| defect | broken invariants | after | store | commit |\n|---|---|---|---|---|\n");
    for it in runs {
        let by: Vec<_> = it["by"].as_array().into_iter().flatten().map(cell).collect();
        let is_none = it["flaw"] == "none";
        let by = if by.is_empty() && is_none {
            "nothing, as it must be".to_owned()
        } else if by.is_empty() {
            "**not seen**".to_owned()
        } else {
            by.join("; ")
        };
        let _ = writeln!(
            text,
            "| `{}` | {by} | {} cycles, {:.0} s | {}, {} | `{}` |",
            cell(&it["flaw"]),
            it["cycles"],
            it["wall_s"].as_f64().unwrap_or(0.0),
            cell(&it["store"]),
            it["replicas"],
            cell(&it["commit"])
        );
    }
}

pub(super) fn fuzz(text: &mut String, runs: &[Value]) {
    text.push_str("\n## Fuzzing\n\nRepeat with `tests/fuzz/run`.\n\n");
    if runs.is_empty() {
        text.push_str("Not run.\n");
        return;
    }
    table(
        text,
        &[
            "target",
            "kind",
            "executions",
            "seconds",
            "crashes",
            "hangs",
            "corpus",
            "commit",
        ],
        runs,
    );
}

/// A line for each file that was changed.
pub(super) fn mutants(text: &mut String, runs: &[Value]) {
    text.push_str("\n## Mutants\n\nThe code of the rooms that decide is changed, a place at a time, and a test must notice. What no test noticed is named below the table.\n\n");
    if runs.is_empty() {
        text.push_str("Not run.\n");
        return;
    }
    text.push_str("| file | mutants | noticed | not noticed | took too long | did not compile | commit | repeat with |\n|---|---|---|---|---|---|---|---|\n");
    let missed = |it: &Value| it["missed"].as_array().cloned().unwrap_or_default();
    for it in runs {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} | `{}` | `{}` |",
            cell(&it["mutants_of"]),
            it["mutants"],
            it["caught"],
            missed(it).len(),
            it["timeouts"],
            it["unviable"],
            cell(&it["commit"]),
            cell(&it["command"])
        );
    }
    let named = runs.iter().flat_map(|it| {
        let file = cell(&it["mutants_of"]);
        let missed = missed(it).into_iter();
        missed.map(move |mutant| format!("- `{file}:{}`", mutant.as_str().unwrap_or_default()))
    });
    let named: Vec<_> = named.collect();
    if !named.is_empty() {
        let _ = writeln!(text, "\n{}", named.join("\n"));
    }
}

fn table(text: &mut String, names: &[&str], rows: &[Value]) {
    let _ = writeln!(text, "| {} |", names.join(" | ").replace('_', " "));
    let _ = writeln!(text, "|{}", "---|".repeat(names.len()));
    for row in rows {
        let cells: Vec<_> = names.iter().map(|it| cell(&row[*it])).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}
