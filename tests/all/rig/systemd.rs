//! A service manager: systemd itself, as that of a user, with the units of a directory and nothing else, alone in
//! namespaces of its own. What it started is gone with it. Needs root.

use super::process::Process;
use super::{command, output, succeed, tool, wait_for};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Systemd {
    process: Process,
    units: PathBuf,
    /// Two at the same time would have the same control groups, and end each other's services.
    _alone: File,
}

impl Systemd {
    /// Runs with the units in a directory, and has started none of them.
    pub fn with(units: &Path) -> Self {
        Self::of_a_computer(units, ":")
    }

    /// The same with a network of its own, and a shell script that first mounts what is to be seen there. The plain `systemctl` talks to it.
    pub fn of_a_computer(units: &Path, mounts: &str) -> Self {
        // Where it looks first: the target that it begins with asks for nothing.
        std::fs::write(units.join("basic.target"), "[Unit]\nDescription=Nothing\n").expect("written");
        // Also for those of another run, which has another TMPDIR.
        let alone = File::create("/tmp/qris-tests-systemd.lock").expect("a file");
        // Each test has limits of its own: however many come first, they end.
        alone.lock().expect("locked");
        // It wants to be on a system that systemd has booted, and knows that by a directory.
        let systemctl = tool("systemctl").display().to_string();
        let script = format!(
            "ip link set lo up; {mounts}; mount -t tmpfs none /run; mkdir -p /run/systemd/system /run/user; cp {systemctl} /run/systemctl
            printf '#!/bin/sh\\nexec /run/systemctl --user \"$@\"\\n' > /run/plain; chmod +x /run/plain; mount --bind /run/plain {systemctl}
            /usr/lib/systemd/systemd --user --unit=basic.target &
            # The manager of a system lets every user say that it is ready.
            until test -S /run/user/systemd/notify; do sleep 0.05; done; chmod a+w /run/user/systemd/notify; echo made; wait"
        );
        let mut start = command(tool("unshare"));
        start.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-ec", &script]);
        let process = Process::start("systemd", surroundings(&mut start, units));
        process.wait_line("made");
        let systemd = Self { process, units: units.into(), _alone: alone };
        wait_for("systemd", || output(&mut systemd.systemctl(&["is-active", "basic.target"])).status.success().then_some(()));
        systemd
    }

    fn systemctl(&self, words: &[&str]) -> Command {
        self.command(command(tool("systemctl")).args(words))
    }

    /// The same program and arguments, beside its services.
    pub fn command(&self, of: &Command) -> Command {
        let mut start = command(tool("nsenter"));
        let id = self.process.id();
        // What was started there sees the processes of there, and `unshare` itself those of here.
        start.args([&format!("--target={id}"), "--mount", "--net", &format!("--pid=/proc/{id}/ns/pid_for_children"), "--"]);
        start.arg(of.get_program()).args(of.get_args());
        surroundings(&mut start, &self.units);
        start
    }

    /// Tells it something, to which it must not say no.
    pub fn tell(&self, words: &[&str]) {
        succeed(&mut self.systemctl(words));
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        succeed(&mut self.systemctl(&["show", "--value", "--property", name, unit])).trim().to_owned()
    }

    /// Waits until a unit is in a state.
    pub fn await_state(&self, unit: &str, state: &str) {
        wait_for(&format!("{unit} is {state}"), || (self.property(unit, "ActiveState") == state).then_some(()));
    }
}

fn surroundings<'a>(start: &'a mut Command, units: &Path) -> &'a mut Command {
    start.env("XDG_RUNTIME_DIR", "/run/user").env("HOME", units).env("SYSTEMD_UNIT_PATH", units)
}
