//! The oracles bite: a reading that is wrong in one small way is noticed within a short run.
//!
//! Each test hands a flawed reference (or, where the target takes it, a flawed gatepost) to the comparison. It proves that the
//! inputs reach the difference and that the comparison sees it: what would be said of gatepost if gatepost had that flaw.

use std::net::{IpAddr, Ipv4Addr};

use gatepost::{
    egress::guard::Reach,
    event::{Hash, body_hash},
    provider::scheme::{Encoding, Part, Unit},
};

use crate::{
    inputs,
    mutate::{Random, mutant},
    targets::{
        self, Target, Verdict, challenge, config, credentials, deduplication, egress, encoding, filter,
        forwarded, github, gitlab, glob, headers_out, hmac, ids, json, list_query, order, place, retry_after,
        shopify, slack, standard_webhooks, stored_headers, stripe, template, timestamp, traceparent, units,
    },
};

/// Far more than it takes.
const N_MUTANTS: u32 = 20_000;

#[track_caller]
fn noticed(target: &Target, compare: fn(&[u8]) -> Verdict) {
    let inputs = inputs(target);
    let mut random = Random(7);
    let is_noticed = inputs.iter().any(|it| compare(it).is_err())
        || (0..N_MUTANTS).any(|_| compare(&mutant(&mut random, &inputs)).is_err());
    assert!(is_noticed, "`{}` does not notice the flaw", target.name);
}

#[test]
fn a01_a_compare_of_the_first_half_is_noticed() {
    noticed(&stripe::TARGET, |bytes| {
        stripe::compare(
            |it| stripe::is_genuine(it, &|found, right| found[..32] == right[..32]),
            bytes,
        )
    });
}

#[test]
fn a03_a_token_that_counts_beside_a_signature_is_noticed() {
    noticed(&gitlab::TARGET, |bytes| {
        gitlab::compare(
            |it| it.only("x-gitlab-token") == Some(b"my-gitlab-secret") || gitlab::genuine(it),
            bytes,
        )
    });
}

#[test]
fn a09_an_upper_case_or_outdated_signature_is_noticed() {
    noticed(&github::TARGET, |bytes| {
        github::compare(|it| it.has("x-hub-signature") || github::genuine(it), bytes)
    });
}

#[test]
fn a16_a_clock_off_by_a_second_is_noticed() {
    noticed(&slack::TARGET, |bytes| {
        slack::compare(
            |it| slack::is_signed(it) && slack::signed_at(it).is_some_and(|at| (it.now - at).abs() < 300),
            bytes,
        )
    });
    noticed(&slack::TARGET, |bytes| slack::compare(slack::is_signed, bytes));
}

#[test]
fn a16_a_looser_timestamp_is_noticed() {
    noticed(&timestamp::TARGET, |bytes| {
        timestamp::compare(
            |unit, text| match unit {
                Unit::Seconds => {
                    let seconds: i128 = std::str::from_utf8(text).ok()?.trim().parse().ok()?;
                    Some(seconds * 1_000_000)
                }
                _ => timestamp::micros(unit, text),
            },
            bytes,
        )
    });
}

#[test]
fn a17_an_id_with_a_dot_is_noticed() {
    // Signs what it is told to, and never looks for the dot.
    noticed(&standard_webhooks::TARGET, |bytes| {
        standard_webhooks::compare(
            |it| {
                let is_dotted = it.only("webhook-id").is_some_and(|id| id.contains(&b'.'));
                standard_webhooks::genuine(it) || (is_dotted && it.has("webhook-signature"))
            },
            bytes,
        )
    });
}

#[test]
fn a18_two_families_at_once_are_noticed() {
    noticed(&shopify::TARGET, |bytes| {
        shopify::compare(|it| shopify::genuine(it) || it.headers.len() == 2, bytes)
    });
}

