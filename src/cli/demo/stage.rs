//! The demo's directory, secrets and config, gone when it is dropped.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::base::{ids::WorkerId, secret::Secret};

/// Sources that are a row of the catalog; `orders` besides them is the user's own.
const PRESETS: [&str; 4] = ["stripe", "github", "slack", "shopify"];

#[derive(Debug)]
pub(crate) struct Stage {
    directory: PathBuf,
    pub(crate) config: PathBuf,
    /// What deliveries are signed with.
    pub(crate) signing_secret: Secret,
}

impl Stage {
    pub(crate) fn set(handler: SocketAddr) -> anyhow::Result<Self> {
        let directory = std::env::temp_dir().join(format!("gatepost-demo-{}", WorkerId::new()));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .with_context(|| format!("cannot make `{}`", directory.display()))?;
        // From here on dropping it removes the directory, whatever fails.
        let stage = Self {
            config: directory.join("gatepost.toml"),
            signing_secret: Secret::new(format!("whsec_{}", STANDARD.encode(random()))),
            directory,
        };
        for name in PRESETS.into_iter().chain(["orders"]) {
            stage.write(name, hex::encode(random()).as_bytes())?;
        }
        stage.write("signing", stage.signing_secret.expose())?;
        stage.write("gatepost.toml", stage.config_text(handler).as_bytes())?;
        Ok(stage)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let path = self.directory.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
    }

    fn config_text(&self, handler: SocketAddr) -> String {
        let own = format!(
            r#"[server]
listen = "{public}"

[admin]
listen = "{admin}"

[store]
url = "sqlite:{store}"

[log]
filter = "error"

# A sender without a row in the catalog: described, not programmed.
[sources.orders]
provider = "hmac"
secrets = [{{ file = "orders" }}]
hmac = {{ hash = "sha256", header = "x-signature", prefix = "sha256=", encoding = "hex", signed = "{{timestamp}}.{{body}}", timestamp_header = "x-timestamp", tolerance = "5m" }}
event_id = "header:x-event-id"
event_type = "body:/type"

[destinations.app]
url = "http://{handler}/hooks"
signing_secret = {{ file = "signing" }}
retry = {{ max_attempts = 5, max_age = "10m", first = "1s", cap = "2s" }}

[[routes]]
source = "orders"
destination = "app"
"#,
            public = free(8080),
            admin = free(8081),
            store = self.directory.join("gatepost.db").display(),
        );
        let preset = |name| {
            format!(
                "\n[sources.{name}]\nprovider = \"{name}\"\nsecrets = [{{ file = \"{name}\" }}]\n\n\
                 [[routes]]\nsource = \"{name}\"\ndestination = \"app\"\n"
            )
        };
        own + &PRESETS.map(preset).concat()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        remove(&self.directory);
    }
}

/// What cannot be removed is left to the system's own cleaning of its temporary directory.
fn remove(directory: &Path) {
    let _ = fs::remove_dir_all(directory);
}

fn random() -> [u8; 24] {
    rand::random()
}

/// The usual port where it is free, else any.
fn free(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Inputs};

    #[test]
    fn the_stage_is_a_sound_config_and_leaves_nothing_behind() {
        let stage = Stage::set(SocketAddr::from((Ipv4Addr::LOCALHOST, 9))).unwrap();
        let inputs = Inputs {
            file: Some(stage.config.clone()),
            ..Inputs::default()
        };
        let loaded = config::load(&inputs).unwrap();
        assert_eq!(loaded.settings.registry.sources.len(), 5);
        assert_eq!(loaded.settings.registry.routes.len(), 5);
        let directory = stage.directory.clone();
        drop(stage);
        assert!(!directory.exists());
    }
}
