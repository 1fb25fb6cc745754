//! Requests that are nearly right: each row must refuse them.

mod bodies;
mod costs;
mod headers;
mod schemes;
mod secrets;
mod signatures;

use proptest::prelude::*;

use super::*;

#[test]
fn a01_every_row_that_signs_is_attacked() {
    let signs = |it: &&Provider| match &it.schemes[0] {
        Scheme::Signature(signature) => !is_public(signature),
        _ => false,
    };
    let n_signing = crate::provider::all().iter().filter(signs).count();
    // Those with a signature in no header are attacked by their vectors.
    assert!(
        signing().len() >= 270 && n_signing - signing().len() <= 20,
        "{n_signing} {}",
        signing().len()
    );
    assert!(signing().len() - signing_any_body().len() <= 20);
}

proptest! {
    #[test]
    fn a23_no_bytes_panic_and_none_verify(
        value in proptest::collection::vec(any::<u8>(), 0..200),
        other in proptest::collection::vec(any::<u8>(), 0..40),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        target in "[ -~]{0,40}",
    ) {
        for provider in crate::provider::all().iter().filter(|it| !it.is_unverified()) {
            let keys = [key(provider, &secret_for(&provider.name))];
            let mut bent = Bent::new(&[], &body);
            bent.target.clone_from(&target);
            for name in ["stripe-signature", "x-hub-signature-256", "x-slack-signature", "x-shopify-hmac-sha256",
                "webhook-signature", "x-signature", "authorization", "x-gitlab-token"] {
                bent.headers.push((name.to_owned(), value.clone()));
            }
            for name in ["webhook-id", "webhook-timestamp", "x-slack-request-timestamp", "content-type", "x-github-event"] {
                bent.headers.push((name.to_owned(), other.clone()));
            }
            prop_assert!(bent.verify(provider, &keys).is_err());
            bent.with(|call| { let _ = (provider.names(call), provider.unsigned_handshake(&keys, None, call)); });
        }
    }
}
