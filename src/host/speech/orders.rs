//! What people read of an order: for each word of core's closed lists one entry, in both languages. The commands, the desk, alerts and letters
//! read it here. Lines of a command have no stop at their end; what stands on the desk is a sentence.

use super::{Language, spoken};
use qris_core::order::merchant::{Attention, End, NoTry, Refused};

/// A text in both languages. `{0}` is what [`fill`](super::fill) puts in: the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    id: &'static str,
    en: &'static str,
}

impl Text {
    #[must_use]
    pub const fn of(self, language: Language) -> &'static str {
        match language {
            Language::Id => self.id,
            Language::En => self.en,
        }
    }

    /// In the language of the person at a command.
    #[must_use]
    pub fn spoken(self) -> &'static str {
        self.of(spoken())
    }
}

const fn t(id: &'static str, en: &'static str) -> Text {
    Text { id, en }
}

// What several say.
const AWAITED: Text = t("baru dibayar, atau belum diambil", "paid just now, or not collected yet");
const TO_DO_SOON: Text = t("putuskan sekarang, sebelum uangnya tidak bisa dikembalikan lagi lewat gateway: `refund ORDER`, atau `given ORDER --by NAME`", "decide now, because the gateway will not refund it any more: `refund ORDER`, or `given ORDER --by NAME`");
const NO_NOT_PAID: Text = t("pesanan ini belum dibayar", "the order is not paid");
const NO_NOT_REPORTED: Text = t("mesin belum melaporkan hasil, dan mungkin masih mengeluarkan barangnya", "the machine has told no outcome, and may still deliver it");
const TO_DO_TRY_MONEY: Text = t("`refund {0}` mengembalikan uangnya", "`refund {0}` gives the money back");
const TO_DO_NO_PROOF: Text = t("periksa mesinnya; jika barang tidak keluar: `refund {0} --no-proof --by NAME`", "look at the machine; if the item did not come out: `refund {0} --no-proof --by NAME`");
const TO_DO_TOO_EARLY: Text = t("sementara itu periksa mesinnya: apakah menyala, dan apakah bisa menghubungi backend?", "look at the machine meanwhile: is it on, and does it reach the backend?");
const TO_DO_BY_HAND: Text = t("kembalikan uangnya, lalu: `refund {0} --settled-by-hand NOTE`", "give it back, then: `refund {0} --settled-by-hand NOTE`");
const TO_DO_ASK: Text = t("`orders {0}` menampilkan riwayatnya; `reconcile` bertanya kepada gateway", "`orders {0}` shows its history; `reconcile` asks the gateway");
const TO_DO_READ: Text = t("`orders {0}` menampilkan riwayatnya", "`orders {0}` shows its history");
const DESK_NO_NOT_PAID: Text = t("Pesanan ini belum dibayar.", "This order is not paid.");
const NO_DELIVERED: Text = t("Mesin melaporkan bahwa barang keluar.", "The machine told that the goods came out.");
const DESK_NO_NOT_REPORTED: Text = t("Mesin belum melapor, dan mungkin masih mengeluarkan barangnya.", "The machine has told nothing, and may still hand it out.");
const NO_NO_PROOF: Text = t("Belum ada bukti dari relai bahwa barang tidak keluar.", "The relay's proof that nothing came out is missing.");
const NO_MORE_TRIES: Text = t("Mesin sudah mencobanya sebanyak yang dibolehkan.", "The machine has tried it as often as it may.");

/// Why something is refused.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// At a command. In English it is what core says.
    pub line: Text,
    /// What to do at a command.
    pub to_do: Text,
    pub desk: Text,
}

/// Why a person must look at an order.
#[derive(Debug, Clone, Copy)]
pub struct Reason {
    /// In a letter or alert, behind goods, price and machine. English.
    pub alert: &'static str,
    /// What to do at a command, in an alert.
    pub to_do: Text,
    pub desk: Text,
    /// What to do at the desk.
    pub desk_to_do: Text,
}

/// What became of the money of an order.
#[derive(Debug, Clone, Copy)]
pub struct Became {
    /// At a command.
    pub line: Text,
    pub desk: Text,
}

