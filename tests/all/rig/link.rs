//! A cable between two programs that can be pulled: a TCP forwarder on a port of its own.

use super::free_listener;
use super::received::Received;
use qris::sim::middlebox::Foreign;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
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
    /// Somebody else answers this to every request.
    Answers(Foreign),
}

/// A forwarder to a port on loopback.
pub struct Link {
    pub port: u16,
    /// Whoever connected, also to a cable that is cut.
    pub attempts: Received<()>,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Each connection goes to the next one that takes it.
    targets: Vec<u16>,
    cable: Cable,
    open: Vec<TcpStream>,
    /// How often what was connected was lost.
    cuts: u64,
    closed: bool,
}

impl Link {
    pub fn to(target: u16) -> Self {
        let (port, listener) = free_listener();
        let state = Arc::new(Mutex::new(State { targets: vec![target], cable: Cable::Whole, open: Vec::new(), cuts: 0, closed: false }));
        let shared = Arc::clone(&state);
        let attempts = Received::default();
        let sink = attempts.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&shared).closed {
                    return;
                }
                sink.push(());
                let cable = lock(&shared).cable;
                match cable {
                    Cable::Cut => {}
                    Cable::Answers(foreign) => drop(std::thread::spawn(move || answer(stream, foreign))),
                    Cable::Whole | Cable::Silent => carry(stream, &shared),
                }
            }
        });
        Self { port, attempts, state }
    }

    /// Leads to another port from now on. What was connected is lost.
    pub fn turn_to(&self, target: u16) {
        lock(&self.state).targets = vec![target];
        self.set(Cable::Whole);
    }

    /// Leads there as well from now on.
    pub fn also_to(&self, target: u16) {
        lock(&self.state).targets.push(target);
    }

    /// Changes the cable. What was connected before a change to another than `Silent` is lost, and to that hangs; the way back
    /// to `Whole` begins with new connections.
    pub fn set(&self, cable: Cable) {
        let mut state = lock(&self.state);
        state.cable = cable;
        if cable != Cable::Silent {
            state.cuts += 1;
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

fn carry(near: TcpStream, state: &Arc<Mutex<State>>) {
    let (targets, cuts) = {
        let mut state = lock(state);
        state.targets.rotate_left(1);
        (state.targets.clone(), state.cuts)
    };
    let Some(far) = targets.iter().find_map(|target| TcpStream::connect(("127.0.0.1", *target)).ok()) else { return };
    for stream in [&near, &far] {
        drop(stream.set_nodelay(true));
        // A thread that reads looks up now and then whether the cable still carries.
        drop(stream.set_read_timeout(Some(Duration::from_millis(200))));
    }
    for (mut from, mut to) in [(&near, &far), (&far, &near)].map(|(from, to)| (clone(from), clone(to))) {
        {
            let mut state = lock(state);
            state.open.push(clone(&from));
            // A change of the cable before this line does not know of this connection.
            if state.cuts != cuts || !matches!(state.cable, Cable::Whole | Cable::Silent) {
                drop(from.shutdown(Shutdown::Both));
            }
        }
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
                    Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
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

/// One request, one answer, one connection. Midtrans' paths begin with the version of its interface.
fn answer(stream: TcpStream, foreign: Foreign) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    let (status, content_type, body) = if line.contains(" /v2/") { foreign.of_midtrans() } else { foreign.of_backend() };
    line.clear();
    while reader.read_line(&mut line)? > 2 {
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
        line.clear();
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    let retry = foreign.retry_after().map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let head = format!("HTTP/1.1 {status} x\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n{retry}", body.len());
    let mut stream = stream;
    stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes())
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a socket can be duplicated")
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
