//! The file on an SD card that sets a machine up where there is no keyboard: `qrisd-setup.txt`, lines of `KEY = VALUE`. This reads
//! it, judges every line, and makes of it what the first boot needs: flags of `qrisctl setup`, and files.

use super::answers::no_enrolment;
use super::goods::{add_item, add_line, unserved};
use super::invited::no_invitation;
use super::specs::{self, Item, LineSpec, parse_degrees, parse_letters};
use super::text::{fill, texts};
use crate::print;
use qris_core::hex;
use qris_core::text::steers;
use qris_core::wire::enrolment::{BEGINS, Enrolment};
use qris_core::wire::invitation::Invitation;
use qris_host::{Failure, speech};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the Wi-Fi is: its rules on frequencies. Two capital letters.
const COUNTRY: &str = "ID";

/// The largest file that is read, in bytes.
const FILE_MAX: u64 = 64 * 1024;
/// The name of the hidden command, which the first boot of a card calls.
pub(crate) const COMMAND: &str = "read-card";

/// For the first boot of an SD card: reads its qrisd-setup.txt, says what is wrong in it, or writes what the set-up needs.
#[derive(clap::Args, Debug)]
pub(crate) struct ReadCard {
    /// The file
    file: PathBuf,
    /// An empty directory that only root can read
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// The merchant's backend is on this computer, too
    #[arg(long)]
    one_pi: bool,
}

impl ReadCard {
    /// In the language of the locale.
    pub(crate) fn run(&self) -> Result<(), Failure> {
        speech::speak(None);
        let told = |path: &Path, why: &std::io::Error| Failure::failed(format!("{}: {why}", path.display()));
        let mut bytes = Vec::new();
        let file = File::open(&self.file).map_err(|why| Failure::usage(fill(texts().card_not_there, &[&self.file.display(), &why])))?;
        file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(|why| told(&self.file, &why))?;
        if bytes.len() as u64 > FILE_MAX {
            return Err(Failure::usage(fill(texts().file_large, &[&self.file.display()])));
        }
        let has_zone = |zone: &str| Path::new("/usr/share/zoneinfo").join(zone).is_file();
        let flavour = if self.one_pi { Flavour::OnePi } else { Flavour::Machine };
        let card = match Card::read(&bytes, flavour, has_zone) {
            Ok(card) => card,
            Err(faults) => {
                faults.iter().try_for_each(|fault| print::line(&print::plain(&fault.to_string())))?;
                return Err(Failure::usage(fill(texts().card_faults, &[&faults.len()])));
            }
        };
        for (name, content) in card.files(&String::from_utf8_lossy(&bytes)) {
            let path = self.into.join(name);
            let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
            written.and_then(|mut file| file.write_all(content.as_bytes())).map_err(|why| told(&path, &why))?;
        }
        Ok(())
    }
}

/// Whose card it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    /// The merchant's server is elsewhere.
    Machine,
    /// It is on this computer, too.
    OnePi,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Code,
    Enrolment,
    ServerKey,
    Wifi,
    WifiPassword,
    WifiCountry,
    TimeZone,
    SshKey,
    Name,
    Contact,
    Language,
    Item,
    Line,
    Screen,
    Rotate,
}

const KEYS: &[(&str, Entry)] = &[
    ("code", Entry::Code),
    ("enrolment", Entry::Enrolment),
    ("server_key", Entry::ServerKey),
    ("wifi", Entry::Wifi),
    ("wifi_password", Entry::WifiPassword),
    ("wifi_country", Entry::WifiCountry),
    ("timezone", Entry::TimeZone),
    ("ssh_key", Entry::SshKey),
    ("name", Entry::Name),
    ("contact", Entry::Contact),
    ("language", Entry::Language),
    ("item", Entry::Item),
    ("line", Entry::Line),
    ("screen", Entry::Screen),
    ("rotate", Entry::Rotate),
];

impl Entry {
    fn word(self) -> &'static str {
        KEYS.iter().find(|(_, key)| *key == self).map_or("", |(word, _)| word)
    }

    /// The flag of `qrisctl setup` that takes the value as it stands.
    const fn flag(self) -> Option<&'static str> {
        match self {
            Self::Name => Some("--name"),
            Self::Contact => Some("--contact"),
            Self::Language => Some("--language"),
            Self::Item => Some("--item"),
            Self::Line => Some("--line"),
            Self::Screen => Some("--screen"),
            Self::Rotate => Some("--rotate"),
            Self::Code
            | Self::Enrolment
            | Self::ServerKey
            | Self::Wifi
            | Self::WifiPassword
            | Self::WifiCountry
            | Self::TimeZone
            | Self::SshKey => None,
        }
    }

    /// Does it let somebody in, or take money? Then it leaves the card once it was taken. The Wi-Fi's stays: the person changes it there.
    const fn leaves(self) -> bool {
        matches!(self, Self::Code | Self::Enrolment | Self::ServerKey)
    }
}

