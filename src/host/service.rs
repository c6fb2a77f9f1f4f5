//! The service manager: readiness, status, watchdog, and the signals that end a program. Without `NOTIFY_SOCKET` the
//! notices do nothing, so a program runs the same on a terminal.

use super::events::Event;
use super::journal::emit;
use super::{Failure, Leave};
use sd_notify::NotifyState;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The program does its work from now on (READY=1). The watchdog is fed, too: for systemd its time goes on while a program begins anew,
/// and one that does so again and again would never come to its first [`watchdog`].
pub fn ready() {
    notify(NotifyState::Ready);
    if watchdog_interval().is_some() {
        watchdog();
    }
}

/// One line for `systemctl status` (STATUS=). Line breaks become blanks: the protocol has one assignment on each line.
pub fn status(text: &str) {
    notify(NotifyState::Status(&text.replace(['\n', '\r'], " ")));
}

/// How often the service manager wants to hear from the watchdog; `None` where it does not watch. Call [`watchdog`]
/// twice as often.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// The main loop still makes progress (WATCHDOG=1). Call it from the code that must make progress, never from a
/// timer beside it.
pub fn watchdog() {
    notify(NotifyState::Watchdog);
}

/// From now on the service manager waits at most this long for the next [`watchdog`] (WATCHDOG_USEC=). This is for work
/// that does harm if it stands still. A service manager that does not watch, or is stricter already, stays as it is.
pub fn watchdog_within(limit: Duration) {
    if let Some(configured) = watchdog_interval() {
        notify(NotifyState::WatchdogUsec(micros(limit.min(configured))));
    }
}

/// The service manager waits as long as its configuration says, as before [`watchdog_within`].
pub fn watchdog_as_configured() {
    if let Some(configured) = watchdog_interval() {
        notify(NotifyState::WatchdogUsec(micros(configured)));
    }
}

fn micros(span: Duration) -> u32 {
    u32::try_from(span.as_micros()).unwrap_or(u32::MAX)
}

/// The program ends because it was told to (STOPPING=1).
pub fn stopping() {
    notify(NotifyState::Stopping);
}

/// The program reads its configuration again (RELOADING=1), until it says [`ready`].
pub fn reloading() {
    notify(NotifyState::Reloading);
}

/// The request of a signal to a program that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// To end, by the signal of this name.
    Stop(&'static str),
    /// To begin anew with the configuration as it is now (SIGHUP, as `systemctl reload` sends it).
    Reload,
}

impl Request {
    /// Tells the service manager and the journal what the program does now. Answers how it must end its work.
    pub fn announce(self, program: &'static str) -> Leave {
        match self {
            Self::Stop(why) => {
                stopping();
                emit(&Event::Stopping { program: program.into(), why: why.into() });
                Leave::Stop
            }
            Self::Reload => {
                reloading();
                Leave::BeginAnew
            }
        }
    }
}

/// The signals that tell a service what to do. They are noticed from [`Signals::new`] on: create it before you call
/// [`ready`].
#[derive(Debug)]
pub struct Signals {
    terminate: Option<Signal>,
    interrupt: Option<Signal>,
    hangup: Option<Signal>,
    /// A service manager started this program.
    is_managed: bool,
}

impl Signals {
    /// Begins to listen. Needs a tokio runtime with I/O. If the system refuses to hand a signal over, that signal keeps
    /// its default action and ends the program: every program here may be killed at any moment. Without a service manager
    /// SIGHUP says that the terminal is gone, and ends the program, unless it was started with `nohup`.
    #[must_use]
    pub fn new() -> Self {
        let is_managed = std::env::var_os("NOTIFY_SOCKET").is_some();
        let hears = is_managed || !is_hangup_ignored();
        Self {
            terminate: signal(SignalKind::terminate()).ok(),
            interrupt: signal(SignalKind::interrupt()).ok(),
            hangup: hears.then(|| signal(SignalKind::hangup()).ok()).flatten(),
            is_managed,
        }
    }

