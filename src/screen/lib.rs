//! The panel that people pay at: one thread that draws the latest [`Picture`] and ticks its countdown.

mod camera;
mod fonts;
mod layout;
pub mod logo;
mod message;
mod paint;
pub mod picture;
mod qr;
pub mod render;
pub mod samples;
mod surface;
#[cfg(test)]
mod tests;
mod text;
pub mod theme;

pub use camera::Camera;
use camera::{Film, View, ViewSender};
pub use fonts::unknown_letter;
use layout::Layout;
use logo::Logo;
use paint::{Brush, Change, Mark, Rect};
use picture::{Picture, Scene};
use qris_core::order::ids::ItemId;
use qris_core::order::money::Rupiah;
use qris_core::order::time::{Boot, Span};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use surface::{Surface, SurfaceError};

/// How often a surface that is gone is looked for, and for how long a stop waits for a stuck panel.
const RETRY: Duration = Duration::from_secs(1);
/// How often a surface on which nothing happens is looked at.
const CHECK: Duration = Duration::from_secs(5);
/// "One moment" is shown only if it takes one: a charge that comes sooner is shown at once instead.
const MOMENT: Duration = Duration::from_millis(40);

/// Where both languages take turns, each has the screen for so long: time to read the longest page.
const LANGUAGE_FOR: Span = Span::secs(6);

/// The thread's name.
const THREAD: &str = "screen";

/// How the screen is made up; it does not change while the program runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the pixels go.
    pub surface: SurfaceSettings,
    /// How the panel is mounted.
    pub rotate: Rotation,
    /// The language of all texts, or both.
    pub languages: Languages,
    /// The machine's name.
    pub name: String,
    /// Whom to call when money is in question; empty when there is nobody.
    pub contact: String,
    /// What is sold.
    pub items: Vec<Item>,
    /// The colours.
    pub theme: theme::Theme,
    /// Stands at the top, before the machine's name.
    pub logo: Option<Arc<Logo>>,
    /// Shows the customer's page as a second code beside a payment, where there is room for both.
    pub page_beside: bool,
}

/// An item as the screen shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// What requests call it.
    pub id: ItemId,
    /// Its name in Indonesian.
    pub id_name: Box<str>,
    /// Its name in English.
    pub en_name: Box<str>,
    /// Its price; `None`: the request brings it.
    pub price: Option<Rupiah>,
}

impl Item {
    /// The name in this language.
    #[must_use]
    pub fn name(&self, language: Language) -> &str {
        match language {
            Language::Id => &self.id_name,
            Language::En => &self.en_name,
        }
    }
}

/// Where the pixels go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SurfaceSettings {
    /// `/dev/fb0`, or where there is none the first display of `/dev/dri` that has a panel.
    Any,
    /// A framebuffer device such as `/dev/fb0`, or a display's such as `/dev/dri/card0`.
    Device(PathBuf),
    /// Memory of the program's own, which nobody sees.
    Memory {
        /// Pixels a row, before rotation.
        width: u32,
        /// Rows, before rotation.
        height: u32,
        /// How a pixel is laid out.
        format: PixelFormat,
    },
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

/// Which languages a screen speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Languages {
    /// One of them.
    Only(Language),
    /// Both by turns, Indonesian first.
    Both,
}

impl Languages {
    /// The one of what can be told once only.
    #[must_use]
    pub fn first(self) -> Language {
        match self {
            Self::Only(language) => language,
            Self::Both => Language::Id,
        }
    }

    /// The language of this moment.
    fn at(self, now: Boot) -> Language {
        match self {
            Self::Only(language) => language,
            Self::Both if now.0.div_euclid(LANGUAGE_FOR.0) % 2 == 0 => Language::Id,
            Self::Both => Language::En,
        }
    }

    /// How long it stays the language.
    fn next(self, now: Boot) -> Option<Span> {
        match self {
            Self::Only(_) => None,
            Self::Both => Some(Span::millis(LANGUAGE_FOR.0 - now.0.rem_euclid(LANGUAGE_FOR.0))),
        }
    }
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
pub struct Screen {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

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
        let slot = Slot { latest: first, wanted: None, stop: false, stopped: false };
        let shared = Arc::new(Shared { slot: Mutex::new(slot), changed: Condvar::new(), film: Mutex::default() });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(THREAD.into()).spawn(move || {
            // Made here: the fonts' rasters and the QR code never leave this thread.
            let hand = Hand { settings, clock, surface: None, brush: Brush::new(), layout: Layout::default(), drawn: Vec::new() };
            let worker = Worker { shared: for_thread, report, reported: None };
            worker.run(hand);
        });
        Self { shared, thread: Some(thread.expect("the system gives a program one thread at its start")) }
    }

