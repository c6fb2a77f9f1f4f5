//! A machine in words: what is wrong with it, what its screen shows, and what lies in it.

use qris_core::order::stock::NotSold;
use qris_core::wire::desk::{MachineLine, Screen, SlotLine, Trouble};
use qris_core::wire::status::FaultCode;
use qris_host::speech::fill;
use std::borrow::Cow;

qris_core::texts! {
    silent: "tidak ada kabar", "silent";
    faulty: "gangguan", "fault";
    suspect: "periksa: tidak ada yang keluar", "look: nothing came out";
    sold_out: "ada yang habis", "sold out";
    low: "hampir habis", "low";

    store: "Mesin tidak bisa mencatat pesanan, jadi tidak berjualan.", "The machine cannot write its orders, so it does not sell.";
    do_store: "Minta teknisi memeriksa disk atau kartunya.", "Ask a technician to look at its disk or card.";
    store_reset: "Catatan mesin rusak, dan dimulai lagi. Mesin berjualan.", "The machine's records were damaged, and begun anew. It sells.";
    do_store_reset: "Minta teknisi memeriksa kartunya: mungkin sudah usang.", "Ask a technician to look at its card: it may be worn.";
    newer_database: "Program mesin lebih lama daripada catatannya, jadi tidak berjualan.", "The machine's program is older than its records, so it does not sell.";
    do_newer_database: "Minta teknisi memasang lagi rilis yang lebih baru.", "Ask a technician to install the newer release again.";
    relay: "Bagian yang mengeluarkan barang tidak menjawab, atau ada gangguan di sana.", "The part that hands the goods out does not answer, or has a fault.";
    do_relay: "Matikan dan nyalakan mesinnya. Jika tidak membantu, panggil teknisi.", "Turn the machine off and on. If that does not help, call a technician.";
    line_blocked: "Sebuah jalur gagal dan menunggu diperiksa. Barang di jalur itu tidak dijual.", "A line failed and waits to be looked at. Its goods are not sold.";
    goods_blocked: "Tidak dijual: {0}. Jalurnya diblokir.", "Not sold: {0}. Its line is blocked.";
    do_line_blocked: "Periksa apakah spiralnya kosong atau macet, lalu tekan tombol di balik pintu.", "See whether its spiral is empty or jammed, then press the button inside the door.";
    screen: "Layarnya tidak bisa dipakai, jadi mesin tidak berjualan.", "Its screen cannot be used, so the machine does not sell.";
    do_screen: "Periksa kabel layarnya, atau panggil teknisi.", "Look at the cable of its screen, or call a technician.";
    backend: "Mesin tidak bisa menghubungi server, jadi tidak berjualan.", "The machine cannot reach the server, so it does not sell.";
    do_backend: "Periksa jaringan di tempat mesin.", "Look at the network where the machine stands.";
    clock: "Jam mesin salah, atau sebuah sertifikat kedaluwarsa.", "The machine's clock is wrong, or a certificate expired.";
    do_clock: "Periksa jaringannya: jamnya benar sendiri setelah terhubung. Jika tidak, panggil teknisi.", "Look at its network: the clock mends itself once it is connected. If not, call a technician.";
    config: "Broker menolak sebagian pesan mesin ini.", "The broker refuses some messages of this machine.";
    do_config: "Hubungi orang yang mengurus server Anda.", "Ask whoever runs your server.";
    taken_over: "Komputer lain memakai nama mesin ini.", "Another computer uses the name of this machine.";
    do_taken_over: "Hubungi segera orang yang mengurus server Anda.", "Tell whoever runs your server at once.";
    charges: "Tagihan tidak bisa dibuat, jadi tidak ada yang dijual.", "No charge can be made, so nothing is sold.";
    do_charges: "Hubungi orang yang mengurus server Anda.", "Ask whoever runs your server.";
    unconfirmed: "Belum pasti apakah sebuah pesanan mesin ini dibayar.", "It is uncertain whether an order of this machine is paid.";
    do_unconfirmed: "Selesaikan pesanan itu: ada di halaman hari ini.", "Settle that order: it is on today's page.";
    settings: "Setelan yang dikirim dari jauh tidak berlaku.", "Settings that were sent from afar are not in force.";
    do_settings: "Hubungi orang yang mengurus server Anda.", "Ask whoever runs your server.";
    stock: "Isi sebuah tempat belum dihitung, atau lebih banyak daripada muatannya.", "What lies in a slot was not counted, or is more than it holds.";
    goods_stock: "Belum dihitung: {0}.", "Not counted: {0}.";
    do_stock: "Hitung isinya di mesin.", "Count it at the machine.";
    prices: "Harga sebuah barang tidak diterima oleh jalur atau pembayaran, jadi barang itu tidak dijual.", "No line or no payment takes the price of an item, so it is not sold.";
    goods_price: "Tidak dijual: {0}. Tidak ada jalur atau pembayaran yang menerima harganya.", "Not sold: {0}. No line or no payment takes the price.";
    do_prices: "Hubungi orang yang mengurus server Anda.", "Ask whoever runs your server.";

    screen_unknown: "Tidak diketahui: tidak ada kabar dari mesin.", "Not known: nothing is heard of the machine.";
    screen_dark: "Tidak ada: layarnya tidak bisa dipakai.", "Nothing: its screen cannot be used.";
    screen_idle: "Barang dan harganya.", "The goods and their prices.";
    screen_some_gone: "Barang dan harganya. Sebagian tidak bisa dibeli.", "The goods and their prices. Some cannot be bought.";
    screen_out: "Mesin sedang tidak berjualan.", "The machine sells nothing now.";
    screen_unsure: "Barang dan harganya, atau bahwa mesin tidak berjualan: lihat gangguannya.", "The goods and their prices, or that nothing is sold: see its faults.";
    screen_offline: "Barang dan harganya, dan bahwa pembelian mungkin tidak berhasil.", "The goods and their prices, and that a sale may not work.";
    screen_preparing: "Pembayaran sedang disiapkan.", "A payment is being prepared.";
    screen_payable: "Kode untuk {0}, berlaku sampai {1}.", "A code for {0}, good until {1}.";
    screen_paid: "Pesanan yang baru dibayar.", "An order that was just paid.";
    screen_try_again: "Tawaran percobaan kedua. Jika pelanggan lain sedang dilayani, tawaran itu muncul sesudahnya.", "The offer of a second try. If another customer is being served, it comes after that.";

    slot_blocked: "tidak dijual: jalurnya diblokir", "not sold: its line is blocked";
    slot_not_sold: "tidak dijual: tidak ada yang menerima harganya", "not sold: nothing takes its price";
    slot_suspect: "periksa: tidak ada yang keluar", "look: nothing came out";
    slot_sold_out: "habis", "sold out";
    slot_low: "hampir habis", "low";
    slot_today: "habis hari ini", "empty today";
    slot_soon: "habis kira-kira {0} hari lagi", "empty in about {0} days";
    slot_unseen: "tidak terlihat keluar: {0}", "not seen to come out: {0}";
    slot_unknown: "hitunglah isinya", "count what is in it";
}

