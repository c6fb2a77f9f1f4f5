//! An order in words: how it stands, why it wants a person, what happened, what can be done, and why something cannot.

use qris_core::order::money::total;
use qris_core::order::outcome::Delivery;
use qris_core::order::reason::Reason;
use qris_core::wire::desk::{Barred, Deed, Denied, Sure, What};
use qris_core::wire::people::Stands;
use qris_host::speech::orders::{self, Text};
use qris_host::speech::{Language, fill};

qris_core::texts! {
    refund: "Kembalikan {0}", "Send {0} back";
    by_hand: "Sudah saya kembalikan sendiri", "I paid it back by hand";
    hand_over: "Barang diserahkan", "Goods handed over";
    again: "Tawarkan lagi di mesin", "Offer it again at the machine";
    number: "Pelanggan membacakan angkanya", "The customer reads out the number";
    seen: "Sudah saya lihat", "I have seen it";
    rest: "Sebagian sudah dikembalikan. Sisanya {0}.", "A part went back already. {0} is left.";
    refund_title: "Kembalikan {0} kepada pelanggan?", "Send {0} back to the customer?";
    by_hand_title: "Anda sudah mengembalikan {0} sendiri?", "Did you pay {0} back by hand?";
    given_title: "Barangnya sudah diserahkan?", "Were the goods handed over?";
    again_title: "Tawarkan barangnya sekali lagi di mesin?", "Offer the goods once more at the machine?";
    number_title: "Angka berapa yang ditampilkan mesin?", "Which number does the machine show?";
    seen_title: "Anda sudah melihat pesanan ini?", "Have you seen this order?";
    refund_what: "Gateway diminta mengirim {0} kembali ke aplikasi pembayaran pelanggan. Ini tidak bisa dibatalkan. Halaman pesanan menunjukkan hasilnya, biasanya dalam beberapa menit.", "The gateway is asked to send {0} back to the payment app of the customer. This cannot be undone. The page of the order shows the result, mostly within some minutes.";
    by_hand_what: "Dicatat bahwa Anda sudah mengembalikan {0} dengan cara lain. Dari sini tidak ada uang yang dikirim, dan gateway tidak diminta lagi.", "It is noted that you paid {0} back in another way. No money is sent from here, and the gateway is not asked any more.";
    given_what: "Dicatat bahwa pelanggan sudah menerima barangnya. {0} tetap milik Anda, dan tidak dikembalikan.", "It is noted that the customer has the goods. {0} stays yours, and does not go back.";
    again_what: "Pelanggan harus ada di depan mesin: dalam sepuluh menit layarnya menawarkannya lagi, dan pelanggan menekan di sana. Tidak ada yang dibayar lagi. Setelah ditekan, {0} tidak bisa dikembalikan sampai mesin melaporkan hasilnya, atau satu jam berlalu.", "The customer must stand at the machine: within ten minutes its screen offers it again, and the customer presses there. Nothing more is paid. Once it is pressed, {0} cannot go back until the machine has told the end, or an hour is over.";
    number_what: "Minta pelanggan membacakan dua angka di layar mesin. Jika benar, tekanan berikutnya di mesin dalam 20 detik mengeluarkan barangnya. Setelah tiga angka yang salah, tawarkan lagi. {0} tidak bergerak.", "Ask the customer to read out the two digits on the machine's screen. If they are right, the next press at the machine within 20 s gives the goods. After three wrong numbers, offer it again. {0} does not move.";
    again_until: "Sampai {0} pelanggan juga bisa memintanya di halaman pelanggan, yang terbuka lewat kode di layar mesin.", "Until {0} the customer can also ask for it on the customer's page, which opens by the code on the machine's screen.";
    refund_ends: "Sampai {0} pelanggan boleh mencoba lagi di mesin. Jika Anda menekan Ya, tawaran itu berakhir.", "Until {0} the customer may try again at the machine. If you press Yes, that offer ends.";
    by_hand_first: "Sampai {0} pelanggan boleh mencoba lagi di mesin. Jadi tekan Ya dulu, baru serahkan uangnya: sampai Anda menekan Ya, mesin masih bisa mengeluarkan barangnya. Jika Anda menekan Ya, tawaran itu berakhir.", "Until {0} the customer may try again at the machine. So press Yes first, then hand out the money: until you press Yes, the machine may still give the goods. If you press Yes, that offer ends.";
    given_first: "Sampai {0} pelanggan boleh mencoba lagi di mesin. Jadi tekan Ya dulu, baru serahkan barangnya: sampai Anda menekan Ya, mesin masih bisa mengeluarkannya. Jika Anda menekan Ya, tawaran itu berakhir.", "Until {0} the customer may try again at the machine. So press Yes first, then hand out the goods: until you press Yes, the machine may still give them. If you press Yes, that offer ends.";
    seen_what: "Pesanan ini tidak lagi ditampilkan sebagai sesuatu yang perlu Anda. {0} tidak dikirim ke mana-mana. Jika belum pasti apakah pesanan ini dibayar, pesanan berakhir, dan barang tidak akan keluar lagi.", "This order is no longer shown as one that needs you. {0} goes nowhere. If it is uncertain whether it is paid, the order ends, and nothing is handed out for it any more.";
    refund_yes: "Ya, kembalikan {0}", "Yes, send {0} back";
    by_hand_yes: "Ya, {0} sudah saya kembalikan", "Yes, I paid {0} back";
    given_yes: "Ya, barangnya sudah diserahkan", "Yes, the goods were handed over";
    again_yes: "Ya, tawarkan lagi", "Yes, offer it again";
    number_yes: "Kirim angkanya", "Send the number";
    seen_yes: "Ya, sudah saya lihat", "Yes, I have seen it";

    sure_no_report: "Saya sudah memeriksa mesinnya: hasilnya tidak dilaporkan, dan barang tidak akan keluar lagi untuk pesanan ini.", "I have looked at the machine: it told no outcome, and hands nothing out for this order any more.";
    sure_no_proof: "Saya sudah memastikan bahwa barang tidak keluar, walaupun relai mesin tidak menandatanganinya.", "I have made sure that nothing came out, although the machine's relay has not signed it.";
    sure_not_refunded: "Saya sudah melihat di dashboard gateway bahwa uangnya belum kembali.", "I have looked in the gateway's dashboard that the money did not go back.";

    sure_goods_and_money: "Pelanggan tidak mendapat barang yang dibeli, walaupun mesin mengeluarkan barang pada percobaan lagi: barang dan uang. Saya yang memutuskannya.", "The customer did not get what was bought, although the machine gave goods at another try: goods and money. I decide it.";

    no_role: "Anda hanya boleh melihat. Untuk ini perlu seorang pemilik.", "You may only see. This needs an owner.";
    no_home: "Di jaringan lokal ini Anda hanya melihat. Untuk ini perlu https, atau perintah di server Anda.", "In this local network you only see. This needs https, or a command at your server.";
    no_limit: "Ini lebih dari yang boleh Anda kembalikan hari ini. Coba besok, atau minta orang yang mengurus server Anda.", "This is more than you may send back today. Try tomorrow, or ask whoever runs your server.";

    did_refund: "meminta pengembalian dana", "asked for a refund";
    did_by_hand: "mencatat: dikembalikan secara langsung", "noted: paid back by hand";
    did_given: "mencatat: barang diserahkan", "noted: goods handed over";
    did_again: "menawarkan lagi di mesin", "had the machine offer it again";
    did_number: "mengirim angka dari mesin", "sent the machine's number";
    did_seen: "menandai sudah dilihat", "marked as seen";

    step_began: "Pelanggan memulai pesanan.", "A customer began the order.";
    step_charged: "Kode QR atau kode pembayaran berlaku sampai {0}.", "The QR or code could be paid until {0}.";
    step_paid: "{0} dibayar.", "{0} was paid.";
    step_other: "Mesin melapor: {0}.", "The machine told: {0}.";
    step_reason: "Sebabnya: {0}.", "The reason: {0}.";
    step_signed: "Relainya menandatangani ini.", "Its relay signed this.";
    step_taken_back: "Uangnya ditarik kembali, oleh bank atau kasir toko.", "The bank, or the shop's counter, took the money back.";
    step_unpaid: "Pesanan berakhir tanpa dibayar.", "It ended, and nobody paid.";
    step_refund_asked: "Gateway diminta mengembalikan uangnya.", "The gateway was asked to send the money back.";
    step_refund_asked_by: "{0} meminta gateway mengembalikan uangnya.", "{0} asked the gateway to send the money back.";
    step_refund_refused: "Gateway tidak mengembalikannya: {0}", "The gateway does not send it back: {0}";
    step_refunded: "Gateway mengembalikan uangnya.", "The gateway sent the money back.";
    step_by_hand: "Uang dikembalikan secara langsung: {0}", "The money was paid back by hand: {0}";
    step_by_hand_by: "{0} mengembalikan uangnya secara langsung: {1}", "{0} paid the money back by hand: {1}";
    step_offered: "{0} menawarkan barangnya lagi di mesin.", "{0} had the machine offer it again.";
    step_tried_again: "Pelanggan menekan tombol untuk percobaan ke-{0}: {1}.", "The customer pressed for try {0}: {1}.";
    step_given: "{0} menyerahkan barangnya.", "{0} handed the goods over.";
}

