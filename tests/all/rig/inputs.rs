//! Files that stand for what hangs on the pins besides a relay, as docs/using/hardware.md says: a line that is appended is an
//! edge.

use std::fs::OpenOptions;
use std::io::Write as _;

pub struct Inputs(tempfile::TempDir);

impl Inputs {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub fn chip(&self, name: &str) -> String {
        format!("sim:{}", self.0.path().join(name).display())
    }

    /// The keys of a line with a drop sensor of the name `sensor`, which waits for nothing late.
    pub fn line_with_sensor(&self, within_ms: u32) -> String {
        self.line_with_late_sensor(within_ms, 0)
    }

    pub fn line_with_late_sensor(&self, within_ms: u32, late_within_ms: u32) -> String {
        std::fs::write(self.0.path().join("sensor"), "").expect("written");
        let times = format!("within_ms = {within_ms}, late_within_ms = {late_within_ms}");
        format!("pulse_ms = 50\nsensor = {{ chip = \"{}\", offset = 1, {times} }}\n", self.chip("sensor"))
    }

    /// A button is pressed and let go, an item falls.
    pub fn press(&self, name: &str) {
        self.edges(name, &[true, false]);
    }

    /// It becomes active and inactive so.
    pub fn edges(&self, name: &str, levels: &[bool]) {
        let text: String = levels.iter().map(|is_active| if *is_active { "1\n" } else { "0\n" }).collect();
        let mut file = OpenOptions::new().append(true).create(true).open(self.0.path().join(name)).expect("opens");
        file.write_all(text.as_bytes()).expect("written");
    }
}
