//! Every word of the customer's page, in one table: one text a line, Indonesian and English.

use qris_host::speech::{self, Language};

qris_core::texts! {
    language: "id", "en";
    test: "UJI COBA – BUKAN UANG ASLI", "TEST – NO REAL MONEY";
    machine: "Mesin", "Machine";
    left: "Sisa waktu", "Time left";
    pay: "Bayar dengan GoPay", "Pay with GoPay";
    qr_alt: "Kode QRIS untuk pembayaran ini", "QRIS code for this payment";
    paid_to: "Dibayar ke", "Paid to";
    qr_hint: "Atau pindai dengan aplikasi QRIS apa pun", "Or scan with any QRIS app";
    qr_save: "Simpan gambarnya, lalu buka di aplikasi pembayaran", "Save the picture, and open it in your payment app";
    fee: "termasuk biaya", "incl. fee";
    preparing: "Menyiapkan pembayaran…", "Preparing the payment…";
    waiting: "Menunggu pembayaran", "Waiting for your payment";
    counter: "Bayar di kasir", "Pay at the counter of";
    counter_code: "Kode pembayaran", "Payment code";
    pay_before: "Bayar sebelum", "Pay before";
    ending: "Sedang dibatalkan, jangan dibayar.", "Being cancelled. Please do not pay.";
    cancelled: "Dibatalkan, jangan dibayar.", "Cancelled. Please do not pay.";
    expired: "Kedaluwarsa, jangan dibayar.", "Expired. Please do not pay.";
    failed: "Pembayaran tidak berhasil. Jangan dibayar.", "The payment did not work. Please do not pay.";
    paid_anyway: "Telanjur membayar? Hubungi kami.", "Paid already? Contact us.";
    confirming: "Pembayaran sedang dipastikan", "Your payment is being confirmed";
    held: "Toko masih dapat membatalkannya beberapa menit. Halaman ini memberi tahu Anda.", "The store may still take it back for some minutes. This page will tell you.";
    paid: "Sudah dibayar", "Paid";
    working: "Mesin sedang bekerja", "The machine is working";
    collect: "Ketik kode pembayaran di mesin untuk mengambil barang.", "Type the payment code at the machine to collect.";
    collect_before: "Ambil sebelum", "Collect before";
    delivered: "Selesai. Terima kasih!", "Done. Thank you!";
    uncertain: "Belum pasti", "Uncertain";
    uncertain_hint: "Sudah dibayar, tetapi belum diketahui apakah barang keluar. Kami akan memeriksanya.", "Paid, but \
        nobody knows whether it came out. We will look into it.";
    refund_due: "Dana Anda akan dikembalikan", "Your money will be returned";
    try_again: "Coba lagi di mesin", "Try again at the machine";
    want_money: "Kembalikan uang saya", "Give me the money back";
    try_again_hint: "Barang sebagai ganti uang, tanpa bayar lagi. Berdirilah di depan mesin. Sampai", "The goods in place of the money, at no cost. Stand in front of the machine. Until";
    try_later: "Mesin ini sudah memakai semua percobaan keduanya dalam 24 jam. Halaman ini menawarkannya lagi, jika bisa sebelum", "This machine has had all its second tries of 24 hours. This page offers one again, if that is possible before";
    try_wanted: "Percobaan kedua", "Second try";
    try_wanted_hint: "Layar mesin menawarkannya selama 60 detik: tekan di sana. Kalau ada pelanggan lain, tunggu sampai ia selesai.", "The machine's screen offers it for 60 s: press there. If another customer is there, wait until that one is served.";
    number_hint: "Layar mesin menampilkan dua angka. Isi angkanya di sini, lalu tekan di mesin.", "The machine's screen shows two digits. Type them here, then press at the machine.";
    number_label: "Dua angka di layar mesin", "The two digits on the machine's screen";
    number_send: "Kirim", "Send";
    number_wrong: "Angka itu salah. Lihat layar mesin.", "That number was wrong. Look at the machine's screen.";
    number_told: "Benar. Tekan di mesin sekarang, dalam 20 detik.", "Right. Press at the machine now, within 20 s.";
    number_ended: "Tiga angka salah. Tekan tombol di bawah untuk angka yang baru.", "Three numbers were wrong. Press the button below for a new one.";
    number_no_more: "Terlalu banyak angka salah. Halaman ini tidak menanyakannya lagi hari ini. Hubungi kami; uang Anda tetap aman. Ditawarkan sampai", "Too many wrong numbers. This page asks for none any more today. Contact us; your money is safe. Offered until";
    say_code: "Sebutkan nomor pesanan di bawah.", "Tell us the order number below.";
    call_operator: "Hubungi pengelola mesin.", "Ask the owner of the machine.";
    call: "Telepon", "Call";
    refunded: "Dana Anda sudah dikembalikan", "Your money was returned";
    refunded_hint: "Lihat di aplikasi pembayaran Anda.", "It goes back to your payment app.";
    by_hand: "Sudah diselesaikan langsung dengan Anda", "Settled with you by hand";
    given: "Barang sudah diserahkan kepada Anda", "The goods were handed to you";
    chat: "Tanya lewat WhatsApp", "Ask on WhatsApp";
    chat_text: "Halo, saya bertanya tentang pesanan", "Hello, I have a question about order";
    receipt: "Bukti pembayaran", "Receipt";
    merchant: "Penjual", "Merchant";
    item: "Pembelian", "Item";
    total: "Jumlah", "Amount";
    paid_at: "Dibayar", "Paid on";
    status: "Status", "Status";
    order_number: "Nomor pesanan", "Order number";
    keep: "Simpan sebagai PDF atau cetak", "Save as PDF or print";
    thanks: "Terima kasih!", "Thank you!";
    sorry: "Maaf, pembayaran di aplikasi tidak berhasil.", "Sorry, the payment in the app did not work.";
    back: "Kembali ke pembayaran", "Back to the payment";
    not_found: "Pesanan tidak ditemukan", "We do not know this order";
    not_found_hint: "Periksa alamatnya, atau pindai lagi kode di mesin.", "Check the address, or scan the machine's code again.";
    no_order: "Di sini Anda melihat pesanan Anda", "Here you see your order";
    no_order_hint: "Pindai kode di layar mesin. Kode pada label mesin diketik di mesin itu, untuk `qrisctl setup`.", "Scan the code on the \
        machine's screen. The code on the label of a machine is typed in on that machine, for `qrisctl setup`.";
    not_now: "Sebentar…", "One moment…";
    not_now_hint: "Halaman ini belum dapat ditampilkan, dan akan dimuat ulang sendiri.", "This page cannot be shown now. It tries again by itself.";
    other_language: "English", "Bahasa Indonesia";
}

