//! The D-Bus services of the machine that this runs on.

use super::site::{QRISD_TOML, RELAY_TOML};
use qris_core::order::ids::RequestId;
use qris_core::order::request::VendRequest;
use qris_core::wire::dbus::RELAY_NAME;
use qris_host::config::BusAddress;
use qris_host::{Failure, bus};
use std::collections::HashMap;
use std::path::Path;
use zbus::{Connection, MatchRule, MessageStream, OwnedVariant, Variant};

/// Which bus the service is on.
#[derive(clap::Args, Debug)]
pub(super) struct Bus {
    /// system, session, a D-Bus address, or peer:/path
    #[arg(long, global = true, value_name = "BUS", default_value = "system", value_parser = parse_bus)]
    bus: BusAddress,
}

impl Bus {
    /// Whether this computer is a machine, or a bus was named.
    pub(super) fn is_of_a_machine(&self) -> bool {
        self.bus != BusAddress::System || Path::new(QRISD_TOML).exists()
    }
}

fn parse_bus(text: &str) -> Result<BusAddress, <BusAddress as std::str::FromStr>::Err> {
    text.parse()
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceError {
    #[error("{name}: {detail}")]
    Refused {
        /// The error's D-Bus name.
        name: String,
        /// For people.
        detail: String,
    },
    /// The service does not do it, and says why.
    #[error("{0}")]
    Said(String),
    #[error("{service} does not run: start it with `sudo systemctl start {service}`")]
    NotRunning { service: &'static str },
    /// The policy of the bus.
    #[error("this user may not ask {service}: use sudo{group}")]
    NotAllowed {
        service: &'static str,
        /// Who else may.
        group: &'static str,
    },
    #[error("{service} cannot be asked: {why}")]
    Unreachable {
        /// The bus name.
        service: &'static str,
        why: zbus::Error,
    },
    /// There is no configuration, so its service waits, however often it is called.
    #[error("this machine is not set up, {0} is not there: run `sudo qrisctl setup`")]
    NotSetUp(&'static str),
    /// A property is missing or of another type.
    #[error("{service} answers wrongly when asked for {property}: is it of another release?")]
    Property { service: &'static str, property: &'static str },
}

/// The services are not on this bus, or not on this computer.
fn elsewhere(why: bus::BusError) -> Failure {
    Failure::failed(format!("{why}; run this on the machine itself, or say with --bus where its services are"))
}

/// A service: its bus name is also its interface.
pub(super) struct Service {
    connection: Connection,
    name: &'static str,
    path: &'static str,
}

impl Service {
    /// Finds the service of this machine. A call does not start a service that nobody has set up. So that is said at once.
    pub(super) async fn connect(bus: &Bus, name: &'static str, path: &'static str) -> Result<Self, Failure> {
        let service = Self::connect_at(&bus.bus, name, path).await?;
        let configuration = if name == RELAY_NAME { RELAY_TOML } else { QRISD_TOML };
        // A service on another bus was configured elsewhere. A service that answers was configured too.
        let is_set_up = bus.bus != BusAddress::System || Path::new(configuration).try_exists().unwrap_or(true);
        if is_set_up || service.is_there().await { Ok(service) } else { Err(Failure::failed(ServiceError::NotSetUp(configuration))) }
    }

    pub(super) async fn connect_at(bus: &BusAddress, name: &'static str, path: &'static str) -> Result<Self, Failure> {
        let connection = bus::connect(bus).await.map_err(elsewhere)?;
        Ok(Self { connection, name, path })
    }

    pub(super) async fn call(&self, method: &str, argument: &str) -> Result<(), ServiceError> {
        self.send(method, argument).await.map(drop)
    }

    pub(super) async fn ask(&self, method: &str, argument: &str) -> Result<(String, String), ServiceError> {
        self.send(method, argument).await?.body().deserialize().map_err(|why| self.error(why))
    }

    pub(super) async fn vend(&self, request: &VendRequest) -> Result<(String, String), ServiceError> {
        let VendRequest { request_id, item, amount, description, payment, timeout_s } = request;
        let amount = amount.map(|amount| i64::try_from(amount.get()).unwrap_or(i64::MAX));
        let options: HashMap<&str, Variant<'_>> = [
            ("amount", amount.map(Variant::from)),
            ("description", description.as_deref().map(Variant::from)),
            ("payment", Some(payment.as_str().into())),
            ("timeout_s", timeout_s.map(|seconds| u32::from(seconds).into())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
        let asked = (request_id.as_str(), item.as_str(), options);
        let answer = self.connection.call_method(Some(self.name), self.path, Some(self.name), "Vend", &asked).await;
        answer.map_err(|why| self.error(why))?.body().deserialize().map_err(|why| self.error(why))
    }

    pub(super) async fn cancel(&self, request: &RequestId) -> Result<String, ServiceError> {
        self.send("Cancel", request.as_str()).await?.body().deserialize().map_err(|why| self.error(why))
    }

    /// Each change of an order from now on.
    pub(super) async fn changes(&self) -> Result<MessageStream, ServiceError> {
        let rule = MatchRule::builder().msg_type(zbus::message::Type::Signal).path(self.path).interface(self.name).member("OrderChanged");
        let rule = rule.build().map_err(|why| self.error(why))?;
        MessageStream::for_match_rule(rule, &self.connection, None).await.map_err(|why| self.error(why))
    }

    pub(super) async fn ask_for(&self, method: &str, name: &str, seconds: u32) -> Result<String, ServiceError> {
        let answer = self.connection.call_method(Some(self.name), self.path, Some(self.name), method, &(name, seconds)).await;
        answer.map_err(|why| self.error(why))?.body().deserialize().map_err(|why| self.error(why))
    }

    /// Says what a person has done to a slot. Answers with what was in it, if somebody had counted, and what is in it now.
    pub(super) async fn change_stock(&self, change: &str, item: &str, n: Option<u32>) -> Result<(Option<u32>, u32), ServiceError> {
        let n = n.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX));
        let answer = self.connection.call_method(Some(self.name), self.path, Some(self.name), "Stock", &(change, item, n)).await;
        let (before, after): (i32, i32) = answer.map_err(|why| self.error(why))?.body().deserialize().map_err(|why| self.error(why))?;
        Ok((u32::try_from(before).ok(), u32::try_from(after).unwrap_or(0)))
    }

    pub(super) async fn picture(&self) -> Result<Vec<u8>, ServiceError> {
        let answer = self.connection.call_method(Some(self.name), self.path, Some(self.name), "Screenshot", &()).await;
        answer.map_err(|why| self.error(why))?.body().deserialize().map_err(|why| self.error(why))
    }

    pub(super) async fn is_there(&self) -> bool {
        let (bus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
        let answer = self.connection.call_method(Some(bus), path, Some(bus), "NameHasOwner", &(self.name,)).await;
        answer.is_ok_and(|answer| answer.body().deserialize().unwrap_or(false))
    }

    async fn send(&self, method: &str, argument: &str) -> Result<zbus::Message, ServiceError> {
        let answer = self.connection.call_method(Some(self.name), self.path, Some(self.name), method, &(argument,)).await;
        answer.map_err(|why| self.error(why))
    }

    pub(super) async fn properties(&self) -> Result<Properties, ServiceError> {
        let interface = Some("org.freedesktop.DBus.Properties");
        let answer = self.connection.call_method(Some(self.name), self.path, interface, "GetAll", &(self.name,)).await;
        let message = answer.map_err(|why| self.error(why))?;
        let values = message.body().deserialize().map_err(|why| self.error(why))?;
        Ok(Properties { service: self.name, values })
    }

    fn error(&self, why: zbus::Error) -> ServiceError {
        let service = if self.name == RELAY_NAME { "qris-relayd" } else { "qrisd" };
        let group = if self.name == RELAY_NAME { "" } else { ", or be of the group qrisd-control" };
        match why {
            zbus::Error::FDO(fault) if matches!(*fault, zbus::fdo::Error::ServiceUnknown(_)) => ServiceError::NotRunning { service },
            zbus::Error::FDO(fault) if matches!(*fault, zbus::fdo::Error::AccessDenied(_)) => ServiceError::NotAllowed { service, group },
            zbus::Error::MethodError(name, ..) if name.as_str() == "org.freedesktop.DBus.Error.AccessDenied" => {
                ServiceError::NotAllowed { service, group }
            }
            zbus::Error::MethodError(name, detail, _) => {
                ServiceError::Refused { name: name.to_string(), detail: detail.unwrap_or_else(|| "no detail".into()) }
            }
            // The sentence is the service's own. The name of the error says no more.
            zbus::Error::FDO(fault) if matches!(*fault, zbus::fdo::Error::Failed(_) | zbus::fdo::Error::InvalidArgs(_)) => {
                ServiceError::Said(zbus::DBusError::description(&*fault).unwrap_or_default().into())
            }
            why => ServiceError::Unreachable { service: self.name, why },
        }
    }
}

pub(super) struct Properties {
    service: &'static str,
    values: HashMap<String, OwnedVariant>,
}

impl Properties {
    pub(super) fn take<T: TryFrom<Variant<'static>>>(&mut self, property: &'static str) -> Result<T, ServiceError> {
        let wrong = || ServiceError::Property { service: self.service, property };
        let value = self.values.remove(property).ok_or_else(wrong)?;
        T::try_from(Variant::from(value)).map_err(|_| wrong())
    }
}
