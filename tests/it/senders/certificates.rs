//! Certificates at the address that a request names: only at pinned hosts, only in force, only of the sender, and with a chain
//! where the sender serves one.

use std::sync::Arc;

use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use base64::{Engine, engine::general_purpose::STANDARD};
use gatepost::{
    base::clock::Timestamp,
    source::{Received, Request, Source, keys::Keys, receive},
};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize, date_time_ymd};
use serde_json::Value;

use super::{
    Day, Issuer, NOW, SNS_CERTIFICATE, Signer, StandIn, TOPIC, answer_of, pem, request, sns, source_of,
    vector,
};

async fn outcome(keys: &Keys, source: &Arc<Source>, request: &Request, seconds: u64) -> &'static str {
    let now = Day::begin().after(seconds);
    match keys.receive(source, request, now.wall, now).await {
        Ok(Received::Verified(_)) => "verified",
        Ok(Received::Confirm { .. }) => "confirm",
        Ok(Received::Rejected(rejection)) => rejection.code,
        Ok(other) => panic!("{other:?}"),
        Err(_) => "unavailable",
    }
}

#[tokio::test]
async fn sns_is_verified_in_both_versions_with_one_call() {
    let stand_in = StandIn::start().await;
    let source = sns();
    let keys = Keys::new(stand_in.asking());
    for (id, expected) in [
        ("aws_sns-n01", "verified"),
        ("aws_sns-n02", "signature_mismatch"),
        ("aws_sns-n05", "signature_mismatch"),
        ("aws_sns-n03", "confirm"),
        ("aws_sns-n06", "confirm"),
    ] {
        let (request, certificate) = vector("aws-sns", id);
        stand_in.serve(SNS_CERTIFICATE, certificate);
        assert_eq!(outcome(&keys, &source, &request, 0).await, expected, "{id}");
    }
    assert_eq!(stand_in.asked(), [SNS_CERTIFICATE]);
    // The second version, signed here.
    let signer = rsa();
    let authority = super::authority();
    stand_in.serve(
        SNS_CERTIFICATE,
        certificate(&signer, &authority, "sns.amazonaws.com"),
    );
    let keys = Keys::new(stand_in.asking());
    assert_eq!(
        outcome(&keys, &source, &notified(&signer, "a"), 0).await,
        "verified"
    );
    let mut bent = notified(&signer, "a");
    bent.body = String::from_utf8(bent.body.to_vec())
        .unwrap()
        .replace("hello", "hullo")
        .into();
    assert_eq!(outcome(&keys, &source, &bent, 0).await, "signature_mismatch");
}

/// A key and the certificate's side of it.
fn rsa() -> (Signer, KeyPair) {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let pair = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
    let signer = Signer {
        id: String::new(),
        pair,
    };
    (signer, key)
}

fn certificate(signer: &(Signer, KeyPair), by: &Issuer, name: &str) -> String {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_after = date_time_ymd(2028, 1, 1);
    pem(params.signed_by(&signer.1, by).unwrap().der())
}

/// A notification of the topic, signed in the second version; the certificate is where the vectors' is.
fn notified(signer: &(Signer, KeyPair), id: &str) -> Request {
    let fields = [
        ("Message", "hello"),
        ("MessageId", id),
        ("Timestamp", "2027-01-01T00:00:00.000Z"),
        ("TopicArn", TOPIC),
        ("Type", "Notification"),
    ];
    let lines: Vec<_> = fields
        .iter()
        .flat_map(|(name, value)| [*name, "\n", *value, "\n"])
        .collect();
    let signed = lines.concat();
    let mut body: serde_json::Map<String, Value> = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).into()))
        .collect();
    let signature = STANDARD.encode(signer.0.sign(signed.as_bytes()));
    body.insert("Signature".to_owned(), signature.into());
    body.insert("SignatureVersion".to_owned(), "2".into());
    body.insert(
        "SigningCertURL".to_owned(),
        format!("https://{SNS_CERTIFICATE}").into(),
    );
    request(
        &[("content-type", "text/plain; charset=UTF-8")],
        Value::Object(body).to_string(),
    )
}

