//! All that is around the machines: the broker, the backends, the simulated Midtrans, and the customers who pay there.

use super::audit::Records;
use super::machine::Machine;
use super::{FleetArguments, Result};
use qris_core::order::ids::DeviceId;
use qris_core::order::keys::KeySet;
use qris_core::order::time::{BootId, Wall};
use qris_demo::broker::{Accounts, Broker};
use qris_demo::chronicle::Chronicle;
use qris_demo::directory::Directory;
use qris_demo::ports::Lot;
use qris_demo::process::{self, Process, Program};
use qris_demo::shop::{BACKEND, BrokerAccess, MerchantFiles, random_name};
use qris_device::backend::Backend;
use qris_host::config::MqttSettings;
use qris_host::secret::Secret;
use qris_host::tls::LastTrusted;
use qris_sim::midtrans::{Options, Via};
use qris_sim::midtrans_http::{Simulator, SimulatorHandle};
use serde_json::Value;
use std::error::Error;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// The merchant's key at the simulated Midtrans. It guards nothing.
const SERVER_KEY: &str = "SB-Mid-server-fleet";

/// What the machines share.
pub struct Town {
    /// The keys that machines believe.
    pub keys: KeySet,
    pub midtrans: SimulatorHandle,
    records: Mutex<Records>,
}

impl Town {
    pub fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A customer pays. Midtrans sends its notification at once.
    pub fn pay(&self, id: &str) {
        self.records().sale(id).paid = Some(Instant::now());
        if let Err(error) = self.midtrans.with(|midtrans, now| midtrans.pay(id, Via::Gopay, false, now)) {
            self.records().wrong.push(format!("{id} cannot be paid: {error:?}"));
        }
    }
}

/// The machines, and all programs that run. They end in the order of the fields.
pub struct Fleet {
    pub town: Arc<Town>,
    pub machines: Vec<Arc<Machine>>,
    pub broker: Broker,
    _backends: Vec<Process>,
    /// The configuration of the first backend.
    merchant: PathBuf,
    _directory: Directory,
    _lot: Lot<5>,
}

impl Fleet {
    /// Starts the programs. The machines have no network yet.
    pub async fn start(arguments: &FleetArguments) -> Result<Self> {
        let (directory, lot) = (Directory::create(&std::env::temp_dir(), false)?, Lot::<5>::take()?);
        let (root, broker_port, ports) = (&directory.path, lot.ports[0], &lot.ports[1..=arguments.backends]);
        let midtrans = Simulator::start(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?, Options::new(SERVER_KEY, ""))?;
        let (password, store) = (random_name(), arguments.database.as_ref().map(|url| format!("url = \"{url}\"\n")));
        let config = |port: u16| format!("backend-{port}.toml");
        for &port in ports {
            let merchant = MerchantFiles {
                root,
                port,
                public: true,
                http: "orders_per_minute = 0\n",
                midtrans: &midtrans.url(),
                server_key: SERVER_KEY,
                more: "",
                store: store.as_deref(),
                broker: Some(BrokerAccess { port: broker_port, password: &password, tls: None }),
            };
            merchant.write(&config(port))?;
        }
        let merchant = root.join(config(ports[0]));
        let command = |words: &[&str]| Ok::<_, Box<dyn Error + Send + Sync>>(String::from_utf8(process::backend(&merchant, words)?)?);
        command(&["keys", "new"])?;
        let keys = KeySet::from_jwks(&command(&["keys", "public"])?)?;
        let town = Arc::new(Town { keys, midtrans, records: Mutex::default() });
        let names: Vec<_> = (0..arguments.machines).map(|number| format!("vm-{number:04}")).collect();
        let users = names.iter().map(String::as_str).chain([BACKEND]).map(|name| (name, &*password));
        let broker = Broker::start(root, broker_port, &Accounts::write(root, users, "nobody")?, "").await?;
        let mut machines = Vec::new();
        for (number, name) in names.into_iter().enumerate() {
            let (device, token) = (DeviceId::new(&name)?, Secret::new(command(&["device", "add", &name])?.trim()));
            let settings = MqttSettings {
                host: Ipv4Addr::LOCALHOST.to_string(),
                port: broker_port,
                tls: false,
                username: Some(name),
                password: Some(Secret::new(&*password)),
                ca_file: None,
                cert_file: None,
                key_file: None,
            };
            let link = qris_device::broker::link(&device, &token, &settings, &LastTrusted::default())?;
            let url = format!("http://127.0.0.1:{}", ports[number % ports.len()]);
            let settings = qris_device::config::Backend { url, token, ca_file: None };
            let backend = Backend::new(&settings, &BootId("fleet".into()), &LastTrusted::default())?;
            let (has_network, town) = (watch::Sender::new(false), Arc::clone(&town));
            machines.push(Arc::new(Machine { number, device, link, backend, has_network, town }));
        }
        let mut backends = Vec::new();
        for &port in ports {
            let program = Program::backend(&root.join(config(port)), &["serve"]);
            backends.push(Process::start(&program, root, &Arc::new(Chronicle::new())).await?);
        }
        machines.iter().for_each(|machine| drop(tokio::spawn(Arc::clone(machine).run())));
        Ok(Self { town, machines, broker, _backends: backends, merchant, _directory: directory, _lot: lot })
    }

    /// The backend's own report of these days, as an operator reads it.
    pub fn report(&self, from: Wall, until: Wall) -> Result<Value> {
        let [from, until] = [from, until].map(|day| day.to_wib()[..10].to_owned());
        Ok(serde_json::from_slice(&process::backend(&self.merchant, &["report", "--date", &from, "--until", &until, "--json"])?)?)
    }
}
