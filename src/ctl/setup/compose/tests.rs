use super::*;
use crate::setup::specs;
use crate::site::{SECRETS_DROP_IN, is_decrypted, put};
use qris_core::order::ids::DeviceId;
use qris_core::order::keys::{SigningKey, jwk_set};
use qris_device::config::Config as DeviceConfig;
use qris_host::secret::Secret;
use qris_relay::config::Config as RelayConfig;

/// A system in a directory, and the changes to it.
struct Machine {
    root: tempfile::TempDir,
    staging: Staging,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(root.path().join("etc/qrisd")).expect("made");
        put(root.path(), "etc/group", "qrisd:x:990:\n");
        Self { root, staging: Staging::new().expect("a directory") }
    }

    fn site(&self) -> Site {
        Site::below(self.root.path()).expect("there")
    }

    fn put(&self, path: &str, text: &str) {
        put(self.root.path(), path, text);
    }

    fn compose(&self, answers: &Answers, keep: Option<Keep>, force: bool) -> Result<Composed, String> {
        let site = self.site();
        let told = |failure: Failure| failure.lines("t").join("\n");
        let present = Present::read(&site).map_err(told)?;
        compose(&site, &self.staging, &present, answers, keep, force).map_err(told)
    }

    fn composed(&self, answers: &Answers) -> Composed {
        self.compose(answers, None, false).expect("composed")
    }

    fn moved(&self, keep: Keep) -> Composed {
        self.compose(&Answers::default(), Some(keep), false).expect("composed")
    }

    fn refused(&self, answers: &Answers, keep: Option<Keep>) -> String {
        self.compose(answers, keep, false).map(drop).expect_err("refused")
    }

    fn write(&self, composed: &Composed) {
        qris_host::setup::write::put(&self.site(), &composed.files).expect("put");
        assert_eq!(qris_host::setup::write::remove(&self.site(), &composed.obsolete), [] as [String; 0]);
    }
}

fn all() -> Answers {
    Answers {
        device: Some(DeviceId::new("vm-007").expect("an id")),
        broker_url: Some("mqtts://broker.example:8883".into()),
        password: Some(Secret::new("hunter2")),
        backend_url: Some("https://pay.example".into()),
        token: Some(Secret::new("token-1")),
        keys: Some(jwk_set(&[SigningKey::from_seed([3; 32]).to_public_jwk("pay.example")])),
        items: vec![specs::item("A1:5000:Teh").expect("an item"), specs::item("A2:4000").expect("an item")],
        lines: vec![specs::line("A1,A2=pl061:17").expect("a line")],
        ..Answers::default()
    }
}

fn token(text: &str) -> Answers {
    Answers { token: Some(Secret::new(text)), ..Answers::default() }
}

/// The configurations, as the services' own checks read them.
fn check(composed: &Composed) -> (DeviceConfig, RelayConfig) {
    let device = DeviceConfig::from_source(&composed.qrisd).unwrap_or_else(|why| panic!("{why}"));
    let relay = RelayConfig::from_source(&composed.relay).unwrap_or_else(|why| panic!("{why}"));
    device.check_against(composed.qrisd.path(), &composed.relay).unwrap_or_else(|why| panic!("{why}"));
    relay.check_against(composed.relay.path(), &composed.qrisd).unwrap_or_else(|why| panic!("{why}"));
    (device, relay)
}

fn paths(composed: &Composed) -> Vec<String> {
    composed.files.iter().map(|file| file.path().display().to_string()).collect()
}

#[test]
fn a_new_machine_gets_the_examples_filled_in() {
    let machine = Machine::new();
    let composed = machine.composed(&all());
    let files = [
        "/etc/qrisd/mqtt-password",
        "/etc/qrisd/backend-token",
        "/etc/qrisd/keys.json",
        chips::RULES,
        "/etc/qrisd/relay.toml",
        "/etc/qrisd/qrisd.toml",
    ];
    assert_eq!(paths(&composed), files, "the one that services wait for comes last");
    let (device, relay) = check(&composed);
    assert_eq!(
        (device.machine.device.as_str(), device.mqtt.as_ref().and_then(|mqtt| mqtt.username.as_deref())),
        ("vm-007", Some("vm-007"))
    );
    assert_eq!((device.mqtt.expect("a broker").password, device.backend.token), (Some(Secret::new("hunter2")), Secret::new("token-1")));
    assert_eq!((device.machine.prices.items().count(), relay.lines.len(), relay.lines[0].min_amount.get()), (2, 1, 4000));
    for sample in ["Teh botol 350 ml", "\nname = \"Lobby\"", "\ncontact = "] {
        assert!(!composed.qrisd.text().contains(sample), "{sample} of the example is left:\n{}", composed.qrisd.text());
    }
    assert!(composed.qrisd.text().contains("# orders_per_minute = 10"), "its remarks stay");
}

