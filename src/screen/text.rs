//! Every word that the screen says, in one table: one text a line, Indonesian and English.

use super::picture::{Content, Level};
use qris_core::order::ids::OrderId;
use qris_core::order::money::Rupiah;
use qris_core::order::reason::Reason;
use qris_core::order::stock::NotSold;
use qris_core::order::time::Span;

qris_core::texts! {
    starting: "Menghubungkan…", "Connecting…";
    starting_more: "Mohon tunggu sebentar", "One moment, please";
    offline: "Tidak terhubung", "Not connected";
    offline_more: "Pembayaran mungkin belum bisa", "Paying may not work yet";
    ready: "Siap melayani", "Ready";
    choose: "Pilih produk", "Choose a product";
    choose_on_machine: "Pilih pada mesin, lalu bayar di sini", "Choose on the machine, then pay here";
    sold_out: "Habis", "Sold out";
    not_sold: "Tidak dijual", "Not sold";
    not_sold_now: "Sedang tidak dijual", "Not sold now";
    choose_other: "Silakan pilih yang lain.", "Please choose another one.";
    all_sold_out: "Semua sudah habis", "Everything is sold out";
    all_sold_out_more: "Mesin ini akan diisi lagi. Terima kasih!", "It will be filled again. Thank you!";
    filling: "Pengisian", "Filling";
    filling_how: "Tekan: penuh. Tahan: hitung.", "Press: full. Hold: count.";
    filling_switch: "Matikan sakelar untuk menjual", "Switch off to sell";
    filling_button: "Tekan tombol di dalam untuk menjual", "Press the button inside to sell";
    blocked: "Diblokir", "Blocked";
    blocked_how: "Diblokir: tekan di dalam", "Blocked: press inside";
    not_changed: "Belum bisa: coba lagi", "Not now: try again";
    low: "Sedikit", "Low";
    suspect: "Cek!", "Look!";
    more_items: "lainnya", "more";
    out_of_order: "Sedang gangguan", "Out of order";
    out_of_order_more: "Mohon jangan membayar dulu", "Please do not pay now";
    pay_with: "GoPay / QRIS", "GoPay / QRIS";
    pay_with_more: "GoPay dan semua aplikasi QRIS", "GoPay and every QRIS app";
    preparing: "Menyiapkan QRIS…", "Preparing your QR…";
    paid_to: "Dibayar ke", "Paid to";
    step_open: "Buka aplikasi", "Open the app";
    step_open_small: "Buka", "Open";
    step_scan: "Pindai", "Scan";
    step_pay: "Bayar", "Pay";
    page: "Atau pindai ini dengan kamera untuk membayar di ponsel Anda", "Or scan this with the camera to pay on your phone";
    small_page: "Pakai kamera", "Use the camera";
    status_page: "Pindai dengan kamera untuk melihat status pesanan", "Scan with the camera to follow your order";
    status_page_short: "Pindai untuk melihat status", "Scan to follow your order";
    payment_code: "Kode pembayaran", "Payment code";
    pay_at: "Bayar di kasir", "Pay at any";
    within: "dalam", "within";
    hours: "jam", "hours";
    minutes: "menit", "minutes";
    photograph: "Foto kode ini. Setelah membayar, ketik kode di mesin ini.", "Photograph this code. After paying, type it in here.";
    take_along: "Foto kode ini, atau pindai untuk menyimpannya. Setelah membayar, ketik di mesin ini.", "Photograph this code, or scan to take it along. After paying, type it in here.";
    code_gone: "Bayar di kasir, lalu kembali ke sini", "Pay at the store, then come back";
    checking: "Memeriksa pembayaran…", "Checking your payment…";
    collect_more: "Ketik kode pembayaran untuk mengambil.", "Type in the payment code to collect.";
    collect: "Ambil", "Collect";
    code: "Kode", "Code";
    time_left: "Sisa waktu", "Time left";
    fee: "termasuk biaya", "incl. fee";
    too_small: "QRIS tidak muat di layar ini", "The QR does not fit this screen";
    cancelling: "Membatalkan…", "Cancelling…";
    cancelling_more: "QR dibatalkan, jangan dibayar", "The QR is cancelled, do not pay it";
    do_not_pay: "Belum selesai, jangan dibayar dulu", "Not finished, please do not pay";
    do_not_pay_more: "Jika Anda sudah membayar, foto layar ini.", "If you have paid already, photograph this.";
    paid: "Pembayaran diterima", "Payment received";
    tried_again: "Dicoba sekali lagi", "Trying once more";
    paid_more: "Sedang diproses…", "Working on it…";
    not_seen: "Belum terlihat", "Not seen yet";
    not_seen_more: "Lihat ke dalam baki: mungkin sudah jatuh.", "Look into the tray: it may have fallen.";
    take: "Silakan ambil", "Please take it";
    take_more: "Terima kasih!", "Thank you!";
    cancelled: "Dibatalkan", "Cancelled";
    timed_out: "Waktu habis", "Time is up";
    nothing_paid: "Saldo Anda tidak terpotong. Silakan pilih lagi.", "Nothing was charged. Please choose again.";
    expired: "QRIS kedaluwarsa", "The QR has expired";
    denied: "Pembayaran ditolak", "Payment refused";
    failed_more: "Saldo Anda tidak terpotong.", "Nothing was charged.";
    denied_more: "Silakan coba lagi atau pakai aplikasi lain.", "Please try again or use another app.";
    failed: "Tidak berhasil", "That did not work";
    refund_due: "Dana Anda akan dikembalikan", "Your money will be returned";
    refund_due_more: "Barang tidak keluar. Foto layar ini.", "The goods did not come out. Photograph this.";
    try_same: "Tekan lagi, tanpa bayar", "Press it again, at no cost";
    try_other: "Tekan yang lain, tanpa bayar", "Press another one, at no cost";
    try_now: "tidak keluar. Tekan dalam 60 detik. Uang aman.", "it did not come. Press within 60 s. Money is safe.";
    try_later: "percobaan kedua. Tekan dalam 60 detik. Uang aman.", "a second try. Press within 60 s. Money is safe.";
    try_or: "Atau yang lain", "Or another one";
    try_up_to: "sampai", "up to";
    try_rest: "Selisih harga tidak kembali.", "A difference is not paid back.";
    try_yours: "Punya Anda? Tekan sekali lagi", "Yours? Press it once more";
    try_of: "Percobaan kedua untuk", "Second try for";
    try_paid: "dibayar", "paid";
    try_get: "Yang keluar:", "You get:";
    try_free: "Tanpa bayar. Bukan punya Anda? Tunggu 10 detik untuk membeli.", "At no cost. Not yours? Wait 10 s to buy it.";
    try_tell: "Ketik angka ini di halaman pesanan Anda", "Tell this number on your order's page";
    try_tell_more: "Atau sebutkan kepada petugas. Lalu tekan", "Or tell it to who helps you. Then press";
    try_tell_other: "yang lain", "another one";
    try_told: "Tekan sekarang", "Press now";
    try_told_more: "tanpa bayar, dalam 20 detik.", "at no cost, within 20 s.";
    anew: "Pembelian baru. Pesanan Anda", "A new purchase. Your order";
    anew_short: "Beli baru. Pesanan Anda", "New purchase. Your order";
    anew_safe: "tetap dapat barang atau uangnya.", "still gets its goods or its money.";
    uncertain: "Belum pasti", "Uncertain";
    uncertain_more: "Sudah dibayar, barang belum tentu keluar. Foto layar ini.", "Paid, and nobody knows whether it came. Photograph this.";
    refunded: "Dana Anda sudah dikembalikan", "Refunded";
    refunded_more: "Lihat di aplikasi pembayaran Anda.", "The money goes back to your payment app.";
    order_number: "Nomor pesanan", "Order number";
    contact: "Hubungi", "Contact";
    up: "ATAS", "TOP";
    red: "Merah", "Red";
    green: "Hijau", "Green";
    blue: "Biru", "Blue";
    white: "Putih", "White";
    test: "UJI COBA – BUKAN UANG ASLI", "TEST – NO REAL MONEY";
    test_short: "BUKAN UANG ASLI", "NO REAL MONEY";
    test_word: "UJI COBA", "TEST";
    why_connection: "Layanan pembayaran tidak terhubung", "The payment service cannot be reached";
    why_machine: "Mesin belum bisa melayani", "The machine cannot serve you now";
    why_updating: "Mesin sedang diperbarui", "The machine is being updated";
    why_busy: "Mesin sedang melayani pesanan lain", "The machine is serving another order";
    why_refused: "Pesanan tidak dapat diterima", "The order cannot be taken";
}

