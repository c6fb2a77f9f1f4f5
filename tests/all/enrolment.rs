//! A machine that has only a code: what it gets for it, once; and the end of a machine that is revoked. The broker is a real
//! Mosquitto with its dynamic security plugin.

use crate::rig::http::Http;
use crate::rig::midtrans::Via;
use crate::rig::mosquitto::password;
use crate::rig::shop::{DEVICE, Program, Shop};
use crate::rig::tap::Tap;
use crate::rig::{PATIENCE, command, output, output_text, stderr, stdout, tool, wait_for};
use crate::setup::{Site, succeeded};
use qris::backend::machines::accounts::passwords;
use qris::order::keys::{Level, SigningKey};
use qris::wire::enrolment::Enrolment;
use rumqttc::v5::mqttbytes::v5::PubAckReason;
use serde_json::json;

const ADMINISTRATOR: &str = "qris-accounts";

/// A merchant whose backend makes the machines' accounts through Mosquitto's plugin.
pub fn with_plugin(shop: &mut Shop) {
    shop.broker.load_plugin(ADMINISTRATOR);
    let secret = shop.path().join("accounts-password");
    std::fs::write(&secret, password(ADMINISTRATOR)).expect("written");
    let section = format!("[accounts]\nusername = \"{ADMINISTRATOR}\"\npassword_file = \"{}\"\n", secret.display());
    shop.edit(Program::Backend, |text| text + &section);
    shop.kill_backend();
    shop.start_backend();
}

/// The invitation of a machine.
pub fn invite(shop: &Shop, device: &str) -> String {
    let invited = shop.merchant(&["device", "invite", device, "--replace"]);
    assert!(invited.status.success(), "{}", output_text(&invited));
    stdout(&invited).trim().to_owned()
}

/// Uses a code as `qrisctl setup` does; the answer's status and text.
fn claim(http: &Http, invitation: &str) -> (u16, String) {
    let (url, rest) = invitation.split_once('#').expect("an invitation");
    let (device, code) = rest.rsplit_once('.').expect("an invitation");
    let answer = http.post(&format!("{url}/v1/enrolment"), None, &[], &json!({ "device": device, "code": code }));
    (answer.status, answer.text())
}

pub fn claimed(http: &Http, invitation: &str) -> Enrolment {
    let (status, text) = claim(http, invitation);
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("an enrolment")
}

fn password_of(enrolment: &Enrolment) -> String {
    enrolment.broker.as_ref().and_then(|broker| broker.password.as_deref()).expect("a password").to_owned()
}

/// The plugin says yes also when it cannot write its file. Then the accounts, and their ends, are forgotten when the broker was started anew.
#[test]
fn an_account_that_the_broker_has_forgotten_is_named_by_the_doctor() {
    let mut shop = Shop::merchants_side();
    with_plugin(&mut shop);
    let invitation = invite(&shop, "vm-003");
    let password_there = password_of(&claimed(&shop.http, &invitation));
    let says = |wanted: &str| {
        let doctor = stdout(&shop.merchant(&["doctor"]));
        assert!(doctor.contains(wanted), "{doctor}");
    };
    says("OK    accounts ");
    drop(Tap::connect_with(&shop.broker, "vm-003", &password_there, &[]));
    let administrator = Tap::connect(&shop.broker, ADMINISTRATOR, &[]);
    let forget = json!({ "commands": [{ "command": "deleteClient", "username": "vm-003" }] });
    administrator.publish_bytes("$CONTROL/dynamic-security/v1", forget.to_string().as_bytes(), false);
    says("the broker has forgotten the accounts of 1 machines: vm-003");

    // It has forgotten an end.
    let invitation = invite(&shop, "vm-003");
    let password_there = password_of(&claimed(&shop.http, &invitation));
    let revoke = |shop: &Shop| {
        let revoked = shop.merchant(&["device", "revoke", "vm-003"]);
        assert!(revoked.status.success(), "{}", output_text(&revoked));
    };
    let ended = "the account of device vm-003 at the broker is ended";
    revoke(&shop);
    shop.backend.as_ref().expect("it runs").wait_line(ended);
    says("OK    accounts ");
    let remember = json!({ "commands": [{ "command": "enableClient", "username": "vm-003" }] });
    administrator.publish_bytes("$CONTROL/dynamic-security/v1", remember.to_string().as_bytes(), false);
    drop(Tap::connect_with(&shop.broker, "vm-003", &password_there, &[]));
    says("the broker has forgotten the end of 1 machines: vm-003");
    revoke(&shop);
    wait_for("that it is ended again", || {
        let lines = shop.backend.as_ref().expect("it runs").lines.all();
        (lines.iter().filter(|line| line.contains(ended)).count() == 2).then_some(())
    });
    says("OK    accounts ");
}