pub const fn stands(language: Language, stands: Stands) -> &'static str {
    match stands {
        Stands::Before(no_end) => orders::no_end(no_end).of(language),
        Stands::At(end) => orders::end(end).desk.of(language),
    }
}

pub fn button(words: &'static Words, deed: Deed, amount: u64) -> String {
    match deed {
        Deed::Refund => fill(words.refund, &[&total(amount)]),
        Deed::ByHand => words.by_hand.into(),
        Deed::Given => words.hand_over.into(),
        Deed::Again => words.again.into(),
        Deed::Number => words.number.into(),
        Deed::Seen => words.seen.into(),
    }
}

/// What is said of another try before a deed; its place is for the end of the offer. Until then the customer may press at the machine. So
/// nobody hands out money or goods before the deed is done here.
pub const fn about_another_try(words: &'static Words, deed: Deed) -> Option<&'static str> {
    match deed {
        Deed::Refund => Some(words.refund_ends),
        Deed::ByHand => Some(words.by_hand_first),
        Deed::Given => Some(words.given_first),
        Deed::Again => Some(words.again_until),
        Deed::Number | Deed::Seen => None,
    }
}

/// The question before a deed, what will happen, and the button that does it.
pub fn asked(words: &'static Words, deed: Deed, amount: u64) -> [String; 3] {
    let texts = match deed {
        Deed::Refund => [words.refund_title, words.refund_what, words.refund_yes],
        Deed::ByHand => [words.by_hand_title, words.by_hand_what, words.by_hand_yes],
        Deed::Given => [words.given_title, words.given_what, words.given_yes],
        Deed::Again => [words.again_title, words.again_what, words.again_yes],
        Deed::Number => [words.number_title, words.number_what, words.number_yes],
        Deed::Seen => [words.seen_title, words.seen_what, words.seen_yes],
    };
    texts.map(|text| fill(text, &[&total(amount)]))
}

/// A deed in the log.
pub const fn did(words: &'static Words, deed: Deed) -> &'static str {
    match deed {
        Deed::Refund => words.did_refund,
        Deed::ByHand => words.did_by_hand,
        Deed::Given => words.did_given,
        Deed::Again => words.did_again,
        Deed::Number => words.did_number,
        Deed::Seen => words.did_seen,
    }
}

pub const fn sure(words: &'static Words, sure: Sure) -> &'static str {
    match sure {
        Sure::NoReport => words.sure_no_report,
        Sure::NoProof => words.sure_no_proof,
        Sure::NotRefunded => words.sure_not_refunded,
        Sure::GoodsAndMoney => words.sure_goods_and_money,
    }
}

pub const fn denied(words: &'static Words, language: Language, denied: Denied) -> &'static str {
    match denied {
        Denied::Order(why) => orders::refused(why).desk.of(language),
        Denied::Try(why) => orders::no_try(why).desk.of(language),
        Denied::Person(Barred::Role) => words.no_role,
        Denied::Person(Barred::Limit) => words.no_limit,
        Denied::Person(Barred::Home) => words.no_home,
    }
}

/// What happened, in a sentence. `at` says a time in words.
pub fn step(words: &'static Words, language: Language, what: &What, at: impl Fn(&str) -> String) -> String {
    match what {
        What::Began => words.step_began.into(),
        What::Charged { until } => fill(words.step_charged, &[&at(until)]),
        What::Paid { amount } => fill(words.step_paid, &[&total(*amount)]),
        What::Told { outcome, reason, is_signed } => told(words, language, *outcome, *reason, *is_signed),
        What::Unpaid => words.step_unpaid.into(),
        What::TakenBack => words.step_taken_back.into(),
        What::RefundAsked { by: None } => words.step_refund_asked.into(),
        What::RefundAsked { by: Some(by) } => fill(words.step_refund_asked_by, &[by]),
        What::RefundRefused { why } => fill(words.step_refund_refused, &[why]),
        What::Refunded => words.step_refunded.into(),
        What::RefundedByHand { by: None, note } => fill(words.step_by_hand, &[note]),
        What::RefundedByHand { by: Some(by), note } => fill(words.step_by_hand_by, &[by, note]),
        What::Given { by } => fill(words.step_given, &[by]),
        What::Offered { by } => fill(words.step_offered, &[by]),
        What::TriedAgain { number, goods } => fill(words.step_tried_again, &[number, goods]),
    }
}

/// A word that has no text is shown as it came.
fn told(words: &'static Words, language: Language, outcome: Delivery, reason: Option<Reason>, is_signed: bool) -> String {
    let sentence = |text: Text| text.of(language).to_owned();
    let mut text = orders::delivery(outcome).map_or_else(|| fill(words.step_other, &[&outcome]), sentence);
    if let Some(reason) = reason {
        let why = orders::reason(reason).map_or(reason.as_str(), |text| text.of(language));
        text = format!("{text} {}", fill(words.step_reason, &[&why]));
    }
    if is_signed {
        text = format!("{text} {}", words.step_signed);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_later_release_is_shown_as_it_came() {
        for language in [Language::Id, Language::En] {
            let words = Words::of(language);
            let (later, tired) = (Delivery::from_word("teleported").expect("a word"), Reason::from_word("tired").expect("a word"));
            assert!(told(words, language, later, Some(tired), false).contains("teleported"));
            assert!(told(words, language, Delivery::Failed, Some(tired), true).contains("tired"));
        }
    }

    #[test]
    fn a_deed_says_the_sum_that_it_moves() {
        for deed in Deed::ALL {
            let [title, what, yes] = asked(Words::of(Language::En), deed, 5000);
            assert!(what.contains("Rp5.000") && !title.contains('{') && !yes.contains('{'), "{title} {what} {yes}");
        }
        assert_eq!(button(Words::of(Language::Id), Deed::Refund, 12_500), "Kembalikan Rp12.500");
    }

    #[test]
    fn a_sum_is_one_thing() {
        let words = Words::of(Language::En);
        let said = Deed::ALL.map(|deed| asked(words, deed, 5000)[1].clone()).join(" ")
            + &step(words, Language::En, &What::Paid { amount: 5000 }, str::to_owned);
        for many in [" were", " are", " stay ", " go ", " do "] {
            assert!(!said.contains(&format!("Rp5.000{many}")), "{said}");
        }
        assert!(said.contains("Rp5.000 was paid."), "{said}");
    }
}
