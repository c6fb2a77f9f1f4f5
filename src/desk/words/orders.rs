//! An order in words: how it stands, why it wants a person, what happened, what can be done, and why something cannot.

use super::words;
use qris_core::order::merchant::Attention;
use qris_core::order::money::total;
use qris_core::wire::desk::{Deed, Denied, Stands, Sure, What};
use qris_host::speech::fill;

words! {
    open: "menunggu pembayaran", "waiting for the payment";
    unpaid: "tidak dibayar", "not paid";
    unconfirmed: "belum pasti apakah dibayar", "uncertain whether it is paid";
    awaited: "baru dibayar, atau belum diambil", "paid just now, or not collected yet";
    delivered: "barang keluar", "goods came out";
    given: "barang diserahkan", "goods handed over";
    refund_due: "uang harus dikembalikan", "money is owed";
    refunding: "uang sedang dikembalikan", "money is on its way back";
    refunded: "uang sudah dikembalikan", "money went back";
    refunded_by_hand: "uang dikembalikan secara langsung", "money was paid back by hand";
    uncertain: "belum pasti apakah barang keluar", "uncertain whether the goods came";
    unreported: "mesin tidak melapor", "the machine told nothing";
    taken_back: "uang ditarik kembali", "money was taken back";

    why_refund_due: "Sudah dibayar, tetapi barang tidak keluar.", "It is paid, but nothing came out.";
    do_refund_due: "Kembalikan uangnya, atau serahkan barangnya.", "Send the money back, or hand the goods over.";
    why_no_proof: "Sudah dibayar. Mesin melaporkan bahwa barang tidak keluar, tetapi tanpa bukti dari relainya.", "It is paid. The machine says that nothing came out, but without the proof of its relay.";
    do_no_proof: "Periksa mesinnya. Barang tidak keluar: kembalikan uangnya. Barang keluar: tandai sebagai diserahkan.", "Look at the machine. Nothing came out: send the money back. It did: say that the goods were handed over.";
    why_refund_failed: "Gateway tidak mengembalikan uangnya. Pelanggan masih menunggu.", "The gateway did not send the money back. The customer still waits.";
    do_refund_failed: "Coba sekali lagi. Jika tetap tidak bisa, kembalikan dengan cara lain, lalu catat di sini.", "Try once more. If that does not work, pay it back in another way, and note it here.";
    why_uncertain: "Sudah dibayar, dan tidak diketahui apakah barang keluar.", "It is paid, and nobody knows whether the goods came.";
    do_uncertain: "Periksa mesinnya, atau tanya pelanggan. Lalu kembalikan uangnya, atau tandai sebagai diserahkan.", "Look at the machine, or ask the customer. Then send the money back, or say that the goods were handed over.";
    why_unreported: "Sudah dibayar, tetapi mesin tidak melaporkan hasilnya.", "It is paid, but the machine did not tell what became of it.";
    do_unreported: "Periksa apakah mesin menyala dan terhubung. Satu jam setelah pembayaran Anda bisa mengembalikan uangnya.", "See whether the machine is on and connected. An hour after the payment you can send the money back.";
    why_mismatch: "Yang dibayar tidak sama dengan tagihannya. Barang tidak keluar.", "What was paid is not what was asked for. Nothing came out.";
    do_mismatch: "Cocokkan dengan transaksinya di dashboard gateway, lalu kembalikan uangnya.", "Compare it with the transaction in the gateway's dashboard, then send the money back.";
    why_conflict: "Mesin melaporkan dua hasil yang berbeda.", "The machine told two different outcomes.";
    do_conflict: "Cari tahu apakah barang keluar. Lalu kembalikan uangnya, atau tandai sebagai diserahkan.", "Find out whether the goods came. Then send the money back, or say that the goods were handed over.";
    why_suspect: "Dari kata gateway tidak jelas apakah sudah dibayar.", "The gateway's word does not tell whether it is paid.";
    do_suspect: "Lihat transaksinya di dashboard gateway, lalu tandai sudah dilihat.", "Look at the transaction in the gateway's dashboard, then say that you have seen it.";
    why_unconfirmed: "Tidak ada yang memastikan apakah pesanan ini sudah dibayar.", "Nobody confirms whether this order is paid.";
    do_unconfirmed: "Lihat di dashboard gateway. Sudah dibayar: kembalikan uangnya di sana, lalu catat di sini. Belum: tandai sudah dilihat.", "Look in the gateway's dashboard. It is paid: send the money back there, and note it here. It is not: say that you have seen it.";
    why_refund_soon: "Gateway hanya bisa mengembalikan uangnya beberapa hari lagi.", "The gateway can send the money back for a few more days only.";
    do_refund_soon: "Putuskan sekarang.", "Decide now.";
    why_refund_last_day: "Gateway hanya bisa mengembalikan uangnya satu hari lagi.", "The gateway can send the money back for one more day only.";
    do_refund_last_day: "Putuskan hari ini.", "Decide today.";
    why_only_by_hand: "Gateway tidak bisa mengembalikan uangnya lagi: waktunya lewat.", "The gateway cannot send the money back any more: its time is over.";
    do_only_by_hand: "Kembalikan dengan cara lain, lalu catat di sini.", "Pay it back in another way, and note it here.";
    why_partial_refund: "Sebagian uang sudah kembali lewat gateway.", "A part of the money went back through the gateway.";
    do_partial_refund: "Periksa apakah itu disengaja, lalu tandai sudah dilihat.", "Find out whether that was intended, then say that you have seen it.";
    why_chargeback: "Bank pelanggan menarik kembali uangnya.", "The customer's bank took the money back.";
    do_chargeback: "Jika itu salah, ajukan keberatan ke gateway. Lalu tandai sudah dilihat.", "If that is wrong, contest it at the gateway. Then say that you have seen it.";
    why_reversed: "Kasir toko menarik kembali pembayarannya.", "The shop's counter took its payment back.";
    do_reversed: "Tanyakan ke gateway, lalu tandai sudah dilihat.", "Ask the gateway, then say that you have seen it.";
    why_late_fact: "Sesuatu datang setelah pesanan ini selesai: pelanggan mungkin mendapat barang dan uang, atau tidak mendapat apa-apa.", "Something came after this order was settled: the customer may have goods and money, or nothing.";
    do_late_fact: "Baca yang terjadi di bawah, selesaikan dengan pelanggan, lalu tandai sudah dilihat.", "Read below what happened, settle it with the customer, then say that you have seen it.";

    refund: "Kembalikan {0}", "Send {0} back";
    by_hand: "Sudah saya kembalikan sendiri", "I paid it back by hand";
    hand_over: "Barang diserahkan", "Goods handed over";
    again: "Tawarkan lagi di mesin", "Offer it again at the machine";
    seen: "Sudah saya lihat", "I have seen it";
    rest: "Sebagian sudah dikembalikan. Sisanya {0}.", "A part went back already. {0} is left.";
    refund_title: "Kembalikan {0} kepada pelanggan?", "Send {0} back to the customer?";
    by_hand_title: "Anda sudah mengembalikan {0} sendiri?", "Did you pay {0} back by hand?";
    given_title: "Barangnya sudah diserahkan?", "Were the goods handed over?";
    again_title: "Tawarkan barangnya sekali lagi di mesin?", "Offer the goods once more at the machine?";
    seen_title: "Anda sudah melihat pesanan ini?", "Have you seen this order?";
    refund_what: "Gateway diminta mengirim {0} kembali ke aplikasi pembayaran pelanggan. Ini tidak bisa dibatalkan. Halaman pesanan menunjukkan hasilnya, biasanya dalam beberapa menit.", "The gateway is asked to send {0} back to the payment app of the customer. This cannot be undone. The page of the order shows the result, mostly within some minutes.";
    by_hand_what: "Dicatat bahwa Anda sudah mengembalikan {0} dengan cara lain. Dari sini tidak ada uang yang dikirim, dan gateway tidak diminta lagi.", "It is noted that you paid {0} back in another way. No money is sent from here, and the gateway is not asked any more.";
    given_what: "Dicatat bahwa pelanggan sudah menerima barangnya. {0} tetap milik Anda, dan tidak dikembalikan.", "It is noted that the customer has the goods. {0} stays yours, and does not go back.";
    again_what: "Pelanggan harus ada di depan mesin: dalam sepuluh menit layarnya menawarkannya lagi, dan pelanggan menekan di sana. Tidak ada yang dibayar lagi. Setelah ditekan, {0} tidak bisa dikembalikan sampai mesin melaporkan hasilnya, atau satu jam berlalu.", "The customer must stand at the machine: within ten minutes its screen offers it again, and the customer presses there. Nothing more is paid. Once it is pressed, {0} cannot go back until the machine has told the end, or an hour is over.";
    again_until: "Sampai {0} pelanggan juga bisa memintanya di halaman pelanggan, yang terbuka lewat kode di layar mesin.", "Until {0} the customer can also ask for it on the customer's page, which opens by the code on the machine's screen.";
    refund_ends: "Sampai {0} pelanggan boleh mencoba lagi di mesin. Jika Anda menekan Ya, tawaran itu berakhir.", "Until {0} the customer may try again at the machine. If you press Yes, that offer ends.";
    by_hand_first: "Sampai {0} pelanggan boleh mencoba lagi di mesin. Jadi tekan Ya dulu, baru serahkan uangnya: sampai Anda menekan Ya, mesin masih bisa mengeluarkan barangnya. Jika Anda menekan Ya, tawaran itu berakhir.", "Until {0} the customer may try again at the machine. So press Yes first, then hand out the money: until you press Yes, the machine may still give the goods. If you press Yes, that offer ends.";
    given_first: "Sampai {0} pelanggan boleh mencoba lagi di mesin. Jadi tekan Ya dulu, baru serahkan barangnya: sampai Anda menekan Ya, mesin masih bisa mengeluarkannya. Jika Anda menekan Ya, tawaran itu berakhir.", "Until {0} the customer may try again at the machine. So press Yes first, then hand out the goods: until you press Yes, the machine may still give them. If you press Yes, that offer ends.";
    seen_what: "Pesanan ini tidak lagi ditampilkan sebagai sesuatu yang perlu Anda. {0} tidak dikirim ke mana-mana. Jika belum pasti apakah pesanan ini dibayar, pesanan berakhir, dan barang tidak akan keluar lagi.", "This order is no longer shown as one that needs you. {0} goes nowhere. If it is uncertain whether it is paid, the order ends, and nothing is handed out for it any more.";
    refund_yes: "Ya, kembalikan {0}", "Yes, send {0} back";
    by_hand_yes: "Ya, {0} sudah saya kembalikan", "Yes, I paid {0} back";
    given_yes: "Ya, barangnya sudah diserahkan", "Yes, the goods were handed over";
    again_yes: "Ya, tawarkan lagi", "Yes, offer it again";
    seen_yes: "Ya, sudah saya lihat", "Yes, I have seen it";

    sure_no_report: "Saya sudah memeriksa mesinnya: hasilnya tidak dilaporkan, dan barang tidak akan keluar lagi untuk pesanan ini.", "I have looked at the machine: it told no outcome, and hands nothing out for this order any more.";
    sure_no_proof: "Saya sudah memastikan bahwa barang tidak keluar, walaupun relai mesin tidak menandatanganinya.", "I have made sure that nothing came out, although the machine's relay has not signed it.";
    sure_not_refunded: "Saya sudah melihat di dashboard gateway bahwa uangnya belum kembali.", "I have looked in the gateway's dashboard that the money did not go back.";

    no_outcome_stands: "Hasil lain sudah dilaporkan sebelumnya, dan itu yang berlaku.", "Another outcome was told before, and stands.";
    no_not_paid: "Pesanan ini belum dibayar.", "This order is not paid.";
    no_not_ended: "Pesanan ini belum berakhir.", "This order has not ended yet.";
    no_delivered: "Mesin melaporkan bahwa barang keluar.", "The machine told that the goods came out.";
    no_not_reported: "Mesin belum melapor, dan mungkin masih mengeluarkan barangnya.", "The machine has told nothing, and may still hand it out.";
    no_too_early: "Masih terlalu awal: mesin mungkin masih mengeluarkan barangnya. Coba lagi satu jam setelah pembayaran atau percobaan terakhir; yang dibayar di kasir: satu jam setelah batas pengambilannya.", "It is too early: the machine may still hand it out. Try again an hour after the payment or the last try; what was paid at a counter: an hour after its time to collect is over.";
    no_under_way: "Gateway sedang diminta mengembalikan uangnya.", "The gateway is being asked to send the money back.";
    no_unsure: "Mungkin uangnya sudah dikembalikan sebelumnya. Lihat dulu di dashboard gateway.", "The money may have gone back before. First look in the gateway's dashboard.";
    no_refunded_already: "Uangnya sudah dikembalikan.", "The money went back already.";
    no_given: "Barangnya sudah diserahkan.", "The goods were handed over.";
    no_taken_back: "Uangnya sudah ditarik kembali.", "The money was taken back.";
    no_no_proof: "Belum ada bukti dari relai bahwa barang tidak keluar.", "The relay's proof that nothing came out is missing.";
    no_not_by_api: "Pembayaran di kasir toko tidak bisa dikembalikan lewat gateway.", "The gateway does not refund payments at a shop's counter.";
    no_only_by_hand: "Gateway tidak bisa mengembalikannya lagi: waktunya lewat.", "The gateway does not send it back any more: its time is over.";
    no_nothing_to_see: "Tidak ada yang perlu dilihat di pesanan ini.", "There is nothing to see in this order.";
    no_try_off: "Percobaan kedua tidak ditawarkan di toko ini. Orang yang mengurus server Anda bisa mengubahnya.", "This shop offers no second tries. Whoever runs your server can change that.";
    no_uncertain: "Tidak diketahui apakah barang keluar. Mesin bisa mengeluarkannya dua kali.", "Nobody knows whether the goods came. The machine could hand them out twice.";
    no_repaid: "Uangnya kembali, atau barangnya sudah diserahkan.", "The money goes back, or the goods were handed over.";
    no_doubtful: "Yang diketahui tentang pesanan ini tidak cocok satu sama lain. Putuskan tentang uangnya.", "What is known of this order does not agree. Decide about the money.";
    no_try_too_late: "Gateway hanya bisa mengembalikan uangnya kurang dari dua hari lagi. Putuskan tentang uangnya.", "The gateway can send the money back for less than two more days. Decide about the money.";
    no_tries_of_today: "Mesin ini sudah memakai semua percobaan keduanya dalam 24 jam. Tunggu, atau kembalikan uangnya.", "This machine has had all its second tries of 24 hours. Wait, or give the money back.";
    no_more_tries: "Mesin sudah mencobanya sebanyak yang dibolehkan.", "The machine has tried it as often as it may.";
    no_role: "Anda hanya boleh melihat. Untuk ini perlu seorang pemilik.", "You may only see. This needs an owner.";
    no_limit: "Ini lebih dari yang boleh Anda kembalikan hari ini. Coba besok, atau minta orang yang mengurus server Anda.", "This is more than you may send back today. Try tomorrow, or ask whoever runs your server.";

    step_began: "Pelanggan memulai pesanan.", "A customer began the order.";
    step_charged: "Kode QR atau kode pembayaran berlaku sampai {0}.", "The QR or code could be paid until {0}.";
    step_paid: "{0} dibayar.", "{0} was paid.";
    step_dispensed: "Mesin melapor: barang keluar.", "The machine told: the goods came out.";
    step_failed: "Mesin melapor: relai aktif, tetapi barang tidak keluar.", "The machine told: its relay worked, but nothing came out.";
    step_uncertain: "Mesin melapor: belum pasti apakah barang keluar.", "The machine told: it is uncertain whether the goods came.";
    step_undelivered: "Mesin melapor: barang tidak dikeluarkan.", "The machine told: nothing was handed out.";
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

    reason_late: "dibayar terlambat", "it was paid too late";
    reason_timeout: "tidak dibayar tepat waktu", "nobody paid in time";
    reason_customer: "dibatalkan pelanggan", "the customer cancelled it";
    reason_not_collected: "tidak diambil", "it was not collected";
    reason_relay: "relai tidak bisa dipakai", "the relay could not be used";
    reason_line_blocked: "jalurnya menunggu diperiksa", "its line waits to be looked at";
    reason_sold_out: "habis", "it was sold out";
    reason_store: "mesin tidak bisa mencatat", "the machine could not write";
    reason_mismatch: "pembayaran tidak sama dengan tagihan", "the payment is not what was asked for";
    reason_failed: "sensor tidak melihat barang keluar", "the sensor saw nothing come out";
    reason_uncertain: "listrik mati, atau hasilnya tidak tercatat", "the power went, or the end was not written";
}

