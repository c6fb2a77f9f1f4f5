//! Somebody has a machine's token, its bus and all its receipts, and wants the goods and the money: nobody gets both.

use crate::enrolment::{claimed, invite, with_plugin};
use crate::rig::caller::{CallRefused, Caller};
use crate::rig::midtrans::Via;
use crate::rig::shop::{DEVICE, PRICE, Program, Shop, new_request_id, relay_key};
use crate::rig::wait_for;
use qris::order::ids::{DeviceId, Ticket};
use qris::order::keys::SigningKey;
use qris::order::proof::{self, Last, RelayKey, Statement};
use qris::order::tries::TryNumber;
use serde_json::{Value, json};

/// A shop that refunds by itself, with a relay, and with a thief in the place of `qrisd`.
struct Thief {
    shop: Shop,
    bus: Caller,
    /// What the machine's relay signs with, as it says.
    key: String,
}

/// A paid order: its ticket opens the relay, with its receipt.
struct Loot {
    order_id: String,
    ticket: String,
    receipt: String,
}

impl Thief {
    fn new() -> Self {
        let mut shop = Shop::merchants_side();
        shop.kill_backend();
        shop.edit(Program::Backend, |text| format!("{text}\n[orders]\nauto_refund = true\nauto_refund_per_day = 100\nsecond_tries = 0\n"));
        shop.start_backend();
        shop.start_relayd();
        let bus = Caller::connect(&shop.bus.address);
        let key = bus.relay_facts().proof_key.expect("a ledger").x.to_string();
        Self { shop, bus, key }
    }

    /// Orders as the machine does, and pays.
    fn buys(&self) -> Loot {
        let ticket: String = self.bus.relay("Prepare", &(DEVICE, "A1", i64::try_from(PRICE).expect("small"))).expect("a ticket");
        let mut body = self.shop.order_body(&new_request_id());
        body["ticket"] = json!(ticket);
        let order = self.posts(&body, &self.key);
        let order_id = order["order_id"].as_str().expect("an order").to_owned();
        self.shop.midtrans.pay(&order_id, Via::Gopay);
        let receipt = self.shop.wait_order(&order_id, "its receipt", |order| order["receipt"].as_str().map(str::to_owned));
        Loot { order_id, ticket, receipt }
    }

    /// Posts an order, and shows this key.
    fn posts(&self, body: &Value, key: &str) -> Value {
        let headers = [("Idempotency-Key", body["request_id"].as_str().expect("an id"))];
        let mut body = body.clone();
        body["relay_key"] = json!(key);
        self.shop.http.post(&format!("{}/v1/orders", self.shop.backend_url), Some(&self.shop.token), &headers, &body).json()
    }

    fn tells(&self, loot: &Loot, outcome: &str, proof: Option<&str>) {
        let told = self.shop.post_to(&loot.order_id, "outcome", &json!({ "outcome": outcome, "proof": proof }));
        assert!(matches!(told.status, 200 | 409), "{}", told.text());
    }

    fn dispenses(&self, loot: &Loot) -> Result<(String, bool, String), CallRefused> {
        self.bus.relay("Dispense", &(loot.receipt.as_str(),))
    }

    fn proof(&self, loot: &Loot) -> String {
        self.bus.relay("Prove", &(loot.ticket.as_str(),)).expect("a ticket of this relay")
    }

    /// The order as the merchant sees it.
    fn in_the_books(&self, loot: &Loot) -> Value {
        let shown = self.shop.merchant(&["orders", &loot.order_id, "--json"]);
        serde_json::from_slice(&shown.stdout).expect("JSON")
    }

