//! A tab of a headless Chromium, driven by the protocol of its developer tools over a pipe: no port, no driver, no package.
//!
//! Messages are JSON with a NUL behind each. One is sent, and what comes is read until its answer is there; whatever the browser tells
//! meanwhile is kept for whoever asks.

use std::{path::Path, process::Stdio};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use crate::app::soon;

const BROWSERS: [&str; 2] = ["/usr/bin/chromium", "/usr/bin/google-chrome"];

/// It reads commands from descriptor 3 and answers on 4; a shell puts our pipes there.
const WITH_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// A name that pages may call, and none of ours does: whoever calls it is a script of a stranger.
pub(super) const CANARY: &str = "itRan";
/// What the console says then.
pub(super) const SONG: &str = "a script of a stranger ran";

pub(super) struct Tab {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    n_sent: u64,
    told: Vec<Value>,
    /// Of the document that is shown.
    loader: String,
    _browser: Child,
    _profile: TempDir,
}

/// What a page may want to be seen as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Light,
    Dark,
    Phone,
}

impl Look {
    pub(super) const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Phone];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Phone => "phone",
        }
    }

    /// Pixels across and down.
    pub(super) const fn size(self) -> (u32, u32) {
        match self {
            Self::Light | Self::Dark => (1280, 900),
            Self::Phone => (390, 844),
        }
    }
}

impl Tab {
    /// `None` where there is no browser; says so.
    #[expect(clippy::print_stderr, reason = "what is left out must not go unseen")]
    pub(super) async fn open() -> Option<Self> {
        let Some(program) = BROWSERS.into_iter().find(|it| Path::new(it).exists()) else {
            eprintln!("NOT TESTED: there is no browser; Debian: apt-get install chromium");
            return None;
        };
        let profile = TempDir::new().unwrap();
        let mut browser = Command::new("sh")
            .args(["-c", WITH_PIPES, program])
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args(["--no-first-run", "--disable-extensions", "--hide-scrollbars"])
            .args(["--remote-debugging-pipe", "--lang=en-US"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut tab = Self {
            input: browser.stdin.take().unwrap(),
            output: BufReader::new(browser.stdout.take().unwrap()),
            session: None,
            n_sent: 0,
            told: Vec::new(),
            loader: String::new(),
            _browser: browser,
            _profile: profile,
        };
        let target = tab
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = tab.call("Target.attachToTarget", attach).await;
        tab.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network", "DOM"] {
            tab.call(&format!("{domain}.enable"), json!({})).await;
        }
        tab.call("Page.setLifecycleEventsEnabled", json!({ "enabled": true }))
            .await;
        let sings = format!("window.{CANARY} = () => console.error('{SONG}')");
        tab.call(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": sings }),
        )
        .await;
        // What is weighed is the whole page.
        tab.call("Network.setCacheDisabled", json!({ "cacheDisabled": true }))
            .await;
        tab.look(Look::Light).await;
        Some(tab)
    }

    pub(super) async fn call(&mut self, method: &str, params: Value) -> Value {
        self.n_sent += 1;
        let id = self.n_sent;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).await.unwrap();
        loop {
            let told = self.read(method).await;
            if told["id"] == id {
                assert!(told["error"].is_null(), "{method}: {}", told["error"]);
                return told["result"].clone();
            }
            self.told.push(told);
        }
    }

    async fn read(&mut self, what: &str) -> Value {
        let mut bytes = Vec::new();
        soon(what, self.output.read_until(0, &mut bytes)).await.unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser is gone: {what}");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Goes there and waits until it is loaded, scripts and all.
    pub(super) async fn go(&mut self, url: &str) {
        self.told.clear();
        let gone = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(gone["errorText"].is_null(), "{url}: {gone}");
        // To a place in the page that is shown.
        if gone["loaderId"].is_null() {
            return;
        }
        let loader = gone["loaderId"].clone();
        self.until_loaded(url, |it| *it == loader).await;
    }

    async fn until_loaded(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) {
        let is_loaded = |it: &Value| {
            it["method"] == "Page.lifecycleEvent"
                && it["params"]["name"] == "load"
                && is_it(&it["params"]["loaderId"])
        };
        let found = loop {
            if let Some(it) = self.told.iter().find(|it| is_loaded(it)) {
                break it["params"]["loaderId"].clone();
            }
            let told = self.read(what).await;
            self.told.push(told);
        };
        found.as_str().unwrap().clone_into(&mut self.loader);
    }

    /// What an expression is in the page, by way of JSON.
    pub(super) async fn eval(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let done = self.call("Runtime.evaluate", params).await;
        assert!(
            done["exceptionDetails"].is_null(),
            "{expression:.200}: {done:.2000}"
        );
        done["result"]["value"].clone()
    }

    pub(super) async fn text(&mut self, selector: &str) -> String {
        let text = self
            .eval(&format!("document.querySelector({})?.innerText", json!(selector)))
            .await;
        let text = text.as_str().map(str::to_owned);
        text.unwrap_or_else(|| panic!("nothing is at `{selector}`"))
    }

    /// Clicks with the mouse in the middle of the first one, which must be seen and on top.
    pub(super) async fn click(&mut self, selector: &str) {
        let place = self
            .eval(&format!(
                "(() => {{
                    const it = document.querySelector({});
                    it.scrollIntoView({{ block: 'center' }});
                    const box = it.getClientRects()[0];
                    const at = {{ x: box.x + box.width / 2, y: box.y + box.height / 2 }};
                    return {{ ...at, isOnTop: it.contains(document.elementFromPoint(at.x, at.y)) }};
                }})()",
                json!(selector)
            ))
            .await;
        assert_eq!(place["isOnTop"], true, "`{selector}` is covered: {place}");
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place["x"], "y": place["y"], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Clicks, and waits for the page that this leads to.
    pub(super) async fn follow(&mut self, selector: &str) {
        self.told.clear();
        let before = json!(self.loader);
        self.click(selector).await;
        self.until_loaded(selector, |it| *it != before).await;
    }

    pub(super) async fn press(&mut self, key: &str) {
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { key } else { "" };
            let event = json!({ "type": kind, "key": key, "text": text });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    pub(super) async fn look(&mut self, look: Look) {
        let scheme = if look == Look::Dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media).await;
        let (width, height) = look.size();
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": look == Look::Phone,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// As PNG, no more than fits on the screen.
    pub(super) async fn picture(&mut self) -> Vec<u8> {
        let shot = self
            .call(
                "Page.captureScreenshot",
                json!({ "format": "png", "optimizeForSpeed": false }),
            )
            .await;
        STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// Bytes that came for the page since `go`.
    pub(super) fn weight(&self) -> u64 {
        let finished = self
            .told
            .iter()
            .filter(|it| it["method"] == "Network.loadingFinished");
        finished
            .map(|it| it["params"]["encodedDataLength"].as_u64().unwrap())
            .sum()
    }

    /// What should not be: scripts of strangers that ran, what the policy stopped, faults of ours, questions, other places called.
    pub(super) fn complaints(&self, origin: &str) -> Vec<String> {
        let is_bad = |it: &&Value| match it["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" => true,
            "Log.entryAdded" => it["params"]["entry"]["level"] != "verbose",
            "Runtime.consoleAPICalled" => it["params"]["type"] != "log",
            "Network.requestWillBeSent" => {
                let url = it["params"]["request"]["url"].as_str().unwrap_or_default();
                !url.starts_with(origin)
            }
            _ => false,
        };
        self.told
            .iter()
            .filter(is_bad)
            .map(|it| format!("{it:.600}"))
            .collect()
    }
}
