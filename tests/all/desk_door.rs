//! The door at which the desk asks `serve`: who is let in, what each may do, and that a deed of a person is that of the command, once.

use crate::rig::http::HttpAnswer;
use crate::rig::phone::{PASSWORD, Phone, code, open_desk};
use crate::rig::postgres::Postgres;
use crate::rig::process::Process;
use crate::rig::shop::{DEVICE, Options, PRICE, Program, Shop};
use crate::rig::{Sets, stderr, stdout, wait_for};
use crate::second_try::Machine;
use crate::two_backends::{second_command, second_started_by};
use qris::host::speech::orders;
use qris::order::merchant::{NoTry, Refused};
use qris::order::time::{Span, Wall};
use qris::wire::desk::FROM;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The merchant's side with the desk's door, with its books in a file or in this database.
fn shop(server: Option<&Postgres>, more: &str) -> (Shop, PathBuf) {
    let store = server.map(|server| format!("url = \"{}\"", server.url()));
    let mut shop = Shop::open(Options { machine: false, store, ..Options::default() });
    let socket = open_desk(&mut shop, more);
    (shop, socket)
}

/// Another process behind the same address, and its socket.
fn second(shop: &Shop) -> (Process, PathBuf) {
    let socket = shop.path().join("second.sock");
    let (process, _) = second_started_by(shop, |start| {
        let path = shop.path().join("backend-2.toml");
        let text = std::fs::read_to_string(&path).expect("there");
        std::fs::write(&path, text.replace("/serve.sock", "/second.sock")).expect("written");
        start
    });
    (process, socket)
}

/// Changes the books behind everybody's back.
fn write(shop: &Shop, server: Option<&Postgres>, sql: &str) -> Result<(), String> {
    if let Some(server) = server {
        let told = server.ask(&format!("DO $$ BEGIN {sql}; EXCEPTION WHEN integrity_constraint_violation THEN RAISE NOTICE 'refused'; END $$; SELECT count(*) FROM desk_log"));
        return if told.is_empty() { Err(told) } else { Ok(()) };
    }
    let books = Connection::open(shop.path().join("orders.db")).expect("the books");
    books.execute_batch(sql).map_err(|error| error.to_string())
}

fn is(answer: &HttpAnswer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{}", answer.text());
}

#[test]
fn a_link_lets_one_person_in_once() {
    let (shop, socket) = shop(None, "");
    let mut phone = Phone::new(&socket, "192.0.2.7");
    let link = code(&shop, &["desk", "add", "Sari", "--role", "owner"]);
    is(&phone.post("invitation", &json!({"code": "x".repeat(43)})), 410, "link_over");
    // A look at the link uses nothing up: a messenger looks at each that it carries.
    for _ in 0..3 {
        let invited = phone.post("invitation", &json!({"code": link}));
        assert_eq!((invited.status, invited.json()), (200, json!({"name": "Sari", "role": "owner"})));
    }
    is(&phone.join(&link, "short"), 422, "password");
    is(&phone.join(&link, &"x".repeat(257)), 422, "password");
    assert_eq!(phone.join(&link, PASSWORD).status, 200);
    is(&Phone::new(&socket, "192.0.2.8").join(&link, "another password"), 410, "link_over");
    is(&phone.post("invitation", &json!({"code": link})), 410, "link_over");
    let me = phone.get("sessions").json()["me"].clone();
    assert_eq!(
        (&me["name"], &me["role"], &me["left_today"], &me["zone"]),
        (&json!("Sari"), &json!("owner"), &json!(500_000), &json!("wib"))
    );
    // The name is hers alone, however it is written.
    let taken = shop.merchant(&["desk", "add", " sARI", "--role", "viewer"]);
    assert!(!taken.status.success() && stderr(&taken).contains("there is a sARI already"), "{taken:?}");
    // An hour later.
    let late = code(&shop, &["desk", "add", "Budi", "--role", "viewer"]);
    write(&shop, None, "UPDATE people_invited SET until_ms = until_ms - 3600000 WHERE used_ms IS NULL").expect("written");
    is(&Phone::new(&socket, "192.0.2.8").join(&late, PASSWORD), 410, "link_over");
    // A newer link makes an older one void.
    let first = code(&shop, &["desk", "link", "budi"]);
    let newer = code(&shop, &["desk", "link", "Budi"]);
    is(&Phone::new(&socket, "192.0.2.8").join(&first, PASSWORD), 410, "link_over");
    assert_eq!(Phone::new(&socket, "192.0.2.8").join(&newer, PASSWORD).status, 200);
    let listed = stdout(&shop.merchant(&["desk", "list"]));
    assert!(listed.contains("Sari") && listed.contains("Rp500.000") && listed.contains("Budi"), "{listed}");
    // No secret is in the books, nor in the journal.
    let books = std::fs::read(shop.path().join("orders.db")).expect("the books");
    let log = std::fs::read(shop.path().join("orders.db-wal")).unwrap_or_default();
    let session = phone.session.clone().expect("a session");
    for secret in [&*link, &*newer, PASSWORD, &session] {
        let has = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!has(&books) && !has(&log), "a secret is in the books");
        assert!(!shop.backend.as_ref().expect("it runs").text().contains(secret), "a secret is in the journal");
    }
}

#[test]
fn a_session_is_over_when_its_person_or_its_time_says_so() {
    a_session_is_over(None);
}

#[test]
fn a_session_on_postgresql_is_over_when_its_person_or_its_time_says_so() {
    a_session_is_over(Some(&Postgres::start(&[])));
}

fn a_session_is_over(server: Option<&Postgres>) {
    let (shop, socket) = shop(server, "");
    let mut phone = Phone::of(&shop, &socket, "Sari", "owner");
    is(&Phone::new(&socket, "192.0.2.9").login("Sari", "a wrong password"), 403, "wrong_password");
    is(&Phone::new(&socket, "192.0.2.9").login("Nobody", PASSWORD), 403, "wrong_password");
    let mut tablet = Phone::new(&socket, "192.0.2.10");
    assert_eq!(tablet.login("sari", PASSWORD).status, 200);
    let sessions = phone.told("sessions");
    let list = sessions.as_array().expect("a list");
    assert_eq!((list.len(), &list[0]["from"], &list[1]["is_this"]), (2, &json!("192.0.2.10"), &json!(true)), "{sessions}");
    // Both processes know it.
    let (_process, other) = second(&shop);
    assert_eq!(phone.at(&other).get("sessions").status, 200);
    // Nobody ends another person's.
    let budi = Phone::of(&shop, &socket, "Budi", "viewer");
    is(&budi.post("sessions/end", &json!({"number": list[0]["number"]})), 404, "unknown");
    assert_eq!(tablet.get("sessions").status, 200);
    assert_eq!(phone.post("sessions/end", &json!({"number": list[0]["number"]})).status, 200);
    is(&tablet.get("sessions"), 401, "not_in");
    // Somebody has stolen the cookie. She ends all sessions, and it opens nothing, at either process.
    assert_eq!(tablet.login("Sari", PASSWORD).status, 200);
    let stolen = (phone.at(&socket), phone.at(&other));
    assert_eq!(tablet.post("sessions/end", &json!("all")).status, 200);
    for thief in [&stolen.0, &stolen.1, &tablet] {
        is(&thief.get("today"), 401, "not_in");
    }
    // It ends by itself after 30 days, however seldom it is used. It settles for 12 hours after the password was typed.
    const HOUR: i64 = 3_600_000;
    let age = |column: &str, by: i64| write(&shop, server, &format!("UPDATE sessions SET {column} = {column} - {by}")).expect("written");
    assert_eq!(phone.login("Sari", PASSWORD).status, 200);
    let order = shop.reported("failed");
    age("proven_ms", 12 * HOUR - 60_000);
    assert_eq!(phone.get("sessions").json()["me"]["proven"], true);
    age("proven_ms", 120_000);
    assert_eq!(phone.get("sessions").json()["me"]["proven"], false);
    is(&phone.settle(&order, "given"), 403, "unproven");
    is(&phone.post("prove", &json!({"password": "a wrong password"})), 403, "wrong_password");
    is(&phone.settle(&order, "given"), 403, "unproven");
    assert_eq!(phone.post("prove", &json!({"password": PASSWORD})).status, 200);
    assert_eq!(phone.settle(&order, "given").status, 200);
    age("used_ms", 29 * 24 * HOUR);
    age("began_ms", 30 * 24 * HOUR - 60_000);
    assert_eq!(phone.get("sessions").status, 200);
    age("began_ms", 120_000);
    is(&phone.get("sessions"), 401, "not_in");
    assert_eq!(phone.login("Sari", PASSWORD).status, 200);
    assert_eq!(phone.post("logout", &json!({})).status, 200);
    is(&phone.get("sessions"), 401, "not_in");
    // Whoever has forgotten the password chooses another one, and everything of before is over.
    assert_eq!(phone.login("Sari", PASSWORD).status, 200);
    let link = code(&shop, &["desk", "link", "Sari"]);
    assert_eq!(phone.get("sessions").status, 200, "a link that nobody used changes nothing");
    assert_eq!(tablet.join(&link, "another good one").status, 200);
    is(&phone.get("sessions"), 401, "not_in");
    is(&phone.login("Sari", PASSWORD), 403, "wrong_password");
    // Somebody who is removed is out at once, and comes in no more.
    assert!(shop.merchant(&["desk", "remove", "Sari"]).status.success());
    is(&tablet.get("today"), 401, "not_in");
    is(&tablet.login("Sari", "another good one"), 403, "wrong_password");
    // Forged ones.
    for session in ["", "x", &"A".repeat(43), &"A".repeat(5000), "' OR 1=1 --"] {
        let mut phone = Phone::new(&socket, "192.0.2.9");
        phone.session = Some(session.into());
        is(&phone.get("today"), 401, "not_in");
    }
    is(&Phone::new(&socket, "192.0.2.9").get("today"), 401, "not_in");
}

