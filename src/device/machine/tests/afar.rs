//! Settings that come from afar.

use super::rig::*;
use qris_core::order::keys::{Level, SigningKey};
use qris_core::order::ledger::Limits;
use qris_core::order::receipt::testing::{key, operator};
use qris_core::order::stock::Change;
use qris_core::order::stock::Drives;
use qris_core::order::time::Wall;
use qris_core::wire::relay::Driven;
use qris_core::wire::relay::{LineCondition, RelayLine};
use qris_core::wire::settings::{Desired, FIRST_VERSIONS, Objection, Reported, SETTINGS_MAX, VERSIONS, made_of};
use qris_core::wire::status::FaultCode;
use qris_host::events::Event as Journal;
use qris_screen::logo::Logo;
use std::sync::Arc;

/// A PNG of one pixel.
const LOGO: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

pub(super) fn desired(version: u64, from: u64, settings: &str) -> Desired {
    let aud = qris_core::order::ids::DeviceId::new("vm-001").expect("an id");
    Desired { aud, version, from, exp: i64::MAX, effective_at: None, skip_unknown: false, made_of: None, settings: settings.into() }
}

fn priced(version: u64, from: u64, price: u64) -> Desired {
    desired(version, from, &format!("[[item]]\nid = \"A1\"\nname = \"Tea\"\nprice = {price}\n"))
}

fn desk() -> SigningKey {
    operator(Level::Manage)
}

impl Rig {
    /// The broker brings a text.
    fn brings(&mut self, payload: &[u8]) {
        let ack = Ack::numbered(90_000 + self.now.boot.0.unsigned_abs());
        let effects = self.on(Input::Desired { payload: payload.to_vec(), ack });
        assert!(self.is_acked(ack) && !drops(&effects), "the connection goes on");
        self.after(1000);
    }

    pub(super) fn wants(&mut self, desired: &Desired) -> Reported {
        self.brings(&desired.signed(&desk()));
        self.reported()
    }

    /// What these settings wait for. The journal says it.
    fn wait_until(&mut self, desired: &Desired) -> Option<String> {
        let effects = self.on(Input::Desired { payload: desired.signed(&desk()), ack: Ack::numbered(9) });
        let desk = desk();
        effects.into_iter().find_map(|effect| match effect {
            Effect::Journal(Journal::SettingsWait { version: 1, until, by: told }) if *told == *desk.kid().as_str() => {
                Some(until.to_string())
            }
            _ => None,
        })
    }

    fn reported(&self) -> Reported {
        self.machine.afar.reported()
    }

    /// The price at which a request of A1 would be sold now.
    fn price(&self) -> u64 {
        let item = qris_core::order::ids::ItemId::new("A1").expect("an item");
        match self.machine.settings.prices.items().find(|(id, _)| **id == item).expect("sold").1 {
            qris_core::order::request::Price::Fixed(price) => price.get(),
            qris_core::order::request::Price::FromRequest { .. } => panic!("a fixed price"),
        }
    }

    fn has_fault(&self) -> bool {
        self.machine.faults.has(FaultCode::Settings)
    }
}

#[test]
fn another_price_is_in_force_at_once_if_nobody_is_there() {
    let mut rig = Rig::new();
    let effects = rig.on(Input::Desired { payload: priced(1, 0, 6000).signed(&desk()), ack: Ack::numbered(9) });
    let looks = effects.iter().find_map(|effect| if let Effect::Dress(looks) = effect { Some(looks) } else { None }).expect("a dress");
    assert_eq!(looks.items[0].price, Some(rp(6000)), "the customer reads the price that is asked");
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Publish { notice: Notice::Settings, payload, .. } => serde_json::from_slice::<Reported>(payload).ok(),
        _ => None,
    });
    let told = told.expect("a report");
    assert_eq!((told.version, told.kid.as_ref(), told.since.is_some()), (1, Some(desk().kid()), true));
    let by = desk().kid().as_str().to_owned();
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Journal(Journal::SettingsTaken { version: 1, by: told }) if **told == *by))
    );
    rig.message(Topic::VendRequest, r#"{"request_id":"r-1","item":"A1","amount":5000}"#);
    assert_eq!(rig.announced(), ["refused(wrong_amount)"]);
    let (_, effects) = rig.message(Topic::VendRequest, r#"{"request_id":"r-2","item":"A1","amount":6000}"#);
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Prepare(_, _, amount) if *amount == rp(6000))));
}

#[test]
fn they_wait_while_a_customer_is_there() {
    for same_boot in [true, false] {
        let mut rig = Rig::new();
        rig.offered(1);
        assert_eq!(rig.wait_until(&priced(1, 0, 6000)).as_deref(), Some("no customer is there"));
        let told = rig.wants(&priced(1, 0, 6000));
        assert_eq!((told.version, told.waiting.map(|next| next.version), rig.price()), (0, Some(1), 5000));
        rig.power_cut(same_boot);
        rig.bring_up();
        assert_eq!((rig.reported().version, rig.price()), (0, 5000), "the order still holds the machine");
        rig.settle_open();
        rig.on(Input::PaymentUpdate {
            payload: br#"{"order_id":"o-1","rev":2,"status":"expire","receipt":null}"#.to_vec(),
            ack: Ack::numbered(3),
        });
        for _ in 0..40 {
            if rig.backend(1).is_some() {
                rig.answer(1, order(resource(1, qris_core::wire::orders::Status::Expire)));
            }
            rig.after(1000);
        }
        assert_eq!((rig.reported().version, rig.price()), (1, 6000), "same boot: {same_boot}");
        rig.power_cut(same_boot);
        assert_eq!((rig.reported().version, rig.price()), (1, 6000));
    }
}

