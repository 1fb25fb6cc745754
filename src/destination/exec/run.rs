//! One run of a command: its process group, its time, and what it said.

use std::{convert::Infallible, io, process::Stdio, time::Duration};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
    process::{Child, Command},
};

use crate::destination::{
    Fate, SendError,
    exec::{Program, failed, variables},
};

/// As much of the end of what it said is kept: the end says why.
const MAX_OUTPUT: usize = 4 << 10;

/// A command and what it works on.
#[derive(Debug)]
pub struct Job<'a> {
    pub program: &'a Program,
    pub variables: Vec<(&'static str, String)>,
    /// Its stdin. It need not read it.
    pub input: Bytes,
    pub timeout: Duration,
}

/// How it ended by itself.
#[derive(Debug)]
pub struct Ended {
    pub status: std::process::ExitStatus,
    /// The last of what it wrote to stdout and stderr, as a terminal would show it; at most 4 KiB.
    pub output: Bytes,
}

/// Runs it to its end, or until its time is up. Whatever it left running in its process group is killed with it, and so is all of
/// it when the future is dropped.
pub async fn run(job: Job<'_>) -> Result<Ended, SendError> {
    let (mut child, output) = start(&job).map_err(|error| {
        let name = job.program.command.first().map_or("", String::as_str);
        let explanation = format!("the command `{name}` did not start: {error}");
        SendError::new("start", explanation, Fate::Retriable)
    })?;
    let group = Group::of(&child);
    let mut said = Said {
        output,
        tail: Vec::new(),
    };
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // One that ends without reading all of it says so by its exit code.
            let _ = stdin.write_all(&job.input).await;
        }
    };
    let ended = tokio::time::timeout(job.timeout, async {
        tokio::select! {
            status = child.wait() => status,
            never = async { tokio::join!(feed, said.follow()).1 } => match never {},
        }
    })
    .await;
    drop(group);
    said.drain();
    let output = said.tail();
    match ended {
        Ok(Ok(status)) => Ok(Ended { status, output }),
        Ok(Err(error)) => {
            let explanation = format!("the command's end was not heard of: {error}");
            Err(failed("exit", explanation, Fate::Ambiguous, output))
        }
        Err(_) => {
            let explanation = format!("the command was killed: it took more than {:?}", job.timeout);
            Err(failed("timeout", explanation, Fate::Ambiguous, output))
        }
    }
}

fn start(job: &Job<'_>) -> io::Result<(Child, pipe::Receiver)> {
    // One pipe for both, so that their lines stay in order.
    let (output, end) = io::pipe()?;
    let Some((name, arguments)) = job.program.command.split_first() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let mut command = Command::new(name);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", variables::PATH)
        .envs(job.program.environment.iter().map(|(name, value)| {
            use std::os::unix::ffi::OsStrExt as _;
            (name, std::ffi::OsStr::from_bytes(value.expose()))
        }))
        .envs(job.variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(end.try_clone()?)
        .stderr(end)
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = &job.program.directory {
        command.current_dir(directory);
    }
    let child = command.spawn()?;
    // Of the command's ends of the pipe `command` holds copies: with them gone, it closes when the last process does.
    drop(command);
    Ok((child, pipe::Receiver::from_owned_fd(output.into())?))
}

/// The processes of one command, as long as it is held.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|it| i32::try_from(it).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            // Nobody is left where the command cleaned up after itself.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// What comes out of a command.
struct Said {
    output: pipe::Receiver,
    tail: Vec<u8>,
}

impl Said {
    /// Reads all the time: a command whose output nobody takes would stop.
    async fn follow(&mut self) -> Infallible {
        let mut chunk = [0; 4096];
        loop {
            match self.output.read(&mut chunk).await {
                Ok(n_bytes) if n_bytes > 0 => self.push(&chunk[..n_bytes]),
                // It closed its outputs, and may go on working.
                _ => std::future::pending::<()>().await,
            }
        }
    }

    /// What was written before the end and not read yet. Waits for nothing: something that left the group may hold the pipe open. Asks
    /// the pipe itself: tokio's `try_read` reads nothing as long as its reactor has not heard that there is something.
    fn drain(&mut self) {
        let mut chunk = [0; 4096];
        // No more than a pipe holds, for the same reason.
        for _ in 0..16 {
            match rustix::io::read(&self.output, &mut chunk) {
                Ok(n_bytes) if n_bytes > 0 => self.push(&chunk[..n_bytes]),
                Err(rustix::io::Errno::INTR) => (),
                _ => break,
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 4 * MAX_OUTPUT {
            self.tail.drain(..self.tail.len() - MAX_OUTPUT);
        }
    }

    fn tail(&self) -> Bytes {
        Bytes::copy_from_slice(&self.tail[self.tail.len().saturating_sub(MAX_OUTPUT)..])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn what_was_said_just_before_the_end_is_read() {
        let (output, mut end) = io::pipe().unwrap();
        end.write_all(b"not yet\n").unwrap();
        drop(end);
        let mut said = Said {
            output: pipe::Receiver::from_owned_fd(output.into()).unwrap(),
            tail: Vec::new(),
        };
        // Nothing was awaited: no reactor has heard of it.
        said.drain();
        assert_eq!(said.tail(), &b"not yet\n"[..]);
    }
}
