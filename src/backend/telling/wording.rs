//! An order in the words of the people who look after it: the state of its money, and the advice for them.

use crate::sale::counted::{self, End};
use crate::sale::view;
use qris_core::order::merchant::{Asker, AtBank, Attention, NoProof, NoTry, Order, Proof, RefundEnding, Refused, Repayment, TakenBack};
use qris_core::order::money::Rupiah;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::text::named;
use qris_host::speech::fill;
use qris_host::texts;
use serde_json::{Value, json};

// What a command tells a person, in the language of that person. `serve` and all that programs read say it in English.
texts! {
    delivered: "barang keluar", "delivered";
    given: "diserahkan oleh petugas", "handed over by an attendant";
    refund_due: "harus dikembalikan", "refund due";
    refunded: "dikembalikan lewat gateway", "refunded through the gateway";
    refunded_by_hand: "dikembalikan secara langsung", "refunded by hand";
    uncertain: "belum pasti: tidak diketahui apakah keluar", "uncertain: nobody knows whether it came";
    unreported: "mesin tidak melapor", "unreported by the machine";
    awaited: "baru dibayar, atau belum diambil", "paid just now, or not collected yet";
    taken_back: "ditarik kembali oleh kasir atau bank", "taken back by counter or bank";
    do_refund_due: "kembalikan uangnya (`refund ORDER`, atau di dashboard gateway: lalu ini selesai sendiri), atau serahkan barangnya (`given ORDER --by NAME`)", "give the money back (`refund ORDER`, or in the gateway's dashboard, and this ends by itself), or hand the goods over (`given ORDER --by NAME`)";
    do_no_proof: "periksa mesinnya; jika mesin mungkin di tangan orang lain, tutup dulu tiketnya, karena tanda terima masih bisa membuka relainya; lalu `refund ORDER --no-proof --by NAME` jika barang tidak keluar, `given ORDER --by NAME` jika keluar", "look at the machine; if somebody else may have it, close the ticket first, because the receipt still opens the relay; then `refund ORDER --no-proof --by NAME` if nothing came out, `given ORDER --by NAME` if it did";
    do_refund_failed: "cari sebabnya di riwayat; lalu `refund ORDER` sekali lagi, atau pastikan di dashboard gateway bahwa tidak ada uang yang kembali, kembalikan uangnya dengan cara lain, dan `refund ORDER --settled-by-hand NOTE --by NAME`", "find the reason in its history; then `refund ORDER` again, or look in the gateway's dashboard that nothing went back, give the money back in another way, and `refund ORDER --settled-by-hand NOTE --by NAME`";
    do_uncertain: "periksa mesinnya atau tanya pelanggan; lalu `given ORDER --by NAME` jika barang keluar, `refund ORDER --no-proof --by NAME` jika tidak", "look at the machine or ask the customer; then `given ORDER --by NAME` if it came out, `refund ORDER --no-proof --by NAME` if not";
    do_unreported: "periksa mesinnya; jika mesin mungkin di tangan orang lain, tutup dulu tiketnya, karena tanda terima masih bisa membuka relainya; satu jam setelah pembayaran: `refund ORDER --no-report --by NAME`, atau `given ORDER --by NAME`", "look at the machine; if somebody else may have it, close the ticket first, because the receipt still opens the relay; an hour after the payment: `refund ORDER --no-report --by NAME`, or `given ORDER --by NAME`";
    do_mismatch: "cocokkan dengan transaksinya di dashboard gateway, lalu `refund ORDER`", "compare it with the transaction in the gateway's dashboard, then `refund ORDER`";
    do_conflict: "cari tahu hasil mana yang ditandatangani relainya, lalu putuskan: `given ORDER --by NAME`, atau `refund ORDER --no-proof --by NAME`", "find out which outcome its relay has signed, then decide: `given ORDER --by NAME`, or `refund ORDER --no-proof --by NAME`";
    do_suspect: "lihat di dashboard gateway apakah transaksinya sudah dibayar; lalu `seen ORDER --by NAME`. Jika pesanan ini juga tercatat sebagai `unconfirmed`, perintah itu mengakhirinya", "look in the gateway's dashboard whether the transaction was paid; then `seen ORDER --by NAME`. If the order is listed as unconfirmed, too, that ends it";
    do_unconfirmed: "lihat di dashboard gateway apakah sudah dibayar. Jika sudah: kembalikan uangnya, lalu `refund ORDER --settled-by-hand NOTE --by NAME`. Jika belum: `seen ORDER --by NAME`. Keduanya mengakhiri pesanan, dan barang tidak akan keluar lagi untuk pesanan itu", "look in the gateway's dashboard whether it was paid. If it was: give the money back, and `refund ORDER --settled-by-hand NOTE --by NAME`. If not: `seen ORDER --by NAME`. Each ends the order, and nothing is handed out for it any more";
    do_soon: "putuskan sekarang, sebelum uangnya tidak bisa dikembalikan lagi lewat gateway: `refund ORDER`, atau `given ORDER --by NAME`", "decide now, because the gateway will not refund it any more: `refund ORDER`, or `given ORDER --by NAME`";
    do_only_by_hand: "hanya secara langsung: kembalikan uangnya dengan cara lain, lalu `refund ORDER --settled-by-hand NOTE`; atau `given ORDER --by NAME`", "only by hand: give the money back in another way, and then `refund ORDER --settled-by-hand NOTE`; or `given ORDER --by NAME`";
    do_partial_refund: "gateway mengembalikan sebagian uangnya: cari tahu apakah itu disengaja; lalu `seen ORDER --by NAME`", "the gateway gave a part of the money back: find out whether that was intended; then `seen ORDER --by NAME`";
    do_chargeback: "bank pelanggan menarik kembali uangnya: jika itu salah, ajukan keberatan ke gateway; lalu `seen ORDER --by NAME`", "the customer's bank took the money back: contest that at the gateway if it is wrong; then `seen ORDER --by NAME`";
    do_reversed: "kasir toko menarik kembali uangnya setelah tanda terima: tanyakan ke gateway; lalu `seen ORDER --by NAME`", "the shop's counter took the money back after the receipt: ask the gateway; then `seen ORDER --by NAME`";
    do_late_fact: "pelanggan mendapat barang dan uang, atau uang dua kali; atau bank menolak pengembalian dana, dan pelanggan tidak mendapat apa-apa: baca riwayatnya dan selesaikan dengan pelanggan; lalu `seen ORDER --by NAME`", "the customer has goods and money, or the money twice; or the bank refused a refund, and the customer has nothing: read the history and settle it with the customer; then `seen ORDER --by NAME`";
    asked_by_itself: "gateway diminta melakukan pengembalian dana, sesuai `auto_refund`", "the gateway is asked for the refund, as auto_refund says";
    asked: "gateway diminta melakukan pengembalian dana{0}", "the gateway is asked for the refund{0}";
    by: " oleh {0}", " by {0}";
    not_refunded_at: "tidak dikembalikan, {0}: {1}", "not refunded at {0}: {1}";
    bank_asked: "; bank sudah diminta, dan belum memastikannya", "; the bank is asked, and has not confirmed it";
    bank_confirmed: "; bank sudah memastikannya", "; the bank has confirmed it";
    refunded_at: "dikembalikan lewat gateway, {0}{1}", "refunded through the gateway at {0}{1}";
    settled_at: "diselesaikan secara langsung{0}, {1}: {2}", "settled by hand{0} at {1}: {2}";
    given_at: "diserahkan oleh {0}, {1}", "handed over by {0} at {1}";
    by_hand: "langsung", "by hand";
    signed: "ditandatangani relai mesin itu, dengan nomor {0}", "signed by the machine's relay, as its number {0}";
    unsigned: "tidak ada: {0}", "missing: {0}";
    proof_none: "mesin tidak mengirim bukti", "the machine sent no proof";
    proof_no_key: "kunci relainya belum dikenal ketika pesanan dibuat", "no key of its relay was known when the order was made";
    proof_other_key: "mesin mengirim bukti dengan kunci lain daripada yang dikenal ketika pesanan dibuat", "the machine sent a proof by another key than the one that was known when the order was made";
    proof_wrong: "mesin mengirim sesuatu yang bukan bukti", "the machine sent something that is not a proof";
    proof_other_sale: "mesin mengirim bukti untuk penjualan lain", "the machine sent a proof of another sale";
    proof_other_word: "relainya menyatakan hal lain", "the relay says something else";
    proof_number_used: "buku relai dikembalikan ke keadaan sebelumnya", "the relay's ledger was put back to an earlier state";
    proof_number_ahead: "nomornya jauh di depan nomor terakhir: kartu mesin itu mungkin disalin", "its number is far ahead of the last one: the machine's card may have been copied";
    no_outcome_stands: "hasil lain sudah dilaporkan sebelumnya, dan itu yang berlaku", "another outcome was told before, and stands";
    no_not_paid: "pesanan ini belum dibayar", "the order is not paid";
    no_not_ended: "pesanan ini belum berakhir", "the order has not ended yet";
    no_delivered: "mesin melaporkan bahwa barang keluar: tidak ada yang perlu dikembalikan", "the machine reported it as dispensed: there is nothing to refund";
    no_not_reported: "mesin belum melaporkan hasil, dan mungkin masih mengeluarkan barangnya", "the machine has told no outcome, and may still deliver it";
    no_too_early: "masih terlalu awal: mesin mungkin masih mengeluarkan barangnya, atau melaporkan hasilnya. Coba lagi setelah pesanan tercatat sebagai `unreported`, dan satu jam setelah pembayaran (dengan kode pembayaran: satu jam setelah batas pengambilannya)", "it is too early: the machine may still deliver it, or tell what became of it. Ask again once it is listed as unreported, and an hour after the settlement (with a payment code: an hour after the last moment to collect it)";
    no_under_way: "gateway sedang diminta melakukan pengembalian dana", "the gateway is being asked for its refund";
    no_unsure: "pengembalian dana sebelumnya mungkin sudah terjadi: minta sekali lagi, atau sebutkan siapa yang sudah memastikan bahwa itu tidak terjadi", "an earlier refund may have been made: ask for it once more, or say who has looked that it was not";
    no_refunded_already: "uangnya sudah dikembalikan", "it is refunded already";
    no_given: "petugas sudah menyerahkan barangnya: tidak ada yang perlu dikembalikan", "an attendant handed the goods over: there is nothing to refund";
    no_taken_back: "uangnya sudah ditarik kembali: tidak ada yang perlu dikembalikan", "the money was taken back already: there is nothing to refund";
    no_no_proof: "bukti dari relai bahwa barang tidak keluar belum ada", "the relay's proof that it was not handed out is missing";
    no_not_by_api: "pembayaran di kasir toko tidak bisa dikembalikan lewat gateway: kembalikan uangnya secara langsung", "the gateway does not refund payments over the counter: give the money back by hand";
    no_only_by_hand: "tidak bisa dikembalikan lagi lewat gateway: hanya secara langsung", "the gateway does not refund it any more: only by hand";
    no_try_off: "percobaan lagi tidak ditawarkan: orders.second_tries adalah 0", "no other tries are offered: orders.second_tries is 0";
    no_try_uncertain: "tidak diketahui apakah barangnya keluar", "nobody knows whether it came out";
    no_try_came: "mesin melaporkan bahwa barang keluar", "the machine reported it as dispensed";
    no_try_not_proven: "bukti dari relai bahwa tidak ada yang keluar belum ada", "the relay's proof that nothing came out is missing";
    no_try_repaid: "uangnya sudah atau sedang dikembalikan, atau petugas sudah menyerahkan barangnya", "the money went back or is asked back, or an attendant handed the goods over";
    no_try_doubtful: "yang diketahui tentang pesanan ini meragukan: seseorang harus memutuskannya", "what is known of the order is in doubt: a person decides about it";
    no_try_too_late: "waktu pengembalian dana lewat gateway tinggal kurang dari 48 jam", "the gateway refunds it for less than 48 h from now";
    no_try_not_offered: "percobaan lagi tidak ditawarkan lagi untuk pesanan ini", "no other try is offered for this order any more";
    no_try_other_key: "kunci relai mesin itu bukan kunci pesanan ini", "the key of the machine's relay is not the one of this order";
    no_try_other_promise: "janji relai itu bukan untuk percobaan berikutnya pada pesanan ini", "the relay's promise is not for the next try at this order";
    no_try_too_dear: "barang itu lebih mahal daripada yang dibayar", "the item costs more than was paid";
    no_try_not_asked: "dalam 30 detik terakhir gateway tidak menyatakan bahwa uangnya milik penjual", "the gateway has not said in the last 30 s that the money is the merchant's";
    no_try_too_many: "jatah percobaan lagi mesin ini untuk 24 jam sudah habis", "this machine has had its other tries of 24 hours";
    no_nothing_to_see: "tidak ada hal di pesanan ini yang bisa diakhiri `seen`", "this order has nothing that `seen` could end";
}

