//! `[midtrans]` of `backend.toml`: as it is written, and as it is used.

use super::{Acquirer, ChargeAs, ChargeOptions, Customer, Midtrans, NAME, RefundDays, ServerKey, Settings, SettingsError};
use crate::gateway::{Configured, Gateway, SecretFile};
use crate::settings::SETTINGS;
use qris_core::text::steers;
use qris_host::Failure;
use qris_host::config::settings::{Whole, is_on, number};
use qris_host::config::{Checker, Source, http_url};
use qris_host::finding::Finding;
use qris_host::http::{HttpError, Limits, client};
use qris_host::secret::Secret;
use qris_host::speech::fill;
use qris_host::texts;
use qris_host::tls::{LastTrusted, TlsError, client_config};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

texts! {
    no_page: "`midtrans.charge_as` adalah gopay, dan tanpa `http.public_url` tidak ada halaman dengan tombol GoPay yang memerlukannya. Setiap penjualan menunggu gambar QR-nya", "`midtrans.charge_as` is gopay, and without `http.public_url` there is no page whose GoPay button needs that. Each sale waits for a picture of its QR";
    no_page_do: "tulis `midtrans.charge_as = {0}`, jika QRIS aktif di akun itu: maka jawaban Midtrans sudah berisi QR-nya", "set `midtrans.charge_as = {0}`, if QRIS is active on the account: then Midtrans' answer has the QR itself";
    other_host: "bukan alamat Midtrans ({0}, {1}), dan Server Key akan dikirim ke sana; untuk simulator atau proxy tulis `midtrans.allow_other_host = true`", "is not an address of Midtrans ({0}, {1}), and the Server Key would be sent to it; for a simulator or a proxy set `midtrans.allow_other_host = true`";
    bad_key: "berisi spasi, ganti baris atau karakter lain yang tidak dimiliki kunci mana pun", "holds a space, a line break or another character that no key has";
    client_key: "adalah client key, untuk halaman web: pakai Server Key di sebelahnya", "is a client key, which is for web pages: use the Server Key beside it";
    sandbox_key: "adalah kunci sandbox, padahal midtrans.base_url adalah {0}", "is a key of the sandbox, and midtrans.base_url is {0}";
    qris_only: "hanya untuk {0}", "is for {0} only";
    customer: "perlu paling sedikit salah satu dari {0}, masing-masing 1 sampai 255 karakter", "needs at least one of {0}, each of 1 to 255 characters";
    hosts: "harus daftar nama host dengan huruf kecil, seperti {0}", "must be a list of host names in small letters, as in {0}";
}

