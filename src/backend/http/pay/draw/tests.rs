use super::super::words::Words;
use super::*;
use qris_core::order::ids::{ItemId, OrderId};
use qris_host::speech::Language;

/// 2026-11-20 16:20 WIB
const CHARGED: Wall = Wall(1_795_166_400_000);

fn order() -> ForCustomer {
    let price = Rupiah::new(5000).expect("a price");
    ForCustomer {
        order_id: OrderId::new("4x7c1m8k2p9q").expect("an id"),
        payment: Payment::Gopay,
        status: Status::Pending,
        standing: Standing::Payable,
        refund: None,
        outcome: None,
        item: ItemId::new("A1").expect("an id"),
        amount: price,
        nth_try: TryNumber::FIRST,
        price,
        gross_amount: Some(price),
        name: "Teh <b>botol</b>".into(),
        machine: "Lobby & Co".into(),
        paid_to: None,
        store: None,
        qr_payload: Some("00020101".into()),
        qr_url: Some("https://api.example/qr".into()),
        charged_at: Some(CHARGED),
        paid: None,
        until: Some(CHARGED + Span::secs(240)),
        deeplink_url: Some("https://gopay.example/pay?id=1&x=2".into()),
        payment_code: None,
        try_until: None,
        is_try_wanted: false,
        number: None,
    }
}

fn sheet(order: &ForCustomer) -> Sheet<'static> {
    let standing = match order.status {
        Status::Pending if order.gross_amount.is_none() => Standing::Charging,
        Status::Pending => order.standing,
        _ => Standing::Over,
    };
    Sheet {
        order: Box::leak(Box::new(ForCustomer { standing, ..order.clone() })),
        sandbox: false,
        merchant: Some("Warung <Jaya>"),
        zone: Zone::Wib,
        left: Some(Span::millis(98_001)),
        qr_url: Some("https://api.example/qr"),
        contact: Some("0812-3456-7890"),
        finish: None,
        other_language: "?lang=en",
        page: "../4x7c1m8k2p9q?key=k",
        try_can_begin: Ok(()),
        gives_back: false,
        tag: "\"the-tag\"",
    }
}

/// The button stands only on the page of who has its address, and only while the backend offers another try.
#[test]
fn another_try_is_offered_in_both_languages() {
    let mut order = order();
    (order.status, order.refund, order.try_until) = (Status::Settlement, Some(Refund::Due), Some(CHARGED + Span::secs(3600)));
    for (words, offered, wanted) in [
        (Words::of(Language::En), "Try again at the machine", "Second try"),
        (Words::of(Language::Id), "Coba lagi di mesin", "Percobaan kedua"),
    ] {
        let form = |words: &Words| format!("<form method=post action=\"../4x7c1m8k2p9q?key=k&amp;lang={}\">", words.language);
        let drawn = page(&sheet(&order), words);
        assert!(drawn.contains(offered) && drawn.contains(&form(words)), "{drawn}");
        assert!(!drawn.contains(wanted));
        let later = page(&Sheet { try_can_begin: Err(NoTry::TooMany), gives_back: true, ..sheet(&order) }, words);
        assert!(later.contains(words.try_later) && !later.contains(offered) && later.contains("want=money"), "{later}");
        let wished = ForCustomer { is_try_wanted: true, ..order.clone() };
        assert!(page(&sheet(&wished), words).contains(wanted));
        let none_left = page(&Sheet { try_can_begin: Err(NoTry::TooMany), ..sheet(&wished) }, words);
        assert!(none_left.contains(words.try_later) && !none_left.contains(wanted), "{none_left}");
        let none = ForCustomer { try_until: None, ..order.clone() };
        assert!(!page(&sheet(&none), words).contains("<form"));
        let over = page(&Sheet { gives_back: true, ..sheet(&none) }, words);
        assert!(over.contains("want=money") && !over.contains(offered), "the offer is over, and the money can go back: {over}");
        assert!(!drawn.contains("want=money"), "{drawn}");
        let money = page(&Sheet { gives_back: true, ..sheet(&order) }, words);
        assert!(money.contains("&amp;want=money\"><button class=\"a\">") && money.contains(words.want_money), "{money}");
    }
}

