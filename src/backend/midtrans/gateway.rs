//! Midtrans in the words of [`gateway`](crate::gateway).

use super::{
    ChargeRequest, FraudStatus, Midtrans, MidtransError, Notification, RefundDays, RefundRefusal, Transaction, TransactionStatus, doctor,
    idempotency_key, trial,
};
use crate::gateway::{Answered, Asking, Cancelled, Charged, Gateway, Looked, NoNotice, Notice, Problem, TroubleKind};
use axum::http::HeaderMap;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{AtBank, Charge, NoCharge, Order, Parties, RefundAnswer, Said, StatusReport};
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_core::order::time::{Span, Wall};
use qris_host::finding::Finding;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The time of one call for a charge. Then the same call is repeated while the machine waits its ten seconds.
const CHARGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time for the image of a QR, all tries together.
const QR_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two tries at the image.
const QR_PAUSE: Duration = Duration::from_millis(300);
/// Its name in configurations and paths.
pub const NAME: &str = "midtrans";

impl Gateway for Midtrans {
    fn name(&self) -> &'static str {
        NAME
    }

    fn charge<'a>(&'a self, order: &'a Order, now: Wall) -> Asking<'a, Answered<Charged>> {
        Box::pin(charge(self, order, now))
    }

    fn status<'a>(&'a self, id: &'a OrderId) -> Asking<'a, Answered<Looked>> {
        Box::pin(async move {
            answered(self.status(id.as_str()).await, |answer| match answer {
                Ok(transaction) => Looked::Found(report(transaction, &self.charge.refund_days)),
                Err(error) => looked(&error),
            })
        })
    }

    fn cancel<'a>(&'a self, id: &'a OrderId) -> Asking<'a, Answered<Cancelled>> {
        Box::pin(async move {
            answered(self.cancel(id.as_str(), &idempotency_key(id, "cancel")).await, |answer| match answer {
                Ok(transaction) => Cancelled::Done(report(transaction, &self.charge.refund_days)),
                Err(error) => not_cancelled(&error),
            })
        })
    }

    fn refund<'a>(&'a self, order: &'a Order) -> Asking<'a, Answered<RefundAnswer>> {
        Box::pin(async move {
            let reason = refund_reason(order);
            // Another refund_key is another call. Under the same Idempotency-Key it would get the answer of the one before.
            let key = order.refund_key();
            let idempotency = idempotency_key(&order.id, &format!("refund {key}"));
            let answer = self.refund(&order.id, &key, order.to_refund(), &reason, &idempotency).await;
            answered(answer, |answer| match answer {
                Ok(transaction) => RefundAnswer::Approved(Box::new(report(transaction, &self.charge.refund_days))),
                Err(error) => refund_answer(&error),
            })
        })
    }

    fn notification(&self, _headers: &HeaderMap, body: &[u8]) -> Result<Notice, NoNotice> {
        let notification = Notification::parse(body).map_err(|error| NoNotice::Malformed(error.to_string()))?;
        // The payments of a static QR carry ids that Midtrans made. These may have characters that our ids never have.
        let order = OrderId::new(&notification.order_id).ok();
        if !notification.is_signed_with(self.server_key()) {
            return Err(NoNotice::Forged(order));
        }
        let (status, fraud) = (&notification.transaction_status, notification.fraud_status.as_ref());
        let said = said(status, fraud);
        // The signature covers the code, and not the word. So whoever saw the notification of a pending charge can change its word.
        let said = if said == Said::Settled && notification.status_code != "200" { Said::Other } else { said };
        Ok(Notice { order, said, unknown: unknown(status, fraud) })
    }

    fn examine(&self) -> Asking<'_, Vec<Finding>> {
        Box::pin(doctor::examine(self))
    }

    fn try_charge(&self, payment: Payment, max_fee: u64) -> Asking<'_, Finding> {
        Box::pin(trial::try_charge(self, payment, max_fee))
    }

    fn told_time(&self) -> Option<Wall> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The meaning of an answer, and whether Midtrans has a fault.
fn answered<T, U>(answer: Result<T, MidtransError>, means: impl FnOnce(Result<T, MidtransError>) -> U) -> Answered<U> {
    let problem = answer.as_ref().err().map(problem);
    Answered { says: means(answer), problem }
}

