//! Runs a program of the merchant's: without a shell, without our environment, in a process group of its own. Its
//! time has a limit, and so has the part of its output that is kept.

use qris_core::text;
use qris_host::config::Checker;
use qris_host::texts;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

texts! {
    program: "harus daftar yang diawali path absolut sebuah program", "must be a list that begins with the absolute path of a program";
}

const OUTPUT_BYTES_MAX: usize = 1024;
/// A process that it left running may hold its output open for this long after its end.
const AFTER_END: Duration = Duration::from_millis(500);
/// The whole environment that it gets.
const ENVIRONMENT: [(&str, &str); 2] = [("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("LANG", "C.UTF-8")];

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("{program} cannot be started: {source}")]
    Start { program: String, source: io::Error },
    #[error("{program} ended with {status}: {output}")]
    Status {
        program: String,
        status: String,
        /// The end of its output.
        output: String,
    },
    /// It took too long, and was killed together with all processes that it had started.
    #[error("{program} was killed after {} s: {output}", limit.as_secs())]
    TooLong { program: String, limit: Duration, output: String },
}

/// A process group. It is killed when this is dropped, also when the waiting caller is dropped.
struct Group(Option<u32>);

impl Group {
    fn kill(&mut self) {
        if let Some(id) = self.0.take().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
            // The group's leader was not waited for yet, or the group is empty: the number cannot belong to another group.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A program with its arguments, as a setting names it.
pub(crate) fn checked(command: Vec<String>, key: &str, checker: &mut Checker<'_>) -> Option<Vec<String>> {
    let is_good = command.first().is_some_and(|program| program.starts_with('/'));
    if !is_good {
        checker.fault(key, texts().program);
    }
    is_good.then_some(command)
}

/// Runs a program with `input` on its standard input, for `limit` at most.
pub async fn call(command: &[String], input: &[u8], limit: Duration) -> Result<(), CallError> {
    let program = command.first().cloned().unwrap_or_default();
    let mut start = Command::new(&program);
    start.args(command.iter().skip(1)).env_clear().envs(ENVIRONMENT).current_dir("/").process_group(0).kill_on_drop(true);
    start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start.spawn().map_err(|source| CallError::Start { program: program.clone(), source })?;
    let mut group = Group(child.id());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = input.to_vec();
    let writer = tokio::spawn(async move {
        if let Some(mut stdin) = stdin {
            // A program that does not read to the end says with its status whether it is content.
            let _ = stdin.write_all(&input).await;
        }
    });
    let output = tokio::spawn(async move {
        let (out, err) = tokio::join!(last_of(stdout), last_of(stderr));
        [out, err].concat()
    });
    let ended = timeout(limit, child.wait()).await;
    if !matches!(ended, Ok(Ok(_))) {
        group.kill();
        // The program is killed already. This only takes it off the list of processes.
        let _ = child.wait().await;
    }
    writer.abort();
    let stop = output.abort_handle();
    let output = match timeout(AFTER_END, output).await {
        Ok(output) => plain(&output.unwrap_or_default()),
        Err(_) => {
            stop.abort();
            "(its output is still held open)".into()
        }
    };
    // A program that ended by itself may have left a process behind on purpose.
    group.0 = None;
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(CallError::Status { program, status: status.to_string(), output }),
        Ok(Err(error)) => Err(CallError::Status { program, status: error.to_string(), output }),
        Err(_) => Err(CallError::TooLong { program, limit, output }),
    }
}

/// Reads to the end, and keeps the last part.
async fn last_of(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    let Some(mut stream) = stream else { return kept };
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..length]);
        let over = kept.len().saturating_sub(OUTPUT_BYTES_MAX);
        kept.drain(..over);
    }
    kept
}

/// A program's output, in one line for the journal.
fn plain(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = text::plain(&lines.join(" / "), ' ');
    if text.is_empty() { "it wrote nothing".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn sh(script: &str) -> Vec<String> {
        ["/bin/sh", "-c", script].map(String::from).to_vec()
    }

    async fn told(script: &str, limit: Duration) -> String {
        match call(&sh(script), b"{\"a\":1}", limit).await {
            Ok(()) => "done".into(),
            Err(error) => error.to_string(),
        }
    }

    const LONG: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_program_gets_its_input_and_tells_by_its_status() {
        let table = [
            ("test \"$(cat)\" = '{\"a\":1}'", "done"),
            ("exit 0", "done"),
            ("echo no; echo why >&2; exit 3", "/bin/sh ended with exit status: 3: no / why"),
            ("kill -9 $$", "/bin/sh ended with signal: 9 (SIGKILL): it wrote nothing"),
            ("test \"$(pwd)\" = / && test -z \"$HOME$CARGO$USER\" && test -n \"$PATH\"", "done"),
            // A process that is left in the background does not hold it up.
            ("sleep 20 & exit 0", "done"),
        ];
        for (script, expected) in table {
            assert_eq!(told(script, LONG).await, expected, "{script}");
        }
        let missing = call(&["/nowhere/alert".into()], b"", LONG).await.expect_err("none");
        assert!(missing.to_string().starts_with("/nowhere/alert cannot be started: "), "{missing}");
    }

    #[tokio::test]
    async fn more_than_it_reads_and_more_than_is_kept_hold_nobody_up() {
        let input = vec![b'x'; 1 << 20];
        call(&sh("exit 0"), &input, LONG).await.expect("it does not read");
        let error = call(&sh("yes | head -c 10000000; echo end; exit 1"), b"", LONG).await.expect_err("status 1");
        let told = error.to_string();
        assert!(told.len() < 3 * OUTPUT_BYTES_MAX && told.ends_with("end"), "{told}");
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_killed_with_all_that_it_started() {
        let directory = tempfile::tempdir().expect("a directory");
        let pid = directory.path().join("pid");
        let script = format!("sleep 60 & echo $! > {}; echo began; wait", pid.display());
        let start = Instant::now();
        let told = told(&script, Duration::from_millis(700)).await;
        assert!(told.starts_with("/bin/sh was killed after 0 s: began") && start.elapsed() < LONG, "{told}");
        let pid = std::fs::read_to_string(&pid).expect("it began");
        let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        // Gone, or a zombie that nobody has taken off the list yet.
        let gone = || state().is_empty() || state().contains(") Z ");
        while !gone() {
            assert!(start.elapsed() < LONG, "{}", state());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