#[test]
fn guesses_wait_and_keep_nobody_out() {
    let (shop, socket) = shop(None, "");
    let mut sari = Phone::of(&shop, &socket, "Sari", "owner");
    // How many guesses are wrong before one has to wait; what it is told.
    let guess = |phone: &mut Phone, name: &str| {
        (0..20)
            .find_map(|n| {
                let answer = phone.login(name, &format!("guess number {n}"));
                (answer.status != 403).then_some((n, answer))
            })
            .expect("it waits")
    };
    // The right password waits, too. If the first wait, of 2 s, was over when it came, it is right, and all begins anew.
    let guessed = (70..75).find_map(|n| {
        let mut guesser = Phone::new(&socket, &format!("192.0.2.{n}"));
        let (wrong, told) = guess(&mut guesser, "Sari");
        is(&told, 429, "wait");
        // The guesses before are not forgotten because she came in.
        assert!((wrong >= 5 || n > 70) && told.json()["wait_s"].as_u64().is_some_and(|wait| wait >= 1), "{wrong}: {}", told.text());
        let right = guesser.login("Sari", PASSWORD);
        (right.status != 200).then_some((guesser, right))
    });
    let (mut guesser, right) = guessed.expect("the right password waits");
    is(&right, 429, "wait");
    // A name that nobody has waits as well: nobody hears which names there are.
    let mut other = Phone::new(&socket, "192.0.2.67");
    let (wrong, told) = guess(&mut other, "Nobody");
    is(&told, 429, "wait");
    assert!(wrong >= 5, "{wrong}");
    // Her own phone gets in meanwhile, also from the address of the guesses; and so does a link.
    sari.from = guesser.from.clone();
    assert_eq!(sari.login("Sari", PASSWORD).status, 200);
    let link = code(&shop, &["desk", "link", "Sari"]);
    assert_eq!(guesser.join(&link, PASSWORD).status, 200);
    // What was typed for a name stands in no journal: it may be a password.
    other.login("my secret password", "x");
    shop.backend.as_ref().expect("it runs").wait_line("somebody without a name was not let in at the desk, from 192.0.2.67");
    assert!(!shop.backend.as_ref().expect("it runs").text().contains("my secret password"));
}

/// Strangers guess from as many addresses as they like.
#[test]
fn a_flood_of_guesses_shuts_out_no_known_phone_and_no_link() {
    let (shop, socket) = shop(None, "");
    let mut sari = Phone::of(&shop, &socket, "Sari", "owner");
    let links: Vec<_> = (0..4).map(|n| code(&shop, &["desk", "add", &format!("Person {n}"), "--role", "viewer"])).collect();
    let (is_over, is_busy) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..12 {
            let (socket, is_over, is_busy) = (&socket, &is_over, &is_busy);
            scope.spawn(move || {
                for n in 0.. {
                    let mut stranger = Phone::new(socket, &format!("2001:db8:{thread:x}:{n:x}::1"));
                    for guess in 0..15 {
                        let told = stranger.login(&format!("n{thread}x{n}x{guess}"), "kopi susu siang");
                        // So long says only who has found no place.
                        is_busy.fetch_or(told.status == 429 && told.json()["wait_s"] == 3, Ordering::Relaxed);
                        if is_over.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                }
            });
        }
        wait_for("all places of strangers to be taken", || is_busy.load(Ordering::Relaxed).then_some(()));
        let logins: Vec<_> = (0..12).map(|_| sari.login("Sari", PASSWORD).status).collect();
        let joined: Vec<_> = links.iter().map(|link| Phone::new(&socket, "192.0.2.8").join(link, PASSWORD).status).collect();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!((logins, joined), (vec![200; 12], vec![200; 4]));
    });
    // None of it was a guess of hers.
    for n in 0..5 {
        is(&sari.login("Sari", &format!("guess number {n}")), 403, "wrong_password");
    }
    assert_eq!(sari.login("Sari", PASSWORD).status, 429, "she has guessed five times, and not before");
}

/// It takes no other order with it, and nobody is told that all is well.
#[test]
fn an_order_that_cannot_be_read_is_named() {
    let (shop, socket) = shop(None, "");
    let (harmed, other) = (shop.reported("failed"), shop.reported("failed"));
    write(&shop, None, &format!("UPDATE orders SET body = replace(body, 'A1', 'A2'), version = version + 1 WHERE order_id = '{harmed}'"))
        .expect("harmed");
    let sari = Phone::of(&shop, &socket, "Sari", "owner");
    let now = sari.get("today").json()["me"]["now"].as_str().expect("a time")[11..16].to_owned();
    let by_time = format!("orders?q=5000%20{now}");
    let of_machine = format!("machines/{DEVICE}");
    for place in ["today", "orders?wanting=true", "orders?q=5000", &by_time, &of_machine] {
        let told = sari.told(place);
        assert_eq!(told["damaged"], json!([harmed]), "{told}");
        let list = if told["wanting"].is_array() { &told["wanting"] } else { &told["orders"] };
        assert!(matches!(&list.as_array().expect("orders")[..], [line] if line["order"]["order_id"] == other), "{told}");
    }
    is(&sari.get(&format!("orders/{harmed}")), 500, "damaged");
    is(&sari.settle_as(&harmed, "seen", &Value::Null, 1), 500, "damaged");
}

