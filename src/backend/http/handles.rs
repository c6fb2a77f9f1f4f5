//! The handles of the running backend, and which of them a handler may ask for.

use super::limit::Pace;
use crate::counters::Counters;
use crate::gateway::{Gateway, WatchedGateway};
use crate::machines::handle::Machines;
use crate::sale::handle::Books;
use crate::sale::view::Shop;
use crate::sale::waiters::Waiters;
use crate::sale::work::Work;
use axum::extract::FromRef;
use qris_host::surroundings::Surroundings;
use std::sync::Arc;

/// The router gives each handler those that it needs.
#[derive(Debug, Clone)]
pub struct Handles {
    /// Clock, randomness and journal.
    pub around: Arc<dyn Surroundings>,
    pub books: Arc<Books>,
    pub work: Arc<Work>,
    pub waiters: Arc<Waiters>,
    pub gateway: Arc<WatchedGateway>,
    pub machines: Arc<Machines>,
    pub counters: Arc<Counters>,
    /// Where customers find this backend.
    pub place: Arc<Shop>,
    pub pace: Arc<Pace>,
}

impl Handles {
    #[must_use]
    pub fn new(around: Arc<dyn Surroundings>, books: Arc<Books>, machines: Machines, gateway: Arc<dyn Gateway>, place: Shop) -> Self {
        let (waiters, counters) = (Arc::<Waiters>::default(), Arc::<Counters>::default());
        let gateway = Arc::new(WatchedGateway::new(gateway, Arc::clone(&around)));
        let (of, to) = (Arc::clone(&books), Arc::clone(&gateway));
        let work = Arc::new(Work::new(of, to, Arc::clone(&waiters), Arc::clone(&counters), Arc::clone(&around)));
        Self { around, books, work, waiters, gateway, machines: Arc::new(machines), counters, place: Arc::new(place), pace: Arc::default() }
    }
}

/// A handler may ask for this handle.
macro_rules! given {
    ($($handle:ident: $kind:ty),+ $(,)?) => {
        $(impl FromRef<Handles> for Arc<$kind> {
            fn from_ref(handles: &Handles) -> Self {
                Arc::clone(&handles.$handle)
            }
        })+
    };
}

given! {
    around: dyn Surroundings, books: Books, work: Work, gateway: WatchedGateway, machines: Machines, counters: Counters, place: Shop,
    pace: Pace,
}
