//! Commands of a fleet. The commands here only read, so they need no signature, and one in 5 s is enough.

use crate::machine::NEWS;
use crate::screen::Camera;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use qris_core::order::ids::DeviceId;
use qris_core::order::reason::Reason;
use qris_core::wire::command::{self, Problem, Response, SCREENSHOT, Screenshot};
use qris_host::mqtt::{Inbound, Mqtt, Outbound, PublishId};
use std::time::{Duration, Instant};

/// The time from one answer to the next.
const EVERY: Duration = Duration::from_secs(5);
/// The asker waits no longer than this.
const EXPIRY_S: u32 = 30;

/// The number of every answer. It is not in the outbox, and nobody waits for its delivery.
pub const ANSWER: PublishId = PublishId(NEWS | NEWS >> 1);

/// Answers commands.
pub struct Commands {
    device: DeviceId,
    mqtt: Mqtt,
    camera: Camera,
    answered: Option<Instant>,
}

impl Commands {
    /// The commands for this machine.
    #[must_use]
    pub fn new(device: DeviceId, mqtt: Mqtt, camera: Camera) -> Self {
        Self { device, mqtt, camera, answered: None }
    }

    /// Takes a message if it is a command; else gives it back.
    pub fn take(&mut self, message: Inbound) -> Option<Inbound> {
        let Some(name) = command::command_of(&message.topic, &self.device).map(str::to_owned) else { return Some(message) };
        // A command is not stored. A lost command is asked again.
        self.mqtt.ack(message.ack);
        let topic = message.response_topic.filter(|topic| command::may_answer_on(topic, &self.device, &name))?;
        let answer = Answer { mqtt: self.mqtt.clone(), topic, correlation: message.correlation_data };
        if self.answered.is_some_and(|at| at.elapsed() < EVERY) {
            answer.refuse(Reason::RateLimited, &format!("at most one command in {} s is answered", EVERY.as_secs()));
            return None;
        }
        self.answered = Some(Instant::now());
        if message.retain {
            answer.refuse(Reason::Retained, "a command must not be retained");
        } else if name == SCREENSHOT {
            self.camera.shot(move |png| match png {
                Some(png) => answer.give(Screenshot { png: BASE64.encode(png).into() }),
                None => answer.refuse(Reason::Screen, "the screen shows nothing"),
            });
        } else {
            answer.refuse(Reason::UnknownRequest, &format!("there is no command {name}"));
        }
        None
    }
}

/// The address of an answer.
struct Answer {
    mqtt: Mqtt,
    topic: String,
    correlation: Option<Vec<u8>>,
}

impl Answer {
    fn give(self, result: Screenshot) {
        self.send(&Response { ok: true, result: Some(result), error: None });
    }

    fn refuse(self, reason: Reason, message: &str) {
        let error = Problem { code: reason.as_str().into(), message: message.into() };
        self.send(&Response { ok: false, result: None, error: Some(error) });
    }

    fn send(self, response: &Response<Screenshot>) {
        let payload = serde_json::to_vec(response).expect("a response is plain data");
        let Self { mqtt, topic, correlation } = self;
        mqtt.publish(ANSWER, Outbound { topic, payload, correlation_data: correlation, expiry_s: Some(EXPIRY_S), ..Outbound::default() });
    }
}
