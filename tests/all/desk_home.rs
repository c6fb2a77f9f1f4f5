//! The desk in the local network: over plain `http://`, to look only, and for nobody else. A phone and a Pi have a network each, with a
//! cable between them.

use crate::desk_pages::{SIZES, flaws};
use crate::rig::browser::Browser;
use crate::rig::http::{Http, HttpAnswer};
use crate::rig::namespace::Namespace;
use crate::rig::people::{Desk, PASSWORD, Page, Visitor};
use crate::rig::phone::Phone;
use crate::rig::process::Process;
use crate::rig::shop::Program;
use crate::rig::{command, free_port, output, stdout, tool, wait_for};
use qris::wire::desk::{DOOR, Door, FROM, REFUSED};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::cell::RefCell;

const PHONE: &str = "192.168.77.1";
const PI: &str = "192.168.77.2";
/// Another address of the Pi.
const PI_BESIDE: &str = "192.168.78.2";
/// One that is of no local network.
const FAR: &str = "203.0.113.7";
const PORT: u16 = 8480;

struct Home {
    desk: Desk,
    at_home: Process,
    pi: Namespace,
    /// The public listener, as it is behind a web server.
    public: String,
    at: String,
}

/// Does something on a phone in the network of a Pi, whose desk listens for both doors. The backend is beside the phone: the desk asks it by a
/// socket.
fn at_home(work: impl FnOnce(&Home) + Send) {
    in_its_network(|pi| work(&Home::open(pi)));
}

fn in_its_network(work: impl FnOnce(Namespace) + Send) {
    let [phone, pi] = [(); 2].map(|()| Namespace::of_its_own_network("ip link set lo up"));
    phone.cable_to(&pi, PHONE, PI);
    phone.run(&format!("ip addr add {FAR}/32 dev lo"));
    pi.run(&format!("ip addr add {PI_BESIDE}/32 dev lo; ip route add {FAR} dev cable"));
    phone.inside(|| work(pi));
}

/// Starts the desk on the Pi: its public program, and the one at home.
fn start(desk: &mut Desk, pi: &Namespace, port: u16) -> Process {
    drop(desk.desk.take());
    let start = |name: &str, arguments: &[&str]| {
        let mut start = command(env!("CARGO_BIN_EXE_qris-desk"));
        start.args(arguments).arg("--socket").arg(desk.shop.path().join("serve.sock"));
        Process::start_service(name, &mut pi.command(&start), desk.shop.path())
    };
    let public = start("qris-desk", &["--plain-http", "--listen", &format!("{PI}:{port}")]);
    let at_home = start("qris-desk-home", &["--home"]);
    at_home.wait_line(&format!("listens for the local network at 0.0.0.0:{PORT}"));
    desk.desk = Some(public);
    at_home
}

impl Home {
    fn open(pi: Namespace) -> Self {
        let mut desk = Desk::open();
        desk.shop.kill_backend();
        desk.shop.edit(Program::Backend, |text| text.replace("[desk]\n", &format!("[desk]\nhome = \"0.0.0.0:{PORT}\"\n")));
        desk.shop.start_backend();
        let port = free_port();
        let at_home = start(&mut desk, &pi, port);
        Self { desk, at_home, pi, public: format!("http://{PI}:{port}"), at: format!("http://{PI}:{PORT}") }
    }

    fn visitor(&self, url: &str) -> Visitor {
        Visitor { http: Http::new(), url: url.into(), cookies: RefCell::default(), language: "en" }
    }

    /// The code of a link that a command has printed.
    fn link(&self, arguments: &[&str], before: &str) -> String {
        let told = self.desk.shop.merchant(arguments);
        let text = stdout(&told);
        assert!(told.status.success(), "{told:?}");
        let (_, code) = text.split_once(before).unwrap_or_else(|| panic!("no {before} in {text}"));
        code.split_whitespace().next().expect("a code").to_owned()
    }

