//! A gateway that is not Midtrans: other words, other notifications, no HTTP. The rest of the backend is the same.

use super::*;
use crate::gateway::{Answered, Asking, Cancelled, Charged, NoNotice, Notice, Problem, StatusAnswer, TroubleKind};
use axum::http::HeaderMap;
use qris_core::order::ids::{OrderId, TransactionId};
use qris_core::order::merchant::{Charge, NoCharge, Order as Owed, Parties, RefundAnswer, RefundWish, Said, StatusReport};
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_core::order::time::Wall;
use qris_host::finding::Finding;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

/// Its header of notifications.
const TOKEN: &str = "callback-token";

#[derive(Debug)]
struct Bill {
    total: Rupiah,
    memo: [String; 3],
    word: &'static str,
}

/// A gateway that sends bills on paper. It has them by their reference.
#[derive(Debug, Default)]
struct PaperGateway {
    bills: Mutex<HashMap<OrderId, Bill>>,
    is_closed: std::sync::atomic::AtomicBool,
}

impl PaperGateway {
    fn bills(&self) -> MutexGuard<'_, HashMap<OrderId, Bill>> {
        self.bills.lock().expect("nothing panics with it")
    }

    fn becomes(&self, order: &OrderResource, word: &'static str) {
        self.bills().get_mut(&order.order_id).expect("billed").word = word;
    }

    /// The result of a call while the bill is open.
    fn answers<T>(&self, closed: T, open: impl FnOnce(&mut HashMap<OrderId, Bill>) -> T) -> Answered<T> {
        if self.is_closed.load(std::sync::atomic::Ordering::Relaxed) {
            return Answered { says: closed, problem: Some(Problem { kind: TroubleKind::Gone, why: "the shutters are down".into() }) };
        }
        Answered { says: open(&mut self.bills()), problem: None }
    }
}

fn name_of(id: &OrderId) -> TransactionId {
    TransactionId::new(&format!("bill-{}", &id.as_str()[..8])).expect("a name")
}

fn report(id: &OrderId, bill: &Bill) -> StatusReport {
    StatusReport {
        order_id: Some(id.clone()),
        transaction_id: name_of(id),
        gross_amount: Some(bill.total),
        gross_amount_text: bill.total.to_string().into(),
        currency: Some("IDR".into()),
        payment_type: Some("paper".into()),
        parties: Parties::default(),
        payment: qris_core::order::request::Payment::Gopay,
        said: said(bill.word),
        word: bill.word.into(),
        unknown: None,
        settled_at: None,
        metadata: bill.memo.clone().map(|text| Some(text.into())),
        store: None,
        payment_code: None,
        refund_amount: (bill.word == "RETURNED").then_some(bill.total),
        refund_at_bank: None,
        refund_within: None,
        refunds_parts: true,
    }
}

fn said(word: &str) -> Said {
    match word {
        "ACTIVE" => Said::Pending,
        "COMPLETED" => Said::Settled,
        "VOIDED" => Said::Cancelled,
        "INACTIVE" => Said::Expired,
        "RETURNED" => Said::Refunded,
        _ => Said::Other,
    }
}

impl Gateway for PaperGateway {
    fn name(&self) -> &'static str {
        "paper"
    }

    fn charge<'a>(&'a self, order: &'a Owed, now: Wall) -> Asking<'a, Answered<Charged>> {
        let closed = Charged::No(NoCharge::Passing("the shutters are down".into()));
        let answer = self.answers(closed, |bills| {
            let (total, memo) = (order.sale.purchase.amount, order.sale.metadata().to_texts());
            bills.entry(order.id.clone()).or_insert(Bill { total, memo, word: "ACTIVE" });
            Charged::Made(Charge {
                qr_payload: Some(qris_sim::qris::Merchant::default().payload(total.get(), "REF1").into()),
                ..outside::charge(name_of(&order.id), total, now)
            })
        });
        Box::pin(async { answer })
    }

    fn status<'a>(&'a self, id: &'a OrderId) -> Asking<'a, Answered<StatusAnswer>> {
        let found =
            |bills: &mut HashMap<OrderId, Bill>| bills.get(id).map_or(StatusAnswer::Unknown, |bill| StatusAnswer::Found(report(id, bill)));
        let answer = self.answers(StatusAnswer::Unanswered, found);
        Box::pin(async { answer })
    }

    fn cancel<'a>(&'a self, id: &'a OrderId) -> Asking<'a, Answered<Cancelled>> {
        let answer = self.answers(Cancelled::Unanswered, |bills| match bills.get_mut(id) {
            None => Cancelled::Unknown,
            Some(bill) if bill.word == "ACTIVE" => {
                bill.word = "VOIDED";
                Cancelled::Done(report(id, bill))
            }
            Some(_) => Cancelled::Refused,
        });
        Box::pin(async { answer })
    }

    fn refund<'a>(&'a self, order: &'a Owed) -> Asking<'a, Answered<RefundAnswer>> {
        let closed = RefundAnswer::Passing("the shutters are down".into());
        let answer = self.answers(closed, |bills| match bills.get_mut(&order.id) {
            Some(bill) if bill.word == "COMPLETED" => {
                bill.word = "RETURNED";
                RefundAnswer::Approved(Box::new(report(&order.id, bill)))
            }
            Some(_) | None => RefundAnswer::Refused("there is nothing to return".into()),
        });
        Box::pin(async { answer })
    }

    fn ask_time(&self) -> Asking<'_, Option<Problem>> {
        Box::pin(async { None })
    }

    fn reported_time(&self) -> Option<Wall> {
        Some(qris_host::clock::now().wall)
    }

    fn notification(&self, headers: &HeaderMap, body: &[u8]) -> Result<Notice, NoNotice> {
        let malformed = || NoNotice::Malformed("a notification names a bill and its word".into());
        let fields: Value = serde_json::from_slice(body).map_err(|_| malformed())?;
        let (bill, word) = fields["bill"].as_str().zip(fields["word"].as_str()).ok_or_else(malformed)?;
        let order = OrderId::new(bill).ok();
        if headers.get("x-callback-token").is_none_or(|token| token != TOKEN) {
            return Err(NoNotice::Forged(order));
        }
        Ok(Notice { order, said: said(word), unknown: None })
    }

    fn examine(&self) -> Asking<'_, Vec<Finding>> {
        Box::pin(async { Vec::new() })
    }

    fn try_charge(&self, _payment: Payment, _max_fee: u64) -> Asking<'_, Finding> {
        Box::pin(async { Finding::ok("charge", "a bill was written and torn up") })
    }
}