/// In one command, with the rights of the example in the access list, which names no such user. Revoking the machine ends it.
#[test]
fn a_controller_gets_an_account_that_asks_its_own_machine_only() {
    let mut shop = Shop::merchants_side();
    with_plugin(&mut shop);
    let none = shop.merchant(&["device", "controller", "vm-003"]);
    assert!(none.status.code() == Some(1) && stderr(&none).contains("there is no machine vm-003"), "{}", output_text(&none));
    claimed(&shop.http, &invite(&shop, "vm-003"));
    let made = || {
        let made = shop.merchant(&["device", "controller", "vm-003"]);
        assert!(made.status.success(), "{}", output_text(&made));
        let text = stdout(&made);
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")).map(str::to_owned));
            line.unwrap_or_else(|| panic!("no {name} in {text}"))
        };
        assert_eq!((value("QRISD_DEVICE"), value("QRISD_PORT")), ("vm-003".into(), shop.broker.port.to_string()));
        (value("QRISD_USER"), value("QRISD_PASSWORD"))
    };
    let lets_in = |user: &str, password: &str| {
        let mut publish = command(tool("mosquitto_pub"));
        publish.args(["-V", "mqttv5", "-h", "127.0.0.1", "-p", &shop.broker.port.to_string(), "-t", "x", "-m", "x"]);
        output(publish.args(["-u", user, "-P", password])).status.success()
    };
    let (user, first) = made();
    // A second time it gets another password, and the first one ends.
    let (_, second) = made();
    assert_ne!(first, second);
    assert!(lets_in(&user, &second) && !lets_in(&user, &first), "the first password is still good");
    let controller = Tap::connect_with(&shop.broker, &user, &second, &["qrisd/#"]);
    for (topic, allowed) in [
        ("qrisd/v1/vm-003/vend/request", true),
        ("qrisd/v1/vm-003/vend/cancel", true),
        ("qrisd/v1/vm-003/vend/collect", true),
        ("qrisd/v1/vm-003/vend/event", false),
        ("qrisd/v1/vm-003/payment/update", false),
        ("qrisd/v1/vm-003/cmd/restart/request", false),
        ("qrisd/v1/vm-001/vend/request", false),
        ("qrisd/v1/vm-003-controller/status", false),
    ] {
        let answer = controller.publish_bytes(topic, b"{}", false);
        assert_eq!(answer != PubAckReason::NotAuthorized, allowed, "{topic}: {answer:?}");
    }
    // It hears its own machine, and no other one.
    let from = controller.count();
    for machine in ["vm-001", "vm-003"] {
        shop.tap.publish(&format!("qrisd/v1/{machine}/vend/event"), &json!({ "of": machine }));
    }
    let heard = controller.wait_from(from, "an event", |message| message.topic.ends_with("/vend/event").then(|| message.topic.clone()));
    assert_eq!(heard, "qrisd/v1/vm-003/vend/event");
    shop.tap.publish("qrisd/v1/vm-003/stock", &json!({ "of": "vm-003" }));
    controller.wait_from(from, "its stock", |message| message.topic.ends_with("/stock").then_some(()));

    let revoked = shop.merchant(&["device", "revoke", "vm-003"]);
    assert!(revoked.status.success(), "{}", output_text(&revoked));
    wait_for("the end of the controller's account", || (!lets_in(&user, &second)).then_some(()));
}

