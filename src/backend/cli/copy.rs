//! `qris-backend copy`: books and machines go from SQLite to PostgreSQL, or back.

use super::print::{Out, counted};
use crate::databases::Place;
use crate::moving;
use crate::store::MACHINES_FILE;
use crate::store::postgres::Server;
use clap::Args;
use qris_host::secret::Secret;
use qris_host::{Failure, tls};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// From where, and where to.
#[derive(Debug, Args)]
pub struct Copy {
    /// Where the books and the machines are: sqlite:///PATH or postgres://USER@HOST/DATABASE. No `serve` may run there
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where they are to go: a file that does not exist yet, or a database without rows
    #[arg(long, value_name = "URL")]
    to: String,
    /// PostgreSQL: the file with the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// PostgreSQL: the certificate authority that signed the server's certificate
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Print the counts as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(wanted: &Copy) -> Result<(), Failure> {
    tls::install_provider();
    let place = |option: &str, url: &str| {
        let named = place(url, wanted.password_file.as_deref(), wanted.ca_file.as_deref());
        named.map_err(|why| Failure::usage(format!("{option}: {why}")))
    };
    let (from, to) = (place("--from", &wanted.from)?, place("--to", &wanted.to)?);
    if [&from, &to].iter().all(|place| matches!(place, Place::File(_))) {
        return Err(Failure::usage("--from and --to are both files of SQLite: use `qris-backend backup` for those"));
    }
    let copied = super::apart(|| moving::copy(&from, &to, |table| eprintln!("{table} …")));
    let counts = copied.map_err(Failure::failed)?;
    let mut out = Out::default();
    if wanted.json {
        let counts: Map<String, Value> = counts.into_iter().map(|(table, rows)| (table.into(), rows.into())).collect();
        return out.line(&Value::from(counts).to_string());
    }
    for (table, rows) in counts {
        out.line(&format!("{table}: {}", counted(rows, "row")))?;
    }
    out.line("every row was read again, and is the same: name the new place in store.url, and start `serve`")
}

fn place(url: &str, password_file: Option<&Path>, ca_file: Option<&Path>) -> Result<Place, String> {
    match url.strip_prefix("sqlite://") {
        Some(path) if path.starts_with('/') && path.len() > 1 && !path.ends_with(&format!("/{MACHINES_FILE}")) => {
            Ok(Place::File(path.into()))
        }
        None if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
            let password = password_file.map(Secret::read).transpose().map_err(|why| why.to_string())?;
            let server = Server::new(url, password.as_ref().map(Secret::expose), ca_file).map_err(|why| why.to_string())?;
            Ok(Place::Server(Box::new(server)))
        }
        Some(_) | None => {
            Err(format!("must be sqlite:///PATH with an absolute path of the books, or postgres://USER@HOST/DATABASE, not {url:?}"))
        }
    }
}
