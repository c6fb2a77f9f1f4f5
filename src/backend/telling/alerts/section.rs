//! `[alerts]`, as it is written, and as it is used.

use super::webhook::Webhook;
use super::{OFFLINE_AFTER, Tellers};
use crate::command;
use crate::settings::SETTINGS;
use qris_core::order::time::Span;
use qris_host::config::settings::is_on;
use qris_host::config::{Checker, http_url};
use qris_host::secret::Secret;
use qris_host::speech::fill;
use qris_host::texts;
use qris_host::tls::{LastTrusted, client_config};
use reqwest::Url;
use serde::Deserialize;
use std::path::PathBuf;

texts! {
    nobody: "perlu command atau webhook_url: jika tidak, tidak ada yang diberi tahu", "needs command or webhook_url: else nobody is told";
    needs_url: "perlu alerts.webhook_url", "needs alerts.webhook_url";
    needs_https: "perlu alamat https:// di alerts.webhook_url", "needs an https:// address in alerts.webhook_url";
    time_of_day: "harus waktu, seperti \"21:00\"", "must be a time of day, as \"21:00\"";
    posted_to: "harus https://HOST[:PORT][/PATH] tanpa user, query dan fragment; http:// hanya untuk loopback", "must be \
        https://HOST[:PORT][/PATH] without user, query and fragment; http:// is for loopback only";
    short: "harus berisi {0} karakter atau lebih", "must hold {0} characters or more";
}

const SECRET: &str = "alerts.webhook_secret_file";
const CA: &str = "alerts.webhook_ca_file";
/// A shorter one can be guessed.
const SECRET_MIN: usize = 16;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    command: Option<Vec<String>>,
    webhook_url: Option<String>,
    webhook_secret_file: Option<PathBuf>,
    webhook_ca_file: Option<PathBuf>,
    over: Option<bool>,
    offline_after_s: Option<i64>,
    daily: Option<String>,
}

impl Section {
    /// Notes who may read the secret that it names.
    pub fn guard(&self, checker: &mut Checker<'_>) {
        checker.guard(self.webhook_secret_file.as_deref(), SECRET);
    }

    pub fn check(self, checker: &mut Checker<'_>) -> Option<Tellers> {
        let Self { command, webhook_url, webhook_secret_file, webhook_ca_file, over, offline_after_s, daily } = self;
        if command.is_none() && webhook_url.is_none() {
            checker.fault("alerts", texts().nobody);
        }
        let command = command.map(|words| command::checked(words, "alerts.command", checker));
        let webhook = match webhook_url {
            Some(url) => Some(webhook(&url, webhook_secret_file.clone(), webhook_ca_file, checker)),
            None => {
                for (key, _) in [(SECRET, &webhook_secret_file), (CA, &webhook_ca_file)].iter().filter(|(_, given)| given.is_some()) {
                    checker.fault(key, texts().needs_url);
                }
                None
            }
        };
        let offline_after = Span::secs(checker.whole(offline_after_s, OFFLINE_AFTER));
        let daily = match daily.map(|text| text.parse().map_err(drop)) {
            Some(Ok(daily)) => Some(daily),
            Some(Err(())) => {
                checker.fault("alerts.daily", texts().time_of_day);
                return None;
            }
            None => None,
        };
        Some(Tellers {
            daily,
            command: match command {
                Some(command) => Some(command?),
                None => None,
            },
            webhook: match webhook {
                Some(webhook) => Some(webhook?),
                None => None,
            },
            webhook_secret_file,
            over: over.unwrap_or(is_on(SETTINGS, "alerts.over")),
            offline_after,
        })
    }
}

/// Where alerts are posted to, with what they are signed with.
fn webhook(url: &str, secret_file: Option<PathBuf>, ca_file: Option<PathBuf>, checker: &mut Checker<'_>) -> Option<Webhook> {
    let address = match (http_url(url), Url::parse(url)) {
        // A slash at its end belongs to it.
        (Ok(_), Ok(url)) => Some(url),
        // It is not repeated: with a query, it is likely to be a secret.
        (Err(_), _) | (_, Err(_)) => {
            checker.fault("alerts.webhook_url", texts().posted_to);
            None
        }
    };
    if ca_file.is_some() {
        if address.as_ref().is_some_and(|url| url.scheme() != "https") {
            checker.fault(CA, texts().needs_https);
        }
        checker.take(client_config(ca_file.as_deref(), None, &LastTrusted::default()), CA);
    }
    let file = checker.required(secret_file, SECRET)?;
    let secret = checker.take(Secret::read(&checker.locate(&file)), SECRET)?;
    if secret.expose().len() < SECRET_MIN {
        checker.fault(SECRET, fill(texts().short, &[&SECRET_MIN]));
    }
    Some(Webhook { url: address?, secret, ca_file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use qris_host::config::Source;

    fn check(text: &str) -> Result<Tellers, String> {
        let read = Source::from_text("b", text).read_checked(|section: Section, checker| section.check(checker));
        read.map_err(|faults| faults.to_string())
    }

    #[test]
    fn people_are_told_by_a_program_with_its_arguments() {
        let tellers = check("command = [\"/bin/alert\", \"now\"]").expect("good");
        assert_eq!((tellers.command, tellers.over), (Some(vec!["/bin/alert".into(), "now".into()]), true));
        assert_eq!(tellers.offline_after, Span::secs(600));
        for bad in ["[]", "[\"\"]", "[\"alert\"]"] {
            let told = check(&format!("command = {bad}")).expect_err("a fault");
            assert!(told.contains("alerts.command: must be a list"), "{told}");
        }
    }

    #[test]
    fn each_wrong_key_is_named_without_the_secret() {
        for (section, wanted) in [
            ("command = [\"/bin/alert\"]\ndaily = \"9 pm\"", "alerts.daily: must be a time of day"),
            ("over = false", "alerts: needs command or webhook_url"),
            ("command = [\"/bin/alert\"]\nwebhook_secret_file = \"/nowhere\"", "alerts.webhook_secret_file: needs alerts.webhook_url"),
            ("webhook_url = \"https://shop.example/alerts\"", "alerts.webhook_secret_file: is missing"),
            ("webhook_url = \"http://shop.example/\"\nwebhook_secret_file = \"/nowhere\"", "alerts.webhook_url: must be https://HOST"),
            ("webhook_url = \"https://shop.example/?token=hush\"", "alerts.webhook_url: must be https://HOST"),
            ("webhook_url = \"https://shop.example/\"\nwebhook_secret_file = \"/nowhere\"", "cannot read the secret in /nowhere"),
            ("webhook_url = \"https://shop.example/\"\nwebhook_secret_file = \"/proc/self/comm\"", "must hold 16 characters"),
            ("command = [\"/bin/alert\"]\nwebhook_ca_file = \"/nowhere\"", "alerts.webhook_ca_file: needs alerts.webhook_url"),
            ("webhook_url = \"https://shop.example/\"\nwebhook_ca_file = \"/nowhere\"", "alerts.webhook_ca_file: /nowhere: "),
            ("webhook_url = \"http://localhost/\"\nwebhook_ca_file = \"/nowhere\"", "alerts.webhook_ca_file: needs an https:// address"),
        ] {
            let told = check(section).expect_err("a fault");
            assert!(told.contains(wanted) && !told.contains("hush"), "{told:?} lacks {wanted:?}");
        }
    }
}
