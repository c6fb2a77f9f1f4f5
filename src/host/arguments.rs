//! The arguments of a daemon: where its configuration is, and what to do instead of running. These few lines replace a
//! parser that also knows sub-commands (`qris-backend`, `qrisctl`) and takes a fifth of a megabyte.

use crate::hint::meant;
use lexopt::Arg;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Examples of a command: what each does, and the command.
pub type Examples = &'static [(&'static str, &'static str)];

#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub program: &'static str,
    /// What it is for, in a sentence.
    pub about: &'static str,
    /// Where its configuration is unless `--config` says otherwise.
    pub config: &'static str,
    /// What it can do instead of running: the option without its dashes, and its explanation. Only one may be given.
    pub instead: &'static [(&'static str, &'static str)],
    pub examples: Examples,
}

#[must_use]
pub fn listed(examples: Examples) -> String {
    let lines: Vec<_> = examples.iter().map(|(does, command)| format!("  {does}\n    {command}")).collect();
    format!("Examples:\n{}", lines.join("\n"))
}

#[derive(Debug, PartialEq, Eq)]
pub struct GivenArguments {
    pub config: PathBuf,
    /// The option of [`Usage::instead`].
    pub instead: Option<&'static str>,
}

impl Usage {
    /// Reads the arguments (the first is the program's name). `--help` and `--version` are answered on standard output.
    ///
    /// # Errors
    /// The exit status to end with: 0 after `--help` and `--version`, 2 after wrong use. Standard error then has the reason.
    pub fn read(&self, arguments: impl Iterator<Item = OsString>) -> Result<GivenArguments, ExitCode> {
        // When standard output or error is closed, nobody is left to read this.
        match self.try_read(arguments) {
            Ok(Parsed::Arguments(arguments)) => Ok(arguments),
            Ok(Parsed::Answer(answer)) => {
                let _ = write!(std::io::stdout(), "{answer}");
                Err(ExitCode::SUCCESS)
            }
            Err(error) => {
                let _ = write!(std::io::stderr(), "error: {error}\n\n{}\n\nFor more information, try '--help'.\n", self.usage());
                Err(ExitCode::from(2))
            }
        }
    }

    fn unknown(&self, name: &str) -> lexopt::Error {
        let known = self.instead.iter().map(|(name, _)| *name).chain(["config", "help", "version"]);
        let tip = meant(name, known).map(|option| format!("\n\n  tip: did you mean '--{option}'?"));
        format!("unknown option '--{name}'{}", tip.unwrap_or_default()).into()
    }

    fn try_read(&self, arguments: impl Iterator<Item = OsString>) -> Result<Parsed, lexopt::Error> {
        let mut words = lexopt::Parser::from_iter(arguments);
        let (mut config, mut instead) = (None, None);
        while let Some(word) = words.next()? {
            match word {
                Arg::Short('h') | Arg::Long("help") => return Ok(Parsed::Answer(self.help())),
                Arg::Short('V') | Arg::Long("version") => {
                    return Ok(Parsed::Answer(format!("{} {}\n", self.program, env!("CARGO_PKG_VERSION"))));
                }
                Arg::Long("config") if config.is_none() => config = Some(words.value()?.into()),
                Arg::Long(name) => match self.instead.iter().find(|(known, _)| *known == name) {
                    Some((known, _)) if instead.is_none() => instead = Some(*known),
                    Some(_) => return Err(format!("'--{name}' cannot be used together with the option before it").into()),
                    None if name == "config" => return Err("'--config' stands twice: give one file".into()),
                    None => return Err(self.unknown(name)),
                },
                Arg::Short(letter) => return Err(format!("unknown option '-{letter}'").into()),
                Arg::Value(word) => return Err(format!("{word:?} is no option: {} has no sub-commands", self.program).into()),
            }
        }
        Ok(Parsed::Arguments(GivenArguments { config: config.unwrap_or_else(|| self.config.into()), instead }))
    }

    /// The same arguments for the libraries that make manual pages and completions.
    #[cfg(feature = "manuals")]
    #[must_use]
    pub fn definition(&self) -> clap::Command {
        let config = clap::Arg::new("config").long("config").value_name("FILE").default_value(self.config).help("The configuration");
        let instead =
            self.instead.iter().map(|(name, does)| clap::Arg::new(*name).long(*name).help(*does).action(clap::ArgAction::SetTrue));
        let command = clap::Command::new(self.program).about(self.about).version(env!("CARGO_PKG_VERSION"));
        command.arg(config).args(instead).after_help(listed(self.examples))
    }

    fn usage(&self) -> String {
        format!("Usage: {} [OPTIONS]", self.program)
    }

    fn help(&self) -> String {
        let config = ("config <FILE>", format!("The configuration [default: {}]", self.config));
        let options = std::iter::once(config).chain(self.instead.iter().map(|(name, does)| (*name, (*does).to_owned())));
        let options: String = options.map(|(name, does)| format!("      --{name:13}  {does}\n")).collect();
        format!(
            "{}\n\n{}\n\nOptions:\n{options}  -h, --help           Print help\n  -V, --version        Print version\n\n{}\n",
            self.about,
            self.usage(),
            listed(self.examples)
        )
    }
}

enum Parsed {
    Arguments(GivenArguments),
    /// A question, with its answer.
    Answer(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage = Usage {
        program: "t",
        about: "Does t.",
        config: "/etc/t",
        instead: &[("check", "Looks"), ("safe", "Rests")],
        examples: &[("Look", "t --check")],
    };

    fn read(words: &[&str]) -> Result<GivenArguments, ExitCode> {
        USAGE.read(std::iter::once("t").chain(words.iter().copied()).map(OsString::from))
    }

    #[test]
    fn arguments_are_read_or_refused() {
        let given = |config: &str, instead| Ok(GivenArguments { config: config.into(), instead });
        for (words, wanted) in [
            (&[][..], given("/etc/t", None)),
            (&["--config", "a"], given("a", None)),
            (&["--check", "--config=a"], given("a", Some("check"))),
            (&["--safe"], given("/etc/t", Some("safe"))),
            (&["--safe", "--check"], Err(ExitCode::from(2))),
            (&["--config"], Err(ExitCode::from(2))),
            (&["--config", "a", "--config", "b"], Err(ExitCode::from(2))),
            (&["--nothing"], Err(ExitCode::from(2))),
            (&["serve"], Err(ExitCode::from(2))),
            (&["-x"], Err(ExitCode::from(2))),
            (&["--check", "--help"], Err(ExitCode::SUCCESS)),
            (&["-V"], Err(ExitCode::SUCCESS)),
        ] {
            assert_eq!(read(words), wanted, "{words:?}");
        }
    }

    #[test]
    fn the_help_names_all() {
        let help = USAGE.help();
        assert!(
            help.contains("Usage: t")
                && help.contains("      --check          Looks\n")
                && help.contains("[default: /etc/t]")
                && help.ends_with("Examples:\n  Look\n    t --check\n"),
            "{help}"
        );
    }
}
