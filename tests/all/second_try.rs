//! Another try at what came to nothing, or the money: a real backend and a real relay, and a test in the place of the machine. It has the
//! token, the bus and every receipt, so it can do what a machine in foreign hands can.

use crate::rig::caller::{CallRefused, Caller};
use crate::rig::http::HttpAnswer;
use crate::rig::midtrans::Via;
use crate::rig::postgres::Postgres;
use crate::rig::shop::{DEVICE, Options, PRICE, Program, Shop, new_request_id, relay_key};
use crate::rig::wait_for;
use qris::order::ids::{DeviceId, ItemId, OrderId, Ticket};
use qris::order::ledger::Again;
use qris::order::money::Rupiah;
use qris::order::promise::Promise;
use qris::order::proof::RelayKey;
use qris::order::tries::TryNumber;
use serde_json::{Value, json};

pub struct Machine {
    pub shop: Shop,
    pub bus: Caller,
}

/// A paid order, and its newest try.
pub struct Bought {
    pub order_id: String,
    pub ticket: String,
    pub receipt: String,
}

impl Machine {
    pub fn new(server: Option<&Postgres>, more: &str) -> Self {
        let store = server.map(|server| format!("url = \"{}\"", server.url()));
        let mut shop = Shop::open(Options { machine: false, store, ..Options::default() });
        shop.kill_backend();
        shop.edit(Program::Backend, |text| format!("{text}\n[orders]\nsecond_tries = 1\n{more}"));
        shop.start_backend();
        shop.start_relayd();
        let bus = Caller::connect(&shop.bus.address);
        Self { shop, bus }
    }

    pub fn buys(&self) -> Bought {
        let (order_id, ticket) = self.orders();
        self.shop.midtrans.pay(&order_id, Via::Gopay);
        self.has_receipt(order_id, ticket)
    }

    /// The order that was paid, once its receipt is there.
    pub fn has_receipt(&self, order_id: String, ticket: String) -> Bought {
        let receipt = self.shop.wait_order(&order_id, "its receipt", |order| order["receipt"].as_str().map(str::to_owned));
        Bought { order_id, ticket, receipt }
    }

    /// An order that can be paid, and its ticket.
    pub fn orders(&self) -> (String, String) {
        let ticket: String = self.bus.relay("Prepare", &(DEVICE, "A1", price())).expect("a ticket");
        let mut body = self.shop.order_body(&new_request_id());
        body["ticket"] = json!(ticket);
        body["relay_key"] = json!(self.bus.relay_facts().proof_key.expect("a ledger").x.to_string());
        let order = self.shop.post_order(&body).json();
        (order["order_id"].as_str().expect("an order").to_owned(), ticket)
    }

    pub fn closes(&self, bought: &Bought) {
        assert_eq!(self.bus.relay::<_, (String, bool)>("Close", &(bought.ticket.as_str(),)), Ok(("closed".into(), false)));
    }

    pub fn proof(&self, ticket: &str) -> String {
        self.bus.relay("Prove", &(ticket,)).expect("a ticket of this relay")
    }

    pub fn tells(&self, bought: &Bought, nth: u32, outcome: &str, proof: &str) -> HttpAnswer {
        self.shop.post_to(&bought.order_id, "outcome", &json!({ "try": nth, "outcome": outcome, "proof": proof }))
    }

    /// Buys, and nothing comes: the relay has closed the ticket, and the backend has its word.
    pub fn buys_nothing(&self) -> Bought {
        let bought = self.buys();
        self.closes(&bought);
        let told = self.tells(&bought, 1, "undelivered", &self.proof(&bought.ticket));
        assert_eq!(told.status, 200, "{}", told.text());
        bought
    }

    pub fn promised(&self, bought: &Bought) -> Result<(String, String), CallRefused> {
        let (order, after) = (bought.order_id.as_str(), bought.ticket.as_str());
        self.bus.relay("PrepareAgain", &(DEVICE, "A1", price(), order, 2_u32, after))
    }

    pub fn asks(&self, order_id: &str, promise: &str) -> HttpAnswer {
        self.shop.post_to(order_id, "again", &json!({ "promise": promise }))
    }

