//! The whole product on a laptop: a machine, a relay, a merchant's backend, a broker and a Midtrans, each as a process
//! of its own, and a page to play with them. `--script` sells without a hand and checks the books.
//!
//! The demo starts itself under other names. So it runs the same code as the installed programs.

mod books;
pub mod broker;
mod cable;
mod captions;
pub mod chronicle;
mod controller;
pub mod directory;
mod door;
mod examples;
pub mod foreign;
pub mod inside;
mod language;
mod layout;
mod midtrans;
mod networks;
mod owner;
mod page;
mod panel;
mod phone;
pub mod ports;
pub mod process;
mod sandbox;
mod script;
pub mod shop;
mod site;
mod tap;
mod watch;

use door::Door;
use layout::Options;
use qris_host::commands::with_examples;
use qris_host::secret::Secret;
use qris_host::{Failure, exit, parse, service};
use reqwest::Url;
use sandbox::Sandbox;
use site::Site;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// A demo of qrisd on this computer: a vending machine, its relay, the backend, a broker and a simulated Midtrans.
/// No account, no server, no configuration, no root.
#[derive(clap::Parser, Debug)]
#[command(
    name = "qris-demo",
    args_conflicts_with_subcommands = true,
    after_help = "The first argument may also be qrisd, qris-relayd, qris-backend or qris-desk: the demo runs the same code as these programs. conform, which checks a backend of your own, is there when it is built with --features conform."
)]
struct Arguments {
    /// Sell five products without a hand, check the books, and end.
    #[arg(long)]
    script: bool,
    /// Where the page is served; port 0 takes a free one. Anybody who reaches the page can press the buttons.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", conflicts_with = "script")]
    listen: SocketAddr,
    /// Say address, user and password of the broker, and the address of the machine's D-Bus socket, for a controller of one's own.
    #[arg(long, conflicts_with = "script")]
    controller: bool,
    /// Sell with Midtrans' own sandbox, and not with the simulated Midtrans. FILE has the sandbox's Server Key. You pay in
    /// Midtrans' simulator, and the page shows how.
    #[arg(long, value_name = "FILE", conflicts_with = "script")]
    sandbox: Option<PathBuf>,
    /// What plays the sandbox in tests.
    #[arg(long, value_name = "URL", hide = true, requires = "sandbox", default_value = sandbox::URL)]
    sandbox_url: Url,
    /// Take the Mosquitto that is installed here, with the access list that shops get, and not the broker inside the demo.
    #[arg(long)]
    mosquitto: bool,
    /// Keep the temporary directory when all has ended.
    #[arg(long)]
    keep: bool,
}

/// How long the page's machine waits for a late settlement and for a cancel. A real customer gets two minutes (the
/// default), but a visitor would not wait so long to see a refund come due: after a cancel the machine only asks once more.
const PAGE: Options = Options { keep: false, mosquitto: false, grace_s: 0, cancel_wait_s: 5, sandbox: None, desk: None, page: None };

/// When the script fails, this many of the last entries are told.
const TOLD_AFTER_FAILURE: usize = 60;

/// Runs the program: arguments, configuration, work, exit status. If its first argument is the name of another
/// program, it runs as that program.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut arguments: Vec<OsString> = arguments.collect();
    let name = arguments.get(1).and_then(|name| name.to_str()).and_then(program);
    if let Some(main) = name {
        arguments.remove(0);
        return main(arguments);
    }
    match parse::<Arguments>(definition(), arguments.into_iter()) {
        Ok(arguments) => exit("qris-demo", run(&arguments)),
        Err(status) => status,
    }
}

#[must_use]
pub fn definition() -> clap::Command {
    let commands = [
        qris_sim::midtrans_http::command::definition(),
        #[cfg(feature = "conform")]
        qris_conform::definition(),
    ];
    let own = <Arguments as clap::CommandFactory>::command().version(env!("CARGO_PKG_VERSION")).subcommands(commands);
    with_examples(own, examples::EXAMPLES)
}

