//! `gatepost try` and `gatepost test`.

use super::*;

const ROUTES: &str = r#"
[sources.stripe]
provider = "stripe"
secrets = [{ env = "STRIPE_WEBHOOK_SECRET" }]

[destinations.app]
url = "http://127.0.0.1:9/hooks"

[[routes]]
name = "paid"
source = "stripe"
destination = "app"
types = ["invoice.*"]
filter = { body = { amount = { "$gte" = 1000.5 } } }
transform = { file = "paid.js" }
"#;

const PROGRAM: &str = "addHandler('transform', (request, context) => {\n\
    console.log('saw', context.type);\n\
    if (request.body.broken) request.body.missing.deep = 1;\n\
    request.body.seen = true;\n\
    request.headers['x-seen'] = 'yes';\n\
    return request;\n});\n";

fn shell(more: &str) -> Shell {
    let shell = Shell::new();
    shell.write("gatepost.toml", &format!("{ROUTES}{more}"));
    shell.write("paid.js", PROGRAM);
    shell.write(
        "big.json",
        r#"{"id":"evt_1","type":"invoice.paid","amount":1001}"#,
    );
    shell.write(
        "small.json",
        r#"{"id":"evt_2","type":"invoice.paid","amount":1000}"#,
    );
    shell.write(
        "other.json",
        r#"{"id":"evt_3","type":"charge.failed","amount":5000}"#,
    );
    shell.write(
        "broken.json",
        r#"{"id":"evt_4","type":"invoice.paid","amount":5000,"broken":true}"#,
    );
    shell
}

#[test]
fn try_shows_what_is_sent_or_why_nothing_is() {
    let shell = shell("");
    let tried = |more: &[&str]| shell.told(&[&["try", "paid", "--config", "gatepost.toml"], more].concat());
    let mut told = Vec::new();
    for file in ["big.json", "small.json", "other.json", "broken.json"] {
        told.push(tried(&["--file", file]));
    }
    told.push(tried(&[
        "--file",
        "other.json",
        "--type",
        "invoice.sent",
        "--output",
        "json",
    ]));
    told.push(shell.told(&["try", "payd", "--config", "gatepost.toml", "--file", "big.json"]));
    snapshot!(told.join("\n"));
}

#[test]
fn try_takes_a_batch_by_any_of_its_elements() {
    let shell = shell(
        r#"
[sources.chat]
provider = "line"
secrets = [{ env = "STRIPE_WEBHOOK_SECRET" }]
[[routes]]
name = "follows"
source = "chat"
destination = "app"
types = ["follow"]
"#,
    );
    for (body, says) in [
        (
            r#"{"events":[{"type":"message"},{"type":"follow"}]}"#,
            "follows: delivered to `app`",
        ),
        (
            r#"{"events":[{"type":"message"},{"type":"unfollow"}]}"#,
            "not delivered: type",
        ),
    ] {
        shell.write("batch.json", body);
        let told = shell.told(&[
            "try",
            "follows",
            "--config",
            "gatepost.toml",
            "--file",
            "batch.json",
        ]);
        assert!(told.contains(says), "{told}");
        assert!(told.contains("event type: message"), "{told}");
    }
}

#[test]
fn replay_by_the_config_of_then_reads_no_config_of_that_name() {
    let shell = Shell::new();
    // Nobody answers.
    let nowhere = "http://127.0.0.1:9";
    for which in [&["evt_00000000000000000000000000"][..], &["--source", "stripe"]] {
        for how in [&["--config", "original"][..], &["--original"]] {
            let told = shell.told(&[&["replay", "--admin", nowhere][..], which, how].concat());
            assert!(told.contains("exit code 1") && told.contains(nowhere), "{told}");
        }
    }
}

