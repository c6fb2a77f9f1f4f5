//! A machine starts, and its relay service has told nothing yet. Nothing is sold or priced before that, however late it comes.

use crate::counted_slots::{count_a1, stock};
use crate::rig::desk::Desk;
use crate::rig::midtrans::Via;
use crate::rig::process::Process;
use crate::rig::shop::{DEVICE, Program, Shop};
use qris::order::ids::DeviceId;
use qris::order::keys::SigningKey;
use qris::order::reason::Reason;
use qris::wire::settings::Desired;
use qris::wire::vend::EventState;
use serde_json::Value;
use std::time::Duration;

/// What becomes of the relay service after the machine's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Relay {
    /// It is there, and answers when the machine is at the broker.
    Hangs,
    /// It comes after so many seconds.
    Comes(u64),
    /// It does not come.
    Absent,
}

const ALL: [Relay; 4] = [Relay::Hangs, Relay::Comes(1), Relay::Comes(10), Relay::Absent];

impl Shop {
    fn copy(&self, from: &str, to: &str) {
        for end in ["", "-wal"] {
            std::fs::copy(self.path().join(format!("{from}{end}")), self.path().join(format!("{to}{end}"))).expect("copied");
        }
        // The next start makes it anew.
        drop(std::fs::remove_file(self.path().join(format!("{to}-shm"))));
    }

    /// `qrisd` begins, and is at the broker.
    fn begins(&mut self, relay: Relay) {
        match relay {
            Relay::Hangs => {
                let relayd = self.relayd.as_ref().expect("it runs");
                relayd.signal("STOP");
                let qrisd = Process::start_notifying("qrisd", &mut self.service(Program::Qrisd), self.path());
                qrisd.wait_line("connected to the broker");
                relayd.signal("CONT");
                qrisd.wait_ready();
                self.qrisd = Some(qrisd);
            }
            Relay::Comes(_) | Relay::Absent => {
                self.kill_relayd();
                self.start_qrisd();
                self.qrisd.as_ref().expect("it runs").wait_line("connected to the broker");
            }
        }
    }

    /// Its relay service is there at last.
    fn relay_comes(&mut self, relay: Relay) {
        if let Relay::Comes(seconds) = relay {
            std::thread::sleep(Duration::from_secs(seconds));
        }
        if relay != Relay::Hangs {
            self.start_relayd();
        }
        self.qrisd.as_ref().expect("it runs").wait_line("the relay service answers");
    }
}

#[test]
fn an_older_image_of_the_database_sells_nothing_that_is_gone() {
    let mut shop = Shop::open(Default::default());
    shop.kill_qrisd();
    shop.edit(Program::Qrisd, count_a1);
    shop.start_qrisd();
    shop.wait_online();
    let counted = stock(&shop, &["count", "A1", "1"]);
    assert!(counted.status.success(), "{counted:?}");
    // An image of sooner would not know what the relay had driven when it was counted.
    shop.kill_qrisd();
    shop.start_qrisd();
    shop.qrisd.as_ref().expect("it runs").wait_line("the relay service answers");
    shop.kill_qrisd();
    shop.copy("qrisd.db", "older");
    shop.start_qrisd();
    shop.wait_online();
    shop.sell("A1", Via::Gopay);
    // An order that was not told to the backend would be taken up, and hold the machine.
    shop.check_books();
    let charges = shop.midtrans.transactions().len();
    for relay in ALL {
        shop.kill_qrisd();
        shop.copy("older", "qrisd.db");
        // The broker has it for the first moment of the machine.
        let request_id = shop.vend("A1");
        shop.begins(relay);
        let told = shop.tap.wait_one_of(&request_id, &[EventState::Refused, EventState::AwaitingPayment]);
        assert_eq!(told.state, EventState::Refused, "{relay:?}: {told:?}");
        // A computer that stands still for 2 s has no facts in time.
        let is_refused = told.reason == Some(Reason::Relay) || relay == Relay::Hangs && told.reason == Some(Reason::SoldOut);
        assert!(is_refused, "{relay:?}: {told:?}");
        if relay != Relay::Absent {
            shop.relay_comes(relay);
            shop.tap.wait_refused(&shop.vend("A1"), Reason::SoldOut);
        }
    }
    assert_eq!(shop.midtrans.transactions().len(), charges, "nobody is asked for money");
    shop.check_books();
}

/// What the machine says of its settings.
fn wait(shop: &Shop, what: &str, from: usize, is_so: impl Fn(&Value) -> bool) -> Value {
    let topic = format!("qrisd/v1/{DEVICE}/config/reported");
    shop.tap.wait_from(from, what, |message| (message.topic == topic).then(|| message.json()).filter(&is_so))
}

#[test]
fn a_price_from_afar_waits_for_the_line_that_judges_it() {
    let mut desk = Desk::open("manage");
    let key = SigningKey::from_jwk(&std::fs::read_to_string(desk.file("desk.jwk")).expect("there")).expect("a key");
    let desired = format!("qrisd/v1/{DEVICE}/config/desired");
    // Its line takes 2,000 at the least.
    for ((version, price), relay) in [1999, 6000, 1998, 7000].into_iter().enumerate().zip(ALL) {
        let (taken, version) = (price >= 2000, version as u64 + 1);
        let from = desk.shop.tap.count();
        desk.shop.kill_qrisd();
        let wanted = Desired {
            aud: DeviceId::new(DEVICE).expect("an id"),
            version,
            from: if version > 2 { 2 } else { 0 },
            exp: i64::MAX,
            effective_at: None,
            skip_unknown: false,
            made_of: None,
            settings: format!("[[item]]\nid = \"A1\"\nname = \"Tea\"\nprice = {price}\n").into(),
        };
        desk.shop.tap.publish_bytes(&desired, &wanted.signed(&key), true);
        desk.shop.begins(relay);
        if relay != Relay::Hangs {
            let told = wait(&desk.shop, "the text to wait", from, |told| told["waiting"]["version"] == version);
            assert!(told["version"].as_u64() < Some(version) && told["refused"].is_null(), "{relay:?}: {told}");
        }
        if relay == Relay::Absent {
            continue;
        }
        desk.shop.relay_comes(relay);
        let told = wait(&desk.shop, "its end", from, |told| told["version"] == version || told["refused"]["version"] == version);
        assert_eq!((told["version"] == version, told["waiting"].is_null()), (taken, true), "{relay:?}: {told}");
    }
    desk.shop.start_relayd();
    desk.shop.qrisd.as_ref().expect("it runs").wait_line("the relay service answers");
    assert_eq!(desk.shop.sell("A1", Via::Gopay).amount.map(|amount| amount.get()), Some(7000));
}
