//! `/map`: sources, routes and destinations from left to right.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::extract::State;

use crate::{
    store::claim::HoldTarget,
    web::{
        auth::Caller,
        dashboard::{
            frame::{Answer, Frame, Page, Section},
            health::{self, Level},
            text,
        },
        state::AdminState,
    },
};

/// Units of the drawing. The template draws the boxes of this size.
const STEP: i64 = 60;
const TOP: i64 = 12;
const WIDTH: i64 = 240;
const HALF: i64 = 22;
const COLUMNS: [i64; 3] = [8, 380, 752];

#[derive(Debug, Template)]
#[template(path = "map.html")]
pub(super) struct MapPage {
    frame: Frame,
    height: i64,
    nodes: Vec<Node>,
    lines: Vec<Line>,
}

#[derive(Debug)]
pub(super) struct Node {
    name: String,
    note: String,
    href: String,
    level: Level,
    x: i64,
    y: i64,
}

/// From the right edge of one box to the left edge of another.
#[derive(Debug)]
pub(super) struct Line {
    level: Level,
    from_x: i64,
    from_y: i64,
    to_x: i64,
    to_y: i64,
}

impl Line {
    fn new(level: Level, from: &Node, to: &Node) -> Self {
        Self {
            level,
            from_x: from.x + WIDTH,
            from_y: from.y + HALF,
            to_x: to.x,
            to_y: to.y + HALF,
        }
    }

    /// Where the curve turns.
    fn bend(&self) -> i64 {
        i64::midpoint(self.from_x, self.to_x)
    }
}

/// Boxes of one column, from top to bottom.
struct Column {
    x: i64,
    nodes: Vec<Node>,
    at: HashMap<Arc<str>, usize>,
}

impl Column {
    fn new(x: i64) -> Self {
        Self {
            x,
            nodes: Vec::new(),
            at: HashMap::new(),
        }
    }

    fn add(&mut self, key: &Arc<str>, href: String, note: String, level: Level) {
        self.at.insert(Arc::clone(key), self.nodes.len());
        let place = i64::try_from(self.nodes.len()).unwrap_or(i64::MAX / STEP);
        self.nodes.push(Node {
            name: key.to_string(),
            note,
            href,
            level,
            x: self.x,
            y: TOP + place * STEP,
        });
    }

    fn get(&self, key: &str) -> Option<&Node> {
        self.nodes.get(*self.at.get(key)?)
    }
}

pub(super) async fn show(State(state): State<AdminState>, caller: Caller) -> Answer<MapPage> {
    let counted = state.0.numbers.recent().await?;
    let snapshot = state.0.registry.current();
    let [mut sources, mut routes, mut destinations] = COLUMNS.map(Column::new);
    for it in health::sources(&snapshot, &counted) {
        let note = format!(
            "{}, {} in the last hour",
            it.health.word,
            text::count(it.n_events, "event", "events")
        );
        sources.add(
            &it.name,
            format!("/sources#source-{}", it.name),
            note,
            it.health.level,
        );
    }
    for it in health::destinations(&state.0, &snapshot, &counted) {
        let note = format!("{}, {} open, {} dead", it.health.word, it.n_open, it.n_dead);
        let level = if it.n_dead > 0 {
            Level::Bad
        } else {
            it.health.level
        };
        destinations.add(
            &it.name,
            format!("/destinations#destination-{}", it.name),
            note,
            level,
        );
    }
    let mut lines = Vec::new();
    for name in snapshot.sources.keys() {
        for route in snapshot.routes_of(name) {
            let target = HoldTarget::Route(Arc::clone(&route.name));
            let is_held = health::hold_of(&counted.holds, &target).is_some();
            let (note, level) = if is_held {
                ("held", Level::Warn)
            } else {
                ("open", Level::Calm)
            };
            let href = format!("/deliveries?route={}", route.name);
            routes.add(&route.name, href, note.to_owned(), level);
            let ends = (
                sources.get(name),
                routes.get(&route.name),
                destinations.get(&route.destination),
            );
            if let (Some(source), Some(route), Some(destination)) = ends {
                lines.push(Line::new(Level::Calm, source, route));
                lines.push(Line::new(level, route, destination));
            }
        }
    }
    let columns = [sources, routes, destinations];
    let n_rows = columns.iter().map(|it| it.nodes.len()).max().unwrap_or(0);
    Ok(Page(MapPage {
        frame: Frame::new(caller, Section::Map, "Map").fresh_every(5),
        height: TOP * 2 + i64::try_from(n_rows.max(1)).unwrap_or(1) * STEP,
        nodes: columns.into_iter().flat_map(|it| it.nodes).collect(),
        lines,
    }))
}
