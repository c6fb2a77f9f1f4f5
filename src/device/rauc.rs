//! RAUC, which writes an image into the slot that does not run, over its own interface `de.pengutronix.rauc.Installer`.
//! <https://rauc.readthedocs.io/en/latest/reference.html#d-bus-api>

use crate::words::{System, SystemAnswer};
use qris_host::bus::{Object, Remote, RemoteEvent, connect};
use qris_host::config::BusAddress;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::sleep;
use zbus::{Connection, Message, OwnedVariant, Variant};

const NAME: &str = "de.pengutronix.rauc";
const PATH: &str = "/";
const INTERFACE: &str = "de.pengutronix.rauc.Installer";
/// On a computer without RAUC.
const NONE_HERE: &str = "there is none here. A system without RAUC is updated by its packages (apt)";
/// The progress of an installation is asked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(2);

pub struct Rauc {
    connection: Connection,
    bus: BusAddress,
}

impl Rauc {
    /// Connects to the bus. RAUC may be started by its first call.
    pub async fn connect(bus: &BusAddress) -> Result<Self, String> {
        let connection = connect(bus).await.map_err(|why| why.to_string())?;
        Ok(Self { connection, bus: bus.clone() })
    }

    /// The name of the slot that runs, as the bootloader knows it.
    pub async fn booted(&self) -> Result<String, String> {
        self.property("BootSlot").await
    }

    /// Installs a bundle into the slot that does not run. `may_join`: an installation that is under way is this one, and it is
    /// waited for. `progress` hears percents.
    pub async fn install(&self, bundle: &str, may_join: bool, mut progress: impl FnMut(i32)) -> Result<(), String> {
        let mut rauc = Remote::watch(self.bus.clone(), Object { name: NAME, path: PATH, interface: INTERFACE });
        // From its first event on its signals are heard. RAUC may not be there yet.
        rauc.next().await;
        if !(may_join && self.is_installing().await?) {
            let options: HashMap<&str, Variant<'_>> = HashMap::new();
            self.call("InstallBundle", &(bundle, options)).await?;
        }
        let (mut last, mut was_idle, mut result) = (None, false, None);
        loop {
            tokio::select! {
                event = rauc.next() => match completed(&event) {
                    Some(told) => result = Some(told),
                    None => continue,
                },
                () = sleep(LOOK_EVERY) => {}
            }
            let is_idle = !self.is_installing().await?;
            match result {
                // It says so a moment before it has ended, and so may the end of an earlier one.
                Some(0) if is_idle => return Ok(()),
                Some(_) if is_idle => return Err(self.property("LastError").await?),
                // RAUC may have ended without a word. A word that is on its way comes before the second look.
                None if is_idle && was_idle => return Err("it ended without a word".into()),
                Some(_) | None => was_idle = is_idle,
            }
            let percent = self.percent().await?;
            if last.replace(percent) != Some(percent) {
                progress(percent);
            }
        }
    }

    /// The system that runs, and whether another one is being installed.
    pub async fn slot_status(&self) -> Result<SystemAnswer, String> {
        let reply = self.call("GetSlotStatus", &()).await?;
        let slots: Vec<(String, HashMap<String, OwnedVariant>)> = reply.body().deserialize().map_err(|why| why.to_string())?;
        let word = |facts: &HashMap<String, OwnedVariant>, name: &str| facts.get(name).and_then(|word| word.downcast_ref::<String>().ok());
        let runs = slots.into_iter().find(|(_, facts)| word(facts, "state").as_deref() == Some("booted"));
        let (slot, facts) = runs.ok_or("RAUC names no slot that runs")?;
        let installed = word(&facts, "installed.timestamp").unwrap_or_default();
        let system = System { slot: slot.into(), installed: installed.into() };
        Ok(SystemAnswer::Runs { system, is_installing: self.is_installing().await? })
    }

    /// Waits until RAUC installs nothing, or is gone. `goes_on` is told whenever an installation has come further.
    pub async fn becomes_idle(&self, goes_on: impl Fn()) {
        // It may look idle between two steps.
        let (mut last, mut idle) = (None, 0);
        while idle < 2 {
            sleep(LOOK_EVERY).await;
            if !self.is_installing().await.unwrap_or(false) {
                idle += 1;
                continue;
            }
            idle = 0;
            let percent = self.percent().await.ok();
            if percent.is_some() && last.replace(percent) != Some(percent) {
                goes_on();
            }
        }
    }

    async fn percent(&self) -> Result<i32, String> {
        self.property::<(i32, String, i32)>("Progress").await.map(|(percent, _, _)| percent)
    }

    async fn is_installing(&self) -> Result<bool, String> {
        Ok(self.property::<String>("Operation").await? == "installing")
    }

    /// Tells the bootloader that the system that runs is good.
    pub async fn mark_good(&self) -> Result<(), String> {
        self.call("Mark", &("good", "booted")).await.map(drop)
    }

    async fn call<B: serde::Serialize + zbus::zvariant::DynamicType>(&self, method: &str, body: &B) -> Result<Message, String> {
        self.connection.call_method(Some(NAME), PATH, Some(INTERFACE), method, body).await.map_err(said)
    }

    async fn property<T: TryFrom<OwnedVariant>>(&self, name: &str) -> Result<T, String> {
        let get = Some("org.freedesktop.DBus.Properties");
        let reply = self.connection.call_method(Some(NAME), PATH, get, "Get", &(INTERFACE, name)).await.map_err(said)?;
        let value: OwnedVariant = reply.body().deserialize().map_err(|why| why.to_string())?;
        T::try_from(value).map_err(|_| format!("RAUC's property {name} has another type"))
    }
}

/// Why RAUC could not be asked. Where nobody has its name, and nobody can be started for it, the bus has no words for people.
fn said(why: zbus::Error) -> String {
    match &why {
        zbus::Error::FDO(fault) if matches!(**fault, zbus::fdo::Error::ServiceUnknown(_)) => NONE_HERE.into(),
        _ => why.to_string(),
    }
}

/// How the installation ended, if the event tells it. 0: well.
fn completed(event: &RemoteEvent) -> Option<i32> {
    match event {
        RemoteEvent::Signal(signal) if signal.header().member()? == "Completed" => signal.body().deserialize().ok(),
        RemoteEvent::Signal(_) | RemoteEvent::Up { .. } | RemoteEvent::NewOwner | RemoteEvent::Down { .. } => None,
    }
}
