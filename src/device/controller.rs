//! Controllers: the sources of requests, which also hear the results. Each is a file below `controller/`.
//! `docs/developing/add-a-controller.md` tells how to add one.
//!
//! A controller turns the words of its medium into a [`Request`](super::words::Request), and asks by its [`Requests`]. The machine answers
//! each question once, with a [`Reply`](super::words::Reply). A controller whose medium also carries news is a [`Listener`]. The machine
//! knows only the [`ControllerKind`](super::words::ControllerKind) of a controller.

pub mod buttons;
pub mod dbus;
pub mod file;
pub mod mqtt;
mod requests;
pub mod shutdown;

pub use requests::{Controllers, Listener, Requests};

use super::config::Config;
use super::inbox::Inbox;
use qris_host::mqtt::Mqtt;
use qris_screen::Camera;

#[must_use]
pub fn start(config: &Config, inbox: Inbox, mqtt: Option<&Mqtt>, camera: &Camera) -> (Controllers, Fed) {
    let mut all = Controllers::new(inbox.clone());
    let mqtt = mqtt.map(|mqtt| mqtt::Reader::start(&all, config.machine.device.clone(), mqtt.clone(), camera.clone()));
    let buttons = buttons::Buttons::start(&all);
    file::start(&mut all);
    let mut logind = None;
    if let Some(address) = &config.controller {
        dbus::start(&mut all, address, camera, inbox);
        logind = Some(shutdown::start(&all, address));
    }
    (all, Fed { mqtt, buttons, logind })
}

/// The controllers that get their input from a connection of another part.
pub struct Fed {
    /// Hears the messages of the broker; `None` without one.
    pub mqtt: Option<mqtt::Reader>,
    pub buttons: buttons::Buttons,
    /// Reboots the computer; `None` without the system's bus.
    pub logind: Option<shutdown::Logind>,
}