#[test]
fn what_is_there_is_kept_and_a_second_time_changes_nothing() {
    let machine = Machine::new();
    machine.write(&machine.composed(&all()));
    let path = machine.root.path().join("etc/qrisd/qrisd.toml");
    let by_hand = std::fs::read_to_string(&path).expect("there").replace("# cancel_wait_s = 15 ", "cancel_wait_s = 20 # mine ");
    std::fs::write(&path, &by_hand).expect("written");
    let again = machine.composed(&Answers::default());
    assert_eq!(again.qrisd.text(), by_hand);
    assert_eq!(paths(&again), [chips::RULES, "/etc/qrisd/relay.toml", "/etc/qrisd/qrisd.toml"]);
    check(&again);
    let answers = Answers { token: Some(Secret::new("token-2")), rotate: Some(90), name: Some("Lobi".into()), ..Answers::default() };
    let changed = machine.composed(&answers);
    assert!(changed.qrisd.text().contains("cancel_wait_s = 20 # mine"));
    let (device, _) = check(&changed);
    assert_eq!((device.backend.token, device.machine.appearance.name.as_str()), (Secret::new("token-2"), "Lobi"));
    // New items take the place of the old ones; the line must take their price.
    let answers = Answers { items: vec![specs::item("A1:9000").expect("an item")], ..Answers::default() };
    assert_eq!(check(&machine.composed(&answers)).0.machine.prices.items().count(), 1);
}

#[test]
fn a_machine_without_a_broker_gets_one_later() {
    let machine = Machine::new();
    let alone = Answers { broker_url: None, password: None, lines: vec![specs::line("A1,A2=pl061:6:low").expect("a line")], ..all() };
    let composed = machine.composed(&alone);
    let (device, _) = check(&composed);
    assert!(device.mqtt.is_none() && !composed.qrisd.text().contains("mqtt]"), "{}", composed.qrisd.text());
    machine.write(&composed);
    assert!(check(&machine.composed(&Answers { rotate: Some(90), ..Answers::default() })).0.mqtt.is_none());
    let joined = machine.composed(&Answers { broker_url: Some("mqtts://broker.example".into()), ..Answers::default() });
    let (device, _) = check(&joined);
    assert_eq!(device.mqtt.expect("a broker").username.as_deref(), Some("vm-007"));
    // A password is for a broker, and nobody said for which: not for that of the example.
    let other = Machine::new();
    let composed = other.composed(&Answers { broker_url: None, ..all() });
    assert!(DeviceConfig::from_source(&composed.qrisd).is_err_and(|why| why.to_string().contains("mqtt.url: is missing")));
}

#[test]
fn a_button_is_said_with_its_line() {
    let machine = Machine::new();
    let lines = ["A1=pl061:6:low:button=26", "A2=pl061:5:low:button=16"].map(|line| specs::line(line).expect("a line"));
    let composed = machine.composed(&Answers { lines: lines.to_vec(), ..all() });
    let (_, relay) = check(&composed);
    assert_eq!(relay.buttons.iter().map(|button| button.item.as_str()).collect::<Vec<_>>(), ["A1", "A2"]);
    machine.write(&composed);
    // Lines without a button leave the buttons that are there.
    let answers = Answers { lines: vec![specs::line("A1,A2=pl061:6:low").expect("a line")], ..Answers::default() };
    assert_eq!(check(&machine.composed(&answers)).1.buttons.len(), 2);
}

#[test]
fn what_nobody_said_is_named_all_at_once() {
    let machine = Machine::new();
    let told = machine.refused(&Answers::default(), None);
    for flag in ["--from", "--backend", "--token-file", "--keys", "--item", "--line"] {
        assert!(told.contains(flag), "{flag}: {told}");
    }
    let told = machine.refused(&Answers { keys: None, ..all() }, None);
    assert!(told.contains("--keys") && !told.contains("--line"), "{told}");
}

