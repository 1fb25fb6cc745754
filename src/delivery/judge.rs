//! What a handler's answer means for a delivery. Pure.

use std::time::{Duration, UNIX_EPOCH};

use crate::{
    base::{
        clock::Timestamp,
        trial::{self, Flaw},
    },
    delivery::schedule::MAX_RETRY_AFTER,
    destination::{Fate, Response, SendError, retry::Retry},
};

/// What becomes of a delivery, and the sentence that says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// Absent where the handler took it. For an operator; holds nothing of the answer but its status and the host that
    /// a redirect names.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// Again, as the schedule says.
    Retry {
        /// What the handler asked for, at most `MAX_RETRY_AFTER` from now.
        not_before: Option<Timestamp>,
    },
    /// Given up at once.
    Dead {
        /// The handler wants nothing more of this route.
        hold_route: bool,
    },
}

/// Judges what came back from one attempt. The operator's own rules come before the contract's.
pub fn judge(result: &Result<Response, SendError>, retry: &Retry, now: Timestamp) -> Judgement {
    let response = match result {
        Ok(response) => response,
        Err(error) => {
            return Judgement {
                verdict: match error.fate {
                    Fate::Retriable | Fate::Ambiguous => Verdict::Retry { not_before: None },
                    Fate::Permanent => Verdict::Dead { hold_route: false },
                },
                error: Some(error.explanation.clone()),
            };
        }
    };
    // Of what knows no status only what was taken comes here.
    let Some(status) = response.status else {
        return Judgement {
            verdict: Verdict::Delivered,
            error: None,
        };
    };
    let not_before = match status {
        429 | 502..=504 => retry_after(response, now),
        _ => None,
    };
    let (verdict, error) = match status {
        500..=599 if trial::has(Flaw::ServerErrorIsDelivered) => {
            return Judgement {
                verdict: Verdict::Delivered,
                error: None,
            };
        }
        200..=299 => {
            return Judgement {
                verdict: Verdict::Delivered,
                error: None,
            };
        }
        409 if is_done_before(response) => {
            return Judgement {
                verdict: Verdict::Delivered,
                error: None,
            };
        }
        _ if retry.is_final(status) => (
            Verdict::Dead { hold_route: false },
            format!("the handler answered {status}, which this destination does not try again"),
        ),
        410 if !retry.is_wanted(status) => (
            Verdict::Dead { hold_route: true },
            "the handler answered 410 (gone): it wants no more of these".to_owned(),
        ),
        422 if !retry.is_wanted(status) => (
            Verdict::Dead { hold_route: false },
            "the handler answered 422 (unprocessable): it will never take this one".to_owned(),
        ),
        300..=399 => (Verdict::Retry { not_before }, redirect_error(status, response)),
        100..=199 => (
            Verdict::Retry { not_before },
            format!("the handler answered {status}, which says nothing final"),
        ),
        _ => {
            let name = http::StatusCode::from_u16(status)
                .ok()
                .and_then(|it| it.canonical_reason())
                .map_or_else(String::new, |it| format!(" ({})", it.to_ascii_lowercase()));
            (
                Verdict::Retry { not_before },
                format!("the handler answered {status}{name}"),
            )
        }
    };
    Judgement {
        verdict,
        error: Some(error),
    }
}

/// The handler did the work at an earlier attempt, and says so.
fn is_done_before(response: &Response) -> bool {
    let says = response.headers.first_str("gatepost-duplicate");
    says.is_some_and(|it| it.trim().eq_ignore_ascii_case("true"))
}

/// Seconds or an HTTP date. What is neither counts as absent; what lies in the past means now.
fn retry_after(response: &Response, now: Timestamp) -> Option<Timestamp> {
    let text = response.headers.first_str("retry-after")?.trim();
    if !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit()) {
        // More digits than fit are a long time as well.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(now.plus(Duration::from_secs(seconds).min(MAX_RETRY_AFTER)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let since_epoch = date.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(
        Timestamp::EPOCH
            .plus(since_epoch)
            .clamp(now, now.plus(MAX_RETRY_AFTER)),
    )
}

