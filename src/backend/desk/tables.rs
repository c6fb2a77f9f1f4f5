//! Tables for a spreadsheet. A table of payments comes from the sums of days, as the page does.

use super::answer::No;
use super::places::Place;
use super::{Desk, machines as known, report};
use crate::csv::{Separator, csv_code, csv_record};
use crate::machines::stock::{self, Form, State};
use crate::money::sums::{Part, Sums};
use axum::http::HeaderMap;
use qris_core::order::merchant::End;
use qris_core::order::stock::NotSold;
use qris_core::order::time::{Span, Wall, Zone};
use qris_core::text::Language;
use qris_core::wire::desk::{By, Problem};
use qris_host::speech::{fill, orders};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Desk {
    /// The place for a table of whoever asks.
    async fn place_for_table(&self, headers: &HeaderMap) -> Result<Arc<Place>, No> {
        let person = self.tell(headers, |_, asker, _| Ok(asker.person.number)).await?.told;
        Ok(self.tables.begin(person)?)
    }

    /// The payments of a span.
    pub(super) async fn table_of_payments(&self, headers: &HeaderMap, asked: &report::Asked) -> Result<String, No> {
        let (zone, now, by) = (self.usual.zone, self.books.now().wall, asked.by());
        let span = asked.span(zone, now).ok_or(Problem::malformed("there is no such day or month"))?;
        let place = self.place_for_table(headers).await?;
        let (days, _) = self.parts(headers, span, by, Some(place)).await?.told;
        Ok(payments(&days, by, span, zone, asked.language()))
    }

    /// What to bring to all machines.
    pub(super) async fn table_to_bring(&self, headers: &HeaderMap, language: Language) -> Result<String, No> {
        let place = self.place_for_table(headers).await?;
        let (all, packing, _) = known::packing(&self.machines, "".into(), usize::MAX, Some(place)).await?;
        let untold = self.machines.read(stock::untold).await?;
        Ok(MARK.to_owned() + &stock::csv(&all, &untold, &packing, self.usual.zone, &to_bring(language)))
    }
}

/// Without this, Excel does not take the file for UTF-8.
const MARK: &str = "\u{feff}";

const fn separator(language: Language) -> Separator {
    match language {
        Language::Id => Separator::Semicolon,
        Language::En => Separator::Comma,
    }
}

fn payments(days: &[(Wall, Vec<Part>)], by: By, span: (Wall, Wall), zone: Zone, language: Language) -> String {
    let (mut total, mut groups) = (Sums::default(), BTreeMap::<Box<str>, Sums>::new());
    for (day, part) in days.iter().flat_map(|(day, parts)| parts.iter().map(move |part| (*day, part))) {
        total.add_part(part);
        groups.entry(report::group(part, by, day, zone)).or_default().add_part(part);
    }
    let words = Words::of(language);
    let (group, text): (_, fn(&str) -> String) = match by {
        By::Machine => (words.machine, csv_code),
        By::Item => (words.goods, csv_code),
        By::Scheme => (words.scheme, csv_code),
        // A day is one for a spreadsheet, too.
        By::Day => (words.day, str::to_owned),
    };
    let ends = End::ALL.map(|end| orders::end(end).desk.of(language));
    let sums = [words.paid].into_iter().chain(ends).chain([words.goods_and_money]);
    let mut head = [words.from, words.to, group].map(String::from).to_vec();
    head.extend(sums.flat_map(|what| [format!("{what} ({})", words.orders), format!("{what} (Rp)")]));
    head.insert(5, words.above_prices.into());
    head.extend([words.returned, words.fee, words.payout].map(String::from));
    let day = |at: Wall| at.to_local(zone)[..10].to_owned();
    let (from, to) = (day(span.0), day(span.1 - Span::secs(1)));
    let record =
        |name: String, sums: &Sums| csv_record(&[vec![from.clone(), to.clone(), name], sums.fields()].concat(), separator(language));
    let groups: String = groups.iter().map(|(name, sums)| record(text(name), sums)).collect();
    MARK.to_owned() + &csv_record(&head, separator(language)) + &groups + &record(words.all.into(), &total)
}

fn to_bring(language: Language) -> Form {
    let words = Words::of(language);
    Form {
        separator: separator(language),
        fields: [
            words.number,
            words.machine,
            words.slot,
            words.goods,
            words.count,
            words.capacity,
            words.low_at,
            words.state,
            words.bring,
            words.sold,
            words.filled_at,
            words.told_at,
            words.not_sold,
        ],
        all: words.all_machines,
        text: csv_code,
        time: Wall::to_local,
        state: Box::new(move |state| match state {
            State::Suspect => words.suspect.into(),
            State::SoldOut => words.sold_out.into(),
            State::Low => words.low.into(),
            State::Soon(days) => fill(words.soon, &[&days]),
            State::Unknown => words.unknown.into(),
            State::Good => words.good.into(),
        }),
        untold: words.stock_untold,
        not_sold: Box::new(move |why| match why {
            NotSold::Blocked => words.blocked.into(),
            NotSold::Suspect => words.suspect.into(),
            NotSold::SoldOut => words.sold_out.into(),
            NotSold::Line | NotSold::Price => words.no_price.into(),
            NotSold::Other(word) => csv_code(word.as_str()),
        }),
    }
}

qris_core::texts! {
    from: "dari", "from";
    to: "sampai", "to";
    machine: "mesin", "machine";
    goods: "barang", "goods";
    scheme: "cara bayar", "way to pay";
    day: "hari", "day";
    all: "semua", "all";
    orders: "pesanan", "orders";
    paid: "dibayar", "paid";
    above_prices: "di atas harga (Rp)", "above the prices (Rp)";
    goods_and_money: "barang dan uang", "goods and money";
    returned: "kembali lewat gateway (Rp)", "returned by the gateway (Rp)";
    fee: "biaya gateway (Rp)", "fee of the gateway (Rp)";
    payout: "pencairan dana (Rp)", "payout (Rp)";
    number: "nomor mesin", "number of the machine";
    slot: "slot", "slot";
    count: "isi", "in it";
    capacity: "muat", "room for";
    low_at: "hampir habis mulai", "low from";
    state: "keadaan", "state";
    bring: "bawa", "bring";
    sold: "terjual", "sold";
    filled_at: "diisi pada", "filled at";
    told_at: "dilaporkan pada", "told at";
    not_sold: "tidak dijual karena", "not sold because";
    stock_untold: "isinya tidak diketahui", "not known what is in it";
    all_machines: "semua mesin", "all machines";
    suspect: "periksa: tidak ada yang keluar", "look: nothing came out";
    sold_out: "habis", "sold out";
    low: "hampir habis", "low";
    soon: "habis dalam {0} hari", "empty in {0} days";
    unknown: "hitunglah isinya", "count what is in it";
    good: "cukup", "enough";
    blocked: "jalurnya diblokir", "its line is blocked";
    no_price: "tidak ada yang menerima harganya", "nothing takes its price";
}
