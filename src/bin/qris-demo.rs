//! `qris-demo`: see `qris::demo`.
fn main() -> std::process::ExitCode {
    qris::demo::main(std::env::args_os())
}
