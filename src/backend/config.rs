//! `backend.toml`: as it is written, and as it is used.

use crate::desk;
use crate::gateway::Configured;
use crate::http;
use crate::keeping::databases::StoreLocation;
use crate::keys::Ring;
use crate::machines::accounts::Administrator;
use crate::midtrans;
use crate::money::takings::{Fees, FeesSection};
use crate::settings::{DESCRIPTORS_BESIDE, SETTINGS};
use crate::store::MACHINES_FILE;
use crate::store::postgres::Server;
use crate::telling::alerts::{self, OFFLINE_AFTER, Tellers};
use qris_core::contact::telephone;
use qris_core::order::time::{Span, Zone};
use qris_core::text::steers;
use qris_host::config::settings::{is_on, number};
use qris_host::config::{Checker, Faults, MqttSection, MqttSettings, Source, web_url};
use qris_host::connections::Limits;
use qris_host::descriptors;
use qris_host::mqtt::LinkSettings;
use qris_host::secret::Secret;
use qris_host::speech::fill;
use qris_host::texts;
use qris_host::tls::LastTrusted;
use serde::Deserialize;
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// The longest issuer: it stands in every receipt.
const ISSUER_MAX: usize = 100;
texts! {
    listen: "harus ADDRESS:PORT, seperti {0}, bukan {1}", "must be ADDRESS:PORT, as in {0}, not {1}";
    proxies: "harus alamat IP, seperti {0}, bukan {1}", "must be IP addresses, as in {0}, not {1}";
    descriptors: "perlu {0} file descriptor, {1} di antaranya untuk berkas lain; batasnya {2} (`LimitNOFILE=` di unit, `ulimit -Hn`)", "needs {0} file descriptors, {1} of them for other files; the limit is {2} (`LimitNOFILE=` of the unit, `ulimit -Hn`)";
    broker_url: "perlu bagian [mqtt]: ini broker itu juga, seperti yang dihubungi mesin", "needs a section [mqtt]: this is that broker, as a machine reaches it";
    plain: "harus 1 sampai {0} karakter teks biasa", "must be 1 to {0} characters of plain text";
    issuer: "harus 1 sampai {0} byte teks biasa", "must be 1 to {0} bytes of plain text";
    postgres_only: "hanya untuk PostgreSQL: berkas SQLite tidak punya kata sandi", "is for PostgreSQL only: a file of SQLite has no password";
    machines_file: "{0} adalah nama basis data mesin: beri pembukuan nama lain", "{0} is the name of the machines' database: give the books another name";
    store: "harus sqlite:///PATH dengan path absolut, atau postgres://USER@HOST/DATABASE, bukan {0}", "must be sqlite:///PATH with an absolute path, or postgres://USER@HOST/DATABASE, not {0}";
    accounts: "perlu bagian [mqtt]: akun-akunnya dibuat di broker itu", "needs a section [mqtt]: the accounts are made at that broker";
    no_telephone: "tidak berisi nomor telepon: pelanggan tidak mendapat tombol untuk menelepon", "has no telephone number in it: customers get no button to call";
    contact: "belum diisi: pelanggan perlu orang yang bisa dihubungi tentang uang mereka", "is missing: customers need somebody whom they can call about their money";
}

