//! Sales beside a journal that hangs: what they take. Each line is there afterwards, or is counted as missing. Needs root.

use crate::figures::FiguresText;
use crate::program::Places;
use crate::rig::PATIENCE;
use crate::rig::journald::{Entry, Journald};
use crate::sales::Sold;
use crate::shop::{Options, Shop};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a program left out because it came too fast, it says with its first line after so long.
const TOLD_AGAIN: Duration = Duration::from_secs(11);

pub fn measure(report: &mut FiguresText, places: &Places, [reads, hangs]: [&Path; 2], count: usize) {
    let measured = |databases: &Path, journald: &Arc<Journald>| {
        let mut shop = Shop::open(&Options { journal: Some(Arc::clone(journald)), ..Options::ours(places, databases) });
        shop.start_machine();
        (Sold::measure(&mut shop, count), shop)
    };
    let (reading, shop) = measured(reads, &Arc::new(Journald::start()));
    drop(shop);
    let journald = Arc::new(Journald::deaf());
    let (hanging, mut shop) = measured(hangs, &journald);
    report.times("database in RAM, a backend that answers at once");
    report.time("vend request → QR, a journal that reads", &reading.to_qr, "");
    report.time("vend request → QR, a journal that hangs", &hanging.to_qr, "p99 ≤ 2 × that above");
    report.time("settlement → relay line driven, a journal that reads", &reading.to_line, "");
    report.time("settlement → relay line driven, a journal that hangs", &hanging.to_line, "p99 ≤ 2 × that above");
    // It reads again, and one more sale says what is missing.
    journald.read();
    std::thread::sleep(TOLD_AGAIN);
    let from = journald.entries.count();
    shop.sell();
    let is_last = |entry: &Entry| (entry.get("SYSLOG_IDENTIFIER")? == "qrisd" && entry.get("STATE")? == "dispensed").then_some(());
    journald.entries.find_from(from, PATIENCE, is_last).expect("the last line of the last sale");
    let (written, missing) = journald.moves();
    let each = journald.moves_since(from).0;
    // One sale more shows that the machine sells, before any is measured.
    assert_eq!(written + missing, each * (count + 2), "{each} lines a sale: each is written, or is counted as missing");
    report.numbers("the journal that hung, when it reads again", "lines of a sale's states");
    report.number("written, late", &written.to_string(), "");
    report.number("left out, and counted as that", &missing.to_string(), "written + left out = all");
}
