//! What Midtrans' answers mean for an order.

use super::{FraudStatus, MidtransError, RefundDays, RefundRefusal, Transaction, TransactionStatus};
use crate::gateway::{Cancelled, StatusAnswer};
use qris_core::order::merchant::{AtBank, NoCharge, Parties, RefundAnswer, Said, StatusReport};
use qris_core::order::money::Rupiah;
use qris_core::order::request::Payment;
use qris_core::order::time::Span;

pub(super) fn whole_rupiah(charge: &Transaction) -> Result<Rupiah, String> {
    if let Some(other) = charge.currency.as_deref().filter(|currency| *currency != "IDR") {
        return Err(format!("Midtrans charges in {other:?}, not in IDR"));
    }
    charge.gross_amount.ok_or_else(|| format!("Midtrans charges {:?}, which is not whole rupiah", charge.gross_amount_text))
}

/// An answer that says nothing of the order is not the silence of a gateway that is gone, which has an alert of its own.
pub(super) fn status_of_error(error: &MidtransError) -> StatusAnswer {
    match error {
        MidtransError::NotFound => StatusAnswer::Unknown,
        MidtransError::Unauthorized
        | MidtransError::RateLimited
        | MidtransError::Running
        | MidtransError::Unavailable { .. }
        | MidtransError::NoAnswer(_)
        | MidtransError::Unreachable(_) => StatusAnswer::Unanswered,
        MidtransError::Unreadable(_)
        | MidtransError::Conflict
        | MidtransError::CannotModify
        | MidtransError::Denied { .. }
        | MidtransError::Refused { .. }
        | MidtransError::NotActivated { .. }
        | MidtransError::RefundRefused { .. }
        | MidtransError::Qr(_) => StatusAnswer::Unclear(error.to_string().into()),
    }
}

/// After an answer that does not tell, the cancel is not repeated for a day: get-status must tell.
pub(super) fn not_cancelled(error: &MidtransError) -> Cancelled {
    match status_of_error(error) {
        StatusAnswer::Unknown => Cancelled::Unknown,
        StatusAnswer::Unanswered => Cancelled::Unanswered,
        StatusAnswer::Unclear(_) | StatusAnswer::Found(_) => Cancelled::Refused,
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
    let (refund_within, refunds_parts) = (refund_within(&transaction, days), refunds_parts(&transaction));
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
        refund_at_bank: transaction.refunds_confirmed.map(|all| if all { AtBank::Confirmed } else { AtBank::Requested }),
        refund_within,
        refunds_parts,
    }
}

/// ShopeePay gives back whole payments only (Midtrans' page on refunds).
fn refunds_parts(transaction: &Transaction) -> bool {
    let ways = [&transaction.payment_type, &transaction.acquirer];
    !ways.into_iter().flatten().any(|way| way.to_ascii_lowercase().contains("shopee"))
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
pub(super) fn unknown(status: &TransactionStatus, fraud: Option<&FraudStatus>) -> Option<Box<str>> {
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