    /// The second try at it, with its receipt.
    pub fn again(&self, bought: &Bought) -> Bought {
        let (ticket, promise) = self.promised(bought).expect("a ticket");
        let order = self.asks(&bought.order_id, &promise);
        assert_eq!(order.status, 200, "{}", order.text());
        let order = order.json();
        assert_eq!((&order["try"], &order["ticket"], &order["outcome"]), (&json!(2), &json!(ticket), &Value::Null));
        Bought { order_id: bought.order_id.clone(), ticket, receipt: order["receipt"].as_str().expect("a receipt").into() }
    }

    pub fn dispenses(&self, bought: &Bought) -> Result<String, String> {
        let answer = self.bus.relay::<_, (String, bool, String)>("Dispense", &(bought.receipt.as_str(),));
        answer.map(|(outcome, ..)| outcome).map_err(|refused| refused.name)
    }

    /// What a person may do with its money: refund, also without a proof, note, goods by hand; each refused?
    pub fn bars_persons(&self, order_id: &str) -> [bool; 4] {
        [
            &["refund", order_id, "--by", "Sari"][..],
            &["refund", order_id, "--no-proof", "--by", "Sari"],
            &["refund", order_id, "--settled-by-hand", "cash", "--by", "Sari"],
            &["given", order_id, "--by", "Sari", "--from", "elsewhere"],
        ]
        .map(|arguments| {
            let told = self.shop.merchant(arguments);
            // The database refuses a second end, too, without a word of why.
            assert!(!String::from_utf8_lossy(&told.stderr).contains("the first end stays"), "{arguments:?}: {told:?}");
            !told.status.success()
        })
    }

    pub fn in_the_books(&self, order_id: &str) -> Value {
        let shown = self.shop.merchant(&["orders", order_id, "--json"]);
        serde_json::from_slice(&shown.stdout).expect("JSON")
    }

    pub fn refunds(&self, order_id: &str) -> usize {
        self.shop.midtrans.calls("refund", order_id).len()
    }
}

fn price() -> i64 {
    i64::try_from(PRICE).expect("small")
}

#[test]
fn nothing_came_and_the_second_try_does() {
    comes_at_the_second_try(None);
}

#[test]
fn nothing_came_and_the_second_try_does_on_postgresql() {
    comes_at_the_second_try(Some(&Postgres::start(&[])));
}

fn comes_at_the_second_try(server: Option<&Postgres>) {
    let machine = Machine::new(server, "auto_refund = true\n");
    let first = machine.buys_nothing();
    let told = machine.shop.order_at_backend(&first.order_id);
    assert!((1..=24 * 3600).contains(&told["try_again_s"].as_u64().expect("it is offered")), "{told}");
    assert_eq!(machine.refunds(&first.order_id), 0, "the refund waits until the offer is over");
    let second = machine.again(&first);
    assert!(machine.shop.order_at_backend(&first.order_id)["try_again_s"].is_null(), "it is open");
    assert_eq!(machine.bars_persons(&first.order_id), [true; 4], "while it is open");
    assert_eq!(machine.dispenses(&second), Ok("dispensed".into()));
    // Whatever is sent once more.
    assert_eq!((machine.dispenses(&second), machine.dispenses(&first)), (Ok("dispensed".into()), Err("UnknownTicket".into())));
    assert_eq!(machine.shop.pulses(), 1);
    let told = machine.tells(&second, 2, "dispensed", &machine.proof(&second.ticket));
    assert_eq!(told.status, 200, "{}", told.text());
    assert_eq!(machine.bars_persons(&first.order_id), [true; 4], "it came");
    let order = machine.in_the_books(&first.order_id);
    assert_eq!((&order["outcome"], &order["refund"], &order["attention"]), (&json!("dispensed"), &Value::Null, &json!([])), "{order}");
    assert_eq!(machine.refunds(&first.order_id), 0);
    assert!(machine.promised(&second).is_err(), "there is nothing to try again");
    let told = |number: u32, bought: &Bought, outcome: &str| json!({ "try": number, "ticket": bought.ticket, "item": "A1", "amount": PRICE, "outcome": outcome, "proof": "signed" });
    assert_eq!(order["tries"], json!([told(1, &first, "undelivered"), told(2, &second, "dispensed")]));
}