impl Words {
    pub(super) fn other(&self) -> &'static Words {
        Self::of(if self.language == "en" { Language::Id } else { Language::En })
    }
}

/// The words that `?lang=` asks for; else those that the phone likes best by `Accept-Language` (RFC 9110); else
/// Indonesian.
pub(super) fn choose(asked: Option<&str>, accept_language: &str) -> &'static Words {
    match asked {
        Some("en") => return Words::of(Language::En),
        Some("id") => return Words::of(Language::Id),
        Some(_) | None => {}
    }
    Words::of(speech::accepted(accept_language).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phone_decides_on_the_language() {
        for (asked, accept, language) in [
            (None, "", "id"),
            (None, "en", "en"),
            (None, "en-US,en;q=0.9,id;q=0.8", "en"),
            (None, "id-ID,id;q=0.9,en;q=0.8", "id"),
            (None, "in", "id"),
            (None, "fr, en;q=0.4", "en"),
            (None, "en;q=0.2, id;q=0.7", "id"),
            (None, "en;q=0", "id"),
            (None, "en;q=high", "id"),
            (None, "fr-FR,de", "id"),
            (None, "EN-GB", "en"),
            (Some("id"), "en", "id"),
            (Some("en"), "id", "en"),
            (Some("xx"), "en", "en"),
        ] {
            assert_eq!(choose(asked, accept).language, language, "{asked:?} {accept:?}");
        }
        assert_eq!([Language::En, Language::Id].map(|language| Words::of(language).other().language), ["id", "en"]);
    }
}
