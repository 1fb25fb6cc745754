use super::*;
use crate::base::metrics::handles::{InFlight, RequestAnswer, Settled};

/// With something in every family, and an attempt that is under way.
fn filled() -> (Metrics, InFlight) {
    let metrics = Metrics::new();
    let source = metrics.source("stripe");
    source.answered(RequestAnswer::Accepted);
    source.answered(RequestAnswer::Rejected);
    source.rejected("signature_mismatch");
    metrics.unknown_source();
    metrics.called_sender(&"stripe".into(), "keys", "timeout");
    metrics.acknowledged(2300, Duration::from_millis(3));
    metrics.committed(20, Duration::from_millis(2));
    metrics.set_bytes_in_flight(7);
    let destination = metrics.destination("billing");
    destination.attempted("delivered", Duration::from_millis(20));
    destination.attempted("timeout", Duration::from_secs(30));
    for is_from_store in [false, true, false] {
        destination.taken(is_from_store);
    }
    destination.settled(Settled::LostClaim);
    destination.delivered_after(Duration::from_millis(40));
    let one = destination.begin();
    drop(destination.begin());
    destination.set_breaker(3);
    destination.breaker_opened();
    metrics.set_replicas(2);
    metrics.rescued(3);
    metrics.pruned("events", 5);
    metrics.reloaded(false);
    metrics.store_error("unavailable");
    metrics.panicked();
    let notification = metrics.notification(&"ops".into(), "email");
    notification.sent(2);
    notification.failed(1);
    metrics.spans_exported(8);
    metrics.spans_dropped("queue_full", 2);
    metrics.set_store_up(true);
    metrics.observe(&Observed {
        deliveries: vec![("billing".into(), "retrying", 4)],
        oldest_due: vec![("billing".into(), Duration::from_millis(1500))],
        held: vec![
            ("route", "stripe-to-billing".into(), "gatepost"),
            ("destination", "billing".into(), "operator"),
        ],
        issues: vec![("dead_letters", "open", 2)],
        ledger: vec![("received", 9)],
        is_ledger_balanced: Some(true),
        stuck: Some(0),
    });
    (metrics, one)
}

#[test]
fn every_metric_is_written_and_ends_with_eof() {
    let (metrics, _one) = filled();
    let text = metrics.encode();
    for line in [
        concat!(
            "gatepost_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        ),
        "gatepost_requests_total{source=\"stripe\",answer=\"accepted\"} 1",
        "gatepost_requests_total{source=\"stripe\",answer=\"unavailable\"} 0",
        "gatepost_requests_rejected_total{source=\"stripe\",cause=\"signature_mismatch\"} 1",
        "gatepost_requests_unknown_source_total 1",
        "gatepost_issues{rule=\"dead_letters\",state=\"open\"} 2",
        "gatepost_notices_total{notification=\"ops\",kind=\"email\",outcome=\"sent\"} 2",
        "gatepost_notices_total{notification=\"ops\",kind=\"email\",outcome=\"given_up\"} 0",
        "gatepost_sender_calls_total{source=\"stripe\",call=\"keys\",outcome=\"timeout\"} 1",
        "gatepost_ack_seconds_bucket{le=\"0.005\"} 1",
        "gatepost_request_body_bytes_sum 2300.0",
        "gatepost_batch_events_count 1",
        "gatepost_bytes_in_flight 7",
        "gatepost_attempts_total{destination=\"billing\",outcome=\"delivered\"} 1",
        "gatepost_attempts_total{destination=\"billing\",outcome=\"timeout\"} 1",
        "gatepost_attempt_seconds_count{destination=\"billing\"} 2",
        "gatepost_attempts_in_flight{destination=\"billing\"} 1",
        "gatepost_deliveries_taken_total{destination=\"billing\",way=\"handed_over\"} 2",
        "gatepost_deliveries_taken_total{destination=\"billing\",way=\"claimed\"} 1",
        "gatepost_deliveries_settled_total{destination=\"billing\",outcome=\"lost_claim\"} 1",
        "gatepost_delivery_latency_seconds_count{destination=\"billing\"} 1",
        "gatepost_breaker{destination=\"billing\"} 3",
        "gatepost_breaker_opened_total{destination=\"billing\"} 1",
        "gatepost_replicas 2",
        "gatepost_deliveries_rescued_total 3",
        "gatepost_pruned_total{kind=\"events\"} 5",
        "gatepost_reloads_total{outcome=\"refused\"} 1",
        "gatepost_store_errors_total{kind=\"unavailable\"} 1",
        "gatepost_panics_total 1",
        "gatepost_spans_exported_total 8",
        "gatepost_spans_dropped_total{cause=\"queue_full\"} 2",
        "gatepost_store_up 1",
        "gatepost_deliveries{destination=\"billing\",status=\"retrying\"} 4",
        "gatepost_oldest_due_seconds{destination=\"billing\"} 1.5",
        "gatepost_held{kind=\"route\",name=\"stripe-to-billing\",held_by=\"gatepost\"} 1",
        "gatepost_held{kind=\"destination\",name=\"billing\",held_by=\"operator\"} 1",
        "gatepost_ledger_balanced 1",
        "gatepost_ledger{count=\"received\"} 9",
        "gatepost_deliveries_stuck 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

/// `promtool` (in `tests/run`) plays the alerts; this says that gatepost serves what they and the dashboard ask for.
#[test]
fn alerts_and_dashboard_ask_for_what_is_served() {
    let served = filled().0.encode();
    for (file, n_least) in [
        (include_str!("../../../config/alerts/rules.yml"), 15),
        (include_str!("../../../config/alerts/grafana.json"), 20),
    ] {
        let mut n_asked = 0;
        for (start, _) in file.match_indices("gatepost_") {
            let is_part = |it: char| it.is_ascii_lowercase() || it == '_';
            let name = file[start..].split(|it| !is_part(it)).next().unwrap_or_default();
            let is_served = |line: &str| {
                line.strip_prefix(name)
                    .is_some_and(|it| it.starts_with(['{', ' ']))
            };
            assert!(served.lines().any(is_served), "nothing is called `{name}`");
            n_asked += 1;
        }
        assert!(n_asked >= n_least, "{n_asked} metrics");
        for label in ["{answer=\"", "{held_by=\""] {
            for (start, _) in file.match_indices(label) {
                let label = file[start + 1..].split(['}', ',']).next().unwrap_or_default();
                assert!(served.contains(label), "nothing has {label}");
            }
        }
    }
}

#[test]
fn what_is_no_longer_observed_is_gone() {
    let metrics = Metrics::new();
    metrics.observe(&Observed {
        held: vec![("route", "a".into(), "operator")],
        ..Observed::default()
    });
    metrics.observe(&Observed::default());
    assert!(!metrics.encode().contains("gatepost_held{"));
}

#[test]
fn names_cannot_break_out_of_their_label() {
    let metrics = Metrics::new();
    metrics
        .source("a\"} 1\nevil{x=\"")
        .answered(RequestAnswer::Accepted);
    assert!(!metrics.encode().lines().any(|it| it.starts_with("evil")));
}
