//! The handlers' answers while something fails behind them. An answer means that it is written, and silence is no answer.

use super::*;
use crate::disk::{Disk, Trouble};
use crate::midtrans::faults::{Fault, Plan};
use crate::midtrans::{Change, Forgery, Options, Reply, Via};
use qris_backend::midtrans::MidtransError;
use qris_backend::sale::books::Decision;
use qris_core::order::ids::{ItemId, RequestId, Ticket};
use qris_core::order::merchant::{AtBank, Attention, Call, Event, Order, RefundWish, Refused, Repayment, Said, State, StatusReport};
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Delivery;
use qris_core::order::request::{Payment, Purchase};
use qris_core::order::state::Status;
use qris_core::order::tries::TryNumber;
use qris_core::wire::orders::{NewOrder, OrderResource, OutcomeReport};
use qris_device::words::{BackendAnswer, HttpCall};

/// The program, and Midtrans behind it.
struct Town {
    // The order matters: the owner of the database goes before its disk.
    program: Program<u32>,
    midtrans: midtrans::Midtrans,
    /// The questions to Midtrans, and the Idempotency-Key of each.
    calls: Vec<(Call, Option<String>)>,
    asks: u32,
    /// By which start of its computer the machine runs.
    boot: &'static str,
    disk: Disk,
    /// When the program was started.
    began: Wall,
    /// The journal's events, by their names.
    journal: Vec<Journal>,
    directory: tempfile::TempDir,
}

/// The fate of a call to Midtrans.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    /// Midtrans does what it is asked, once, and its answer is lost.
    LosesAnAnswer,
    /// It takes each question, and no answer comes.
    Silent,
    /// It cannot be reached.
    Closed,
}

/// The program's output.
#[derive(Debug)]
enum Heard {
    Answer(BackendAnswer),
    /// A notification was answered with this HTTP status.
    Taken(u16),
    /// Nothing came in that time.
    Nothing,
}

