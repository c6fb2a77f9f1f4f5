//! `qrisd.toml`: read, then checked. Every fault is told, with file, line and key.

pub mod afar;
pub mod items;
pub mod orders;
pub mod screen;
pub mod settings;

use super::words::{OrderSettings, Settings, SlotSettings};
use items::{Items, WrittenItem, check_items};
use orders::WrittenOrders;
use qris_core::contact::telephone;
use qris_core::order::ids::{DeviceId, ItemId};
use qris_core::order::request::{Price, PriceList};
use qris_core::order::time::{BootId, Span};
use qris_host::config::settings::{Whole, number};
use qris_host::config::{BusAddress, Checker, Faults, MqttSection, MqttSettings, Source, http_url, is_far};
use qris_host::hint::meant;
use qris_host::mqtt::LinkSettings;
use qris_host::secret::Secret;
use qris_host::speech::fill;
use qris_host::tls::LastTrusted;
use qris_host::{clock, texts, tls};
use screen::{WrittenScreen, check_languages, check_machine_name};
use serde::Deserialize;
use settings::SETTINGS;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const KEYS_FILE: &str = "receipts.keys_file";

const REPORT_EVERY: Whole = number(SETTINGS, "device.report_every_s");

// What does not fit between items and lines. An answer in the set-up's dialogue can cause it, so that says it in its language; `qrisd`
// says it in English.
texts! {
    no_telephone: "tidak berisi nomor telepon: pelanggan tidak bisa menelepon tentang uang mereka", "has no telephone number in it: customers cannot call about their money";
    contact: "belum diisi: pelanggan perlu orang yang bisa dihubungi tentang uang mereka", "is missing: customers need somebody whom they can call about their money";
    no_line: "tidak ada jalur untuk barang {0}, yang dijual menurut {1}{2}", "no line has the item {0}, which {1} sells{2}";
    meant: ": apakah maksudnya {0}?", ": did you mean it by {0}?";
    too_much: "lebih besar daripada {0}, harga {1} di {2}", "is more than {0}, the price of {1} in {2}";
    uneven: "tidak membagi habis {0}, harga {1} di {2}", "does not divide {0}, the price of {1} in {2}";
    other_device: "adalah {0}, tetapi di {1} tertulis {2}: tulis yang sama di keduanya", "is {0}, but {1} says {2}: write the same in both";
    no_boot: "kernel tidak menyebut nama boot-nya: {0}", "the kernel does not name its boot: {0}";
    no_effect: "tidak berlaku dengan http://", "has no effect with http://";
    no_items: "belum ada: tulis paling sedikit satu barang", "is missing: list at least one item";
    many_items: "berisi lebih dari {0} barang", "has more than {0} items";
    item_name: "harus 1 sampai {0} karakter yang bisa dicetak; gateway mendapat {1} karakter pertama", "must be 1 to {0} printable characters; the gateway gets the first {1}";
    twice: "{0} tertulis dua kali", "{0} stands twice";
    two_names: "harus teks, atau {0} dengan teks dalam setiap bahasa", "must be text, or {0} with text in each language";
    price: "harus rupiah bulat, atau {0}", "must be whole rupiah, or {0}";
    unknown_key: "setelan ini tidak dikenal{0}", "unknown key{0}";
    whole_rupiah: "harus rupiah bulat", "must be whole rupiah";
    flag: "harus true atau false, bukan {0}", "must be true or false, not {0}";
    min_above: "adalah {0}, lebih dari max, {1}: tulis yang lebih kecil di sini", "is {0}, more than max, {1}: write the smaller one here";
    plain_rupiah: "harus rupiah bulat dengan angka saja: tulis {0}, bukan {1}", "must be whole rupiah in plain digits: write {0}, not {1}";
    not: "{0}, bukan {1}", "{0}, not {1}";
    amount: "jumlah uang harus 1 sampai {0} rupiah", "an amount must be 1 to {0} rupiah";
    letter: "layar tidak punya {0}, dan akan menampilkan tanda tanya: tulis dengan huruf Latin", "the screen has no {0}, and would show a question mark: write it in Latin letters";
    no_name: "tidak boleh kosong: hapus kuncinya, maka id mesin dipakai", "must not be empty: without this key it is the machine's id";
    one_line: "harus satu baris, paling banyak {0} karakter", "must be one line of at most {0} characters";
    words: "harus {0}, bukan {1}", "must be {0}, not {1}";
    beside_device: "tidak bisa ada bersama device: tulis salah satunya", "cannot stand beside device: write one of the two";
    colour: "bukan warna yang dikenal{0}", "is not a known colour{0}";
    rrggbb: "harus #rrggbb, bukan {0}", "must be #rrggbb, not {0}";
    contrast: "tidak terbaca di atas {0}: kontrasnya {1}, dan di siang hari perlu 4,5", "cannot be read on {0}: the contrast is {1}, and daylight needs 4.5";
    deliver: "harus paling banyak {0} detik bersama orders.late_settlement_grace_s: pesanan yang belum dilaporkan satu jam setelah pembayarannya boleh dikembalikan dananya", "must be at most {0} s together with orders.late_settlement_grace_s: an order that is not reported an hour after its payment may be refunded";
    no_line_here: "tidak ada jalur di mesin ini yang mengeluarkan {0}", "no line of this machine hands out {0}";
    charge_refuses: "{0}: pembayaran menerima {1} sampai {2}", "{0}: payments take {1} to {2}";
    line_least: "jalur {0} tidak menerima {1}: yang diterima paling sedikit {2}, menurut min_amount jalur itu", "the line {0} does not take {1}: it takes at least {2}, by its min_amount";
    line_refuses: "jalur {0} tidak menerima {1}: yang diterima {2}", "the line {0} does not take {1}: it takes {2}";
    many_labels: "berisi lebih dari {0} label", "has more than {0} labels";
    capacity: "harus 1 sampai {0}, bukan {1}", "must be 1 to {0}, not {1}";
    low: "harus 0 sampai di bawah capacity, {0}, bukan {1}", "must be from 0 to below capacity, {0}, not {1}";
    low_alone: "perlu capacity di sebelahnya: barang tanpa capacity tidak dihitung", "needs capacity beside it: an item without capacity is not counted";
    same_as: "harus id barang lain di daftar ini yang tidak punya same_as, bukan {0}", "must be the id of another item of this list that has no same_as, not {0}";
    same_uncounted: "perlu capacity di sini dan di barang {0}: yang dijual adalah slot yang isinya lebih banyak", "needs capacity here and at the item {0}: the fuller slot is sold";
    same_price: "harus sama dengan harga barang {0}, atau tidak ditulis: isinya barang yang sama", "must be the price of the item {0}, or be left out: the goods are the same";
    counted_pulses: "tidak bisa ada di jalur barang {0}, yang punya capacity di {1}: satu pesanan mengambil satu barang, berapa kali pun relai aktif", "cannot stand at the line of the item {0}, which has capacity in {1}: an order takes one, whatever its pulses";
    counted_here: "tidak bisa ada: di jalur {0} relai aktif menurut jumlah uang, dan satu pesanan mengambil satu barang", "cannot stand: the line {0} has pulses by the amount, and an order takes one item";
    label: "label terdiri dari 1 sampai 32 karakter A-Za-z0-9._-, bukan {0}", "a label has 1 to 32 of A-Za-z0-9._-, not {0}";
}

