//! The desk behind web servers, with the lines that ordinary guides have for them. Whoever is refused is told why.

use crate::rig::front::{Front, Server};
use crate::rig::http::Http;
use crate::rig::people::{Desk, PASSWORD, Visitor};
use crate::rig::shop::Program;
use crate::rig::{free_port, source_text, stdout};
use serde_json::Value;

/// A desk whose `desk.url` is that of a web server, and the port of that. It is not a trial: cookies want TLS, which the web server would have.
fn behind() -> (Desk, u16) {
    let mut desk = Desk::open();
    let (port, url) = Front::address();
    let own = desk.url.clone();
    desk.shop.kill_backend();
    desk.shop.edit(Program::Backend, |text| text.replace(&own, &url));
    desk.shop.start_backend();
    desk.start(&[]);
    desk.url = url;
    (desk, port)
}

/// Opens a page, fills in a form and sends it, as a browser that says so of the page.
fn sent(visitor: &Visitor, page: &str, action: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> crate::rig::people::Page {
    let form = visitor.get(page).fields(action, 0);
    let mut all: Vec<(&str, &str)> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
    all.extend(fields);
    visitor.post(action, headers, &all)
}

/// What `doctor` says of the desk: its level, and its words.
fn doctor(desk: &Desk) -> (String, String) {
    let told = stdout(&desk.shop.merchant(&["doctor", "--json"]));
    let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    let found = lines.into_iter().find(|line| line["check"] == "desk").unwrap_or_else(|| panic!("nothing of the desk: {told}"));
    (found["level"].as_str().expect("a level").to_owned(), found.to_string())
}

/// In, by a link, with each server and each line of a guide.
fn gets_in(server: Server, lines: &[&str]) {
    let (desk, _) = behind();
    for (n, line) in lines.iter().enumerate() {
        let port = desk.url.rsplit_once(':').expect("a port").1.parse().expect("a number");
        let front = Front::start(server, port, desk.port, line, desk.shop.path());
        assert_eq!(front.url, desk.url);
        // With this header a browser does not say whose page it was. The older ones say nothing else.
        let origin = if line.contains("no-referrer") { "null" } else { &desk.url };
        for headers in [&[("Origin", origin)][..], &[("Origin", origin), ("Sec-Fetch-Site", "same-origin")]] {
            let name = format!("Sari {n} {}", headers.len());
            let code = desk.add(&name, "owner");
            let (sari, at) = (desk.visitor(), format!("/join/{code}"));
            let joined = sent(&sari, &at, &at, headers, &[("password", PASSWORD), ("again", PASSWORD)]);
            assert_eq!((joined.status, joined.leads_to()), (303, "/"), "{server:?} {line}: {}", joined.html);
            let page = sari.get("/sessions");
            assert!(page.has(&format!("You are logged in as {name}")) && page.has("from 127.0.0.1<"), "{server:?} {line}: {}", page.html);
            assert_eq!(sent(&sari, "/sessions", "/logout", headers, &[]).status, 303, "{server:?} {line}");
        }
        let (level, told) = doctor(&desk);
        assert_eq!(level, "ok", "{server:?} {line}: {told}");
    }
    let journal = desk.desk.as_ref().expect("it runs").text();
    assert!(!journal.contains("X-Forwarded-For") && !journal.contains("was not taken"), "{journal}");
}

#[test]
fn everybody_gets_in_behind_nginx() {
    gets_in(
        Server::Nginx,
        &[
            "",
            "proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;",
            "proxy_set_header Host \"\"; proxy_http_version 1.0;",
            "proxy_set_header X-Forwarded-For \"$remote_addr:$remote_port\";",
            "add_header Referrer-Policy no-referrer always;",
            // As `cloudflared` sends it.
            "proxy_set_header Host $http_host; proxy_set_header CF-Connecting-IP $remote_addr; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https; proxy_set_header CF-Ray 230b030023ae2822-CGK; proxy_set_header CF-Visitor '{\"scheme\":\"https\"}'; proxy_set_header CF-IPCountry ID; proxy_set_header CDN-Loop 'cloudflare; loops=1';",
            // As Tailscale's Funnel sends it.
            "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto https; proxy_set_header Tailscale-Headers-Info https://tailscale.com/s/serve-headers;",
            "add_header Referrer-Policy no-referrer always; add_header X-Frame-Options DENY always; add_header Content-Security-Policy \"default-src 'self'\" always; add_header Cache-Control no-store always;",
        ],
    );
}

#[test]
fn everybody_gets_in_behind_caddy() {
    gets_in(
        Server::Caddy,
        &[
            "",
            "reverse_proxy 127.0.0.1:BEHIND {\nheader_up Host {upstream_hostport}\nheader_up X-Forwarded-For {remote}\n}",
            "header Referrer-Policy no-referrer",
        ],
    );
}

/// The lines of Install. Caddy tells of what failed: here nobody answers behind it.
#[test]
fn no_link_is_in_the_log_of_caddy() {
    let temporary = tempfile::tempdir().expect("a directory");
    let [port, behind] = [(); 2].map(|()| free_port());
    let guide = source_text("docs/using/install.md");
    let desk = guide.split("```text\n").find(|part| part.starts_with("desk.pay.example {")).and_then(|part| part.split("```").next());
    let desk = desk.expect("lines for the desk").replace("desk.pay.example", &format!("http://127.0.0.1:{port}"));
    let text = source_text("packaging/container/Caddyfile").replacen('{', "{\nadmin off\nauto_https off\n", 1);
    let text = text.replace("{$QRIS_NAME}", &format!("http://127.0.0.1:{}", free_port())).replace("import *.caddy", &desk);
    let caddy = Front::caddy(port, &text.replace("127.0.0.1:8090", &format!("127.0.0.1:{behind}")), temporary.path());
    assert_eq!(Http::new().get(&format!("{}/join/a-secret", caddy.url), None).status, 502);
    let told = caddy.process.wait_line("/join/-");
    assert!(told.contains("connection refused") && !caddy.process.text().contains("a-secret"), "{}", caddy.process.text());
}

#[test]
fn everybody_gets_in_behind_apache() {
    gets_in(
        Server::Apache,
        &["", "ProxyPreserveHost On\nRequestHeader set X-Forwarded-Proto https", "Header always set Referrer-Policy no-referrer"],
    );
}

/// A web server that takes something away. The page, the journal and `doctor` say what.
#[test]
fn who_is_refused_is_told_why() {
    let (mut desk, port) = behind();
    let (refused, named) = ("was not taken", desk.url.clone());
    for (line, words, journal, found) in [
        ("proxy_hide_header Set-Cookie;", "Your browser sent no cookie", "no cookie came back", "gives no cookie"),
        ("proxy_set_header Cookie \"\";", "Your browser sent no cookie", "no cookie came back", "no_cookie"),
        ("proxy_set_header Origin http://evil.example;", "Another site sent this form", "another site sent it", "foreign"),
        (
            "proxy_set_header Origin http://$http_host:1; proxy_set_header Host $http_host:1;",
            "not the address of your shop",
            &named,
            "other_name",
        ),
    ] {
        let lines = desk.desk.as_ref().expect("it runs").lines.count();
        let _front = Front::start(Server::Nginx, port, desk.port, line, desk.shop.path());
        let page = sent(&desk.visitor(), "/login", "/login", &[("Origin", &desk.url)], &[("name", "Sari"), ("password", PASSWORD)]);
        assert!(page.status == 403 && page.has(words), "{line}: {}", page.html);
        let told = desk.desk.as_ref().expect("it runs").wait_line_from(lines, refused);
        assert!(told.contains(journal), "{line}: {told}");
        let (level, told) = doctor(&desk);
        assert!(level == "bad" && told.contains(found), "{line}: {told}");
    }
    let _front = Front::start(Server::Nginx, port, desk.port, "", desk.shop.path());
    assert_eq!(doctor(&desk).0, "ok");
    drop(desk.desk.take());
    let (level, told) = doctor(&desk);
    assert!(level == "bad" && told.contains("qris-desk"), "{told}");
}

/// People have several tabs, and links are pasted with what stands behind them.
#[test]
fn who_may_come_in_is_led_on() {
    let (desk, port) = behind();
    let _front = Front::start(Server::Nginx, port, desk.port, "", desk.shop.path());
    let own = [("Origin", &*desk.url)];
    let sari = desk.visitor();
    let at = format!("/join/{}.", desk.add("Sari", "owner"));
    let page = sari.get(&at);
    assert!(page.status == 200 && page.has("Welcome, Sari"), "a dot behind the link: {}", page.html);
    let form = page.forms().into_iter().find(|form| form.starts_with("/join/")).expect("a form");
    let joined = sent(&sari, &at, &form, &own, &[("password", PASSWORD), ("again", PASSWORD)]);
    assert_eq!(joined.status, 303, "{}", joined.html);

    // Two first visits at once: each page has a token of its own, and the browser keeps the later cookie.
    let (phone, other) = (desk.visitor(), desk.visitor());
    let first = phone.get("/login").fields("/login", 0);
    other.get("/login");
    phone.cookies.borrow_mut().clone_from(&other.cookies.borrow());
    let mut fields: Vec<(&str, &str)> = first.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.extend([("name", "Sari"), ("password", PASSWORD)]);
    // Without the browser's word it is not believed.
    assert_eq!(phone.post("/login", &[], &fields).status, 403);
    // A second tab has the login, too, with the order of an alert.
    let tab = phone.get("/login?to=%2Forders%2F4ts65").fields("/login", 0);
    assert_eq!(phone.post("/login", &own, &fields).status, 303);
    let mut fields: Vec<(&str, &str)> = tab.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.extend([("name", "Sari"), ("password", "another sentence")]);
    let led = phone.post("/login", &own, &fields);
    assert_eq!((led.status, led.leads_to()), (303, "/orders/4ts65"), "{}", led.html);

    // Another program under this name has cookies of any bytes.
    let cookies = format!("theirs=\u{e9}\u{fc}; {}", phone.cookie());
    assert_eq!(desk.visitor().get_with("/sessions", &[("Cookie", &cookies)]).status, 200);
}
