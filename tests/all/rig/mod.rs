//! The test rig: starts real things on free ports and private sockets, stops them by their process, and waits for what
//! it sees, never for a time. Whatever a test starts is gone when it ends, also when it fails.

pub mod bad;
pub mod bare_broker;
pub mod browser;
pub mod bus;
pub mod caller;
pub mod certificates;
pub mod claims;
pub mod clock;
pub mod desk;
pub mod ends;
pub mod files;
pub mod fleet;
pub mod front;
pub mod fuzz;
pub mod http;
pub mod inputs;
pub mod inside;
pub mod journald;
pub mod link;
pub mod logind;
pub mod midtrans;
pub mod mosquitto;
pub mod namespace;
pub mod nginx;
pub mod people;
pub mod phone;
pub mod pooler;
mod ports;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod rauc;
pub mod received;
pub mod relay_log;
pub mod relayd;
pub mod screen;
pub mod shop;
pub mod systemd;
pub mod tap;
pub mod watched;

pub use ports::{free_listener, free_port};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long anything that must come is waited for. Far longer than it takes: two cores may be busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Looks until there is something. For what announces itself in no way but by being there, such as a file's content.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    wait_for_within(PATIENCE, what, look)
}

/// The same for what may take longer, or gives up by itself.
pub fn wait_for_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < patience, "waited {patience:?} in vain for: {what}");
        pause(begun);
    }
}

/// Between two looks at something that is waited for since `begun`. Some looks start a program: what is long in coming is looked
/// at less often, and known a tenth later.
pub fn pause(begun: Instant) {
    std::thread::sleep((begun.elapsed() / 10).clamp(Duration::from_millis(2), Duration::from_millis(100)));
}

/// A future's outcome, or the test's end.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("waited {PATIENCE:?} in vain for: {what}"),
    }
}

/// Tells others to end when it goes, also where the test fails: a scope of threads waits for them.
pub struct Sets<'a>(pub &'a AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A process that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The path of a tool, or the end of the run: a test that is skipped proves nothing.
pub fn tool(name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    let places = path.split(':').chain(["/usr/sbin", "/usr/local/sbin", "/sbin"]);
    let found = places.map(|place| PathBuf::from(place).join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("this test needs `{name}`, which is not installed: `tests/run` installs what the tests need"))
}

/// A path below `target/clients`; the test's end if it is not there.
pub fn installed(path: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the directory above is cargo's");
    let path = target.join("clients").join(path);
    assert!(path.exists(), "{} is missing: run tests/run, or tests/clients/install alone", path.display());
    path
}

/// A command with nothing of our environment but the way to tools.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

/// Runs a command to its end; one that does not end is killed and fails the test.
pub fn output(command: &mut Command) -> Output {
    let name = format!("{command:?}");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(|why| panic!("{name}: {why}"));
    let stdout = child.stdout.take().map(process::read_whole).expect("piped");
    let stderr = child.stderr.take().map(process::read_whole).expect("piped");
    if !process::ends_within(child.id(), PATIENCE) {
        drop(child.kill());
        drop(child.wait());
        panic!("waited {PATIENCE:?} in vain for: the end of {name}");
    }
    let status = child.wait().expect("a child can be waited for");
    let whole = |reader: std::thread::JoinHandle<Vec<u8>>| reader.join().expect("a reader does not panic");
    Output { status, stdout: whole(stdout), stderr: whole(stderr) }
}

/// Runs a command that must succeed; what it wrote to standard output.
pub fn succeed(command: &mut Command) -> String {
    let name = format!("{command:?}");
    let output = output(command);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{stderr}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Both.
pub fn output_text(output: &Output) -> String {
    stdout(output) + &stderr(output)
}

/// The name of the user that runs the tests.
pub fn user() -> String {
    succeed(command(tool("id")).arg("-un")).trim().to_owned()
}

/// A file of the source tree.
pub fn source(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A text file of the source tree.
pub fn source_text(path: &str) -> String {
    std::fs::read_to_string(source(path)).unwrap_or_else(|why| panic!("{path}: {why}"))
}
