//! `qrisd`: sells on one machine.
//!
//! There are two threads. The **main** thread runs the sockets: broker (if there is one), backend, D-Bus. It takes one input after
//! the other to the [`machine`], which commits and answers with effects. A commit stops this thread for as long as the disk
//! needs: nothing may go out before it, and no hand-over between threads delays the customer. The **screen**'s thread draws. To
//! follow the promise, read `order::machine` (one order), then [`machine`] (one machine), then [`store`].

pub mod backend;
pub mod broker;
pub mod config;
pub mod controller;
pub mod diagnostics;
pub mod inbox;
pub mod machine;
pub mod ports;
pub mod rauc;
pub mod relay;
pub use qris_screen as screen;
pub mod store;
pub mod words;

use config::Config;
use controller::buttons::Buttons;
use diagnostics::Files;
use inbox::{Inbox, Letter};
use machine::Machine;
use ports::{Ports, RelaySlot};
use qris_core::order::ids::ItemId;
use qris_core::order::late_sign::LateNews;
use qris_core::order::time::Boot;
use qris_core::wire::command::{Code, Problem};
use qris_core::wire::dbus::{RELAY_NAME, RELAY_PATH};
use qris_host::arguments::Usage;
use qris_host::bus::{Object, Remote, RemoteEvent};
use qris_host::config::{BusAddress, is_good, remark};
use qris_host::events::Event;
use qris_host::journal::{self, emit};
use qris_host::mqtt::{EVENTS_WAITING_MAX, LinkSettings, Mqtt};
use qris_host::service::{Request, Signals};
use qris_host::tls::{LastTrusted, install_provider};
use qris_host::{self, Failure, Leave, clock, memory, service, speech};
use qris_screen::Screen;
use qris_screen::picture::{Picture, Scene};
use relay::Relay;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;
use words::{Effect, Input, Operated};

const PROGRAM: &str = "qrisd";
/// The machine looks at the time at least this often.
const IDLE: Duration = Duration::from_secs(60);
/// A stop is over within this time, even if something hangs.
const STOP_WITHIN: Duration = Duration::from_millis(1500);
/// A relay service that is there and does not answer is asked again after this time.
const RELAY_RETRY: Duration = Duration::from_secs(1);
/// After this time the machine is told that the relay service is gone. A service that takes a new configuration
/// (`systemctl reload`) is back sooner. A service that failed is not: systemd rests for a second before it starts the
/// service again.
const RELAY_RETURNS_WITHIN: Duration = Duration::from_secs(1);
/// The relay's facts are read again this often while nothing happens: a person may have cleared a line.
const RELAY_READ_EVERY: Duration = Duration::from_secs(30);

pub const USAGE: Usage = Usage {
    program: PROGRAM,
    about: "Sells on one machine: shows QR codes, keeps orders, and has the relay fired once for each paid one",
    config: "/etc/qrisd/qrisd.toml",
    instead: &[("check", "Say what is wrong with the configuration, then end")],
    examples: &[
        ("Is the configuration good?", "qrisd --check"),
        ("And this one?", "qrisd --config qrisd.toml --check"),
        ("Run it as a service", "systemctl enable --now qrisd"),
    ],
};