impl Town {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Disk::at(directory.path()).expect("a disk");
        let program = program(directory.path());
        program.let_in(Wall(0)).expect("added");
        let mut options = Options::new(SERVER_KEY, "https://midtrans.example");
        options.notification_urls = vec![format!("{PUBLIC_URL}/midtrans/notifications")];
        let midtrans = midtrans::Midtrans::new(options);
        Self { program, midtrans, calls: Vec::new(), asks: 0, boot: "a", disk, began: BEGIN, journal: Vec::new(), directory }
    }

    fn wall(&self) -> Wall {
        self.began + Span(self.program.age())
    }

    /// Lets it run until somebody has an answer, or until this time is over, in milliseconds.
    fn listen(&mut self, span: i64, way: Way) -> Heard {
        let end = self.program.age() + span;
        let mut heard = Heard::Nothing;
        let mut loses = way == Way::LosesAnAnswer;
        while self.program.age() < end && matches!(heard, Heard::Nothing) {
            for effect in self.program.run(end) {
                match effect {
                    Effect::AsksMidtrans(asked) => {
                        let MidtransCall { call, request, reply, .. } = *asked;
                        self.calls.extend(call.map(|call| (call, request.idempotency_key.clone())));
                        assert!(self.calls.len() < 10_000, "Midtrans is asked without a pause: {:?}", self.calls.last());
                        let unreachable = MidtransError::Unreachable("no way".into());
                        let answer = if way == Way::Closed { Err(unreachable) } else { Ok(self.at_midtrans(&request)) };
                        if std::mem::take(&mut loses) || way == Way::Silent {
                            reply.send(Err(MidtransError::NoAnswer("cut".into())));
                        } else {
                            reply.send(answer);
                        }
                    }
                    Effect::Answers(_, answer) => heard = Heard::Answer(answer),
                    Effect::Answered(_, http) => heard = Heard::Taken(http),
                    Effect::IsDue => self.program.take_up(),
                    Effect::Journal(event) => self.journal.push(*event),
                    Effect::HasNews | Effect::Wrote(_) | Effect::Dies => {}
                }
            }
        }
        heard
    }

    /// The program ends, and another one is started. If the books are lost, it starts without them.
    fn restart(&mut self, lost: bool) {
        self.began = self.wall() + Span::secs(1);
        // A database is opened by one owner at a time.
        let elsewhere = tempfile::tempdir().expect("a directory");
        self.program = program(elsewhere.path());
        for name in ["orders.db", "orders.db-wal", "orders.db-shm"].iter().filter(|_| lost) {
            drop(std::fs::remove_file(self.directory.path().join(name)));
        }
        self.program = program_at(self.directory.path(), self.began);
    }

    /// In each of this many seconds the program looks for due work.
    fn seconds(&mut self, seconds: u32, way: Way) {
        for _ in 0..seconds {
            self.program.take_up();
            drop(self.listen(1_000, way));
        }
    }

    fn stored(&self, id: &OrderId) -> Option<books::Stored> {
        self.program.books(|tx, _| books::load(tx, id)).expect("read")
    }

    fn at_midtrans(&mut self, request: &midtrans::Request) -> (u16, Vec<u8>) {
        match self.midtrans.handle(request, self.wall()) {
            Reply::Answer(answer) | Reply::Hold(_, answer) => (answer.http, answer.body),
            Reply::CutAmid(_) | Reply::Cut => panic!("Midtrans was not told to"),
        }
    }

    fn ask(&mut self, ask: Ask) {
        self.asks += 1;
        self.program.ask(ask, self.boot, self.asks);
    }

    fn of(&self, order: &OrderResource) -> Order {
        self.stored(&order.order_id).expect("an order").order
    }

    /// A customer pays, and the machine tells that nothing came out. Its relay is silent.
    fn undelivered(&mut self, via: Via) -> OrderResource {
        let order = self.order(Way::Open);
        self.midtrans.pay(order.qr_payload.as_deref().expect("a QR"), via, false, self.wall()).expect("paid");
        self.seconds(30, Way::Open);
        let report = OutcomeReport { nth_try: TryNumber::FIRST, outcome: Delivery::Undelivered, reason: None, detail: None, proof: None };
        self.ask(Ask::Order(HttpCall::Tell(order.order_id.clone(), report)));
        assert!(matches!(self.listen(5_000, Way::Open), Heard::Answer(BackendAnswer::Order(_))));
        order
    }

    /// A person wants its money to go back, and Midtrans is asked.
    fn wishes(&mut self, order: &OrderResource) -> Result<(), BooksError> {
        let wall = self.wall();
        self.program.books(|tx, policy| books::request_refund(tx, policy, &order.order_id, wish(), Told::trusted(wall)))?;
        self.seconds(90, Way::Open);
        Ok(())
    }

    /// The days of a span pass. What is due in it is found at its end.
    fn days(&mut self, days: i64) {
        let end = self.program.age() + days * 86_400_000;
        while self.program.age() < end {
            drop(self.listen(end - self.program.age(), Way::Open));
        }
        self.seconds(5, Way::Open);
    }

    /// A machine asks for an order.
    fn order(&mut self, way: Way) -> OrderResource {
        let new = NewOrder {
            purchase: Purchase {
                request_id: RequestId::new("r1").expect("an id"),
                ticket: Ticket::from_random([1; 16]),
                item: ItemId::new("A1").expect("an item"),
                asked: None,
                description: None,
                machine: None,
                amount: Rupiah::new(5_000).expect("an amount"),
                payment: Payment::Gopay,
                timeout_s: 300,
            },
            kids: vec![key().kid().clone()],
            relay_key: None,
        };
        self.ask(Ask::Order(HttpCall::Create(Box::new(new))));
        match self.listen(60_000, way) {
            Heard::Answer(BackendAnswer::Order(order)) => *order,
            other => panic!("{other:?}"),
        }
    }

    /// The customer pays: the notification that Midtrans posts.
    fn pays(&mut self, order: &OrderResource) -> Vec<u8> {
        let payload = order.qr_payload.as_deref().expect("a QR");
        self.midtrans.pay(payload, Via::Gopay, false, self.wall()).expect("paid");
        let notice = self.midtrans.due(Wall(self.wall().0 + 10_000)).pop().expect("a notification");
        notice.body
    }
}