impl Words {
    /// The meaning of a reason for a customer. Its code stands beside it, for the person who repairs the machine.
    pub(super) fn why(&self, reason: Reason) -> &'static str {
        match reason {
            Reason::Backend | Reason::Gateway => self.why_connection,
            Reason::Updating => self.why_updating,
            Reason::SoldOut => self.sold_out,
            Reason::Busy | Reason::RateLimited => self.why_busy,
            Reason::Malformed | Reason::TooLarge | Reason::UnknownItem | Reason::WrongAmount => self.why_refused,
            Reason::ReusedId | Reason::Retained | Reason::GrossAmount => self.why_refused,
            Reason::Store | Reason::NewerDatabase | Reason::Relay | Reason::LineBlocked | Reason::Screen => self.why_machine,
            // The backend and the relay do not fit each other.
            Reason::UnknownKey => self.why_machine,
            // These have pages of their own, or nobody stands there.
            Reason::Timeout | Reason::Customer | Reason::Late | Reason::NotCollected | Reason::RelayRefused => self.why_machine,
            Reason::Failed | Reason::Uncertain | Reason::Mismatch | Reason::WrongCode | Reason::UnknownRequest => self.why_machine,
            // A backend of a later release says so. Its code is told, and that nothing is sold.
            Reason::Other(_) => self.why_machine,
        }
    }

    /// In the place of the price, where nobody can buy it. Customers need not know which repair it waits for.
    pub(super) fn no_price(&self, why: NotSold) -> &'static str {
        match why {
            NotSold::SoldOut | NotSold::Suspect => self.sold_out,
            NotSold::Blocked | NotSold::Line | NotSold::Price | NotSold::Other(_) => self.not_sold,
        }
    }

    /// `Low 2/8`; `?` where nobody has counted. `has_room`: otherwise a number that says the same stands alone.
    pub(super) fn content(&self, of: &Content, has_room: bool) -> String {
        let (word, count) = match of.level {
            // What it holds when the button is let go now, and how many of these go in.
            Level::Filling(more) if has_room => return format!("+{more} = {}/{}", of.capacity, of.capacity),
            Level::Filling(_) => ("", of.capacity),
            Level::Unknown => return format!("?/{}", of.capacity),
            Level::Counting(count) | Level::Good(count) => ("", count),
            Level::Suspect(count) => (self.suspect, count),
            Level::Blocked(count) | Level::NotSold(count) => {
                let count = count.map_or_else(|| "?".into(), |count| count.to_string());
                let word = if matches!(of.level, Level::Blocked(_)) { self.blocked } else { self.not_sold };
                return format!("{} {count}/{}", if has_room { word } else { "!" }, of.capacity);
            }
            Level::Empty => (if has_room { self.sold_out } else { "" }, 0),
            Level::Low(count) => (if has_room { self.low } else { "" }, count),
        };
        format!("{word} {count}/{}", of.capacity).trim_start().into()
    }

    /// `Pay at any Alfamart within 24 hours`. A code is shown for minutes, so a day that has just begun still counts as
    /// a day.
    pub(super) fn pay_at_store(&self, store: &str, within: Option<Span>) -> String {
        let time = within.and_then(|within| self.within(within)).map_or_else(String::new, |time| format!(" {time}"));
        format!("{} {store}{time}", self.pay_at)
    }

    /// `Collect within 72 hours`; `None` if the time is not known.
    pub(super) fn collect_within(&self, within: Option<Span>) -> Option<String> {
        Some(format!("{} {}", self.collect, self.within(within?)?))
    }

    /// `Photograph this code. After paying, type it in here within 72 hours.`
    pub(super) fn photograph(&self, collect: Option<Span>) -> String {
        self.collected(self.photograph, collect)
    }

    /// The same text, beside the code of a page that keeps it.
    pub(super) fn take_along(&self, collect: Option<Span>) -> String {
        self.collected(self.take_along, collect)
    }

    /// `Or another one, up to Rp5,000. A difference is not paid back.`
    pub(super) fn try_up_to(&self, same: bool, up_to: Rupiah) -> String {
        let other = if same { format!("{}, ", self.try_or) } else { String::new() };
        let mut text = format!("{other}{} {up_to}. {}", self.try_up_to, self.try_rest);
        if let Some(first) = text.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        text
    }

    /// `Or tell it to who helps you. Then press Chilli crisps.` `None`: no longer these goods.
    pub(super) fn try_tell_more(&self, item: Option<&str>) -> String {
        format!("{} {}.", self.try_tell_more, item.unwrap_or(self.try_tell_other))
    }

    /// `Second try for Chilli crisps, paid 15:02 WIB.`
    pub(super) fn try_of(&self, item: &str, paid_at: Option<&str>) -> String {
        let paid = paid_at.map_or_else(String::new, |time| format!(", {} {time}", self.try_paid));
        format!("{} {item}{paid}.", self.try_of)
    }

    /// `A new purchase. Your order …4ts65 still gets its goods or its money.`
    pub(super) fn anew(&self, order: &OrderId, is_short: bool) -> String {
        let new = if is_short { self.anew_short } else { self.anew };
        format!("{new} {} {}", tail(order), self.anew_safe)
    }

    /// A text that ends with the way to collect, and with the time for it if that is known.
    fn collected(&self, text: &str, collect: Option<Span>) -> String {
        match collect.and_then(|collect| self.within(collect)) {
            Some(time) => format!("{} {time}.", text.trim_end_matches('.')),
            None => text.into(),
        }
    }

    fn within(&self, within: Span) -> Option<String> {
        let minutes = within.0 / 60_000;
        match minutes {
            ..=0 => None,
            1..180 => Some(format!("{} {minutes} {}", self.within, self.minutes)),
            _ => Some(format!("{} {} {}", self.within, (minutes + 15) / 60, self.hours)),
        }
    }

    /// `Paid to: NAME · NMID`.
    pub(super) fn paid_to(&self, payee: &str) -> String {
        format!("{}: {payee}", self.paid_to)
    }

    /// `incl. fee Rp100`.
    pub(super) fn with_fee(&self, fee: Rupiah) -> String {
        format!("{} {fee}", self.fee)
    }
}

