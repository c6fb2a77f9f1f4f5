//! Mosquitto's dynamic security plugin. It is told by messages (<https://mosquitto.org/documentation/dynamic-security/>). It
//! keeps names and passwords only: what a machine may read and write stands in the access list, by its name. So the plugin must
//! leave that to the list. Each message says so before anything else, because the plugin's own default lets every account of
//! its own read all that is sent.

use super::passwords::{ITERATIONS, hashed};
use qris_core::order::ids::DeviceId;
use qris_host::config::MqttSettings;
use qris_host::mqtt::{LinkSettings, Mqtt, MqttEvent, Outbound, PublishId, Retained, Subscription};
use qris_host::random;
use qris_host::tls::{LastTrusted, TlsError};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

/// The topic of commands, and that of their answers.
const TOPIC: &str = "$CONTROL/dynamic-security/v1";
const ANSWERS: &str = "$CONTROL/dynamic-security/v1/response";
/// The rights that the plugin gives its accounts: none, so that the access list decides.
const RIGHTS: [(&str, bool); 4] =
    [("publishClientSend", false), ("publishClientReceive", false), ("subscribe", false), ("unsubscribe", true)];
/// The longest time for one exchange, connection included.
const WAIT: Duration = Duration::from_secs(10);
/// The most events of the connection that may wait.
const EVENTS: usize = 16;
/// So many accounts are asked for at once: they fit into a message that we take.
const AT_ONCE: usize = 200;
/// So much of what it says is told, in characters.
const ERROR_MAX: usize = 200;

/// Why the broker did not take a change of an account.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the broker: {0}")]
    Broker(String),
    #[error("the broker's dynamic security plugin did not answer in {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the broker does not let us talk to its dynamic security plugin ({0}): is it loaded, and are we its administrator?")]
    Closed(Box<str>),
    #[error("{0} is the name of another user of the broker: give the machine another name")]
    Anothers(DeviceId),
    #[error("the broker's dynamic security plugin: {0}")]
    Refused(String),
}

pub(super) struct PluginCommand {
    command: Value,
    /// A client may be there already, and the plugin says so in words only. So any refusal to make it counts for nothing: the next
    /// command is refused if there is no client.
    may_be_refused: bool,
}

#[derive(Deserialize)]
struct Answers {
    responses: Vec<PluginAnswer>,
}

#[derive(Deserialize)]
struct PluginAnswer {
    #[serde(default, rename = "correlationData")]
    correlation: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Value,
}

/// An account with this password. A client with an older one is thrown out.
pub(super) fn opening(device: &DeviceId, password: &str) -> Vec<PluginCommand> {
    let name = device.as_str();
    vec![
        leave_rights_to_the_list(),
        PluginCommand { command: json!({ "command": "createClient", "username": name, "password": password }), may_be_refused: true },
        PluginCommand { command: json!({ "command": "setClientPassword", "username": name, "password": password }), may_be_refused: false },
        PluginCommand { command: json!({ "command": "enableClient", "username": name }), may_be_refused: false },
    ]
}

/// The account of a machine's controller. The access list names no such user, so a role has the rights: those of the example there.
pub(super) fn opening_controller(device: &DeviceId, user: &str, password: &str) -> Vec<PluginCommand> {
    let right = |kind: &str, topic: &str, allow: bool| json!({ "acltype": kind, "topic": topic, "allow": allow });
    let of = |tail: &str| format!("qrisd/v1/{device}/{tail}");
    let may = |kind, topics: &[&str]| topics.iter().map(|tail| right(kind, &of(tail), true)).collect::<Vec<_>>();
    let mut rights = may("publishClientSend", &["vend/request", "vend/cancel", "vend/collect"]);
    rights.push(right("publishClientSend", "qrisctl/marker", true));
    rights.extend(may("publishClientReceive", &["vend/event", "status", "stock"]));
    // It is no machine itself, and the list lets every user be the machine of its name.
    let own = format!("qrisd/v1/{user}/#");
    rights.extend(["publishClientSend", "publishClientReceive"].map(|kind| right(kind, &own, false)));
    let roles = json!([{ "rolename": user }]);
    let forgiven = |command| PluginCommand { command, may_be_refused: true };
    let step = |command| PluginCommand { command, may_be_refused: false };
    vec![
        leave_rights_to_the_list(),
        forgiven(json!({ "command": "createRole", "rolename": user })),
        step(json!({ "command": "modifyRole", "rolename": user, "acls": rights })),
        forgiven(json!({ "command": "createClient", "username": user, "password": password })),
        step(json!({ "command": "setClientPassword", "username": user, "password": password })),
        step(json!({ "command": "modifyClient", "username": user, "roles": roles })),
        step(json!({ "command": "enableClient", "username": user })),
    ]
}

