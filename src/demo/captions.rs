//! The sentences of the timeline, each in both languages. What programs write, their codes and their states' names at Midtrans stay
//! as they are.

use qris_core::order::reason::Reason;
use qris_core::wire::vend::EventState;

/// A sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bilingual {
    pub en: String,
    /// Indonesian.
    pub id: String,
}

impl Bilingual {
    /// The two together, with something between them.
    #[must_use]
    pub fn and(self, between: &str, other: impl Into<Self>) -> Self {
        let other = other.into();
        Self { en: self.en + between + &other.en, id: self.id + between + &other.id }
    }
}

/// The same in both languages.
impl<T: ToString> From<T> for Bilingual {
    fn from(text: T) -> Self {
        let text = text.to_string();
        Self { en: text.clone(), id: text }
    }
}

macro_rules! sentences {
    ($($name:ident($($part:ident),*): $en:literal, $id:literal;)*) => {$(
        #[must_use]
        pub fn $name($($part: impl Into<Bilingual>),*) -> Bilingual {
            $(let $part: Bilingual = $part.into();)*
            Bilingual { en: format!($en $(, $part = $part.en)*), id: format!($id $(, $part = $part.id)*) }
        }
    )*};
}

sentences! {
    // The customer.
    presses(item, amount): "presses {item} for {amount}", "menekan {item}, {amount}";
    presses_cancel(): "presses cancel", "menekan Batal";
    pays_with_gopay(amount): "pays {amount} with GoPay", "membayar {amount} dengan GoPay";
    pays_with_qris(amount): "pays {amount} with another QRIS app", "membayar {amount} dengan aplikasi QRIS lain";
    paid_before_the_cancel(amount): "has typed the PIN for {amount} before the cancel", "sudah memasukkan PIN untuk {amount} sebelum batal";
    paid(): "paid", "terbayar";
    wrong_pin(): "types a wrong PIN", "salah memasukkan PIN";
    payment_refused(why): "the payment was refused: {why}", "pembayaran ditolak: {why}";
    nothing_paid(): "nothing was paid", "tidak ada yang terbayar";
    walks_away(): "walks away", "pergi";
    // Somebody with a box.
    is_filled(item, count): "was filled with {item}: {count} are there now", "diisi {item}: sekarang ada {count}";
    // Power, networks, programs.
    cuts_power(): "cuts the machine’s power", "mematikan listrik mesin";
    gives_power(): "gives the machine its power", "menyalakan listrik mesin";
    cuts(network): "cuts the network {network}", "memutus jaringan {network}";
    mends(network): "mends the network {network}", "menyambung jaringan {network}";
    machine_broker(): "machine–broker", "mesin–broker";
    machine_backend(): "machine–backend", "mesin–backend";
    backend_midtrans(): "backend–Midtrans", "backend–Midtrans";
    ready(program): "{program} is ready", "{program} siap";
    has_ended(program): "{program} has ended", "{program} berhenti";
    online(): "is online, no faults", "terhubung, tanpa gangguan";
    online_with(faults): "is online with faults: {faults}", "terhubung, dengan gangguan: {faults}";
    offline(): "is offline", "tidak terhubung";
    speaks_english(): "takes settings from afar: its screen is in English", "menerima setelan dari jauh: layarnya berbahasa Inggris";
    speaks_indonesian(): "takes settings from afar: its screen is in Indonesian", "menerima setelan dari jauh: layarnya berbahasa Indonesia";
    line_on(line): "line {line} on", "jalur {line} aktif";
    line_off(line): "line {line} off", "jalur {line} mati";
    // What goes over HTTP and the broker.
    order(item, amount): "order {item} for {amount}", "pesan {item}, {amount}";
    any_open(): "any open orders?", "ada pesanan terbuka?";
    when_paid(): "tell me when it is paid", "beri tahu kalau sudah dibayar";
    how_does_it_stand(): "how does the order stand?", "bagaimana pesanannya?";
    cancel_order(): "cancel the order", "batalkan pesanan";
    outcome(word): "outcome: {word}", "hasil: {word}";
    charge(amount): "charge {amount}", "tagih {amount}";
    cancel_charge(): "cancel the charge", "batalkan tagihan";
    picture(): "the QR’s picture", "gambar QR";
    notification(word): "notification: {word}", "notifikasi: {word}";
    order_with_qr(): "order with its QR", "pesanan dengan QR-nya";
    open_orders(count): "{count} open", "{count} terbuka";
    receipt(status): "{status}, signed receipt", "{status}, tanda terima bertanda tangan";
    at_broker(update): "{update}, waits at the broker", "{update}, menunggu di broker";
    // The states of an order at the machine.
    requested(): "requested", "diminta";
    awaiting_payment(): "awaiting payment", "menunggu pembayaran";
    awaiting_collection(): "awaiting collection", "menunggu diambil";
    cancelling(): "cancelling", "membatalkan";
    order_paid(): "paid", "terbayar";
    dispensing(): "dispensing", "mengeluarkan barang";
    trying_again(): "trying again", "mencoba lagi";
    dispensed(): "dispensed", "barang keluar";
    refused(): "refused", "ditolak";
    cancelled(): "cancelled", "dibatalkan";
    expired(): "expired", "kedaluwarsa";
    denied(): "denied", "tidak disetujui";
    failed(): "failed", "gagal";
    refund_due(): "refund due", "harus dikembalikan";
    refunded(): "refunded", "sudah dikembalikan";
    uncertain(): "uncertain", "belum pasti";
    undelivered(): "undelivered", "tidak diserahkan";
    // Why.
    by_the_customer(): "customer", "pelanggan";
    timeout(): "timeout", "waktu habis";
    late(): "late", "terlambat";
    busy(): "busy", "sedang melayani";
    sold_out(): "sold out", "habis";
}

