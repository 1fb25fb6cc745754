//! What a disk or a clock does to a process that cannot be done to this machine's: by a library loaded before libc.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::app::{eventually, site::Site};

/// Compiled once for all tests of this process; the machine that links them has a C compiler.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let built = directory.join(format!("shim-{}.so", std::process::id()));
        let path = directory.join("shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/matrix/shim.c");
        let done = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&built)
            .args([source, "-ldl"])
            .status()
            .unwrap_or_else(|error| panic!("the C compiler `cc` is needed: {error}"));
        assert!(done.success(), "the shim does not compile: see above");
        // Whole or not at all: other processes of these tests may load it now.
        fs::rename(built, &path).unwrap();
        path
    })
}

/// What happens to the files below one directory.
#[derive(Debug)]
pub(crate) struct Shim {
    control: PathBuf,
    /// `NAME=value` for the environment of the process.
    pub(crate) environment: Vec<(String, String)>,
}

impl Shim {
    /// The library is copied to where the control file is: not every user may look into a build's directory.
    pub(crate) fn new(place: &Path, below: &Path) -> Self {
        let copy = place.join("shim.so");
        fs::copy(library(), &copy).unwrap();
        let control = place.join("control");
        let pair = |name: &str, value: &Path| (name.to_owned(), value.display().to_string());
        let environment = vec![
            pair("LD_PRELOAD", &copy),
            pair("SHIM_CONTROL", &control),
            pair("SHIM_BELOW", below),
        ];
        Self { control, environment }
    }

    /// For the processes of this site, and the files of its directory.
    pub(crate) fn of(site: &mut Site) -> Self {
        let directory = site.directory.path().canonicalize().unwrap();
        let shim = Self::new(&directory, &directory);
        site.environment.extend(shim.environment.iter().cloned());
        shim
    }

    fn tell(&self, line: &str) {
        let fresh = self.control.with_extension("new");
        fs::write(&fresh, line).unwrap();
        fs::rename(fresh, &self.control).unwrap();
    }

    /// Every such call fails with this number from now on.
    pub(crate) fn fail(&self, call: &str, error: i32) {
        self.tell(&format!("{call} {error} 0 0"));
    }

    pub(crate) fn delay(&self, call: &str, delay_ms: u32) {
        self.tell(&format!("{call} 0 {delay_ms} 0"));
    }

    /// The next such call fails; waits until it has.
    pub(crate) async fn fail_once(&self, call: &str, error: i32) {
        self.tell(&format!("{call} {error} 0 1"));
        eventually("the call fails", || async {
            (!self.control.exists()).then_some(())
        })
        .await;
    }

    pub(crate) fn heal(&self) {
        fs::remove_file(&self.control).unwrap();
    }
}