impl End {
    #[must_use]
    pub fn sentence(self) -> &'static str {
        let texts = texts();
        match self {
            Self::Delivered => texts.delivered,
            Self::Given => texts.given,
            Self::RefundDue => texts.refund_due,
            Self::Refunded => texts.refunded,
            Self::RefundedByHand => texts.refunded_by_hand,
            Self::Uncertain => texts.uncertain,
            Self::Unreported => texts.unreported,
            Self::Awaited => texts.awaited,
            Self::TakenBack => texts.taken_back,
        }
    }
}

#[must_use]
pub fn to_do(attention: Attention) -> &'static str {
    let texts = texts();
    match attention {
        Attention::RefundDue => texts.do_refund_due,
        Attention::NoProof => texts.do_no_proof,
        Attention::RefundFailed => texts.do_refund_failed,
        Attention::Uncertain => texts.do_uncertain,
        Attention::Unreported => texts.do_unreported,
        Attention::Mismatch => texts.do_mismatch,
        Attention::Conflict => texts.do_conflict,
        Attention::Suspect => texts.do_suspect,
        Attention::Unconfirmed => texts.do_unconfirmed,
        Attention::RefundSoon | Attention::RefundLastDay => texts.do_soon,
        Attention::OnlyByHand => texts.do_only_by_hand,
        Attention::PartialRefund => texts.do_partial_refund,
        Attention::Chargeback => texts.do_chargeback,
        Attention::Reversed => texts.do_reversed,
        Attention::LateFact => texts.do_late_fact,
    }
}

