//! Labels to print and to put at machines: a page for a browser, with a QR code on each.

use crate::http::rendered;
use askama::Template;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

#[derive(Template)]
#[template(path = "labels.html")]
struct Sheet<'a> {
    labels: &'a [Label],
}

pub struct Label {
    pub title: String,
    pub lines: Vec<String>,
    /// What the code says. A text that is too long for a code has none.
    pub code: String,
}

#[must_use]
pub fn sheet(labels: &[Label]) -> String {
    rendered(&Sheet { labels })
}

impl Label {
    fn picture(&self) -> String {
        let code = QrCode::with_error_correction_level(&self.code, EcLevel::L);
        let drawn = code.map(|code| code.render::<svg::Color<'_>>().module_dimensions(1, 1).build()).unwrap_or_default();
        // Before the picture stands what only a file of its own has.
        drawn.split_once("?>").map_or_else(String::new, |(_, picture)| picture.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_a_code_that_reads_back() {
        let label = |n: usize| Label {
            title: format!("Kios <é – {n}>"),
            lines: vec![format!("vm-{n}")],
            code: format!("https://pay.example#vm-{n}"),
        };
        let page = sheet(&[label(0), label(1), Label { code: "x".repeat(5000), ..label(2) }]);
        assert_eq!((page.matches("<section>").count(), page.matches("<svg").count()), (3, 2), "{page}");
        assert!(page.contains("<h1>Kios &#60;é – 1&#62;</h1><p>vm-1</p>"), "{page}");
        // The squares of the second code, drawn as a camera sees them: four dots a module.
        let path = page.split("d=\"M").nth(2).and_then(|rest| rest.split('"').next()).expect("its dark squares");
        let side = page.rsplit("viewBox=\"0 0 ").next().and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok()).expect("a side");
        let mut dots = vec![255_u8; side * side * 16];
        for square in path.split('M') {
            let numbers: Vec<usize> =
                square.split(|c: char| !c.is_ascii_digit()).take(4).map(|number| number.parse().expect("a number")).collect();
            for row in numbers[1] * 4..(numbers[1] + numbers[3]) * 4 {
                dots[row * side * 4..][numbers[0] * 4..(numbers[0] + numbers[2]) * 4].fill(0);
            }
        }
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side * 4, side * 4, |x, y| dots[y * side * 4 + x]);
        assert_eq!(image.detect_grids()[0].decode().expect("decoded").1, "https://pay.example#vm-1");
    }
}
