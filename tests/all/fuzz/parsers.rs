//! The parsers that need no program beside them. Each test is named for its target and its corpus: `tests/fuzz/run` builds this
//! file once more, with coverage, and finds them by that name.

use crate::rig::claims::{ISSUER, claims};
use crate::rig::fuzz::Target;
use crate::rig::source_text;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use qris::backend::machines::accounts::plugin;
use qris::backend::machines::reported::{self, Report};
use qris::backend::midtrans::{ChargeOptions, Midtrans, MidtransError, Notification, ServerKey, Settings, Transaction};
use qris::backend::telling::listed::{self, Listed};
use qris::device::config::afar::text::written;
use qris::device::config::afar::{self, Good};
use qris::device::screen::{Languages, SurfaceSettings, samples};
use qris::device::words::Charges;
use qris::host::config::{BusAddress, Source, http_url};
use qris::host::secret::Secret;
use qris::order::ids::{DeviceId, ItemId, KeyId, OrderId, PaymentCode, RequestId, Ticket, TransactionId};
use qris::order::keys::{self, KeySet, Level, SigningKey};
use qris::order::ledger::Limits;
use qris::order::money::Rupiah;
use qris::order::operator::{self, Text};
use qris::order::receipt::Receipt;
use qris::order::request::Refusal;
use qris::order::time::Wall;
use qris::wire::command::{ANSWER_MAX, Joined, Response, SignedCommand};
use qris::wire::dbus::{CloseAnswer, DispenseAnswer, RelayError};
use qris::wire::enrolment::Enrolment;
use qris::wire::invitation::{Claim, Invitation};
use qris::wire::orders::{OpenOrders, OrderResource, Problem};
use qris::wire::payment::PaymentUpdate;
use qris::wire::relay::{LineCondition, RelayLine};
use qris::wire::settings::{Desired, Reported, SETTINGS_MAX};
use qris::wire::status::Status;
use qris::wire::telemetry::Telemetry;
use qris::wire::topics::Topic;
use qris::wire::vend;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// What is told of a refusal goes out over MQTT and into the journal, in bytes.
const REFUSAL_MAX: usize = 2 * 1024;
/// What is told of any other error, in bytes.
pub(super) const DETAIL_MAX: usize = 16 * 1024;

const VEND_WORDS: &str = r#""request_id":  "item":  "amount":  "description":  "payment":  "timeout_s":  "gopay"  "alfamart"  "indomaret"  "code":
    "try":  2  5000  120"#;

fn refused(refusal: &Refusal) -> String {
    let text = refusal.to_string();
    assert!(text.len() <= REFUSAL_MAX, "a refusal of {} bytes", text.len());
    let known = refusal.field.as_deref().filter(|field| VEND_WORDS.contains(&format!("\"{field}\":")));
    format!("{} {}|{}", refusal.reason.as_str(), known.unwrap_or("-"), refusal.detail)
}

#[test]
fn vend_request() {
    Target { name: "vend_request", words: VEND_WORDS, longest: 9_000 }.run(|bytes| match vend::read_request(bytes) {
        Ok(vend::Vend::TryAgain(request)) => format!("try {}", request.number),
        Ok(vend::Vend::Sale(request)) => {
            let again = serde_json::to_vec(&request).expect("a request can be written");
            assert_eq!(vend::read_sale(&again).expect("what was read can be read again"), request);
            match vend::check_request(&request) {
                Ok(()) => format!("{:?} {:?}", request.payment, request.amount.is_some()),
                Err(refusal) => refused(&refusal),
            }
        }
        Err(rejected) => refused(&rejected.refusal),
    });
}

