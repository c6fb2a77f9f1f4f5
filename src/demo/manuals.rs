//! `qris-demo manuals DIRECTORY`: manual pages and completions of the installed programs, made from the definitions of
//! their commands. Packages take them from there.

use crate::host::{Failure, exit, parse};
use clap::Command;
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

/// Writes manual pages and completions.
#[derive(clap::Parser, Debug)]
#[command(name = "manuals")]
struct Arguments {
    /// Where `man` and `completions` are made
    directory: PathBuf,
}

/// What a page tells beside the commands.
struct Page {
    definition: Command,
    /// 1: for everybody; 8: for who runs the computer.
    section: &'static str,
    files: &'static [(&'static str, &'static str)],
    signals: bool,
    see: &'static str,
}

pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Arguments = match parse(arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    exit("manuals", write(&arguments.directory).map_err(Failure::failed))
}

fn write(directory: &Path) -> io::Result<()> {
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    for page in pages() {
        let name = page.definition.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            generate_to(shell, &mut page.definition.clone(), &name, &completions)?;
        }
        let mut definition = page.definition.clone();
        definition.build();
        write_page(&man, &page, &definition, &name)?;
    }
    Ok(())
}

fn pages() -> [Page; 4] {
    [
        Page {
            definition: crate::device::USAGE.definition(),
            section: "8",
            files: &[
                ("/etc/qrisd/qrisd.toml", "the configuration"),
                ("/etc/qrisd/keys.json", "whose receipts are believed"),
                ("/var/lib/qrisd/qrisd.db", "orders, kept across restarts and power cuts"),
            ],
            signals: true,
            see: "qris-relayd(8), qrisctl(1)",
        },
        Page {
            definition: crate::relay::USAGE.definition(),
            section: "8",
            files: &[
                ("/etc/qrisd/relay.toml", "the configuration: lines, pins, pulses"),
                ("/etc/qrisd/keys.json", "whose receipts are believed"),
                ("/var/lib/qris-relay/ledger.db", "what was promised and driven"),
                (
                    "/var/lib/qris-relay/ledger.db.lines",
                    "the lines that it holds; set inactive by --safe, whatever became of the configuration",
                ),
            ],
            signals: true,
            see: "qrisd(8), qrisctl(1)",
        },
        Page {
            definition: crate::backend::definition(),
            section: "8",
            files: &[("/etc/qris-backend/backend.toml", "the configuration"), ("/var/lib/qris-backend/orders.db", "the books")],
            signals: true,
            see: "qrisd(8), qrisctl(1)",
        },
        Page {
            definition: crate::ctl::definition(),
            section: "1",
            files: &[("/etc/qrisd/qrisctl.toml", "an example: name it in QRISCTL_CONFIG")],
            signals: false,
            see: "qrisd(8), qris-relayd(8), qris-backend(8)",
        },
    ]
}

/// The page of a command, and one of each command below it.
fn write_page(directory: &Path, page: &Page, command: &Command, name: &str) -> io::Result<()> {
    let below = command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set());
    let mut text = Vec::new();
    let man = Man::new(command.clone().name(name.to_owned()))
        .section(page.section)
        .manual("qrisd")
        .source(concat!("qrisd ", env!("CARGO_PKG_VERSION")));
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut text)?;
    }
    more(page).to_writer(&mut text)?;
    fs::write(directory.join(format!("{name}.{}", page.section)), text)?;
    for command in below {
        write_page(directory, page, command, &format!("{name}-{}", command.get_name()))?;
    }
    Ok(())
}

fn more(page: &Page) -> Roff {
    let mut roff = Roff::new();
    let mut section = |title: &str, entries: &[(&str, &str)]| {
        roff.control("SH", [title]);
        for (name, text) in entries {
            roff.control("TP", []);
            roff.text([roman(*name)]);
            roff.text([roman(*text)]);
        }
    };
    section("EXIT STATUS", &[("0", "done, also after SIGTERM"), ("1", "failed"), ("2", "wrong use or configuration")]);
    if page.signals {
        section(
            "SIGNALS",
            &[
                ("SIGTERM, SIGINT", "end within two seconds; nothing is lost"),
                ("SIGHUP", "under a service manager: read the configuration again; one that is not good is told and changes nothing"),
            ],
        );
    }
    section("FILES", page.files);
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(page.see)]);
    roff
}
