//! Typed ids, as they come in paths, queries and bodies.

use std::{fmt::Display, path::Path, str::FromStr};

use gatepost::base::ids::{AttemptId, DeliveryId, EventId, RequestId, WorkerId};
use uuid::Uuid;

use super::{Target, Verdict, input::Input};

pub const TARGET: Target = Target {
    name: "ids",
    run: |bytes| compare(read, bytes),
    seeds,
};

const ALPHABET: &str = "0123456789abcdefghjkmnpqrstvwxyz";

pub(crate) fn compare(reference: fn(&str, &str) -> Option<u128>, bytes: &[u8]) -> Verdict {
    let mut input = Input::new(bytes);
    let number = u128::from_be_bytes(input.array());
    let Ok(text) = std::str::from_utf8(input.rest()) else {
        return Ok(());
    };
    let uuid = Uuid::from_u128(number);
    check::<EventId>(reference, "evt", text, EventId::from_uuid(uuid), EventId::uuid)?;
    check::<DeliveryId>(
        reference,
        "dlv",
        text,
        DeliveryId::from_uuid(uuid),
        DeliveryId::uuid,
    )?;
    check::<AttemptId>(
        reference,
        "att",
        text,
        AttemptId::from_uuid(uuid),
        AttemptId::uuid,
    )?;
    check::<RequestId>(
        reference,
        "req",
        text,
        RequestId::from_uuid(uuid),
        RequestId::uuid,
    )?;
    check::<WorkerId>(reference, "wrk", text, WorkerId::from_uuid(uuid), WorkerId::uuid)
}

fn check<Id: FromStr + Display + Copy + PartialEq>(
    reference: fn(&str, &str) -> Option<u128>,
    prefix: &str,
    text: &str,
    id: Id,
    uuid: fn(Id) -> Uuid,
) -> Verdict {
    // Nearly every text is one of no kind: only what begins right is worth the reading of all five.
    if text.get(..3).is_some_and(|it| it.eq_ignore_ascii_case(prefix)) {
        let found = text.parse::<Id>().ok();
        let expected = reference(prefix, text);
        let number = found.map(|it| uuid(it).as_u128());
        ensure!(
            number == expected,
            "`{text}` is {number:?}, expected {expected:?}"
        );
        if let Some(found) = found {
            ensure!(found.to_string() == text, "`{text}` is printed as `{found}`");
        }
    } else {
        ensure!(text.parse::<Id>().is_err(), "`{text}` is taken for a `{prefix}`");
    }
    // Printing five ids costs more than reading them.
    if prefix == "evt" {
        let shown = id.to_string();
        ensure!(
            shown.parse::<Id>().ok() == Some(id),
            "`{shown}` is not read again"
        );
    }
    Ok(())
}

pub(crate) fn read(prefix: &str, text: &str) -> Option<u128> {
    let code = text.strip_prefix(prefix)?.strip_prefix('_')?;
    if code.len() != 26 || code > "7zzzzzzzzzzzzzzzzzzzzzzzzz" {
        return None;
    }
    code.chars().try_fold(0_u128, |number, c| {
        Some(number * 32 + u128::try_from(ALPHABET.find(c)?).ok()?)
    })
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    [
        "evt_01jdq8s5rqe5m8y5b0q2m3k4n5",
        "dlv_7zzzzzzzzzzzzzzzzzzzzzzzzz",
        "att_00000000000000000000000000",
        "req_80000000000000000000000000",
        "wrk_0000000000000000000000000u",
        "EVT_00000000000000000000000000",
        "evt_",
    ]
    .into_iter()
    .map(|it| [&[0x5a; 16], it.as_bytes()].concat())
    .collect()
}
