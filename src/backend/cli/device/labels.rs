//! Labels to print and to put at machines: a PDF of A4 pages, with a QR code of squares and the fonts that every reader of PDF has.

use qrcode::{Color, EcLevel, QrCode};
use std::fmt::Write as _;

/// A4, in points.
const PAGE: (f64, f64) = (595.0, 842.0);
const COLUMNS: usize = 2;
const ROWS: usize = 4;
/// The side of a code, its quiet zone included: 63 mm.
const CODE: f64 = 178.0;
/// Modules of the quiet zone.
const QUIET: usize = 4;
/// The most characters of a line of a label.
const LINE_MAX: usize = 58;

/// What stands on one label.
pub struct Label {
    /// The large line.
    pub title: String,
    /// Small lines.
    pub lines: Vec<String>,
    /// What the code says. A text that is too long for a code has none.
    pub code: String,
}

/// A PDF with these labels.
#[must_use]
pub fn sheet(labels: &[Label]) -> Vec<u8> {
    let pages: Vec<String> = labels.chunks(COLUMNS * ROWS).map(page).collect();
    let first = 5;
    let kids: Vec<_> = (0..pages.len()).map(|at| format!("{} 0 R", first + 2 * at)).collect();
    let font = |name: &str| format!("<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>");
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()),
        font("Helvetica-Bold"),
        font("Courier"),
    ];
    for (at, content) in pages.iter().enumerate() {
        let (width, height) = PAGE;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Resources << /Font << /F1 3 0 R /F2 4 0 R >> >> /Contents {} 0 R >>",
            first + 2 * at + 1
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}endstream", content.len()));
    }
    let (mut pdf, mut places) = ("%PDF-1.4\n".to_owned(), Vec::new());
    for (at, object) in objects.iter().enumerate() {
        places.push(pdf.len());
        let _ = write!(pdf, "{} 0 obj\n{object}\nendobj\n", at + 1);
    }
    let (table, count) = (pdf.len(), objects.len() + 1);
    let _ = write!(pdf, "xref\n0 {count}\n0000000000 65535 f \n");
    for place in places {
        let _ = writeln!(pdf, "{place:010} 00000 n ");
    }
    let _ = write!(pdf, "trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n");
    pdf.into_bytes()
}

fn page(labels: &[Label]) -> String {
    let (width, height) = (PAGE.0 / COLUMNS as f64, PAGE.1 / ROWS as f64);
    let mut drawn = String::new();
    for (at, label) in labels.iter().enumerate() {
        let (left, top) = ((at % COLUMNS) as f64 * width, PAGE.1 - (at / COLUMNS) as f64 * height);
        // Where to cut.
        let _ = writeln!(drawn, "0.8 G {left:.1} {:.1} {width:.1} {height:.1} re S 0 g", top - height);
        let mut line = |font: &str, size: f64, y: f64, text: &str| {
            let _ = writeln!(drawn, "BT /{font} {size} Tf {:.1} {:.1} Td ({}) Tj ET", left + 10.0, top - y, escaped(text));
        };
        line("F1", 13.0, 18.0, &label.title);
        for (at, text) in label.lines.iter().enumerate() {
            line("F2", 7.5, 29.0 + 9.0 * at as f64, text);
        }
        if let Ok(code) = QrCode::with_error_correction_level(&label.code, EcLevel::L) {
            squares(&mut drawn, &code, left + (width - CODE) / 2.0, top - height + 2.0);
        }
    }
    drawn
}

/// A code, with its lower left corner there. Squares of a row that touch are one.
fn squares(drawn: &mut String, code: &QrCode, left: f64, bottom: f64) {
    let side = code.width();
    let module = CODE / (side + 2 * QUIET) as f64;
    for y in 0..side {
        let mut x = 0;
        while x < side {
            let length = (x..side).take_while(|x| code[(*x, y)] == Color::Dark).count();
            if length > 0 {
                let (from, below) = (left + (x + QUIET) as f64 * module, bottom + (side + QUIET - 1 - y) as f64 * module);
                let _ = writeln!(drawn, "{from:.3} {below:.3} {:.3} {module:.3} re", length as f64 * module);
            }
            x += length.max(1);
        }
    }
    drawn.push_str("f\n");
}

/// A text as PDF writes it: what the fonts do not have becomes a question mark.
fn escaped(text: &str) -> String {
    let mut written = String::new();
    for c in text.chars().take(LINE_MAX) {
        match c {
            '(' | ')' | '\\' => written.extend(['\\', c]),
            ' '..='~' => written.push(c),
            '\u{a1}'..='\u{ff}' => {
                let _ = write!(written, "\\{:03o}", u32::from(c));
            }
            _ => written.push('?'),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_code_that_reads_back() {
        let label =
            |n: usize| Label { title: format!("Kios (é) {n}"), lines: vec!["vm-1".into()], code: format!("https://pay.example#vm-{n}") };
        let pdf = String::from_utf8(sheet(&(0..9).map(label).collect::<Vec<_>>())).expect("ASCII");
        assert!(pdf.contains("/Count 2") && pdf.contains("(Kios \\(\\351\\) 8) Tj"), "{pdf}");
        // Each object stands where the table says.
        let table: usize = pdf.rsplit("startxref\n").next().and_then(|rest| rest.lines().next()?.parse().ok()).expect("a place");
        for (at, row) in pdf[table..].lines().skip(3).take_while(|row| row.ends_with(" n ")).enumerate() {
            let place: usize = row[..10].parse().expect("a number");
            assert!(pdf[place..].starts_with(&format!("{} 0 obj", at + 1)), "{row}");
        }
        // The squares of the first code, drawn as a camera sees them: four dots a point.
        let (side, scale) = ((CODE as usize) * 4, 4.0);
        let mut dots = vec![255_u8; side * side];
        let first = pdf.split(" re S 0 g").nth(1).and_then(|label| label.split("f\n").next()).expect("a label");
        let (left, bottom) = ((PAGE.0 / 2.0 - CODE) / 2.0, PAGE.1 - PAGE.1 / 4.0 + 2.0);
        for line in first.lines().filter_map(|line| line.strip_suffix(" re")) {
            let numbers: Vec<f64> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
            let (x, y) = ((numbers[0] - left) * scale, (numbers[1] - bottom) * scale);
            for row in y.round() as usize..(y + numbers[3] * scale).round() as usize {
                for column in x.round() as usize..(x + numbers[2] * scale).round() as usize {
                    dots[(side - 1 - row) * side + column] = 0;
                }
            }
        }
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| dots[y * side + x]);
        assert_eq!(image.detect_grids()[0].decode().expect("decoded").1, "https://pay.example#vm-0");
    }
}
