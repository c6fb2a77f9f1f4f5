//! The parts that all programs share: how a program starts and ends, clocks, configuration, secrets, the journal,
//! the service manager, its database; and how it reaches broker, bus and backend.

pub mod arguments;
pub mod backoff;
#[cfg(feature = "bus")]
pub mod bus;
pub mod catalog;
pub mod causes;
#[cfg(feature = "tls")]
pub mod certificate;
#[cfg(feature = "store")]
pub mod checksum;
pub mod clock;
#[cfg(feature = "commands")]
pub mod commands;
pub mod config;
#[cfg(feature = "server")]
pub mod connections;
pub mod descriptors;
pub mod disk;
pub mod events;
#[cfg(feature = "commands")]
pub mod finding;
pub mod hint;
#[cfg(feature = "http")]
pub mod http;
pub mod interrupt;
pub mod journal;
pub mod local_network;
pub mod mark;
pub mod memory;
#[cfg(feature = "mqtt")]
pub mod mqtt;
pub mod owner;
#[cfg(feature = "commands")]
pub mod qr;
pub mod random;
pub mod reckoning;
pub mod rooted;
pub mod secret;
pub mod service;
#[cfg(feature = "commands")]
pub mod setup;
pub mod socket;
pub mod speech;
#[cfg(feature = "store")]
pub mod sqlite;
pub mod surroundings;
#[cfg(feature = "commands")]
pub mod terminal;
#[cfg(feature = "tls")]
pub mod tls;
pub mod trust;
#[cfg(feature = "commands")]
pub mod zone;

#[cfg(feature = "commands")]
pub use commands::parse;
use events::Event;
use journal::emit;
use qris_core::text;
use std::error::Error;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

/// Why a program ends. Each variant has its exit status.
#[derive(Debug)]
pub enum Failure {
    /// Wrong use or configuration: exit status 2. Another try changes nothing.
    Use(Box<dyn Error + Send + Sync>),
    /// Everything else: exit status 1.
    Failed(Box<dyn Error + Send + Sync>),
    /// A service failed after it was ready and did its work: exit status 1.
    Ended(Box<dyn Error + Send + Sync>),
}

impl Failure {
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Use(error.into())
    }

    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }

    pub fn ended(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Ended(error.into())
    }

    /// The lines that tell it, as on standard error when it ends the program.
    #[must_use]
    pub fn lines(&self, program: &str) -> Vec<String> {
        // Some of it may be others' words.
        let mut lines: Vec<String> = chain(self.error()).iter().map(|line| text::lines(line)).collect();
        if self.faults().is_none() {
            lines.iter_mut().skip(1).for_each(|line| line.insert_str(0, "  "));
            lines[0].insert_str(0, &format!("{program}: "));
        }
        lines
    }

    /// The same as one line, without the program's name: for an event that already has the name.
    #[must_use]
    pub fn reason(&self) -> String {
        chain(self.error()).join("; ")
    }

    #[must_use]
    pub fn error(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Use(error) | Self::Failed(error) | Self::Ended(error) => error.as_ref(),
        }
    }

    fn faults(&self) -> Option<&config::Faults> {
        self.error().downcast_ref()
    }

    fn status(&self) -> ExitCode {
        match self {
            Self::Use(_) => ExitCode::from(2),
            Self::Failed(_) | Self::Ended(_) => ExitCode::from(1),
        }
    }

    fn event(&self, program: &'static str) -> Event {
        let (program, why) = (program.into(), self.reason().into());
        match self {
            Self::Use(_) | Self::Failed(_) => Event::CannotStart { program, why },
            Self::Ended(_) => Event::EndedByFailure { program, why },
        }
    }
}

/// How the work of a service ended, if it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    Stop,
    /// It was told to read its configuration again, and the configuration is good. Everything that it knows is stored,
    /// so it begins anew.
    BeginAnew,
}

impl Leave {
    /// Ends, or begins anew in the same process with the same arguments. The program's file may be another release by
    /// now.
    /// If the program cannot be started again, the service manager tries it.
    pub fn carry_out(self) -> Result<(), Failure> {
        match self {
            Self::Stop => Ok(()),
            Self::BeginAnew => {
                let mut words = std::env::args_os();
                let program = words.next().unwrap_or_default();
                journal::written();
                let why = std::process::Command::new(&program).args(words).exec();
                Err(Failure::ended(format!("cannot begin anew as {}: {why}", program.display())))
            }
        }
    }
}

impl From<config::Faults> for Failure {
    fn from(faults: config::Faults) -> Self {
        Self::Use(Box::new(faults))
    }
}

/// Turns the end of a program into its exit status (0, 1 or 2). Standard error gets the reason first: the error and
/// each of its causes, one on each line. The faults of a configuration have no prefix, so that an editor can jump to
/// them.
#[must_use]
pub fn exit(program: &str, result: Result<(), Failure>) -> ExitCode {
    // While a line waits for its reader, it has standard error.
    let is_read = journal::written();
    let Err(failure) = result else { return ExitCode::SUCCESS };
    if !is_read {
        return failure.status();
    }
    let mut stderr = std::io::stderr().lock();
    for line in failure.lines(program) {
        // If nobody reads this, the exit status still tells. `eprintln!` would panic and change it.
        let _ = writeln!(stderr, "{line}");
    }
    failure.status()
}

/// The same for a service. Where standard error is the journal's stream, the reason is an event and nothing else. A bare
/// line would have no priority and no explanation, and nobody would find it who asks why the service does not start.
#[must_use]
pub fn exit_service(program: &'static str, result: Result<(), Failure>) -> ExitCode {
    match result {
        Err(failure) if journal::is_journald() => {
            emit(&failure.event(program));
            journal::settle();
            failure.status()
        }
        result => exit(program, result),
    }
}

/// An error and its causes. A cause that the error quotes already is not told twice.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    if let Some(faults) = error.downcast_ref::<config::Faults>() {
        return faults.iter().map(ToString::to_string).collect();
    }
    let mut told = error.to_string();
    let mut lines = vec![told.clone()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            lines.push(format!("because: {text}"));
            told = text;
        }
        cause = error.source();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the store")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn an_error_is_told_with_its_causes_one_a_line() {
        let failure = Failure::failed(Outer(std::io::Error::other("disk on fire")));
        assert_eq!(failure.lines("qrisd"), ["qrisd: cannot open the store", "  because: disk on fire"]);
        assert_eq!(failure.reason(), "cannot open the store; because: disk on fire");
    }

    #[test]
    fn faults_of_a_configuration_stand_alone() {
        let source = config::Source::from_text("a.toml", "x = 1\n");
        let mut checker = source.checker();
        checker.fault("x", "must be 2 to 3");
        checker.fault("y", "is missing");
        let failure = Failure::from(checker.finish().expect_err("faults"));
        assert_eq!(failure.lines("qrisd"), ["a.toml: y: is missing", "a.toml:1: x: must be 2 to 3"]);
        assert_eq!(failure.reason(), "a.toml: y: is missing; a.toml:1: x: must be 2 to 3");
    }

    #[test]
    fn exit_statuses_are_the_contract() {
        assert_eq!(exit("t", Ok(())), ExitCode::SUCCESS);
        assert_eq!(exit("t", Err(Failure::failed("no"))), ExitCode::from(1));
        assert_eq!(exit("t", Err(Failure::ended("no"))), ExitCode::from(1));
        assert_eq!(exit("t", Err(Failure::usage("no"))), ExitCode::from(2));
    }
}