#[test]
fn a_refusal_says_why_and_changes_nothing() {
    let signed = |desired: &Desired| desired.signed(&desk());
    let mut forged = signed(&priced(8, 7, 1));
    let at = forged.len() - 20;
    forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
    let other = Desired { aud: qris_core::order::ids::DeviceId::new("vm-002").expect("an id"), ..priced(8, 7, 1) };
    let table: [(Objection, Vec<u8>); 15] = [
        (Objection::Malformed, b"{}".to_vec()),
        (Objection::Malformed, br#"{"signed":"a.b.c"}"#.to_vec()),
        (Objection::Malformed, br#"{"signed":"x","signed":"y"}"#.to_vec()),
        (Objection::TooLarge, vec![b' '; SETTINGS_MAX + 1]),
        (Objection::Signature, forged),
        (Objection::Level, priced(8, 7, 1).signed(&operator(Level::View))),
        (Objection::UnknownKey, priced(8, 7, 1).signed(&key())),
        (Objection::UnknownKey, priced(8, 7, 1).signed(&SigningKey::from_seed([99; 32]))),
        (Objection::WrongDevice, signed(&other)),
        (Objection::Stale, signed(&priced(6, 5, 1))),
        (Objection::Conflict, signed(&priced(7, 6, 1))),
        (Objection::Conflict, signed(&priced(9, 6, 1))),
        (Objection::Malformed, signed(&priced(7, 7, 1))),
        (Objection::Malformed, signed(&priced(VERSIONS, 7, 1))),
        (Objection::Invalid, signed(&priced(8, 7, 0))),
    ];
    let mut rig = Rig::new();
    assert_eq!(rig.wants(&priced(7, 3, 6000)).version, 7, "a machine without settings takes a version from elsewhere");
    for (code, payload) in table {
        rig.brings(&payload);
        let told = rig.reported();
        assert_eq!((told.version, told.refused.as_ref().map(|refused| refused.code), rig.price()), (7, Some(code), 6000), "{told:?}");
        assert!(!rig.has_fault(), "it goes on with what it has");
        // What was right a moment ago comes again with each connection.
        assert_eq!(rig.wants(&priced(7, 3, 6000)).refused, None);
    }
    let text = "[[item]]\nid = \"A1\"\nprice = 5000\ncolour = \"red\"\n[orders]\ntimeout_s = 5\n[store]\npath = \"/tmp/x\"\n";
    let refused = rig.wants(&desired(8, 7, text)).refused.expect("refused");
    let faults: Vec<_> = refused.faults.iter().map(|fault| (&*fault.path, fault.line)).collect();
    assert_eq!(faults, [("item[0].colour", Some(4)), ("orders.timeout_s", Some(6)), ("store", Some(7))]);
    let refused = rig.wants(&desired(8, 7, "[[[")).refused.expect("refused");
    assert!(refused.message.starts_with("a section is written"), "a text that is no TOML has no key: {refused:?}");
    assert_eq!(rig.wants(&priced(8, 7, 6500)).version, 8);
}

#[test]
fn no_number_of_a_stranger_leaves_the_next_version_without_room() {
    for version in [FIRST_VERSIONS, VERSIONS - 1, VERSIONS, u64::MAX] {
        let mut rig = Rig::new();
        let told = rig.wants(&priced(version, version - 1, 6000));
        let code = told.refused.map(|refused| refused.code);
        assert_eq!((told.version, code, rig.price()), (0, Some(Objection::Malformed), 5000), "{version}");
        assert_eq!(rig.wants(&priced(1, 0, 7000)).version, 1);
    }
    let mut rig = Rig::new();
    assert_eq!(rig.wants(&priced(FIRST_VERSIONS - 1, 3, 6000)).version, FIRST_VERSIONS - 1);
    assert_eq!(rig.wants(&priced(FIRST_VERSIONS, FIRST_VERSIONS - 1, 7000)).version, FIRST_VERSIONS, "others follow");
}

#[test]
fn what_was_held_back_too_long_is_passed_over_and_what_was_taken_stays() {
    let mut rig = Rig::new();
    rig.now.wall = Wall(rig.now.wall.0 + 30 * 86_400_000);
    let until = |rig: &Rig, ms: i64| (rig.now.wall.0 + ms) / 1000;
    let first = Desired { exp: until(&rig, 60_000), ..priced(1, 0, 6000) };
    assert_eq!(rig.wants(&first).version, 1);
    let held_back = Desired { exp: until(&rig, 60_000), ..priced(2, 1, 1) };
    rig.after(120_000);
    let told = rig.wants(&held_back);
    assert_eq!((told.version, told.refused.map(|refused| refused.code), rig.price()), (1, Some(Objection::Expired), 6000));
    assert!(!rig.has_fault(), "it asks nothing of this machine");
    // The broker still has the one that was taken.
    let told = rig.wants(&first);
    assert_eq!((told.version, told.refused, rig.price(), rig.has_fault()), (1, None, 6000, false));
    rig.cut_and_up(false);
    assert_eq!((rig.wants(&first).refused, rig.price()), (None, 6000), "after a reboot, too");
    // A clock that is surely wrong makes nothing fresh that a trusted clock saw as over.
    let now = rig.now.wall;
    rig.on(Input::Time(qris_host::trust::ServerTime { date: now, is_good: true }));
    rig.now.wall = Wall(5);
    assert_eq!(rig.wants(&held_back).refused.map(|refused| refused.code), Some(Objection::Expired));
    rig.now.wall = now;
    assert_eq!(rig.wants(&Desired { exp: until(&rig, 60_000), ..priced(2, 1, 7000) }).version, 2);
}

#[test]
fn what_a_retired_key_has_signed_and_an_empty_message_are_no_fault() {
    let mut rig = Rig::new();
    assert_eq!(rig.wants(&priced(1, 0, 6000)).version, 1);
    let left = [key().to_public_jwk(qris_core::order::receipt::testing::ISSUER)];
    rig.settings.keys = qris_core::order::keys::KeySet::from_jwks(&qris_core::order::keys::jwk_set(&left)).expect("a set");
    rig.cut_and_up(true);
    for payload in [priced(1, 0, 6000).signed(&desk()), Vec::new()] {
        rig.brings(&payload);
        assert_eq!((rig.reported().version, rig.reported().refused, rig.price(), rig.has_fault()), (1, None, 6000, false));
    }
    rig.brings(&priced(2, 1, 7000).signed(&desk()));
    assert_eq!((rig.reported().refused.map(|refused| refused.code), rig.price()), (Some(Objection::UnknownKey), 6000));
}

#[test]
fn a_refusal_names_the_key_that_has_signed() {
    let other = Desired { aud: qris_core::order::ids::DeviceId::new("vm-002").expect("an id"), ..priced(1, 0, 6000) };
    let look = operator(Level::View);
    for (desired, by) in [(priced(1, 0, 6000), look), (other, desk()), (priced(7, 7, 6000), desk()), (priced(1, 0, 0), desk())] {
        let payload = desired.signed(&by);
        let effects = Rig::new().on(Input::Desired { payload, ack: Ack::numbered(9) });
        let told = effects.iter().find_map(|effect| match effect {
            Effect::Journal(Journal::SettingsRefused { by, .. }) => Some(by.to_string()),
            _ => None,
        });
        assert_eq!(told.as_deref(), Some(by.kid().as_str()), "{desired:?}");
    }
}

/// What a text comes to is kept until it is taken. Another reading of it would have made another logo.
#[test]
fn a_text_is_read_once_however_often_it_comes_and_however_long_it_waits() {
    let mut rig = Rig::new();
    let later = Wall(rig.now.wall.0 + 3_600_000).to_rfc3339().into();
    let text = Desired { effective_at: Some(later), ..desired(1, 0, &format!("[screen]\nlogo = \"{LOGO}\"\n")) };
    let waiting = |rig: &Rig| rig.machine.afar.next.as_ref().and_then(|good| good.settings.appearance.logo.clone());
    rig.wants(&text);
    let read = waiting(&rig).expect("it waits");
    let is_read = |logo: Option<Arc<Logo>>| logo.is_some_and(|logo| Arc::ptr_eq(&logo, &read));
    rig.wants(&text);
    assert!(is_read(waiting(&rig)), "sent again");
    for _ in 0..70 {
        rig.after(60_000);
    }
    let in_force = |rig: &Rig| rig.machine.settings.appearance.logo.clone();
    assert!(waiting(&rig).is_none() && is_read(in_force(&rig)), "taken");
    rig.wants(&text);
    assert!(is_read(in_force(&rig)), "sent once more");
}

#[test]
fn a_price_that_no_line_takes_is_refused_while_the_relay_tells_its_limits() {
    let line = |name: &str, items: &[&str], min, step: Option<u64>, max: Option<u64>| RelayLine {
        name: name.into(),
        items: items.iter().map(|item| (*item).into()).collect(),
        state: LineCondition::Ready,
        limits: Limits { min: rp(min), step: step.map(rp), max: max.map(rp) },
        misses_left: 1,
    };
    let text = "[[item]]\nid = \"A1\"\nprice = 5000\n[[item]]\nid = \"B1\"\nprice = 9000\n\
        [[item]]\nid = \"C1\"\nprice = { from_request = { min = 1, max = 9 } }\n";
    let fits = || vec![line("tray 1", &["A1"], 5000, None, None), line("rest", &["*"], 1, None, None)];
    let with = |lines: Vec<RelayLine>| RelayFacts { lines, ..RelayFacts::default() };
    let no_line = "no line of this machine hands out";
    for (facts, wanted) in [
        (with(fits()), vec![]),
        (
            with(vec![line("tray 1", &["A1"], 5001, None, None), fits().remove(1)]),
            vec![("item[0].price", 3, "\"tray 1\" does not take Rp5.000: it takes at least Rp5.001")],
        ),
        (
            with(vec![fits().remove(0), line("rest", &["*"], 1, Some(2000), Some(8000))]),
            vec![("item[1].price", 6, "at most Rp8.000, and only multiples of Rp2.000")],
        ),
        (with(vec![fits().remove(0)]), vec![("item[1].id", 5, no_line), ("item[2].id", 8, no_line)]),
        // The relay service of another machine.
        (RelayFacts { device: DeviceId::new("vm-002").ok(), ..with(vec![line("x", &["X"], 1, None, None)]) }, vec![]),
    ] {
        let mut rig = Rig::new();
        rig.on(Input::RelayReported(facts.clone()));
        let refused = rig.wants(&desired(1, 0, text)).refused;
        let told = refused.iter().flat_map(|refused| &refused.faults);
        let told: Vec<_> = told.map(|fault| (&*fault.path, fault.line, &*fault.why)).collect();
        assert_eq!(told.len(), wanted.len(), "{told:?}");
        for ((path, line, why), (path_wanted, line_wanted, part)) in told.into_iter().zip(wanted) {
            assert!((path, line) == (path_wanted, Some(line_wanted)) && why.contains(part), "{path} {line:?}: {why}");
        }
        // While the relay service is gone, nobody knows.
        let mut rig = Rig::new();
        rig.on(Input::RelayReported(facts));
        rig.on(Input::RelayDown("it stopped".into()));
        let told = rig.wants(&desired(1, 0, text));
        assert_eq!((told.version, told.refused, told.waiting.map(|next| next.version)), (0, None, Some(1)));
    }
}

#[test]
fn a_price_that_no_charge_takes_is_refused_once_the_backend_has_said_its_bounds() {
    use crate::config::afar::{self, text::of_unknown};
    use qris_core::wire::orders::Amounts;
    let charges = Charges([("gopay".into(), Amounts { min: 1, max: 10_000_000 })].into());
    let read = |price: u64, charges: &Charges| {
        let text = format!("[[item]]\nid = \"A1\"\nprice = {price}\n");
        afar::read(&text, false, &of_unknown(DeviceId::new("vm-001").expect("an id")), (&[], charges)).map(drop)
    };
    assert!(read(10_000_000, &charges).is_ok() && read(12_000_000, &Charges::default()).is_ok(), "nobody knows");
    let faults = read(10_000_001, &charges).expect_err("no charge takes it");
    assert_eq!((&*faults[0].path, &*faults[0].why), ("item[0].price", "Rp10.000.001: payments take Rp1 to Rp10.000.000"));
}

#[test]
fn a_price_that_no_line_takes_any_more_is_a_fault_until_one_does() {
    let line = |items: &[&str], min| RelayLine {
        name: "tray 1".into(),
        items: items.iter().map(|item| (*item).into()).collect(),
        state: LineCondition::Ready,
        limits: Limits { min: rp(min), step: None, max: None },
        misses_left: 1,
    };
    let mut rig = Rig::new();
    let told = |rig: &Rig| rig.machine.faults.all().find(|fault| fault.code == FaultCode::Prices).map(|fault| fault.detail.to_string());
    assert_eq!((rig.wants(&priced(1, 0, 6000)).version, told(&rig)), (1, None));
    // The relay service comes back with other lines.
    rig.on(Input::RelayDown("it stopped".into()));
    let facts = rig.facts.clone();
    let with = |line: RelayLine| RelayFacts { lines: [line].into(), ..facts.clone() };
    rig.on(Input::RelayUp(with(line(&["*"], 7000))));
    assert_eq!(told(&rig).as_deref(), Some("A1: the line \"tray 1\" does not take Rp6.000: it takes at least Rp7.000"));
    // Another price.
    rig.wants(&priced(2, 1, 8000));
    assert_eq!(told(&rig), None);
    // Other lines.
    rig.on(Input::RelayReported(with(line(&["B1"], 1))));
    assert_eq!(told(&rig).as_deref(), Some("A1: no line of this machine hands out A1"));
    rig.on(Input::RelayReported(with(line(&["A1"], 1))));
    assert_eq!(told(&rig), None);
}

#[test]
fn settings_that_wait_are_judged_once_more_by_the_relay_that_is_there_then() {
    let later = |rig: &Rig| Wall(rig.now.wall.0 + 3_600_000).to_rfc3339().into();
    let from = |least| {
        let limits = Limits { min: rp(least), step: None, max: None };
        let line = RelayLine { name: "tray 1".into(), items: ["*".into()].into(), state: LineCondition::Ready, limits, misses_left: 1 };
        RelayFacts { lines: [line].into(), ..RelayFacts::default() }
    };
    // The relay service was away when they came: they are refused as soon as it is back.
    let mut rig = Rig::new();
    rig.on(Input::RelayDown("it stopped".into()));
    let desired = Desired { effective_at: Some(later(&rig)), ..priced(1, 0, 4000) };
    assert_eq!(rig.wants(&desired).refused, None);
    rig.on(Input::RelayUp(from(5000)));
    let told = rig.reported();
    assert_eq!((told.version, told.waiting, rig.has_fault()), (0, None, false));
    assert!(told.refused.is_some_and(|refused| refused.code == Objection::Invalid));
    // It has other lines when their time has come.
    let mut rig = Rig::new();
    rig.on(Input::RelayDown("it stopped".into()));
    let desired = Desired { effective_at: Some(later(&rig)), ..priced(1, 0, 4000) };
    rig.wants(&desired);
    rig.on(Input::RelayUp(from(1)));
    assert_eq!(rig.reported().waiting.map(|next| next.version), Some(1));
    rig.on(Input::RelayReported(from(5000)));
    for _ in 0..70 {
        rig.after(60_000);
    }
    let told = rig.reported();
    assert_eq!((told.version, told.waiting, rig.price()), (0, None, 5000));
    assert!(told.refused.is_some_and(|refused| refused.code == Objection::Invalid && refused.message.contains("at least Rp5.000")));
    assert!(rig.has_fault(), "whoever sent them was told that they wait");
    assert_eq!((rig.wants(&priced(2, 1, 6000)).version, rig.has_fault()), (2, false));
}

/// Answers are not signed. A person with access to the broker could say in a machine's name that it sells something for one rupiah.
#[test]
fn a_text_that_was_made_of_other_settings_than_the_machine_has_is_refused() {
    let text = |version: u64| priced(version, version - 1, 6000 + version);
    let of = |text: Desired, own: &str, settings: Option<&str>| Desired { made_of: Some(made_of(own, settings)), ..text };
    let mut rig = Rig::new();
    let own = crate::config::afar::text::written(&rig.settings);
    let conflict = |rig: &mut Rig, desired: &Desired| {
        let price = rig.price();
        assert_eq!((rig.wants(desired).refused.expect("refused").code, rig.price()), (Objection::Conflict, price), "{desired:?}");
    };
    conflict(&mut rig, &of(text(1), &own, Some("")));
    conflict(&mut rig, &of(text(1), &own.replace("5000", "1"), None));
    assert_eq!(rig.wants(&of(text(1), &own, None)).version, 1);
    let first = text(1).settings;
    conflict(&mut rig, &of(text(2), &own, None));
    conflict(&mut rig, &of(text(2), &own, Some(&text(3).settings)));
    let second = of(text(2), &own, Some(&first));
    assert_eq!((rig.wants(&second).version, rig.price()), (2, 6002));
    assert_eq!(rig.wants(&second).refused, None, "the broker has it for every connection");
    let mut new_card = Rig::new();
    assert_eq!((new_card.wants(&second).version, new_card.price()), (2, 6002), "the broker keeps it for a card that was replaced");
}

#[test]
fn a_machine_tells_its_own_file_as_a_text_that_means_the_same() {
    use crate::config::afar::text::{of_unknown, written};
    let mut rig = Rig::new();
    let text = "[device]\nname = \"Lo\\\"bi\"\nlanguage = \"both\"\nlabels = [\"a\", \"b\"]\nreport_every_s = 60\n[orders]\ntimeout_s = 300\n\
        orders_per_minute = 0\ncancel_wait_s = 10\nlate_settlement_grace_s = 60\ndeliver_within_s = 100\n[screen]\ncontact = \"0811\"\n\
        greeting = \"Halo\"\ncolours = { header = \"#204060\" }\n[[item]]\nid = \"B2\"\nsame_as = \"B1\"\ncapacity = 9\n[[item]]\nid = \"B1\"\nname = { id = \"Kopi\", en = \"Coffee\" }\n\
        price = 12000\ncapacity = 8\nlow = 2\n[[item]]\nid = \"A1\"\nprice = { from_request = { min = 1, max = 9, mqtt = true } }\n";
    assert_eq!(rig.wants(&desired(1, 0, text)).refused, None);
    let told = written(&rig.machine.settings);
    let read = crate::config::afar::read(&told, false, &of_unknown(rig.settings.device.clone()), (&[], &Charges::default()))
        .expect("good")
        .settings;
    let of = |settings: &crate::words::Settings| {
        let crate::words::Settings { prices, names, slots, orders, labels, report_every, appearance, .. } = settings;
        let qris_screen::Settings { languages, name, contact, greeting, items, theme, logo, .. } = appearance;
        format!(
            "{prices:?} {names:?} {slots:?} {orders:?} {labels:?} {report_every:?} {languages:?} {name} {contact} {greeting} {items:?} {theme:?} {logo:?}"
        )
    };
    assert_eq!(of(&read), of(&rig.machine.settings));
    // Every key that can be set from afar is there, also one of a later release.
    let table: toml::Table = toml::from_str(&told).expect("TOML");
    for setting in crate::config::settings::SETTINGS.iter().filter(|setting| setting.afar) {
        let mut at = toml::Value::Table(table.clone());
        for key in setting.key.split('.') {
            let here = at.get(0).cloned().unwrap_or(at);
            at = here.get(key).unwrap_or_else(|| panic!("{}: {told}", setting.key)).clone();
        }
    }
}

#[test]
fn a_flood_of_refusals_is_told_five_times_a_second() {
    let mut rig = Rig::new();
    rig.wants(&priced(2, 1, 6000));
    let mut told = 0;
    for n in 0..1_000_u64 {
        // A stranger, what was good once, and what is good.
        let payload = match n % 3 {
            0 => priced(n + 9, 2, 1).signed(&SigningKey::from_seed([100 + u8::try_from(n % 100).expect("small"); 32])),
            1 => priced(1, 0, 1).signed(&desk()),
            _ => priced(2, 1, 6000).signed(&desk()),
        };
        let effects = rig.on(Input::Desired { payload, ack: Ack::numbered(n) });
        told += effects.iter().filter(|effect| matches!(effect, Effect::Journal(_) | Effect::Publish { .. })).count();
        assert!(rig.is_acked(Ack::numbered(n)));
        rig.now.boot = rig.now.boot + Span::millis(6);
    }
    // A line in the journal, and the report twice: it is wrong, and it is good again.
    assert!((6 * 5 * 2..=7 * 5 * 3).contains(&told), "{told} in 6 s");
    assert_eq!((rig.price(), rig.wants(&priced(3, 2, 6500)).version), (6000, 3));
}

#[test]
fn everything_but_the_machine_itself_can_be_set() {
    let mut rig = Rig::new();
    let text = format!(
        r##"
[device]
name = "Lobi"
language = "en"
labels = ["jakarta", "drinks"]
[orders]
timeout_s = 300
orders_per_minute = 0
cancel_wait_s = 10
late_settlement_grace_s = 60
deliver_within_s = 100
[screen]
contact = " 0811 "
greeting = " Selamat datang "
colours = {{ header = "#204060" }}
logo = "{LOGO}"
[[item]]
id = "B1"
name = {{ id = "Kopi", en = "Coffee" }}
price = 12000
"##
    );
    assert_eq!(rig.wants(&desired(1, 0, &text)).refused, None);
    let settings = &rig.machine.settings;
    let looks = &settings.appearance;
    assert_eq!(settings.labels, ["jakarta".into(), "drinks".into()]);
    assert_eq!((looks.name.as_str(), looks.contact.as_str(), looks.logo.is_some()), ("Lobi", "0811", true));
    assert_eq!(looks.greeting, "Selamat datang");
    assert_ne!(format!("{:?}", looks.theme), format!("{:?}", rig.settings.appearance.theme));
    assert_eq!((settings.orders.timeout, settings.orders.per_minute), (Span::secs(300), 0));
    assert_eq!((settings.orders.rules.cancel_wait, settings.orders.rules.late_grace), (Span::secs(10), Span::secs(60)));
    assert_eq!(settings.orders.rules.deliver_within, Span::secs(100));
    assert_eq!(settings.names.values().map(|name| &**name).collect::<Vec<_>>(), ["Coffee"], "a charge is named in the machine's language");
    // What the next text does not say is as in the machine's own file.
    assert_eq!(rig.wants(&desired(2, 1, "")).refused, None);
    assert_eq!((rig.price(), rig.machine.settings.appearance.name.as_str()), (5000, "Lobby"));
    assert!(rig.machine.settings.appearance.logo.is_none() && rig.machine.settings.appearance.greeting.is_empty());
    for own in ["[device]\nid = \"vm-002\"", "[mqtt]\nurl = \"mqtt://h\"", "[receipts]\nkeys_file = \"/k\"", "[relay]\nbus = \"system\""] {
        assert_eq!(rig.wants(&desired(3, 2, own)).refused.expect("refused").code, Objection::Invalid, "{own}");
    }
}

#[test]
fn what_this_release_does_not_know_is_left_out_only_if_the_text_allows_it() {
    let mut rig = Rig::new();
    let text = "[[item]]\nid = \"A1\"\nprice = 6000\ncolour = \"red\"\n";
    assert_eq!(rig.wants(&desired(1, 0, text)).refused.expect("refused").code, Objection::Invalid);
    let told = rig.wants(&Desired { skip_unknown: true, ..desired(1, 0, text) });
    assert_eq!((told.version, rig.price(), told.left_out.len(), &*told.left_out[0].path), (1, 6000, 1, "item[0].colour"));
    rig.power_cut(true);
    assert_eq!(rig.reported().left_out.len(), 1, "also after a restart");
}

#[test]
fn a_price_for_later_waits_for_its_time() {
    let mut rig = Rig::new();
    let at = Wall(rig.now.wall.0 + 90_000);
    let later = Desired { effective_at: Some(at.to_rfc3339().into()), ..priced(1, 0, 6000) };
    assert_eq!(rig.wants(&later).waiting.and_then(|next| next.effective_at), later.effective_at);
    rig.after(88_000);
    assert_eq!(rig.price(), 5000);
    rig.cut_and_up(false);
    rig.after(2_000);
    assert_eq!((rig.price(), rig.reported().waiting), (6000, None));
    // Nobody can say when it is time while the clock is surely wrong.
    let at = Wall(rig.now.wall.0 + 5_000);
    rig.wants(&Desired { effective_at: Some(at.to_rfc3339().into()), ..priced(2, 1, 7000) });
    let right = std::mem::replace(&mut rig.now.wall, Wall(5));
    rig.after(120_000);
    assert_eq!(rig.price(), 6000);
    rig.now.wall = right;
    rig.after(60_000);
    assert_eq!(rig.price(), 7000);
}

#[test]
fn what_waits_is_replaced_only_by_what_was_made_from_it() {
    let mut rig = Rig::new();
    rig.offered(1);
    rig.wants(&priced(1, 0, 6000));
    assert_eq!(rig.wants(&priced(2, 0, 7000)).refused.expect("refused").code, Objection::Conflict, "somebody else's price waits");
    let told = rig.wants(&priced(2, 1, 7000));
    assert_eq!((told.version, told.waiting.map(|next| next.version), told.refused), (0, Some(2), None));
}

#[test]
fn settings_that_cannot_be_stored_are_taken_up_when_the_database_works_again() {
    let mut rig = Rig::new();
    let store = rig.settings.store.clone();
    let other = rusqlite::Connection::open(&store).expect("opens");
    other
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON facts WHEN new.name = 'settings' BEGIN SELECT raise(ABORT, 'full'); END")
        .expect("made");
    rig.brings(&priced(1, 0, 6000).signed(&desk()));
    rig.brings(b"nonsense");
    assert_eq!((rig.price(), rig.reported().waiting), (5000, None));
    rig.after(30_000);
    assert_eq!(rig.price(), 5000);
    other.execute_batch("DROP TRIGGER full").expect("dropped");
    drop(other);
    rig.after(5_000);
    assert_eq!((rig.reported().version, rig.price(), rig.has_fault()), (1, 6000, false));
}

#[test]
fn settings_that_come_while_the_database_is_not_open_wait_for_it() {
    let mut rig = Rig::new();
    rig.wants(&priced(1, 0, 6000));
    let version = |rig: &Rig, version: i32| {
        let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
        connection.pragma_update(None, "user_version", version).expect("written");
    };
    version(&rig, 99);
    rig.cut_and_up(true);
    rig.brings(&priced(3, 1, 7000).signed(&desk()));
    rig.brings(&priced(2, 1, 8000).signed(&SigningKey::from_seed([9; 32])));
    // The broker has the same for every new connection.
    rig.brings(&priced(3, 1, 7000).signed(&desk()));
    rig.after(30_000);
    assert_eq!(rig.price(), 5000, "the machine's own file: nobody knows what was in force");
    version(&rig, crate::store::database::SCHEMA.version());
    rig.after(5_000);
    assert_eq!((rig.reported().version, rig.price(), rig.has_fault()), (3, 7000, false));
    // The database has newer settings than those that came.
    version(&rig, 99);
    rig.power_cut(true);
    rig.brings(&priced(2, 1, 9000).signed(&desk()));
    version(&rig, crate::store::database::SCHEMA.version());
    rig.after(5_000);
    assert_eq!((rig.reported().version, rig.price()), (3, 7000));
    assert_eq!(rig.reported().refused.expect("refused").code, Objection::Stale);
}

#[test]
fn of_many_wrong_values_it_is_told_how_many_more_there_are() {
    let mut rig = Rig::new();
    let items = |count: usize| (0..count).map(|n| format!("[[item]]\nid = \"X{n}\"\nprice = 0\n")).collect::<String>();
    let told = |rig: &mut Rig, version, count| rig.wants(&desired(version, 0, &items(count))).refused.expect("refused").faults;
    let exactly = told(&mut rig, 1, 20);
    assert_eq!((exactly.len(), &*exactly[19].path), (20, "item[19].price"));
    let more = told(&mut rig, 2, 50);
    assert_eq!((more.len(), &*more[18].path, &*more[19].path, &*more[19].why), (20, "item[18].price", "…", "31 more"));
    let unknown: String = (0..30).map(|n| format!("[[item]]\nid = \"X{n}\"\nprice = 5000\ncolour = 1\n")).collect();
    let told = rig.wants(&Desired { skip_unknown: true, ..desired(3, 0, &unknown) });
    assert_eq!((told.version, told.left_out.len(), &*told.left_out[19].why), (3, 20, "11 more"));
}

/// The shipped broker takes 320 KiB. The text has 256.
#[test]
fn what_is_told_of_a_text_is_small_whatever_the_text() {
    let mut rig = Rig::new();
    let keys: String = (0..25).map(|n| format!("{n}{} = 1\n", "k".repeat(7_000))).collect();
    let value = format!("[device]\nlabels = [\"{}\"]\n", "x y".repeat(50_000));
    for text in [&keys, &value, &"[".repeat(150_000), &format!("{} = ", "k".repeat(150_000))] {
        assert_eq!(rig.wants(&desired(1, 0, text)).refused.expect("refused").code, Objection::Invalid);
        let (reported, status) =
            (serde_json::to_vec(&rig.reported()).expect("JSON"), serde_json::to_vec(&rig.machine.status(Vec::new())).expect("JSON"));
        assert!(reported.len() < 40_000 && status.len() < 8_000, "{} and {} bytes", reported.len(), status.len());
    }
    let told = rig.wants(&Desired { skip_unknown: true, ..desired(1, 0, &keys) });
    assert_eq!((told.version, told.left_out.len()), (1, 20));
    assert!(serde_json::to_vec(&told).expect("JSON").len() < 40_000);
}

#[test]
fn damaged_settings_never_become_another_price() {
    let mut rig = Rig::new();
    rig.wants(&priced(1, 0, 6000));
    let connection = rusqlite::Connection::open(&rig.settings.store).expect("opens");
    let changed =
        connection.execute("UPDATE facts SET value = replace(value, '6000', '6001') WHERE name = 'settings'", []).expect("written");
    assert_eq!(changed, 1);
    drop(connection);
    rig.cut_and_up(true);
    assert_eq!((rig.price(), rig.has_fault()), (5000, true), "the machine's own file");
    assert_eq!((rig.wants(&priced(1, 0, 6000)).version, rig.price(), rig.has_fault()), (1, 6000, false));
}

#[test]
fn what_can_be_set_from_afar_is_marked_in_the_table() {
    use crate::config::{afar, settings::SETTINGS};
    use std::collections::BTreeSet;
    let rig = Rig::new();
    for (section, only_from_afar) in [("device", Some("labels")), ("orders", None), ("screen", None)] {
        let text = format!("[{section}]\nzzz = 1\n");
        let wrong = afar::read(&text, false, &rig.machine.own, (&[], &Charges::default())).expect_err("a key that nobody knows");
        let known = wrong[0].why.rsplit_once("expected one of ").expect("it names those it knows").1;
        let known: BTreeSet<&str> = known.split(", ").flat_map(|word| word.split(" or ")).collect();
        let marked = SETTINGS.iter().filter(|setting| setting.afar);
        let marked = marked.filter_map(|setting| setting.key.strip_prefix(section)?.strip_prefix('.'));
        assert_eq!(known, marked.chain(only_from_afar).collect(), "{section}");
    }
}

#[test]
fn a_text_is_judged_by_the_relays_lines_however_late_they_are_told() {
    for (least, wanted) in [(5000, (1, 6000)), (7000, (0, 5000))] {
        let mut rig = Rig::new();
        rig.power_cut(true);
        rig.on(Input::Screen(ScreenState::Working));
        rig.on(Input::BrokerUp { refused: vec![] });
        assert_eq!(rig.wait_until(&priced(1, 0, 6000)).as_deref(), Some("the relay service is there"));
        rig.on(Input::RelayDown("nobody owns it".into()));
        rig.power_cut(true);
        rig.on(Input::BrokerUp { refused: vec![] });
        rig.after(3_600_000);
        let told = rig.reported();
        assert_eq!((told.version, told.waiting.map(|next| next.version), rig.price()), (0, Some(1), 5000));
        let limits = Limits { min: rp(least), step: None, max: None };
        let line = RelayLine { name: "tray 1".into(), items: ["*".into()].into(), state: LineCondition::Ready, limits, misses_left: 1 };
        rig.on(Input::RelayUp(RelayFacts { lines: [line].into(), ..rig.facts.clone() }));
        let told = rig.reported();
        assert_eq!(((told.version, rig.price()), told.waiting), (wanted, None), "at least {least}");
        assert_eq!(told.refused.is_some_and(|refused| refused.message.contains("at least Rp7.000")), wanted.0 == 0);
        assert!(!rig.has_fault(), "it is refused as any other wrong text");
    }
}

/// The database is an older image, and a text for another price and capacity comes before the relay has told what it drove since.
#[test]
fn a_text_changes_a_slot_once_it_is_known_what_is_in_it() {
    let mut rig = Rig::holding(5);
    rig.driven(0, 0);
    rig.facts.driven = vec![Driven { item: super::stock::item("A1"), drives: Drives { orders: 2, tests: 0 } }];
    rig.power_cut(true);
    rig.on(Input::BrokerUp { refused: vec![] });
    let slot = "[[item]]\nid = \"A1\"\nprice = 6000\ncapacity = 4\n";
    assert_eq!(rig.wait_until(&desired(1, 0, slot)).as_deref(), Some("the relay service is there"));
    assert_eq!((rig.count(), rig.price()), (Some(5), 5000));
    rig.on(Input::RelayUp(rig.facts.clone()));
    rig.after(1_000);
    assert_eq!((rig.count(), rig.price(), rig.reported().version), (Some(3), 6000, 1));
    // It fits. But the image may have forgotten what people took out. Somebody must count.
    assert!(rig.machine.faults.all().any(|fault| fault.code == FaultCode::Stock));
    rig.change(Change::Count, Some(3)).expect("counted");
    assert!(!rig.machine.faults.all().any(|fault| fault.code == FaultCode::Stock));
    // What does not fit is a fault, and sells on.
    rig.wants(&desired(2, 1, &slot.replace("capacity = 4", "capacity = 2")));
    assert_eq!((rig.count(), rig.machine.faults.all().any(|fault| fault.code == FaultCode::Stock)), (Some(3), true));
    rig.requested(1);
}

/// An operator hears that a price waits, and a customer presses. Both waited for the relay.
#[test]
fn who_waited_beside_a_price_from_afar_is_asked_for_that_price() {
    let mut rig = Rig::new();
    rig.power_cut(true);
    rig.on(Input::Screen(ScreenState::Working));
    rig.on(Input::BrokerUp { refused: vec![] });
    if rig.open().is_some() {
        rig.answer_open(vec![]);
    }
    assert_eq!(rig.wait_until(&priced(1, 0, 6000)).as_deref(), Some("the relay service is there"));
    rig.vend(1);
    let effects = rig.on(Input::RelayUp(rig.facts.clone()));
    let asked = effects.iter().find_map(|effect| if let Effect::Prepare(_, _, amount, ..) = effect { Some(amount.get()) } else { None });
    assert_eq!((asked, rig.price()), (Some(6000), 6000));
}
