//! `qris-tools manuals DIRECTORY`: manual pages and completions of all programs, made from the definitions of
//! their commands. Packages take them from there.

use super::settings::TABLES;
use clap::Command;
use clap_complete::env::Shells;
use clap_complete::{Generator as _, Shell, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};
use qris_host::config::settings::{MQTT, Setting};
use qris_host::{Failure, exit, parse};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

/// Writes manual pages and completions.
#[derive(clap::Parser, Debug)]
#[command(name = "manuals", bin_name = "qris-tools manuals")]
struct Arguments {
    /// Where `man` and `completions` are made
    directory: PathBuf,
}

/// The contents of a page beside the commands.
struct ManualPage {
    definition: Command,
    /// 1: for everybody; 8: for administrators.
    section: &'static str,
    files: &'static [(&'static str, &'static str)],
    service: Service,
    see: &'static str,
}

/// The part of a program that is a service, to which signals are sent.
enum Service {
    /// All of it. The text says what happens to its work when it is told to end.
    Whole(&'static str),
    /// The program, and its sub-command `serve`. The exit statuses of the other commands are as a help tells them.
    Serve(&'static str),
    None,
}

impl Service {
    /// What happens to the work of a command that is told to end; none if it is no service.
    fn when_told_to_end(&self, command: &str) -> Option<&'static str> {
        match self {
            Self::Whole(told) => Some(told),
            Self::Serve(_) if ["qris-backend", "serve"].contains(&command) => Some("nothing is lost"),
            Self::Serve(_) | Self::None => None,
        }
    }
}

pub(super) fn definition() -> Command {
    <Arguments as clap::CommandFactory>::command()
}

pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Arguments = match parse(super::definition_of("manuals"), arguments) {
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
            match name.as_str() {
                "qrisctl" => asking(shell, &name, &completions)?,
                _ => drop(generate_to(shell, &mut page.definition.clone(), &name, &completions)?),
            }
        }
        let mut definition = page.definition.clone();
        definition.build();
        write_page(&man, &page, &definition, &name)?;
    }
    for ((file, settings), (what, has_mqtt, see)) in TABLES.into_iter().zip(FILES) {
        write_file_page(&man, file, settings, what, has_mqtt, see)?;
    }
    Ok(())
}

/// Of the first tables: what file it is, whether it has a section `[mqtt]`, and what to read besides.
const FILES: [(&str, bool, &str); 3] = [
    ("the machine and its screen, for qrisd", true, "qrisd(8), relay.toml(5), qrisctl(1)"),
    ("the outputs of a machine, for qris-relayd", false, "qris-relayd(8), qrisd.toml(5), qrisctl(1)"),
    ("the merchant's backend, for qris-backend", true, "qris-backend(8)"),
];

fn write_file_page(directory: &Path, file: &str, settings: &[Setting], what: &str, has_mqtt: bool, see: &str) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("TH", [file, "5", "", concat!("qrisd ", env!("CARGO_PKG_VERSION")), "qrisd"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{file} - {what}"))]);
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman("TOML. A key that is not named here is an error. The program's --check tells all that is wrong with a file.")]);
    roff.control("SH", ["SETTINGS"]);
    let mqtt = MQTT
        .iter()
        .filter(|_| has_mqtt)
        .map(|setting| (setting.key.split(", ").map(|key| format!("mqtt.{key}")).collect::<Vec<_>>(), setting));
    let own = settings.iter().map(|setting| (vec![setting.key.to_owned()], setting));
    for (keys, setting) in own.chain(mqtt) {
        roff.control("TP", []);
        roff.text([bold(keys.join(", "))]);
        roff.text([roman(setting.for_manual())]);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(see)]);
    let mut text = Vec::new();
    roff.to_writer(&mut text)?;
    fs::write(directory.join(format!("{file}.5")), text)
}

/// What has the shell ask the program itself: it knows names of machines.
fn asking(shell: Shell, name: &str, directory: &Path) -> io::Result<()> {
    let mut script = Vec::new();
    let known = shell.to_string();
    let asker = Shells::builtins()
        .completer(&known)
        .map(|asker| asker.write_registration(qris_ctl::complete::VARIABLE, name, name, name, &mut script));
    asker.transpose()?;
    if shell == Shell::Zsh {
        // It is read when the first word is to be completed, and completes that too.
        writeln!(script, "_clap_dynamic_completer_{name} \"$@\"")?;
    }
    fs::write(directory.join(shell.file_name(name)), script)
}