#[tokio::test]
async fn a11_no_other_address_is_looked_up() {
    let stand_in = StandIn::start().await;
    let (source, at) = (sns(), Timestamp::from_unix_seconds(NOW));
    let (genuine, certificate) = vector("aws-sns", "aws_sns-n01");
    stand_in.serve(SNS_CERTIFICATE, certificate);
    let mut urls: Vec<String> = include_str!("../hostile_urls.txt")
        .lines()
        .filter(|it| !it.is_empty() && !it.starts_with('#'))
        .map(str::to_owned)
        .collect();
    urls.extend(
        [
            "https://sns.evil.example?.amazonaws.com/a.pem",
            "https://sns.evil.example#.amazonaws.com/a.pem",
            "https://sns.s3-us-west-2.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/a.pem",
            "https://sns.us-east-1.amazonaws.com:8443/a.pem",
            "https://sns.us-east-1.amazonaws.com/a/b.pem",
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem?x=.pem",
            "file:///etc/passwd",
        ]
        .map(str::to_owned),
    );
    assert!(urls.len() > 100);
    let keys = Keys::new(stand_in.asking());
    for url in urls {
        let bent = with_certificate_at(&genuine, &url);
        let received = receive(&source, &bent, at);
        assert!(matches!(received, Received::Rejected(_)), "{url}: {received:?}");
    }
    assert!(stand_in.looked_up().is_empty());
    assert_eq!(outcome(&keys, &source, &genuine, 0).await, "verified");
    assert_eq!(stand_in.looked_up(), ["sns.us-east-1.amazonaws.com"]);
}

#[tokio::test]
async fn a11_made_up_addresses_of_the_pinned_host_are_called_a_few_times_only() {
    let stand_in = StandIn::start().await;
    let (source, day) = (sns(), Day::begin());
    let (genuine, _) = vector("aws-sns", "aws_sns-n01");
    let keys = Keys::new(stand_in.asking());
    for idx in 0..400_u64 {
        let bent = with_certificate_at(
            &genuine,
            &format!("https://sns.us-east-1.amazonaws.com/made-up-{idx}.pem"),
        );
        let now = day.after(idx / 10);
        let received = keys.receive(&source, &bent, now.wall, now).await;
        assert!(received.is_err(), "{received:?}");
    }
    // All within a minute.
    assert_eq!(stand_in.asked().len(), 10);
    // Another source's sender is asked all the same.
    let (genuine, certificate) = vector("aws-sns", "aws_sns-n01");
    stand_in.serve(SNS_CERTIFICATE, certificate);
    let other = source_of("other", "aws-sns", &[("topic_arn", TOPIC)]);
    assert_eq!(outcome(&keys, &other, &genuine, 41).await, "verified");
}

#[tokio::test]
async fn a11_made_up_addresses_do_not_push_out_those_that_have_keys() {
    let stand_in = StandIn::start().await;
    let (source, day) = (sns(), Day::begin());
    let (genuine, certificate) = vector("aws-sns", "aws_sns-n01");
    let kept = "cache-control: max-age=86400\r\n";
    stand_in.answer(SNS_CERTIFICATE, answer_of("200 OK", kept, certificate));
    let keys = Keys::new(stand_in.asking());
    let verify = async |request: &Request, seconds| {
        let now = day.after(seconds);
        keys.receive(&source, request, now.wall, now).await
    };
    assert!(matches!(verify(&genuine, 0).await, Ok(Received::Verified(_))));
    // More than are remembered, as fast as they may be called.
    for idx in 1..=300_u64 {
        let bent = with_certificate_at(
            &genuine,
            &format!("https://sns.us-east-1.amazonaws.com/made-up-{idx}.pem"),
        );
        assert!(verify(&bent, 7 * idx).await.is_err());
    }
    assert_eq!(stand_in.asked().len(), 301);
    assert!(matches!(verify(&genuine, 2200).await, Ok(Received::Verified(_))));
    assert_eq!(stand_in.asked().len(), 301);
}