/// He takes the goods of the second try, and sends the genuine word of the first one.
#[test]
fn a_hostile_machine_has_the_goods_or_the_money() {
    let machine = Machine::new(None, "auto_refund = true\n");
    let first = machine.buys_nothing();
    let word = machine.proof(&first.ticket);
    let second = machine.again(&first);
    assert_eq!(machine.dispenses(&second), Ok("dispensed".into()));
    assert_eq!(machine.tells(&first, 1, "undelivered", &word).status, 200, "it is known");
    let order = machine.in_the_books(&first.order_id);
    assert_eq!((&order["outcome"], &order["refund"]), (&Value::Null, &Value::Null), "and changes nothing: {order}");
    assert_eq!(machine.tells(&first, 1, "dispensed", &word).status, 409);
    assert_eq!(machine.tells(&second, 2, "undelivered", &word).status, 200);
    let order = machine.in_the_books(&first.order_id);
    assert_eq!((&order["proof"], &order["attention"]), (&json!("other_sale"), &json!(["no_proof"])), "for a person: {order}");
    assert!(!machine.shop.merchant(&["refund", &first.order_id, "--by", "Sari"]).status.success(), "without a proof");
    assert_eq!((machine.shop.pulses(), machine.refunds(&first.order_id)), (1, 0));
}

#[test]
fn a_promise_that_the_relay_did_not_give_gets_no_receipt() {
    let machine = Machine::new(None, "");
    let (first, other) = (machine.buys_nothing(), machine.buys_nothing());
    let again = Again {
        order: OrderId::new(&first.order_id).expect("an id"),
        number: TryNumber::FIRST.next().expect("2"),
        after: Ticket::new(&first.ticket).expect("a ticket"),
    };
    let made_up = Promise::of(
        DeviceId::new(DEVICE).expect("an id"),
        Ticket::from_random([9; 16]),
        again,
        ItemId::new("A1").expect("an id"),
        Rupiah::new(PRICE).expect("an amount"),
    );
    let of_another = machine.promised(&other).expect("a ticket").1;
    let good = machine.promised(&first).expect("a ticket").1;
    for (promise, status) in [
        (made_up.sign(&relay_key()), 422),
        (machine.proof(&first.ticket), 422),
        (first.receipt.clone(), 422),
        ("x".into(), 422),
        (of_another, 409),
        (good.clone(), 200),
    ] {
        let answer = machine.asks(&first.order_id, &promise);
        assert_eq!(answer.status, status, "{promise}: {}", answer.text());
    }
    let receipt = |answer: HttpAnswer| answer.json()["receipt"].as_str().expect("a receipt").to_owned();
    assert_eq!(receipt(machine.asks(&first.order_id, &good)), receipt(machine.asks(&first.order_id, &good)), "asked again");
    let next = machine.promised(&first).expect("the relay has driven nothing yet").1;
    assert_eq!(machine.asks(&first.order_id, &next).status, 409, "one try at a time");
    // Its ticket was given at one machine, and another machine's relay never did.
    assert_eq!(machine.asks(&other.order_id, &good).status, 409);
}