#[test]
fn enrolment() {
    let words = r#""device":  "code":  "backend":  "broker":  "keys":  "url":  qris-enrol1.  https://  #vm-001.  7QX2-9MKP-V4TD-0RHE-6ZNA"#;
    Target { name: "enrolment", words, longest: 9_000 }.run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let invitation = match text.parse::<Invitation>() {
            Ok(invitation) => {
                assert_eq!(invitation.to_string().parse().as_ref(), Ok(&invitation));
                "an invitation".to_owned()
            }
            Err(why) => why.to_string(),
        };
        let claim = match serde_json::from_slice::<Claim>(bytes) {
            Ok(claim) => {
                let again = serde_json::to_vec(&claim).expect("a claim can be written");
                assert_eq!(serde_json::from_slice::<Claim>(&again).expect("what was read can be read again"), claim);
                "a claim"
            }
            Err(_) => "no claim",
        };
        let whole = match Enrolment::from_text(&text) {
            Ok(enrolment) => {
                assert_eq!(Enrolment::from_text(&enrolment.to_text()).as_ref(), Ok(&enrolment));
                "an enrolment".to_owned()
            }
            Err(why) => why.to_string(),
        };
        format!("{invitation}|{claim}|{whole}")
    });
}

#[test]
fn vend_cancel() {
    Target { name: "vend_cancel", words: VEND_WORDS, longest: 9_000 }.run(|bytes| {
        let cancel = match vend::read_cancel(bytes) {
            Ok(id) => format!("cancel {}", id.as_str().is_empty()),
            Err(rejected) => refused(&rejected.refusal),
        };
        let collect = match vend::read_collect(bytes) {
            Ok(code) => {
                assert!(code.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric()));
                "collect".to_owned()
            }
            Err(refusal) => refused(&refusal),
        };
        format!("{cancel}|{collect}")
    });
}

#[test]
fn payment_update() {
    let words = r#""order_id":  "rev":  "status":  "receipt":  "settlement"  "pending"  "cancel"  null"#;
    let keys = keys();
    let me = DeviceId::new("vm-001").expect("an id");
    Target { name: "payment_update", words, longest: 9_000 }.run(|bytes| match PaymentUpdate::read(bytes) {
        Ok(update) => {
            let again = serde_json::to_vec(&update).expect("an update can be written");
            assert_eq!(PaymentUpdate::read(&again).expect("what was read can be read again"), update);
            match update.receipt.as_deref().map(|jws| keys.verify(jws, &me)) {
                None => format!("{:?}", update.status),
                Some(Ok(receipt)) => format!("receipt {}", receipt.claims().cur),
                Some(Err(error)) => error.to_string(),
            }
        }
        Err(refusal) => refused(&refusal),
    });
}

#[test]
fn topic() {
    let words = "qrisd/v1/  /vend/request  /vend/cancel  /payment/update  /cmd/  +  #  /  $share/";
    Target { name: "topic", words, longest: 400 }.run(|bytes| {
        let name = String::from_utf8_lossy(bytes);
        match Topic::parse(&name) {
            Some((device, topic)) => {
                assert_eq!(Topic::parse(&topic.of(&device)), Some((device, topic)));
                format!("{topic:?}")
            }
            None => "no topic of ours".into(),
        }
    });
}

pub(super) fn signing_key() -> SigningKey {
    SigningKey::from_seed([7; 32])
}

fn keys() -> KeySet {
    KeySet::from_jwks(&keys::jwk_set(&[signing_key().to_public_jwk(ISSUER)])).expect("a key set")
}

/// Nobody but the key makes a receipt: what is believed was signed, byte for byte.
#[test]
fn receipt() {
    let words = "alg  EdDSA  none  HS256  kid  typ  qris-receipt+jwt  qris-command+jwt  crit  jwk  b64  .  ..";
    let (keys, me) = (keys(), DeviceId::new("vm-001").expect("an id"));
    let signed: Vec<String> = (0..4).map(|i| signing_key().sign(claims(&format!("o-{i}"), &ticket(i))).jws().to_owned()).collect();
    let verify = |jws: &str| {
        drop(Receipt::restore(jws));
        match keys.verify(jws, &me) {
            Ok(receipt) => {
                assert!(signed.iter().any(|known| known == jws), "believed, and never signed: {jws}");
                assert_eq!(receipt.jws(), jws);
                "believed".to_owned()
            }
            Err(error) => error.to_string(),
        }
    };
    Target { name: "receipt", words, longest: 6_000 }.run(|bytes| {
        // Half of the inputs as they are; and all of them as the three parts of one of the receipts.
        let text = String::from_utf8_lossy(bytes);
        let as_it_is = verify(&text);
        let known = &signed[bytes.len() % signed.len()];
        let parts: Vec<&str> = known.split('.').collect();
        let encoded = BASE64URL.encode(bytes);
        let header = verify(&format!("{encoded}.{}.{}", parts[1], parts[2]));
        let body = verify(&format!("{}.{encoded}.{}", parts[0], parts[2]));
        let signature = verify(&format!("{}.{}.{text}", parts[0], parts[1]));
        format!("{as_it_is}|{header}|{body}|{signature}")
    });
}

