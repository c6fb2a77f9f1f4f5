//! The same calls have the same answers in memory and in the installed database.

use super::*;
use qris_core::order::ids::ItemId;
use qris_core::order::machine::{Charge, Posted};
use qris_core::order::money::Rupiah;
use qris_core::order::receipt::Receipt;
use qris_core::order::receipt::testing::{claims, key};
use qris_core::order::request::{Offer, Payment, VendRequest};
use qris_core::order::time::{Boot, Span, Wall};
use qris_device::store::database::File;

fn boot(name: &str) -> BootId {
    BootId(name.into())
}

fn order(n: u32) -> Order {
    let request = VendRequest {
        request_id: RequestId::new(&format!("r-{n}")).expect("an id"),
        item: ItemId::new("A1").expect("an item"),
        amount: None,
        description: None,
        payment: Payment::Gopay,
        timeout_s: None,
    };
    let offer = Offer { request, amount: Rupiah::new(5000).expect("an amount"), timeout: Span::secs(120) };
    let mut bits = [0; 16];
    bits[..4].copy_from_slice(&n.to_be_bytes());
    Order::new(offer, Ticket::from_random(bits), Posted::default(), 1, Boot(0))
}

fn receipt() -> Receipt {
    key().sign(claims())
}

fn charged(n: u32, order_id: &str, state: State) -> Order {
    let charge = Charge {
        order_id: OrderId::new(order_id).expect("an id"),
        gross_amount: None,
        sandbox: true,
        code: None,
        pay_within: None,
        collect_within: None,
        pay_url: None,
    };
    Order { charge: Some(charge), state, ..order(n) }
}

fn paid(n: u32) -> Order {
    charged(n, receipt().claims().sub.as_str(), State::Paid { receipt: receipt(), deliver_by: Boot(1) })
}

fn dispensed(n: u32) -> Order {
    Order { state: State::Dispensed { receipt: receipt(), told: false }, ..paid(n) }
}

fn refunded(n: u32) -> Order {
    Order { state: State::Refunded { receipt: None }, ..order(n) }
}

fn event(order: &Order) -> Draft {
    let (state, reason) = order.name();
    let id = order.offer.request.request_id.clone();
    Box::new(move |seq, name| VendEvent {
        event_id: name.into(),
        stream: "s".into(),
        seq: Some(seq),
        request_id: Some(id),
        order_id: None,
        state,
        reason,
        item: None,
        amount: None,
        gross_amount: None,
        payment_code: None,
        store: None,
        field: None,
        detail: None,
        at: None,
    })
}

/// An observer's view: the name of the store differs each time.
fn told<D: Disk>(disk: &mut D) -> Vec<String> {
    let mut said = Vec::new();
    let open = |disk: &mut D, name: &str| disk.open(&boot(name), false).expect("opens").store;
    let mut note = |what: &str, told: String| said.push(format!("{what}: {told}"));
    let look = |stored: Option<Stored>| {
        stored.map(|Stored { order, rev, same_boot, last_event }| {
            (order.name(), order, rev, same_boot, last_event.split("\"seq\"").nth(1).map(str::to_owned))
        })
    };
    let mut store = open(disk, "b");
    let mut write = |store: &mut D::Store, what: &str, order: &Order, before: Option<i64>, sent: &[u64]| {
        let done = store.commit(order, before, vec![event(order)], sent);
        let done = done.map(|(events, stored)| (events.iter().map(|event| event.seq).collect::<Vec<_>>(), look(Some(stored))));
        note(what, format!("{:?}", done.map_err(|error| error.is_surprise())));
    };
    write(&mut store, "a first", &order(1), None, &[]);
    write(&mut store, "its request again", &order(1), None, &[]);
    write(&mut store, "a second customer", &order(2), None, &[]);
    write(&mut store, "a version too far", &refunded(1), Some(2), &[]);
    write(&mut store, "a version of nothing", &refunded(9), Some(1), &[]);
    write(&mut store, "paid without a receipt", &Order { state: State::Refunded { receipt: None }, ..order(1) }, Some(1), &[1]);
    write(&mut store, "the next customer", &order(3), None, &[]);
    write(&mut store, "another ticket's", &Order { ticket: order(3).ticket, ..refunded(4) }, None, &[]);
    write(&mut store, "paid", &paid(3), Some(1), &[]);
    write(
        &mut store,
        "another order of that name",
        &charged(5, receipt().claims().sub.as_str(), State::Refunded { receipt: None }),
        None,
        &[],
    );
    write(&mut store, "a receipt that goes", &Order { state: State::Refunded { receipt: None }, ..paid(3) }, Some(2), &[]);
    write(&mut store, "dispensed", &dispensed(3), Some(2), &[2]);
    write(&mut store, "dispensed for ever", &paid(3), Some(3), &[]);
    let read = |store: &D::Store| {
        let request = |n: u32| look(store.by_request(&RequestId::new(&format!("r-{n}")).expect("an id")).expect("read"));
        let requests: Vec<_> = [1, 2, 3, 9].map(request).into();
        let name = look(store.by_order(&receipt().claims().sub).expect("read"));
        let tickets = [order(1), order(2), order(3)].map(|order| store.has_ticket(&order.ticket).expect("read"));
        let live: Vec<_> = store.live().expect("read").into_iter().map(|stored| look(Some(stored))).collect();
        let mut waiting = Vec::new();
        while let Some((seq, _)) = store.next_event(waiting.last().copied().unwrap_or(0)).expect("read") {
            waiting.push(seq);
        }
        format!("{requests:?} {name:?} {tickets:?} {live:?} {waiting:?} {:?}", store.remembered("trusted_ms").expect("read"))
    };
    said.push(read(&store));
    store.trust(Wall(7)).expect("written");
    store.remember("a", "b").expect("written");
    store.forget(&[3]).expect("written");
    said.push(read(&store));
    // After a power cut, and in the next boot.
    let stream = store.stream().to_owned();
    disk.take_back(store);
    let mut store = open(disk, "c");
    assert_eq!(store.stream(), stream, "it is the same store");
    said.push(read(&store));
    let done = store.commit(&order(6), None, vec![event(&order(6)), event(&order(6))], &[]).expect("stored");
    said.push(format!("{:?}", done.0.iter().map(|event| event.seq).collect::<Vec<_>>()));
    disk.take_back(store);
    said
}

#[test]
fn what_the_database_says_the_memory_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let in_database = told(&mut File(directory.path().join("qrisd.db")));
    let in_memory = told(&mut Memory::default());
    for (memory, database) in in_memory.iter().zip(&in_database) {
        assert_eq!(memory, database);
    }
    assert_eq!(in_memory.len(), in_database.len());
}

#[test]
fn a_copy_goes_its_own_way() {
    let mut disk = Memory::default();
    let mut store = disk.open(&boot("b"), false).expect("opens").store;
    let before = store.clone();
    store.commit(&order(1), None, vec![event(&order(1))], &[]).expect("stored");
    assert!(before.live().expect("read").is_empty() && before.next_event(0).expect("read").is_none());
    disk.take_back(before);
    assert!(disk.open(&boot("b"), false).expect("opens").store.live().expect("read").is_empty());
}
