use std::time::{Duration, Instant};

use super::*;
use crate::route::fixture;

fn event(body: &[u8]) -> Event {
    let headers: [(&str, &[u8]); 3] = [
        ("content-type", b"application/json"),
        ("x-tag", b"a"),
        ("x-tag", b"b"),
    ];
    fixture::event(body, &headers)
}

fn transform(program: &str) -> Result<Transform, Fault> {
    Transform::new(&Settings {
        name: "test.js".to_owned(),
        program: program.to_owned(),
    })
}

/// Of a handler's body.
fn run(program: &str, body: &[u8]) -> Result<Output, TransformError> {
    let program = format!("addHandler('transform', (request, context) => {{ {program} }})");
    transform(&program)
        .unwrap()
        .run_here(&Input::new(&event(body), 3))
}

fn text(output: &Output) -> &str {
    std::str::from_utf8(&output.body).unwrap()
}

#[test]
fn a_program_changes_body_and_headers() {
    let program = "request.body.seen = context.attempt; request.headers['X-New'] = 5; delete request.headers['x-tag']; return request";
    let output = run(program, br#"{"id": 1}"#).unwrap();
    assert_eq!(text(&output), r#"{"id":1,"seen":3}"#);
    let changed = output.apply(&event(br#"{"id": 1}"#));
    let headers: Vec<_> = changed.headers.iter().collect();
    assert_eq!(
        headers,
        [("content-type", &b"application/json"[..]), ("x-new", b"5")]
    );
}

#[test]
fn a_program_sees_the_query_as_it_was_written() {
    let event = Event {
        query: "shop=%C3%A9+1&shop=2&\"".to_owned(),
        ..event(b"{}")
    };
    let program = "addHandler('transform', (request) => { request.body.query = request.query; request.query = 'x'; return request })";
    let output = transform(program)
        .unwrap()
        .run_here(&Input::new(&event, 1))
        .unwrap();
    assert_eq!(text(&output), r#"{"query":"shop=%C3%A9+1&shop=2&\""}"#);
    assert_eq!(output.apply(&event).query, event.query);
}

#[test]
fn a_program_sees_the_event_as_it_is_documented() {
    let program = "console.log(context.source, context.type, request.path, request.headers['x-tag'], typeof request.body); \
                   console.error({ id: context.id.slice(0, 4) }); return request";
    let output = run(program, b"not json").unwrap();
    assert_eq!(
        output.lines,
        [
            r#"shop order.paid /webhooks/shop ["a","b"] string"#,
            r#"{"id":"evt_"}"#
        ]
    );
}

#[test]
fn a_body_that_is_left_alone_stays_byte_for_byte() {
    let bodies: [&[u8]; 7] = [
        br#"{ "big": 12345678901234567890, "rate": 1.10, "a": 1, "a": 2 }"#,
        b"plain",
        b"\xff\xfe not utf-8",
        b"",
        br#""a text""#,
        b" [1.0] ",
        b"null",
    ];
    for body in bodies {
        let output = run("request.headers.x = 'y'; return request", body).unwrap();
        assert_eq!(&output.body[..], body, "{body:?}");
        let sent = output.apply(&event(body));
        assert_eq!(sent.headers.first_str("content-type"), Some("application/json"));
    }
}

#[test]
fn a_value_is_written_as_json_and_says_so() {
    let event = Event {
        headers: Headers::from_pairs([("Content-Type", &b"application/x-www-form-urlencoded"[..])]),
        ..event(b"a=1&b=2")
    };
    let program = "addHandler('transform', (request) => { \
                   const body = Object.fromEntries(request.body.split('&').map((it) => it.split('='))); \
                   return { ...request, body } })";
    let output = transform(program)
        .unwrap()
        .run_here(&Input::new(&event, 1))
        .unwrap();
    let sent = output.apply(&event);
    assert_eq!(&sent.body[..], br#"{"a":"1","b":"2"}"#);
    assert_eq!(sent.headers.first_str("content-type"), Some("application/json"));
    assert_eq!(sent.headers.all("content-type").count(), 1);
}

#[test]
fn a_promise_is_waited_for_and_never_for_ever() {
    let output = run(
        "return Promise.resolve(request).then((it) => { it.body = 'later'; return it })",
        b"{}",
    )
    .unwrap();
    assert_eq!(text(&output), "later");
    let error = run("return new Promise(() => {})", b"{}").unwrap_err();
    assert!(error.to_string().contains("promise"), "{error}");
    let error = run("return Promise.reject(new Error('no'))", b"{}").unwrap_err();
    assert!(error.to_string().contains("no"), "{error}");
}

#[test]
fn nothing_is_left_of_a_run() {
    let program =
        "globalThis.n = (globalThis.n ?? 0) + 1; request.body = String(globalThis.n); return request";
    let program = format!("addHandler('transform', (request) => {{ {program} }})");
    let transform = transform(&program).unwrap();
    for _ in 0..2 {
        let output = transform.run_here(&Input::new(&event(b"{}"), 1)).unwrap();
        assert_eq!(text(&output), "1");
    }
}

#[test]
fn a_program_that_takes_the_language_apart_changes_its_own_run_alone() {
    let program = "JSON.stringify = () => 'x'; JSON.parse = null; Object.entries = null; String = null; console = null; \
                   request.body.seen = true; return request";
    let output = run(program, br#"{"id":1}"#).unwrap();
    assert_eq!(text(&output), r#"{"id":1,"seen":true}"#);
}

#[test]
fn what_is_rare_is_there_where_it_is_named() {
    let program = "request.body = [new Uint8Array([1, 300])[1], new DataView(new ArrayBuffer(2)).byteLength]; return request";
    assert_eq!(text(&run(program, b"{}").unwrap()), "[44,2]");
    let program = "request.body = [Array.isArray([]), [...new Set([1])], typeof Promise, /a+/.test('aa'), typeof Reflect, 2n ** 70n > 1]; \
                   return request";
    assert_eq!(
        text(&run(program, b"{}").unwrap()),
        r#"[true,[1],"function",true,"object",true]"#
    );
}

#[test]
fn what_is_seldom_is_there_where_it_is_named() {
    for (expression, expected) in [
        ("new Date(0).getTime()", "0"),
        ("/b+/.exec('abb')[0]", r#""bb""#),
        ("'a1b'.match('[0-9]')[0]", r#""1""#),
        ("'a1b'.search('1')", "1"),
        ("[...'a1b2'.matchAll('[0-9]')].length", "2"),
        ("RegExp('x').test('x')", "true"),
        ("[...new Map([[1, 2]])]", "[[1,2]]"),
        ("[...new Set([1, 1])]", "[1]"),
        ("new WeakMap() instanceof WeakMap", "true"),
        ("new Proxy({ a: 1 }, {}).a", "1"),
        ("typeof Promise.resolve(1)", r#""object""#),
        ("typeof (async () => 1)()", r#""object""#),
        ("typeof Array.fromAsync", r#""function""#),
        // Those that say no such word.
        ("'a,b'.split(',')", r#"["a","b"]"#),
        ("'aa'.replaceAll('a', 'b') + 'x'.replace('x', 'y')", r#""bby""#),
        ("[...(function* () { yield 1 })()]", "[1]"),
        ("[3, 1].sort().concat([2]).at(-1)", "2"),
        ("Object.entries({ a: `${1 + 1}` })", r#"[["a","2"]]"#),
        (
            "[Math.max(1, 2), parseInt('7x'), JSON.stringify({}), 2n ** 3n + '']",
            r#"[2,7,"{}","8"]"#,
        ),
        (
            "encodeURIComponent('a b') + typeof Reflect + typeof Symbol.iterator",
            r#""a%20bobjectsymbol""#,
        ),
    ] {
        let program = format!("request.body = {expression}; return request");
        let output = run(&program, b"{}").unwrap_or_else(|it| panic!("{expression}: {it}"));
        let shown = if output.is_json {
            text(&output).to_owned()
        } else {
            format!("{:?}", text(&output))
        };
        assert_eq!(shown, expected, "{expression}");
    }
}

#[test]
fn faults_of_a_program_are_named_with_their_place() {
    let cases = [
        ("let a = ;", "test.js:1"),
        ("\n\nthrow new Error('at once')", "at once"),
        ("const a = 1", "never calls addHandler"),
        ("addHandler('transfrom', () => 1)", "the only handler is"),
        ("addHandler('transform', 5)", "a name and a function"),
        ("while (true) {}", "longer than"),
    ];
    for (program, expected) in cases {
        let fault = transform(program).unwrap_err();
        assert!(fault.problem.contains(expected), "{program}: {}", fault.problem);
    }
    let cases = [
        ("return request.body.a.b", "test.js"),
        ("return null", "returned no request"),
        ("return 5", "returned no request"),
        ("return { headers: {} }", "without a body"),
        ("throw 'a text'", "a text"),
        ("throw { no: 'error' }", "no error"),
        (
            "return { body: 1, headers: Object.fromEntries([...Array(300).keys()].map((it) => ['x' + it, it])) }",
            "headers",
        ),
        ("return fetch('http://example.com')", "fetch"),
        ("return require('fs')", "require"),
        ("setTimeout(() => {}, 1)", "setTimeout"),
    ];
    for (program, expected) in cases {
        let error = run(program, b"{}").unwrap_err();
        assert!(error.to_string().contains(expected), "{program}: {error}");
    }
}

#[test]
fn a_hostile_program_is_cut_off() {
    let cases = [
        "while (true) {}",
        "for (;;) { try { while (true) {} } catch {} }",
        "const a = []; while (true) a.push('x'.repeat(1 << 20) + a.length)",
        "request.body = 'x'.repeat(1 << 30); return request",
        "const f = () => f() + 1; return f()",
        "return { body: /^(a+)+$/.test('a'.repeat(40) + 'b') }",
        "let n = 2n; while (true) n = n * n",
        "request.body = []; for (;;) request.body = [request.body]",
        "const p = () => Promise.resolve().then(p); return p()",
        "return JSON.parse('['.repeat(100000))",
        "return new Proxy({}, { get() { while (true) {} } })",
        "request.toString = 1; return { body: { toJSON() { while (true) {} } } }",
        "console.log = null; return { body: 'x', headers: { get a() { while (true) {} } } }",
    ];
    for program in cases {
        let started = Instant::now();
        run(program, b"{}").unwrap_err();
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{program} took {:?}",
            started.elapsed()
        );
    }
}

#[tokio::test]
async fn a_hanging_program_holds_up_no_other() {
    let hanging = transform("addHandler('transform', () => { while (true) {} })").unwrap();
    let quick = transform("addHandler('transform', (it) => it)").unwrap();
    let input = Input::new(&event(b"{}"), 1);
    let hang = async {
        let runs = (0..4).map(|_| hanging.run(input.clone()));
        futures_util::future::join_all(runs).await
    };
    let work = async {
        for _ in 0..20 {
            quick.run(input.clone()).await.unwrap();
        }
    };
    tokio::pin!(hang);
    tokio::select! {
        biased;
        _ = &mut hang => panic!("the hanging ones were over first"),
        () = work => {}
    }
    assert!(hang.await.iter().all(Result::is_err));
}