fn problem(error: &MidtransError) -> Problem {
    let kind = match error {
        MidtransError::Unauthorized => TroubleKind::Locked,
        MidtransError::Unreachable(_) | MidtransError::NoAnswer(_) | MidtransError::Unreadable(_) | MidtransError::Unavailable { .. } => {
            TroubleKind::Gone
        }
        MidtransError::RateLimited | MidtransError::Running => TroubleKind::Busy,
        MidtransError::NotFound
        | MidtransError::Conflict
        | MidtransError::CannotModify
        | MidtransError::Denied { .. }
        | MidtransError::Refused { .. }
        | MidtransError::NotActivated { .. }
        | MidtransError::RefundRefused { .. }
        | MidtransError::Qr(_) => TroubleKind::Refusal,
    };
    Problem { kind, why: error.to_string() }
}

async fn charge(midtrans: &Midtrans, order: &Order, now: Wall) -> Answered<Charged> {
    let request = ChargeRequest {
        order_id: order.id.clone(),
        description: order.sale.description.clone().map(String::from).unwrap_or_default(),
        payment: order.sale.payment,
        metadata: order.sale.metadata(),
    };
    let key = idempotency_key(&order.id, "charge");
    let answer = match timeout(CHARGE_TIMEOUT, midtrans.charge(&request, &key)).await {
        Ok(answer) => answer,
        Err(_) => Err(MidtransError::NoAnswer(format!("nothing in {} s", CHARGE_TIMEOUT.as_secs()))),
    };
    match answer {
        Ok(transaction) => match whole_rupiah(&transaction) {
            Ok(sum) => Answered { says: charged(midtrans, &transaction, sum, order.sale.payment, now).await, problem: None },
            // A charge exists, and it is not the one that was asked for. It is ended like a charge whose answer was lost.
            Err(why) => Answered { says: Charged::No(NoCharge::Exists), problem: Some(Problem { kind: TroubleKind::Gone, why }) },
        },
        Err(error) => Answered { says: Charged::No(no_charge(&error)), problem: Some(problem(&error)) },
    }
}

/// A charge that Midtrans has made, with its QR or payment code. It was asked for at `now`, so it does not end before the time
/// that is noted.
async fn charged(midtrans: &Midtrans, transaction: &Transaction, gross_amount: Rupiah, payment: Payment, now: Wall) -> Charged {
    let lifetime = match (transaction.transaction_time, transaction.expiry_time) {
        // The difference counts: Midtrans' clock need not be ours.
        (Some(from), Some(to)) if to > from => to - from,
        _ => midtrans.lifetime(payment),
    };
    let mut charge = Charge {
        transaction_id: transaction.transaction_id.clone(),
        gross_amount,
        qr_payload: None,
        qr_url: midtrans.picture(transaction).map(Into::into),
        deeplink_url: transaction.deeplink_url().map(Into::into),
        payment_code: transaction.payment_code.clone().map(Into::into),
        store: transaction.store.clone().map(|store| store.to_ascii_lowercase().into()),
        charged_at: now,
        expires_at: now + lifetime,
    };
    match payment {
        Payment::Gopay => {}
        Payment::Alfamart | Payment::Indomaret => {
            let there = charge.payment_code.is_some() && charge.store.as_deref().is_none_or(|store| store == payment.as_str());
            charge.store = Some(payment.as_str().into());
            let why = "its answer has no payment code, or the code of another shop";
            return if there { Charged::Made(charge) } else { Charged::Unreadable(charge, why.into()) };
        }
    }
    match timeout(QR_TIMEOUT, qr_payload(midtrans, transaction)).await {
        Ok(Ok(payload)) => Charged::Made(Charge { qr_payload: Some(payload.into()), ..charge }),
        Ok(Err(error)) => Charged::Unreadable(charge, error.to_string().into()),
        Err(_) => Charged::Unreadable(charge, "its image did not come in time".into()),
    }
}

/// The sum of a charge.
///
/// # Errors
/// It is not whole rupiah, for people.
pub(super) fn whole_rupiah(charge: &Transaction) -> Result<Rupiah, String> {
    if let Some(other) = charge.currency.as_deref().filter(|currency| *currency != "IDR") {
        return Err(format!("Midtrans charges in {other:?}, not in IDR"));
    }
    charge.gross_amount.ok_or_else(|| format!("Midtrans charges {:?}, which is not whole rupiah", charge.gross_amount_text))
}

async fn qr_payload(midtrans: &Midtrans, transaction: &Transaction) -> Result<String, MidtransError> {
    loop {
        match midtrans.qr_payload(transaction).await {
            Err(error) if error.may_retry() => sleep(QR_PAUSE).await,
            answer => return answer,
        }
    }
}

