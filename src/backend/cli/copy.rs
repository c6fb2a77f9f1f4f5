//! `qris-backend copy`: books and machines go from SQLite to PostgreSQL.

use super::opening::apart;
use super::print::{Out, counted};
use super::progress::Progress;
use crate::keeping::moving::{self, Step};
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
    /// Where the books are, and the machines beside them: sqlite:///PATH. No `serve` may run there
    #[arg(long, value_name = "URL")]
    from: String,
    /// Where they are to go, a database without rows: postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL")]
    to: String,
    /// The file with the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The certificate authority that signed the server's certificate
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Print the counts as one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(wanted: &Copy) -> Result<(), Failure> {
    tls::install_provider();
    let from = file(&wanted.from).map_err(|why| Failure::usage(format!("--from: {why}")))?;
    let to = server(wanted).map_err(|why| Failure::usage(format!("--to: {why}")))?;
    let mut progress = Progress::begin();
    let copied = apart(|| moving::copy(from, &to, |step| progress.says(|| words(step))));
    drop(progress);
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

fn words(Step { table, rows, of, compares }: Step) -> String {
    format!("{table}: {rows} of {} are {}", counted(of, "row"), if compares { "compared" } else { "written" })
}

fn file(url: &str) -> Result<&Path, String> {
    let path = url.strip_prefix("sqlite://").filter(|path| path.starts_with('/') && path.len() > 1);
    let books = path.filter(|path| !path.ends_with(&format!("/{MACHINES_FILE}")));
    books.map(Path::new).ok_or_else(|| format!("must be sqlite:///PATH with an absolute path of the books, not {url:?}"))
}

fn server(wanted: &Copy) -> Result<Server, String> {
    let password = wanted.password_file.as_deref().map(Secret::read).transpose().map_err(|why| why.to_string())?;
    Server::new(&wanted.to, password.as_ref().map(Secret::expose), wanted.ca_file.as_deref()).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_far_it_is_in_rows() {
        let step = Step { table: "history", rows: 1500, of: 2400, compares: false };
        assert_eq!(words(step), "history: 1500 of 2400 rows are written");
        assert_eq!(words(Step { compares: true, ..step }), "history: 1500 of 2400 rows are compared");
    }
}
