//! The layout of a driver's pixel, and the way from drawn pixels to it.
//!
//! Pictures are drawn in one of two formats. Most panels take one of them as it is. For the others, the drawn pixels of
//! 32 bits are laid out anew on their way.

use crate::geometry::PixelFormat;
use std::fmt;

/// The place of a channel in a pixel's bits, and how many bits it has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Channel {
    pub(super) offset: u32,
    pub(super) length: u32,
}

impl Channel {
    pub(super) const fn new(offset: u32, length: u32) -> Self {
        Self { offset, length }
    }

    /// A value of 0 to 255 at its place.
    #[inline]
    fn place(self, value: u32) -> u32 {
        let value = if self.length <= 8 { value >> (8 - self.length) } else { value << (self.length - 8) | value >> (16 - self.length) };
        value << self.offset
    }

    fn bits(self) -> u32 {
        ((1 << self.length) - 1) << self.offset
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Pixels {
    /// Bits from one pixel to the next.
    pub(super) bits: u32,
    pub(super) red: Channel,
    pub(super) green: Channel,
    pub(super) blue: Channel,
    /// How opaque a pixel is, if the driver has that; else a channel without bits.
    pub(super) alpha: Channel,
}

impl Pixels {
    pub(super) const RGB565: Self = Self::new(16, [(11, 5), (5, 6), (0, 5)], (0, 0));
    pub(super) const XRGB8888: Self = Self::new(32, [(16, 8), (8, 8), (0, 8)], (0, 0));

    pub(super) const fn new(bits: u32, [red, green, blue]: [(u32, u32); 3], alpha: (u32, u32)) -> Self {
        let [red, green, blue] = [Channel::new(red.0, red.1), Channel::new(green.0, green.1), Channel::new(blue.0, blue.1)];
        Self { bits, red, green, blue, alpha: Channel::new(alpha.0, alpha.1) }
    }

    /// The format to draw in; `None` if such pixels cannot be made: a palette, grey, or channels that lie over one another.
    pub(super) fn drawn_as(self) -> Option<PixelFormat> {
        let colours = [self.red, self.green, self.blue];
        let whole = colours.iter().all(|channel| (1..=10).contains(&channel.length)) && self.alpha.length <= 8;
        if !matches!(self.bits, 16 | 24 | 32) || !whole {
            return None;
        }
        let mut taken: u32 = 0;
        for channel in [self.red, self.green, self.blue, self.alpha] {
            if channel.length > 0 && (channel.offset.saturating_add(channel.length) > self.bits || taken & channel.bits() != 0) {
                return None;
            }
            taken |= if channel.length > 0 { channel.bits() } else { 0 };
        }
        Some(if self.is(Self::RGB565) { PixelFormat::Rgb565 } else { PixelFormat::Xrgb8888 })
    }

    /// Whether the channels are at the same places. The place of a channel without bits does not matter.
    fn is(self, other: Self) -> bool {
        let same_alpha = self.alpha.length == 0 && other.alpha.length == 0;
        same_alpha && (self.bits, self.red, self.green, self.blue) == (other.bits, other.red, other.green, other.blue)
    }

    /// Bytes a pixel.
    pub(super) const fn bytes(self) -> usize {
        self.bits as usize / 8
    }

    /// Whether the drawn pixels already have this layout.
    pub(super) fn as_drawn(self) -> bool {
        self.is(Self::RGB565) || self.is(Self::XRGB8888)
    }

    /// Lays out pixels that were drawn in 32 bits; `out` has room for all of them.
    pub(super) fn lay_out(self, drawn: &[u8], out: &mut [u8]) {
        let opaque = if self.alpha.length > 0 { self.alpha.bits() } else { 0 };
        let packed = |pixel: &[u8]| {
            let [blue, green, red] = [0, 1, 2].map(|i| u32::from(pixel[i]));
            (self.red.place(red) | self.green.place(green) | self.blue.place(blue) | opaque).to_le_bytes()
        };
        // A panel is mostly plain: the next pixel is often the same as the last.
        let (mut last, mut made): (&[u8], [u8; 4]) = (&[0; 4], packed(&[0; 4]));
        for (pixel, out) in drawn.chunks_exact(4).zip(out.chunks_exact_mut(self.bytes())) {
            if pixel != last {
                (last, made) = (pixel, packed(pixel));
            }
            out.copy_from_slice(&made[..out.len()]);
        }
    }
}

/// `32 bits (red 16+8, green 8+8, blue 0+8)`: where each channel begins, and its bits.
impl fmt::Display for Pixels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bits, red, green, blue, alpha } = self;
        write!(f, "{bits} bits (red {}+{}, green {}+{}", red.offset, red.length, green.offset, green.length)?;
        write!(f, ", blue {}+{}", blue.offset, blue.length)?;
        if alpha.length > 0 {
            write!(f, ", alpha {}+{}", alpha.offset, alpha.length)?;
        }
        write!(f, ")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: (u32, u32) = (0, 0);

    #[test]
    fn what_is_drawn_becomes_the_drivers_pixels_whatever_the_order_of_their_channels() {
        // A colour with three different channels, and white.
        let drawn = [0x30, 0xa0, 0xf8, 0, 0xff, 0xff, 0xff, 0];
        for (name, pixels, wanted) in [
            ("BGR565", Pixels::new(16, [(0, 5), (5, 6), (11, 5)], NONE), &[0x1f, 0x35, 0xff, 0xff][..]),
            ("XRGB1555", Pixels::new(16, [(10, 5), (5, 5), (0, 5)], NONE), &[0x86, 0x7e, 0xff, 0x7f]),
            ("ARGB1555", Pixels::new(16, [(10, 5), (5, 5), (0, 5)], (15, 1)), &[0x86, 0xfe, 0xff, 0xff]),
            ("RGBA4444", Pixels::new(16, [(12, 4), (8, 4), (4, 4)], (0, 4)), &[0x3f, 0xfa, 0xff, 0xff]),
            ("RGB888", Pixels::new(24, [(16, 8), (8, 8), (0, 8)], NONE), &[0x30, 0xa0, 0xf8, 0xff, 0xff, 0xff]),
            ("BGR888", Pixels::new(24, [(0, 8), (8, 8), (16, 8)], NONE), &[0xf8, 0xa0, 0x30, 0xff, 0xff, 0xff]),
            ("XBGR8888", Pixels::new(32, [(0, 8), (8, 8), (16, 8)], NONE), &[0xf8, 0xa0, 0x30, 0, 0xff, 0xff, 0xff, 0]),
            ("ARGB8888", Pixels::new(32, [(16, 8), (8, 8), (0, 8)], (24, 8)), &[0x30, 0xa0, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff]),
            ("BGRX8888", Pixels::new(32, [(8, 8), (16, 8), (24, 8)], NONE), &[0, 0xf8, 0xa0, 0x30, 0, 0xff, 0xff, 0xff]),
            ("RGBA8888", Pixels::new(32, [(24, 8), (16, 8), (8, 8)], (0, 8)), &[0xff, 0x30, 0xa0, 0xf8, 0xff, 0xff, 0xff, 0xff]),
            ("XRGB2101010", Pixels::new(32, [(20, 10), (10, 10), (0, 10)], NONE), &[0xc0, 0x08, 0x3a, 0x3e, 0xff, 0xff, 0xff, 0x3f]),
        ] {
            assert_eq!(pixels.drawn_as(), Some(PixelFormat::Xrgb8888), "{name}");
            assert!(!pixels.as_drawn(), "{name}");
            let mut out = vec![0x55; wanted.len()];
            pixels.lay_out(&drawn, &mut out);
            assert_eq!(out, wanted, "{name}");
        }
    }

    #[test]
    fn the_two_formats_that_are_drawn_need_nothing_and_others_that_are_no_colours_are_refused() {
        // A driver may say anything about a channel without bits.
        let odd_alpha = Pixels { alpha: Channel::new(24, 0), ..Pixels::XRGB8888 };
        for (pixels, format) in
            [(Pixels::RGB565, PixelFormat::Rgb565), (Pixels::XRGB8888, PixelFormat::Xrgb8888), (odd_alpha, PixelFormat::Xrgb8888)]
        {
            assert_eq!((pixels.drawn_as(), pixels.as_drawn()), (Some(format), true), "{pixels}");
        }
        for pixels in [
            Pixels::new(8, [(0, 8), (0, 8), (0, 8)], NONE),
            Pixels::new(1, [(0, 1), (0, 1), (0, 1)], NONE),
            Pixels::new(16, [(11, 5), (5, 7), (0, 5)], NONE),
            Pixels::new(24, [(24, 8), (8, 8), (0, 8)], NONE),
            Pixels::new(32, [(16, 8), (8, 8), (0, 0)], NONE),
            Pixels::new(32, [(16, 8), (8, 8), (0, 8)], (16, 8)),
            Pixels::new(32, [(u32::MAX, 8), (8, 8), (0, 8)], NONE),
            Pixels::default(),
        ] {
            assert_eq!(pixels.drawn_as(), None, "{pixels}");
        }
    }
}
