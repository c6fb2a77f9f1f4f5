//! `qris-relayd`: see `qris::relay`.
fn main() -> std::process::ExitCode {
    qris::relay::main(std::env::args_os())
}
