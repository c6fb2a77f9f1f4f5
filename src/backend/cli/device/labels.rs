//! Labels to print and to put at machines: a page for a browser, with a QR code on each.

use crate::http::escape;
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

/// A label is a quarter of the height of A4, and half of its width. The code is 64 mm wide, so that a telephone reads the longest one.
const HEAD: &str = "<!doctype html>
<meta charset=utf-8>
<title>Labels</title>
<style>
@page { size: A4; margin: 8mm }
body { margin: 0; font: 8pt monospace }
section { box-sizing: border-box; float: left; width: 50%; height: 70mm; padding: 2mm; display: flex; break-inside: avoid; overflow: hidden;
  border: 1px dashed #ccc; overflow-wrap: anywhere }
svg { flex: none; width: 64mm; height: 64mm }
h1 { margin: 0; font: bold 13pt sans-serif }
</style>
";

pub struct Label {
    pub title: String,
    pub lines: Vec<String>,
    /// What the code says. A text that is too long for a code has none.
    pub code: String,
}

#[must_use]
pub fn sheet(labels: &[Label]) -> String {
    HEAD.to_owned() + &labels.iter().map(section).collect::<String>()
}

fn section(label: &Label) -> String {
    let code = QrCode::with_error_correction_level(&label.code, EcLevel::L);
    let drawn = code.map(|code| code.render::<svg::Color<'_>>().module_dimensions(1, 1).build()).unwrap_or_default();
    // Before the picture stands what only a file of its own has.
    let picture = drawn.split_once("?>").map_or("", |(_, picture)| picture);
    let lines: String = label.lines.iter().map(|line| format!("<p>{}</p>", escape(line))).collect();
    format!("<section>{picture}<div><h1>{}</h1>{lines}</div></section>\n", escape(&label.title))
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
        assert!(page.contains("<h1>Kios &lt;é – 1&gt;</h1><p>vm-1</p>"), "{page}");
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
