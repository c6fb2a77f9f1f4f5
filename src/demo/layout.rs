//! The parts of the installation before anything runs: a temporary directory, ports, configuration files, a price list.

use super::chronicle::Who;
use super::controller;
use super::panel::{HEIGHT, WIDTH};
use super::process::{self, ProcessError, Program};
use super::sandbox::Sandbox;
use super::told::Told;
use reqwest::Url;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The machine's name everywhere.
pub const DEVICE: &str = "vm-001";
/// How long a motor is driven for one item: one turn of a spiral. The time is long enough to cut the power in the middle
/// of it.
const PULSE_MS: u32 = 1000;
/// The merchant's key at the simulated Midtrans. It guards nothing.
pub const SERVER_KEY: &str = "SB-Mid-server-demo";
/// How long a QR is shown, in seconds.
const TIMEOUT_S: u32 = 120;
/// The same in the sandbox: an address is copied from one page to another.
const SANDBOX_TIMEOUT_S: u32 = 600;

/// A product of the machine: the same for page, script and configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Product {
    /// The item's id.
    pub id: &'static str,
    /// On the button and the screen.
    pub name: &'static str,
    /// On the screen of an Indonesian machine.
    name_id: &'static str,
    /// Whole rupiah.
    pub rupiah: u64,
}

impl Product {
    /// Its name in both languages.
    #[must_use]
    pub fn words(&self) -> Told {
        Told { en: self.name.into(), id: self.name_id.into() }
    }
}

/// The price list.
pub const PRODUCTS: [Product; 4] = [
    Product { id: "A1", name: "Bottled tea 350 ml", name_id: "Teh botol 350 ml", rupiah: 5_000 },
    Product { id: "A2", name: "Mineral water 600 ml", name_id: "Air mineral 600 ml", rupiah: 4_000 },
    Product { id: "A3", name: "Iced coffee 220 ml", name_id: "Es kopi 220 ml", rupiah: 9_500 },
    Product { id: "A4", name: "Cassava chips 120 g", name_id: "Keripik singkong 120 g", rupiah: 12_000 },
];

/// The differences between the page and the script.
#[derive(Debug, Clone)]
pub struct Options {
    /// The temporary directory stays at the end.
    pub keep: bool,
    /// `late_settlement_grace_s` of the machine.
    pub grace_s: u32,
    /// `cancel_wait_s` of the machine.
    pub cancel_wait_s: u32,
    /// Midtrans' sandbox, if the money is there. Else there is a simulated Midtrans.
    pub sandbox: Option<Sandbox>,
}

/// Why the installation cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The temporary directory, a file in it or a port.
    #[error("cannot set up {what}")]
    SetUp {
        /// The thing that failed.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// No randomness for names.
    #[error("the system gives no random numbers")]
    Random,
    /// A command that sets something up.
    #[error(transparent)]
    Command(#[from] ProcessError),
}

/// The search for the servers' ports begins here.
const FIRST_PORT: u16 = 10_000;
const CANDIDATES: u16 = 4_000;

/// Free loopback ports, one for each server.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// The broker's.
    pub broker: u16,
    /// The simulated Midtrans'.
    pub midtrans: u16,
    /// The backend's.
    pub backend: u16,
}

impl Ports {
    /// The ports of the demo.
    ///
    /// # Errors
    /// When there are none.
    pub fn find() -> Result<Self, LayoutError> {
        free_ports().map(|[broker, midtrans, backend]| Self { broker, midtrans, backend })
    }

    /// The root of the HTTP server on this port.
    #[must_use]
    pub fn url(self, port: u16) -> Url {
        Url::parse(&format!("http://127.0.0.1:{port}/")).expect("a well-formed address")
    }
}

/// Free loopback ports. All are held at once during the search, so that they differ. Until a server starts, somebody else could take
/// its port. The system itself takes ports from 32768 on for anybody's connections, so this looks below them. Two demos look in
/// different places.
///
/// # Errors
/// When there are not so many.
pub fn free_ports<const N: usize>() -> Result<[u16; N], LayoutError> {
    hold_ports().map(|held| held.map(|(port, _)| port))
}

