//! Faults, and how they are printed: plain ASCII, the line itself, a caret, what was expected, a hint.

use std::{ops::Range, path::Path};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::config::{Faults, tree::Place};

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) place: Place,
    /// The heading: one clause, the culprit in backticks.
    pub(super) problem: String,
    /// What was expected and what was found, beside the caret.
    pub(super) label: Option<String>,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(place: &Place, problem: impl Into<String>) -> Self {
        Self {
            place: place.clone(),
            problem: problem.into(),
            label: None,
            hint: None,
        }
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

/// More than anybody reads, and enough to show what they have in common.
const MAX_SHOWN: usize = 100;

/// `text`: the file with its secrets already masked.
pub(super) fn render(mut faults: Vec<Fault>, file: Option<&Path>, text: &str) -> Faults {
    // In the order in which the file is read; what stands in no file comes last.
    faults.sort_by_key(|it| match &it.place {
        Place::File(span) => span.start,
        Place::Default => usize::MAX - 1,
        Place::Variable(_) | Place::Flag(_) => usize::MAX,
    });
    let shown = faults.iter().take(MAX_SHOWN);
    let mut shown: Vec<String> = shown.map(|it| render_one(it, file, text)).collect();
    if faults.len() > MAX_SHOWN {
        shown.push(format!("and {} more faults like these", faults.len() - MAX_SHOWN));
    }
    Faults {
        n_faults: faults.len(),
        rendered: shown.join("\n\n"),
        file: file.map(Path::to_owned),
    }
}

fn render_one(fault: &Fault, file: Option<&Path>, text: &str) -> String {
    let path = file.map(|it| it.display().to_string());
    let title = Level::ERROR.primary_title(fault.problem.as_str());
    let mut group = Group::with_title(title);
    let mut label = fault.label.as_deref();
    match &fault.place {
        Place::File(span) => {
            let span = within_line(text, span);
            let line_at = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
            let line = text[line_at..].lines().next().unwrap_or_default();
            let mut annotation = AnnotationKind::Primary.span(span.start - line_at..span.end - line_at);
            if let Some(label) = label.take() {
                annotation = annotation.label(label);
            }
            let n_line = 1 + text[..line_at].matches('\n').count();
            let snippet = Snippet::source(line).line_start(n_line).path(path);
            group = group.element(snippet.annotation(annotation));
        }
        Place::Variable(name) => {
            group = group.element(Origin::path(format!("environment variable {name}")));
        }
        Place::Flag(key) => group = group.element(Origin::path(format!("the flag for {key}"))),
        Place::Default => group = group.elements(path.map(Origin::path)),
    }
    group = group.elements(label.map(|it| Level::NOTE.message(it)));
    group = group.elements(fault.hint.as_deref().map(|it| Level::HELP.message(it)));
    Renderer::plain().render(&[group])
}

/// The part of a span that lies in its first line, on character boundaries: a caret under a whole table helps nobody.
fn within_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = floor_boundary(text, span.start.min(text.len()));
    let end = floor_boundary(text, span.end.min(text.len())).max(start);
    let first_line = text[start..end].find(['\n', '\r']).map_or(end, |at| start + at);
    if first_line > start {
        return start..first_line;
    }
    // An empty span still gets one caret, unless the line ends here.
    let next = text[start..]
        .chars()
        .next()
        .filter(|it| *it != '\n' && *it != '\r');
    start..start + next.map_or(0, char::len_utf8)
}

fn floor_boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
