//! `qris-backend keys`: the keys that sign receipts.

use super::print::Out;
use crate::config::Config;
use crate::keys::Ring;
use clap::Subcommand;
use qris_core::order::ids::KeyId;
use qris_host::Failure;

/// The keys that sign receipts.
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key and write it to `receipts.signing_key_file`
    New {
        /// Add it to the keys in the file; `keys use` then signs with it
        #[arg(long)]
        rotate: bool,
    },
    /// Write the JWK Set for the keys.json of machines to standard output
    Public,
    /// Sign with this key from now on; a `serve` that runs takes it up within seconds
    Use {
        /// Its name
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

pub fn run(config: &Config, keys: Keys) -> Result<(), Failure> {
    let path = &config.signing_key_file;
    let mut out = Out::default();
    match keys {
        Keys::New { rotate } => {
            let kid = Ring::make(path, rotate).map_err(Failure::failed)?;
            out.line(kid.as_str())
        }
        Keys::Public => {
            let ring = Ring::read(path).map_err(Failure::failed)?;
            out.text(&ring.public(&config.issuer))
        }
        Keys::Use { kid } => {
            let kid = KeyId::new(&kid).map_err(Failure::usage)?;
            Ring::choose(path, &kid).map_err(Failure::failed)?;
            eprintln!("receipts are signed with {kid} from now on");
            Ok(())
        }
    }
}