pub(super) fn ticket(i: u8) -> String {
    Ticket::from_random([i; 16]).to_string()
}

#[test]
fn jwk_set() {
    let words = r#""keys":  "kty":  "OKP"  "crv":  "Ed25519"  "x":  "d":  "kid":  "role":  "receipt"  "operator"  "iss":"#;
    Target { name: "jwk_set", words, longest: 70_000 }.run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let private = match SigningKey::from_jwk(&text) {
            Ok(key) => {
                assert!(!format!("{key:?}").contains(&key.to_private_jwk()));
                "a key".to_owned()
            }
            Err(error) => error.to_string(),
        };
        match KeySet::from_jwks(&text) {
            Ok(keys) => format!("{} keys|{private}", keys.receipt_kids().len()),
            Err(error) => format!("{error}|{private}"),
        }
    });
}

/// A command is believed as it was signed, and an answer is put together from its own pieces alone.
#[test]
fn commands() {
    let key = SigningKey::from_seed([0x0d; 32]);
    let keys = KeySet::from_jwks(&keys::jwk_set(&[key.to_operator_jwk(Level::Service)])).expect("a set");
    let me = DeviceId::new("vm-001").expect("an id");
    let words = r#"{"aud":"vm-001","jti":"c-1","exp":1,"stream":"s","cmd":"logs","unit":"kernel","since":"2026-12-01T06:00:00+07:00",
        "priority":4,"text":"x","lines":7,"newest":3,"item":"A1","request_id":"r-1"} "cmd":"test-pulse" "signed": "state":"running",
        "number":1,"piece":"","pieces":1,"sha256":"","result":"#;
    Target { name: "commands", words, longest: 9_000 }.run(|bytes| {
        let read = |jws: &str| match SignedCommand::read(jws, &keys, &me) {
            Ok((asked, kid)) => {
                assert_eq!(&kid, key.kid());
                assert_eq!(SignedCommand::read(&asked.jws(&key), &keys, &me), Ok((asked.clone(), kid)), "as it was signed");
                asked.command.name().to_owned()
            }
            Err(refused) => refused.why.code.to_string(),
        };
        let payload = SignedCommand::jws_in(bytes).map_or_else(|refused| refused.why.code.to_string(), |jws| read(&jws));
        let claims = serde_json::from_slice::<Value>(bytes).map(|claims| read(&operator::sign(&key, Text::Command, &claims)));
        let answer = serde_json::from_slice::<Response>(bytes).map(|answer| {
            let whole = answer.in_pieces();
            let mut joined = Joined::default();
            whole.into_iter().map(|piece| joined.take(piece).is_ok_and(|end| end.is_some())).last()
        });
        format!("{payload}|{claims:?}|{answer:?}")
    });
}

