//! A Postgres of one test's own, to be restarted, stopped, frozen, copied and promoted.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use sqlx::{Connection, PgConnection, QueryBuilder};

use crate::{app::eventually, matrix::shim::Shim, postgres, shell::Shell};

/// A primary, and the standbys that the test makes of it. The shell stops the servers when this is dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    shell: Arc<Shell>,
    directory: PathBuf,
}

/// Runs one line at a time, and says how it went.
const SHELL: &str = r#"
set -u
trap "" PIPE
bin=$1
directory=$(mktemp -d /tmp/gatepost-test.XXXXXX)
if [ "$(id -u)" = 0 ]; then
    chown nobody "$directory"
    as="setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=$directory LC_ALL=C"
else
    as="env LC_ALL=C"
fi
cd "$directory"
# What `signal` stopped cannot stop by itself.
processes() {
    for file in "$directory"/*/postmaster.pid; do
        [ -e "$file" ] || continue
        main=$(head -n 1 "$file")
        echo "$main" $(cat "/proc/$main/task/$main/children" 2>/dev/null)
    done
}
# The one that follows the primary, and the others of its server.
tail_of() { cat "/proc/$(head -n 1 "$directory/$1/postmaster.pid")/task/$(head -n 1 "$directory/$1/postmaster.pid")/children"; }
signal() { kill "-$1" $(processes); }
control() {
    data=$1
    shift
    # An option of the shell's, for what is put before the server.
    $as ${shim:-} "$bin/pg_ctl" -D "$directory/$data" -l "$directory/$data.log" -w -t 60 -s "$@" </dev/null
}
end() {
    signal CONT
    for file in "$directory"/*/postmaster.pid; do
        [ ! -e "$file" ] || control "$(basename "$(dirname "$file")")" stop -m immediate
    done
    umount "$directory/primary"
    rm -rf "$directory"
}
trap 'end >/dev/null 2>&1' EXIT
# A shell that a signal ends runs no trap for its exit: whoever ends the whole group of the tests ends this too.
trap 'exit 143' HUP INT TERM
# A file system of its own, for what this shell starts alone.
small_disk() {
    $as mkdir "$directory/primary" &&
    mount -t tmpfs -o "size=96m,mode=0700,uid=$(stat -c %u "$directory"),gid=$(stat -c %g "$directory")" none "$directory/primary"
}
fill() { dd if=/dev/zero of="$directory/primary/filler" bs=64K; true; }
spill() { rm "$directory/primary/filler"; }
make() {
    $as "$bin/initdb" -D "$directory/primary" -U postgres -A trust -E UTF8 -N --wal-segsize=1 &&
    $as tee -a "$directory/primary/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$directory'
max_connections = 60
shared_buffers = 16MB
min_wal_size = 2MB
END
}
# The disk has what was synced, of every file; `remember` is told when nothing is on its way there.
remember() {
    # Not file by file at each start: what a loss of power left is what is on the disk.
    echo 'recovery_init_sync_method = syncfs' | $as tee -a "$directory/primary/postgresql.conf" &&
    cp -a "$directory/primary" "$directory/disk"
}
lose_power() {
    lost=$(processes)
    kill -KILL $lost
    for it in $lost; do
        n_waits=0
        while readlink "/proc/$it/exe" >/dev/null && [ $n_waits -lt 200 ]; do
            n_waits=$((n_waits + 1))
            sleep 0.05
        done
    done
    find "$directory/primary" -type f -exec truncate -s 0 {} + && cp -a "$directory/disk/." "$directory/primary" &&
    rm -f "$directory/primary/postmaster.pid" "$directory"/.s.PGSQL.*
}
standby() {
    $as "$bin/pg_basebackup" -D "$directory/standby" -h "$directory" -U postgres -c fast -R -X stream
}
echo "$directory"
while read -r line; do
    if eval "$line" >"$directory/out" 2>&1; then echo yes; else echo no; fi