/// A reason that a visitor can bring about. The others are for who mends a machine, and stay the codes that they are.
#[must_use]
pub fn why(reason: Reason) -> Bilingual {
    match reason {
        Reason::Customer => by_the_customer(),
        Reason::Timeout => timeout(),
        Reason::Late => late(),
        Reason::Busy => busy(),
        Reason::SoldOut => sold_out(),
        Reason::Failed => failed(),
        Reason::Uncertain => uncertain(),
        other => other.into(),
    }
}

/// An outcome, as the machine reports it.
#[must_use]
pub fn reported(word: &str) -> Bilingual {
    match word {
        "dispensed" => dispensed(),
        "failed" => failed(),
        "uncertain" => uncertain(),
        "undelivered" => undelivered(),
        other => other.into(),
    }
}

/// The name of an order's state, and the code of its reason.
#[must_use]
pub fn state_and_reason(is: EventState, reason: Option<Reason>) -> Bilingual {
    match (is, reason) {
        // The books have a word of their own for it.
        (EventState::RefundDue, Some(Reason::Uncertain)) => uncertain(),
        (is, Some(reason)) => state(is).and(" (", why(reason)).and(")", ""),
        (is, None) => state(is),
    }
}

#[must_use]
pub fn state(state: EventState) -> Bilingual {
    match state {
        EventState::Requested => requested(),
        EventState::AwaitingPayment => awaiting_payment(),
        EventState::AwaitingCollection => awaiting_collection(),
        EventState::Cancelling => cancelling(),
        EventState::Paid => order_paid(),
        EventState::Dispensing => dispensing(),
        EventState::TryingAgain => trying_again(),
        EventState::Dispensed => dispensed(),
        EventState::Refused => refused(),
        EventState::Cancelled => cancelled(),
        EventState::Expired => expired(),
        EventState::Denied => denied(),
        EventState::Failed => failed(),
        EventState::RefundDue => refund_due(),
        EventState::Refunded => refunded(),
        EventState::Other(_) => state.as_str().replace('_', " ").into(),
    }
}
