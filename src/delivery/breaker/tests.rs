use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{delivery::pace::Pace, event::headers::Headers};

const N_SLOTS: usize = 16;

fn breaker(rules: Rules) -> (Breaker, Instant) {
    let now = Instant::now();
    (Breaker::new(rules, now), now)
}

fn try_one(breaker: &mut Breaker, evidence: Evidence, now: Instant) -> Option<Turn> {
    let pass = breaker.admit(now).expect("it is not open");
    breaker.record(pass, evidence, now)
}

fn until_open(breaker: &mut Breaker, now: Instant) -> Turn {
    for _ in 0..1_000 {
        if let Some(turn) = try_one(breaker, Evidence::Failed, now) {
            return turn;
        }
    }
    panic!("it never opened")
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
    let (mut breaker, now) = breaker(Rules::default());
    for _ in 0..30 {
        for _ in 0..9 {
            assert_eq!(try_one(&mut breaker, Evidence::Failed, now), None);
        }
        // Half and half, so that the share is never reached.
        for _ in 0..9 {
            assert_eq!(try_one(&mut breaker, Evidence::Answered, now), None);
        }
    }
    let turn = until_open(&mut breaker, now);
    assert_eq!(
        turn,
        Turn::Opened {
            pause: seconds(2),
            reason: "10 attempts in a row failed".to_owned()
        }
    );
    assert_eq!(breaker.admit(now), None);
}

#[test]
fn a_share_of_failures_opens_it_within_its_window_only() {
    // Four of five fail, a minute's worth of them or two a minute.
    for (apart, opens) in [(seconds(1), true), (seconds(30), false)] {
        let (mut breaker, mut now) = breaker(Rules::default());
        let mut opened = false;
        for n in 0..200 {
            let evidence = if n % 5 == 0 {
                Evidence::Answered
            } else {
                Evidence::Failed
            };
            opened |= try_one(&mut breaker, evidence, now).is_some();
            if opened {
                break;
            }
            now += apart;
        }
        assert_eq!(opened, opens, "{apart:?} apart");
    }
}

#[test]
fn f05_a_day_of_being_open_lets_only_probes_through() {
    let (mut breaker, mut now) = breaker(Rules::default());
    until_open(&mut breaker, now);
    let end = now + Duration::from_hours(24);
    let mut n_attempts = 0;
    while now < end {
        if breaker.admit(now).is_some_and(|pass| {
            breaker.record(pass, Evidence::Failed, now);
            true
        }) {
            n_attempts += 1;
        }
        now += Duration::from_millis(250);
    }
    // One each half a minute, and a few more at the beginning.
    assert!((2_800..2_900).contains(&n_attempts), "{n_attempts}");
}

#[test]
fn pauses_double_up_to_the_longest_and_begin_anew_once_it_was_closed() {
    let (mut breaker, mut now) = breaker(Rules::default());
    until_open(&mut breaker, now);
    for expected in [4, 8, 16, 30, 30] {
        now += seconds(30);
        let turn = try_one(&mut breaker, Evidence::Failed, now);
        let Some(Turn::Opened { pause, reason }) = turn else {
            panic!("{turn:?}")
        };
        assert_eq!(pause, seconds(expected));
        assert_eq!(reason, "10 attempts in a row failed");
    }
    now += seconds(30);
    assert_eq!(
        try_one(&mut breaker, Evidence::Answered, now),
        Some(Turn::Recovered)
    );
    now += seconds(10);
    assert_eq!(breaker.state(now), State::Closed);
    let Turn::Opened { pause, .. } = until_open(&mut breaker, now) else {
        panic!()
    };
    assert_eq!(pause, seconds(2));
}

#[test]
fn f04_what_is_in_hand_grows_step_by_step_once_it_is_back() {
    let (mut breaker, mut now) = breaker(Rules::default());
    until_open(&mut breaker, now);
    now += seconds(2);
    assert_eq!(breaker.allowance(N_SLOTS, now), Allowance::Probes(2));
    try_one(&mut breaker, Evidence::Answered, now);
    let mut seen = Vec::new();
    let mut parts = Vec::new();
    for _ in 0..5 {
        seen.push(breaker.allowance(N_SLOTS, now));
        parts.push(breaker.part(now));
        now += Duration::from_millis(2_500);
    }
    assert_eq!(parts, [0.1, 0.25, 0.5, 0.75, 1.0]);
    let in_hand = |n| Allowance::InHand(n);
    assert_eq!(
        seen,
        [in_hand(1), in_hand(4), in_hand(8), in_hand(12), Allowance::All]
    );
}