/// What is wrong, and in which line, from 1; without a line: something is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    line: Option<usize>,
    why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => f.write_str(&fill(texts().card_line, &[&line, &self.why])),
            None => f.write_str(&self.why),
        }
    }
}

/// A file of which every line is good.
#[derive(Debug, Default)]
pub(super) struct Card {
    /// Lines and values of each key, in their order.
    said: BTreeMap<Entry, Vec<(usize, String)>>,
    /// The numbers of the lines that leave the card.
    leaving: Vec<usize>,
}

impl Card {
    /// Reads the file. CR LF, a byte order mark, blanks, and a line that stands there twice are taken. `has_zone`: is there such a time
    /// zone?
    pub(super) fn read(bytes: &[u8], flavour: Flavour, has_zone: impl Fn(&str) -> bool) -> Result<Self, Vec<Fault>> {
        let text = std::str::from_utf8(bytes).map_err(|why| {
            let line = bytes[..why.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            vec![Fault { line: Some(line), why: texts().card_not_utf8.into() }]
        })?;
        let mut card = Self::default();
        let mut faults = card.lines(text);
        for (key, values) in &card.said {
            let once = !matches!(key, Entry::Item | Entry::Line);
            if let [(first, _), (again, _), ..] = &**values
                && once
            {
                faults.push(Fault { line: Some(*again), why: fill(texts().card_twice, &[&key.word(), first]) });
            }
            for (line, value) in values {
                if let Err(why) = judged(*key, value, flavour, &has_zone) {
                    faults.push(Fault { line: Some(*line), why: format!("{}: {why}", key.word()) });
                }
            }
        }
        faults.extend(card.together(flavour));
        if faults.is_empty() {
            Ok(card)
        } else {
            faults.sort_by_key(|fault| (fault.line.is_none(), fault.line));
            faults.dedup();
            Err(faults)
        }
    }

    fn lines(&mut self, text: &str) -> Vec<Fault> {
        let mut faults = Vec::new();
        // An enrolment text takes several lines.
        let mut goes_on = false;
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let (at, line) = (at + 1, line.trim());
            let is_part = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if goes_on && is_part && !line.starts_with(BEGINS) {
                if let Some((_, text)) = self.said.get_mut(&Entry::Enrolment).and_then(|values| values.last_mut()) {
                    text.push_str(line);
                }
                self.leaving.push(at);
                continue;
            }
            goes_on = false;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (word, value) = match line.split_once('=') {
                _ if line.starts_with(BEGINS) => (Entry::Enrolment.word().to_owned(), line),
                Some((word, value)) => (word.trim().to_lowercase(), value.trim()),
                None => {
                    faults.push(Fault { line: Some(at), why: texts().card_form.into() });
                    continue;
                }
            };
            let Some((_, key)) = KEYS.iter().find(|(known, _)| *known == word) else {
                let known: Vec<_> = KEYS.iter().map(|(word, _)| *word).collect();
                faults.push(Fault { line: Some(at), why: fill(texts().card_unknown, &[&format!("{word:?}"), &known.join(", ")]) });
                continue;
            };
            goes_on = *key == Entry::Enrolment;
            // Nothing was filled in.
            if value.is_empty() {
                continue;
            }
            if key.leaves() {
                self.leaving.push(at);
            }
            let values = self.said.entry(*key).or_default();
            // An enrolment text is compared when it is whole: nobody types it.
            if !values.iter().any(|(_, said)| said == value) {
                values.push((at, value.to_owned()));
            }
        }
        faults
    }