#[test]
fn a_machine_changes_its_name_only_by_force() {
    let machine = Machine::new();
    machine.write(&machine.composed(&all()));
    let other = || Answers { device: Some(DeviceId::new("vm-008").expect("an id")), ..Answers::default() };
    let told = machine.refused(&other(), None);
    assert!(told.contains("vm-007 already") && told.contains("--force"), "{told}");
    let (device, relay) = check(&machine.compose(&other(), None, true).expect("composed"));
    assert_eq!((device.machine.device.as_str(), relay.device.as_str()), ("vm-008", "vm-008"));
}

#[test]
fn secrets_go_where_they_are_or_where_they_are_told_to() {
    let machine = Machine::new();
    let composed = machine.compose(&all(), Some(Keep::Credential), false).expect("composed");
    assert!(paths(&composed).contains(&"/etc/credstore/qrisd.backend-token".to_owned()), "{:?}", paths(&composed));
    assert!(composed.qrisd.text().contains("token_file = \"backend-token\""));
    check(&composed);
    machine.write(&composed);
    let directory = std::fs::metadata(machine.root.path().join("etc/credstore")).expect("made");
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&directory) & 0o777, 0o700, "only root may open it");
    // The credential that is there is read, and a new one takes its place.
    assert_eq!(check(&machine.composed(&Answers::default())).0.backend.token, Secret::new("token-1"));
    let answers = token("token-2");
    let composed = machine.composed(&answers);
    assert_eq!(paths(&composed)[0], "/etc/credstore/qrisd.backend-token");
    assert_eq!(check(&composed).0.backend.token, Secret::new("token-2"));
    // A path that somebody chose is kept, too.
    machine.write(&machine.compose(&token("token-3"), Some(Keep::File), false).expect("composed"));
    let path = machine.root.path().join("etc/qrisd/qrisd.toml");
    let own = std::fs::read_to_string(&path).expect("there").replace("/etc/qrisd/backend-token", "/data/token");
    std::fs::write(&path, own).expect("written");
    machine.put("data/token", "token-4\n");
    assert_eq!(check(&machine.composed(&Answers::default())).0.backend.token, Secret::new("token-4"));
    assert_eq!(paths(&machine.composed(&answers))[0], "/data/token");
    assert!(machine.refused(&answers, Some(Keep::Encrypted)).contains("does not work with --root"));
}

#[test]
fn secrets_that_are_there_move_and_leave_nothing_behind() {
    let machine = Machine::new();
    machine.write(&machine.composed(&all()));
    machine.put("etc/qrisd/backend-token.before-1", "token-0\n");
    let named = |composed: &Composed| composed.obsolete.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    // Nobody says anything about secrets: they stay.
    let same = machine.composed(&Answers::default());
    assert!(named(&same).is_empty() && !same.hands_over_anew(&machine.site()));
    // All secrets move, also those that nobody gave anew, and a copy of an earlier one.
    let moved = machine.moved(Keep::Credential);
    assert_eq!(named(&moved), ["/etc/qrisd/mqtt-password", "/etc/qrisd/backend-token", "/etc/qrisd/backend-token.before-1"]);
    assert!(moved.hands_over_anew(&machine.site()) && moved.remarks.is_empty());
    let (device, _) = check(&moved);
    assert_eq!((device.backend.token, device.mqtt.expect("a broker").password), (Secret::new("token-1"), Some(Secret::new("hunter2"))));
    machine.write(&moved);
    // It is already in the place that was asked for: nothing to do.
    let again = machine.moved(Keep::Credential);
    assert!(named(&again).is_empty() && !again.hands_over_anew(&machine.site()), "{:?}", named(&again));
    // A new secret is handed over only at a start, even if nobody says its place.
    let new = token("token-2");
    assert!(machine.composed(&new).hands_over_anew(&machine.site()));
    let back = machine.moved(Keep::File);
    assert_eq!(named(&back), ["/etc/credstore/qrisd.mqtt-password", "/etc/credstore/qrisd.backend-token"]);
    // A file that somebody put elsewhere is left for that person to remove.
    machine.write(&back);
    let path = machine.root.path().join("etc/qrisd/qrisd.toml");
    let own = std::fs::read_to_string(&path).expect("there").replace("/etc/qrisd/backend-token", "/data/token");
    std::fs::write(&path, own).expect("written");
    machine.put("data/token", "token-4\n");
    let moved = machine.moved(Keep::Credential);
    assert!(moved.remarks.len() == 1 && moved.remarks[0].contains("/data/token"), "{:?}", moved.remarks);
    std::fs::remove_file(machine.root.path().join("data/token")).expect("there");
    let told = machine.refused(&Answers::default(), Some(Keep::Credential));
    assert!(told.contains("give it once more"), "{told}");
}

