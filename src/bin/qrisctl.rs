//! `qrisctl`: see `qris::ctl`.
fn main() -> std::process::ExitCode {
    qris::ctl::main(std::env::args_os())
}
