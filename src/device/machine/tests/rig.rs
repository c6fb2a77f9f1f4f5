//! The machine's surroundings.

use crate::controller::mqtt;
pub(super) use crate::machine::Machine;
pub(super) use crate::screen::ScreenState;
use crate::screen::{Language, Languages, SurfaceSettings, samples};
pub(super) use crate::words::*;
pub(super) use qris_core::order::ids::{DeviceId, ItemId, OrderId, RequestId, Ticket};
use qris_core::order::machine::RelayCall;
pub(super) use qris_core::order::money::Rupiah;
pub(super) use qris_core::order::outcome::DispenseAnswer;
use qris_core::order::outcome::{CloseAnswer, Outcome};
use qris_core::order::receipt::testing::{claims, key, keys};
use qris_core::order::receipt::{Claims, Receipt};
use qris_core::order::request::{Payment, Price, PriceList, VendRequest, Way};

use qris_core::order::stock::Drives;
pub(super) use qris_core::order::time::{Boot, BootId, Now, Span, Wall};
use qris_core::order::tries::TryNumber;
pub(super) use qris_core::wire::dbus::RelayError;
use qris_core::wire::orders::{OpenOrders, OrderResource, Status, TakenOut};
use qris_core::wire::relay::Driven;
pub(super) use qris_core::wire::relay::RelayFacts;
pub(super) use qris_core::wire::status::FaultCode;
pub(super) use qris_core::wire::topics::{PROBE, Topic, TopicsTold};
pub(super) use qris_core::wire::vend::VendEvent;
use qris_core::wire::vend::read_sale;
pub(super) use qris_host::events::Event as Journal;
pub(super) use qris_host::mqtt::{Ack, PublishId};
use std::collections::{BTreeMap, BTreeSet};

const PAYLOAD_5000: &str = "00020101021226620014COM.GO-JEK.WWW011993600914337918182570210G3791818250303UKE51440014ID.CO.QRIS.WWW0215AID7720513752290303UKE5204359353033605802ID5910PAPI LIVE26005KUKAR61057555354075000.0062475036b1855b6c-70ab-4449-9778-61b8ffe43fd20703A016304";

/// A controller on the board. It hears replies.
pub(super) const ON_BOARD: Asker = Asker { question: 7, kind: ControllerKind { way: Way::Board, hears_replies: true } };

pub(super) struct Rig {
    pub(super) directory: tempfile::TempDir,
    pub(super) settings: Settings,
    pub(super) machine: Machine,
    pub(super) now: Now,
    pub(super) facts: RelayFacts,
    /// The events on `vend/event`, as `state` or `state(reason)`.
    pub(super) announced: Vec<String>,
    pub(super) events: Vec<VendEvent>,
    pub(super) acked: Vec<Ack>,
    pub(super) scene: String,
    pub(super) sandbox: bool,
    /// Whether the broker acknowledges the messages.
    pub(super) broker_takes: bool,
    /// Whether the machine asks for the reason alone that it tells the backend of its topics. Most tests do not look at that.
    pub(super) tells_topics: bool,
    /// Whether the backend says that it is at the broker.
    pub(super) at_broker: bool,
    /// The relay's answer to `Prove`, at once; `None`: no answer.
    pub(super) proof: Option<RelayAnswer>,
    /// The tries that the ledger has counted.
    drove: BTreeSet<(OrderId, TryNumber)>,
    messages: u64,
}

pub(super) fn request_id(text: &str) -> RequestId {
    RequestId::new(text).expect("an id")
}

pub(super) fn order_id(text: &str) -> OrderId {
    OrderId::new(text).expect("an id")
}

/// What a controller asks to sell.
pub(super) fn sale(payload: &str) -> VendRequest {
    read_sale(payload.as_bytes()).expect("a request")
}

pub(super) fn ticket(n: u8) -> Ticket {
    Ticket::from_random([n; 16])
}

pub(super) fn rp(n: u64) -> Rupiah {
    Rupiah::new(n).expect("an amount")
}

pub(super) fn receipt(change: impl FnOnce(&mut Claims)) -> Receipt {
    let mut claims = claims();
    change(&mut claims);
    key().sign(claims)
}

/// The order of request `r-n` with ticket n, named `o-n`.
pub(super) fn resource(n: u8, status: Status) -> OrderResource {
    OrderResource {
        order_id: order_id(&format!("o-{n}")),
        rev: 1,
        request_id: request_id(&format!("r-{n}")),
        device: DeviceId::new("vm-001").expect("an id"),
        ticket: ticket(n),
        nth_try: qris_core::order::tries::TryNumber::FIRST,
        try_again_s: None,
        try_wanted_s: None,
        try_number: None,
        try_confirmed_s: None,
        item: ItemId::new("A1").expect("an id"),
        asked: None,
        amount: rp(5000),
        gross_amount: Some(rp(5000)),
        payment: Payment::Gopay,
        status,
        over: true,
        qr_payload: Some(format!("{PAYLOAD_5000}{:04X}", qris_core::order::qris::crc(PAYLOAD_5000)).into()),
        deeplink_url: None,
        pay_url: None,
        payment_code: None,
        store: None,
        expires_in_s: Some(800),
        settled_ago_s: None,
        kid: Some(key().kid().clone()),
        receipt: None,
        outcome: None,
        refund: None,
        sandbox: true,
        collect_within_s: None,
        unconfirmed: false,
    }
}