    /// Shows this from now on. Only the latest picture counts: one that was not drawn yet is skipped. Never blocks on
    /// the panel.
    pub fn show(&self, picture: Picture) {
        let mut slot = self.shared.lock();
        if slot.latest != picture {
            slot.latest = picture;
            self.shared.changed.notify_all();
        }
    }
}

impl Screen {
    /// What takes pictures of the panel for those who are not before it.
    #[must_use]
    pub fn camera(&self) -> Camera {
        Camera(Arc::clone(&self.shared))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let mut slot = self.shared.lock();
        slot.stop = true;
        self.shared.changed.notify_all();
        let waited = self.shared.changed.wait_timeout_while(slot, RETRY, |slot| !slot.stopped);
        let stopped = waited.unwrap_or_else(PoisonError::into_inner).0.stopped;
        // A driver that holds the thread must not hold the program.
        if let Some(thread) = self.thread.take().filter(|_| stopped) {
            let _ = thread.join();
        }
    }
}

/// From now on a panic on the screen's thread is told by `report` and ends nothing but pictures: the thread stands still.
/// Elsewhere a panic ends the program, which begins anew within a second; a picture that cannot be drawn would end it
/// again and again, and nobody would get what they paid for.
pub fn outlive_panics(report: impl Fn(ScreenState) + Send + Sync + 'static) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let (thread, lost) = (std::thread::current(), "the screen's thread has failed; restart the program");
        let is_screen = thread.name() == Some(THREAD);
        if is_screen {
            report(ScreenState::Gone(lost.into()));
        }
        // A picture for somebody elsewhere is not worth an order either.
        if is_screen || thread.name() == Some(camera::THREAD) {
            loop {
                std::thread::park();
            }
        }
    }));
}

/// Between whoever shows and the thread: a slot rather than a queue, because only the latest picture is true.
struct Shared {
    slot: Mutex<Slot>,
    changed: Condvar,
    film: Mutex<Film>,
}

struct Slot {
    latest: Picture,
    /// Where a view of the panel goes, if one is wanted.
    wanted: Option<ViewSender>,
    stop: bool,
    stopped: bool,
}

impl Shared {
    /// A slot is whole at any moment, so a panic elsewhere does not make it unusable.
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another picture is to be shown, or none at all, but no longer than this.
    fn wait<'a>(&self, slot: MutexGuard<'a, Slot>, at_most: Duration, shown: &Picture) -> MutexGuard<'a, Slot> {
        let waited = self.changed.wait_timeout_while(slot, at_most, |slot| !slot.stop && slot.wanted.is_none() && slot.latest == *shown);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// The thread: waits, draws, reports.
struct Worker<R: Fn(ScreenState)> {
    shared: Arc<Shared>,
    report: R,
    reported: Option<ScreenState>,
}

impl<R: Fn(ScreenState)> Worker<R> {
    fn run<C: Fn() -> Boot>(mut self, mut hand: Hand<C>) {
        let mut picture = self.shared.lock().latest.clone();
        loop {
            let drawn = hand.draw(&picture);
            let pause = match &drawn {
                Ok(()) => hand.next_change(&picture).map_or(CHECK, |tick| tick.min(CHECK)),
                Err(_) => RETRY,
            };
            self.report(drawn.map_or_else(|error| ScreenState::Gone(error.to_string().into()), |()| ScreenState::Working));
            let slot = self.shared.lock();
            let mut slot = self.shared.wait(slot, pause, &picture);
            // What invites nobody to pay and takes nothing down may wait for what comes next.
            if matches!(slot.latest.scene, Scene::Preparing { .. }) && picture.scene.until().is_none() && slot.latest != picture {
                let passing = slot.latest.clone();
                slot = self.shared.wait(slot, MOMENT, &passing);
            }
            let wanted = slot.wanted.take();
            if slot.stop {
                break;
            }
            picture.clone_from(&slot.latest);
            drop(slot);
            if let Some(wanted) = wanted {
                // Who wanted it may be gone.
                drop(wanted.send(hand.view()));
            }
        }
        hand.blank();
    }