    /// The next signal. If the call is dropped before it ends, no signal is lost.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            () = next(&mut self.terminate) => Request::Stop("SIGTERM"),
            () = next(&mut self.interrupt) => Request::Stop("SIGINT"),
            () = next(&mut self.hangup) => if self.is_managed { Request::Reload } else { Request::Stop("SIGHUP") },
        }
    }

    /// As [`Signals::next`], but a program begins anew only if `check` finds its configuration good. If not, the journal tells
    /// the fault, and everything stays as it is.
    pub async fn next_good(&mut self, program: &'static str, check: impl Fn() -> Result<(), Failure>) -> Request {
        loop {
            match self.next().await {
                Request::Stop(signal) => return Request::Stop(signal),
                Request::Reload => match check() {
                    Ok(()) => return Request::Reload,
                    Err(why) => emit(&Event::ReloadRefused { program: program.into(), why: why.reason().into() }),
                },
            }
        }
    }
}

/// Whether this program was started so that it outlives its terminal. What cannot be read is taken for no.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // SIGHUP has the number 1, and so the lowest bit.
    ignored.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok()).is_some_and(|signals| signals & 1 != 0)
}

impl Default for Signals {
    fn default() -> Self {
        Self::new()
    }
}

/// Resolves to the signal's name on the first SIGTERM or SIGINT after this call, not only after the first poll: create
/// it before you call [`ready`]. Needs a tokio runtime with I/O.
///
/// If the system refuses to hand a signal over, that signal keeps its default action and ends the program: every
/// program here may be killed at any moment.
pub fn terminated() -> impl Future<Output = &'static str> + Send + 'static {
    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    async move {
        tokio::select! {
            () = next(&mut terminate) => "SIGTERM",
            () = next(&mut interrupt) => "SIGINT",
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending().await
}

/// A sale has four notices. To connect for each would take longer than all the rest of them.
static SOCKET: Mutex<Option<UnixDatagram>> = Mutex::new(None);

fn notify(state: NotifyState<'_>) {
    let mut socket = SOCKET.lock().unwrap_or_else(PoisonError::into_inner);
    let line = format!("{state}\n");
    if socket.as_ref().is_some_and(|socket| socket.send(line.as_bytes()).is_ok()) {
        return;
    }
    // This is the first notice, or the service manager began anew. The crate can reach an address that is not a path
    // (an abstract name, vsock). If the notice fails, the machine sells on.
    *socket = connected();
    if socket.as_ref().is_none_or(|socket| socket.send(line.as_bytes()).is_err()) {
        let _ = sd_notify::notify(&[state]);
    }
}

fn connected() -> Option<UnixDatagram> {
    let path = std::env::var_os("NOTIFY_SOCKET").filter(|path| path.as_encoded_bytes().starts_with(b"/"))?;
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect(path).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixDatagram;
    use std::process::{Command, Stdio};

    /// It ends with the test, even if the test fails.
    struct Program(std::process::Child);

    impl Drop for Program {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// It runs in a process of its own, since the environment and signals belong to a whole process.
    #[test]
    #[ignore = "started by the test below"]
    fn program() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let terminated = terminated();
            status(&format!("two\nlines {:?}", watchdog_interval()));
            ready();
            status(terminated.await);
            stopping();
        });
    }

    #[test]
    fn the_service_manager_is_told_and_obeyed() {
        for (signal, name) in [("-TERM", "SIGTERM"), ("-INT", "SIGINT")] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("notify");
            let socket = UnixDatagram::bind(&path).expect("a socket");
            socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
            let notice = || {
                let mut buffer = [0; 256];
                let length = socket.recv(&mut buffer).expect("a notice");
                String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
            };
            let mut command = Command::new(std::env::current_exe().expect("this test"));
            command.args(["--exact", "service::tests::program", "--ignored"]).env("NOTIFY_SOCKET", &path);
            command.env("WATCHDOG_USEC", "30000000").env_remove("WATCHDOG_PID").stdout(Stdio::null());
            let mut program = Program(command.spawn().expect("started"));
            assert_eq!([notice(), notice(), notice()], ["STATUS=two lines Some(30s)", "READY=1", "WATCHDOG=1"]);
            let kill = Command::new("kill").args([signal, &program.0.id().to_string()]).status().expect("kill");
            assert!(kill.success());
            assert_eq!([notice(), notice()], [format!("STATUS={name}"), "STOPPING=1".into()]);
            assert!(program.0.wait().expect("ended").success());
        }
    }
}
