//! `qris-desk`: see `qris::desk`.
fn main() -> std::process::ExitCode {
    qris::desk::main(std::env::args_os())
}
