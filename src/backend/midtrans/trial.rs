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
use qris_host::speech::fill;
use qris_host::texts;

texts! {
    ask: "seperti ini tidak ada yang bisa dijual: tanyakan kepada Midtrans, dan beri tahu pembuat program ini", "nothing can be sold like this: ask Midtrans, and tell the makers of this program";
    not_ended: "{0}. Tagihan {1} tidak bisa dibatalkan, dan akan kedaluwarsa sendiri", "{0}. The charge {1} could not be ended, and expires by itself";
    good: "tagihan sebesar {0} dibuat, dibaca dan dibatalkan: {1}", "a charge of {0} was made, read and ended: {1}";
    stays: "tagihan {0} tidak bisa dibatalkan: akan kedaluwarsa sendiri", "the charge {0} could not be ended: it expires by itself";
    again: "coba lagi satu menit lagi", "try again in a minute";
    no_sum: "di get-status jumlahnya {0}", "get-status has the sum {0}";
    letters: "minta Midtrans menulis nama dan kota penjual dengan huruf A sampai Z", "ask Midtrans to write the merchant's name and city with the letters A to Z";
    nobody: "tanpa nama", "nobody by name";
    pays: "QR-nya membayar {0} ({1})", "its QR pays {0} ({1})";
    other_counter: "kode pembayarannya untuk {0}, bukan untuk {1}", "its payment code is for {0}, not for {1}";
    code: "ada kode pembayaran untuk {0}", "it has a payment code for {0}";
    no_code: "jawabannya tidak berisi kode pembayaran yang bisa dibaca", "its answer has no payment code that can be read";
    about_another: "jawaban get-status tentang transaksi lain", "get-status answers about another transaction";
    unknown_word: "di get-status ada kata yang tidak dikenal: {0}", "get-status has a word that nobody knows: {0}";
    no_currency: "tanpa mata uang", "no currency";
    strange: "get-status menyatakan {0} dan {1} untuk tagihan yang baru saja dibuat dalam IDR", "get-status says {0} and {1} of a charge that was just made in IDR";
    no_metadata: "get-status tidak mengulang custom_field1 sampai custom_field3: pembukuan yang hilang tidak akan bisa disusun kembali", "get-status does not repeat custom_field1 to custom_field3: lost books could not be rebuilt";
    fee: "Midtrans meminta {0} untuk {1}", "Midtrans asks {0} for {1}";
    fee_do: "matikan `automatic fee imposition` di dashboard Midtrans, atau izinkan dengan `midtrans.max_imposed_fee`", "turn `automatic fee imposition` off in Midtrans' dashboard, or allow it with `midtrans.max_imposed_fee`";
    not_active: "coba `midtrans.charge_as` yang lain, dan minta Midtrans mengaktifkan Core API dengan GoPay dan QRIS", "try the other `midtrans.charge_as`, and ask Midtrans to activate Core API with GoPay and QRIS";
    counter_not_active: "minta Midtrans mengaktifkan Core API dengan pembayaran di kasir toko ini", "ask Midtrans to activate Core API with payments at this counter";
    other_key: "ambil Server Key untuk `midtrans.base_url` dari dashboard Midtrans", "take the Server Key for `midtrans.base_url` from Midtrans' dashboard";
}

/// The sum of the charge, in rupiah. Where that is too little, it is the least that the way to pay takes.
const PRICE: u64 = 1_000;
const CHECK: &str = "charge";

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
        Err(Trouble(said, to_do)) => Finding::bad(CHECK, fill(texts().not_ended, &[&said, id]), to_do),
        Ok(what) if is_over => Finding::ok(CHECK, fill(texts().good, &[&request.metadata.amount, &what])),
        Ok(_) => Finding::warn(CHECK, fill(texts().stays, &[id]), texts().again),
    }
}

