//! A database of machines that can be read and not written: only a write says that it is well again. And one whose log only grows.

use super::*;
use crate::sale::books::BooksError;
use crate::store::{Job, Runner, Store, StoreError, WatchedStore};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A database that takes no write while it is told so.
#[derive(Debug)]
struct Fragile {
    store: Store,
    is_read_only: Arc<AtomicBool>,
}

impl Runner for Fragile {
    fn take(&self, job: Box<dyn Job>, writes: bool) -> Result<(), StoreError> {
        if writes && self.is_read_only.load(Ordering::Relaxed) {
            return Err(StoreError::Postgres("it is read only".into()));
        }
        self.store.runner().take(job, writes)
    }

    fn file(&self) -> Option<&Path> {
        None
    }
}

#[tokio::test]
async fn a_read_that_works_does_not_say_that_it_can_be_written_again() {
    let rig = Rig::new().await;
    let directory = tempfile::tempdir().expect("a directory");
    let is_read_only = Arc::new(AtomicBool::new(true));
    let store = testing::open(directory.path(), "devices.db", &MACHINES);
    let store = Store::with(Arc::new(Fragile { store, is_read_only: Arc::clone(&is_read_only) }));
    let journal = Arc::new(Recorded::default());
    let machines = Machines::new(store, Arc::clone(&rig.handles.books), Span::secs(600), None, Arc::clone(&journal) as _);
    let device = DeviceId::new("vm-001").expect("an id");
    let shown = async || machines.relay_key_shown(&device, token::hash("vm-001"), Some(RelayKey::of(&relay()))).await;
    let told = || journal.0.lock().expect("nothing panics with it").iter().map(|event| event.kind().name).collect::<Vec<_>>();
    let read = async || {
        machines.know().await;
        machines.read(|tx| Ok::<_, BooksError>(devices::let_in(tx)?.len())).await.expect("read")
    };
    shown().await;
    assert_eq!((told(), read().await, told()), (vec!["StoreFailing"], 0, vec!["StoreFailing"]));
    is_read_only.store(false, Ordering::Relaxed);
    // It looks once a second.
    while told().len() < 2 {
        read().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(told(), ["StoreFailing", "StoreBack"]);
}

#[tokio::test]
async fn a_log_that_a_reader_keeps_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open_beside(&directory.path().join("devices.db"), &MACHINES, true).expect("opens");
    let journal = Arc::new(Recorded::default());
    let database = WatchedStore::new(store, Arc::clone(&journal) as _, "devices.db");
    let log = std::fs::OpenOptions::new().write(true).open(directory.path().join("devices.db-wal")).expect("its log");
    log.set_len(64 << 20).expect("a file with a hole");
    database.write(|_| Ok::<(), BooksError>(())).await.expect("written");
    assert!(matches!(&journal.0.lock().expect("nothing panics with it")[..], [Journal::StoreLogLong { mib: 64, .. }]));
}
