//! The desk: who comes in, what a form must show before it counts, and what is said where something cannot be.

use crate::rig::people::{Desk, PASSWORD, Page, Visitor};
use crate::rig::shop::{Program, new_request_id, without_broker};
use crate::rig::wait_for;
use serde_json::json;

/// Every page that wants a session.
const PAGES: [&str; 14] = [
    "/",
    "/orders",
    "/orders?q=5.000",
    "/orders/4TS65",
    "/orders/4TS65/refund",
    "/machines",
    "/machines/vm-001",
    "/bring",
    "/bring.csv",
    "/report",
    "/sessions",
    "/log",
    "/people",
    "/password",
];

/// How many sessions a person has.
fn sessions(person: &Visitor) -> usize {
    person.get("/sessions").html.matches("name=\"number\" value=\"").count() - 1
}

fn login(visitor: &Visitor, name: &str, password: &str) -> Page {
    visitor.submit("/login", "/login", &[("name", name), ("password", password)])
}

#[test]
fn a_link_is_good_once_and_a_password_from_then_on() {
    let desk = Desk::open();
    let code = desk.add("Sari", "owner");
    let (visitor, at) = (desk.visitor(), format!("/join/{code}"));
    let page = visitor.get(&at);
    assert!(page.status == 200 && page.has("Welcome, Sari") && page.has("settle orders"), "{}", page.html);
    for (password, again, why) in [
        (PASSWORD, "another sentence", "differ"),
        ("short", "short", "too short"),
        (&"x".repeat(257), &"x".repeat(257), "too long"),
        ("", "", "too short"),
        ("Password2026", "Password2026", "Many people use"),
        ("sari1234567", "sari1234567", "Many people use"),
    ] {
        let refused = visitor.submit(&at, &at, &[("password", password), ("again", again)]);
        assert!(refused.status == 422 && refused.has(why), "{password}: {} {}", refused.status, refused.html);
    }
    let joined = visitor.submit(&at, &at, &[("password", PASSWORD), ("again", PASSWORD)]);
    assert_eq!((joined.status, joined.leads_to()), (303, "/"));
    let set: Vec<_> = joined.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text")).collect();
    let session = set.iter().find(|cookie| cookie.starts_with("desk=")).expect("a session");
    assert!(session.contains("; HttpOnly; SameSite=Lax") && session.contains("Max-Age=2592000") && session.contains("Path=/"), "{session}");
    assert_eq!(sessions(&visitor), 1);

    // The link is over, for whoever finds it. So is anything that was never a link.
    for link in [&at, "/join/x", "/join/..%2Fme", &format!("/join/{}", "a".repeat(200))] {
        let over = desk.visitor().get(link);
        assert!(over.status == 410 && over.has("This link was used"), "{link}: {} {}", over.status, over.html);
    }

    // The password is right once it is right; nobody is told whether the name is.
    let other = desk.visitor();
    let [wrong, nobody] = [("Sari", "another sentence"), ("Nobody", PASSWORD)].map(|(name, password)| login(&other, name, password));
    assert_eq!((wrong.status, nobody.status), (403, 403));
    assert!(wrong.has("The name or the password is wrong.") && nobody.has("The name or the password is wrong."));
    for (name, password) in [("", ""), ("Sari", ""), ("", PASSWORD), (&"S".repeat(5000), PASSWORD), ("Sari", &"x".repeat(5000))] {
        assert_eq!(login(&other, name, password).status, 403);
    }
    let asked = other.get("/orders?q=5.000+15%3A00");
    assert_eq!((asked.status, asked.leads_to()), (303, "/login?to=%2Forders%3Fq%3D5.000%2B15%253A00"));
    let form = asked.leads_to().to_owned();
    let entered = other.submit(&form, "/login", &[("name", "sari"), ("password", PASSWORD)]);
    assert_eq!((entered.status, entered.leads_to()), (303, "/orders?q=5.000+15%3A00"), "{}", entered.html);
    assert_eq!(sessions(&other), 2);
    // Nobody is led away from the desk.
    for away in ["//evil.example", "https://evil.example", "/\\evil.example"] {
        let page = desk.visitor();
        let entered =
            page.submit(&format!("/login?to={}", crate::rig::people::escaped(away)), "/login", &[("name", "Sari"), ("password", PASSWORD)]);
        assert_eq!((entered.status, entered.leads_to()), (303, "/"), "{away}");
    }
}