#[test]
fn who_only_sees_settles_nothing() {
    let (shop, socket) = shop(None, "");
    let order = shop.reported("failed");
    let budi = Phone::of(&shop, &socket, "Budi", "viewer");
    let page = budi.told(&format!("orders/{order}"));
    let denied: Vec<_> = page["line"]["deeds"].as_array().expect("deeds").iter().map(|possible| possible["denied"].clone()).collect();
    assert_eq!(denied, vec![json!("role"); 6], "{page}");
    for deed in ["refund", "by_hand", "given", "again", "seen"] {
        let answer = budi.settle_as(&order, deed, &Value::Null, page["version"].as_u64().expect("a version"));
        is(&answer, 403, "denied");
        assert_eq!(answer.json()["denied"], "role");
    }
    is(&budi.get("log"), 403, "denied");
    assert!(shop.midtrans.calls("refund", &order).is_empty());
    // The role is asked for with each deed: a session of before does not keep it.
    assert!(shop.merchant(&["desk", "role", "Budi", "--role", "owner"]).status.success());
    let answer = budi.settle(&order, "refund");
    assert_eq!((answer.status, &answer.json()["told"]["line"]["stands"]), (200, &json!("refunded")), "{}", answer.text());
    assert!(shop.merchant(&["desk", "role", "Budi", "--role", "viewer"]).status.success());
    let other = shop.reported("failed");
    is(&budi.settle(&other, "given"), 403, "denied");
    // All of it stands in the log, and in the order's history.
    let log = stdout(&shop.merchant(&["orders", &order]));
    assert!(log.contains("Budi (desk)"), "{log}");
    let owner = Phone::of(&shop, &socket, "Sari", "owner");
    let log = owner.told("log");
    let what: Vec<_> = log.as_array().expect("lines").iter().map(|line| line["what"].as_str().expect("a word").to_owned()).collect();
    for word in ["denied refund", "denied by_hand", "denied given", "denied again", "denied seen", "refund", "role", "add", "join"] {
        assert!(what.iter().any(|what| what == word), "{word}: {what:?}");
    }
}

/// Nobody gets more money a day because another role was said, and the log tells both.
#[test]
fn a_role_alone_leaves_the_sum_of_a_day() {
    let (shop, socket) = shop(None, "");
    let sari = Phone::of(&shop, &socket, "Sari", "owner");
    code(&shop, &["desk", "add", "Budi", "--role", "owner", "--limit-per-day", "100000"]);
    for (who, role, limit, told) in [
        ("Budi", "viewer", None, "Budi, from now on: sees; limit a day as an owner: Rp100.000\n"),
        ("Budi", "owner", None, "Budi, from now on: settles, keeps the people; limit a day: Rp100.000\n"),
        ("Budi", "owner", Some("0"), "Budi, from now on: settles, keeps the people; limit a day: Rp0\n"),
        ("Budi", "owner", Some("1000000000"), "Budi, from now on: settles, keeps the people; limit a day: Rp1.000.000.000\n"),
        ("Sari", "owner", None, "Sari, from now on: settles, keeps the people; limit a day: Rp500.000\n"),
    ] {
        let mut words = vec!["desk", "role", who, "--role", role];
        words.extend(limit.iter().flat_map(|limit| ["--limit-per-day", *limit]));
        assert_eq!(stdout(&shop.merchant(&words)), told, "{words:?}");
    }
    // As the configuration, so the option.
    for limit in ["1000000001", "99999999999999"] {
        for words in [["desk", "role", "Budi"], ["desk", "add", "Joko"]] {
            let refused = shop.merchant(&[&words[..], &["--role", "owner", "--limit-per-day", limit]].concat());
            assert_eq!(refused.status.code(), Some(2), "{refused:?}");
            assert!(stderr(&refused).contains("must be 0 to 1000000000"), "{refused:?}");
        }
    }
    let log = sari.told("log");
    let mut details: Vec<_> = log.as_array().expect("lines").iter().filter_map(|line| line["detail"].as_str()).collect();
    details.reverse();
    let wanted = [
        "Sari: owner, Rp500.000",
        "Budi: owner, Rp100.000",
        "Budi: viewer, Rp100.000",
        "Budi: owner, Rp100.000",
        "Budi: owner, Rp0",
        "Budi: owner, Rp1.000.000.000",
        "Sari: owner, Rp500.000",
    ];
    assert_eq!(details, wanted, "{log}");
}

/// An owner keeps her people, by her password each time. All owners are told.
#[test]
fn an_owner_keeps_her_people_and_nobody_else_does() {
    people(None);
}

#[test]
fn an_owner_on_postgresql_keeps_her_people_and_nobody_else_does() {
    people(Some(&Postgres::start(&[])));
}

fn people(server: Option<&Postgres>) {
    let told = tempfile::tempdir().expect("a directory");
    let store = server.map(|server| format!("url = \"{}\"", server.url()));
    let mut shop = Shop::open(Options { machine: false, store, ..Options::default() });
    let alerts = crate::alerts::section(told.path(), "cat >> told; echo >> told", "");
    let socket = open_desk(&mut shop, &format!("limit_per_day = 50000\n{alerts}"));
    let mut sari = Phone::of(&shop, &socket, "Sari", "owner");
    let wish = |phone: &Phone, password: &str, wish: Value| phone.post("people", &json!({"password": password, "wish": wish}));
    let add = |name: &str, role: &str, sum: u64| json!({"add": {"name": name, "may": {"role": role, "limit_per_day": sum}}});
    is(&wish(&sari, "a wrong password", add("Budi", "settler", 10_000)), 403, "wrong_password");
    // Nobody gives more than the own sum, nor a name twice.
    for (refused, why) in [(add("Budi", "settler", 50_001), "sum"), (add(" ", "viewer", 0), "no_name"), (add("sari", "viewer", 0), "taken")]
    {
        let answer = wish(&sari, PASSWORD, refused);
        is(&answer, 422, "not_changed");
        assert_eq!(answer.json()["why"], why);
    }
    let made = wish(&sari, PASSWORD, add("Budi", "settler", 10_000));
    assert_eq!(made.status, 200, "{}", made.text());
    let link = made.json()["told"]["link"].as_str().expect("a link").to_owned();
    let mut budi = Phone::new(&socket, "192.0.2.8");
    assert_eq!(budi.join(link.strip_prefix("http://127.0.0.1:9/join/").expect("the desk's address"), PASSWORD).status, 200);
    // He settles within his sum, and keeps nobody.
    let order = shop.reported("failed");
    assert_eq!(budi.settle(&order, "given").status, 200);
    is(&budi.get("people"), 403, "denied");
    is(&budi.get("log"), 403, "denied");
    is(&wish(&budi, PASSWORD, add("Joko", "viewer", 0)), 403, "denied");
    let list = sari.told("people");
    let of = |name: &str| list.as_array().expect("people").iter().find(|one| one["name"] == name).expect("in the list").clone();
    assert_eq!(
        (&of("Sari")["is_me"], &of("Budi")["role"], &of("Budi")["limit_per_day"]),
        (&json!(true), &json!("settler"), &json!(10_000))
    );
    // Nobody changes the own role.
    let [own, other] = ["Sari", "Budi"].map(|name| of(name)["number"].clone());
    for refused in [json!({"role": {"person": own, "may": {"role": "owner", "limit_per_day": 1}}}), json!({"remove": {"person": own}})] {
        is(&wish(&sari, PASSWORD, refused), 422, "not_changed");
    }
    // A link for somebody with a larger sum would give that.
    assert!(shop.merchant(&["desk", "role", "Budi", "--role", "settler", "--limit-per-day", "50001"]).status.success());
    is(&wish(&sari, PASSWORD, json!({"link": {"person": other}})), 422, "not_changed");
    let viewer = json!({"role": {"person": other, "may": {"role": "viewer", "limit_per_day": 0}}});
    assert_eq!(wish(&sari, PASSWORD, viewer).status, 200);
    assert_eq!(budi.get("sessions").json()["me"]["role"], "viewer");
    assert_eq!(wish(&sari, PASSWORD, json!({"remove": {"person": other}})).status, 200);
    is(&budi.get("today"), 401, "not_in");
    is(&wish(&sari, PASSWORD, json!({"link": {"person": other}})), 404, "unknown");
    // Her own password. Other devices are out, and this one stays.
    let mut tablet = Phone::new(&socket, "192.0.2.10");
    assert_eq!(tablet.login("Sari", PASSWORD).status, 200);
    let new = |old: &str, new: &str| sari.post("password", &json!({"password": old, "new": new, "device": sari.device}));
    is(&new("a wrong password", "a better sentence"), 403, "wrong_password");
    is(&new(PASSWORD, "password2026"), 422, "common_password");
    assert_eq!(new(PASSWORD, "a better sentence").status, 200);
    is(&tablet.get("today"), 401, "not_in");
    assert_eq!(sari.get("today").status, 200);
    assert_eq!(sari.login("Sari", "a better sentence").status, 200);
    let words = ["invited Budi: settler, Rp10.000", "changed what may be done by Budi: viewer", "removed Budi", "changed the own password"];
    let heard = wait_for("the owners to be told", || {
        let told = std::fs::read_to_string(told.path().join("told")).unwrap_or_default();
        words.iter().all(|word| told.contains(&format!("Sari {word}"))).then_some(told)
    });
    assert!(heard.contains("\"kind\":\"people\"") && !heard.contains("/join/"), "{heard}");
}

