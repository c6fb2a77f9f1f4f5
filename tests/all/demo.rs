//! The demo leaves nothing behind, however it is ended.

use crate::rig::process::{Process, await_end};
use crate::rig::{Running, command, output, wait_for};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// Starts the demo's page with a temporary directory of its own and waits until it is there.
fn start(temporary: &Path, arguments: &[&str]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qris-demo"));
    let mut demo = Running(command.args(arguments).env("TMPDIR", temporary).stdout(Stdio::piped()).spawn().expect("the demo starts"));
    let stdout = demo.0.stdout.take().expect("it is a pipe");
    let line = BufReader::new(stdout).lines().next().and_then(Result::ok).unwrap_or_default();
    assert!(line.starts_with("open http://127.0.0.1:"), "{line:?}");
    demo
}

fn signal(demo: &mut Running, signal: &str) -> ExitStatus {
    let sent = Command::new("kill").args([signal, &demo.0.id().to_string()]).status().expect("kill is there");
    assert!(sent.success());
    await_end(demo.0.id(), "the demo");
    demo.0.wait().expect("it is ours")
}

/// The processes whose parent is this one.
pub fn children(parent: u32) -> Vec<u32> {
    let list = format!("/proc/{parent}/task/{parent}/children");
    std::fs::read_to_string(list).expect("it lives").split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

fn lives(id: u32) -> bool {
    // A zombie of ours that nobody has reaped yet is dead, too.
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z')))
}

#[test]
fn a_demo_that_is_ended_leaves_nothing_behind() {
    let (inside, mosquitto): (&[&str], &[&str]) = (&[], &["--mosquitto"]);
    for (word, tidy, broker) in [("-TERM", true, mosquitto), ("-INT", true, inside), ("-KILL", false, mosquitto), ("-KILL", false, inside)]
    {
        let temporary = tempfile::tempdir().expect("a directory");
        let mut demo = start(temporary.path(), broker);
        let programs = children(demo.0.id());
        assert_eq!(programs.len(), 6, "broker, Midtrans, backend, desk, relay, device");
        let status = signal(&mut demo, word);
        assert_eq!(status.success(), tidy, "{word}: {status}");
        wait_for("the end of all programs", || programs.iter().all(|id| !lives(*id)).then_some(()));
        let left = std::fs::read_dir(temporary.path()).expect("it is there").count();
        // What a killed one must leave, the next one removes.
        assert_eq!(left, usize::from(!tidy), "{word}");
        if !tidy {
            let mut next = start(temporary.path(), broker);
            assert_eq!(std::fs::read_dir(temporary.path()).expect("it is there").count(), 1);
            signal(&mut next, "-TERM");
            assert_eq!(std::fs::read_dir(temporary.path()).expect("it is there").count(), 0);
        }
    }
}

#[test]
fn a_script_that_cannot_sell_fails_and_says_why() {
    let temporary = tempfile::tempdir().expect("a directory");
    let missing = temporary.path().join("missing");
    // In such a long path no program can have a socket.
    let long = temporary.path().join("x".repeat(120));
    std::fs::create_dir(&long).expect("a new directory");
    for (place, why) in [(&missing, "No such file or directory"), (&long, "path must be shorter")] {
        let script = output(command(env!("CARGO_BIN_EXE_qris-demo")).arg("--script").env("TMPDIR", place));
        let (told, said) = (String::from_utf8_lossy(&script.stderr), String::from_utf8_lossy(&script.stdout));
        assert_eq!(script.status.code(), Some(1), "{}: {said}{told}", place.display());
        assert!(told.contains(why), "{told}");
        assert!(!said.contains("the books balance"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&long).expect("it is there").count(), 0, "nothing is left behind");
}

/// No Mosquitto and no bus can be found.
#[test]
fn the_script_sells_with_nothing_but_itself() {
    let temporary = tempfile::tempdir().expect("a directory");
    let mut script = command(env!("CARGO_BIN_EXE_qris-demo"));
    let script = output(script.arg("--script").env("TMPDIR", temporary.path()).env("PATH", temporary.path()));
    let (told, said) = (String::from_utf8_lossy(&script.stderr), String::from_utf8_lossy(&script.stdout));
    assert!(script.status.success(), "{said}{told}");
    assert!(said.contains("the books balance"), "{said}");
}

/// It notifies this computer alone, and a bare one has no authorities. The demo gives its programs no environment, so they are taken
/// from the simulated Midtrans itself.
#[test]
fn the_simulated_midtrans_needs_no_authorities() {
    let mut midtrans = command(env!("CARGO_BIN_EXE_qris-demo"));
    midtrans.args(["midtrans", "--server-key", "SB-Mid-server-test"]).envs([("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nowhere")]);
    Process::start("midtrans", &mut midtrans).wait_line("listening on");
}