/// Names the host only: the rest of a location may hold tokens.
fn redirect_error(status: u16, response: &Response) -> String {
    let location = response.headers.first_str("location");
    let host = location.and_then(|it| {
        // `//host/path` names a host as well.
        let absolute = if it.starts_with("//") {
            format!("http:{it}")
        } else {
            it.to_owned()
        };
        url::Url::parse(&absolute).ok()?.host_str().map(str::to_owned)
    });
    match (host, location) {
        (Some(host), _) => {
            format!("the handler answered {status} with a redirect to `{host}`; redirects are never followed")
        }
        (None, Some(_)) => {
            format!(
                "the handler answered {status} with a redirect on its own host; redirects are never followed"
            )
        }
        (None, None) => format!("the handler answered {status}; redirects are never followed"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::{destination::retry::Statuses, event::headers::Headers};

    const RETRY: Retry = Retry {
        max_attempts: 12,
        max_age: Duration::from_hours(72),
        first: Duration::from_secs(10),
        cap: Duration::from_hours(6),
        schedule: Vec::new(),
        on: None,
        never: Statuses::NONE,
    };

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);

    fn answer(status: u16, headers: &[(&str, &[u8])]) -> Judgement {
        let response = Response {
            status: Some(status),
            headers: Headers::from_pairs(headers.iter().copied()),
            body: Bytes::new(),
        };
        judge(&Ok(response), &RETRY, NOW)
    }

    /// Under rules of the operator's own.
    fn ruled(on: &[&str], never: &[&str], status: u16) -> Verdict {
        let statuses = |texts: &[&str]| Statuses::parse(texts.iter().copied()).unwrap();
        let retry = Retry {
            on: Some(statuses(on)).filter(|it| !it.is_empty()),
            never: statuses(never),
            ..RETRY
        };
        let response = Response {
            status: Some(status),
            headers: Headers::default(),
            body: Bytes::new(),
        };
        judge(&Ok(response), &retry, NOW).verdict
    }

    #[test]
    fn the_operators_rules_come_first() {
        let again = Verdict::Retry { not_before: None };
        let dead = Verdict::Dead { hold_route: false };
        assert_eq!(ruled(&[], &["4xx"], 404), dead);
        assert_eq!(ruled(&[], &["4xx"], 500), again);
        assert_eq!(ruled(&["5xx"], &[], 404), dead);
        assert_eq!(ruled(&["5xx"], &[], 503), again);
        assert_eq!(ruled(&["5xx"], &["503"], 503), dead);
        assert_eq!(ruled(&["410", "422"], &[], 410), again);
        assert_eq!(ruled(&["410", "422"], &[], 422), again);
        assert_eq!(ruled(&["5xx"], &[], 204), Verdict::Delivered);
    }

    #[test]
    fn an_interim_answer_says_nothing_final() {
        let judgement = answer(103, &[]);
        assert_eq!(judgement.verdict, Verdict::Retry { not_before: None });
        assert!(judgement.error.is_some_and(|it| it.contains("nothing final")));
    }

    #[test]
    fn f12_a_handler_that_did_it_before_may_say_so() {
        let done = [("gatepost-duplicate", &b"true"[..])];
        assert_eq!(answer(409, &done).verdict, Verdict::Delivered);
        assert_eq!(answer(409, &[]).verdict, Verdict::Retry { not_before: None });
        assert_eq!(answer(500, &done).verdict, Verdict::Retry { not_before: None });
        let no = [("gatepost-duplicate", &b"false"[..])];
        assert_eq!(answer(409, &no).verdict, Verdict::Retry { not_before: None });
    }

    fn asked(status: u16, value: &str) -> Option<Duration> {
        match answer(status, &[("retry-after", value.as_bytes())]).verdict {
            Verdict::Retry { not_before } => not_before.map(|it| it.since(NOW)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_status_has_its_verdict() {
        let again = Verdict::Retry { not_before: None };
        for status in 100..=999 {
            let expected = match status {
                200..=299 => Verdict::Delivered,
                410 => Verdict::Dead { hold_route: true },
                422 => Verdict::Dead { hold_route: false },
                _ => again,
            };
            let judgement = answer(status, &[]);
            assert_eq!(judgement.verdict, expected, "{status}");
            assert_eq!(
                judgement.error.is_none(),
                expected == Verdict::Delivered,
                "{status}"
            );
        }
    }

    #[test]
    fn f09_gone_holds_the_route() {
        assert_eq!(answer(410, &[]).verdict, Verdict::Dead { hold_route: true });
    }

    #[test]
    fn f07_every_kind_of_failure_is_tried_again_with_its_own_words() {
        for code in ["timeout", "refused", "reset", "dns", "tls", "forbidden_address"] {
            let error = SendError::new(code, format!("it was {code}"), Fate::Ambiguous);
            let judgement = judge(&Err(error), &RETRY, NOW);
            assert_eq!(judgement.verdict, Verdict::Retry { not_before: None });
            assert_eq!(judgement.error.unwrap(), format!("it was {code}"));
        }
    }

    #[test]
    fn what_will_never_be_taken_is_given_up_at_once() {
        let error = SendError::new("exit", "it ended with 65", Fate::Permanent);
        let judgement = judge(&Err(error), &RETRY, NOW);
        assert_eq!(judgement.verdict, Verdict::Dead { hold_route: false });
        assert_eq!(judgement.error.unwrap(), "it ended with 65");
    }

    #[test]
    fn what_answers_without_a_status_has_taken_it() {
        let response = Response {
            status: None,
            headers: Headers::default(),
            body: Bytes::new(),
        };
        let judgement = judge(&Ok(response), &RETRY, NOW);
        assert_eq!((judgement.verdict, judgement.error), (Verdict::Delivered, None));
    }

    #[test]
    fn f08_seconds_and_dates_are_understood() {
        for status in [429, 502, 503, 504] {
            assert_eq!(asked(status, "120"), Some(Duration::from_mins(2)), "{status}");
        }
        assert_eq!(asked(503, " 0 "), Some(Duration::ZERO));
        let in_an_hour = UNIX_EPOCH + Duration::from_secs(1_700_003_600);
        assert_eq!(
            asked(503, &httpdate::fmt_http_date(in_an_hour)),
            Some(Duration::from_hours(1))
        );
        // The two old forms of a date.
        assert_eq!(
            asked(503, "Tuesday, 14-Nov-23 23:13:20 GMT"),
            Some(Duration::from_hours(1))
        );
        assert_eq!(
            asked(503, "Tue Nov 14 23:13:20 2023"),
            Some(Duration::from_hours(1))
        );
        assert_eq!(asked(503, "Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn f08_too_long_is_clamped_to_a_day() {
        let a_day = Some(Duration::from_hours(24));
        assert_eq!(asked(429, "1000000000000"), a_day);
        assert_eq!(asked(429, &"9".repeat(400)), a_day);
        assert_eq!(asked(429, "Fri, 31 Dec 9999 23:59:59 GMT"), a_day);
    }

    #[test]
    fn f08_garbage_counts_as_absent() {
        for garbage in [
            "",
            "-1",
            "+5",
            "1.5",
            "soon",
            "1e9",
            "0x10",
            "٣",
            "Sun, 99 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(asked(503, garbage), None, "{garbage}");
        }
        let latin = answer(503, &[("retry-after", b"\xff")]);
        assert_eq!(latin.verdict, Verdict::Retry { not_before: None });
    }

    #[test]
    fn f08_other_statuses_may_not_ask_for_a_time() {
        for status in [301, 400, 404, 500, 501] {
            assert_eq!(asked(status, "120"), None, "{status}");
        }
    }

    #[test]
    fn c03_a_redirect_is_a_failure_that_names_only_the_host() {
        let location = b"http://user:hunter2@169.254.169.254/token?key=hunter2";
        for status in [300, 301, 302, 303, 304, 307, 308] {
            let judgement = answer(status, &[("location", location)]);
            assert_eq!(judgement.verdict, Verdict::Retry { not_before: None });
            let error = judgement.error.unwrap();
            assert!(error.contains("`169.254.169.254`"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let own = answer(302, &[("location", b"/login?token=hunter2")])
            .error
            .unwrap();
        assert!(own.contains("own host") && !own.contains("hunter2"), "{own}");
        let other = answer(302, &[("location", b"//other.example/x")]).error.unwrap();
        assert!(other.contains("`other.example`"), "{other}");
    }

    proptest! {
        #[test]
        fn f07_every_answer_has_a_verdict(status: u16, location: Vec<u8>, wait: Vec<u8>) {
            let found = answer(status, &[("location", &location), ("retry-after", &wait)]);
            let is_taken = (200..300).contains(&status);
            prop_assert_eq!(found.verdict == Verdict::Delivered, is_taken);
            prop_assert_eq!(found.error.is_none(), is_taken);
            let is_dead = matches!(found.verdict, Verdict::Dead { .. });
            prop_assert_eq!(is_dead, [410, 422].contains(&status));
        }

        #[test]
        fn f08_no_value_leads_beyond_a_day(status in 100_u16..1000, value: Vec<u8>) {
            if let Verdict::Retry { not_before: Some(at) } = answer(status, &[("retry-after", &value)]).verdict {
                prop_assert!(at >= NOW && at.since(NOW) <= MAX_RETRY_AFTER);
            }
        }
    }
}