/// The same, each held until its program is started: nobody else takes it meanwhile.
///
/// # Errors
/// [`LayoutError`]
pub fn hold_ports<const N: usize>() -> Result<[(u16, TcpListener); N], LayoutError> {
    let set_up = |source| LayoutError::SetUp { what: "loopback ports".into(), source };
    let mut random = [0; 2];
    SystemRandom::new().fill(&mut random).map_err(|_| set_up(io::Error::other("the system has no randomness")))?;
    let free = (0..CANDIDATES).filter_map(|next| {
        let port = FIRST_PORT + (u16::from_le_bytes(random) % CANDIDATES + next) % CANDIDATES;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|held| (port, held))
    });
    let held: Vec<(u16, TcpListener)> = free.take(N).collect();
    held.try_into().map_err(|_| set_up(io::ErrorKind::AddrInUse.into()))
}

/// The ports in the configuration of the programs that connect.
#[derive(Debug, Clone, Copy)]
pub struct NearPorts {
    /// To the broker, for the machine.
    pub broker: u16,
    /// To the backend, for the machine.
    pub backend: u16,
    /// To Midtrans, for the backend.
    pub midtrans: u16,
    /// To the backend, for Midtrans.
    pub notices: u16,
}

/// The files of the installation, with the names from design and manuals.
pub struct Files<'a> {
    /// The temporary directory.
    pub root: &'a Path,
    /// The ports of the servers.
    pub ports: &'a Ports,
    /// The ports by which they reach each other.
    pub near: NearPorts,
    /// The differences.
    pub options: Options,
}

