//! What people read of an order: for each word of core's closed lists one entry, in both languages. The commands, the desk, alerts and letters
//! read it here. Lines of a command have no stop at their end; what stands on the desk is a sentence.

use super::{Language, fill, spoken};
use qris_core::order::merchant::{Attention, End, NoProof, NoTry, Proof, Refused};
use qris_core::order::outcome::Delivery;
use qris_core::order::reason::Reason;
use qris_core::order::scheme::Scheme;
use qris_core::text::is_pair;
use qris_core::wire::people::NoEnd;

/// A text in both languages. `{0}` is what [`fill`](super::fill) puts in: the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    id: &'static str,
    en: &'static str,
}

impl Text {
    const fn pair(id: &'static str, en: &'static str) -> Self {
        assert!(is_pair(id, en), "a text and its translation have other values");
        Self { id, en }
    }

    #[must_use]
    pub const fn of(self, language: Language) -> &'static str {
        match language {
            Language::Id => self.id,
            Language::En => self.en,
        }
    }

    /// For programs, the journal and the books.
    #[must_use]
    pub const fn en(self) -> &'static str {
        self.en
    }

    /// In the language of the person at a command.
    #[must_use]
    pub fn spoken(self) -> &'static str {
        self.of(spoken())
    }
}

/// A table: for each word of a closed list its texts. A text that several say is named.
macro_rules! table {
    (@ $id:literal, $en:literal) => { Text::pair($id, $en) };
    (@ $one:expr) => { $one };
    ($name:ident($Word:ident) -> $Said:ident { $($word:ident { $($field:ident: $($text:tt),+;)+ })+ }) => {
        #[must_use]
        pub const fn $name(word: $Word) -> $Said {
            match word {
                $($Word::$word => $Said { $($field: table!(@ $($text),+),)+ },)+
            }
        }
    };
    ($name:ident($Word:ident) { $($word:ident: $id:literal, $en:literal;)+ }) => {
        #[must_use]
        pub const fn $name(word: $Word) -> Text {
            match word {
                $($Word::$word => Text::pair($id, $en),)+
            }
        }
    };
}

/// The same for words that come over the wire: those that nobody has to read, and those of a later release, have no text, and are shown as
/// they came.
macro_rules! table_of_words {
    ($name:ident($Word:ident) { $($word:ident: $($text:tt),+;)+ } but $($other:pat_param)|+) => {
        #[must_use]
        pub const fn $name(word: $Word) -> Option<Text> {
            match word {
                $($Word::$word => Some(table!(@ $($text),+)),)+
                $($other)|+ => None,
            }
        }
    };
}

macro_rules! shared {
    ($($name:ident: $id:literal, $en:literal;)+) => { $(const $name: Text = Text::pair($id, $en);)+ };
}

// What several say.
shared! {
    AWAITED: "baru dibayar, atau belum diambil", "paid just now, or not collected yet";
    TO_DO_SOON: "putuskan sekarang, sebelum uangnya tidak bisa dikembalikan lagi lewat gateway: `refund ORDER`, atau `given ORDER --by NAME --from PLACE`", "decide now, because the gateway will not refund it any more: `refund ORDER`, or `given ORDER --by NAME --from PLACE`";
    NOT_PAID: "pesanan ini belum dibayar", "the order is not paid";
    NOT_REPORTED: "mesin belum melaporkan hasil, dan mungkin masih mengeluarkan barangnya", "the machine has told no outcome, and may still deliver it";
    TO_DO_TRY_MONEY: "`refund {0}` mengembalikan uangnya", "`refund {0}` gives the money back";
    TO_DO_NO_PROOF: "periksa mesinnya; jika barang tidak keluar: `refund {0} --no-proof --by NAME`", "look at the machine; if the item did not come out: `refund {0} --no-proof --by NAME`";
    TO_DO_TOO_EARLY: "sementara itu periksa mesinnya: apakah menyala, dan apakah bisa menghubungi backend?", "look at the machine meanwhile: is it on, and does it reach the backend?";
    TO_DO_BY_HAND: "kembalikan uangnya, lalu: `refund {0} --settled-by-hand NOTE`", "give it back, then: `refund {0} --settled-by-hand NOTE`";
    TO_DO_ASK: "`orders {0}` menampilkan riwayatnya; `reconcile` bertanya kepada gateway", "`orders {0}` shows its history; `reconcile` asks the gateway";
    TO_DO_READ: "`orders {0}` menampilkan riwayatnya", "`orders {0}` shows its history";
    DESK_NOT_PAID: "Pesanan ini belum dibayar.", "This order is not paid.";
    DESK_DELIVERED: "Mesin melaporkan bahwa barang keluar.", "The machine told that the goods came out.";
    DESK_NOT_REPORTED: "Mesin belum melapor, dan mungkin masih mengeluarkan barangnya.", "The machine has told nothing, and may still hand it out.";
    DESK_NO_PROOF: "Belum ada bukti dari relai bahwa barang tidak keluar.", "The relay's proof that nothing came out is missing.";
    NO_RELAY: "relai tidak bisa dipakai", "the relay could not be used";
    SIGNED: "ditandatangani relai mesin itu, dengan nomor {0}", "signed by the machine's relay, as its number {0}";
    UNSIGNED: "tidak ada: {0}", "missing: {0}";
    DESK_NO_MORE_TRIES: "Mesin sudah mencobanya sebanyak yang dibolehkan.", "The machine has tried it as often as it may.";
}