/// Idle connections that are kept.
const CONNECTIONS: usize = 32;
const TIMEOUT: Duration = Duration::from_secs(10);
const SERVER_KEY: &str = "midtrans.server_key_file";
/// Midtrans' limit of a field of `customer_details`.
const CUSTOMER_CHARS_MAX: usize = 255;
const PRODUCTION: &str = "https://api.midtrans.com";
const SANDBOX: &str = "https://api.sandbox.midtrans.com";
/// The hosts of Midtrans' pictures of QR codes: the present name, and the earlier one.
const PICTURE_HOSTS: [&str; 2] = ["midtrans.com", "veritrans.co.id"];
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    base_url: Option<String>,
    allow_other_host: Option<bool>,
    server_key_file: Option<PathBuf>,
    charge_as: Option<String>,
    acquirer: Option<String>,
    picture_hosts: Option<Vec<String>>,
    deeplink: Option<bool>,
    qr_expiry_min: Option<i64>,
    counter_expiry_min: Option<i64>,
    customer: Option<WrittenCustomer>,
    max_imposed_fee: Option<i64>,
    refund_days: WrittenRefundDays,
    notification_url: Option<String>,
    ca_file: Option<PathBuf>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenRefundDays {
    on_us: Option<i64>,
    off_us: Option<i64>,
    shopeepay: Option<i64>,
    deeplink: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenCustomer {
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
    phone: Option<String>,
}

/// The section, checked. The Server Key is read when it is opened.
#[derive(Debug, Clone)]
pub struct Account {
    pub base_url: String,
    pub server_key_file: PathBuf,
    pub charge: ChargeOptions,
    /// How much more than the price Midtrans may ask for, in rupiah.
    pub max_imposed_fee: u64,
    /// The address for Midtrans' notifications, if it can reach this backend.
    pub notification_url: Option<String>,
    /// A private CA in front of Midtrans, for a simulator or a proxy.
    pub ca_file: Option<PathBuf>,
}

impl Section {
    /// Checks its secret: who may read it, and whether it can be a Server Key. Faults go to the checker.
    pub fn examine(&self, checker: &mut Checker<'_>) {
        checker.guard(self.server_key_file.as_deref(), SERVER_KEY);
        if let Some(file) = &self.server_key_file {
            read_server_key(file, !self.base_url.as_deref().is_some_and(is_production), checker);
        }
    }

    /// Gives its meaning. `public_url` is the address of this backend for customers and Midtrans. Faults go to the checker.
    pub fn check(self, public_url: Option<&str>, checker: &mut Checker<'_>) -> Option<Account> {
        let charge = charge_options(&self, public_url, checker);
        let base_url = checker.required(self.base_url, "midtrans.base_url");
        let base_url = base_url.and_then(|url| checker.take(http_url(&url), "midtrans.base_url"));
        let own = |url: &String| [PRODUCTION, SANDBOX].iter().any(|own| own.eq_ignore_ascii_case(url));
        if base_url.as_ref().is_some_and(|url| !own(url)) && self.allow_other_host != Some(true) {
            let why = fill(texts().other_host, &[&PRODUCTION, &SANDBOX]);
            checker.fault("midtrans.base_url", why);
        }
        let server_key_file = checker.required(self.server_key_file, SERVER_KEY);
        let max_imposed_fee = checker.whole(self.max_imposed_fee, number(SETTINGS, "midtrans.max_imposed_fee"));
        let notification_url = match self.notification_url {
            Some(url) => checker.take(http_url(&url), "midtrans.notification_url"),
            None => public_url.map(|url| format!("{url}/{NAME}/notifications")),
        };
        if self.ca_file.is_some() {
            checker.take(client_config(self.ca_file.as_deref(), None, &LastTrusted::default()), "midtrans.ca_file");
        }
        Some(Account {
            base_url: base_url?,
            server_key_file: server_key_file?,
            charge,
            max_imposed_fee: u64::try_from(max_imposed_fee).expect("checked"),
            notification_url,
            ca_file: self.ca_file,
        })
    }
}

impl Account {
    fn client(&self, server_key: ServerKey) -> Result<Midtrans, OpenError> {
        let tls = if self.base_url.starts_with("https://") {
            Some(client_config(self.ca_file.as_deref(), None, &LastTrusted::default())?)
        } else {
            None
        };
        let limits = Limits { total: TIMEOUT, read: TIMEOUT, idle_connections: CONNECTIONS };
        let settings = Settings {
            base_url: self.base_url.clone(),
            server_key,
            notification_url: self.notification_url.clone(),
            charge: self.charge.clone(),
        };
        let http = client(tls.as_deref(), limits)?;
        Ok(Midtrans::new(settings, http.clone(), Arc::new(http))?)
    }
}

impl Configured for Account {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_sandbox(&self) -> bool {
        !is_production(&self.base_url)
    }

    fn address(&self) -> &str {
        &self.base_url
    }

    fn max_imposed_fee(&self) -> u64 {
        self.max_imposed_fee
    }

    fn notification_url(&self) -> Option<&str> {
        self.notification_url.as_deref()
    }

    fn without_a_page(&self) -> Option<Finding> {
        let to_do = || fill(texts().no_page_do, &[&"\"qris\""]);
        (self.charge.charge_as == ChargeAs::Gopay).then(|| Finding::warn("charge_as", texts().no_page, to_do()))
    }

    fn secret(&self) -> SecretFile<'_> {
        SecretFile { title: "server key", key: SERVER_KEY, path: &self.server_key_file }
    }

    fn open(&self, source: &Source) -> Result<Arc<dyn Gateway>, Failure> {
        let mut checker = source.checker();
        let key = read_server_key(&self.server_key_file, self.is_sandbox(), &mut checker);
        checker.finish()?;
        let key = ServerKey::new(&key.expect("a missing key was noted as a fault"));
        let midtrans = self.client(key).map_err(|error| match error {
            OpenError::Settings(error) => Failure::usage(error),
            error @ (OpenError::Tls(_) | OpenError::Http(_)) => Failure::failed(error),
        })?;
        Ok(Arc::new(midtrans))
    }
}

#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// Whether the money is real at this address.
pub(super) fn is_production(base_url: &str) -> bool {
    base_url.trim_end_matches('/').eq_ignore_ascii_case(PRODUCTION)
}

/// Reads the Server Key, and looks whether it can be one. Newer accounts have keys without `SB-` in the sandbox, too.
fn read_server_key(file: &Path, is_sandbox: bool, checker: &mut Checker<'_>) -> Option<Secret> {
    let secret = checker.take(Secret::read(&checker.locate(file)), SERVER_KEY)?;
    let key = secret.expose();
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        checker.fault(SERVER_KEY, texts().bad_key);
    } else if key.contains("-client-") {
        checker.fault(SERVER_KEY, texts().client_key);
    } else if key.starts_with("SB-") && !is_sandbox {
        checker.fault(SERVER_KEY, fill(texts().sandbox_key, &[&PRODUCTION]));
    }
    Some(secret)
}