/// The word of why a person must look, in a sentence, and what to do. A word of a later release is shown as it came.
pub fn why<'a>(words: &'static Words, word: &'a str) -> (&'a str, Option<&'static str>) {
    let Some(kind) = Attention::from_word(word) else { return (word, None) };
    let (why, to_do) = match kind {
        Attention::RefundDue => (words.why_refund_due, words.do_refund_due),
        Attention::NoProof => (words.why_no_proof, words.do_no_proof),
        Attention::RefundFailed => (words.why_refund_failed, words.do_refund_failed),
        Attention::Uncertain => (words.why_uncertain, words.do_uncertain),
        Attention::Unreported => (words.why_unreported, words.do_unreported),
        Attention::Mismatch => (words.why_mismatch, words.do_mismatch),
        Attention::Conflict => (words.why_conflict, words.do_conflict),
        Attention::Suspect => (words.why_suspect, words.do_suspect),
        Attention::Unconfirmed => (words.why_unconfirmed, words.do_unconfirmed),
        Attention::RefundSoon => (words.why_refund_soon, words.do_refund_soon),
        Attention::RefundLastDay => (words.why_refund_last_day, words.do_refund_last_day),
        Attention::OnlyByHand => (words.why_only_by_hand, words.do_only_by_hand),
        Attention::PartialRefund => (words.why_partial_refund, words.do_partial_refund),
        Attention::Chargeback => (words.why_chargeback, words.do_chargeback),
        Attention::Reversed => (words.why_reversed, words.do_reversed),
        Attention::LateFact => (words.why_late_fact, words.do_late_fact),
    };
    (why, Some(to_do))
}

