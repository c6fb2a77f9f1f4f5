//! Calls to the programs' D-Bus interfaces, from a test.

use super::{PATIENCE, soon, wait_for};
use qris::wire::dbus::{DEVICE_NAME, DEVICE_PATH, RELAY_FACTS, RELAY_NAME, RELAY_PATH};
use qris::wire::relay::RelayFacts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zbus::zvariant::{DynamicType, Type};
use zbus::{Connection, OwnedVariant, Variant};

/// A D-Bus error: its name without `io.qrisd.Relay1.Error.`, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRefused {
    pub name: String,
    pub detail: String,
}

/// A connection to a bus, with a runtime of its own.
pub struct Caller {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
}

impl Caller {
    pub fn connect(address: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(async {
            let builder = zbus::connection::Builder::address(address).method_timeout(PATIENCE);
            soon("the bus", builder.build()).await.expect("the bus is there")
        });
        Self { runtime, connection }
    }

    /// Calls a method of the relay service.
    pub fn relay<B, R>(&self, method: &str, body: &B) -> Result<R, CallRefused>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        self.call(RELAY_NAME, RELAY_PATH, method, body)
    }

    /// Calls a method of the device service.
    pub fn device<B, R>(&self, method: &str, body: &B) -> Result<R, CallRefused>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        self.call(DEVICE_NAME, DEVICE_PATH, method, body)
    }

    /// Emits a signal in somebody else's name, which anybody on the bus may: to all, and to each connection by itself. The latter
    /// comes to whoever has no rule for it, too.
    pub fn signal<B>(&self, path: &str, interface: &str, signal: &str, body: &B)
    where
        B: Serialize + DynamicType,
    {
        let sent = async {
            let bus = zbus::fdo::DBusProxy::new(&self.connection).await?;
            let all = bus.list_names().await?.into_iter().filter(|name| name.starts_with(':')).map(Some);
            for destination in all.chain([None]) {
                self.connection.emit_signal(destination, path, interface, signal, body).await?;
            }
            zbus::Result::Ok(())
        };
        self.runtime.block_on(soon(signal, sent)).unwrap_or_else(|why| panic!("{signal}: {why}"));
    }

    /// Waits until a name has an owner, or none. A program sells before it has its name.
    pub fn wait_name(&self, name: &str, owned: bool) {
        let bus = self.runtime.block_on(zbus::fdo::DBusProxy::new(&self.connection)).expect("made");
        wait_for(&format!("an owner of {name}: {owned}"), || {
            let has_owner = bus.name_has_owner(name.try_into().expect("a name"));
            let has_owner = self.runtime.block_on(soon(name, has_owner)).unwrap_or_else(|why| panic!("{name}: {why}"));
            (has_owner == owned).then_some(())
        });
    }

    /// What the relay service says of itself.
    pub fn relay_facts(&self) -> RelayFacts {
        let facts: String = self.property(RELAY_NAME, RELAY_PATH, RELAY_FACTS);
        serde_json::from_str(&facts).unwrap_or_else(|why| panic!("{facts}: {why}"))
    }

    /// Its open tickets.
    pub fn open_tickets(&self) -> Vec<String> {
        self.relay_facts().tickets.iter().map(ToString::to_string).collect()
    }

    /// A property of the device service.
    pub fn device_property<T: TryFrom<Variant<'static>>>(&self, name: &str) -> T {
        self.property(DEVICE_NAME, DEVICE_PATH, name)
    }

    /// What an object says of its interfaces: the XML of D-Bus introspection.
    pub fn introspect(&self, name: &str, path: &str) -> String {
        let call = self.connection.call_method(Some(name), path, Some("org.freedesktop.DBus.Introspectable"), "Introspect", &());
        let message = self.runtime.block_on(soon(name, call)).unwrap_or_else(|why| panic!("{name}: {why}"));
        message.body().deserialize().unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    fn call<B, R>(&self, name: &str, path: &str, method: &str, body: &B) -> Result<R, CallRefused>
    where
        B: Serialize + DynamicType,
        R: DeserializeOwned + Type,
    {
        let answer = self.runtime.block_on(soon(method, self.connection.call_method(Some(name), path, Some(name), method, body)));
        match answer {
            Ok(message) => Ok(message.body().deserialize().unwrap_or_else(|why| panic!("{method}: {why}"))),
            Err(zbus::Error::MethodError(name, detail, _)) => {
                let name = name.as_str();
                let name = name.strip_prefix("io.qrisd.Relay1.Error.").unwrap_or(name).to_owned();
                Err(CallRefused { name, detail: detail.unwrap_or_default() })
            }
            Err(why) => Err(CallRefused { name: "no answer".into(), detail: why.to_string() }),
        }
    }

    fn property<T: TryFrom<Variant<'static>>>(&self, interface: &str, path: &str, name: &str) -> T {
        let asked = (interface, name);
        let call = self.connection.call_method(Some(interface), path, Some("org.freedesktop.DBus.Properties"), "Get", &asked);
        let message = self.runtime.block_on(soon(name, call)).unwrap_or_else(|why| panic!("{name}: {why}"));
        let value: OwnedVariant = message.body().deserialize().unwrap_or_else(|why| panic!("{name}: {why}"));
        T::try_from(Variant::from(value)).unwrap_or_else(|_| panic!("{name} is of another type"))
    }
}
