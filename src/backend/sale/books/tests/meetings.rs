//! Two rights to the money of one order, or to its goods, meet. Whichever comes first, it is one of them.

use super::*;
use crate::keeping::archive;
use crate::keeping::databases::StoreLocation;
use crate::sale::books::{late_sign, of_a_copy};
use qris_core::order::late_sign::{LateNews, LateSign};
use qris_core::order::ledger::Again;
use qris_core::order::merchant::{Asker, Attention, NO_REPORT_AFTER, NoProof, Proof, REPORT_WITHIN, RefundAnswer, RefundWish, Repayment};
use qris_core::order::promise::Promise;
use qris_core::order::proof::RelayKey;
use qris_core::order::tries::TryNumber;

/// What a person does about the money. The machine may have told nothing.
type Settles = fn(&mut dyn Tx, &Policy, &OrderId, Wall) -> Result<Done, BooksError>;

const WAYS: [(&str, Settles); 3] = [
    ("refund", |tx, policy, id, now| {
        let wish = RefundWish { no_report: true, ..RefundWish::of_a_person(Some("Sari".into())) };
        request_refund(tx, policy, id, wish, Told::trusted(now))
    }),
    ("cash", |tx, policy, id, now| refund_by_hand(tx, policy, id, "cash", Some("Sari".into()), true, Told::trusted(now))),
    ("goods", |tx, policy, id, now| given(tx, policy, id, "Sari", false, Told::trusted(now))),
];

/// When the gateway is asked again, at the latest: after pauses that become longer, for two days.
const LOOKS: [i64; 10] = [0, 1, 15, 61, 400, 3_600, 7_200, 30_000, 86_400, 172_800];

impl Rig {
    /// A paid order. Its name goes with the number of its proof.
    async fn sold(&self, ticket: u8) -> String {
        self.paid(&format!("r{ticket}"), ticket, T0).await;
        format!("o-r{ticket}")
    }

    async fn settles(&self, order: &str, way: Settles, at: Wall) -> Result<Done, BooksError> {
        let id = id(order);
        self.run(move |tx, policy| way(tx, policy, &id, at)).await
    }

    /// Takes up what is due for an order, as `serve` does. Its gateway answers so. How often it is asked to give the money back.
    async fn refund_calls(&self, order: &str, from: Wall, refund: impl Fn(&Order) -> RefundAnswer, said: Said) -> usize {
        let mut calls = 0;
        for after in LOOKS {
            let at = from + Span::secs(after);
            let mut call = self.pass(order, at).await.call;
            while let Some(due) = call {
                let known = self.load(order).await.order;
                let event = match due {
                    Call::Refund => Event::RefundAnswered(refund(&known)),
                    Call::GetStatus => Event::Status(says(&known, said)),
                    Call::Charge | Call::Cancel => panic!("{due:?} of what is paid"),
                };
                calls += usize::from(due == Call::Refund);
                assert!(calls < 50, "{order}: it is asked without an end");
                call = self.answered(order, event, at).await.call;
            }
        }
        calls
    }

    async fn repayment(&self, order: &str) -> Option<Repayment> {
        self.load(order).await.order.repayment().cloned()
    }

    async fn attention(&self, order: &str) -> Vec<Attention> {
        self.load(order).await.order.attention()
    }

    async fn begun_by_itself(&self) -> i64 {
        self.count("SELECT count(*) FROM automatic_refunds").await
    }

    fn place(&self) -> StoreLocation {
        match testing::server(self.directory.path()) {
            None => StoreLocation::File(self.directory.path().join("orders.db")),
            Some(server) => StoreLocation::Server(Box::new(server)),
        }
    }

    /// Takes out what was over before that moment. How many.
    async fn archives(&self, before: Wall) -> u64 {
        let (place, file) = (self.place(), self.directory.path().join("archive.db"));
        let made = tokio::task::spawn_blocking(move || archive::archive(&place, before, &file, before)).await.expect("ran");
        made.expect("written").orders
    }
}

fn says(order: &Order, said: Said) -> StatusReport {
    let transaction = order.charge().expect("charged").transaction_id.clone();
    StatusReport { said, ..settled(order, transaction.as_str()) }
}

fn approves(order: &Order) -> RefundAnswer {
    RefundAnswer::Approved(Box::new(StatusReport { refund_amount: Rupiah::new(5000).ok(), ..says(order, Said::Refunded) }))
}

fn refuses(_: &Order) -> RefundAnswer {
    RefundAnswer::Refused("412".into())
}

fn is_by_itself(repayment: &Option<Repayment>) -> bool {
    matches!(repayment, Some(Repayment::Requested { by: Asker::Automatic, .. }))
}

