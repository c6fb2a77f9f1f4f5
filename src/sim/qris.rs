//! The payload for a customer's app, in the form of Midtrans and GoPay, and its picture.

use qris_core::order::qris::crc;

/// The merchant of a QR.
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

/// The look of a QR picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Modules, and a quiet zone of four modules.
    Plain,
    /// The same inside a frame, as the `generate-qr-code-v2` image.
    Framed,
    /// No modules: a white square.
    Blank,
}

const PIXELS_A_MODULE: usize = 5;
const QUIET_MODULES: usize = 4;
const FRAME_PIXELS: usize = 12;

/// A PNG of a text; `None` if it is too long for any QR.
#[must_use]
pub fn png(text: &str, look: Look) -> Option<Vec<u8>> {
    let code = qrcode::QrCode::with_error_correction_level(text, qrcode::EcLevel::M).ok()?;
    let (width, colors) = (code.width(), code.to_colors());
    let frame = if look == Look::Framed { FRAME_PIXELS } else { 0 };
    let side = (width + 2 * QUIET_MODULES) * PIXELS_A_MODULE + 2 * frame;
    let dark = |x: usize, y: usize| {
        if x.min(y).min(side - 1 - x).min(side - 1 - y) < frame {
            return true;
        }
        let module = |at: usize| ((at - frame) / PIXELS_A_MODULE).checked_sub(QUIET_MODULES).filter(|m| *m < width);
        look != Look::Blank && module(x).zip(module(y)).is_some_and(|(column, row)| colors[row * width + column] == qrcode::Color::Dark)
    };
    let pixels: Vec<u8> = (0..side * side).map(|i| if dark(i % side, i / side) { 0 } else { 255 }).collect();
    let mut file = Vec::new();
    let pixels_a_side = u32::try_from(side).ok()?;
    let mut encoder = png::Encoder::new(&mut file, pixels_a_side, pixels_a_side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().ok()?.write_image_data(&pixels).ok()?;
    Some(file)
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