#[test]
fn a_notification_that_cannot_be_written_is_not_taken() {
    let mut town = Town::new();
    let order = town.order(Way::Open);
    let notification = town.pays(&order);
    town.disk.set(BOOKS, Some(Trouble::ReadOnly));
    town.program.notify(1, notification.clone());
    let heard = town.listen(5_000, Way::Open);
    assert!(matches!(heard, Heard::Taken(503)), "{heard:?}");
    town.disk.set(BOOKS, None);
    town.program.notify(2, notification);
    let heard = town.listen(5_000, Way::Open);
    assert!(matches!(heard, Heard::Taken(200)), "{heard:?}");
}

#[test]
fn an_order_that_cannot_be_looked_up_is_not_said_to_be_none() {
    let mut town = Town::new();
    let forgotten = OrderId::new("o-of-before-the-backup").expect("an id");
    town.ask(Ask::Order(HttpCall::Get(forgotten.clone())));
    let heard = town.listen(60_000, Way::Closed);
    assert!(matches!(heard, Heard::Answer(BackendAnswer::Later(..))), "{heard:?}");
    assert!(!town.calls.is_empty(), "Midtrans is asked about what the books do not have");
    // Once a minute.
    assert!(matches!(town.listen(61_000, Way::Open), Heard::Nothing));
    town.ask(Ask::Order(HttpCall::Get(forgotten)));
    let heard = town.listen(60_000, Way::Open);
    assert!(matches!(heard, Heard::Answer(BackendAnswer::Absent)), "{heard:?}");
}

#[test]
fn whoever_waits_for_an_order_hears_of_the_change_when_it_comes() {
    let mut town = Town::new();
    let order = town.order(Way::Open);
    town.ask(Ask::Order(HttpCall::Watch(order.order_id.clone(), order.rev)));
    assert!(matches!(town.listen(1_000, Way::Open), Heard::Nothing), "nothing has changed");
    let notification = town.pays(&order);
    let began = town.program.age();
    town.program.notify(1, notification);
    let mut all = vec![town.listen(15_000, Way::Open), town.listen(15_000, Way::Open)];
    all.retain(|heard| !matches!(heard, Heard::Taken(200)));
    let [Heard::Answer(BackendAnswer::Order(now))] = &all[..] else { panic!("{all:?}") };
    assert_eq!(now.status, Status::Settlement);
    assert!(now.receipt.is_some());
    assert!(town.program.age() - began < 2_000, "not only once the time is over");
}

#[test]
fn a_charge_whose_answer_was_lost_is_asked_for_once_more_with_the_same_key() {
    let mut town = Town::new();
    let order = town.order(Way::LosesAnAnswer);
    assert!(order.qr_payload.is_some());
    let charges: Vec<_> = town.calls.iter().filter(|(call, _)| *call == Call::Charge).collect();
    assert_eq!(charges.len(), 2);
    assert!(charges[0].1.is_some());
    assert_eq!(charges[0].1, charges[1].1);
    assert_eq!(town.midtrans.transactions().len(), 1);
}

