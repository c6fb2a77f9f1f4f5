//! The listener of the desk for people in the local network, over plain `http://`. Whoever is there can read what passes. So nobody types a
//! password there, and a session that began there only sees: `serve` sees to that. Nothing that comes from [elsewhere](crate::neighbours) is
//! answered.

use crate::asking::Serve;
use crate::pages;
use crate::{Desk, Home, limits};
use hyper_util::service::TowerToHyperService;
use qris_host::connections::{self, Door, Limits};
use qris_host::events::Event;
use qris_host::journal::emit;
use qris_host::local_network::is_own;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// So often `serve` is asked whether there is such a desk. Its configuration may be another one since.
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// The public program asks, too: whoever is not let in yet reads the shop's name.
pub async fn ask(serve: Arc<Serve>) {
    loop {
        serve.whereabouts().await;
        sleep(ASKED_EVERY).await;
    }
}

/// Keeps a listener where `serve` says, until `stop` says so.
pub async fn keep(serve: Arc<Serve>, mut stop: watch::Receiver<bool>) {
    let (mut open, mut failed): (Option<Listener>, Option<SocketAddr>) = (None, None);
    loop {
        if let Some(wanted) = serve.whereabouts().await
            && wanted.as_ref() != open.as_ref().map(|open| &open.home)
        {
            if let Some(open) = open.take() {
                open.close().await;
            }
            match wanted.map(|home| (home.listen, Listener::open(home, &serve))) {
                None => failed = None,
                Some((listen, Ok(opened))) => {
                    emit(&Event::DeskHome { listen: listen.to_string().into() });
                    (open, failed) = (Some(opened), None);
                }
                Some((listen, Err(why))) => {
                    if failed.replace(listen) != Some(listen) {
                        emit(&Event::DeskHomeAway { listen: listen.to_string().into(), why: why.to_string().into() });
                    }
                }
            }
        }
        tokio::select! {
            () = sleep(ASKED_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    if let Some(open) = open {
        open.close().await;
    }
}

struct Listener {
    home: Home,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl Listener {
    fn open(home: Home, serve: &Arc<Serve>) -> io::Result<Self> {
        let listener = connections::listen(home.listen)?;
        let desk = Arc::new(Desk { serve: Arc::clone(serve), plain_http: false, framed: false, home: Some(home.clone()) });
        let router = TowerToHyperService::new(pages::router(desk));
        let (stop, stopped) = watch::channel(false);
        // Each of the family has a phone with a few connections. A stranger takes no more of them.
        let limits = Limits { connections: 64, per_address: 16, proxies: Box::default(), ..limits(None) };
        let served = tokio::spawn(connections::serve(AtHome(listener), router, limits, || {}, stopped));
        Ok(Self { home, stop, served })
    }

    async fn close(self) {
        self.stop.send_replace(true);
        let _ = self.served.await;
    }
}

/// Whatever comes from an address of this computer comes from loopback, whichever of them that is: so does all that a tunnel on it carries.
struct AtHome(TcpListener);

impl Door for AtHome {
    type Stream = TcpStream;
    async fn next(&self) -> io::Result<(TcpStream, IpAddr)> {
        let (stream, from) = self.0.accept().await?;
        let _ = stream.set_nodelay(true);
        let is_own = is_own(from) || stream.local_addr().is_ok_and(|here| here.ip() == from.ip());
        Ok((stream, if is_own { Ipv4Addr::LOCALHOST.into() } else { from.ip().to_canonical() }))
    }
}
