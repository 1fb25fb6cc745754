//! Every page, light, dark and on a phone: an automated audit finds no barrier, and none is heavier than it may be.
//!
//! The audit is axe-core, from npm, under target/axe: `tests/axe/install`, which `tests/run` calls. Without it, that part is left out and
//! says so. With `GATEPOST_TEST_PICTURES` set to a folder, what was seen is written there.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::app::browser::{
    hostile::MAX_WEIGHT,
    scene,
    tab::{Look, Tab},
};

const PICTURES: &str = "GATEPOST_TEST_PICTURES";

#[expect(clippy::print_stderr, reason = "what is left out must not go unseen")]
fn axe() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/axe/node_modules/axe-core/axe.min.js");
    let axe = std::fs::read_to_string(path).ok();
    if axe.is_none() {
        eprintln!("NOT TESTED: whether pages are accessible; tests/axe/install fetches what tells it");
    }
    axe
}

#[expect(clippy::disallowed_methods, reason = "it is the test's own setting")]
fn pictures() -> Option<PathBuf> {
    std::env::var_os(PICTURES).map(PathBuf::from)
}

/// What it finds, a line each.
async fn barriers(tab: &mut Tab, axe: &str) -> Vec<String> {
    tab.eval(&format!("{axe};null")).await;
    let found = tab
        .eval("axe.run(document, { resultTypes: ['violations'] })")
        .await;
    let line = |it: &Value| {
        let nodes = it["nodes"].as_array().unwrap();
        format!(
            "{}: {} ({} times), first {:.600}",
            it["id"],
            it["help"],
            nodes.len(),
            nodes[0]
        )
    };
    found["violations"].as_array().unwrap().iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_accessible_light_and_dark_and_on_a_phone() {
    let Some(mut tab) = Tab::open().await else { return };
    let axe = axe();
    let pictures = pictures();
    let (site, app) = scene::set().await;
    let origin = format!("http://{}", app.admin);
    let pages = scene::pages(&mut tab, &origin).await;
    let mut faults = Vec::new();
    for look in Look::ALL {
        tab.look(look).await;
        for (name, url) in &pages {
            tab.go(url).await;
            let weight = tab.weight();
            assert!(weight > 1_000, "{name}: nothing was weighed");
            if weight > MAX_WEIGHT {
                faults.push(format!("{name}: {weight} bytes"));
            }
            let width = tab.eval("document.documentElement.scrollWidth").await;
            if width != look.size().0 {
                faults.push(format!("{name}, {}: {width} pixels wide", look.as_str()));
            }
            // The browser says that there is no such thing.
            let expected = usize::from(name == "problem");
            let complaints = tab.complaints(&origin);
            if complaints.len() > expected {
                faults.push(format!("{name}: {complaints:?}"));
            }
            if let Some(folder) = &pictures {
                std::fs::create_dir_all(folder).unwrap();
                let file = folder.join(format!("{name}-{}.png", look.as_str()));
                std::fs::write(file, tab.picture().await).unwrap();
            }
            if let Some(axe) = &axe {
                let found = barriers(&mut tab, axe).await;
                faults.extend(found.iter().map(|it| format!("{name}, {}: {it}", look.as_str())));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    app.stop().await;
    drop(site);
}
