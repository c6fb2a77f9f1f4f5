//! The files of a whole shop, as real programs read them: configuration, secrets and keys of a machine and of its merchant. The demo,
//! the fleet, the tests of processes and the measurements write all of them here. So a setting that every shop needs stands in one
//! place, and what differs between shops is a field. What the broker reads is in `broker.rs`.

use std::fmt::Display;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

pub const DEVICE: &str = "vm-001";
/// Whom its customers may ask.
pub const CONTACT: &str = "0812-3456-7890";
/// The backend's user at the broker.
pub const BACKEND: &str = "backend";
const ISSUER: &str = "pay.example";

/// A file or port that a shop needs cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up {what}")]
pub struct SetUpError {
    pub what: String,
    pub source: io::Error,
}

impl SetUpError {
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = path.display().to_string();
        |source| Self { what, source }
    }
}

/// What a client or a server needs for mutual TLS.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate of the authority that both believe.
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// The broker, as a program reaches it.
#[derive(Debug, Clone, Copy)]
pub struct BrokerAccess<'a> {
    /// Its port on loopback.
    pub port: u16,
    pub password: &'a str,
    /// Plain MQTT without it.
    pub tls: Option<&'a Tls>,
}

/// The files of a machine: `qrisd.toml`, `relay.toml`, and the broker's password. [`enrol`] writes its keys and its token.
#[derive(Debug, Clone)]
pub struct MachineFiles<'a> {
    pub root: &'a Path,
    /// Where its two databases are.
    pub databases: &'a Path,
    pub broker: BrokerAccess<'a>,
    /// The backend's address. With https its certificate is of the broker's authority.
    pub backend: &'a str,
    /// The bus on which its two programs meet.
    pub bus: &'a str,
    /// The body of `[orders]`.
    pub orders: &'a str,
    /// The body of `[screen]`, but for the contact: mostly a [`framebuffer`].
    pub screen: &'a str,
    /// Other sections of `qrisd.toml`, and each [`item`].
    pub items: &'a str,
    /// Each [`line`](line()) of `relay.toml`.
    pub lines: &'a str,
}

impl MachineFiles<'_> {
    pub fn write(&self) -> Result<(), SetUpError> {
        self.broker.write_password(self.root, DEVICE)?;
        write(&self.root.join("qrisd.toml"), &self.qrisd())?;
        write(&self.root.join("relay.toml"), &relay(self.root, self.databases, self.bus, self.lines))
    }

    fn qrisd(&self) -> String {
        let ca =
            self.broker.tls.filter(|_| self.backend.starts_with("https:")).map(|tls| format!("ca_file = {}\n", quoted(tls.ca.display())));
        format!(
            r#"[device]
id = "{DEVICE}"
name = "Lobby"
language = "en"
[mqtt]
{mqtt}[backend]
url = "{backend}"
{ca}token_file = {token}
[receipts]
keys_file = {keys}
[orders]
{orders}
[store]
path = {store}
[screen]
{screen}
contact = "{CONTACT}"
[relay]
bus = {bus}
{items}"#,
            mqtt = self.broker.section(self.root, DEVICE),
            backend = self.backend,
            ca = ca.unwrap_or_default(),
            token = file(self.root, "backend-token"),
            keys = file(self.root, "keys.json"),
            orders = self.orders,
            store = file(self.databases, "qrisd.db"),
            screen = self.screen,
            bus = quoted(self.bus),
            items = self.items,
        )
    }
}

/// `relay.toml` of a machine whose keys are in `root`.
#[must_use]
pub fn relay(root: &Path, databases: &Path, bus: &str, lines: &str) -> String {
    let (bus, keys, ledger) = (quoted(bus), file(root, "keys.json"), file(databases, "ledger.db"));
    format!("[device]\nid = \"{DEVICE}\"\n[dbus]\nbus = {bus}\n[receipts]\nkeys_file = {keys}\n[ledger]\npath = {ledger}\n{lines}")
}

/// The body of `[screen]` for a file `screen.raw` in `root`, whose size is in pixels.
#[must_use]
pub fn framebuffer(root: &Path, width: usize, height: usize) -> String {
    format!("virtual = {{ path = {}, width = {width}, height = {height}, format = \"rgb565\" }}\n", file(root, "screen.raw"))
}

/// An `[[item]]` of `qrisd.toml`. `price`: whole rupiah, or a table.
#[must_use]
pub fn item(id: &str, name_id: &str, name_en: &str, price: impl Display) -> String {
    format!("[[item]]\nid = \"{id}\"\nname = {{ id = \"{name_id}\", en = \"{name_en}\" }}\nprice = {price}\n")
}