#[test]
fn a_settlement_that_the_books_do_not_know_waits_until_midtrans_can_be_asked() {
    let mut town = Town::new();
    let order = town.order(Way::Open);
    let notification = town.pays(&order);
    town.restart(true);
    town.program.notify(1, notification);
    assert!(matches!(town.listen(5_000, Way::Closed), Heard::Taken(200)));
    town.calls.clear();
    town.seconds(600, Way::Closed);
    let asked = town.calls.len();
    assert!((2..=8).contains(&asked), "now and then, not all the time: {asked}");
    assert!(town.stored(&order.order_id).is_none());
    // It is written down: the next run of the program goes on asking.
    town.restart(false);
    town.seconds(900, Way::Open);
    let stored = town.stored(&order.order_id).expect("rebuilt");
    assert!(stored.order.receipt().is_some(), "{stored:?}");
    assert!(town.journal.iter().any(|event| matches!(event, Journal::OrderRebuilt { order: id, .. } if *id == order.order_id)));
    let asked = town.calls.len();
    town.seconds(120, Way::Open);
    assert_eq!(town.calls.len(), asked, "once it is rebuilt nobody asks any more");
}

#[test]
fn a_settlement_that_midtrans_never_confirms_is_told_and_a_person_ends_it() {
    let mut town = Town::new();
    let order = town.order(Way::Open);
    town.midtrans.plan(Fault::StaleStatus);
    let notification = town.pays(&order);
    town.program.notify(1, notification.clone());
    assert!(matches!(town.listen(5_000, Way::Open), Heard::Taken(200)));
    town.seconds(280, Way::Open);
    assert_eq!(town.of(&order).attention(), []);
    town.seconds(40, Way::Open);
    assert_eq!(town.of(&order).attention(), [Attention::Unconfirmed]);
    let is_listed = |event: &Journal| matches!(event, Journal::OrderListed { order: id, .. } if *id == order.order_id);
    assert!(town.journal.iter().any(is_listed), "{:?}", town.journal);
    let alerts = town.program.books(|tx, _| books::due_alerts(tx, Told::trusted(Wall(i64::MAX)))).expect("read");
    assert_eq!(alerts.iter().map(books::Alert::kind).collect::<Vec<_>>(), ["unconfirmed"]);
    // Its machine hears it with each answer about the order, and with the answer to a cancel, which would not end.
    for call in [HttpCall::Get(order.order_id.clone()), HttpCall::Cancel(order.order_id.clone())] {
        town.ask(Ask::Order(call));
        let heard = town.listen(9_000, Way::Open);
        let Heard::Answer(BackendAnswer::Order(now)) = heard else { panic!("{heard:?}") };
        assert!(now.unconfirmed && now.status == Status::Pending);
    }
    let wall = town.wall();
    town.program.books(|tx, policy| books::seen(tx, policy, &order.order_id, "Sari", Told::trusted(wall))).expect("ended");
    assert!(matches!(town.of(&order).state, State::Closed(_)));
    // Midtrans confirms it at last. The money is owed, and nothing is handed out.
    town.midtrans.heal();
    town.program.notify(2, notification);
    town.seconds(30, Way::Open);
    let paid = town.of(&order);
    assert!(paid.receipt().is_none() && paid.is_refund_due(), "{paid:?}");
}

#[test]
fn an_order_whose_get_status_is_about_another_is_told_to_people() {
    let mut town = Town::new();
    let order = town.order(Way::Open);
    // Both names are others: nobody can say that this is about our charge.
    let alien = r#"{"fault":"alter_answer","on":"status","set":{"order_id":"A120251205074834XeVg4mKHIMID","transaction_id":"t-1"}}"#;
    town.midtrans.plan(serde_json::from_str::<Plan>(alien).expect("a plan"));
    town.seconds(350, Way::Open);
    assert_eq!(town.of(&order).attention(), [Attention::Unconfirmed]);
    town.midtrans.heal();
    town.seconds(400, Way::Open);
    assert_eq!(town.of(&order).attention(), []);
}

