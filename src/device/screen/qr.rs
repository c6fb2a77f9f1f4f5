//! A payload as QR modules, and how large they can be drawn.

use qrcode::{EcLevel, QrCode};

/// The white border on each side, in modules, that ISO/IEC 18004 asks for.
pub(super) const QUIET_ZONE: u32 = 4;

/// Below this many pixels a module, cheap phones begin to fail; error correction is given up first.
const MODULE_PX_WANTED: u32 = 3;

/// The modules of a QR code, without its quiet zone.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Code {
    dark: Box<[bool]>,
    side: u32,
    module_px: u32,
}

impl Code {
    /// The code of `payload` with the largest whole-pixel modules that fit, quiet zone included, into a square of
    /// `room` pixels: error correction M, or L where M would leave less than three pixels a module. Larger modules help
    /// a camera more than the levels above M do, so those are never used. `None` if not even one pixel a module fits.
    pub(super) fn new(payload: &str, room: u32) -> Option<Self> {
        let at = |level| {
            let code = QrCode::with_error_correction_level(payload, level).ok()?;
            let side = u32::try_from(code.width()).ok()?;
            let module_px = room / (side + 2 * QUIET_ZONE);
            let dark = code.into_colors().into_iter().map(|colour| colour == qrcode::Color::Dark).collect();
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

    /// The modules row by row.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[bool]> {
        self.dark.chunks_exact(self.side as usize)
    }
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