#[test]
fn two_phones_at_once_make_one_refund_and_stay_within_the_limit() {
    two_phones(None);
}

#[test]
fn two_phones_at_once_on_postgresql_make_one_refund_and_stay_within_the_limit() {
    two_phones(Some(&Postgres::start(&[])));
}

/// Both ask at the same moment, each at a process of its own.
fn both(phones: [&Phone; 2], ask: impl Fn(usize, &Phone) -> HttpAnswer + Sync) -> [HttpAnswer; 2] {
    let together = Barrier::new(2);
    let at = [0, 1];
    std::thread::scope(|scope| {
        let asked = at.map(|n| {
            let (ask, together, phone) = (&ask, &together, phones[n].again());
            scope.spawn(move || {
                together.wait();
                ask(n, &phone)
            })
        });
        asked.map(|thread| thread.join().expect("no panic"))
    })
}

fn two_phones(server: Option<&Postgres>) {
    let (shop, socket) = shop(server, &format!("limit_per_day = {}\n", PRICE * 5));
    let (_process, other) = second(&shop);
    let phone = Phone::of(&shop, &socket, "Sari", "owner");
    let tablet = phone.at(&other);
    for _ in 0..3 {
        let order = shop.reported("failed");
        let version = phone.told(&format!("orders/{order}"))["version"].as_u64().expect("a version");
        let answers = both([&phone, &tablet], |_, phone| phone.settle_as(&order, "refund", &Value::Null, version));
        let mut statuses = answers.each_ref().map(|answer| answer.status);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409], "{}", answers[1].text());
        shop.wait_order(&order, "its refund", |order| (order["refund"] == "done").then_some(()));
        assert_eq!(shop.midtrans.calls("refund", &order).len(), 1);
    }
    // Two more fit into the day, and three do not, whoever asks first.
    let left = |phone: &Phone| phone.get("sessions").json()["me"]["left_today"].as_u64().expect("a sum");
    assert_eq!((left(&phone), left(&tablet)), (PRICE * 2, PRICE * 2));
    let order = shop.reported("failed");
    assert_eq!(phone.settle(&order, "given").status, 200);
    let orders = [shop.reported("failed"), shop.reported("failed")];
    let versions = orders.each_ref().map(|order| phone.told(&format!("orders/{order}"))["version"].as_u64().expect("a version"));
    let deeds = ["by_hand", "refund"];
    let answers = both([&phone, &tablet], |n, phone| phone.settle_as(&orders[n], deeds[n], &Value::Null, versions[n]));
    let mut statuses = answers.each_ref().map(|answer| answer.status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 403], "{} {}", answers[0].text(), answers[1].text());
    assert_eq!(left(&phone), 0);
    let refused = answers.iter().find(|answer| answer.status == 403).expect("one");
    assert_eq!(refused.json()["denied"], "limit");
    // What moves no money is not limited, and the limit of a person goes before that of all.
    let third = shop.reported("failed");
    is(&phone.settle(&third, "refund"), 403, "denied");
    assert!(shop.merchant(&["desk", "role", "Sari", "--role", "owner", "--limit-per-day", &(PRICE * 6).to_string()]).status.success());
    assert_eq!(left(&tablet), PRICE);
    assert_eq!(tablet.settle(&third, "refund").status, 200);
    // The books keep the log from everybody.
    for sql in ["UPDATE desk_log SET amount = 0", "DELETE FROM desk_log"] {
        let _ = write(&shop, server, sql);
    }
    assert_eq!(left(&phone), 0, "the log is as it was");
}

