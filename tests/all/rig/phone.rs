//! What the desk's program asks of `serve` for a person, over the socket, as a person's phone would have it.

use super::http::{Http, HttpAnswer};
use super::shop::{Program, Shop};
use super::stdout;
use qris::wire::desk::FROM;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The password of everybody here.
pub const PASSWORD: &str = "kopi susu pagi";

/// A phone, with what its browser keeps.
pub struct Phone {
    http: Http,
    socket: PathBuf,
    pub from: String,
    pub session: Option<String>,
    pub device: Option<String>,
}

/// Opens the desk's door of a shop that runs; its socket.
pub fn open_desk(shop: &mut Shop, more: &str) -> PathBuf {
    let socket = shop.path().join("serve.sock");
    let section = format!("\n[desk]\nurl = \"http://127.0.0.1:9\"\nsocket = \"{}\"\n{more}", socket.display());
    shop.edit(Program::Backend, |text| text + &section);
    shop.kill_backend();
    shop.start_backend();
    socket
}

/// The code of the link that a command has printed.
pub fn code(shop: &Shop, arguments: &[&str]) -> String {
    let output = shop.merchant(arguments);
    assert!(output.status.success(), "{output:?}");
    let told = stdout(&output);
    let link = told.lines().find(|line| line.starts_with("http")).unwrap_or_else(|| panic!("no link: {told}"));
    link.strip_prefix("http://127.0.0.1:9/join/").expect("the desk's address").to_owned()
}

impl Phone {
    pub fn new(socket: &Path, from: &str) -> Self {
        Self { http: Http::at_socket(socket), socket: socket.into(), from: from.into(), session: None, device: None }
    }

    /// A person who was just let in.
    pub fn of(shop: &Shop, socket: &Path, name: &str, role: &str) -> Self {
        let mut phone = Self::new(socket, "192.0.2.7");
        let code = code(shop, &["desk", "add", name, "--role", role]);
        let answer = phone.join(&code, PASSWORD);
        assert_eq!(answer.status, 200, "{}", answer.text());
        phone
    }

    /// The same session at another process.
    pub fn at(&self, socket: &Path) -> Self {
        Self { session: self.session.clone(), device: self.device.clone(), ..Self::new(socket, &self.from) }
    }

    /// The same session, for another thread.
    pub fn again(&self) -> Self {
        self.at(&self.socket)
    }

    pub fn get(&self, path: &str) -> HttpAnswer {
        self.http.get_from(&format!("http://serve/v1/{path}"), self.session.as_deref(), &[(FROM, &self.from)])
    }

    pub fn post(&self, path: &str, body: &Value) -> HttpAnswer {
        self.http.post(&format!("http://serve/v1/{path}"), self.session.as_deref(), &[(FROM, &self.from)], body)
    }

    /// What is told, where all is well.
    pub fn told(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()["told"].clone()
    }

    pub fn join(&mut self, code: &str, password: &str) -> HttpAnswer {
        let answer = self.post("join", &json!({"code": code, "password": password, "browser": "a test"}));
        self.keep(&answer);
        answer
    }

    pub fn login(&mut self, name: &str, password: &str) -> HttpAnswer {
        let answer = self.post("login", &json!({"name": name, "password": password, "device": self.device, "browser": "a test"}));
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &HttpAnswer) {
        if answer.status == 200 {
            let text = |name: &str| answer.json()[name].as_str().map(str::to_owned);
            (self.session, self.device) = (text("session"), text("device"));
        }
    }

    /// Does it to the order as it stands, whatever must be said first.
    pub fn settle(&self, order: &str, deed: &str) -> HttpAnswer {
        let is_sure = |page: &Value| {
            let possible = page["line"]["deeds"].as_array().expect("deeds").iter().find(|possible| possible["deed"] == deed).cloned();
            possible.map_or(Value::Null, |possible| possible["is_sure"].clone())
        };
        self.settle_as_seen(order, deed, is_sure).1
    }

    /// The page, and what comes of the deed. The gateway's word may come in between: then a person looks again.
    pub fn settle_as_seen(&self, order: &str, deed: &str, is_sure: impl Fn(&Value) -> Value) -> (Value, HttpAnswer) {
        let mut tries = (0..20).map(|_| {
            let page = self.told(&format!("orders/{order}"));
            let answer = self.settle_as(order, deed, &is_sure(&page), page["version"].as_u64().expect("a version"));
            (page, answer)
        });
        tries.find(|(_, answer)| answer.json()["code"] != "changed").expect("it does not change for ever")
    }

    /// Types the number that a customer reads out.
    pub fn tell_number(&self, order: &str, number: &str) -> HttpAnswer {
        let mut tries = (0..20).map(|_| {
            let version = self.told(&format!("orders/{order}"))["version"].clone();
            self.post(&format!("orders/{order}/number"), &json!({"note": "", "number": number, "version": version}))
        });
        tries.find(|answer| answer.json()["code"] != "changed").expect("it does not change for ever")
    }

    pub fn settle_as(&self, order: &str, deed: &str, is_sure: &Value, version: u64) -> HttpAnswer {
        let note = if deed == "by_hand" { "cash" } else { "" };
        let from_slot = (deed == "given").then_some(false);
        self.post(&format!("orders/{order}/{deed}"), &json!({"note": note, "is_sure": is_sure, "from_slot": from_slot, "version": version}))
    }
}