/// The page asks for the number, and never has it.
#[test]
fn the_page_asks_for_the_number_that_the_machine_shows() {
    let has = |page: &str, text: &str| page.contains(&text.replace('\'', "&#39;"));
    for words in [Language::En, Language::Id].map(Words::of) {
        let (status, refund, try_until) = (Status::Settlement, Some(Refund::Due), Some(CHARGED + Span::secs(3600)));
        let offered = || ForCustomer { status, refund, try_until, is_try_wanted: true, ..order() };
        let shown = |number| page(&sheet(&ForCustomer { number, ..offered() }), words);
        let asked = shown(Some(NumberStands::Asked { wrong: 0 }));
        assert!(asked.contains("name=number") && asked.contains("want=number") && !has(&asked, words.number_wrong), "{asked}");
        let wrong = shown(Some(NumberStands::Asked { wrong: 1 }));
        assert!(wrong.contains("name=number") && has(&wrong, words.number_wrong), "{wrong}");
        for (number, says) in [(NumberStands::Told, words.number_told), (NumberStands::Ended, words.number_ended)] {
            let page = shown(Some(number));
            assert!(has(&page, says) && !page.contains("name=number"), "{page}");
        }
        let guessed = page(&Sheet { try_can_begin: Err(NoTry::TooManyWrong), gives_back: true, ..sheet(&offered()) }, words);
        assert!(has(&guessed, words.number_no_more) && guessed.contains("want=money") && !guessed.contains(words.try_again), "{guessed}");
    }
}

/// A cheaper item is no fee. The receipt names what the second try hands out.
#[test]
fn a_second_try_and_its_goods_are_on_the_page() {
    let second = TryNumber::FIRST.next().expect("2");
    let mut order = order();
    (order.status, order.nth_try, order.item) = (Status::Settlement, second, ItemId::new("B2").expect("an item"));
    order.amount = Rupiah::new(3000).expect("a price");
    let paid = Some((CHARGED, Rupiah::new(5000).ok()));
    let under_way = page(&sheet(&ForCustomer { paid, ..order.clone() }), Words::of(Language::En));
    assert!(under_way.contains("The machine is working") && under_way.contains("<p>Second try</p>"), "{under_way}");
    order.outcome = Some(Delivery::Dispensed);
    let came = page(&sheet(&ForCustomer { paid, ..order.clone() }), Words::of(Language::En));
    assert!(came.contains("Done. Thank you!") && !came.contains("<p>Second try</p>"), "{came}");
    for drawn in [under_way, came] {
        assert!(drawn.contains("<dt>Second try</dt><dd>B2 (Rp3.000)</dd><dt>Amount</dt><dd>Rp5.000</dd>"), "{drawn}");
        assert!(!drawn.contains("incl. fee"), "{drawn}");
    }
}

