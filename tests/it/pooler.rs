//! A PgBouncer in transaction mode before a test's Postgres: the machine's own binary, with a socket in a directory of its own.

use std::{process::Command, sync::OnceLock};

use sqlx::postgres::PgConnectOptions;

use crate::shell::Shell;

#[derive(Debug)]
pub(crate) struct Pooler {
    shell: Shell,
    directory: String,
}

/// Runs one line at a time, and says when it is done. Few sessions, so that calls meet those that others have used.
const SHELL: &str = r#"
set -u
trap "" PIPE
PATH=$PATH:/usr/sbin
directory=$(mktemp -d /tmp/gatepost-test.XXXXXX)
if [ "$(id -u)" = 0 ]; then
    chown nobody "$directory"
    as="setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=$directory"
else
    as=env
fi
server=
cat >"$directory/pooler.ini" <<END
[databases]
* = $1
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = $directory
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 2000
server_idle_timeout = 2
END
stop() { [ -z "$server" ] || { kill -KILL "$server"; wait "$server"; } 2>/dev/null; server=; }
start() {
    : >"$directory/log"
    $as pgbouncer "$directory/pooler.ini" >>"$directory/log" 2>&1 </dev/null &
    server=$!
    n_waits=0
    until grep -q "process up" "$directory/log"; do
        n_waits=$((n_waits + 1))
        [ $n_waits -lt 200 ] && kill -0 "$server" || { cat "$directory/log" >&2; return 1; }
        sleep 0.05
    done
}
trap 'stop; rm -rf "$directory"' EXIT
# A shell that a signal ends runs no trap for its exit: whoever ends the whole group of the tests ends this too.
trap 'exit 143' HUP INT TERM
echo "$directory"
while read -r line; do
    if "$line"; then echo yes; else echo no; fi
done
"#;

impl Pooler {
    /// Before the server that this URL leads to, for any of its databases.
    pub(crate) fn start(url: &str) -> Self {
        let server: PgConnectOptions = url.parse().unwrap();
        let host = match server.get_socket() {
            Some(directory) => directory.display().to_string(),
            None => server.get_host().to_owned(),
        };
        let password = url::Url::parse(url)
            .ok()
            .and_then(|it| it.password().map(str::to_owned));
        let password = password.map_or_else(String::new, |it| format!(" password={it}"));
        let (port, user) = (server.get_port(), server.get_username());
        let target = format!("host={host} port={port} user={user}{password}");
        let (shell, directory) = Shell::start(Command::new("sh").args(["-c", SHELL, "sh", &target]));
        let pooler = Self { shell, directory };
        pooler.run("start");
        pooler
    }

    /// The one of this process, before the server of all tests.
    pub(crate) fn of_all(url: &str) -> &'static Self {
        static POOLER: OnceLock<Pooler> = OnceLock::new();
        POOLER.get_or_init(|| Self::start(url))
    }

    /// Where what this URL leads to is found through it.
    pub(crate) fn url(&self, direct: &str) -> String {
        let direct: PgConnectOptions = direct.parse().unwrap();
        let database = direct.get_database().unwrap();
        format!(
            "postgres:///{database}?host={}&port=6432&user=postgres",
            self.directory
        )
    }

    /// `start`, or `stop` without a word to anybody.
    pub(crate) fn run(&self, line: &str) {
        assert!(
            self.shell.run(line),
            "PgBouncer did not {line} (Debian: apt-get install pgbouncer)"
        );
    }
}