#[derive(Debug)]
pub struct Config {
    pub machine: Settings,
    /// The broker; `None`: the machine sells without one.
    pub mqtt: Option<MqttSettings>,
    pub backend: Backend,
    pub relay: BusAddress,
    /// The address at which controllers on the same board find this program; `None`: nowhere.
    pub controller: Option<BusAddress>,
}

#[derive(Debug)]
pub struct Backend {
    /// The address, without a slash at the end.
    pub url: String,
    pub token: Secret,
    /// A private CA in PEM.
    pub ca_file: Option<PathBuf>,
}

/// Files of certificates, in PEM. Each certificate ends one day.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// The certificate by which the broker knows this machine.
    pub own: Option<PathBuf>,
    /// Those by which this machine knows broker and backend.
    pub authorities: Vec<PathBuf>,
}

impl Config {
    /// Reads and checks `qrisd.toml`, and the keys and secrets that it names.
    pub fn load(path: &Path) -> Result<Self, Faults> {
        Self::from_source(&Source::read(path)?)
    }

    /// Checks a configuration in memory. Keys and secrets are read from their files.
    pub fn from_source(source: &Source) -> Result<Self, Faults> {
        source.read_checked(WrittenConfig::check)
    }

    /// Checks a configuration, who may read its secrets, and whether it fits the `relay.toml` beside it: `--check`.
    pub fn examine(path: &Path) -> Result<Self, Faults> {
        Source::read(path)?.read_checked(|written: WrittenConfig, checker| {
            written.mqtt.iter().for_each(|mqtt| mqtt.guard("mqtt", checker));
            checker.guard(written.backend.token_file.as_deref(), "backend.token_file");
            let config = written.check(checker);
            if let Some(config) = &config {
                if let Some(BusAddress::Peer(socket)) = &config.controller {
                    checker.socket(socket, "controller.bus");
                }
                checker.also(config.check_against_relay(path));
            }
            config
        })
    }