/// Why something is refused.
#[derive(Debug, Clone, Copy)]
pub struct Refusal {
    /// At a command, to a machine and in the journal.
    pub line: Text,
    /// What to do at a command.
    pub to_do: Text,
    pub desk: Text,
}

/// Why a person must look at an order.
#[derive(Debug, Clone, Copy)]
pub struct Look {
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

table! { refused(Refused) -> Refusal {
    OutcomeStands {
        line: "hasil lain sudah dilaporkan sebelumnya, dan itu yang berlaku", "another outcome was told before, and stands";
        to_do: TO_DO_READ;
        desk: "Hasil lain sudah dilaporkan sebelumnya, dan itu yang berlaku.", "Another outcome was told before, and stands.";
    }
    NotPaid {
        line: NOT_PAID;
        to_do: TO_DO_ASK;
        desk: DESK_NOT_PAID;
    }
    NotEnded {
        line: "pesanan ini belum berakhir", "the order has not ended yet";
        to_do: TO_DO_ASK;
        desk: "Pesanan ini belum berakhir.", "This order has not ended yet.";
    }
    Delivered {
        line: "mesin melaporkan bahwa barang keluar: tidak ada yang perlu dikembalikan", "the machine reported it as dispensed: there is nothing to refund";
        to_do: TO_DO_READ;
        desk: DESK_DELIVERED;
    }
    NotReported {
        line: NOT_REPORTED;
        to_do: "setelah pesanan tercatat sebagai `unreported`, satu jam setelah pembayaran: `refund {0} --no-report --by NAME`", "once it is listed as unreported, an hour after the settlement: `refund {0} --no-report --by NAME`";
        desk: DESK_NOT_REPORTED;
    }
    TooEarly {
        line: "masih terlalu awal: mesin mungkin masih mengeluarkan barangnya, atau melaporkan hasilnya. Coba lagi setelah pesanan tercatat sebagai `unreported`, dan satu jam setelah pembayaran (dengan kode pembayaran: satu jam setelah batas pengambilannya)", "it is too early: the machine may still deliver it, or tell what became of it. Ask again once it is listed as unreported, and an hour after the settlement (with a payment code: an hour after the last moment to collect it)";
        to_do: TO_DO_TOO_EARLY;
        desk: "Masih terlalu awal: mesin mungkin masih mengeluarkan barangnya. Coba lagi satu jam setelah pembayaran atau percobaan terakhir; yang dibayar di kasir: satu jam setelah batas pengambilannya.", "It is too early: the machine may still hand it out. Try again an hour after the payment or the last try; what was paid at a counter: an hour after its time to collect is over.";
    }
    RefundUnderWay {
        line: "gateway sedang diminta melakukan pengembalian dana", "the gateway is being asked for its refund";
        to_do: "`serve` melanjutkannya: lihat `orders {0}`. Jika setelah beberapa menit hasilnya belum diketahui: `refund {0} --settled-by-hand NOTE --by NAME`", "`serve` goes on with it: see `orders {0}`. If nobody tells what became of it, after some minutes: `refund {0} --settled-by-hand NOTE --by NAME`";
        desk: "Gateway sedang diminta mengembalikan uangnya.", "The gateway is being asked to send the money back.";
    }
    RefundUnsure {
        line: "pengembalian dana sebelumnya mungkin sudah terjadi: minta sekali lagi, atau sebutkan siapa yang sudah memastikan bahwa itu tidak terjadi", "an earlier refund may have been made: ask for it once more, or say who has looked that it was not";
        to_do: "`refund {0}`; atau lihat di dashboard gateway, dan jika tidak ada uang yang kembali: `refund {0} --settled-by-hand NOTE --by NAME`", "`refund {0}`; or look in the gateway's dashboard, and if nothing went back: `refund {0} --settled-by-hand NOTE --by NAME`";
        desk: "Mungkin uangnya sudah dikembalikan sebelumnya. Lihat dulu di dashboard gateway.", "The money may have gone back before. First look in the gateway's dashboard.";
    }
    RefundedAlready {
        line: "uangnya sudah dikembalikan", "it is refunded already";
        to_do: TO_DO_READ;
        desk: "Uangnya sudah dikembalikan.", "The money went back already.";
    }
    Given {
        line: "petugas sudah menyerahkan barangnya: tidak ada yang perlu dikembalikan", "an attendant handed the goods over: there is nothing to refund";
        to_do: TO_DO_READ;
        desk: "Barangnya sudah diserahkan.", "The goods were handed over.";
    }
    TakenBack {
        line: "uangnya sudah ditarik kembali: tidak ada yang perlu dikembalikan", "the money was taken back already: there is nothing to refund";
        to_do: TO_DO_READ;
        desk: "Uangnya sudah ditarik kembali.", "The money was taken back.";
    }
    NoProof {
        line: "bukti dari relai bahwa barang tidak keluar belum ada", "the relay's proof that it was not handed out is missing";
        to_do: TO_DO_NO_PROOF;
        desk: DESK_NO_PROOF;
    }
    NotByApi {
        line: "pembayaran di kasir toko tidak bisa dikembalikan lewat gateway: kembalikan uangnya secara langsung", "the gateway does not refund payments over the counter: give the money back by hand";
        to_do: TO_DO_BY_HAND;
        desk: "Pembayaran di kasir toko tidak bisa dikembalikan lewat gateway.", "The gateway does not refund payments at a shop's counter.";
    }
    OnlyByHand {
        line: "tidak bisa dikembalikan lagi lewat gateway: hanya secara langsung", "the gateway does not refund it any more: only by hand";
        to_do: TO_DO_BY_HAND;
        desk: "Gateway tidak bisa mengembalikannya lagi: waktunya lewat.", "The gateway does not send it back any more: its time is over.";
    }
    GoodsAndMoney {
        line: "barang dari percobaan lagi sudah keluar, mungkin untuk orang lain, atau bukan barang yang dibeli", "the goods of another try came, perhaps to somebody else, or other ones than were bought";
        to_do: "jika pelanggan tidak mendapat barangnya: `refund {0} --goods-and-money --by NAME`, atau `given {0} --goods-and-money --by NAME --from PLACE`", "if the customer did not get what was bought: `refund {0} --goods-and-money --by NAME`, or `given {0} --goods-and-money --by NAME --from PLACE`";
        desk: "Barang dari percobaan lagi sudah keluar, mungkin untuk orang lain, atau bukan barang yang dibeli.", "The goods of another try came, perhaps to somebody else, or other ones than were bought.";
    }
    NothingToSee {
        line: "tidak ada hal di pesanan ini yang bisa diakhiri `seen`", "this order has nothing that `seen` could end";
        to_do: TO_DO_READ;
        desk: "Tidak ada yang perlu dilihat di pesanan ini.", "There is nothing to see in this order.";
    }
} }

table! { no_try(NoTry) -> Refusal {
    Off {
        line: "percobaan lagi tidak ditawarkan: orders.second_tries adalah 0", "no other tries are offered: orders.second_tries is 0";
        to_do: "`refund {0}` mengembalikan uangnya; atau isi orders.second_tries di konfigurasi", "`refund {0}` gives the money back; or set orders.second_tries in the configuration";
        desk: "Percobaan kedua tidak ditawarkan di toko ini. Orang yang mengurus server Anda bisa mengubahnya.", "This shop offers no second tries. Whoever runs your server can change that.";
    }
    NotPaid {
        line: NOT_PAID;
        to_do: TO_DO_ASK;
        desk: DESK_NOT_PAID;
    }
    NotTold {
        line: NOT_REPORTED;
        to_do: TO_DO_TOO_EARLY;
        desk: DESK_NOT_REPORTED;
    }
    Came {
        line: "mesin melaporkan bahwa barang keluar", "the machine reported it as dispensed";
        to_do: TO_DO_READ;
        desk: DESK_DELIVERED;
    }
    Uncertain {
        line: "tidak diketahui apakah barangnya keluar", "nobody knows whether it came out";
        to_do: TO_DO_READ;
        desk: "Tidak diketahui apakah barang keluar. Mesin bisa mengeluarkannya dua kali.", "Nobody knows whether the goods came. The machine could hand them out twice.";
    }
    NotProven {
        line: "bukti dari relai bahwa tidak ada yang keluar belum ada", "the relay's proof that nothing came out is missing";
        to_do: TO_DO_NO_PROOF;
        desk: DESK_NO_PROOF;
    }
    Repaid {
        line: "uangnya sudah atau sedang dikembalikan, atau petugas sudah menyerahkan barangnya", "the money went back or is asked back, or an attendant handed the goods over";
        to_do: TO_DO_READ;
        desk: "Uangnya kembali, atau barangnya sudah diserahkan.", "The money goes back, or the goods were handed over.";
    }
    Doubtful {
        line: "yang diketahui tentang pesanan ini meragukan: seseorang harus memutuskannya", "what is known of the order is in doubt: a person decides about it";
        to_do: TO_DO_READ;
        desk: "Yang diketahui tentang pesanan ini tidak cocok satu sama lain. Putuskan tentang uangnya.", "What is known of this order does not agree. Decide about the money.";
    }
    TooLate {
        line: "waktu pengembalian dana lewat gateway tinggal kurang dari 48 jam", "the gateway refunds it for less than 48 h from now";
        to_do: TO_DO_TRY_MONEY;
        desk: "Gateway hanya bisa mengembalikan uangnya kurang dari dua hari lagi. Putuskan tentang uangnya.", "The gateway can send the money back for less than two more days. Decide about the money.";
    }
    NotOffered {
        line: "percobaan lagi tidak ditawarkan lagi untuk pesanan ini", "no other try is offered for this order any more";
        to_do: TO_DO_TRY_MONEY;
        desk: DESK_NO_MORE_TRIES;
    }
    OtherKey {
        line: "kunci relai mesin itu bukan kunci pesanan ini", "the key of the machine's relay is not the one of this order";
        to_do: TO_DO_READ;
        desk: DESK_NO_MORE_TRIES;
    }
    OtherPromise {
        line: "janji relai itu bukan untuk percobaan berikutnya pada pesanan ini", "the relay's promise is not for the next try at this order";
        to_do: TO_DO_READ;
        desk: DESK_NO_MORE_TRIES;
    }
    TooDear {
        line: "barang itu lebih mahal daripada yang dibayar", "the item costs more than was paid";
        to_do: TO_DO_READ;
        desk: DESK_NO_MORE_TRIES;
    }
    NotAsked {
        line: "dalam 30 detik terakhir gateway tidak menyatakan bahwa uangnya milik penjual", "the gateway has not said in the last 30 s that the money is the merchant's";
        to_do: TO_DO_READ;
        desk: DESK_NO_MORE_TRIES;
    }
    TooMany {
        line: "jatah percobaan lagi mesin ini untuk 24 jam sudah habis", "this machine has had its other tries of 24 hours";
        to_do: TO_DO_TRY_MONEY;
        desk: "Mesin ini sudah memakai semua percobaan keduanya dalam 24 jam. Tunggu, atau kembalikan uangnya.", "This machine has had all its second tries of 24 hours. Wait, or give the money back.";
    }
    NoNumber {
        line: "mesin tidak menampilkan angka sekarang", "the machine shows no number now";
        to_do: "`again {0} --by NAME` menawarkannya lagi, dengan angka baru", "`again {0} --by NAME` offers it again, with a new number";
        desk: "Mesin tidak menampilkan angka sekarang. Tawarkan lagi di mesin.", "The machine shows no number now. Offer it again at the machine.";
    }
    WrongNumber {
        line: "itu bukan angka yang ditampilkan mesin", "that is not the number that the machine shows";
        to_do: "minta pelanggan membacakan angka di layar mesin sekali lagi: `again {0} --by NAME --number NN`; setelah tiga angka yang salah, tawarkan lagi: `again {0} --by NAME`", "ask the customer once more for the number on the machine's screen: `again {0} --by NAME --number NN`; after three wrong ones offer it again: `again {0} --by NAME`";
        desk: "Itu bukan angka yang ditampilkan mesin.", "That is not the number that the machine shows.";
    }
    TooManyWrong {
        line: "sembilan angka yang salah dalam sehari: halaman pelanggan tidak menanyakannya lagi", "nine wrong numbers in a day: the customer's page asks for none any more";
        to_do: "`again {0} --by NAME` menawarkannya, dan Anda menanyakan angkanya", "`again {0} --by NAME` offers it, and you ask for the number";
        desk: "Sembilan angka yang salah dalam sehari: halaman pelanggan tidak menanyakannya lagi. Anda masih bisa.", "Nine wrong numbers in a day: the customer's page asks for none any more. You still can.";
    }
} }

table! { attention(Attention) -> Look {
    RefundDue {
        alert: "was paid and not delivered: the customer is owed the money";
        to_do: "kembalikan uangnya (`refund ORDER`, atau di dashboard gateway: lalu ini selesai sendiri), atau serahkan barangnya (`given ORDER --by NAME --from PLACE`)", "give the money back (`refund ORDER`, or in the gateway's dashboard, and this ends by itself), or hand the goods over (`given ORDER --by NAME --from PLACE`)";
        desk: "Sudah dibayar, tetapi barang tidak keluar.", "It is paid, but nothing came out.";
        desk_to_do: "Kembalikan uangnya, atau serahkan barangnya.", "Send the money back, or hand the goods over.";
    }
    NoProof {
        alert: "was paid, and reported as not delivered without the relay's proof: a person must decide the refund";
        to_do: "periksa mesinnya; jika mesin mungkin di tangan orang lain, tutup dulu tiketnya, karena tanda terima masih bisa membuka relainya; lalu `refund ORDER --no-proof --by NAME` jika barang tidak keluar, `given ORDER --by NAME --from PLACE` jika keluar", "look at the machine; if somebody else may have it, close the ticket first, because the receipt still opens the relay; then `refund ORDER --no-proof --by NAME` if nothing came out, `given ORDER --by NAME --from PLACE` if it did";
        desk: "Sudah dibayar. Mesin melaporkan bahwa barang tidak keluar, tetapi tanpa bukti dari relainya.", "It is paid. The machine says that nothing came out, but without the proof of its relay.";
        desk_to_do: "Periksa mesinnya. Barang tidak keluar: kembalikan uangnya. Barang keluar: tandai sebagai diserahkan.", "Look at the machine. Nothing came out: send the money back. It did: say that the goods were handed over.";
    }
    RefundFailed {
        alert: "could not be refunded through the gateway: the customer is still owed the money";
        to_do: "cari sebabnya di riwayat; lalu `refund ORDER` sekali lagi, atau pastikan di dashboard gateway bahwa tidak ada uang yang kembali, kembalikan uangnya dengan cara lain, dan `refund ORDER --settled-by-hand NOTE --by NAME`", "find the reason in its history; then `refund ORDER` again, or look in the gateway's dashboard that nothing went back, give the money back in another way, and `refund ORDER --settled-by-hand NOTE --by NAME`";
        desk: "Gateway tidak mengembalikan uangnya. Pelanggan masih menunggu.", "The gateway did not send the money back. The customer still waits.";
        desk_to_do: "Coba sekali lagi. Jika tetap tidak bisa, kembalikan dengan cara lain, lalu catat di sini.", "Try once more. If that does not work, pay it back in another way, and note it here.";
    }
    Uncertain {
        alert: "was paid, and nobody knows whether it came out";
        to_do: "periksa mesinnya atau tanya pelanggan; lalu `given ORDER --by NAME --from PLACE` jika barang keluar, `refund ORDER --no-proof --by NAME` jika tidak", "look at the machine or ask the customer; then `given ORDER --by NAME --from PLACE` if it came out, `refund ORDER --no-proof --by NAME` if not";
        desk: "Sudah dibayar, dan tidak diketahui apakah barang keluar.", "It is paid, and nobody knows whether the goods came.";
        desk_to_do: "Periksa mesinnya, atau tanya pelanggan. Lalu kembalikan uangnya, atau tandai sebagai diserahkan.", "Look at the machine, or ask the customer. Then send the money back, or say that the goods were handed over.";
    }
    Unreported {
        alert: "was paid, and the machine has told no outcome";
        to_do: "periksa mesinnya; jika mesin mungkin di tangan orang lain, tutup dulu tiketnya, karena tanda terima masih bisa membuka relainya; satu jam setelah pembayaran: `refund ORDER --no-report --by NAME`, atau `given ORDER --by NAME --from PLACE`", "look at the machine; if somebody else may have it, close the ticket first, because the receipt still opens the relay; an hour after the payment: `refund ORDER --no-report --by NAME`, or `given ORDER --by NAME --from PLACE`";
        desk: "Sudah dibayar, tetapi mesin tidak melaporkan hasilnya.", "It is paid, but the machine did not tell what became of it.";
        desk_to_do: "Periksa apakah mesin menyala dan terhubung. Satu jam setelah pembayaran Anda bisa mengembalikan uangnya.", "See whether the machine is on and connected. An hour after the payment you can send the money back.";
    }
    Mismatch {
        alert: "was paid, but not as it was charged: nothing was delivered for it";
        to_do: "cocokkan dengan transaksinya di dashboard gateway, lalu `refund ORDER`", "compare it with the transaction in the gateway's dashboard, then `refund ORDER`";
        desk: "Yang dibayar tidak sama dengan tagihannya. Barang tidak keluar.", "What was paid is not what was asked for. Nothing came out.";
        desk_to_do: "Cocokkan dengan transaksinya di dashboard gateway, lalu kembalikan uangnya.", "Compare it with the transaction in the gateway's dashboard, then send the money back.";
    }
    Conflict {
        alert: "was reported with two different outcomes";
        to_do: "cari tahu hasil mana yang ditandatangani relainya, lalu putuskan: `given ORDER --by NAME --from PLACE`, atau `refund ORDER --no-proof --by NAME`", "find out which outcome its relay has signed, then decide: `given ORDER --by NAME --from PLACE`, or `refund ORDER --no-proof --by NAME`";
        desk: "Mesin melaporkan dua hasil yang berbeda.", "The machine told two different outcomes.";
        desk_to_do: "Cari tahu apakah barang keluar. Lalu kembalikan uangnya, atau tandai sebagai diserahkan.", "Find out whether the goods came. Then send the money back, or say that the goods were handed over.";
    }
    Suspect {
        alert: "has a status at the gateway that does not say whether it was paid";
        to_do: "lihat di dashboard gateway apakah transaksinya sudah dibayar; lalu `seen ORDER --by NAME`. Jika pesanan ini juga tercatat sebagai `unconfirmed`, perintah itu mengakhirinya", "look in the gateway's dashboard whether the transaction was paid; then `seen ORDER --by NAME`. If the order is listed as unconfirmed, too, that ends it";
        desk: "Dari kata gateway tidak jelas apakah sudah dibayar.", "The gateway's word does not tell whether it is paid.";
        desk_to_do: "Lihat transaksinya di dashboard gateway, lalu tandai sudah dilihat.", "Look at the transaction in the gateway's dashboard, then say that you have seen it.";
    }
    Unconfirmed {
        alert: "may be paid: the gateway told so and does not confirm it, or its answers are not understood";
        to_do: "lihat di dashboard gateway apakah sudah dibayar. Jika sudah: kembalikan uangnya, lalu `refund ORDER --settled-by-hand NOTE --by NAME`. Jika belum: `seen ORDER --by NAME`. Keduanya mengakhiri pesanan, dan barang tidak akan keluar lagi untuk pesanan itu", "look in the gateway's dashboard whether it was paid. If it was: give the money back, and `refund ORDER --settled-by-hand NOTE --by NAME`. If not: `seen ORDER --by NAME`. Each ends the order, and nothing is handed out for it any more";
        desk: "Tidak ada yang memastikan apakah pesanan ini sudah dibayar.", "Nobody confirms whether this order is paid.";
        desk_to_do: "Lihat di dashboard gateway. Sudah dibayar: kembalikan uangnya di sana, lalu catat di sini. Belum: tandai sudah dilihat.", "Look in the gateway's dashboard. It is paid: send the money back there, and note it here. It is not: say that you have seen it.";
    }
    RefundSoon {
        alert: "is owed to its customer, and the gateway refunds it for three days at most";
        to_do: TO_DO_SOON;
        desk: "Gateway hanya bisa mengembalikan uangnya beberapa hari lagi.", "The gateway can send the money back for a few more days only.";
        desk_to_do: "Putuskan sekarang.", "Decide now.";
    }
    RefundLastDay {
        alert: "is owed to its customer, and the gateway refunds it for one day at most";
        to_do: TO_DO_SOON;
        desk: "Gateway hanya bisa mengembalikan uangnya satu hari lagi.", "The gateway can send the money back for one more day only.";
        desk_to_do: "Putuskan hari ini.", "Decide today.";
    }
    OnlyByHand {
        alert: "is owed to its customer, and the gateway does not refund it any more: only by hand";
        to_do: "hanya secara langsung: kembalikan uangnya dengan cara lain, lalu `refund ORDER --settled-by-hand NOTE`; atau `given ORDER --by NAME --from PLACE`", "only by hand: give the money back in another way, and then `refund ORDER --settled-by-hand NOTE`; or `given ORDER --by NAME --from PLACE`";
        desk: "Gateway tidak bisa mengembalikan uangnya lagi: waktunya lewat.", "The gateway cannot send the money back any more: its time is over.";
        desk_to_do: "Kembalikan dengan cara lain, lalu catat di sini.", "Pay it back in another way, and note it here.";
    }
    PartialRefund {
        alert: "was refunded in part at the gateway";
        to_do: "gateway mengembalikan sebagian uangnya: cari tahu apakah itu disengaja; lalu `seen ORDER --by NAME`", "the gateway gave a part of the money back: find out whether that was intended; then `seen ORDER --by NAME`";
        desk: "Sebagian uang sudah kembali lewat gateway.", "A part of the money went back through the gateway.";
        desk_to_do: "Periksa apakah itu disengaja, lalu tandai sudah dilihat.", "Find out whether that was intended, then say that you have seen it.";
    }
    Chargeback {
        alert: "was charged back by the customer's bank";
        to_do: "bank pelanggan menarik kembali uangnya: jika itu salah, ajukan keberatan ke gateway; lalu `seen ORDER --by NAME`", "the customer's bank took the money back: contest that at the gateway if it is wrong; then `seen ORDER --by NAME`";
        desk: "Bank pelanggan menarik kembali uangnya.", "The customer's bank took the money back.";
        desk_to_do: "Jika itu salah, ajukan keberatan ke gateway. Lalu tandai sudah dilihat.", "If that is wrong, contest it at the gateway. Then say that you have seen it.";
    }
    Reversed {
        alert: "was taken back by the shop's counter after its receipt";
        to_do: "kasir toko menarik kembali uangnya setelah tanda terima: tanyakan ke gateway; lalu `seen ORDER --by NAME`", "the shop's counter took the money back after the receipt: ask the gateway; then `seen ORDER --by NAME`";
        desk: "Kasir toko menarik kembali pembayarannya.", "The shop's counter took its payment back.";
        desk_to_do: "Tanyakan ke gateway, lalu tandai sudah dilihat.", "Ask the gateway, then say that you have seen it.";
    }
    LateFact {
        alert: "gave its customer goods and money, the money twice, or a refund that the bank refused";
        to_do: "pelanggan mendapat barang dan uang, atau uang dua kali; atau bank menolak pengembalian dana, dan pelanggan tidak mendapat apa-apa: baca riwayatnya dan selesaikan dengan pelanggan; lalu `seen ORDER --by NAME`", "the customer has goods and money, or the money twice; or the bank refused a refund, and the customer has nothing: read the history and settle it with the customer; then `seen ORDER --by NAME`";
        desk: "Sesuatu datang setelah pesanan ini selesai: pelanggan mungkin mendapat barang dan uang, atau tidak mendapat apa-apa.", "Something came after this order was settled: the customer may have goods and money, or nothing.";
        desk_to_do: "Baca yang terjadi di bawah, selesaikan dengan pelanggan, lalu tandai sudah dilihat.", "Read below what happened, settle it with the customer, then say that you have seen it.";
    }
    GoodsAndMoney {
        alert: "gave its goods at another try, and a person decided by name that its customer gets the money, or goods by hand, besides";
        to_do: "baca siapa yang memutuskannya (`orders ORDER`), lalu `seen ORDER --by NAME`", "read who decided it (`orders ORDER`), then `seen ORDER --by NAME`";
        desk: "Barang dan uang: barang dari percobaan lagi keluar, dan pelanggan juga mendapat uangnya, atau barang dari tangan.", "Goods and money: the goods of another try came, and the customer got the money, or goods by hand, besides.";
        desk_to_do: "Baca di bawah siapa yang memutuskannya, lalu tandai sudah dilihat.", "Read below who decided it, then say that you have seen it.";
    }
} }

table! { end(End) -> Became {
    Delivered { line: "barang keluar", "delivered"; desk: "barang keluar", "goods came out"; }
    Given { line: "diserahkan oleh petugas", "handed over by an attendant"; desk: "barang diserahkan", "goods handed over"; }
    RefundDue { line: "harus dikembalikan", "refund due"; desk: "uang harus dikembalikan", "money is owed"; }
    Refunded { line: "dikembalikan lewat gateway", "refunded through the gateway"; desk: "uang sudah dikembalikan", "money went back"; }
    RefundedByHand { line: "dikembalikan secara langsung", "refunded by hand"; desk: "uang dikembalikan secara langsung", "money was paid back by hand"; }
    Uncertain {
        line: "belum pasti: tidak diketahui apakah keluar", "uncertain: nobody knows whether it came";
        desk: "belum pasti apakah barang keluar", "uncertain whether the goods came";
    }
    Unreported { line: "mesin tidak melapor", "unreported by the machine"; desk: "mesin tidak melapor", "the machine told nothing"; }
    Awaited { line: AWAITED; desk: AWAITED; }
    TakenBack { line: "ditarik kembali oleh kasir atau bank", "taken back by counter or bank"; desk: "uang ditarik kembali", "money was taken back"; }
} }

table! { no_end(NoEnd) {
    Open: "menunggu pembayaran", "waiting for the payment";
    Held: "dibayar di kasir toko, yang masih bisa membatalkannya", "paid at a store, which may still take it back";
    Ending: "sedang dibatalkan", "being cancelled";
    Cancelled: "dibatalkan; tidak ada yang dibayar", "cancelled; nothing was paid";
    Expired: "kedaluwarsa; tidak ada yang dibayar", "expired; nothing was paid";
    Denied: "ditolak gateway; tidak ada yang dibayar", "denied by the gateway; nothing was paid";
    Unpaid: "tidak dibayar", "not paid";
    Unconfirmed: "belum pasti apakah dibayar", "uncertain whether it is paid";
    Refunding: "uang sedang dikembalikan", "money is on its way back";
} }

table! { no_proof(NoProof) {
    None: "mesin tidak mengirim bukti", "the machine sent no proof";
    NoKey: "kunci relainya belum dikenal ketika pesanan dibuat", "no key of its relay was known when the order was made";
    OtherKey: "mesin mengirim bukti dengan kunci lain daripada yang dikenal ketika pesanan dibuat", "the machine sent a proof by another key than the one that was known when the order was made";
    Wrong: "mesin mengirim sesuatu yang bukan bukti", "the machine sent something that is not a proof";
    OtherSale: "mesin mengirim bukti untuk penjualan lain", "the machine sent a proof of another sale";
    OtherWord: "relainya menyatakan hal lain", "the relay says something else";
    NumberUsed: "buku relai dikembalikan ke keadaan sebelumnya", "the relay's ledger was put back to an earlier state";
    NumberAhead: "nomornya jauh di depan nomor terakhir: kartu mesin itu mungkin disalin", "its number is far ahead of the last one: the machine's card may have been copied";
} }

// What a machine told of a paid order.
table_of_words! { delivery(Delivery) {
    Dispensed: "Mesin melapor: barang keluar.", "The machine told: the goods came out.";
    Failed: "Mesin melapor: relai aktif, tetapi barang tidak keluar.", "The machine told: its relay worked, but nothing came out.";
    Uncertain: "Mesin melapor: belum pasti apakah barang keluar.", "The machine told: it is uncertain whether the goods came.";
    Undelivered: "Mesin melapor: barang tidak dikeluarkan.", "The machine told: nothing was handed out.";
} but Delivery::Other(_) }

// Why a machine handed nothing out for a paid order.
table_of_words! { reason(Reason) {
    Late: "dibayar terlambat", "it was paid too late";
    Timeout: "tidak dibayar tepat waktu", "nobody paid in time";
    Customer: "dibatalkan pelanggan", "the customer cancelled it";
    NotCollected: "tidak diambil", "it was not collected";
    Relay: NO_RELAY;
    RelayRefused: NO_RELAY;
    LineBlocked: "jalurnya menunggu diperiksa", "its line waits to be looked at";
    SoldOut: "habis", "it was sold out";
    Store: "mesin tidak bisa mencatat", "the machine could not write";
    Mismatch: "pembayaran tidak sama dengan tagihan", "the payment is not what was asked for";
    Failed: "sensor tidak melihat barang keluar", "the sensor saw nothing come out";
    Uncertain: "listrik mati, atau hasilnya tidak tercatat", "the power went, or the end was not written";
} but // These never reach a paid order.
    Reason::Malformed
    | Reason::TooLarge
    | Reason::UnknownItem
    | Reason::WrongAmount
    | Reason::ReusedId
    | Reason::Retained
    | Reason::Busy
    | Reason::RateLimited
    | Reason::Screen
    | Reason::Backend
    | Reason::Gateway
    | Reason::GrossAmount
    | Reason::UnknownKey
    | Reason::NewerDatabase
    | Reason::Updating
    | Reason::WrongCode
    | Reason::UnknownRequest
    | Reason::Other(_)
}

/// What people call a way to pay, in both languages; one of a later release as it came.
#[must_use]
pub fn scheme(scheme: &Scheme) -> &str {
    match scheme {
        Scheme::Qris => "QRIS",
        Scheme::Gopay => "GoPay",
        Scheme::Alfamart => "Alfamart",
        Scheme::Indomaret => "Indomaret",
        Scheme::Other(word) => word,
    }
}

/// The worth of the relay's word on an outcome.
#[must_use]
pub fn proof(proof: &Proof, language: Language) -> String {
    match proof {
        Proof::Signed { number, .. } => fill(SIGNED.of(language), &[number]),
        Proof::Missing(why) => fill(UNSIGNED.of(language), &[&no_proof(*why).of(language)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_desk_each_refusal_has_a_sentence_of_its_own() {
        for language in [Language::Id, Language::En] {
            let mut said = Refused::ALL.map(|why| refused(why).desk.of(language));
            assert!(said.iter().all(|text| text.ends_with('.') && !text.contains('{')), "{said:?}");
            said.sort_unstable();
            assert_eq!(said.windows(2).find(|two| two[0] == two[1]), None);
            let tries = NoTry::ALL.map(|why| no_try(why).desk.of(language));
            assert!(tries.iter().all(|text| text.ends_with('.') && !text.contains('{')), "{tries:?}");
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
    }
}