    fn home_link(&self, name: &str) -> String {
        self.link(&["desk", "home", name], &format!(".local:{PORT}/enter/"))
    }

    /// A person who has a password, on a phone that has come in by the public address.
    fn person(&self, name: &str, role: &str) -> Visitor {
        let code = self.link(&["desk", "add", name, "--role", role], "/join/");
        let (visitor, at) = (self.visitor(&self.public), format!("/join/{code}"));
        assert_eq!(visitor.submit(&at, &at, &[("password", PASSWORD), ("again", PASSWORD)]).status, 303);
        visitor
    }

    /// The same person's phone at home.
    fn guest(&self, name: &str) -> Visitor {
        let (visitor, at) = (self.visitor(&self.at), format!("/enter/{}", self.home_link(name)));
        assert_eq!(visitor.submit(&at, &at, &[]).status, 303);
        visitor
    }

    fn phone(&self, session: &str, door: Door) -> AtSocket {
        let socket = self.desk.shop.path().join("serve.sock");
        AtSocket { http: Http::at_socket(&socket), session: session.into(), door }
    }
}

/// Somebody at the backend's socket, who says by which door a session came.
struct AtSocket {
    http: Http,
    session: String,
    door: Door,
}

impl AtSocket {
    fn get(&self, path: &str) -> HttpAnswer {
        let headers = [(FROM, PHONE), (DOOR, self.door.as_str())];
        self.http.get_from(&format!("http://serve/v1/{path}"), Some(&self.session), &headers)
    }

    fn post(&self, path: &str, body: &Value) -> HttpAnswer {
        let headers = [(FROM, PHONE), (DOOR, self.door.as_str())];
        self.http.post(&format!("http://serve/v1/{path}"), Some(&self.session), &headers, body)
    }
}

/// The name of the cookie of a session at home: each shop has its own.
fn at_home_name(visitor: &Visitor) -> String {
    let cookies = visitor.cookies.borrow();
    let ours = |(name, _): &&(String, String)| name.starts_with("home-") && name.ends_with("-desk");
    cookies.iter().find(ours).unwrap_or_else(|| panic!("none in {cookies:?}")).0.clone()
}

fn cookie(visitor: &Visitor, name: &str) -> String {
    let cookies = visitor.cookies.borrow();
    cookies.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name} in {cookies:?}")).1.clone()
}

/// What is refused at home; the word for it.
fn refused(page: &Page) -> (u16, &str) {
    assert!(page.headers.get("set-cookie").is_none(), "{:?}", page.headers);
    (page.status, page.header(REFUSED))
}

