//! `gatepost doctor` asks what logs people in and what takes traces.

use serde_json::json;

use crate::app::{
    receiver::Reply,
    site::{STRIPE_TO_BILLING, Site},
    soon,
};

/// What it says of both, line by line.
async fn examined(site: &Site) -> Vec<String> {
    let done = tokio::process::Command::new(env!("CARGO_BIN_EXE_gatepost"))
        .args(["doctor", "--config"])
        .arg(site.config_file())
        .env_clear()
        .envs(&site.environment)
        .current_dir(site.directory.path())
        .kill_on_drop(true)
        .output();
    let said = String::from_utf8(soon("the command ends", done).await.unwrap().stdout).unwrap();
    let lines = said
        .lines()
        .filter(|it| it.contains("single sign-on:") || it.contains("traces:"));
    lines.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn doctor_asks_who_logs_people_in_and_who_takes_traces() {
    let site = Site::sqlite().await;
    let (issuer, collector) = (
        format!("http://{}/oidc", site.receiver.address),
        site.receiver.address,
    );
    site.configure(&format!(
        "{STRIPE_TO_BILLING}\n[admin.oidc]\nissuer = \"{issuer}\"\nclient_id = \"gatepost\"\n\
         client_secret = {{ file = \"other.secret\" }}\npublic_url = \"http://127.0.0.1:1\"\nroles = {{ admin = [\"ops\"] }}\n\
         [telemetry]\nendpoint = \"http://{{}}/otel\"\nheaders = {{ authorization = {{ file = \"other.secret\" }} }}\n"
    ));
    let document = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/keys"),
    });
    let says = |it: &serde_json::Value| Reply::Says(200, it.to_string().into());
    let path = "/oidc/.well-known/openid-configuration";
    site.receiver.always(path, says(&document));
    site.receiver
        .always("/oidc/keys", says(&json!({ "keys": [{ "kty": "RSA" }] })));
    assert_eq!(
        examined(&site).await,
        [
            format!("ok    single sign-on: `{issuer}` answers, and has 1 key"),
            format!("ok    traces: `http://{collector}/otel` takes them"),
        ]
    );
    let exports = site.receiver.hits("/otel/v1/traces");
    assert_eq!((exports.len(), exports[0].body.len()), (1, 0), "no span was sent");

    for (configuration, keys, export, problem, refused) in [
        (
            Reply::Status(404),
            says(&json!({})),
            Reply::Status(401),
            "its configuration answered 404",
            "answered 401",
        ),
        (
            says(&document),
            says(&json!({ "keys": [] })),
            Reply::Status(503),
            "its set of keys is empty",
            "answered 503",
        ),
    ] {
        site.receiver.always(path, configuration);
        site.receiver.always("/oidc/keys", keys);
        site.receiver.always("/otel/v1/traces", export);
        assert_eq!(
            examined(&site).await,
            [
                format!("FAIL  single sign-on: `{issuer}`: {problem}"),
                format!("warn  traces: they are not taken: `{collector}` {refused}"),
            ]
        );
    }
}
