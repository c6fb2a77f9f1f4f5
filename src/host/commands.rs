//! The arguments of a program with sub-commands: its examples, the options that are of no use to some commands, and what is
//! said about wrong use.

use crate::arguments::{Examples, listed};
use crate::hint::not_a_number;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use std::error::Error as _;
use std::ffi::OsString;
use std::process::ExitCode;

/// The examples of a program's commands: the words of the command behind the program's name, and its examples.
pub type ExamplesOf = &'static [(&'static str, Examples)];

#[must_use]
pub fn definition<A: clap::CommandFactory>(examples: ExamplesOf) -> Command {
    with_examples(A::command().version(env!("CARGO_PKG_VERSION")), examples)
}

/// Gives each command its examples: its help shows them, and its manual page.
#[must_use]
pub fn with_examples(command: Command, examples: ExamplesOf) -> Command {
    examples.iter().fold(command, |command, (words, examples)| {
        at(command, words, |command| {
            let more = command.get_after_help().map(|help| format!("\n\n{help}")).unwrap_or_default();
            command.after_help(listed(examples) + &more)
        })
    })
}

/// Takes global options away from commands to which they are of no use: their help does not name them, and whoever gives them
/// is told. `useless`: the words of a command, and the names of options.
#[must_use]
pub fn without(command: Command, useless: &[(&str, &[&str])]) -> Command {
    useless.iter().fold(command, |command, (words, options)| {
        let global = command.get_arguments().filter(|option| options.contains(&option.get_id().as_str()));
        let hidden: Vec<_> = global.map(|option| option.clone().hide(true)).collect();
        at(command, words, |command| command.args(hidden))
    })
}

/// Reads the arguments of a program (the first is its name). `--help` and `--version` are answered on standard output.
///
/// # Errors
/// The exit status to end with: 0 after `--help` and `--version`, 2 after wrong use. Standard error then has the reason.
pub fn parse<A: clap::FromArgMatches>(mut command: Command, arguments: impl Iterator<Item = OsString>) -> Result<A, ExitCode> {
    let read = command.try_get_matches_from_mut(arguments).and_then(|matches| {
        refuse_useless(&mut command, &matches)?;
        A::from_arg_matches(&matches)
    });
    read.map_err(|error| {
        let error = error.format(&mut command);
        let text = in_words(command.get_name(), &error);
        // When standard output or error is closed, nobody is left to read this.
        let _ = if error.use_stderr() { write(&mut std::io::stderr(), &text) } else { write(&mut std::io::stdout(), &text) };
        ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
    })
}

fn write(to: &mut dyn std::io::Write, text: &str) -> std::io::Result<()> {
    write!(to, "{text}")
}

/// Changes the command below these words.
fn at(command: Command, words: &str, change: impl FnOnce(Command) -> Command) -> Command {
    match words.split_once(' ').unwrap_or((words, "")) {
        ("", _) => change(command),
        (word, rest) => command.mut_subcommand(word, |command| at(command, rest, change)),
    }
}

/// An option that [`without`] took away was given.
fn refuse_useless(command: &mut Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let (mut below, mut here, mut words) = (&*command, matches, command.get_name().to_owned());
    while let Some((word, further)) = here.subcommand() {
        let Some(found) = below.find_subcommand(word) else { break };
        (below, here) = (found, further);
        words = format!("{words} {word}");
    }
    let given = |option: &&clap::Arg| {
        let id = option.get_id().as_str();
        option.is_global_set() && option.is_hide_set() && here.value_source(id) == Some(ValueSource::CommandLine)
    };
    let useless = below.get_arguments().find(given).and_then(clap::Arg::get_long).map(str::to_owned);
    match useless {
        Some(option) => {
            let why = format!("'--{option}' is of no use to '{words}': leave it out");
            Err(command.error(ErrorKind::ArgumentConflict, why))
        }
        None => Ok(()),
    }
}

/// Commands of the one program that people look for in the other one. `keys`, `stock` and `doctor` are in both.
const COMMANDS: [(&str, &str, &[&str]); 2] = [
    (
        "qrisctl",
        "on the machine or at a desk",
        &["cancel", "collect", "fleet", "hold", "order", "relay", "screen", "setup", "status", "vend", "watch"],
    ),
    (
        "qris-backend",
        "on the merchant's server",
        &[
            "again",
            "archive",
            "backup",
            "copy",
            "desk",
            "device",
            "given",
            "init",
            "orders",
            "reconcile",
            "refund",
            "report",
            "restore",
            "seen",
            "serve",
        ],
    ),
];

