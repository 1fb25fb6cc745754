//! The whole of gatepost with a set of keys at an address that its operator named.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{ACCOUNT, AUDIENCE, Signer, StandIn, pem, set_of};
use crate::app::{
    app_case, eventually,
    process::Process,
    sender::{Signed, now},
};

fn push(signer: &Signer, id: usize) -> Signed {
    let data = STANDARD.encode("hello");
    let body = format!(
        r#"{{"message":{{"messageId":"{id}","data":"{data}"}},"subscription":"projects/p/subscriptions/s"}}"#
    );
    Signed::new("pubsub", body).header("authorization", format!("Bearer {}", signer.token(now())))
}

app_case!(googles_pushes_are_verified_with_keys_that_are_fetched, |site| {
    let stand_in = StandIn::start().await;
    let signer = Signer::new("a");
    let address = format!("127.0.0.1:{}/keys", stand_in.handler.address.port());
    stand_in.serve(&address, set_of(&[&signer]));
    stand_in.set_down(true);
    site.write("roots.pem", &pem(stand_in.authority.der()));
    let roots = site.directory.path().join("roots.pem");
    site.set("SSL_CERT_FILE", roots.to_str().unwrap());
    site.configure(&format!(
        r#"
[sources.pubsub]
provider = "google-pubsub"
audience = "{AUDIENCE}"
service_account_email = "{ACCOUNT}"
jwks_url = "https://{address}"

[destinations.all]
url = "http://{{}}/all"

[[routes]]
source = "pubsub"
destination = "all"
"#
    ));
    let process = Process::start(&site, "all").await;
    // No key to be had: never the sender's fault.
    let refused = process.post(&push(&signer, 0)).await;
    assert!(refused.is_own_fault(), "{refused:?}");
    stand_in.set_down(false);
    eventually("the keys are fetched", || async {
        let answer = process.post(&push(&signer, 0)).await;
        (answer.status == 200).then_some(())
    })
    .await;
    let pushes = (1..100).map(|id| {
        let (signed, process) = (push(&signer, id), &process);
        async move { process.accept(&signed).await }
    });
    futures_util::future::join_all(pushes).await;
    let source = process.list("/v1/sources").await.remove(0);
    assert_eq!(source["n_secrets"], 0);
    assert_eq!(
        source["fetched_keys"],
        format!("a set of keys at https://{address}")
    );
    assert_eq!(stand_in.asked(), [address]);
    let forged = process.post(&push(&Signer::new("a"), 1)).await;
    assert_eq!(forged.status, 401);
    let stranger = process.post(&push(&Signer::new("b"), 1)).await;
    assert_eq!(stranger.status, 401);
    assert_eq!(stand_in.asked().len(), 1);
    let hits = site.receiver.arrived("/all", 100).await;
    assert_eq!(hits[0].header("gatepost-verified"), "origin");
    process.until_rejected("signature_mismatch", 1).await;
    process.until_rejected("unknown_key", 1).await;
    let ledger = process.until_open(0).await;
    assert_eq!(
        (&ledger["stored"], &ledger["balanced"]),
        (&100.into(), &true.into())
    );
    process.terminate().await;
});
