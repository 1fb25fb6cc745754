use super::*;
use crate::provider::mac;

#[test]
fn a08_a_forger_costs_one_mac_for_each_secret() {
    let mut dearer = Vec::new();
    for (name, _) in signing() {
        let (provider, _, whole) = signed(name);
        let keys: Vec<_> = (1..=8).map(|it| key(provider, &secret_of(name, it))).collect();
        let n_macs = mac::count::during(|| check_refused(&whole, provider, &keys, "signature_mismatch"));
        if n_macs > keys.len() {
            dearer.push((name, n_macs));
        }
    }
    // Two sign a hash of the body, made once. The other signs its URL with the port or without: two texts.
    assert_eq!(dearer, [("tebex", 9), ("twilio", 16), ("walmart", 9)]);
}

#[test]
fn a08_many_signatures_cost_no_more_than_one() {
    let stuffed = |name: &str, header: &str, more: &str| {
        let (provider, _, mut bent) = signed(name);
        let keys: Vec<_> = (1..=8).map(|it| key(provider, &secret_of(name, it))).collect();
        let value = bent.header(header);
        for _ in 0..15 {
            value.extend_from_slice(more.as_bytes());
        }
        mac::count::during(|| check_refused(&bent, provider, &keys, "signature_mismatch"))
    };
    let hex = format!(",v1={}", "0f".repeat(32));
    let base64 = format!(" v1,{}", encoding::encode_basic(&[7; 32]));
    assert_eq!(stuffed("stripe", "stripe-signature", &hex), 8);
    assert_eq!(stuffed("standard-webhooks", "webhook-signature", &base64), 8);
}
