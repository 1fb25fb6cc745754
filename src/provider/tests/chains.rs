use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName,
    DnType, IsCa, KeyPair, date_time_ymd,
};
use serde_json::{Value, json};

use super::*;
use crate::provider::{encoding, scheme::Encoding};

const OF_SIGNER: &[u64] = &[1, 2, 840, 113_635, 100, 6, 11, 1];
const OF_ISSUER: &[u64] = &[1, 2, 840, 113_635, 100, 6, 2, 1];

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn params(name: &str, marks: &[&[u64]]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let mark = |it: &&[u64]| CustomExtension::from_oid_content(it, vec![5, 0]);
    params.custom_extensions = marks.iter().map(mark).collect();
    params
}

fn authority(name: &str) -> Issuer {
    let mut params = params(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issuer(root: &Issuer, marks: &[&[u64]]) -> Issuer {
    let mut params = params("issuer", marks);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), root).unwrap()
}

fn pem(der: &[u8]) -> String {
    let text = encoding::encode_basic(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// The certificate of a root.
pub(super) fn a_root() -> String {
    static ROOT: LazyLock<String> = LazyLock::new(|| pem(authority("some root").der()));
    ROOT.clone()
}

/// Everything that is behind one notification.
struct Chain {
    root: Issuer,
    issuer: Issuer,
    signer: Certificate,
    key: KeyPair,
}

impl Chain {
    fn new(of_signer: &[&[u64]], of_issuer: &[&[u64]]) -> Self {
        Self::until(of_signer, of_issuer, 2030)
    }

    fn until(of_signer: &[&[u64]], of_issuer: &[&[u64]], year: i32) -> Self {
        let root = authority("root");
        let issuer = issuer(&root, of_issuer);
        let key = KeyPair::generate().unwrap();
        let mut params = params("signer", of_signer);
        params.not_after = date_time_ymd(year, 1, 1);
        let signer = params.signed_by(&key, &issuer).unwrap();
        Self {
            root,
            issuer,
            signer,
            key,
        }
    }

    fn certificates(&self) -> Vec<&[u8]> {
        vec![self.signer.der(), self.issuer.der(), self.root.der()]
    }

    fn request(&self, x5c: &[&[u8]], claims: &Value) -> Bent {
        let x5c: Vec<_> = x5c.iter().map(|it| encoding::encode_basic(it)).collect();
        let part = |it: &Value| encoding::encode(Encoding::Base64UrlUnpadded, it.to_string().as_bytes());
        let text = format!(
            "{}.{}",
            part(&json!({ "alg": "ES256", "x5c": x5c })),
            part(claims)
        );
        let pkcs8 = self.key.serialize_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).unwrap();
        let signature = pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        let signature = encoding::encode(Encoding::Base64UrlUnpadded, signature.as_ref());
        let body = json!({ "signedPayload": format!("{text}.{signature}") });
        Bent::new(
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    fn key(&self) -> [Key; 1] {
        [key(row("apple-app-store"), &pem(self.root.der()))]
    }
}

fn claims() -> Value {
    json!({
        "notificationType": "SUBSCRIBED",
        "subtype": "INITIAL_BUY",
        "notificationUUID": "002e14d5-51f5-4503-b5a8-c3a1af68eb20",
        "signedDate": 1_767_225_600_000_i64,
        "data": { "bundleId": "example" },
    })
}

#[test]
fn a_token_counts_whose_certificates_lead_to_the_root() {
    let chain = Chain::new(&[OF_SIGNER], &[OF_ISSUER]);
    let provider = row("apple-app-store");
    let request = chain.request(&chain.certificates(), &claims());
    assert_eq!(request.verify(provider, &chain.key()), Ok(Binding::Origin));
    let names = request.with(|call| provider.names(call));
    assert_eq!(
        names.external_id.as_deref(),
        Some(&b"002e14d5-51f5-4503-b5a8-c3a1af68eb20"[..])
    );
    assert_eq!(names.event_type.as_deref(), Some("SUBSCRIBED.INITIAL_BUY"));
    assert_eq!(names.occurred_at, Some(NOW));
    let summary = json!({ "notificationType": "RENEWAL_EXTENSION", "summary": { "bundleId": "example" } });
    let request = chain.request(&chain.certificates(), &summary);
    assert_eq!(request.verify(provider, &chain.key()), Ok(Binding::Origin));
}

#[test]
fn a_token_with_other_certificates_is_refused() {
    let provider = row("apple-app-store");
    let right = Chain::new(&[OF_SIGNER], &[OF_ISSUER]);
    let check = |chain: &Chain, x5c: &[&[u8]], code: &str| {
        check_refused(&chain.request(x5c, &claims()), provider, &right.key(), code);
    };
    // A forger's own, with every mark.
    let forged = Chain::new(&[OF_SIGNER], &[OF_ISSUER]);
    check(&forged, &forged.certificates(), "signature_mismatch");
    check(&forged, &right.certificates(), "signature_mismatch");
    let mixed = [
        forged.certificates()[0],
        right.certificates()[1],
        right.certificates()[2],
    ];
    check(&forged, &mixed, "signature_mismatch");
    check(&right, &right.certificates()[..2], "malformed_credentials");
    check(&right, &[], "malformed_credentials");
    check(&right, &[b"x", b"y", b"z"], "signature_mismatch");
    for (chain, why) in [
        (Chain::new(&[], &[OF_ISSUER]), "another use of the root"),
        (Chain::new(&[OF_SIGNER], &[]), "another issuer of the root"),
        (Chain::until(&[OF_SIGNER], &[OF_ISSUER], 2025), "outdated"),
    ] {
        let request = chain.request(&chain.certificates(), &claims());
        let refusal = request.verify(provider, &chain.key()).expect_err(why);
        assert_eq!(refusal.code(), "signature_mismatch", "{why}");
    }
}

#[test]
fn a_token_for_another_app_is_refused() {
    let chain = Chain::new(&[OF_SIGNER], &[OF_ISSUER]);
    for claims in [
        json!({ "data": { "bundleId": "another" }, "summary": { "bundleId": "example" } }),
        json!({ "data": {} }),
        json!({ "bundleId": "example" }),
    ] {
        let request = chain.request(&chain.certificates(), &claims);
        check_refused(
            &request,
            row("apple-app-store"),
            &chain.key(),
            "malformed_signed_part",
        );
    }
}