pub fn main(arguments: impl Iterator<Item = std::ffi::OsString>) -> std::process::ExitCode {
    memory::keep_private();
    let arguments = match USAGE.read(arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    if arguments.instead.is_some() {
        speech::speak(None);
        return qris_host::exit(PROGRAM, check(&arguments.config));
    }
    qris_host::exit_service(PROGRAM, run(&arguments.config).and_then(Leave::carry_out))
}

/// `--check`: all faults of the configuration, and of the files that it must agree with.
fn check(path: &Path) -> Result<(), Failure> {
    let config = examine(path)?;
    config.remark().into_iter().for_each(|why| remark(path, &why));
    println!("{}", is_good(path));
    Ok(())
}

fn examine(path: &Path) -> Result<Config, Failure> {
    let config = Config::examine(path)?;
    backend::Backend::new(&config.backend, &config.machine.boot_id, &LastTrusted::default()).map_err(Failure::usage)?;
    Ok(config)
}

fn run(path: &Path) -> Result<Leave, Failure> {
    memory::keep_little();
    journal::start(PROGRAM);
    let config = Config::load(path)?;
    journal::belongs_to(&config.machine.device);
    // The stored orders come first, and the picture that follows from them: before TLS, sockets and network.
    let (machine, effects) = Machine::load(config.machine.clone(), clock::now());
    let (inbox, letters) = Inbox::new();
    let first = effects.iter().find_map(|effect| match effect {
        Effect::Show(picture) => Some(picture.clone()),
        _ => None,
    });
    let first = first.unwrap_or(Picture { scene: Scene::Starting, sandbox: false });
    let (report, failed) = (inbox.clone(), inbox.clone());
    qris_screen::outlive_panics(move |state| failed.send(Input::Screen(state)));
    let screen = Screen::start(machine.appearance().clone(), first, || clock::now().boot, move |state| report.send(Input::Screen(state)));
    install_provider();
    let trusted = LastTrusted::new(machine.last_trusted());
    let link = config.mqtt.as_ref().map(|mqtt| broker::link(&config.machine.device, &config.backend.token, mqtt, &trusted));
    let link = link.transpose().map_err(Failure::usage)?;
    let backend = backend::Backend::new(&config.backend, &config.machine.boot_id, &trusted).map_err(Failure::usage)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::failed)?;
    let result = runtime.block_on(serve(path, config, machine, effects, screen, link, backend, inbox, letters));
    // Something may hang, but everything that matters is committed.
    runtime.shutdown_background();
    result
}

#[allow(clippy::too_many_arguments, reason = "everything that was made on the way here, each used once")]
async fn serve(
    path: &Path,
    config: Config,
    machine: Machine,
    effects: Vec<Effect>,
    screen: Screen,
    link: Option<LinkSettings>,
    backend: backend::Backend,
    inbox: Inbox,
    letters: UnboundedReceiver<Letter>,
) -> Result<Leave, Failure> {
    let mut signals = Signals::new();
    let link = link.map(|link| Mqtt::start(link, EVENTS_WAITING_MAX));
    let mqtt = link.as_ref().map(|(mqtt, _)| mqtt.clone());
    let (gone, gone_rx) = tokio::sync::oneshot::channel();
    let (controllers, fed) = controller::start(&config, inbox.clone(), mqtt.as_ref(), &screen.camera());
    match (link, fed.mqtt) {
        (Some((mqtt, events)), Some(reader)) => {
            tokio::spawn(broker::listen(events, mqtt, config.machine.device.clone(), reader, inbox.clone(), gone));
        }
        // Nobody is told good-bye, so a stop need not wait for that.
        (None, _) | (_, None) => drop(gone),
    }
    let relay = Arc::new(RelaySlot::default());
    let (restarts, mut ordered) = unbounded_channel();
    tokio::spawn(watch_relay(config.relay.clone(), Arc::clone(&relay), inbox.clone(), fed.buttons));
    let ports = Ports {
        device: config.machine.device.clone(),
        mqtt,
        backend,
        relay,
        controllers,
        logind: fed.logind,
        bus: config.controller.clone(),
        restarts,
        files: Arc::new(Files { store: config.machine.store.clone(), config: path.to_owned(), certificates: config.certificates() }),
        inbox: inbox.clone(),
        calls: Default::default(),
    };
    let awaited = Awaited { screen: true, relay: true, controller: config.controller.is_some() };
    let owner = tokio::spawn(own(machine, screen, ports, effects, letters, awaited));
    let leave = loop {
        tokio::select! {
            request = signals.next_good(PROGRAM, || examine(path).map(drop)) => break request.announce(PROGRAM),
            Some(id) = ordered.recv() => match examine(path) {
                Ok(_) => break Request::Reload.announce(PROGRAM),
                Err(why) => {
                    let problem = Problem::new(Code::Refused, why.reason());
                    inbox.send(Input::Operated(id, Operated::Refused(problem)));
                }
            },
        }
    };
    inbox.post(Letter::Stop);
    let ended = async {
        // The machine's last word to the broker is its good-bye. The link tells when it is sent.
        drop(gone_rx.await);
        drop(owner.await);
    };
    drop(tokio::time::timeout(STOP_WITHIN, ended).await);
    Ok(leave)
}

