//! A private dbus-daemon with the system bus's rules and the shipped policies.

use super::process::Process;
use super::{command, source_text, tool};
use std::path::{Path, PathBuf};

/// Whom the shipped policies mean, on the machine that runs the tests.
pub struct Names {
    /// Instead of `qris-relay`.
    pub relay: String,
    /// Instead of `qrisd`.
    pub device: String,
    /// Instead of the group `qrisd-control`.
    pub control: String,
    /// Instead of `root`.
    pub root: String,
}

impl Names {
    /// Everything runs as one user: what the policies then still tell apart is little, but they are in force.
    pub fn all(user: &str) -> Self {
        Self { relay: user.into(), device: user.into(), control: user.into(), root: user.into() }
    }
}

/// A message bus of our own.
pub struct DbusDaemon {
    pub address: String,
    config: PathBuf,
    process: Option<Process>,
}

impl DbusDaemon {
    pub fn start(directory: &Path, names: &Names) -> Self {
        Self::start_with(directory, names, "")
    }

    /// Starts a bus with more rules (`<policy …>…</policy>`) than those that are shipped.
    pub fn start_with(directory: &Path, names: &Names, more: &str) -> Self {
        let directory = directory.join("dbus");
        let policies = directory.join("system.d");
        std::fs::create_dir_all(&policies).expect("a new directory");
        for file in ["io.qrisd.Relay1.conf", "io.qrisd.Device1.conf"] {
            let shipped = source_text(&format!("systemd/{file}"));
            let ours = shipped
                .replace("user=\"qris-relay\"", &format!("user=\"{}\"", names.relay))
                .replace("user=\"qrisd\"", &format!("user=\"{}\"", names.device))
                .replace("user=\"root\"", &format!("user=\"{}\"", names.root))
                .replace("group=\"qrisd-control\"", &format!("group=\"{}\"", names.control));
            std::fs::write(policies.join(file), ours).expect("written");
        }
        std::fs::write(policies.join("more.conf"), format!("{DOCTYPE}<busconfig>{more}</busconfig>\n")).expect("written");
        let config = directory.join("bus.conf");
        std::fs::write(&config, bus_config(&directory.join("socket"), &policies)).expect("written");
        let mut bus = Self { address: String::new(), config, process: None };
        bus.resume();
        bus
    }

    /// Ends the bus: everybody on it loses the connection.
    pub fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.terminate();
        }
    }

    /// The power cut.
    pub fn kill(&mut self) {
        drop(self.process.take());
    }

    pub const fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// Sends it a signal, if it runs.
    pub fn signal(&self, name: &str) {
        if let Some(process) = &self.process {
            process.signal(name);
        }
    }

    /// Starts the bus again, at the same socket.
    pub fn resume(&mut self) {
        let mut start = command(tool("dbus-daemon"));
        start.arg("--config-file").arg(&self.config).args(["--nofork", "--nopidfile", "--print-address"]);
        let process = Process::start("dbus-daemon", &mut start);
        let line = process.wait_line("unix:path=");
        // The guid behind the comma is another one after a restart.
        self.address = line.split(',').next().unwrap_or_default().to_owned();
        self.process = Some(process);
    }
}

const DOCTYPE: &str = "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" \
                       \"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">\n";

/// The rules of the stock system bus (`/usr/share/dbus-1/system.conf`), at a socket of our own.
fn bus_config(socket: &Path, policies: &Path) -> String {
    format!(
        r#"{DOCTYPE}<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
    <deny send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus" send_member="UpdateActivationEnvironment"/>
  </policy>
  <includedir>{policies}</includedir>
</busconfig>
"#,
        socket = socket.display(),
        policies = policies.display()
    )
}
