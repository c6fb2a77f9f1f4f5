//! What processes take of the computer.

use serde::Serialize;

/// Sums over processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Taken {
    /// Resident memory, programs included.
    pub resident_kib: u64,
    /// That part of it which is theirs alone.
    pub anonymous_kib: u64,
    /// Processor time since their starts.
    pub cpu_ms: u64,
}

impl Taken {
    /// What these processes have taken until now. One that is gone counts nothing.
    #[must_use]
    pub fn by(processes: impl IntoIterator<Item = u32>) -> Self {
        let mut all = Self::default();
        for id in processes {
            let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let kib = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
            all.resident_kib += kib("VmRSS:").unwrap_or(0);
            all.anonymous_kib += kib("RssAnon:").unwrap_or(0);
            all.cpu_ms += cpu_ms(&std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default()).unwrap_or(0);
        }
        all
    }
}

/// User and system time. Linux counts in hundredths of a second everywhere.
fn cpu_ms(stat: &str) -> Option<u64> {
    // The name before may have blanks and brackets of its own.
    let mut rest = stat.rsplit_once(") ")?.1.split_whitespace().skip(11);
    Some((rest.next()?.parse::<u64>().ok()? + rest.next()?.parse::<u64>().ok()?) * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_memory_and_one_that_is_gone_nothing() {
        let own = Taken::by([std::process::id()]);
        assert!(own.resident_kib > own.anonymous_kib && own.anonymous_kib > 100, "{own:?}");
        assert_eq!(Taken::by([u32::MAX]), Taken::default());
        assert_eq!(cpu_ms("7 (a) b) S 1 2 3 4 5 6 7 8 9 10 12 3 0"), Some(150));
    }
}
