//! The interface `io.qrisd.Device1`, for a controller on the same board.

use super::requests::{Controllers, Listener, Requests, lock};
use crate::inbox::{Inbox, Letter};
use crate::words::{ControllerKind, FILLING, OPERATOR, Reply, Request, SHUTDOWN, Shown, View};
use qris_core::order::ids::{ItemId, PaymentCode, RequestId};
use qris_core::order::money::Rupiah;
use qris_core::order::reason::Reason;
use qris_core::order::request::{Payment, Refusal, VendRequest, Way};
use qris_core::order::stock::{Change, NotChanged};
use qris_core::order::time::Span;
use qris_core::text::steers;
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use qris_core::wire::status::TryOffer;
use qris_core::wire::vend::{EventState, TryRequest, Vend, VendEvent, later_try};
use qris_host::bus::{Served, serve};
use qris_host::clock;
use qris_host::config::BusAddress;
use qris_host::events::Event;
use qris_host::journal::emit;
use qris_screen::Camera;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use zbus::OwnedVariant;

/// Every call gets an answer.
pub const KIND: ControllerKind = ControllerKind { way: Way::Board, hears_replies: true };
/// The most signals that wait for slow listeners. Further ones are missed: they are news.
const NEWS_WAITING_MAX: usize = 64;
/// A screen that can draw has drawn a picture within this time.
const PICTURE_WAIT: Duration = Duration::from_secs(10);

/// How long one call holds the machine, in seconds. Who needs more asks again.
const HOLD_S: std::ops::RangeInclusive<u32> = 1..=3600;
const HOLDER_CHARS_MAX: usize = 64;

/// Serves the interface as long as the machine has something to tell. `inbox` hears when the first attempt has ended.
pub fn start(controllers: &mut Controllers, address: &BusAddress, camera: &Camera, inbox: Inbox) {
    let (news, news_rx) = mpsc::channel(NEWS_WAITING_MAX);
    let (view, detail) = (Arc::default(), Arc::default());
    let device =
        Device1 { requests: controllers.requests(KIND), view: Arc::clone(&view), detail: Arc::clone(&detail), camera: camera.clone() };
    let served = publish(address, device);
    controllers.listen(Feed { view, detail, news });
    tokio::spawn(tell(served, news_rx, inbox));
}

/// A request, and what people read of its newest event.
type Detail = (String, String);

struct Feed {
    view: Arc<Mutex<View>>,
    detail: Arc<Mutex<Detail>>,
    news: mpsc::Sender<VendEvent>,
}

impl Listener for Feed {
    fn order_changed(&mut self, event: &VendEvent) {
        let request = event.request_id.as_ref().map_or("", RequestId::as_str);
        *lock(&self.detail) = (request.into(), event.detail.as_deref().unwrap_or_default().into());
        // The listeners may be gone, or too slow.
        drop(self.news.try_send(event.clone()));
    }

    fn view_changed(&mut self, view: &View) {
        *lock(&self.view) = view.clone();
    }
}

fn publish(address: &BusAddress, device: Device1) -> Served {
    serve(address, DEVICE_NAME, move |builder| builder.serve_at(DEVICE_PATH, device.clone()))
}

/// Sends the signal `OrderChanged` for each event, in order. Meanwhile it keeps the interface served.
async fn tell(mut served: Served, mut news: mpsc::Receiver<VendEvent>, inbox: Inbox) {
    if let Some(unreachable) = unreachable(&mut served).await {
        emit(&unreachable);
    }
    inbox.post(Letter::Served);
    while let Some(event) = news.recv().await {
        changed(&served, &event).await;
    }
}

/// Waits until the first attempt to serve the interface has ended, and answers why it failed. The attempts go on all
/// the same: a machine sells without a controller too.
async fn unreachable(served: &mut Served) -> Option<Event> {
    let why = served.ready().await.err()?;
    Some(Event::ControllerUnreachable { why: why.to_string().into() })
}

async fn changed(served: &Served, event: &VendEvent) {
    let request = event.request_id.as_ref().map_or("", RequestId::as_str);
    let order = event.order_id.as_ref().map_or("", |id| id.as_str());
    let reason = event.reason.as_ref().map_or("", Reason::as_str);
    served.emit(DEVICE_PATH, DEVICE_NAME, "OrderChanged", &(request, order, event.state.as_str(), reason)).await;
}