pub fn trouble(words: &'static Words, machine: &MachineLine, trouble: Trouble) -> String {
    let of = |what: &str, goods: &Option<_>| goods.as_ref().map_or_else(|| what.to_owned(), |goods| format!("{what}: {}", and_more(goods)));
    match trouble {
        Trouble::Silent => words.silent.into(),
        Trouble::Faulty => words.faulty.into(),
        Trouble::Suspect => of(words.suspect, &machine.suspect),
        Trouble::SoldOut if machine.sold_out.is_some() => of(words.slot_sold_out, &machine.sold_out),
        Trouble::SoldOut => words.sold_out.into(),
        Trouble::Low => of(words.low, &machine.low),
    }
}

/// The first of some goods, and the number of the others.
fn and_more((goods, more): &(Box<str>, u64)) -> String {
    if *more == 0 { goods.to_string() } else { format!("{goods} +{more}") }
}

/// The meaning of a fault of this machine, with the goods that are not sold because of it, and what to do. A word of a later release is shown
/// as it came.
pub fn fault<'a>(words: &'static Words, machine: &MachineLine, fault: &'a FaultCode) -> (Cow<'a, str>, Option<&'static str>) {
    let (what, to_do) = match fault {
        FaultCode::Store => (words.store, words.do_store),
        FaultCode::StoreReset => (words.store_reset, words.do_store_reset),
        FaultCode::NewerDatabase => (words.newer_database, words.do_newer_database),
        FaultCode::Relay => (words.relay, words.do_relay),
        FaultCode::LineBlocked => {
            let goods = machine.blocked.as_ref().map(and_more);
            let what = goods.map_or_else(|| words.line_blocked.into(), |goods| fill(words.goods_blocked, &[&goods]).into());
            return (what, Some(words.do_line_blocked));
        }
        FaultCode::Screen => (words.screen, words.do_screen),
        FaultCode::Backend => (words.backend, words.do_backend),
        FaultCode::Clock => (words.clock, words.do_clock),
        FaultCode::Config => (words.config, words.do_config),
        FaultCode::TakenOver => (words.taken_over, words.do_taken_over),
        FaultCode::Charges => (words.charges, words.do_charges),
        FaultCode::Unconfirmed => (words.unconfirmed, words.do_unconfirmed),
        FaultCode::Settings => (words.settings, words.do_settings),
        FaultCode::Stock => {
            let goods = machine.uncounted.as_ref().map(and_more);
            let what = goods.map_or_else(|| words.stock.into(), |goods| fill(words.goods_stock, &[&goods]).into());
            return (what, Some(words.do_stock));
        }
        FaultCode::Prices => {
            let goods = machine.price_of.as_ref().map(and_more);
            let what = goods.map_or_else(|| words.prices.into(), |goods| fill(words.goods_price, &[&goods]).into());
            return (what, Some(words.do_prices));
        }
        FaultCode::Other(_) => return (fault.as_str().into(), None),
    };
    (what.into(), Some(to_do))
}