/// The machine's loop: one input, its commit, its effects.
async fn own(
    mut machine: Machine,
    screen: Screen,
    mut ports: Ports,
    effects: Vec<Effect>,
    mut letters: UnboundedReceiver<Letter>,
    awaited: Awaited,
) {
    ports.perform(effects, &screen).await;
    // The watchdog is fed from here: this loop makes progress only if the sockets do.
    let feed = service::watchdog_interval().map(|interval| interval / 2);
    let mut next_feed = feed.map(|_| Instant::now());
    let mut awaited = Some(awaited);
    loop {
        let now = clock::now();
        let deadline = machine.next_deadline(now.boot).map_or(IDLE, |at| until(at, now.boot));
        let feeding = next_feed.map_or(IDLE, |at| at.saturating_duration_since(Instant::now()));
        let letter = match tokio::time::timeout(deadline.min(feeding).min(IDLE), letters.recv()).await {
            Ok(Some(letter)) => letter,
            Ok(None) => return,
            Err(_) => Letter::Input(Box::new(Input::Woken), None),
        };
        if let Some(awaited) = &mut awaited {
            awaited.hear(&letter);
        }
        match letter {
            Letter::Input(input, _room) => {
                ports.perform(machine.handle(*input, clock::now()), &screen).await;
            }
            Letter::Served => {}
            Letter::Stop => return ports.stop(machine.farewell()),
        }
        if awaited.as_ref().is_some_and(Awaited::is_over) {
            awaited = None;
            service::ready();
            emit(&Event::Ready { program: PROGRAM.into(), version: env!("CARGO_PKG_VERSION").into() });
        }
        if let (Some(feed), Some(at)) = (feed, next_feed)
            && Instant::now() >= at
        {
            next_feed = Some(Instant::now() + feed);
            service::watchdog();
        }
    }
}

/// The program says that it is ready when these are heard. Others that have waited for that can call it. Each is heard within half a
/// minute, if only that it is not there.
struct Awaited {
    /// The first picture is on the panel.
    screen: bool,
    relay: bool,
    /// The machine can be reached over D-Bus.
    controller: bool,
}

impl Awaited {
    fn hear(&mut self, letter: &Letter) {
        match letter {
            Letter::Input(input, _) => {
                self.screen &= !matches!(**input, Input::Screen(_));
                self.relay &= !matches!(**input, Input::RelayUp(_) | Input::RelayDown(_));
            }
            Letter::Served => self.controller = false,
            Letter::Stop => {}
        }
    }

    fn is_over(&self) -> bool {
        !self.screen && !self.relay && !self.controller
    }
}

fn until(deadline: Boot, now: Boot) -> Duration {
    // A millisecond more: so the deadline has passed when the clock is read again.
    (deadline - now).to_duration() + Duration::from_millis(u64::from(deadline > now))
}

async fn watch_relay(address: BusAddress, slot: Arc<RelaySlot>, inbox: Inbox, buttons: Buttons) {
    let mut remote = Remote::watch(address, Object { name: RELAY_NAME, path: RELAY_PATH, interface: RELAY_NAME });
    let mut relay: Option<Relay> = None;
    let mut up = false;
    let mut gone: Option<(Instant, Box<str>)> = None;
    loop {
        let pause = if up || relay.is_none() { RELAY_READ_EVERY } else { RELAY_RETRY };
        tokio::select! {
            event = remote.next() => match event {
                RemoteEvent::Up { connection } => {
                    gone = None;
                    relay = Some(Relay(connection));
                    up = tell(relay.as_ref(), &slot, &inbox, false).await;
                }
                RemoteEvent::NewOwner => up = tell(relay.as_ref(), &slot, &inbox, false).await,
                RemoteEvent::Signal(message) => {
                    if signal(&message, &inbox, &buttons).await == News::ReadAgain {
                        up = tell(relay.as_ref(), &slot, &inbox, up).await;
                    }
                }
                RemoteEvent::Down { reason } => {
                    // Until the machine is told, its calls get no answer, as when a service ends beneath them, and they
                    // are made again.
                    let at_once = Instant::now();
                    let told_at = gone.map_or(if up { at_once + RELAY_RETURNS_WITHIN } else { at_once }, |(at, _)| at);
                    gone = Some((told_at, reason.into()));
                    (relay, up) = (None, false);
                    slot.set(None);
                }
            },
            () = until_moment(gone.as_ref().map(|(at, _)| *at)) => if let Some((_, reason)) = gone.take() {
                inbox.send(Input::RelayDown(reason));
            },
            () = tokio::time::sleep(pause) => up = tell(relay.as_ref(), &slot, &inbox, up).await,
        }
    }
}

