//! The panel that people pay at: one thread that draws the latest [`Picture`] and ticks its countdown.

pub mod picture;

use crate::order::money::Rupiah;
use crate::order::time::Boot;
use picture::Picture;
use std::path::PathBuf;

/// How the screen is made up; it does not change while the program runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the pixels go.
    pub surface: SurfaceSettings,
    /// How the panel is mounted.
    pub rotate: Rotation,
    /// The language of all texts.
    pub language: Language,
    /// The machine's name.
    pub name: String,
    /// Whom to call when money is in question; empty when there is nobody.
    pub contact: String,
    /// What is sold: the names as shown, and prices unless the request brings its own.
    pub items: Vec<(String, Option<Rupiah>)>,
}

/// Where the pixels go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SurfaceSettings {
    /// A framebuffer device such as `/dev/fb0`.
    Device(PathBuf),
    /// A file that holds what a panel would show: little-endian rows without padding, as the panel is mounted.
    Virtual {
        /// The file, created if missing.
        path: PathBuf,
        /// Pixels a row of the panel, before rotation.
        width: u32,
        /// Rows of the panel, before rotation.
        height: u32,
        /// How a pixel is laid out.
        format: PixelFormat,
    },
}

/// How a pixel is laid out in memory.
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
    /// 90°.
    Quarter,
    /// 180°.
    Half,
    /// 270°.
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

/// The language of the texts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    /// Indonesian.
    #[default]
    Id,
    /// English.
    En,
}

/// Whether pictures reach the panel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScreenState {
    /// The latest picture is on the panel.
    Working,
    /// They do not, and why; it is tried again every second.
    Gone(Box<str>),
}

/// The running screen. Dropping it takes everything off the panel and ends the thread within a second.
pub struct Screen {}

impl Screen {
    /// Starts the thread, which draws `first` at once over whatever an earlier run left on the panel.
    ///
    /// `clock` is the boot clock of [`picture::Scene::Pay`]'s `until`. `report` is called on the screen's thread: once
    /// when the first picture is on the panel or could not be put there, then at every change. It must not block.
    ///
    /// # Panics
    /// When the system gives no thread.
    #[must_use]
    pub fn start(
        settings: Settings,
        first: Picture,
        clock: impl Fn() -> Boot + Send + 'static,
        report: impl Fn(ScreenState) + Send + 'static,
    ) -> Self {
        let _ = (settings, first, clock, report);
        unimplemented!()
    }

    /// Shows this from now on. Only the latest picture counts: one that was not drawn yet is skipped.
    pub fn show(&self, picture: Picture) {
        let _ = picture;
        unimplemented!()
    }
}