/// What a machine tells of itself, and its answers in pieces, one a line: `qrisctl` hears them from whoever has the broker.
#[test]
fn told() {
    let words = r#""state":  "online"  "offline"  "version":  "boot_id":  "stream":  "at":  "busy":  "faults":  "code":  "commands":  "v":1
        "number":  "ended":  "sums":  "vitals":  "labels":  "waiting":  "refused":  "left_out":  "state":"running"  "piece":""  "ok":true
        "pieces":1  "sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  4294967295  18446744073709551615"#;
    macro_rules! again {
        ($kind:ty, $bytes:expr, $change:expr) => {
            match serde_json::from_slice::<$kind>($bytes).map($change) {
                Ok(told) => {
                    let again = serde_json::to_vec(&told).expect("it can be written");
                    assert_eq!(serde_json::from_slice::<$kind>(&again).expect("what was read can be read again"), told);
                    "told".to_owned()
                }
                Err(error) => error.to_string(),
            }
        };
    }
    Target { name: "told", words, longest: 70_000 }.run(|bytes| {
        // Numbers with a point lose a bit now and then, and nobody compares them.
        let without_vitals = |told| Telemetry { vitals: None, ..told };
        let (status, settings) = (again!(Status, bytes, |told| told), again!(Reported, bytes, |told| told));
        let read = [status, settings, again!(Telemetry, bytes, without_vitals)].join("|");
        let heard = ["status", "telemetry"].map(|tail| match reported::read(&format!("qrisd/v1/vm-001/{tail}"), bytes, false, None) {
            Ok(Some((_, Report::Online { facts, .. }))) => {
                assert!(facts.version.len() <= 24 && facts.version.is_ascii() && facts.faults.len() <= 16, "{facts:?}");
                "online"
            }
            Ok(_) => "heard",
            Err(_) => "not heard",
        });
        let read = [read, heard.concat()].concat();
        let mut joined = Joined::default();
        let answers = bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Response>(line).ok());
        let ends = answers.map(|answer| match joined.take(answer) {
            Ok(Some(end)) => {
                assert!(end.result.is_none_or(|result| result.to_string().len() <= 2 * ANSWER_MAX));
                "an end"
            }
            Ok(None) => "more",
            Err(_) => "torn",
        });
        format!("{read}|{}", ends.last().unwrap_or("no answer"))
    });
}

/// The broker's plugin for accounts: a "yes" to all commands is a yes, and what it says is told in few words.
#[test]
fn plugin_answer() {
    let words = r#""responses":  "command":  "setDefaultACLAccess"  "createClient"  "setClientPassword"  "enableClient"  "correlationData":  "m-0"
        "error":  "Client already exists"  "data":"#;
    let device = DeviceId::new("vm-001").expect("an id");
    Target { name: "plugin_answer", words, longest: 70_000 }.run(|bytes| match plugin::received_opening(bytes, "m-0", &device) {
        None => "not ours".into(),
        Some(Ok(())) => {
            // What is not looked at may be no text.
            let Ok(answers) = serde_json::from_slice::<Value>(bytes) else { return "yes, and more".into() };
            let answers = answers["responses"].as_array().expect("a list");
            // The second one makes the client, which may be there.
            assert!(answers.len() == 4 && [0, 2, 3].iter().all(|at| answers[*at]["error"].is_null()));
            "yes".into()
        }
        Some(Err(why)) => {
            assert!(why.to_string().len() <= REFUSAL_MAX, "{} bytes", why.to_string().len());
            why.to_string()
        }
    });
}

/// The list of many machines: a machine is one machine, and the list can be written and read again.
#[test]
fn machines() {
    let words = "id,name  id;name  \"  \"\"  ,  ;  vm-001  backend  Lobi  \u{feff}  \r\n  \n";
    let reserved = |name: &str| name == "backend";
    Target { name: "machines", words, longest: 70_000 }.run(|bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return "no text".into() };
        match listed::parse(text, reserved) {
            Ok(machines) => {
                let ids: BTreeSet<_> = machines.iter().map(|one| one.id.as_str()).collect();
                assert!(!ids.is_empty() && ids.len() == machines.len() && !ids.contains("backend"), "{ids:?}");
                assert!(machines.iter().all(|one| (1..=listed::NAME_MAX).contains(&one.name.chars().count())));
                let line = |one: &Listed| format!("{},\"{}\"\n", one.id, one.name.replace('"', "\"\""));
                let again: String = std::iter::once("id,name\n".to_owned()).chain(machines.iter().map(line)).collect();
                assert_eq!(listed::parse(&again, reserved).as_ref(), Ok(&machines));
                format!("{} machines", machines.len())
            }
            Err((faults, more)) => {
                assert!((1..=listed::LISTED_MAX).contains(&faults.len()) && (more == 0 || faults.len() == listed::LISTED_MAX));
                assert!(faults.iter().all(|(line, _)| (1..=text.lines().count().max(1)).contains(line)));
                assert!(faults.iter().map(|(_, why)| why.len()).sum::<usize>() <= DETAIL_MAX);
                // The other words are the list's own.
                let ends: BTreeSet<&str> = faults.iter().filter_map(|(_, why)| why.rsplit(' ').next()).collect();
                format!("{ends:?}")
            }
        }
    });
}