#[test]
fn a_config_that_is_not_there_is_refused_before_anybody_is_asked() {
    let shell = Shell::new();
    let retry = |more: &[&str]| {
        let id = "dlv_00000000000000000000000000";
        shell.told(&[&["retry", id, "--config", "original"], more].concat())
    };
    let told = [
        retry(&[]),
        retry(&["--admin", "http://127.0.0.1:9"]),
        shell.told(&["replay", "--source", "stripe", "--config", "orignal"]),
        shell.told(&["deliveries", "list", "--config", "gone.toml"]),
    ];
    snapshot!(told.join("\n"));
    // One of that name is a config like any other.
    shell.write(
        "original",
        &format!("{CONFIG}\n[admin]\nlisten = \"127.0.0.1:9\"\n"),
    );
    let told = retry(&[]);
    assert!(
        told.contains("no answer from the admin API at http://127.0.0.1:9"),
        "{told}"
    );
}

#[test]
fn try_and_test_take_the_query_of_the_url() {
    let shell = shell(
        r#"
[[routes]]
name = "eu"
source = "stripe"
destination = "app"
filter = { query = { shop = "eu" } }
transform = { js = "addHandler('transform', (request) => { request.body.query = request.query; return request })" }

[[tests]]
route = "eu"
event = "big.json"
query = "shop=eu"
expect = "delivered"

[[tests]]
route = "eu"
event = "big.json"
expect = "filtered"
"#,
    );
    for (query, says) in [
        ("shop=eu&n=1&token=hunter2", r#""query":"shop=eu&n=1""#),
        ("shop=us", "not delivered: filtered"),
    ] {
        let told = shell.told(&[
            "try",
            "eu",
            "--config",
            "gatepost.toml",
            "--file",
            "big.json",
            "--query",
            query,
        ]);
        assert!(told.contains(says), "{told}");
    }
    let told = shell.told(&["test", "--config", "gatepost.toml"]);
    assert!(told.contains("2 tests, 0 failed"), "{told}");
}

#[test]
fn test_holds_the_routes_against_what_the_config_expects() {
    let shell = shell(
        r#"
[[tests]]
name = "a big one is sent"
route = "paid"
event = "big.json"
expect = "delivered"
body = "sent.json"

[[tests]]
route = "paid"
event = "small.json"
expect = "filtered"

[[tests]]
route = "paid"
event = "other.json"
expect = "type"

[[tests]]
route = "paid"
event = "broken.json"
expect = "failed"
"#,
    );
    shell.write(
        "sent.json",
        r#"{ "type": "invoice.paid", "seen": true, "amount": 1001, "id": "evt_1" }"#,
    );
    let mut told = vec![shell.told(&["test", "--config", "gatepost.toml"])];
    shell.write("sent.json", "{}");
    shell.write(
        "small.json",
        r#"{"id":"evt_2","type":"invoice.paid","amount":2000}"#,
    );
    told.push(shell.told(&["test", "--config", "gatepost.toml"]));
    snapshot!(told.join("\n"));
}

#[test]
fn a_program_a_filter_and_a_test_that_cannot_be_are_faults_of_the_config() {
    let shell = Shell::new();
    shell.write(
        "gatepost.toml",
        &format!(
            "{}{}",
            ROUTES
                .replace("\"$gte\" = 1000.5", "\"$gt3\" = 5")
                .replace("paid.js", "none.js"),
            "order = { by = \"customer\", mode = \"latest\", on_dead = \"hold\" }\n\
             [[tests]]\nroute = \"piad\"\nevent = \"x.json\"\nexpect = \"filtered\"\nbody = \"y.json\"\n\
             [[routes]]\nname = \"js\"\nsource = \"stripe\"\ndestination = \"app\"\ntransform = { js = \"let\" }\ndelay = 5\n\
             [[routes]]\nname = \"both\"\nsource = \"stripe\"\ndestination = \"app\"\ntransform = { }\n"
        ),
    );
    let mut told = vec![shell.told(&["check", "--config", "gatepost.toml"])];
    shell.write("paid.js", "let");
    shell.write(
        "gatepost.toml",
        &format!(
            "{}{}",
            ROUTES.replace("\"$gte\" = 1000.5", "\"$gt3\" = 5"),
            "order = { by = \"customer\", mode = \"latest\" }\n\
             [[tests]]\nroute = \"piad\"\nevent = \"x.json\"\nexpect = \"filtered\"\n"
        ),
    );
    told.push(shell.told(&["check", "--config", "gatepost.toml"]));
    snapshot!(told.join("\n"));
}
