//! The service manager: readiness, status, watchdog, and the signals that end a program. Without `NOTIFY_SOCKET` the
//! notices are no-ops, so that a program runs the same on a terminal.

use sd_notify::NotifyState;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The program does its work from now on (READY=1).
pub fn ready() {
    notify(NotifyState::Ready);
}

/// One line for `systemctl status` (STATUS=). Line breaks become blanks: the protocol is one assignment a line.
pub fn status(text: &str) {
    notify(NotifyState::Status(&text.replace(['\n', '\r'], " ")));
}

/// How often the service manager wants to be fed, or `None` where it does not watch. Feed at half of it.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero())
}

/// The main loop still makes progress (WATCHDOG=1). To be called from what must make progress, never from a timer
/// beside it.
pub fn watchdog() {
    notify(NotifyState::Watchdog);
}

/// The program ends because it was told to (STOPPING=1).
pub fn stopping() {
    notify(NotifyState::Stopping);
}

/// Resolves to the signal's name on the first SIGTERM or SIGINT after this call, not only after the first poll: create
/// it before saying [`ready`]. Needs a tokio runtime with I/O.
///
/// Should the system refuse to hand a signal over, that signal keeps its default action, which ends the program: every
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

/// A sale has four notices; connecting for each takes longer than all else about them.
static SOCKET: Mutex<Option<UnixDatagram>> = Mutex::new(None);

fn notify(state: NotifyState<'_>) {
    let mut socket = SOCKET.lock().unwrap_or_else(PoisonError::into_inner);
    let line = format!("{state}\n");
    if socket.as_ref().is_some_and(|socket| socket.send(line.as_bytes()).is_ok()) {
        return;
    }
    // The first notice, or a service manager that began anew. What is not a path (an abstract name, vsock) the crate
    // knows how to reach. One that cannot be told is no reason to stop selling.
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

    /// Ends with the test, also when the test fails.
    struct Program(std::process::Child);

    impl Drop for Program {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Runs in a process of its own, since the environment and signals belong to a whole process.
    #[test]
    #[ignore = "started by the test below"]
    fn program() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        runtime.block_on(async {
            let terminated = terminated();
            status(&format!("two\nlines {:?}", watchdog_interval()));
            watchdog();
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
            let told = || {
                let mut buffer = [0; 256];
                let length = socket.recv(&mut buffer).expect("a notice");
                String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()
            };
            let mut command = Command::new(std::env::current_exe().expect("this test"));
            command.args(["--exact", "host::service::tests::program", "--ignored"]).env("NOTIFY_SOCKET", &path);
            command.env("WATCHDOG_USEC", "30000000").env_remove("WATCHDOG_PID").stdout(Stdio::null());
            let mut program = Program(command.spawn().expect("started"));
            assert_eq!([told(), told(), told()], ["STATUS=two lines Some(30s)", "WATCHDOG=1", "READY=1"]);
            let kill = Command::new("kill").args([signal, &program.0.id().to_string()]).status().expect("kill");
            assert!(kill.success());
            assert_eq!([told(), told()], [format!("STATUS={name}"), "STOPPING=1".into()]);
            assert!(program.0.wait().expect("ended").success());
        }
    }
}
