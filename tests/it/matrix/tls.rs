//! Handlers whose TLS is wrong. Each fails closed and says why; not a byte of the event leaves in the clear.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use gatepost::egress::tls::install_crypto;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::{
    app::{app_case, process::Process},
    handler::{Handler, read_request},
    matrix::{
        beside::{OK, config, post_past, retry_dead},
        observed,
    },
};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// A handler behind TLS, and how many requests it ever read.
async fn handler(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> (Handler, Arc<AtomicUsize>) {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    serving(config).await
}

async fn serving(config: rustls::ServerConfig) -> (Handler, Arc<AtomicUsize>) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let n_read = Arc::new(AtomicUsize::new(0));
    let counted = n_read.clone();
    let handler = Handler::start(move |stream, _| {
        let (acceptor, counted) = (acceptor.clone(), counted.clone());
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            while read_request(&mut stream).await.is_some() {
                counted.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(OK).await;
            }
        }
    })
    .await;
    (handler, n_read)
}

/// A certificate for this name from this authority; one that has run out, if asked for.
async fn issued(by: &Issuer, name: &str, is_expired: bool) -> (Handler, Arc<AtomicUsize>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    if is_expired {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    }
    let made = params.signed_by(&key, by).unwrap();
    handler(vec![made.der().clone()], &key).await
}

/// What a server of TLS 1.0 says to a client's hello.
const TLS_1_0: &[u8] = &[
    22, 3, 1, 0, 42, // a handshake record of 42 bytes
    2, 0, 0, 38, // a server's hello of 38 bytes
    3, 1, // TLS 1.0
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, // random
    0, // no session
    0xc0, 0x13, // ECDHE-RSA-AES128-SHA
    0,    // no compression
];