#[must_use]
pub fn refused(why: Refused) -> &'static str {
    let texts = texts();
    match why {
        Refused::OutcomeStands => texts.no_outcome_stands,
        Refused::NotPaid => texts.no_not_paid,
        Refused::NotEnded => texts.no_not_ended,
        Refused::Delivered => texts.no_delivered,
        Refused::NotReported => texts.no_not_reported,
        Refused::TooEarly => texts.no_too_early,
        Refused::RefundUnderWay => texts.no_under_way,
        Refused::RefundUnsure => texts.no_unsure,
        Refused::RefundedAlready => texts.no_refunded_already,
        Refused::Given => texts.no_given,
        Refused::TakenBack => texts.no_taken_back,
        Refused::NoProof => texts.no_no_proof,
        Refused::NotByApi => texts.no_not_by_api,
        Refused::OnlyByHand => texts.no_only_by_hand,
        Refused::NothingToSee => texts.no_nothing_to_see,
    }
}

#[must_use]
pub fn no_try(why: NoTry) -> &'static str {
    let texts = texts();
    match why {
        NoTry::Off => texts.no_try_off,
        NoTry::NotPaid => texts.no_not_paid,
        NoTry::NotTold => texts.no_not_reported,
        NoTry::Came => texts.no_try_came,
        NoTry::Uncertain => texts.no_try_uncertain,
        NoTry::NotProven => texts.no_try_not_proven,
        NoTry::Repaid => texts.no_try_repaid,
        NoTry::Doubtful => texts.no_try_doubtful,
        NoTry::TooLate => texts.no_try_too_late,
        NoTry::NotOffered => texts.no_try_not_offered,
        NoTry::OtherKey => texts.no_try_other_key,
        NoTry::OtherPromise => texts.no_try_other_promise,
        NoTry::TooDear => texts.no_try_too_dear,
        NoTry::NotAsked => texts.no_try_not_asked,
        NoTry::TooMany => texts.no_try_too_many,
    }
}

