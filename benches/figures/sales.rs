//! What sales take and cost, whoever made the machine.

use crate::figures::Times;
use crate::program::Program;
use crate::shop::Shop;
use crate::trace::Traced;
use std::time::Duration;

/// What the machine forgets after a sale, it has forgotten by then.
pub const SETTLED: Duration = Duration::from_millis(5600);

/// Sales one after the other. Costs are those of one sale; of two programs, the one with the relay is last.
pub struct Sold {
    pub to_qr: Times,
    pub to_line: Times,
    /// Processor time, in milliseconds.
    pub cpu: [f64; 2],
    /// How often a thread waited.
    pub waits: [f64; 2],
    /// Pages handed to the disk, by both, in KiB.
    pub disk: f64,
}

impl Sold {
    /// Sells so often.
    pub fn measure(shop: &mut Shop, count: usize) -> Self {
        let of = |shop: &Shop, what: fn(&Program) -> f64| shop.programs().map(what);
        let costs = |shop: &Shop| {
            let cpu = of(shop, |program| program.cpu().as_secs_f64() * 1000.0);
            (cpu, of(shop, |program| program.waits() as f64), of(shop, |program| program.disk_bytes() as f64 / 1024.0))
        };
        let before = costs(shop);
        let (mut to_qr, mut to_line) = (Times::default(), Times::default());
        for _ in 0..count {
            let sale = shop.sell();
            to_qr.push(sale.to_qr);
            to_line.push(sale.to_line);
        }
        let after = costs(shop);
        let each = |before: [f64; 2], after: [f64; 2]| [0, 1].map(|n| (after[n] - before[n]) / count as f64);
        Self { to_qr, to_line, cpu: each(before.0, after.0), waits: each(before.1, after.1), disk: each(before.2, after.2).iter().sum() }
    }
}

/// What strace saw of so many sales, each with a pause behind it; of both programs.
pub fn traced(shop: &mut Shop, count: usize, pause: Duration) -> [Traced; 2] {
    let place = |shop: &Shop| {
        std::thread::sleep(SETTLED);
        shop.traced([0, 0]).map(|(_, length)| length)
    };
    let before = place(shop);
    for _ in 0..count {
        shop.sell();
        std::thread::sleep(pause);
    }
    place(shop);
    shop.traced(before).map(|(traced, _)| traced)
}
