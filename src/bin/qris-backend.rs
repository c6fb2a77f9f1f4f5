//! `qris-backend`: see `qris::backend`.
fn main() -> std::process::ExitCode {
    qris::backend::main(std::env::args_os())
}