#[must_use]
pub const fn refused(why: Refused) -> Refusal {
    match why {
        Refused::OutcomeStands => Refusal {
            line: t("hasil lain sudah dilaporkan sebelumnya, dan itu yang berlaku", "another outcome was told before, and stands"),
            to_do: TO_DO_READ,
            desk: t("Hasil lain sudah dilaporkan sebelumnya, dan itu yang berlaku.", "Another outcome was told before, and stands."),
        },
        Refused::NotPaid => Refusal {
            line: NO_NOT_PAID,
            to_do: TO_DO_ASK,
            desk: DESK_NO_NOT_PAID,
        },
        Refused::NotEnded => Refusal {
            line: t("pesanan ini belum berakhir", "the order has not ended yet"),
            to_do: TO_DO_ASK,
            desk: t("Pesanan ini belum berakhir.", "This order has not ended yet."),
        },
        Refused::Delivered => Refusal {
            line: t("mesin melaporkan bahwa barang keluar: tidak ada yang perlu dikembalikan", "the machine reported it as dispensed: there is nothing to refund"),
            to_do: TO_DO_READ,
            desk: NO_DELIVERED,
        },
        Refused::NotReported => Refusal {
            line: NO_NOT_REPORTED,
            to_do: t("setelah pesanan tercatat sebagai `unreported`, satu jam setelah pembayaran: `refund {0} --no-report --by NAME`", "once it is listed as unreported, an hour after the settlement: `refund {0} --no-report --by NAME`"),
            desk: DESK_NO_NOT_REPORTED,
        },
        Refused::TooEarly => Refusal {
            line: t("masih terlalu awal: mesin mungkin masih mengeluarkan barangnya, atau melaporkan hasilnya. Coba lagi setelah pesanan tercatat sebagai `unreported`, dan satu jam setelah pembayaran (dengan kode pembayaran: satu jam setelah batas pengambilannya)", "it is too early: the machine may still deliver it, or tell what became of it. Ask again once it is listed as unreported, and an hour after the settlement (with a payment code: an hour after the last moment to collect it)"),
            to_do: TO_DO_TOO_EARLY,
            desk: t("Masih terlalu awal: mesin mungkin masih mengeluarkan barangnya. Coba lagi satu jam setelah pembayaran atau percobaan terakhir; yang dibayar di kasir: satu jam setelah batas pengambilannya.", "It is too early: the machine may still hand it out. Try again an hour after the payment or the last try; what was paid at a counter: an hour after its time to collect is over."),
        },
        Refused::RefundUnderWay => Refusal {
            line: t("gateway sedang diminta melakukan pengembalian dana", "the gateway is being asked for its refund"),
            to_do: t("`serve` melanjutkannya: lihat `orders {0}`. Jika setelah beberapa menit hasilnya belum diketahui: `refund {0} --settled-by-hand NOTE --by NAME`", "`serve` goes on with it: see `orders {0}`. If nobody tells what became of it, after some minutes: `refund {0} --settled-by-hand NOTE --by NAME`"),
            desk: t("Gateway sedang diminta mengembalikan uangnya.", "The gateway is being asked to send the money back."),
        },
        Refused::RefundUnsure => Refusal {
            line: t("pengembalian dana sebelumnya mungkin sudah terjadi: minta sekali lagi, atau sebutkan siapa yang sudah memastikan bahwa itu tidak terjadi", "an earlier refund may have been made: ask for it once more, or say who has looked that it was not"),
            to_do: t("`refund {0}`; atau lihat di dashboard gateway, dan jika tidak ada uang yang kembali: `refund {0} --settled-by-hand NOTE --by NAME`", "`refund {0}`; or look in the gateway's dashboard, and if nothing went back: `refund {0} --settled-by-hand NOTE --by NAME`"),
            desk: t("Mungkin uangnya sudah dikembalikan sebelumnya. Lihat dulu di dashboard gateway.", "The money may have gone back before. First look in the gateway's dashboard."),
        },
        Refused::RefundedAlready => Refusal {
            line: t("uangnya sudah dikembalikan", "it is refunded already"),
            to_do: TO_DO_READ,
            desk: t("Uangnya sudah dikembalikan.", "The money went back already."),
        },
        Refused::Given => Refusal {
            line: t("petugas sudah menyerahkan barangnya: tidak ada yang perlu dikembalikan", "an attendant handed the goods over: there is nothing to refund"),
            to_do: TO_DO_READ,
            desk: t("Barangnya sudah diserahkan.", "The goods were handed over."),
        },
        Refused::TakenBack => Refusal {
            line: t("uangnya sudah ditarik kembali: tidak ada yang perlu dikembalikan", "the money was taken back already: there is nothing to refund"),
            to_do: TO_DO_READ,
            desk: t("Uangnya sudah ditarik kembali.", "The money was taken back."),
        },
        Refused::NoProof => Refusal {
            line: t("bukti dari relai bahwa barang tidak keluar belum ada", "the relay's proof that it was not handed out is missing"),
            to_do: TO_DO_NO_PROOF,
            desk: NO_NO_PROOF,
        },
        Refused::NotByApi => Refusal {
            line: t("pembayaran di kasir toko tidak bisa dikembalikan lewat gateway: kembalikan uangnya secara langsung", "the gateway does not refund payments over the counter: give the money back by hand"),
            to_do: TO_DO_BY_HAND,
            desk: t("Pembayaran di kasir toko tidak bisa dikembalikan lewat gateway.", "The gateway does not refund payments at a shop's counter."),
        },
        Refused::OnlyByHand => Refusal {
            line: t("tidak bisa dikembalikan lagi lewat gateway: hanya secara langsung", "the gateway does not refund it any more: only by hand"),
            to_do: TO_DO_BY_HAND,
            desk: t("Gateway tidak bisa mengembalikannya lagi: waktunya lewat.", "The gateway does not send it back any more: its time is over."),
        },
        Refused::NothingToSee => Refusal {
            line: t("tidak ada hal di pesanan ini yang bisa diakhiri `seen`", "this order has nothing that `seen` could end"),
            to_do: TO_DO_READ,
            desk: t("Tidak ada yang perlu dilihat di pesanan ini.", "There is nothing to see in this order."),
        },
    }
}