#[tokio::test]
async fn while_it_goes_back_by_itself_nobody_settles_it_in_another_way() {
    let rig = Rig::refunding(10);
    for (ticket, (way, settles)) in (1_u8..).zip(WAYS) {
        let order = rig.sold(ticket).await;
        rig.tell(&order, Delivery::Undelivered, T0).await;
        assert!(is_by_itself(&rig.repayment(&order).await), "{way}");
        let refused = rig.settles(&order, settles, T0).await;
        assert!(matches!(refused, Err(BooksError::Refused(Refused::RefundUnderWay))), "{way}, before it is sent: {refused:?}");
        assert_eq!(rig.pass(&order, T0).await.call, Some(Call::Refund), "{way}");
        let refused = rig.settles(&order, settles, T0 + NO_REPORT_AFTER).await;
        assert!(matches!(refused, Err(BooksError::Refused(Refused::RefundUnderWay))), "{way}, on its way: {refused:?}");
        let known = rig.load(&order).await.order;
        rig.answered(&order, Event::RefundAnswered(approves(&known)), T0).await;
        let refused = rig.settles(&order, settles, T0 + NO_REPORT_AFTER).await;
        assert!(matches!(refused, Err(BooksError::Refused(Refused::RefundedAlready))), "{way}, made: {refused:?}");
        assert_eq!(rig.refund_calls(&order, T0, approves, Said::Refunded).await, 0, "{way}: once more");
    }
    assert_eq!(rig.begun_by_itself().await, 3);
}

#[tokio::test]
async fn what_the_gateway_did_not_give_back_by_itself_is_settled_once_by_a_person() {
    let rig = Rig::refunding(10);
    for (ticket, (way, settles)) in (1_u8..).zip(WAYS) {
        let order = rig.sold(ticket).await;
        rig.tell(&order, Delivery::Undelivered, T0).await;
        assert_eq!(rig.refund_calls(&order, T0, refuses, Said::Settled).await, 1, "{way}");
        assert_eq!(rig.attention(&order).await, [Attention::RefundFailed], "{way}");
        let later = T0 + Span::secs(200_000);
        rig.settles(&order, settles, later).await.expect("granted");
        for (other, again) in WAYS {
            assert!(matches!(rig.settles(&order, again, later).await, Err(BooksError::Refused(_))), "{way}, then {other}");
        }
        // The machine tells its word once more, and days go by.
        rig.tell(&order, Delivery::Undelivered, later).await;
        let said = if way == "refund" { Said::Refunded } else { Said::Settled };
        assert_eq!(rig.refund_calls(&order, later, approves, said).await, usize::from(way == "refund"), "{way}");
        assert_eq!(rig.attention(&order).await, [], "{way}: nothing happened twice");
    }
    assert_eq!(rig.begun_by_itself().await, 3);
}

/// The machine was silent for an hour, and a person has decided by name. Then the relay's word comes.
#[tokio::test]
async fn what_a_person_settled_before_the_word_does_not_go_back_by_itself() {
    let rig = Rig::refunding(10);
    for (ticket, (way, settles)) in (1_u8..).zip(WAYS) {
        let order = rig.sold(ticket).await;
        rig.pass(&order, T0 + REPORT_WITHIN).await;
        rig.settles(&order, settles, T0 + NO_REPORT_AFTER).await.expect("granted");
        let settled = rig.repayment(&order).await;
        let later = T0 + NO_REPORT_AFTER + Span::secs(5);
        rig.tell(&order, Delivery::Undelivered, later).await;
        assert_eq!(rig.repayment(&order).await, settled, "{way}");
        let said = if way == "refund" { Said::Refunded } else { Said::Settled };
        assert_eq!(rig.refund_calls(&order, later, approves, said).await, usize::from(way == "refund"), "{way}");
    }
    assert_eq!(rig.begun_by_itself().await, 0);
}

#[tokio::test]
async fn what_others_gave_back_does_not_go_back_by_itself() {
    let rig = Rig::refunding(10);
    let table = [
        ("all", Said::Refunded, vec![], 0),
        ("part", Said::PartlyRefunded, vec![Attention::PartialRefund, Attention::RefundDue], 0),
        ("bank", Said::ChargedBack, vec![Attention::Chargeback], 0),
    ];
    for (ticket, (name, said, listed, calls)) in (1_u8..).zip(table) {
        let order = rig.sold(ticket).await;
        let known = rig.load(&order).await.order;
        rig.answered(&order, Event::Status(says(&known, said)), T0).await;
        rig.tell(&order, Delivery::Undelivered, T0).await;
        assert!(!is_by_itself(&rig.repayment(&order).await), "{name}");
        assert_eq!(rig.refund_calls(&order, T0, approves, said).await, calls, "{name}");
        let mut found = rig.attention(&order).await;
        found.sort_by_key(|kind| kind.as_str());
        let mut wanted = listed;
        wanted.sort_by_key(|kind| kind.as_str());
        assert_eq!(found, wanted, "{name}");
    }
    assert_eq!(rig.begun_by_itself().await, 0);
}

