//! Puts the backend together, as the configuration says.

use crate::config::Config;
use crate::http::Handles;
use crate::keys::Ring;
use crate::machines::handle::Machines;
use crate::sale::books::Policy;
use crate::sale::handle::Books;
use crate::sale::view;
use crate::store::Store;
use qris_core::order::keys::SigningKey;
use qris_core::order::merchant::Rules;
use qris_host::Failure;
use qris_host::config::Source;
use qris_host::surroundings::{Computer, Surroundings};
use std::sync::Arc;

pub fn handles(config: &Config, source: &Source, ring: Ring, store: Store, machines: Store) -> Result<Handles, Failure> {
    let around: Arc<dyn Surroundings> = Arc::new(Computer::default());
    let gateway = config.gateway.open(source)?;
    let place = view::Shop {
        public_url: config.public_url.clone().map(Into::into),
        sandbox: config.gateway.is_sandbox(),
        merchant: config.merchant.clone(),
        contact: config.contact.clone(),
        collect_within: config.collect_within,
        zone: config.zone,
        desk_url: config.desk.as_ref().and_then(|desk| desk.url.as_deref().map(Into::into)),
    };
    let books = Arc::new(Books::new(store, policy(config, ring.into_keys()), Arc::clone(&around)));
    let (offline_after, accounts) = (config.offline_after(), config.accounts.clone());
    let machines = Machines::new(machines, Arc::clone(&books), offline_after, accounts, Arc::clone(&around));
    Ok(Handles::new(around, books, machines, gateway, place))
}

/// The merchant's decisions, as the books need them. Commands that sign nothing need no keys.
#[must_use]
pub fn policy(config: &Config, keys: Vec<SigningKey>) -> Policy {
    Policy {
        rules: Rules {
            issuer: config.issuer.clone(),
            keys,
            max_imposed_fee: config.gateway.max_imposed_fee(),
            reversal_window: config.reversal_window,
            collect_within: config.collect_within,
            second_tries: config.second_tries,
            try_again_within: config.try_again_within,
        },
        push: config.mqtt.is_some(),
        orders_per_minute: config.orders_per_minute,
        auto_refund_per_day: config.auto_refund_per_day,
        tries_per_day: config.tries_per_day,
    }
}
