//! The picture of a day or of a month: a bar an hour, or a bar a day, with its numbers as a table.

use super::Frame;
use qris_core::wire::desk::Sum;

/// `bars.html` draws it.
pub struct Picture {
    pub bars: Vec<Bar>,
    /// What stands below a bar, and where.
    pub marks: Vec<(usize, String)>,
    pub width: usize,
    /// What it shows, for who does not see it.
    pub alt: String,
    /// The heads of the table: the whole, an hour or a day, orders.
    pub heads: [&'static str; 3],
}

pub struct Bar {
    pub name: String,
    pub x: usize,
    pub y: u64,
    pub height: u64,
    pub sum: Sum,
}

/// The width of all bars, and the height of the highest.
const WIDE: usize = 312;
const HIGH: u64 = 60;
const HOURS: usize = 24;

impl Picture {
    /// A bar an hour. There is room for all hours of a day, however many are over.
    pub fn of_hours(f: &Frame, hours: &[Sum], alt: String, orders: &'static str) -> Self {
        Self::new(hours, HOURS, |hour| f.hour(&hour), (6, 0), alt, [f.w.by_hour, f.w.hour, orders])
    }

    /// A bar a day.
    pub fn of_days(f: &Frame, days: &[Sum], alt: String, orders: &'static str) -> Self {
        Self::new(days, days.len(), |day| (day + 1).to_string(), (7, 1), alt, [f.w.per_day, f.w.day, orders])
    }

    /// `(every, first)`: which bars have a mark, and the number of the first.
    fn new(
        sums: &[Sum],
        room: usize,
        name: impl Fn(usize) -> String,
        (every, first): (usize, usize),
        alt: String,
        heads: [&'static str; 3],
    ) -> Self {
        let step = WIDE / room.max(1);
        let most = sums.iter().map(|sum| sum.amount).max().unwrap_or(0).max(1);
        let bar = |(number, sum): (usize, &Sum)| {
            // What was sold is seen, however little it is.
            let height = if sum.amount == 0 { 0 } else { (u128::from(sum.amount) * u128::from(HIGH) / u128::from(most)).max(2) as u64 };
            Bar { name: name(number), x: number * step, y: HIGH - height, height, sum: *sum }
        };
        let marks = (0..room).step_by(every).map(|number| (number * step + 1, (number + first).to_string())).collect();
        Self { bars: sums.iter().take(room).enumerate().map(bar).collect(), marks, width: step.saturating_sub(2), alt, heads }
    }

    /// Whether its table has a row.
    pub fn has_any(&self) -> bool {
        self.bars.iter().any(|bar| bar.sum.orders > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fit_and_a_small_sale_is_seen() {
        let sum = |amount| Sum { orders: 1, amount };
        let picture = |sums: &[Sum], room| Picture::new(sums, room, |number| number.to_string(), (7, 1), String::new(), [""; 3]);
        let drawn: Vec<_> = picture(&[sum(0), sum(1), sum(1_000_000)], HOURS).bars.iter().map(|bar| (bar.x, bar.y, bar.height)).collect();
        assert_eq!(drawn, [(0, 60, 0), (13, 58, 2), (26, 0, 60)]);
        assert_eq!(picture(&[sum(u64::MAX)], HOURS).bars[0].height, HIGH);
        for days in [28, 31] {
            let Picture { bars, marks, width, .. } = picture(&vec![sum(1); days], days);
            let last = bars.last().expect("a bar");
            assert!(bars.len() == days && last.x + width < WIDE, "{}", last.x);
            assert_eq!(marks.iter().map(|(_, text)| &**text).collect::<Vec<_>>()[..4], ["1", "8", "15", "22"]);
        }
        assert!(picture(&[], 0).bars.is_empty() && picture(&[Sum::default(); 30], HOURS).bars.len() == 24);
    }
}
