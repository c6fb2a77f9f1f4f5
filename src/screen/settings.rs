//! The settings of the screen: what the panel is, and how its pages look.

use crate::geometry::{PixelFormat, Rotation};
use crate::logo::Logo;
use crate::theme::Theme;
use qris_core::order::ids::ItemId;
use qris_core::order::money::Rupiah;
use qris_core::order::time::{Boot, Span};
use std::path::PathBuf;
use std::sync::Arc;

/// How long each language has the screen where both take turns. It is time to read the longest page.
const LANGUAGE_FOR: Span = Span::secs(6);

/// See [`Screen::dress`](crate::Screen::dress) for those that may change while the program runs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub surface: SurfaceSettings,
    pub rotate: Rotation,
    pub languages: Languages,
    pub name: String,
    /// The contact for questions about money; empty if there is none.
    pub contact: String,
    /// It stands in the place of "Choose a product" while nobody buys; empty: our own words.
    pub greeting: String,
    pub items: Vec<Item>,
    pub theme: Theme,
    /// It stands at the top, before the machine's name.
    pub logo: Option<Arc<Logo>>,
    /// Shows the customer's page as a second code beside a payment, where there is room for both.
    pub page_beside: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    pub id: ItemId,
    /// Its name in Indonesian.
    pub id_name: Box<str>,
    pub en_name: Box<str>,
    /// Its price; `None`: the request brings the price.
    pub price: Option<Rupiah>,
}

impl Item {
    #[must_use]
    pub fn name(&self, language: Language) -> &str {
        match language {
            Language::Id => &self.id_name,
            Language::En => &self.en_name,
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SurfaceSettings {
    /// `/dev/fb0`. Without it, the first display of `/dev/dri` that has a panel.
    Any,
    /// A framebuffer device such as `/dev/fb0`, or a display's such as `/dev/dri/card0`.
    Device(PathBuf),
    /// Memory of the program's own. Nobody sees it.
    Memory {
        /// Pixels a row, before rotation.
        width: u32,
        /// Rows, before rotation.
        height: u32,
        format: PixelFormat,
    },
    /// A file with the pixels that a panel would show: little-endian rows without padding, as the panel is mounted.
    Virtual {
        /// The file. It is made if it is missing.
        path: PathBuf,
        width: u32,
        height: u32,
        format: PixelFormat,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Language {
    #[default]
    Id,
    En,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Languages {
    Only(Language),
    /// Both by turns, Indonesian first.
    Both,
}

impl Languages {
    /// The language for texts that can be said only once.
    #[must_use]
    pub fn first(self) -> Language {
        match self {
            Self::Only(language) => language,
            Self::Both => Language::Id,
        }
    }

    pub(crate) fn at(self, now: Boot) -> Language {
        match self {
            Self::Only(language) => language,
            Self::Both if now.0.div_euclid(LANGUAGE_FOR.0) % 2 == 0 => Language::Id,
            Self::Both => Language::En,
        }
    }

    /// How long it stays this language.
    pub(crate) fn next(self, now: Boot) -> Option<Span> {
        match self {
            Self::Only(_) => None,
            Self::Both => Some(Span::millis(LANGUAGE_FOR.0 - now.0.rem_euclid(LANGUAGE_FOR.0))),
        }
    }
}