/// The worth of the relay's word on an outcome.
#[must_use]
pub fn proof(proof: &Proof) -> String {
    let texts = texts();
    let why = match proof {
        Proof::Signed { number, .. } => return fill(texts.signed, &[number]),
        Proof::Missing(why) => match why {
            NoProof::None => texts.proof_none,
            NoProof::NoKey => texts.proof_no_key,
            NoProof::OtherKey => texts.proof_other_key,
            NoProof::Wrong => texts.proof_wrong,
            NoProof::OtherSale => texts.proof_other_sale,
            NoProof::OtherWord => texts.proof_other_word,
            NoProof::NumberUsed => texts.proof_number_used,
            NoProof::NumberAhead => texts.proof_number_ahead,
        },
    };
    fill(texts.unsigned, &[&why])
}

/// The same in one word, for programs.
#[must_use]
pub fn proof_word(proof: &Proof) -> &'static str {
    match proof {
        Proof::Signed { .. } => "signed",
        Proof::Missing(why) => why.as_str(),
    }
}

/// How the money goes back, or why it does not.
#[must_use]
pub fn repayment(repayment: &Repayment, zone: Zone) -> String {
    let texts = texts();
    let by = |by: &Option<Box<str>>| by.as_deref().map(|by| fill(texts.by, &[&by])).unwrap_or_default();
    let time = |at: &Wall| at.to_local_named(zone);
    match repayment {
        Repayment::Requested { by: Asker::Automatic, .. } => texts.asked_by_itself.into(),
        Repayment::Requested { by: Asker::Person(who), .. } => fill(texts.asked, &[&by(who)]),
        Repayment::Refused { why, at, .. } => fill(texts.not_refunded_at, &[&time(at), why]),
        Repayment::Done { at, bank, .. } => {
            let bank = match bank {
                Some(AtBank::Requested) => texts.bank_asked,
                Some(AtBank::Confirmed) => texts.bank_confirmed,
                None => "",
            };
            fill(texts.refunded_at, &[&time(at), &bank])
        }
        Repayment::ByHand { note, by: who, at, .. } => fill(texts.settled_at, &[&by(who), &time(at), note]),
        Repayment::Given { by, at, .. } => fill(texts.given_at, &[by, &time(at)]),
    }
}

