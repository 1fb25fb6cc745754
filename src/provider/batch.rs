//! Batches: one request, of which each element of an array in the body is signed by itself.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use crate::provider::{Call, Refusal};

/// Verifies the request, or each element of an array in its body as if it were a body: one that is forged must not ride along.
pub(super) fn in_each(
    array: Option<&str>,
    call: &Call<'_>,
    verify: impl Fn(&Call<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let Some(pointer) = array else {
        return verify(call);
    };
    let elements = elements(call.body, pointer).ok_or_else(|| Refusal::Unsigned {
        wanted: format!("an array with something in it at `body:{pointer}`"),
    })?;
    for element in elements {
        verify(&Call {
            body: element.get().as_bytes(),
            ..*call
        })?;
    }
    Ok(())
}

/// The elements as they were written; `None` where there are none.
pub(super) fn elements<'b>(body: &'b [u8], pointer: &str) -> Option<Vec<&'b RawValue>> {
    let mut at: &RawValue = serde_json::from_slice(body).ok()?;
    for name in pointer.split('/').skip(1) {
        let fields: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(at.get()).ok()?;
        at = fields.get(name)?;
    }
    let elements: Vec<&RawValue> = serde_json::from_str(at.get()).ok()?;
    (!elements.is_empty()).then_some(elements)
}