#[must_use]
pub const fn no_try(why: NoTry) -> Refusal {
    match why {
        NoTry::Off => Refusal {
            line: t("percobaan lagi tidak ditawarkan: orders.second_tries adalah 0", "no other tries are offered: orders.second_tries is 0"),
            to_do: t("`refund {0}` mengembalikan uangnya; atau isi orders.second_tries di konfigurasi", "`refund {0}` gives the money back; or set orders.second_tries in the configuration"),
            desk: t("Percobaan kedua tidak ditawarkan di toko ini. Orang yang mengurus server Anda bisa mengubahnya.", "This shop offers no second tries. Whoever runs your server can change that."),
        },
        NoTry::NotPaid => Refusal {
            line: NO_NOT_PAID,
            to_do: TO_DO_ASK,
            desk: DESK_NO_NOT_PAID,
        },
        NoTry::NotTold => Refusal {
            line: NO_NOT_REPORTED,
            to_do: TO_DO_TOO_EARLY,
            desk: DESK_NO_NOT_REPORTED,
        },
        NoTry::Came => Refusal {
            line: t("mesin melaporkan bahwa barang keluar", "the machine reported it as dispensed"),
            to_do: TO_DO_READ,
            desk: NO_DELIVERED,
        },
        NoTry::Uncertain => Refusal {
            line: t("tidak diketahui apakah barangnya keluar", "nobody knows whether it came out"),
            to_do: TO_DO_READ,
            desk: t("Tidak diketahui apakah barang keluar. Mesin bisa mengeluarkannya dua kali.", "Nobody knows whether the goods came. The machine could hand them out twice."),
        },
        NoTry::NotProven => Refusal {
            line: t("bukti dari relai bahwa tidak ada yang keluar belum ada", "the relay's proof that nothing came out is missing"),
            to_do: TO_DO_NO_PROOF,
            desk: NO_NO_PROOF,
        },
        NoTry::Repaid => Refusal {
            line: t("uangnya sudah atau sedang dikembalikan, atau petugas sudah menyerahkan barangnya", "the money went back or is asked back, or an attendant handed the goods over"),
            to_do: TO_DO_READ,
            desk: t("Uangnya kembali, atau barangnya sudah diserahkan.", "The money goes back, or the goods were handed over."),
        },
        NoTry::Doubtful => Refusal {
            line: t("yang diketahui tentang pesanan ini meragukan: seseorang harus memutuskannya", "what is known of the order is in doubt: a person decides about it"),
            to_do: TO_DO_READ,
            desk: t("Yang diketahui tentang pesanan ini tidak cocok satu sama lain. Putuskan tentang uangnya.", "What is known of this order does not agree. Decide about the money."),
        },
        NoTry::TooLate => Refusal {
            line: t("waktu pengembalian dana lewat gateway tinggal kurang dari 48 jam", "the gateway refunds it for less than 48 h from now"),
            to_do: TO_DO_TRY_MONEY,
            desk: t("Gateway hanya bisa mengembalikan uangnya kurang dari dua hari lagi. Putuskan tentang uangnya.", "The gateway can send the money back for less than two more days. Decide about the money."),
        },
        NoTry::NotOffered => Refusal {
            line: t("percobaan lagi tidak ditawarkan lagi untuk pesanan ini", "no other try is offered for this order any more"),
            to_do: TO_DO_TRY_MONEY,
            desk: NO_MORE_TRIES,
        },
        NoTry::OtherKey => Refusal {
            line: t("kunci relai mesin itu bukan kunci pesanan ini", "the key of the machine's relay is not the one of this order"),
            to_do: TO_DO_READ,
            desk: NO_MORE_TRIES,
        },
        NoTry::OtherPromise => Refusal {
            line: t("janji relai itu bukan untuk percobaan berikutnya pada pesanan ini", "the relay's promise is not for the next try at this order"),
            to_do: TO_DO_READ,
            desk: NO_MORE_TRIES,
        },
        NoTry::TooDear => Refusal {
            line: t("barang itu lebih mahal daripada yang dibayar", "the item costs more than was paid"),
            to_do: TO_DO_READ,
            desk: NO_MORE_TRIES,
        },
        NoTry::NotAsked => Refusal {
            line: t("dalam 30 detik terakhir gateway tidak menyatakan bahwa uangnya milik penjual", "the gateway has not said in the last 30 s that the money is the merchant's"),
            to_do: TO_DO_READ,
            desk: NO_MORE_TRIES,
        },
        NoTry::TooMany => Refusal {
            line: t("jatah percobaan lagi mesin ini untuk 24 jam sudah habis", "this machine has had its other tries of 24 hours"),
            to_do: TO_DO_TRY_MONEY,
            desk: t("Mesin ini sudah memakai semua percobaan keduanya dalam 24 jam. Tunggu, atau kembalikan uangnya.", "This machine has had all its second tries of 24 hours. Wait, or give the money back."),
        },
    }
}

