//! The guarded client against handlers that do what handlers should not.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gatepost::{
    base::safe_url::SafeUrl,
    egress::{
        client::{Answer, Call, Client, Settings},
        error::{Cause, Failure},
        guard::Reach,
        resolver::Lookup,
        target::Target,
    },
};
use http::{HeaderMap, Method};
use tokio::io::AsyncWriteExt;
use url::Url;

use crate::handler::{Handler, read_request};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(150);

fn settings(reach: Reach) -> Settings {
    Settings {
        connect_timeout: LONG,
        reach,
        max_idle: 4,
        proxy: None,
        extra_roots: Vec::new(),
        identity: None,
    }
}

fn client(reach: Reach) -> Client {
    Client::new(&settings(reach)).unwrap()
}

async fn send_within(client: &Client, url: &str, timeout: Duration) -> Result<Answer, Failure> {
    // Checked for the wider reach, so that the client's own check is what is tested.
    let target = Target::new(&url.parse().unwrap(), Reach::Private)?;
    let call = Call {
        method: Method::POST,
        target: &target,
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"hello"),
        timeout,
        max_body: 64 << 10,
    };
    client.send(call).await
}

async fn send(client: &Client, url: &str) -> Result<Answer, Failure> {
    send_within(client, url, LONG).await
}

#[track_caller]
fn cause(res: Result<Answer, Failure>) -> Cause {
    res.map(|it| it.status).unwrap_err().cause
}

/// Answers every name with these addresses, one list after the other; the last one for ever.
fn fixed(answers: Vec<Vec<SocketAddr>>) -> Lookup {
    let n_asked = AtomicUsize::new(0);
    Arc::new(move |_| {
        let idx = n_asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        let answer = answers[idx].clone();
        Box::pin(async move { Ok(answer) })
    })
}

#[tokio::test]
async fn c01_no_spelling_of_loopback_gets_through() {
    let (handler, _requests) = Handler::answering(OK).await;
    let port = handler.address.port();
    let client = client(Reach::Public);
    for host in [
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "127.1",
        "0x7f.1",
    ] {
        let res = send(&client, &format!("http://{host}:{port}/")).await;
        assert_eq!(cause(res), Cause::ForbiddenAddress, "{host}");
    }
    assert_eq!(handler.n_connections(), 0);
}

#[tokio::test]
async fn private_reach_is_for_the_operator_s_own_handlers() {
    let (handler, _requests) = Handler::answering(OK).await;
    let port = handler.address.port();
    let client = client(Reach::Private);
    for host in [
        "localhost",
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "127.1",
        "0x7f.1",
    ] {
        let answer = send(&client, &format!("http://{host}:{port}/")).await.unwrap();
        assert_eq!(&answer.body[..], b"ok", "{host}");
    }
}

/// Whoever follows one of these ends inside, or nowhere.
fn hostile_urls() -> Vec<&'static str> {
    let listed = include_str!("hostile_urls.txt").lines();
    listed
        .filter(|it| !it.is_empty() && !it.starts_with('#'))
        // What has no place in a text file.
        .chain([
            "http://\t169.254.169.254/",
            "http://169.254.\r\n169.254/",
            "http://ex\0ample.com/",
        ])
        .collect()
}

#[tokio::test]
async fn c01_no_hostile_url_is_dialled() {
    let (handler, _requests) = Handler::answering(OK).await;
    let inside = vec![vec![
        handler.address,
        "[::1]:80".parse().unwrap(),
        "169.254.169.254:80".parse().unwrap(),
    ]];
    let client = Client::with_lookup(&settings(Reach::Public), fixed(inside)).unwrap();
    let urls = hostile_urls();
    assert!(urls.len() > 140, "{}", urls.len());
    for text in urls {
        let Ok(url) = Url::parse(text) else {
            continue;
        };
        let found = match Target::new(&url, Reach::Public) {
            Err(failure) => failure.cause,
            Ok(_) => cause(send(&client, text).await),
        };
        assert!(
            matches!(found, Cause::BadUrl | Cause::ForbiddenAddress),
            "{text}: {found:?}"
        );
    }
    assert_eq!(handler.n_connections(), 0);
}