#[test]
fn each_stage_is_told_in_both_languages() {
    type Row = (&'static str, fn(&mut ForCustomer), &'static str, &'static str, bool);
    let rows: [Row; 15] = [
        ("asked for", |o| o.gross_amount = None, "Menyiapkan", "Preparing", false),
        ("on offer", |_| {}, "Menunggu pembayaran", "Waiting for your payment", true),
        ("cancelled", |o| o.status = Status::Cancel, "Dibatalkan", "Cancelled", false),
        ("expired", |o| o.status = Status::Expire, "Kedaluwarsa", "Expired", false),
        ("denied", |o| o.status = Status::Deny, "tidak berhasil", "did not work", false),
        ("broken", |o| o.status = Status::Failure, "tidak berhasil", "did not work", false),
        ("paid", |o| o.status = Status::Settlement, "Mesin sedang bekerja", "The machine is working", false),
        ("refunded", |o| (o.status, o.refund) = (Status::Refund, Some(Refund::Done)), "sudah dikembalikan", "was returned", false),
        ("owed", |o| (o.status, o.refund) = (Status::Settlement, Some(Refund::Due)), "akan dikembalikan", "will be returned", false),
        ("a mismatch", |o| (o.status, o.refund) = (Status::Failure, Some(Refund::Due)), "akan dikembalikan", "will be returned", false),
        ("by hand", |o| (o.status, o.refund) = (Status::Settlement, Some(Refund::ByHand)), "langsung dengan Anda", "by hand", false),
        ("given", |o| (o.status, o.refund) = (Status::Settlement, Some(Refund::Given)), "sudah diserahkan", "handed to you", false),
        ("refunded, unsaid", |o| o.status = Status::Refund, "sudah dikembalikan", "was returned", false),
        ("over the counter", |o| o.payment = Payment::Alfamart, "Bayar di kasir", "Pay at the counter", false),
        (
            "to be collected",
            |o| (o.payment, o.status) = (Payment::Indomaret, Status::Settlement),
            "Ketik kode",
            "Type the payment code",
            false,
        ),
    ];
    let mut cases: Vec<_> = rows
        .into_iter()
        .map(|(what, change, id, en, pays)| {
            let mut order = order();
            change(&mut order);
            (what, order, id, en, pays)
        })
        .collect();
    for (outcome, id, en) in [
        (Delivery::Dispensed, "Terima kasih", "Thank you"),
        (Delivery::Uncertain, "Belum pasti</p><p>Sudah dibayar", "Uncertain</p><p>Paid, but nobody knows"),
        (Delivery::Failed, "akan dikembalikan", "will be returned"),
        (Delivery::Undelivered, "akan dikembalikan", "will be returned"),
        (Delivery::from_word("teleported").expect("a word"), "Belum pasti</p><p>Sudah dibayar", "Uncertain</p><p>Paid, but nobody knows"),
    ] {
        let order = ForCustomer { status: Status::Settlement, outcome: Some(outcome), ..order() };
        cases.push(("an outcome", order, id, en, false));
    }
    for (what, order, id, en, pays) in cases {
        for (words, expected) in [(Words::of(Language::Id), id), (Words::of(Language::En), en)] {
            let html = page(&sheet(&order), words);
            assert!(html.contains(expected), "{what}: no {expected:?} in {html}");
            assert_eq!(html.contains("<a class=\"a p\" href=\"https://gopay.example/pay?id=1&#38;x=2\">"), pays, "{what}: {html}");
            assert_eq!(html.contains("<img "), pays, "{what}");
            let saves = "<a class=a href=\"https://api.example/qr\" download>";
            assert_eq!(html.contains(saves), pays, "{what}: {html}");
            assert_eq!(html.contains("data-left=99>1:39<"), pays || what == "over the counter", "{what}: {html}");
            assert!(html.contains("<p class=m>Warung &#60;Jaya&#62;</p>") && html.contains("Lobby &#38; Co"), "{what}: {html}");
            assert!(html.contains("Rp5.000") && html.contains("4x7c1m8k2p9q"), "{what}");
            assert!(html.contains("Teh &#60;b&#62;botol&#60;/b&#62;") && html.contains("tel:081234567890"), "{what}: {html}");
            assert!(html.contains(&format!("lang={}", words.language)), "{what}");
            assert!(html.len() < 8 * 1024, "{what}: {} bytes", html.len());
        }
    }
}

#[test]
fn a_payment_over_the_counter_shows_store_code_and_time() {
    let mut order = order();
    (order.payment, order.store, order.payment_code) = (Payment::Alfamart, Some("alfamart".into()), Some("10002000300".into()));
    let html = page(&Sheet { left: Some(Span::secs(86_399)), ..sheet(&order) }, Words::of(Language::En));
    assert!(html.contains("23:59:59") && html.contains("Pay before 2026-11-20 16:24 WIB"), "{html}");
    let html = page(&sheet(&order), Words::of(Language::En));
    for text in ["Pay at the counter of <b>Alfamart</b>", "1000 2000 300", "Pay before 16:24 WIB"] {
        assert!(html.contains(text), "{html}");
    }
    assert!(!html.contains("<img ") && !html.contains("gopay.example"), "{html}");
    order.status = Status::Settlement;
    let html = page(&sheet(&order), Words::of(Language::En));
    for text in ["Type the payment code at the machine", "1000 2000 300", "Collect before 2026-11-20 16:24 WIB"] {
        assert!(html.contains(text), "{html}");
    }
}

#[test]
fn what_is_no_address_is_no_link() {
    for url in ["javascript:alert(1)", "data:text/html,x", "//x", "\" onclick=\"x"] {
        let order = ForCustomer { deeplink_url: Some(url.into()), ..order() };
        assert!(!page(&sheet(&order), Words::of(Language::En)).contains("class=\"a p\""), "{url}");
    }
    let order = order();
    for (contact, link) in [("0812-3456", true), ("+62 21 555 0100", true), ("ask@shop.example", false), ("12", false)] {
        let html = page(&Sheet { contact: Some(contact), ..sheet(&order) }, Words::of(Language::En));
        assert_eq!(html.contains("href=\"tel:"), link, "{contact}");
        assert!(!html.contains("wa.me"), "{contact} is not a mobile number");
        assert!(html.contains(contact), "{contact}");
    }
    let due = ForCustomer { status: Status::Settlement, refund: Some(Refund::Due), ..order };
    assert!(page(&Sheet { contact: None, ..sheet(&due) }, Words::of(Language::En)).contains("Ask the owner of the machine"));
}

#[test]
fn the_finish_page_greets_and_tells_the_truth() {
    let pending = order();
    let finish = |order: &ForCustomer, finish| page(&Sheet { finish: Some(finish), ..sheet(order) }, Words::of(Language::En));
    let success = finish(&pending, Finish::Success);
    assert!(success.contains("Thank you!") && success.contains("being confirmed") && !success.contains("<img "), "{success}");
    let failure = finish(&pending, Finish::Failure);
    assert!(
        failure.contains("Sorry") && failure.contains("Waiting for your payment") && failure.contains("href=\"../4x7c1m8k2p9q?key=k\"")
    );
    let cancelled = ForCustomer { status: Status::Cancel, ..order() };
    let lie = finish(&cancelled, Finish::Success);
    assert!(lie.contains("Cancelled. Please do not pay.") && !lie.contains("href=\"../"), "{lie}");
    assert!(!finish(&pending, Finish::Unsaid).contains("class=f"));
}

#[test]
fn what_may_be_taken_back_or_is_being_ended_is_not_paid_again() {
    let mut order = order();
    (order.payment, order.payment_code) = (Payment::Indomaret, Some("12345678".into()));
    for (standing, told) in [(Standing::Held, "being confirmed"), (Standing::Ending, "Being cancelled")] {
        let html = page(&sheet(&ForCustomer { standing, ..order.clone() }), Words::of(Language::En));
        assert!(html.contains(told) && !html.contains("1234 5678") && !html.contains("<img "), "{html}");
    }
}

#[test]
fn a_fee_is_named() {
    let order = ForCustomer { gross_amount: Some(qris_core::order::money::Rupiah::new(5100).expect("in range")), ..order() };
    let html = page(&sheet(&order), Words::of(Language::En));
    assert!(html.contains("Rp5.100") && html.contains("incl. fee Rp100"), "{html}");
}

#[test]
fn what_was_paid_has_a_receipt_and_a_chat_that_names_it() {
    let due = ForCustomer { status: Status::Settlement, refund: Some(Refund::Due), ..order() };
    let sum = qris_core::order::money::Rupiah::new(5_000).expect("in range");
    let paid = Some((CHARGED + Span::secs(60), Some(sum)));
    let html = page(&sheet(&ForCustomer { paid, ..due.clone() }), Words::of(Language::En));
    for (name, value) in [
        ("Merchant", "Warung &#60;Jaya&#62;"),
        ("Machine", "Lobby &#38; Co"),
        ("Item", "Teh &#60;b&#62;botol&#60;/b&#62;"),
        ("Amount", "Rp5.000"),
        ("Paid on", "2026-11-20 16:21 WIB"),
        ("Status", "Your money will be returned"),
        ("Order number", "<code>4x7c1<wbr><i></i>m8k2p<wbr><i></i>9q</code>"),
    ] {
        assert!(html.contains(&format!("<dt>{name}</dt><dd>{value}</dd>")), "{name}: {html}");
    }
    let chat = "href=\"https://wa.me/6281234567890?text=Hello%2C%20I%20have%20a%20question%20about%20order%204x7c1m8k2p9q%3A%20Teh%20";
    assert!(html.contains(chat) && html.contains("Rp5.000%2C%20Machine%20Lobby%20%26%20Co\""), "{html}");
    assert!(html.contains("data-tag='\"the-tag\"'") && html.len() < 8 * 1024, "{html}");
    // Who must ask finds that first. Who has the goods keeps the receipt.
    let asks_first = |html: &str| html.find("wa.me").expect("a chat") < html.find("id=print").expect("a receipt");
    let delivered = ForCustomer { status: Status::Settlement, refund: None, outcome: Some(Delivery::Dispensed), ..order() };
    let uncertain = ForCustomer { status: Status::Settlement, refund: None, outcome: Some(Delivery::Uncertain), ..order() };
    for (what, order, wanted) in [("due", &due, true), ("uncertain", &uncertain, true), ("delivered", &delivered, false)] {
        let html = page(&sheet(&ForCustomer { paid, ..order.clone() }), Words::of(Language::En));
        assert_eq!(asks_first(&html), wanted, "{what}: {html}");
    }
    let there = page(&Sheet { zone: Zone::Wit, ..sheet(&ForCustomer { paid, ..due.clone() }) }, Words::of(Language::En));
    assert!(there.contains("<dd>2026-11-20 18:21 WIT</dd>"), "{there}");
    // Nobody who has not paid gets one, and a page without a merchant's name leaves it out.
    let html = page(&Sheet { merchant: None, ..sheet(&order()) }, Words::of(Language::Id));
    assert!(!html.contains("<dl>") && !html.contains("class=m>") && html.contains("Tanya lewat WhatsApp"), "{html}");
}

#[test]
fn the_page_says_whom_the_qr_pays_and_a_stranger_s_text_is_only_text() {
    let mut order = order();
    assert!(!page(&sheet(&order), Words::of(Language::En)).contains("Paid to"), "this payload names nobody");
    let national = "0014ID.CO.QRIS.WWW0215AID111111111111";
    let payload = format!("00020151{:02}{national}5910<b>Jaya</b6304AAAA", national.len());
    order.qr_payload = Some(payload.into());
    let paid_to = "&#60;b&#62;Jaya&#60;/b · AID111111111111</p>";
    assert!(
        page(&sheet(&order), Words::of(Language::En)).contains(&format!("Paid to: {paid_to}")),
        "{}",
        page(&sheet(&order), Words::of(Language::En))
    );
    assert!(page(&sheet(&order), Words::of(Language::Id)).contains(&format!("Dibayar ke: {paid_to}")));
    let steering = page(&sheet(&ForCustomer { name: "te\u{1b}h\u{9b}\u{202e}".into(), ..order.clone() }), Words::of(Language::En));
    assert!(steering.contains("te h  ") && !steering.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{steering}");
    order.status = Status::Settlement;
    assert!(!page(&sheet(&order), Words::of(Language::En)).contains("Paid to: "), "there is no QR any more");
}