app_case!(f68_tls_that_is_wrong_fails_closed_and_says_why, |site| {
    const HERE: &str = "127.0.0.1";
    install_crypto();
    let (ours, theirs) = (authority(), authority());
    site.write("roots.pem", &pem(ours.der()));
    let roots = site.directory.path().join("roots.pem");
    site.set("SSL_CERT_FILE", roots.to_str().unwrap());
    let self_signed = {
        let key = KeyPair::generate().unwrap();
        let made = CertificateParams::new([HERE.to_owned()]).unwrap();
        let made = made.self_signed(&key).unwrap();
        handler(vec![made.der().clone()], &key).await
    };
    let good = issued(&ours, HERE, false).await;
    let bad = [
        ("expired", issued(&ours, HERE, true).await),
        ("renamed", issued(&ours, "other.example", false).await),
        ("selfmade", self_signed),
        ("unknown", issued(&theirs, HERE, false).await),
    ];
    let old = Handler::start(|mut stream, _| async move {
        let mut hello = [0; 5];
        let _ = stream.read_exact(&mut hello).await;
        let _ = stream.write_all(TLS_1_0).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let plain = Handler::start(|mut stream, _| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let secure = |it: &Handler| format!("https://{}/", it.address);
    let mut all = vec![
        ("good", secure(&good.0)),
        ("old", secure(&old)),
        ("plain", secure(&plain)),
    ];
    all.extend(bad.iter().map(|(name, (handler, _))| (*name, secure(handler))));
    let few = r#"{ max_attempts = 2, max_age = "1h", first = "20ms", cap = "100ms" }"#;
    let text = config(all.iter().map(|(name, url)| (*name, url.clone())), few);
    site.configure(&text);

    let process = Process::start(&site, "all").await;
    post_past(&site, &process, 2).await;
    let ledger = process.until_open(0).await;
    assert_eq!(
        (&ledger["delivered"], &ledger["dead"]),
        (&4.into(), &12.into()),
        "{ledger}"
    );
    assert_eq!(good.1.load(Ordering::SeqCst), 2);
    for (name, (_, n_read)) in &bad {
        assert_eq!(n_read.load(Ordering::SeqCst), 0, "`{name}` got to read something");
    }
    for (name, word) in [
        ("expired", "xpired"),
        ("renamed", "other.example"),
        ("selfmade", "TLS with"),
        ("unknown", "TLS with"),
        ("old", "TLS with"),
        ("plain", "TLS with"),
    ] {
        let rows = process.list(&format!("/v1/deliveries?destination={name}")).await;
        let error = rows[0]["last_error"].as_str().unwrap();
        assert!(
            error.contains("TLS with") && error.contains(word),
            "`{name}`: {error}"
        );
    }
    // Their certificates are put right: here, by going to the good one.
    site.configure(
        &all.iter()
            .fold(text, |text, (_, url)| text.replace(url, &secure(&good.0))),
    );
    crate::app::process::signal(process.id(), "HUP");
    process.logged("reloaded the config", 1).await;
    assert_eq!(retry_dead(&process).await, 12);
    assert_eq!(process.until_open(0).await["delivered"], 16);
    observed("F68", &site, "200", None);
    process.terminate().await;
});

app_case!(
    a_handler_of_ones_own_authority_that_asks_for_a_certificate,
    |site| {
        const HERE: &str = "127.0.0.1";
        install_crypto();
        let (ours, theirs) = (authority(), authority());
        let leaf = |by: &Issuer| {
            let key = KeyPair::generate().unwrap();
            let made = CertificateParams::new([HERE.to_owned()]).unwrap();
            let made = made.signed_by(&key, by).unwrap();
            (made.der().clone(), key)
        };
        let (server, server_key) = leaf(&ours);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ours.der().clone()).unwrap();
        let asking = rustls::server::WebPkiClientVerifier::builder(roots.into())
            .build()
            .unwrap();
        let config = rustls::ServerConfig::builder()
            .with_client_cert_verifier(asking)
            .with_single_cert(
                vec![server],
                PrivateKeyDer::try_from(server_key.serialize_der()).unwrap(),
            )
            .unwrap();
        let (handler, n_read) = serving(config).await;
        site.write("ca.pem", &pem(ours.der()));
        for (name, by) in [("good", &ours), ("bad", &theirs)] {
            let (certificate, key) = leaf(by);
            site.write(&format!("{name}.pem"), &pem(&certificate));
            let key = STANDARD.encode(key.serialize_der());
            let key = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
            site.write(&format!("{name}.key"), &key);
        }
        let url = format!("https://{}/", handler.address);
        let few = r#"{ max_attempts = 1, max_age = "1h", first = "20ms", cap = "100ms" }"#;
        let ca = "ca_certificate = { file = \"ca.pem\" }\n";
        let shows = |name| {
            format!(
                "{ca}client_certificate = {{ file = \"{name}.pem\" }}\nclient_key = {{ file = \"{name}.key\" }}\nretry ="
            )
        };
        let mut text = config_of(&["good", "bad", "nameless", "stranger"], &url, few);
        for (name, keys) in [
            ("good", shows("good")),
            ("bad", shows("bad")),
            ("nameless", format!("{ca}retry =")),
        ] {
            let at = text.find(&format!("[destinations.{name}]")).unwrap();
            let retry = at + text[at..].find("retry =").unwrap();
            text.replace_range(retry..retry + "retry =".len(), &keys);
        }
        site.configure(&text);
        let app = site.start().await;
        post_past(&site, &app, 2).await;
        let ledger = app.until_open(0).await;
        // To `billing` and to the one that shows what it should: the others show the wrong, nothing, or do not know the authority.
        assert_eq!(
            (&ledger["delivered"], &ledger["dead"]),
            (&4.into(), &6.into()),
            "{ledger}"
        );
        assert_eq!(n_read.load(Ordering::SeqCst), 2);
        let stranger = app.list("/v1/deliveries?destination=stranger").await;
        let error = stranger[0]["last_error"].as_str().unwrap();
        assert!(error.contains("TLS with"), "{error}");
        app.finish().await;
    }
);

fn config_of(names: &[&'static str], url: &str, retry: &str) -> String {
    config(names.iter().map(|it| (*it, url.to_owned())), retry)
}