/// `money` and `at` say a sum and a time in words.
pub fn screen(words: &'static Words, screen: &Screen, money: impl Fn(u64) -> String, at: impl Fn(&str) -> String) -> String {
    match screen {
        Screen::Unknown => words.screen_unknown.into(),
        Screen::Dark => words.screen_dark.into(),
        Screen::Idle { some_gone: false } => words.screen_idle.into(),
        Screen::Idle { some_gone: true } => words.screen_some_gone.into(),
        Screen::OutOfOrder => words.screen_out.into(),
        Screen::Unsure => words.screen_unsure.into(),
        Screen::Offline => words.screen_offline.into(),
        Screen::Preparing => words.screen_preparing.into(),
        Screen::Payable { order: _, amount, until } => fill(words.screen_payable, &[&money(*amount), &at(until)]),
        Screen::Paid { order: _ } => words.screen_paid.into(),
        Screen::TryAgain { order: _ } => words.screen_try_again.into(),
    }
}

/// What a slot wants; empty: nothing. Why it is not sold comes first. Filling does not end that.
pub fn slot(words: &'static Words, line: &SlotLine) -> String {
    let slot = &line.slot;
    let barred = slot.barred().map(|why| match why {
        NotSold::Blocked => words.slot_blocked,
        NotSold::Line | NotSold::Price | NotSold::Suspect | NotSold::SoldOut | NotSold::Other(_) => words.slot_not_sold,
    });
    let level = if slot.suspect {
        words.slot_suspect.into()
    } else if slot.count.is_none() {
        words.slot_unknown.into()
    } else if slot.is_empty() {
        words.slot_sold_out.into()
    } else {
        match line.empty_in_days {
            Some(0) => words.slot_today.into(),
            Some(days) => fill(words.slot_soon, &[&days]),
            None if slot.is_low() => words.slot_low.into(),
            None => String::new(),
        }
    };
    let unseen = if slot.unseen > 0 { fill(words.slot_unseen, &[&slot.unseen]) } else { String::new() };
    [barred.unwrap_or_default(), &level, &unseen].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_host::speech::Language;

    #[test]
    fn a_slot_that_is_not_sold_says_so_before_its_level_and_the_fault_names_the_goods() {
        let line = |more: serde_json::Value| {
            let mut slot = serde_json::json!({ "item": "A3", "count": 3, "capacity": 3, "low": 1, "sold": 0 });
            slot.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            let slot = SlotLine { slot: serde_json::from_value(slot).expect("a slot"), empty_in_days: None, bring: 0 };
            super::slot(Words::of(Language::En), &slot)
        };
        assert_eq!(line(serde_json::json!({})), "");
        assert_eq!(line(serde_json::json!({ "not_sold": "blocked" })), "not sold: its line is blocked");
        assert_eq!(line(serde_json::json!({ "count": 0, "not_sold": "blocked" })), "not sold: its line is blocked; sold out");
        assert_eq!(line(serde_json::json!({ "not_sold": "price" })), "not sold: nothing takes its price");
        assert_eq!(line(serde_json::json!({ "count": 0, "not_sold": "sold_out" })), "sold out");
        assert_eq!(line(serde_json::json!({ "count": null })), "count what is in it");
        assert_eq!(line(serde_json::json!({ "count": 1, "unseen": 2 })), "low; not seen to come out: 2");
        let mut machine = machine();
        machine.blocked = Some(("Keripik singkong (A3)".into(), 0));
        machine.uncounted = Some(("Roti".into(), 1));
        machine.price_of = Some(("Emas".into(), 2));
        let said = |code| fault(Words::of(Language::En), &machine, &code).0.into_owned();
        assert_eq!(said(FaultCode::LineBlocked), "Not sold: Keripik singkong (A3). Its line is blocked.");
        assert_eq!(said(FaultCode::Prices), "Not sold: Emas +2. No line or no payment takes the price.");
        assert_eq!(said(FaultCode::Stock), "Not counted: Roti +1.");
        (machine.suspect, machine.sold_out, machine.low) = (Some(("Kopi".into(), 0)), Some(("Teh".into(), 2)), Some(("Air".into(), 1)));
        let said = [Trouble::Suspect, Trouble::SoldOut, Trouble::Low].map(|of| trouble(Words::of(Language::En), &machine, of));
        assert_eq!(said, ["look: nothing came out: Kopi", "sold out: Teh +2", "low: Air +1"]);
    }

    fn machine() -> MachineLine {
        let device = qris_core::order::ids::DeviceId::new("vm-001").expect("an id");
        MachineLine {
            device,
            name: None,
            is_there: None,
            since: None,
            off_since: None,
            trouble: Vec::new(),
            faults: Vec::new(),
            blocked: None,
            price_of: None,
            uncounted: None,
            suspect: None,
            sold_out: None,
            low: None,
            topics: Vec::new(),
            sold: qris_core::wire::desk::Sum::default(),
            to_fill: 0,
        }
    }

    #[test]
    fn every_fault_has_its_words_and_one_of_a_later_release_is_shown_as_it_came() {
        for language in [Language::Id, Language::En] {
            for known in FaultCode::ALL {
                let machine = machine();
                let (what, to_do) = fault(Words::of(language), &machine, known);
                assert!(what.ends_with('.') && to_do.is_some_and(|to_do| to_do.ends_with('.')), "{known:?}");
            }
            let later = FaultCode::from_word("haunted").expect("a word");
            assert_eq!(fault(Words::of(language), &machine(), &later), ("haunted".into(), None));
        }
    }
}
