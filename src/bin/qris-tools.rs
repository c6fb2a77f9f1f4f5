//! `qris-tools`: see `qris::tools`.
fn main() -> std::process::ExitCode {
    qris::tools::main(std::env::args_os())
}