#[test]
fn without_a_session_there_is_nothing_to_see() {
    let desk = Desk::open();
    let stranger = desk.visitor();
    for page in PAGES {
        let answer = stranger.get(page);
        assert_eq!(answer.status, 303, "{page}: {}", answer.html);
        assert!(answer.leads_to().starts_with("/login") && answer.html.is_empty(), "{page}: {}", answer.leads_to());
        // A session that never was is none.
        let forged = stranger.get_with(page, &[("Cookie", "desk=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]);
        assert_eq!(forged.status, 303, "{page}: {}", forged.html);
    }
    for nowhere in
        ["/nowhere", "/orders/4TS65/refund/now", "/orders/4TS65/steal", "/v1/today", "/.git/config", "/%00", "/orders/%2e%2e/today"]
    {
        assert_eq!(stranger.get(nowhere).status, 404, "{nowhere}");
    }
    assert_eq!(stranger.post("/orders", &[], &[]).status, 404);
}

/// What a form must show: the browser's word, and a token that a page made for this session and this form.
#[test]
fn a_form_of_another_place_is_not_believed() {
    let desk = Desk::open();
    let [sari, budi] = ["Sari", "Budi"].map(|name| desk.person(name, "owner"));
    let fields = sari.get("/sessions").fields("/sessions/end", 0);
    let token = fields.iter().find(|(name, _)| name == "token").expect("a token").1.clone();
    let of_budi = budi.get("/sessions").fields("/sessions/end", 0)[0].1.clone();
    let of_logout = sari.get("/sessions").fields("/logout", 0)[0].1.clone();
    let host = desk.url.strip_prefix("http://").expect("an address").to_owned();
    let origin = format!("http://{host}");
    let nothing = (&[][..], 403);
    type Attempt<'a> = (&'a str, (&'a [(&'a str, &'a str)], u16));
    let attempts: [Attempt<'_>; 12] = [
        ("", nothing),
        ("x", nothing),
        (&of_budi, nothing),
        (&of_logout, nothing),
        (&token[..token.len() - 1], nothing),
        (&token, (&[("Sec-Fetch-Site", "cross-site")], 403)),
        (&token, (&[("Sec-Fetch-Site", "same-site")], 403)),
        (&token, (&[("Origin", "https://evil.example")], 403)),
        (&token, (&[("Origin", "null"), ("Sec-Fetch-Site", "cross-site")], 403)),
        (&token, (&[("Origin", "http://evil.example"), ("Host", "evil.example")], 403)),
        (&token, (&[("Origin", &origin), ("Sec-Fetch-Site", "none")], 403)),
        (&token, (&[("Origin", &origin), ("Sec-Fetch-Site", "same-origin")], 422)),
    ];
    for (token, (headers, status)) in attempts {
        // Only the last one is read at all: it has no number.
        let answer = sari.post("/sessions/end", headers, &[("token", token), ("number", if status == 422 { "" } else { "all" })]);
        assert_eq!(answer.status, status, "{token} {headers:?}: {}", answer.html);
        assert_eq!(sessions(&sari), 1, "{token} {headers:?}");
    }
    // Too much, too little, twice.
    for (body, status) in [
        (format!("token={token}&number=all&number=1"), 422),
        (format!("token={token}&number=all&token={token}"), 422),
        (format!("token={token}&number=-1"), 422),
        (format!("token={token}&number=99999999999999999999"), 422),
        (format!("token={token}&number=4294967296"), 404),
        (format!("token={token}&number=all&note={}", "x".repeat(17 << 10)), 413),
        (format!("token={token}&{}", (0..40).map(|n| format!("f{n}=&")).collect::<String>()), 422),
        ("\u{0}\u{0}".into(), 403),
        (String::new(), 403),
    ] {
        let answer = sari.post_bytes("/sessions/end", &[], body.clone().into_bytes());
        assert_eq!(answer.status, status, "{body:.80}: {}", answer.html);
    }
    assert_eq!((sessions(&sari), sessions(&budi)), (1, 1));
    // Nothing is changed by looking at an address.
    for path in ["/sessions/end?number=all", "/logout", "/language?language=id"] {
        assert_eq!(sari.get(path).status, 404, "{path}");
    }
    assert_eq!(sessions(&sari), 1);
}

#[test]
fn whoever_has_lost_a_phone_ends_its_session() {
    let desk = Desk::open();
    let sari = desk.person("Sari", "owner");
    let stolen = desk.visitor();
    *stolen.cookies.borrow_mut() = sari.cookies.borrow().clone();
    let page = stolen.get_with(
        "/sessions",
        &[("X-Forwarded-For", "10.9.9.9, 192.0.2.7"), ("User-Agent", "Mozilla/5.0 (Linux; Android 14) Chrome/130.0")],
    );
    assert_eq!(page.status, 200, "{}", page.html);
    let phone = desk.visitor();
    login(&phone, "Sari", PASSWORD);
    assert_eq!(sessions(&sari), 2);

    // One of them, from the list.
    let ended = phone.get("/sessions");
    let number =
        ended.html.split("class=\"card plain\"").skip(1).find(|card| !card.contains("class=\"tag\">this device")).expect("the other one");
    let number = number.split("name=\"number\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a number").to_owned();
    let token = ended.fields("/sessions/end", 0)[0].1.clone();
    assert_eq!(phone.post("/sessions/end", &[], &[("token", &token), ("number", &number)]).status, 303);
    for over in [&sari, &stolen] {
        assert_eq!(over.get("/").status, 303, "the session is over, also for who has copied it");
    }

    // All of them.
    let again = desk.visitor();
    login(&again, "Sari", PASSWORD);
    assert_eq!(phone.post("/sessions/end", &[], &[("token", &token), ("number", "all")]).status, 303);
    assert_eq!((phone.get("/").status, again.get("/").status), (303, 303));
    // And the way out.
    login(&again, "Sari", PASSWORD);
    let kept = again.cookies.borrow().clone();
    let out = again.submit("/sessions", "/logout", &[]);
    assert_eq!((out.status, out.leads_to()), (303, "/login"));
    *again.cookies.borrow_mut() = kept;
    assert_eq!(again.get("/").status, 303);
}

/// Whoever finds a phone that is logged in sees, and settles nothing.
#[test]
fn a_deed_asks_for_the_password_once_it_was_typed_long_ago() {
    let desk = Desk::open();
    let [order, other] = ["failed"; 2].map(|outcome| desk.shop.reported(outcome));
    let sari = desk.person("Sari", "owner");
    let form = format!("/orders/{order}/given");
    assert!(!sari.get(&form).has("name=\"password\""), "she has just typed it");
    let books = rusqlite::Connection::open(desk.shop.path().join("orders.db")).expect("the books");
    books.execute("UPDATE sessions SET proven_ms = proven_ms - 43200000", []).expect("written");
    assert_eq!(sari.get("/").status, 200);
    assert!(sari.get(&form).has("name=\"password\""));
    for (typed, words) in [(None, "First type your password."), (Some("another sentence"), "This password is wrong.")] {
        let fields: Vec<_> = [("from", "elsewhere")].into_iter().chain(typed.map(|typed| ("password", typed))).collect();
        let refused = sari.submit(&form, &form, &fields);
        assert!(refused.status == 403 && refused.has(words), "{} {}", refused.status, refused.html);
    }
    assert_eq!(sari.submit(&form, &form, &[("from", "elsewhere"), ("password", PASSWORD)]).status, 303);
    let form = format!("/orders/{other}/given");
    assert_eq!(sari.submit(&form, &form, &[("from", "elsewhere")]).status, 303, "from then on it is not asked for");
}

#[test]
fn an_owner_invites_changes_and_removes_on_her_phone() {
    let desk = Desk::open();
    let sari = desk.person("Sari", "owner");
    let invite = [("name", "Budi"), ("role", "settler"), ("limit", "100.000")];
    let refused = sari.submit("/people", "/people", &[&invite[..], &[("password", "another sentence")]].concat());
    assert!(refused.status == 403 && refused.has("This password is wrong.") && refused.has("value=\"Budi\""), "{}", refused.html);
    let shown = sari.submit("/people", "/people", &[&invite[..], &[("password", PASSWORD)]].concat());
    assert!(shown.status == 200 && shown.has("The link for Budi"), "{}", shown.html);
    let at = shown.html.split(&format!("{}/join/", desk.url)).nth(1).and_then(|rest| rest.split('<').next()).expect("a link").to_owned();
    assert!(!sari.get("/people").has(&at), "it is shown once");
    let (budi, at) = (desk.visitor(), format!("/join/{at}"));
    assert!(budi.get(&at).has("settle orders"));
    assert_eq!(budi.submit(&at, &at, &[("password", PASSWORD), ("again", PASSWORD)]).status, 303);
    assert_eq!((budi.get("/people").status, budi.get("/log").status), (403, 403));
    let list = sari.get("/people");
    assert!(list.has("settles orders, at most Rp100.000 a day"), "{}", list.html);
    let person = list.html.split("href=\"/people/").nth(1).and_then(|rest| rest.split('"').next()).expect("a person");
    let person = format!("/people/{person}");
    let more = [("role", "viewer"), ("limit", "0"), ("password", PASSWORD)];
    let changed = sari.submit(&person, &person, &[&more[..], &[("wish", "role")]].concat());
    assert_eq!((changed.status, changed.leads_to()), (303, "/people"), "{}", changed.html);
    assert!(sari.get("/people").has("only sees"));
    assert_eq!(sari.submit(&person, &person, &[&more[..], &[("wish", "steal")]].concat()).status, 422);
    assert!(sari.submit(&person, &person, &[&more[..], &[("wish", "link")]].concat()).has("/join/"));
    assert_eq!(sari.submit(&person, &person, &[&more[..], &[("wish", "remove")]].concat()).status, 303);
    assert_eq!((budi.get("/").status, sari.get(&person).status), (303, 404));

    let new =
        |old: &str, new: &str, again: &str| sari.submit("/password", "/password", &[("password", old), ("new", new), ("again", again)]);
    for (old, one, again, words) in [
        (PASSWORD, "a better sentence", "a better sentense", "differ"),
        (PASSWORD, "short", "short", "too short"),
        (PASSWORD, "password2026", "password2026", "Many people"),
        ("another sentence", "a better sentence", "a better sentence", "This password is wrong."),
    ] {
        let page = new(old, one, again);
        assert!((page.status == 422 || page.status == 403) && page.has(words), "{} {}", page.status, page.html);
    }
    assert_eq!(new(PASSWORD, "a better sentence", "a better sentence").status, 303);
    assert_eq!(sari.get("/").status, 200);
    assert_eq!(login(&desk.visitor(), "Sari", "a better sentence").status, 303);
}

#[test]
fn the_log_is_for_owners_and_has_who_did_what_from_where() {
    let desk = Desk::open();
    let (sari, budi) = (desk.person("Sari", "owner"), desk.person("Budi", "viewer"));
    assert_eq!(budi.get("/log").status, 403);
    let page = sari.get("/log");
    assert!(page.status == 200 && page.has("<b>Budi</b> chose a password") && page.has("127.0.0.1"), "{}", page.html);
    assert!(!budi.get("/sessions").has("href=\"/log\"") && sari.get("/sessions").has("href=\"/log\""));
}

/// Each word of the log, as its reader says it.
#[test]
fn the_log_speaks_the_language_of_who_reads_it() {
    let desk = Desk::open();
    let [failed, other, offered] = ["failed"; 3].map(|outcome| desk.shop.reported(outcome));
    let (mut sari, budi) = (desk.person("Sari", "owner"), desk.person("Budi", "owner"));
    for wanted in [&["link", "Budi"][..], &["role", "Budi", "--role", "viewer"]] {
        assert!(desk.shop.merchant(&[&["desk"], wanted].concat()).status.success());
    }
    login(&budi, "Budi", PASSWORD);
    // Whoever goes stands in it once, also if the phone sends it twice.
    let (kept, token) = (budi.cookies.borrow().clone(), forged(&budi, "/logout"));
    for _ in 0..2 {
        *budi.cookies.borrow_mut() = kept.clone();
        assert_eq!(budi.post("/logout", &[], &[("token", &token)]).status, 303);
    }
    login(&budi, "Budi", PASSWORD);
    for (order, deed) in [(&failed, "given"), (&other, "by_hand"), (&offered, "again")] {
        let form = format!("/orders/{order}/{deed}");
        assert_eq!(
            sari.submit(&form, &form, if deed == "given" { &[("from", "elsewhere")] } else { &[("note", "12")][..] }).status,
            303,
            "{form}"
        );
    }
    let fields = budi.get("/sessions").fields("/sessions/end", 1);
    let mut fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(budi.post("/sessions/end", &[], &fields).status, 303);
    fields.retain(|(name, _)| *name != "number");
    fields.push(("number", "all"));
    assert_eq!(budi.post("/sessions/end", &[], &fields).status, 303);
    assert!(desk.shop.merchant(&["desk", "remove", "Budi"]).status.success());
    for (language, words) in [
        (
            "en",
            [
                "invited: Budi",
                "made a new link: Budi",
                "changed a role: Budi: only sees",
                "removed a person: Budi",
                "chose a password",
                "logged in",
                "</b> logged out<",
                "logged one device out<",
                "logged all devices out<",
                "noted: goods handed over",
                "noted: paid back by hand: 12",
                "had the machine offer it again",
            ],
        ),
        (
            "id",
            [
                "mengundang: Budi",
                "membuat tautan baru: Budi",
                "mengubah peran: Budi: hanya melihat",
                "menghapus orang: Budi",
                "memilih kata sandi",
                "masuk",
                "</b> keluar<",
                "mengeluarkan satu perangkat<",
                "mengeluarkan semua perangkat<",
                "mencatat: barang diserahkan",
                "mencatat: dikembalikan secara langsung: 12",
                "menawarkan lagi di mesin",
            ],
        ),
    ] {
        sari.language = language;
        let page = sari.get("/log").html;
        for word in words {
            assert!(page.contains(word), "{word}: {page}");
        }
    }
    sari.language = "en";
    assert_eq!(sari.get("/log").html.matches("</b> logged out<").count(), 1);
}

/// The desk says so, loses nothing, and is there again by itself.
#[test]
fn while_serve_is_away_every_page_says_so() {
    let mut desk = Desk::open();
    let sari = desk.person("Sari", "owner");
    let token = sari.get("/sessions").fields("/sessions/end", 0)[0].1.clone();
    desk.shop.kill_backend();
    for page in PAGES {
        let answer = sari.get(page);
        assert!(answer.status == 503 && answer.has("Nothing is lost"), "{page}: {} {}", answer.status, answer.html);
        // A phone on the counter has the page again without a touch.
        assert_eq!((answer.header("retry-after"), answer.header("refresh")), ("10", "10"));
    }
    // Whether a form was still heard nobody knows.
    let answer = sari.post("/sessions/end", &[], &[("token", &token), ("number", "all")]);
    assert!(answer.status == 503 && answer.has("It may be done, or not"), "{}", answer.html);
    assert_eq!(answer.header("refresh"), "", "it is not sent once more");
    let answer = sari.submit("/login", "/login", &[("name", "Sari"), ("password", PASSWORD)]);
    assert_eq!(answer.status, 503);
    desk.shop.start_backend();
    wait_for("the desk", || (sari.get("/sessions").status == 200).then_some(()));
    let program = desk.desk.as_ref().expect("it runs");
    program.wait_line("qris-backend answers the desk again");
    let lines = program.lines.all();
    let told = |words: &str| lines.iter().filter(|line| line.contains(words)).count();
    assert_eq!((told("qris-backend does not answer the desk"), told("qris-backend answers the desk again")), (1, 1), "{lines:?}");
}

/// Without a broker nobody could know that all is well.
#[test]
fn a_server_that_hears_no_machine_says_so() {
    let mut desk = Desk::open();
    let sari = desk.person("Sari", "owner");
    let (well, deaf) = ("All is well", "The server hears no machine now");
    wait_for("the broker", || sari.get("/").has(well).then_some(()));
    let pages = ["/", "/machines", "/machines/vm-001"];
    let all_say = |words: &str| pages.map(|page| sari.get(page).has(words));
    assert_eq!((all_say(deaf), all_say("not known")), ([false; 3], [false, true, true]));
    // It calls, so it is there. Who hears nothing of its end cannot say so.
    desk.shop.charged();
    wait_for("the machine", || sari.get("/machines").has("connected").then_some(()));
    desk.shop.kill_backend();
    desk.shop.edit(Program::Backend, without_broker);
    desk.shop.start_backend();
    wait_for("the page", || (sari.get("/").status == 200).then_some(()));
    assert_eq!((all_say(deaf), all_say("connected"), sari.get("/").has(well)), ([true; 3], [false; 3], false));
}

/// Whoever waits for something to end by its time reads why it does not.
#[test]
fn a_server_that_cannot_trust_its_clock_says_so_on_every_page() {
    let desk = Desk::open();
    let sari = desk.person("Sari", "owner");
    let (well, doubt) = ("All is well", "nothing ends by time");
    wait_for("the broker", || sari.get("/").has(well).then_some(()));
    let pages = ["/", "/orders", "/machines", "/report"];
    let all_say = |words: &str| pages.map(|page| sari.get(page).has(words));
    assert_eq!(all_say(doubt), [false; 4]);
    // It hears the gateway's time with the answer to a charge.
    desk.shop.midtrans.change(&json!({"date_off_ms": 120_000}));
    desk.shop.charged();
    wait_for("the words", || sari.get("/").has(doubt).then_some(()));
    assert_eq!((all_say(doubt), sari.get("/").has(well)), ([true; 4], false));
    desk.shop.midtrans.change(&json!({"date_off_ms": 0}));
    wait_for("the gateway to be asked again", || (all_say(doubt) == [false; 4]).then_some(()));
}

#[test]
fn every_answer_keeps_strangers_out_of_the_page() {
    let mut desk = Desk::open();
    let sari = desk.person("Sari", "owner");
    let css = sari
        .get("/login")
        .html
        .split("href=\"")
        .find(|part| part.starts_with("/desk."))
        .and_then(|part| part.split('"').next())
        .expect("a style")
        .to_owned();
    for path in ["/sessions", "/login", "/nowhere", &css, "/orders/4TS65"] {
        let page = sari.get(path);
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("referrer-policy", "same-origin"), ("cross-origin-opener-policy", "same-origin")]
        {
            assert_eq!(page.header(name), value, "{path}");
        }
        let kept = if path == css { "public, max-age=31536000, immutable" } else { "no-store" };
        assert_eq!(page.header("cache-control"), kept, "{path}");
        assert!(!page.has("://") || path == css, "{path}: a foreign address");
    }
    // Behind TLS no other page of the same domain, and nobody on the network, can set the cookies.
    desk.start(&[]);
    let visitor = desk.visitor();
    let page = visitor.get("/login");
    let set = page.header("set-cookie");
    assert!(
        set.starts_with("__Host-desk-visit=") && set.contains("; Secure") && set.contains("; HttpOnly") && set.contains("; Path=/;"),
        "{set}"
    );
    let entered = login(&visitor, "Sari", PASSWORD);
    let set: Vec<_> = entered.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).collect();
    assert!(set.len() == 3 && set.iter().all(|cookie| cookie.starts_with("__Host-") && cookie.contains("; Secure")), "{set:?}");
}

#[test]
fn a_page_speaks_the_language_of_who_reads_it() {
    let desk = Desk::open();
    let mut sari = desk.person("Sari", "owner");
    for (asked, words) in
        [("id-ID,id;q=0.9", "Perangkat yang masuk"), ("en-GB", "Devices that are logged in"), ("fr", "Perangkat yang masuk")]
    {
        sari.language = asked;
        assert!(sari.get("/sessions").has(words), "{asked}");
    }
    let chosen = sari.submit("/sessions", "/language", &[]);
    assert_eq!((chosen.status, chosen.leads_to()), (303, "/sessions"));
    assert!(sari.get("/sessions").has("Devices that are logged in"), "she chose it");
    assert!(sari.get("/").html.contains("<html lang=\"en\">"));
}

/// One refund, whoever presses how often; and why it is not possible where it is not.
#[test]
fn money_goes_back_once_and_only_by_who_may_send_it() {
    let desk = Desk::open();
    let order = desk.shop.reported("failed");
    let (sari, budi) = (desk.person("Sari", "owner"), desk.person("Budi", "viewer"));
    let refund = format!("/orders/{order}/refund");

    // What came wants nobody.
    let came = desk.shop.reported("dispensed");
    let page = sari.get(&format!("/orders/{came}/refund"));
    assert!(page.has("The machine told that the goods came out.") && !page.has("nothing to see in this order"), "{}", page.html);
    let page = sari.get(&format!("/orders/{came}"));
    assert_eq!(page.html.matches("The machine told that the goods came out.").count(), 1, "once for all deeds: {}", page.html);
    assert!(!budi.get(&format!("/orders/{came}")).has("This needs an owner"), "nobody is needed");

    // A viewer is offered nothing, and is refused what he sends all the same.
    let page = budi.get(&format!("/orders/{order}"));
    assert!(page.has("money is owed") && page.has("You may only see.") && !page.has(&format!("href=\"{refund}\"")), "{}", page.html);
    let page = budi.get(&refund);
    assert!(page.forms().iter().all(|form| *form != refund), "{}", page.html);
    let version = sari.get(&refund).fields(&refund, 0).into_iter().find(|(name, _)| name == "version").expect("a version").1;
    let token = forged(&budi, &refund);
    let refused = budi.post(&refund, &[], &[("token", &token), ("version", &version)]);
    assert_eq!(refused.status, 403, "{}", refused.html);

    // Without the token of this form, or with too little in it, nothing goes.
    for (fields, status) in [
        (vec![("version", version.as_str())], 403),
        (vec![("token", "x"), ("version", &version)], 403),
        (vec![("token", &forged(&sari, "/logout")), ("version", &version)], 403),
        (vec![("token", &forged(&sari, &refund))], 422),
        (vec![("token", &forged(&sari, &refund)), ("version", "x")], 422),
        (vec![("token", &forged(&sari, &refund)), ("version", &version), ("sure", "quite")], 422),
        (vec![("token", &forged(&sari, &refund)), ("version", "0")], 409),
    ] {
        let refused = sari.post(&refund, &[], &fields);
        assert_eq!(refused.status, status, "{fields:?}: {}", refused.html);
    }
    // Nor does another form take it.
    let again = refund.replace("/refund", "/again");
    assert_eq!(sari.post(&again, &[], &[("token", &forged(&sari, &refund)), ("version", &version)]).status, 403);
    assert!(desk.shop.order_at_backend(&order)["try_wanted_s"].is_null());
    let refunds = || desk.shop.midtrans.transactions().iter().filter(|charge| charge["status"] == "refund").count();
    assert_eq!(
        (refunds(), sari.get("/log").html.matches("denied: asked for a refund").count()),
        (0, 1),
        "the viewer's attempt is in the log"
    );

    // Two phones, at the same moment: one of them is told that the order has changed.
    let phone = desk.visitor();
    login(&phone, "Sari", PASSWORD);
    // Both have the page before one of them sends it.
    let both = [sari, phone].map(|one| (one.get(&refund).fields(&refund, 0), one));
    let pressed = both.map(|(fields, one)| {
        let refund = refund.clone();
        std::thread::spawn(move || {
            let answer = one.post(&refund, &[], &fields.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>());
            (one, answer.status)
        })
    });
    let [(sari, first), (_, second)] = pressed.map(|thread| thread.join().expect("an answer"));
    assert_eq!([first.min(second), first.max(second)], [303, 409]);
    wait_for("the refund", || sari.get(&format!("/orders/{order}")).has("money went back").then_some(()));
    assert_eq!(refunds(), 1);
    assert!(sari.get("/log").has("asked for a refund"));
    assert!(sari.get(&refund).has("This is not possible"));
    assert_eq!(budi.get("/").status, 200);
}

/// The token that a page would have made: all that it takes is the visitor's own session.
fn forged(visitor: &Visitor, address: &str) -> String {
    use base64::Engine as _;
    let session = visitor.cookies.borrow().iter().find(|(name, _)| name == "desk").expect("a session").1.clone();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, session.as_bytes());
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, format!("qris-desk form {address}").as_bytes()))
}