pub(super) fn receipt_of(n: u8) -> Receipt {
    receipt(|c| {
        c.sub = order_id(&format!("o-{n}"));
        c.jti = request_id(&format!("r-{n}"));
        c.ticket = ticket(n);
        c.transaction_id = qris_core::order::ids::TransactionId::new(&format!("t-{n}")).expect("an id");
    })
}

pub(super) fn settled(n: u8, ago_s: u64) -> OrderResource {
    OrderResource { rev: 2, settled_ago_s: Some(ago_s), receipt: Some(receipt_of(n).jws().into()), ..resource(n, Status::Settlement) }
}

pub(super) fn order(resource: OrderResource) -> BackendAnswer {
    BackendAnswer::Order(Box::new(resource))
}

pub(super) fn gone() -> BackendAnswer {
    BackendAnswer::NoAnswer { why: "nobody is there".into(), code: None, date_refusal: false }
}

pub(super) fn boot(name: &str) -> BootId {
    BootId(name.into())
}

impl Rig {
    /// All is well, and nothing was ever sold.
    pub(super) fn new() -> Self {
        let mut rig = Self::dark(10);
        rig.bring_up();
        rig.settle_open();
        rig
    }

    /// The same, however many orders a minute.
    pub(super) fn unlimited() -> Self {
        let mut rig = Self::dark(0);
        rig.bring_up();
        rig.settle_open();
        rig
    }

    /// A power cut, after which all is there again.
    pub(super) fn cut_and_up(&mut self, same_boot: bool) {
        self.power_cut(same_boot);
        self.bring_up();
    }

    /// Answers that there are no open orders, until the machine does not ask any more.
    pub(super) fn settle_open(&mut self) {
        while self.open().is_some() {
            self.answer_open(vec![]);
            self.after(1000);
        }
    }