/// The reason for Midtrans.
fn refund_reason(order: &Order) -> String {
    match order.delivery.as_ref().map(|told| told.outcome) {
        Some(outcome) => format!("{}: {outcome}", order.sale.item),
        None => order.sale.item.to_string(),
    }
}

/// An answer that says nothing of the order is not the silence of a gateway that is gone, which has an alert of its own.
pub(super) fn looked(error: &MidtransError) -> Looked {
    match error {
        MidtransError::NotFound => Looked::Unknown,
        MidtransError::Unauthorized
        | MidtransError::RateLimited
        | MidtransError::Running
        | MidtransError::Unavailable { .. }
        | MidtransError::NoAnswer(_)
        | MidtransError::Unreachable(_) => Looked::Unanswered,
        MidtransError::Unreadable(_)
        | MidtransError::Conflict
        | MidtransError::CannotModify
        | MidtransError::Denied { .. }
        | MidtransError::Refused { .. }
        | MidtransError::NotActivated { .. }
        | MidtransError::RefundRefused { .. }
        | MidtransError::Qr(_) => Looked::Unclear(error.to_string().into()),
    }
}

/// After an answer that does not tell, the cancel is not repeated for a day: get-status must tell.
pub(super) fn not_cancelled(error: &MidtransError) -> Cancelled {
    match looked(error) {
        Looked::Unknown => Cancelled::Unknown,
        Looked::Unanswered => Cancelled::Unanswered,
        Looked::Unclear(_) | Looked::Found(_) => Cancelled::Refused,
    }
}

pub(super) fn refund_answer(error: &MidtransError) -> RefundAnswer {
    let why: Box<str> = error.to_string().into();
    match error {
        // A person corrects a wrong key, and then the refund goes on by itself.
        MidtransError::Unauthorized | MidtransError::RateLimited | MidtransError::Unreachable(_) => RefundAnswer::Passing(why),
        MidtransError::Running | MidtransError::Unavailable { .. } | MidtransError::NoAnswer(_) | MidtransError::Unreadable(_) => {
            RefundAnswer::Unsure(why)
        }
        MidtransError::RefundRefused { why: RefundRefusal::Duplicate, .. } => RefundAnswer::KeyUsed(why),
        MidtransError::RefundRefused { .. }
        | MidtransError::NotFound
        | MidtransError::Conflict
        | MidtransError::CannotModify
        | MidtransError::Denied { .. }
        | MidtransError::Refused { .. }
        | MidtransError::NotActivated { .. }
        | MidtransError::Qr(_) => RefundAnswer::Refused(why),
    }
}

pub(super) fn no_charge(error: &MidtransError) -> NoCharge {
    let why: Box<str> = error.to_string().into();
    match error {
        MidtransError::RateLimited | MidtransError::Unreachable(_) => NoCharge::Passing(why),
        MidtransError::Running | MidtransError::Unavailable { .. } | MidtransError::NoAnswer(_) | MidtransError::Unreadable(_) => {
            NoCharge::Unsure(why)
        }
        MidtransError::Conflict => NoCharge::Exists,
        MidtransError::Denied { .. } => NoCharge::NotMade { again: error.may_retry(), why },
        MidtransError::NotFound
        | MidtransError::CannotModify
        | MidtransError::Refused { .. }
        | MidtransError::Unauthorized
        | MidtransError::NotActivated { .. }
        | MidtransError::RefundRefused { .. }
        | MidtransError::Qr(_) => NoCharge::NotMade { again: false, why },
    }
}

/// A transaction in the core's words.
pub(super) fn report(transaction: Transaction, days: &RefundDays) -> StatusReport {
    let (status, fraud) = (&transaction.transaction_status, transaction.fraud_status.as_ref());
    let (said, unknown) = (said(status, fraud), unknown(status, fraud));
    let refund_within = refund_within(&transaction, days);
    let (payment, word) = (payment(&transaction), word(&transaction).into());
    StatusReport {
        order_id: transaction.order_id,
        transaction_id: transaction.transaction_id,
        gross_amount: transaction.gross_amount,
        gross_amount_text: transaction.gross_amount_text.into(),
        currency: transaction.currency.map(Into::into),
        payment_type: transaction.payment_type.map(Into::into),
        parties: Parties { acquirer: transaction.acquirer.map(Into::into), issuer: transaction.issuer.map(Into::into) },
        payment,
        said,
        word,
        unknown,
        settled_at: transaction.settlement_time,
        metadata: transaction.custom_fields.map(|field| field.map(Into::into)),
        store: transaction.store.map(Into::into),
        payment_code: transaction.payment_code.map(Into::into),
        refund_amount: transaction.refund_amount,
        refund_at_bank: transaction.refunds_confirmed.map(|all| if all { AtBank::Confirmed } else { AtBank::Asked }),
        refund_within,
    }
}