#[test]
fn a_code_makes_a_machine_that_sells_and_its_revocation_ends_that_everywhere() {
    let mut site = Site::new();
    with_plugin(&mut site.shop);
    let doctor = stdout(&site.shop.merchant(&["doctor"]));
    assert!(doctor.contains("OK    accounts      the broker's dynamic security plugin listens to us"), "{doctor}");
    let invitation = invite(&site.shop, DEVICE);
    let code = site.shop.path().join("code");
    std::fs::write(&code, &invitation).expect("written");
    // It is given up the first time, and the code is good again.
    let given_up = output(site.setup().arg("--code").arg(&code).args(["--item", "A1:5000", "--no-start"]));
    assert_eq!(given_up.status.code(), Some(2), "{}", output_text(&given_up));
    let done = succeeded(site.setup().arg("--code").arg(&code).args(site.goods()));
    assert!(stdout(&done).contains(&format!("lets {DEVICE} in")), "{}", stdout(&done));
    let secret = std::fs::read_to_string(site.file("etc/qrisd/mqtt-password")).expect("written");
    assert!(!output_text(&done).contains(secret.trim()), "a secret is shown");
    site.take_over();
    site.shop.start_machine();
    // The key of the relay is known, and the code used up, without another step.
    site.shop.backend.as_ref().expect("it runs").wait_line("the relay of device vm-001 is known by the key");
    let (status, text) = claim(&site.shop.http, &invitation);
    assert!(status == 403 && text.contains("was used up at"), "{status}: {text}");
    let again = output(site.setup().arg("--code").arg(&code).arg("--no-start"));
    assert!(again.status.code() == Some(1) && stderr(&again).contains("was used up at"), "{}", output_text(&again));
    site.shop.sell("A1", Via::Gopay);
    assert_eq!(site.shop.pulses(), 1);

    let from = site.shop.qrisd.as_ref().expect("it runs").lines.count();
    assert!(site.shop.merchant(&["device", "revoke", DEVICE]).status.success());
    site.shop.backend.as_ref().expect("it runs").wait_line("the account of device vm-001 at the broker is ended");
    // It is thrown out, and comes in no more.
    site.shop.qrisd.as_ref().expect("it runs").wait_line_from(from, "lost the broker");
    let refused = |line: &String| line.contains("disconnected, not authorised").then_some(());
    site.shop.broker.log().find_from(0, PATIENCE, refused).expect("refused");
    let token = std::fs::read_to_string(site.file("etc/qrisd/backend-token")).expect("written");
    let answer = site.shop.http.get(&format!("{}/v1/orders?state=open", site.shop.backend_url), Some(token.trim()));
    assert_eq!(answer.status, 401);
}

#[test]
fn a_name_that_was_given_once_in_the_list_comes_with_the_code_and_with_the_text() {
    let mut site = Site::new();
    with_plugin(&mut site.shop);
    let (list, folder) = (site.shop.path().join("machines.csv"), site.shop.path().join("made"));
    std::fs::write(&list, "id,name\nvm-021,\"Kantin, lantai 2\"\nvm-022,Lobi\nvm-023,\n").expect("written");
    let made = |command: &str| {
        let told = site.shop.merchant(&["device", command, "--from", &list.display().to_string(), "--into", &folder.display().to_string()]);
        assert!(told.status.success(), "{}", output_text(&told));
    };
    // The name that a new machine has in its file.
    let name = |[flag, file]: [&str; 2], more: &[&str]| {
        drop(std::fs::remove_dir_all(site.file("etc/qrisd")));
        succeeded(site.setup().arg(flag).arg(folder.join(file)).args(site.goods()).args(more));
        let text = std::fs::read_to_string(site.file("etc/qrisd/qrisd.toml")).expect("written");
        let file: toml::Table = text.parse().expect("TOML");
        file["device"].get("name").map(|name| name.as_str().expect("a text").to_owned())
    };
    made("invite");
    assert_eq!(name(["--code", "vm-021.code"], &[]).as_deref(), Some("Kantin, lantai 2"));
    assert_eq!(name(["--code", "vm-022.code"], &["--name", "Teras"]).as_deref(), Some("Teras"), "who stands there knows better");
    assert_eq!(name(["--code", "vm-023.code"], &[]), None, "nobody has named it: its id is its name");
    std::fs::write(&list, "id,name\nvm-031,Garasi\n").expect("written");
    made("add");
    assert_eq!(name(["--from", "vm-031.enrolment"], &[]).as_deref(), Some("Garasi"));
}

