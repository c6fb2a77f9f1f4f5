//! The controller inside the machine, on D-Bus. The buttons sell through it while the broker cannot be reached. And the
//! addresses for a visitor's own controller.

use super::captions;
use super::chronicle::{EntryKind, Who};
use super::shop::DEVICE;
use super::watch::Watched;
use qris_core::order::ids::{OrderId, RequestId};
use qris_core::order::reason::Reason;
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use qris_core::wire::stock::Slot;
use qris_core::wire::vend::EventState;
use qris_host::bus::{Object, Remote, RemoteEvent};
use qris_host::config::BusAddress;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch::Sender;
use zbus::{Connection, Message, OwnedVariant, Variant};

/// The file for a visitor's own controller, in the demo's directory.
pub const ENVIRONMENT: &str = "controller.env";
/// Its user at the broker.
pub const USER: &str = "vm-001-controller";

/// What a controller must know, as lines for a shell or for systemd's `EnvironmentFile=`. `samples/` reads these names.
#[must_use]
pub fn environment(broker: u16, password: &str, socket: &Path) -> String {
    let mut address = String::from("unix:path=");
    for byte in socket.as_os_str().as_bytes() {
        // D-Bus wants other bytes in this form, and a shell takes it for nothing else.
        let _ = match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'/' | b'.' | b'-' | b'_' => write!(address, "{}", char::from(*byte)),
            _ => write!(address, "%{byte:02x}"),
        };
    }
    format!(
        "QRISD_DEVICE={DEVICE}\nQRISD_HOST=127.0.0.1\nQRISD_PORT={broker}\nQRISD_USER={USER}\nQRISD_PASSWORD={password}\n\
         QRISD_BUS={address}\n"
    )
}

/// Its connection to the machine's program; none while the program does not run.
#[derive(Debug, Clone, Default)]
pub struct Controller(Arc<Sender<Option<Connection>>>);

#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// Its program does not run, or has just begun.
    #[error("the machine is not there")]
    Away,
    #[error("the machine does not answer on D-Bus")]
    Bus(#[from] zbus::Error),
    #[error("the machine says: {0}")]
    Refused(String),
    #[error("the machine's slots cannot be read")]
    Slots(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Controller {
    /// `Vend`: answers with state and reason, which may both be empty.
    pub async fn vend(&self, request_id: &RequestId, item: &str, timeout_s: Option<u16>) -> Result<(String, String), ControllerError> {
        let mut options: HashMap<&str, Variant<'_>> = HashMap::new();
        if let Some(timeout_s) = timeout_s {
            options.insert("timeout_s", u32::from(timeout_s).into());
        }
        self.call("Vend", &(request_id.as_str(), item, options)).await?.body().deserialize().map_err(Into::into)
    }

    /// `Vend` of a second try at an order: whether the machine offers one, and has begun it.
    pub async fn try_again(&self, request_id: &RequestId, item: &str) -> bool {
        let options: HashMap<&str, Variant<'_>> = HashMap::from([("try", 2_u32.into())]);
        let Ok(answer) = self.call("Vend", &(request_id.as_str(), item, options)).await else { return false };
        let told: Result<(String, String), _> = answer.body().deserialize();
        told.is_ok_and(|(state, _)| state == EventState::TryingAgain.as_str())
    }

    pub async fn cancel(&self, request_id: &RequestId) -> Result<(), ControllerError> {
        self.call("Cancel", &(request_id.as_str(),)).await.map(drop)
    }

    /// `Stock`: somebody has filled the slot of this item. It tells what was in it, if somebody had counted, and what is in it now.
    ///
    /// # Errors
    /// When the machine cannot be asked, or a customer is there.
    pub async fn fill(&self, item: &str) -> Result<(Option<u32>, u32), ControllerError> {
        let answer = self.call("Stock", &("fill", item, -1_i32)).await.map_err(|error| match error {
            ControllerError::Bus(zbus::Error::MethodError(_, Some(why), _)) => ControllerError::Refused(why),
            other => other,
        })?;
        let (before, after): (i32, i32) = answer.body().deserialize()?;
        Ok((u32::try_from(before).ok(), u32::try_from(after).unwrap_or(0)))
    }

    /// What lies in the slots that are counted.
    pub async fn slots(&self) -> Result<Vec<Slot>, ControllerError> {
        let connection = self.0.borrow().clone().ok_or(ControllerError::Away)?;
        let properties = Some("org.freedesktop.DBus.Properties");
        let answer = connection.call_method(Some(DEVICE_NAME), DEVICE_PATH, properties, "Get", &(DEVICE_NAME, "Slots")).await?;
        let slots: OwnedVariant = answer.body().deserialize()?;
        let slots = String::try_from(slots).map_err(|error| ControllerError::Slots(error.into()))?;
        serde_json::from_str(&slots).map_err(|error| ControllerError::Slots(error.into()))
    }

    /// Waits until the machine's program is there.
    pub async fn is_there(&self) {
        // It holds the sender itself, so that it always comes to an end.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    async fn call<B: serde::Serialize + zbus::zvariant::DynamicType>(&self, method: &str, body: &B) -> Result<Message, ControllerError> {
        let connection = self.0.borrow().clone().ok_or(ControllerError::Away)?;
        Ok(connection.call_method(Some(DEVICE_NAME), DEVICE_PATH, Some(DEVICE_NAME), method, body).await?)
    }

    /// Stays connected to the socket, for ever. It tells the machine's words there while the machine has no connection
    /// to the broker. At other times the broker tells them.
    pub async fn follow(self, watched: Arc<Watched>, socket: PathBuf) {
        let object = Object { name: DEVICE_NAME, path: DEVICE_PATH, interface: DEVICE_NAME };
        let mut remote = Remote::watch(BusAddress::Peer(socket), object);
        loop {
            match remote.next().await {
                RemoteEvent::Up { connection } => drop(self.0.send_replace(Some(connection))),
                RemoteEvent::NewOwner => {}
                RemoteEvent::Signal(message) => take(&watched, &message),
                RemoteEvent::Down { .. } => drop(self.0.send_replace(None)),
            }
        }
    }
}

/// `OrderChanged`.
fn take(watched: &Watched, message: &Message) {
    if watched.view.borrow().connected {
        return;
    }
    let Ok((request_id, order_id, state, reason)) = message.body().deserialize::<(String, String, String, String)>() else { return };
    tell(watched, &request_id, &order_id, &state, &reason);
}

pub fn tell(watched: &Watched, request_id: &str, order_id: &str, state: &str, reason: &str) {
    let (Ok(request_id), Some(state)) = (RequestId::new(request_id), word::<EventState>(state)) else { return };
    let (order_id, reason) = (OrderId::new(order_id).ok(), word::<Reason>(reason));
    if let Some(order_id) = &order_id {
        watched.keep(order_id, state, reason);
    }
    let text = captions::state_and_reason(state, reason);
    watched.chronicle.note(Who::Machine, text, EntryKind::Order { request_id, order_id, state, reason });
}

fn word<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(text.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_socket_needs_no_quotes() {
        let text = environment(1883, "secret", Path::new("/tmp/a 'b'/vend.sock"));
        assert_eq!(
            text,
            "QRISD_DEVICE=vm-001\nQRISD_HOST=127.0.0.1\nQRISD_PORT=1883\nQRISD_USER=vm-001-controller\nQRISD_PASSWORD=secret\n\
             QRISD_BUS=unix:path=/tmp/a%20%27b%27/vend.sock\n"
        );
    }
}
