//! The config, read whole: whatever stands in it, the answer is settings or faults, and no secret is in either.

use std::{collections::BTreeMap, path::Path, sync::OnceLock};

use gatepost::config::{self, Inputs};

use super::{Target, Verdict};

pub const TARGET: Target = Target {
    name: "config",
    run: |bytes| compare(CANARY, bytes),
    seeds,
};

/// The value of every variable that the inputs know.
const CANARY: &str = "whsec_Y2FuYXJ5IGNhbmFyeSBjYW5hcnkgY2FuYXJ5IQ==";

/// `canary` is what may not be seen in anything that is shown.
pub(crate) fn compare(canary: &str, bytes: &[u8]) -> Verdict {
    static INPUTS: OnceLock<Inputs> = OnceLock::new();
    let inputs = INPUTS.get_or_init(|| {
        let names = ["SECRET", "OTHER"].map(|it| (it.to_owned(), CANARY.to_owned()));
        Inputs {
            environment: BTreeMap::from(names),
            ..Inputs::default()
        }
    });
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Ok(());
    };
    // Nothing here reads the disk.
    if text.contains("file") {
        return Ok(());
    }
    let shown = match config::load_text(inputs, text) {
        Ok(loaded) => {
            ensure!(loaded.watched.is_empty(), "it watches {:?}", loaded.watched);
            let settings = format!("{:?}", loaded.settings);
            let effective: String = loaded.effective.iter().map(ToString::to_string).collect();
            [effective, loaded.warnings.join("\n"), settings].concat()
        }
        Err(faults) => {
            ensure!(
                faults.n_faults > 0 && !faults.rendered.is_empty(),
                "refused for no reason"
            );
            faults.rendered
        }
    };
    ensure!(!shown.contains(canary), "a secret is shown: {shown}");
    Ok(())
}

fn seeds(_: &Path) -> Vec<Vec<u8>> {
    let every_key: String = config::DEFAULT
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => format!("{rest}\n"),
            _ => format!("{}\n", line.split(" # ").next().unwrap_or_default()),
        })
        .filter(|it| !it.starts_with("# "))
        .collect();
    let mut seeds = vec![every_key.replace("\"*\"", "a"), config::DEFAULT.to_owned()];
    seeds.extend(
        [
            "[server]\nlisten = \"127.0.0.1:8080\"\ntrusted_proxies = [\"10.0.0.0/8\"]\nmax_body = \"10 MiB\"\n",
            "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{ env = \"SECRET\" }]\ntolerance = \"5m\"\nrate = \"10/s\"\n",
            "[sources.a]\nprovider = \"hmac\"\nsecrets = [{ env = \"SECRET\" }, { env = \"NONE\" }]\nhmac = { header = \"x-s\", signed = \"{timestamp}.{body}\", timestamp_header = \"x-t\", encoding = \"base64\" }\nevent_id = \"body:/id\"\n",
            "[destinations.b]\nurl = \"http://127.0.0.1:3000/\"\nsigning_secret = { env = \"SECRET\" }\nheaders = { authorization = { env = \"OTHER\" } }\nretry = { max_attempts = 3 }\n",
            "[[routes]]\nsource = \"a\"\ndestination = \"b\"\ntypes = [\"x.*\"]\n",
            "[admin]\ntokens = [{ name = \"ops\", token = { env = \"SECRET\" }, role = \"viewer\" }]\n",
            "[store]\nurl = \"postgres://u:whsec_Y2FuYXJ5IGNhbmFyeSBjYW5hcnkgY2FuYXJ5IQ==@h/d\"\n",
            "sources.a.secrets = [\"whsec_Y2FuYXJ5IGNhbmFyeSBjYW5hcnkgY2FuYXJ5IQ==\"]\n",
            "a = [[[[1]]]]\n\"\\u0061\" = '''x'''\nb = 1979-05-27T07:32:00Z\nc = 0x1F\n",
            "[server\nlisten = 127.0.0.1",
        ]
        .map(str::to_owned),
    );
    seeds.into_iter().map(String::into_bytes).collect()
}
