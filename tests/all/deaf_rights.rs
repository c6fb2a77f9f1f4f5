//! A line is missing in the broker's access list. Mosquitto answers a refused message, and refuses a subscription in silence. Each
//! missing line is told with its topic's name, where a person stands.

use crate::counted_slots::stock;
use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, Options, Program, Shop};
use crate::rig::{output_text, source_text, stdout, wait_for};
use serde_json::Value;

/// The lines of a section of the shipped access list: that of this user, or of all machines.
fn lines(user: Option<&str>) -> Vec<String> {
    let list = source_text("config/mosquitto.acl");
    let mut of = None;
    let mut found = Vec::new();
    for line in list.lines() {
        of = line.strip_prefix("user ").or(of);
        let is_right = line.starts_with("pattern ") || line.starts_with("topic read ") || line.starts_with("topic write ");
        if is_right && of == user {
            found.push(line.to_owned());
        }
    }
    assert!(!found.is_empty(), "{list}");
    found
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
    for line in lines(None).iter().filter(|line| line.starts_with("pattern write ")) {
        let tail = tail(line);
        let from = shop.qrisd.as_ref().expect("it runs").lines.count();
        shop.broker.without(line);
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
    for line in lines(Some("backend")).iter().filter(|line| line.starts_with("topic read ")) {
        shop.broker.without(line);
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
    let mut shop = Shop::open(Options::default());
    shop.wait_idle();
    shop.broker.without("topic write qrisd/v1/+/payment/update");
    shop.sell("A1", Via::Gopay);
    wait_topics(&shop, &["payment/update"]);
    shop.broker.whole();
    // One that comes shows that all is well.
    wait_for("a sale that the broker tells", || {
        shop.wait_idle();
        shop.sell("A1", Via::Gopay);
        (machine(&shop)["topics"] == serde_json::json!([])).then_some(())
    });
}

/// It is the first one that counts, however many come after it.
#[test]
fn news_of_payments_that_may_not_be_read_are_told_while_the_machine_sells() {
    let mut shop = Shop::open(Options::default());
    shop.wait_idle();
    shop.broker.without("pattern read qrisd/v1/%u/payment/update");
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