/// The end of an account: nobody gets in by this name, and who is in is thrown out. Of a name that the plugin does not know, other
/// files would decide. So it is made first, without a password. The machine's controller goes with it, if there is one.
pub(super) fn ending(device: &DeviceId, controller: &str) -> Vec<PluginCommand> {
    let name = device.as_str();
    vec![
        leave_rights_to_the_list(),
        PluginCommand { command: json!({ "command": "createClient", "username": name }), may_be_refused: true },
        PluginCommand { command: json!({ "command": "disableClient", "username": name }), may_be_refused: false },
        PluginCommand { command: json!({ "command": "disableClient", "username": controller }), may_be_refused: true },
    ]
}

/// The plugin's file before its first start: an administrator, who may talk to the plugin and do nothing else.
pub fn beginning(administrator: &str, password: &str) -> String {
    let [salt, hash] = hashed(password);
    let own = "$CONTROL/dynamic-security/#";
    let right = |kind: &str| json!({ "acltype": kind, "topic": own, "allow": true });
    let rights: serde_json::Map<_, _> = RIGHTS.iter().map(|(kind, allow)| ((*kind).to_owned(), Value::Bool(*allow))).collect();
    json!({
        "clients": [{
            "username": administrator, "password": hash, "salt": salt, "iterations": ITERATIONS.get(), "roles": [{ "rolename": "admin" }]
        }],
        "roles": [{
            "rolename": "admin",
            "acls": [right("publishClientSend"), right("publishClientReceive"), right("subscribePattern")]
        }],
        "defaultACLAccess": rights,
    })
    .to_string()
}

/// A question that changes nothing.
pub(super) fn checking() -> PluginCommand {
    PluginCommand { command: json!({ "command": "getDefaultACLAccess" }), may_be_refused: false }
}

/// Whether it has the account and lets it in. It is asked after it said yes to all commands.
pub(super) async fn has(broker: &MqttSettings, user: &str) -> Result<bool, AccountError> {
    let look = PluginCommand { command: json!({ "command": "getClient", "username": user }), may_be_refused: true };
    let client = &tell(broker, vec![look]).await?[0]["client"];
    Ok(client["username"] == user && client["disabled"] != true)
}

/// The names of all accounts that it lets in.
pub(super) async fn let_in(broker: &MqttSettings) -> Result<BTreeSet<String>, AccountError> {
    let (mut all, mut seen) = (BTreeSet::new(), 0);
    loop {
        let command = json!({ "command": "listClients", "verbose": true, "count": AT_ONCE, "offset": seen });
        let told = tell(broker, vec![PluginCommand { command, may_be_refused: false }]).await?;
        let clients = told[0]["clients"].as_array().map_or(&[][..], Vec::as_slice);
        let let_in = clients.iter().filter(|client| client["disabled"] != true);
        all.extend(let_in.filter_map(|client| client["username"].as_str()).map(str::to_owned));
        seen += clients.len();
        if clients.len() < AT_ONCE {
            return Ok(all);
        }
    }
}

fn leave_rights_to_the_list() -> PluginCommand {
    let rights: Vec<_> = RIGHTS.iter().map(|(kind, allow)| json!({ "acltype": kind, "allow": allow })).collect();
    PluginCommand { command: json!({ "command": "setDefaultACLAccess", "acls": rights }), may_be_refused: false }
}

/// Gives the commands to the plugin, in one message, and waits for all answers. They are the data of each.
pub(super) async fn tell(broker: &MqttSettings, steps: Vec<PluginCommand>) -> Result<Vec<Value>, AccountError> {
    let mut bits = [0; 8];
    random::fill(&mut bits);
    let ours = qris_core::hex(&bits);
    let mut settings = LinkSettings::new(broker.clone(), format!("qris-accounts-{ours}"), &LastTrusted::default())?;
    settings.session_expiry_s = 0;
    let filter = ANSWERS.to_owned();
    settings.subscriptions = vec![Subscription { filter, retained: Retained::Never, retain_as_published: true, at_most_once: false }];
    let (mqtt, mut events) = Mqtt::start(settings, EVENTS);
    let told = timeout(WAIT, exchange(&mqtt, &mut events, &ours, steps)).await.unwrap_or(Err(AccountError::Silent(WAIT)));
    mqtt.stop(None);
    told
}