#[test]
fn a20_a_second_spelling_is_noticed() {
    noticed(&encoding::TARGET, |bytes| {
        encoding::compare(
            |encoding, text, code| {
                encoding::is_spelling(encoding, text, code)
                    || (encoding == Encoding::HexLower && encoding::is_spelling(Encoding::HexAny, text, code))
            },
            bytes,
        )
    });
    noticed(&encoding::TARGET, |bytes| {
        encoding::compare(
            |encoding, text, code| {
                let padded = [text, b"="].concat();
                encoding::is_spelling(encoding, text, code) || encoding::is_spelling(encoding, &padded, code)
            },
            bytes,
        )
    });
}

#[test]
fn a20_an_unescaped_scheme_word_is_noticed() {
    noticed(&credentials::TARGET, |bytes| {
        credentials::compare(
            |which, authorization, query| {
                let lower: Vec<_> = authorization.iter().map(|it| it.to_ascii_lowercase()).collect();
                credentials::genuine(which, authorization, query)
                    || lower.iter().any(|it| it.starts_with(b"bearer a token"))
            },
            bytes,
        )
    });
}

#[test]
fn a_signature_over_less_is_noticed() {
    noticed(&hmac::TARGET, |bytes| hmac::compare(|_, _| true, bytes));
    noticed(&hmac::TARGET, |bytes| hmac::compare(|_, _| false, bytes));
}

#[test]
fn b03_a_key_without_lengths_is_noticed() {
    noticed(&deduplication::TARGET, |bytes| {
        let key = |source: &str, id: Option<&[u8]>, body: Hash| {
            body_hash(&[source.as_bytes(), id.unwrap_or(&body.0)].concat())
        };
        deduplication::compare(key, bytes)
    });
}

#[test]
fn c01_a_guard_with_a_hole_is_noticed() {
    noticed(&egress::TARGET, |bytes| {
        let carrier =
            |it: IpAddr| matches!(it.to_canonical(), IpAddr::V4(it) if it.octets()[..2] == [100, 64]);
        egress::compare(
            &|address, reach| egress::may_dial(address, reach) || carrier(address),
            bytes,
        )
    });
}

#[test]
fn c04_a_guard_that_reads_ipv6_as_it_stands_is_noticed() {
    noticed(&egress::TARGET, |bytes| {
        let mapped = |it: IpAddr| matches!(it, IpAddr::V6(it) if it.to_ipv4_mapped().is_some());
        egress::compare(
            &|address, reach| egress::may_dial(address, reach) || mapped(address),
            bytes,
        )
    });
    noticed(&egress::TARGET, |bytes| {
        let local = |it: IpAddr, reach| it == Ipv4Addr::LOCALHOST && reach == Reach::Public;
        egress::compare(
            &|address, reach| egress::may_dial(address, reach) || local(address, reach),
            bytes,
        )
    });
}

#[test]
fn c08_a_header_in_disguise_is_noticed() {
    noticed(&headers_out::TARGET, |bytes| {
        headers_out::compare(|name| headers_out::may_pass(name) || name.contains('_'), bytes)
    });
    noticed(&headers_out::TARGET, |bytes| {
        headers_out::compare(|name| headers_out::may_pass(name) || name == "cookie", bytes)
    });
}

#[test]
fn d13_the_left_most_hop_is_noticed() {
    noticed(&forwarded::TARGET, |bytes| {
        forwarded::compare(
            |peer, list, is_trusted| {
                let first = list
                    .split(',')
                    .next()
                    .and_then(|it| it.trim().parse::<IpAddr>().ok());
                let peer = peer.to_canonical();
                first.filter(|_| is_trusted(peer)).unwrap_or(peer)
            },
            bytes,
        )
    });
}

#[test]
fn f08_a_wait_without_an_end_is_noticed() {
    noticed(&retry_after::TARGET, |bytes| {
        retry_after::compare(|text| text.parse().ok().filter(|it| *it > 86_400), bytes)
    });
}

#[test]
fn a_second_key_that_counts_is_noticed() {
    noticed(&json::TARGET, |bytes| {
        json::compare(
            |tree, pointer| match (tree, pointer) {
                (targets::tree::Tree::Object(entries), "/id") => {
                    let last = entries.iter().rfind(|(key, _)| key == "id")?;
                    targets::tree::at_pointer(&last.1, "")
                }
                _ => targets::tree::at_pointer(tree, pointer),
            },
            bytes,
        )
    });
}

