//! The interface as a caller sees it, over a socket without a bus, with real lines.

use super::*;
use crate::config::Config;
use crate::tests::run;
use crate::threads::{Trouble, start as start_line};
use futures_util::StreamExt as _;
use qris_core::order::ids::{CommandId, DeviceId, RequestId, Ticket, TransactionId};
use qris_core::order::keys::jwk_set;
use qris_core::order::ledger::Limits;
use qris_core::order::money::Rupiah;
use qris_core::order::receipt::testing::{ISSUER, claims, key};
use qris_core::wire::relay::{LineCondition, RelayFacts, RelayFault, RelayLine};
use qris_host::bus::connect;
use qris_host::config::Source;
use qris_host::random;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader};
use zbus::Connection;
use zbus::proxy::{CacheProperties, Proxy};

struct Rig {
    directory: tempfile::TempDir,
    service: Arc<Service>,
    connection: Connection,
    _tasks: tokio::task::JoinSet<()>,
}

impl Rig {
    async fn new(change: impl FnOnce(&mut Service)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(at("keys.json"), jwk_set(&[key().to_public_jwk(ISSUER)])).expect("written");
        assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().expect("coreutils").success());
        let text = format!(
            r#"
            device.id = "vm-001"
            dbus.bus = "peer:{}"
            receipts.keys_file = "{}"
            ledger.path = "{}"
            line = [
                {{ name = "tray 1", items = ["A1"], min_amount = 5000, chip = "sim:{}", pulse_ms = 10 }},
                {{ name = "stuck", items = ["F1"], chip = "sim:{}", pulse_ms = 10 }},
                {{ name = "long", items = ["L1"], chip = "sim:{}", pulse_ms = 60000 }},
            ]"#,
            at("socket"),
            at("keys.json"),
            at("ledger.db"),
            at("log"),
            at("fifo"),
            at("long"),
        );
        let config = Config::from_source(&Source::from_text("relay.toml", text)).expect("good");
        let (reports, mut reports_rx) = mpsc::unbounded_channel();
        let (signals, mut signals_rx) = mpsc::channel(SIGNALS_MAX);
        let started = config.lines.iter().zip(crate::open(&config)).enumerate();
        let started = started.map(|(index, (line, outlet))| start_line(index, line.clone(), outlet, reports.clone()));
        let lines = started.map(|line| line.expect("a thread")).collect();
        let mut service = Service::new(Dispenser::new(&config, Box::new(random::fill)), lines, Vec::new(), signals);
        change(&mut service);
        let service = Arc::new(service);
        let mut served = start(&config.bus, &service);
        served.ready().await.expect("listens");
        let connection = connect(&config.bus).await.expect("connects");
        let mut tasks = tokio::task::JoinSet::new();
        let hands = Arc::clone(&service);
        tasks.spawn(async move {
            while let Some(report) = reports_rx.recv().await {
                hands.report(report);
            }
        });
        tasks.spawn(async move {
            while let Some(signal) = signals_rx.recv().await {
                emit(&served, signal).await;
            }
        });
        Self { directory, service, connection, _tasks: tasks }
    }

    async fn proxy(&self) -> Proxy<'static> {
        let builder = zbus::proxy::Builder::<Proxy<'_>>::new(&self.connection).destination(RELAY_NAME).path(RELAY_PATH);
        builder.interface(RELAY_NAME).cache_properties(CacheProperties::No).build().await.expect("a proxy")
    }

    async fn facts(&self) -> RelayFacts {
        let facts: String = self.proxy().await.get_property("Facts").await.expect("a property");
        serde_json::from_str(&facts).expect("facts")
    }

    async fn prepare(&self, item: &str) -> Ticket {
        let ticket: String = self.proxy().await.call("Prepare", &("vm-001", item, 5000_i64)).await.expect("a ticket");
        Ticket::new(&ticket).expect("a ticket")
    }

    async fn dispense(&self, jws: &str) -> (String, String) {
        let (outcome, _, detail): (String, bool, String) = self.proxy().await.call("Dispense", &(jws,)).await.expect("an outcome");
        (outcome, detail)
    }

    async fn query(&self, order: &str) -> String {
        let (outcome, ..): (String, bool, String) = self.proxy().await.call("Query", &(order, 1_u32)).await.expect("an outcome");
        outcome
    }

    /// Reads the two edges of a pulse. The line waits until they are read.
    fn release(&self) -> std::thread::JoinHandle<Vec<String>> {
        let fifo = OpenOptions::new().read(true).write(true).open(self.directory.path().join("fifo")).expect("a FIFO");
        std::thread::spawn(move || BufReader::new(fifo).lines().take(2).map(|line| line.expect("text")).collect())
    }
}

fn receipt(n: u8, item: &str, ticket: &Ticket) -> String {
    let mut claims = claims();
    claims.sub = OrderId::new(&format!("o-{n}")).expect("an id");
    claims.jti = RequestId::new(&format!("r-{n}")).expect("an id");
    claims.transaction_id = TransactionId::new(&format!("t-{n}")).expect("an id");
    claims.item = ItemId::new(item).expect("an item");
    claims.ticket = ticket.clone();
    key().sign(claims).jws().to_owned()
}

