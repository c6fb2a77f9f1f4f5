//! What strace saw of a machine: its system calls, and what it writes and syncs for its databases.

use std::path::Path;

/// What a database consists of on the disk: the mark tells a ledger that has forgotten something.
const ENDINGS: [&str; 4] = [".db", ".db-wal", ".db-journal", ".db.mark"];

/// What a program asked the kernel for.
#[derive(Debug, Default, Clone, Copy)]
pub struct Traced {
    pub calls: u64,
    /// Written to databases.
    pub bytes: u64,
    /// Of databases.
    pub syncs: u64,
}

impl Traced {
    /// Reads a trace from a place in it; and how long it is now.
    pub fn read(trace: &Path, from: usize) -> (Self, usize) {
        let text = std::fs::read_to_string(trace).expect("strace writes it");
        let mut traced = Self::default();
        for line in text.get(from..).unwrap_or_default().lines() {
            // `PID pwrite64(5</dir/qrisd.db-wal>, ""..., 1048, 32) = 1048`; what is resumed later was counted at its begin.
            let Some((call, rest)) = line.split_once('(') else { continue };
            let Some((_, name)) = call.rsplit_once(' ') else { continue };
            if !name.starts_with(|c: char| c.is_ascii_lowercase()) || call.contains(['<', '-']) {
                continue;
            }
            traced.calls += 1;
            let Some((file, rest)) = rest.split_once('>') else { continue };
            if !ENDINGS.iter().any(|ending| file.ends_with(ending)) {
                continue;
            }
            match name {
                "fsync" | "fdatasync" => traced.syncs += 1,
                "write" | "pwrite64" => {
                    let count =
                        rest.split(", ").nth(2).and_then(|count| count.split([')', ' ']).next()).and_then(|n| n.parse::<u64>().ok());
                    traced.bytes += count.unwrap_or_else(|| panic!("strace wrote {line:?}"));
                }
                _ => {}
            }
        }
        (traced, text.len())
    }
}
