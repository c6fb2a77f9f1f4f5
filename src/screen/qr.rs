//! A payload as QR modules, and the size in which they can be drawn.

use qrcode::bits::encode_auto;
use qrcode::canvas::{Canvas, MaskPattern};
use qrcode::types::QrResult;
use qrcode::{Color, EcLevel, ec};

/// The white border on each side that ISO/IEC 18004 asks for, in modules.
pub(super) const QUIET_ZONE: u32 = 4;

/// With fewer pixels a module, cheap phones begin to fail. Before that, error correction is given up.
const MODULE_PX_WANTED: u32 = 3;

/// The modules of a QR code, without its quiet zone.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Code {
    dark: Box<[bool]>,
    side: u32,
    module_px: u32,
}

impl Code {
    /// The code of `payload` for a square of `room` pixels, quiet zone included, with the largest whole-pixel modules
    /// that fit. Error correction is M; it is L where M would leave less than three pixels a module. The levels above M
    /// are never used: larger modules help a camera more. `None` if not even one pixel a module fits.
    pub(super) fn new(payload: &str, room: u32) -> Option<Self> {
        let at = |level| {
            let (side, colours) = encode(payload, level).ok()?;
            let module_px = room / (side + 2 * QUIET_ZONE);
            let dark = colours.into_iter().map(|colour| colour == Color::Dark).collect();
            (module_px > 0).then_some(Self { dark, side, module_px })
        };
        at(EcLevel::M).filter(|code| code.module_px >= MODULE_PX_WANTED).or_else(|| at(EcLevel::L))
    }

    /// Pixels a side, quiet zone included.
    pub(super) fn side_px(&self) -> u32 {
        (self.side + 2 * QUIET_ZONE) * self.module_px
    }

    /// Pixels a module.
    pub(super) fn module_px(&self) -> u32 {
        self.module_px
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.dark.chunks_exact(self.side as usize)
    }
}

/// The mask, one of eight, that is laid over the data. Every reader takes any mask. The standard draws and weighs all
/// eight, which took a hundred times as long as all the rest. This mask wins for two in three real QRIS payloads. In the
/// others it leaves at most 14 modules of one colour in a row.
const MASK: MaskPattern = MaskPattern::DiagonalLines;

/// Modules a side, and their colours row by row.
fn encode(payload: &str, level: EcLevel) -> QrResult<(u32, Vec<Color>)> {
    let bits = encode_auto(payload.as_bytes(), level)?;
    let version = bits.version();
    let (data, correction) = ec::construct_codewords(&bits.into_bytes(), version, level)?;
    let mut canvas = Canvas::new(version, level);
    canvas.draw_all_functional_patterns();
    canvas.draw_data(&data, &correction);
    canvas.apply_mask(MASK);
    Ok((u32::from(version.width().unsigned_abs()), canvas.into_colors()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_whole_pixels_and_as_large_as_fits() {
        let payload = "A0".repeat(126);
        for (room, module_px) in [(480, 7), (366, 6), (305, 5), (183, 3), (182, 3), (171, 3)] {
            let code = Code::new(&payload, room).expect("fits");
            assert_eq!(code.module_px(), module_px, "{room}");
            assert!(code.side_px() <= room && (code.side + 8) * (module_px + 1) > room);
        }
        assert!(Code::new(&"a".repeat(512), 240).is_some());
        assert!(Code::new(&payload, 50).is_none());
        assert!(Code::new(&"a".repeat(3000), 4000).is_none(), "no QR code holds that");
    }
}
