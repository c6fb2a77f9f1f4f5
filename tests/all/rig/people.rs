//! The people of a merchant at the desk: the program of their pages, and a browser without pictures for each.

use super::http::Http;
use super::process::Process;
use super::shop::{Options, Program, Shop};
use super::{command, free_port, stdout};
use reqwest::header::HeaderMap;
use std::cell::RefCell;

/// A password that anybody may choose.
pub const PASSWORD: &str = "sapi makan rumput hijau";

/// A shop with a desk. The desk ends before the backend that it asks.
pub struct Desk {
    pub desk: Option<Process>,
    pub shop: Shop,
    /// Where the desk listens.
    pub url: String,
    pub port: u16,
}

impl Desk {
    /// A shop without a machine, and its desk.
    pub fn open() -> Self {
        Self::open_with(Options { machine: false, ..Options::default() })
    }

    pub fn open_with(options: Options) -> Self {
        let mut shop = Shop::open(options);
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        shop.kill_backend();
        let socket = shop.path().join("serve.sock");
        let section = format!("[desk]\nurl = \"{url}\"\nsocket = \"{}\"\n", socket.display());
        shop.edit(Program::Backend, |text| format!("{text}\n{section}[customer]\nmerchant = \"Warung Jaya\"\n"));
        shop.start_backend();
        let mut desk = Self { desk: None, shop, url, port };
        desk.start(&["--plain-http"]);
        desk
    }

    /// Starts the desk's program, with what it is told besides.
    pub fn start(&mut self, more: &[&str]) {
        drop(self.desk.take());
        let socket = self.shop.path().join("serve.sock");
        let mut start = command(env!("CARGO_BIN_EXE_qris-desk"));
        start.arg("--listen").arg(format!("127.0.0.1:{}", self.port)).arg("--socket").arg(&socket).args(more);
        self.desk = Some(Process::start_service("qris-desk", &mut start, self.shop.path()));
    }

    /// Adds a person; the secret of the link.
    pub fn add(&self, name: &str, role: &str) -> String {
        let told = self.shop.merchant(&["desk", "add", name, "--role", role]);
        let text = stdout(&told);
        assert!(told.status.success(), "{text} {}", super::stderr(&told));
        let (_, code) = text.split_once("/join/").unwrap_or_else(|| panic!("no link in {text}"));
        code.split_whitespace().next().expect("a code").to_owned()
    }

    /// A browser that nobody has logged in with.
    pub fn visitor(&self) -> Visitor {
        Visitor { http: Http::new(), url: self.url.clone(), cookies: RefCell::default(), language: "en" }
    }

    /// A new person, who has chosen a password and is logged in.
    pub fn person(&self, name: &str, role: &str) -> Visitor {
        let code = self.add(name, role);
        let visitor = self.visitor();
        let at = format!("/join/{code}");
        let joined = visitor.submit(&at, &at, &[("password", PASSWORD), ("again", PASSWORD)]);
        assert_eq!((joined.status, joined.leads_to()), (303, "/"), "{}", joined.html);
        visitor
    }
}

/// A browser: it keeps cookies, and reads forms.
pub struct Visitor {
    pub http: Http,
    pub url: String,
    pub cookies: RefCell<Vec<(String, String)>>,
    pub language: &'static str,
}

/// A page, as it came.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub html: String,
    pub headers: HeaderMap,
}

impl Page {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub fn leads_to(&self) -> &str {
        self.header("location")
    }

    /// The addresses of its forms that are sent by POST.
    pub fn forms(&self) -> Vec<String> {
        let forms =
            self.html.split("<form ").skip(1).filter_map(|form| form.split_once('>')).filter(|(head, _)| head.contains("method=\"post\""));
        forms.filter_map(|(head, _)| attribute(head, "action")).collect()
    }

    /// What a form sends without being filled in, the `n`-th at an address.
    pub fn fields(&self, action: &str, n: usize) -> Vec<(String, String)> {
        let wanted = |form: &&str| form.split_once('>').is_some_and(|(head, _)| attribute(head, "action").as_deref() == Some(action));
        let form = self.html.split("<form ").skip(1).filter(wanted).nth(n).unwrap_or_else(|| panic!("no form {action} in {}", self.html));
        let form = form.split("</form>").next().expect("a part");
        let inputs = form.split("<input ").skip(1).filter_map(|input| input.split_once('>')).map(|(input, _)| input);
        let hidden = inputs.filter(|input| attribute(input, "type").as_deref() == Some("hidden"));
        hidden.filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value")?))).collect()
    }

    pub fn has(&self, words: &str) -> bool {
        self.html.contains(words)
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, value) = tag.split_once(&format!("{name}=\""))?;
    let value = value.split_once('"')?.0;
    Some(value.replace("&#60;", "<").replace("&#62;", ">").replace("&#34;", "\"").replace("&#39;", "'").replace("&#38;", "&"))
}

impl Visitor {
    pub fn get(&self, path: &str) -> Page {
        self.get_with(path, &[])
    }

    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Page {
        let cookies = self.cookie();
        let mut all = vec![("Accept-Language", self.language), ("Cookie", cookies.as_str())];
        all.extend(headers);
        let (answer, headers) = self.http.get_with(&format!("{}{path}", self.url), &all);
        self.take(answer.status, answer.text(), headers)
    }

    /// Posts fields as they stand.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Page {
        let body = fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect::<Vec<_>>().join("&");
        self.post_bytes(path, headers, body.into_bytes())
    }

    pub fn post_bytes(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Page {
        let cookies = self.cookie();
        let mut all = vec![("Accept-Language", self.language), ("Cookie", cookies.as_str())];
        all.extend(headers);
        let (answer, headers) = self.http.post_form(&format!("{}{path}", self.url), &all, body);
        self.take(answer.status, answer.text(), headers)
    }

    /// Opens a page, fills in one of its forms, and sends it.
    pub fn submit(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> Page {
        let form = self.get(page).fields(action, 0);
        let mut all: Vec<(&str, &str)> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
        all.extend(fields);
        self.post(action, &[], &all)
    }

    /// What a browser would send.
    pub fn cookie(&self) -> String {
        self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn take(&self, status: u16, html: String, headers: HeaderMap) -> Page {
        for set in headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()) {
            let (pair, rest) = set.split_once(';').expect("attributes");
            let (name, value) = pair.split_once('=').expect("a pair");
            let mut cookies = self.cookies.borrow_mut();
            cookies.retain(|(known, _)| known != name);
            if !rest.contains("Max-Age=0") {
                cookies.push((name.into(), value.into()));
            }
        }
        Page { status, html, headers }
    }
}

/// As a form sends it.
pub fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