done
"#;

impl Cluster {
    pub(crate) async fn start() -> Self {
        let cluster = Self::new();
        cluster.run("make").await;
        cluster.run("control primary start").await;
        cluster
    }

    /// On a file system of 96 MiB. Who runs the tests must be allowed to mount one, in a namespace of their own.
    pub(crate) async fn start_on_small_disk() -> Self {
        let is_root = std::process::Command::new("id")
            .arg("-u")
            .output()
            .unwrap()
            .stdout
            == b"0\n";
        let cluster = Self::started_by(if is_root {
            &["unshare", "--mount"]
        } else {
            &[
                "unshare",
                "--mount",
                "--user",
                "--map-current-user",
                "--keep-caps",
            ]
        });
        cluster.run("small_disk").await;
        cluster.run("make").await;
        cluster.run("control primary start").await;
        cluster
    }

    /// Its data directory forgets at `lose_power` what was not synced before. The settings are for its first start.
    pub(crate) async fn start_on_forgetful_disk(settings: &str) -> Self {
        let cluster = Self::new();
        let data = cluster.directory.join("primary");
        let shim = Shim::new(&cluster.directory, &data);
        cluster.run("make").await;
        cluster.run("remember").await;
        let disk = cluster.directory.join("disk");
        let pairs = shim
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let words: Vec<_> = pairs.chain([format!("SHIM_DISK={}", disk.display())]).collect();
        cluster.run(&format!("shim='env {}'", words.join(" "))).await;
        cluster
            .run(&format!("control primary start -o '{settings}'"))
            .await;
        cluster
    }

    /// With nothing in it yet.
    pub(crate) fn new() -> Self {
        Self::started_by(&["env"])
    }

    fn started_by(wrapper: &[&str]) -> Self {
        let mut command = Command::new(wrapper[0]);
        command
            .args(&wrapper[1..])
            .args(["sh", "-c", SHELL, "sh"])
            .arg(postgres::binaries());
        let (shell, directory) = Shell::start(&mut command);
        Self {
            shell: Arc::new(shell),
            directory: directory.into(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// One line of the shell's: `control primary restart -m fast`, `signal STOP`, ...
    pub(crate) async fn run(&self, line: &str) {
        assert!(self.try_run(line).await, "`{line}`: {}", self.log());
    }

    pub(crate) async fn try_run(&self, line: &str) -> bool {
        let (shell, line) = (Arc::clone(&self.shell), line.to_owned());
        tokio::task::spawn_blocking(move || shell.run(&line))
            .await
            .unwrap()
    }

    /// What the last line printed, and what the servers say.
    fn log(&self) -> String {
        let text = |name: &str| std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        ["out", "primary.log", "standby.log"].map(text).join("\n")
    }

    /// The primary listens on 5432, as the default is; a standby that the test starts beside it needs another port.
    pub(crate) fn url(&self, port: u16) -> String {
        let host = self.directory.display();
        format!("postgres:///postgres?host={host}&port={port}&user=postgres")
    }

    /// As its administrator, past gatepost and any proxy.
    pub(crate) async fn execute(&self, port: u16, statements: &str) {
        let mut conn = PgConnection::connect(&self.url(port)).await.unwrap();
        for statement in statements.split(';') {
            let mut sql = QueryBuilder::<sqlx::Postgres>::new(statement);
            sql.build().execute(&mut conn).await.unwrap();
        }
        conn.close().await.unwrap();
    }

    /// Waits until this is true there.
    pub(crate) async fn until(&self, port: u16, what: &'static str) {
        eventually(what, || async {
            let mut conn = PgConnection::connect(&self.url(port)).await.ok()?;
            let is_so: Option<bool> = sqlx::query_scalar(what).fetch_one(&mut conn).await.ok()?;
            (is_so == Some(true)).then_some(())
        })
        .await;
    }
}