/// Its call is on its way when somebody presses in the dashboard, or the bank takes it: the gateway refuses the call, or its answer is lost.
#[tokio::test]
async fn what_others_give_back_meanwhile_is_asked_for_once() {
    let rig = Rig::refunding(10);
    let table = [("all", Said::Refunded, false), ("part", Said::PartlyRefunded, true), ("bank", Said::ChargedBack, true)];
    let answers: [fn(&Order) -> RefundAnswer; 2] = [refuses, |_| RefundAnswer::Unsure("cut".into())];
    let rows = answers.into_iter().flat_map(|answer| table.map(|row| (answer, row)));
    for (ticket, (answer, (name, said, is_listed))) in (1_u8..).zip(rows) {
        let order = rig.sold(ticket).await;
        rig.tell(&order, Delivery::Undelivered, T0).await;
        assert!(is_by_itself(&rig.repayment(&order).await), "{name}");
        assert_eq!(rig.refund_calls(&order, T0, answer, said).await, 1, "{name}");
        let (repayment, listed) = (rig.repayment(&order).await, rig.attention(&order).await);
        assert_eq!(matches!(repayment, Some(Repayment::Done { .. })), !is_listed, "{name}: {repayment:?}");
        assert_eq!(!listed.is_empty(), is_listed, "{name}: {listed:?}");
        // Another word of the machine, a start, days: it is a person's.
        rig.tell(&order, Delivery::Undelivered, T0 + Span::secs(200_000)).await;
        rig.run(|tx, policy| restarted(tx, policy, Told::trusted(T0 + Span::secs(200_000)))).await.expect("starts");
        assert_eq!(rig.refund_calls(&order, T0 + Span::secs(200_001), approves, said).await, 0, "{name}");
    }
}

/// One process has the call under way. The news comes to the other one.
#[tokio::test]
async fn of_two_programs_one_hears_what_others_gave_back_while_the_other_asks() {
    for (name, said, is_back) in [("all", Said::Refunded, true), ("bank", Said::ChargedBack, false)] {
        let rig = Rig::refunding(10);
        let other = Rig { directory: tempfile::tempdir().expect("a directory"), store: rig.beside(), policy: Arc::clone(&rig.policy) };
        let order = rig.sold(1).await;
        rig.tell(&order, Delivery::Undelivered, T0).await;
        assert_eq!(rig.pass(&order, T0).await.call, Some(Call::Refund));
        let heard = id(&order);
        other.run(move |tx, policy| notified(tx, policy, &heard, said, Told::trusted(T0 + Span::secs(1)))).await.expect("written");
        assert_eq!(other.pass(&order, T0 + Span::secs(1)).await.call, None, "{name}: the first one has it");
        let known = rig.load(&order).await.order;
        let next = rig.answered(&order, Event::RefundAnswered(refuses(&known)), T0 + Span::secs(2)).await;
        assert_eq!(next.call, Some(Call::GetStatus), "{name}");
        rig.answered(&order, Event::Status(says(&known, said)), T0 + Span::secs(2)).await;
        let calls = other.refund_calls(&order, T0 + Span::secs(3), approves, said).await;
        let more = rig.refund_calls(&order, T0 + Span::secs(200_000), approves, said).await;
        assert_eq!((calls, more), (0, 0), "{name}");
        assert_eq!(matches!(rig.repayment(&order).await, Some(Repayment::Done { .. })), is_back, "{name}");
    }
}

/// The machine's word, judged already.
fn takes(tx: &mut dyn Tx, policy: &Policy, id: &OrderId, told: DeliveryReport, at: Wall) -> Result<Result<Done, Done>, BooksError> {
    let stored = load(tx, id)?.ok_or(BooksError::Unknown)?;
    take_report(tx, policy, stored, told, Told::trusted(at))
}

