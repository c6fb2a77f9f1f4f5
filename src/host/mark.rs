//! How much a database has seen, kept beside it.
//!
//! SQLite ends its log at the first frame whose checksum is wrong: it takes that place for the end at a power cut. So one
//! bit that flips in the log silently takes back every commit behind it. A ledger would forget a line that was driven, and the ticket that
//! was used for it. It would drive the line once more, or drive for a ticket although it has signed that it never will.
//! The mark tells this. It also finds a database that is gone, and one that was restored from a copy.
//!
//! The file has two places, which are written in turn, each with its checksum. A power cut in mid-write leaves the other
//! place whole.

use super::owner;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The places are in sectors of their own.
const PLACES: [u64; 2] = [0, 512];
/// A number of 64 bits, little-endian, and half a SHA-256 of it.
const BYTES: usize = 24;

#[derive(Debug)]
pub struct Mark {
    file: File,
    counted: i64,
    /// The place that is written next.
    next: usize,
}

impl Mark {
    /// Opens the mark of this database, `NAME.mark`, or makes it. A place that cannot be read counts as empty.
    pub fn open(database: &Path) -> io::Result<Self> {
        let path = path_of(database);
        // If this fails, the next line says why.
        drop(owner::create(&path, 0o600, database));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        // If a new file were lost with the power, its number would be lost too.
        File::open(database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?.sync_all()?;
        let [first, second] = numbers(&file);
        // The place with the smaller number is written next.
        let next = usize::from(second < first);
        Ok(Self { counted: first.max(second).unwrap_or(0), next, file })
    }

    /// The count in the mark of this database; 0 if there is none.
    #[must_use]
    pub fn beside(database: &Path) -> i64 {
        let [first, second] = File::open(path_of(database)).map_or([None; 2], |file| numbers(&file));
        first.max(second).unwrap_or(0)
    }

    /// What was counted when it was written last.
    #[must_use]
    pub const fn counted(&self) -> i64 {
        self.counted
    }

    /// Writes the present number, and waits for the disk. A smaller one changes nothing.
    /// After an error the last number stays.
    pub fn write(&mut self, counted: i64) -> io::Result<()> {
        if counted <= self.counted {
            return Ok(());
        }
        self.put(self.next, counted)?;
        self.file.sync_data()?;
        (self.counted, self.next) = (counted, 1 - self.next);
        Ok(())
    }

    /// Another database begins, which has counted this.
    pub fn begin_at(&mut self, counted: i64) -> io::Result<()> {
        if self.counted != counted {
            [0, 1].into_iter().try_for_each(|place| self.put(place, counted))?;
            self.file.sync_data()?;
            self.counted = counted;
        }
        Ok(())
    }

    fn put(&self, place: usize, counted: i64) -> io::Result<()> {
        let number = counted.to_le_bytes();
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&number);
        bytes[8..].copy_from_slice(&sum(number));
        self.file.write_all_at(&bytes, PLACES[place])
    }
}

fn path_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".mark");
    name.into()
}

fn numbers(file: &File) -> [Option<i64>; 2] {
    PLACES.map(|place| {
        let mut bytes = [0; BYTES];
        file.read_exact_at(&mut bytes, place).ok()?;
        let number = *bytes.first_chunk::<8>()?;
        (bytes[8..] == sum(number)).then(|| i64::from_le_bytes(number))
    })
}

fn sum(number: [u8; 8]) -> [u8; BYTES - 8] {
    let digest = ring::digest::digest(&ring::digest::SHA256, &number);
    *digest.as_ref().first_chunk().expect("a digest of 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_remembered_and_one_damaged_place_costs_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = directory.path().join("ledger.db");
        let mut mark = Mark::open(&ledger).expect("made");
        assert_eq!(mark.counted(), 0);
        for counted in 1..=5 {
            mark.write(counted).expect("written");
            assert_eq!(Mark::open(&ledger).expect("there").counted(), counted);
            assert_eq!(Mark::beside(&ledger), counted);
        }
        let path = directory.path().join("ledger.db.mark");
        let good = std::fs::read(&path).expect("read");
        for byte in (0..BYTES).chain(512..512 + BYTES) {
            let mut bytes = good.clone();
            bytes[byte] ^= 4;
            std::fs::write(&path, bytes).expect("written");
            let mut mark = Mark::open(&ledger).expect("there");
            assert!([4, 5].contains(&mark.counted()), "byte {byte}: {}", mark.counted());
            mark.write(6).expect("written");
            assert_eq!(Mark::open(&ledger).expect("there").counted(), 6, "byte {byte}");
        }
        mark.begin_at(0).expect("written");
        assert_eq!(Mark::open(&ledger).expect("there").counted(), 0);
        std::fs::write(&path, b"x").expect("written");
        assert_eq!(Mark::open(&ledger).expect("a torn one").counted(), 0);
    }

    #[test]
    fn what_cannot_be_synced_is_not_written() {
        let directory = tempfile::tempdir().expect("a directory");
        let ledger = directory.path().join("ledger.db");
        // It takes every write, and refuses to be synced.
        std::os::unix::fs::symlink("/dev/null", directory.path().join("ledger.db.mark")).expect("a link");
        let mut mark = Mark::open(&ledger).expect("there");
        assert_eq!(mark.write(1).expect_err("refused").kind(), io::ErrorKind::InvalidInput);
        assert_eq!(mark.counted(), 0);
    }

    #[test]
    fn the_newest_number_is_never_the_one_that_is_written_over() {
        for last in [4, 5] {
            let directory = tempfile::tempdir().expect("a directory");
            let ledger = directory.path().join("ledger.db");
            for counted in 1..=last {
                Mark::open(&ledger).expect("there").write(counted).expect("written");
            }
            let bytes = std::fs::read(directory.path().join("ledger.db.mark")).expect("read");
            let mut numbers = PLACES.map(|place| bytes[usize::try_from(place).expect("small")]);
            numbers.sort_unstable();
            assert_eq!(numbers.map(i64::from), [last - 1, last]);
        }
    }
}