fn pages() -> [ManualPage; 5] {
    [
        ManualPage {
            definition: qris_device::USAGE.definition(),
            section: "8",
            files: &[
                ("/etc/qrisd/qrisd.toml", "the configuration"),
                ("/etc/qrisd/keys.json", "the keys whose receipts are believed"),
                ("/var/lib/qrisd/qrisd.db", "orders, kept across restarts and power cuts"),
            ],
            service: Service::Whole("nothing is lost"),
            see: "qrisd.toml(5), qris-relayd(8), qrisctl(1)",
        },
        ManualPage {
            definition: qris_relay::USAGE.definition(),
            section: "8",
            files: &[
                ("/etc/qrisd/relay.toml", "the configuration: lines, pins, pulses"),
                ("/etc/qrisd/keys.json", "the keys whose receipts are believed"),
                ("/var/lib/qris-relay/ledger.db", "the promises to deliver, and the pulses"),
                (
                    "/var/lib/qris-relay/ledger.db.lines",
                    "the lines that it holds; --safe sets them inactive, even if the configuration was changed or lost",
                ),
            ],
            service: Service::Whole("a pulse that would take longer is cut short, and its order becomes uncertain; nothing else is lost"),
            see: "relay.toml(5), qrisd(8), qrisctl(1)",
        },
        ManualPage {
            definition: qris_backend::definition(),
            section: "8",
            files: &[
                ("/etc/qris-backend/backend.toml", "the configuration"),
                ("/var/lib/qris-backend/orders.db", "the books"),
                ("/var/lib/qris-backend/devices.db", "the machines that are let in"),
            ],
            service: Service::Serve(
                "Exit status: 0 done, 1 failed or refused, or a difference or something bad was found, 2 wrong use or configuration.",
            ),
            see: "backend.toml(5), qris-desk(8), qrisd(8), qrisctl(1)",
        },
        ManualPage {
            definition: qris_desk::definition(),
            section: "8",
            files: &[("/run/qris-desk/serve.sock", "where `qris-backend serve` answers it")],
            service: Service::Whole("nothing is lost"),
            see: "qris-backend(8), backend.toml(5)",
        },
        ManualPage {
            definition: qris_ctl::definition(),
            section: "1",
            files: &[(
                "~/.config/qrisctl/qrisctl.toml",
                "the address of the broker, and our name there; --config, --context or QRISCTL_CONFIG name another",
            )],
            service: Service::None,
            see: "qrisd(8), qris-relayd(8), qris-backend(8)",
        },
    ]
}

