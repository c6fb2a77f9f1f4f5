//! The same with the machine that this runs on, over D-Bus: no broker is needed.

use super::EndError;
use crate::machine::{Bus, Service};
use crate::print;
use futures_util::StreamExt as _;
use qris_core::order::ids::RequestId;
use qris_core::order::request::VendRequest;
use qris_core::wire::dbus::{DEVICE_NAME, DEVICE_PATH};
use qris_core::wire::vend::EventState;
use qris_host::Failure;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use zbus::MessageStream;

/// What the machine says of a request: its state, and why if it was refused or ended.
struct Said {
    request_id: RequestId,
    state: EventState,
    reason: String,
    /// For people.
    detail: String,
}

impl Said {
    /// `service`: it says the detail of its newest event. Another request may have come meanwhile, and then there is none.
    async fn new(service: &Service, request_id: &RequestId, state: &str, reason: String) -> Result<Self, Failure> {
        let state = EventState::from_word(state).map_err(|why| Failure::failed(format!("qrisd says {state:?}: {why}")))?;
        let told = service.properties().await.and_then(|mut all| all.take::<(String, String)>("Detail")).ok();
        let detail = told.filter(|(of, _)| of == request_id.as_str()).map(|(_, detail)| detail).unwrap_or_default();
        Ok(Self { request_id: request_id.clone(), state, reason, detail })
    }

    fn print(&self, json: bool) -> Result<(), Failure> {
        let Self { request_id, state, reason, detail } = self;
        if json {
            let [reason, detail] = [reason, detail].map(|text| Some(text).filter(|text| !text.is_empty()));
            return print::line(&json!({ "request_id": request_id, "state": state, "reason": reason, "detail": detail }).to_string());
        }
        let why = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        print::line(&print::plain(&format!("{request_id} {state}{why}{detail}")))
    }

    /// `Some`: it is over, as wanted or not.
    fn end(&self, wanted: EventState) -> Option<Result<(), Failure>> {
        let Self { request_id, state, reason, detail: _ } = self;
        let reason = Some(reason.clone()).filter(|reason| !reason.is_empty());
        let otherwise = EndError::Otherwise { request_id: request_id.clone(), state: *state, reason };
        state.is_end().then(|| if *state == wanted { Ok(()) } else { Err(Failure::failed(otherwise)) })
    }
}

pub(super) async fn sell(bus: &Bus, request: &VendRequest, wait: Option<Duration>, json: bool) -> Result<(), Failure> {
    let service = Service::connect(bus, DEVICE_NAME, DEVICE_PATH).await?;
    let changes = service.changes().await.map_err(Failure::failed)?;
    let (state, reason) = service.vend(request).await.map_err(Failure::failed)?;
    let said = Said::new(&service, &request.request_id, &state, reason).await?;
    said.print(json)?;
    follow(&service, said, changes, EventState::Dispensed, wait, json).await
}

/// Without a request: the one that holds the machine.
pub(super) async fn cancel(bus: &Bus, request: Option<RequestId>, wait: Option<Duration>, json: bool) -> Result<(), Failure> {
    let service = Service::connect(bus, DEVICE_NAME, DEVICE_PATH).await?;
    let changes = service.changes().await.map_err(Failure::failed)?;
    let request_id = match request {
        Some(request) => request,
        None => {
            let holds: String = service.properties().await.and_then(|mut all| all.take("RequestId")).map_err(Failure::failed)?;
            RequestId::new(&holds).map_err(|_| Failure::failed("no order holds this machine: there is nothing to cancel"))?
        }
    };
    let state = service.cancel(&request_id).await.map_err(Failure::failed)?;
    if state.is_empty() {
        return Err(Failure::failed(format!("this machine knows no request {request_id}")));
    }
    let said = Said::new(&service, &request_id, &state, String::new()).await?;
    said.print(json)?;
    follow(&service, said, changes, EventState::Cancelled, wait, json).await
}

/// Without `wait` only a refusal is no success.
async fn follow(
    service: &Service,
    mut said: Said,
    mut changes: MessageStream,
    wanted: EventState,
    wait: Option<Duration>,
    json: bool,
) -> Result<(), Failure> {
    let Some(wait) = wait else {
        if said.state == EventState::Refused {
            return said.end(wanted).unwrap_or(Ok(()));
        }
        if !said.state.is_end() {
            print::remark(&format!("`qrisctl order` shows what becomes of {}, as --wait does", said.request_id));
        }
        return Ok(());
    };
    let until = Instant::now() + wait;
    loop {
        if let Some(end) = said.end(wanted) {
            return end;
        }
        let late = || Failure::failed(EndError::NoEnd(said.request_id.clone(), wait));
        let signal = timeout_at(until, changes.next()).await.map_err(|_| late())?;
        let signal = signal.ok_or_else(|| Failure::failed(gone(&said.request_id)))?.map_err(Failure::failed)?;
        let Ok((request, _order, state, reason)) = signal.body().deserialize::<(String, String, String, String)>() else { continue };
        // The answer to the call is the first event, too.
        if request == said.request_id.as_str() && state != said.state.as_str() {
            said = Said::new(service, &said.request_id, &state, reason).await?;
            said.print(json)?;
        }
    }
}

fn gone(request_id: &RequestId) -> String {
    format!("the bus is gone. Ask for the same once more, with --request-id {request_id}: it is sold once, and you hear what became of it")
}
