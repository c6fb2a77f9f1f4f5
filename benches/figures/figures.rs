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

    /// What each takes when one follows the other, in milliseconds.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<Duration>().as_secs_f64() * 1000.0 / self.0.len() as f64
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The tables, in markdown.
#[derive(Debug, Default)]
pub struct Report(String);

impl Report {
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

    pub fn text(&self) -> &str {
        &self.0
    }
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