    /// Only the machine is there.
    pub(super) fn dark(orders_per_minute: usize) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let item = |text: &str| ItemId::new(text).expect("an item");
        let settings = Settings {
            device: DeviceId::new("vm-001").expect("an id"),
            prices: PriceList::new([
                (item("A1"), Price::Fixed(rp(5000))),
                (item("exit"), Price::FromRequest { min: rp(2000), max: rp(200_000), mqtt: false }),
            ]),
            names: BTreeMap::from([(item("A1"), "Tea".into())]),
            slots: BTreeMap::new(),
            orders: OrderSettings { per_minute: orders_per_minute, ..OrderSettings::default() },
            keys: keys(),
            screen_required: true,
            labels: Vec::new(),
            report_every: Span::secs(900),
            appearance: samples::settings(SurfaceSettings::Any, Languages::Only(Language::Id)),
            store: directory.path().join("qrisd.db"),
            boot_id: boot("11111111-aaaa"),
            broker: Some("the broker".into()),
            released: Wall(1_000_000),
            tells_time: true,
        };
        let now = Now { boot: Boot(50_000), wall: Wall(2_000_000) };
        let (machine, effects) = Machine::load(settings.clone(), now);
        let facts = RelayFacts { keys: vec![key().kid().clone()], ..RelayFacts::default() };
        let mut rig = Self {
            directory,
            settings,
            machine,
            now,
            facts,
            announced: Vec::new(),
            events: Vec::new(),
            acked: Vec::new(),
            scene: String::new(),
            sandbox: false,
            broker_takes: true,
            tells_topics: false,
            at_broker: false,
            proof: Some(RelayAnswer::Proof(Some("the relay's word".into()))),
            drove: BTreeSet::new(),
            messages: 0,
        };
        rig.note(&effects);
        rig
    }

    pub(super) fn bring_up(&mut self) {
        self.on(Input::Screen(ScreenState::Working));
        self.on(Input::RelayUp(self.facts.clone()));
        if self.settings.broker.is_some() {
            self.on(Input::BrokerUp { refused: vec![] });
        }
    }

    /// The program ends at once and starts again, in the same boot or another.
    pub(super) fn power_cut(&mut self, same_boot: bool) {
        if !same_boot {
            self.settings.boot_id = boot(&format!("{}x", self.settings.boot_id.0));
            self.now.boot = Boot(5_000);
        }
        let elsewhere = tempfile::tempdir().expect("a directory");
        let other = Settings { store: elsewhere.path().join("none.db"), ..self.settings.clone() };
        // The old machine's connection to the database must go first.
        drop(std::mem::replace(&mut self.machine, Machine::load(other, self.now).0));
        let (machine, effects) = Machine::load(self.settings.clone(), self.now);
        self.machine = machine;
        self.note(&effects);
        self.rests();
    }

    fn note(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Ack(ack) => self.acked.push(*ack),
                Effect::Reply(asker, _) if asker.kind == mqtt::KIND => self.acked.push(Ack::numbered(asker.question)),
                Effect::Show(picture) => {
                    self.scene = format!("{:?}", picture.scene);
                    self.sandbox = picture.sandbox;
                }
                _ => {}
            }
        }
    }

    /// Takes one input. The broker acknowledges the messages.
    pub(super) fn on(&mut self, input: Input) -> Vec<Effect> {
        let mut all = Vec::new();
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let effects = self.machine.handle(input, self.now);
            if !self.tells_topics {
                self.machine.rights.untold();
            }
            self.note(&effects);
            for effect in &effects {
                if let (Effect::Relay(id, request, RelayCall::Prove(_)), Some(answer)) = (effect, &self.proof) {
                    inputs.push_back(Input::Relay(*id, request.clone(), answer.clone()));
                }
                if let Effect::Publish { id, notice, payload } = effect {
                    if *notice == Notice::Event && payload != PROBE {
                        let event: VendEvent = serde_json::from_slice(payload).expect("an event");
                        let why = event.reason.map(|why| format!("({why})")).unwrap_or_default();
                        // An event that the broker has may be published again after a restart, with the same name.
                        let again = id.0 & NEWS == 0 && self.events.iter().any(|known| known.event_id == event.event_id);
                        if !again {
                            self.announced.push(format!("{}{why}", event.state.as_str()));
                            self.events.push(event);
                        }
                    }
                    if self.broker_takes {
                        inputs.push_back(Input::Delivered(*id));
                    }
                }
            }
            all.extend(effects);
        }
        self.rests();
        all
    }

    /// Nothing is left to do now, and the next deadline is yet to come.
    fn rests(&mut self) {
        let effects = self.machine.handle(Input::Woken, self.now);
        assert!(effects.is_empty(), "work was left over: {effects:?}");
        let next = self.machine.next_deadline(self.now.boot);
        assert!(next.is_none_or(|at| at > self.now.boot), "a deadline in the past makes the owner spin: {next:?}, now {:?}", self.now.boot);
    }

    pub(super) fn after(&mut self, milliseconds: i64) -> Vec<Effect> {
        self.now = Now { boot: self.now.boot + Span::millis(milliseconds), wall: self.now.wall + Span::millis(milliseconds) };
        self.on(Input::Woken)
    }

    /// The announcements since the last look.
    pub(super) fn announced(&mut self) -> Vec<String> {
        std::mem::take(&mut self.announced)
    }

    pub(super) fn message(&mut self, topic: Topic, payload: &str) -> (Ack, Vec<Effect>) {
        self.any_message(topic, payload, false)
    }

    pub(super) fn any_message(&mut self, topic: Topic, payload: &str, retained: bool) -> (Ack, Vec<Effect>) {
        self.messages += 1;
        let ack = Ack::numbered(self.messages);
        let input = match mqtt::read(topic, payload.as_bytes(), retained) {
            Some(request) => Input::Requested(request, Asker { question: self.messages, kind: mqtt::KIND }),
            None => {
                assert_eq!(topic, Topic::PaymentUpdate, "the machine hears nothing else");
                Input::PaymentUpdate { payload: payload.as_bytes().to_vec(), ack }
            }
        };
        (ack, self.on(input))
    }

    pub(super) fn is_acked(&self, ack: Ack) -> bool {
        self.acked.contains(&ack)
    }

    pub(super) fn vend(&mut self, n: u8) -> (Ack, Vec<Effect>) {
        self.message(Topic::VendRequest, &format!(r#"{{"request_id":"r-{n}","item":"A1"}}"#))
    }

    pub(super) fn pay(&mut self, receipt: &Receipt) -> (Ack, Vec<Effect>) {
        let id = receipt.claims().sub.clone();
        let payload = format!(r#"{{"order_id":"{id}","rev":2,"status":"settlement","receipt":"{}"}}"#, receipt.jws());
        self.message(Topic::PaymentUpdate, &payload)
    }

    pub(super) fn open(&mut self) -> Option<CallId> {
        self.machine.reconciliation.running()
    }

    /// Answers `?state=open`; the machine must have asked it.
    pub(super) fn answer_open(&mut self, orders: Vec<OrderResource>) -> Vec<Effect> {
        self.answer_taken_out(orders, Vec::new())
    }

    pub(super) fn answer_taken_out(&mut self, orders: Vec<OrderResource>, taken_out: Vec<TakenOut>) -> Vec<Effect> {
        let (call, at_broker) = (self.open().expect("the open orders are asked for"), self.at_broker);
        self.on(Input::Open(call, BackendAnswer::Open(OpenOrders { orders, taken_out, amounts: BTreeMap::new(), at_broker })))
    }

    /// The call to the backend that runs for a request.
    pub(super) fn backend(&self, n: u8) -> Option<HttpCall> {
        self.running_backend(n).map(|(_, call)| call)
    }

    fn running_backend(&self, n: u8) -> Option<(CallId, HttpCall)> {
        self.machine.orders.get(&request_id(&format!("r-{n}"))).and_then(|live| live.backend.running().cloned())
    }

    pub(super) fn relay(&self, n: u8) -> Option<RelayCall> {
        self.running_relay(n).map(|(_, call)| call)
    }

    fn running_relay(&self, n: u8) -> Option<(CallId, RelayCall)> {
        self.machine.orders.get(&request_id(&format!("r-{n}"))).and_then(|live| live.relay.running().cloned())
    }

    pub(super) fn answer(&mut self, n: u8, answer: BackendAnswer) -> Vec<Effect> {
        let (call, _) = self.running_backend(n).expect("the backend is asked");
        self.on(Input::Backend(call, request_id(&format!("r-{n}")), answer))
    }

    pub(super) fn answer_relay(&mut self, n: u8, answer: RelayAnswer) -> Vec<Effect> {
        let (call, asked) = self.running_relay(n).expect("the relay is asked");
        if let (RelayCall::Dispense(receipt), RelayAnswer::Dispense(DispenseAnswer::Ended(outcome))) = (&asked, &answer) {
            self.counts_drive(receipt, *outcome);
        }
        self.on(Input::Relay(call, request_id(&format!("r-{n}")), answer))
    }

    /// The ledger counts each try once, however often its end is told.
    fn counts_drive(&mut self, receipt: &Receipt, outcome: Outcome) {
        let Claims { sub, nth, item, .. } = receipt.claims();
        if !outcome.driven() || !self.drove.insert((sub.clone(), nth.number())) {
            return;
        }
        let all = &mut self.facts.driven;
        if !all.iter().any(|driven| driven.item == *item) {
            all.push(Driven { item: item.clone(), drives: Drives { orders: 0, tests: 0 } });
        }
        all.iter_mut().filter(|driven| driven.item == *item).for_each(|driven| driven.drives.orders += 1);
    }

    /// Answers the `Prepare` among the effects.
    pub(super) fn prepare(&mut self, effects: &[Effect], answer: Result<Ticket, PrepareError>) -> Vec<Effect> {
        let call = effects.iter().find_map(|effect| if let Effect::Prepare(call, ..) = effect { Some(*call) } else { None });
        self.on(Input::Prepared(call.expect("the relay is asked for a ticket"), answer))
    }

    /// A request that is committed.
    pub(super) fn requested(&mut self, n: u8) -> Ack {
        let (ack, effects) = self.vend(n);
        assert!(!self.is_acked(ack), "not before its commit");
        self.prepare(&effects, Ok(ticket(n)));
        assert!(self.is_acked(ack));
        ack
    }

    /// An order whose QR is shown.
    pub(super) fn offered(&mut self, n: u8) {
        self.requested(n);
        assert!(matches!(self.backend(n), Some(HttpCall::Create(_))));
        self.answer(n, order(resource(n, Status::Pending)));
        assert!(self.scene.starts_with("Pay"), "{}", self.scene);
    }

    /// A paid order, while the relay is asked to deliver.
    pub(super) fn dispensing(&mut self, n: u8) {
        self.offered(n);
        self.pay(&receipt_of(n));
        assert_eq!(self.relay(n), Some(RelayCall::Dispense(receipt_of(n))));
    }

    pub(super) fn delivered(&mut self, n: u8) {
        self.answer_relay(n, RelayAnswer::Dispense(DispenseAnswer::Ended(Outcome::Dispensed)));
    }

    pub(super) fn closed(&mut self, n: u8) {
        self.answer_relay(n, RelayAnswer::Close(CloseAnswer::Closed));
    }

    pub(super) fn states(&self) -> Vec<(String, u64)> {
        self.events.iter().filter_map(|event| event.seq.map(|seq| (event.state.as_str().to_owned(), seq))).collect()
    }
}

pub(super) fn closes(effects: &[Effect]) -> Vec<Ticket> {
    effects.iter().filter_map(|effect| if let Effect::CloseTicket(ticket) = effect { Some(ticket.clone()) } else { None }).collect()
}

pub(super) fn drops(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::DropBroker))
}
