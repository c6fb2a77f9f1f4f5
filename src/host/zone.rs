//! The zone of this computer, for times that a person reads. Objects for programs have UTC.

use qris_core::order::time::{Span, Wall, Zone};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The largest file of a zone that is read. Those of the world have less than 4 KiB.
const SIZE_MAX: usize = 64 * 1024;

/// A time on the clock of this computer, with the name of the zone if it is one of Indonesia, else with the distance to UTC:
/// `2026-11-20 15:00:00 WIB`, `2026-11-20 09:00:00 +01:00`.
#[must_use]
pub fn told(at: Wall) -> String {
    let (ahead, zone) = here(at);
    format!("{} {zone}", at.to_clock(ahead))
}

/// How far the clock of this computer is ahead of UTC at that time, and the name of its zone.
#[must_use]
pub fn here(at: Wall) -> (Span, String) {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    let file = FILE.get_or_init(|| std::fs::read(place(std::env::var("TZ").ok().as_deref())).unwrap_or_default());
    let ahead = ahead(file, at).unwrap_or(Span::ZERO);
    let indonesian = Zone::ALL.into_iter().find(|zone| zone.ahead() == ahead && is_named(file, *zone));
    (ahead, indonesian.map_or_else(|| offset(ahead), |zone| zone.as_str().into()))
}

/// Where the zone is described: the variable `TZ` says it, else the administrator. Without a file it is UTC.
fn place(said: Option<&str>) -> PathBuf {
    match said.map(|said| said.trim_start_matches(':')).filter(|said| !said.is_empty()) {
        Some(name) => Path::new("/usr/share/zoneinfo").join(name),
        None => "/etc/localtime".into(),
    }
}

fn offset(Span(ms): Span) -> String {
    let minutes = ms.abs() / 60_000;
    format!("{}{:02}:{:02}", if ms < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
}

/// Does the file call its times so?
fn is_named(file: &[u8], zone: Zone) -> bool {
    let name = [zone.as_str().as_bytes(), b"\0"].concat();
    file.windows(name.len()).any(|part| part == name)
}

/// Reads RFC 8536 (TZif): the second block, whose times have 64 bits. A time behind the last change has the last distance: where
/// clocks are changed, the files of Debian list the changes until 2037.
fn ahead(file: &[u8], at: Wall) -> Option<Span> {
    let file = file.get(..file.len().min(SIZE_MAX))?;
    let (first, block) = counts(file)?;
    let (counts, block) = counts(block.get(first.len(4)..)?)?;
    let (times, rest) = block.split_at_checked(counts.times * 8)?;
    let (kinds, rest) = rest.split_at_checked(counts.times)?;
    let seconds = at.0.div_euclid(1000);
    let passed = times.chunks_exact(8).take_while(|time| i64::from_be_bytes((*time).try_into().expect("eight bytes")) <= seconds).count();
    // Before the first change the first kind holds.
    let kind = passed.checked_sub(1).map_or(0, |last| usize::from(kinds[last]));
    let distance = rest.get(..counts.kinds * 6)?.get(kind * 6..kind * 6 + 4)?;
    Some(Span::secs(i32::from_be_bytes(distance.try_into().ok()?).into()))
}

/// The numbers in the head of a block.
struct Counts {
    is_utc: usize,
    is_standard: usize,
    leaps: usize,
    times: usize,
    kinds: usize,
    letters: usize,
}

impl Counts {
    /// The length of the block behind the head; `wide`: the bytes of a time.
    const fn len(&self, wide: usize) -> usize {
        self.times * (wide + 1) + self.kinds * 6 + self.letters + self.leaps * (wide + 4) + self.is_standard + self.is_utc
    }
}

/// The head of a block, and what stands behind it.
fn counts(file: &[u8]) -> Option<(Counts, &[u8])> {
    let (head, rest) = file.split_at_checked(44)?;
    let number =
        |at: usize| usize::try_from(u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes"))).ok().filter(|n| *n <= SIZE_MAX);
    let counts = Counts {
        is_utc: number(20)?,
        is_standard: number(24)?,
        leaps: number(28)?,
        times: number(32)?,
        kinds: number(36)?,
        letters: number(40)?,
    };
    (head.starts_with(b"TZif") && head[4] >= b'2').then_some((counts, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file as zic writes it: changes with the kind that begins, and the kinds.
    fn file(changes: &[(i64, u8)], kinds: &[i32], letters: &str) -> Vec<u8> {
        let head = |times: usize, kinds: usize, letters: usize| {
            let numbers = [0, 0, 0, times, kinds, letters].map(|n| u32::try_from(n).expect("small").to_be_bytes());
            [&b"TZif2"[..], &[0; 15], &numbers.concat()].concat()
        };
        let first = [head(0, 1, 1), vec![0; 7]].concat();
        let times: Vec<u8> = changes.iter().flat_map(|(at, _)| at.to_be_bytes()).collect();
        let begins: Vec<u8> = changes.iter().map(|(_, kind)| *kind).collect();
        let kinds_written: Vec<u8> = kinds.iter().flat_map(|ahead| [&ahead.to_be_bytes()[..], &[0, 0]].concat()).collect();
        [first, head(changes.len(), kinds.len(), letters.len()), times, begins, kinds_written, letters.into()].concat()
    }

    #[test]
    fn a_time_has_the_distance_that_holds_then() {
        let europe = file(&[(100, 1), (200, 0)], &[3600, 7200], "CET\0CEST\0");
        for (at, hours) in [(0, 1), (99, 1), (100, 2), (199, 2), (200, 1), (1_000_000, 1)] {
            assert_eq!(ahead(&europe, Wall(at * 1000)), Some(Span::secs(hours * 3600)), "{at}");
        }
        let jakarta = file(&[], &[25_200], "WIB\0");
        assert_eq!(ahead(&jakarta, Wall(0)), Some(Span::secs(7 * 3600)));
        assert_eq!(Zone::ALL.map(|zone| is_named(&jakarta, zone)), [true, false, false]);
        // `WIT` is no beginning of `WITA`.
        assert_eq!(Zone::ALL.map(|zone| is_named(&file(&[], &[28_800], "WITA\0"), zone)), [false, true, false]);
        for broken in [&europe[..europe.len() - 20], &europe[..40], b"", b"TZif", &europe[1..]] {
            assert_eq!(ahead(broken, Wall(0)), None);
        }
    }

    #[test]
    fn a_zone_is_that_of_the_variable_or_of_the_computer() {
        for (said, file) in [
            (None, "/etc/localtime"),
            (Some(""), "/etc/localtime"),
            (Some("Asia/Makassar"), "/usr/share/zoneinfo/Asia/Makassar"),
            (Some(":Asia/Makassar"), "/usr/share/zoneinfo/Asia/Makassar"),
        ] {
            assert_eq!(place(said), Path::new(file), "{said:?}");
        }
        assert_eq!([7 * 60, -210, 0].map(|minutes| offset(Span::secs(minutes * 60))), ["+07:00", "-03:30", "+00:00"]);
        // Each test may run in another zone.
        let (ahead, zone) = here(Wall(1_795_132_800_000));
        assert_eq!(told(Wall(1_795_132_800_000)), format!("{} {zone}", Wall(1_795_132_800_000).to_clock(ahead)));
    }
}