/// The longest name of the merchant and the longest contact, in characters: they stand on a phone's page.
pub const CONTACT_MAX: usize = 64;
const SIGNING_KEY: &str = "receipts.signing_key_file";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenConfig {
    http: Http,
    customer: CustomerPage,
    midtrans: midtrans::Section,
    orders: Orders,
    alerts: Option<alerts::Section>,
    store: Store,
    mqtt: Option<MqttSection>,
    accounts: Option<Accounts>,
    machines: Machines,
    receipts: Receipts,
    reports: Reports,
    fees: FeesSection,
    desk: Option<desk::Section>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accounts {
    username: String,
    password_file: PathBuf,
}

/// What machines are told otherwise than the backend itself.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Machines {
    broker_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Orders {
    reversal_window_s: Option<i64>,
    collect_within_h: Option<i64>,
    auto_refund: Option<bool>,
    auto_refund_per_day: Option<i64>,
    second_tries: Option<i64>,
    try_again_within_h: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Http {
    listen: Option<String>,
    public_url: Option<String>,
    allow_plaintext: Option<bool>,
    orders_per_minute: Option<i64>,
    connections: Option<i64>,
    proxies: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CustomerPage {
    merchant: Option<String>,
    contact: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Store {
    url: Option<String>,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Receipts {
    issuer: Option<String>,
    signing_key_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Reports {
    zone: Option<String>,
}

/// The configuration, checked. Secrets are read by [`Configured::open`] and `keys::Ring`.
#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    /// Its address from outside, without a slash at the end. Without one it is reached from this computer only: it asks the
    /// gateway about each order, and customers have no page.
    pub public_url: Option<String>,
    /// The most orders of one machine in a minute; 0: no limit.
    pub orders_per_minute: u32,
    pub limits: Limits,
    pub gateway: Arc<dyn Configured>,
    /// How long an Indomaret may take a settlement back.
    pub reversal_window: Span,
    /// How long an order that was paid over the counter can be collected.
    pub collect_within: Span,
    /// The most refunds of one machine in a day that the backend begins by itself; 0: none.
    pub auto_refund_per_day: u32,
    /// How many other tries there may be at an order of which nothing came; 0: none.
    pub second_tries: u32,
    /// The most of them that one machine begins in a day.
    pub tries_per_day: u32,
    /// How long after such an end another try may begin.
    pub try_again_within: Span,
    pub store: StoreLocation,
    pub mqtt: Option<MqttSettings>,
    /// The broker's address for machines, if that is not its address for this backend.
    pub broker_url: Option<String>,
    /// Where the machines' accounts there are made, if this backend makes them.
    pub accounts: Option<Administrator>,
    /// The name of the merchant for customers; else the one in the QR.
    pub merchant: Option<Box<str>>,
    pub contact: Option<Box<str>>,
    /// `iss` of receipts.
    pub issuer: Box<str>,
    pub signing_key_file: PathBuf,
    /// How people are told of everything at which they must look.
    pub tellers: Option<Tellers>,
    /// The zone of lists, reports and days.
    pub zone: Zone,
    /// What the gateway keeps of a payment, as far as the merchant has said it.
    pub fees: Fees,
    pub desk: Option<desk::Settings>,
    /// The path of the broker's password, for the check of the rights of such files.
    pub mqtt_password_file: Option<PathBuf>,
}

impl Config {
    pub fn read(path: &Path) -> Result<(Self, Source), Faults> {
        let source = Source::read(path)?;
        let config = Self::from_source(&source)?;
        Ok((config, source))
    }

    pub fn from_source(source: &Source) -> Result<Self, Faults> {
        source.read_checked(check)
    }

    /// Checks a configuration with the secrets that it names, and the readers of those files: `--check`.
    pub fn examine(path: &Path) -> Result<Self, Faults> {
        Source::read(path)?.read_checked(|written: WrittenConfig, checker| {
            let signing_key = written.receipts.signing_key_file.clone();
            written.mqtt.iter().for_each(|mqtt| mqtt.guard("mqtt", checker));
            let accounts = written.accounts.as_ref().map(|accounts| accounts.password_file.as_path());
            checker.guard(accounts, "accounts.password_file");
            written.alerts.iter().for_each(|alerts| alerts.guard(checker));
            written.midtrans.examine(checker);
            checker.guard(signing_key.as_deref(), SIGNING_KEY);
            let config = check(written, checker);
            if let Some(config) = &config {
                config.take_descriptors(checker);
                config.desk.iter().for_each(|desk| checker.socket(&desk.socket, "desk.socket"));
            }
            if let Some(file) = signing_key {
                checker.take(Ring::read(&file), SIGNING_KEY);
            }
            config
        })
    }

    /// Where machines find it: its public address. Without one, only machines on this very computer do.
    #[must_use]
    pub fn address(&self) -> Cow<'_, str> {
        let here = || {
            let ip = match self.listen.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            };
            format!("http://{}", SocketAddr::new(ip, self.listen.port())).into()
        };
        self.public_url.as_deref().map_or_else(here, Into::into)
    }

    /// A machine that is missing for this long is told as missing.
    #[must_use]
    pub fn offline_after(&self) -> Span {
        self.tellers.as_ref().map_or(Span::secs(OFFLINE_AFTER.usual), |tellers| tellers.offline_after)
    }

    /// Remarks that keep no program from running, but that somebody should see to.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let why = match self.contact.as_deref() {
            None => texts().contact,
            Some(contact) if telephone(contact).is_none() => texts().no_telephone,
            Some(_) => return None,
        };
        Some(format!("customer.contact: {why}"))
    }

    /// Makes sure that this process may have enough descriptors for its connections and the rest.
    pub fn allow_descriptors(&self, source: &Source) -> Result<(), Faults> {
        let mut checker = source.checker();
        self.take_descriptors(&mut checker);
        checker.finish()
    }

    fn take_descriptors(&self, checker: &mut Checker<'_>) {
        let wanted = self.limits.connections as u64 + DESCRIPTORS_BESIDE;
        if let Some(most) = checker.take(descriptors::allow(wanted), "http.connections")
            && most < wanted
        {
            checker.fault("http.connections", fill(texts().descriptors, &[&wanted, &DESCRIPTORS_BESIDE, &most]));
        }
    }
}

fn check(written: WrittenConfig, checker: &mut Checker<'_>) -> Option<Config> {
    let WrittenConfig { http, customer, midtrans, orders, alerts, store, mqtt, accounts, machines, receipts, reports, fees, desk } =
        written;
    let listen = checker.required(http.listen, "http.listen");
    let listen = listen.and_then(|text| address(&text, "http.listen", (texts().listen, "\"0.0.0.0:8080\""), checker));
    let public_url = http.public_url.and_then(|url| checker.take(web_url(&url, http.allow_plaintext == Some(true)), "http.public_url"));
    let proxies = match http.proxies {
        Some(proxies) => {
            let words = (texts().proxies, "[\"10.0.0.5\"]");
            proxies.iter().filter_map(|text| address(text, "http.proxies", words, checker)).collect()
        }
        None => [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].into(),
    };
    // Each gateway has its own section, and one of them is there.
    let gateway = midtrans.check(public_url.as_deref(), checker).map(|account| Arc::new(account) as Arc<dyn Configured>);
    let store = place(store, checker);
    // A wrong section is a fault. Without a section nothing is pushed.
    let mqtt_password_file = mqtt.as_ref().and_then(|section| section.password_file.clone());
    let mqtt = mqtt.map(|section| section.check("mqtt", checker));
    if let Some(Some(settings)) = &mqtt {
        checker.take(LinkSettings::new(settings.clone(), "", &LastTrusted::default()), "mqtt.ca_file");
    }
    machines.check(mqtt.is_some(), checker);
    let accounts = accounts.map(|section| administrator(section, mqtt.as_ref(), checker));
    let mut plain = |text: Option<String>, key| text.map(|text| customers(&text, key, checker));
    let (merchant, contact) = (plain(customer.merchant, "customer.merchant"), plain(customer.contact, "customer.contact"));
    let (issuer, signing_key_file) = receipts.check(checker);
    let mut count = |written, key| u32::try_from(checker.whole(written, number(SETTINGS, key))).expect("checked");
    let orders_per_minute = count(http.orders_per_minute, "http.orders_per_minute");
    let connections = usize::try_from(count(http.connections, "http.connections")).expect("checked");
    let reversal_window = Span::secs(count(orders.reversal_window_s, "orders.reversal_window_s").into());
    let collect_within = Span::secs(i64::from(count(orders.collect_within_h, "orders.collect_within_h")) * 3600);
    let per_day = count(orders.auto_refund_per_day, "orders.auto_refund_per_day");
    let second_tries = count(orders.second_tries, "orders.second_tries");
    let try_again_within = Span::secs(i64::from(count(orders.try_again_within_h, "orders.try_again_within_h")) * 3600);
    let fees = fees.check(checker);
    let zones = Zone::ALL.map(|zone| (zone.as_str(), zone));
    let zone = checker.word(reports.zone.as_deref(), Zone::default(), &zones, "reports.zone");
    let tellers = alerts.map(|section| section.check(checker));
    let desk = desk.map(|section| section.check(checker));
    Some(Config {
        listen: listen?,
        public_url,
        orders_per_minute,
        limits: http::limits(connections, proxies),
        gateway: gateway?,
        reversal_window,
        collect_within,
        auto_refund_per_day: if orders.auto_refund.unwrap_or(is_on(SETTINGS, "orders.auto_refund")) { per_day } else { 0 },
        second_tries,
        tries_per_day: per_day,
        try_again_within,
        store: store?,
        mqtt: sound(mqtt)?,
        broker_url: machines.broker_url,
        accounts: sound(accounts)?,
        merchant,
        contact,
        issuer: issuer?.into(),
        signing_key_file: signing_key_file?,
        tellers: sound(tellers)?,
        zone: zone?,
        fees,
        desk: sound(desk)?,
        mqtt_password_file,
    })
}

/// A section that is not there is right, and one that is there may have faults.
fn sound<T>(section: Option<Option<T>>) -> Option<Option<T>> {
    section.map_or(Some(None), |checked| checked.map(Some))
}

/// Reads an address, or notes in `words` what one looks like: a text and an example.
fn address<T: FromStr>(text: &str, key: &str, (words, example): (&str, &str), checker: &mut Checker<'_>) -> Option<T> {
    text.parse().map_err(|_| checker.fault(key, fill(words, &[&example, &format_args!("{text:?}")]))).ok()
}

/// What customers read.
fn customers(text: &str, key: &str, checker: &mut Checker<'_>) -> Box<str> {
    if contact(text).is_none() {
        checker.fault(key, fill(texts().plain, &[&CONTACT_MAX]));
    }
    text.trim().into()
}

impl Receipts {
    fn check(self, checker: &mut Checker<'_>) -> (Option<String>, Option<PathBuf>) {
        let issuer = checker.required(self.issuer, "receipts.issuer").filter(|issuer| {
            let plain = !issuer.is_empty() && issuer.len() <= ISSUER_MAX && !issuer.contains(steers);
            if !plain {
                checker.fault("receipts.issuer", fill(texts().issuer, &[&ISSUER_MAX]));
            }
            plain
        });
        (issuer, checker.required(self.signing_key_file, SIGNING_KEY))
    }
}

impl Machines {
    /// The address is checked as a machine checks it.
    fn check(&self, has_broker: bool, checker: &mut Checker<'_>) {
        let Some(url) = &self.broker_url else { return };
        let section = MqttSection { url: Some(url.clone()), allow_plaintext: Some(true), ..MqttSection::default() };
        for (_, why) in section.settle().err().into_iter().flatten() {
            checker.fault("machines.broker_url", why);
        }
        if !has_broker {
            checker.fault("machines.broker_url", texts().broker_url);
        }
    }
}

/// A contact that fits on a phone's page.
#[must_use]
pub fn contact(text: &str) -> Option<&str> {
    let fits = text.chars().count() <= CONTACT_MAX && !text.contains(steers);
    Some(text.trim()).filter(|text| fits && !text.is_empty())
}

fn place(section: Store, checker: &mut Checker<'_>) -> Option<StoreLocation> {
    let Store { url, password_file, ca_file } = section;
    let url = checker.required(url, "store.url")?;
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        let password = sound(password_file.map(|file| checker.take(Secret::read(&checker.locate(&file)), "store.password_file")))?;
        let server = Server::new(&url, password.as_ref().map(Secret::expose), ca_file.as_deref());
        return checker.take(server, "store.url").map(|server| StoreLocation::Server(Box::new(server)));
    }
    for (key, given) in [("store.password_file", password_file.is_some()), ("store.ca_file", ca_file.is_some())] {
        if given {
            checker.fault(key, texts().postgres_only);
        }
    }
    match url.strip_prefix("sqlite://") {
        Some(path) if path.starts_with('/') && path.ends_with(&format!("/{MACHINES_FILE}")) => {
            let why = fill(texts().machines_file, &[&MACHINES_FILE]);
            checker.fault("store.url", why);
            None
        }
        Some(path) if path.starts_with('/') && path.len() > 1 => Some(StoreLocation::File(PathBuf::from(path))),
        Some(_) | None => {
            let why = fill(texts().store, &[&format_args!("{url:?}")]);
            checker.fault("store.url", why);
            None
        }
    }
}

