//! One store and what a gatepost needs to run on it.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{
    sender::SECRET,
    shim::{Disk, Shim, place},
};

/// Deliveries fail at once and end as dead letters: they are written twice, and nobody has to receive them.
const CONFIG: &str = r#"
[sources.stripe]
provider = "stripe"
secrets = [{ file = "stripe.secret" }]

[destinations.nobody]
url = "http://127.0.0.1:9/"
retry = { max_attempts = 1, max_age = "1h", first = "1s", cap = "1s" }

[[routes]]
source = "stripe"
destination = "nobody"
"#;

#[derive(Debug)]
pub(crate) struct Site {
    directory: TempDir,
    pub(crate) disk: Disk,
}

impl Site {
    pub(crate) fn make(shim: &Shim) -> Self {
        let directory = place();
        let disk = shim.disk(directory.path());
        fs::write(directory.path().join("gatepost.toml"), CONFIG).unwrap();
        let secret = directory.path().join("stripe.secret");
        fs::write(&secret, SECRET).unwrap();
        fs::set_permissions(secret, Permissions::from_mode(0o600)).unwrap();
        Self { directory, disk }
    }

    /// In a directory that gatepost has to make.
    pub(crate) fn database(&self) -> PathBuf {
        self.disk.directory.join("data/gatepost.db")
    }

    /// Of the write-ahead log, in bytes.
    pub(crate) fn log_size(&self) -> u64 {
        let path = self.disk.directory.join("data/gatepost.db-wal");
        fs::metadata(path).map_or(0, |it| it.len())
    }

    /// What a loss left, before anybody mends it.
    pub(crate) fn copy(&self) {
        let before = self.directory.path().join("before");
        let _ = fs::remove_dir_all(&before);
        fs::create_dir(&before).unwrap();
        // It may be that not even this directory is left.
        let data = fs::read_dir(self.disk.directory.join("data"));
        for file in data.into_iter().flatten() {
            let path = file.unwrap().path();
            fs::copy(&path, before.join(path.file_name().unwrap())).unwrap();
        }
    }

    pub(crate) fn keep(&mut self) -> &Path {
        self.directory.disable_cleanup(true);
        self.directory.path()
    }

    pub(crate) fn command(&self, gatepost: &Path) -> Command {
        let mut command = Command::new(gatepost);
        command
            .arg("serve")
            .env_clear()
            .env("GATEPOST_CONFIG", self.directory.path().join("gatepost.toml"))
            .env(
                "GATEPOST__STORE__URL",
                format!("sqlite:{}", self.database().display()),
            )
            .env("GATEPOST__SERVER__LISTEN", "127.0.0.1:0")
            .env("GATEPOST__ADMIN__LISTEN", "127.0.0.1:0")
            .env("GATEPOST__LOG__FORMAT", "json");
        self.disk.preload(&mut command);
        command
    }
}
