//! What a machine writes and syncs for its databases, as strace saw it.

use std::path::Path;

/// Writes to databases.
#[derive(Debug, Default, Clone, Copy)]
pub struct Writes {
    pub bytes: u64,
    pub syncs: u64,
}

impl Writes {
    /// Reads a trace from a place in it; and how long it is now.
    pub fn read(trace: &Path, from: usize) -> (Self, usize) {
        let text = std::fs::read_to_string(trace).expect("strace writes it");
        let mut writes = Self::default();
        for line in text.get(from..).unwrap_or_default().lines() {
            // `PID pwrite64(5</dir/qrisd.db-wal>, ""..., 1048, 32) = 1048`; what is resumed later was counted at its begin.
            let Some((call, rest)) = line.split_once('(') else { continue };
            let Some((_, name)) = call.rsplit_once(' ') else { continue };
            let Some((file, rest)) = rest.split_once('>') else { continue };
            if ![".db", ".db-wal", ".db-journal"].iter().any(|ending| file.ends_with(ending)) {
                continue;
            }
            match name {
                "fsync" | "fdatasync" => writes.syncs += 1,
                "write" | "pwrite64" => {
                    let count =
                        rest.split(", ").nth(2).and_then(|count| count.split([')', ' ']).next()).and_then(|n| n.parse::<u64>().ok());
                    writes.bytes += count.unwrap_or_else(|| panic!("strace wrote {line:?}"));
                }
                _ => {}
            }
        }
        (writes, text.len())
    }
}