#[test]
fn what_was_paid_back_by_hand_says_how_and_what_is_uncertain_wants_a_tick() {
    let desk = Desk::open();
    let (failed, uncertain) = (desk.shop.reported("failed"), desk.shop.reported("uncertain"));
    let sari = desk.person("Sari", "owner");
    let by_hand = format!("/orders/{failed}/by_hand");
    for note in ["", "   ", &"x".repeat(201)] {
        let refused = sari.submit(&by_hand, &by_hand, &[("note", note)]);
        assert!(refused.status == 422 && refused.has("First write how"), "{note}: {}", refused.html);
    }
    let markup = "<script>alert(1)</script> tunai & \"lunas\"";
    let done = sari.submit(&by_hand, &by_hand, &[("note", markup)]);
    assert_eq!(done.status, 303, "{}", done.html);
    let page = sari.get(&format!("/orders/{failed}"));
    assert!(page.has("Sari paid the money back by hand: "), "{}", page.html);
    assert!(page.has("money was paid back by hand") && page.has("tunai &#38; &#34;lunas&#34;") && !page.has("<script>"), "{}", page.html);

    let refund = format!("/orders/{uncertain}/refund");
    let page = sari.get(&refund);
    assert!(page.has("value=\"no_proof\"") && page.has("I have made sure that nothing came out"), "{}", page.html);
    let refused = sari.submit(&refund, &refund, &[]);
    assert!(refused.status == 409 && refused.has("First say by the tick"), "{} {}", refused.status, refused.html);
    let done = sari.submit(&refund, &refund, &[("sure", "no_proof")]);
    assert_eq!(done.status, 303, "{}", done.html);
}