/// How long the gateway still gives money back that is owed, or may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundUntil {
    /// Until this moment, which itself is too late.
    At(Wall),
    /// Its time is over: only by hand.
    Over,
}

/// See [`RefundUntil`]. `None`: nothing is owed, or the gateway sets no limit.
#[must_use]
pub fn refund_until(order: &Order) -> Option<RefundUntil> {
    let until = order.repay_by()?;
    Some(if order.repaying.ending == Some(RefundEnding::Over) { RefundUntil::Over } else { RefundUntil::At(until) })
}

/// The last day of it, or that it is over. Empty: there is none.
#[must_use]
pub fn refund_by(order: &Order, zone: Zone) -> String {
    match refund_until(order) {
        Some(RefundUntil::Over) => texts().by_hand.into(),
        Some(RefundUntil::At(_)) | None => last_day(order, zone).unwrap_or_default(),
    }
}

/// The last day on which the gateway still gives the money back.
#[must_use]
pub fn last_day(order: &Order, zone: Zone) -> Option<String> {
    match refund_until(order)? {
        RefundUntil::At(until) => Some((until - Span::millis(1)).to_local(zone)[..10].into()),
        RefundUntil::Over => None,
    }
}

#[must_use]
pub fn to_return(order: &Order) -> Rupiah {
    Rupiah::new(counted::to_return(order)).unwrap_or(order.sale.purchase.amount)
}

/// The rest of a payment of which a part went back.
#[must_use]
pub fn rest(order: &Order) -> Option<Rupiah> {
    order.to_refund().filter(|_| order.is_refund_due() && matches!(order.taken_back, Some(TakenBack::Partly { .. })))
}