/// The text about a command that another program has. It names that one, and none of ours that is written alike.
fn elsewhere(program: &str, word: &str, text: &str) -> Option<String> {
    let (other, place, _) = COMMANDS.iter().find(|(_, _, words)| words.contains(&word)).filter(|(other, ..)| *other != program)?;
    let (said, usage) = (text.split("\n\n").next()?, text.find("\n\nUsage:")?);
    Some(format!("{said}\n\n  tip: that is '{other} {word}', {place}{}", &text[usage..]))
}

/// The text of an error. Where a library says why a value is wrong, our words take the place of its words.
fn in_words(program: &str, error: &clap::Error) -> String {
    let text = error.render().to_string();
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) {
        return elsewhere(program, word, &text).unwrap_or(text);
    }
    let (Some(source), Some(ContextValue::String(value))) = (error.source(), error.get(ContextKind::InvalidValue)) else { return text };
    let said = source.to_string();
    let ours = if source.is::<std::num::ParseIntError>() {
        not_a_number(value)
    } else if source.is::<std::net::AddrParseError>() {
        "must be ADDRESS:PORT, such as 127.0.0.1:8080".into()
    } else if let Some((least, most)) = said.split_once(" is not in ").and_then(|(_, range)| range.split_once("..")) {
        format!("must be {least} to {}", most.trim_start_matches('='))
    } else {
        return text;
    };
    text.replacen(&format!(": {said}"), &format!(": {ours}"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, Parser, Subcommand};

    #[derive(Parser, Debug)]
    #[command(name = "t")]
    struct Arguments {
        #[arg(long, global = true)]
        json: bool,
        #[command(subcommand)]
        command: Work,
    }

    #[derive(Subcommand, Debug)]
    enum Work {
        /// Sells
        Sell(Sell),
        /// Rests
        Rest,
    }

    #[derive(Args, Debug)]
    #[command(after_help = "Exit status: 0 done.")]
    struct Sell {
        #[arg(long)]
        amount: Option<u64>,
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=9))]
        count: Option<u16>,
        #[arg(long)]
        listen: Option<std::net::SocketAddr>,
    }

    fn definition() -> Command {
        let command = <Arguments as clap::CommandFactory>::command();
        without(with_examples(command, &[("sell", &[("Sell it", "t sell")])]), &[("rest", &["json"])])
    }

    fn said(words: &[&str]) -> String {
        let mut command = definition();
        let read = command.try_get_matches_from_mut(words).and_then(|matches| refuse_useless(&mut command, &matches));
        in_words("t", &read.expect_err("wrong use").format(&mut command))
    }

    #[test]
    fn wrong_use_is_told_in_our_words() {
        for (words, told) in [
            (
                &["t", "sell", "--amount", "5.000"][..],
                "'5.000' for '--amount <AMOUNT>': must be a whole number in plain digits: write 5000\n",
            ),
            (&["t", "sell", "--count", "10"], "must be 1 to 9\n"),
            (&["t", "sell", "--listen", "80"], "must be ADDRESS:PORT"),
            (&["t", "sel"], "'sell'"),
            (&["t", "rest", "--json"], "'--json' is of no use to 't rest'"),
            (&["t", "--json", "rest"], "'--json' is of no use to 't rest'"),
        ] {
            assert!(said(words).contains(told), "{words:?}: {}", said(words));
        }
        let help = |words: &[&str]| said(&[words, &["--help"]].concat());
        assert!(help(&["t", "sell"]).ends_with("Examples:\n  Sell it\n    t sell\n\nExit status: 0 done.\n"), "{}", help(&["t", "sell"]));
        assert!(help(&["t", "sell"]).contains("--json") && !help(&["t", "rest"]).contains("--json"));
        let read = |words: &[&str]| parse::<Arguments>(definition(), words.iter().map(OsString::from));
        assert!(read(&["t", "--json", "sell"]).is_ok_and(|read| read.json && matches!(read.command, Work::Sell(_))));
        assert_eq!(read(&["t", "rest", "--json"]).expect_err("wrong use"), ExitCode::from(2));
        assert_eq!(read(&["t", "--help"]).expect_err("answered"), ExitCode::SUCCESS);
    }
}
