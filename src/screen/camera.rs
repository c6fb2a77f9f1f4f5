//! Pictures of the panel, for people who do not stand before it.
//!
//! The screen's thread hands over the drawn page as a list of marks. To draw the marks once more and pack them takes a
//! hundred times as long. So a thread of its own does that, and lives for it alone. The countdown goes on meanwhile.

use super::geometry::Rotation;
use super::paint::Brush;
use super::render;
use super::shared::{Shared, View};
use std::sync::{Arc, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// The time from one picture to the next. A request that comes sooner waits.
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// The most requests that wait for a picture. Further ones are sent away.
const WAITING_MAX: usize = 4;
pub(super) const THREAD: &str = "camera";

#[derive(Clone)]
pub struct Camera(pub(super) Arc<Shared>);

impl Camera {
    /// Calls `reply`, on a thread of the camera's own, with a PNG of the panel, upright and of at most
    /// [`render::PNG_MAX`] bytes. `None`: the panel shows nothing. It takes one picture a second, for all requests that
    /// have come by then. `reply` is dropped without a call if too many wait, or if the screen is stopping.
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
                // Without a thread nobody would ever get an answer.
                film.waiting.clear();
            }
        }
    }
}

/// Takes pictures until no request waits for one.
fn develop(shared: &Shared) {
    let film = || shared.film.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let pause = film().last.map_or(Duration::ZERO, |last| EVERY.saturating_sub(last.elapsed()));
        std::thread::sleep(pause);
        let waiting = std::mem::take(&mut film().waiting);
        // A screen that stops drops the requests.
        if let Some(view) = shared.view() {
            let png = view.and_then(|View { marks, geometry }| render::small(&mut Brush::new(), &marks, geometry, Rotation::None).ok());
            // The second counts from here, so that a slow processor has it for the rest of its work.
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
    /// The page on the panel; `Some(None)`: it shows nothing. `None`: the screen is stopping.
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
