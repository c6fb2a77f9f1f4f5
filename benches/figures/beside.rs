//! Two ways beside one another, in turn: a round of each, and again. So what else the machine does meanwhile meets both.

use crate::figures::{FiguresText, Times};

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
    pub fn times(&self, report: &mut FiguresText, title: &str, aim: &str, of: impl Fn(&R) -> &Times) {
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
    pub fn numbers<const N: usize>(&self, report: &mut FiguresText, title: &str, unit: &str, aim: &str, of: impl Fn(&R) -> [f64; N]) {
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
