//! The payload for a customer's app, in the form of Midtrans and GoPay, and its picture.

use qris_core::order::qris::{crc, merchant, merchant_name};

#[derive(Debug, Clone)]
pub struct Merchant {
    /// `G` and nine digits, as in `merchant_id` of Midtrans' answers.
    pub id: String,
    /// National merchant id, 15 characters.
    pub nmid: String,
    /// Size of business: `UMI`, `UKE`, `UME`, `UBE`.
    pub criteria: String,
    /// Merchant category code, four digits.
    pub category: String,
    /// At most 25 characters.
    pub name: String,
    /// At most 15 characters.
    pub city: String,
    /// Five digits.
    pub postal_code: String,
}

impl Default for Merchant {
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            id: text("G379181825"),
            nmid: text("AID772051375229"),
            criteria: text("UKE"),
            category: text("5814"),
            name: text("QRISD VENDING"),
            city: text("JAKARTA"),
            postal_code: text("10110"),
        }
    }
}

impl Merchant {
    /// A dynamic QRIS payload for whole rupiah. The order of its tags is that of real payloads: the amount comes after
    /// the postal code.
    #[must_use]
    pub fn payload(&self, rupiah: u64, reference: &str) -> String {
        let account = [tag("00", "COM.GO-JEK.WWW"), tag("01", &self.pan()), tag("02", &self.id), tag("03", &self.criteria)].concat();
        let national = [tag("00", "ID.CO.QRIS.WWW"), tag("02", &self.nmid), tag("03", &self.criteria)].concat();
        let additional = [tag("50", reference), tag("07", "A01")].concat();
        let mut payload = [
            tag("00", "01"),
            tag("01", "12"),
            tag("26", &account),
            tag("51", &national),
            tag("52", &self.category),
            tag("53", "360"),
            tag("58", "ID"),
            tag("59", &self.name),
            tag("60", &self.city),
            tag("61", &self.postal_code),
            tag("54", &format!("{rupiah}.00")),
            tag("62", &additional),
            "6304".to_owned(),
        ]
        .concat();
        payload.push_str(&format!("{:04X}", crc(&payload)));
        payload
    }

    /// GoPay's national number, a 3, the merchant's digits, and a check digit.
    fn pan(&self) -> String {
        let digits = format!("936009143{}", self.id.trim_start_matches('G'));
        let check = luhn(&digits);
        format!("{digits}{check}")
    }
}

/// Tag, length in two decimal digits, value. Our values are ASCII and shorter than 100.
fn tag(tag: &str, value: &str) -> String {
    format!("{tag}{:02}{value}", value.len())
}

/// The digit that makes a number pass the Luhn test (ISO/IEC 7812-1).
fn luhn(digits: &str) -> u32 {
    let weighed = |(place, digit): (usize, char)| {
        let digit = digit.to_digit(10).unwrap_or(0);
        let doubled = if place % 2 == 0 { digit * 2 } else { digit };
        doubled / 10 + doubled % 10
    };
    let sum: u32 = digits.chars().rev().enumerate().map(weighed).sum();
    (10 - sum % 10) % 10
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureStyle {
    /// Modules, and a quiet zone of four modules.
    Plain,
    /// The same in a frame with logos, the merchant's name and number, and small print around it, as the `generate-qr-code-v2`
    /// image. The marks are not letters, but look like them to a program that looks for a QR.
    Framed,
    /// No modules: a white square.
    Blank,
}

const PIXELS_A_MODULE: usize = 5;
const QUIET_MODULES: usize = 4;
/// The frame's line, and the bands above and below the code.
const FRAME_PIXELS: usize = 12;
const BAND_PIXELS: usize = 96;

/// A PNG of a text; `None` if it is too long for any QR.
#[must_use]
pub fn png(text: &str, look: PictureStyle) -> Option<Vec<u8>> {
    let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::M).ok()?;
    let (modules, colors) = (code.width(), code.to_colors());
    let side = (modules + 2 * QUIET_MODULES) * PIXELS_A_MODULE;
    let (frame, band) = if look == PictureStyle::Framed { (FRAME_PIXELS, BAND_PIXELS) } else { (0, 0) };
    let (width, height) = (side + 2 * frame, side + 2 * (frame + band));
    let print = [merchant_name(text).unwrap_or_default(), merchant(text).unwrap_or_default()];
    let dark = |x: usize, y: usize| {
        if x.min(y).min(width - 1 - x).min(height - 1 - y) < frame {
            return true;
        }
        let (x, y) = (x - frame, y - frame);
        if y < band {
            return logo(x, y) || side.checked_sub(x + 1).is_some_and(|x| logo(x, y)) || printed("QRIS GPN", x, y, [90, 30], 5);
        }
        if y >= band + side {
            let y = y - band - side;
            return printed(print[0], x, y, [20, 8], 3) || printed(print[1], x, y, [20, 36], 2) || printed(text, x, y, [8, 64], 1);
        }
        let module = |at: usize| (at / PIXELS_A_MODULE).checked_sub(QUIET_MODULES).filter(|module| *module < modules);
        look != PictureStyle::Blank
            && module(x).zip(module(y - band)).is_some_and(|(column, row)| colors[row * modules + column] == qrcode::Color::Dark)
    };
    let pixels: Vec<u8> = (0..width * height).map(|i| if dark(i % width, i / width) { 0 } else { 255 }).collect();
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, u32::try_from(width).ok()?, u32::try_from(height).ok()?);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&pixels).ok()?;
    Some(file)
}