/// Whoever hands out money or goods first, and presses later, loses it: the customer may press at the machine meanwhile. So each page says
/// what comes first, and until when.
#[test]
fn while_another_try_is_offered_yes_comes_before_the_money_and_the_goods() {
    let desk = Desk::open();
    let order = desk.shop.reported("failed");
    let mut sari = desk.person("Sari", "owner");
    assert!(desk.shop.merchant(&["again", &order, "--by", "Sari"]).status.success());
    for (language, until, behind, where_it_is, may_try, ends, first) in [
        (
            "en",
            "<p>Until ",
            " the customer may try again at the machine, and pays nothing.",
            "The button is on the customer&#39;s page",
            "Until {} the customer may try again at the machine.",
            "If you press Yes, that offer ends.",
            ["So press Yes first, then hand out the money", "So press Yes first, then hand out the goods"],
        ),
        (
            "id",
            "<p>Sampai ",
            " pelanggan boleh mencoba lagi di mesin, tanpa membayar.",
            "Tombolnya ada di halaman pelanggan",
            "Sampai {} pelanggan boleh mencoba lagi di mesin.",
            "Jika Anda menekan Ya, tawaran itu berakhir.",
            ["Jadi tekan Ya dulu, baru serahkan uangnya", "Jadi tekan Ya dulu, baru serahkan barangnya"],
        ),
    ] {
        sari.language = language;
        let page = sari.get(&format!("/orders/{order}"));
        assert!(page.has(where_it_is), "{}", page.html);
        let (before, _) = page.html.split_once(behind).unwrap_or_else(|| panic!("no offer in {}", page.html));
        let (_, time) = before.rsplit_once(until).expect("its time");
        let may_try = may_try.replace("{}", time);
        for (deed, first) in [("by_hand", Some(first[0])), ("given", Some(first[1])), ("refund", None)] {
            let page = sari.get(&format!("/orders/{order}/{deed}"));
            assert!(page.has(&may_try) && page.has(ends) && first.is_none_or(|first| page.has(first)), "{deed}: {}", page.html);
        }
    }
    // Where nothing is offered, nothing is said of it.
    let uncertain = desk.shop.reported("uncertain");
    let page = sari.get(&format!("/orders/{uncertain}/given"));
    assert!(page.has("Ya, barangnya sudah diserahkan") && !page.has("mencoba lagi di mesin"), "{}", page.html);
}

