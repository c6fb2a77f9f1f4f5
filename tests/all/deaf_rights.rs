//! A line is missing in the broker's access list. Mosquitto answers a refused message, and refuses a subscription in silence. Each
//! missing line is told with its topic's name, where a person stands.
//!
//! It takes 70 s at the most. They begin at the next connect, or with the first message that is refused or does not come. The tests wait until
//! it is told, however long. These are the sums, while broker and backend answer at once:
//!
//! * `Refused`: a machine writes each of these topics at its connect (`rights.rs`), and tells the backend at once. That looks each 5 s
//!   (`CHECK`): 5 s. Of a message to a machine the backend hears itself: 5 s, too.
//! * `Missing`: the machine tells 20 s after the broker took the message (`TELL_WITHIN`), it counts as missing 15 s later (`LATE`), and
//!   the backend looks each 5 s: 40 s.
//! * `Payment`, where the machine may not read: it hears of the payment over HTTP in 6 s (`POLL_S`), waits 20 s for the message
//!   (`UPDATE_WITHIN`), and tells the backend: 31 s.
//! * `Command`: `vend --wait` gives up after 31 s, a command of the fleet after 15 s (`ANSWER_WAIT`). `Doctor`: when it is run.

use crate::counted_slots::stock;
use crate::rig::midtrans::Via;
use crate::rig::mosquitto::MACHINES;
use crate::rig::people::Desk;
use crate::rig::shop::{DEVICE, Options, Program, Shop};
use crate::rig::{output, output_text, source_text, stdout, wait_for};
use serde_json::Value;

/// What tells people that a line is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The machine, which hears that it may not write: its journal and fault, then the desk and the merchant's doctor.
    Refused,
    /// The backend, which the machine has told what it wrote: its journal, the desk, the merchant's doctor, the machine's fault.
    Missing,
    /// The machine, at the first payment that it hears of over HTTP alone.
    Payment,
    /// `qrisctl doctor` with the fleet's account, which has machine and fleet write to each other.
    Doctor,
    /// The command that needs it, to who gave it.
    Command,
    /// Nobody, since nobody misses it: the answer to a refused marker comes behind all that the broker had to send, too.
    Nobody,
}

const CONTROLLER: &str = "vm-001-controller";

/// Each line of the shipped access list that gives a right.
const TABLE: [(&str, &str, Told); 35] = [
    (MACHINES, "pattern read qrisd/v1/%u/vend/request", Told::Doctor),
    (MACHINES, "pattern read qrisd/v1/%u/vend/cancel", Told::Doctor),
    (MACHINES, "pattern read qrisd/v1/%u/vend/collect", Told::Doctor),
    (MACHINES, "pattern read qrisd/v1/%u/payment/update", Told::Payment),
    (MACHINES, "pattern read qrisd/v1/%u/cmd/+/request", Told::Doctor),
    (MACHINES, "pattern read qrisd/v1/%u/config/desired", Told::Doctor),
    (MACHINES, "pattern write qrisd/v1/%u/vend/event", Told::Refused),
    (MACHINES, "pattern write qrisd/v1/%u/status", Told::Refused),
    (MACHINES, "pattern write qrisd/v1/%u/telemetry", Told::Refused),
    (MACHINES, "pattern write qrisd/v1/%u/stock", Told::Refused),
    (MACHINES, "pattern write qrisd/v1/%u/config/reported", Told::Refused),
    (MACHINES, "pattern write qrisd/v1/%u/cmd/response", Told::Refused),
    ("backend", "topic write qrisd/v1/+/payment/update", Told::Payment),
    ("backend", "topic read qrisd/v1/+/status", Told::Missing),
    ("backend", "topic read qrisd/v1/+/telemetry", Told::Missing),
    ("backend", "topic read qrisd/v1/+/stock", Told::Missing),
    ("fleet", "topic read qrisd/v1/+/vend/event", Told::Doctor),
    ("fleet", "topic read qrisd/v1/+/status", Told::Doctor),
    ("fleet", "topic read qrisd/v1/+/telemetry", Told::Doctor),
    ("fleet", "topic read qrisd/v1/+/stock", Told::Doctor),
    ("fleet", "topic read qrisd/v1/+/config/reported", Told::Doctor),
    ("fleet", "topic read qrisd/v1/+/cmd/response", Told::Doctor),
    ("fleet", "topic write qrisd/v1/+/vend/request", Told::Doctor),
    ("fleet", "topic write qrisd/v1/+/vend/cancel", Told::Doctor),
    ("fleet", "topic write qrisd/v1/+/vend/collect", Told::Doctor),
    ("fleet", "topic write qrisd/v1/+/cmd/+/request", Told::Doctor),
    ("fleet", "topic write qrisd/v1/+/config/desired", Told::Doctor),
    ("fleet", "topic write qrisctl/marker", Told::Nobody),
    (CONTROLLER, "topic write qrisd/v1/vm-001/vend/request", Told::Command),
    (CONTROLLER, "topic write qrisd/v1/vm-001/vend/cancel", Told::Command),
    (CONTROLLER, "topic write qrisd/v1/vm-001/vend/collect", Told::Command),
    (CONTROLLER, "topic read qrisd/v1/vm-001/vend/event", Told::Command),
    (CONTROLLER, "topic read qrisd/v1/vm-001/status", Told::Command),
    (CONTROLLER, "topic read qrisd/v1/vm-001/stock", Told::Command),
    (CONTROLLER, "topic write qrisctl/marker", Told::Nobody),
];