/// What comes from afar changes prices and looks, and never whose machine it is.
#[test]
fn settings() {
    let key = SigningKey::from_seed([0x0d; 32]);
    let keys = KeySet::from_jwks(&keys::jwk_set(&[key.to_operator_jwk(Level::Manage)])).expect("a set");
    let own = qris::device::words::Settings {
        device: DeviceId::new("vm-001").expect("an id"),
        broker: Some("".into()),
        prices: qris::order::request::PriceList::new([]),
        names: Default::default(),
        slots: std::collections::BTreeMap::new(),
        orders: Default::default(),
        keys: keys.clone(),
        screen_required: true,
        labels: Vec::new(),
        report_every: qris::order::time::Span::secs(900),
        appearance: samples::settings(SurfaceSettings::Any, Languages::Both),
        store: "/nowhere".into(),
        boot_id: qris::order::time::BootId("".into()),
        released: Wall(0),
        tells_time: false,
    };
    let words = r#"[[item]]  id =  name =  price =  [device]  language = "both"  labels = [  [orders]  timeout_s =  deliver_within_s =  [screen]
        contact =  colours = {  logo =  { from_request = { min = 1, max = 2 } }  "signed":"#;
    let limits = Limits { min: Rupiah::new(2).expect("an amount"), step: Rupiah::new(2).ok(), max: None };
    let lines = [RelayLine { name: "tray 1".into(), items: ["A1".into()].into(), state: LineCondition::Ready, limits, misses_left: 1 }];
    Target { name: "settings", words, longest: 270_000 }.run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let refused = match Desired::read(bytes, &keys, &own.device) {
            Ok((desired, _)) => desired.version.to_string(),
            Err((refused, _)) => refused.code.to_string(),
        };
        let applied = [false, true].map(|skip_unknown| match afar::read(&text, skip_unknown, &own, (&lines, &Charges::default())) {
            Ok(Good { settings, left_out, .. }) => {
                assert_eq!((&settings.device, &settings.store, left_out.is_empty()), (&own.device, &own.store, left_out.is_empty()));
                assert!(left_out.is_empty() || skip_unknown);
                // What a machine tells of itself, the desk reads.
                assert!(afar::read(&written(&settings), false, &own, (&[], &Charges::default())).is_ok());
                format!("{} items, {} left out", settings.prices.items().count(), left_out.len())
            }
            Err(faults) => {
                assert!((1..=20).contains(&faults.len()), "{} faults", faults.len());
                format!("{} faults", faults.len())
            }
        });
        let desired = Desired {
            aud: own.device.clone(),
            version: 2,
            from: 1,
            exp: 9,
            effective_at: None,
            skip_unknown: true,
            made_of: Some("x".into()),
            settings: text.as_ref().into(),
        };
        let payload = desired.signed(&key);
        if payload.len() <= SETTINGS_MAX {
            assert_eq!(Desired::read(&payload, &keys, &own.device).expect("signed"), (desired, key.kid().clone()));
        }
        format!("{refused}|{applied:?}")
    });
}

