//! A command for each event: the body on its stdin, the rest in its environment, and its exit code decides.
//!
//! Nothing of an event is ever an argument, and no shell is between. `run` is one run of a command, `variables` what it
//! finds in its environment.

pub mod run;
pub mod variables;

use std::{path::Path, process::ExitStatus, time::Duration};

use bytes::Bytes;

use crate::{
    base::secret::Secret,
    destination::{
        Destination, Fate, Fault, Message, Response, SendError, Sending,
        exec::run::{Ended, Job},
        headers::Outbound,
    },
    event::headers::Headers,
};

/// "It will never be taken" (`EX_DATAERR` of sysexits.h).
pub const NEVER: i32 = 65;
/// "Later" (`EX_TEMPFAIL`).
pub const LATER: i32 = 75;

/// What the operator says of a command.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program, by its whole path, and its arguments.
    pub command: Vec<String>,
    /// Where it runs. Without it: where gatepost runs.
    pub directory: Option<String>,
    /// What stands in its environment besides ours; nothing else does.
    pub environment: Vec<(String, Secret)>,
}

/// Ready to run.
#[derive(Debug)]
pub struct Exec {
    program: Program,
    timeout: Duration,
    outbound: Outbound,
}

impl Exec {
    pub fn new(program: &Program, timeout: Duration, outbound: Outbound) -> Result<Self, Fault> {
        check(program)?;
        Ok(Self {
            program: program.clone(),
            timeout,
            outbound,
        })
    }

    async fn run(&self, message: &Message) -> Result<Response, SendError> {
        let headers = self.outbound.headers(message);
        let job = Job {
            program: &self.program,
            variables: variables::of(&headers, &message.delivery_id.to_string()),
            input: message.event.body.clone(),
            timeout: self.timeout,
        };
        judge(run::run(job).await?)
    }
}

impl Destination for Exec {
    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.run(message))
    }
}

fn check(program: &Program) -> Result<(), Fault> {
    let Some(name) = program.command.first() else {
        let hint = "name a program: `exec = { command = [\"/usr/local/bin/import\", \"--quiet\"] }`";
        return Err(Fault::new("exec.command", "it is empty", hint));
    };
    if !Path::new(name).is_absolute() {
        let hint = "nothing is looked for in a PATH: write `/usr/local/bin/import`";
        return Err(Fault::new(
            "exec.command[0]",
            "it is not the whole path of a program",
            hint,
        ));
    }
    let has_nul = |it: &[u8]| it.contains(&0);
    if program.command.iter().any(|it| has_nul(it.as_bytes())) {
        return Err(Fault::new("exec.command", "it holds a NUL byte", ""));
    }
    for (name, value) in &program.environment {
        let key = format!("exec.environment.{}", name.escape_default());
        if name.is_empty() || name.contains(['=', '\0']) || has_nul(value.expose()) {
            let problem = "a name may hold no `=`, and neither it nor its value a NUL byte";
            return Err(Fault::new(key, problem, ""));
        }
        if name.starts_with(variables::PREFIX) {
            let problem = "names that begin with `GATEPOST_` are gatepost's own";
            return Err(Fault::new(key, problem, "choose another name"));
        }
    }
    Ok(())
}

/// What an ended command means.
pub fn judge(ended: Ended) -> Result<Response, SendError> {
    let (explanation, fate) = match ended.status.code() {
        Some(0) => {
            return Ok(Response {
                status: None,
                headers: Headers::default(),
                body: ended.output,
            });
        }
        Some(NEVER) => (
            format!("the command ended with {NEVER}: it will never take this one"),
            Fate::Permanent,
        ),
        Some(LATER) => (
            format!("the command ended with {LATER}: it asks for another try"),
            Fate::Retriable,
        ),
        Some(code) => (format!("the command ended with {code}"), Fate::Retriable),
        None => (killed(ended.status), Fate::Ambiguous),
    };
    Err(failed("exit", explanation, fate, ended.output))
}

fn killed(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status.signal() {
        Some(signal) => format!("the command was ended by signal {signal}"),
        None => "the command ended without an exit code".to_owned(),
    }
}

fn failed(code: &'static str, explanation: String, fate: Fate, output: Bytes) -> SendError {
    SendError {
        output,
        ..SendError::new(code, explanation, fate)
    }
}

#[cfg(test)]
mod tests;