/// The lines that are told by this, each with its user.
pub fn told_by(told: Told) -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.into_iter().filter(move |(_, _, by)| *by == told).map(|(user, line, _)| (user, line))
}

#[test]
fn each_line_of_the_shipped_list_has_somebody_who_tells_that_it_is_missing() {
    let list = source_text("config/mosquitto.acl");
    let mut user = MACHINES;
    let mut found = Vec::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', ' '])) {
        user = line.strip_prefix("user ").unwrap_or(user);
        // What is denied gives no right.
        if !line.starts_with("user ") && !line.starts_with("topic deny ") {
            found.push((user, line));
        }
    }
    assert_eq!(found, TABLE.map(|(user, line, _)| (user, line)));
}

/// The topic of a line, without the machine.
fn tail(line: &str) -> &str {
    line.splitn(3, ['/']).nth(2).and_then(|rest| rest.split_once('/')).map_or_else(|| panic!("{line}"), |(_, tail)| tail)
}

fn machine(shop: &Shop) -> Value {
    let list = stdout(&shop.merchant(&["device", "list", "--json"]));
    let all = list.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    all.into_iter().find(|machine| machine["device"] == DEVICE).unwrap_or_else(|| panic!("{list}"))
}

fn wait_topics(shop: &Shop, wanted: &[&str]) {
    wait_for(&format!("{wanted:?} in the list of machines"), || {
        let machine = machine(shop);
        let has_fault = machine["faults"].as_array().is_some_and(|faults| faults.iter().any(|fault| fault == "config"));
        (machine["topics"] == serde_json::json!(wanted) && has_fault != wanted.is_empty()).then_some(())
    });
}

/// A shop whose machine counts what is in it, so that it writes every topic.
fn counting() -> Shop {
    let mut shop = Shop::open(Options::default());
    shop.kill_qrisd();
    shop.edit(Program::Qrisd, |text| text.replacen("id = \"A1\"\n", "id = \"A1\"\ncapacity = 8\n", 1));
    shop.start_qrisd();
    shop.wait_online();
    shop
}

#[test]
fn each_topic_that_a_machine_may_not_write_is_told_at_the_next_connect() {
    let mut shop = counting();
    for (user, line) in told_by(Told::Refused) {
        let tail = tail(line);
        let from = shop.qrisd.as_ref().expect("it runs").lines.count();
        shop.broker.without(user, line);
        wait_topics(&shop, &[tail]);
        let qrisd = shop.qrisd.as_ref().expect("it runs");
        qrisd.wait_line_from(from, &format!("refuses {tail}: not authorized"));
        // The merchant's doctor names it; other things may be wrong with this shop.
        let told = output_text(&shop.merchant(&["doctor"]));
        assert!(told.contains(&format!("{DEVICE}: {tail}")), "{told}");
        shop.broker.whole();
        wait_topics(&shop, &[]);
    }
}