/// The last characters of an order's number. No line ends between them and the dots.
pub(super) fn tail(order: &OrderId) -> String {
    let whole = order.as_str();
    format!("…{}", whole.get(whole.len().saturating_sub(5)..).unwrap_or(whole))
}

/// A countdown as `m:ss`, zero when it is over.
pub(super) fn countdown(left: Span) -> String {
    let seconds = left.as_secs_up().max(0);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::text::Language;

    #[test]
    fn a_countdown_is_written_in_minutes_and_seconds_and_ends_at_zero() {
        for (milliseconds, text) in [(120_000, "2:00"), (119_999, "2:00"), (61_000, "1:01"), (1, "0:01"), (0, "0:00"), (-5_000, "0:00")] {
            assert_eq!(countdown(Span::millis(milliseconds)), text);
        }
    }

    #[test]
    fn how_long_a_code_may_be_paid_is_told_in_round_words() {
        let at = |seconds| Words::of(Language::En).pay_at_store("Alfamart", seconds);
        for (seconds, words) in
            [(86_400, " within 24 hours"), (86_399, " within 24 hours"), (85_000, " within 23 hours"), (7_200, " within 120 minutes")]
        {
            assert_eq!(at(Some(Span::secs(seconds))), format!("Pay at any Alfamart{words}"));
        }
        assert_eq!(at(None), "Pay at any Alfamart");
        let collect = |within| Words::of(Language::En).collect_within(within);
        assert_eq!(collect(Some(Span::secs(259_190))).as_deref(), Some("Collect within 72 hours"));
        assert_eq!((collect(None), collect(Some(Span::ZERO))), (None, None));
        let photograph = |within| Words::of(Language::Id).photograph(within);
        assert_eq!(photograph(Some(Span::secs(259_200))), "Foto kode ini. Setelah membayar, ketik kode di mesin ini dalam 72 jam.");
        assert_eq!(photograph(None), "Foto kode ini. Setelah membayar, ketik kode di mesin ini.");
        assert_eq!(Words::of(Language::Id).pay_at_store("Indomaret", Some(Span::secs(259_200))), "Bayar di kasir Indomaret dalam 72 jam");
    }

    #[test]
    fn every_reason_means_something_to_a_customer_and_one_of_a_later_release_too() {
        let t = Words::of(Language::En);
        let table = [
            (Reason::Gateway, t.why_connection),
            (Reason::Updating, t.why_updating),
            (Reason::RateLimited, t.why_busy),
            (Reason::GrossAmount, t.why_refused),
            (Reason::LineBlocked, t.why_machine),
            (Reason::from_word("of_a_later_release").expect("a word"), t.why_machine),
        ];
        for (reason, words) in table {
            assert_eq!(t.why(reason), words, "{reason}");
        }
    }

    #[test]
    fn what_is_in_a_slot_is_told_with_a_word_if_it_wants_something() {
        use Level::{Blocked, Counting, Empty, Filling, Good, Low, NotSold, Suspect, Unknown};
        let levels =
            [Unknown, Filling(5), Counting(0), Blocked(Some(8)), Blocked(None), NotSold(Some(8)), Suspect(3), Empty, Low(2), Good(8)];
        let told = |has_room| {
            levels.map(|level| {
                let item = qris_core::order::ids::ItemId::new("A1").expect("an item");
                Words::of(Language::Id).content(&Content { item, capacity: 8, level }, has_room)
            })
        };
        assert_eq!(
            told(true),
            ["?/8", "+5 = 8/8", "0/8", "Diblokir 8/8", "Diblokir ?/8", "Tidak dijual 8/8", "Cek! 3/8", "Habis 0/8", "Sedikit 2/8", "8/8"]
        );
        assert_eq!(told(false), ["?/8", "8/8", "0/8", "! 8/8", "! ?/8", "! 8/8", "Cek! 3/8", "0/8", "2/8", "8/8"]);
    }

    #[test]
    fn the_fee_is_named_in_both_languages() {
        let fee = Rupiah::new(100).expect("in range");
        assert_eq!(Words::of(Language::En).with_fee(fee), "incl. fee Rp100");
        assert_eq!(Words::of(Language::Id).with_fee(fee), "termasuk biaya Rp100");
    }
}