#[test]
fn a_link_opens_the_desk_at_home_once() {
    at_home(|home| {
        let sari = home.person("Sari", "owner");
        let code = home.home_link("Sari");
        let (phone, at) = (home.visitor(&home.at), format!("/enter/{code}"));
        // A messenger looks at each link that it carries.
        for _ in 0..3 {
            assert!(home.visitor(&home.at).get(&at).has("Welcome, Sari"));
        }
        assert_eq!(home.visitor(&home.public).get(&at).status, 404, "it opens nothing at the public door");
        // Another site has guessed nothing, and a form without its token is none.
        let foreign = phone.post(&at, &[("Origin", "http://evil.example")], &[]);
        assert_eq!(refused(&foreign), (403, "other_origin"));
        assert_eq!(phone.post(&at, &[], &[]).status, 403);
        let came = phone.submit(&at, &at, &[]);
        assert_eq!((came.status, came.leads_to()), (303, "/"), "{}", came.html);
        for set in came.headers.get_all("set-cookie").iter().map(|set| set.to_str().expect("a text")) {
            let (name, _) = set.split_once('=').expect("a pair");
            let own = name.ends_with("-desk") || name.ends_with("-desk-visit") && set.contains("=;");
            assert!(own && name.starts_with("home-") && set.contains("; HttpOnly; SameSite=Lax") && !set.contains("Domain"), "{set}");
        }
        assert!(phone.get("/sessions").has("You are logged in as Sari"));
        // Once, and a newer one makes an older one void.
        assert_eq!(home.visitor(&home.at).get(&at).status, 410);
        let [older, newer] = [(); 2].map(|()| format!("/enter/{}", home.home_link("Sari")));
        assert_eq!(home.visitor(&home.at).get(&older).status, 410);
        let books = Connection::open(home.desk.shop.path().join("orders.db")).expect("the books");
        books.execute("UPDATE people_invited SET until_ms = until_ms - 600000 WHERE door = 'home'", []).expect("written");
        assert_eq!(home.visitor(&home.at).get(&newer).status, 410, "ten minutes later");
        // It has ended nothing of hers.
        assert!(sari.get("/sessions").has("local network"));
        // Here nobody types a password, and no link of the other kind leads on.
        let join = home.link(&["desk", "link", "Sari"], "/join/");
        let login = home.visitor(&home.at).get("/login");
        assert!(login.status == 200 && login.has("qris-backend desk home NAME"), "{}", login.html);
        for path in [format!("/join/{join}"), "/password".into()] {
            let page = home.visitor(&home.at).get(&path);
            assert!(page.status == 403 && page.has("This needs https"), "{path}: {}", page.html);
        }
        assert_eq!(home.visitor(&home.at).post("/login", &[], &[("name", "Sari"), ("password", PASSWORD)]).status, 404);
        // Out again; the secret of the link is nowhere.
        assert_eq!(phone.submit("/sessions", "/logout", &[]).status, 303);
        assert_eq!(phone.get("/").leads_to(), "/login");
        let journal = home.desk.desk.as_ref().expect("it runs").text() + &home.desk.shop.backend.as_ref().expect("it runs").text();
        assert!(journal.contains("Sari is let in at the desk") && !journal.contains(&code), "{journal}");
    });
}

/// All that a session at home does not do. `other`: a session of the same person elsewhere.
fn deeds_of(order: &str, version: &Value, other: &Value) -> Vec<(String, Value)> {
    let deed = |deed: &str| {
        let (note, number) = (if deed == "by_hand" { "cash" } else { "" }, (deed == "number").then_some("07"));
        let from_slot = (deed == "given").then_some(false);
        (format!("orders/{order}/{deed}"), json!({"note": note, "number": number, "from_slot": from_slot, "version": version}))
    };
    let deeds = ["refund", "by_hand", "given", "again", "number", "seen"].map(deed);
    let people = [
        json!({"add": {"name": "Joko", "may": {"role": "viewer", "limit_per_day": 0}}}),
        json!({"link": {"person": 2}}),
        json!({"remove": {"person": 2}}),
    ];
    let people = people.map(|wish| ("people".to_owned(), json!({"password": PASSWORD, "wish": wish})));
    let rest = [
        ("password", json!({"password": PASSWORD, "new": "another good one", "device": null})),
        ("prove", json!({"password": PASSWORD})),
        ("login", json!({"name": "Sari", "password": PASSWORD, "device": null, "browser": "a test"})),
        ("join", json!({"code": "x", "password": PASSWORD, "browser": "a test"})),
        ("sessions/end", json!({"number": other})),
        ("sessions/end", json!("all")),
    ];
    let rest = rest.map(|(path, body)| (path.to_owned(), body));
    deeds.into_iter().chain(people).chain(rest).collect()
}