/// The order as it stands is refused here as it is on the command line, by the same reason; or it is done in both.
#[test]
fn what_the_command_refuses_is_refused_here() {
    let (shop, socket) = shop(None, "");
    let phone = Phone::of(&shop, &socket, "Sari", "owner");
    let by_command = |order: &str, deed: &str| {
        let words: &[&str] = match deed {
            "refund" => &["refund", order],
            "by_hand" => &["refund", order, "--settled-by-hand", "cash"],
            "given" => &["given", order, "--by", "Sari", "--from", "elsewhere"],
            "again" => &["again", order, "--by", "Sari"],
            "seen" => &["seen", order, "--by", "Sari"],
            other => panic!("{other}"),
        };
        shop.merchant(words)
    };
    type Made = (&'static str, fn(&Shop) -> String);
    let made: [Made; 7] = [
        ("open", Shop::charged),
        ("paid", Shop::paid),
        ("delivered", |shop| shop.reported("dispensed")),
        ("uncertain", |shop| shop.reported("uncertain")),
        ("failed", |shop| shop.reported("failed")),
        ("without a proof", |shop| {
            let order = shop.paid();
            assert_eq!(shop.post_to(&order, "outcome", &json!({"outcome": "failed"})).status, 200);
            order
        }),
        ("cancelled", |shop| {
            let order = shop.charged();
            assert_eq!(shop.post_to(&order, "cancel", &json!({})).status, 200);
            // What the gateway answers is written to it, too.
            wait_for("the answer", || (shop.order_at_backend(&order)["status"] == "cancel").then_some(()));
            order
        }),
    ];
    let mut refused = 0;
    for (what, make) in made {
        for deed in ["refund", "by_hand", "given", "again", "seen"] {
            // One for each: what is done changes the order.
            let (here, there) = (make(&shop), make(&shop));
            let (page, answer) = phone.settle_as_seen(&here, deed, |_| Value::Null);
            let told = by_command(&there, deed);
            // The page has said so before.
            let shown =
                page["line"]["deeds"].as_array().expect("deeds").iter().find(|shown| shown["deed"] == deed).expect("each is judged");
            let is_possible = shown["denied"].is_null() && shown["is_sure"].is_null();
            assert_eq!(answer.status == 200, is_possible, "{what} {deed}: {shown} {}", answer.text());
            assert_eq!(answer.status == 200, told.status.success(), "{what} {deed}: {} {told:?}", answer.text());
            if answer.status != 200 {
                refused += 1;
                is(&answer, 409, "denied");
                let said = answer.json()["denied"].as_str().expect("a word").to_owned();
                let why = match deed {
                    "again" => orders::no_try(NoTry::from_word(&said).expect("why there is no try")).line,
                    _ => orders::refused(Refused::from_word(&said).expect("a refusal")).line,
                };
                // A person who has not said that the report is missing is told so; the desk tells at once that it is too early, too.
                let too_early = said == "too_early" && stderr(&told).contains(orders::refused(Refused::NotReported).line.en());
                assert!(too_early || stderr(&told).contains(why.en()), "{what} {deed}: {why:?} {told:?}");
            }
        }
    }
    assert!(refused > 12, "{refused}");
    // What must be said first is asked for, and with it the deed is done.
    let order = shop.reported("uncertain");
    let page = phone.told(&format!("orders/{order}"));
    assert_eq!(page["line"]["deeds"][0], json!({"deed": "refund", "is_sure": "no_proof", "denied": null}), "{page}");
    is(&phone.settle_as_seen(&order, "refund", |_| json!("no_report")).1, 409, "denied");
    assert_eq!(phone.settle(&order, "refund").status, 200);
    // A page that was seen before something happened does nothing.
    let order = shop.reported("failed");
    let version = phone.told(&format!("orders/{order}"))["version"].as_u64().expect("a version");
    assert!(by_command(&order, "given").status.success());
    is(&phone.settle_as(&order, "refund", &Value::Null, version), 409, "changed");
}

#[test]
fn another_try_is_offered_by_name_until_the_order_has_its_end() {
    another_try(None);
}

#[test]
fn another_try_on_postgresql_is_offered_by_name_until_the_order_has_its_end() {
    another_try(Some(&Postgres::start(&[])));
}

fn another_try(server: Option<&Postgres>) {
    let mut machine = Machine::new(server, "");
    let socket = open_desk(&mut machine.shop, "limit_per_day = 1\n");
    let (_process, other) = second(&machine.shop);
    let phone = Phone::of(&machine.shop, &socket, "Sari", "owner");
    let page = |order: &str| phone.told(&format!("orders/{order}"));
    let again = |page: &Value| page["line"]["deeds"].as_array().expect("deeds").iter().find(|deed| deed["deed"] == "again").cloned();
    let end = |text: &Value| Wall::from_rfc3339(text.as_str().expect("a time")).expect("a time");

    // Two phones at once: one of them has it offered. It moves no money, so no limit is asked for.
    let bought = machine.buys_nothing();
    let order = bought.order_id.as_str();
    let before = page(order);
    assert_eq!(again(&before), Some(json!({"deed": "again", "is_sure": null, "denied": null})), "{before}");
    assert!(machine.shop.order_at_backend(order)["try_wanted_s"].is_null());
    let version = before["version"].as_u64().expect("a version");
    let answers = both([&phone, &phone.at(&other)], |_, phone| phone.settle_as(order, "again", &Value::Null, version));
    let mut statuses = answers.each_ref().map(|answer| answer.status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", answers[0].text(), answers[1].text());
    let offered = page(order);
    assert!(
        end(&offered["again_until"]) >= end(&before["would_be_until"]) && end(&before["would_be_until"]) >= end(&before["again_until"])
    );
    assert!(machine.shop.order_at_backend(order)["try_wanted_s"].as_u64().is_some_and(|left| left <= 600));
    assert_eq!((&offered["line"]["stands"], machine.refunds(order)), (&json!("refund_due"), 0), "the money is as it was");
    let history = stdout(&machine.shop.merchant(&["orders", order]));
    assert_eq!(history.matches("Sari (desk) wants another try for its customer").count(), 1, "{history}");
    let log = phone.told("log");
    assert_eq!((&log[0]["what"], &log[0]["order"], &log[0]["who"]), (&json!("again"), &json!(order), &json!("Sari")), "{log}");

    // It is pressed, and it comes. What was open in between bars a refund.
    let tried = machine.again(&bought);
    let story = |page: &Value| page["steps"].as_array().expect("steps").iter().map(|step| step["what"].clone()).collect::<Vec<_>>();
    let open = page(order);
    assert_eq!((&open["line"]["stands"], &open["again_until"], &open["would_be_until"]), (&json!("awaited"), &Value::Null, &Value::Null));
    for deed in ["refund", "given", "again"] {
        let answer = phone.settle_as(order, deed, &Value::Null, open["version"].as_u64().expect("a version"));
        is(&answer, 409, "denied");
        assert_eq!(answer.json()["denied"], if deed == "again" { "not_told" } else { "too_early" });
    }
    assert_eq!(machine.dispenses(&tried), Ok("dispensed".into()));
    assert_eq!(machine.tells(&tried, 2, "dispensed", &machine.proof(&tried.ticket)).status, 200);
    let steps = story(&page(order));
    let words: Vec<_> = steps.iter().map(|what| what["is"].as_str().expect("a word")).collect();
    assert_eq!(words, ["began", "charged", "paid", "told", "offered", "tried_again", "told"], "{steps:?}");
    assert_eq!((&steps[3]["outcome"], &steps[4]["by"], &steps[6]["outcome"]), (&json!("undelivered"), &json!("Sari"), &json!("dispensed")));
    assert_eq!(steps[5], json!({"is": "tried_again", "number": 2, "goods": "Bottled tea"}));

    // It began without the number of its showing. So money besides is possible, by a tick of its own, within the day's sum.
    for (is_sure, denied) in [(Value::Null, "goods_and_money"), (json!("goods_and_money"), "limit")] {
        let (_, answer) = phone.settle_as_seen(order, "refund", |_| is_sure.clone());
        assert_eq!((&answer.json()["denied"], machine.refunds(order)), (&json!(denied), 0), "{}", answer.text());
    }

    // A customer reads the number out to Sari.
    let read_out = machine.buys_nothing().order_id;
    assert_eq!(phone.settle(&read_out, "again").status, 200);
    let at_machine = || machine.shop.order_at_backend(&read_out);
    let shown = at_machine()["try_number"].as_str().expect("two digits").to_owned();
    for (number, is_right) in [(if shown == "07" { "08" } else { "07" }, false), (&*shown, true)] {
        let answer = phone.tell_number(&read_out, number);
        assert_eq!((answer.status, at_machine()["try_confirmed_s"].is_null()), (200, !is_right), "{}", answer.text());
        let log = phone.told("log");
        assert_eq!((&log[0]["what"], &log[0]["detail"]), (&json!("number"), &json!(if is_right { "right" } else { "wrong" })), "{log}");
    }

    // What was settled is not offered, and whoever only sees offers nothing.
    let settled = machine.buys_nothing().order_id;
    assert!(machine.shop.merchant(&["given", &settled, "--by", "Budi", "--from", "elsewhere"]).status.success());
    let denied = phone.settle(&settled, "again");
    is(&denied, 409, "denied");
    assert_eq!((&denied.json()["denied"], &page(&settled)["again_until"]), (&json!("repaid"), &Value::Null));
    let refunding = machine.buys_nothing().order_id;
    assert!(machine.shop.merchant(&["refund", &refunding, "--by", "Budi"]).status.success());
    is(&phone.settle(&refunding, "again"), 409, "denied");
    let budi = Phone::of(&machine.shop, &socket, "Budi", "viewer");
    let seen = machine.buys_nothing().order_id;
    let answer = budi.settle(&seen, "again");
    is(&answer, 403, "denied");
    assert_eq!((&answer.json()["denied"], &budi.told(&format!("orders/{seen}"))["would_be_until"]), (&json!("role"), &Value::Null));
    assert!(machine.shop.order_at_backend(&seen)["try_wanted_s"].is_null());

    // The merchant offers none any more.
    machine.shop.kill_backend();
    machine.shop.edit(Program::Backend, |text| text.replace("second_tries = 1", "second_tries = 0"));
    machine.shop.start_backend();
    let (phone, unoffered) = (phone.again(), machine.buys_nothing().order_id);
    let denied = phone.settle(&unoffered, "again");
    is(&denied, 409, "denied");
    assert_eq!((&denied.json()["denied"], machine.refunds(&unoffered)), (&json!("off"), 0));
}

#[test]
fn a_refund_on_its_way_needs_nobody() {
    on_its_way(None);
}

#[test]
fn a_refund_on_its_way_needs_nobody_on_postgresql() {
    on_its_way(Some(&Postgres::start(&[])));
}

/// The gateway is cut, and asked again and again.
fn on_its_way(server: Option<&Postgres>) {
    let (shop, socket) = shop(server, "");
    let phone = Phone::of(&shop, &socket, "Sari", "owner");
    let order = shop.reported("failed");
    let needs = || {
        let (today, all) = (phone.get("today").json(), phone.told("orders?wanting=true"));
        let listed = stdout(&shop.merchant(&["orders", "--attention", "--json"])).lines().count();
        let told = [&today["told"]["wanting"], &all["orders"]].map(|list| list.as_array().expect("a list").len());
        (today["me"]["wanting"].as_u64().expect("a number"), told, listed)
    };
    assert_eq!(needs(), (1, [1, 1], 1));
    let page = || phone.told(&format!("orders/{order}"));
    assert_eq!(page()["refund_asked_again_at"], Value::Null);
    shop.midtrans.fault(&json!({"fault": "refuse"}));
    assert_eq!(phone.settle(&order, "refund").status, 200);
    wait_for("the first call to fail", || page()["refund_asked_again_at"].is_string().then_some(()));
    assert_eq!((&page()["line"]["stands"], &page()["line"]["order"]["attention"]), (&json!("refunding"), &json!([])));
    assert_eq!(needs(), (0, [0, 0], 0));
    assert_eq!(stdout(&shop.merchant(&["orders", "--refund-due", "--json"])).lines().count(), 1, "it is owed all the same");
}

#[test]
fn the_books_are_away_and_come_back() {
    let mut server = Postgres::start(&[]);
    let (shop, socket) = shop(Some(&server), "");
    let mut phone = Phone::of(&shop, &socket, "Sari", "owner");
    let order = shop.reported("failed");
    let version = phone.told(&format!("orders/{order}"))["version"].as_u64().expect("a version");
    server.stop();
    wait_for("an answer that says so", || (phone.get("today").status == 503).then_some(()));
    is(&phone.settle_as(&order, "refund", &Value::Null, version), 503, "away");
    is(&Phone::new(&socket, "192.0.2.8").login("Sari", PASSWORD), 503, "away");
    assert!(shop.midtrans.calls("refund", &order).is_empty());
    server.resume();
    wait_for("the books again", || (phone.get("today").status == 200).then_some(()));
    // Nothing was lost, and nothing was done.
    assert_eq!(phone.told(&format!("orders/{order}"))["version"].as_u64(), Some(version));
    assert_eq!(phone.settle_as(&order, "refund", &Value::Null, version).status, 200);
    assert_eq!(shop.midtrans.calls("refund", &order).len(), 1);
    assert_eq!(phone.login("Sari", PASSWORD).status, 200);
}

#[test]
fn the_pages_say_what_is() {
    pages(None);
}

#[test]
fn the_pages_on_postgresql_say_what_is() {
    pages(Some(&Postgres::start(&[])));
}

fn pages(server: Option<&Postgres>) {
    let (mut shop, socket) = shop(server, "[fees]\ngopay = { basis_points = 70 }\n");
    let phone = Phone::of(&shop, &socket, "Sari", "owner");
    let sum = |orders: u64| json!({"orders": orders, "amount": orders * PRICE});
    let today = phone.told("today");
    assert_eq!((&today["sold"], &today["owed"], &today["wanting"]), (&sum(0), &sum(0), &json!([])), "{today}");
    let (sold, failed, open) = (shop.reported("dispensed"), shop.reported("failed"), shop.charged());
    let today = phone.told("today");
    assert_eq!((&today["sold"], &today["yesterday"], &today["week_ago"], &today["owed"]), (&sum(1), &sum(0), &sum(0), &sum(1)), "{today}");
    assert_eq!(
        (&today["wanting"][0]["order"]["order_id"], &today["wanting"][0]["stands"]),
        (&json!(failed), &json!("refund_due")),
        "{today}"
    );
    assert_eq!(today["hours"].as_array().map(|hours| hours.last().cloned()), Some(Some(sum(1))), "{today}");
    assert_eq!(phone.get("today").json()["me"]["wanting"], 1);
    // An order, by its number, its first letters, its sum, its time and its machine.
    let page = phone.told(&format!("orders/{}", &sold[..6]));
    assert_eq!((&page["line"]["order"]["order_id"], &page["line"]["stands"]), (&json!(sold), &json!("delivered")));
    // It wants nobody, and its page says why nothing can be done. In a list it has no buttons.
    let denied: Vec<_> = page["line"]["deeds"].as_array().expect("deeds").iter().map(|possible| possible["denied"].clone()).collect();
    assert_eq!(denied, ["delivered", "delivered", "delivered", "came", "no_number", "nothing_to_see"]);
    assert_eq!(phone.told(&format!("orders?q={}", &sold[..6]))["orders"][0]["deeds"], json!([]));
    let steps: Vec<_> =
        page["steps"].as_array().expect("steps").iter().map(|step| step["what"]["is"].as_str().unwrap_or("?").to_owned()).collect();
    assert_eq!(steps, ["began", "charged", "paid", "told"], "{page}");
    let minute = phone.get("today").json()["me"]["now"].as_str().expect("a time")[11..16].to_owned();
    let found = |query: &str| {
        let found = phone.told(&format!("orders?{query}"));
        let orders: Vec<_> = found["orders"]
            .as_array()
            .expect("orders")
            .iter()
            .map(|line| line["order"]["order_id"].as_str().expect("an id").to_owned())
            .collect();
        (orders, found["by"].clone())
    };
    let all = 3;
    for (query, orders) in [
        ("q=", all),
        ("q=Rp5.000", all),
        ("q=tadi%20sekitar%20Rp5.000", all),
        ("q=5001", 0),
        (&*format!("q=5000%20{minute}"), all),
        ("device=vm-001", all),
        ("device=vm-002", 0),
        ("device=vm-001&q=5000", all),
        ("q=vm-001", all),
        ("q=vm-001%205.000", all),
        ("q=today%20vm-001", all),
        ("q=vm-001%205001", 0),
        ("q=TEA", all),
        ("q=tea%20bottled%205.000", all),
        ("q=vm-001%20tea", all),
        ("q=tea%205001", 0),
    ] {
        assert_eq!(found(query).0.len(), orders, "{query}");
    }
    let today = phone.get("today").json()["me"]["now"].as_str().expect("a time")[..10].to_owned();
    let (orders, by) = found(&format!("q={today}"));
    assert_eq!((orders.len(), &by["near"], by["day"].as_str()), (all, &json!(null), Some(&*format!("{today}T00:00:00+07:00"))), "{by}");
    let groups = format!("q={}%20{}", &open[..4].to_uppercase(), &open[4..8]);
    assert_eq!(found(&groups).0, std::slice::from_ref(&open), "{groups}");
    assert_eq!(found(&format!("q=%23{}", &sold[..6])).0, std::slice::from_ref(&sold), "with a # before it");
    assert_eq!(found("q=tea").1["goods"], json!(["Bottled tea"]));
    assert_eq!(found("q=nothing%20of%20the%20kind").1["is_unclear"], true);
    for nowhere in ["orders/zzzzz", "orders/zz", "orders/%00", "machines/vm-999", "nothing"] {
        let answer = phone.get(nowhere);
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("unknown")), "{nowhere}: {}", answer.text());
    }
    // The machine.
    let machines = phone.told("machines");
    assert_eq!((&machines[0]["device"], &machines[0]["sold"]), (&json!("vm-001"), &sum(1)), "{machines}");
    let machine = phone.told("machines/vm-001");
    assert_eq!((machine["orders"].as_array().map(Vec::len), &machine["line"]["device"]), (Some(3), &json!("vm-001")), "{machine}");
    // The sums are those of the command.
    for by in ["machine", "item", "scheme", "day"] {
        let report = phone.told(&format!("report?by={by}"));
        assert_eq!((&report["total"]["paid"], &report["total"]["sold"], &report["total"]["owed"]), (&sum(2), &sum(1), &sum(1)), "{report}");
        assert_eq!(report["groups"].as_array().map(Vec::len), Some(1), "{report}");
        let in_hours = |report: &Value| {
            let bars = report["bars"].as_array().expect("hours");
            (bars.len(), bars.iter().map(|bar| bar["amount"].as_u64().expect("rupiah")).sum::<u64>())
        };
        assert_eq!(in_hours(&report), (24, PRICE * 2), "{report}");
        let days = phone.told(&format!("report?by={by}&month={}", &today[..7]));
        let (number, paid) = in_hours(&days);
        assert!((28..=31).contains(&number) && paid == PRICE * 2, "{days}");
        let csv = phone.get(&format!("report.csv?by={by}&language=en"));
        assert_eq!(csv.status, 200);
        let numbers = |table: &str| -> Vec<Vec<String>> {
            table.lines().skip(1).map(|line| line.split(',').skip(3).map(str::to_owned).collect()).collect()
        };
        let command = stdout(&shop.merchant(&["report", "--csv", "--by", by]));
        assert!(csv.text().starts_with("\u{feff}from,to,"), "{}", csv.text());
        assert_eq!(numbers(&csv.text()), numbers(&command));
        let command: Value = serde_json::from_str(&stdout(&shop.merchant(&["report", "--json", "--by", by]))).expect("JSON");
        let payout = &report["total"]["payout"];
        assert_eq!((payout, &report["groups"][0]["payout"]), (&command["total"]["payout"], payout), "{report} {command}");
        assert_eq!(*payout, json!(PRICE * 2 - 70), "{report}");
    }
    // A day that is over is kept as it was added up, until an order of it changes.
    write(&shop, server, "UPDATE orders SET settled_ms = settled_ms - 86400000 WHERE settled_ms IS NOT NULL").expect("written");
    let now = Wall::from_rfc3339(phone.get("today").json()["me"]["now"].as_str().expect("a time")).expect("a time");
    let yesterday = format!("report?by=item&day={}", &(now - Span::secs(86_400)).to_wib()[..10]);
    for _ in 0..2 {
        let report = phone.told(&yesterday);
        assert_eq!((&report["total"]["sold"], &report["total"]["owed"]), (&sum(1), &sum(1)), "{report}");
    }
    write(&shop, server, "UPDATE day_sums SET sums = '[]'").expect("written");
    assert_eq!(phone.told(&yesterday)["total"]["paid"], sum(0), "what is kept is read");
    assert_eq!(phone.settle(&failed, "given").status, 200);
    // The order itself says that it was paid today.
    for (day, sold) in [(&*yesterday, sum(1)), ("report?by=item", sum(1))] {
        let report = phone.told(day);
        assert_eq!((&report["total"]["sold"], &report["total"]["owed"]), (&sold, &sum(0)), "{day}: {report}");
    }
    is(&phone.get("report?by=nothing"), 422, "malformed");
    is(&phone.get("report?by=day&month=2026-13"), 422, "malformed");
    assert_eq!(
        phone.told("to-bring"),
        json!({"machines": [], "goods": [], "untold": [[[DEVICE, null]], 0], "well_filled": [[], 0], "behind": null})
    );
    let bring = phone.get("to-bring.csv?language=id").text();
    assert!(
        bring.starts_with("\u{feff}nomor mesin;mesin;slot;barang;")
            && bring.lines().count() == 2
            && bring.contains("isinya tidak diketahui"),
        "{bring}"
    );
    // Before anybody looks, a day is added up for each way to tell it.
    write(&shop, server, "DELETE FROM day_sums").expect("written");
    shop.kill_backend();
    shop.start_backend();
    let books = || Connection::open(shop.path().join("orders.db")).expect("the books");
    wait_for("the sums of yesterday", || {
        let sql = "SELECT count(*) FROM day_sums";
        let kept = server.map_or_else(
            || books().query_row(sql, [], |row| row.get::<_, i64>(0)),
            |server| Ok(server.ask(sql).parse().expect("a number")),
        );
        (kept.expect("read") == 4).then_some(())
    });
}

