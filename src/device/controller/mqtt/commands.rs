//! Commands of a fleet, on their way to the machine, and its answers. A picture of the screen is given here: it needs no
//! signature, and one in 5 s is enough.

use crate::inbox::Inbox;
use crate::words::{ANSWER, Address, Input};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qris_core::order::ids::DeviceId;
use qris_core::wire::command::{self, Code, Problem, Response, SCREENSHOT, Screenshot, Stage};
use qris_host::mqtt::{Inbound, Mqtt, Outbound};
use qris_screen::Camera;
use std::time::{Duration, Instant};

/// The time from one picture to the next.
const EVERY: Duration = Duration::from_secs(5);
/// The longest correlation data, in bytes.
const CORRELATION_MAX: usize = 128;
/// The asker waits no longer than this for an answer that is on its way.
const EXPIRY_S: u32 = 300;

pub struct Commands {
    device: DeviceId,
    mqtt: Mqtt,
    camera: Camera,
    inbox: Inbox,
    answered: Option<Instant>,
}

impl Commands {
    #[must_use]
    pub fn new(device: DeviceId, mqtt: Mqtt, camera: Camera, inbox: Inbox) -> Self {
        Self { device, mqtt, camera, inbox, answered: None }
    }

    /// Takes a message if it is a command; else gives it back.
    pub async fn take(&mut self, message: Inbound) -> Option<Inbound> {
        let Some(name) = command::command_of(&message.topic, &self.device).map(str::to_owned) else { return Some(message) };
        let Inbound { payload, ack, retain, response_topic, correlation_data, .. } = message;
        // Nobody can make the machine publish on other topics. It does nothing whose end nobody would hear.
        let Some(topic) = response_topic.filter(|topic| *topic == command::response_topic(&self.device)) else {
            self.mqtt.ack(ack);
            return None;
        };
        // It is kept with the command, and an asker needs no more.
        let correlation = correlation_data.filter(|data| data.len() <= CORRELATION_MAX).map(Into::into);
        let to = Address { topic: topic.into(), correlation };
        if name == SCREENSHOT {
            // A picture is not stored. A lost question is asked again.
            self.mqtt.ack(ack);
            self.screenshot(retain, to);
        } else {
            self.inbox.send_foreign(Input::Command { name: name.into(), payload, retained: retain, to, ack }).await;
        }
        None
    }

    fn screenshot(&mut self, retained: bool, to: Address) {
        let refuse = |code, message: &str| {
            answer(&self.mqtt, &to, Response::ended(None, Stage::Rejected, Problem::new(code, message)));
        };
        if self.answered.is_some_and(|at| at.elapsed() < EVERY) {
            return refuse(Code::RateLimited, &format!("at most one command in {} s is answered", EVERY.as_secs()));
        }
        self.answered = Some(Instant::now());
        if retained {
            return refuse(Code::Retained, "a command must not be retained");
        }
        let mqtt = self.mqtt.clone();
        self.camera.shot(move |png| {
            let end = match png {
                Some(png) => Response::done(None, serde_json::json!(Screenshot { png: BASE64.encode(png).into() })),
                None => Response::ended(None, Stage::Failed, Problem::new(Code::Screen, "the screen shows nothing")),
            };
            answer_whole(&mqtt, &to, &end);
        });
    }
}

/// Publishes an answer, in pieces if it is long.
pub fn answer(mqtt: &Mqtt, to: &Address, response: Response) {
    response.in_pieces().iter().for_each(|piece| answer_whole(mqtt, to, piece));
}

fn answer_whole(mqtt: &Mqtt, to: &Address, response: &Response) {
    let payload = serde_json::to_vec(response).expect("a response is plain data");
    let (topic, correlation_data) = (to.topic.to_string(), to.correlation.as_deref().map(<[u8]>::to_vec));
    mqtt.publish(ANSWER, Outbound { topic, payload, correlation_data, expiry_s: Some(EXPIRY_S), ..Outbound::default() });
}
