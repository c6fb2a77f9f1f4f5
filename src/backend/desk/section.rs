//! `[desk]`, as it is written, and as it is used.

use crate::settings::SETTINGS;
use qris_core::order::time::Span;
use qris_host::config::settings::number;
use qris_host::config::{Checker, http_url};
use qris_host::local_network::is_listener;
use qris_host::speech::fill;
use qris_host::texts;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;

texts! {
    path: "tidak boleh punya path: halaman desk ada di awal sebuah alamat, misalnya https://desk.pay.example, bukan {0}", "must have no path: the pages of the desk are at the beginning of an address, such as https://desk.pay.example, and not {0}";
    home: "harus ADDRESS:PORT dengan alamat jaringan lokal, misalnya 0.0.0.0:8480 (semua jaringan) atau 192.168.1.20:8480, bukan {0}", "must be ADDRESS:PORT with an address of a local network, as in 0.0.0.0:8480 (all networks) or 192.168.1.20:8480, not {0}";
    socket: "harus path absolut, paling panjang {0} byte, bukan {1}", "must be an absolute path of at most {0} bytes, not {1}";
}

/// Where the desk's program looks for `serve`.
pub const SOCKET: &str = "/run/qris-desk/serve.sock";
/// The kernel takes no longer path of a socket.
const PATH_MAX: usize = 107;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    url: Option<String>,
    home: Option<String>,
    socket: Option<PathBuf>,
    limit_per_day: Option<i64>,
    log_days: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address at which people reach the desk, without a slash at its end. A desk that is only at home has none.
    pub url: Option<String>,
    /// Where the desk listens for people in the local network.
    pub home: Option<SocketAddr>,
    pub socket: PathBuf,
    /// How much money a person may move in a day, in rupiah, if nothing else was said of them.
    pub limit_per_day: u64,
    /// So long the log keeps who did what, and from where.
    pub log_lasts: Span,
}

impl Section {
    pub fn check(self, checker: &mut Checker<'_>) -> Option<Settings> {
        let Self { url, home, socket, limit_per_day, log_days } = self;
        let url = if home.is_some() { url } else { checker.required(url, "desk.url") };
        let said = (url.is_some(), home.is_some());
        let url = url.and_then(|url| checker.take(http_url(&url), "desk.url"));
        let has_path = url.as_ref().is_some_and(|url| url.split_once("://").is_some_and(|(_, rest)| rest.contains(['/', '?', '#'])));
        if let Some(url) = url.as_ref().filter(|_| has_path) {
            checker.fault("desk.url", fill(texts().path, &[url]));
        }
        let listen = home.as_ref().and_then(|home| home.parse::<SocketAddr>().ok()).filter(|listen| is_listener(*listen));
        if let (Some(home), None) = (&home, listen) {
            checker.fault("desk.home", fill(texts().home, &[home]));
        }
        let socket = socket.unwrap_or_else(|| SOCKET.into());
        let fits = socket.is_absolute() && socket.as_os_str().len() <= PATH_MAX;
        if !fits {
            checker.fault("desk.socket", fill(texts().socket, &[&PATH_MAX, &socket.display()]));
        }
        let limit_per_day = checker.whole(limit_per_day, number(SETTINGS, "desk.limit_per_day")).unsigned_abs();
        let log_lasts = Span::secs(checker.whole(log_days, number(SETTINGS, "desk.log_days")) * 24 * 3600);
        let is_good = (url.is_some(), listen.is_some()) == said && said != (false, false);
        is_good.then_some(Settings { url, home: listen, socket: fits.then_some(socket)?, limit_per_day, log_lasts })
    }
}
