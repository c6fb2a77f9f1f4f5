//! What the demo's shop sells, and its files before anything runs.

use super::captions::Bilingual;
use super::controller;
use super::panel::{HEIGHT, WIDTH};
use super::ports::{NearPorts, Ports};
use super::sandbox::Sandbox;
use super::shop::{BrokerAccess, CONTACT, MachineFiles, MerchantFiles, SetUpError, framebuffer, item, line, quoted, write};
use serde::Serialize;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

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
    pub id: &'static str,
    /// On the button and the screen.
    pub name: &'static str,
    /// On the screen of an Indonesian machine.
    name_id: &'static str,
    /// Whole rupiah.
    pub rupiah: u64,
    /// So many have room, and the machine counts them. `None`: it does not.
    pub capacity: Option<u32>,
}

impl Product {
    #[must_use]
    pub fn words(&self) -> Bilingual {
        Bilingual { en: self.name.into(), id: self.name_id.into() }
    }
}

pub const PRODUCTS: [Product; 4] = [
    Product { id: "A1", name: "Bottled tea 350 ml", name_id: "Teh botol 350 ml", rupiah: 5_000, capacity: None },
    Product { id: "A2", name: "Mineral water 600 ml", name_id: "Air mineral 600 ml", rupiah: 4_000, capacity: None },
    Product { id: "A3", name: "Iced coffee 220 ml", name_id: "Es kopi 220 ml", rupiah: 9_500, capacity: None },
    Product { id: "A4", name: "Cassava chips 120 g", name_id: "Keripik singkong 120 g", rupiah: 12_000, capacity: Some(2) },
];

/// The differences between the page and the script.
#[derive(Debug, Clone)]
pub struct Options {
    /// The temporary directory stays at the end.
    pub keep: bool,
    /// The broker is the Mosquitto that is installed, and not the one inside.
    pub mosquitto: bool,
    /// `late_settlement_grace_s` of the machine.
    pub grace_s: u32,
    /// `cancel_wait_s` of the machine.
    pub cancel_wait_s: u32,
    /// Midtrans' sandbox, if the money is there. Else there is a simulated Midtrans.
    pub sandbox: Option<Sandbox>,
    /// Where the owner's pages listen, if there are any.
    pub desk: Option<IpAddr>,
    /// The page's address, without a slash at the end. Customers find the backend and its simulated Midtrans behind it, too.
    pub page: Option<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The temporary directory.
    pub root: &'a Path,
}

