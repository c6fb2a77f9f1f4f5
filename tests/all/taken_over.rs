//! Two clients of the broker with one client id throw each other out. Nobody knows a machine's who does not have its token. Whoever has
//! it makes the machine deaf, and people are told.

use crate::alerts::{Alerted, TELL};
use crate::rig::midtrans::Via;
use crate::rig::mosquitto::{Mosquitto, password};
use crate::rig::received::Received;
use crate::rig::shop::{DEVICE, Options, Shop};
use crate::rig::{PATIENCE, stdout, wait_for};
use qris::host::mqtt::client_id;
use qris::host::secret::Secret;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{Client, Event, MqttOptions};
use rusqlite::Connection;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Somebody at the broker, who comes back whenever the broker throws him out.
struct Thief {
    let_in: Received<()>,
    ended: Arc<AtomicBool>,
}

impl Thief {
    fn connect(broker: &Mosquitto, user: &str, client_id: &str) -> Self {
        let mut options = MqttOptions::new(client_id, "127.0.0.1", broker.port);
        options.set_credentials(user, password(user));
        options.set_keep_alive(Duration::from_secs(5));
        let (client, mut connection) = Client::new(options, 4);
        let thief = Self { let_in: Received::default(), ended: Arc::default() };
        let (let_in, ended) = (thief.let_in.clone(), Arc::clone(&thief.ended));
        std::thread::spawn(move || {
            // It lives as long as its connection.
            let _client = client;
            for event in connection.iter() {
                match event {
                    _ if ended.load(Ordering::Relaxed) => return,
                    Ok(Event::Incoming(Packet::ConnAck(_))) => let_in.push(()),
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(100)),
                }
            }
        });
        thief
    }
}

impl Drop for Thief {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_account_of_the_broker_throws_no_machine_out() {
    let shop = Shop::open(Options::default());
    shop.wait_online();
    // What he may know and guess, with another machine's account, and with this machine's.
    let guessed = client_id(DEVICE, &Secret::new("a guess"));
    let thieves = [("vm-002", DEVICE), (DEVICE, &guessed)].map(|(user, id)| Thief::connect(&shop.broker, user, id));
    for thief in &thieves {
        thief.let_in.until(PATIENCE, |times| (!times.is_empty()).then_some(())).expect("the broker lets the thief in");
    }
    shop.sell("A1", Via::Gopay);
    let qrisd = shop.qrisd.as_ref().expect("it runs");
    let lines = qrisd.lines.all();
    assert!(!lines.iter().any(|line| line.contains("lost the broker")), "{lines:#?}");
}

#[test]
fn of_two_with_one_token_a_person_is_told_and_of_the_end_too() {
    let alerted = Alerted::with(TELL, "", Options::default());
    let shop = &alerted.shop;
    shop.wait_online();
    let id = client_id(DEVICE, &Secret::new(shop.token.as_str()));
    let thief = Thief::connect(&shop.broker, DEVICE, &id);
    shop.qrisd.as_ref().expect("it runs").wait_line("taken over: another computer throws this machine out of the broker");
    let told = alerted.wait_sent(1);
    assert_eq!((&told[0]["kind"], &told[0]["device"]), (&json!("taken_over"), &json!(DEVICE)));
    shop.backend.as_ref().expect("it runs").wait_line("the machine Lobby (vm-001) is taken over");
    wait_for("the fault in the list of machines", || {
        stdout(&shop.merchant(&["device", "list"])).lines().any(|line| line.contains("taken_over")).then_some(())
    });
    // The machine would ask without a word of it ten minutes later. So the test does, until that is the last word.
    drop(thief);
    let ask = || assert_eq!(shop.http.get(&format!("{}/v1/orders?state=open", shop.backend_url), Some(&shop.token)).status, 200);
    // Whoever has the token can say so, too. An hour goes by before people hear of an end.
    ask();
    let books = Connection::open(shop.path().join("orders.db")).expect("the books");
    let open = "SELECT count(*) FROM alerts WHERE kind = 'taken_over' AND ended_ms IS NULL";
    assert_eq!(books.query_row(open, [], |row| row.get::<_, i64>(0)), Ok(1));
    books.execute("UPDATE alerts SET since_ms = since_ms - 3600000 WHERE kind = 'taken_over'", []).expect("an hour ago");
    let over = wait_for("that people are told of the end", || {
        ask();
        alerted.sent().into_iter().find(|told| told["kind"] == json!("over"))
    });
    assert_eq!(over["over"], json!("taken_over"));
}