    /// The money is due, the relay's proof is missing for this reason, and a person is told. What would go back by itself is on its
    /// way in the same transaction, and then it is not listed so.
    fn is_listed(&self, loot: &Loot, why: &str) {
        let order = self.in_the_books(loot);
        assert_eq!((&order["refund"], &order["attention"], &order["proof"]), (&json!("due"), &json!(["no_proof"]), &json!(why)));
        let refused = self.shop.merchant(&["refund", &loot.order_id, "--by", "Sari"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains("--no-proof --by NAME"), "{said}");
    }
}

/// That the ticket of this order was closed, signed with a key that no relay has.
fn of_his_own(loot: &Loot) -> String {
    closed_by(&relay_key(), loot, 99)
}

fn closed_by(key: &SigningKey, loot: &Loot, number: u64) -> String {
    let statement = Statement {
        device: DeviceId::new(DEVICE).expect("an id"),
        ticket: Ticket::new(&loot.ticket).expect("a ticket"),
        order_id: None,
        number_of_try: TryNumber::FIRST,
        outcome: Last::Closed,
        driven: false,
        number,
    };
    proof::sign(key, &statement)
}

/// A proof that says what another one says, under its own signature.
fn with_claims_of(proof: &str, other: &str) -> String {
    let claims = |jws: &str| jws.split('.').nth(1).expect("three parts").to_owned();
    proof.replace(&claims(proof), &claims(other))
}

#[test]
fn the_token_alone_gets_no_refund_and_the_receipt_opens_the_relay_once() {
    let thief = Thief::new();
    // Told without `Close`: as the release before was robbed.
    let first = thief.buys();
    thief.tells(&first, "undelivered", None);
    thief.is_listed(&first, "none");
    assert_eq!(thief.dispenses(&first).map(|(outcome, ..)| outcome), Ok("dispensed".into()));
    let closed = thief.buys();
    assert_eq!(thief.bus.relay::<_, (String, bool)>("Close", &(closed.ticket.as_str(),)), Ok(("closed".into(), false)));
    let of_another = thief.proof(&closed);
    // The pulse first, and then every proof that he can have or make: each of an order of its own, since the first report stays.
    type Make = fn(&Thief, &Loot, &str) -> String;
    let proofs: [(Make, &str); 6] = [
        (|_, loot, _| of_his_own(loot), "other_key"),
        (|thief, loot, _| thief.proof(loot), "other_word"),
        (|_, _, of_another| of_another.into(), "other_sale"),
        (|thief, loot, of_another| with_claims_of(&thief.proof(loot), of_another), "wrong"),
        (|_, loot, _| loot.receipt.clone(), "wrong"),
        (|_, _, _| "x".into(), "wrong"),
    ];
    let robbed = proofs.map(|(make, why)| {
        let loot = thief.buys();
        assert_eq!(thief.dispenses(&loot).map(|(outcome, ..)| outcome), Ok("dispensed".into()));
        thief.tells(&loot, "undelivered", Some(&make(&thief, &loot, &of_another)));
        thief.is_listed(&loot, why);
        loot
    });
    // A key of his own, shown with the token: noted, and worth nothing, though a proof may come later than its report.
    let own = RelayKey::of(&relay_key());
    thief.posts(&thief.shop.order_body(&new_request_id()), &own.to_string());
    let backend = thief.shop.backend.as_ref().expect("it runs");
    backend.wait_line(&own.fingerprint());
    thief.tells(&robbed[0], "undelivered", Some(&of_his_own(&robbed[0])));
    thief.is_listed(&robbed[0], "other_key");
    let list = thief.shop.merchant(&["device", "list", "--json"]);
    let machine: Value = serde_json::from_slice(&list.stdout).expect("JSON");
    let known: RelayKey = thief.key.parse().expect("a key");
    assert_eq!((&machine["relay_key"], &machine["other_key"]), (&json!(known.fingerprint()), &json!(own.fingerprint())));
    // What the relay has closed goes back, and then its receipt opens nothing.
    thief.tells(&closed, "undelivered", Some(&of_another));
    wait_for("the refund", || (thief.in_the_books(&closed)["refund"] == "done").then_some(()));
    assert_eq!(thief.dispenses(&closed).map_err(|refused| refused.name), Err("UnknownTicket".into()));
    assert_eq!(thief.shop.pulses(), 7, "of eight that were paid");
    for loot in robbed.iter().chain([&first]) {
        assert_eq!(thief.shop.midtrans.calls("refund", &loot.order_id), Vec::<Value>::new(), "goods and money");
    }
}

#[test]
fn a_person_may_refund_without_a_proof_and_take_another_key_by_name() {
    let mut thief = Thief::new();
    let loot = thief.buys();
    thief.tells(&loot, "failed", None);
    thief.is_listed(&loot, "none");
    let nameless = thief.shop.merchant(&["refund", &loot.order_id, "--no-proof"]);
    assert_eq!(nameless.status.code(), Some(2), "nothing of this is done without a name");
    let refunded = thief.shop.merchant(&["refund", &loot.order_id, "--no-proof", "--by", "Sari"]);
    assert!(refunded.status.success(), "{refunded:?}");
    // The board is replaced: its relay is known by its key only when a person has said so.
    thief.shop.kill_relayd();
    let own = RelayKey::of(&relay_key()).fingerprint();
    let take = |fingerprint: &str| thief.shop.merchant(&["device", "relay-key", DEVICE, fingerprint, "--by", "Sari"]);
    assert!(!take(&own).status.success(), "the machine has not shown it");
    thief.shop.charge();
    let before = thief.shop.reported("undelivered");
    assert_eq!(thief.shop.midtrans.calls("refund", &before), Vec::<Value>::new());
    assert!(!take("0000-0000-0000-0000-0000").status.success(), "not the one that it shows");
    assert!(take(&own).status.success());
    let after = thief.shop.reported("undelivered");
    thief.shop.wait_order(&after, "the refund", |order| (order["refund"] == "done").then_some(()));
}

/// A key comes with a code for a machine that sells, or by a person's word. It proves what is sold from then on. What was sold before is
/// proven by the key of then.
#[test]
fn a_key_that_came_later_gets_no_refund_of_what_was_sold_before() {
    let mut thief = Thief::new();
    with_plugin(&mut thief.shop);
    // The goods come out, and the backend hears nothing, or a word without a proof.
    let sold = [(); 4].map(|()| {
        let loot = thief.buys();
        assert_eq!(thief.dispenses(&loot).map(|(outcome, ..)| outcome), Ok("dispensed".into()));
        loot
    });
    let [by_person, told_before, by_code, told_by_code] = &sold;
    for loot in [told_before, told_by_code] {
        thief.tells(loot, "undelivered", None);
    }
    let own = RelayKey::of(&relay_key());
    thief.posts(&thief.shop.order_body(&new_request_id()), &own.to_string());
    let taken = thief.shop.merchant(&["device", "relay-key", DEVICE, &own.fingerprint(), "--by", "Sari"]);
    assert!(taken.status.success(), "{taken:?}");
    for (number, loot, why) in [(1, by_person, "other_key"), (2, told_before, "none")] {
        thief.tells(loot, "undelivered", Some(&closed_by(&relay_key(), loot, number)));
        thief.is_listed(loot, why);
    }
    // The code lets him in without a board, and the key that he shows first is the machine's.
    let another = SigningKey::from_seed([66; 32]);
    let enrolment = claimed(&thief.shop.http, &invite(&thief.shop, DEVICE));
    thief.shop.token = enrolment.backend.token.to_string();
    thief.key = RelayKey::of(&another).to_string();
    let later = thief.buys();
    for (number, loot, why) in [(1, by_code, "other_key"), (2, told_by_code, "none")] {
        thief.tells(loot, "undelivered", Some(&closed_by(&another, loot, number)));
        thief.is_listed(loot, why);
    }
    for loot in &sold {
        assert_eq!(thief.shop.midtrans.calls("refund", &loot.order_id), Vec::<Value>::new(), "goods and money");
    }
    thief.tells(&later, "undelivered", Some(&closed_by(&another, &later, 3)));
    wait_for("the refund", || (thief.in_the_books(&later)["refund"] == "done").then_some(()));
}