impl Rig<Arc<PaperGateway>> {
    async fn on_paper() -> Self {
        tls::install_provider();
        let gateway = Arc::new(PaperGateway::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::open(Arc::clone(&gateway), gateway, listener, |_| {}).await
    }

    async fn notify(&self, token: &str, body: Value) -> u16 {
        let call = self.http.post(format!("{}/paper/notifications", self.url)).header("x-callback-token", token);
        call.json(&body).send().await.expect("an answer").status().as_u16()
    }
}

#[tokio::test]
async fn another_gateway_sells_with_words_of_its_own() {
    let rig = Rig::on_paper().await;
    let order = rig.order("r1").await;
    let paid = json!({ "bill": order.order_id, "word": "COMPLETED" });
    // A notification opens nothing. The gateway is asked, and says that nobody has paid.
    assert_eq!(rig.notify("wrong", paid.clone()).await, 403);
    assert_eq!(rig.notify(TOKEN, json!([])).await, 400);
    assert_eq!(rig.notify(TOKEN, paid.clone()).await, 200);
    assert_eq!(rig.get(&format!("/v1/orders/{}", order.order_id)).await.status, Status::Pending);
    rig.simulator.becomes(&order, "COMPLETED");
    let after = rig.after(&order).await;
    rig.verify(&after);
    // Money for an item that did not come out goes back through it.
    assert_eq!(rig.tell(&order, Last::Failed).await, StatusCode::OK);
    let id = order.order_id.clone();
    let wish = RefundWish::of_a_person(Some("Ani".into()));
    rig.handles.books.write(move |tx, policy, now| books::request_refund(tx, policy, &id, wish, now)).await.expect("granted");
    rig.handles.books.ring(Bell::Due);
    rig.until(&order, "the refund", |stored| stored.order.state.word() == "refunded").await;
    assert_eq!(rig.simulator.bills()[&order.order_id].word, "RETURNED");
}

#[tokio::test]
async fn another_gateway_is_away_and_ends_what_nobody_paid() {
    let rig = Rig::on_paper().await;
    let order = rig.order("r1").await;
    let cancelled = rig.cancel(&order).await;
    assert_eq!((cancelled.status, rig.simulator.bills()[&order.order_id].word), (Status::Cancel, "VOIDED"));
    let paid_late = rig.order("r2").await;
    rig.simulator.becomes(&paid_late, "COMPLETED");
    rig.verify(&rig.cancel(&paid_late).await);
    // Lost books are rebuilt from the data in its bills.
    let id = OrderId::new("forgotten-0001").expect("an id");
    let memo = ["vm-001".into(), "r9".into(), format!("A1|5000|{}", Ticket::from_random([7; 16]))];
    rig.simulator.bills().insert(id.clone(), Bill { total: order.amount, memo, word: "COMPLETED" });
    assert_eq!(rig.get(&format!("/v1/orders/{id}")).await.request_id.as_str(), "r9");
    rig.simulator.is_closed.store(true, std::sync::atomic::Ordering::Relaxed);
    let (code, _) = rig.problem(rig.ask("r3", &[]).await, 503).await;
    assert_eq!(code.map(|code| code.to_string()).as_deref(), Some("gateway"));
}