#[test]
fn f04_a_handler_that_is_back_gets_more_each_second_and_never_more_than_its_rate() {
    const RATE: u32 = 100;
    let (mut breaker, mut now) = breaker(Rules::default());
    until_open(&mut breaker, now);
    now += seconds(2);
    try_one(&mut breaker, Evidence::Answered, now);
    // Attempts as soon as the pace lets them, all of which are answered at once.
    let mut pace = Pace::new(RATE, now);
    let begun_at = now;
    let mut per_second = [0; 15];
    loop {
        now += pace.take(1, breaker.part(now), now);
        let second = usize::try_from((now - begun_at).as_secs()).unwrap();
        let Some(n_attempts) = per_second.get_mut(second) else {
            break;
        };
        *n_attempts += 1;
        try_one(&mut breaker, Evidence::Answered, now);
    }
    assert!(per_second[0] <= 11, "{per_second:?}");
    assert!(per_second.is_sorted(), "{per_second:?}");
    assert!(per_second.iter().all(|it| *it <= RATE), "{per_second:?}");
    assert_eq!(per_second[11..], [RATE; 4]);
}

#[test]
fn a_few_failures_while_it_ramps_up_open_it_again_for_longer() {
    let (mut breaker, mut now) = breaker(Rules::default());
    until_open(&mut breaker, now);
    now += seconds(2);
    try_one(&mut breaker, Evidence::Answered, now);
    assert_eq!(try_one(&mut breaker, Evidence::Failed, now), None);
    assert_eq!(try_one(&mut breaker, Evidence::Failed, now), None);
    let turn = try_one(&mut breaker, Evidence::Failed, now);
    assert!(
        matches!(turn, Some(Turn::Opened { pause, .. }) if pause == seconds(4)),
        "{turn:?}"
    );
}

#[test]
fn one_of_two_probes_is_enough() {
    let (mut breaker, mut now) = breaker(Rules::default());
    until_open(&mut breaker, now);
    now += seconds(2);
    let (first, second) = (breaker.admit(now).unwrap(), breaker.admit(now).unwrap());
    assert_eq!(breaker.admit(now), None);
    assert_eq!(breaker.record(first, Evidence::Failed, now), None);
    assert_eq!(
        breaker.record(second, Evidence::Answered, now),
        Some(Turn::Recovered)
    );
}

#[test]
fn a_probe_that_says_nothing_makes_room_for_another() {
    let (mut breaker, mut now) = breaker(Rules::default());
    until_open(&mut breaker, now);
    now += seconds(2);
    for _ in 0..5 {
        assert_eq!(try_one(&mut breaker, Evidence::Nothing, now), None);
    }
    assert_eq!(breaker.state(now), State::HalfOpen { n_probes: 0 });
}

#[test]
fn attempts_that_began_before_it_opened_say_nothing_afterwards() {
    let (mut breaker, mut now) = breaker(Rules::default());
    let old: Vec<_> = (0..40).map(|_| breaker.admit(now).unwrap()).collect();
    until_open(&mut breaker, now);
    for pass in &old[..20] {
        assert_eq!(breaker.record(*pass, Evidence::Answered, now), None);
    }
    assert!(matches!(breaker.state(now), State::Open { .. }));
    now += seconds(2);
    try_one(&mut breaker, Evidence::Answered, now);
    for pass in &old[20..] {
        assert_eq!(breaker.record(*pass, Evidence::Failed, now), None);
    }
    assert!(matches!(breaker.state(now), State::Ramping { .. }));
}

#[test]
fn f08_who_asks_for_later_again_and_again_is_left_alone_but_not_for_a_day() {
    let (mut breaker, now) = breaker(Rules::default());
    let day = Evidence::Later(Duration::from_hours(24));
    assert_eq!(try_one(&mut breaker, day, now), None);
    assert_eq!(try_one(&mut breaker, day, now), None);
    // One event's own `Retry-After` concerns nobody else.
    assert_eq!(try_one(&mut breaker, Evidence::Answered, now), None);
    assert_eq!(try_one(&mut breaker, day, now), None);
    assert_eq!(try_one(&mut breaker, day, now), None);
    let turn = try_one(&mut breaker, day, now);
    assert!(
        matches!(turn, Some(Turn::Opened { pause, .. }) if pause == seconds(30)),
        "{turn:?}"
    );
}

#[test]
fn an_operator_need_not_wait_for_the_pause() {
    let (mut breaker, now) = breaker(Rules::default());
    until_open(&mut breaker, now);
    assert_eq!(breaker.admit(now), None);
    breaker.probe_now(now);
    assert!(breaker.admit(now).is_some());
}

#[test]
fn one_that_is_turned_off_never_opens() {
    let (mut breaker, now) = breaker(Rules {
        is_enabled: false,
        ..Rules::default()
    });
    for _ in 0..1_000 {
        assert_eq!(try_one(&mut breaker, Evidence::Failed, now), None);
    }
}

