//! Batches: one request, of which each element of an array in the body is signed by itself.

use crate::provider::{Call, Refusal, json};

/// Verifies each element of an array in the body as if it were a body: one that is forged must not ride along.
pub(super) fn in_each(
    pointer: &str,
    call: &Call<'_>,
    verify: impl Fn(&Call<'_>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let elements = json::elements(call.body, pointer).ok_or_else(|| Refusal::Unsigned {
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