/// A notification that verifies says what was signed.
#[test]
fn notification() {
    let key = ServerKey::new(&Secret::new("SB-Mid-server-rig"));
    let words = r#""order_id":  "status_code":  "gross_amount":  "signature_key":  "transaction_status":  "transaction_id":
        "fraud_status":  "settlement"  "accept"  "200"  "5000.00""#;
    Target { name: "notification", words, longest: 66_000 }.run(|bytes| match Notification::parse(bytes) {
        Ok(note) => {
            let signed = note.is_signed_with(&key);
            // The corpus holds one good signature, and the three texts that it covers.
            let whole = format!("{}{}{}", note.order_id, note.status_code, note.gross_amount);
            assert!(!signed || whole == "order-12005000.00", "believed, and never signed: {note:?}");
            format!("{:?} {:?} {signed}", note.transaction_status, note.fraud_status)
        }
        Err(error) => error.to_string(),
    });
}

/// What is drawn on the screen is exactly what was checked.
#[test]
fn qris_payload() {
    let words = "000201  010212  5303360  5802ID  54045000  54075000.00  6304  6200";
    let amount = Rupiah::new(100_000).expect("an amount");
    Target { name: "qris_payload", words, longest: 700 }.run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        // With a right checksum more of it is looked at.
        let body = text.char_indices().nth_back(3).map_or("", |(at, _)| &text[..at]);
        let repaired = format!("{body}{:04X}", qris::order::qris::crc(body));
        let look = |payload: &str| match qris::order::qris::check(payload, amount) {
            Ok(()) => {
                assert!(payload.is_ascii() && payload.starts_with("000201") && payload.contains("5303360"), "{payload}");
                "good".to_owned()
            }
            Err(error) => error.to_string(),
        };
        format!("{}|{}", look(&text), look(&repaired))
    });
}

#[test]
fn backend_answer() {
    let words = r#""order_id":  "rev":  "request_id":  "ticket":  "status":  "settlement"  "receipt":  "outcome":  "refund":  "due"
        "qr_payload":  "orders":  "code":  "errors":  null"#;
    Target { name: "backend_answer", words, longest: 20_000 }.run(|bytes| {
        let order = match serde_json::from_slice::<OrderResource>(bytes) {
            Ok(order) => {
                let again = serde_json::to_vec(&order).expect("an order can be written");
                assert_eq!(serde_json::from_slice::<OrderResource>(&again).expect("what was read can be read again"), order);
                format!("{:?} {:?}", order.status, order.refund)
            }
            Err(error) => error.to_string(),
        };
        let open = serde_json::from_slice::<OpenOrders>(bytes).map_or_else(|error| error.to_string(), |open| open.orders.len().to_string());
        let problem =
            serde_json::from_slice::<Problem>(bytes).map_or_else(|error| error.to_string(), |problem| format!("{:?}", problem.code));
        format!("{order}|{open}|{problem}")
    });
}

#[test]
fn certificate() {
    Target { name: "certificate", words: "270301123456Z  20511231235959Z  0\u{18}", longest: 9_000 }.run(|bytes| {
        match qris::host::certificate::end(bytes) {
            Some(end) => {
                assert_eq!(Wall::from_rfc3339(&end.to_rfc3339()), Ok(end));
                if end < Wall(0) { "before 1970" } else { "ends" }.into()
            }
            None => "no certificate".into(),
        }
    });
}

