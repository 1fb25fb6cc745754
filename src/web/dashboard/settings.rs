//! `/settings`: the config in force, and where each value was said.

use askama::Template;
use axum::extract::State;

use crate::web::{
    api::config::{self, ConfigJson, SettingJson},
    auth::Caller,
    dashboard::{
        frame::{Answer, Frame, Page, Section},
        query::Query,
        text,
    },
    state::AdminState,
};

#[derive(Debug, Template)]
#[template(path = "settings.html")]
pub(super) struct SettingsPage {
    frame: Frame,
    /// Whether defaults are shown too.
    has_defaults: bool,
    sections: Vec<Part>,
    it: ConfigJson,
}

/// The keys of one table.
#[derive(Debug)]
pub(super) struct Part {
    /// As it stands between the brackets of the file; empty for what stands in none.
    name: String,
    /// Without that name.
    settings: Vec<SettingJson>,
}

pub(super) async fn show(
    State(state): State<AdminState>,
    caller: Caller,
    query: Query,
) -> Answer<SettingsPage> {
    let mut it = config::config(&state.0);
    let has_defaults = !query.get("all").is_empty();
    let mut settings = std::mem::take(&mut it.settings);
    settings.retain(|it| has_defaults || it.place != "default");
    Ok(Page(SettingsPage {
        frame: Frame::new(caller, Section::Settings, "Settings"),
        has_defaults,
        sections: parts(settings),
        it,
    }))
}

fn parts(settings: Vec<SettingJson>) -> Vec<Part> {
    let mut res: Vec<Part> = Vec::new();
    for mut setting in settings {
        let n_words = table_words(&setting.key);
        let words: Vec<_> = setting.key.splitn(n_words + 1, '.').collect();
        let (name, rest) = (words[..n_words].join("."), words[n_words..].join("."));
        if res.last().is_none_or(|it| it.name != name) {
            res.push(Part {
                name,
                settings: Vec::new(),
            });
        }
        setting.key = rest;
        if let Some(part) = res.last_mut() {
            part.settings.push(setting);
        }
    }
    res
}

/// How many words of the key name its table: `server.listen` one, `sources.stripe.provider` two, `routes` none.
fn table_words(key: &str) -> usize {
    let n_dots = key.matches('.').count();
    let has_names = key.starts_with("sources.") || key.starts_with("destinations.");
    n_dots.min(if has_names { 2 } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_under_their_tables() {
        let setting = |key: &str| SettingJson {
            key: key.to_owned(),
            value: "1".to_owned(),
            place: "file".to_owned(),
        };
        let keys = [
            "destinations.d.retry.cap",
            "destinations.d.url",
            "destinations.e.url",
            "log.filter",
            "routes",
        ];
        let parts = parts(keys.map(setting).into());
        let shown: Vec<_> = parts
            .iter()
            .map(|it| {
                let keys: Vec<_> = it.settings.iter().map(|it| it.key.as_str()).collect();
                format!("[{}] {}", it.name, keys.join(" "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "[destinations.d] retry.cap url",
                "[destinations.e] url",
                "[log] filter",
                "[] routes"
            ]
        );
    }
}