#[test]
fn a_silence_of_midtrans_lists_no_order() {
    let mut town = Town::new();
    let order = town.order(Way::Open);
    town.seconds(170, Way::Silent);
    assert_eq!(town.of(&order).attention(), []);
    town.seconds(400, Way::Silent);
    assert_eq!(town.of(&order).attention(), [], "it was cancelled in vain");
    // An answer that cannot be read is another matter.
    town.midtrans.plan(serde_json::from_str::<Plan>(r#"{"fault":"alter_answer","set":{"status_code":null}}"#).expect("a plan"));
    town.seconds(1_500, Way::Open);
    assert_eq!(town.of(&order).attention(), [Attention::Unconfirmed], "its last look");
}

#[test]
fn a_settlement_under_another_name_is_heard_by_the_order_that_has_the_transaction() {
    let mut town = Town::new();
    let order = town.order(Way::Open);
    town.pays(&order);
    let alien = town.midtrans.transactions()[0].transaction_id.to_string();
    // No other question comes now: the order was cancelled as far as the books know, and looked at for the last time.
    let (id, wall) = (order.order_id.clone(), town.wall());
    let cancelled = StatusReport::of(&town.of(&order), Said::Cancelled);
    town.program
        .books(|tx, policy| books::answered(tx, policy, &id, Event::Status(cancelled.clone()), Told::trusted(wall)))
        .expect("written");
    let later = wall + Span::secs(3_600);
    town.program.books(|tx, policy| books::answered(tx, policy, &id, Event::Status(cancelled), Told::trusted(later))).expect("written");
    assert!(town.of(&order).is_over());
    town.program.notify(1, signed(&alien, "settlement"));
    town.seconds(30, Way::Open);
    let stored = town.of(&order);
    assert!(stored.receipt().is_some(), "{stored:?}");
    assert_eq!(town.program.books(|tx, _| books::strangers(tx, Told::trusted(Wall(i64::MAX)))).expect("read"), []);
}

#[test]
fn what_nobody_can_tell_whose_it_is_is_asked_about_for_a_day_and_told() {
    let mut town = Town::new();
    let order = town.order(Way::Open);
    town.pays(&order);
    let alien = town.midtrans.transactions()[0].transaction_id.to_string();
    town.restart(true);
    town.program.notify(1, signed(&alien, "settlement"));
    let waits = |town: &Town| town.program.books(|tx, _| books::strangers(tx, Told::trusted(Wall(i64::MAX)))).expect("read").len();
    let told = |town: &Town| town.journal.iter().filter(|event| matches!(event, Journal::NotificationForeign { .. })).count();
    let hours = |town: &mut Town, hours: u32, way: Way| {
        for _ in 0..hours {
            drop(town.listen(3_600_000, way));
            town.seconds(2, way);
        }
    };
    // Nothing is forgotten because Midtrans was away.
    hours(&mut town, 60, Way::Closed);
    assert_eq!((waits(&town), told(&town)), (1, 0));
    hours(&mut town, 24, Way::Open);
    assert_eq!((waits(&town), told(&town)), (1, 0));
    hours(&mut town, 12, Way::Open);
    assert_eq!((waits(&town), told(&town)), (0, 1));
    // It is about our lost order. That one is found by its own name.
    town.ask(Ask::Order(HttpCall::Get(order.order_id.clone())));
    let heard = town.listen(5_000, Way::Open);
    let Heard::Answer(BackendAnswer::Order(found)) = heard else { panic!("{heard:?}") };
    assert_eq!(found.order_id, order.order_id);
}

#[test]
fn a_refund_that_was_refused_is_made_a_week_later_under_a_new_key() {
    let mut town = Town::new();
    let order = town.undelivered(Via::Gopay);
    town.midtrans.change(Change { balance: Some(Some(0)), ..Change::default() }, town.wall());
    town.wishes(&order).expect("granted");
    let refused = town.of(&order);
    assert!(matches!(refused.repayment(), Some(Repayment::Refused { unsure: false, .. })), "{refused:?}");
    town.days(8);
    town.midtrans.change(Change { balance: Some(None), ..Change::default() }, town.wall());
    town.wishes(&order).expect("granted");
    assert!(matches!(town.of(&order).state, State::Refunded(_)), "{:?}", town.of(&order).repayment());
    assert_eq!(town.midtrans.transaction(order.order_id.as_str()).expect("a book").refunded, 5_000, "once");
}

#[test]
fn a_key_that_another_set_of_books_used_up_is_followed_by_a_new_one() {
    let mut town = Town::new();
    let order = town.undelivered(Via::Gopay);
    // The dashboard, or books that were lost, tried it in vain.
    town.midtrans.change(Change { balance: Some(Some(0)), refund_key_life_ms: Some(0), ..Change::default() }, town.wall());
    let first = format!(r#"{{"refund_key":"{}"}}"#, order.order_id);
    town.midtrans.refund_by_hand(order.order_id.as_str(), first.as_bytes(), town.wall());
    town.midtrans.change(Change { balance: Some(None), ..Change::default() }, town.wall());
    town.wishes(&order).expect("granted");
    town.seconds(90, Way::Open);
    assert!(matches!(town.of(&order).state, State::Refunded(_)), "{:?}", town.of(&order).repayment());
}

/// The answer to a refund is lost, and from then on get-status has one word.
#[test]
fn a_refund_whose_end_midtrans_never_tells_is_asked_about_with_pauses_and_ended_by_a_person() {
    for word in ["pending", "refund_pending", "expire", "cancel", "deny", "failure"] {
        let mut town = Town::new();
        let order = town.undelivered(Via::Gopay);
        town.program
            .books(|tx, policy| books::request_refund(tx, policy, &order.order_id, wish(), Told::trusted(town.wall())))
            .expect("granted");
        town.seconds(1, Way::LosesAnAnswer);
        let set = serde_json::json!({ "transaction_status": word });
        let forgery = Forgery { set: set.as_object().cloned().expect("fields"), ..Forgery::default() };
        town.midtrans.plan(Plan { on: Some("status".into()), ..Plan::from(Fault::AlterAnswer(forgery)) });
        let before = town.calls.len();
        town.seconds(60, Way::Open);
        assert!(town.calls.len() - before < 6, "{word}: {} questions in a minute", town.calls.len() - before);
        for _ in 0..48 {
            town.program.take_up();
            drop(town.listen(1_800_000, Way::Open));
        }
        assert!(town.calls.len() - before < 30, "{word}: {} questions", town.calls.len() - before);
        assert_eq!(town.of(&order).attention(), [Attention::RefundFailed], "{word}");
        let by_hand = |town: &Town, by| books_by_hand(town, &order.order_id, by);
        assert!(matches!(by_hand(&town, None), Err(BooksError::Refused(Refused::RefundUnsure))), "{word}");
        by_hand(&town, Some("Sari".into())).expect("granted");
        assert_eq!(town.of(&order).attention(), [], "{word}");
        // Midtrans tells it after all.
        town.midtrans.heal();
        town.seconds(60, Way::Open);
        assert_eq!(town.of(&order).attention(), [Attention::LateFact], "{word}: the customer has it twice");
    }
}

fn books_by_hand(town: &Town, id: &OrderId, by: Option<Box<str>>) -> Result<(), BooksError> {
    let decision = Decision::ByHand { note: "cash".into(), by, no_report: false, goods_and_money: false };
    let done = town.program.books(|tx, policy| books::decide(tx, policy, id, decision.clone(), Told::trusted(town.wall())));
    done.map(drop)
}

/// A person's wish for a refund.
fn wish() -> RefundWish {
    RefundWish { no_proof: true, ..RefundWish::of_a_person(Some("Sari".into())) }
}

#[test]
fn after_midtrans_time_for_a_refund_nobody_asks_for_it() {
    let mut town = Town::new();
    let order = town.undelivered(Via::Qris);
    let listed = |town: &Town| town.of(&order).attention().last().copied();
    for (days, kind) in [(3, Attention::NoProof), (1, Attention::RefundSoon), (2, Attention::RefundLastDay), (1, Attention::OnlyByHand)] {
        town.days(days);
        assert_eq!(listed(&town), Some(kind));
    }
    let refused = town.wishes(&order);
    assert!(matches!(refused, Err(BooksError::Refused(Refused::OnlyByHand))), "{refused:?}");
    assert!(town.calls.iter().all(|(call, _)| *call != Call::Refund), "{:?}", town.calls);
}

#[test]
fn what_the_bank_does_after_a_refund_is_heard() {
    let bank = |order: &Order| match order.repayment() {
        Some(Repayment::Done { bank, .. }) => *bank,
        other => panic!("{other:?}"),
    };
    let mut town = Town::new();
    let order = town.undelivered(Via::Gopay);
    town.midtrans.change(Change { refund_confirmed_after_ms: Some(3_600_000), ..Change::default() }, town.wall());
    town.wishes(&order).expect("granted");
    assert_eq!(bank(&town.of(&order)), Some(AtBank::Requested));
    town.days(1);
    assert_eq!(bank(&town.of(&order)), Some(AtBank::Confirmed));
    // Another one bounces.
    let mut town = Town::new();
    let order = town.undelivered(Via::Gopay);
    town.midtrans.change(Change { refund_confirmed_after_ms: Some(3_600_000), ..Change::default() }, town.wall());
    town.midtrans.plan(Fault::BounceRefund);
    town.wishes(&order).expect("granted");
    town.days(1);
    town.seconds(400, Way::Open);
    assert_eq!(town.of(&order).attention(), [Attention::LateFact]);
}

#[test]
fn what_nobody_paid_is_not_looked_up() {
    let mut town = Town::new();
    for (number, status) in (1..).zip(["pending", "expire", "cancel", "deny", "failure"]) {
        town.program.notify(number, signed(&format!("o-{number}"), status));
        assert!(matches!(town.listen(5_000, Way::Open), Heard::Taken(200)), "{status}");
    }
    town.seconds(60, Way::Open);
    assert!(town.calls.is_empty(), "{:?}", town.calls);
}

#[test]
fn a_flood_of_settlements_of_others_asks_midtrans_now_and_then_and_ends() {
    let mut town = Town::new();
    for number in 0..200 {
        town.program.notify(number, signed(&format!("o-{number}"), "settlement"));
        let heard = town.listen(100, Way::Open);
        assert!(matches!(heard, Heard::Taken(200)), "{heard:?}");
    }
    town.seconds(30, Way::Open);
    assert!(town.calls.len() <= 60, "{}", town.calls.len());
    // A machine's own question is answered all the same.
    let lost = OrderId::new("o-of-before-the-backup").expect("an id");
    town.ask(Ask::Order(HttpCall::Get(lost)));
    let heard = town.listen(5_000, Way::Open);
    assert!(matches!(heard, Heard::Answer(BackendAnswer::Absent)), "{heard:?}");
    // Midtrans knows none of them.
    town.seconds(16_000, Way::Open);
    assert_eq!(town.program.books(|tx, _| books::strangers(tx, Told::trusted(Wall(i64::MAX)))).expect("read"), []);
    let foreign = town.journal.iter().filter(|event| matches!(event, Journal::NotificationForeign { .. })).count();
    assert_eq!(foreign, 200);
}

/// A notification of an order that was never made here.
fn signed(id: &str, status: &str) -> Vec<u8> {
    let signature = ServerKey::new(&Secret::new(SERVER_KEY)).sign(id, "200", "5000.00");
    let body = serde_json::json!({ "order_id": id, "status_code": "200", "gross_amount": "5000.00", "signature_key": signature,
        "transaction_status": status, "transaction_id": "t" });
    body.to_string().into_bytes()
}
