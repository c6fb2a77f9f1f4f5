//! A shutdown or reboot waits until no customer is there. logind is asked to delay it: the same way for everybody who reboots a
//! machine by systemd, a person, an upgrade or a fleet. <https://systemd.io/INHIBITOR_LOCKS/>

use super::dbus::KIND;
use super::requests::{Controllers, Requests};
use crate::words::{Request, SHUTDOWN};
use futures_util::StreamExt as _;
use qris_core::order::reason::Reason;
use qris_core::order::time::Span;
use qris_host::bus::{Remote, RemoteEvent};
use qris_host::config::BusAddress;
use qris_host::events::Event;
use qris_host::journal::emit;
use std::time::Duration;
use tokio::sync::watch;
use zbus::{Connection, MatchRule, MessageStream, OwnedFd};

const NAME: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const INTERFACE: &str = "org.freedesktop.login1.Manager";
/// A machine that does not go down after all sells again after this time.
const HELD_FOR: Span = Span::secs(600);
/// The machine is asked again after this time, as long as a customer is there.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The way to logind, while it is there. Clones share it.
#[derive(Clone, Debug)]
pub struct Logind(watch::Receiver<Option<Connection>>);

impl Logind {
    /// Reboots the computer, as `systemctl reboot` does: others may delay or forbid it. `None`: logind is not there now.
    ///
    /// # Errors
    /// Why it will not be done.
    pub async fn reboot(&self) -> Option<Result<(), String>> {
        let connection = self.0.borrow().clone()?;
        // Nobody is asked for a password: nobody is there.
        let reply = connection.call_method(Some(NAME), PATH, Some(INTERFACE), "Reboot", &false).await;
        Some(reply.map(drop).map_err(|why| why.to_string()))
    }
}

/// Watches for shutdowns on this bus.
pub fn start(controllers: &Controllers, address: &BusAddress) -> Logind {
    let (present, logind) = watch::channel(None);
    tokio::spawn(watch(controllers.requests(KIND), Remote::watch(address.clone(), NAME), present));
    Logind(logind)
}

async fn watch(requests: Requests, mut logind: Remote, told: watch::Sender<Option<Connection>>) {
    let mut present: Option<Connection> = None;
    let mut event = logind.next().await;
    loop {
        match event {
            RemoteEvent::Up { connection, .. } => present = Some(connection),
            RemoteEvent::NewOwner { .. } => {}
            RemoteEvent::Down { .. } => present = None,
        }
        told.send_replace(present.clone());
        let guarded = async {
            // A computer without logind is not shut down by it.
            if let Some(connection) = &present
                && let Err(why) = guard(&requests, connection).await
            {
                emit(&Event::ShutdownUnguarded { why: why.to_string().into() });
            }
            std::future::pending().await
        };
        event = tokio::select! {
            next = logind.next() => next,
            () = guarded => return,
        };
    }
}

/// Delays every shutdown until the machine is held. Ends with logind's owner.
async fn guard(requests: &Requests, connection: &Connection) -> zbus::Result<()> {
    let rule = MatchRule::builder().msg_type(zbus::message::Type::Signal).sender(NAME).interface(INTERFACE).member("PrepareForShutdown");
    let mut signals = MessageStream::for_match_rule(rule.build()?, connection, None).await?;
    let mut delay = Some(inhibit(connection).await?);
    while let Some(signal) = signals.next().await {
        if signal?.body().deserialize::<bool>()? {
            while delay.is_some() {
                let reply = requests.ask(Request::Hold(SHUTDOWN.into(), HELD_FOR)).await;
                // Somebody else who holds the machine has no customer there either.
                if reply.is_none_or(|reply| reply.reason != Some(Reason::Busy)) {
                    delay = None;
                } else {
                    tokio::time::sleep(ASK_AGAIN).await;
                }
            }
        } else {
            requests.ask(Request::Release(SHUTDOWN.into())).await;
            delay = Some(inhibit(connection).await?);
        }
    }
    Ok(())
}

/// The lock lasts until it is dropped.
async fn inhibit(connection: &Connection) -> zbus::Result<OwnedFd> {
    let lock = ("shutdown", "qrisd", "a customer is served to the end", "delay");
    connection.call_method(Some(NAME), PATH, Some(INTERFACE), "Inhibit", &lock).await?.body().deserialize()
}