impl Files<'_> {
    #[must_use]
    pub fn machine(self, name: &str) -> PathBuf {
        self.root.join("machine").join(name)
    }

    #[must_use]
    pub fn broker(self) -> PathBuf {
        self.root.join("broker")
    }

    /// The directory of sockets on which programs tell that they are ready.
    #[must_use]
    pub fn run(self) -> PathBuf {
        self.root.join("run")
    }

    /// The socket of the machine's D-Bus interface for controllers.
    #[must_use]
    pub fn controller(self) -> PathBuf {
        self.machine("vend.sock")
    }

    /// The socket at which the backend answers the desk.
    #[must_use]
    pub fn desk(self) -> PathBuf {
        self.run().join("serve.sock")
    }

    /// The backend's configuration.
    #[must_use]
    pub fn backend(self) -> PathBuf {
        self.root.join("merchant/backend.toml")
    }

    /// Writes all files that the first command needs. All users of the broker have one password.
    pub fn write(self, ports: Ports, near: NearPorts, options: &Options, password: &str) -> Result<(), SetUpError> {
        let (machine, merchant) = (self.root.join("machine"), self.root.join("merchant"));
        for path in [&machine, &merchant, &self.broker(), &self.run()] {
            fs::DirBuilder::new().mode(0o700).create(path).map_err(SetUpError::at(path))?;
        }
        let environment = controller::environment(ports.broker, password, &self.controller());
        write(&self.root.join(controller::ENVIRONMENT), &environment)?;
        // The sandbox cannot reach this computer: the backend asks it.
        let (midtrans, server_key, notices) = match &options.sandbox {
            Some(Sandbox { url, key }) => (url.as_str().trim_end_matches('/').to_owned(), key.expose(), String::new()),
            None => {
                let notices = format!("notification_url = \"http://127.0.0.1:{}/midtrans/notifications\"\n", near.notices);
                (format!("http://127.0.0.1:{}", near.midtrans), SERVER_KEY, notices)
            }
        };
        // The sandbox must not be told an address that it cannot reach.
        let page = options.page.as_deref().filter(|_| options.sandbox.is_none());
        let public_url = page.map_or_else(String::new, |page| format!("public_url = \"{page}\"\nallow_plaintext = true\n"));
        let desk = options.desk.map_or_else(String::new, |_| {
            let (url, socket) = (format_args!("http://127.0.0.1:{}", ports.desk), self.desk());
            format!("[desk]\nurl = \"{url}\"\nsocket = {}\n", quoted(socket.display()))
        });
        let merchant = MerchantFiles {
            root: &merchant,
            port: ports.backend,
            public: options.sandbox.is_none() && page.is_none(),
            http: &(public_url + "orders_per_minute = 60\n"),
            midtrans: &midtrans,
            server_key,
            more: &format!("{notices}[customer]\ncontact = \"{CONTACT}\"\n{desk}"),
            store: None,
            broker: Some(BrokerAccess { port: ports.broker, password, tls: None }),
        };
        merchant.write("backend.toml")?;
        let Options { grace_s, cancel_wait_s, .. } = options;
        let timeout_s = if options.sandbox.is_some() { SANDBOX_TIMEOUT_S } else { TIMEOUT_S };
        // A motor for each product. One file stands for all motors, like a board with several relays.
        let chip = format!("sim:{}", self.machine("relay.log").display());
        let motor = |Product { id, rupiah, .. }: Product| line(id, &[id], rupiah, &chip, &format!("pulse_ms = {PULSE_MS}\n"));
        let counted = |capacity: Option<u32>| capacity.map_or_else(String::new, |capacity| format!("capacity = {capacity}\nlow = 1\n"));
        let of = |Product { id, name, name_id, rupiah, capacity }| item(id, name_id, name, rupiah) + &counted(capacity);
        let items: String = PRODUCTS.map(of).concat();
        // Sockets without a bus: a laptop may have none.
        let controllers = format!("[controller]\nbus = {}\n", quoted(format_args!("peer:{}", self.controller().display())));
        let machine = MachineFiles {
            root: &machine,
            databases: &machine,
            broker: BrokerAccess { port: near.broker, password, tls: None },
            backend: &format!("http://127.0.0.1:{}", near.backend),
            bus: &format!("peer:{}", self.machine("relay.sock").display()),
            orders: &format!(
                "timeout_s = {timeout_s}\norders_per_minute = 60\ncancel_wait_s = {cancel_wait_s}\nlate_settlement_grace_s = {grace_s}\n"
            ),
            screen: &framebuffer(&machine, WIDTH, HEIGHT),
            items: &(controllers + &items),
            lines: &PRODUCTS.map(motor).concat(),
        };
        machine.write()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{sandbox, shop};
    use super::*;
    use qris_core::order::keys::{SigningKey, jwk_set};
    use qris_core::order::time::Span;
    use qris_host::secret::Secret;

    /// By the programs' own readers: a key that all need, and no shop has, is missed here.
    #[test]
    fn the_programs_take_what_is_written() {
        let simulated = Options { keep: false, mosquitto: false, grace_s: 5, cancel_wait_s: 3, sandbox: None, desk: None, page: None };
        let open = Options { page: Some("http://192.0.2.2:81".into()), desk: Some([0, 0, 0, 0].into()), ..simulated.clone() };
        let sandbox = Sandbox { url: sandbox::URL.parse().expect("an address"), key: Secret::new("SB-Mid-server-x") };
        let cases = [
            (simulated, "http://127.0.0.1:6", Some("http://127.0.0.1:7/midtrans/notifications"), Some("http://127.0.0.1:3"), 120),
            (open.clone(), "http://127.0.0.1:6", Some("http://127.0.0.1:7/midtrans/notifications"), Some("http://192.0.2.2:81"), 120),
            (Options { sandbox: Some(sandbox), ..open }, sandbox::URL, None, None, 600),
        ];
        for (options, midtrans, notices, customers, timeout_s) in cases {
            let parent = tempfile::tempdir().expect("a directory");
            let root = parent.path().join("a \"b\"");
            fs::create_dir(&root).expect("made");
            let files = Files { root: &root };
            let near = NearPorts { broker: 4, backend: 5, midtrans: 6, notices: 7 };
            files.write(Ports { broker: 1, midtrans: 2, backend: 3, desk: 8 }, near, &options, "secret").expect("written");
            let run = |command: &[&str]| {
                let keys = || jwk_set(&[SigningKey::from_seed([1; 32]).to_public_jwk("here")]);
                Ok(if command == ["keys", "public"] { keys() } else { "token\n".into() })
            };
            assert_eq!(shop::enrol::<SetUpError>(&root.join("machine"), run).expect("written"), "token");
            let (backend, source) = qris_backend::config::Config::read(&files.backend()).expect("it is taken");
            assert_eq!((backend.gateway.notification_url(), backend.public_url.as_deref()), (notices, customers));
            assert!(source.text().contains(midtrans), "{}", source.text());
            let relay = qris_relay::config::Config::load(&files.machine("relay.toml")).expect("it is taken");
            assert_eq!(relay.lines.len(), PRODUCTS.len());
            let qrisd = qris_device::config::Config::load(&files.machine("qrisd.toml")).expect("it is taken");
            assert_eq!((qrisd.relay, qrisd.backend.url.as_str()), (relay.bus, "http://127.0.0.1:5"));
            let counted = PRODUCTS.iter().filter(|product| product.capacity.is_some()).count();
            assert_eq!((qrisd.machine.slots.len(), counted), (1, 1));
            assert_eq!((qrisd.machine.names.len(), qrisd.machine.orders.timeout), (PRODUCTS.len(), Span::secs(timeout_s)));
        }
    }
}