fn charge_options(written: &Section, public_url: Option<&str>, checker: &mut Checker<'_>) -> ChargeOptions {
    let words = [("gopay", ChargeAs::Gopay), ("qris", ChargeAs::Qris)];
    let charge_as = checker.word(written.charge_as.as_deref(), ChargeAs::Gopay, &words, "midtrans.charge_as").unwrap_or(ChargeAs::Gopay);
    let words = [("gopay", Acquirer::Gopay), ("airpay shopee", Acquirer::AirpayShopee)];
    let acquirer = checker.word(written.acquirer.as_deref(), Acquirer::Gopay, &words, "midtrans.acquirer").unwrap_or(Acquirer::Gopay);
    if written.acquirer.is_some() && charge_as == ChargeAs::Gopay {
        checker.fault("midtrans.acquirer", fill(texts().qris_only, &[&"charge_as = \"qris\""]));
    }
    // Below 15 minutes Midtrans' batch is not reliable. The upper limits are the acquirers'.
    let setting = number(SETTINGS, "midtrans.qr_expiry_min");
    let longest = match acquirer {
        Acquirer::Gopay => setting.most,
        Acquirer::AirpayShopee => 5 * 24 * 60,
    };
    let small = |value: i64| u32::try_from(value).expect("checked");
    let qr_expiry_min = written.qr_expiry_min.map(|minutes| {
        let minutes = checker.integer(Some(minutes), setting.usual, setting.least..=longest, setting.key);
        small(minutes)
    });
    let counter_expiry_min = small(checker.whole(written.counter_expiry_min, number(SETTINGS, "midtrans.counter_expiry_min")));
    let customer = written.customer.as_ref().map(|customer| Customer {
        first_name: customer.first_name.clone(),
        last_name: customer.last_name.clone(),
        email: customer.email.clone(),
        phone: customer.phone.clone(),
    });
    if let Some(Customer { first_name, last_name, email, phone }) = &customer {
        let written = [first_name, last_name, email, phone];
        let plain = |text: &String| (1..=CUSTOMER_CHARS_MAX).contains(&text.chars().count()) && !text.contains(steers);
        if written.iter().all(|text| text.is_none()) || !written.into_iter().flatten().all(plain) {
            let why = fill(texts().customer, &[&"first_name, last_name, email, phone"]);
            checker.fault("midtrans.customer", why);
        }
    }
    let deeplink = written.deeplink.unwrap_or(is_on(SETTINGS, "midtrans.deeplink"));
    let finish_base = public_url.filter(|_| deeplink).map(|url| format!("{url}/pay/"));
    let picture_hosts = written.picture_hosts.clone().unwrap_or_else(|| PICTURE_HOSTS.map(str::to_owned).to_vec());
    let is_host = |host: &String| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        host.split('.').all(|label| !label.is_empty() && label.bytes().all(plain))
    };
    if !picture_hosts.iter().all(is_host) {
        checker.fault("midtrans.picture_hosts", fill(texts().hosts, &[&"[\"midtrans.com\"]"]));
    }
    let mut days = |written: Option<i64>, setting: Whole| u16::try_from(checker.whole(written, setting)).expect("checked");
    let refund_days = RefundDays {
        on_us: days(written.refund_days.on_us, number(SETTINGS, "midtrans.refund_days.on_us")),
        off_us: days(written.refund_days.off_us, number(SETTINGS, "midtrans.refund_days.off_us")),
        shopeepay: days(written.refund_days.shopeepay, number(SETTINGS, "midtrans.refund_days.shopeepay")),
        deeplink: days(written.refund_days.deeplink, number(SETTINGS, "midtrans.refund_days.deeplink")),
    };
    ChargeOptions { charge_as, acquirer, finish_base, customer, qr_expiry_min, counter_expiry_min, picture_hosts, refund_days }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "base_url = \"https://api.sandbox.midtrans.com\"\nserver_key_file = \"/etc/key\"\n";

    fn charge_of(text: &str) -> ChargeOptions {
        let read = |section: Section, checker: &mut Checker<'_>| section.check(Some("https://pay.example"), checker);
        Source::from_text("backend.toml", text).read_checked(read).expect("good").charge
    }

    #[test]
    fn charges_are_made_as_the_merchant_wants() {
        let usual = charge_of(GOOD);
        assert_eq!((usual.charge_as, usual.finish_base.as_deref()), (ChargeAs::Gopay, Some("https://pay.example/pay/")));
        assert_eq!(usual.picture_hosts, ["midtrans.com", "veritrans.co.id"]);
        let wanted = "charge_as = \"qris\"\nacquirer = \"airpay shopee\"\ndeeplink = false\nqr_expiry_min = 15\ncounter_expiry_min = 90\n\
            customer = { phone = \"0812\" }\npicture_hosts = [\"pictures.example\"]\nrefund_days = { off_us = 5 }\n";
        let expected = ChargeOptions {
            charge_as: ChargeAs::Qris,
            acquirer: Acquirer::AirpayShopee,
            finish_base: None,
            customer: Some(Customer { phone: Some("0812".into()), ..Customer::default() }),
            qr_expiry_min: Some(15),
            counter_expiry_min: 90,
            picture_hosts: vec!["pictures.example".into()],
            refund_days: RefundDays { off_us: 5, ..RefundDays::default() },
        };
        assert_eq!(charge_of(&format!("{GOOD}{wanted}")), expected);
    }
}