impl Files<'_> {
    /// A file on the machine.
    #[must_use]
    pub fn machine(&self, name: &str) -> PathBuf {
        self.root.join("machine").join(name)
    }

    /// The broker's directory.
    #[must_use]
    pub fn broker(&self) -> PathBuf {
        self.root.join("broker")
    }

    /// The broker's password: one for all.
    #[must_use]
    pub fn broker_password(&self) -> PathBuf {
        self.root.join("broker-password")
    }

    fn merchant(&self, name: &str) -> PathBuf {
        self.root.join("merchant").join(name)
    }

    /// Writes all files that the first command needs.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self) -> Result<(), LayoutError> {
        for name in ["broker", "machine", "merchant", "run"] {
            let path = self.root.join(name);
            fs::DirBuilder::new().mode(0o700).create(&path).map_err(|source| set_up(&path, source))?;
        }
        let server_key = self.options.sandbox.as_ref().map_or(SERVER_KEY, |sandbox| sandbox.key.expose());
        write_new(&self.merchant("server-key"), server_key.as_bytes())?;
        let password = random_name()?;
        write_new(&self.broker_password(), password.as_bytes())?;
        let environment = controller::environment(self.ports.broker, &password, &self.controller());
        write_new(&self.root.join(controller::ENVIRONMENT), environment.as_bytes())?;
        write_new(&self.merchant("backend.toml"), self.backend_toml().as_bytes())?;
        write_new(&self.machine("qrisd.toml"), self.qrisd_toml().as_bytes())?;
        write_new(&self.machine("relay.toml"), self.relay_toml().as_bytes())
    }

    /// The arguments after the backend's name.
    #[must_use]
    pub fn backend_arguments(&self, command: &[&str]) -> Vec<String> {
        backend_arguments(self.root, command)
    }

    /// A command of `qris-backend`, as an operator types it.
    ///
    /// # Errors
    /// When it fails.
    pub fn backend(&self, command: &[&str]) -> Result<Vec<u8>, LayoutError> {
        Ok(backend(self.root, command)?)
    }

    fn qrisd_toml(&self) -> String {
        let NearPorts { broker, backend, .. } = self.near;
        let Options { grace_s, cancel_wait_s, .. } = self.options;
        let timeout_s = if self.options.sandbox.is_some() { SANDBOX_TIMEOUT_S } else { TIMEOUT_S };
        let file = |name| quoted(&self.machine(name).display().to_string());
        let mut text = format!(
            r#"[device]
id = "{DEVICE}"
name = "Lobby"
language = "en"
[mqtt]
url = "mqtt://127.0.0.1:{broker}"
username = "{DEVICE}"
password_file = {password}
[backend]
url = "http://127.0.0.1:{backend}"
token_file = {token}
[receipts]
keys_file = {keys}
[orders]
timeout_s = {timeout_s}
orders_per_minute = 60
cancel_wait_s = {cancel_wait_s}
late_settlement_grace_s = {grace_s}
[store]
path = {store}
[screen]
virtual = {{ path = {screen}, width = {WIDTH}, height = {HEIGHT}, format = "rgb565" }}
contact = "0812-3456-7890"
[relay]
bus = {bus}
[controller]
bus = {controller}
"#,
            password = self.quoted_password_file(),
            token = file("backend-token"),
            keys = file("keys.json"),
            store = file("qrisd.db"),
            screen = file("screen.raw"),
            bus = self.bus(),
            controller = quoted(&format!("peer:{}", self.controller().display())),
        );
        for Product { id, name, name_id, rupiah } in PRODUCTS {
            // Writing to a String does not fail.
            let _ = write!(text, "[[item]]\nid = \"{id}\"\nname = {{ id = \"{name_id}\", en = \"{name}\" }}\nprice = {rupiah}\n");
        }
        text
    }

    fn relay_toml(&self) -> String {
        let mut text = format!(
            r#"[device]
id = "{DEVICE}"
[dbus]
bus = {bus}
[receipts]
keys_file = {keys}
[ledger]
path = {ledger}
"#,
            bus = self.bus(),
            keys = quoted(&self.machine("keys.json").display().to_string()),
            ledger = quoted(&self.machine("ledger.db").display().to_string()),
        );
        // A motor for each product. One file stands for all motors, like a board with several relays.
        let chip = quoted(&format!("sim:{}", self.machine("relay.log").display()));
        for Product { id, rupiah, .. } in PRODUCTS {
            // Writing to a String does not fail.
            let _ = write!(
                text,
                "[[line]]\nname = \"{id}\"\nitems = [\"{id}\"]\nmin_amount = {rupiah}\nchip = {chip}\npulse_ms = {PULSE_MS}\n"
            );
        }
        text
    }

    fn quoted_password_file(&self) -> String {
        quoted(&self.broker_password().display().to_string())
    }

    /// A socket without a bus: a laptop may have none.
    fn bus(&self) -> String {
        quoted(&format!("peer:{}", self.machine("relay.sock").display()))
    }

    /// The socket of the machine's D-Bus interface for controllers.
    #[must_use]
    pub fn controller(&self) -> PathBuf {
        self.machine("vend.sock")
    }

    fn backend_toml(&self) -> String {
        let Ports { broker, backend, .. } = self.ports;
        let NearPorts { midtrans, notices, .. } = self.near;
        let file = |name| quoted(&self.merchant(name).display().to_string());
        // The sandbox cannot reach this computer: the backend asks it.
        let (public_url, base_url, notification_url) = match &self.options.sandbox {
            Some(Sandbox { url, .. }) => (String::new(), url.as_str().trim_end_matches('/').to_owned(), String::new()),
            None => (
                format!("public_url = \"http://127.0.0.1:{backend}\""),
                format!("http://127.0.0.1:{midtrans}"),
                format!("notification_url = \"http://127.0.0.1:{notices}/midtrans/notifications\""),
            ),
        };
        format!(
            r#"[http]
listen = "127.0.0.1:{backend}"
{public_url}
orders_per_minute = 60
[customer]
contact = "0812-3456-7890"
[midtrans]
base_url = "{base_url}"
allow_other_host = true
{notification_url}
server_key_file = {server_key}
[store]
url = {store}
[mqtt]
url = "mqtt://127.0.0.1:{broker}"
username = "backend"
password_file = {password}
[receipts]
issuer = "demo"
signing_key_file = {signing_key}
"#,
            password = self.quoted_password_file(),
            server_key = file("server-key"),
            store = quoted(&format!("sqlite://{}", self.merchant("orders.db").display())),
            signing_key = file("signing-key.json"),
        )
    }
}

fn backend_arguments(root: &Path, command: &[&str]) -> Vec<String> {
    let config = root.join("merchant/backend.toml").display().to_string();
    ["--config", config.as_str()].iter().chain(command).map(ToString::to_string).collect()
}

/// A command of `qris-backend` on the installation in `root`.
///
/// # Errors
/// When it fails.
pub fn backend(root: &Path, command: &[&str]) -> Result<Vec<u8>, ProcessError> {
    process::run(&Program { name: "qris-backend", who: Who::Backend, arguments: backend_arguments(root, command) })
}

/// A TOML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A file that only its owner may read, as secrets must be.
///
/// # Errors
/// When it is there or cannot be written.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|source| set_up(path, source))
}

fn set_up(path: &Path, source: io::Error) -> LayoutError {
    LayoutError::SetUp { what: path.display().to_string(), source }
}

/// 128 random bits in hexadecimal digits.
///
/// # Errors
/// When the system gives none.
pub fn random_name() -> Result<String, LayoutError> {
    let mut bits = [0; 16];
    SystemRandom::new().fill(&mut bits).map_err(|_| LayoutError::Random)?;
    Ok(qris_core::hex(&bits))
}

