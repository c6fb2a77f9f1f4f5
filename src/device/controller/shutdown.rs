//! A shutdown or reboot waits until no customer is there. logind is asked to delay it. That is the same way for everybody who reboots a
//! machine by systemd: a person, an upgrade or a fleet. <https://systemd.io/INHIBITOR_LOCKS/>

use super::dbus::KIND;
use super::requests::{Controllers, Requests};
use crate::words::{Request, SHUTDOWN};
use qris_core::order::reason::Reason;
use qris_core::order::time::Span;
use qris_host::bus::{Object, Remote, RemoteEvent};
use qris_host::config::BusAddress;
use qris_host::events::Event;
use qris_host::journal::emit;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use zbus::{Connection, OwnedFd, OwnedVariant};

const NAME: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const INTERFACE: &str = "org.freedesktop.login1.Manager";
/// The computer goes down, or does not after all.
const SIGNAL: &str = "PrepareForShutdown";
/// A machine that does not go down after all sells again after this time.
const HELD_FOR: Span = Span::secs(600);
/// The machine is asked again after this time, as long as a customer is there.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The way to logind, while it is there. Clones share it.
#[derive(Clone, Debug)]
pub struct Logind(watch::Receiver<Option<Connection>>);

impl Logind {
    /// Reboots the computer, as `systemctl reboot` does: others may delay or forbid it. `None`: logind is not there now.
    pub async fn reboot(&self) -> Option<Result<(), String>> {
        let connection = self.0.borrow().clone()?;
        // Nobody is asked for a password: nobody is there.
        let reply = connection.call_method(Some(NAME), PATH, Some(INTERFACE), "Reboot", &false).await;
        Some(reply.map(drop).map_err(|why| why.to_string()))
    }
}

pub fn start(controllers: &Controllers, address: &BusAddress) -> Logind {
    let (present, logind) = watch::channel(None);
    let manager = Object { name: NAME, path: PATH, interface: INTERFACE };
    tokio::spawn(watch(controllers.requests(KIND), Remote::watch(address.clone(), manager), present));
    Logind(logind)
}

async fn watch(requests: Requests, mut logind: Remote, told: watch::Sender<Option<Connection>>) {
    let (mut delay, mut ask_again) = (None, false);
    loop {
        tokio::select! {
            event = logind.next() => match event {
                RemoteEvent::Up { connection } => drop(told.send_replace(Some(connection))),
                RemoteEvent::NewOwner => delay = None,
                RemoteEvent::Signal(signal) if signal.header().member().is_some_and(|member| member == SIGNAL) => {}
                RemoteEvent::Signal(_) => continue,
                RemoteEvent::Down { .. } => {
                    told.send_replace(None);
                    delay = None;
                }
            },
            () = sleep(ASK_AGAIN), if ask_again => {}
        }
        let present = told.borrow().clone();
        // A computer without logind is not shut down by it.
        let Some(connection) = present else {
            ask_again = false;
            continue;
        };
        ask_again = match guard(&requests, &connection, &mut delay).await {
            Ok(waits) => waits,
            Err(why) => {
                // Nobody would give it up.
                delay = None;
                emit(&Event::ShutdownUnguarded { why: why.to_string().into() });
                false
            }
        };
    }
}

/// Delays every shutdown until the machine is held. The signal only says when to look: what counts is how logind is now. Answers
/// whether a customer is waited for.
async fn guard(requests: &Requests, connection: &Connection, delay: &mut Option<OwnedFd>) -> zbus::Result<bool> {
    if is_going_down(connection).await? {
        let reply = requests.ask(Request::Hold(SHUTDOWN.into(), HELD_FOR)).await;
        // Somebody else who holds the machine has no customer there either.
        let is_busy = reply.is_some_and(|reply| reply.reason == Some(Reason::Busy));
        if !is_busy {
            *delay = None;
        }
        return Ok(is_busy);
    }
    requests.ask(Request::Release(SHUTDOWN.into())).await;
    if delay.is_none() {
        *delay = Some(inhibit(connection).await?);
    }
    Ok(false)
}

async fn is_going_down(connection: &Connection) -> zbus::Result<bool> {
    let (properties, property) = ("org.freedesktop.DBus.Properties", (INTERFACE, "PreparingForShutdown"));
    let reply = connection.call_method(Some(NAME), PATH, Some(properties), "Get", &property).await?;
    let value: OwnedVariant = reply.body().deserialize()?;
    bool::try_from(value)
}

/// The lock lasts until it is dropped.
async fn inhibit(connection: &Connection) -> zbus::Result<OwnedFd> {
    let lock = ("shutdown", "qrisd", "a customer is served to the end", "delay");
    connection.call_method(Some(NAME), PATH, Some(INTERFACE), "Inhibit", &lock).await?.body().deserialize()
}
