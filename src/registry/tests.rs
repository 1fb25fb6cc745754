use std::time::Duration;

use crate::{
    base::{safe_url::SafeUrl, secret::Secret},
    destination::{
        self, Kind,
        breaker::Rules,
        retry::{Retry, Statuses},
    },
    event::order::Mode,
    provider,
    registry::{Registry, Settings, Snapshot, check_routes},
    route::{self, order},
    source,
};

fn source(name: &str) -> source::Settings {
    source::Settings {
        name: name.to_owned(),
        provider: provider::find("github").unwrap().clone(),
        secrets: vec![Secret::new("a-secret-that-is-long-enough")],
        verify_token: None,
        tolerance: None,
        max_body: None,
        rate: None,
        public_url: None,
        redact: crate::source::redact::Redact::default(),
    }
}

fn destination(name: &str) -> destination::Settings {
    destination::Settings {
        name: name.to_owned(),
        kind: Kind::Http(SafeUrl::new("http://127.0.0.1:3000/".parse().unwrap())),
        timeout: Duration::from_secs(30),
        concurrency: 1,
        rate: None,
        signing_secret: None,
        signing_secrets: Vec::new(),
        headers: Vec::new(),
        retry: Retry {
            max_attempts: 1,
            max_age: Duration::from_mins(1),
            first: Duration::from_secs(1),
            cap: Duration::from_secs(1),
            schedule: Vec::new(),
            on: None,
            never: Statuses::NONE,
        },
        hold_after: None,
        oauth2: None,
        proxy: None,
        tls: destination::Tls::default(),
        breaker: Rules::default(),
    }
}

fn route(source: &str, destination: &str) -> route::Settings {
    route::Settings {
        name: None,
        source: source.to_owned(),
        destination: destination.to_owned(),
        types: Vec::new(),
        filter: None,
        transform: None,
        order: None,
        deduplicate: None,
        delay: Duration::ZERO,
    }
}

fn settings() -> Settings {
    Settings {
        sources: vec![source("orders"), source("code")],
        destinations: vec![destination("app"), destination("log")],
        routes: vec![route("code", "log"), route("orders", "log"), route("code", "app")],
    }
}

#[test]
fn a_sound_config_is_found_by_name_and_keeps_the_order_of_its_routes() {
    let snapshot = Snapshot::build(&settings()).unwrap();
    assert_eq!(&**snapshot.source("orders").unwrap().name(), "orders");
    assert_eq!(&*snapshot.destination("app").unwrap().name, "app");
    let of_code: Vec<_> = snapshot
        .routes_of("code")
        .iter()
        .map(|it| &*it.destination)
        .collect();
    assert_eq!(of_code, ["log", "app"]);
    assert!(snapshot.routes_of("nobody").is_empty());
    let name = &snapshot.routes[0].name;
    assert_eq!(&*snapshot.route(name).unwrap().source, "code");
}

#[test]
fn every_fault_is_reported_at_once_with_its_path() {
    let mut settings = settings();
    settings.sources[1].secrets.clear();
    settings.sources.push(source("orders"));
    settings.destinations.push(destination("app"));
    settings.routes.push(route("order", "nowhere"));
    settings.routes.push(route("code", "log"));
    let faults = Snapshot::build(&settings).unwrap_err();
    let paths: Vec<_> = faults.iter().map(|it| it.path.as_str()).collect();
    let expected = [
        "sources.code.secrets",
        "sources.orders",
        "destinations.app",
        "routes[3].source",
        "routes[3].destination",
        "routes[4]",
    ];
    assert_eq!(paths, expected);
    assert_eq!(faults[3].hint.as_deref(), Some("did you mean `orders`?"));
}

#[test]
fn a_route_orders_by_resource_only_where_the_resource_is_known() {
    let mut settings = settings();
    settings.routes[1].order = Some(order::Settings {
        by: "resource".to_owned(),
        time: "occurred_at".to_owned(),
        mode: Mode::Latest,
    });
    assert!(Snapshot::build(&settings).is_ok());
    let of_orders = settings.sources.iter_mut().find(|it| it.name == "orders");
    of_orders.unwrap().provider = provider::find("hmac").unwrap().clone();
    let faults = Snapshot::build(&settings).unwrap_err();
    let paths: Vec<_> = faults.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["routes[1].order.by"]);
}

#[test]
fn a_route_to_a_faulty_source_is_no_fault_of_its_own() {
    let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let routes = [route("orders", "app")];
    let faults = check_routes(routes.iter().enumerate(), &names(&["orders"]), &names(&["app"]));
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn who_holds_the_old_snapshot_finishes_with_it() {
    let registry = Registry::new(Snapshot::build(&settings()).unwrap());
    let old = registry.current();
    registry
        .clone()
        .replace(Snapshot::build(&Settings::default()).unwrap());
    assert!(old.source("orders").is_some());
    assert!(registry.current().source("orders").is_none());
}