/// What was sold, for people: its name as the machine told it, and the slot.
#[must_use]
pub fn goods(order: &Order) -> String {
    let purchase = &order.sale.purchase;
    named(purchase.description.as_deref(), purchase.item.as_str())
}

/// Where it was sold, for people: the machine's name as it told it, and its id.
#[must_use]
pub fn place(order: &Order) -> String {
    named(order.sale.purchase.machine.as_deref(), order.sale.device.as_str())
}

/// The gateway's name of an order's transaction, once it is known.
#[must_use]
pub fn transaction(order: &Order) -> Option<String> {
    let settled = order.settlement().map(|by| by.transaction_id.to_string());
    settled.or_else(|| order.charge().map(|charge| charge.transaction_id.to_string()))
}

/// An order in JSON, for lists and alerts. No part of it opens a relay.
#[must_use]
pub fn summary(order: &Order, zone: Zone) -> Value {
    let sale = &order.sale;
    let delivery = order.delivery();
    json!({
        "order_id": order.id,
        "device": sale.device,
        "request_id": sale.purchase.request_id,
        "attempt": order.attempt,
        "machine": sale.purchase.machine,
        "item": sale.purchase.item,
        "asked": sale.purchase.asked,
        "description": sale.purchase.description,
        "amount": sale.purchase.amount,
        "gross_amount": order.charge().map(|charge| charge.gross_amount),
        "payment": sale.purchase.payment,
        "status": order.status(),
        "outcome": delivery.map(|told| told.outcome),
        "reason": delivery.and_then(|told| told.reason),
        "detail": delivery.and_then(|told| told.detail.as_deref()),
        "proof": delivery.map(|told| proof_word(&told.proof)),
        "refund": view::refund(order),
        "to_refund": order.to_refund().filter(|_| order.is_refund_due()),
        "refund_until": match refund_until(order) {
            Some(RefundUntil::At(until)) => Some(until.to_rfc3339_in(zone)),
            // Its attention says `only_by_hand`.
            Some(RefundUntil::Over) | None => None,
        },
        "attention": order.attention(),
        "transaction_id": transaction(order),
        "began_at": order.created_at.to_rfc3339_in(zone),
        "settled_at": order.settlement().map(|by| by.settled_at.to_rfc3339_in(zone)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sale::books::proof_in_words;

    /// The core says it to machines, and the books keep it, in the same words.
    #[test]
    fn what_people_read_in_english_is_what_the_core_says() {
        use Refused::{
            Delivered, Given, NoProof as NoWord, NotByApi, NotEnded, NotPaid, NotReported, NothingToSee, OnlyByHand, OutcomeStands,
            RefundUnderWay, RefundUnsure, RefundedAlready, TakenBack, TooEarly,
        };
        let all = [
            Delivered,
            Given,
            NoWord,
            NotByApi,
            NotEnded,
            NotPaid,
            NotReported,
            NothingToSee,
            OnlyByHand,
            OutcomeStands,
            RefundUnderWay,
            RefundUnsure,
            RefundedAlready,
            TakenBack,
            TooEarly,
        ];
        for why in all {
            assert_eq!(refused(why), why.to_string());
        }
        let no_tries = [
            NoTry::Off,
            NoTry::NotPaid,
            NoTry::NotTold,
            NoTry::Came,
            NoTry::Uncertain,
            NoTry::NotProven,
            NoTry::Repaid,
            NoTry::Doubtful,
            NoTry::TooLate,
            NoTry::NotOffered,
            NoTry::OtherKey,
            NoTry::OtherPromise,
            NoTry::TooDear,
            NoTry::NotAsked,
            NoTry::TooMany,
        ];
        for why in no_tries {
            assert_eq!(no_try(why), why.to_string());
        }
        let missing = [
            NoProof::None,
            NoProof::NoKey,
            NoProof::OtherKey,
            NoProof::Wrong,
            NoProof::OtherSale,
            NoProof::OtherWord,
            NoProof::NumberUsed,
            NoProof::NumberAhead,
        ];
        for said in missing.map(Proof::Missing) {
            assert_eq!(proof(&said), proof_in_words(&said));
        }
    }
}