#[test]
fn a_session_at_home_only_sees_and_is_good_nowhere_else() {
    at_home(|home| {
        let (sari, budi) = (home.person("Sari", "owner"), home.person("Budi", "settler"));
        let order = home.desk.shop.reported("failed");
        let guest = home.guest("Sari");
        for path in ["/", "/orders", "/machines", "/bring", "/report", "/people", "/log", "/sessions"] {
            let page = guest.get(path);
            let forms: Vec<_> = page.forms().into_iter().filter(|form| !["/language", "/logout"].contains(&&**form)).collect();
            assert!(page.status == 200 && forms.is_empty() && !page.has("/refund"), "{path} {forms:?}: {}", page.html);
        }
        let page = guest.get(&format!("/orders/{order}"));
        assert!(page.has("This needs https") && !page.has("/refund"), "{}", page.html);
        assert!(sari.get(&format!("/orders/{order}")).has("/refund"), "elsewhere she may");
        assert!(guest.get(&format!("/orders/{order}/refund")).forms().is_empty());

        // At the backend's socket, as a desk asks that somebody has in his hands.
        let thief = home.phone(&cookie(&guest, &at_home_name(&guest)), Door::Home);
        let page = thief.get(&format!("orders/{order}")).json()["told"].clone();
        let deeds = page["line"]["deeds"].as_array().expect("deeds");
        assert!(deeds.len() == 6 && deeds.iter().all(|deed| deed["denied"] == "home"), "{deeds:?}");
        let version = &page["version"];
        let others = thief.get("sessions").json()["told"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|session| session["is_at_home"] == false)
            .expect("hers")["number"]
            .clone();
        for (path, body) in deeds_of(&order, version, &others) {
            let answer = thief.post(&path, &body);
            let told = answer.json();
            assert_eq!((answer.status, &told["code"], &told["denied"]), (403, &json!("denied"), &json!("home")), "{path}: {told}");
        }
        assert_eq!(home.desk.shop.order_at_backend(&order)["order_id"], json!(order));
        assert_eq!(thief.get(&format!("orders/{order}")).json()["told"]["version"], *version, "nothing was done");
        assert!(sari.get("/").status == 200 && budi.get("/").status == 200, "nobody is out");

        // It is none at the public door, and a public one is none at home. That is so at both listeners and at the socket.
        let public = cookie(&sari, "desk");
        assert_eq!(home.phone(&thief.session, Door::Public).get("today").status, 401);
        assert_eq!(home.phone(&public, Door::Home).get("today").status, 401);
        assert_eq!(home.phone(&public, Door::Public).get("today").status, 200);
        let mut unsaid = Phone::new(&home.desk.shop.path().join("serve.sock"), PHONE);
        unsaid.session = Some(thief.session.clone());
        assert_eq!(unsaid.get("today").status, 401, "who says no door is at the public one");
        let carried = |url: &str, name: &str, secret: &str| {
            let visitor = home.visitor(url);
            visitor.cookies.borrow_mut().push((name.into(), secret.into()));
            visitor.get("/").status
        };
        let name = at_home_name(&guest);
        for name in ["desk", &name, "__Host-desk"] {
            assert_eq!(carried(&home.public, name, &thief.session), 303, "{name}");
            assert_eq!(carried(&home.at, name, &public), 303, "{name}");
        }
        assert_eq!((carried(&home.public, "desk", &public), carried(&home.at, &name, &thief.session)), (200, 200));
        // Whoever chooses another password ends it, too.
        let changed = [("password", PASSWORD), ("new", "another good one"), ("again", "another good one")];
        assert_eq!(sari.submit("/password", "/password", &changed).leads_to(), "/sessions");
        assert_eq!(guest.get("/").leads_to(), "/login");
    });
}

