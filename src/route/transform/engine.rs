//! One run of a program in a JavaScript context of its own, under limits of time, memory, stack and output.
//!
//! The context has no network, no timers, no files and no clock but `Date`. Nothing is left of it after the run. What the program
//! finds there, and what takes its answer apart, is in `host`.

use std::time::{Duration, Instant};

use rquickjs::{
    CatchResultExt, CaughtError, Context, Ctx, Runtime,
    context::intrinsic::{Date, Eval, Json, MapSet, Promise, Proxy, RegExp, RegExpCompiler},
    promise::MaybePromise,
};

use crate::route::transform::{
    Input, Output, TransformError,
    host::{Host, Request},
};

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

/// What a small program does without, and what takes as long to set up as its own run: it is there where the program says one of
/// these words. A slash may begin a regular expression.
const SELDOM: [&str; 12] = [
    "/", "RegExp", "match", "search", "Date", "Map", "Set", "Proxy", "Promise", "async", "Async", "await",
];
/// What most programs do without, and what takes as long to set up as half of all else.
const RARE: [&str; 12] = [
    "ArrayBuffer",
    "8Array",
    "ClampedArray",
    "16Array",
    "32Array",
    "64Array",
    "DataView",
    "Atomics",
    "WeakRef",
    "FinalizationRegistry",
    "performance",
    "DOMException",
];
type Small = (Eval, Json);
type Usual = (Date, Eval, RegExpCompiler, RegExp, Json, Proxy, MapSet, Promise);

/// Reads the program and sees whether it has a handler.
pub(super) fn check(name: &str, program: &str) -> Result<(), TransformError> {
    within_limits(program, 0, |ctx, limits| {
        let host = read(ctx, name, program, limits)?;
        match limits.of(ctx, host.handler())? {
            Some(_) => Ok(()),
            None => Err(TransformError::new(
                "it never calls addHandler(\"transform\", ...)",
            )),
        }
    })
}

pub(super) fn run(name: &str, program: &str, input: &Input) -> Result<Output, TransformError> {
    within_limits(program, input.body.len(), |ctx, limits| {
        let host = read(ctx, name, program, limits)?;
        let Some(handler) = limits.of(ctx, host.handler())? else {
            return Err(TransformError::new(
                "it calls addHandler(\"transform\", ...) no more",
            ));
        };
        let request = limits.of(ctx, Request::new(ctx, input))?;
        let answer: MaybePromise<'_> = limits.of(ctx, handler.call((request.value(), request.context())))?;
        let answer = limits.of(ctx, answer.finish())?;
        let changed = limits.of(ctx, request.compare(&answer))?;
        if changed.headers.len() > MAX_HEADERS {
            return Err(TransformError::new(&format!(
                "it returned more than {MAX_HEADERS} headers"
            )));
        }
        let body = match changed.body {
            None => input.body.clone(),
            Some(body) if body.len() > MAX_OUTPUT => {
                return Err(TransformError::new(&format!(
                    "it returned more than {} MiB",
                    MAX_OUTPUT >> 20
                )));
            }
            Some(body) => body.into(),
        };
        Ok(Output {
            headers: changed.headers,
            body,
            is_json: changed.is_json,
            lines: host.lines(),
        })
    })
}

/// The host's side, once the program has been read.
fn read<'js>(
    ctx: &Ctx<'js>,
    name: &str,
    program: &str,
    limits: &Limits,
) -> Result<Host<'js>, TransformError> {
    let host = limits.of(ctx, Host::new(ctx))?;
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
    program: &str,
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
    let says_any = |words: &[&str]| words.iter().any(|it| program.contains(it));
    let context = if says_any(&RARE) {
        Context::full(&runtime)
    } else if says_any(&SELDOM) {
        Context::custom::<Usual>(&runtime)
    } else {
        Context::custom::<Small>(&runtime)
    };
    let context = context.map_err(internal)?;
    context.with(|ctx| work(&ctx, &Limits { until, time }))
}