#[test]
fn tables_that_nobody_waits_for_keep_no_sale_waiting() {
    tables_keep_no_sale_waiting(None);
}

#[test]
fn tables_that_nobody_waits_for_keep_no_sale_waiting_on_postgresql() {
    tables_keep_no_sale_waiting(Some(&Postgres::start(&[])));
}

/// Somebody asks for tables and hangs up, again and again, while machines sell. `serve` opens its books no second time for it.
fn tables_keep_no_sale_waiting(server: Option<&Postgres>) {
    const SALES: usize = 10;
    let (shop, socket) = shop(server, "");
    let phone = Phone::of(&shop, &socket, "Budi", "viewer");
    let session = phone.session.clone().expect("a session");
    let process = shop.backend.as_ref().expect("it runs").id();
    // Each open database has its threads; each connection to a server, too.
    let open = || {
        let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|name| name.starts_with("store-")).count()
    };
    let before = open();
    assert!(before > 0, "no thread of a database has its name");
    let (is_over, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asked = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut asked = 0;
            while !is_over.load(Ordering::Relaxed) {
                let mut wire = UnixStream::connect(&socket).expect("it listens");
                let by = ["item", "machine", "scheme", "day"][asked % 4];
                let head = format!("authorization: Bearer {session}\r\n{FROM}: 192.0.2.7\r\nhost: serve\r\n");
                write!(wire, "GET /v1/report.csv?by={by} HTTP/1.1\r\n{head}\r\n").expect("asked");
                drop(wire);
                most.fetch_max(open(), Ordering::Relaxed);
                asked += 1;
            }
            asked
        });
        // A sale that is refused ends the test.
        {
            let _over = Sets(&is_over);
            for _ in 0..SALES {
                shop.reported("dispensed");
            }
        }
        asking.join().expect("no panic")
    });
    assert!(asked >= SALES, "only {asked} tables were asked for");
    assert_eq!(most.load(Ordering::Relaxed), before, "the books were opened for a table");
    let text = shop.backend.as_ref().expect("it runs").text();
    assert!(!text.contains("cannot be written"), "{text}");
    // It is the last one's turn once the others have ended.
    wait_for("a table", || (phone.get("report.csv?by=item").status == 200).then_some(()));
}