    /// Remarks that keep no program from running, but that somebody should see to.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        let contact = &self.machine.appearance.contact;
        if !self.machine.screen_required || telephone(contact).is_some() {
            return None;
        }
        let why = if contact.is_empty() { texts().contact } else { texts().no_telephone };
        Some(format!("screen.contact: {why}"))
    }

    #[must_use]
    pub fn certificates(&self) -> Certificates {
        let mqtt = self.mqtt.as_ref();
        let authorities = [mqtt.and_then(|mqtt| mqtt.ca_file.clone()), self.backend.ca_file.clone()];
        Certificates { own: mqtt.and_then(|mqtt| mqtt.cert_file.clone()), authorities: authorities.into_iter().flatten().collect() }
    }

    /// Compares with the `relay.toml` beside this `qrisd.toml`, if there is one. Both must name the same machine, and
    /// every item must have a line that takes its price.
    pub fn check_against_relay(&self, qrisd_toml: &Path) -> Result<(), Faults> {
        let path = qrisd_toml.with_file_name("relay.toml");
        if !path.exists() {
            return Ok(());
        }
        self.check_against(qrisd_toml, &Source::read(&path)?)
    }

    pub fn check_against(&self, qrisd_toml: &Path, relay: &Source) -> Result<(), Faults> {
        let Settings { device, prices, slots, .. } = &self.machine;
        compare(device, (prices, slots), qrisd_toml, relay)
    }
}

