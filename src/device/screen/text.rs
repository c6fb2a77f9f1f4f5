//! Every word that the screen says, in one table: a line a text, Indonesian and English.

use super::Language;
use crate::order::money::Rupiah;
use crate::order::time::Span;

macro_rules! texts {
    ($($name:ident: $id:literal, $en:literal;)*) => {
        /// The texts in one language. The names say where they stand.
        #[derive(Debug)]
        pub(super) struct Texts {
            $(pub(super) $name: &'static str,)*
        }
        const ID: Texts = Texts { $($name: $id,)* };
        const EN: Texts = Texts { $($name: $en,)* };
    };
}

texts! {
    starting: "Sebentar…", "One moment…";
    starting_more: "Mesin sedang dinyalakan", "The machine is starting";
    ready: "Siap melayani", "Ready";
    choose: "Pilih produk", "Choose a product";
    choose_on_machine: "Pilih pada mesin, lalu bayar di sini", "Choose on the machine, then pay here";
    more_items: "lainnya", "more";
    out_of_order: "Tidak tersedia", "Not available";
    out_of_order_more: "Mohon jangan membayar dahulu", "Please do not pay now";
    pay_with: "GoPay / QRIS", "GoPay / QRIS";
    pay_with_more: "GoPay dan semua aplikasi QRIS", "GoPay and every QRIS app";
    preparing: "Menyiapkan QRIS…", "Preparing your QR…";
    step_open: "Buka", "Open";
    step_scan: "Pindai", "Scan";
    step_pay: "Bayar", "Pay";
    page: "Atau pindai ini untuk membayar di ponsel Anda", "Or scan this to pay on your phone";
    payment_code: "Kode pembayaran", "Payment code";
    pay_at: "Bayar di kasir", "Pay at any";
    within: "dalam", "within";
    hours: "jam", "hours";
    minutes: "menit", "minutes";
    photograph: "Foto kode ini. Setelah membayar, ketik kode di mesin ini.", "Photograph this code. After paying, type it in here.";
    take_along: "Foto kode ini, atau pindai untuk membawanya. Setelah membayar, ketik di mesin ini.", "Photograph this code, or scan to take it along. After paying, type it in here.";
    code_gone: "Bayar di kasir, lalu kembali ke sini", "Pay at the store, then come back";
    checking: "Memeriksa pembayaran…", "Checking your payment…";
    collect_more: "Ketik kode pembayaran untuk mengambil.", "Type in the payment code to collect.";
    time_left: "Sisa waktu", "Time left";
    fee: "termasuk biaya", "incl. fee";
    too_small: "QRIS tidak muat di layar ini", "The QR does not fit this screen";
    cancelling: "Membatalkan…", "Cancelling…";
    cancelling_more: "Mohon jangan membayar lagi", "Please do not pay any more";
    do_not_pay: "Jangan bayar", "Do not pay";
    do_not_pay_more: "Pesanan ini belum selesai. Jika Anda sudah membayar, hubungi kami.", "This order is not finished. If you have paid, please contact us.";
    paid: "Pembayaran diterima", "Payment received";
    paid_more: "Sedang diproses…", "Working on it…";
    take: "Silakan ambil", "Please take it";
    take_more: "Terima kasih!", "Thank you!";
    cancelled: "Dibatalkan", "Cancelled";
    timed_out: "Waktu habis", "Time is up";
    nothing_paid: "Tidak ada uang yang ditarik. Silakan pilih lagi.", "Nothing was charged. Please choose again.";
    expired: "QRIS kedaluwarsa", "The QR has expired";
    denied: "Pembayaran ditolak", "Payment refused";
    denied_more: "Silakan coba lagi atau pakai aplikasi lain.", "Please try again or use another app.";
    failed: "Tidak berhasil", "That did not work";
    refund_due: "Pengembalian uang", "Refund due";
    refund_due_more: "Pesanan tidak terpenuhi. Foto layar ini dan hubungi kami.", "Your order was not fulfilled. Photograph this and contact us.";
    refunded: "Uang dikembalikan", "Refunded";
    refunded_more: "Dana kembali ke aplikasi pembayaran Anda.", "The money goes back to your payment app.";
    order_number: "Nomor pesanan", "Order number";
    contact: "Hubungi", "Contact";
    test: "TEST – BUKAN UANG SUNGGUHAN", "TEST – NO REAL MONEY";
    why_connection: "Layanan pembayaran tidak terhubung", "The payment service cannot be reached";
    why_machine: "Mesin sedang mengalami gangguan", "The machine has a fault";
    why_updating: "Mesin sedang diperbarui", "The machine is being updated";
    why_busy: "Mesin sedang melayani pesanan lain", "The machine is serving another order";
    why_refused: "Pesanan tidak dapat diterima", "The order cannot be taken";
}

/// The table's column of this language.
pub(super) const fn texts(language: Language) -> &'static Texts {
    match language {
        Language::Id => &ID,
        Language::En => &EN,
    }
}