#[test]
fn each_topic_that_the_backend_may_not_read_is_told_after_the_first_message_that_is_missing() {
    let mut shop = counting();
    for (user, line) in told_by(Told::Missing) {
        shop.broker.without(user, line);
        // A stock is written again with its old number, which came before. Another one is missing.
        if tail(line) == "stock" {
            assert!(stock(&shop, &["count", "A1", "5"]).status.success());
        }
        wait_topics(&shop, &[tail(line)]);
        shop.backend.as_ref().expect("it runs").wait_line(&format!("do not get through at the broker: {}", tail(line)));
        shop.broker.whole();
        wait_topics(&shop, &[]);
    }
}

#[test]
fn news_of_payments_that_may_not_be_written_are_told_after_the_first() {
    let mut desk = Desk::open_with(Options::default());
    let sari = desk.person("Sari", "viewer");
    let shop = &mut desk.shop;
    shop.wait_idle();
    shop.broker.without("backend", "topic write qrisd/v1/+/payment/update");
    shop.sell("A1", Via::Gopay);
    wait_topics(shop, &["payment/update"]);
    for page in ["/machines", "/machines/vm-001"].map(|page| sari.get(page)) {
        assert!(page.has("Topics of the broker that do not get through: payment/update."), "{}", page.html);
    }
    shop.broker.whole();
    // One that comes shows that all is well.
    wait_for("a sale that the broker tells", || {
        shop.wait_idle();
        shop.sell("A1", Via::Gopay);
        (machine(shop)["topics"] == serde_json::json!([])).then_some(())
    });
}

/// A command says at once that the broker refuses a message. Where no answer comes, it says so later. Nobody misses the marker.
#[test]
fn a_command_says_what_its_user_may_not() {
    let mut shop = counting();
    let publish = "the broker does not let us publish on";
    let commands: [(&str, &[&str], &str); 6] = [
        ("topic write qrisd/v1/vm-001/vend/request", &["vend", "--item", "A1"], publish),
        ("topic write qrisd/v1/vm-001/vend/cancel", &["cancel", "request-1"], publish),
        ("topic write qrisd/v1/vm-001/vend/collect", &["collect", "1234567890"], publish),
        ("topic read qrisd/v1/vm-001/vend/event", &["vend", "--item", "A1", "--wait"], "whether this user may read vend/event"),
        ("topic read qrisd/v1/vm-001/status", &["status"], "vm-001 never told its status to this broker, or we may not read its topics"),
        (
            "topic read qrisd/v1/vm-001/stock",
            &["fleet", "stock"],
            "the broker's access list does not let this user read qrisd/v1/vm-001/stock",
        ),
    ];
    assert_eq!(told_by(Told::Command).collect::<Vec<_>>(), commands.map(|(line, _, _)| (CONTROLLER, line)));
    let ask = |shop: &Shop, user: &str, arguments: &[&str]| output(shop.qrisctl_command(user).args(arguments).args(["--device", DEVICE]));
    for (line, arguments, words) in commands {
        shop.broker.without(CONTROLLER, line);
        let words = if words == publish { format!("{publish} qrisd/v1/{DEVICE}/{}", tail(line)) } else { words.into() };
        // The machine may not be there again yet, and that is told, too.
        wait_for(&words, || {
            let told = ask(&shop, CONTROLLER, arguments);
            // The others fail. No stock may be as well.
            (told.status.success() == (arguments[0] == "fleet") && output_text(&told).contains(&words)).then_some(())
        });
        shop.broker.whole();
    }
    for (user, line) in told_by(Told::Nobody) {
        shop.broker.without(user, line);
        wait_for("a status", || ask(&shop, user, &["status"]).status.success().then_some(()));
        shop.broker.whole();
    }
}

/// It is the first one that counts, however many come after it.
#[test]
fn news_of_payments_that_may_not_be_read_are_told_while_the_machine_sells() {
    let mut shop = Shop::open(Options::default());
    shop.wait_idle();
    shop.broker.without(MACHINES, "pattern read qrisd/v1/%u/payment/update");
    wait_for("payment/update to be told", || {
        shop.wait_idle();
        shop.sell("A1", Via::Gopay);
        (machine(&shop)["topics"] == serde_json::json!(["payment/update"])).then_some(())
    });
    shop.wait_status_of_machine("the fault with the topic's name", |status| {
        let faults = status["faults"].as_array()?;
        let config = faults.iter().find(|fault| fault["code"] == "config")?;
        config["detail"].as_str()?.contains("payment/update").then_some(())
    });
    shop.broker.whole();
}
