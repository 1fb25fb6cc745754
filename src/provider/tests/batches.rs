use super::*;

fn id(name: &str, headers: &[(&str, &str)], body: &str) -> Option<String> {
    let names = Bent::new(headers, body.as_bytes()).with(|call| row(name).names(call));
    names
        .external_id
        .map(|it| String::from_utf8_lossy(&it).into_owned())
}

#[test]
fn two_batches_that_begin_alike_are_two_events() {
    let id = |body: &str| id("sendgrid", &[], body);
    let one = r#"[{"sg_event_id":"a","event":"open"}]"#;
    assert_eq!(id(one).as_deref(), Some("a"));
    let several = [
        r#"[{"sg_event_id":"a"},{"sg_event_id":"b"}]"#,
        r#"[{"sg_event_id":"a"},{"sg_event_id":"c"}]"#,
        r#"[{"sg_event_id":"b"},{"sg_event_id":"a"}]"#,
        r#"[{"sg_event_id":"a"},{"sg_event_id":"b"},{"sg_event_id":"c"}]"#,
        r#"[{"sg_event_id":"ab"},{"sg_event_id":""}]"#,
        r#"[{"sg_event_id":"a"},{"sg_event_id":"a"}]"#,
    ];
    let ids: std::collections::BTreeSet<_> = several.into_iter().map(&id).chain([id(one)]).collect();
    assert_eq!(ids.len(), several.len() + 1, "{ids:?}");
    // The same ones again, with something else changed: the same event.
    let again = r#"[{"event":"x","sg_event_id":"a"} , {"sg_event_id":"b","attempt":2}]"#;
    assert_eq!(id(again), id(several[0]));
    assert!(id(again).unwrap().starts_with("a+1."));
}

#[test]
fn a_batch_with_an_element_without_id_has_none() {
    for body in [
        r#"[{"sg_event_id":"a"},{}]"#,
        r#"[{},{"sg_event_id":"a"}]"#,
        r#"[{"sg_event_id":"a"},{"sg_event_id":null}]"#,
        "[]",
        "{}",
    ] {
        assert_eq!(id("sendgrid", &[], body), None, "{body}");
    }
}

