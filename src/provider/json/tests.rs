use super::*;

fn check(text: &str, pointer: &str, expected: Option<&str>) {
    assert_eq!(
        find_one(text.as_bytes(), pointer).as_deref(),
        expected,
        "{pointer} in {text}"
    );
}

#[test]
fn values_are_found_as_they_are_written() {
    check(r#"{"id":"a"}"#, "/id", Some("a"));
    check(r#"{"id":1e400}"#, "/id", Some("1e400"));
    check(
        r#"{"id":820982911946154508123}"#,
        "/id",
        Some("820982911946154508123"),
    );
    check(r#"{"id":true}"#, "/id", Some("true"));
    check(r#"{"id":null}"#, "/id", None);
    check(r#"{"id":{}}"#, "/id", None);
    check(r#"{"id":"\u0041\n"}"#, "/id", Some("A\n"));
    check(r#"{"id":"\ud800"}"#, "/id", None);
    check(r#"{"\u0069d":"a"}"#, "/id", Some("a"));
    check(r#"{"a/b":{"c~d":"x"}}"#, "/a~1b/c~0d", Some("x"));
    check(r#"[[1,2],{"a":3}]"#, "/0/1", Some("2"));
    check(r#"[[1,2],{"a":3}]"#, "/1/a", Some("3"));
    check("[1,2]", "/01", None);
    check("[1,2]", "/+1", None);
    check(r#"{"events":[{"id":"x"},{"id":"y"}]}"#, "/events/*/id", Some("x"));
    check(r#"{"id":"first","id":"second"}"#, "/id", Some("first"));
    check(r#""whole""#, "", Some("whole"));
    check("\u{feff}{\"id\":1}", "/id", Some("1"));
    check(r#"{"id":"a"}"#, "id", None);
    check(r#"{"id":"a"}"#, "/id/deeper", None);
}

#[test]
fn what_stands_before_a_fault_is_still_found() {
    check(r#"{"id":"a", nonsense"#, "/id", Some("a"));
    check(r#"{"x": nonsense, "id":"a"}"#, "/id", None);
    check("not json", "/id", None);
    check("", "/id", None);
    assert_eq!(
        find_one(b"{\"x\":\"\xff\",\"id\":7}", "/id").as_deref(),
        Some("7")
    );
    assert_eq!(find_one(b"{\"id\":\"\xff\"}", "/id"), None);
}

#[test]
fn several_pointers_and_one_inside_another() {
    let text = br#"{"type":"t","event":{"type":"e","ts":"1"},"id":"i"}"#;
    let found = find(
        text,
        &["/id", "/event/type", "/type", "/nowhere", "/event", "/id"],
    );
    let found: Vec<_> = found.iter().map(Option::as_deref).collect();
    assert_eq!(found, [Some("i"), Some("e"), Some("t"), None, None, Some("i")]);
}

#[test]
fn a_value_of_any_kind_is_found_as_it_is_written() {
    let text = br#"{"data": {"b" : [1, "x"]},"n":null}"#;
    assert_eq!(raw(text, "/data"), Some(r#"{"b" : [1, "x"]}"#));
    assert_eq!(raw(text, "/data/b/1"), Some(r#""x""#));
    assert_eq!(raw(text, "/n"), Some("null"));
    assert_eq!(raw(text, "/x"), None);
    assert_eq!(raw(br#"{"data":1,"data":2}"#, "/data"), None);
    assert_eq!(raw(br#"{"data":1"#, "/data"), None);
}

#[test]
fn what_a_verdict_hangs_on_is_there_once() {
    let check = |text: &str, expected: &[Result<Option<&str>, Repeated>]| {
        let found = find_unique(text.as_bytes(), &["/a", "/b/c"]);
        let found: Vec<_> = found
            .iter()
            .map(|it| it.as_ref().map(Option::as_deref).map_err(|it| *it))
            .collect();
        assert_eq!(found, expected, "{text}");
    };
    check(r#"{"a":1,"b":{"c":2}}"#, &[Ok(Some("1")), Ok(Some("2"))]);
    check(r#"{"a":1,"a":1,"b":{"c":2}}"#, &[Err(Repeated), Ok(Some("2"))]);
    check(r#"{"a":1,"\u0061":1}"#, &[Err(Repeated), Ok(None)]);
    check(r#"{"b":{"c":2},"b":{}}"#, &[Ok(None), Err(Repeated)]);
    check(r#"{"b":{},"b":{"c":2}}"#, &[Ok(None), Err(Repeated)]);
    check(
        r#"{"b":{"c":2,"c":3},"x":{"a":1,"a":2}}"#,
        &[Ok(None), Err(Repeated)],
    );
    check(r#"{"a":1,"b":{"c":2}} "#, &[Ok(Some("1")), Ok(Some("2"))]);
    for fault in [
        r#"{"a":1,"b":{"c":2}"#,
        r#"{"a":1,"b":{"c":2}}{}"#,
        r#"{"a":1,b:2}"#,
    ] {
        check(fault, &[Ok(None), Ok(None)]);
    }
}

#[test]
fn elements_are_those_of_the_one_array() {
    let check = |text: &str, expected: Option<&[&str]>| {
        let found = elements(text.as_bytes(), "/a");
        let found: Option<Vec<_>> = found.map(|it| it.into_iter().map(RawValue::get).collect());
        assert_eq!(found.as_deref(), expected, "{text}");
    };
    check(r#"{"a":[1, {"b": 2} ]}"#, Some(&["1", r#"{"b": 2}"#]));
    for none in [
        r#"{"a":[]}"#,
        r#"{"a":{}}"#,
        r#"{"a":null}"#,
        r#"{"b":[1]}"#,
        r#"{"a":[1],"a":[2]}"#,
        r#"{"a":[1]"#,
        "[1]",
    ] {
        check(none, None);
    }
}

#[test]
fn each_element_has_its_text() {
    let check = |text: &str, pointer: &str, expected: &[Option<&str>]| {
        let found = find_each(text.as_bytes(), &[pointer]).remove(0);
        let found: Vec<_> = found.iter().map(Option::as_deref).collect();
        assert_eq!(found, expected, "{pointer} in {text}");
    };
    check(
        r#"[{"id":1},{"id":"b"},{}]"#,
        "/*/id",
        &[Some("1"), Some("b"), None],
    );
    check(
        r#"{"e":[{"c":[{"i":1},{"i":2}]},{"c":[{"i":3}]},{}]}"#,
        "/e/*/c/*/i",
        &[Some("1"), Some("2"), Some("3"), None],
    );
    check(r#"{"e":["x","y"]}"#, "/e/*", &[Some("x"), Some("y")]);
    check(r#"{"e":[]}"#, "/e/*/id", &[None]);
    check(r#"{"*a":"x"}"#, "/*a", &[Some("x")]);
    check(r#"{"id":"x"}"#, "/id", &[Some("x")]);
    let text = br#"{"n":1,"e":[{"i":1,"c":[{"j":2},{"j":3}]},{"i":4}]}"#;
    let pointers = ["/e/*/i", "/n", "/e/*/c/*/j", "/f/*/i"];
    let several = find_each(text, &pointers);
    for (pointer, column) in pointers.iter().zip(several) {
        assert_eq!(column, find_each(text, &[pointer]).remove(0), "{pointer}");
    }
}

#[test]
fn nesting_of_any_depth_is_skipped() {
    let n = 200_000;
    let text = format!("{{\"deep\":{}{},\"id\":\"a\"}}", "[".repeat(n), "]".repeat(n));
    check(&text, "/id", Some("a"));
    check(&text, "/deep", None);
    check(&"[".repeat(n), "/id", None);
    check(&text, &"/0".repeat(100_000), None);
    check(&"{\"a\":".repeat(n), &"/a".repeat(n), None);
}
