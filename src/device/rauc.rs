//! RAUC, which writes an image into the slot that does not run, over its own interface `de.pengutronix.rauc.Installer`.
//! <https://rauc.readthedocs.io/en/latest/reference.html#d-bus-api>

use crate::words::{System, SystemAnswer};
use futures_util::StreamExt as _;
use qris_host::bus::connect;
use qris_host::config::BusAddress;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::sleep;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedVariant, Variant};

const NAME: &str = "de.pengutronix.rauc";
const PATH: &str = "/";
const INTERFACE: &str = "de.pengutronix.rauc.Installer";
/// The progress of an installation is asked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A connection to RAUC.
pub struct Rauc(Connection);

impl Rauc {
    /// Connects to the bus. RAUC may be started by its first call.
    ///
    /// # Errors
    /// There is no bus.
    pub async fn connect(bus: &BusAddress) -> Result<Self, String> {
        connect(bus).await.map(Self).map_err(|why| why.to_string())
    }

    /// The name of the slot that runs, as the bootloader knows it.
    ///
    /// # Errors
    /// There is no RAUC.
    pub async fn booted(&self) -> Result<String, String> {
        self.property("BootSlot").await
    }

    /// Installs a bundle into the slot that does not run. `may_join`: an installation that is under way is this one, and it is
    /// waited for. `progress` hears percents.
    ///
    /// # Errors
    /// RAUC's own word.
    pub async fn install(&self, bundle: &str, may_join: bool, mut progress: impl FnMut(i32)) -> Result<(), String> {
        let rule = MatchRule::builder().msg_type(zbus::message::Type::Signal).sender(NAME).interface(INTERFACE).member("Completed");
        let rule = rule.build().map_err(|why| why.to_string())?;
        let mut ended = MessageStream::for_match_rule(rule, &self.0, None).await.map_err(|why| why.to_string())?;
        if !(may_join && self.is_installing().await?) {
            let options: HashMap<&str, Variant<'_>> = HashMap::new();
            self.call("InstallBundle", &(bundle, options)).await?;
        }
        let (mut last, mut was_idle) = (None, false);
        loop {
            tokio::select! {
                message = ended.next() => {
                    let result: i32 = match message {
                        Some(Ok(message)) => message.body().deserialize().map_err(|why| why.to_string())?,
                        Some(Err(why)) => return Err(why.to_string()),
                        None => return Err("the bus is gone".into()),
                    };
                    return if result == 0 { Ok(()) } else { Err(self.property("LastError").await?) };
                }
                () = sleep(LOOK_EVERY) => {
                    // RAUC may have ended without a word. A word that is on its way comes before the second look.
                    let is_idle = !self.is_installing().await?;
                    if is_idle && was_idle {
                        return Err("it ended without a word".into());
                    }
                    was_idle = is_idle;
                    let percent = self.percent().await?;
                    if last.replace(percent) != Some(percent) {
                        progress(percent);
                    }
                }
            }
        }
    }

    /// The system that runs, and whether another one is being installed.
    ///
    /// # Errors
    /// There is no RAUC, or it does not know.
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
    ///
    /// # Errors
    /// RAUC's own word.
    pub async fn mark_good(&self) -> Result<(), String> {
        self.call("Mark", &("good", "booted")).await.map(drop)
    }

    async fn call<B: serde::Serialize + zbus::zvariant::DynamicType>(&self, method: &str, body: &B) -> Result<Message, String> {
        self.0.call_method(Some(NAME), PATH, Some(INTERFACE), method, body).await.map_err(|why| why.to_string())
    }

    async fn property<T: TryFrom<OwnedVariant>>(&self, name: &str) -> Result<T, String> {
        let get = Some("org.freedesktop.DBus.Properties");
        let reply = self.0.call_method(Some(NAME), PATH, get, "Get", &(INTERFACE, name)).await.map_err(|why| why.to_string())?;
        let value: OwnedVariant = reply.body().deserialize().map_err(|why| why.to_string())?;
        T::try_from(value).map_err(|_| format!("RAUC's property {name} has another type"))
    }
}