    /// What is wrong with several lines together, or missing.
    fn together(&self, flavour: Flavour) -> Vec<Fault> {
        let mut faults = Vec::new();
        let at = |line: Option<usize>, why: String| Fault { line, why };
        let missing = |what: &str| at(None, fill(texts().card_missing, &[&what]));
        let first = |key: Entry| self.said.get(&key).and_then(|values| values.first()).map(|(line, _)| *line);
        match (flavour, first(Entry::Code), first(Entry::Enrolment)) {
            (Flavour::Machine, None, None) => faults.push(missing("code")),
            (Flavour::Machine, Some(_), Some(line)) => faults.push(at(Some(line), texts().card_code_and_text.into())),
            (Flavour::Machine, _, _) | (Flavour::OnePi, _, _) => {}
        }
        for key in [Entry::Item, Entry::Line] {
            if first(key).is_none() {
                faults.push(missing(key.word()));
            }
        }
        match (first(Entry::Wifi), first(Entry::WifiPassword)) {
            (None, Some(line)) => {
                faults.push(at(Some(line), fill(texts().card_alone, &[&Entry::WifiPassword.word(), &Entry::Wifi.word()])))
            }
            (Some(line), None) => {
                faults.push(at(Some(line), fill(texts().card_alone, &[&Entry::Wifi.word(), &Entry::WifiPassword.word()])))
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        faults.extend(self.goods());
        faults
    }

    /// Items and lines, each with those before it.
    fn goods(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let (mut items, mut lines): (Vec<Item>, Vec<LineSpec>) = (Vec::new(), Vec::new());
        let of = |key: Entry| self.said.get(&key).into_iter().flatten();
        for (line, value) in of(Entry::Item) {
            if let Ok(item) = specs::item(value)
                && let Err(why) = add_item(&mut items, item)
            {
                faults.push(Fault { line: Some(*line), why });
            }
        }
        let sold: Vec<_> = items.iter().map(|item| item.id.to_string()).collect();
        for (line, value) in of(Entry::Line) {
            if let Ok(spec) = specs::line(value)
                && let Err(why) = add_line(&sold, &mut lines, spec)
            {
                faults.push(Fault { line: Some(*line), why });
            }
        }
        let served: Vec<_> = lines.iter().flat_map(|line| line.items.clone()).collect();
        // One that cannot be read may serve it.
        if faults.is_empty() && of(Entry::Line).count() == lines.len() && !lines.is_empty() {
            let alone = unserved(&sold, &served);
            faults.extend(alone.into_iter().map(|id| Fault { line: None, why: fill(texts().card_unserved, &[&id]) }));
        }
        faults
    }

    /// What the first boot needs: names of files, and what is in them. `text` is the file that was read.
    pub(super) fn files(&self, text: &str) -> Vec<(&'static str, String)> {
        let value = |key: Entry| self.said.get(&key).and_then(|values| values.first()).map(|(_, value)| value.as_str());
        let mut arguments = String::new();
        for (key, values) in &self.said {
            for (_, value) in values {
                if let Some(flag) = key.flag() {
                    arguments.push_str(&format!("{flag}={value}\n"));
                }
            }
        }
        let mut files = vec![("arguments", arguments), ("kept", self.kept(text))];
        let alone = [
            ("code", Entry::Code),
            ("enrolment", Entry::Enrolment),
            ("server-key", Entry::ServerKey),
            ("contact", Entry::Contact),
            ("timezone", Entry::TimeZone),
            ("authorized_keys", Entry::SshKey),
        ];
        files.extend(alone.into_iter().filter_map(|(name, key)| Some((name, format!("{}\n", value(key)?)))));
        if let (Some(name), Some(password)) = (value(Entry::Wifi), value(Entry::WifiPassword)) {
            files.push(("wpa_supplicant.conf", wifi(name, password, value(Entry::WifiCountry).unwrap_or(COUNTRY))));
        }
        files
    }

    /// The file without what leaves the card.
    fn kept(&self, text: &str) -> String {
        let mut kept = String::new();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            match self.leaving.contains(&(at + 1)) {
                // What was taken is not said again, and the line keeps its number.
                true => kept.push_str(if line.ends_with("\r\n") { "# -\r\n" } else { "# -\n" }),
                false => kept.push_str(line),
            }
        }
        kept
    }
}

/// For wpa_supplicant. The name is written as numbers: it may have any letters.
fn wifi(name: &str, password: &str, country: &str) -> String {
    let hex = hex(name.as_bytes());
    let psk = if password.len() == 64 { password.to_owned() } else { format!("\"{password}\"") };
    format!("country={country}\nnetwork={{\n\tssid={hex}\n\tpsk={psk}\n\tscan_ssid=1\n}}\n")
}

fn judged(key: Entry, value: &str, flavour: Flavour, has_zone: &impl Fn(&str) -> bool) -> Result<(), String> {
    let says = |good: bool, why: &str| if good { Ok(()) } else { Err(why.to_owned()) };
    match (key, flavour) {
        (Entry::ServerKey, Flavour::Machine) => Err(texts().card_of_one_pi.into()),
        (Entry::Code | Entry::Enrolment, Flavour::OnePi) => Err(texts().card_of_machine.into()),
        (Entry::ServerKey, Flavour::OnePi) => {
            let is_key = value.starts_with("SB-Mid-server-") && value.bytes().all(|byte| byte.is_ascii_graphic());
            says(is_key, texts().card_server_key)
        }
        (Entry::Code, Flavour::Machine) => value.parse::<Invitation>().map(drop).map_err(|why| no_invitation(&why)),
        (Entry::Enrolment, Flavour::Machine) => Enrolment::from_text(value).map(drop).map_err(|why| no_enrolment(&why)),
        (Entry::Wifi, _) => says(value.len() <= 32 && !value.contains(steers), texts().card_wifi),
        (Entry::WifiPassword, _) => {
            let is_phrase = (8..=63).contains(&value.len()) && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            let is_raw = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
            says(is_phrase || is_raw, texts().card_wifi_password)
        }
        (Entry::WifiCountry, _) => says(value.len() == 2 && value.bytes().all(|byte| byte.is_ascii_uppercase()), texts().card_country),
        (Entry::TimeZone, _) => {
            let is_name = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte));
            says(is_name && !value.starts_with('/') && has_zone(value), texts().card_zone)
        }
        (Entry::SshKey, _) => {
            let is_key = ["ssh-ed25519 ", "ssh-rsa ", "ecdsa-sha2-", "sk-"].iter().any(|begin| value.starts_with(begin));
            says(is_key && !value.contains(steers), texts().card_ssh)
        }
        (Entry::Name | Entry::Contact, _) => parse_letters(value).map(drop),
        (Entry::Language, _) => says(["id", "en", "both"].contains(&value), texts().language_known),
        (Entry::Item, _) => specs::item(value).map(drop),
        (Entry::Line, _) => specs::line(value).map(drop),
        (Entry::Screen, _) => specs::screen(value).map(drop),
        (Entry::Rotate, _) => parse_degrees(value).map(drop).map_err(Into::into),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "https://pay.example#vm-001.7QX2-9MKP-V4TD-0RHE-6ZNA";
    const GOODS: &str = "item = A1:5000:Teh botol\nline = A1=/dev/gpiochip0:6:low\n";