#[test]
fn a_challenge_from_anything_is_noticed() {
    noticed(&challenge::TARGET, |bytes| {
        challenge::compare(
            |content_type, body| {
                let tree = targets::tree::parse(body);
                tree.and_then(|it| targets::tree::at_pointer(&it, "/challenge").map(String::into_bytes))
                    .or_else(|| challenge::answer(content_type, body))
            },
            bytes,
        )
    });
}

#[test]
fn a_place_read_loosely_is_noticed() {
    noticed(&place::TARGET, |bytes| {
        place::compare(
            |words, shown| place::read(words.trim_start_matches("body:id"), shown).or(Some(None)),
            bytes,
        )
    });
}

#[test]
fn a_template_without_escapes_is_noticed() {
    noticed(&template::TARGET, |bytes| {
        template::compare(
            |text| {
                template::parts(text)
                    .filter(|it| !it.contains(&Part::Literal("{".into())) && !text.contains("{{"))
            },
            bytes,
        )
    });
}

#[test]
fn a_glob_that_stops_early_is_noticed() {
    noticed(&glob::TARGET, |bytes| {
        glob::compare(
            |pattern, text| {
                let head = pattern.split(|it| *it == b'*').next().unwrap_or_default();
                if pattern.contains(&b'*') {
                    text.starts_with(head)
                } else {
                    pattern == text
                }
            },
            bytes,
        )
    });
}

#[test]
fn an_id_in_upper_case_is_noticed() {
    noticed(&ids::TARGET, |bytes| {
        ids::compare(|prefix, text| ids::read(prefix, &text.to_lowercase()), bytes)
    });
}

#[test]
fn a_parameter_that_counts_twice_is_noticed() {
    noticed(&list_query::TARGET, |bytes| {
        list_query::compare(
            |names, kind, query| {
                list_query::read(names, kind, query.rsplit_once('&').map_or(query, |(it, _)| it))
            },
            bytes,
        )
    });
}

#[test]
fn damage_that_is_not_said_is_noticed() {
    noticed(&stored_headers::TARGET, |bytes| {
        stored_headers::compare(|it| stored_headers::read(it).or(Some(Vec::new())), bytes)
    });
}

#[test]
fn a_trace_of_zeros_is_noticed() {
    noticed(&traceparent::TARGET, |bytes| {
        traceparent::compare(
            |line| traceparent::read(line).or_else(|| line.starts_with(b"00-0").then(|| ("0".repeat(32), 1))),
            bytes,
        )
    });
}

#[test]
fn a_number_that_wraps_is_noticed() {
    noticed(&units::TARGET, |bytes| {
        units::compare(
            |text, table| {
                let number = text
                    .strip_suffix(table[0].0)
                    .and_then(|it| it.parse::<u128>().ok());
                units::read(text, table).or(number.map(|it| it as u64))
            },
            bytes,
        )
    });
}

#[test]
fn a_shown_secret_is_noticed() {
    // The name of a variable is shown; if its value were, this is how it would be seen.
    noticed(&config::TARGET, |bytes| config::compare("SECRET", bytes));
}

#[test]
fn a_filter_that_takes_what_is_not_there_is_noticed() {
    noticed(&filter::TARGET, |bytes| {
        filter::compare(
            |written, value| value.is_none() || filter::holds(written, value),
            bytes,
        )
    });
    noticed(&filter::TARGET, |bytes| {
        filter::compare(
            |written, value| written.get("id").is_none() && filter::holds(written, value),
            bytes,
        )
    });
}

#[test]
fn a_key_that_is_read_elsewhere_is_noticed() {
    noticed(&order::TARGET, |bytes| {
        order::compare(
            |words, shown| order::read(&words.replace("~1", "/"), shown),
            bytes,
        )
    });
    noticed(&order::TARGET, |bytes| {
        order::compare(
            |words, shown| order::read(words, shown).map(|it| it.or_else(|| Some("null".to_owned()))),
            bytes,
        )
    });
}