#[test]
fn nobody_from_elsewhere_is_answered_at_home() {
    at_home(|home| {
        let ask = |headers: &[(&str, &str)]| home.visitor(&home.at).get_with("/login", headers);
        for host in [format!("{PI}:{PORT}"), format!("qrisd.local:{PORT}"), format!("10.0.0.2:{PORT}")] {
            assert_eq!(ask(&[("Host", &host)]).status, 200, "{host}");
        }
        for host in ["evil.example", "evil.example:8480", "localhost:8480", "203.0.113.5:8480", "qrisd.local:80", "100.64.0.1:8480"] {
            let page = ask(&[("Host", host)]);
            assert_eq!(refused(&page), (403, "other_host"), "{host}");
            assert!(page.has("none of a local network"), "{}", page.html);
        }
        for name in ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP", "CF-Connecting-IP", "Via"] {
            assert_eq!(refused(&ask(&[(name, PHONE)])), (403, "passed_on"), "{name}");
        }
        assert_eq!(refused(&ask(&[("Origin", "http://evil.example")])), (403, "other_origin"));

        // The Pi itself, by each of its addresses, whatever it says of itself.
        let curl = |more: &str| {
            format!("curl --silent --max-time 30 --output /dev/null --dump-header - --header 'Host: qrisd.local:{PORT}' {more}")
        };
        let word = |told: &str| told.lines().find_map(|line| Some(line.strip_prefix(&format!("{REFUSED}: "))?.trim().to_owned()));
        for more in [
            format!("http://127.0.0.1:{PORT}/login"),
            format!("http://{PI}:{PORT}/login"),
            format!("--interface {PI_BESIDE} http://{PI}:{PORT}/login"),
        ] {
            assert_eq!(word(&home.pi.run(&curl(&more))).as_deref(), Some("own_computer"), "{more}");
        }
        // A tunnel without a word of its own.
        let (from, to) = (format!("TCP-LISTEN:9999,bind={PI},reuseaddr,fork"), format!("TCP:{PI}:{PORT}"));
        let _tunnel = Process::start("socat", &mut home.pi.command(command(tool("socat")).args([&from, &to])));
        home.pi.run(&format!("timeout 30 sh -c 'until ss -ltn | grep -q {PI}:9999; do sleep 0.05; done'"));
        let by_tunnel = home.visitor(&format!("http://{PI}:9999")).get_with("/login", &[("Host", &format!("{PI}:{PORT}"))]);
        assert_eq!(refused(&by_tunnel), (403, "own_computer"));
        // A router that leads the internet here.
        let asked = curl(&format!("--interface {FAR} http://{PI}:{PORT}/login"));
        assert_eq!(word(&stdout(&output(command("/bin/sh").args(["-c", &asked])))).as_deref(), Some("far_away"));

        let journal = home.at_home.text();
        assert!(journal.contains("was not answered in the local network") && !journal.contains("evil"), "{journal}");
        // On the Pi `doctor` says that it is there.
        let mut doctor = home.desk.shop.program_command(Program::Backend);
        let told = stdout(&output(&mut home.pi.command(doctor.args(["doctor", "--json"]))));
        let found =
            told.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object")).find(|line| line["check"] == "desk at home");
        assert_eq!(found.unwrap_or_else(|| panic!("{told}"))["level"], "ok");
    });
}

#[test]
fn a_phone_comes_in_at_home_without_scripts() {
    at_home(|home| {
        home.person("Sari", "owner");
        let order = home.desk.shop.reported("failed");
        let temporary = tempfile::tempdir().expect("a directory");
        let browser = Browser::start(temporary.path());
        browser.be_phone(360, 740, "id");
        browser.allow_scripts(false);
        browser.open(&format!("{}/enter/{}", home.at, home.home_link("Sari")));
        browser.click("main form button");
        wait_for("her shop", || browser.run("return location.pathname === '/'").as_bool().filter(|there| *there));
        browser.keep_whole("desk-home-today.png");
        let text = browser.text("main");
        assert!(text.contains("1 pesanan perlu Anda") && !text.contains("Kembalikan"), "{text}");
        browser.click(&format!("a[href='/orders/{order}']"));
        wait_for("the order", || browser.text("main").contains("Untuk ini perlu https").then_some(()));
        assert_eq!(browser.count("main form"), 0);
        assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth"), true);
        assert!(
            browser.run("return getComputedStyle(document.body).fontFamily").as_str().is_some_and(|font| !font.contains("Times")),
            "its style comes"
        );
    });
}