    fn report(&mut self, state: ScreenState) {
        if self.reported.as_ref() != Some(&state) {
            (self.report)(state.clone());
            self.reported = Some(state);
        }
    }
}

impl<R: Fn(ScreenState)> Drop for Worker<R> {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
    }
}

/// What draws: the surface and what stands on it now.
struct Hand<C: Fn() -> Boot> {
    settings: Settings,
    clock: C,
    surface: Option<Box<dyn Surface>>,
    brush: Brush,
    layout: Layout,
    drawn: Vec<Mark>,
}

impl<C: Fn() -> Boot> Hand<C> {
    /// Brings the panel to this picture, opening it if need be. After an error it is opened afresh and drawn whole.
    fn draw(&mut self, picture: &Picture) -> Result<(), SurfaceError> {
        // Another panel, or the same with another size, in its place: nothing is missing that must be told.
        if let Some(surface) = &self.surface
            && surface.check().is_err()
        {
            self.lose();
        }
        let result = self.try_draw(picture);
        if result.is_err() {
            self.lose();
        }
        result
    }

    /// Nothing is known any more of what stands on the panel.
    fn lose(&mut self) {
        self.surface = None;
        self.drawn.clear();
    }

    fn try_draw(&mut self, picture: &Picture) -> Result<(), SurfaceError> {
        let surface = match &mut self.surface {
            Some(surface) => surface,
            none => none.insert(surface::open(&self.settings.surface)?),
        };
        let (geometry, rotation) = (surface.geometry(), self.settings.rotate);
        let size = rotation.page_size(geometry);
        let page = self.layout.page(picture, &self.settings, self.brush.fonts(), size, (self.clock)());
        match paint::changes(&self.drawn, &page).as_deref() {
            // A countdown's tick leaves the QR code alone, also on a panel that is turned, where they share rows.
            Some(&[part]) if !paint::qr_changes(&self.drawn, &page) => {
                let whole = Rect::new(0, 0, geometry.width as i32, geometry.height as i32);
                if let Some(part) = rotation.to_panel(part, geometry).common(whole) {
                    let pixels = self.brush.draw(&page, geometry, rotation, part);
                    surface.put(part, &pixels)?;
                }
            }
            _ => {
                let change = Change { geometry, rotation, old: &self.drawn, new: &page, in_one: surface.turns_pages() };
                self.brush.rows(&change, |first, rows| surface.put_rows(first, rows))?;
            }
        }
        self.drawn = page;
        Ok(())
    }

    /// How long this picture stays as it is; `None` for ever.
    fn next_change(&self, picture: &Picture) -> Option<Duration> {
        let now = (self.clock)();
        let left = picture.scene.until().map(|until| (until - now).0).filter(|left| *left > 0);
        // A countdown rounds up: it changes whenever the whole seconds that are left do.
        let tick = left.map(|left| Span::millis((left - 1) % 1000 + 1));
        [tick, self.settings.languages.next(now)].into_iter().flatten().min().map(Span::to_duration)
    }

    /// What stands on the panel; `None`: nothing does.
    fn view(&self) -> Option<View> {
        let geometry = self.surface.as_ref().filter(|_| !self.drawn.is_empty())?.geometry();
        let (width, height) = self.settings.rotate.page_size(geometry);
        let upright = surface::Geometry { width: width.unsigned_abs(), height: height.unsigned_abs(), ..geometry };
        Some(View { marks: self.drawn.clone(), geometry: upright })
    }

    /// Leaves the panel black, as without power, also one that could not be drawn on a moment ago.
    fn blank(&mut self) {
        let surface = self.surface.take().map_or_else(|| surface::open(&self.settings.surface), Ok);
        if let Ok(mut surface) = surface {
            let geometry = surface.geometry();
            let black = vec![0; geometry.width as usize * geometry.format.bytes()];
            // There is nothing left to do about a panel that cannot be cleared: it is gone.
            let _ = surface.put_rows(0, &vec![black.as_slice(); geometry.height as usize]);
        }
    }
}