/// How a command is called. The crate's own leaves out what an option takes.
fn synopsis(command: &Command, name: &str) -> Roff {
    let mut words = vec![bold(command.get_bin_name().unwrap_or(name))];
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let takes = argument.get_action().takes_values();
        let values = argument
            .get_value_names()
            .map_or_else(String::new, |names| names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        let (open, close) = if argument.is_required_set() { (" ", "") } else { (" [", "]") };
        let often = if argument.get_num_args().is_some_and(|count| count.max_values() > 1) { "..." } else { "" };
        words.push(roman(open));
        match (argument.get_long(), argument.get_short()) {
            (Some(long), short) => {
                words.push(bold(short.map(|short| format!("-{short}|")).unwrap_or_default() + &format!("--{long}")));
                if takes {
                    words.extend([roman(" "), italic(values)]);
                }
            }
            (None, Some(short)) => words.push(bold(format!("-{short}"))),
            (None, None) => words.extend([italic(values), roman(often)]),
        }
        words.push(roman(close));
    }
    if command.has_subcommands() {
        words.extend([roman(if command.is_subcommand_required_set() { " " } else { " [" }), italic("COMMAND")]);
        words.push(roman(if command.is_subcommand_required_set() { "" } else { "]" }));
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text(words);
    roff
}

/// The page of a command, and a page of each command below it.
fn write_page(directory: &Path, page: &ManualPage, command: &Command, name: &str) -> io::Result<()> {
    let below = command.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set());
    let mut text = Vec::new();
    let man = Man::new(command.clone().name(name.to_owned()))
        .section(page.section)
        .manual("qrisd")
        .source(concat!("qrisd ", env!("CARGO_PKG_VERSION")));
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    synopsis(command, name).to_writer(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.get_subcommands().next().is_some() {
        man.render_subcommands_section(&mut text)?;
    }
    let end = page.service.when_told_to_end(command.get_name());
    let mut help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    if let (Service::Serve(others), None, false) = (&page.service, end, help.contains("Exit status: ")) {
        help = format!("{help}\n\n{others}");
    }
    more(page, &help, end).to_writer(&mut text)?;
    fs::write(directory.join(format!("{name}.{}", page.section)), text)?;
    for command in below {
        write_page(directory, page, command, &format!("{name}-{}", command.get_name()))?;
    }
    Ok(())
}

/// The exit statuses in its help: `Exit status: 0 done, 1 failed, 128 + signal where one ended it.`
fn statuses(help: &str) -> Vec<(&str, &str)> {
    const SIGNAL: &str = "128 + signal";
    let Some((_, told)) = help.split_once("Exit status: ") else { return Vec::new() };
    let mut rest = told.trim_end().trim_end_matches('.');
    let mut found = Vec::new();
    while !rest.is_empty() {
        // A comma ends a text if a number follows.
        let end = rest.match_indices(", ").map(|(at, _)| at).find(|at| rest[at + 2..].starts_with(|c: char| c.is_ascii_digit()));
        let (entry, after) = end.map_or((rest, ""), |end| (&rest[..end], &rest[end + 2..]));
        let at = if entry.starts_with(SIGNAL) { SIGNAL.len() } else { entry.find(' ').unwrap_or(entry.len()) };
        let (status, text) = entry.split_at(at);
        found.push((status, text.trim_start()));
        rest = after;
    }
    found
}

/// The examples in its help, as [`qris_host::arguments::listed`] writes them.
fn examples(help: &str) -> Vec<(&str, &str)> {
    let mut lines = help.split_once("Examples:\n").map(|(_, told)| told).unwrap_or_default().lines();
    let mut found = Vec::new();
    while let (Some(does), Some(command)) = (lines.next().filter(|line| !line.is_empty()), lines.next()) {
        found.push((does.trim(), command.trim()));
    }
    found
}

/// The rest of a page. `end`: what happens to the work of a service that is told to end.
fn more(page: &ManualPage, help: &str, end: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    let mut section = |title: &str, entries: &[(&str, &str)]| {
        roff.control("SH", [title]);
        for (name, text) in entries {
            roff.control("TP", []);
            roff.text([roman(*name)]);
            roff.text([roman(*text)]);
        }
    };
    let mut told = statuses(help);
    if told.is_empty() {
        let done = if end.is_some() { "done, also after SIGTERM" } else { "done" };
        told = vec![("0", done), ("1", "failed"), ("2", "wrong use or configuration")];
    }
    section("EXAMPLES", &examples(help));
    section("EXIT STATUS", &told);
    if let Some(end) = end {
        section(
            "SIGNALS",
            &[
                ("SIGTERM, SIGINT", &*format!("end within two seconds; {end}")),
                (
                    "SIGHUP",
                    "under a service manager: read the configuration again; a wrong configuration is reported, and changes nothing. Elsewhere: end",
                ),
            ],
        );
    }
    if !page.files.is_empty() {
        section("FILES", page.files);
    }
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(page.see)]);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses_and_examples_are_read_from_the_help() {
        let help = "Words before. Exit status: 0 done (a, b: c), 1 failed, refused or otherwise, 2 wrong, 128 + signal where one came: so.";
        assert_eq!(
            statuses(help),
            [("0", "done (a, b: c)"), ("1", "failed, refused or otherwise"), ("2", "wrong"), ("128 + signal", "where one came: so")]
        );
        assert_eq!(statuses("Nothing of it."), []);
        let help = "Examples:\n  Do it\n    t do\n  Do more\n    t more --fast\n\nExit status: 0 done.";
        assert_eq!(examples(help), [("Do it", "t do"), ("Do more", "t more --fast")]);
        assert_eq!(examples("Exit status: 0 done."), []);
    }
}
