//! The units, as systemd itself reads them: nothing that it does not understand, and no more rights than are needed.

use crate::rig::{command, output, source, source_text, succeed, tool};
use std::path::{Path, PathBuf};

/// The units, and the exposure that `systemd-analyze security` may find: 0 is none, 10 is all.
const SERVICES: [(&str, f64); 3] = [("qrisd.service", 2.0), ("qris-relayd.service", 1.5), ("qris-backend.service", 1.5)];

/// The shipped units in a directory of their own, with programs where this test finds them.
fn copied(to: &Path) -> Vec<PathBuf> {
    let program = std::env::current_exe().expect("this test").display().to_string();
    let mut units = Vec::new();
    let again = [("qris-again@.service", "qris-again@.service"), ("qris-again@.service", "qris-backend-again@.service")];
    for (from, name) in SERVICES.map(|(name, _)| (name, name)).into_iter().chain(again) {
        let mut text = source_text(&format!("systemd/{from}"));
        for installed in ["/usr/bin/qris-relayd", "/usr/bin/qris-backend", "/usr/bin/qrisd"] {
            text = text.replace(&format!("={installed} "), &format!("={program} "));
        }
        let path = to.join(name);
        std::fs::write(&path, text).expect("written");
        units.push(path);
    }
    units
}

#[test]
fn systemd_understands_every_line() {
    let directory = tempfile::tempdir().expect("a directory");
    assert_eq!(verified(&copied(directory.path())), "");
    // It does find what is wrong.
    let wrong = directory.path().join("wrong.service");
    std::fs::write(&wrong, "[Service]\nExecStart=/bin/true\nProtectEverything=yes\n").expect("written");
    assert!(verified(&[wrong]).contains("ProtectEverything"));
}

/// What systemd says against units. Manual pages are installed with the packages, and not here.
fn verified(units: &[PathBuf]) -> String {
    let mut verify = command(tool("systemd-analyze"));
    let told = output(verify.args(["verify", "--man=no", "--recursive-errors=no"]).args(units));
    String::from_utf8_lossy(&told.stderr).into_owned()
}

/// Of two lines for one credential systemd 252 takes the last, and hands over no plain secret that it takes for encrypted.
#[test]
fn each_credential_is_loaded_by_one_plain_line() {
    for (name, _) in SERVICES {
        let text = source_text(&format!("systemd/{name}"));
        let mut loaded: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("LoadCredential=")?.split(':').next()).collect();
        assert!(loaded.len() >= 2 || name == "qris-relayd.service", "{name}: {loaded:?}");
        loaded.sort_unstable();
        assert!(loaded.windows(2).all(|two| two[0] != two[1]), "{name}: {loaded:?}");
        assert!(!text.contains("LoadCredentialEncrypted="), "{name}");
    }
}

#[test]
fn no_service_may_more_than_it_needs() {
    for (name, most) in SERVICES {
        let unit = source(&format!("systemd/{name}"));
        let told = succeed(command(tool("systemd-analyze")).args(["security", "--offline=true", "--no-pager"]).arg(&unit));
        let exposure = told.lines().find_map(|line| line.split_once("Overall exposure level for ")?.1.split_whitespace().nth(1));
        let exposure: f64 = exposure.unwrap_or_else(|| panic!("{told}")).parse().expect("a number");
        assert!(exposure <= most, "{name}: {exposure} is more than {most}:\n{told}");
    }
}