impl Texts {
    /// What a reason code means to a customer. The code itself stands beside it, for whoever repairs the machine.
    pub(super) fn why(&self, code: &str) -> &'static str {
        match code {
            "backend" | "midtrans" | "clock" => self.why_connection,
            "updating" => self.why_updating,
            "busy" | "rate_limited" => self.why_busy,
            "malformed" | "too_large" | "unknown_item" | "wrong_amount" | "reused_id" | "retained" | "gross_amount" => self.why_refused,
            _ => self.why_machine,
        }
    }

    /// `Pay at any Alfamart within 24 hours`. A code is shown for minutes, so that a day is still a day when it has just
    /// begun.
    pub(super) fn pay_at_store(&self, store: &str, within: Option<Span>) -> String {
        let minutes = within.map_or(0, |within| within.0 / 60_000);
        let time = match minutes {
            ..=0 => String::new(),
            1..180 => format!(" {} {minutes} {}", self.within, self.minutes),
            _ => format!(" {} {} {}", self.within, (minutes + 15) / 60, self.hours),
        };
        format!("{} {store}{time}", self.pay_at)
    }

    /// `incl. fee Rp100`.
    pub(super) fn with_fee(&self, fee: Rupiah) -> String {
        format!("{} {fee}", self.fee)
    }
}

/// A countdown as `m:ss`, zero when it is over.
pub(super) fn countdown(left: Span) -> String {
    let seconds = left.as_secs_up().max(0);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_shows_one_until_it_is_over() {
        for (milliseconds, text) in [(120_000, "2:00"), (119_999, "2:00"), (61_000, "1:01"), (1, "0:01"), (0, "0:00"), (-5_000, "0:00")] {
            assert_eq!(countdown(Span::millis(milliseconds)), text);
        }
    }

    #[test]
    fn how_long_a_code_may_be_paid_is_told_in_round_words() {
        let at = |seconds| texts(Language::En).pay_at_store("Alfamart", seconds);
        for (seconds, words) in
            [(86_400, " within 24 hours"), (86_399, " within 24 hours"), (85_000, " within 23 hours"), (7_200, " within 120 minutes")]
        {
            assert_eq!(at(Some(Span::secs(seconds))), format!("Pay at any Alfamart{words}"));
        }
        assert_eq!(at(None), "Pay at any Alfamart");
        assert_eq!(texts(Language::Id).pay_at_store("Indomaret", Some(Span::secs(259_200))), "Bayar di kasir Indomaret dalam 72 jam");
    }

    #[test]
    fn the_fee_is_named_in_both_languages() {
        let fee = Rupiah::new(100).expect("in range");
        assert_eq!(texts(Language::En).with_fee(fee), "incl. fee Rp100");
        assert_eq!(texts(Language::Id).with_fee(fee), "termasuk biaya Rp100");
    }
}