#[tokio::test]
async fn c02_a_name_that_changes_its_mind_is_caught() {
    let (handler, _requests) =
        Handler::answering(*b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    let inside = "169.254.169.254:80".parse().unwrap();
    let lookup = fixed(vec![vec![handler.address], vec![inside], vec![handler.address]]);
    let client = Client::with_lookup(&settings(Reach::Private), lookup).unwrap();
    let url = format!("http://rebinding.example:{}/", handler.address.port());
    assert!(send(&client, &url).await.is_ok());
    let failure = send(&client, &url).await.unwrap_err();
    assert_eq!(failure.cause, Cause::ForbiddenAddress);
    assert!(failure.explanation.contains("169.254.169.254"), "{failure}");
    assert!(send(&client, &url).await.is_ok());
    assert_eq!(handler.n_connections(), 2);
}

#[tokio::test]
async fn c03_redirects_are_not_followed() {
    let (inside, _requests) = Handler::answering(OK).await;
    for status in [301, 302, 303, 307, 308] {
        let location = inside.url("/secret");
        let answer =
            format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let (handler, _requests) = Handler::answering(answer).await;
        let answer = send(&client(Reach::Private), &handler.url("/")).await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(handler.n_connections(), 1);
    }
    assert_eq!(inside.n_connections(), 0);
}

#[tokio::test]
async fn packed_answers_stay_packed() {
    // The head of a gzip stream is enough: whoever unpacked would fail on it, or ask for more.
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xed\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf";
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        packed.len()
    )
    .into_bytes();
    answer.extend_from_slice(packed);
    let (handler, mut requests) = Handler::answering(answer).await;
    let answer = send(&client(Reach::Private), &handler.url("/")).await.unwrap();
    assert_eq!(&answer.body[..], packed);
    assert!(
        requests
            .recv()
            .await
            .unwrap()
            .header("accept-encoding")
            .is_empty()
    );
}

#[tokio::test]
async fn a_handler_that_never_answers_times_out() {
    let handler =
        Handler::start(|mut stream, _| async move { while read_request(&mut stream).await.is_some() {} })
            .await;
    let failure = send_within(&client(Reach::Private), &handler.url("/token?key=hunter2"), SHORT)
        .await
        .unwrap_err();
    assert_eq!(failure.cause, Cause::Timeout);
    assert!(
        failure.explanation.contains("did not answer within 150ms"),
        "{failure}"
    );
    assert!(!failure.explanation.contains("hunter2"), "{failure}");
}

#[tokio::test]
async fn a_handler_that_stops_after_its_headers_times_out() {
    let (handler, _requests) =
        Handler::answering(*b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart").await;
    let failure = send_within(&client(Reach::Private), &handler.url("/"), SHORT)
        .await
        .unwrap_err();
    assert_eq!(failure.cause, Cause::Timeout);
    assert!(failure.explanation.contains("began to answer 200"), "{failure}");
}

#[tokio::test]
async fn f11_a_dripping_answer_ends_at_the_deadline() {
    let (ended, has_ended) = tokio::sync::oneshot::channel::<()>();
    let ended = Mutex::new(Some(ended));
    let handler = Handler::start(move |mut stream, _| {
        let ended = ended.lock().unwrap().take();
        async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let mut every = tokio::time::interval(Duration::from_millis(5));
            while stream.write_all(b".").await.is_ok() {
                every.tick().await;
            }
            drop(ended);
        }
    })
    .await;
    let res = send_within(&client(Reach::Private), &handler.url("/"), SHORT).await;
    assert_eq!(cause(res), Cause::Timeout);
    // The connection is gone: the handler's next write fails.
    let _ = tokio::time::timeout(LONG, has_ended).await.unwrap();
}

#[tokio::test]
async fn f11_an_endless_answer_is_cut_and_its_connection_dropped() {
    let (ended, mut has_ended) = tokio::sync::mpsc::unbounded_channel();
    let handler = Handler::start(move |mut stream, _| {
        let ended = ended.clone();
        async move {
            read_request(&mut stream).await;
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n")
                .await;
            let block = [b'x'; 16 << 10];
            let mut n_blocks = 0;
            while n_blocks < 65_536 && stream.write_all(&block).await.is_ok() {
                n_blocks += 1;
            }
            let _ = ended.send(n_blocks);
        }
    })
    .await;
    let client = client(Reach::Private);
    for n_sent in 1..=2 {
        let answer = send(&client, &handler.url("/")).await.unwrap();
        assert_eq!(answer.body.len(), 64 << 10);
        assert!(answer.is_cut);
        let n_blocks = tokio::time::timeout(LONG, has_ended.recv())
            .await
            .unwrap()
            .unwrap();
        assert!(n_blocks < 65_536, "all of it was read");
        assert_eq!(handler.n_connections(), n_sent);
    }
}

#[tokio::test]
async fn an_answer_of_just_the_limit_is_whole() {
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 65536\r\n\r\n".to_vec();
    answer.resize(answer.len() + 65_536, b'x');
    let (handler, _requests) = Handler::answering(answer).await;
    let client = client(Reach::Private);
    for _ in 0..3 {
        let answer = send(&client, &handler.url("/")).await.unwrap();
        assert!(!answer.is_cut && answer.body.len() == 65_536);
    }
    assert_eq!(handler.n_connections(), 1, "a connection is used again");
}