#[test]
fn what_settled_it_bars_another_try_and_so_does_the_gateway() {
    let machine = Machine::new(None, "");
    type End<'a> = &'a dyn Fn(&str);
    let ends: [(&str, End<'_>); 4] = [
        ("a refund", &|id| assert!(machine.shop.merchant(&["refund", id, "--by", "Sari"]).status.success())),
        ("a note", &|id| {
            assert!(machine.shop.merchant(&["refund", id, "--settled-by-hand", "cash", "--by", "Sari"]).status.success());
        }),
        ("goods by hand", &|id| assert!(machine.shop.merchant(&["given", id, "--by", "Sari", "--from", "elsewhere"]).status.success())),
        ("a part in the dashboard", &|id| {
            machine.shop.midtrans.set(id, "partial_refund", false);
            let listed = || machine.in_the_books(id)["attention"].as_array().expect("a list").contains(&json!("partial_refund"));
            wait_for("the part", || listed().then_some(()));
        }),
    ];
    for (name, end) in ends {
        let bought = machine.buys_nothing();
        let promise = machine.promised(&bought).expect("the relay knows nothing of money").1;
        end(&bought.order_id);
        let refused = machine.asks(&bought.order_id, &promise);
        assert_eq!((refused.status, &refused.json()["order_id"]), (409, &json!(bought.order_id)), "{name}: the machine believes no other");
    }
    assert_eq!(machine.shop.pulses(), 0);
}

#[test]
fn a_machine_has_a_number_of_tries_a_day() {
    let machine = Machine::new(None, "auto_refund_per_day = 2\n");
    let bought = [(); 3].map(|()| machine.buys_nothing());
    for (n, bought) in bought.iter().enumerate() {
        let promise = machine.promised(bought).expect("a ticket").1;
        let answer = machine.asks(&bought.order_id, &promise);
        assert_eq!(answer.status, if n < 2 { 200 } else { 429 }, "{}", answer.text());
    }
    assert_eq!(machine.in_the_books(&bought[2].order_id)["try_offered_until"], json!(null));
    let again = machine.shop.merchant(&["again", &bought[2].order_id, "--by", "Sari"]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("has had its other tries of 24 hours"), "{again:?}");
    // No other try is offered for what fails now.
    let offered = |order: &str| !machine.shop.order_at_backend(order)["try_again_s"].is_null();
    assert!(offered(&bought[2].order_id) && !offered(&machine.buys_nothing().order_id));
}

/// The board is replaced, and a person takes the key of its relay: that ledger knows nothing of what was sold before.
#[test]
fn a_key_that_came_later_signs_no_try_of_what_was_sold_before() {
    let machine = Machine::new(None, "");
    let bought = machine.buys_nothing();
    let promise = machine.promised(&bought).expect("a ticket").1;
    let own = RelayKey::of(&relay_key());
    let mut body = machine.shop.order_body(&new_request_id());
    body["relay_key"] = json!(own.to_string());
    machine.shop.post_order(&body);
    let take = || machine.shop.merchant(&["device", "relay-key", DEVICE, &own.fingerprint(), "--by", "Sari"]).status.success();
    wait_for("the key to be shown", || take().then_some(()));
    let answer = machine.asks(&bought.order_id, &promise);
    assert_eq!((answer.status, answer.json()["code"].clone()), (409, json!("unknown_key")), "{}", answer.text());
}

#[test]
fn a_try_that_the_books_never_saw_and_that_came_to_nothing_is_no_other_outcome() {
    let shop = Shop::open(Options { machine: false, ..Options::default() });
    let order = shop.reported("failed");
    let told = shop.post_to(&order, "outcome", &json!({ "try": 2, "outcome": "undelivered" }));
    assert_eq!((told.status, &told.json()["outcome"]["outcome"]), (200, &json!("failed")), "{}", told.text());
    assert_eq!(shop.post_to(&order, "outcome", &json!({ "outcome": "dispensed" })).status, 409);
    let backend = shop.backend.as_ref().expect("it runs");
    backend.wait_line(&format!("order {order}: outcome dispensed was told, but failed stands"));
    let told: Vec<_> = backend.lines.all().into_iter().filter(|line| line.contains("was told, but")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn who_offers_none_any_more_ends_what_is_offered_and_the_money_goes_back() {
    let mut machine = Machine::new(None, "auto_refund = true\n");
    let bought = machine.buys_nothing();
    let (_, promise) = machine.promised(&bought).expect("a ticket");
    machine.shop.kill_backend();
    machine.shop.edit(Program::Backend, |text| text.replace("second_tries = 1", "second_tries = 0"));
    machine.shop.start_backend();
    assert!(machine.shop.order_at_backend(&bought.order_id)["try_again_s"].is_null());
    assert_eq!(machine.asks(&bought.order_id, &promise).status, 409);
    wait_for("the refund", || (machine.refunds(&bought.order_id) == 1).then_some(()));
}
