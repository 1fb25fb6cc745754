//! One run of a program in a JavaScript context of its own, under limits of time, memory, stack and output.
//!
//! The context has no network, no timers, no files and no clock but `Date`. Nothing is left of it after the run.

use std::time::{Duration, Instant};

use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Object, Runtime, promise::MaybePromise};
use serde::{Deserialize, Serialize};

use crate::route::transform::{Input, Output, TransformError};

const GLUE: &str = include_str!("glue.js");

/// How long a run may take, and how much longer for each MiB of body.
const TIME: Duration = Duration::from_millis(250);
const TIME_PER_MIB: Duration = Duration::from_millis(100);
const MEMORY: usize = 32 << 20;
/// As often the length of the body may be used on top of it: a parsed value takes about so much.
const MEMORY_PER_BYTE: usize = 24;
const STACK: usize = 512 << 10;
/// The longest body that comes back.
const MAX_OUTPUT: usize = 32 << 20;
const MAX_HEADERS: usize = 256;

/// What the glue is told besides the body.
#[derive(Serialize)]
struct Envelope<'a> {
    headers: &'a serde_json::Map<String, serde_json::Value>,
    path: &'a str,
    query: &'a str,
    context: &'a super::Facts,
}

/// What the glue says besides the body.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Said {
    headers: Vec<(String, String)>,
    is_same: bool,
    is_json: bool,
    lines: Vec<String>,
}

/// Reads the program and sees whether it has a handler.
pub(super) fn check(name: &str, program: &str) -> Result<(), TransformError> {
    within_limits(0, |ctx, limits| {
        let host = host(ctx, name, program, limits)?;
        let is_ready: Function<'_> = limits.of(ctx, host.get("isReady"))?;
        let is_ready: bool = limits.of(ctx, is_ready.call(()))?;
        if is_ready {
            Ok(())
        } else {
            Err(TransformError::new(
                "it never calls addHandler(\"transform\", ...)",
            ))
        }
    })
}

pub(super) fn run(name: &str, program: &str, input: &Input) -> Result<Output, TransformError> {
    let text = String::from_utf8_lossy(&input.body);
    let envelope = serde_json::to_string(&Envelope {
        headers: &input.headers,
        path: &input.path,
        query: "",
        context: &input.facts,
    })
    .map_err(|error| TransformError::new(&error.to_string()))?;
    within_limits(input.body.len(), |ctx, limits| {
        let host = host(ctx, name, program, limits)?;
        let run: Function<'_> = limits.of(ctx, host.get("run"))?;
        let answer: MaybePromise<'_> = limits.of(ctx, run.call((envelope, &*text)))?;
        let answer: Object<'_> = limits.of(ctx, answer.finish())?;
        let envelope: String = limits.of(ctx, answer.get("envelope"))?;
        let body: rquickjs::String<'_> = limits.of(ctx, answer.get("body"))?;
        let said: Said =
            serde_json::from_str(&envelope).map_err(|error| TransformError::new(&error.to_string()))?;
        if said.headers.len() > MAX_HEADERS {
            return Err(TransformError::new(&format!(
                "it returned more than {MAX_HEADERS} headers"
            )));
        }
        let body = if said.is_same {
            input.body.clone()
        } else {
            let body = limits.of(ctx, body.to_string())?;
            if body.len() > MAX_OUTPUT {
                return Err(TransformError::new(&format!(
                    "it returned more than {} MiB",
                    MAX_OUTPUT >> 20
                )));
            }
            body.into()
        };
        Ok(Output {
            headers: said.headers,
            body,
            is_json: said.is_json,
            lines: said.lines,
        })
    })
}

/// The glue's functions, once the program has been read.
fn host<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    program: &str,
    limits: &Limits,
) -> Result<Object<'js>, TransformError> {
    let host = limits.of(ctx, ctx.eval(GLUE))?;
    let mut options = rquickjs::context::EvalOptions::default();
    // Scripts that were written for others need not be strict.
    options.strict = false;
    options.filename = Some(name.to_owned());
    limits.of(ctx, ctx.eval_with_options::<(), _>(program, options))?;
    Ok(host)
}

struct Limits {
    until: Instant,
    time: Duration,
}

impl Limits {
    /// An error as an operator understands it.
    fn of<T>(&self, ctx: &Ctx<'_>, result: rquickjs::Result<T>) -> Result<T, TransformError> {
        result.catch(ctx).map_err(|error| {
            if Instant::now() >= self.until {
                return TransformError::new(&format!("it took longer than {} ms", self.time.as_millis()));
            }
            TransformError::new(&match error {
                CaughtError::Error(rquickjs::Error::WouldBlock) => {
                    "it waits for a promise that nothing fulfils".to_owned()
                }
                CaughtError::Error(error) => error.to_string(),
                CaughtError::Exception(exception) => {
                    let message = exception.message().unwrap_or_default();
                    let stack = exception.stack().unwrap_or_default();
                    match stack.lines().map(str::trim).find(|it| !it.is_empty()) {
                        Some(place) => format!("{message} ({place})"),
                        None => message,
                    }
                }
                CaughtError::Value(value) => match value.as_string().and_then(|it| it.to_string().ok()) {
                    Some(text) => text,
                    None if value.is_null() => "it used more memory than it may".to_owned(),
                    None => "it threw what is no error".to_owned(),
                },
            })
        })
    }
}

fn within_limits<T>(
    n_body_bytes: usize,
    work: impl FnOnce(&Ctx<'_>, &Limits) -> Result<T, TransformError>,
) -> Result<T, TransformError> {
    let internal = |error: rquickjs::Error| TransformError::new(&error.to_string());
    let runtime = Runtime::new().map_err(internal)?;
    runtime.set_memory_limit(MEMORY + MEMORY_PER_BYTE * n_body_bytes);
    runtime.set_max_stack_size(STACK);
    let n_mib = u32::try_from(n_body_bytes >> 20).unwrap_or(u32::MAX);
    let time = TIME + TIME_PER_MIB.saturating_mul(n_mib);
    let until = Instant::now() + time;
    runtime.set_interrupt_handler(Some(Box::new(move || Instant::now() >= until)));
    let context = Context::full(&runtime).map_err(internal)?;
    context.with(|ctx| work(&ctx, &Limits { until, time }))
}