#[test]
fn secrets_that_stay_are_closed_and_systemd_hears_nothing_of_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let machine = Machine::new();
    machine.write(&machine.compose(&all(), Some(Keep::Credential), false).expect("composed"));
    let credential = machine.root.path().join("etc/credstore/qrisd.backend-token");
    let mode = |mode| std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(mode)).expect("ours");
    for (is_mode, is_mended, is_told) in [(0o600, false, false), (0o400, false, false), (0o644, true, true), (0o620, true, false)] {
        mode(is_mode);
        let composed = machine.composed(&Answers::default());
        let named = paths(&composed).contains(&"/etc/credstore/qrisd.backend-token".to_owned());
        assert_eq!((named, composed.remarks.len()), (is_mended, usize::from(is_told)), "{is_mode:o}: {:?}", paths(&composed));
        assert!(!composed.hands_over_anew(&machine.site()), "the services go on");
        machine.write(&composed);
        let found = std::fs::metadata(&credential).expect("there").permissions().mode() & 0o7777;
        assert_eq!(found, if is_mended { 0o600 } else { is_mode });
    }
    // A file that is about to be removed is not written before.
    mode(0o644);
    let moved = machine.moved(Keep::File);
    assert!(!paths(&moved).contains(&"/etc/credstore/qrisd.backend-token".to_owned()), "{:?}", paths(&moved));
}

#[test]
fn another_enrolment_leaves_the_operators_keys() {
    let machine = Machine::new();
    machine.write(&machine.composed(&all()));
    let path = machine.root.path().join("etc/qrisd/keys.json");
    let read = || KeyFile::read(&std::fs::read_to_string(&path).expect("there")).expect("readable");
    let mut keys = read();
    let operator = qris_core::order::keys::SigningKey::from_seed([9; 32]);
    keys.put_operator(&operator.to_operator_jwk(qris_core::order::keys::Level::Manage)).expect("put");
    std::fs::write(&path, keys.to_text()).expect("written");
    machine.write(&machine.composed(&all()));
    assert!(read().has_operators());
}

#[test]
fn systemd_is_told_which_secrets_are_encrypted_and_of_no_other() {
    let machine = Machine::new();
    machine.write(&machine.compose(&all(), Some(Keep::Credential), false).expect("composed"));
    let credstore = machine.root.path().join("etc/credstore");
    // Somebody encrypted it by hand, and did not tell systemd: a set-up mends that.
    machine.put("etc/credstore.encrypted/qrisd.backend-token", "only its computer knows\n");
    std::fs::remove_file(credstore.join("qrisd.backend-token")).expect("there");
    let site = machine.site();
    let staging = Staging::new().expect("a directory");
    let mut draft = Draft::new(&site, &staging);
    let text = std::fs::read_to_string(machine.root.path().join("etc/qrisd/qrisd.toml")).expect("there");
    draft.secrets(&mut Text { file: QRISD_TOML, text: text.clone() }, [None, None], None).expect("composed");
    assert_eq!(draft.files.iter().map(Planned::path).collect::<Vec<_>>(), [Path::new(SECRETS_DROP_IN)]);
    qris_host::setup::write::put(&site, &draft.files).expect("put");
    let told = std::fs::read_to_string(site.at(SECRETS_DROP_IN)).expect("written");
    assert!(told.ends_with("[Service]\nLoadCredentialEncrypted=backend-token:qrisd.backend-token\n"), "{told}");
    assert!(is_decrypted(&site, "backend-token") && !is_decrypted(&site, "mqtt-password") && !is_decrypted(&site, "backend"));
    // A plain one that takes its place leaves nothing encrypted to tell.
    let moved = machine.compose(&token("token-2"), Some(Keep::Credential), false).expect("composed");
    assert_eq!(moved.obsolete, ["/etc/credstore.encrypted/qrisd.backend-token", SECRETS_DROP_IN].map(PathBuf::from));
    // A plain credential in its place would be taken for encrypted.
    std::fs::remove_file(machine.root.path().join("etc/credstore.encrypted/qrisd.backend-token")).expect("there");
    machine.put("etc/credstore/qrisd.backend-token", "token-1\n");
    let composed = machine.composed(&Answers::default());
    assert_eq!(composed.obsolete, [PathBuf::from(SECRETS_DROP_IN)]);
    assert!(composed.hands_over_anew(&site));
}