fn definition_of(name: &str) -> clap::Command {
    definition().find_subcommand(name).expect("a command of the demo").clone().version(env!("CARGO_PKG_VERSION"))
}

/// The programs that the demo starts, by the names of their binaries, and its commands. [`process::Process`] starts them under these
/// names, so every program that has a `Process` runs them, too.
#[must_use]
pub fn program(name: &str) -> Option<fn(Vec<OsString>) -> ExitCode> {
    match name {
        "qrisd" => Some(|arguments| qris_device::main(arguments.into_iter())),
        "qris-relayd" => Some(|arguments| qris_relay::main(arguments.into_iter())),
        "qris-backend" => Some(|arguments| qris_backend::main(arguments.into_iter())),
        "qris-desk" => Some(|arguments| qris_desk::main(arguments.into_iter())),
        inside::NAME => Some(|arguments| inside::main(arguments.into_iter())),
        #[cfg(feature = "conform")]
        "conform" => Some(|arguments| qris_conform::main(definition_of("conform"), arguments.into_iter())),
        "midtrans" => Some(|arguments| qris_sim::midtrans_http::command::main(definition_of("midtrans"), arguments.into_iter())),
        _ => None,
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    // There is one thread: children are killed when the thread that started them ends, and only the program's end may
    // do that.
    let sandbox = match &arguments.sandbox {
        Some(file) => Some(Sandbox {
            url: arguments.sandbox_url.clone(),
            key: Secret::read(file).map_err(|why| Failure::usage(format!("--sandbox: {why}")))?,
        }),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(async {
        let terminated = service::terminated();
        tokio::pin!(terminated);
        // The page's address stands in the files of the shop: customers' pages are passed on there.
        let door = if arguments.script { None } else { Some(Door::open(arguments.listen).await.map_err(Failure::failed)?) };
        let options = match &door {
            None => script::OPTIONS,
            Some(door) => Options { sandbox, desk: Some(arguments.listen.ip()), page: Some(door.url()), ..PAGE },
        };
        let options = Options { keep: arguments.keep, mosquitto: arguments.mosquitto, ..options };
        let site = tokio::select! {
            site = Site::start(options) => site.map_err(Failure::failed)?,
            _ = &mut terminated => return Ok(()),
        };
        if arguments.keep {
            println!("everything is in {}", site.directory().display());
        }
        let site = Arc::new(site);
        let result = tokio::select! {
            result = work(&site, arguments, door) => result,
            signal = &mut terminated => interrupted(arguments.script, signal),
        };
        site.stop().await;
        result
    })
}

async fn work(site: &Arc<Site>, arguments: &Arguments, door: Option<Door>) -> Result<(), Failure> {
    let Some(door) = door else {
        let result = script::run(site).await;
        if result.is_err() {
            tell_last(site);
        }
        return result.map_err(Failure::failed);
    };
    if arguments.controller {
        let file = site.directory().join(controller::ENVIRONMENT);
        let environment = std::fs::read_to_string(&file).map_err(Failure::failed)?;
        print!("# a controller finds the machine with these lines, which stand in {}\n{environment}", file.display());
    }
    page::serve(Arc::clone(site), door).await.map_err(Failure::failed)
}

/// The events before a script's failure, for the person who looks for the cause.
fn tell_last(site: &Site) {
    let entries = site.watched.chronicle.since(0);
    for entry in &entries[entries.len().saturating_sub(TOLD_AFTER_FAILURE)..] {
        eprintln!("{:>7} ms  {:?}: {}", entry.at_ms, entry.who, entry.text);
    }
}

/// The visitor ends a page. A script that was interrupted has not done its work.
fn interrupted(script: bool, signal: &'static str) -> Result<(), Failure> {
    if script { Err(Failure::failed(format!("ended by {signal} before the script was over"))) } else { Ok(()) }
}
