//! Whether the shim forgets what was not synced, and nothing else: on small files, and on SQLite without gatepost.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::Path,
    process::Command,
};

use rand::{SeedableRng, rngs::StdRng};
use sqlx::sqlite::SqliteSynchronous;
use tempfile::TempDir;

use crate::{
    loss::{self, Extent},
    rows,
    shim::{Shim, place},
};

struct Case {
    name: &'static str,
    /// What the process does that then loses its power. It finds a file `a` of five bytes, `synced`.
    act: fn(&Path),
    /// What must be left.
    holds: fn(&Path) -> bool,
}

const CASES: &[Case] = &[
    Case {
        name: "a write is forgotten",
        act: |it| open(it, "a").write_all_at(b"XXX", 1).unwrap(),
        holds: |it| read(it, "a") == "alpha",
    },
    Case {
        name: "a synced write is kept",
        act: |it| {
            let a = open(it, "a");
            a.write_all_at(b"XXX", 1).unwrap();
            a.sync_data().unwrap();
        },
        holds: |it| read(it, "a") == "aXXXa",
    },
    Case {
        name: "only what came after the sync is forgotten",
        act: |it| {
            let mut a = open(it, "a");
            a.seek(SeekFrom::End(0)).unwrap();
            a.write_all(b"-one").unwrap();
            a.sync_all().unwrap();
            a.write_all(b"-two").unwrap();
            a.write_all_at(b"Z", 0).unwrap();
        },
        holds: |it| read(it, "a") == "alpha-one",
    },
    Case {
        name: "a sync through another descriptor counts",
        act: |it| {
            open(it, "a").write_all_at(b"XXX", 1).unwrap();
            open(it, "a").sync_all().unwrap();
        },
        holds: |it| read(it, "a") == "aXXXa",
    },
    Case {
        name: "a new length is forgotten",
        act: |it| {
            let a = open(it, "a");
            a.set_len(2).unwrap();
            a.set_len(9).unwrap();
        },
        holds: |it| read(it, "a") == "alpha",
    },
    Case {
        name: "what is cut while it is opened comes back",
        act: |it| File::create(it.join("a")).unwrap().write_all(b"b").unwrap(),
        holds: |it| read(it, "a") == "alpha",
    },
    Case {
        name: "appended bytes are forgotten",
        act: |it| {
            let mut a = OpenOptions::new().append(true).open(it.join("a")).unwrap();
            a.write_all(b"bet").unwrap();
        },
        holds: |it| read(it, "a") == "alpha",
    },
    Case {
        name: "a new file vanishes though it was synced",
        act: |it| create(it, "new").sync_all().unwrap(),
        holds: |it| !it.join("new").exists(),
    },
    Case {
        name: "a new file stays if its directory was synced",
        act: |it| {
            create(it, "new").sync_all().unwrap();
            sync_directory(it);
        },
        holds: |it| read(it, "new") == "new",
    },
    Case {
        name: "a new file is empty if only its directory was synced",
        act: |it| {
            create(it, "new");
            sync_directory(it);
        },
        holds: |it| read(it, "new").is_empty(),
    },
    Case {
        name: "a new directory vanishes with all that is in it",
        act: |it| {
            let inner = it.join("inner");
            fs::create_dir(&inner).unwrap();
            create(&inner, "new").sync_all().unwrap();
            sync_directory(&inner);
        },
        holds: |it| !it.join("inner").exists(),
    },
    Case {
        name: "a removed file comes back as it was synced",
        act: |it| {
            open(it, "a").write_all_at(b"XXX", 1).unwrap();
            fs::remove_file(it.join("a")).unwrap();
            create(it, "a");
        },
        holds: |it| read(it, "a") == "alpha",
    },
    Case {
        name: "a removed file stays away if its directory was synced",
        act: |it| {
            fs::remove_file(it.join("a")).unwrap();
            sync_directory(it);
        },
        holds: |it| !it.join("a").exists(),
    },
    Case {
        name: "a renamed file goes back, and so does what it replaced",
        act: |it| {
            create(it, "new").sync_all().unwrap();
            sync_directory(it);
            fs::rename(it.join("new"), it.join("a")).unwrap();
        },
        holds: |it| read(it, "a") == "alpha" && read(it, "new") == "new",
    },
    Case {
        name: "a renamed file stays if its directory was synced",
        act: |it| {
            create(it, "new").sync_all().unwrap();
            fs::rename(it.join("new"), it.join("a")).unwrap();
            sync_directory(it);
        },
        holds: |it| read(it, "a") == "new" && !it.join("new").exists(),
    },
    Case {
        name: "SQLite with synchronous=FULL keeps every commit",
        act: |it| rows::commit(it, SqliteSynchronous::Full),
        holds: |it| rows::count(it) == rows::N_ROWS,
    },
    Case {
        name: "SQLite with synchronous=NORMAL loses commits",
        act: |it| rows::commit(it, SqliteSynchronous::Normal),
        holds: |it| rows::count(it) < rows::N_ROWS,
    },
    Case {
        name: "SQLite with synchronous=OFF loses commits",
        act: |it| rows::commit(it, SqliteSynchronous::Off),
        holds: |it| rows::count(it) < rows::N_ROWS,
    },
];