#[test]
fn lines_take_what_their_items_cost() {
    let machine = Machine::new();
    let lines = |items: &[&str], lines: &[&str]| Answers {
        items: items.iter().map(|item| specs::item(item).expect("an item")).collect(),
        lines: lines.iter().map(|line| specs::line(line).expect("a line")).collect(),
        ..Answers::default()
    };
    let goods = lines(&["A1:5000", "A2:4000", "B1:9000"], &["A1,A2=pl061:17", "B1=pl061:18"]);
    machine.write(&machine.composed(&Answers { items: goods.items, lines: goods.lines, ..all() }));
    let least = |composed: &Composed| check(composed).1.lines.iter().map(|line| line.min_amount.get()).collect::<Vec<_>>();
    // Prices go down, go up, and stay.
    let cheaper = machine.composed(&lines(&["A1:3000", "A2:4500", "B1:9000"], &[]));
    assert_eq!(least(&cheaper), [3000, 9000]);
    let dearer = machine.composed(&lines(&["A1:6000", "A2:7000", "B1:9500"], &[]));
    assert_eq!(least(&dearer), [6000, 9500]);
    // The amount that somebody wrote stays, unless it is more than the price of the cheapest item.
    let path = machine.root.path().join("etc/qrisd/relay.toml");
    let own = std::fs::read_to_string(&path).expect("there").replace("min_amount = 4000", "min_amount = 2500 # mine");
    std::fs::write(&path, own).expect("written");
    let dearer = machine.composed(&lines(&["A1:6000", "A2:7000", "B1:9000"], &[]));
    assert_eq!(least(&dearer), [2500, 9000]);
    let cheaper = machine.composed(&lines(&["A1:2000", "A2:7000", "B1:9000"], &[]));
    assert_eq!(least(&cheaper), [2000, 9000]);
    assert!(cheaper.relay.text().contains("min_amount = 2000 # mine"), "{}", cheaper.relay.text());
    let told = machine.compose(&lines(&[], &["A1,Z=pl061:17", "A2,B1=pl061:18"]), None, false).map(drop);
    assert!(told.expect_err("nobody could pay for it").contains("hands out Z, which is not sold"));
}

#[test]
fn certificates_come_along_and_go_with_tls() {
    let machine = Machine::new();
    let answers = Answers { broker_ca: Some("PEM\n".into()), ..all() };
    let composed = machine.composed(&answers);
    assert!(composed.qrisd.text().contains("ca_file = \"/etc/qrisd/broker-ca.pem\""), "{}", composed.qrisd.text());
    let faults = DeviceConfig::from_source(&composed.qrisd).expect_err("it is no certificate").to_string();
    assert!(faults.contains("mqtt.ca_file: /etc/qrisd/broker-ca.pem"), "{faults}");
    machine.write(&composed);
    let plain = Answers { broker_url: Some("mqtt://127.0.0.1:1883".into()), ..Answers::default() };
    check(&machine.composed(&plain));
}

#[test]
fn panels_are_written_as_they_are_said() {
    let machine = Machine::new();
    for (word, wanted) in [
        ("none", "required = false"),
        ("auto", "required = true"),
        ("/dev/fb1", "device = \"/dev/fb1\""),
        ("virtual:/tmp/s:240x320", "virtual = { path = \"/tmp/s\", width = 240, height = 320 }"),
    ] {
        let answers = Answers { screen: Some(specs::screen(word).expect("a screen")), ..all() };
        let composed = machine.composed(&answers);
        assert!(composed.qrisd.text().contains(wanted), "{word}:\n{}", composed.qrisd.text());
        check(&composed);
        machine.write(&composed);
    }
}

#[test]
fn a_file_that_is_broken_is_not_made_worse() {
    let machine = Machine::new();
    machine.put("etc/qrisd/qrisd.toml", "[device\n");
    let told = machine.refused(&all(), None);
    assert!(told.contains("/etc/qrisd/qrisd.toml") && told.contains("line 1"), "{told}");
}