/// Ids, amounts, times, addresses, words: what comes as a string over D-Bus, HTTP or from a file.
#[test]
fn small_words() {
    let words = r"dispensed  closed  io.qrisd.Relay1.Error.Busy  peer:/  unix:path=/  tcp:host=  https://  http://127.0.0.1
        2026-11-20T15:00:00+07:00  2026-11-20 15:00:00  10000.00";
    Target { name: "small_words", words, longest: 300 }.run(|bytes| {
        let text = &*String::from_utf8_lossy(bytes);
        let same = |read: Option<&str>| assert!(read.is_none_or(|read| read == text), "{text:?} was read as {read:?}");
        same(DeviceId::new(text).ok().as_ref().map(DeviceId::as_str));
        same(ItemId::new(text).ok().as_ref().map(ItemId::as_str));
        same(KeyId::new(text).ok().as_ref().map(KeyId::as_str));
        same(OrderId::new(text).ok().as_ref().map(OrderId::as_str));
        same(RequestId::new(text).ok().as_ref().map(RequestId::as_str));
        same(TransactionId::new(text).ok().as_ref().map(TransactionId::as_str));
        same(Ticket::new(text).ok().as_ref().map(Ticket::as_str));
        if let Ok(code) = PaymentCode::typed(text) {
            assert!(text.contains(|c: char| c.is_ascii_alphanumeric()) && !code.as_str().is_empty());
        }
        if let Ok(amount) = Rupiah::from_gross_amount(text) {
            assert_eq!(Rupiah::from_gross_amount(&amount.to_gross_amount()), Ok(amount));
        }
        for wall in [Wall::from_rfc3339(text), Wall::from_wib(text)].into_iter().flatten() {
            assert_eq!(Wall::from_rfc3339(&wall.to_rfc3339()).map(|again| again.0 / 1_000), Ok(wall.0 / 1_000), "{text:?}");
        }
        let words = (DispenseAnswer::read(text, true).is_some(), CloseAnswer::read(text, true).is_some(), RelayError::from_name(text));
        let address = text.parse::<BusAddress>().map_or_else(|error| error.to_string(), |address| address.to_string());
        let url = http_url(text).map_or_else(|error| error.to_string(), |_| "a URL".into());
        format!("{words:?}|{}|{url}", address.split(':').next().unwrap_or(""))
    });
}