/// LibreOffice with Indonesian settings opens the table as an Indonesian page gives it.
#[test]
fn a_spreadsheet_reads_codes_as_texts_and_sums_as_numbers() {
    const CODES: [&str; 4] = ["01", "1-2", "2E3", "5 Mei"];
    let (shop, socket) = shop(None, "");
    let phone = Phone::of(&shop, &socket, "Sari", "owner");
    for code in CODES {
        shop.reported_of(("Lobi", code, PRICE), "dispensed");
    }
    let place = tempfile::tempdir().expect("a directory");
    std::fs::write(place.path().join("table.csv"), phone.get("report.csv?by=item&language=id").text()).expect("written");
    let mut office = Command::new("soffice");
    office.arg(format!("-env:UserInstallation=file://{}/user", place.path().display())).args(["--headless", "--convert-to", "fods"]);
    // The fields of a filter: the separator is 59 (;), the quote 34, the text UTF-8 (76), and the language 1057, Indonesian.
    let opened =
        office.args(["--infilter=CSV:59,34,76,1,,1057", "table.csv"]).current_dir(place.path()).output().expect("libreoffice-calc");
    assert!(opened.status.success(), "{opened:?}");
    let sheet = std::fs::read_to_string(place.path().join("table.fods")).expect("a sheet");
    assert!(!sheet.contains("table:formula"), "a cell is a formula");
    let cells: Vec<_> = sheet
        .split("<table:table-cell")
        .filter_map(|cell| Some((cell, cell.split_once("<text:p>")?.1.split_once("</text:p>")?.0)))
        .collect();
    let kind = |said: &str| {
        cells
            .iter()
            .filter(|(_, text)| text.trim_start_matches('\'').replace("&apos;", "") == said)
            .map(|(cell, _)| cell.contains("office:value-type=\"string\""))
            .collect::<Vec<_>>()
    };
    for text in CODES.into_iter().chain(["barang", "semua"]) {
        assert_eq!(kind(text), [true], "{text}");
    }
    let sums = cells.iter().filter(|(cell, _)| cell.contains(&format!("office:value-type=\"float\" office:value=\"{PRICE}\""))).count();
    assert!(sums >= CODES.len(), "{sums} sums are numbers");
}

