//! The panel and its looks: `[screen]`, and the language of `[device]`.

use super::settings::SETTINGS;
use super::texts;
use qris_core::text::steers;
use qris_core::wire::orders::MACHINE_NAME_MAX;
use qris_host::config::Checker;
use qris_host::config::settings::{is_on, number};
use qris_host::hint::{either, instead};
use qris_host::speech::fill;
use qris_screen::logo::{FILE_MAX, Logo};
use qris_screen::theme::{self, Theme};
use qris_screen::{Item, Language, Languages, PixelFormat, Rotation, Settings, SurfaceSettings, unknown_letter};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The longest greeting, in characters. A small panel shows its beginning.
const GREETING_MAX: usize = 60;
/// The longest contact, in characters: as long as that on the customer's page.
const CONTACT_MAX: usize = 64;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct WrittenScreen {
    device: Option<PathBuf>,
    #[serde(rename = "virtual")]
    file: Option<WrittenVirtual>,
    rotate: Option<i64>,
    contact: Option<String>,
    greeting: Option<String>,
    required: Option<bool>,
    deeplink: Option<bool>,
    logo: Option<PathBuf>,
    #[serde(default)]
    colours: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenVirtual {
    path: Option<PathBuf>,
    width: Option<i64>,
    height: Option<i64>,
    format: Option<String>,
}

/// `[screen]`, checked.
pub struct Panel {
    /// `None`: the text does not name a surface, and that was told.
    surface: Option<SurfaceSettings>,
    rotate: Rotation,
    contact: String,
    greeting: String,
    pub required: bool,
    deeplink: bool,
    theme: Theme,
    logo: Option<Arc<Logo>>,
}

impl Panel {
    /// The settings of the screen; `None` if there is no surface.
    #[must_use]
    pub fn settings(self, languages: Languages, name: String, items: Vec<Item>) -> Option<Settings> {
        let Self { surface, rotate, contact, greeting, deeplink, theme, logo, required: _ } = self;
        Some(Settings { surface: surface?, rotate, languages, name, contact, greeting, items, theme, logo, page_beside: deeplink })
    }
}

/// Notes a text that the screen cannot show as it is written.
pub fn check_letters(text: &str, key: &str, checker: &mut Checker<'_>) {
    if let Some(letter) = unknown_letter(text).filter(|letter| !steers(*letter)) {
        checker.fault(key, fill(texts().letter, &[&format_args!("{letter:?}")]));
    }
}

fn check_line(text: &str, most: usize, key: &str, checker: &mut Checker<'_>) -> String {
    let text = text.trim();
    check_letters(text, key, checker);
    if text.chars().count() > most || text.contains(steers) {
        checker.fault(key, fill(texts().one_line, &[&most]));
    }
    text.into()
}

/// All other words on the screen are ours: they say what became of money.
pub fn check_greeting(text: &str, checker: &mut Checker<'_>) -> String {
    check_line(text, GREETING_MAX, "screen.greeting", checker)
}

pub fn check_contact(text: &str, checker: &mut Checker<'_>) -> String {
    check_line(text, CONTACT_MAX, "screen.contact", checker)
}

/// An order has it, too.
pub fn check_machine_name(text: &str, checker: &mut Checker<'_>) -> String {
    if text.trim().is_empty() {
        checker.fault("device.name", texts().no_name);
    }
    check_line(text, MACHINE_NAME_MAX, "device.name", checker)
}

pub fn check_languages(written: Option<&str>, checker: &mut Checker<'_>) -> Languages {
    let usual = Languages::Only(Language::Id);
    let words = [("id", usual), ("en", Languages::Only(Language::En)), ("both", Languages::Both)];
    checker.word(written, usual, &words, "device.language").unwrap_or(usual)
}

impl WrittenScreen {
    pub fn check(self, checker: &mut Checker<'_>) -> Panel {
        let surface = match (self.device, self.file) {
            (Some(_), Some(_)) => {
                checker.fault("screen.virtual", texts().beside_device);
                None
            }
            (device, None) => Some(device.map_or(SurfaceSettings::Any, SurfaceSettings::Device)),
            (None, Some(file)) => file.check(checker),
        };
        let degrees = self.rotate.unwrap_or(0);
        let rotate = u32::try_from(degrees).ok().and_then(Rotation::from_degrees).unwrap_or_else(|| {
            checker.fault("screen.rotate", fill(texts().words, &[&either(&["0", "90", "180", "270"]), &degrees]));
            Rotation::None
        });
        Panel {
            surface,
            rotate,
            contact: self.contact.map(|contact| check_contact(&contact, checker)).unwrap_or_default(),
            greeting: self.greeting.map(|greeting| check_greeting(&greeting, checker)).unwrap_or_default(),
            required: self.required.unwrap_or(is_on(SETTINGS, "screen.required")),
            deeplink: self.deeplink.unwrap_or(is_on(SETTINGS, "screen.deeplink")),
            theme: check_colours(self.colours, checker),
            logo: self.logo.and_then(|path| check_logo(&path, checker)),
        }
    }
}

impl WrittenVirtual {
    fn check(self, checker: &mut Checker<'_>) -> Option<SurfaceSettings> {
        let path = checker.required(self.path, "screen.virtual.path");
        let side = |value| u32::try_from(value).expect("checked");
        let width = side(checker.whole(self.width, number(SETTINGS, "screen.virtual.width")));
        let height = side(checker.whole(self.height, number(SETTINGS, "screen.virtual.height")));
        let words = [("rgb565", PixelFormat::Rgb565), ("xrgb8888", PixelFormat::Xrgb8888)];
        let format = checker.word(self.format.as_deref(), PixelFormat::Rgb565, &words, "screen.virtual.format");
        let format = format.unwrap_or(PixelFormat::Rgb565);
        Some(SurfaceSettings::Virtual { path: path?, width, height, format })
    }
}

/// The usual colours, with the named ones in their places. All of them must be readable together.
pub fn check_colours(written: BTreeMap<String, String>, checker: &mut Checker<'_>) -> Theme {
    let mut theme = Theme::default();
    let mut sound = true;
    for (name, text) in written {
        let key = format!("screen.colours.{name}");
        match (theme.key(&name), theme::parse(&text)) {
            (Some(place), Some(colour)) => *place = colour,
            (None, _) => {
                sound = false;
                checker.fault(&key, fill(texts().colour, &[&instead(&name, &theme::KEYS)]));
            }
            (Some(_), None) => {
                sound = false;
                checker.fault(&key, fill(texts().rrggbb, &[&format_args!("{text:?}")]));
            }
        }
    }
    for ((above, below), contrast) in theme.unreadable().into_iter().filter(|_| sound) {
        let why = fill(texts().contrast, &[&below, &format_args!("{contrast:.1}")]);
        checker.fault(&format!("screen.colours.{above}"), why);
    }
    theme
}

fn check_logo(path: &Path, checker: &mut Checker<'_>) -> Option<Arc<Logo>> {
    let key = "screen.logo";
    let file = checker.take(std::fs::File::open(checker.locate(path)), key)?;
    let mut bytes = Vec::new();
    checker.take(file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes), key)?;
    checker.take(Logo::read(&bytes), key).map(Arc::new)
}
