//! `qrisd`: see `qris::device`.
fn main() -> std::process::ExitCode {
    qris::device::main(std::env::args_os())
}