#[must_use]
pub const fn attention(kind: Attention) -> Reason {
    match kind {
        Attention::RefundDue => Reason {
            alert: "was paid and not delivered: the customer is owed the money",
            to_do: t("kembalikan uangnya (`refund ORDER`, atau di dashboard gateway: lalu ini selesai sendiri), atau serahkan barangnya (`given ORDER --by NAME`)", "give the money back (`refund ORDER`, or in the gateway's dashboard, and this ends by itself), or hand the goods over (`given ORDER --by NAME`)"),
            desk: t("Sudah dibayar, tetapi barang tidak keluar.", "It is paid, but nothing came out."),
            desk_to_do: t("Kembalikan uangnya, atau serahkan barangnya.", "Send the money back, or hand the goods over."),
        },
        Attention::NoProof => Reason {
            alert: "was paid, and reported as not delivered without the relay's proof: a person must decide the refund",
            to_do: t("periksa mesinnya; jika mesin mungkin di tangan orang lain, tutup dulu tiketnya, karena tanda terima masih bisa membuka relainya; lalu `refund ORDER --no-proof --by NAME` jika barang tidak keluar, `given ORDER --by NAME` jika keluar", "look at the machine; if somebody else may have it, close the ticket first, because the receipt still opens the relay; then `refund ORDER --no-proof --by NAME` if nothing came out, `given ORDER --by NAME` if it did"),
            desk: t("Sudah dibayar. Mesin melaporkan bahwa barang tidak keluar, tetapi tanpa bukti dari relainya.", "It is paid. The machine says that nothing came out, but without the proof of its relay."),
            desk_to_do: t("Periksa mesinnya. Barang tidak keluar: kembalikan uangnya. Barang keluar: tandai sebagai diserahkan.", "Look at the machine. Nothing came out: send the money back. It did: say that the goods were handed over."),
        },
        Attention::RefundFailed => Reason {
            alert: "could not be refunded through the gateway: the customer is still owed the money",
            to_do: t("cari sebabnya di riwayat; lalu `refund ORDER` sekali lagi, atau pastikan di dashboard gateway bahwa tidak ada uang yang kembali, kembalikan uangnya dengan cara lain, dan `refund ORDER --settled-by-hand NOTE --by NAME`", "find the reason in its history; then `refund ORDER` again, or look in the gateway's dashboard that nothing went back, give the money back in another way, and `refund ORDER --settled-by-hand NOTE --by NAME`"),
            desk: t("Gateway tidak mengembalikan uangnya. Pelanggan masih menunggu.", "The gateway did not send the money back. The customer still waits."),
            desk_to_do: t("Coba sekali lagi. Jika tetap tidak bisa, kembalikan dengan cara lain, lalu catat di sini.", "Try once more. If that does not work, pay it back in another way, and note it here."),
        },
        Attention::Uncertain => Reason {
            alert: "was paid, and nobody knows whether it came out",
            to_do: t("periksa mesinnya atau tanya pelanggan; lalu `given ORDER --by NAME` jika barang keluar, `refund ORDER --no-proof --by NAME` jika tidak", "look at the machine or ask the customer; then `given ORDER --by NAME` if it came out, `refund ORDER --no-proof --by NAME` if not"),
            desk: t("Sudah dibayar, dan tidak diketahui apakah barang keluar.", "It is paid, and nobody knows whether the goods came."),
            desk_to_do: t("Periksa mesinnya, atau tanya pelanggan. Lalu kembalikan uangnya, atau tandai sebagai diserahkan.", "Look at the machine, or ask the customer. Then send the money back, or say that the goods were handed over."),
        },
        Attention::Unreported => Reason {
            alert: "was paid, and the machine has told no outcome",
            to_do: t("periksa mesinnya; jika mesin mungkin di tangan orang lain, tutup dulu tiketnya, karena tanda terima masih bisa membuka relainya; satu jam setelah pembayaran: `refund ORDER --no-report --by NAME`, atau `given ORDER --by NAME`", "look at the machine; if somebody else may have it, close the ticket first, because the receipt still opens the relay; an hour after the payment: `refund ORDER --no-report --by NAME`, or `given ORDER --by NAME`"),
            desk: t("Sudah dibayar, tetapi mesin tidak melaporkan hasilnya.", "It is paid, but the machine did not tell what became of it."),
            desk_to_do: t("Periksa apakah mesin menyala dan terhubung. Satu jam setelah pembayaran Anda bisa mengembalikan uangnya.", "See whether the machine is on and connected. An hour after the payment you can send the money back."),
        },
        Attention::Mismatch => Reason {
            alert: "was paid, but not as it was charged: nothing was delivered for it",
            to_do: t("cocokkan dengan transaksinya di dashboard gateway, lalu `refund ORDER`", "compare it with the transaction in the gateway's dashboard, then `refund ORDER`"),
            desk: t("Yang dibayar tidak sama dengan tagihannya. Barang tidak keluar.", "What was paid is not what was asked for. Nothing came out."),
            desk_to_do: t("Cocokkan dengan transaksinya di dashboard gateway, lalu kembalikan uangnya.", "Compare it with the transaction in the gateway's dashboard, then send the money back."),
        },
        Attention::Conflict => Reason {
            alert: "was reported with two different outcomes",
            to_do: t("cari tahu hasil mana yang ditandatangani relainya, lalu putuskan: `given ORDER --by NAME`, atau `refund ORDER --no-proof --by NAME`", "find out which outcome its relay has signed, then decide: `given ORDER --by NAME`, or `refund ORDER --no-proof --by NAME`"),
            desk: t("Mesin melaporkan dua hasil yang berbeda.", "The machine told two different outcomes."),
            desk_to_do: t("Cari tahu apakah barang keluar. Lalu kembalikan uangnya, atau tandai sebagai diserahkan.", "Find out whether the goods came. Then send the money back, or say that the goods were handed over."),
        },
        Attention::Suspect => Reason {
            alert: "has a status at the gateway that does not say whether it was paid",
            to_do: t("lihat di dashboard gateway apakah transaksinya sudah dibayar; lalu `seen ORDER --by NAME`. Jika pesanan ini juga tercatat sebagai `unconfirmed`, perintah itu mengakhirinya", "look in the gateway's dashboard whether the transaction was paid; then `seen ORDER --by NAME`. If the order is listed as unconfirmed, too, that ends it"),
            desk: t("Dari kata gateway tidak jelas apakah sudah dibayar.", "The gateway's word does not tell whether it is paid."),
            desk_to_do: t("Lihat transaksinya di dashboard gateway, lalu tandai sudah dilihat.", "Look at the transaction in the gateway's dashboard, then say that you have seen it."),
        },
        Attention::Unconfirmed => Reason {
            alert: "may be paid: the gateway told so and does not confirm it, or its answers are not understood",
            to_do: t("lihat di dashboard gateway apakah sudah dibayar. Jika sudah: kembalikan uangnya, lalu `refund ORDER --settled-by-hand NOTE --by NAME`. Jika belum: `seen ORDER --by NAME`. Keduanya mengakhiri pesanan, dan barang tidak akan keluar lagi untuk pesanan itu", "look in the gateway's dashboard whether it was paid. If it was: give the money back, and `refund ORDER --settled-by-hand NOTE --by NAME`. If not: `seen ORDER --by NAME`. Each ends the order, and nothing is handed out for it any more"),
            desk: t("Tidak ada yang memastikan apakah pesanan ini sudah dibayar.", "Nobody confirms whether this order is paid."),
            desk_to_do: t("Lihat di dashboard gateway. Sudah dibayar: kembalikan uangnya di sana, lalu catat di sini. Belum: tandai sudah dilihat.", "Look in the gateway's dashboard. It is paid: send the money back there, and note it here. It is not: say that you have seen it."),
        },
        Attention::RefundSoon => Reason {
            alert: "is owed to its customer, and the gateway refunds it for three days at most",
            to_do: TO_DO_SOON,
            desk: t("Gateway hanya bisa mengembalikan uangnya beberapa hari lagi.", "The gateway can send the money back for a few more days only."),
            desk_to_do: t("Putuskan sekarang.", "Decide now."),
        },
        Attention::RefundLastDay => Reason {
            alert: "is owed to its customer, and the gateway refunds it for one day at most",
            to_do: TO_DO_SOON,
            desk: t("Gateway hanya bisa mengembalikan uangnya satu hari lagi.", "The gateway can send the money back for one more day only."),
            desk_to_do: t("Putuskan hari ini.", "Decide today."),
        },
        Attention::OnlyByHand => Reason {
            alert: "is owed to its customer, and the gateway does not refund it any more: only by hand",
            to_do: t("hanya secara langsung: kembalikan uangnya dengan cara lain, lalu `refund ORDER --settled-by-hand NOTE`; atau `given ORDER --by NAME`", "only by hand: give the money back in another way, and then `refund ORDER --settled-by-hand NOTE`; or `given ORDER --by NAME`"),
            desk: t("Gateway tidak bisa mengembalikan uangnya lagi: waktunya lewat.", "The gateway cannot send the money back any more: its time is over."),
            desk_to_do: t("Kembalikan dengan cara lain, lalu catat di sini.", "Pay it back in another way, and note it here."),
        },
        Attention::PartialRefund => Reason {
            alert: "was refunded in part at the gateway",
            to_do: t("gateway mengembalikan sebagian uangnya: cari tahu apakah itu disengaja; lalu `seen ORDER --by NAME`", "the gateway gave a part of the money back: find out whether that was intended; then `seen ORDER --by NAME`"),
            desk: t("Sebagian uang sudah kembali lewat gateway.", "A part of the money went back through the gateway."),
            desk_to_do: t("Periksa apakah itu disengaja, lalu tandai sudah dilihat.", "Find out whether that was intended, then say that you have seen it."),
        },
        Attention::Chargeback => Reason {
            alert: "was charged back by the customer's bank",
            to_do: t("bank pelanggan menarik kembali uangnya: jika itu salah, ajukan keberatan ke gateway; lalu `seen ORDER --by NAME`", "the customer's bank took the money back: contest that at the gateway if it is wrong; then `seen ORDER --by NAME`"),
            desk: t("Bank pelanggan menarik kembali uangnya.", "The customer's bank took the money back."),
            desk_to_do: t("Jika itu salah, ajukan keberatan ke gateway. Lalu tandai sudah dilihat.", "If that is wrong, contest it at the gateway. Then say that you have seen it."),
        },
        Attention::Reversed => Reason {
            alert: "was taken back by the shop's counter after its receipt",
            to_do: t("kasir toko menarik kembali uangnya setelah tanda terima: tanyakan ke gateway; lalu `seen ORDER --by NAME`", "the shop's counter took the money back after the receipt: ask the gateway; then `seen ORDER --by NAME`"),
            desk: t("Kasir toko menarik kembali pembayarannya.", "The shop's counter took its payment back."),
            desk_to_do: t("Tanyakan ke gateway, lalu tandai sudah dilihat.", "Ask the gateway, then say that you have seen it."),
        },
        Attention::LateFact => Reason {
            alert: "gave its customer goods and money, the money twice, or a refund that the bank refused",
            to_do: t("pelanggan mendapat barang dan uang, atau uang dua kali; atau bank menolak pengembalian dana, dan pelanggan tidak mendapat apa-apa: baca riwayatnya dan selesaikan dengan pelanggan; lalu `seen ORDER --by NAME`", "the customer has goods and money, or the money twice; or the bank refused a refund, and the customer has nothing: read the history and settle it with the customer; then `seen ORDER --by NAME`"),
            desk: t("Sesuatu datang setelah pesanan ini selesai: pelanggan mungkin mendapat barang dan uang, atau tidak mendapat apa-apa.", "Something came after this order was settled: the customer may have goods and money, or nothing."),
            desk_to_do: t("Baca yang terjadi di bawah, selesaikan dengan pelanggan, lalu tandai sudah dilihat.", "Read below what happened, settle it with the customer, then say that you have seen it."),
        },
    }
}

