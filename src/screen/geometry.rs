//! Rectangles, and the shape of what is drawn on.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PixelFormat {
    /// 16 bits little-endian: five red, six green, five blue, red in the highest.
    Rgb565,
    /// 32 bits little-endian: `0x00RRGGBB`.
    Xrgb8888,
}

/// How far the picture is turned clockwise on the panel's own rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Rotation {
    /// As the panel's rows run.
    #[default]
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Rotation {
    /// From degrees clockwise: 0, 90, 180 or 270.
    #[must_use]
    pub const fn from_degrees(degrees: u32) -> Option<Self> {
        match degrees {
            0 => Some(Self::None),
            90 => Some(Self::Quarter),
            180 => Some(Self::Half),
            270 => Some(Self::ThreeQuarters),
            _ => None,
        }
    }
}

/// A rectangle in pixels; not empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rect {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) w: i32,
    pub(super) h: i32,
}

impl Rect {
    pub(super) const fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w, h }
    }

    pub(super) fn common(self, other: Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (w, h) = ((self.x + self.w).min(other.x + other.w) - x, (self.y + self.h).min(other.y + other.h) - y);
        (w > 0 && h > 0).then_some(Self { x, y, w, h })
    }

    /// The smallest rectangle that holds both.
    pub(super) fn around(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let (w, h) = ((self.x + self.w).max(other.x + other.w) - x, (self.y + self.h).max(other.y + other.h) - y);
        Self { x, y, w, h }
    }

    pub(super) fn pixels(self) -> usize {
        (self.w * self.h) as usize
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Geometry {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) format: PixelFormat,
}

impl PixelFormat {
    /// Bytes a pixel.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Rgb565 => 2,
            Self::Xrgb8888 => 4,
        }
    }
}

impl Geometry {
    /// Bytes of one row without padding.
    pub(super) fn row(self) -> usize {
        self.width as usize * self.format.bytes()
    }
}
