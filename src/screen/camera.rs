//! Pictures of what the panel shows, for those who are not before it.
//!
//! The screen's thread hands over what it has drawn, as a list of marks. Drawing them once more and packing them takes a
//! hundred times as long, so that is done on a thread that lives for it alone: the countdown goes on meanwhile.

use super::paint::{Brush, Mark};
use super::surface::Geometry;
use super::{Rotation, Shared, render};
use std::sync::{Arc, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// From one picture to the next. Whoever asks sooner waits.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// So many wait for a picture; more are sent away.
const WAITING_MAX: usize = 4;
/// The thread's name.
pub(super) const THREAD: &str = "camera";

/// Takes pictures of what the panel shows.
#[derive(Clone)]
pub struct Camera(pub(super) Arc<Shared>);

/// Takes a PNG, or that there is none.
type Reply = Box<dyn FnOnce(Option<Vec<u8>>) + Send>;

/// Who waits for a picture, and whether somebody sees to it.
#[derive(Default)]
pub(super) struct Film {
    waiting: Vec<Reply>,
    at_work: bool,
    /// When the last one was made.
    last: Option<Instant>,
}

/// What stands on the panel, upright.
pub(super) struct View {
    pub(super) marks: Vec<Mark>,
    pub(super) geometry: Geometry,
}

/// Where the screen's thread puts a view; `None`: it shows nothing.
pub(super) type ViewSender = mpsc::Sender<Option<View>>;

impl Camera {
    /// Has `reply` called, on a thread of the camera's own, with a PNG of what the panel shows, of at most
    /// [`render::PNG_MAX`] bytes and upright; or with `None` when it shows nothing. One picture is taken in a second, and
    /// goes to all who have asked by then. Dropped without a call: too many wait, or the screen is stopping.
    pub fn shot(&self, reply: impl FnOnce(Option<Vec<u8>>) + Send + 'static) {
        let mut film = self.0.film.lock().unwrap_or_else(PoisonError::into_inner);
        if film.waiting.len() >= WAITING_MAX {
            return;
        }
        film.waiting.push(Box::new(reply));
        if !film.at_work {
            let shared = Arc::clone(&self.0);
            film.at_work = std::thread::Builder::new().name(THREAD.into()).spawn(move || develop(&shared)).is_ok();
            if !film.at_work {
                // Without a thread nobody would ever be answered.
                film.waiting.clear();
            }
        }
    }
}

/// Takes pictures until nobody waits for one.
fn develop(shared: &Shared) {
    let film = || shared.film.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let pause = film().last.map_or(Duration::ZERO, |last| EVERY.saturating_sub(last.elapsed()));
        std::thread::sleep(pause);
        let waiting = std::mem::take(&mut film().waiting);
        // A screen that stops drops whoever would be told.
        if let Some(view) = shared.view() {
            let png = view.and_then(|View { marks, geometry }| render::small(&mut Brush::new(), &marks, geometry, Rotation::None).ok());
            // From here on, so that a slow processor has that second for the rest.
            film().last = Some(Instant::now());
            waiting.into_iter().for_each(|reply| reply(png.clone()));
        }
        let mut film = film();
        if film.waiting.is_empty() {
            film.at_work = false;
            return;
        }
    }
}

impl Shared {
    /// What stands on the panel; `Some(None)`: nothing does. `None`: the screen is stopping.
    fn view(&self) -> Option<Option<View>> {
        let (sender, view) = mpsc::channel();
        {
            let mut slot = self.lock();
            if slot.stop {
                return None;
            }
            slot.wanted = Some(sender);
            self.changed.notify_all();
        }
        view.recv().ok()
    }
}
