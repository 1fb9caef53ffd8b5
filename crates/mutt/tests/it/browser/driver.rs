//! A real Chromium without a window, driven through chromedriver's WebDriver door: keys go in, what the
//! page holds and what the browser complained of come out.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::http::Client;
use crate::support::tools;
use crate::support::wait::{LONG, within};

/// Keys by their WebDriver names.
pub(super) const TAB: &str = "\u{e004}";
pub(super) const ENTER: &str = "\u{e007}";
pub(super) const SPACE: &str = " ";
const CONTROL: &str = "\u{e009}";

/// Nothing of it lasts, nothing of it calls home.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];
/// More steps than any page has places to stop at.
const STEPS: usize = 250;

/// A browser with one page. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Browser {
    driver: Child,
    door: Client,
    session: String,
    origin: String,
    /// Held open: a driver that cannot write ends.
    _said: BufReader<ChildStdout>,
    _folder: tempfile::TempDir,
}

impl Browser {
    /// A browser for the pages of one program; none, with a printed line, where it is not installed.
    pub(super) fn start(pages: SocketAddr) -> Option<Self> {
        let (chromium, chromedriver) = (tools::find("chromium")?, tools::find("chromedriver")?);
        let folder = tempfile::tempdir().unwrap();
        let mut driver = Command::new(chromedriver)
            .arg("--port=0")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let port = said.by_ref().lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        let port: u16 = port.expect("chromedriver says where it listens");
        let door = Client::new(SocketAddr::from(([127, 0, 0, 1], port)));
        let origin = format!("http://{pages}");
        let mut browser =
            Self { driver, door, session: String::new(), origin, _said: said, _folder: folder };
        let mut flags: Vec<String> = FLAGS.map(ToOwned::to_owned).to_vec();
        flags.push(format!("--user-data-dir={}", browser._folder.path().join("profile").display()));
        flags.push("--window-size=1400,900".to_owned());
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": chromium, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }}});
        let made = browser.call("POST", "/session", &wanted).unwrap();
        browser.session = format!("/session/{}", made["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// One command; the error is the driver's.
    fn call(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let headers = [("content-type", "application/json")];
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let answer = self.door.request(method, path, &headers, body.as_bytes()).unwrap();
        let value = answer.json()["value"].take();
        if answer.status == 200 { Ok(value) } else { Err(value) }
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        self.call(method, &format!("{}{path}", self.session), body)
    }

    #[track_caller]
    fn must(&mut self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, path, body).unwrap_or_else(|e| panic!("{path}: {e:#}"))
    }

    /// Types an address.
    #[track_caller]
    pub(super) fn open(&mut self, path: &str) {
        let url = format!("{}{path}", self.origin);
        self.must("POST", "/url", &json!({"url": url}));
    }

    /// What a script in the page gives back.
    #[track_caller]
    pub(super) fn eval(&mut self, script: &str) -> Value {
        self.must("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// As [`Browser::eval`], of an expression.
    #[track_caller]
    pub(super) fn value(&mut self, expression: &str) -> Value {
        self.eval(&format!("return {expression};"))
    }

    /// Waits until an expression is true; a page on its way out has no values.
    #[track_caller]
    pub(super) fn wait(&mut self, expression: &str) {
        if !self.wait_for(LONG, expression) {
            let page = self.value("location.href + ' ' + document.body.innerText");
            panic!("waited in vain for {expression} on {page}");
        }
    }

    /// Whether an expression becomes true in time.
    pub(super) fn wait_for(&mut self, time: Duration, expression: &str) -> bool {
        let script = json!({"script": format!("return !!({expression});"), "args": []});
        let look = || {
            let told = self.ask("POST", "/execute/sync", &script);
            (told == Ok(Value::Bool(true))).then_some(())
        };
        within(time, look).is_some()
    }

    /// The text of the first element that is found.
    #[track_caller]
    pub(super) fn text(&mut self, css: &str) -> String {
        let found = self.value(&format!("document.querySelector({css:?})?.innerText ?? null"));
        found.as_str().unwrap_or_else(|| panic!("no {css} here")).to_owned()
    }

    /// Presses keys one after the other.
    #[track_caller]
    pub(super) fn keys(&mut self, keys: &str) {
        let press = |key: char| {
            let of = |kind: &str| json!({"type": kind, "value": key.to_string()});
            [of("keyDown"), of("keyUp")]
        };
        self.strokes(keys.chars().flat_map(press).collect());
    }

    /// Takes away what stands in a field and types anew.
    #[track_caller]
    pub(super) fn retype(&mut self, text: &str) {
        let of = |kind: &str, key: &str| json!({"type": kind, "value": key});
        let down = [of("keyDown", CONTROL), of("keyDown", "a")];
        self.strokes(down.into_iter().chain([of("keyUp", "a"), of("keyUp", CONTROL)]).collect());
        self.keys(text);
    }

    #[track_caller]
    fn strokes(&mut self, strokes: Vec<Value>) {
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes});
        self.must("POST", "/actions", &json!({"actions": [keyboard]}));
    }

    /// Goes on by Tab until the element has the focus.
    #[track_caller]
    pub(super) fn tab_to(&mut self, css: &str) {
        let there = format!("document.activeElement.matches({css:?})");
        for _ in 0..STEPS {
            self.keys(TAB);
            if self.value(&there) == true {
                return;
            }
        }
        let page = self.value("location.href + ' ' + document.body.innerText");
        panic!("{css} is not reached by Tab on {page}");
    }

    /// Fills a field.
    #[track_caller]
    pub(super) fn fill(&mut self, css: &str, text: &str) {
        self.tab_to(css);
        self.keys(text);
    }

    /// Goes to a link or button, presses Enter, and waits for the page that comes.
    #[track_caller]
    pub(super) fn follow(&mut self, css: &str) {
        self.tab_to(css);
        self.enter();
    }

    /// Presses Enter and waits for the page that comes.
    #[track_caller]
    pub(super) fn enter(&mut self) {
        self.eval("window.before = true;");
        self.keys(ENTER);
        self.wait("!window.before && document.readyState === 'complete'");
    }

    /// A DevTools command.
    #[track_caller]
    pub(super) fn devtools(&mut self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.must("POST", "/goog/cdp/execute", &body)
    }

    /// The picture of what is seen, as the driver gives it.
    #[track_caller]
    pub(super) fn picture(&mut self) -> String {
        self.must("GET", "/screenshot", &Value::Null).as_str().unwrap().to_owned()
    }

    /// The names that assistive programs read, of all elements that are found.
    #[track_caller]
    pub(super) fn names(&mut self, css: &str) -> Vec<String> {
        let wanted = json!({"using": "css selector", "value": css});
        let found = self.must("POST", "/elements", &wanted).as_array().unwrap().clone();
        let ids = found.iter().filter_map(|one| one.as_object()?.values().next()?.as_str());
        ids.map(|id| {
            let name = self.must("GET", &format!("/element/{id}/computedlabel"), &Value::Null);
            name.as_str().unwrap_or_default().to_owned()
        })
        .collect()
    }

    /// What the console says since it was asked last.
    #[track_caller]
    pub(super) fn console(&mut self) -> Vec<String> {
        let log = self.must("POST", "/se/log", &json!({"type": "browser"}));
        let lines = log.as_array().unwrap().iter();
        lines.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Every request that left since it was asked last.
    #[track_caller]
    pub(super) fn requests(&mut self) -> Vec<String> {
        let log = self.must("POST", "/se/log", &json!({"type": "performance"}));
        let told = log.as_array().unwrap().iter().filter_map(|line| {
            let told: Value = serde_json::from_str(line["message"].as_str()?).ok()?;
            let sent = told["message"]["method"] == "Network.requestWillBeSent";
            let url = told.pointer("/message/params/request/url")?.as_str()?.to_owned();
            sent.then_some(url)
        });
        told.collect()
    }

    /// Nothing was complained of, and nothing went elsewhere.
    #[track_caller]
    pub(super) fn is_quiet(&mut self) {
        let said = self.console();
        assert!(said.is_empty(), "the console says {said:#?}");
        // The browser's own first page comes from itself.
        let own = format!("{}/", self.origin);
        let ours = |url: &str| [&own, "chrome://", "data:"].iter().any(|o| url.starts_with(*o));
        let away: Vec<String> = self.requests().into_iter().filter(|url| !ours(url)).collect();
        assert!(away.is_empty(), "requests to elsewhere: {away:#?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // The driver takes its browser with it.
            let _ = self.door.request("DELETE", &self.session, &[], b"");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