#[test]
fn an_operators_key_that_comes_with_a_code_is_believed_only_if_root_names_it() {
    let mut site = Site::new();
    with_plugin(&mut site.shop);
    // The backend offers a key of a thief, too.
    let (sari, thief) = (SigningKey::from_seed([9; 32]), SigningKey::from_seed([10; 32]));
    let (lines, code) = (site.shop.path().join("operators"), site.shop.path().join("code"));
    std::fs::write(&lines, format!("{}\n{}\n", sari.to_operator_jwk(Level::Manage), thief.to_operator_jwk(Level::Service)))
        .expect("written");
    let invited = site.shop.merchant(&["device", "invite", DEVICE, "--replace", "--operator-keys", &lines.display().to_string()]);
    std::fs::write(&code, stdout(&invited)).expect("written");
    let setup = |more: &[&str]| {
        let mut setup = site.setup();
        setup.arg("--code").arg(&code).args(site.goods()).args(more);
        setup
    };
    let (manage, service) = (format!("manage:{}", sari.kid()), format!("service:{}", thief.kid()));
    let believed = || {
        let keys = std::fs::read_to_string(site.file("etc/qrisd/keys.json")).expect("written");
        let keys = qris::order::keys::KeySet::from_jwks(&keys).expect("keys");
        assert_eq!(keys.receipt_kids().len(), 1);
        keys.operators().map(|(kid, level)| format!("{level}:{kid}")).collect::<Vec<_>>()
    };
    // A key of which root was told does not come: nothing is written.
    let empty = site.tree();
    let other = output(&mut setup(&["--operator", &format!("service:{}", sari.kid())]));
    assert!(other.status.code() == Some(2) && stderr(&other).contains("did not bring this key"), "{}", output_text(&other));
    assert_eq!(site.tree(), empty);
    // Nobody names one.
    let done = succeeded(&mut setup(&["--yes"]));
    assert_eq!(believed(), [] as [&str; 0]);
    for left in [&manage, &service] {
        assert!(stdout(&done).contains(&format!("--operator {left}")), "{}", stdout(&done));
    }
    // A flag names one.
    let done = succeeded(&mut setup(&["--operator", &manage]));
    assert_eq!(believed(), [manage.as_str()]);
    assert!(stdout(&done).contains(&format!("the key {service} ")), "{}", stdout(&done));
    // That one stays. A person is asked for the other one only, and Enter says no.
    let answers = site.shop.path().join("answers");
    for (answer, wanted) in [("", &[manage.as_str()][..]), ("yes", &[manage.as_str(), &service])] {
        // Name, language and contact; the key; no test card, no pulse; then the files are written.
        std::fs::write(&answers, format!("\n\n\n{answer}\nno\nno\nyes\n")).expect("written");
        let mut asks = setup(&["--ask"]);
        let done = succeeded(asks.stdin(std::fs::File::open(&answers).expect("there")));
        assert_eq!(believed(), wanted);
        let shown = output_text(&done);
        assert!(shown.contains(&format!("the key {}. From afar, its owner may (service)", thief.kid())), "{shown}");
        assert!(!shown.contains(sari.kid().as_str()), "{shown}");
    }
}

#[test]
fn an_account_of_the_plugin_has_the_rights_of_the_list_and_no_more() {
    let mut shop = Shop::merchants_side();
    with_plugin(&mut shop);
    let enrolments = ["vm-001", "vm-002"].map(|device| claimed(&shop.http, &invite(&shop, device)));
    let hears = |tail: &str| format!("qrisd/v1/vm-001/{tail}");
    let client = Tap::connect_with(&shop.broker, "vm-001", &password_of(&enrolments[0]), &["#", "$SYS/#", "$CONTROL/#"]);
    for (topic, allowed) in [
        (hears("status"), true),
        (hears("vend/request"), false),
        ("qrisd/v1/vm-002/status".into(), false),
        ("$CONTROL/dynamic-security/v1".into(), false),
    ] {
        let answer = client.publish_bytes(&topic, b"{}", false);
        assert_eq!(answer != PubAckReason::NotAuthorized, allowed, "{topic}: {answer:?}");
    }
    // What everybody else says, and what the plugin answers to its administrator.
    let from = client.count();
    for topic in ["qrisd/v1/vm-002/payment/update", "qrisd/v1/vm-002/vend/request", "qrisd/v1/vm-002/status", "qrisd/v1/vm-001/vend/event"]
    {
        shop.tap.publish_bytes(topic, b"{}", false);
    }
    let again = claimed(&shop.http, &invite(&shop, "vm-002"));
    shop.tap.publish_bytes(&hears("payment/update"), b"\"end\"", false);
    client.wait_from(from, "the end", |message| (message.payload == b"\"end\"").then_some(()));
    let heard: Vec<_> = client.messages()[from..].iter().map(|message| message.topic.clone()).collect();
    assert_eq!(heard, [hears("payment/update")]);
    // Each claim has its own secrets, and only the last ones are good.
    assert_ne!(password_of(&again), password_of(&enrolments[1]));
    let open =
        |enrolment: &Enrolment| shop.http.get(&format!("{}/v1/orders?state=open", shop.backend_url), Some(&enrolment.backend.token)).status;
    assert_eq!((open(&again), open(&enrolments[1]), open(&enrolments[0])), (200, 401, 200));
    drop(Tap::connect_with(&shop.broker, "vm-002", &password_of(&again), &[]));
}

