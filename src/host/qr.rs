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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_that_reads_back() {
        let drawn = draw("qris-enrol1.AbC.x").expect("drawn");
        // It is read as a camera would: four pixels a module, two rows a line.
        let rows: Vec<Vec<char>> =
            drawn.lines().map(|line| line.trim_start_matches("\u{1b}[30;107m").trim_end_matches("\u{1b}[0m").chars().collect()).collect();
        let (width, height) = (rows[0].len() * 4, rows.len() * 8);
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            let (upper, lower) = match rows[y / 8][x / 4] {
                '█' => (0, 0),
                '▀' => (0, 255),
                '▄' => (255, 0),
                _ => (255, 255),
            };
            if y % 8 < 4 { upper } else { lower }
        });
        let grids = image.detect_grids();
        assert_eq!(grids[0].decode().expect("decoded").1, "qris-enrol1.AbC.x");
        assert_eq!(draw(&"x".repeat(5000)), None);
    }
}
