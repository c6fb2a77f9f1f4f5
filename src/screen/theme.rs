//! The colours of all pages. By default they are dark on light, for a panel in the sun. An operator may choose others,
//! as long as people can read them. A QR code is always black on white: nobody may change that.

use super::paint::Colour;

/// White: for words on a coloured page, and for the ground of a QR code.
pub(super) const WHITE: Colour = 0xff_ffff;
/// For words on light colours that no theme changes.
pub(super) const BLACK: Colour = 0x10_1f38;
/// The strips that say that the money is not real.
pub(super) const TEST: Colour = 0xff_c107;

/// The contrast that text needs to be read in daylight: WCAG 2.2, success criterion 1.4.3.
pub(super) const CONTRAST_MIN: f32 = 4.5;

/// The colours, each `0x00RRGGBB`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Theme {
    /// The strip at the top.
    pub header: u32,
    /// The machine's name on it.
    pub header_text: u32,
    /// "GoPay / QRIS" on it.
    pub header_accent: u32,
    pub ground: u32,
    /// The ground of items and numbers.
    pub card: u32,
    /// Most words.
    pub text: u32,
    /// Words that matter less.
    pub muted: u32,
    /// Prices, and the next step.
    pub accent: u32,
}

impl Default for Theme {
    fn default() -> Self {
        Self {
            header: 0x0b_2545,
            header_text: 0xff_ffff,
            header_accent: 0x7f_d4f5,
            ground: 0xee_f2f7,
            card: 0xff_ffff,
            text: 0x10_1f38,
            muted: 0x4c_5a72,
            accent: 0x00_67a3,
        }
    }
}

/// The keys of `[screen.colours]`.
pub const KEYS: [&str; 8] = ["header", "header_text", "header_accent", "ground", "card", "text", "muted", "accent"];

/// Two colours, of which one must be readable on the other: the keys of both.
type Pair = (&'static str, &'static str);

impl Theme {
    /// The colour of a key of `[screen.colours]`; `None`: there is no such key.
    pub fn key(&mut self, name: &str) -> Option<&mut u32> {
        Some(match name {
            "header" => &mut self.header,
            "header_text" => &mut self.header_text,
            "header_accent" => &mut self.header_accent,
            "ground" => &mut self.ground,
            "card" => &mut self.card,
            "text" => &mut self.text,
            "muted" => &mut self.muted,
            "accent" => &mut self.accent,
            _ => return None,
        })
    }

    /// The pairs of colours whose contrast is too small to read, each with its contrast (1 to 21).
    #[must_use]
    pub fn unreadable(&self) -> Vec<(Pair, f32)> {
        let pairs = [
            (("header_text", "header"), self.header_text, self.header),
            (("header_accent", "header"), self.header_accent, self.header),
            (("text", "ground"), self.text, self.ground),
            (("text", "card"), self.text, self.card),
            (("muted", "ground"), self.muted, self.ground),
            (("muted", "card"), self.muted, self.card),
            (("accent", "ground"), self.accent, self.ground),
            (("accent", "card"), self.accent, self.card),
        ];
        let contrasts = pairs.into_iter().map(|(pair, above, below)| (pair, contrast(above, below)));
        contrasts.filter(|(_, contrast)| *contrast < CONTRAST_MIN).collect()
    }

    /// The colour of success, on this page's ground.
    pub(super) fn good(&self) -> Colour {
        readable(clearer(Signal::Good.dark(), 0x4a_de80, self.ground), self.ground)
    }

    pub(super) fn warn(&self) -> Colour {
        readable(clearer(Signal::Warn.dark(), 0xfb_bf24, self.ground), self.ground)
    }

    pub(super) fn stop(&self) -> Colour {
        readable(clearer(Signal::Stop.dark(), 0xff_8a80, self.ground), self.ground)
    }
}

/// The colours that have a meaning; no theme changes them.
#[derive(Clone, Copy)]
pub(super) enum Signal {
    Good,
    Warn,
    Stop,
}

impl Signal {
    /// The colour as the ground of a page with white words.
    pub(super) const fn dark(self) -> Colour {
        match self {
            Self::Good => 0x0b_7a4b,
            Self::Warn => 0xb4_5309,
            Self::Stop => 0xb4_1c1c,
        }
    }
}

/// The colour of the two that stands out more.
pub(super) fn clearer(first: Colour, second: Colour, ground: Colour) -> Colour {
    if contrast(first, ground) >= contrast(second, ground) { first } else { second }
}

/// The colour, made darker or lighter until it can be read on this ground. White or black can be read on every ground.
fn readable(colour: Colour, ground: Colour) -> Colour {
    let end = clearer(0xff_ffff, 0, ground);
    let mixed = |part: u32| {
        let channel = |shift: u32| ((colour >> shift & 0xff) * (16 - part) + (end >> shift & 0xff) * part) / 16;
        channel(16) << 16 | channel(8) << 8 | channel(0)
    };
    (0..16).map(mixed).find(|colour| contrast(*colour, ground) >= CONTRAST_MIN).unwrap_or(end)
}

/// A colour written as `#rrggbb`.
#[must_use]
pub fn parse(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

/// The contrast of two colours as WCAG 2.2 defines it: 1, the same, to 21, black on white.
pub(super) fn contrast(one: Colour, other: Colour) -> f32 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// How bright a colour of the sRGB space looks, 0 to 1.
fn luminance(colour: Colour) -> f32 {
    let channel = |shift: u32| {
        let value = (colour >> shift & 0xff) as f32 / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_the_standard() {
        assert!((contrast(0, 0xff_ffff) - 21.0).abs() < 0.01);
        assert!((contrast(0x77_7777, 0xff_ffff) - 4.48).abs() < 0.01, "the grey that just fails");
        assert!((contrast(0x12_3456, 0x12_3456) - 1.0).abs() < 0.01);
    }

    #[test]
    fn the_usual_colours_can_be_read_and_what_cannot_is_named() {
        assert_eq!(Theme::default().unreadable(), []);
        let faint = Theme { muted: 0x99_9999, ..Theme::default() };
        let pairs: Vec<_> = faint.unreadable().into_iter().map(|(pair, _)| pair).collect();
        assert_eq!(pairs, [("muted", "ground"), ("muted", "card")]);
    }

    #[test]
    fn what_means_something_is_seen_on_every_ground() {
        for ground in [0xee_f2f7, 0xff_ffff, 0x0b_1020, 0, 0xff_e0b0, 0x80_8080, 0xb4_5309, 0x2a_9d8f] {
            let theme = Theme { ground, ..Theme::default() };
            for colour in [theme.good(), theme.warn(), theme.stop()] {
                assert!(contrast(colour, ground) >= CONTRAST_MIN, "{colour:06x} on {ground:06x}");
            }
        }
        for signal in [Signal::Good, Signal::Warn, Signal::Stop] {
            assert!(contrast(WHITE, signal.dark()) >= CONTRAST_MIN);
        }
    }

    #[test]
    fn colours_are_written_as_on_the_web() {
        assert_eq!(parse("#0b2545"), Some(0x0b_2545));
        for bad in ["0b2545", "#0b254", "#0b25456", "#0b254g", "#+b2545", ""] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
