//! A headless Chromium, driven over the WebDriver protocol by its own driver.

use super::http::Http;
use super::process::Process;
use super::{PATIENCE, command, free_port, pause, tool, wait_for};
use base64::Engine as _;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Chromium is started so often, at the most.
const STARTS: u32 = 3;

/// The browser; it ends with the test.
pub struct Browser {
    http: Http,
    session: String,
    /// Killed last: it ends the browser that it started.
    _driver: Process,
}

impl Browser {
    /// Starts it; `temporary` holds its profile.
    pub fn start(temporary: &Path) -> Self {
        Self::start_with(temporary, false)
    }

    /// The same, and it believes a certificate that no known authority has signed.
    pub fn start_believing(temporary: &Path) -> Self {
        Self::start_with(temporary, true)
    }

    fn start_with(temporary: &Path, believes: bool) -> Self {
        let mut command = command(tool("chromedriver"));
        // Of its own choice it takes one that the kernel gives to a connection at the same moment.
        let port = free_port();
        let driver = Process::start("chromedriver", command.arg(format!("--port={port}")).env("HOME", temporary).env("TMPDIR", temporary));
        driver.wait_line("started successfully on port");
        let profile = format!("--user-data-dir={}", temporary.join("profile").display());
        // Nothing but the page: a browser that looks for updates would need a network.
        let arguments = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --disable-background-networking \
                         --disable-component-update --disable-sync --no-first-run --no-proxy-server --window-size=1280,1000";
        let arguments: Vec<&str> = arguments.split(' ').chain([profile.as_str()]).collect();
        let options = json!({ "binary": tool("chromium"), "args": arguments });
        // Its own are half a minute for a script.
        let timeouts = json!({ "script": PATIENCE.as_millis(), "pageLoad": PATIENCE.as_millis() });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" }, "acceptInsecureCerts": believes, "timeouts": timeouts } } });
        let http = Http::new();
        let root = format!("http://127.0.0.1:{port}/session");
        // On a busy computer Chromium sometimes ends while it starts. No page of ours is in it yet, so it is started again.
        let ask = || http.post(&root, None, &[], &wanted);
        let answer = (1..STARTS).map(|_| ask()).find(|answer| answer.status == 200).unwrap_or_else(ask);
        let id = answer.json()["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned();
        Self { http, session: format!("{root}/{id}"), _driver: driver }
    }

    fn post(&self, command: &str, body: &Value) -> Value {
        let answer = self.http.post(&format!("{}/{command}", self.session), None, &[], body);
        assert_eq!(answer.status, 200, "{command} {body}: {}", answer.text());
        answer.json()["value"].take()
    }

    /// Goes to a page, and waits until it is loaded.
    pub fn open(&self, address: &str) {
        self.post("url", &json!({ "url": address }));
    }

    /// Runs a script in the page; what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Waits until a script returns true. If it never does, what the page says instead is told.
    pub fn wait(&self, what: &str, script: &str) {
        let begun = Instant::now();
        let shown = || self.run("return document.body.innerText.slice(0, 4000)");
        while self.run(script) != true {
            assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for: {what}; the page says {}", shown());
            pause(begun);
        }
    }

    /// Presses the first element that fits, as a mouse would: one that is covered or cannot be seen fails the test. One
    /// that a live page replaced just then is looked for again.
    pub fn click(&self, selector: &str) {
        wait_for(selector, || self.try_click(selector).then_some(()));
    }

    /// The same, once; whether it was there until it was pressed.
    pub fn try_click(&self, selector: &str) -> bool {
        let wanted = json!({ "using": "css selector", "value": selector });
        let mut found = self.http.post(&format!("{}/element", self.session), None, &[], &wanted);
        if found.status == 200 {
            let element = found.json()["value"].as_object().and_then(|found| found.values().next()?.as_str().map(str::to_owned));
            let element = element.expect("an element's id");
            let click = || self.http.post(&format!("{}/element/{element}/click", self.session), None, &[], &json!({}));
            found = click();
            if found.json()["value"]["error"] == "element click intercepted" {
                // It is behind the menu: a hand scrolls.
                self.run(&format!("document.querySelector({selector:?})?.scrollIntoView({{ block: 'center' }})"));
                found = click();
            }
        }
        let gone = found.status == 404
            && ["no such element", "stale element reference"].iter().any(|error| found.json()["value"]["error"] == *error);
        assert!(found.status == 200 || gone, "click {selector}: {}", found.text());
        !gone
    }

    /// Does something in the page that a frame of this page shows.
    pub fn inside(&self, frame: &str, work: impl FnOnce()) {
        let element = self.post("element", &json!({ "using": "css selector", "value": frame }));
        self.post("frame", &json!({ "id": element }));
        work();
        self.post("frame", &json!({ "id": null }));
    }

    pub fn text(&self, selector: &str) -> String {
        let text = self.run(&format!("return document.querySelector({selector:?}).textContent"));
        text.as_str().expect("a text").to_owned()
    }

    /// The texts that are seen and have less contrast to their ground than people need who see badly: 4.5 to 1. What cannot be pressed
    /// now may be fainter.
    pub fn faint_texts(&self) -> Value {
        self.run(FAINT)
    }

    pub fn count(&self, selector: &str) -> u64 {
        self.run(&format!("return document.querySelectorAll({selector:?}).length")).as_u64().expect("a number")
    }

    /// A phone: its screen in pixels of CSS, touch, and the languages that it asks for.
    pub fn be_phone(&self, width: u32, height: u32, languages: &str) {
        self.be(width, height, true);
        self.devtools("Emulation.setUserAgentOverride", &json!({ "userAgent": "Mozilla/5.0 (Linux; Android 14; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36", "acceptLanguage": languages }));
    }

    /// A window of this size on a desk.
    pub fn be_window(&self, width: u32, height: u32) {
        self.be(width, height, false);
    }

    fn be(&self, width: u32, height: u32, mobile: bool) {
        let looks = json!({ "width": width, "height": height, "deviceScaleFactor": 1 + u32::from(mobile), "mobile": mobile });
        self.devtools("Emulation.setDeviceMetricsOverride", &looks);
    }

    /// What the visitor's system prefers, such as `prefers-color-scheme: dark`.
    pub fn prefer(&self, feature: &str, value: &str) {
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [{ "name": feature, "value": value }] }));
    }

    /// Pages look as on paper.
    pub fn print(&self, is_paper: bool) {
        self.devtools("Emulation.setEmulatedMedia", &json!({ "media": if is_paper { "print" } else { "" } }));
    }

    /// Types at the first element that fits: `\u{e007}` is Enter.
    pub fn press(&self, selector: &str, key: &str) {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.post("element", &wanted);
        let element = found.as_object().and_then(|found| found.values().next()?.as_str()).expect("an element's id");
        self.post(&format!("element/{element}/value"), &json!({ "text": key }));
    }

    /// Whether pages may run scripts.
    pub fn allow_scripts(&self, allow: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": !allow }));
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.post("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// Keeps a picture of the page beside the build's other results, for people to look at.
    pub fn keep(&self, name: &str) {
        let answer = self.http.get(&format!("{}/screenshot", self.session), None).json();
        let picture = base64::engine::general_purpose::STANDARD.decode(answer["value"].as_str().expect("a picture")).expect("base64");
        std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), picture).expect("written");
    }

    /// The same of a phone that is as high as its page, in pixels of CSS.
    pub fn keep_whole(&self, name: &str) {
        let size = self.run("const all = document.documentElement; return [all.clientWidth, innerHeight, all.scrollHeight]");
        let look = |height: &Value| {
            let looks = json!({ "width": size[0], "height": height, "deviceScaleFactor": 1, "mobile": true });
            self.devtools("Emulation.setDeviceMetricsOverride", &looks);
        };
        look(&size[2]);
        self.keep(name);
        look(&size[1]);
    }

    /// What the browser's console calls severe: errors of the page's script, answers that failed.
    pub fn errors(&self) -> Vec<String> {
        let log = self.post("se/log", &json!({ "type": "browser" }));
        let severe = log.as_array().expect("a list").iter().filter(|line| line["level"] == "SEVERE");
        severe.map(|line| line["message"].to_string()).collect()
    }
}

/// Grounds are laid over each other from the page's to the text's. A picture made of colours counts as each of them, as the text may stand
/// on any.
const FAINT: &str = include_str!("faint.js");

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends its browser before it answers; without a driver there is no browser to end.
        drop(self.http.try_delete(&self.session));
    }
}
