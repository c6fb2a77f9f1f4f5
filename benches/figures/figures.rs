//! Numbers and the table that they go to.

use std::fmt::Write as _;
use std::time::Duration;

/// Measured times of one kind.
#[derive(Debug, Default, Clone)]
pub struct Times(Vec<Duration>);

impl Times {
    /// Those of several measurements.
    pub fn all<'a>(several: impl Iterator<Item = &'a Self>) -> Self {
        Self(several.flat_map(|times| &times.0).copied().collect())
    }

    pub fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// Measures a piece of work so often.
    pub fn of(count: usize, mut work: impl FnMut()) -> Self {
        let mut times = Self::default();
        for _ in 0..count {
            let start = std::time::Instant::now();
            work();
            times.push(start.elapsed());
        }
        times
    }

    /// The value below which `percent` of the times are (nearest rank), in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort();
        let rank = (sorted.len() * percent).div_ceil(100).clamp(1, sorted.len().max(1));
        sorted.get(rank - 1).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }

    /// The middle and the 99th percentile, in milliseconds.
    pub fn both(&self) -> String {
        format!("{} / {} ms", ms(self.percentile(50)), ms(self.percentile(99)))
    }

    /// What each takes when one follows the other, in milliseconds.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<Duration>().as_secs_f64() * 1000.0 / self.0.len() as f64
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// What was measured of one size: names, values, aims.
pub type Figures = Vec<(&'static str, String, &'static str)>;

/// The tables, in markdown.
#[derive(Debug, Default)]
pub struct FiguresText(String);

impl FiguresText {
    pub fn line(&mut self, text: &str) {
        eprintln!("{text}");
        let _ = writeln!(self.0, "{text}");
    }

    /// Begins a table of times.
    pub fn times(&mut self, title: &str) {
        self.line(&format!("\n| {title} | p50 ms | p99 ms | n | aim |\n| --- | ---: | ---: | ---: | --- |"));
    }

    pub fn time(&mut self, name: &str, times: &Times, aim: &str) {
        let (middle, high) = (ms(times.percentile(50)), ms(times.percentile(99)));
        self.line(&format!("| {name} | {middle} | {high} | {} | {aim} |", times.len()));
    }

    /// Begins a table of single numbers.
    pub fn numbers(&mut self, title: &str, unit: &str) {
        self.line(&format!("\n| {title} | {unit} | aim |\n| --- | ---: | --- |"));
    }

    pub fn number(&mut self, name: &str, value: &str, aim: &str) {
        self.line(&format!("| {name} | {value} | {aim} |"));
    }

    /// A table with a column for each size, and a row for each figure that is measured of all of them.
    pub fn grown(&mut self, title: &str, sizes: &[usize], measure: impl Fn(usize) -> Figures) {
        let figures: Vec<Figures> = sizes.iter().map(|size| measure(*size)).collect();
        let head: String = sizes.iter().map(|size| format!(" {} |", grouped(*size))).collect();
        self.line(&format!("\n| {title} |{head} aim |\n| --- |{} --- |", " ---: |".repeat(sizes.len())));
        for (n, (name, _, aim)) in figures.first().into_iter().flatten().enumerate() {
            let values: String = figures.iter().map(|of_size| format!(" {} |", of_size[n].1)).collect();
            self.line(&format!("| {name} |{values} {aim} |"));
        }
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

/// A number with commas.
fn grouped(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", grouped(number / 1000), number % 1000) }
}

/// Milliseconds to three digits that say something.
fn ms(value: f64) -> String {
    if value < 0.1 {
        format!("{value:.3}")
    } else if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}
