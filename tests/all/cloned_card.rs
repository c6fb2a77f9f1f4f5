//! A machine's card was copied, and both computers are at work. The merchant is told, with the address of each, whichever process of the
//! backend hears them, and after it was started anew. A machine that is only started anew, or changes its address, is told of to nobody.

use crate::alerts::{Alerted, TELL};
use crate::rig::bus::{DbusDaemon, Names};
use crate::rig::namespace::Namespace;
use crate::rig::postgres::Postgres;
use crate::rig::process::Process;
use crate::rig::proxy::{FORWARDED_FOR, Proxy};
use crate::rig::shop::{DEVICE, Options, Program, Shop, relay_key};
use crate::rig::{user, wait_for};
use crate::two_backends::second;
use qris::backend::machines::token::hash;
use qris::order::ids::{DeviceId, Ticket};
use qris::order::proof::{self, Last, Statement};
use qris::order::tries::TryNumber;
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Value, json};

/// What is known of the machine's computers, which a test may age.
enum Twins<'a> {
    File(Connection),
    Server(&'a Postgres),
}

impl<'a> Twins<'a> {
    fn of(shop: &Shop, server: Option<&'a Postgres>) -> Self {
        server.map_or_else(|| Self::File(Connection::open(shop.path().join("devices.db")).expect("the machines")), Self::Server)
    }

    /// Nothing, before the machine has asked.
    fn known(&self) -> Option<Value> {
        const KNOWN: &str = "SELECT known FROM twins";
        let text = match self {
            Self::File(machines) => machines.query_row(KNOWN, [], |row| row.get::<_, String>(0)).optional().expect("SQL"),
            Self::Server(server) => Some(server.ask(KNOWN)).filter(|text| !text.is_empty()),
        };
        text.map(|text| serde_json::from_str(&text).expect("JSON"))
    }

    fn wait_for_starts(&self, count: usize) {
        wait_for(&format!("{count} starts of the machine"), || (self.known()?["starts"].as_array()?.len() == count).then_some(()));
    }

    /// It is a while later. No computer asks meanwhile.
    fn age(&self) {
        let mut known = wait_for("a machine that has asked", || self.known());
        for list in ["starts", "newest"] {
            for times in known[list].as_array_mut().expect("a list") {
                for name in ["first", "last", "at"] {
                    if let Some(at) = times[name].as_i64() {
                        times[name] = (at - 61_000).into();
                    }
                }
            }
        }
        let text = known.to_string();
        let change = format!("UPDATE twins SET known = '{text}', sum = '{}'", hash(&text));
        match self {
            Self::File(machines) => assert_eq!(machines.execute(&change, []).expect("SQL"), 1),
            Self::Server(server) => drop(server.ask(&change)),
        }
    }
}

/// The machine's card in another computer, which gets to the backend from another address.
struct Copy {
    _qrisd: Process,
    _boot: Namespace,
    _bus: DbusDaemon,
}

impl Copy {
    fn start(shop: &Shop, backend: &str) -> Self {
        let directory = shop.path().join("copy");
        std::fs::create_dir(&directory).expect("a new directory");
        let (boot, _) = Namespace::boot(&directory);
        let bus = DbusDaemon::start_with(&directory, &Names::all(&user()), "");
        let proxy = Proxy::start(backend, |_, _, _| {});
        let text = std::fs::read_to_string(shop.config(Program::Qrisd)).expect("there");
        let (root, there) = (shop.path().display().to_string(), directory.display().to_string());
        let text = text
            .replace(&format!("{root}/qrisd.db"), &format!("{there}/qrisd.db"))
            .replace(&format!("{root}/screen.raw"), &format!("{there}/screen.raw"))
            .replace(&shop.bus.address, &bus.address)
            .replace(&format!("http://127.0.0.1:{}", shop.backend_link.port), &proxy.url);
        let config = directory.join("qrisd.toml");
        std::fs::write(&config, text).expect("written");
        let mut start = crate::rig::command(Program::Qrisd.binary());
        start.arg("--config").arg(&config).current_dir(&directory);
        let qrisd = Process::start_service("copy", &mut boot.command(&start), &directory);
        Self { _qrisd: qrisd, _boot: boot, _bus: bus }
    }
}

/// What was told of two computers. That they throw each other out of the broker may be told, too, before or after it.
fn told_twice(alerted: &Alerted) -> Option<Value> {
    alerted.sent().into_iter().find(|told| told["kind"] == json!("twice"))
}

fn wait_told(alerted: &Alerted, addresses: &str) {
    let told = wait_for("an alert of two computers", || told_twice(alerted));
    assert_eq!((&told["device"], &told["order"]), (&json!(DEVICE), &Value::Null));
    assert!(told["message"].as_str().is_some_and(|message| message.contains(addresses)), "{told:?}");
}

#[test]
fn two_at_once_are_told_also_by_a_backend_that_is_started_anew() {
    let mut alerted = Alerted::with(TELL, "", Options::default());
    let twins = Twins::of(&alerted.shop, None);
    // A reboot, and news from another address, are no second computer.
    twins.age();
    let _boot = crate::reboot::reboot(&mut alerted.shop);
    twins.wait_for_starts(2);
    twins.age();
    alerted.shop.sell("A1", crate::rig::midtrans::Via::Gopay);
    let _copy = Copy::start(&alerted.shop, &alerted.shop.backend_url);
    twins.wait_for_starts(3);
    alerted.shop.kill_backend();
    assert_eq!(told_twice(&alerted), None);
    twins.age();
    alerted.shop.start_backend();
    wait_told(&alerted, &format!("127.0.0.1 and {FORWARDED_FOR}"));
    alerted.shop.backend.as_ref().expect("it runs").wait_line("two computers are the machine");
}

#[test]
fn two_are_told_when_each_talks_to_another_backend() {
    let server = Postgres::start(&[]);
    let alerted = Alerted::with(TELL, "", Options { store: Some(format!("url = \"{}\"", server.url())), ..Options::default() });
    let (_second, other) = second(&alerted.shop);
    let twins = Twins::of(&alerted.shop, Some(&server));
    let _copy = Copy::start(&alerted.shop, &other);
    twins.wait_for_starts(2);
    twins.age();
    wait_told(&alerted, &format!("127.0.0.1 and {FORWARDED_FOR}"));
}

#[test]
fn a_ledger_that_counts_anew_is_told() {
    let alerted = Alerted::open(TELL, "");
    let shop = &alerted.shop;
    let tell = |address: &str| {
        let order_id = shop.paid();
        let ticket = shop.order_at_backend(&order_id)["ticket"].as_str().and_then(|ticket| Ticket::new(ticket).ok()).expect("a ticket");
        let device = DeviceId::new(DEVICE).expect("an id");
        let statement = Statement {
            device,
            ticket,
            order_id: None,
            number_of_try: TryNumber::FIRST,
            outcome: Last::Dispensed,
            driven: true,
            number: 900,
        };
        let body = json!({ "outcome": "dispensed", "proof": proof::sign(&relay_key(), &statement) });
        let url = format!("{}/v1/orders/{order_id}/outcome", shop.backend_url);
        let headers = [("Machine-Boot", address), ("X-Forwarded-For", address)];
        for _ in 0..2 {
            assert_eq!(shop.http.post(&url, Some(&shop.token), &headers, &body).status, 200);
        }
    };
    tell("192.0.2.1");
    tell("192.0.2.2");
    wait_told(&alerted, "192.0.2.1 and 192.0.2.2");
}