/// Whom the limit denies it reads what is left.
#[test]
fn what_the_limit_denies_says_what_is_left_today() {
    let desk = Desk::open();
    let large = desk.shop.reported_of(("Lobi", "Bottled tea", 500_001), "failed");
    let sari = desk.person("Sari", "owner");
    for deed in ["refund", "by_hand", "given"] {
        let page = sari.get(&format!("/orders/{large}/{deed}"));
        assert!(
            page.has("This is more than you may send back today.") && page.forms().iter().all(|form| !form.contains(&large)),
            "{}",
            page.html
        );
        assert!(page.has("Today you may still send back or write off Rp500.000."), "{deed}: {}", page.html);
    }
    let came = desk.shop.reported("dispensed");
    assert!(!sari.get(&format!("/orders/{came}/refund")).has("Today you may still"), "what another reason denies no money allows");
}

#[test]
fn what_was_cancelled_says_so_at_once_and_that_nothing_was_paid() {
    let desk = Desk::open();
    let sari = desk.person("Sari", "owner");
    let order = desk.shop.charged();
    let at = format!("/orders/{order}");
    assert!(sari.get(&at).has("waiting for the payment"));
    let cancel = format!("{}/v1/orders/{order}/cancel", desk.shop.backend_url);
    assert_eq!(desk.shop.http.post(&cancel, Some(&desk.shop.token), &[], &json!({})).status, 200);
    // The gateway is asked once more when the time of the QR is over. Nobody waits for that.
    for at in [&*at, "/orders"] {
        let is_said = |page: &Page| page.has("cancelled; nothing was paid") && !page.has("waiting for the payment");
        wait_for("its end on the page", || Some(sari.get(at)).filter(is_said));
    }
}

