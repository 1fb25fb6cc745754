//! Where a destination's events go: its `url`, or exactly one table of another kind.

use crate::{
    base::safe_url::SafeUrl,
    config::{
        destination::named_secrets,
        error::Fault,
        process::secret_in,
        secrets::Literal,
        section::{Bad, Reading, Section},
        value,
    },
    destination::{Kind, exec::Program},
};

/// Each names a kind.
const KEYS: &[&str] = &["url", "exec"];

/// Exactly one of them; all that are there are read, so that every fault shows.
pub(super) fn kind(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Kind, Bad> {
    let kinds = [
        url(section, reading).map(|it| it.map(Kind::Http)),
        exec(section, reading).map(|it| it.map(Kind::Exec)),
    ];
    let given: Vec<_> = KEYS.iter().copied().filter(|it| section.has(it)).collect();
    let [_] = given[..] else {
        return Err(reading.fault(not_one(section, &given)));
    };
    let kinds: Vec<_> = kinds.into_iter().collect::<Result<_, Bad>>()?;
    kinds.into_iter().flatten().next().ok_or(Bad)
}

fn not_one(section: &Section<'_>, given: &[&str]) -> Fault {
    let path = &section.path;
    let quoted = |keys: &[&str]| {
        let keys: Vec<_> = keys.iter().map(|it| format!("`{it}`")).collect();
        keys.join(", ")
    };
    let label = format!("expected one of {}", quoted(KEYS));
    if given.is_empty() {
        return Fault::new(
            &section.place,
            format!("`{path}` does not say where its events go"),
        )
        .label(label);
    }
    let place = section.place_of(given[given.len() - 1]);
    Fault::new(
        &place,
        format!("`{path}` goes to more than one place: {}", quoted(given)),
    )
    .label(label)
    .hint("make a destination of each, and a route to each".to_owned())
}

/// A URL, or a reference to one that is secret as a whole.
fn url(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<SafeUrl>, Bad> {
    let node = section.node("url", reading);
    let path = section.path_of("url");
    let url = secret_in(section, "url", "destinations.*.url", Literal::Allowed, reading)?;
    let (Some(url), Some(node)) = (url, node) else {
        return Ok(None);
    };
    match url.expose_str().and_then(value::web_url) {
        Some(url) => Ok(Some(SafeUrl::new(url))),
        None => {
            // What was found is not shown: it may be a secret.
            let fault = Fault::new(&node.place, format!("bad value for `{path}`"))
                .label("expected an http or https URL, as in \"http://127.0.0.1:3000/hooks\"");
            Err(reading.fault(fault))
        }
    }
}

fn exec(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<Program>, Bad> {
    let Some(mut section) = section.section("exec", reading)? else {
        return Ok(None);
    };
    let command = section.list("command", reading, value::any_text);
    let directory = section.read("directory", reading, value::text);
    let shape = "destinations.*.exec.environment.*";
    let environment = named_secrets(&mut section, "environment", shape, reading);
    section.finish(reading);
    Ok(Some(Program {
        command: command?,
        directory: directory?,
        environment: environment?,
    }))
}