/// What a customer would see of a charge, in words.
async fn see(midtrans: &Midtrans, request: &ChargeRequest, charge: &Transaction, max_fee: u64) -> Result<String, Trouble> {
    let unread = |why: String| Trouble(why, texts().ask);
    let price = request.metadata.amount;
    let sum = allowed(whole_rupiah(charge).map_err(unread)?, price, max_fee)?;
    let seen = match request.payment {
        Payment::Gopay => qr(midtrans, charge, sum).await?,
        Payment::Alfamart | Payment::Indomaret => code(charge, request.payment)?,
    };
    let answer = midtrans.status(request.order_id.as_str()).await.map_err(|error| refused(&error, request.payment))?;
    let told = report(answer, &midtrans.charge.refund_days);
    judge(&told, request, &charge.transaction_id).map_err(unread)?;
    let sum = told.gross_amount.ok_or_else(|| unread(fill(texts().no_sum, &[&format_args!("{:?}", told.gross_amount_text)])))?;
    allowed(sum, price, max_fee)?;
    Ok(seen)
}

/// The merchant whom its QR pays.
async fn qr(midtrans: &Midtrans, charge: &Transaction, sum: Rupiah) -> Result<String, Trouble> {
    let payload = qris::with_capitals(&midtrans.qr_payload(charge).await.map_err(|error| refused(&error, Payment::Gopay))?);
    qris::check(&payload, sum).map_err(|error| match error {
        // Only these fields are the merchant's own words.
        qris::QrisError::NotAscii(_) => Trouble(error.to_string(), texts().letters),
        error => Trouble(error.to_string(), texts().ask),
    })?;
    let [name, nmid] = [qris::merchant_name(&payload), qris::merchant(&payload)].map(|text| text.unwrap_or(texts().nobody));
    Ok(fill(texts().pays, &[&name, &nmid]))
}

/// The counter at which its payment code is paid. As in a sale, the answer need not name the counter.
fn code(charge: &Transaction, payment: Payment) -> Result<String, Trouble> {
    let counter = payment.as_str();
    match (&charge.payment_code, &charge.store) {
        (Some(_), Some(other)) if !other.eq_ignore_ascii_case(counter) => {
            Err(Trouble(fill(texts().other_counter, &[&format_args!("{other:?}"), &counter]), texts().ask))
        }
        (Some(_), _) => Ok(fill(texts().code, &[&counter])),
        (None, _) => Err(Trouble(texts().no_code.into(), texts().ask)),
    }
}

fn judge(told: &StatusReport, request: &ChargeRequest, transaction: &TransactionId) -> Result<(), String> {
    if !told.is_about(&request.order_id, [transaction]) {
        return Err(texts().about_another.into());
    }
    if let Some(word) = &told.unknown {
        return Err(fill(texts().unknown_word, &[word]));
    }
    if told.said != Said::Pending || told.currency.as_deref() != Some("IDR") {
        let currency = told.currency.as_deref().unwrap_or(texts().no_currency);
        return Err(fill(texts().strange, &[&told.word, &currency]));
    }
    let fields = request.metadata.to_texts();
    if told.metadata.iter().zip(&fields).any(|(told, sent)| told.as_deref() != Some(sent)) {
        return Err(texts().no_metadata.into());
    }
    Ok(())
}

/// A sum that a customer may be asked for.
fn allowed(sum: Rupiah, price: Rupiah, max_fee: u64) -> Result<Rupiah, Trouble> {
    if (price.get()..=price.get() + max_fee).contains(&sum.get()) {
        return Ok(sum);
    }
    let said = fill(texts().fee, &[&sum, &price]);
    Err(Trouble(said, texts().fee_do))
}

fn refused(error: &MidtransError, payment: Payment) -> Trouble {
    let to_do = match error {
        MidtransError::NotActivated { .. } => match payment {
            Payment::Gopay => texts().not_active,
            Payment::Alfamart | Payment::Indomaret => texts().counter_not_active,
        },
        MidtransError::Unauthorized => texts().other_key,
        MidtransError::Unreachable(_)
        | MidtransError::NoAnswer(_)
        | MidtransError::Unreadable(_)
        | MidtransError::Unavailable { .. }
        | MidtransError::RateLimited
        | MidtransError::Running => texts().again,
        MidtransError::NotFound
        | MidtransError::Conflict
        | MidtransError::CannotModify
        | MidtransError::Denied { .. }
        | MidtransError::Refused { .. }
        | MidtransError::RefundRefused { .. }
        | MidtransError::Qr(_) => texts().ask,
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
