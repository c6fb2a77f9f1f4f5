//! `device`

pub mod machine;
pub mod screen;
pub mod store;

/// Runs the program: arguments, configuration, work, exit status.
pub fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    let _ = arguments;
    std::process::ExitCode::FAILURE
}