#[test]
fn every_page_at_home_can_be_used_by_everybody() {
    at_home(|home| {
        home.person("Sari", "owner");
        let order = home.desk.shop.reported("failed");
        let temporary = tempfile::tempdir().expect("a directory");
        let browser = Browser::start(temporary.path());
        let mut wrong = Vec::new();
        let mut look = |page: &str, language: &str| {
            browser.be_phone(SIZES[0].0, SIZES[0].1, language);
            browser.open(&format!("{}{page}", home.at));
            for (width, height) in SIZES {
                if width > 500 {
                    browser.be_window(width, height);
                }
                wrong.extend(flaws(&browser, width, language).into_iter().map(|flaw| format!("{language} {width} {page}: {flaw}")));
            }
        };
        for language in ["en", "id"] {
            let link = format!("/enter/{}", home.home_link("Sari"));
            for page in ["/login", "/join/x", "/password", "/enter/x", &link] {
                look(page, language);
            }
        }
        browser.click("main form button");
        wait_for("her shop", || browser.run("return location.pathname === '/'").as_bool().filter(|there| *there));
        for language in ["en", "id"] {
            for page in ["/", "/orders", "/machines", "/machines/vm-001", "/bring", "/report", "/people", "/log", "/sessions", "/nowhere"] {
                look(page, language);
            }
            for page in [format!("/orders/{order}"), format!("/orders/{order}/refund")] {
                look(&page, language);
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}

/// Each shop's computer has the same name in its own network, and a phone goes from one to the other.
#[test]
fn two_shops_under_one_address_keep_apart_on_one_phone() {
    in_its_network(|pi| {
        let one = Home::open(pi);
        one.person("Sari", "owner");
        let phone = one.guest("Sari");
        let Home { desk: mut one, at_home, pi, .. } = one;
        drop((one.desk.take(), at_home));
        let mut two = Home::open(pi);
        two.person("Budi", "owner");
        assert_eq!(phone.get("/").leads_to(), "/login");
        let at = format!("/enter/{}", two.home_link("Budi"));
        assert_eq!(phone.submit(&at, &at, &[]).status, 303);
        assert!(phone.get("/sessions").has("You are logged in as Budi"));
        drop((two.desk.desk.take(), two.at_home));
        let _at_home = start(&mut one, &two.pi, free_port());
        assert!(phone.get("/sessions").has("You are logged in as Sari"), "the other shop has ended nothing");
    });
}

/// A shop of one Pi has no public address: its people are let in at home.
#[test]
fn a_desk_may_be_at_home_only() {
    let mut desk = Desk::open();
    drop(desk.desk.take());
    desk.shop.kill_backend();
    let url = format!("url = \"{}\"\n", desk.url);
    desk.shop.edit(Program::Backend, |text| text.replace(&url, "home = \"192.168.77.2:8480\"\n"));
    desk.shop.start_backend();
    let merchant = |arguments: &[&str]| {
        let told = desk.shop.merchant(arguments);
        (told.status.success(), stdout(&told) + &crate::rig::stderr(&told))
    };
    let (added, link) = merchant(&["desk", "add", "Sari", "--role", "owner"]);
    assert!(added && link.contains("10 minutes") && link.contains("http://192.168.77.2:8480/enter/"), "{link}");
    let (linked, why) = merchant(&["desk", "link", "Sari"]);
    assert!(!linked && why.contains("desk home NAME"), "{why}");
    assert!(merchant(&["desk", "home", "Sari"]).0 && !merchant(&["desk", "home", "Nobody"]).0);
    for wrong in ["127.0.0.1:8480", "[::1]:8480", "203.0.113.5:8480", "0.0.0.0:0", "0.0.0.0", "qrisd.local:8480", ""] {
        desk.shop.edit(Program::Backend, |text| {
            let lines = text.lines().map(|line| if line.starts_with("home = ") { format!("home = \"{wrong}\"") } else { line.to_owned() });
            lines.map(|line| line + "\n").collect()
        });
        let mut check = desk.shop.program_command(Program::Backend);
        let told = output(check.arg("--check"));
        assert!(!told.status.success() && crate::rig::output_text(&told).contains("desk.home"), "{wrong}: {told:?}");
    }
}
