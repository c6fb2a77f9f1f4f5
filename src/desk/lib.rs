//! `qris-desk`: what the owner of machines sees on her phone, and what she settles with her thumb.
//!
//! It has no key, no database and no file. It asks `qris-backend serve` over a local socket, with the session of the person
//! who looks ([`asking`]). `serve` judges who may do what. So this program can do no more than that person could.
//!
//! No page needs a script. No `GET` changes anything. A form counts once it has shown that it comes from one of our own pages
//! ([`form`]).

mod asking;
mod form;
mod home;
mod neighbours;
mod pages;
mod say;
mod visitor;
mod words;

use asking::Serve;
use clap::{CommandFactory as _, Parser};
use hyper_util::service::TowerToHyperService;
use qris_core::wire::desk::Door;
use qris_host::connections::{self, Limits};
use qris_host::events::Event;
use qris_host::journal::{self, emit};
use qris_host::service::{Request, Signals};
use qris_host::{Failure, Leave, memory, service};
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

const PROGRAM: &str = "qris-desk";

/// The desk: pages for the owner's phone. It asks `qris-backend serve`
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version)]
pub struct DeskArguments {
    /// Where a web server in front finds it. The web server does TLS. `stdin`: standard input is a listener already, as its unit has it
    #[arg(long, value_name = "ADDRESS|stdin", default_value = "127.0.0.1:8090", value_parser = Listen::read)]
    pub listen: Listen,
    /// For the local network, at `desk.home` of the backend's configuration, and for nobody else
    #[arg(long, conflicts_with_all = ["listen", "proxy"])]
    pub home: bool,
    /// The socket at which `qris-backend serve` answers the desk
    #[arg(long, value_name = "PATH", default_value = "/run/qris-desk/serve.sock")]
    pub socket: PathBuf,
    /// The address of the web server, if that is on another computer. Only a web server may say from where somebody comes
    #[arg(long, value_name = "ADDRESS")]
    pub proxy: Option<IpAddr>,
    /// For a trial on this computer: browsers send the cookies without TLS, too. Whoever reads the network gets the sessions
    #[arg(long)]
    pub plain_http: bool,
    /// For the demo: its page shows it in a frame
    #[arg(long, requires = "plain_http", hide = true)]
    pub framed: bool,
}

#[derive(Debug, Clone, Copy)]
pub enum Listen {
    At(SocketAddr),
    /// The service manager has opened it: a program without a network of its own serves there.
    Stdin,
}

impl Listen {
    fn read(text: &str) -> Result<Self, std::net::AddrParseError> {
        if text == "stdin" { Ok(Self::Stdin) } else { text.parse().map(Self::At) }
    }

    fn open(self) -> Result<TcpListener, Failure> {
        match self {
            Self::At(address) => connections::listen(address).map_err(|why| Failure::failed(format!("cannot listen at {address}: {why}"))),
            Self::Stdin => {
                connections::inherited(io::stdin()).map_err(|why| Failure::failed(format!("standard input is no listener: {why}")))
            }
        }
    }
}

#[derive(Debug)]
struct Desk {
    serve: Arc<Serve>,
    plain_http: bool,
    framed: bool,
    /// This is the desk of the local network. Else it is the public one.
    home: Option<Home>,
}

/// Where the desk listens in the local network, and for which shop.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Home {
    listen: SocketAddr,
    shop: Box<str>,
}

impl Desk {
    const fn door(&self) -> Door {
        if self.home.is_some() { Door::Home } else { Door::Public }
    }
}

#[must_use]
pub fn definition() -> clap::Command {
    DeskArguments::command()
}

pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    memory::keep_private();
    match qris_host::parse::<DeskArguments>(definition(), arguments) {
        Ok(arguments) => qris_host::exit_service(PROGRAM, run(&arguments).and_then(Leave::carry_out)),
        Err(status) => status,
    }
}

fn run(arguments: &DeskArguments) -> Result<Leave, Failure> {
    memory::keep_little();
    journal::start(PROGRAM);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    runtime.block_on(work(arguments))
}

async fn work(arguments: &DeskArguments) -> Result<Leave, Failure> {
    let mut signals = Signals::new();
    let serve = Arc::new(Serve::new(&arguments.socket).map_err(Failure::failed)?);
    let &DeskArguments { listen, home, socket: _, proxy, plain_http, framed } = arguments;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (served, at) = if home {
        (tokio::spawn(home::keep(serve, stopped)), "the local network".to_owned())
    } else {
        let listener = listen.open()?;
        let at = listener.local_addr().map_err(Failure::failed)?.to_string();
        tokio::spawn(home::ask(Arc::clone(&serve)));
        let router = TowerToHyperService::new(pages::router(Arc::new(Desk { serve, plain_http, framed, home: None })));
        (tokio::spawn(connections::serve(listener, router, limits(proxy), || {}, stopped)), at)
    };
    emit(&Event::Ready { program: PROGRAM.into(), version: env!("CARGO_PKG_VERSION").into() });
    service::status(&format!("serves at {at}"));
    service::ready();
    let request: Request = signals.next().await;
    let leave = request.announce(PROGRAM);
    stop.send_replace(true);
    let _ = served.await;
    Ok(leave)
}

/// The web server in front has the limits for strangers. These keep harm away where it has none, or passes everything on.
fn limits(proxy: Option<IpAddr>) -> Limits {
    let (silent, old) = (Duration::from_secs(20), Duration::from_secs(600));
    let here = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    Limits {
        // Each is one of the web server's, which uses it again.
        connections: 256,
        per_address: usize::MAX,
        proxies: here.into_iter().chain(proxy).collect(),
        head_bytes: 16 << 10,
        slow: silent,
        // A table over a slow phone.
        take: old,
        // A deed may wait for the gateway.
        answer: Duration::from_secs(90),
        idle: silent,
        // A page is there sooner.
        stay: Duration::from_millis(100),
        age: old,
    }
}
