//! One program of the demo as a process of its own. It is started under its name, ready when it says so, and certainly
//! ended.

use super::captions;
use super::chronicle::{Chronicle, EntryKind, Who};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::sync::watch;

/// The longest that a program may take from its start to READY=1.
pub const READY_WAIT: Duration = Duration::from_secs(60);
/// The longest that a program may take to end after SIGTERM; then it is killed.
pub const STOP_WAIT: Duration = Duration::from_secs(2);
/// A line of a program's standard error is cut here, in characters.
const LINE_MAX: usize = 400;
/// The largest datagram of the notification protocol that is read.
const NOTICE_MAX: usize = 4096;

#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    #[error("cannot start {program}")]
    Start { program: &'static str, source: io::Error },
    /// Its notification socket cannot be made or read.
    #[error("cannot listen for {program} to become ready")]
    Notify { program: &'static str, source: io::Error },
    #[error("{program} ended before it was ready; its last words: {words}")]
    Ended {
        program: &'static str,
        /// The last line on its standard error.
        words: String,
    },
    #[error("{program} was not ready within {} s", READY_WAIT.as_secs())]
    NotReady { program: &'static str },
    #[error("cannot signal {program}")]
    Signal { program: &'static str, source: io::Error },
    /// A command ended with another status than 0.
    #[error("{program} {arguments} ended with {status}: {words}")]
    Command {
        program: &'static str,
        arguments: String,
        status: ExitStatus,
        /// What it wrote on its standard error.
        words: String,
        /// What it wrote on its standard output.
        found: String,
    },
}

/// How to start one of our programs: this executable under another name.
#[derive(Debug, Clone)]
pub struct Program {
    /// The sub-command of `qris-demo` for this program.
    pub name: &'static str,
    /// The speaker of its standard error in the chronicle.
    pub who: Who,
    /// The arguments after the name.
    pub arguments: Vec<String>,
}

impl Program {
    #[must_use]
    pub fn backend(config: &Path, command: &[&str]) -> Self {
        let config = config.display().to_string();
        let arguments = ["--config", &config].iter().chain(command).map(ToString::to_string).collect();
        Self { name: "qris-backend", who: Who::Backend, arguments }
    }
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    program: &'static str,
    child: Child,
    ended: watch::Receiver<bool>,
}

impl Process {
    /// Starts a program and waits until it says READY=1. `sockets` is where its notification socket is made.
    pub async fn start(program: &Program, sockets: &Path, chronicle: &Arc<Chronicle>) -> Result<Self, ProcessError> {
        let name = program.name;
        let notices = Notices::listen(sockets, name).map_err(|source| ProcessError::Notify { program: name, source })?;
        let mut command = command(program);
        command.env("NOTIFY_SOCKET", &notices.path).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|source| ProcessError::Start { program: name, source })?;
        let (tell_end, ended) = watch::channel(false);
        let stderr = child.stderr.take().expect("it was asked for as a pipe");
        let (who, book) = (program.who, Arc::clone(chronicle));
        std::thread::spawn(move || {
            follow(stderr, who, &book);
            book.note(who, captions::has_ended(name), EntryKind::Program { name, up: false });
            // This fails only when nobody waits any more.
            let _ = tell_end.send(true);
        });
        let mut process = Self { program: name, child, ended };
        tokio::select! {
            ready = tokio::time::timeout(READY_WAIT, notices.ready()) => match ready {
                Ok(Ok(())) => {}
                Ok(Err(source)) => return Err(ProcessError::Notify { program: name, source }),
                Err(_) => return Err(ProcessError::NotReady { program: name }),
            },
            () = process.ended() => return Err(ProcessError::Ended { program: name, words: chronicle.last_words(program.who) }),
        }
        chronicle.note(program.who, captions::ready(name), EntryKind::Program { name, up: true });
        Ok(process)
    }

    /// Resolves when the program has ended.
    pub async fn ended(&mut self) {
        // An error says that the follower is gone. That happens only at the end.
        let _ = self.ended.wait_for(|ended| *ended).await;
    }

    /// Its power fails: SIGKILL, and it is gone when this returns.
    pub fn kill(mut self) {
        self.end();
    }

    /// It stops where it stands, as if its processor were taken away: SIGSTOP. Only [`Process::kill`] ends that.
    pub fn freeze(&self) -> Result<(), ProcessError> {
        self.signal(Signal::STOP)
    }

    /// Asks it to end with SIGTERM, and kills it if it has not ended within [`STOP_WAIT`].
    pub async fn stop(mut self) {
        if self.signal(Signal::TERM).is_ok() {
            // Whether it listened or not, the drop ends it.
            let _ = tokio::time::timeout(STOP_WAIT, self.ended()).await;
        }
    }

    fn end(&mut self) {
        // Both fail only if it is gone and reaped already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn signal(&self, with: Signal) -> Result<(), ProcessError> {
        signal(&self.child, with).map_err(|source| ProcessError::Signal { program: self.program, source })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a signal to a child of ours, which its owner has not waited for yet.
pub fn signal(child: &Child, signal: Signal) -> io::Result<()> {
    // The child is ours and not reaped, so that its id is still its own.
    Ok(kill_process(Pid::from_child(child), signal)?)
}

/// Runs a command of one of our programs to its end and gives its standard output.
pub fn run(program: &Program) -> Result<Vec<u8>, ProcessError> {
    let name = program.name;
    let Output { status, stdout, stderr } = command(program).output().map_err(|source| ProcessError::Start { program: name, source })?;
    if status.success() {
        return Ok(stdout);
    }
    let [words, found] = [stderr, stdout].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    Err(ProcessError::Command { program: name, arguments: program.arguments.join(" "), status, words, found })
}

/// A command of `qris-backend` with this configuration, as an operator types it.
pub fn backend(config: &Path, command: &[&str]) -> Result<Vec<u8>, ProcessError> {
    run(&Program::backend(config, command))
}

/// This executable under another name, with an empty environment: settings of this computer must not reach into the demo. A
/// process group of its own keeps the terminal's Ctrl-C from the children. They end in the order that we choose.
fn command(program: &Program) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(program.name).arg(program.name).args(&program.arguments);
    command.env_clear().envs(std::env::vars_os().filter(|(key, _)| key == "QRIS_LOG" || key == "RUST_BACKTRACE"));
    command.stdin(Stdio::null()).process_group(0);
    die_with_us(&mut command);
    command
}

/// The child is killed when the thread that started it ends, however that ends: SIGKILL leaves nothing behind either. So
/// only the main thread starts children.
#[allow(unsafe_code, reason = "what runs between fork and exec has no safe face")]
pub fn die_with_us(command: &mut Command) {
    let parent = getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // We may have ended before the request was in force.
        if getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: the closure makes two calls of the kernel, allocates nothing, takes no lock and touches no memory of ours but a
    // copied number.
    unsafe { command.pre_exec(prepare) };
}

/// Carries a program's standard error into the chronicle, until the program ends.
fn follow(stderr: ChildStderr, who: Who, chronicle: &Chronicle) {
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line: String = String::from_utf8_lossy(&line).trim_end().chars().take(LINE_MAX).collect();
        if !line.is_empty() {
            chronicle.note(who, line, EntryKind::Log);
        }
    }
}

/// The service manager's side of the notification protocol, for one start of one program.
struct Notices {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Notices {
    fn listen(sockets: &Path, name: &str) -> io::Result<Self> {
        let path = sockets.join(format!("{name}.notify"));
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        Ok(Self { socket: UnixDatagram::bind(&path)?, path })
    }

    async fn ready(&self) -> io::Result<()> {
        let mut notice = [0; NOTICE_MAX];
        loop {
            let length = self.socket.recv(&mut notice).await?;
            if notice[..length].split(|byte| *byte == b'\n').any(|assignment| assignment == b"READY=1") {
                return Ok(());
            }
        }
    }
}
