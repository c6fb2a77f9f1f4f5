//! `keys`: the keys of operators. The private half stays with its owner. The public half goes to each machine, where root says
//! which keys the machine believes.

mod private;

use super::broker::Connection;
use super::guard::FileRole;
use super::print;
use super::site::{self, KEYS_JSON, Site};
use clap::{Subcommand, ValueEnum};
use qris_core::order::ids::KeyId;
use qris_core::order::keys::{KeyFile, KeySet, Level, SigningKey, is_name};
use qris_host::Failure;
use qris_host::setup::write::{self, Planned};
use ring::rand::{SecureRandom as _, SystemRandom};
use std::fs;
use std::path::{Path, PathBuf};

/// The keys of operators.
#[derive(Subcommand, Debug)]
pub(super) enum Keys {
    /// Make a key; the private half is written to a file, the public half to standard output
    New {
        /// What its owner may do: view, manage (settings, stock, cancel, restart) or service (also test, clear, reboot, update)
        #[arg(long)]
        level: LevelArgument,
        /// Who has it, for lists and journals of the machines
        #[arg(long, value_parser = name)]
        name: Option<Box<str>>,
        /// The file for the private half; the default is ~/.config/qrisctl/operator.jwk
        #[arg(long, value_name = "FILE")]
        operator_key: Option<PathBuf>,
        /// Ask for a passphrase, without which the private half is of no use. Where nobody can type it, QRISCTL_PASSPHRASE_FILE names
        /// a file with it
        #[arg(long)]
        passphrase: bool,
    },
    /// On the machine, as root: believe a key
    Add {
        /// The public half, as `keys new` wrote it
        jwk: String,
        #[command(flatten)]
        place: KeyLocation,
    },
    /// On the machine: show whose keys it believes
    List {
        #[command(flatten)]
        place: KeyLocation,
    },
    /// On the machine, as root: do not believe a key any more
    Retire {
        /// Its name
        #[arg(allow_hyphen_values = true, value_parser = KeyId::new)]
        kid: KeyId,
        #[command(flatten)]
        place: KeyLocation,
    },
}

/// Where the machine's keys are.
#[derive(clap::Args, Debug)]
pub(super) struct KeyLocation {
    /// The machine's keys
    #[arg(long, value_name = "FILE", default_value = KEYS_JSON)]
    keys_file: PathBuf,
    /// Where the system is, for an image that does not run
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    root: PathBuf,
}

/// [`Level`] as a word of the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LevelArgument {
    View,
    Manage,
    Service,
}

impl From<LevelArgument> for Level {
    fn from(level: LevelArgument) -> Self {
        match level {
            LevelArgument::View => Self::View,
            LevelArgument::Manage => Self::Manage,
            LevelArgument::Service => Self::Service,
        }
    }
}

impl Keys {
    pub(super) fn run(self, json: bool) -> Result<(), Failure> {
        match self {
            Self::New { level, name, operator_key, passphrase } => make(level.into(), name, &private_file(operator_key)?, passphrase),
            Self::Add { jwk, place } => place.change(json, true, |keys| keys.put_operator(&jwk).map_err(|why| no_key(&jwk, &why))),
            Self::List { place } => place.list(json),
            Self::Retire { kid, place } => place.change(json, false, |keys| match keys.retire(&kid) {
                true => Ok(kid),
                false => Err(Failure::usage(format!("there is no operator's key {kid}: see `qrisctl keys list`"))),
            }),
        }
    }
}

/// What was given is no key. Perhaps it is the name of a file with one.
fn no_key(given: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::usage(match std::path::Path::new(given).exists() {
        true => format!("<JWK>: give the key itself and not the file: \"$(cat {given})\""),
        false => format!("<JWK>: {why}; give the line that `qrisctl keys new` wrote, in single quotes"),
    })
}

impl KeyLocation {
    fn read(&self, site: &Site) -> Result<String, Failure> {
        let path = site.at(&self.keys_file);
        fs::read_to_string(&path).map_err(|why| {
            Failure::usage(format!("{}: {why}; --keys-file names another file, `sudo qrisctl setup` makes this one", path.display()))
        })
    }

    fn site(&self) -> Result<Site, Failure> {
        Site::below(&self.root)
            .map_err(|why| Failure::usage(format!("--root: {}: {why}; name a directory that is there", self.root.display())))
    }

    /// Changes the file for a key, which is believed from then on, or is not.
    fn change(self, json: bool, is_believed: bool, change: impl FnOnce(&mut KeyFile) -> Result<KeyId, Failure>) -> Result<(), Failure> {
        let site = self.site()?;
        let named = |error| Failure::usage(format!("{}: {error}", self.keys_file.display()));
        let before = self.read(&site)?;
        let mut keys = KeyFile::read(&before).map_err(named)?;
        let kid = change(&mut keys)?;
        let after = keys.to_text();
        write::put(&site, &[Planned::new(&self.keys_file, FileRole::Trusted, after.clone())]).map_err(Failure::failed)?;
        if json {
            return print::line(&serde_json::json!({ "kid": kid, "believed": is_believed }).to_string());
        }
        let done = if is_believed { "is believed" } else { "is not believed any more" };
        // Of one that is not believed any more only the text before has the name.
        let texts = [before.as_str(), after.as_str()].into_iter().filter_map(|text| KeySet::from_jwks(text).ok());
        let key = texts.map(|keys| keys.named(&kid)).find(|named| named != kid.as_str()).unwrap_or_else(|| kid.to_string());
        print::remark(&format!("the key {key} {done}; the services take it up with: systemctl reload qris-relayd qrisd"));
        Ok(())
    }

    fn list(&self, json: bool) -> Result<(), Failure> {
        let text = self.read(&self.site()?)?;
        let keys = KeySet::from_jwks(&text).map_err(|error| Failure::usage(format!("{}: {error}", self.keys_file.display())))?;
        for (kid, level) in keys.operators() {
            print::line(&match json {
                true => serde_json::json!({ "kid": kid, "level": level, "name": keys.name(kid) }).to_string(),
                false => format!("{level}  {}", keys.named(kid)),
            })?;
        }
        Ok(())
    }
}

fn name(text: &str) -> Result<Box<str>, &'static str> {
    if is_name(text) { Ok(text.into()) } else { Err("must have 1 to 40 characters that can be printed") }
}

fn make(level: Level, name: Option<Box<str>>, path: &Path, is_sealed: bool) -> Result<(), Failure> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| Failure::failed("the system gives no random bits"))?;
    let key = SigningKey::from_seed(seed);
    private::write(path, &key, is_sealed)?;
    print::line(&key.to_named_jwk(level, name))?;
    print::remark(&format!(
        "{} holds the private half: nobody else may have it. On each machine, as root: qrisctl keys add 'THE LINE ABOVE'",
        path.display()
    ));
    Ok(())
}

/// The operator's own key: that of a flag, else that of the broker's file, else the usual one.
pub(super) fn read_operators(file: Option<PathBuf>, connection: &Connection) -> Result<SigningKey, Failure> {
    let file = match file {
        Some(file) => Some(file),
        None => connection.operator_key()?,
    };
    private::read(&private_file(file)?)
}

fn private_file(file: Option<PathBuf>) -> Result<PathBuf, Failure> {
    file.or_else(|| Some(site::of_user()?.join("operator.jwk")))
        .ok_or_else(|| Failure::usage("there is no HOME: name the file with --operator-key"))
}
