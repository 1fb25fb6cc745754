use super::*;
use crate::provider::all;

#[test]
fn every_row_verifies_its_own_sample() {
    for provider in all() {
        let secret = Secret::new(secret_for(&provider.name));
        let keys: Vec<_> = provider.key(&secret).into_iter().collect();
        let sample = provider.sample(&secret, None, None, NOW).unwrap();
        let bent = Bent::from(sample.clone());
        let expected = match provider.name.as_ref() {
            "unverified" => Binding::None,
            "token" | "basic" => Binding::Origin,
            _ => Binding::Body,
        };
        assert_eq!(bent.verify(provider, &keys), Ok(expected), "{}", provider.name);
        let names = bent.with(|call| provider.names(call));
        let event_type = provider
            .sample
            .as_ref()
            .map_or("example.created", |it| it.event_type.as_ref());
        assert_eq!(names.event_type.as_deref(), Some(event_type), "{}", provider.name);
        assert!(
            names.external_id.is_some_and(|it| it.len() >= 16),
            "{}",
            provider.name
        );
        if !provider.event_time.is_empty() {
            assert_eq!(names.occurred_at, Some(NOW), "{}", provider.name);
        }
        serde_json::from_slice::<serde_json::Value>(&sample.body).unwrap();
        let text = String::from_utf8(sample.body).unwrap();
        let marks = ["@id@", "@uuid@", "@type@", "@time@", "1500000000"];
        assert!(marks.iter().all(|it| !text.contains(it)), "{text}");
        if provider.sample.is_some() {
            assert!(
                (900..2_500).contains(&text.len()),
                "{} {}",
                provider.name,
                text.len()
            );
        }
    }
}

#[test]
fn every_sample_is_a_new_event() {
    for provider in all() {
        let secret = Secret::new(secret_for(&provider.name));
        let id = || {
            let sample = provider.sample(&secret, None, None, NOW).unwrap();
            Bent::from(sample).with(|call| provider.names(call)).external_id
        };
        assert_ne!(id(), id(), "{}", provider.name);
    }
}

#[test]
fn the_type_is_replaced_when_asked() {
    for provider in all() {
        let secret = Secret::new(secret_for(&provider.name));
        let sample = provider
            .sample(&secret, Some("a.\"quoted\".type"), None, NOW)
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&sample.body).unwrap();
        let names = Bent::from(sample).with(|call| provider.names(call));
        assert_eq!(
            names.event_type.as_deref(),
            Some("a.\"quoted\".type"),
            "{}",
            provider.name
        );
        let sample = provider
            .sample(&secret, Some("a\r\nx-evil: 1"), None, NOW)
            .unwrap();
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
    let bad = row("standard-webhooks")
        .sample(&public, None, None, NOW)
        .unwrap_err();
    assert!(bad.problem.contains("public key"), "{bad}");
}