#[tokio::test]
async fn broken_connections_are_resets() {
    let silent = Handler::start(|mut stream, _| async move {
        read_request(&mut stream).await;
    })
    .await;
    let abrupt = Handler::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.set_zero_linger().unwrap();
    })
    .await;
    let midway = Handler::start(|mut stream, _| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")
            .await;
    })
    .await;
    let client = client(Reach::Private);
    for handler in [&silent, &abrupt, &midway] {
        let res = send(&client, &handler.url("/")).await;
        assert_eq!(cause(res), Cause::Reset);
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    let mut endless_headers = b"HTTP/1.1 200 OK\r\n".to_vec();
    for n in 0..200 {
        endless_headers.extend_from_slice(format!("x-{n}: y\r\n").as_bytes());
    }
    endless_headers.extend_from_slice(b"\r\n");
    let mut huge_header = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    huge_header.resize(huge_header.len() + (1 << 20), b'y');
    let answers: [&[u8]; 7] = [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"220 mail.example ESMTP\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        &endless_headers,
        &huge_header,
    ];
    for answer in answers {
        let (handler, _requests) = Handler::answering(answer).await;
        let res = send(&client(Reach::Private), &handler.url("/")).await;
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(30)]);
        assert_eq!(cause(res), Cause::Protocol, "{shown}");
    }
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let failure = send(&client(Reach::Private), &url).await.unwrap_err();
    assert_eq!(failure.cause, Cause::Refused, "{failure}");
}

#[tokio::test]
async fn names_without_an_address_are_dns_failures() {
    let empty = Client::with_lookup(&settings(Reach::Private), fixed(vec![Vec::new()])).unwrap();
    assert_eq!(cause(send(&empty, "http://nobody.example/").await), Cause::Dns);
    let broken: Lookup = Arc::new(|_| Box::pin(async { Err(std::io::Error::other("no name server")) }));
    let broken = Client::with_lookup(&settings(Reach::Private), broken).unwrap();
    let failure = send(&broken, "http://nobody.example/").await.unwrap_err();
    assert_eq!(failure.cause, Cause::Dns);
    assert!(failure.explanation.contains("nobody.example:80"), "{failure}");
}

#[tokio::test]
async fn connecting_has_a_limit_of_its_own() {
    let never: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let settings = Settings {
        connect_timeout: SHORT,
        ..settings(Reach::Private)
    };
    let client = Client::with_lookup(&settings, never).unwrap();
    assert_eq!(
        cause(send(&client, "http://slow.example/").await),
        Cause::ConnectTimeout
    );
}

mod tls {
    use std::sync::Arc;

    use gatepost::egress::{
        client::{Client, Settings},
        error::Cause,
        guard::Reach,
        tls::install_crypto,
    };
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::AsyncWriteExt;
    use tokio_rustls::TlsAcceptor;

    use super::{OK, cause, client, fixed, send, settings};
    use crate::handler::{Handler, read_request};