/// How long after the payment Midtrans refunds it. Where it does not say clearly how it was paid, the shortest time counts.
pub(super) fn refund_within(transaction: &Transaction, days: &RefundDays) -> Option<Span> {
    let small = |text: &Option<String>| text.as_deref().map(|text| text.trim().to_ascii_lowercase());
    let house = |name: String| if name.contains("shopee") { "shopeepay".to_owned() } else { name };
    let (acquirer, issuer) = (small(&transaction.acquirer).map(house), small(&transaction.issuer).map(house));
    let same = acquirer.as_ref().zip(issuer.as_ref()).map(|(acquirer, issuer)| acquirer == issuer);
    let on_us = match small(&transaction.transaction_type).as_deref() {
        Some("on-us") => Some(true),
        Some("off-us") => Some(false),
        Some(_) | None => same,
    };
    let shopeepay = acquirer.as_deref() == Some("shopeepay");
    let shortest = days.off_us.min(days.on_us).min(days.shopeepay).min(days.deeplink);
    let days = match (small(&transaction.payment_type).as_deref(), on_us) {
        // Midtrans refunds no payment over the counter.
        (Some("cstore"), _) => return None,
        (Some("gopay"), None | Some(true)) => days.deeplink,
        (Some("shopeepay"), None | Some(true)) => days.shopeepay,
        // A wallet of the house, and not of the house: its words contradict each other.
        (Some("gopay" | "shopeepay"), Some(false)) => shortest,
        (_, Some(true)) if shopeepay => days.shopeepay,
        (_, Some(true)) => days.on_us,
        (_, Some(false)) => days.off_us,
        (_, None) => shortest,
    };
    Some(Span::secs(i64::from(days) * 86_400))
}

/// Midtrans' words in the words of the core.
pub(super) fn said(status: &TransactionStatus, fraud: Option<&FraudStatus>) -> Said {
    match status {
        TransactionStatus::Pending => Said::Pending,
        TransactionStatus::Settlement => match fraud {
            None | Some(FraudStatus::Accept) => Said::Settled,
            Some(FraudStatus::Deny | FraudStatus::Challenge | FraudStatus::Unknown(_)) => Said::Suspect,
        },
        TransactionStatus::Expire => Said::Expired,
        TransactionStatus::Cancel => Said::Cancelled,
        TransactionStatus::Deny => Said::Denied,
        TransactionStatus::Failure => Said::Failed,
        TransactionStatus::Refund => Said::Refunded,
        TransactionStatus::PartialRefund => Said::PartlyRefunded,
        TransactionStatus::Chargeback | TransactionStatus::PartialChargeback => Said::ChargedBack,
        TransactionStatus::Capture | TransactionStatus::Authorize | TransactionStatus::Unknown(_) => Said::Other,
    }
}

/// The words that are not in Midtrans' documents, for people.
fn unknown(status: &TransactionStatus, fraud: Option<&FraudStatus>) -> Option<Box<str>> {
    match (status, fraud) {
        (TransactionStatus::Unknown(word), _) => Some(format!("transaction_status {word:?}").into()),
        (_, Some(FraudStatus::Unknown(word))) => Some(format!("fraud_status {word:?}").into()),
        (_, _) => None,
    }
}

/// Midtrans' own word. The word of its fraud detection stands beside it if it makes the difference.
fn word(transaction: &Transaction) -> String {
    let status = transaction.transaction_status.as_str();
    match &transaction.fraud_status {
        Some(fraud) if transaction.transaction_status == TransactionStatus::Settlement && !transaction.is_settled() => {
            format!("{status} with fraud_status {}", fraud.as_str())
        }
        Some(_) | None => status.into(),
    }
}

/// The way to pay: at the counter that Midtrans names, else by a QR.
fn payment(transaction: &Transaction) -> Payment {
    let at = |name: &str| transaction.store.as_deref().is_some_and(|store| store.eq_ignore_ascii_case(name));
    match transaction.payment_type.as_deref() {
        Some(word) if word.eq_ignore_ascii_case("cstore") && at("indomaret") => Payment::Indomaret,
        Some(word) if word.eq_ignore_ascii_case("cstore") => Payment::Alfamart,
        Some(_) | None => Payment::Gopay,
    }
}