async fn until_moment(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Reads the relay's facts and tells them: as news of a new owner, unless this one is `up` already.
async fn tell(relay: Option<&Relay>, slot: &RelaySlot, inbox: &Inbox, up: bool) -> bool {
    let Some(relay) = relay else { return false };
    match relay.facts().await {
        Ok(facts) => {
            // Both happen together, with no other task in between. So a caller that waits for the relay gets it, and
            // the machine hears of the relay before the answer to the next call.
            slot.set(Some(relay.clone()));
            inbox.send(if up { Input::RelayReported(facts) } else { Input::RelayUp(facts) });
            true
        }
        Err(why) => {
            inbox.send(Input::RelayDown(why));
            false
        }
    }
}

#[derive(PartialEq, Eq)]
enum News {
    Told,
    /// The relay's facts have changed: they must be read again.
    ReadAgain,
}

async fn signal(message: &zbus::Message, inbox: &Inbox, buttons: &Buttons) -> News {
    let header = message.header();
    match header.member().map(|member| member.as_str()) {
        Some("Finished") => {
            let told = message.body().deserialize::<(String, u32, String, bool, String)>().ok();
            let told = told.and_then(|(order, number, outcome, driven, _)| relay::finished(&order, number, &outcome, driven));
            if let Some((order, number, answer)) = told {
                inbox.send(Input::Finished(order, number, answer));
            }
        }
        Some("Unseen") => {
            let told = message.body().deserialize::<(String, u32)>().ok();
            if let Some((order, number)) = told.and_then(|(order, number)| relay::of_try(&order, number)) {
                inbox.send(Input::Unseen(order, number));
            }
        }
        Some("LateSign") => {
            let told = message.body().deserialize::<(String, u32, String)>().ok();
            if let Some(news) = told.and_then(|(order, number, sign)| LateNews::new(&order, number, &sign)) {
                inbox.send(Input::LateSign(news));
            }
        }
        Some("Pressed") => {
            let item = message.body().deserialize::<String>().ok().and_then(|item| ItemId::new(&item).ok());
            if let Some(item) = item {
                buttons.pressed(item).await;
            }
        }
        Some("Released") => {
            if let Some(item) = message.body().deserialize::<String>().ok().and_then(|item| ItemId::new(&item).ok()) {
                inbox.send(Input::Released(item));
            }
        }
        Some("ClearPressed") => {
            if let Ok(is_held) = message.body().deserialize::<bool>() {
                inbox.send(Input::ClearPressed(is_held));
            }
        }
        Some("Cleared") => {
            inbox.send(Input::Cleared);
            return News::ReadAgain;
        }
        Some("Switched" | "Tested" | "LedgerBack") => return News::ReadAgain,
        _ => {}
    }
    News::Told
}

#[cfg(test)]
mod tests {
    use super::*;
    use controller::Controllers;
    use qris_core::order::late_sign::LateSign;
    use zbus::zvariant::DynamicType;

    /// What the machine hears of a signal of the relay.
    async fn heard(name: &str, body: impl DynamicType + serde::Serialize) -> Option<Input> {
        let (inbox, mut letters) = Inbox::new();
        let message = zbus::Message::signal(RELAY_PATH, RELAY_NAME, name).build(&body).expect("a signal");
        signal(&message, &inbox, &Buttons::start(&Controllers::new(inbox.clone()))).await;
        letters.try_recv().ok().map(|letter| match letter {
            Letter::Input(input, _) => *input,
            Letter::Served | Letter::Stop => panic!("{letter:?}"),
        })
    }

    #[tokio::test]
    async fn the_machine_hears_what_the_relay_tells_of_goods() {
        let unseen = heard("Unseen", ("o-1", 1_u32)).await;
        assert!(matches!(&unseen, Some(Input::Unseen(order, number)) if order.as_str() == "o-1" && number.get() == 1), "{unseen:?}");
        for sign in [LateSign::Passed, LateSign::Came] {
            let late = heard("LateSign", ("o-1", 2_u32, sign.as_str())).await;
            assert!(matches!(&late, Some(Input::LateSign(news)) if news.to_string() == format!("o-1 2 {}", sign.as_str())), "{late:?}");
        }
        assert!(heard("LateSign", ("o-1", 2_u32, "fell")).await.is_none());
    }
}