    fn read(text: &str, flavour: Flavour) -> Result<Card, Vec<String>> {
        let card = Card::read(text.as_bytes(), flavour, |zone| zone == "Asia/Jakarta");
        card.map_err(|faults| faults.iter().map(ToString::to_string).collect())
    }

    fn file<'a>(files: &'a [(&str, String)], name: &str) -> Option<&'a str> {
        files.iter().find(|(known, _)| *known == name).map(|(_, content)| content.as_str())
    }

    #[test]
    fn a_good_file_is_flags_and_files() {
        let text = format!(
            "# A card\nCode = {CODE}\nwifi = Wi\"Fi é\nwifi_password = \"ab\"= cd \ntimezone=Asia/Jakarta\nname = Lobby 2\nssh_key = ssh-ed25519 AAAA sari\n{GOODS}item = A2:6000\nline=A2=/dev/gpiochip0:5:low:button=16\n"
        );
        let files = read(&text, Flavour::Machine).expect("good").files(&text);
        assert_eq!(
            file(&files, "arguments"),
            Some(
                "--name=Lobby 2\n--item=A1:5000:Teh botol\n--item=A2:6000\n--line=A1=/dev/gpiochip0:6:low\n--line=A2=/dev/gpiochip0:5:low:button=16\n"
            )
        );
        assert_eq!(file(&files, "code"), Some(&*format!("{CODE}\n")));
        assert_eq!(file(&files, "timezone"), Some("Asia/Jakarta\n"));
        assert_eq!(file(&files, "authorized_keys"), Some("ssh-ed25519 AAAA sari\n"));
        assert_eq!(
            file(&files, "wpa_supplicant.conf"),
            Some("country=ID\nnetwork={\n\tssid=576922466920c3a9\n\tpsk=\"\"ab\"= cd\"\n\tscan_ssid=1\n}\n")
        );
        assert_eq!(file(&files, "server-key"), None);
    }

    #[test]
    fn what_editors_add_and_what_is_typed_twice_is_taken() {
        let text = format!("\u{feff}code = {CODE}\r\ncode={CODE}\r\n\r\n{}wifi =\r\n", format!("{GOODS}{GOODS}").replace('\n', "\r\n"));
        let files = read(&text, Flavour::Machine).expect("good").files(&text);
        assert_eq!(file(&files, "arguments"), Some("--item=A1:5000:Teh botol\n--line=A1=/dev/gpiochip0:6:low\n"));
        assert_eq!(file(&files, "code"), Some(&*format!("{CODE}\n")));
        assert_eq!(file(&files, "wpa_supplicant.conf"), None);
    }

    #[test]
    fn what_lets_in_leaves_the_card_and_the_rest_stays_letter_for_letter() {
        let text = format!("\u{feff}name = A\r\nserver_key = SB-Mid-server-x\r\nwifi = a\r\nwifi_password = 12345678\r\n{GOODS}");
        let files = read(&text, Flavour::OnePi).expect("good").files(&text);
        assert_eq!(file(&files, "server-key"), Some("SB-Mid-server-x\n"));
        assert_eq!(file(&files, "kept"), Some(&*text.replace("server_key = SB-Mid-server-x", "# -")));
        let text = format!("{GOODS}code = {CODE}");
        let files = read(&text, Flavour::Machine).expect("good").files(&text);
        assert_eq!(file(&files, "kept"), Some(&*format!("{GOODS}# -\n")));
        // What was taken is missed by whoever reads the file again.
        assert_eq!(read(&format!("{GOODS}# -\n"), Flavour::Machine).err(), Some(vec!["the file needs a line: code =".to_owned()]));
    }

    #[test]
    fn every_wrong_line_is_named() {
        let machine = [
            ("cod = x", "line 4: there is no \"cod\": known are code, enrolment,"),
            ("hello", "line 4: must be KEY = VALUE"),
            ("code = https://pay.example", "line 4: code: "),
            ("enrolment = qris-enrol1.x.y", "line 4: enrolment: "),
            ("server_key = SB-Mid-server-x", "line 4: server_key: "),
            ("wifi = 123456789012345678901234567890123\nwifi_password = 12345678", "line 4: wifi: "),
            ("wifi = a\nwifi_password = 1234567", "line 5: wifi_password: "),
            ("wifi = a\nwifi_password = 12345678é", "line 5: wifi_password: "),
            ("wifi = a", "line 4: wifi needs wifi_password, too"),
            ("wifi_password = 12345678", "line 4: wifi_password needs wifi, too"),
            ("wifi_country = id", "line 4: wifi_country: "),
            ("timezone = Asia/Jakart", "line 4: timezone: "),
            ("timezone = ../Asia/Jakarta", "line 4: timezone: "),
            ("ssh_key = AAAA", "line 4: ssh_key: "),
            ("name = 茶", "line 4: name: "),
            ("name = A\nname = B", "line 5: name stands in line 4, too"),
            ("contact = \u{7}", "line 4: contact: "),
            ("language = de", "line 4: language: "),
            ("item = A2", "line 4: item: "),
            ("item = A1:6000", "line 4: A1 is there already"),
            ("item = A2:6000", "no line hands out A2"),
            ("line = A2=/dev/gpiochip0:5", "line 4: "),
            ("line = A1=17", "line 4: line: "),
            ("screen = fb0", "line 4: screen: "),
            ("rotate = 45", "line 4: rotate: "),
        ];
        for (line, told) in machine {
            let faults = read(&format!("code = {CODE}\n{GOODS}{line}\n"), Flavour::Machine).err().unwrap_or_default();
            assert!(faults.iter().any(|fault| fault.contains(told)), "{line}: {faults:?}");
        }
        for line in ["server_key = Mid-server-x", "code = https://pay.example#vm-001.7QX2-9MKP-V4TD-0RHE-6ZNA"] {
            assert_eq!(read(&format!("{GOODS}{line}\n"), Flavour::OnePi).map_err(|faults| faults.len()).err(), Some(1), "{line}");
        }
        assert_eq!(read("", Flavour::Machine).map_err(|faults| faults.len()).err(), Some(3));
        let latin = [b"name = caf\xe9\n", GOODS.as_bytes()].concat();
        let faults = Card::read(&latin, Flavour::OnePi, |_| true).err().unwrap_or_default();
        assert_eq!(faults.first().map(|fault| fault.line), Some(Some(1)));
        let secret = read(&format!("code = https://pay.example#vm-001.SECRET-SECRET\n{GOODS}"), Flavour::Machine).err().unwrap_or_default();
        assert!(!secret.is_empty() && secret.iter().all(|fault| !fault.contains("SECRET")), "{secret:?}");
    }
}