#[test]
fn a_code_is_refused_to_whoever_does_not_have_it_and_nothing_changes() {
    let mut shop = Shop::merchants_side();
    with_plugin(&mut shop);
    let invitation = invite(&shop, "vm-002");
    let before = stdout(&shop.merchant(&["device", "list", "--json"]));
    for (bad, said) in [
        (invitation.replace("vm-002", "vm-001"), "was not made for this machine"),
        (format!("{}#vm-002.0000-0000-0000-0000-0000", shop.backend_url), "was not made for this machine"),
    ] {
        let (status, text) = claim(&shop.http, &bad);
        assert!(status == 403 && text.contains(said), "{bad}: {status}: {text}");
    }
    for body in
        [json!({}), json!({"device": "vm-002"}), json!({"device": "vm-002", "code": "x"}), json!([]), json!({"device": "../", "code": 7})]
    {
        let answer = shop.http.post(&format!("{}/v1/enrolment", shop.backend_url), None, &[], &body);
        assert_eq!(answer.status, 422, "{body}: {}", answer.text());
    }
    assert_eq!(stdout(&shop.merchant(&["device", "list", "--json"])), before);
    // A later code takes the place of the first; a revoked machine has none.
    let later = invite(&shop, "vm-002");
    assert_eq!(claim(&shop.http, &invitation).0, 403);
    let revoked = shop.merchant(&["device", "revoke", "vm-002"]);
    assert!(revoked.status.success(), "{}", output_text(&revoked));
    assert_eq!(claim(&shop.http, &later).0, 403);
    // So has a machine that gets its token by hand.
    let open = invite(&shop, "vm-003");
    assert!(shop.merchant(&["device", "add", "vm-003"]).status.success());
    assert_eq!(claim(&shop.http, &open).0, 403);
    let named = shop.merchant(&["device", "invite", "vm-004", "--broker-username", "four"]);
    assert!(named.status.code() == Some(2) && stderr(&named).contains("--broker-username"), "{}", output_text(&named));
    // Who is let in already needs a word more, and nobody takes the backend's own name.
    let there = shop.merchant(&["device", "invite", DEVICE]);
    assert!(there.status.code() == Some(1) && stderr(&there).contains("--replace"), "{}", output_text(&there));
    for name in ["backend", ADMINISTRATOR] {
        let own = shop.merchant(&["device", "invite", name]);
        assert!(own.status.code() == Some(2) && stderr(&own).contains("another name"), "{}", output_text(&own));
    }
    // Without the broker there is no account. The code stays good, and so does the token of before.
    let before = claimed(&shop.http, &invite(&shop, "vm-002"));
    let invitation = invite(&shop, "vm-002");
    shop.broker.stop();
    let doctor = stdout(&shop.merchant(&["doctor"]));
    assert!(doctor.contains("BAD   accounts      the broker: "), "{doctor}");
    let (status, text) = claim(&shop.http, &invitation);
    assert!(status == 503 && text.contains("account at the broker"), "{status}: {text}");
    let open = || shop.http.get(&format!("{}/v1/orders?state=open", shop.backend_url), Some(&before.backend.token)).status;
    assert_eq!(open(), 200);
    shop.broker.resume();
    claimed(&shop.http, &invitation);
    assert_eq!(open(), 401);
}

#[test]
fn a_machine_that_the_plugin_has_forgotten_is_ended_there_too() {
    let mut shop = Shop::merchants_side();
    with_plugin(&mut shop);
    let plugins = shop.broker.passwords().with_file_name("dynamic-security.json");
    let before = std::fs::read(&plugins).expect("there");
    let password = password_of(&claimed(&shop.http, &invite(&shop, "vm-008")));
    // An older copy of the plugin's file is put back. The broker's own file knows the machine.
    shop.broker.stop();
    std::fs::write(&plugins, before).expect("written");
    let own = std::fs::read_to_string(shop.broker.passwords()).expect("there");
    std::fs::write(shop.broker.passwords(), own + &passwords::line("vm-008", &password)).expect("written");
    shop.broker.resume();

    let secret = shop.path().join("vm-008-password");
    std::fs::write(&secret, password).expect("written");
    let tells = || {
        let mut qrisctl = crate::rig::command(env!("CARGO_BIN_EXE_qrisctl"));
        let broker = format!("mqtt://127.0.0.1:{}", shop.broker.port);
        qrisctl.args(["status", "--username", "vm-008", "--broker", &broker, "--device", "vm-008", "--password-file"]).arg(&secret);
        output_text(&output(&mut qrisctl))
    };
    assert!(!tells().contains("the broker"), "it gets in: {}", tells());
    shop.merchant(&["device", "revoke", "vm-008"]);
    shop.backend.as_ref().expect("it runs").wait_line("the account of device vm-008 at the broker is ended");
    assert!(tells().contains("the broker: "), "{}", tells());
}
