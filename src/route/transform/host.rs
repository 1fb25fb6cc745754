//! What a program finds in its context (`addHandler`, `console`), what it is called with, and what its answer means.
//!
//! All of it is the host's: whatever a program does to `JSON` or `Object`, its body is read and written as before.

use std::{cell::RefCell, rc::Rc};

use rquickjs::{Coerced, Ctx, Exception, Function, Object, Result, Value, function::Rest, object::Property};
use serde::Serialize;

use crate::route::transform::{Facts, Input};

/// Where the handler is kept. No program comes upon it by chance.
const HANDLER: &str = "__gatepost_handler";
const MAX_LINES: usize = 100;
/// Characters.
const MAX_LINE: usize = 1_000;

/// The global functions of one context.
pub(super) struct Host<'js> {
    ctx: Ctx<'js>,
    lines: Rc<RefCell<Vec<String>>>,
}

impl<'js> Host<'js> {
    pub(super) fn new(ctx: &Ctx<'js>) -> Result<Self> {
        let lines = Rc::<RefCell<Vec<String>>>::default();
        let written = Rc::clone(&lines);
        let log = Function::new(ctx.clone(), move |ctx: Ctx<'js>, items: Rest<Value<'js>>| {
            log(&ctx, &items, &mut written.borrow_mut())
        })?;
        let console = Object::new(ctx.clone())?;
        for name in ["debug", "log", "info", "warn", "error"] {
            console.set(name, log.clone())?;
        }
        let globals = ctx.globals();
        globals.set("console", console)?;
        globals.set("addHandler", Function::new(ctx.clone(), add_handler)?)?;
        Ok(Self {
            ctx: ctx.clone(),
            lines,
        })
    }

    pub(super) fn handler(&self) -> Result<Option<Function<'js>>> {
        self.ctx.globals().get(HANDLER)
    }

    /// What the program wrote with `console.log`.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.take()
    }
}

fn add_handler<'js>(ctx: Ctx<'js>, name: Value<'js>, handler: Value<'js>) -> Result<()> {
    let name = shown(&ctx, &name)?;
    if name != "transform" {
        let problem = format!("addHandler(\"{name}\"): the only handler is \"transform\"");
        return Err(Exception::throw_type(&ctx, &problem));
    }
    if !handler.is_function() {
        return Err(Exception::throw_type(
            &ctx,
            "addHandler takes a name and a function",
        ));
    }
    ctx.globals()
        .prop(HANDLER, Property::from(handler).writable().configurable())
}

fn log<'js>(ctx: &Ctx<'js>, items: &[Value<'js>], lines: &mut Vec<String>) -> Result<()> {
    if lines.len() < MAX_LINES {
        let items: Vec<_> = items.iter().map(|it| shown(ctx, it)).collect::<Result<_>>()?;
        lines.push(items.join(" ").chars().take(MAX_LINE).collect());
    }
    Ok(())
}

/// A text as it is, all else as JSON where it has any.
fn shown<'js>(ctx: &Ctx<'js>, value: &Value<'js>) -> Result<String> {
    if !value.is_string()
        && let Some(json) = ctx.json_stringify(value.clone())?
    {
        return json.to_string();
    }
    Ok(value.get::<Coerced<String>>()?.0)
}

/// What a handler is called with: `request` without its body, and `context`.
#[derive(Serialize)]
struct Envelope<'a> {
    request: Parts<'a>,
    context: &'a Facts,
}

#[derive(Serialize)]
struct Parts<'a> {
    headers: &'a serde_json::Map<String, serde_json::Value>,
    body: (),
    path: &'a str,
    query: &'a str,
}

/// A handler's arguments, and what is needed to see what it changed.
pub(super) struct Request<'js> {
    ctx: Ctx<'js>,
    value: Object<'js>,
    context: Value<'js>,
    body: Value<'js>,
    /// The body as JavaScript writes it, which is never quite what came; where it is JSON.
    before: Option<String>,
}

/// What a handler gave back.
pub(super) struct Changed {
    pub(super) headers: Vec<(String, String)>,
    /// `None`: it left the body alone.
    pub(super) body: Option<String>,
    /// The body is a value, written as JSON, and not a text.
    pub(super) is_json: bool,
}

impl<'js> Request<'js> {
    pub(super) fn new(ctx: &Ctx<'js>, input: &Input) -> Result<Self> {
        let envelope = serde_json::to_vec(&Envelope {
            request: Parts {
                headers: &input.headers,
                body: (),
                path: &input.path,
                query: &input.query,
            },
            context: &input.facts,
        });
        let envelope = envelope.map_err(|error| Exception::throw_internal(ctx, &error.to_string()))?;
        let envelope: Object<'js> = ctx.json_parse(envelope)?.get()?;
        let text = String::from_utf8_lossy(&input.body);
        let (body, before) = if let Ok(value) = ctx.json_parse(&*text) {
            let before = match ctx.json_stringify(value.clone())? {
                Some(json) => Some(json.to_string()?),
                None => None,
            };
            (value, before)
        } else {
            // It says why it is no JSON, which is nobody's fault.
            ctx.catch();
            (rquickjs::String::from_str(ctx.clone(), &text)?.into_value(), None)
        };
        let value: Object<'js> = envelope.get("request")?;
        value.set("body", body.clone())?;
        Ok(Self {
            ctx: ctx.clone(),
            value,
            context: envelope.get("context")?,
            body,
            before,
        })
    }

    pub(super) fn value(&self) -> Object<'js> {
        self.value.clone()
    }

    pub(super) fn context(&self) -> Value<'js> {
        self.context.clone()
    }

    pub(super) fn compare(&self, answer: &Value<'js>) -> Result<Changed> {
        let answer = answer
            .as_object()
            .filter(|it| !it.is_array() && !it.is_function());
        let Some(answer) = answer else {
            return Err(self.fault("the transform returned no request: return { headers, body }"));
        };
        let body: Value<'js> = answer.get("body")?;
        let text = text_of(&body)?;
        // A text that was the JSON itself is written as JSON again.
        let is_same_text = text.is_some() && self.before.is_some() && text == text_of(&self.body)?;
        let after = match &text {
            Some(text) if !is_same_text => text.clone(),
            _ => match self.ctx.json_stringify(body)? {
                Some(json) => json.to_string()?,
                None => return Err(self.fault("the transform returned a request without a body")),
            },
        };
        let was_text = self.body.is_string();
        let is_left_alone = match &self.before {
            Some(before) => after == *before,
            None => text == text_of(&self.body)?,
        };
        Ok(Changed {
            headers: headers(&answer.get("headers")?)?,
            is_json: text.is_none(),
            body: (!is_left_alone || was_text != text.is_some()).then_some(after),
        })
    }

    fn fault(&self, problem: &str) -> rquickjs::Error {
        Exception::throw_type(&self.ctx, problem)
    }
}

fn text_of(value: &Value<'_>) -> Result<Option<String>> {
    value.as_string().map(rquickjs::String::to_string).transpose()
}

/// Each value of a list is a header of its own; what is null is none.
fn headers(given: &Value<'_>) -> Result<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let Some(object) = given.as_object() else {
        return Ok(pairs);
    };
    for entry in object.props::<String, Value<'_>>() {
        let (name, value) = entry?;
        let values = match value.as_array() {
            Some(list) => list.iter().collect::<Result<Vec<Value<'_>>>>()?,
            None => vec![value],
        };
        for it in values.iter().filter(|it| !it.is_null() && !it.is_undefined()) {
            pairs.push((name.clone(), it.get::<Coerced<String>>()?.0));
        }
    }
    Ok(pairs)
}
