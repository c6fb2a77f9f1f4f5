//! Midtrans in the words of [`gateway`](crate::gateway).

use super::words::{no_charge, not_cancelled, refund_answer, report, said, status_of_error, unknown, whole_rupiah};
use super::{ChargeAs, ChargeRequest, Midtrans, MidtransError, NAME, Notification, Transaction, doctor, idempotency_key, trial};
use crate::gateway::{Answered, Asking, Cancelled, Charged, Gateway, NoNotice, Notice, Problem, StatusAnswer, TroubleKind};
use axum::http::HeaderMap;
use qris_core::order::ids::OrderId;
use qris_core::order::merchant::{Charge, NoCharge, Order, RefundAnswer, Said};
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_core::order::time::Wall;
use qris_host::finding::Finding;
use std::ops::RangeInclusive;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The time of one call for a charge. Then the same call is repeated, within the ten seconds in which the machine is answered.
const CHARGE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most that a charge as `qris` may be, in rupiah: Midtrans' limit of March 2026.
const QRIS_MAX: u64 = 10_000_000;
/// The time for the image of a QR, all tries together.
const QR_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between two tries at the image.
const QR_PAUSE: Duration = Duration::from_millis(300);

impl Gateway for Midtrans {
    fn name(&self) -> &'static str {
        NAME
    }

    fn amounts(&self, payment: Payment) -> RangeInclusive<u64> {
        match (payment, self.charge.charge_as) {
            // QRIS has a lower limit than GoPay's own.
            (Payment::Gopay, ChargeAs::Qris) => *payment.amounts().start()..=QRIS_MAX,
            (Payment::Gopay | Payment::Alfamart | Payment::Indomaret, _) => payment.amounts(),
        }
    }

    fn charge<'a>(&'a self, order: &'a Order, now: Wall) -> Asking<'a, Answered<Charged>> {
        Box::pin(charge(self, order, now))
    }

    fn status<'a>(&'a self, id: &'a OrderId) -> Asking<'a, Answered<StatusAnswer>> {
        Box::pin(async move {
            answered(self.status(id.as_str()).await, |answer| match answer {
                Ok(transaction) => StatusAnswer::Found(report(transaction, &self.charge.refund_days)),
                Err(error) => status_of_error(&error),
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

    fn ask_time(&self) -> Asking<'_, Option<Problem>> {
        Box::pin(async { self.ask_time().await.as_ref().err().map(problem) })
    }

    fn reported_time(&self) -> Option<Wall> {
        self.reported_time.lock().unwrap_or_else(PoisonError::into_inner).take()
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
        description: order.sale.purchase.description.clone().map(String::from).unwrap_or_default(),
        payment: order.sale.purchase.payment,
        metadata: order.sale.metadata(),
    };
    let key = idempotency_key(&order.id, "charge");
    let answer = match timeout(CHARGE_TIMEOUT, midtrans.charge(&request, &key)).await {
        Ok(answer) => answer,
        Err(_) => Err(MidtransError::NoAnswer(format!("nothing in {} s", CHARGE_TIMEOUT.as_secs()))),
    };
    match answer {
        Ok(transaction) => match whole_rupiah(&transaction) {
            Ok(sum) => Answered { says: charged(midtrans, &transaction, sum, order.sale.purchase.payment, now).await, problem: None },
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

async fn qr_payload(midtrans: &Midtrans, transaction: &Transaction) -> Result<String, MidtransError> {
    loop {
        match midtrans.qr_payload(transaction).await {
            Err(error) if error.may_retry() => sleep(QR_PAUSE).await,
            answer => return answer,
        }
    }
}

fn refund_reason(order: &Order) -> String {
    match order.outcome() {
        Some(outcome) => format!("{}: {outcome}", order.sale.purchase.item),
        None => order.sale.purchase.item.to_string(),
    }
}