fn compare(
    device: &DeviceId,
    (prices, slots): (&PriceList, &BTreeMap<ItemId, SlotSettings>),
    qrisd_toml: &Path,
    source: &Source,
) -> Result<(), Faults> {
    let relay: LooseRelay = source.parse()?;
    let mut checker = source.checker();
    if let Some(id) = relay.device.id.filter(|id| id != device.as_str()) {
        checker.fault(
            "device.id",
            fill(texts().other_device, &[&format_args!("{id:?}"), &qrisd_toml.display(), &format_args!("{:?}", device.as_str())]),
        );
    }
    for (item, price) in prices.items() {
        // A line that names the item goes before a line for all other items.
        let of = |name: &str| relay.line.iter().position(|line| line.items.iter().any(|item| item == name));
        let line = of(item.as_str()).or_else(|| of("*"));
        if let Some(line) = line.filter(|line| slots.contains_key(item) && relay.line[*line].rupiah_per_pulse.is_some()) {
            checker.fault(&format!("line[{line}].rupiah_per_pulse"), fill(texts().counted_pulses, &[item, &qrisd_toml.display()]));
        }
        match (line, price) {
            (None, _) => {
                let items = relay.line.iter().flat_map(|line| line.items.iter().map(String::as_str));
                let tip = meant(item.as_str(), items).map(|meant| fill(texts().meant, &[&meant])).unwrap_or_default();
                checker.fault("line", fill(texts().no_line, &[item, &qrisd_toml.display(), &tip]));
            }
            (Some(line), Price::Fixed(price)) => {
                if let Some((key, why)) = relay.line[line].objection(price.get()) {
                    checker.fault(&format!("line[{line}].{key}"), fill(why, &[&price, item, &qrisd_toml.display()]));
                }
            }
            // The line judges each request.
            (Some(_), Price::FromRequest { .. }) => {}
        }
    }
    checker.finish()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenConfig {
    #[serde(default)]
    device: WrittenDevice,
    mqtt: Option<MqttSection>,
    #[serde(default)]
    backend: WrittenBackend,
    #[serde(default)]
    receipts: WrittenReceipts,
    #[serde(default)]
    orders: WrittenOrders,
    #[serde(default)]
    store: WrittenStore,
    #[serde(default)]
    screen: WrittenScreen,
    #[serde(default)]
    relay: WrittenBus,
    #[serde(default)]
    controller: WrittenBus,
    #[serde(default)]
    item: Vec<WrittenItem>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenDevice {
    id: Option<String>,
    name: Option<String>,
    language: Option<String>,
    report_every_s: Option<i64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenBackend {
    url: Option<String>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenReceipts {
    keys_file: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenStore {
    path: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenBus {
    bus: Option<String>,
}

/// The part of `relay.toml` that matters here; the rest is for `qris-relayd --check`.
#[derive(Deserialize)]
struct LooseRelay {
    #[serde(default)]
    device: LooseDevice,
    #[serde(default)]
    line: Vec<LooseLine>,
}

#[derive(Deserialize, Default)]
struct LooseDevice {
    id: Option<String>,
}

#[derive(Deserialize)]
struct LooseLine {
    #[serde(default)]
    items: Vec<String>,
    min_amount: Option<toml::Value>,
    rupiah_per_pulse: Option<toml::Value>,
}

impl LooseLine {
    /// The key that does not allow a price, and the reason.
    fn objection(&self, price: u64) -> Option<(&'static str, &'static str)> {
        // The relay service's own check tells of a value that is not an amount.
        let amount = |value: &Option<toml::Value>| value.as_ref()?.as_integer().and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
        if amount(&self.min_amount).is_some_and(|least| price < least) {
            return Some(("min_amount", texts().too_much));
        }
        let uneven = amount(&self.rupiah_per_pulse).is_some_and(|pulse| !price.is_multiple_of(pulse));
        uneven.then_some(("rupiah_per_pulse", texts().uneven))
    }
}

fn check_report(seconds: Option<i64>, usual: Span, checker: &mut Checker<'_>) -> Span {
    Span::secs(checker.integer(seconds, usual.0 / 1000, REPORT_EVERY.range(), REPORT_EVERY.key))
}

impl WrittenConfig {
    fn check(self, checker: &mut Checker<'_>) -> Option<Config> {
        let id = checker.required(self.device.id, "device.id");
        let device = id.and_then(|id| checker.id(DeviceId::new(&id), "device.id"));
        let languages = check_languages(self.device.language.as_deref(), checker);
        // A wrong section is a fault. Without a section there is no broker.
        let mqtt = self.mqtt.map(|section| section.check("mqtt", checker));
        if let Some(Some(mqtt)) = &mqtt {
            checker.take(LinkSettings::new(mqtt.clone(), "", &LastTrusted::default()), "mqtt.ca_file");
        }
        let backend = self.backend.check(checker);
        let keys_file = checker.required(self.receipts.keys_file, KEYS_FILE);
        let keys = keys_file.and_then(|file| checker.keys(&file, KEYS_FILE));
        let store = self.store.path.unwrap_or_else(|| "/var/lib/qrisd/qrisd.db".into());
        let panel = self.screen.check(checker);
        let relay = check_bus(self.relay.bus.as_deref().unwrap_or("system"), "relay.bus", checker);
        let controller = match (self.controller.bus, &relay) {
            (Some(bus), _) => check_bus(&bus, "controller.bus", checker),
            // A socket without a bus has one server: the relay service.
            (None, Some(BusAddress::Peer(_)) | None) => None,
            (None, Some(bus)) => Some(bus.clone()),
        };
        let orders = self.orders.check(&OrderSettings::default(), checker);
        let Items { prices, names, slots, shown } = check_items(self.item, languages.first(), checker);
        let boot_id = match clock::boot_id() {
            Ok(boot_id) => boot_id,
            Err(error) => {
                checker.fault("device", fill(texts().no_boot, &[&error]));
                BootId("".into())
            }
        };
        let name = self.device.name.map(|name| check_machine_name(&name, checker));
        let device = device?;
        let name = name.unwrap_or_else(|| device.to_string());
        let mqtt = match mqtt {
            Some(settings) => Some(settings?),
            None => None,
        };
        let machine = Settings {
            device,
            broker: mqtt.as_ref().map(|mqtt| format!("{}:{}", mqtt.host, mqtt.port).into()),
            prices,
            names,
            slots,
            orders,
            keys: keys?,
            screen_required: panel.required,
            labels: Vec::new(),
            report_every: check_report(self.device.report_every_s, Span::secs(REPORT_EVERY.usual), checker),
            appearance: panel.settings(languages, name, shown)?,
            store,
            boot_id,
            released: clock::RELEASED,
            tells_time: is_far(&backend.as_ref()?.url),
        };
        Some(Config { machine, mqtt, backend: backend?, relay: relay?, controller })
    }
}

impl WrittenBackend {
    fn check(self, checker: &mut Checker<'_>) -> Option<Backend> {
        let url = checker.required(self.url, "backend.url").and_then(|url| checker.take(http_url(&url), "backend.url"));
        let token = checker.required(self.token_file, "backend.token_file");
        let token = token.and_then(|file| checker.take(Secret::read(&checker.locate(&file)), "backend.token_file"));
        let ca_file = self.ca_file.map(|file| checker.locate(&file));
        if let (Some(url), Some(_)) = (&url, &ca_file)
            && url.starts_with("http://")
        {
            checker.fault("backend.ca_file", texts().no_effect);
        } else if ca_file.is_some() {
            checker.take(tls::client_config(ca_file.as_deref(), None, &LastTrusted::default()), "backend.ca_file");
        }
        Some(Backend { url: url?, token: token?, ca_file })
    }
}

fn check_bus(text: &str, key: &str, checker: &mut Checker<'_>) -> Option<BusAddress> {
    checker.take(text.parse::<BusAddress>(), key)
}

#[cfg(test)]
mod tests;
