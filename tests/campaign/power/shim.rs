//! Builds `amnesia.c` and preloads it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// The shim, built.
#[derive(Debug)]
pub(crate) struct Shim(TempDir);

/// A directory that can lose its power.
#[derive(Debug)]
pub(crate) struct Disk {
    library: PathBuf,
    /// What is watched.
    pub(crate) directory: PathBuf,
    /// Where the shim writes down what would be lost.
    pub(crate) journal: PathBuf,
}

impl Shim {
    pub(crate) fn build() -> Self {
        let shim = Self(place());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/campaign/power/amnesia.c");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-pthread", "-o"])
            .args([shim.library(), source])
            .status()
            .expect("a C compiler is there as `cc`");
        assert!(status.success(), "the shim cannot be built");
        shim
    }

    fn library(&self) -> PathBuf {
        self.0.path().join("amnesia.so")
    }

    pub(crate) fn disk(&self, place: &Path) -> Disk {
        // The shim compares paths as text.
        let place = place.canonicalize().unwrap();
        let disk = Disk {
            library: self.library(),
            directory: place.join("disk"),
            journal: place.join("journal"),
        };
        fs::create_dir(&disk.directory).unwrap();
        fs::create_dir(&disk.journal).unwrap();
        disk
    }
}

impl Disk {
    pub(crate) fn preload(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env("AMNESIA_DIRECTORY", &self.directory)
            .env("AMNESIA_JOURNAL", &self.journal)
            // As a quick disk takes, and long enough to die in.
            .env("AMNESIA_SYNC_US", "400");
    }

    /// From now on the calls count at one of which the process is to die.
    pub(crate) fn arm(&self) {
        fs::write(self.journal.join("armed"), "").unwrap();
    }

    pub(crate) fn disarm(&self) {
        fs::remove_file(self.journal.join("armed")).unwrap();
    }

    /// What is there now is on the disk for good.
    pub(crate) fn forget_journal(&self) {
        fs::remove_dir_all(&self.journal).unwrap();
        fs::create_dir(&self.journal).unwrap();
    }
}

/// A new directory, which goes with its owner.
pub(crate) fn place() -> TempDir {
    tempfile::Builder::new()
        .prefix("gatepost-power-")
        .tempdir()
        .unwrap()
}