const TORN: &str = "torn";
const N_SECTORS: usize = 200;

/// Under the shim: does it, and ends as if the power went.
pub(crate) fn act(name: &str, directory: &Path) -> ! {
    if name == TORN {
        let a = open(directory, "a");
        a.write_all_at(&vec![b'n'; N_SECTORS * 512], 0).unwrap();
    } else {
        let case = CASES.iter().find(|it| it.name == name).unwrap();
        (case.act)(directory);
    }
    std::process::abort();
}

pub(crate) fn check_all(shim: &Shim) -> bool {
    let mut n_wrong = 0;
    for case in CASES {
        let place = lose(shim, case.name, b"alpha", Extent::All);
        if !(case.holds)(&place.path().join("disk")) {
            println!("the shim is wrong: {}", case.name);
            n_wrong += 1;
        }
    }
    if !tears(shim) {
        println!("the shim is wrong: sectors survive or do not, each by itself and as a whole");
        n_wrong += 1;
    }
    println!(
        "{} of {} checks of the shim passed",
        CASES.len() + 1 - n_wrong,
        CASES.len() + 1
    );
    n_wrong == 0
}

fn tears(shim: &Shim) -> bool {
    let place = lose(
        shim,
        TORN,
        &vec![b'o'; N_SECTORS * 512],
        Extent::Torn { survival: 0.5 },
    );
    let left = fs::read(place.path().join("disk/a")).unwrap();
    let n_new = left
        .chunks(512)
        .filter(|it| it.iter().all(|it| *it == b'n'))
        .count();
    let n_old = left
        .chunks(512)
        .filter(|it| it.iter().all(|it| *it == b'o'))
        .count();
    n_new + n_old == N_SECTORS && n_new > N_SECTORS / 4 && n_old > N_SECTORS / 4
}

/// One process does it and loses its power.
fn lose(shim: &Shim, name: &str, a: &[u8], extent: Extent) -> TempDir {
    let place = place();
    let disk = shim.disk(place.path());
    fs::write(disk.directory.join("a"), a).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["probe", name]).arg(&disk.directory);
    disk.preload(&mut command);
    let output = command.output().unwrap();
    assert_eq!(
        output.status.code(),
        None,
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    loss::strike(&disk, extent, &mut StdRng::seed_from_u64(1));
    place
}

fn open(directory: &Path, name: &str) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(directory.join(name))
        .unwrap()
}

fn create(directory: &Path, name: &str) -> File {
    let mut file = File::create_new(directory.join(name)).unwrap();
    file.write_all(name.as_bytes()).unwrap();
    file
}

fn sync_directory(directory: &Path) {
    File::open(directory).unwrap().sync_all().unwrap();
}

fn read(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(name)).unwrap_or_else(|error| error.to_string())
}
