//! A shell that keeps servers for a test: it is told a line at a time, and says how each went.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

/// Its script reads lines until its input ends, which it does when this is dropped or the test's process ends: then it takes away all
/// that belongs to it.
#[derive(Debug)]
pub(crate) struct Shell {
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    /// Also the first line that it prints: the directory that it made.
    pub(crate) fn start(command: &mut Command) -> (Self, String) {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut running = Running { child, stdin, stdout };
        let directory = running.line();
        let running = Mutex::new(running);
        (Self { running }, directory)
    }

    /// Whether that line went well.
    pub(crate) fn run(&self, line: &str) -> bool {
        let mut running = self.running.lock().unwrap();
        let stdin = running.stdin.as_mut().unwrap();
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
        running.line() == "yes"
    }
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Also after a panic of whoever asked it.
        let running = match self.running.get_mut() {
            Ok(running) => running,
            Err(poisoned) => poisoned.into_inner(),
        };
        running.stdin = None;
        let _ = running.child.wait();
    }
}
