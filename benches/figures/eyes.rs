//! What is seen from outside: the framebuffer's pixels and the relay line's edges. The kernel tells of each write
//! (inotify); the time is taken first and the file looked at after, so a figure is late by one wake-up and never early.

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub const WIDTH: usize = 480;
pub const HEIGHT: usize = 800;
/// Nothing that is waited for takes this long.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rows of the panel that are looked at to tell a QR from anything else.
const ROWS: usize = 8;
/// Light and dark change at least so often along most of them.
const CHANGES_MIN: usize = 10;

/// Watches a virtual framebuffer.
pub struct Screen {
    path: PathBuf,
    rows: Arc<Mutex<Vec<usize>>>,
    seen: Receiver<(Instant, bool)>,
}

impl Screen {
    /// Watches the file, which is made here, black.
    pub fn watch(path: &Path) -> Self {
        std::fs::write(path, vec![0; WIDTH * HEIGHT * 2]).expect("written");
        let rows: Arc<Mutex<Vec<usize>>> = Arc::default();
        let (seen, receiver) = channel();
        let (file, looked_at) = (File::open(path).expect("just made"), Arc::clone(&rows));
        on_write(path, move |at| {
            let rows = looked_at.lock().unwrap_or_else(PoisonError::into_inner).clone();
            seen.send((at, is_qr(&file, &rows))).is_ok()
        });
        Self { path: path.into(), rows, seen: receiver }
    }

    /// Learns where on the panel the QR stands: it is there now. Its place is the same for every sale.
    pub fn learn(&self) {
        let picture = self.picture();
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(WIDTH, HEIGHT, |x, y| grey(&picture, x, y));
        let grids = image.detect_grids();
        let bounds = grids.first().expect("there is a QR on the screen").bounds;
        let top = bounds.iter().map(|point| point.y).min().unwrap_or(0).max(0) as usize;
        let bottom = bounds.iter().map(|point| point.y).max().unwrap_or(0).max(0) as usize;
        // Between the finder patterns of the corners, which are quieter than the data.
        let (top, height) = (top + (bottom - top) * 2 / 10, (bottom - top) * 5 / 10);
        let rows: Vec<usize> = (0..ROWS).map(|n| top + height * n / ROWS).collect();
        let file = File::open(&self.path).expect("it is there");
        assert!(is_qr(&file, &rows), "the QR cannot be told from anything else: look at CHANGES_MIN");
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner) = rows;
    }

    /// Forgets what was seen until now.
    pub fn forget(&self) {
        while self.seen.try_recv().is_ok() {}
    }

    /// When a QR was there, or was no longer.
    pub fn wait(&self, is_qr: bool) -> Instant {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.seen.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((at, there)) if there == is_qr => return at,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    let file = File::open(&self.path).expect("it is there");
                    let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
                    let busy: Vec<_> = rows.iter().map(|row| (*row, changes(&file, *row))).collect();
                    panic!("no QR came to the screen, or went; readable: {}, busy rows: {busy:?}", self.payload().is_some())
                }
            }
        }
    }

    /// What a phone reads on it now.
    pub fn payload(&self) -> Option<String> {
        let picture = self.picture();
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(WIDTH, HEIGHT, |x, y| grey(&picture, x, y));
        image.detect_grids().iter().find_map(|grid| grid.decode().ok()).map(|(_, text)| text)
    }

    /// Black, as without power.
    pub fn blank(&self) {
        let file = File::options().write(true).open(&self.path).expect("it is there");
        file.write_all_at(&vec![0; WIDTH * HEIGHT * 2], 0).expect("written");
    }

    fn picture(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("it is there")
    }
}

fn grey(picture: &[u8], x: usize, y: usize) -> u8 {
    let at = (y * WIDTH + x) * 2;
    let pixel = u16::from_le_bytes([picture[at], picture[at + 1]]);
    let (red, green, blue) = ((pixel >> 11) & 31, (pixel >> 5) & 63, pixel & 31);
    u8::try_from(red * 2 + green * 2 + blue * 2).unwrap_or(u8::MAX)
}

/// A text or a picture is not so busy in so many rows. A banner may lie across some of them.
fn is_qr(file: &File, rows: &[usize]) -> bool {
    let busy = rows.iter().filter(|row| changes(file, **row) >= CHANGES_MIN);
    !rows.is_empty() && busy.count() * 4 >= rows.len() * 3
}

/// How often light and dark change along a row.
fn changes(file: &File, row: usize) -> usize {
    let mut pixels = [0; WIDTH * 2];
    file.read_exact_at(&mut pixels, (row * WIDTH * 2) as u64).expect("the file has all rows");
    let dark: Vec<bool> = (0..WIDTH).map(|x| grey(&pixels, x, 0) < 128).collect();
    dark.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

/// Watches the file that stands for a relay line.
pub struct LineWatch(Receiver<(Instant, bool)>);

impl LineWatch {
    pub fn watch(path: &Path) -> Self {
        let file = File::create(path).expect("a new file");
        drop(file);
        let mut file = File::open(path).expect("just made");
        let (edges, receiver) = channel();
        on_write(path, move |at| {
            let mut new = String::new();
            file.read_to_string(&mut new).expect("text");
            new.lines().all(|edge| edges.send((at, edge.ends_with('1'))).is_ok())
        });
        Self(receiver)
    }

    /// When the next edge came; it must be of this kind.
    pub fn wait(&self, active: bool) -> Instant {
        let (at, edge) = self.0.recv_timeout(PATIENCE).expect("the line is driven");
        assert!(edge == active, "an edge to {edge} where one to {active} was expected");
        at
    }

    /// Nothing was driven that was not waited for.
    pub fn assert_quiet(&self) {
        assert!(self.0.try_recv().is_err(), "the line was driven once more");
    }
}

/// Calls `look` with the time of each write to a file, on a thread of its own, until it says `false`.
fn on_write(path: &Path, mut look: impl FnMut(Instant) -> bool + Send + 'static) {
    let told = inotify::init(CreateFlags::CLOEXEC).expect("a process may have some of these");
    inotify::add_watch(&told, path, WatchFlags::MODIFY).expect("the file is there");
    let mut events = File::from(told);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while events.read(&mut buffer).is_ok() {
            if !look(Instant::now()) {
                return;
            }
        }
    });
}