/// Mosquitto's plugin is at the broker of `[mqtt]`, and its administrator has another name there.
fn administrator(section: Accounts, mqtt: Option<&Option<MqttSettings>>, checker: &mut Checker<'_>) -> Option<Administrator> {
    let Accounts { username, password_file } = section;
    let password = checker.take(Secret::read(&checker.locate(&password_file)), "accounts.password_file");
    let Some(broker) = mqtt else {
        checker.fault("accounts", texts().accounts);
        return None;
    };
    Some(Administrator(MqttSettings { username: Some(username), password: Some(password?), ..broker.clone()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
[http]
listen = "127.0.0.1:8080"
public_url = "https://pay.example/"
[midtrans]
base_url = "https://api.sandbox.midtrans.com"
server_key_file = "/etc/key"
[store]
url = "sqlite:///var/lib/qris-backend/orders.db"
[receipts]
issuer = "pay.example"
signing_key_file = "/etc/signing"
"#;

    fn faults(text: &str) -> String {
        Config::from_source(&Source::from_text("backend.toml", text)).expect_err("a fault").to_string()
    }

    #[test]
    fn defaults_are_the_contract() {
        let config = Config::from_source(&Source::from_text("backend.toml", GOOD)).expect("good");
        assert_eq!(config.gateway.notification_url(), Some("https://pay.example/midtrans/notifications"));
        assert_eq!((config.orders_per_minute, config.gateway.max_imposed_fee()), (10, 0));
        assert_eq!((config.reversal_window, config.collect_within), (Span::secs(300), Span::secs(72 * 3600)));
        assert_eq!(config.auto_refund_per_day, 0);
        assert!(config.gateway.is_sandbox() && config.mqtt.is_none());
        let real = GOOD.replace("api.sandbox.midtrans.com", "api.midtrans.com");
        assert!(!Config::from_source(&Source::from_text("b", real)).expect("good").gateway.is_sandbox());
        let near = GOOD.replace("api.sandbox.midtrans.com\"", "api.midtrans.com.example\"\nallow_other_host = true");
        assert!(Config::from_source(&Source::from_text("b", near)).expect("good").gateway.is_sandbox());
    }

    #[test]
    fn without_a_public_address_it_is_reached_from_its_own_computer() {
        let config = |listen: &str| {
            let text = GOOD.replace("public_url = \"https://pay.example/\"", "").replace("127.0.0.1:8080", listen);
            Config::from_source(&Source::from_text("b", text)).expect("good")
        };
        assert_eq!((config("127.0.0.1:8080").gateway.notification_url(), config("127.0.0.1:8080").public_url), (None, None));
        for (listen, address) in
            [("0.0.0.0:81", "http://127.0.0.1:81"), ("[::]:81", "http://[::1]:81"), ("127.0.0.2:81", "http://127.0.0.2:81")]
        {
            assert_eq!(config(listen).address(), address);
        }
        assert_eq!(Config::from_source(&Source::from_text("b", GOOD)).expect("good").address(), "https://pay.example");
    }

    #[test]
    fn a_public_address_in_plain_text_is_a_decision() {
        let text = GOOD.replace("\"https://pay.example/\"", "\"http://192.0.2.2:81\"\nallow_plaintext = true");
        assert_eq!(Config::from_source(&Source::from_text("b", text)).expect("good").address(), "http://192.0.2.2:81");
    }

    #[test]
    fn what_the_merchant_wants_of_orders_is_read() {
        let text = format!("{GOOD}[orders]\nreversal_window_s = 0\ncollect_within_h = 1\nauto_refund = true\n");
        let config = Config::from_source(&Source::from_text("b", text)).expect("good");
        assert_eq!((config.reversal_window, config.collect_within, config.auto_refund_per_day), (Span::ZERO, Span::secs(3600), 10));
    }

    #[test]
    fn each_wrong_key_is_named_with_its_line() {
        let table = [
            ("listen = \"127.0.0.1:8080\"", "listen = \"here\"", "backend.toml:3: http.listen:"),
            ("https://pay.example/", "http://pay.example", "http.public_url: http:// is for loopback only"),
            ("server_key_file", "charge_as = \"card\"\nserver_key_file", "backend.toml:7: midtrans.charge_as:"),
            ("server_key_file", "colour = 1\nserver_key_file", "backend.toml:7: midtrans.colour: unknown"),
            ("server_key_file", "max_imposed_fee = -1\nserver_key_file", "midtrans.max_imposed_fee: must be 0 to"),
            ("server_key_file", "qr_expiry_min = 14\nserver_key_file", "midtrans.qr_expiry_min: must be 15 to"),
            ("server_key_file", "counter_expiry_min = 14\nserver_key_file", "midtrans.counter_expiry_min: must be 15 to"),
            ("server_key_file", "acquirer = \"gopay\"\nserver_key_file", "midtrans.acquirer: is for charge_as"),
            (
                "server_key_file",
                "picture_hosts = [\"https://a.example\"]\nserver_key_file",
                "midtrans.picture_hosts: must be a list of host",
            ),
            ("server_key_file", "customer = { }\nserver_key_file", "midtrans.customer: needs at least one of"),
            ("[store]", "[orders]\nauto_refund_per_day = 0\n[store]", "orders.auto_refund_per_day: must be 1 to"),
            ("sqlite:///var", "postgres://var", "store.url: must be postgres://USER@HOST"),
            ("sqlite:///var", "postgres://qris:secret@db.example/qris#", "store.url: must not have the password in it"),
            ("orders.db", "devices.db", "store.url: devices.db is the name of the machines' database"),
            ("sqlite:///var", "sqlite://var", "store.url: must be sqlite:///PATH"),
            ("server_key_file", "ca_file = \"/nowhere\"\nserver_key_file", "backend.toml:7: midtrans.ca_file:"),
            ("issuer = \"pay.example\"", "issuer = \"\"", "receipts.issuer: must be 1 to 100"),
            ("issuer = \"pay.example\"", "", "receipts.issuer: is missing"),
            ("[store]", "[reports]\nzone = \"UTC\"\n[store]", "reports.zone: must be \"WIB\", \"WITA\" or \"WIT\", not \"UTC\""),
            ("[store]", "[fees]\nqris = { }\n[store]", "fees.qris: needs basis_points"),
            ("[store]", "[customer]\ncontact = \" \"\n[store]", "customer.contact: must be 1 to 64"),
            ("[store]", "[customer]\nmerchant = \"\"\n[store]", "customer.merchant: must be 1 to 64"),
            ("[store]", "[machines]\nbroker_url = \"mqtts://b\"\n[store]", "machines.broker_url: needs a section [mqtt]"),
            ("[store]", "[machines]\nbroker_url = \"b\"\n[store]", "machines.broker_url: must"),
            ("[store]", "[accounts]\nusername = \"a\"\n[store]", "accounts: password_file is missing"),
            ("[store]", "[accounts]\nusername = \"a\"\npassword_file = \"/nowhere\"\n[store]", "accounts: needs a section [mqtt]"),
            ("[store]", "[mqtt]\nurl = \"mqtt://broker.example\"\n[store]", "mqtt.url: mqtt:// is for loopback only"),
        ];
        for (good, bad, wanted) in table {
            let told = faults(&GOOD.replace(good, bad));
            assert!(told.contains(wanted), "{told:?} lacks {wanted:?}");
        }
    }
}