#[must_use]
pub const fn end(end: End) -> Became {
    match end {
        End::Delivered => Became { line: t("barang keluar", "delivered"), desk: t("barang keluar", "goods came out") },
        End::Given => Became { line: t("diserahkan oleh petugas", "handed over by an attendant"), desk: t("barang diserahkan", "goods handed over") },
        End::RefundDue => Became { line: t("harus dikembalikan", "refund due"), desk: t("uang harus dikembalikan", "money is owed") },
        End::Refunded => Became { line: t("dikembalikan lewat gateway", "refunded through the gateway"), desk: t("uang sudah dikembalikan", "money went back") },
        End::RefundedByHand => Became { line: t("dikembalikan secara langsung", "refunded by hand"), desk: t("uang dikembalikan secara langsung", "money was paid back by hand") },
        End::Uncertain => Became { line: t("belum pasti: tidak diketahui apakah keluar", "uncertain: nobody knows whether it came"), desk: t("belum pasti apakah barang keluar", "uncertain whether the goods came") },
        End::Unreported => Became { line: t("mesin tidak melapor", "unreported by the machine"), desk: t("mesin tidak melapor", "the machine told nothing") },
        End::Awaited => Became { line: AWAITED, desk: AWAITED },
        End::TakenBack => Became { line: t("ditarik kembali oleh kasir atau bank", "taken back by counter or bank"), desk: t("uang ditarik kembali", "money was taken back") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speech::is_pair;

    /// Core says it to machines and the books in the same words. On the desk each has a sentence of its own.
    #[test]
    fn a_refusal_says_what_core_says_and_has_the_same_values_in_both_languages() {
        let refused = Refused::ALL.map(|why| (why.to_string(), super::refused(why)));
        let tries = NoTry::ALL.map(|why| (why.to_string(), no_try(why)));
        for (core, Refusal { line, to_do, desk }) in refused.iter().chain(&tries) {
            assert_eq!(line.en, core);
            assert!([*line, *to_do, *desk].into_iter().all(|text| is_pair(text.id, text.en)), "{core}");
            assert!([desk.id, desk.en].into_iter().all(|text| text.ends_with('.') && !text.contains('{')), "{desk:?}");
        }
        for language in [Language::Id, Language::En] {
            let mut said = refused.clone().map(|(_, why)| why.desk.of(language));
            said.sort_unstable();
            assert_eq!(said.windows(2).find(|two| two[0] == two[1]), None);
        }
    }

    #[test]
    fn each_reason_to_look_has_words_of_its_own() {
        let all = Attention::ALL.map(attention);
        for language in [Language::Id, Language::En] {
            let mut said = all.map(|why| (why.desk.of(language), why.desk_to_do.of(language)));
            assert!(said.iter().all(|(why, to_do)| why.ends_with('.') && to_do.ends_with('.')), "{said:?}");
            said.sort_unstable();
            assert_eq!(said.windows(2).find(|two| two[0] == two[1]), None);
        }
        assert!(all.iter().all(|why| is_pair(why.to_do.id, why.to_do.en)));
        assert!(End::ALL.map(end).iter().all(|became| is_pair(became.line.id, became.line.en) && is_pair(became.desk.id, became.desk.en)));
    }
}