async fn error_name<B: serde::Serialize + zbus::zvariant::DynamicType>(proxy: &Proxy<'_>, method: &str, body: &B) -> String {
    match proxy.call_method(method, body).await.expect_err("refused") {
        zbus::Error::MethodError(name, Some(detail), _) => {
            assert!(!detail.is_empty(), "people are told more");
            name.to_string()
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_error_has_its_name() {
    use zbus::DBusError as _;
    for &error in RelayError::ALL {
        assert_eq!(Fault::from(Refusal { error, detail: String::new() }).name().as_str(), error.name());
    }
    run(async {
        let rig = Rig::new(|_| ()).await;
        let proxy = rig.proxy().await;
        let ticket = rig.prepare("A1").await;
        let other = Ticket::from_random([9; 16]);
        let mut foreign = claims();
        foreign.aud = "vm-002".parse().expect("an id");
        let foreign = key().sign(foreign).jws().to_owned();
        let prepare = |device, item, amount: i64| (device, item, amount);
        for (body, want) in [
            (prepare("vm-002", "A1", 5000), RelayError::WrongDevice),
            (prepare("vm-001", "B9", 5000), RelayError::UnknownItem),
            (prepare("vm-001", "A1", 4999), RelayError::Amount),
        ] {
            assert_eq!(error_name(&proxy, "Prepare", &body).await, want.name(), "{body:?}");
        }
        for (jws, want) in [
            ("no receipt".to_owned(), RelayError::InvalidReceipt),
            (foreign, RelayError::WrongDevice),
            (receipt(1, "A1", &other), RelayError::UnknownTicket),
            (receipt(1, "F1", &ticket), RelayError::UnknownTicket),
        ] {
            assert_eq!(error_name(&proxy, "Dispense", &(jws.as_str(),)).await, want.name(), "{jws}");
        }
        let receipt = receipt(1, "A1", &ticket);
        for (method, jws) in [("Test", "no command"), ("ClearBy", "no command"), ("Test", &receipt), ("ClearBy", &receipt)] {
            let name = error_name(&proxy, method, &(jws,)).await;
            assert_eq!(name, "io.qrisd.Relay1.Error.CommandRefused", "{method} {jws}");
        }
        assert_eq!(error_name(&proxy, "Close", &(other.as_str(),)).await, RelayError::UnknownTicket.name());
        assert_eq!(error_name(&proxy, "Clear", &("B9",)).await, RelayError::UnknownItem.name());
        let check: (bool, String) = proxy.call("Check", &(other.as_str(),)).await.expect("an answer");
        assert_eq!(check, (false, "relay".to_owned()));
    });
}

/// The machine counts what lies in its slots, and did not ask for every test itself.
#[test]
fn everybody_hears_that_a_test_has_ended() {
    run(async {
        let rig = Rig::new(|_| ()).await;
        let mut tested = rig.proxy().await.receive_signal("Tested").await.expect("subscribed");
        let cause = Cause::Test(CommandId::new("c-1").expect("an id"));
        let ended = Effect::Finished { cause, outcome: Outcome::Dispensed, detail: "driven".into() };
        rig.service.carry_out(ended, &mut rig.service.heart.lock().expect("nobody panics with it"));
        tested.next().await.expect("a signal").body().deserialize::<()>().expect("it says no more");
    });
}

#[test]
fn a_sale_over_the_interface() {
    run(async {
        let rig = Rig::new(|_| ()).await;
        let proxy = rig.proxy().await;
        let mut finished = proxy.receive_signal("Finished").await.expect("subscribed");
        let ticket = rig.prepare("A1").await;
        assert_eq!(rig.facts().await.tickets.iter().map(Ticket::as_str).collect::<Vec<_>>(), [ticket.as_str()]);
        let check: (bool, String) = proxy.call("Check", &(ticket.as_str(),)).await.expect("an answer");
        assert_eq!(check, (true, String::new()));
        let jws = receipt(1, "A1", &ticket);
        assert_eq!(rig.query("o-1").await, "unknown");
        for _ in 0..2 {
            assert_eq!(rig.dispense(&jws).await, ("dispensed".to_owned(), "driven".to_owned()));
        }
        let signal = finished.next().await.expect("a signal");
        let told: (String, u32, String, bool, String) = signal.body().deserialize().expect("its five values");
        assert_eq!(told, ("o-1".into(), 1, "dispensed".into(), true, "driven".into()));
        let log = std::fs::read_to_string(rig.directory.path().join("log")).expect("edges");
        assert_eq!(log.lines().map(|line| line.split_once(' ').expect("a time").1).collect::<Vec<_>>(), ["tray 1 1", "tray 1 0"]);
        let facts = rig.facts().await;
        assert_eq!(
            (facts.device.as_ref().map(DeviceId::as_str), facts.keys, facts.faults),
            (Some("vm-001"), vec![key().kid().clone()], vec![])
        );
        let line = RelayLine {
            name: "tray 1".into(),
            items: vec!["A1".into()],
            state: LineCondition::Ready,
            limits: Limits { min: Rupiah::new(5000).expect("an amount"), step: None, max: None },
            misses_left: 1,
        };
        assert_eq!(facts.lines[0], line);
        let closed: (String, bool) = proxy.call("Close", &(ticket.as_str(),)).await.expect("an answer");
        assert_eq!(closed, ("dispensed".into(), true));
        rig.service.report(ThreadReport::Hardware(0, Err(Trouble::Hardware("unplugged".into()))));
        assert_eq!(rig.facts().await.faults, [RelayFault::Gpio]);
    });
}

#[test]
fn while_a_line_is_driven_every_other_call_is_answered() {
    run(async {
        let rig = Rig::new(|_| ()).await;
        let proxy = rig.proxy().await;
        let ticket = rig.prepare("F1").await;
        let spare = rig.prepare("F1").await;
        let counted = || rig.service.with_heart(|heart| heart.driven);
        let jws = receipt(1, "F1", &ticket);
        let (driven, ()) = tokio::join!(rig.dispense(&jws), async {
            // Asks until the call above has arrived.
            while rig.query("o-1").await == "unknown" {}
            assert_eq!((rig.query("o-1").await.as_str(), counted()), ("dispensing", 1));
            assert_eq!(rig.dispense(&jws).await.0, "dispensing");
            let closed: (String, bool) = proxy.call("Close", &(ticket.as_str(),)).await.expect("an answer");
            assert_eq!(closed, ("dispensing".into(), true));
            assert_eq!(error_name(&proxy, "Prepare", &("vm-001", "F1", 5000_i64)).await, RelayError::Busy.name());
            assert_eq!(error_name(&proxy, "Dispense", &(receipt(2, "F1", &spare).as_str(),)).await, RelayError::Busy.name());
            let check: (bool, String) = proxy.call("Check", &(spare.as_str(),)).await.expect("an answer");
            assert_eq!(check, (false, "busy".to_owned()));
            assert_eq!(rig.facts().await.lines[1].state, LineCondition::Busy);
            // Another line sells meanwhile. This one counts as driven from its command to its end.
            let other = rig.prepare("A1").await;
            assert_eq!((rig.dispense(&receipt(3, "A1", &other)).await.0.as_str(), counted()), ("dispensed", 1));
            rig.release();
        });
        assert_eq!((driven.0.as_str(), counted()), ("dispensed", 0));
        assert_eq!(rig.query("o-1").await, "dispensed");
    });
}

#[test]
fn dispense_does_not_wait_for_ever() {
    run(async {
        let rig = Rig::new(|service| service.answer_within = Duration::from_millis(20)).await;
        let mut finished = rig.proxy().await.receive_signal("Finished").await.expect("subscribed");
        let ticket = rig.prepare("F1").await;
        assert_eq!(rig.dispense(&receipt(1, "F1", &ticket)).await, ("dispensing".to_owned(), String::new()));
        let edges = rig.release();
        finished.next().await.expect("told by the signal");
        assert_eq!(rig.query("o-1").await, "dispensed");
        assert_eq!(edges.join().expect("read").len(), 2);
        assert!(!rig.service.with(|dispenser| dispenser.is_driving()));
    });
}

#[test]
fn at_a_stop_what_is_driven_becomes_inactive_at_once() {
    run(async {
        let rig = Rig::new(|_| ()).await;
        let ticket = rig.prepare("L1").await;
        let jws = receipt(1, "L1", &ticket);
        let (answer, ()) = tokio::join!(rig.dispense(&jws), async {
            while rig.query("o-1").await == "unknown" {}
            rig.service.stop_lines();
        });
        assert_eq!(answer, ("uncertain".to_owned(), "stopped while it was driven".to_owned()));
    });
}

#[test]
fn a_device_that_cannot_drive_now_gets_no_ticket() {
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name).display().to_string();
        std::fs::write(at("keys.json"), jwk_set(&[key().to_public_jwk(ISSUER)])).expect("written");
        let text = format!(
            "device.id = \"vm-001\"\nreceipts.keys_file = \"{}\"\nledger.path = \"{}\"\n\
             line = [{{ name = \"12\", items = [\"A1\"], port = \"{}\", slot = 12 }}]",
            at("keys.json"),
            at("ledger.db"),
            at("board"),
        );
        let config = Config::from_source(&Source::from_text("relay.toml", text)).expect("good");
        let (signals, _) = mpsc::channel(SIGNALS_MAX);
        let relay = Relay1(Arc::new(Service::new(Dispenser::new(&config, Box::new(random::fill)), vec![], vec![], signals)));
        // Its port was never opened.
        let is_refused = |fault: Fault| matches!(fault, Fault::Hardware(why) if why == "its port is not open");
        assert!(relay.prepare("vm-001", "A1", 5000).await.is_err_and(is_refused));
        let (order, before) = (claims().sub, Ticket::from_random([1; 16]));
        assert!(relay.prepare_again("vm-001", "A1", 5000, order.as_str(), 2, before.as_str()).await.is_err_and(is_refused));
        assert_eq!(relay.0.with(|dispenser| dispenser.tickets()), []);
    });
}