#[test]
fn an_answer_about_one_event_is_no_failure_of_the_destination() {
    let now = Timestamp::from_unix_seconds(1_700_000_000);
    let retry = crate::destination::retry::Retry {
        max_attempts: 12,
        max_age: Duration::from_hours(72),
        first: seconds(10),
        cap: seconds(60),
        schedule: Vec::new(),
        on: None,
        never: crate::destination::retry::Statuses::NONE,
    };
    let of = |status, headers: &[(&str, &[u8])]| {
        let result = Ok(Response {
            status: Some(status),
            headers: Headers::from_pairs(headers.iter().copied()),
            body: Bytes::new(),
        });
        let judgement = crate::delivery::judge::judge(&result, &retry, now);
        Evidence::of(&result, &judgement, now)
    };
    for status in [200, 204, 302, 400, 404, 409, 410, 422] {
        assert_eq!(of(status, &[]), Evidence::Answered, "{status}");
    }
    for status in [500, 501, 502, 503, 504, 599] {
        assert_eq!(of(status, &[]), Evidence::Failed, "{status}");
    }
    let later: &[(&str, &[u8])] = &[("retry-after", b"7")];
    for status in [429, 503] {
        assert_eq!(of(status, later), Evidence::Later(seconds(7)), "{status}");
    }
    assert_eq!(of(429, &[]), Evidence::Later(Duration::ZERO));
    let broken = |code, fate| {
        let result = Err(SendError::new(code, "", fate));
        let judgement = crate::delivery::judge::judge(&result, &retry, now);
        Evidence::of(&result, &judgement, now)
    };
    assert_eq!(broken("timeout", Fate::Ambiguous), Evidence::Failed);
    assert_eq!(broken("refused", Fate::Retriable), Evidence::Failed);
    // Of this event alone: the command will never take it.
    assert_eq!(broken("exit", Fate::Permanent), Evidence::Answered);
    // Our own program's fault.
    assert_eq!(broken("transform", Fate::Retriable), Evidence::Nothing);
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u16),
    Admit,
    /// Which of the passes that are out, and what it showed.
    Record(usize, Evidence),
}

fn step() -> impl Strategy<Value = Step> {
    let evidence = prop_oneof![
        3 => Just(Evidence::Answered),
        6 => Just(Evidence::Failed),
        1 => (0_u64..100_000).prop_map(|it| Evidence::Later(seconds(it))),
        1 => Just(Evidence::Nothing),
    ];
    prop_oneof![
        1 => (0_u16..5_000).prop_map(Step::Pass),
        4 => Just(Step::Admit),
        4 => (any::<usize>(), evidence).prop_map(|(at, it)| Step::Record(at, it)),
    ]
}

proptest! {
    #[test]
    fn it_never_lets_through_what_it_should_not_and_never_stays_shut(
        steps in prop::collection::vec(step(), 0..400),
        failures in 1_u32..20,
        percent in 1_u32..=100,
        min_attempts in 1_u32..30,
        pause_ms in 1_u64..3_000,
        max_pause_ms in 1_u64..10_000,
        ramp_ms in 0_u64..5_000,
    ) {
        let rules = Rules {
            is_enabled: true,
            failures,
            percent,
            min_attempts,
            window: seconds(10),
            pause: Duration::from_millis(pause_ms.min(max_pause_ms)),
            max_pause: Duration::from_millis(max_pause_ms),
            ramp: Duration::from_millis(ramp_ms),
        };
        let (mut breaker, mut now) = breaker(rules.clone());
        let mut out: Vec<Pass> = Vec::new();
        for step in steps {
            match step {
                Step::Pass(ms) => now += Duration::from_millis(ms.into()),
                Step::Admit => {
                    let before = breaker.state(now);
                    let allowance = breaker.allowance(N_SLOTS, now);
                    let pass = breaker.admit(now);
                    match before {
                        State::Open { until } => {
                            prop_assert!(now < until && until <= now + rules.max_pause);
                            prop_assert_eq!((pass, allowance), (None, Allowance::Probes(0)));
                        }
                        State::HalfOpen { n_probes } => {
                            prop_assert!(n_probes <= MAX_PROBES);
                            prop_assert_eq!(pass.is_some(), n_probes < MAX_PROBES);
                        }
                        State::Ramping { .. } => {
                            prop_assert!(pass.is_some());
                            let is_within = matches!(allowance, Allowance::InHand(n) if (1..=N_SLOTS).contains(&n));
                            prop_assert!(is_within, "{allowance:?}");
                        }
                        State::Closed => prop_assert!(pass.is_some() && allowance == Allowance::All),
                    }
                    out.extend(pass);
                }
                Step::Record(at, evidence) => {
                    if !out.is_empty() {
                        let pass = out.swap_remove(at % out.len());
                        breaker.record(pass, evidence, now);
                    }
                }
            }
        }
        // Whatever happened: once all passes are back and the longest pause is over, something is let through.
        for pass in out {
            breaker.record(pass, Evidence::Nothing, now);
        }
        now += rules.max_pause;
        let pass = breaker.admit(now);
        prop_assert!(pass.is_some());
        breaker.record(pass.unwrap(), Evidence::Answered, now);
        now += rules.ramp;
        prop_assert_eq!(breaker.allowance(N_SLOTS, now), Allowance::All);
    }
}