#[tokio::test]
async fn two_programs_begin_one_refund_by_themselves() {
    let rig = Rig::refunding(10);
    rig.paid("r1", 1, T0).await;
    let beside = rig.beside();
    let tasks: Vec<_> = (0..12)
        .map(|round| {
            let (store, policy) = (if round % 2 == 0 { rig.store.clone() } else { beside.clone() }, Arc::clone(&rig.policy));
            tokio::spawn(async move {
                let told = DeliveryReport::proven(Delivery::Undelivered);
                let written = store.run(move |tx| takes(tx, &policy, &id("o-r1"), told, T0)).await.expect("written");
                written.expect("the same word")
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("ran");
    }
    assert!(is_by_itself(&rig.repayment("o-r1").await));
    let history = rig.run(|tx, _| history(tx, &id("o-r1"))).await.expect("read");
    assert_eq!(history.iter().filter(|line| line.event.contains("refund")).count(), 1, "{history:?}");
    assert_eq!((rig.begun_by_itself().await, rig.refund_calls("o-r1", T0, approves, Said::Refunded).await), (1, 1));
}

/// A ledger that was put back has given one number to two tickets. Each program hears of one of them, at the same moment.
#[tokio::test]
async fn of_two_words_with_one_number_one_counts_whichever_program_hears_it() {
    for number in 1..=20 {
        let rig = Rig::refunding(10);
        let orders = [rig.sold(1).await, rig.sold(2).await];
        let stores = [rig.store.clone(), rig.beside()];
        let tasks = orders.iter().zip(stores).map(|(order, store)| {
            let (policy, order) = (Arc::clone(&rig.policy), id(order));
            tokio::spawn(async move {
                let told = proven(Delivery::Undelivered, number, TryNumber::FIRST);
                store.run(move |tx| takes(tx, &policy, &order, told, T0)).await.expect("written").expect("the first word");
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("ran");
        }
        let mut proofs = Vec::new();
        for order in &orders {
            let told = rig.load(order).await.order;
            proofs.push(matches!(told.delivery().map(|told| &told.proof), Some(Proof::Signed { .. })));
            assert_eq!(told.repayment().is_some(), proofs[proofs.len() - 1], "{number}");
        }
        assert_eq!(proofs.iter().filter(|signed| **signed).count(), 1, "{number}: {proofs:?}");
    }
}

/// The gateway gives no such payment back.
#[tokio::test]
async fn a_payment_at_a_store_goes_back_by_hand_alone() {
    let rig = Rig::refunding(10);
    let sale = sale("vm-001", "r1", 1).paid_by(Payment::Alfamart);
    rig.run(move |tx, policy| create(tx, policy, sale, "d", &id("o-r1"), Told::trusted(T0))).await.expect("created");
    rig.answered("o-r1", Event::Charged(charge("r1")), T0).await;
    let report = settled(&rig.load("o-r1").await.order, "t-r1");
    rig.answered("o-r1", Event::Status(report), T0).await;
    // Its customer came, and nothing fell.
    rig.tell("o-r1", Delivery::Failed, T0 + Span::secs(7_200)).await;
    assert_eq!((rig.repayment("o-r1").await, rig.attention("o-r1").await), (None, vec![Attention::RefundDue]));
    assert_eq!((rig.refund_calls("o-r1", T0 + Span::secs(7_200), approves, Said::Settled).await, rig.begun_by_itself().await), (0, 0));
    let refused = rig.settles("o-r1", WAYS[0].1, T0 + Span::secs(90_000)).await;
    assert!(matches!(refused, Err(BooksError::Refused(Refused::NotByApi))), "{refused:?}");
    rig.settles("o-r1", WAYS[1].1, T0 + Span::secs(90_000)).await.expect("in cash");
    assert_eq!(rig.attention("o-r1").await, []);
}

fn second() -> TryNumber {
    TryNumber::FIRST.next().expect("2")
}

fn proven(outcome: Delivery, number: u64, nth_try: TryNumber) -> DeliveryReport {
    let DeliveryReport { proof: Proof::Signed { kid, .. }, .. } = DeliveryReport::proven(outcome) else { panic!("it is proven") };
    DeliveryReport { nth_try, proof: Proof::Signed { kid, number, driven: false }, ..DeliveryReport::proven(outcome) }
}

impl Rig {
    /// An order at its second try, which has its receipt. The number of the first word was 7.
    async fn at_second_try() -> Self {
        let rig = Rig::refunding(10);
        let policy = Policy { rules: Rules { second_tries: 1, ..rig.policy.rules.clone() }, ..Policy::clone(&rig.policy) };
        let rig = Rig { policy: Arc::new(policy), ..rig };
        let relay = RelayKey::of(&SigningKey::from_seed([3; 32]));
        let sold = Sale { relay_key: Some(relay.clone()), ..sale("vm-001", "r1", 1) };
        rig.run(move |tx, policy| create(tx, policy, sold, "d", &id("o-r1"), Told::trusted(T0))).await.expect("created");
        rig.answered("o-r1", Event::Charged(charge("r1")), T0).await;
        let report = settled(&rig.load("o-r1").await.order, "t-r1");
        rig.answered("o-r1", Event::Status(report), T0).await;
        let order = rig.tells("o-r1", proven(Delivery::Undelivered, 7, TryNumber::FIRST), T0).await;
        let again = Again { order: order.id.clone(), number: second(), after: order.goods().ticket };
        let ticket = Ticket::from_random([2; 16]);
        let Purchase { item, amount, .. } = order.sale.purchase;
        let promise = Promise::of(order.sale.device, ticket, again, item, amount);
        rig.run(move |tx, policy| try_again(tx, policy, &id("o-r1"), promise, Some(relay), Told::trusted(T0))).await.expect("a receipt");
        rig
    }

    async fn tells(&self, order: &str, told: DeliveryReport, at: Wall) -> Order {
        let id = id(order);
        let done = self.run(move |tx, policy| takes(tx, policy, &id, told, at)).await.expect("written");
        done.unwrap_or_else(|done| done).now.order
    }
}

/// The machine has the receipt of a try when the bank takes the money. The goods may come all the same, and a person hears of that. Nobody
/// gives anything back.
#[tokio::test]
async fn what_the_bank_takes_during_a_try_is_told_and_nothing_goes_back() {
    for (outcome, is_first) in
        [Delivery::Dispensed, Delivery::Undelivered].into_iter().flat_map(|outcome| [(outcome, true), (outcome, false)])
    {
        let rig = Rig::at_second_try().await;
        let taken = Event::Status(says(&rig.load("o-r1").await.order, Said::ChargedBack));
        let told = proven(outcome, 8, second());
        if is_first {
            rig.answered("o-r1", taken.clone(), T0).await;
            assert_eq!(rig.attention("o-r1").await, [Attention::Chargeback], "{outcome}");
            rig.tells("o-r1", told, T0).await;
        } else {
            // No third try is offered. What came to nothing is to go back at once, and the news comes before the call.
            rig.tells("o-r1", told, T0).await;
            rig.answered("o-r1", taken, T0).await;
        }
        assert_eq!(rig.refund_calls("o-r1", T0, refuses, Said::ChargedBack).await, 0, "{outcome}");
        assert!(rig.attention("o-r1").await.contains(&Attention::Chargeback), "{outcome} {:?}", rig.attention("o-r1").await);
        let refused = rig.settles("o-r1", WAYS[0].1, T0 + NO_REPORT_AFTER).await;
        assert!(matches!(refused, Err(BooksError::Refused(_))), "{outcome}: {refused:?}");
    }
}

/// The same, although the goods of another try came.
const BESIDES: [(&str, Settles); 3] = [
    ("refund", |tx, policy, id, now| {
        let wish = RefundWish { goods_and_money: true, ..RefundWish::of_a_person(Some("Sari".into())) };
        request_refund(tx, policy, id, wish, Told::trusted(now))
    }),
    ("cash", |tx, policy, id, now| {
        let by = Some("Sari".into());
        decide(tx, policy, id, Decision::ByHand { note: "cash".into(), by, no_report: false, goods_and_money: true }, Told::trusted(now))
    }),
    ("goods", |tx, policy, id, now| {
        decide(tx, policy, id, Decision::Given { by: "Sari".into(), goods_and_money: true, from_slot: false }, Told::trusted(now))
    }),
];

impl Rig {
    /// Its second try began without its number, and gave the goods.
    async fn came_to_somebody() -> Self {
        let rig = Rig::at_second_try().await;
        rig.tells("o-r1", proven(Delivery::Dispensed, 8, second()), T0).await;
        rig
    }

    async fn is_delivered_besides(&self) -> bool {
        self.count("SELECT count(*) FROM orders WHERE order_id = 'o-r1' AND ended = 'delivered' AND goods_and_money = 1").await == 1
    }
}

/// Nobody knows who has the goods, and a person decides by name. It is decided once, is said beside the end, and leaves the books like any other.
#[tokio::test]
async fn goods_and_money_are_decided_once_by_name_and_stay_delivered() {
    for (way, settles) in BESIDES {
        let rig = Rig::came_to_somebody().await;
        for (_, plain) in WAYS {
            let refused = rig.settles("o-r1", plain, T0).await;
            assert!(matches!(refused, Err(BooksError::Refused(Refused::GoodsAndMoney))), "{way}: {refused:?}");
        }
        rig.settles("o-r1", settles, T0).await.expect("by name");
        for (_, again) in BESIDES {
            assert!(matches!(rig.settles("o-r1", again, T0).await, Err(BooksError::Refused(_))), "{way}");
        }
        let (is_refund, days) = (way == "refund", Span::secs(8 * 86_400));
        let said = if is_refund { Said::Refunded } else { Said::Settled };
        let calls = rig.refund_calls("o-r1", T0, approves, said).await + rig.refund_calls("o-r1", T0 + days, approves, said).await;
        assert_eq!((calls, rig.attention("o-r1").await), (usize::from(is_refund), vec![Attention::GoodsAndMoney]), "{way}");
        assert!(rig.is_delivered_besides().await, "{way}");
        rig.run(|tx, policy| seen(tx, policy, &id("o-r1"), "Ani", Told::trusted(T0 + Span::secs(9 * 86_400)))).await.expect("seen");
        assert!(rig.is_delivered_besides().await, "{way}");
        assert_eq!(rig.archives(T0 + Span::secs(1)).await, 1, "{way}");
    }
}

/// Two people decide in one instant, each at another backend.
#[tokio::test]
async fn two_programs_decide_once_about_goods_and_money() {
    let rig = Rig::came_to_somebody().await;
    let beside = rig.beside();
    let tasks: Vec<_> = BESIDES
        .into_iter()
        .cycle()
        .take(12)
        .enumerate()
        .map(|(n, (_, settles))| {
            let (store, policy) = (if n % 2 == 0 { rig.store.clone() } else { beside.clone() }, Arc::clone(&rig.policy));
            tokio::spawn(async move { store.run(move |tx| settles(tx, &policy, &id("o-r1"), T0)).await.is_ok() })
        })
        .collect();
    let mut granted = 0;
    for task in tasks {
        granted += u32::from(task.await.expect("ran"));
    }
    assert_eq!(granted, 1);
    let is_refund = matches!(rig.repayment("o-r1").await, Some(Repayment::Requested { .. }));
    let said = if is_refund { Said::Refunded } else { Said::Settled };
    let calls = rig.refund_calls("o-r1", T0, approves, said).await;
    assert_eq!((calls, rig.attention("o-r1").await), (usize::from(is_refund), vec![Attention::GoodsAndMoney]));
    assert!(rig.is_delivered_besides().await);
}

/// What passes the sensor of the first try after its signed end may be its goods, or a hand: a line in the history, and no right to anything.
#[tokio::test]
async fn what_passes_late_beside_goods_and_money_decides_nothing() {
    for (way, settles) in BESIDES {
        let rig = Rig::came_to_somebody().await;
        let passes = async || {
            let device = DeviceId::new("vm-001").expect("an id");
            let news = LateNews { order: id("o-r1"), number: TryNumber::FIRST, sign: LateSign::Passed };
            rig.run(move |tx, policy| late_sign(tx, policy, &device, &news, Told::trusted(T0))).await.expect("written");
            let history = rig.run(|tx, _| history(tx, &id("o-r1"))).await.expect("read");
            history.iter().filter(|line| line.event.contains("passed the sensor after the end of try 1")).count()
        };
        let before = rig.load("o-r1").await.order;
        assert_eq!((passes().await, rig.load("o-r1").await.order == before), (1, true), "{way}");
        for (_, plain) in WAYS {
            assert!(matches!(rig.settles("o-r1", plain, T0).await, Err(BooksError::Refused(Refused::GoodsAndMoney))), "{way}");
        }
        rig.settles("o-r1", settles, T0).await.expect("by name");
        let decided = rig.repayment("o-r1").await;
        assert_eq!((passes().await, rig.repayment("o-r1").await), (1, decided), "{way}: it is told once");
        assert!(rig.settles("o-r1", settles, T0).await.is_err(), "{way}");
    }
}

/// Whatever others do with the money then is written, and a person hears of it.
#[tokio::test]
async fn what_others_give_back_beside_goods_and_money_is_told() {
    for (said, wanted) in [(Said::Refunded, Attention::LateFact), (Said::ChargedBack, Attention::Chargeback)] {
        for (way, settles) in BESIDES.into_iter().skip(1) {
            let rig = Rig::came_to_somebody().await;
            rig.settles("o-r1", settles, T0).await.expect("by name");
            let report = Event::Status(says(&rig.load("o-r1").await.order, said));
            rig.answered("o-r1", report, T0 + Span::secs(60)).await;
            let told = rig.attention("o-r1").await;
            assert!(told.contains(&wanted) && told.contains(&Attention::GoodsAndMoney), "{way} {said:?}: {told:?}");
            assert!(rig.is_delivered_besides().await, "{way} {said:?}");
        }
        let rig = Rig::came_to_somebody().await;
        let report = Event::Status(says(&rig.load("o-r1").await.order, said));
        rig.answered("o-r1", report, T0).await;
        let refused = rig.settles("o-r1", BESIDES[0].1, T0).await;
        assert!(matches!(refused, Err(BooksError::Refused(_))), "{said:?}: {refused:?}");
    }
}

/// The database knows the rule, too.
#[tokio::test]
async fn the_database_takes_goods_and_money_only_after_a_try_that_was_not_surely_its_customers() {
    let rig = Rig::came_to_somebody().await;
    rig.sold(9).await;
    let writes = async |value: i64, order: &str| {
        let sql = format!("UPDATE orders SET goods_and_money = {value} WHERE order_id = '{order}'");
        rig.run(move |tx, _| Ok(tx.rows(&sql, &[])?)).await.is_ok()
    };
    assert!(!writes(1, "o-r9").await, "a first try");
    assert!(writes(1, "o-r1").await && !writes(0, "o-r1").await, "it stays");
}

/// A ledger that was put back gives the same numbers and tickets once more: also those of tries whose order has left the books.
#[tokio::test]
async fn what_the_tries_of_an_archived_order_used_stays_used() {
    let rig = Rig::at_second_try().await;
    let order = rig.tells("o-r1", proven(Delivery::Dispensed, 8, second()), T0).await;
    assert_eq!((order.outcome(), order.attention()), (Some(Delivery::Dispensed), vec![]));
    assert_eq!(rig.refund_calls("o-r1", T0, approves, Said::Settled).await, 0);
    assert_eq!(rig.archives(T0 + Span::secs(1)).await, 1, "it is over");

    for (n, number) in [(11_u8, 7), (12, 8)] {
        let request = format!("r{n}");
        rig.paid(&request, n, T0).await;
        let order = rig.tells(&format!("o-{request}"), proven(Delivery::Undelivered, number, TryNumber::FIRST), T0).await;
        assert_eq!(order.delivery().map(|told| &told.proof), Some(&Proof::Missing(NoProof::NumberUsed)), "{number}");
        assert_eq!(order.repayment(), None, "{number}");
    }
    for ticket in [1, 2] {
        let made = rig.create(&format!("other-{ticket}"), ticket, "d", T0).await;
        assert!(matches!(made, Err(BooksError::ReusedTicket)), "{ticket}: {made:?}");
    }
}

/// However its money or its goods came to their end, an order that is over leaves the books, and one that is not stays.
#[tokio::test]
async fn what_is_settled_is_archived_and_what_waits_stays() {
    let rig = Rig::refunding(1);
    let [by_itself, handed_over, in_cash, due] = ["r1", "r2", "r3", "r4"].map(|request| format!("o-{request}"));
    for (ticket, order) in (1_u8..).zip([&by_itself, &handed_over, &in_cash, &due]) {
        rig.sold(ticket).await;
        rig.tell(order, Delivery::Undelivered, T0).await;
    }
    assert_eq!(rig.refund_calls(&by_itself, T0, approves, Said::Refunded).await, 1);
    rig.settles(&handed_over, WAYS[2].1, T0).await.expect("granted");
    rig.settles(&in_cash, WAYS[1].1, T0).await.expect("granted");
    // A code that nobody has paid, and one that waits for its customer.
    for (ticket, name) in (11_u8..).zip(["code", "collect"]) {
        let sale = sale("vm-001", name, ticket).paid_by(Payment::Alfamart);
        let order = format!("o-{name}");
        let fresh = id(&order);
        rig.run(move |tx, policy| create(tx, policy, sale, "d", &fresh, Told::trusted(T0))).await.expect("created");
        rig.answered(&order, Event::Charged(charge(name)), T0).await;
    }
    let report = settled(&rig.load("o-collect").await.order, "t-collect");
    rig.answered("o-collect", Event::Status(report), T0).await;
    for (order, said) in [(&by_itself, Said::Refunded), (&handed_over, Said::Settled), (&in_cash, Said::Settled)] {
        rig.refund_calls(order, T0 + Span::secs(8 * 86_400), approves, said).await;
    }
    assert_eq!(rig.archives(T0 + Span::secs(1)).await, 3);
    let left = rig.run(|tx, _| Ok(tx.rows("SELECT order_id FROM orders ORDER BY order_id", &[])?)).await.expect("read");
    let left: Vec<_> = left.iter().map(|row| row.text("order_id").expect("a name").to_owned()).collect();
    assert_eq!(left, ["o-code", "o-collect", &*due]);
    // Somebody gives one of them back in the dashboard, too: the books do not take it for a new order.
    let report = settled(&Order { id: id(&handed_over), ..rig.load(&due).await.order }, "t-r2");
    let report = StatusReport { said: Said::Refunded, ..report };
    let heard = rig.run(move |tx, policy| rebuild(tx, policy, &id(&handed_over), &report, None, Told::trusted(T0))).await.expect("read");
    assert_eq!((heard, rig.count("SELECT count(*) FROM orders").await), (Forgotten::NotOurs, 3));
}

/// The books as they went on, and the copy that was made before a person settled it. What was archived since is in the copy, without its end.
#[tokio::test]
async fn a_copy_gives_nothing_back_of_what_was_settled_and_archived_since() {
    for (way, settles) in WAYS {
        let (went_on, copy) = (Rig::refunding(0), Rig::refunding(0));
        for rig in [&went_on, &copy] {
            let order = rig.sold(1).await;
            rig.tell(&order, Delivery::Undelivered, T0).await;
        }
        went_on.settles("o-r1", settles, T0).await.expect("granted");
        let said = if way == "refund" { Said::Refunded } else { Said::Settled };
        for after in [0, 8 * 86_400] {
            went_on.refund_calls("o-r1", T0 + Span::secs(after), approves, said).await;
        }
        assert_eq!(went_on.archives(T0 + Span::secs(1)).await, 1, "{way}");
        let back = T0 + Span::secs(9 * 86_400);
        assert_eq!(copy.run(move |tx, _| of_a_copy(tx, Told::trusted(back))).await.expect("written"), 1, "{way}");
        copy.run(move |tx, policy| restarted(tx, policy, Told::trusted(back))).await.expect("starts");
        assert_eq!(copy.refund_calls("o-r1", back, approves, said).await, 0, "{way}");
        let again = copy.settles("o-r1", WAYS[0].1, back + NO_REPORT_AFTER).await;
        assert!(matches!(again, Err(BooksError::Refused(_))), "{way}: {again:?}");
        if said == Said::Settled {
            assert!(copy.attention("o-r1").await.contains(&Attention::NoProof), "{way}: a person looks, and has the file");
        }
    }
}

/// The merchant's clock is two hours ahead for a while, and a try is open. Nothing goes back by itself. Only a person can be wrong by it, who answers
/// by name for a machine that told nothing.
#[tokio::test]
async fn a_clock_that_is_ahead_during_a_try_moves_no_money_by_itself() {
    for (way, settles) in WAYS {
        let rig = Rig::at_second_try().await;
        let ahead = T0 + NO_REPORT_AFTER + NO_REPORT_AFTER;
        assert_eq!(rig.refund_calls("o-r1", ahead, approves, Said::Settled).await, 0, "{way}");
        assert_eq!(rig.attention("o-r1").await, [Attention::Unreported], "{way}");
        let plain = RefundWish::of_a_person(Some("Sari".into()));
        let refused = rig.run(move |tx, policy| request_refund(tx, policy, &id("o-r1"), plain, Told::trusted(ahead))).await;
        assert!(matches!(refused, Err(BooksError::Refused(Refused::NotReported))), "{way}: {refused:?}");
        rig.settles("o-r1", settles, ahead).await.expect("by name");
        // The goods came, and people hear of it.
        rig.tells("o-r1", proven(Delivery::Dispensed, 8, second()), T0 + Span::secs(2)).await;
        assert!(rig.attention("o-r1").await.contains(&Attention::LateFact), "{way}: {:?}", rig.attention("o-r1").await);
    }
}

/// The clock passes the end of the offer, and is set back. The money is on its way, so there is no try.
#[tokio::test]
async fn a_clock_that_jumps_over_the_offer_gives_the_money_and_no_goods() {
    let rig = Rig::refunding(10);
    let policy = Policy { rules: Rules { second_tries: 1, ..rig.policy.rules.clone() }, ..Policy::clone(&rig.policy) };
    let rig = Rig { policy: Arc::new(policy), ..rig };
    rig.starts(T0).await;
    rig.paid("r1", 1, T0).await;
    rig.tells("o-r1", proven(Delivery::Undelivered, 7, TryNumber::FIRST), T0).await;
    assert_eq!(rig.pass("o-r1", T0 + Span::secs(25 * 3600)).await.call, Some(Call::Refund));
    for by in [None, Some("Sari".into())] {
        let wanted =
            rig.run(move |tx, policy| want_try(tx, policy, &id("o-r1"), by, TwoDigits::of(7), Told::trusted(T0 + Span::secs(60)))).await;
        assert!(matches!(wanted, Err(BooksError::NoTry(NoTry::Repaid))), "{wanted:?}");
    }
}