#[derive(Clone)]
struct Device1 {
    requests: Requests,
    view: Arc<Mutex<View>>,
    detail: Arc<Mutex<Detail>>,
    camera: Camera,
}

impl Device1 {
    async fn ask(&self, request: Request) -> zbus::fdo::Result<Reply> {
        self.requests.ask(request).await.ok_or_else(|| zbus::fdo::Error::Failed("qrisd is stopping".into()))
    }

    fn shown(&self) -> Option<Shown> {
        lock(&self.view).order.clone()
    }
}

#[zbus::interface(name = "io.qrisd.Device1")]
impl Device1 {
    #[zbus(out_args("state", "reason"))]
    async fn vend(&self, request_id: &str, item: &str, options: HashMap<String, OwnedVariant>) -> zbus::fdo::Result<(String, String)> {
        let request = match request(request_id, item, options) {
            Ok(Vend::Sale(request)) => Request::Vend(request),
            Ok(Vend::TryAgain(request)) => Request::TryAgain(request),
            Err(refusal) => Request::Refused(RequestId::new(request_id).ok(), refusal),
        };
        let reply = self.ask(request).await?;
        Ok((reply.state.as_ref().map_or("", EventState::as_str).into(), reply.reason.as_ref().map_or("", Reason::as_str).into()))
    }

    #[zbus(out_args("state"))]
    async fn cancel(&self, request_id: &str) -> zbus::fdo::Result<String> {
        // A text that is not a request_id was never one of ours.
        let Ok(request_id) = RequestId::new(request_id) else { return Ok(String::new()) };
        let reply = self.ask(Request::Cancel(request_id)).await?;
        Ok(reply.state.as_ref().map_or("", EventState::as_str).into())
    }

    #[zbus(out_args("state", "reason"))]
    async fn collect(&self, code: &str) -> zbus::fdo::Result<(String, String)> {
        let request = match PaymentCode::typed(code) {
            Ok(code) => Request::Collect(code),
            Err(error) => Request::Refused(None, Refusal::field(Reason::Malformed, "code", format!("code: {error}"))),
        };
        let reply = self.ask(request).await?;
        Ok((reply.state.as_ref().map_or("", EventState::as_str).into(), reply.reason.as_ref().map_or("", Reason::as_str).into()))
    }

    /// Nothing is sold from now on, for this time.
    #[zbus(out_args("answer"))]
    async fn hold(&self, who: &str, seconds: u32) -> zbus::fdo::Result<String> {
        if !HOLD_S.contains(&seconds) {
            let why = format!("seconds must be {} to {}, not {seconds}", HOLD_S.start(), HOLD_S.end());
            return Err(zbus::fdo::Error::InvalidArgs(why));
        }
        let reply = self.ask(Request::Hold(holder(who)?, Span::secs(seconds.into()))).await?;
        let held = if reply == Reply::UNPROVEN { "unproven" } else { reply.reason.as_ref().map_or("held", Reason::as_str) };
        Ok(held.into())
    }

    /// It sells again, if this one holds it.
    async fn release(&self, who: &str) -> zbus::fdo::Result<()> {
        self.ask(Request::Release(holder(who)?)).await.map(drop)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn holder(&self) -> String {
        lock(&self.view).holder.as_deref().unwrap_or_default().into()
    }

    /// A person has done this to a slot. `n` below zero: no number. `before` is -1 if nobody had counted.
    #[zbus(out_args("before", "after"))]
    async fn stock(&self, change: &str, item: &str, n: i32) -> zbus::fdo::Result<(i32, i32)> {
        let wrong = |why: String| zbus::fdo::Error::InvalidArgs(why);
        let change = Change::from_word(change).map_err(|error| wrong(format!("change: {error}")))?;
        let item = ItemId::new(item).map_err(|error| wrong(format!("item: {error}")))?;
        let reply = self.ask(Request::Stock(Box::new((change, item, u32::try_from(n).ok())))).await?;
        let counted = reply.stock.unwrap_or(Err(NotChanged::Store)).map_err(|why| zbus::fdo::Error::Failed(why.to_string()))?;
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        Ok((counted.before.map_or(-1, number), number(counted.after)))
    }

    /// What lies in the slots that are counted, as on the topic `stock`, in JSON.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn slots(&self) -> String {
        serde_json::to_string(&lock(&self.view).stock).expect("slots are plain data")
    }