#[test]
fn no_question_breaks_the_door() {
    let (shop, socket) = shop(None, "");
    let phone = Phone::of(&shop, &socket, "<b>Sari</b> & \"Co\"", "owner");
    let order = shop.reported("failed");
    let bodies = [
        json!(null),
        json!([]),
        json!({}),
        json!({"note": "", "is_sure": null, "version": -1}),
        json!({"note": "", "is_sure": "sure", "version": 1}),
        json!({"note": "", "is_sure": null, "version": 1, "by": "somebody"}),
        json!({"note": "a\u{202e}b", "is_sure": null, "version": 1}),
        json!({"note": "x".repeat(20_000), "is_sure": null, "version": 1}),
        json!({"code": 1}),
        json!({"code": "", "password": "", "browser": ""}),
        json!({"name": "x".repeat(10_000), "password": "", "device": null, "browser": ""}),
        json!({"number": -1}),
        json!({"number": u64::MAX}),
        json!({"number": null}),
        json!({"all": true}),
    ];
    for path in [
        "invitation",
        "join",
        "login",
        "sessions/end",
        &format!("orders/{order}/refund"),
        &format!("orders/{order}/nothing"),
        "orders/x/refund",
    ] {
        for body in &bodies {
            let answer = phone.post(path, body);
            assert!((400..500).contains(&answer.status), "{path} {body}: {} {}", answer.status, answer.text());
        }
    }
    for query in [
        "orders?q=%F0%9F%98%80",
        "orders?behind=x",
        "orders?q=%00",
        &format!("orders?q={}", "9".repeat(4000)),
        "log?behind=x",
        "report?by=item&day=%27",
    ] {
        let status = phone.get(query).status;
        assert!(status == 200 || (400..500).contains(&status), "{query}: {status}");
    }
    // Without an address nobody is let in: no guess is free.
    let nowhere = Phone::new(&socket, "here");
    is(&nowhere.post("login", &json!({"name": "Sari", "password": PASSWORD, "device": null, "browser": ""})), 422, "malformed");
    assert!(shop.midtrans.calls("refund", &order).is_empty());
    assert_eq!(phone.told("sessions").as_array().map(Vec::len), Some(1), "a word that is missing ends no session");
    assert_eq!(phone.settle(&order, "refund").status, 200, "and the order can be settled");
}

#[test]
fn books_that_were_put_back_open_no_session_and_bring_nobody_back() {
    let (mut shop, socket) = shop(None, "");
    let phone = Phone::of(&shop, &socket, "Sari", "owner");
    Phone::of(&shop, &socket, "Budi", "owner");
    Phone::of(&shop, &socket, "Joko", "owner");
    let link = code(&shop, &["desk", "add", "Wati", "--role", "viewer"]);
    let copy = shop.path().join("copy.db");
    let copy = copy.to_str().expect("a path");
    assert!(shop.merchant(&["backup", copy]).status.success());
    // Her password is known, so she chooses another one. Budi only sees from now on, and Joko has left.
    let newer = code(&shop, &["desk", "link", "Sari"]);
    assert_eq!(phone.again().join(&newer, "a better sentence").status, 200);
    assert!(shop.merchant(&["desk", "role", "Budi", "--role", "viewer"]).status.success());
    assert!(shop.merchant(&["desk", "remove", "Joko"]).status.success());
    let restore = |shop: &mut Shop| {
        shop.kill_backend();
        let restored = shop.merchant(&["restore", copy]);
        assert!(restored.status.success(), "{restored:?}");
        shop.start_backend();
        stdout(&restored)
    };
    let told = restore(&mut shop);
    assert!(told.contains("those of the books of before") && told.contains("  Budi  viewer\n  Sari  owner\n  Wati  viewer\n"), "{told}");
    let mut phone = phone.again();
    is(&phone.get("today"), 401, "not_in");
    is(&Phone::new(&socket, "192.0.2.8").join(&link, PASSWORD), 410, "link_over");
    is(&phone.login("Sari", PASSWORD), 403, "wrong_password");
    is(&Phone::new(&socket, "192.0.2.9").login("Joko", PASSWORD), 403, "wrong_password");
    assert_eq!(phone.login("Sari", "a better sentence").status, 200);
    let mut budi = Phone::new(&socket, "192.0.2.10");
    assert_eq!(budi.login("Budi", PASSWORD).status, 200);
    assert_eq!(budi.get("sessions").json()["me"]["role"], "viewer");
    let log = phone.told("log").to_string();
    assert!(log.contains("remove") && log.contains("Joko"), "what was done since stays in the log: {log}");

    // Nobody can read the books of before: all passwords are over, and owners have a link.
    shop.kill_backend();
    std::fs::write(shop.path().join("orders.db"), "no database").expect("written");
    let told = restore(&mut shop);
    assert!(told.contains("all passwords are over") && told.contains("  Joko  owner  http"), "{told}");
    is(&Phone::new(&socket, "192.0.2.11").login("Sari", "a better sentence"), 403, "wrong_password");
    is(&Phone::new(&socket, "192.0.2.12").login("Sari", PASSWORD), 403, "wrong_password");
    let link = told.lines().find_map(|line| line.strip_prefix("  Sari  owner  http://127.0.0.1:9/join/")).expect("her link");
    assert_eq!(Phone::new(&socket, "192.0.2.13").join(link, PASSWORD).status, 200);
}

#[test]
fn the_socket_is_made_anew_and_is_for_its_group() {
    use std::os::unix::fs::PermissionsExt as _;
    let (mut shop, socket) = shop(None, "");
    let mode = |path: &Path| std::fs::metadata(path).expect("the socket").permissions().mode() & 0o777;
    assert_eq!(mode(&socket), 0o660);
    // A process that was killed leaves it there.
    shop.kill_backend();
    assert!(socket.exists());
    shop.start_backend();
    is(&Phone::new(&socket, "192.0.2.7").get("today"), 401, "not_in");
    // Two processes do not answer at one.
    let (mut start, _) = second_command(&shop);
    Process::start("second-backend", &mut start).wait_line("another process answers there");
}

#[test]
fn a_file_at_the_sockets_path_stays() {
    let (mut shop, socket) = shop(None, "");
    shop.kill_backend();
    let machines = || shop.merchant(&["device", "list"]).stdout;
    let before = machines();
    let database = shop.path().join("devices.db");
    shop.edit(Program::Backend, |text| text.replace(&*socket.to_string_lossy(), &database.to_string_lossy()));
    for arguments in [&["--check"][..], &["serve"]] {
        let told = shop.merchant(arguments);
        let why = stderr(&told);
        assert!(!told.status.success() && ["desk.socket", "devices.db", "no socket"].iter().all(|word| why.contains(word)), "{why}");
        assert_eq!(stdout(&told), "");
        assert!(database.is_file() && machines() == before, "{arguments:?}: the machines are still known");
    }
}