/// The names of our temporary directories begin with this.
const PREFIX: &str = "qris-demo-";
/// A file in a directory that is to be removed. It is locked as long as its demo lives.
const LOCK: &str = "lock";

/// The temporary directory. It is removed with this value. If a killed demo left one, the next demo removes it.
#[derive(Debug)]
pub struct Directory {
    /// Its path.
    pub path: PathBuf,
    /// Present unless the directory is kept.
    lock: Option<fs::File>,
}

impl Directory {
    /// A new one in `parent`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(parent: &Path, keep: bool) -> Result<Self, LayoutError> {
        sweep(parent);
        // The name is short: the path of a socket has at most 107 bytes.
        let path = parent.join(format!("{PREFIX}{}", &random_name()?[..12]));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|source| set_up(&path, source))?;
        let mut directory = Self { path, lock: None };
        if !keep {
            let path = directory.path.join(LOCK);
            let lock = fs::File::create(&path).and_then(|file| file.try_lock().map(|()| file).map_err(io::Error::from));
            directory.lock = Some(lock.map_err(|source| set_up(&path, source))?);
        }
        Ok(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if self.lock.is_some() {
            // If it cannot be removed, the system's cleaning of temporary directories does it.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Removes what killed demos left: directories whose lock nobody holds. A kept directory has no lock.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // We may not open or lock a directory that belongs to somebody else, or that is being made.
        if ours && fs::File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sandbox;
    use super::*;
    use qris_host::secret::Secret;

    #[test]
    fn ports_differ_and_are_none_that_the_system_gives_away() {
        for _ in 0..50 {
            let Ports { broker, midtrans, backend } = Ports::find().expect("ports");
            assert!([broker, midtrans, backend].iter().all(|port| *port < 32_768), "{broker} {midtrans} {backend}");
            assert!(broker != midtrans && midtrans != backend && backend != broker);
        }
    }

    #[test]
    fn what_is_written_is_toml() {
        let options = Options { keep: false, grace_s: 5, cancel_wait_s: 3, sandbox: None };
        let mut files = Files {
            root: Path::new("/tmp/a \"b\""),
            ports: &Ports { broker: 1, midtrans: 2, backend: 3 },
            near: NearPorts { broker: 4, backend: 5, midtrans: 6, notices: 7 },
            options,
        };
        let read = |text: String| text.parse::<toml::Table>().unwrap_or_else(|error| panic!("{error}\n{text}"));
        let qrisd = read(files.qrisd_toml());
        assert_eq!(qrisd["item"].as_array().map(Vec::len), Some(PRODUCTS.len()));
        assert_eq!(qrisd["screen"]["virtual"]["path"].as_str(), Some("/tmp/a \"b\"/machine/screen.raw"));
        let relay = read(files.relay_toml());
        assert_eq!(relay["line"].as_array().map(Vec::len), Some(PRODUCTS.len()));
        assert_eq!(relay["dbus"]["bus"], qrisd["relay"]["bus"]);
        assert_eq!(read(files.backend_toml())["midtrans"]["base_url"].as_str(), Some("http://127.0.0.1:6"));
        files.options.sandbox = Some(Sandbox { url: sandbox::URL.parse().expect("an address"), key: Secret::new("SB-Mid-server-x") });
        assert_eq!(read(files.backend_toml())["midtrans"]["base_url"].as_str(), Some(sandbox::URL));
        assert_eq!(read(files.qrisd_toml())["orders"]["timeout_s"].as_integer(), Some(600));
    }

    #[test]
    fn the_directory_goes_with_its_value_or_with_the_next_demo_unless_it_is_kept() {
        let parent = tempfile::tempdir().expect("a directory");
        let create = |keep| Directory::create(parent.path(), keep).expect("a directory");
        let killed = create(false);
        let left = killed.path.clone();
        let living = create(false);
        assert!(left.exists(), "its demo lives");
        drop({
            // SIGKILL would do the same: the lock goes, the directory stays.
            let mut killed = killed;
            killed.lock.take()
        });
        assert!(left.exists());
        let kept = create(true).path.clone();
        assert!(!left.exists(), "swept by the next");
        drop(create(false));
        let path = living.path.clone();
        assert!(kept.exists() && path.exists());
        drop(living);
        assert!(!path.exists());
    }
}