async fn exchange(
    mqtt: &Mqtt,
    events: &mut Receiver<MqttEvent>,
    ours: &str,
    steps: Vec<PluginCommand>,
) -> Result<Vec<Value>, AccountError> {
    // The administrator may be asking something else elsewhere: the same topic has those answers, too.
    let mark = |at: usize| format!("{ours}-{at}");
    let commands: Vec<Value> = steps
        .iter()
        .enumerate()
        .map(|(at, step)| {
            let mut command = step.command.clone();
            command["correlationData"] = mark(at).into();
            command
        })
        .collect();
    let payload = json!({ "commands": commands }).to_string().into_bytes();
    loop {
        match events.recv().await {
            Some(MqttEvent::Up { refused, .. }) => {
                if let Some((_, reason)) = refused.first() {
                    return Err(AccountError::Closed(reason.clone()));
                }
                mqtt.publish(PublishId(1), Outbound { topic: TOPIC.into(), payload: payload.clone(), ..Outbound::default() });
            }
            Some(MqttEvent::Rejected { reason, .. }) => return Err(AccountError::Closed(reason)),
            Some(MqttEvent::Down { reason, .. }) => return Err(AccountError::Broker(reason)),
            Some(MqttEvent::Message(message)) => {
                mqtt.ack(message.ack);
                if let Some(answered) = heard(&message.payload, &mark(0), &steps) {
                    return answered;
                }
            }
            Some(MqttEvent::Delivered { .. } | MqttEvent::Undelivered(_)) => {}
            None => return Err(AccountError::Broker("the connection has ended".into())),
        }
    }
}

/// The plugin's answers to these commands, whose first one has this mark. `None`: it is no answer to them.
fn heard(payload: &[u8], mark: &str, steps: &[PluginCommand]) -> Option<Result<Vec<Value>, AccountError>> {
    let Answers { responses } = serde_json::from_slice(payload).ok()?;
    let is_ours = responses.first().and_then(|answer| answer.correlation.as_deref()) == Some(mark);
    is_ours.then(|| judge(steps, responses))
}

/// The plugin's answer to the commands that open an account. For the tests that give it any bytes.
#[must_use]
pub fn received_opening(payload: &[u8], mark: &str, device: &DeviceId) -> Option<Result<(), AccountError>> {
    heard(payload, mark, &opening(device, "a password")).map(|answered| answered.map(drop))
}

/// Every command has an answer, and each answer is good enough.
fn judge(steps: &[PluginCommand], answers: Vec<PluginAnswer>) -> Result<Vec<Value>, AccountError> {
    if answers.len() != steps.len() {
        return Err(AccountError::Refused("it did not answer every command".into()));
    }
    for (step, answer) in steps.iter().zip(&answers) {
        if let Some(error) = answer.error.as_deref().filter(|_| !step.may_be_refused) {
            return Err(AccountError::Refused(error.chars().take(ERROR_MAX).collect()));
        }
    }
    Ok(answers.into_iter().map(|answer| answer.data).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_of_a_client_that_is_made_a_refusal_is_forgiven_in_whatever_words() {
        let device = DeviceId::new("vm-001").expect("an id");
        let refused_at = |steps: &[PluginCommand], refused: usize| {
            let answer = |at| json!({ "correlationData": format!("m-{at}"), "error": (at == refused).then_some("klien sudah ada") });
            let answers = json!({ "responses": (0..steps.len()).map(answer).collect::<Vec<_>>() });
            heard(answers.to_string().as_bytes(), "m-0", steps).expect("ours").is_ok()
        };
        let controllers = "vm-001-controller";
        for (steps, forgiven) in [
            (opening(&device, "a password"), &["createClient"][..]),
            (opening_controller(&device, controllers, "a password"), &["createRole", "createClient"]),
            // A machine may have no controller.
            (ending(&device, controllers), &["createClient", "disableClient"]),
        ] {
            let passed: Vec<_> = (0..steps.len()).filter(|refused| refused_at(&steps, *refused)).collect();
            let passed: Vec<_> = passed.into_iter().map(|at| &steps[at].command["command"]).collect();
            assert_eq!(passed, forgiven);
            assert!(refused_at(&steps, steps.len()), "nothing is refused");
        }
    }
}
