use super::*;
use crate::provider::{catalog::samples::FILES, place::Reading};

/// Rows of which a sample can be made, that is all but those that are signed with a key of the sender's alone.
fn samples() -> Vec<(&'static Provider, Sample)> {
    let mut without = Vec::new();
    let mut samples = Vec::new();
    for provider in all().iter().map(|it| row(&it.name)) {
        match sample_of(&provider.name, &TO_US) {
            Ok(sample) => samples.push((provider, sample)),
            Err(bad) if bad.problem.starts_with("a public key") => {}
            Err(bad) if bad.problem.contains("made by its sender alone") => {}
            Err(bad) if bad.problem.contains("inside another field") => {}
            Err(bad) => without.push(format!("{}: {bad}", provider.name)),
        }
    }
    assert!(without.len() <= 6, "{without:#?}");
    samples
}

#[test]
fn every_row_verifies_its_own_sample() {
    for (provider, sample) in samples() {
        let secret = Secret::new(secret_for(&provider.name));
        let keys: Vec<_> = provider.key(&secret).into_iter().collect();
        let bent = Bent::from(sample.clone());
        bent.verify(provider, &keys)
            .unwrap_or_else(|it| panic!("{}: {it}", provider.name));
        let is_form = sample.headers.iter().any(|(_, value)| value.contains("form"));
        if provider.sample.is_none() && (is_form || provider.reads_form_first()) {
            continue;
        }
        let names = bent.with(|call| provider.names(call));
        let event_type = provider
            .sample
            .as_ref()
            .map_or("example.created", |it| it.event_type.as_ref());
        let expects_type = !provider.event_type.is_empty();
        let expected = expects_type.then_some(event_type);
        assert_eq!(names.event_type.as_deref(), expected, "{}", provider.name);
        let id = names.external_id;
        assert!(
            provider.event_id.is_empty() || id.is_some_and(|it| it.len() >= 10),
            "{}",
            provider.name
        );
        if !provider.event_time.is_empty() {
            assert_eq!(names.occurred_at, Some(NOW), "{}", provider.name);
        }
        let content_type = &sample.headers[0].1;
        let text = String::from_utf8(sample.body).unwrap();
        if content_type == "application/json" && !text.is_empty() {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
        check_filled(&text);
    }
}

fn check_filled(text: &str) {
    let marks = [
        "@id@",
        "@uuid@",
        "@type",
        "@time@",
        "@date@",
        "@token@",
        "1400000000",
        "1500000000",
    ];
    assert!(marks.iter().all(|it| !text.contains(it)), "{text}");
    assert!(text.len() < 2_500, "{}", text.len());
}

#[test]
fn every_file_of_samples_is_of_a_row() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/provider/catalog/samples");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .filter_map(|it| it.strip_suffix(".toml").map(str::to_owned))
        .collect();
    files.sort();
    let listed: Vec<_> = FILES.iter().map(|(name, _)| *name).collect();
    assert_eq!(files, listed);
    for (name, _) in FILES {
        let body = row(name).sample_body(NOW).unwrap();
        check_filled(&body);
    }
    assert!(FILES.len() >= 60);
}

#[test]
fn every_sample_is_a_new_event() {
    for (provider, sample) in samples() {
        let again = sample_of(&provider.name, &TO_US).unwrap();
        let named = |it: Sample| {
            let body = it.body.clone();
            (Bent::from(it).with(|call| provider.names(call)).external_id, body)
        };
        assert_ne!(named(sample), named(again), "{}", provider.name);
    }
}

#[test]
fn the_type_is_replaced_when_asked() {
    for (provider, _) in samples() {
        let of_type = |event_type| {
            let wanted = Wanted {
                event_type: Some(event_type),
                ..TO_US
            };
            sample_of(&provider.name, &wanted).unwrap()
        };
        let asked = "a.\"quoted\"<&@token@";
        let sample = of_type(asked);
        let is_json = sample.headers[0].1 == "application/json" && !sample.body.is_empty();
        assert!(!is_json || serde_json::from_slice::<serde_json::Value>(&sample.body).is_ok());
        let names = Bent::from(sample).with(|call| provider.names(call));
        let reads_it = provider.sample.is_some() || !provider.reads_form_first();
        if !provider.event_type.is_empty() && reads_it {
            assert_eq!(names.event_type.as_deref(), Some(asked), "{}", provider.name);
        }
        let sample = of_type("a\r\nx-evil: 1");
        assert!(
            sample
                .headers
                .iter()
                .all(|(_, value)| !value.contains(['\r', '\n']))
        );
    }
}

#[test]
fn a_public_key_makes_no_sample() {
    let public = Secret::new("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
    let bad = row("standard-webhooks").sample(&public, &TO_US, NOW).unwrap_err();
    assert!(bad.problem.contains("public key"), "{bad}");
}

impl Provider {
    /// A sample that is made up is JSON: what this sender says in a form or a query is not in it.
    fn reads_form_first(&self) -> bool {
        let readings = [&self.event_id, &self.event_type, &self.event_time];
        let places = readings
            .into_iter()
            .filter_map(|it| it.first())
            .flat_map(Reading::places);
        places
            .into_iter()
            .any(|it| !matches!(it, Place::Header(_) | Place::Body(_)))
    }
}