/// The bank takes it back without a word of the machine or of a person.
#[test]
fn money_that_was_taken_back_is_in_the_order_s_story() {
    let desk = Desk::open();
    let order = desk.shop.reported("dispensed");
    let sari = desk.person("Sari", "owner");
    desk.shop.midtrans.set(&order, "chargeback", false);
    let page = wait_for("the bank's word", || {
        let page = sari.get(&format!("/orders/{order}"));
        page.has("money was taken back").then_some(page)
    });
    assert!(page.has("</li><li>The bank, or the shop&#39;s counter, took the money back.</li></ol>"), "{}", page.html);
}

/// Nobody types what a walk through all forms types. Nothing of it is an error of the program, and no markup comes back as markup.
#[test]
fn no_walk_through_the_forms_finds_a_fault_of_the_program() {
    use qris::sim::rng::Rng;
    const STEPS: u64 = 400;
    const SEED: u64 = 42;
    const TYPED: [&str; 16] = [
        "",
        "x",
        "-1",
        "0",
        "18446744073709551616",
        "<b>markup</b>",
        "\"'><script>alert(1)</script>",
        "../../etc/passwd",
        "%00%ff",
        "\u{202e}\u{0}\n",
        "5.000 15:00",
        "Rp5.000",
        "27-11",
        "2026-02-30",
        "all",
        "no_proof",
    ];
    let desk = Desk::open();
    let orders = ["failed", "uncertain", "dispensed"].map(|outcome| desk.shop.reported(outcome));
    let mut body = desk.shop.order_body(&new_request_id());
    (body["description"], body["machine"]) = ("<b>markup</b> tea".into(), "<script>alert(1)</script>".into());
    assert_eq!(desk.shop.post_order(&body).status, 201);
    let sari = desk.person("Sari", "owner");
    assert!(sari.get("/orders").has("&#60;b&#62;markup&#60;/b&#62; tea"), "the name is there, and is no markup");
    let session = sari.cookies.borrow().clone();
    let (mut rng, mut at) = (Rng::new(SEED), String::from("/"));
    let pick = |rng: &mut Rng, list: &[String]| list.get(rng.below(list.len() as u64) as usize).cloned();
    for step in 0..STEPS {
        let page = sari.get(&at);
        let about = format!("seed {SEED}, step {step}, {at}");
        assert!(page.status < 500, "{about}: {} {}", page.status, page.html);
        assert!(!page.has("<script>") && !page.has("<b>markup"), "{about}: {}", page.html);
        let typed = TYPED[rng.below(TYPED.len() as u64) as usize];
        if let Some(action) = pick(&mut rng, &page.forms()).filter(|action| action != "/logout" && rng.below(2) == 0) {
            let mut fields = page.fields(&action, 0);
            fields.extend(["name", "password", "again", "note", "sure"].map(|name| (name.to_owned(), typed.to_owned())));
            if rng.below(3) == 0 {
                let wrong = rng.below(fields.len() as u64) as usize;
                fields[wrong].1 = TYPED[rng.below(TYPED.len() as u64) as usize].into();
            }
            let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
            let answer = sari.post(&action, &[], &fields);
            assert!(answer.status < 500, "{about} {action} {fields:?}: {} {}", answer.status, answer.html);
            assert!(!answer.has("<script>") && !answer.has("<b>markup"), "{about} {action}: {}", answer.html);
            *sari.cookies.borrow_mut() = session.clone();
        }
        let links: Vec<String> =
            page.html.split("href=\"/").skip(1).filter_map(|link| Some(format!("/{}", link.split('"').next()?))).collect();
        let typed = crate::rig::people::escaped(typed);
        let order = &orders[rng.below(3) as usize];
        let made = [
            format!("/orders?q={typed}&behind={typed}"),
            format!("/orders?device={typed}"),
            format!("/orders/{typed}"),
            format!("/orders/{order}"),
            format!("/orders/{order}/{typed}"),
            format!("/orders/{order}/by_hand"),
            format!("/machines/{typed}"),
            format!("/report?day={typed}&by={typed}"),
            format!("/report?month={typed}"),
            format!("/report.csv?day={typed}"),
            format!("/log?behind={typed}"),
            format!("/join/{typed}"),
            format!("/login?to={typed}"),
        ];
        at = if rng.below(2) == 0 { pick(&mut rng, &links) } else { pick(&mut rng, &made) }
            .unwrap_or_else(|| "/".into())
            .replace("&#38;", "&");
    }
    let lines = desk.desk.as_ref().expect("it runs").lines.all();
    assert!(lines.iter().all(|line| !line.contains("fault") && !line.contains("panic")), "{lines:?}");
}