    /// A handler with a certificate of its own making, and that certificate.
    async fn handler(name: &str) -> (Handler, Vec<u8>) {
        install_crypto();
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let der: CertificateDer<'static> = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![der.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let handler = Handler::start(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    while read_request(&mut stream).await.is_some() {
                        let _ = stream.write_all(OK).await;
                    }
                }
            }
        })
        .await;
        (handler, der.to_vec())
    }

    fn trusting(handler: &Handler, roots: Vec<Vec<u8>>) -> Client {
        let settings = Settings {
            extra_roots: roots,
            identity: None,
            ..settings(Reach::Private)
        };
        Client::with_lookup(&settings, fixed(vec![vec![handler.address]])).unwrap()
    }

    #[tokio::test]
    async fn a_certificate_that_nobody_vouches_for_is_refused() {
        let (handler, _) = handler("handler.example").await;
        let url = format!("https://handler.example:{}/", handler.address.port());
        let failure = send(&trusting(&handler, Vec::new()), &url).await.unwrap_err();
        assert_eq!(failure.cause, Cause::Tls, "{failure}");
        assert!(failure.explanation.contains("handler.example"), "{failure}");
    }

    #[tokio::test]
    async fn c11_a_trusted_certificate_is_accepted_for_its_own_name_only() {
        let (handler, der) = handler("handler.example").await;
        let port = handler.address.port();
        let client = trusting(&handler, vec![der]);
        let answer = send(&client, &format!("https://handler.example:{port}/"))
            .await
            .unwrap();
        assert_eq!(&answer.body[..], b"ok");
        let other = send(&client, &format!("https://other.example:{port}/")).await;
        assert_eq!(cause(other), Cause::Tls);
    }

    #[tokio::test]
    async fn what_a_proxy_opens_a_way_for_is_still_between_us_and_the_handler() {
        let (handler, der) = handler("handler.example").await;
        let (proxy, mut heads) = super::proxy::tunnelling(handler.address).await;
        let settings = Settings {
            extra_roots: vec![der],
            ..super::proxy::settings_by_way_of(proxy.address)
        };
        let client = Client::new(&settings).unwrap();
        let answer = send(&client, "https://handler.example/").await.unwrap();
        assert_eq!(&answer.body[..], b"ok");
        let asked = heads.recv().await.unwrap();
        assert_eq!(asked.lines()[0], "CONNECT handler.example:443 HTTP/1.1");
        assert_eq!(asked.header("proxy-authorization"), ["Basic dXNlcjpodW50ZXIy"]);
        // It is another name's certificate, whatever the proxy says.
        assert_eq!(cause(send(&client, "https://other.example/").await), Cause::Tls);
    }

    #[tokio::test]
    async fn plain_http_behind_https_is_a_tls_failure() {
        let handler = Handler::start(|mut stream, _| async move {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            read_request(&mut stream).await;
        })
        .await;
        let url = format!("https://127.0.0.1:{}/", handler.address.port());
        assert_eq!(cause(send(&client(Reach::Private), &url).await), Cause::Tls);
    }
}

mod proxy {
    use tokio::{io::copy_bidirectional, net::TcpStream, sync::mpsc};

    use super::*;
    use crate::handler::Received;

    pub(super) fn settings_by_way_of(proxy: SocketAddr) -> Settings {
        let url: Url = format!("http://user:hunter2@{proxy}").parse().unwrap();
        Settings {
            proxy: Some(SafeUrl::new(url)),
            ..settings(Reach::Private)
        }
    }

    fn by_way_of(proxy: SocketAddr) -> Client {
        Client::new(&settings_by_way_of(proxy)).unwrap()
    }

    /// Opens every way it is asked for, and all lead there.
    pub(super) async fn tunnelling(there: SocketAddr) -> (Handler, mpsc::UnboundedReceiver<Received>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let proxy = Handler::start(move |mut stream, _| {
            let sender = sender.clone();
            async move {
                let asked = read_request(&mut stream).await.unwrap();
                let _ = sender.send(asked);
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut onward = TcpStream::connect(there).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut onward).await;
            }
        })
        .await;
        (proxy, receiver)
    }

    #[tokio::test]
    async fn a_proxy_dials_names_that_are_unknown_here() {
        let (proxy, mut requests) = Handler::answering(OK).await;
        let answer = send(&by_way_of(proxy.address), "http://handler.example/hook?x=1").await;
        assert_eq!(&answer.unwrap().body[..], b"ok");
        let asked = requests.recv().await.unwrap();
        assert_eq!(asked.lines()[0], "POST http://handler.example/hook?x=1 HTTP/1.1");
        assert_eq!(asked.header("proxy-authorization"), ["Basic dXNlcjpodW50ZXIy"]);
        assert_eq!(asked.body, b"hello");
    }

    #[tokio::test]
    async fn what_fails_by_way_of_a_proxy_names_it() {
        let (refusing, _requests) = Handler::answering("HTTP/1.1 403 Forbidden\r\n\r\n").await;
        let failure = send(&by_way_of(refusing.address), "https://handler.example/").await;
        let failure = failure.unwrap_err();
        assert_eq!(failure.cause, Cause::Unreachable, "{failure}");
        let named = format!("by way of the proxy `{}`", refusing.address);
        assert!(failure.explanation.ends_with(&named), "{failure}");
        assert!(failure.explanation.contains("`handler.example:443`"), "{failure}");
        assert!(!failure.explanation.contains("hunter2"), "{failure}");
        let address = refusing.address;
        drop(refusing);
        let failure = send(&by_way_of(address), "http://handler.example/")
            .await
            .unwrap_err();
        assert!(failure.explanation.contains("by way of the proxy"), "{failure}");
    }

    #[tokio::test]
    async fn c01_a_proxy_is_not_asked_for_addresses_that_are_never_dialled() {
        let (proxy, _requests) = Handler::answering(OK).await;
        let answer = send(
            &by_way_of(proxy.address),
            "http://169.254.169.254/latest/meta-data/",
        )
        .await;
        assert_eq!(cause(answer), Cause::ForbiddenAddress);
        assert_eq!(proxy.n_connections(), 0);
    }
}
