//! Our programs beside what a user would write instead, in turn: a round of each, and again. So what else the machine does
//! meanwhile meets all of them.

use crate::figures::{Report, Times};
use crate::peers::{Make, Places};
use crate::sales::{self, SETTLED, Sold};
use crate::shop::{Options, Shop};
use crate::trace::Traced;
use std::path::Path;
use std::time::Duration;

/// How much a round measures.
pub struct Counts {
    pub rounds: usize,
    pub sales: usize,
    pub starts: usize,
    /// Sales under strace, in one round: what is counted there does not depend on what else runs. A peer's database comes
    /// to its first checkpoint after two hundred sales.
    pub traced: usize,
    /// How long an idle machine is watched.
    pub idle: Duration,
    /// Orders and notifications for a backend.
    pub load: usize,
}

/// What was measured of each, a value a round.
pub struct Beside<R> {
    rows: Vec<(&'static str, Vec<R>)>,
    /// Which of them is the measure of the others.
    base: usize,
}

impl<R> Beside<R> {
    pub fn measure<M: Copy>(all: &[(M, &'static str)], base: usize, rounds: usize, mut one: impl FnMut(M) -> R) -> Self {
        let mut rows: Vec<_> = all.iter().map(|(_, name)| (*name, Vec::new())).collect();
        for round in 0..rounds {
            for ((made, name), (_, measured)) in all.iter().zip(&mut rows) {
                eprintln!("== round {} of {rounds}: {name}", round + 1);
                measured.push(one(*made));
            }
        }
        Self { rows, base }
    }

    /// A table of times: of all rounds together. The aim is that of the first row.
    pub fn times(&self, report: &mut Report, title: &str, aim: &str, of: impl Fn(&R) -> &Times) {
        let base = self.rows[self.base].0;
        report.line(&format!("\n| {title} | p50 ms | p99 ms | n | × {base} | aim |\n| --- | ---: | ---: | ---: | ---: | --- |"));
        for (n, (name, rounds)) in self.rows.iter().enumerate() {
            let aim = if n == 0 { aim } else { "" };
            let all = Times::all(rounds.iter().map(&of));
            let ratio = self.ratio(rounds, |round| of(round).percentile(50));
            report.line(&format!("| {name} | {:.2} | {:.2} | {} | {ratio} | {aim} |", all.percentile(50), all.percentile(99), all.len()));
        }
    }

    /// A table of numbers, each the sum of its parts: those of the middle round, of two rounds the higher ones.
    pub fn numbers<const N: usize>(&self, report: &mut Report, title: &str, unit: &str, aim: &str, of: impl Fn(&R) -> [f64; N]) {
        let base = self.rows[self.base].0;
        report.line(&format!("\n| {title} | {unit} | × {base} | aim |\n| --- | ---: | ---: | --- |"));
        let sum = |round: &R| of(round).iter().sum::<f64>();
        for (n, (name, rounds)) in self.rows.iter().enumerate() {
            let aim = if n == 0 { aim } else { "" };
            let mut ordered: Vec<&R> = rounds.iter().collect();
            ordered.sort_by(|a, b| sum(a).total_cmp(&sum(b)));
            let middle = ordered[ordered.len() / 2];
            let parts = of(middle).map(number);
            let parts = if N > 1 { format!(" ({})", parts.join(" + ")) } else { String::new() };
            report.line(&format!("| {name} | {}{parts} | {} | {aim} |", number(sum(middle)), self.ratio(rounds, sum)));
        }
    }

    /// To the base in the same round: the middle, the least and the most. None if the base is nothing.
    fn ratio(&self, rounds: &[R], of: impl Fn(&R) -> f64) -> String {
        let mut ratios: Vec<f64> = rounds.iter().zip(&self.rows[self.base].1).map(|(round, base)| of(round) / of(base)).collect();
        if !ratios.iter().all(|ratio| ratio.is_finite()) {
            return String::new();
        }
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        let middle = f64::midpoint(ratios[(ratios.len() - 1) / 2], ratios[ratios.len() / 2]);
        format!("{middle:.2} ({least:.2}–{most:.2})")
    }
}

/// To three digits that say something.
fn number(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.1}") }
}

/// A round of a machine. Of two programs, the one with the relay is last.
struct Round {
    ram: Sold,
    disk: Sold,
    online: Times,
    resident: [f64; 2],
    threads: [f64; 2],
    /// Idle, a second.
    waits: [f64; 2],
}

pub fn machines(report: &mut Report, places: &Places, ram: &Path, disk: &Path, counts: &Counts) {
    let makes = Make::ALL.map(|make| (make, make.name()));
    let base = Make::C as usize;
    let beside = Beside::measure(&makes, base, counts.rounds, |make| Round::measure(places, make, ram, disk, counts));
    let traced = Beside::measure(&makes, base, 1, |make| {
        let (_databases, mut shop) = open(places, make, ram, true);
        sales::traced(&mut shop, counts.traced, Duration::ZERO)
    });
    let name = "vend request published → QR in the framebuffer";
    beside.times(report, &format!("{name}, database in RAM"), "≤ 1.25 ×", |round| &round.ram.to_qr);
    beside.times(report, &format!("{name}, database on disk"), "≤ 1.25 ×", |round| &round.disk.to_qr);
    let name = "settlement published → relay line driven";
    beside.times(report, &format!("{name}, database in RAM"), "≤ 1.5 ×", |round| &round.ram.to_line);
    beside.times(report, &format!("{name}, database on disk"), "≤ 1.4 ×", |round| &round.disk.to_line);
    beside.times(report, "start of a process → subscribed", "≤ 1 ×", |round| &round.online);
    let mut sale = |what: &str, unit: &str, aim: &str, of: fn(&Round) -> [f64; 2]| {
        beside.numbers(report, &format!("{what}, machine + relay"), unit, aim, of);
    };
    sale("processor time of a sale, database in RAM", "ms", "≤ 2 ×", |round| round.ram.cpu);
    sale("voluntary context switches of a sale, database in RAM", "switches", "≤ 16", |round| round.ram.waits);
    sale("resident memory, idle after ten sales, without TLS", "MiB", "", |round| round.resident);
    sale("threads", "threads", "", |round| round.threads);
    sale("wake-ups of an idle machine", "a second", "≤ 0.1", |round| round.waits);
    let each = |both: &[Traced; 2], of: fn(&Traced) -> u64| both.map(|program| of(&program) as f64 / counts.traced as f64);
    traced.numbers(report, "system calls of a sale, machine + relay", "calls", "≤ 140", |both| each(both, |program| program.calls));
    let title = "written to the databases for a sale, checkpoints included, machine + relay";
    traced.numbers(report, title, "KiB", "≤ 1.6 ×", |both| each(both, |program| program.bytes).map(|bytes| bytes / 1024.0));
    let title = "syncs of the databases for a sale, machine + relay";
    traced.numbers(report, title, "syncs", "≤ 7", |both| each(both, |program| program.syncs));
}

/// A machine that runs, with new databases.
fn open(places: &Places, make: Make, place: &Path, traced: bool) -> (tempfile::TempDir, Shop) {
    let databases = tempfile::tempdir_in(place).expect("a directory");
    let mut shop = Shop::open(&Options { make, traced, ..Options::ours(places, databases.path()) });
    shop.start_machine();
    (databases, shop)
}

impl Round {
    fn measure(places: &Places, make: Make, ram: &Path, disk: &Path, counts: &Counts) -> Self {
        let sold = |place: &Path| {
            let (_databases, mut shop) = open(places, make, place, false);
            Sold::measure(&mut shop, counts.sales)
        };
        let (ram_sold, disk_sold) = (sold(ram), sold(disk));

        let (_databases, mut shop) = open(places, make, ram, false);
        for _ in 0..10 {
            shop.sell();
        }
        std::thread::sleep(SETTLED);
        let resident = shop.programs().map(|program| program.memory().0 as f64 / 1024.0);
        let threads = shop.programs().map(|program| program.threads() as f64);
        let before = shop.programs().map(|program| program.waits());
        std::thread::sleep(counts.idle);
        let after = shop.programs().map(|program| program.waits());
        let waits = [0, 1].map(|n| (after[n] - before[n]) as f64 / counts.idle.as_secs_f64());
        let mut online = Times::default();
        for _ in 0..counts.starts {
            online.push(shop.restart_device());
        }
        Self { ram: ram_sold, disk: disk_sold, online, resident, threads, waits }
    }
}