fn with_certificate_at(request: &Request, url: &str) -> Request {
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    body["SigningCertURL"] = url.into();
    let mut bent = request.clone();
    bent.body = body.to_string().into();
    bent
}

#[tokio::test]
async fn a_certificate_that_is_not_the_senders_or_not_in_force_is_of_no_use() {
    let stand_in = StandIn::start().await;
    let source = sns();
    let signer = rsa();
    let authority = super::authority();
    let of = |name: &str, until: i32| {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 1, 2);
        pem(params.signed_by(&signer.1, &authority).unwrap().der())
    };
    for (certificate, expected) in [
        (of("sns.amazonaws.com", 2028), "verified"),
        (of("sns-signing.eu-south-2.amazonaws.com", 2028), "verified"),
        (of("sns.amazonaws.com", 2026), "unavailable"),
        (of("s3.amazonaws.com", 2028), "unavailable"),
        (of("sns.amazonaws.com.evil.example", 2028), "unavailable"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            "unavailable",
        ),
        (String::new(), "unavailable"),
    ] {
        stand_in.serve(SNS_CERTIFICATE, &certificate);
        let keys = Keys::new(stand_in.asking());
        let outcome = outcome(&keys, &source, &notified(&signer, "a"), 0).await;
        assert_eq!(outcome, expected, "{certificate}");
    }
}

const PAYPAL: &str = "api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77";

/// As PayPal signs for the webhook `WH-1`.
fn paid(signer: &(Signer, KeyPair)) -> Request {
    let body = r#"{"id":"WH-58D329510W468432D-8HN650336L201105X","event_type":"PAYMENT.SALE.COMPLETED"}"#;
    let (id, at) = ("69cd13f0-d67a-11e5-baa3-778b53f4ae55", "2027-01-01T00:00:00Z");
    let message = format!("{id}|{at}|WH-1|{}", crc32fast::hash(body.as_bytes()));
    let signature = STANDARD.encode(signer.0.sign(message.as_bytes()));
    let url = format!("https://{PAYPAL}");
    let headers = [
        ("paypal-transmission-id", id),
        ("paypal-transmission-time", at),
        ("paypal-transmission-sig", &signature),
        ("paypal-auth-algo", "SHA256withRSA"),
        ("paypal-cert-url", &url),
    ];
    request(&headers, body)
}

#[tokio::test]
async fn a12_paypals_certificate_has_to_lead_to_a_trusted_root() {
    const NAME: &str = "messageverificationcerts.paypal.com";
    let stand_in = StandIn::start().await;
    let source = source_of("paypal", "paypal", &[("webhook_id", "WH-1")]);
    let signer = rsa();
    let stranger = super::authority();
    let self_signed = {
        let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, NAME);
        pem(params.self_signed(&signer.1).unwrap().der())
    };
    let mut between = CertificateParams::default();
    between.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    between
        .distinguished_name
        .push(DnType::CommonName, "an intermediate authority");
    let between =
        rcgen::CertifiedIssuer::signed_by(between, KeyPair::generate().unwrap(), &stand_in.authority)
            .unwrap();
    let leaf = certificate(&signer, &between, NAME);
    for (what, certificate, expected) in [
        (
            "trusted",
            certificate(&signer, &stand_in.authority, NAME),
            "verified",
        ),
        ("a chain", format!("{leaf}{}", pem(between.der())), "verified"),
        ("without its chain", leaf.clone(), "unavailable"),
        (
            "of a stranger",
            certificate(&signer, &stranger, NAME),
            "unavailable",
        ),
        ("of its own", self_signed, "unavailable"),
        (
            "of another name",
            certificate(
                &signer,
                &stand_in.authority,
                "messageverificationcerts.paypal.com.evil.example",
            ),
            "unavailable",
        ),
    ] {
        stand_in.serve(PAYPAL, certificate);
        let keys = Keys::new(stand_in.asking());
        assert_eq!(
            outcome(&keys, &source, &paid(&signer), 0).await,
            expected,
            "{what}"
        );
    }
}
