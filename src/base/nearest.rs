//! What somebody who mistyped a word most likely meant.

/// The known word that a mistyped one most likely meant.
pub fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong: String = wrong.chars().take(64).flat_map(char::to_lowercase).collect();
    known
        .into_iter()
        .map(|it| (strsim::jaro_winkler(&wrong, &it.to_lowercase()), it))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, it)| it)
}
