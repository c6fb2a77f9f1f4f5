//! A cable between two programs that can be pulled: a TCP forwarder on a port of its own.

use super::free_listener;
use super::heard::Heard;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the cable does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cable {
    /// It carries both ways.
    Whole,
    /// Connections are closed at once.
    Cut,
    /// Connections are taken, and nothing is carried.
    Silent,
}

/// A forwarder to a port on loopback.
pub struct Link {
    pub port: u16,
    /// Whoever connected, also to a cable that is cut.
    pub attempts: Heard<()>,
    state: Arc<Mutex<State>>,
}

struct State {
    cable: Cable,
    open: Vec<TcpStream>,
    closed: bool,
}

impl Link {
    pub fn to(target: u16) -> Self {
        let (port, listener) = free_listener();
        let state = Arc::new(Mutex::new(State { cable: Cable::Whole, open: Vec::new(), closed: false }));
        let shared = Arc::clone(&state);
        let attempts = Heard::default();
        let sink = attempts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&shared).closed {
                    return;
                }
                sink.push(());
                if lock(&shared).cable != Cable::Cut {
                    carry(stream, target, &shared);
                }
            }
        });
        Self { port, attempts, state }
    }

    /// Changes the cable. What was connected before a change to `Cut` or `Silent` is lost or hangs; the way back to
    /// `Whole` begins with new connections.
    pub fn set(&self, cable: Cable) {
        let mut state = lock(&self.state);
        state.cable = cable;
        if cable != Cable::Silent {
            for stream in state.open.drain(..) {
                drop(stream.shutdown(Shutdown::Both));
            }
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.set(Cable::Cut);
        lock(&self.state).closed = true;
        // Wakes the listener, which then ends.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn carry(near: TcpStream, target: u16, state: &Arc<Mutex<State>>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", target)) else { return };
    for stream in [&near, &far] {
        drop(stream.set_nodelay(true));
        // A thread that reads looks up now and then whether the cable still carries.
        drop(stream.set_read_timeout(Some(Duration::from_millis(200))));
    }
    for (mut from, mut to) in [(&near, &far), (&far, &near)].map(|(from, to)| (clone(from), clone(to))) {
        lock(state).open.push(clone(&from));
        let state = Arc::clone(state);
        std::thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            loop {
                match from.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(length) => {
                        while lock(&state).cable == Cable::Silent && !lock(&state).closed {
                            std::thread::sleep(Duration::from_millis(20));
                        }
                        if to.write_all(&buffer[..length]).is_err() {
                            break;
                        }
                    }
                    Err(why) if matches!(why.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
                    Err(_) => break,
                }
                if lock(&state).closed {
                    break;
                }
            }
            drop(to.shutdown(Shutdown::Both));
            drop(from.shutdown(Shutdown::Both));
        });
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a socket can be duplicated")
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