    /// The items of which nothing is offered.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn sold_out(&self) -> Vec<String> {
        lock(&self.view).sold_out.iter().map(ToString::to_string).collect()
    }

    /// The picture on the panel now, as a PNG.
    #[zbus(out_args("png"))]
    async fn screenshot(&self) -> zbus::fdo::Result<Vec<u8>> {
        let (answer, answer_rx) = oneshot::channel();
        self.camera.shot(move |png| drop(answer.send(png)));
        // The screen's thread may stand still.
        let png = tokio::time::timeout(PICTURE_WAIT, answer_rx).await.ok().and_then(Result::ok);
        let png = png.ok_or_else(|| zbus::fdo::Error::LimitsExceeded("the screen is busy, or stopping".into()))?;
        png.ok_or_else(|| zbus::fdo::Error::Failed("the screen shows nothing".into()))
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn state(&self) -> String {
        self.shown().map_or_else(String::new, |order| order.state.to_string())
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn request_id(&self) -> String {
        self.shown().map(|order| order.request_id.to_string()).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn order_id(&self) -> String {
        self.shown().and_then(|order| order.order_id).map(|id| id.to_string()).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn item(&self) -> String {
        self.shown().map(|order| order.item.to_string()).unwrap_or_default()
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn amount(&self) -> i64 {
        self.shown().map_or(0, |order| rupiah(order.amount))
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn gross_amount(&self) -> i64 {
        self.shown().and_then(|order| order.gross_amount).map_or(0, rupiah)
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn remaining_s(&self) -> u32 {
        let until = self.shown().and_then(|order| order.until);
        until.map_or(0, |until| u32::try_from((until - clock::now().boot).as_secs_up()).unwrap_or(0))
    }

    /// Another try that is on the screen, as in `status`, in JSON; empty: none. Here its seconds are those that are left now.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn try_offer(&self) -> String {
        let Some((offer, until)) = lock(&self.view).try_offer.clone() else { return String::new() };
        let remaining_s = (until - clock::now().boot).as_secs_up().max(0).unsigned_abs();
        serde_json::to_string(&TryOffer { remaining_s, ..offer }).expect("an offer is plain data")
    }

    #[zbus(property(emits_changed_signal = "false"))]
    async fn faults(&self) -> Vec<String> {
        lock(&self.view).faults.iter().map(|fault| fault.code.as_str().into()).collect()
    }

    /// The request of the newest `OrderChanged`, and what people read of that: why it was refused, or how it ended. The detail may be empty.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn detail(&self) -> (String, String) {
        lock(&self.detail).clone()
    }

    /// What people read of each, in the same order.
    #[zbus(property(emits_changed_signal = "false"))]
    async fn fault_details(&self) -> Vec<String> {
        lock(&self.view).faults.iter().map(|fault| fault.detail.clone().into()).collect()
    }

    /// It is declared for introspection. [`changed`] sends it to every connection.
    #[zbus(signal)]
    async fn order_changed(
        emitter: &zbus::object_server::SignalEmitter<'_>,
        request_id: &str,
        order_id: &str,
        state: &str,
        reason: &str,
    ) -> zbus::Result<()>;
}

fn holder(who: &str) -> zbus::fdo::Result<Box<str>> {
    let is_name = (1..=HOLDER_CHARS_MAX).contains(&who.chars().count()) && !who.contains(steers);
    let why = || zbus::fdo::Error::InvalidArgs(format!("who must be 1 to {HOLDER_CHARS_MAX} printable characters"));
    if [OPERATOR, SHUTDOWN, FILLING].contains(&who) {
        return Err(zbus::fdo::Error::InvalidArgs(format!("the name {who} is the machine's own")));
    }
    is_name.then(|| who.into()).ok_or_else(why)
}

fn rupiah(amount: Rupiah) -> i64 {
    i64::try_from(amount.get()).unwrap_or(i64::MAX)
}

/// Reads the arguments of `Vend`. An unknown option is ignored, as on MQTT.
fn request(request_id: &str, item: &str, mut options: HashMap<String, OwnedVariant>) -> Result<Vend, Refusal> {
    let wrong = |field: &'static str| move |why: String| Refusal::field(Reason::Malformed, field, format!("{field}: {why}"));
    let request_id = RequestId::new(request_id).map_err(|e| wrong("request_id")(e.to_string()))?;
    let item = ItemId::new(item).map_err(|e| wrong("item")(e.to_string()))?;
    if let Some(number) = options.remove("try") {
        let number = u32::try_from(number).map_err(|_| wrong("try")("must be of type u".into()))?;
        return Ok(Vend::TryAgain(TryRequest { request_id, number: later_try(number)?, item }));
    }
    let amount = match options.remove("amount") {
        None => None,
        Some(value) => {
            let amount = i64::try_from(value).map_err(|_| wrong("amount")("must be of type x, whole rupiah".into()))?;
            let amount = u64::try_from(amount).ok().and_then(|amount| Rupiah::new(amount).ok());
            Some(amount.ok_or_else(|| wrong("amount")(qris_core::order::money::AmountError::Range.to_string()))?)
        }
    };
    let description = options.remove("description").map(String::try_from).transpose();
    let description = description.map_err(|_| wrong("description")("must be s".into()))?.map(Into::into);
    let payment = options.remove("payment").map(String::try_from).transpose();
    let payment: Option<Payment> = word("payment", payment.map_err(|_| wrong("payment")("must be s".into()))?)?;
    let timeout_s = match options.remove("timeout_s") {
        None => None,
        Some(value) => {
            let seconds = u32::try_from(value).map_err(|_| wrong("timeout_s")("must be of type u, seconds".into()))?;
            // A number that does not fit is out of range, and its refusal names the range.
            Some(u16::try_from(seconds).unwrap_or(u16::MAX))
        }
    };
    Ok(Vend::Sale(VendRequest { request_id, item, amount, description, payment: payment.unwrap_or_default(), timeout_s }))
}

fn word<T: DeserializeOwned>(field: &'static str, text: Option<String>) -> Result<Option<T>, Refusal> {
    let read =
        |text: String| serde_json::from_value(text.into()).map_err(|e| Refusal::field(Reason::Malformed, field, format!("{field}: {e}")));
    text.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inbox::Inbox;
    use zbus::object_server::Interface as _;

    /// A screen that draws nowhere.
    fn no_screen() -> qris_screen::Screen {
        use qris_screen::{Language, Languages, Screen, SurfaceSettings, picture, samples};
        let settings = samples::settings(SurfaceSettings::Device("/nowhere".into()), Languages::Only(Language::Id));
        let picture = picture::Picture { scene: picture::Scene::Starting, sandbox: false };
        Screen::start(settings, picture, || qris_core::order::time::Boot(0), |_| {})
    }

    /// A device whose questions nobody takes to a machine.
    fn device() -> Device1 {
        let (inbox, _letters) = Inbox::new();
        Device1 {
            requests: Controllers::new(inbox).requests(KIND),
            view: Arc::default(),
            detail: Arc::default(),
            camera: no_screen().camera(),
        }
    }

    #[tokio::test]
    async fn who_cannot_be_found_says_so() {
        let directory = tempfile::tempdir().expect("a directory");
        let address = BusAddress::Peer(directory.path().join("socket"));
        let mut first = publish(&address, device());
        assert!(unreachable(&mut first).await.is_none());
        let mut second = publish(&address, device());
        let told = unreachable(&mut second).await.expect("the socket is taken");
        assert!(matches!(&told, Event::ControllerUnreachable { why } if why.contains("another process answers there")), "{told}");
    }

    #[test]
    fn what_the_methods_answer_has_names() {
        let mut xml = String::new();
        device().introspect_to_writer(&mut xml, 0);
        for (name, count) in [("state", 3), ("reason", 2), ("png", 1)] {
            let arguments = xml.lines().filter(|line| line.contains("direction=\"out\"") && line.contains(&format!("name=\"{name}\"")));
            assert_eq!(arguments.count(), count, "{xml}");
        }
    }
}
