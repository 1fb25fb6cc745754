//! `[[routes]]`.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
    time::Duration,
};

use crate::{
    config::{
        error::Fault,
        section::{Bad, Reading, Section},
        tree::Node,
        value::{self, DAY, shown},
    },
    event::order::Mode,
    route::{self, deduplicate, order, transform},
};

const MODES: &[(&str, Mode)] = &[
    ("strict", Mode::Strict),
    ("latest", Mode::Latest),
    ("flag", Mode::Flag),
];
const ON_DEAD: &[(&str, Mode)] = &[("continue", Mode::Strict), ("hold", Mode::StrictHold)];
/// No program of a person's is longer.
const MAX_PROGRAM: u64 = 1 << 20;

pub(super) fn route(idx: usize, node: &Node, reading: &mut Reading<'_>) -> Result<route::Settings, Bad> {
    let mut section = Section::of(node, format!("routes[{idx}]"), "routes[]", reading)?;
    let name = section.read("name", reading, value::text);
    let source = section.need("source", reading, value::text);
    let destination = section.need("destination", reading, value::text);
    let types = section.list("types", reading, value::text);
    let filter = section.read("filter", reading, value::json);
    let transform = transform(&mut section, reading);
    let order = order(&mut section, reading);
    let deduplicate = deduplicate(&mut section, reading);
    let delay = section.read("delay", reading, value::duration(Duration::ZERO, 30 * DAY));
    section.finish(reading);
    Ok(route::Settings {
        name: name?,
        source: source?,
        destination: destination?,
        types: types?,
        filter: filter?,
        transform: transform?,
        order: order?,
        deduplicate: deduplicate?,
        delay: delay?.unwrap_or_default(),
    })
}

fn order(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Result<Option<order::Settings>, Bad> {
    let Some(mut section) = section.section("order", reading)? else {
        return Ok(None);
    };
    let by = section.need("by", reading, value::text);
    let time = section.read("time", reading, value::text);
    let mode = section.need("mode", reading, value::choice(MODES));
    let on_dead = section.read("on_dead", reading, value::choice(ON_DEAD));
    section.finish(reading);
    let (by, time, mode, on_dead) = (by?, time?, mode?, on_dead?);
    let mode = match (mode, on_dead) {
        (Mode::Strict, Some(on_dead)) => on_dead,
        (mode, None) => mode,
        (_, Some(_)) => {
            let place = section.place_of("on_dead");
            let fault = Fault::new(
                &place,
                format!("`{}` needs `mode = \"strict\"`", section.path_of("on_dead")),
            )
            .label("only what goes one after the other can be held up by a dead letter".to_owned());
            return Err(reading.fault(fault));
        }
    };
    Ok(Some(order::Settings {
        by,
        time: time.unwrap_or_else(|| "occurred_at".to_owned()),
        mode,
    }))
}

fn deduplicate(
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<deduplicate::Settings>, Bad> {
    let Some(mut section) = section.section("deduplicate", reading)? else {
        return Ok(None);
    };
    let by = section.list("by", reading, value::text);
    let within = section.need(
        "within",
        reading,
        value::duration(Duration::from_secs(1), 7 * DAY),
    );
    section.finish(reading);
    Ok(Some(deduplicate::Settings {
        by: by?,
        within: within?,
    }))
}

/// `{ file = "PATH" }` or `{ js = "PROGRAM" }`.
fn transform(
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<Option<transform::Settings>, Bad> {
    let path = section.path_of("transform");
    let Some(mut section) = section.section("transform", reading)? else {
        return Ok(None);
    };
    let file = section.read("file", reading, value::text);
    let js = section.read("js", reading, value::text);
    section.finish(reading);
    match (file?, js?) {
        (Some(file), None) => from_file(&file, &path, &section, reading).map(Some),
        (None, Some(program)) => Ok(Some(transform::Settings {
            name: "transform".to_owned(),
            program,
        })),
        _ => {
            let fault = Fault::new(&section.place, format!("`{path}` needs one of `file` and `js`"))
                .label("expected { file = \"transforms/billing.js\" } or { js = \"...\" }".to_owned());
            Err(reading.fault(fault))
        }
    }
}

fn from_file(
    name: &str,
    path: &str,
    section: &Section<'_>,
    reading: &mut Reading<'_>,
) -> Result<transform::Settings, Bad> {
    let file = reading.directory.join(name);
    // Also one that is missing: when it comes, the config may be whole.
    reading.watched.insert(file.clone());
    read_program(&file).map_or_else(
        |problem| {
            let is_relative = Path::new(name).is_relative();
            let place = section.place_of("file");
            let fault = Fault::new(&place, format!("the file `{}` {problem}", shown(name)))
                .label(format!("expected the program of `{path}` in it"))
                .hint(
                    is_relative.then(|| "a relative path starts at the config file's directory".to_owned()),
                );
            Err(reading.fault(fault))
        },
        |program| {
            Ok(transform::Settings {
                name: name.to_owned(),
                program,
            })
        },
    )
}

fn read_program(file: &Path) -> Result<String, String> {
    let mut program = String::new();
    let read = File::open(file).and_then(|it| it.take(MAX_PROGRAM + 1).read_to_string(&mut program));
    match read {
        Ok(n_bytes) if n_bytes as u64 > MAX_PROGRAM => Err("is over 1 MiB".to_owned()),
        Ok(_) => Ok(program),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("does not exist".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err("is not UTF-8".to_owned()),
        Err(error) => Err(format!("cannot be read: {}", error.kind())),
    }
}
