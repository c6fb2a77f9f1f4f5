//! The panel where people pay. One thread draws the latest [`Picture`] and ticks its countdown.

mod camera;
mod fonts;
mod geometry;
mod layout;
pub mod logo;
mod message;
mod paint;
pub mod picture;
mod qr;
pub mod render;
pub mod samples;
mod settings;
mod shared;
mod surface;
#[cfg(test)]
mod tests;
mod text;
pub mod theme;

pub use camera::Camera;
pub use fonts::unknown_letter;
pub use geometry::{PixelFormat, Rotation};
pub use settings::{Item, Language, Languages, Settings, SurfaceSettings};

use geometry::{Geometry, Rect};
use layout::Layout;
use paint::{Brush, Change, Mark};
use picture::{Picture, Scene};
use qris_core::order::time::{Boot, Span};
use shared::{Shared, Slot, View};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;
use surface::{Surface, SurfaceError};

/// How often a lost surface is looked for, and how long a stop waits for a stuck panel.
const RETRY: Duration = Duration::from_secs(1);
/// How often a surface is checked while nothing happens on it. A countdown checks it each second.
const CHECK: Duration = Duration::from_secs(20);
/// "One moment" is shown only after this time. A charge that comes sooner is shown at once instead.
const MOMENT: Duration = Duration::from_millis(40);

const THREAD: &str = "screen";

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ScreenState {
    /// The latest picture is on the panel.
    Working,
    /// Pictures do not reach the panel, and this is why. It is tried again every second.
    Gone(Box<str>),
}

/// The running screen. Dropping it clears the panel and ends the thread within a second.
pub struct Screen {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Screen {
    /// Starts the thread. It draws `first` at once over anything that an earlier run left on the panel.
    ///
    /// `clock` is the boot clock of [`picture::Scene::Pay`]'s `until`. `report` is called on the screen's thread: once
    /// when the first picture is on the panel or could not be put there, then at every change. It must not block.
    #[must_use]
    pub fn start(
        settings: Settings,
        first: Picture,
        clock: impl Fn() -> Boot + Send + 'static,
        report: impl Fn(ScreenState) + Send + 'static,
    ) -> Self {
        let slot = Slot { latest: first, dress: None, wanted: None, stop: false, stopped: false };
        let shared = Arc::new(Shared { slot: Mutex::new(slot), changed: Condvar::new(), film: Mutex::default() });
        let for_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(THREAD.into()).spawn(move || {
            // It is made here: the fonts' rasters and the QR code never leave this thread.
            let hand = Hand { settings, clock, surface: None, brush: Brush::new(), layout: Layout::default(), drawn: Vec::new() };
            let worker = Worker { shared: for_thread, report, reported: None };
            worker.run(hand);
        });
        Self { shared, thread: Some(thread.expect("the system gives a program one thread at its start")) }
    }

    /// Shows this picture from now on. Only the latest picture counts: an earlier one that was not drawn yet is
    /// skipped. It never blocks on the panel.
    pub fn show(&self, picture: Picture) {
        let mut slot = self.shared.lock();
        if slot.latest != picture {
            slot.latest = picture;
            self.shared.changed.notify_all();
        }
    }

    /// Takes other texts, items, colours and logo from now on. The panel stays the one that it was started with.
    pub fn dress(&self, settings: Settings) {
        self.shared.lock().dress = Some(settings);
        self.shared.changed.notify_all();
    }

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

/// From now on `report` tells a panic on the screen's thread. The panic ends only the pictures: the thread stands still.
/// Elsewhere a panic ends the program, and it begins anew within a second. A picture that cannot be drawn would end it
/// again and again, and nobody would get the goods that they paid for.
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
            // This picture invites nobody to pay and takes nothing down, so it may wait for the next one.
            if matches!(slot.latest.scene, Scene::Preparing { .. }) && picture.scene.until().is_none() && slot.latest != picture {
                let passing = slot.latest.clone();
                slot = self.shared.wait(slot, MOMENT, &passing);
            }
            let wanted = slot.wanted.take();
            if slot.stop {
                break;
            }
            picture.clone_from(&slot.latest);
            let dress = slot.dress.take();
            drop(slot);
            if let Some(settings) = dress {
                hand.dress(settings);
            }
            if let Some(wanted) = wanted {
                // The receiver may be gone.
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

/// The drawing hand: the surface, and the page that is on it now.
struct Hand<C: Fn() -> Boot> {
    settings: Settings,
    clock: C,
    surface: Option<Box<dyn Surface>>,
    brush: Brush,
    layout: Layout,
    drawn: Vec<Mark>,
}

impl<C: Fn() -> Boot> Hand<C> {
    /// Brings the panel to this picture, and opens the panel if need be. After an error it is opened afresh and drawn whole.
    fn draw(&mut self, picture: &Picture) -> Result<(), SurfaceError> {
        // Another panel, or the same one with another size, is in its place. Nothing is missing, so there is nothing to report.
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

    /// What an earlier page was made from does not count any more.
    fn dress(&mut self, settings: Settings) {
        let Settings { surface: _, rotate: _, languages, name, contact, greeting, items, theme, logo, page_beside } = settings;
        let own = &mut self.settings;
        *own = Settings {
            languages,
            name,
            contact,
            greeting,
            items,
            theme,
            logo,
            page_beside,
            surface: own.surface.clone(),
            rotate: own.rotate,
        };
        self.layout = Layout::default();
    }

    /// From now on nobody knows what the panel shows.
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
            // A countdown's tick leaves the QR code alone. This holds also on a turned panel, where they share rows.
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
        // A countdown rounds up, so it changes with the whole seconds that are left.
        let tick = left.map(|left| Span::millis((left - 1) % 1000 + 1));
        [tick, self.settings.languages.next(now)].into_iter().flatten().min().map(Span::to_duration)
    }

    /// The page on the panel; `None`: it shows nothing.
    fn view(&self) -> Option<View> {
        let geometry = self.surface.as_ref().filter(|_| !self.drawn.is_empty())?.geometry();
        let (width, height) = self.settings.rotate.page_size(geometry);
        let upright = Geometry { width: width.unsigned_abs(), height: height.unsigned_abs(), ..geometry };
        Some(View { marks: self.drawn.clone(), geometry: upright })
    }

    /// Leaves the panel black, as without power. It also tries a panel that failed a moment ago.
    fn blank(&mut self) {
        let surface = self.surface.take().map_or_else(|| surface::open(&self.settings.surface), Ok);
        if let Ok(mut surface) = surface {
            let geometry = surface.geometry();
            let black = vec![0; geometry.width as usize * geometry.format.bytes()];
            // If the panel cannot be cleared, it is gone, and there is nothing left to do.
            let _ = surface.put_rows(0, &vec![black.as_slice(); geometry.height as usize]);
        }
    }
}