pub const fn stands(words: &'static Words, stands: Stands) -> &'static str {
    match stands {
        Stands::Open => words.open,
        Stands::Unpaid => words.unpaid,
        Stands::Unconfirmed => words.unconfirmed,
        Stands::Awaited => words.awaited,
        Stands::Delivered => words.delivered,
        Stands::Given => words.given,
        Stands::RefundDue => words.refund_due,
        Stands::Refunding => words.refunding,
        Stands::Refunded => words.refunded,
        Stands::RefundedByHand => words.refunded_by_hand,
        Stands::Uncertain => words.uncertain,
        Stands::Unreported => words.unreported,
        Stands::TakenBack => words.taken_back,
    }
}

pub fn button(words: &'static Words, deed: Deed, amount: u64) -> String {
    match deed {
        Deed::Refund => fill(words.refund, &[&total(amount)]),
        Deed::ByHand => words.by_hand.into(),
        Deed::Given => words.hand_over.into(),
        Deed::Again => words.again.into(),
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
        Deed::Seen => None,
    }
}

/// What is asked before a deed, what will happen, and the button that does it.
pub fn asked(words: &'static Words, deed: Deed, amount: u64) -> [String; 3] {
    let texts = match deed {
        Deed::Refund => [words.refund_title, words.refund_what, words.refund_yes],
        Deed::ByHand => [words.by_hand_title, words.by_hand_what, words.by_hand_yes],
        Deed::Given => [words.given_title, words.given_what, words.given_yes],
        Deed::Again => [words.again_title, words.again_what, words.again_yes],
        Deed::Seen => [words.seen_title, words.seen_what, words.seen_yes],
    };
    texts.map(|text| fill(text, &[&total(amount)]))
}

pub const fn sure(words: &'static Words, sure: Sure) -> &'static str {
    match sure {
        Sure::NoReport => words.sure_no_report,
        Sure::NoProof => words.sure_no_proof,
        Sure::NotRefunded => words.sure_not_refunded,
    }
}

pub const fn denied(words: &'static Words, denied: Denied) -> &'static str {
    match denied {
        Denied::OutcomeStands => words.no_outcome_stands,
        Denied::NotPaid => words.no_not_paid,
        Denied::NotEnded => words.no_not_ended,
        Denied::Delivered => words.no_delivered,
        Denied::NotReported => words.no_not_reported,
        Denied::TooEarly => words.no_too_early,
        Denied::RefundUnderWay => words.no_under_way,
        Denied::RefundUnsure => words.no_unsure,
        Denied::RefundedAlready => words.no_refunded_already,
        Denied::Given => words.no_given,
        Denied::TakenBack => words.no_taken_back,
        Denied::NoProof => words.no_no_proof,
        Denied::NotByApi => words.no_not_by_api,
        Denied::OnlyByHand => words.no_only_by_hand,
        Denied::NothingToSee => words.no_nothing_to_see,
        Denied::TryOff => words.no_try_off,
        Denied::Uncertain => words.no_uncertain,
        Denied::Repaid => words.no_repaid,
        Denied::Doubtful => words.no_doubtful,
        Denied::TryTooLate => words.no_try_too_late,
        Denied::NoMoreTries => words.no_more_tries,
        Denied::TriesOfToday => words.no_tries_of_today,
        Denied::Role => words.no_role,
        Denied::Limit => words.no_limit,
    }
}

/// What happened, in a sentence. `at` says a time in words.
pub fn step(words: &'static Words, what: &What, at: impl Fn(&str) -> String) -> String {
    match what {
        What::Began => words.step_began.into(),
        What::Charged { until } => fill(words.step_charged, &[&at(until)]),
        What::Paid { amount } => fill(words.step_paid, &[&total(*amount)]),
        What::Told { outcome, reason, is_signed } => told(words, outcome, reason.as_deref(), *is_signed),
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

fn told(words: &'static Words, outcome: &str, reason: Option<&str>, is_signed: bool) -> String {
    let mut text = match outcome {
        "dispensed" => words.step_dispensed.to_owned(),
        "failed" => words.step_failed.to_owned(),
        "uncertain" => words.step_uncertain.to_owned(),
        "undelivered" => words.step_undelivered.to_owned(),
        other => fill(words.step_other, &[&other]),
    };
    if let Some(reason) = reason {
        text = format!("{text} {}", fill(words.step_reason, &[&self::reason(words, reason)]));
    }
    if is_signed {
        text = format!("{text} {}", words.step_signed);
    }
    text
}

/// Most reasons never reach a paid order. Those, and words of a later release, are shown as they came.
fn reason<'a>(words: &'static Words, reason: &'a str) -> &'a str {
    match reason {
        "late" => words.reason_late,
        "timeout" => words.reason_timeout,
        "customer" => words.reason_customer,
        "not_collected" => words.reason_not_collected,
        "relay" | "relay_refused" => words.reason_relay,
        "line_blocked" => words.reason_line_blocked,
        "sold_out" => words.reason_sold_out,
        "store" => words.reason_store,
        "mismatch" => words.reason_mismatch,
        "failed" => words.reason_failed,
        "uncertain" => words.reason_uncertain,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_host::speech::Language;

    #[test]
    fn every_reason_to_look_has_its_words_and_one_of_a_later_release_is_shown_as_it_came() {
        for language in [Language::Id, Language::En] {
            let words = in_language(language);
            let mut all: Vec<_> = Attention::ALL.iter().map(|kind| why(words, kind.as_str())).collect();
            assert!(all.iter().all(|(why, to_do)| why.ends_with('.') && to_do.is_some()), "{all:?}");
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), Attention::ALL.len(), "two reasons in the same words");
            assert_eq!(why(words, "of_a_later_release"), ("of_a_later_release", None));
            assert!(told(words, "teleported", Some("tired"), false).contains("teleported"));
            assert!(told(words, "failed", Some("tired"), true).contains("tired"));
        }
    }

    /// All of them: one that is missing does not compile.
    macro_rules! each_denied {
        ($($name:ident),* $(,)?) => {{
            let _ = |denied| match denied { $(Denied::$name => (),)* };
            [$(Denied::$name),*]
        }};
    }

    #[test]
    fn everything_that_is_denied_has_a_sentence_of_its_own() {
        let all = each_denied![
            OutcomeStands,
            NotPaid,
            NotEnded,
            Delivered,
            NotReported,
            TooEarly,
            RefundUnderWay,
            RefundUnsure,
            RefundedAlready,
            Given,
            TakenBack,
            NoProof,
            NotByApi,
            OnlyByHand,
            NothingToSee,
            TryOff,
            Uncertain,
            Repaid,
            Doubtful,
            TryTooLate,
            NoMoreTries,
            TriesOfToday,
            Role,
            Limit,
        ];
        for language in [Language::Id, Language::En] {
            let mut said = all.map(|why| denied(in_language(language), why));
            assert!(said.iter().all(|text| text.ends_with('.') && !text.contains('{')), "{said:?}");
            said.sort_unstable();
            let same = said.windows(2).find(|two| two[0] == two[1]);
            assert_eq!(same, None);
        }
    }

    #[test]
    fn a_deed_says_the_sum_that_it_moves() {
        for deed in Deed::ALL {
            let [title, what, yes] = asked(in_language(Language::En), deed, 5000);
            assert!(what.contains("Rp5.000") && !title.contains('{') && !yes.contains('{'), "{title} {what} {yes}");
        }
        assert_eq!(button(in_language(Language::Id), Deed::Refund, 12_500), "Kembalikan Rp12.500");
    }

    #[test]
    fn a_sum_is_one_thing() {
        let words = in_language(Language::En);
        let said =
            Deed::ALL.map(|deed| asked(words, deed, 5000)[1].clone()).join(" ") + &step(words, &What::Paid { amount: 5000 }, str::to_owned);
        for many in [" were", " are", " stay ", " go ", " do "] {
            assert!(!said.contains(&format!("Rp5.000{many}")), "{said}");
        }
        assert!(said.contains("Rp5.000 was paid."), "{said}");
    }
}
