//! Issues told by mail, to a real server: a relay, one that refuses for a while or for good, one that hangs, and TLS with a password.

use std::{fs, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use gatepost::base::clock::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use crate::{
    app::{
        api::Api,
        app_case, eventually,
        issues::{configure, until},
        receiver::Reply,
        sender::event,
        site::Site,
    },
    config::printed,
    matrix::brokers::server::{Broker, Software},
};

/// The mails that the server took so far, the oldest first.
fn taken(server: &Broker) -> Vec<Value> {
    let found = fs::read_dir(server.directory.path().join("mail"));
    let paths = found.into_iter().flatten().map(|it| it.unwrap().path());
    let mut paths: Vec<_> = paths
        .filter(|it| it.extension().is_some_and(|it| it == "json"))
        .collect();
    paths.sort();
    let read = |path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    paths.iter().map(read).collect()
}

async fn until_taken(server: &Broker, n: usize) -> Vec<Value> {
    eventually(&format!("the server took {n} mails"), || async {
        Some(taken(server)).filter(|it| n <= it.len())
    })
    .await
}

/// What it refuses from now on; nothing by `json!({})`.
fn refuse(server: &Broker, what: &Value) {
    let path = server.directory.path().join("refuse.json");
    let fresh = path.with_extension("new");
    fs::write(&fresh, what.to_string()).unwrap();
    fs::rename(fresh, path).unwrap();
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    let all = mail["headers"].as_array().unwrap();
    let found: Vec<_> = all.iter().filter(|it| it[0] == name).collect();
    assert_eq!(found.len(), 1, "{name} in {mail}");
    found[0][1].as_str().unwrap()
}

fn table(server: &Broker, host: &str, more: &str) -> String {
    let port = server.address.port();
    format!(
        "[notifications.office]\nemail = {{ host = \"{host}\", port = {port}, from = \"gatepost@example.com\", \
         to = [\"ops@example.com\", \"night@example.com\"], {more} }}\n"
    )
}

/// Of one delivery that is given up, and of nothing else.
async fn dead_letter(site: &Site, app: &Api) -> Value {
    site.receiver.script("/billing", [Reply::Status(422)]);
    let id = app.accept(&event("evt_1")).await;
    app.until_status(&id, "dead").await;
    until(app, "dead_letters", "open").await
}

/// The only notice of an issue, once it was tried.
async fn tried(app: &Api, issue: &Value) -> Value {
    let path = format!("/v1/issues/{}", issue["id"].as_str().unwrap());
    eventually("somebody was to be told", || async {
        let notices = app.get(&path).await["notices"].clone();
        assert!(notices.as_array().unwrap().len() <= 1, "{notices}");
        (notices[0]["tries"] != 0 && notices[0]["tries"] != Value::Null).then(|| notices[0].clone())
    })
    .await
}

async fn test(app: &Api) -> Value {
    app.command("/v1/notifications/office/test", "").await.json()
}

app_case!(a_dead_letter_is_told_by_mail_and_that_it_is_over_too, |site| {
    let mut server = Broker::new(Software::Smtp("relay"));
    server.start().await;
    configure(&site, &table(&server, "127.0.0.1", "tls = \"none\""));
    let app = site.start().await;
    let issue = dead_letter(&site, &app).await;
    let page = format!(
        "https://gatepost.example/issues/{}",
        issue["id"].as_str().unwrap()
    );
    let mail = until_taken(&server, 1).await.remove(0);
    assert_eq!(
        (&mail["from"], &mail["to"], &mail["defects"]),
        (
            &json!("gatepost@example.com"),
            &json!(["ops@example.com", "night@example.com"]),
            &json!([])
        )
    );
    assert_eq!(
        header(&mail, "Subject"),
        "gatepost: [warning] 1 dead letter to `billing`"
    );
    assert_eq!(header(&mail, "From"), "gatepost <gatepost@example.com>");
    assert_eq!(header(&mail, "To"), "ops@example.com, night@example.com");
    assert_eq!(header(&mail, "Auto-Submitted"), "auto-generated");
    assert_eq!(
        mail["body"],
        format!("[warning] 1 dead letter to `billing`\n{page}\n")
    );

    let delivery = app.list("/v1/deliveries").await.remove(0);
    let retry = format!("/v1/deliveries/{}/retry", delivery["id"].as_str().unwrap());
    assert_eq!(app.command(&retry, "").await.status, 200);
    let mail = until_taken(&server, 2).await.remove(1);
    assert_eq!(
        header(&mail, "Subject"),
        "gatepost: [resolved] 1 dead letter to `billing`"
    );
    app.finish().await;
});

app_case!(what_a_server_refuses_for_a_while_is_mailed_later, |site| {
    let mut server = Broker::new(Software::Smtp("relay"));
    configure(&site, &table(&server, "127.0.0.1", "tls = \"none\""));
    let app = site.start().await;
    let issue = dead_letter(&site, &app).await;
    let notice = tried(&app, &issue).await;
    let at = format!("127.0.0.1:{}", server.address.port());
    assert_eq!(notice["last_error"], format!("`{at}` refused the connection"));
    refuse(&server, &json!({ "DATA": "451 4.3.0 later" }));
    server.start().await;
    let path = format!("/v1/issues/{}", issue["id"].as_str().unwrap());
    eventually("it says that it is refused", || async {
        let notice = app.get(&path).await["notices"][0].clone();
        (notice["last_error"] == format!("`{at}` refused the mail: 451 4.3.0 later")).then_some(())
    })
    .await;
    // Not the hour that a refusal for good costs.
    site.raw("update notice set due_at = created_at where sent_at is null")
        .await;
    refuse(&server, &json!({}));
    until_taken(&server, 1).await;
    eventually("it is known to be sent", || async {
        (app.get(&path).await["notices"][0]["status"] == "sent").then_some(())
    })
    .await;
    app.finish().await;
    assert_eq!(taken(&server).len(), 1);
});

app_case!(
    what_a_server_refuses_for_good_is_said_and_asked_again_in_an_hour,
    |site| {
        let mut server = Broker::new(Software::Smtp("relay"));
        server.start().await;
        let all = ["RCPT ops@example.com", "RCPT night@example.com"].map(|it| (it, "550 5.1.1 left us"));
        refuse(&server, &all.into_iter().collect());
        configure(&site, &table(&server, "127.0.0.1", "tls = \"none\""));
        let app = site.start().await;
        let issue = dead_letter(&site, &app).await;
        let notice = tried(&app, &issue).await;
        let said = format!(
            "`127.0.0.1:{}` refused mail to `ops@example.com`: 550 5.1.1 left us",
            server.address.port()
        );
        assert_eq!(
            (&notice["status"], &notice["last_error"]),
            (&json!("waiting"), &json!(said))
        );
        let at = |key: &str| Timestamp::parse_rfc3339(notice[key].as_str().unwrap()).unwrap();
        let wait = at("next_try_at").since(at("created_at"));
        assert!(
            Duration::from_hours(1) <= wait && wait < Duration::from_mins(65),
            "{wait:?}"
        );

        // One who left keeps it from nobody else; a test says so.
        refuse(&server, &[all[0]].into_iter().collect());
        let tested = test(&app).await;
        assert_eq!(tested["error"], format!("it reached some, but not all: {said}"));
        assert_eq!(taken(&server)[0]["to"], json!(["night@example.com"]));
        app.finish().await;
    }
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_is_not_waited_for() {
    let site = Site::sqlite().await;
    let mut server = Broker::new(Software::Smtp("relay"));
    server.start().await;
    configure(&site, &table(&server, "127.0.0.1", "tls = \"none\""));
    let app = site.start().await;
    server.hang();
    let tested = test(&app).await;
    assert_eq!(
        tested["error"],
        format!(
            "`127.0.0.1:{}` did not take the mail within 10 seconds",
            server.address.port()
        )
    );
    server.go_on();
    assert_eq!(test(&app).await["taken"], true);
    app.finish().await;
}

/// A certificate and its key, where a server looks for them; what vouches for it, where the config does.
fn certify(server: &Broker, site: &Site) {
    let pem = |what: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        format!(
            "-----BEGIN {what}-----\n{}\n-----END {what}-----\n",
            lines.join("\n")
        )
    };
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = pem("CERTIFICATE", certificate.self_signed(&key).unwrap().der());
    let directory = server.directory.path();
    fs::write(directory.join("server.pem"), &certificate).unwrap();
    fs::write(
        directory.join("server.key"),
        pem("PRIVATE KEY", &key.serialize_der()),
    )
    .unwrap();
    site.write("ca.pem", &certificate);
}

/// What a gatepost with this notification says of a test.
async fn tested(site: &Site, table: &str) -> Value {
    configure(site, table);
    let app = site.start().await;
    let tested = test(&app).await;
    app.finish().await;
    tested
}

const LOGIN: &str = "username = \"gatepost\", password = { file = \"mail.password\" }";
const TRUSTED: &str = ", ca_certificate = { file = \"ca.pem\" }";

async fn over_tls(kind: &'static str) {
    let site = Site::sqlite().await;
    site.write("mail.password", "of-the-mailer");
    let mut server = Broker::new(Software::Smtp(kind));
    certify(&server, &site);
    server.start().await;
    let tls = format!("tls = \"{kind}\", {LOGIN}");
    let told = tested(&site, &table(&server, "localhost", &format!("{tls}{TRUSTED}"))).await;
    assert_eq!(told["taken"], true, "{told}");
    let mail = taken(&server).remove(0);
    let body = mail["body"].as_str().unwrap();
    assert!(
        body.contains("this is a test of the notification `office`"),
        "{mail}"
    );

    for (host, more, expected) in [
        ("localhost", "", "invalid peer certificate: UnknownIssuer"),
        ("127.0.0.1", TRUSTED, "invalid peer certificate"),
    ] {
        let told = tested(&site, &table(&server, host, &format!("{tls}{more}"))).await;
        let error = told["error"].as_str().unwrap();
        assert!(error.contains("TLS with") && error.contains(expected), "{error}");
    }
    site.write("mail.password", "of-somebody-else");
    let told = tested(&site, &table(&server, "localhost", &format!("{tls}{TRUSTED}"))).await;
    let error = told["error"].as_str().unwrap();
    assert!(error.contains("refused the login: 535"), "{error}");
    assert_eq!(taken(&server).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_by_starttls_to_who_shows_a_certificate() {
    over_tls("starttls").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_by_tls_to_who_shows_a_certificate() {
    over_tls("tls").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_goes_without_tls_only_if_the_config_says_so() {
    let site = Site::sqlite().await;
    site.write("mail.password", "of-the-mailer");
    let mut server = Broker::new(Software::Smtp("login"));
    server.start().await;
    // It has no TLS, so nothing is said to it.
    let told = tested(&site, &table(&server, "127.0.0.1", LOGIN)).await;
    let error = told["error"].as_str().unwrap();
    assert!(
        error.ends_with("offers no STARTTLS, so nothing was said to it"),
        "{error}"
    );

    let said_so = format!("tls = \"none\", {LOGIN}, login_without_tls = true");
    let told = tested(&site, &table(&server, "127.0.0.1", &said_so)).await;
    assert_eq!(told["taken"], true, "{told}");
    assert_eq!(taken(&server).len(), 1);
}

#[test]
fn mail_that_cannot_be_sent_is_refused() {
    let table = |more: &str| format!("[notifications.office]\nemail = {{ {more} }}");
    let rest = "from = \"a@example.com\", to = [\"b@example.com\"]";
    let cases = [
        table("from = \"nobody\", to = []"),
        table(
            "host = \"h\", from = \"a@example.com\", to = [\"b@example.com\\r\\nBcc: c@example.com\", \"B <b@example.com>\"]",
        ),
        table(&format!("host = \"mail.example.com:587\", {rest}")),
        table(&format!("host = \"h\", tls = \"ssl\", port = 0, {rest}")),
        table(&format!("host = \"h\", username = \"u\", {rest}")),
        table(&format!(
            "host = \"h\", username = \"u\", password = \"hunter2\", {rest}"
        )),
        table(&format!(
            "host = \"h\", tls = \"none\", username = \"u\", password = {{ env = \"ORDERS_SECRET\" }}, {rest}"
        )),
        table(&format!("host = \"h\", ca_certificate = \"none\", {rest}")),
    ];
    let cases: Vec<_> = cases.iter().map(String::as_str).collect();
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(printed(&cases)) });
}
