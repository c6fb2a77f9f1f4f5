//! The customer's phone. It knows of an order only what its camera sees: it reads the QR out of the panel's pixels, and
//! pays what the QR says.

use super::panel::{Frame, HEIGHT, WIDTH};
use qris_core::order::money::Rupiah;
use serde::Serialize;

/// What a payment app shows after a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Bill {
    /// The text in the QR.
    pub payload: String,
    /// The receiver of the money (tag 59).
    pub merchant: String,
    /// The amount (tag 54), whole rupiah.
    pub amount: Rupiah,
}

/// Reads the QR on the panel, as a camera would. `None`: there is no QR, or it cannot be paid.
#[must_use]
pub fn scan(frame: &Frame) -> Option<Bill> {
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(WIDTH, HEIGHT, |x, y| frame.grey(x, y));
    image.detect_grids().iter().find_map(|grid| grid.decode().ok().and_then(|(_, text)| Bill::read(text)))
}

impl Bill {
    fn read(payload: String) -> Option<Self> {
        let merchant = field(&payload, "59")?.to_owned();
        let amount = Rupiah::from_gross_amount(field(&payload, "54")?).ok()?;
        Some(Self { merchant, amount, payload })
    }
}

/// The value of a tag: two digits of tag, two digits of length, then that many characters.
fn field<'a>(payload: &'a str, tag: &str) -> Option<&'a str> {
    let mut rest = payload;
    while !rest.is_empty() {
        let length: usize = rest.get(2..4)?.parse().ok()?;
        let value = rest.get(4..4 + length)?;
        if rest.get(..2)? == tag {
            return Some(value);
        }
        rest = rest.get(4 + length..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const QRIS: &str = "00020101021226620014COM.GO-JEK.WWW011993600914302889878270210G0288987820303UMI51440014ID.CO.QRIS.WWW0215AID7111686201870303UMI5204352953033605802ID5911Citra Media6006MALANG61056512654101000000.006247503652ffe6e8-ff5f-4df4-b6f2-5a6f36f926f60703A0163047EE4";

    /// A QR on the panel, dark on white: `pixels` for a module, its corner at (`left`, `top`).
    fn show(text: &str, pixels: usize, left: usize, top: usize) -> Frame {
        let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::M).expect("it fits");
        let mut frame = Frame::dark();
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                frame.set(x, y, 0xffff);
            }
        }
        for (n, module) in code.to_colors().into_iter().enumerate() {
            let (column, row) = (n % code.width(), n / code.width());
            if module == qrcode::Color::Dark {
                for y in 0..pixels {
                    for x in 0..pixels {
                        frame.set(left + column * pixels + x, top + row * pixels + y, 0x0000);
                    }
                }
            }
        }
        frame
    }

    #[test]
    fn the_bill_is_read_out_of_the_pixels() {
        let wanted = Bill { payload: QRIS.into(), merchant: "Citra Media".into(), amount: Rupiah::new(1_000_000).expect("an amount") };
        for (pixels, left, top) in [(7, 40, 200), (3, 200, 600)] {
            assert_eq!(scan(&show(QRIS, pixels, left, top)), Some(wanted.clone()), "{pixels} pixels a module");
        }
    }

    #[test]
    fn what_cannot_be_paid_is_no_bill() {
        assert_eq!(scan(&Frame::dark()), None);
        assert_eq!(scan(&show("https://pay.example/pay/o-1", 7, 40, 200)), None);
        for broken in ["", "00", "0099xx", "5405x", &QRIS[..60]] {
            assert_eq!(Bill::read(broken.into()), None, "{broken}");
        }
    }
}