/// Every fault names a line that there is, and no file makes the reader fall.
#[test]
fn configuration() {
    let words = r#"[device]  [[item]]  [[line]]  [[button]]  id =  price =  from_request = { min = 1, max = 2 }  chip =  "sim:/x"
        pulse_ms =  rupiah_per_pulse =  sensor = { chip = "sim:/y", within_ms = 1 }  clear_button  items = ["*"]  """  '''  ="#;
    let read = |name: &str, text: &str| {
        let source = Source::from_text(format!("/nowhere/{name}.toml"), text);
        let faults = match name {
            "qrisd" => qris::device::config::Config::from_source(&source).err(),
            "relay" => qris::relay::config::Config::from_source(&source).err(),
            _ => qris::backend::config::Config::from_source(&source).err(),
        };
        faults.map_or_else(
            || "good".to_owned(),
            |faults| {
                let lines = text.lines().count().max(1);
                for fault in faults.iter() {
                    assert!(fault.line.is_none_or(|line| (1..=lines + 1).contains(&line)), "{fault} of {lines} lines");
                }
                faults.to_string().lines().take(3).collect()
            },
        )
    };
    Target { name: "configuration", words, longest: 8_000 }.run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        ["qrisd", "relay", "backend"].map(|name| read(name, &text)).join("|")
    });
}

/// Answers of Midtrans, as the client gets them from a socket.
#[test]
fn midtrans_answer() {
    let words = r#""status_code":  "200"  "201"  "404"  "412"  "transaction_status":  "settlement"  "pending"  "fraud_status":
        "gross_amount":  "5000.00"  "actions":  "generate-qr-code"  "qr_string":  "refunds":  "custom_field1":  "metadata":"#;
    let http = Endless::start();
    Target { name: "midtrans_answer", words, longest: 70_000 }.run(|bytes| {
        // The first byte picks the HTTP status, as the corpus' answers begin with a brace.
        let status =
            [200, 200, 200, 201, 202, 400, 404, 412, 429, 500, 503][bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 11];
        http.says(status, "application/json", bytes);
        match http.runtime.block_on(http.client.status("order-1")) {
            Ok(found) => {
                // Whoever it is about: no more of a text is kept than a log can bear.
                assert!(found.actions.len() <= 16, "{} actions", found.actions.len());
                format!("{:?} {:?}", found.transaction_status, found.fraud_status)
            }
            Err(error) => {
                assert!(error.to_string().len() <= DETAIL_MAX, "an error of {} bytes", error.to_string().len());
                error.to_string()
            }
        }
    });
}

/// QR images: pictures that claim to be huge, that unpack to gigabytes, that are cut or lie about their size.
#[test]
fn qr_image() {
    let http = Endless::start();
    let charge = http.charge();
    let before = resident_peak_kib();
    let words = "IHDR  IDAT  PLTE  tRNS  zTXt  iCCP  acTL  fdAT  IEND";
    Target { name: "qr_image", words, longest: 1_100_000 }.run(|bytes| {
        // Most of them with right checksums, so that what is inside is looked at.
        let image = if bytes.len() % 8 == 0 { bytes.to_vec() } else { with_right_checksums(bytes) };
        http.says(200, "image/png", &image);
        match http.runtime.block_on(http.client.qr_payload(&charge)) {
            Ok(payload) => {
                assert!(payload.len() <= 512 && payload.is_ascii());
                "a payload".into()
            }
            Err(MidtransError::Qr(error)) => error.to_string(),
            Err(error) => panic!("the picture is judged, whatever it is: {error}"),
        }
    });
    // Other targets run beside it; a picture that unpacks to gigabytes would be seen all the same.
    let grown = resident_peak_kib().saturating_sub(before);
    assert!(grown < 512 * 1024, "it took {grown} KiB");
}

/// The same PNG with every chunk's checksum repaired.
fn with_right_checksums(png: &[u8]) -> Vec<u8> {
    let mut repaired = png.to_vec();
    let mut at = 8;
    while let Some(head) = repaired.get(at..at + 4) {
        let length = u32::from_be_bytes(head.try_into().expect("four bytes")) as usize;
        let Some(end) = at.checked_add(8 + length).filter(|end| end + 4 <= repaired.len()) else { break };
        let sum = crc32(&repaired[at + 4..end]);
        repaired[end..end + 4].copy_from_slice(&sum.to_be_bytes());
        at = end + 4;
    }
    repaired
}

/// CRC-32 of PNG (ISO 3309).
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ 0xedb8_8320 })
    })
}

fn resident_peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("the kernel tells VmHWM");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// A server that says the same to everybody, and a client of it.
struct Endless {
    client: Midtrans,
    url: String,
    runtime: tokio::runtime::Runtime,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Endless {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answer = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&answer);
        // It ends with the process: the listener is never closed.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    let mut request = [0; 8192];
                    // A whole request fits into one read; connections are kept.
                    while stream.read(&mut request).is_ok_and(|length| length > 0) {
                        let answer = shared.lock().expect("no panic").clone();
                        if stream.write_all(&answer).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let http = qris::host::http::client(
            None,
            qris::host::http::Limits {
                total: std::time::Duration::from_secs(10),
                read: std::time::Duration::from_secs(10),
                idle_connections: 1,
            },
        );
        let settings = Settings {
            base_url: url.clone(),
            server_key: ServerKey::new(&Secret::new("SB-Mid-server-rig")),
            notification_url: Some("https://pay.example/midtrans/notifications".into()),
            charge: ChargeOptions::default(),
        };
        let http = http.expect("a client");
        let client = Midtrans::new(settings, http.clone(), std::sync::Arc::new(http)).expect("settings");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { client, url, runtime, answer }
    }

    fn says(&self, status: u16, content_type: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {status} Said\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n", body.len());
        *self.answer.lock().expect("no panic") = [head.as_bytes(), body].concat();
    }

    /// A charge whose picture is here.
    fn charge(&self) -> Transaction {
        let mut answer: Value = serde_json::from_str(&source_text("tests/corpora/midtrans_answer/charge.json")).expect("JSON");
        answer["actions"] = json!([{"name": "generate-qr-code", "method": "GET", "url": format!("{}/qr.png", self.url)}]);
        answer.as_object_mut().expect("an object").remove("qr_string");
        self.says(200, "application/json", answer.to_string().as_bytes());
        self.runtime.block_on(self.client.status("order-1")).expect("a charge")
    }
}
