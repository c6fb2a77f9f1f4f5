//! `qris-relayd`: see `qris::relay`.

#[cfg(panic = "abort")]
compile_error!("a panic must leave the lines inactive: build this program with the profile dist");

fn main() -> std::process::ExitCode {
    qris::relay::main(std::env::args_os())
}