#[test]
fn names_of_several_places_are_joined_in_each_element() {
    let item = |psp: &str, success: &str| {
        format!(
            r#"{{"NotificationRequestItem":{{"pspReference":"{psp}","eventCode":"CAPTURE","success":"{success}"}}}}"#
        )
    };
    let body = |items: &[String]| format!(r#"{{"notificationItems":[{}]}}"#, items.join(","));
    let id = |items: &[String]| id("adyen", &[], &body(items));
    assert_eq!(id(&[item("p", "true")]).as_deref(), Some("p.CAPTURE.true"));
    let two = id(&[item("p", "true"), item("q", "true")]).unwrap();
    assert!(two.starts_with("p.CAPTURE.true+1."), "{two}");
    assert_ne!(Some(two), id(&[item("p", "true"), item("q", "false")]));
}

#[test]
fn elements_in_elements_and_in_xml_count_as_well() {
    let messages = |ids: &[&str]| {
        let messages: Vec<_> = ids.iter().map(|it| format!(r#"{{"id":"{it}"}}"#)).collect();
        format!(
            r#"{{"entry":[{{"changes":[{{"value":{{"messages":[{}]}}}}]}}]}}"#,
            messages.join(",")
        )
    };
    assert_eq!(id("meta", &[], &messages(&["m"])).as_deref(), Some("m"));
    assert_ne!(
        id("meta", &[], &messages(&["m", "n"])),
        id("meta", &[], &messages(&["m", "o"]))
    );
    let notification =
        |id: &str| format!("<n:Notification><n:Id>{id}</n:Id><o><Id>x</Id></o></n:Notification>");
    let message = |ids: &[&str]| {
        let all: String = ids.iter().map(|it| notification(it)).collect();
        format!(r#"<e><n:notifications xmlns:n="urn:n">{all}</n:notifications></e>"#)
    };
    assert_eq!(id("salesforce", &[], &message(&["a"])).as_deref(), Some("a"));
    assert_ne!(
        id("salesforce", &[], &message(&["a", "b"])),
        id("salesforce", &[], &message(&["a", "c"]))
    );
}

fn types(name: &str, headers: &[(&str, &str)], body: &str) -> (Option<String>, Vec<String>) {
    let names = Bent::new(headers, body.as_bytes()).with(|call| row(name).names(call));
    (names.event_type, names.further_types)
}

#[test]
fn a_batch_has_the_types_of_all_its_elements() {
    let check = |name: &str, body: &str, first: Option<&str>, further: &[&str]| {
        let (event_type, further_types) = types(name, &[], body);
        assert_eq!(event_type.as_deref(), first, "{name}: {body}");
        assert_eq!(further_types, further, "{name}: {body}");
    };
    let mail = r#"[{"event":"open"},{"event":"bounce"},{},{"event":"open"},{"event":7},{"event":"bounce"}]"#;
    check("sendgrid", mail, Some("open"), &["bounce", "7"]);
    check("sendgrid", r#"[{"event":"open"}]"#, Some("open"), &[]);
    check("sendgrid", r#"[{},{"event":"open"}]"#, None, &["open"]);
    check("sendgrid", "{}", None, &[]);
    check(
        "xero",
        r#"{"events":[{"eventCategory":"INVOICE","eventType":"UPDATE"},{"eventCategory":"CONTACT","eventType":"CREATE"}]}"#,
        Some("INVOICE.UPDATE"),
        &["CONTACT.CREATE"],
    );
    check(
        "meta",
        r#"{"object":"page","entry":[{"messaging":[]},{"changes":[{"field":"feed"},{"field":"likes"}]}]}"#,
        Some("page"),
        &["page.feed", "page.likes"],
    );
    check(
        "stripe",
        r#"{"type":"charge.failed"}"#,
        Some("charge.failed"),
        &[],
    );
    let many: Vec<_> = (0..500).map(|n| format!(r#"{{"event":"{n}"}}"#)).collect();
    let (_, further) = types("sendgrid", &[], &format!("[{}]", many.join(",")));
    assert_eq!(further.len(), 63);
}

/// Bends the body of a request that verified.
#[track_caller]
fn check_bent(name: &str, from: &str, to: &str, code: &str) {
    let (provider, keys, mut bent) = signed(name);
    bent.verify(provider, &keys).unwrap();
    let text = String::from_utf8(bent.body).unwrap();
    let changed = text.replacen(from, to, 1);
    assert_ne!(changed, text);
    bent.body = changed.into_bytes();
    check_refused(&bent, provider, &keys, code);
}

/// Where readers of JSON differ, a handler could read what nobody signed.
#[test]
fn a_signed_value_that_comes_twice_is_refused() {
    let twice = "duplicate_header";
    check_bent(
        "adyen",
        r#""success":"#,
        r#""pspReference":"forged","success":"#,
        twice,
    );
    check_bent(
        "adyen",
        r#""success":"#,
        r#""amount":{"value":1},"success":"#,
        twice,
    );
    check_bent(
        "adyen",
        r#"{"NotificationRequestItem":"#,
        r#"{"NotificationRequestItem":{"success":"true"},"NotificationRequestItem":"#,
        twice,
    );
    check_bent(
        "adyen",
        r#""notificationItems":"#,
        r#""notificationItems":[{}],"notificationItems":"#,
        "unsigned",
    );
    check_bent("mailgun", r#""token":"#, r#""token":"x","token":"#, twice);
    check_bent(
        "linear",
        r#""webhookTimestamp":"#,
        r#""webhookTimestamp":1,"webhookTimestamp":"#,
        twice,
    );
    check_bent(
        "microsoft-graph",
        r#""clientState":"#,
        r#""clientState":"x","clientState":"#,
        twice,
    );
}

#[test]
fn a_row_says_what_its_signature_covers() {
    for (name, binding) in [
        ("stripe", Binding::Body),
        ("twilio", Binding::Body),
        ("hubspot", Binding::Body),
        ("plaid", Binding::Body),
        ("adyen", Binding::Partial),
        ("mailgun", Binding::Partial),
        ("paypal", Binding::Partial),
        ("aws-sns", Binding::Partial),
        ("braintree", Binding::Partial),
        ("google-pubsub", Binding::Origin),
        ("jira-connect", Binding::Origin),
        ("telegram", Binding::Origin),
        ("gitlab", Binding::Origin),
    ] {
        assert_eq!(row(name).binding(), binding, "{name}");
    }
    let (provider, keys, bent) = signed("adyen");
    assert_eq!(bent.verify(provider, &keys), Ok(Binding::Partial));
}
