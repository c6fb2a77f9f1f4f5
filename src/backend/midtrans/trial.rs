//! A charge that nobody is to pay. It shows whether this program can read what Midtrans answers, before a customer comes.

use super::words::{no_charge, report, whole_rupiah};
use super::{ChargeRequest, Midtrans, MidtransError, Transaction, TransactionStatus, idempotency_key};
use qris_core::order::ids::{DeviceId, ItemId, OrderId, RequestId, Ticket, TransactionId};
use qris_core::order::merchant::{Metadata, NoCharge, Said, StatusReport};
use qris_core::order::money::Rupiah;
use qris_core::order::qris;
use qris_core::order::request::Payment;
use qris_host::finding::Finding;
use qris_host::random;

/// The sum of the charge, in rupiah. Where that is too little, it is the least that the way to pay takes.
const PRICE: u64 = 1_000;
const CHECK: &str = "charge";
/// Where nothing else helps.
const ASK: &str = "nothing can be sold like this: ask Midtrans, and tell the makers of this program";

/// Why nothing can be sold, and what to do.
struct Trouble(String, &'static str);

/// Makes a charge for this way to pay, reads all of it, and ends it. `max_fee` is the most that may be put on a price, in rupiah.
pub async fn try_charge(midtrans: &Midtrans, payment: Payment, max_fee: u64) -> Finding {
    let request = request(payment);
    let id = &request.order_id;
    let seen = match midtrans.charge(&request, &idempotency_key(id, "charge")).await {
        Ok(charge) => see(midtrans, &request, &charge, max_fee).await,
        Err(error) => {
            let Trouble(said, to_do) = refused(&error, payment);
            match no_charge(&error) {
                NoCharge::NotMade { .. } | NoCharge::Passing(_) => return Finding::bad(CHECK, said, to_do),
                NoCharge::Unsure(_) | NoCharge::Exists => Err(Trouble(said, to_do)),
            }
        }
    };
    // A charge may exist although its answer was lost, or cannot be read.
    let ended = midtrans.cancel(id.as_str(), &idempotency_key(id, "cancel")).await;
    let is_over = match &ended {
        Ok(transaction) => transaction.transaction_status == TransactionStatus::Cancel,
        Err(MidtransError::NotFound) => true,
        Err(_) => false,
    };
    match seen {
        Err(Trouble(said, to_do)) if is_over => Finding::bad(CHECK, said, to_do),
        Err(Trouble(said, to_do)) => {
            Finding::bad(CHECK, format!("{said}. The charge {id} could not be ended, and expires by itself"), to_do)
        }
        Ok(what) if is_over => Finding::ok(CHECK, format!("a charge of {} was made, read and ended: {what}", request.metadata.amount)),
        Ok(_) => Finding::warn(CHECK, format!("the charge {id} could not be ended: it expires by itself"), "try again in a minute"),
    }
}

/// What a customer would see of a charge, in words.
async fn see(midtrans: &Midtrans, request: &ChargeRequest, charge: &Transaction, max_fee: u64) -> Result<String, Trouble> {
    let unread = |why: String| Trouble(why, ASK);
    let price = request.metadata.amount;
    let sum = allowed(whole_rupiah(charge).map_err(unread)?, price, max_fee)?;
    let seen = match request.payment {
        Payment::Gopay => qr(midtrans, charge, sum).await?,
        Payment::Alfamart | Payment::Indomaret => code(charge, request.payment)?,
    };
    let answer = midtrans.status(request.order_id.as_str()).await.map_err(|error| refused(&error, request.payment))?;
    let told = report(answer, &midtrans.charge.refund_days);
    judge(&told, request, &charge.transaction_id).map_err(unread)?;
    let sum = told.gross_amount.ok_or_else(|| unread(format!("get-status has the sum {:?}", told.gross_amount_text)))?;
    allowed(sum, price, max_fee)?;
    Ok(seen)
}

/// The merchant whom its QR pays.
async fn qr(midtrans: &Midtrans, charge: &Transaction, sum: Rupiah) -> Result<String, Trouble> {
    let payload = qris::with_capitals(&midtrans.qr_payload(charge).await.map_err(|error| refused(&error, Payment::Gopay))?);
    qris::check(&payload, sum).map_err(|error| match error {
        // Only these fields are the merchant's own words.
        qris::QrisError::NotAscii(_) => {
            Trouble(error.to_string(), "ask Midtrans to write the merchant's name and city with the letters A to Z")
        }
        error => Trouble(error.to_string(), ASK),
    })?;
    let [name, nmid] = [qris::merchant_name(&payload), qris::merchant(&payload)].map(|text| text.unwrap_or("nobody by name"));
    Ok(format!("its QR pays {name} ({nmid})"))
}

/// The counter at which its payment code is paid. As in a sale, the answer need not name the counter.
fn code(charge: &Transaction, payment: Payment) -> Result<String, Trouble> {
    let counter = payment.as_str();
    match (&charge.payment_code, &charge.store) {
        (Some(_), Some(other)) if !other.eq_ignore_ascii_case(counter) => {
            Err(Trouble(format!("its payment code is for {other:?}, not for {counter}"), ASK))
        }
        (Some(_), _) => Ok(format!("it has a payment code for {counter}")),
        (None, _) => Err(Trouble("its answer has no payment code that can be read".into(), ASK)),
    }
}

fn judge(told: &StatusReport, request: &ChargeRequest, transaction: &TransactionId) -> Result<(), String> {
    if !told.is_about(&request.order_id, [transaction]) {
        return Err("get-status answers about another transaction".into());
    }
    if let Some(word) = &told.unknown {
        return Err(format!("get-status has a word that nobody knows: {word}"));
    }
    if told.said != Said::Pending || told.currency.as_deref() != Some("IDR") {
        let currency = told.currency.as_deref().unwrap_or("no currency");
        return Err(format!("get-status says {} and {currency} of a charge that was just made in IDR", told.word));
    }
    let fields = request.metadata.to_texts();
    if told.metadata.iter().zip(&fields).any(|(told, sent)| told.as_deref() != Some(sent)) {
        return Err("get-status does not repeat custom_field1 to custom_field3: lost books could not be rebuilt".into());
    }
    Ok(())
}

/// A sum that a customer may be asked for.
fn allowed(sum: Rupiah, price: Rupiah, max_fee: u64) -> Result<Rupiah, Trouble> {
    if (price.get()..=price.get() + max_fee).contains(&sum.get()) {
        return Ok(sum);
    }
    let said = format!("Midtrans asks {sum} for {price}");
    Err(Trouble(said, "turn \"automatic fee imposition\" off in Midtrans' dashboard, or allow it with midtrans.max_imposed_fee"))
}

fn refused(error: &MidtransError, payment: Payment) -> Trouble {
    let to_do = match error {
        MidtransError::NotActivated { .. } => match payment {
            Payment::Gopay => "try the other midtrans.charge_as, and ask Midtrans to activate Core API with GoPay and QRIS",
            Payment::Alfamart | Payment::Indomaret => "ask Midtrans to activate Core API with payments at this counter",
        },
        MidtransError::Unauthorized => "take the Server Key for midtrans.base_url from Midtrans' dashboard",
        MidtransError::Unreachable(_)
        | MidtransError::NoAnswer(_)
        | MidtransError::Unreadable(_)
        | MidtransError::Unavailable { .. }
        | MidtransError::RateLimited
        | MidtransError::Running => "try again in a minute",
        MidtransError::NotFound
        | MidtransError::Conflict
        | MidtransError::CannotModify
        | MidtransError::Denied { .. }
        | MidtransError::Refused { .. }
        | MidtransError::RefundRefused { .. }
        | MidtransError::Qr(_) => ASK,
    };
    Trouble(error.to_string(), to_do)
}

fn request(payment: Payment) -> ChargeRequest {
    let mut bits = [0; 16];
    random::fill(&mut bits);
    let name = format!("doctor-{}", qris_core::hex(&bits[..10]));
    ChargeRequest {
        order_id: OrderId::new(&name).expect("letters and digits"),
        description: "qris-backend doctor".into(),
        payment,
        metadata: Metadata {
            device: DeviceId::new("doctor").expect("letters"),
            request_id: RequestId::new(&name).expect("letters and digits"),
            item: ItemId::new("doctor").expect("letters"),
            amount: Rupiah::new(PRICE.max(*payment.amounts().start())).expect("in range"),
            ticket: Ticket::from_random(bits),
        },
    }
}