/// The logo of QRIS begins with a mark like the corner of a QR: a ring, and a square in it.
fn logo(x: usize, y: usize) -> bool {
    let ring = |from: usize, to: usize| (from..to).contains(&x) && (from..to).contains(&y);
    ring(20, 76) && (!ring(28, 68) || ring(36, 60))
}

/// Whether a pixel is dark in a line of marks at this place, so many pixels a dot. A mark has five by seven dots, and follows from
/// its letter.
fn printed(line: &str, x: usize, y: usize, [left, top]: [usize; 2], scale: usize) -> bool {
    let (Some(column), Some(row)) = (x.checked_sub(left), y.checked_sub(top)) else { return false };
    let (column, row) = (column / scale, row / scale);
    let Some(letter) = line.as_bytes().get(column / 6).filter(|letter| **letter != b' ' && column % 6 < 5 && row < 7) else {
        return false;
    };
    (u64::from(*letter).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (20 + row * 5 + column % 6)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_core::order::money::Rupiah;

    /// The first of the three real strings of Midtrans' documents.
    #[test]
    fn a_real_payload_comes_out_the_same() {
        let merchant = Merchant {
            id: "G379181825".into(),
            nmid: "AID772051375229".into(),
            criteria: "UKE".into(),
            category: "3593".into(),
            name: "PAPI LIVE2".into(),
            city: "KUKAR".into(),
            postal_code: "75553".into(),
        };
        let real = "00020101021226620014COM.GO-JEK.WWW011993600914337918182570210G3791818250303UKE51440014ID.CO.QRIS.WWW0215AID7720513752290303UKE5204359353033605802ID5910PAPI LIVE26005KUKAR6105755535409100000.0062475036b1855b6c-70ab-4449-9778-61b8ffe43fd20703A016304C385";
        assert_eq!(merchant.payload(100_000, "b1855b6c-70ab-4449-9778-61b8ffe43fd2"), real);
    }

    #[test]
    fn check_digits_are_those_of_real_merchants() {
        for (digits, check) in [("936009143379181825", 7), ("936009143490526303", 4), ("936009143028898782", 7)] {
            assert_eq!(luhn(digits), check, "{digits}");
        }
    }

    #[test]
    fn payloads_pass_the_screens_check() {
        let payload = Merchant::default().payload(5_000, "b1855b6c-70ab-4449-9778-61b8ffe43fd2");
        let amount = |rupiah| Rupiah::new(rupiah).expect("an amount");
        assert_eq!(qris_core::order::qris::check(&payload, amount(5_000)), Ok(()));
        assert!(qris_core::order::qris::check(&payload, amount(5_001)).is_err());
    }
}
