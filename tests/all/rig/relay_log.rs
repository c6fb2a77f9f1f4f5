//! The edges that a `sim:` line wrote: one line each, `milliseconds name 1|0`.

use super::watched;
use std::path::PathBuf;

/// One edge of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    pub at_ms: i64,
    pub line: String,
    pub active: bool,
}

/// The file of a simulated line.
pub struct RelayLog(pub PathBuf);

impl RelayLog {
    /// Every edge so far; a file that is not there has none.
    pub fn edges(&self) -> Vec<Edge> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        // A last line without its end is still being written.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(|line| edge(line).unwrap_or_else(|| panic!("{}: no edge: {line:?}", self.0.display()))).collect()
    }

    /// How often the line went active.
    pub fn pulses(&self) -> usize {
        let mut active = false;
        let mut pulses = 0;
        for edge in self.edges() {
            pulses += usize::from(edge.active && !active);
            active = edge.active;
        }
        pulses
    }

    /// Whether the line is active now.
    pub fn is_active(&self) -> bool {
        self.edges().last().is_some_and(|edge| edge.active)
    }

    pub fn wait_pulses(&self, count: usize) {
        self.until(&format!("{count} pulses of the relay"), |log| (log.pulses() >= count).then_some(()));
    }

    /// Waits until `look` makes something of it.
    pub fn until<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        watched::until(&self.0, what, || look(self))
    }
}

fn edge(line: &str) -> Option<Edge> {
    let (at_ms, rest) = line.split_once(' ')?;
    // A line's name may have blanks.
    let (name, level) = rest.rsplit_once(' ')?;
    let active = match level {
        "1" => true,
        "0" => false,
        _ => return None,
    };
    Some(Edge { at_ms: at_ms.parse().ok()?, line: name.into(), active })
}
