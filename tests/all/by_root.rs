//! The merchant's commands are for the user of the service. Root may run them all the same, also before the service first starts: what
//! they make is that user's, and the service goes on.

use crate::rig::midtrans::{Midtrans, SERVER_KEY};
use crate::rig::process::Process;
use crate::rig::{command, free_port, output, stderr, succeed, tool};
use qris::demo::shop::MerchantFiles;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

/// The user and the group of a service that is installed nowhere.
const SERVICE: u32 = 4711;

#[test]
fn what_root_makes_is_the_services() {
    let (directory, midtrans) = (tempfile::tempdir().expect("a directory"), Midtrans::start());
    let state = directory.path().join("state");
    std::fs::create_dir(&state).expect("made");
    let config = state.join("backend.toml");
    let merchant = MerchantFiles {
        root: &state,
        port: free_port(),
        public: true,
        http: "",
        midtrans: &midtrans.url,
        server_key: SERVER_KEY,
        more: "",
        store: None,
        broker: None,
    };
    merchant.write("backend.toml").expect("written");
    succeed(command(tool("chown")).arg("-R").arg(format!("{SERVICE}:{SERVICE}")).arg(directory.path()));
    let backend = |words: &[&str]| {
        let mut run = command(env!("CARGO_BIN_EXE_qris-backend"));
        run.arg("--config").arg(&config).args(words);
        run
    };
    let by_root = |words: &[&str]| {
        let told = output(&mut backend(words));
        assert!(told.status.success(), "{words:?}: {}", stderr(&told));
        assert_eq!(of_others(&state), Vec::<String>::new(), "after {words:?}");
    };
    by_root(&["keys", "new"]);
    by_root(&["device", "add", "vm-001"]);
    by_root(&["device", "invite", "vm-002", "--backend-url", "https://pay.example"]);
    serves(&mut backend(&["serve"]), &state);
    by_root(&["keys", "new", "--rotate"]);
    by_root(&["orders"]);
    // Root may read everything, so a doctor that root runs cannot know whether the service may.
    let doctor = |run: &mut Command| String::from_utf8_lossy(&output(run).stdout).into_owned();
    let warns = |told: &str| told.lines().any(|line| line.starts_with("WARN  user"));
    assert!(warns(&doctor(&mut backend(&["doctor"]))));
    // The service itself, as its user.
    let as_service = |word: &str| {
        let mut run = command(tool("setpriv"));
        run.args([&format!("--reuid={SERVICE}"), &format!("--regid={SERVICE}"), "--clear-groups"]);
        run.arg(env!("CARGO_BIN_EXE_qris-backend")).arg("--config").arg(&config).arg(word);
        run
    };
    assert!(!warns(&doctor(&mut as_service("doctor"))));
    serves(&mut as_service("serve"), &state);
}

/// Runs until it is ready. Then nothing there is somebody else's.
fn serves(start: &mut Command, state: &Path) {
    let service = Process::start("backend", start);
    service.wait_line("is ready");
    assert_eq!(of_others(state), Vec::<String>::new(), "{start:?}");
}

/// The files that are not the service's.
fn of_others(state: &Path) -> Vec<String> {
    let files = std::fs::read_dir(state).expect("a directory").map(|file| file.expect("a file"));
    let strange = files.filter(|file| file.metadata().is_ok_and(|found| (found.uid(), found.gid()) != (SERVICE, SERVICE)));
    strange.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}
