//! A QR code on a terminal.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// A text as a QR code of half blocks, black on white with any colours of the terminal. `None`: it is too long for one.
#[must_use]
pub fn draw(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let rows = code.render::<Dense1x2>().build();
    // Black (30) on bright white (107).
    Some(rows.lines().map(|row| format!("\u{1b}[30;107m{row}\u{1b}[0m\n")).collect())
}

// Tests of processes read it as a camera would.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_long_is_not_drawn() {
        assert!(draw("qris-enrol1.AbC.x").is_some());
        assert_eq!(draw(&"x".repeat(5000)), None);
    }
}