/// A `[[line]]` of `relay.toml`. `min_amount`: whole rupiah. `more` has other keys.
#[must_use]
pub fn line(name: &str, items: &[&str], min_amount: u64, chip: &str, more: &str) -> String {
    let chip = quoted(chip);
    format!("[[line]]\nname = \"{name}\"\nitems = {items:?}\nmin_amount = {min_amount}\nchip = {chip}\n{more}")
}

/// The files of a merchant: the backend's configuration, the gateway's key, and the broker's password.
#[derive(Debug, Clone)]
pub struct MerchantFiles<'a> {
    pub root: &'a Path,
    /// Where the backend listens on loopback.
    pub port: u16,
    /// Whether Midtrans and customers reach it there.
    pub public: bool,
    /// Other keys of `[http]`.
    pub http: &'a str,
    pub midtrans: &'a str,
    pub server_key: &'a str,
    /// Other keys of `[midtrans]`, and other sections.
    pub more: &'a str,
    /// The body of `[store]`; `None`: `orders.db` of SQLite.
    pub store: Option<&'a str>,
    pub broker: Option<BrokerAccess<'a>>,
}

impl MerchantFiles<'_> {
    /// Writes them, the configuration with this name.
    pub fn write(&self, name: &str) -> Result<(), SetUpError> {
        if let Some(broker) = self.broker {
            broker.write_password(self.root, BACKEND)?;
        }
        write(&self.root.join("server-key"), &format!("{}\n", self.server_key))?;
        write(&self.root.join(name), &self.backend())
    }

    fn backend(&self) -> String {
        let port = self.port;
        let store = self.store.map_or_else(|| database(self.root), str::to_owned);
        format!(
            r#"[http]
listen = "127.0.0.1:{port}"
{public}{http}[midtrans]
base_url = "{midtrans}"
allow_other_host = true
server_key_file = {server_key}
{more}
[store]
{store}
{mqtt}[receipts]
issuer = "{ISSUER}"
signing_key_file = {signing_key}
"#,
            public = if self.public { format!("public_url = \"http://127.0.0.1:{port}\"\n") } else { String::new() },
            http = self.http,
            midtrans = self.midtrans,
            server_key = file(self.root, "server-key"),
            more = self.more,
            mqtt = self.broker.map_or_else(String::new, |broker| format!("[mqtt]\n{}", broker.section(self.root, BACKEND))),
            signing_key = file(self.root, "signing-key.json"),
        )
    }
}

impl BrokerAccess<'_> {
    /// The body of `[mqtt]` for a user whose password is in `root`.
    fn section(&self, root: &Path, user: &str) -> String {
        let (port, scheme) = (self.port, if self.tls.is_some() { "mqtts" } else { "mqtt" });
        let tls = self.tls.map_or_else(String::new, |Tls { ca, certificate, key }| {
            let [ca, certificate, key] = [ca, certificate, key].map(|path| quoted(path.display()));
            format!("ca_file = {ca}\ncert_file = {certificate}\nkey_file = {key}\n")
        });
        let password = file(root, &password_file(user));
        format!("url = \"{scheme}://127.0.0.1:{port}\"\n{tls}username = \"{user}\"\npassword_file = {password}\n")
    }

    fn write_password(&self, root: &Path, user: &str) -> Result<(), SetUpError> {
        write(&root.join(password_file(user)), &format!("{}\n", self.password))
    }
}

#[must_use]
pub fn password_file(user: &str) -> String {
    format!("{user}-password")
}

/// The body of `[store]` for `orders.db` of SQLite in `root`.
#[must_use]
pub fn database(root: &Path) -> String {
    format!("url = {}\n", quoted(format_args!("sqlite://{}/orders.db", root.display())))
}

/// Makes the key for receipts, and lets the machine in, by the merchant's own commands. `run` runs one, and answers with what it
/// prints. The machine's part comes to `root`: `keys.json` and `backend-token`. Answers with the token.
pub fn enrol<E: From<SetUpError>>(root: &Path, run: impl Fn(&[&str]) -> Result<String, E>) -> Result<String, E> {
    run(&["keys", "new"])?;
    write(&root.join("keys.json"), &run(&["keys", "public"])?)?;
    let token = run(&["device", "add", DEVICE])?;
    write(&root.join("backend-token"), &token)?;
    Ok(token.trim().into())
}

/// Writes a file that only its owner may read, as secrets must be.
pub fn write(path: &Path, text: &str) -> Result<(), SetUpError> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(SetUpError::at(path))
}

/// 128 random bits in hexadecimal digits.
#[must_use]
pub fn random_name() -> String {
    let mut bits = [0; 16];
    qris_host::random::fill(&mut bits);
    qris_core::hex(&bits)
}

fn file(root: &Path, name: &str) -> String {
    quoted(root.join(name).display())
}

/// A TOML string.
#[must_use]
pub fn quoted(text: impl Display) -> String {
    serde_json::Value::from(text.to_string()).to_string()
}
