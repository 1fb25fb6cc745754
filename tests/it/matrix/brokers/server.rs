//! A broker or another server for one test, from this machine's binaries: it can be killed, started again, and made to hang.

use std::{
    fs,
    io::Read as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use tokio::net::TcpStream;

/// Runs the broker until its own standard input ends, however the test process ended.
const SHELL: &str = r#"
trap "" PIPE
# A session, and so a process group, of its own: some brokers are more than one process.
setsid "$@" </dev/null >"$LOG" 2>&1 &
server=$!
trap 'kill -KILL "-$server" 2>/dev/null' EXIT
trap 'exit 143' HUP INT TERM
echo "$server"
cat >/dev/null
"#;

/// RabbitMQ and the name server of its runtime, with nothing of either outside of `$1`.
const RABBITMQ: &str = r#"
export HOME="$1" ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT="$4"
export RABBITMQ_NODENAME="gatepost$2@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1
export RABBITMQ_NODE_PORT="$2" RABBITMQ_DIST_PORT="$3"
export RABBITMQ_MNESIA_BASE="$1/data" RABBITMQ_LOG_BASE="$1/rabbitmq-log"
export RABBITMQ_ENABLED_PLUGINS_FILE="$1/plugins" RABBITMQ_CONFIG_FILE="$1/rabbitmq"
echo "[]." >"$RABBITMQ_ENABLED_PLUGINS_FILE"
epmd -port "$4" &
# What Debian puts on the PATH changes the user first.
"$0" || exit
"#;

/// Which broker it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Software {
    Redis,
    Nats,
    RabbitMq,
    /// Plays AWS, in memory.
    #[cfg(feature = "aws")]
    Moto,
    /// A mail server: `tests/smtp/server.py` says of which kinds.
    Smtp(&'static str),
}

impl Software {
    /// The program and its arguments.
    fn command(self, port: u16, directory: &Path) -> Vec<String> {
        let words = |text: String| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match self {
            Self::Redis => words(format!(
                // An entry that was answered for is on disk, so that a killed Redis still has it.
                "{} --bind 127.0.0.1 --port {port} --dir {} --appendonly yes --appendfsync always",
                binary("redis-server").display(),
                directory.display()
            )),
            Self::Nats => words(format!(
                "{} -a 127.0.0.1 -p {port} -js -sd {}",
                binary("nats-server").display(),
                directory.display()
            )),
            #[cfg(feature = "aws")]
            Self::Moto => {
                let moto = installed("moto", "moto_server");
                words(format!("{} -H 127.0.0.1 -p {port}", moto.display()))
            }
            Self::Smtp(kind) => {
                let server = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smtp/server.py");
                words(format!(
                    "{} {} {port} {} {kind}",
                    installed("smtp", "python").display(),
                    server.display(),
                    directory.display()
                ))
            }
            Self::RabbitMq => {
                let mut command = ["sh", "-c", RABBITMQ].map(str::to_owned).to_vec();
                command.push(rabbitmq().display().to_string());
                command.push(directory.display().to_string());
                command.push(port.to_string());
                command.extend([free_port(), free_port()].map(|it| it.to_string()));
                command
            }
        }
    }
}

/// A broker with a directory and a port of its own, which it keeps.
#[derive(Debug)]
pub(crate) struct Broker {
    software: Software,
    pub(crate) address: SocketAddr,
    pub(crate) directory: TempDir,
    running: Option<Running>,
}

/// Killed when the shell's standard input closes, which is when this is dropped.
#[derive(Debug)]
struct Running {
    shell: Child,
    stdin: Option<ChildStdin>,
    server: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.shell.wait();
    }
}

impl Running {
    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.server);
        let done = Command::new("kill").args([signal, "--", &group]).status();
        assert!(done.unwrap().success());
    }
}

impl Broker {
    /// Not running yet.
    pub(crate) fn new(software: Software) -> Self {
        Self {
            software,
            address: (Ipv4Addr::LOCALHOST, free_port()).into(),
            directory: TempDir::new().unwrap(),
            running: None,
        }
    }

    /// Until it accepts connections.
    pub(crate) async fn start(&mut self) {
        let directory = self.directory.path();
        let mut shell = Command::new("sh")
            .args(["-c", SHELL, "sh"])
            .args(self.software.command(self.address.port(), directory))
            .env("LOG", directory.join("log"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut server = String::new();
        let mut byte = [0];
        let mut stdout = shell.stdout.take().unwrap();
        while stdout.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            server.push(char::from(byte[0]));
        }
        self.running = Some(Running {
            stdin: shell.stdin.take(),
            shell,
            server,
        });
        // RabbitMQ takes a while, and much longer on a machine that is busy.
        let listens = async {
            let mut pace = tokio::time::interval(Duration::from_millis(50));
            while TcpStream::connect(self.address).await.is_err() {
                pace.tick().await;
            }
        };
        if tokio::time::timeout(Duration::from_mins(3), listens)
            .await
            .is_err()
        {
            let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
            panic!("the broker never listened: {log}");
        }
    }

    /// As a crash ends it.
    pub(crate) fn kill(&mut self) {
        self.running = None;
    }

    /// It takes connections and answers nothing.
    pub(crate) fn hang(&self) {
        self.running.as_ref().unwrap().signal("-STOP");
    }

    pub(crate) fn go_on(&self) {
        self.running.as_ref().unwrap().signal("-CONT");
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    free.local_addr().unwrap().port()
}

/// The program itself, and not the script that changes the user.
fn rabbitmq() -> PathBuf {
    let found = fs::read_dir("/usr/lib/rabbitmq/lib")
        .into_iter()
        .flatten()
        .flatten();
    let mut found = found.map(|it| it.path().join("sbin/rabbitmq-server"));
    found
        .find(|it| it.exists())
        .unwrap_or_else(|| binary("rabbitmq-server"))
}

/// What `tests/venv` installed.
fn installed(name: &str, program: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/{name}/bin/{program}"));
    assert!(program.exists(), "no {name} here: run `tests/venv {name}`");
    program
}

/// Where Debian and others put it.
fn binary(name: &str) -> PathBuf {
    let found = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"]
        .iter()
        .map(|it| Path::new(it).join(name))
        .find(|it| it.exists());
    found.unwrap_or_else(|| {
        panic!("no `{name}` here: `tests/run` installs it (Debian: apt-get install {name})")
    })
}
