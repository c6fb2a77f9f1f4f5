use super::{Code, Command, Problem};
use crate::order::ids::{CommandId, DeviceId, KeyId};
use crate::order::keys::{KeySet, SigningKey};
use crate::order::operator::{self, SignedError, Text};
use crate::order::reason::Reason;
use crate::order::request::Refusal;
use crate::order::time::Wall;
use crate::wire::strict::{Object, PAYLOAD_MAX};
use serde::{Deserialize, Serialize};

/// A command ends at most so many seconds ahead: a machine remembers it for as long.
pub const VALID_MAX_S: i64 = 24 * 3600;
/// What is signed. Field names are those of the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SignedCommand {
    /// The machine that it is for.
    pub aud: DeviceId,
    /// Its name. It is used once.
    pub jti: CommandId,
    /// Its end: seconds since 1970 (RFC 7519, section 4.1.4).
    pub exp: i64,
    /// The life of the machine's database that it is for, as the machine's status says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Box<str>>,
    /// What is to be done.
    #[serde(flatten)]
    pub command: Command,
}

/// A command that is not believed, or cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedCommand {
    /// Its name, if an operator has signed it.
    pub id: Option<CommandId>,
    /// The key that has signed it, if that could be checked.
    pub kid: Option<KeyId>,
    pub why: Problem,
}

impl SignedCommand {
    /// The compact JWS.
    #[must_use]
    pub fn jws(&self, key: &SigningKey) -> String {
        operator::sign(key, Text::Command, self)
    }

    /// The payload of a request with this JWS.
    #[must_use]
    pub fn payload(jws: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Payload<'a> {
            signed: &'a str,
        }
        serde_json::to_vec(&Payload { signed: jws }).expect("a payload is plain data")
    }

    /// The JWS in a payload.
    pub fn jws_in(payload: &[u8]) -> Result<Box<str>, RefusedCommand> {
        Ok(Object::read(payload, PAYLOAD_MAX).and_then(|mut object| object.required("signed"))?)
    }

    /// Believes a JWS if an operator who may do this has signed it for this machine. Its time, its stream and its name are for
    /// the caller to judge.
    pub fn read(jws: &str, keys: &KeySet, me: &DeviceId) -> Result<(Self, KeyId), RefusedCommand> {
        let signed = operator::verify(jws, Text::Command, keys)?;
        let mut object = Object::read(&signed.payload, PAYLOAD_MAX)?;
        let jti: CommandId = object.required("jti")?;
        let refused = |why| RefusedCommand { id: Some(jti.clone()), kid: Some(signed.kid.clone()), why };
        let asked = Self::claims(object, &jti).map_err(|refusal| refused(RefusedCommand::from(refusal).why))?;
        if asked.aud != *me {
            return Err(refused(Problem::new(Code::WrongDevice, format!("it is for the machine {}", asked.aud))));
        }
        if let Err(why) = asked.command.check() {
            return Err(refused(Problem::new(Code::Malformed, why)));
        }
        signed.may(asked.command.needs()).map_err(|error| refused(RefusedCommand::from(error).why))?;
        Ok((asked, signed.kid))
    }

    fn claims(mut object: Object, jti: &CommandId) -> Result<Self, Refusal> {
        let (aud, exp, stream) = (object.required("aud")?, object.required("exp")?, object.optional("stream")?);
        Ok(Self { aud, jti: jti.clone(), exp, stream, command: object.remaining()? })
    }

    /// Whether its time is over. `now` is a clock that is trusted.
    #[must_use]
    pub fn is_over(&self, now: Wall) -> bool {
        self.exp.saturating_mul(1000) <= now.0
    }

    /// Objections of time. `now`: the clock, if it is trusted. `stream`: the present one, if it is known.
    pub fn check_time(&self, now: Option<Wall>, stream: Option<&str>) -> Result<(), Problem> {
        if let Some(wanted) = self.stream.as_deref().filter(|wanted| stream.is_some_and(|stream| *wanted != stream)) {
            return Err(Problem::new(Code::WrongStream, format!("it is for the stream {wanted}, and this machine has another one now")));
        }
        match now {
            Some(now) if self.is_over(now) => Err(Problem::new(
                Code::Expired,
                format!("it ended at {} (exp), and it is {} now", Wall(self.exp.saturating_mul(1000)).to_rfc3339(), now.to_rfc3339()),
            )),
            Some(now) if self.exp.saturating_sub(VALID_MAX_S).saturating_mul(1000) > now.0 => {
                Err(Problem::new(Code::Expired, format!("exp is more than {} hours ahead", VALID_MAX_S / 3600)))
            }
            None if stream.is_none() => Err(Problem::new(Code::Clock, "the machine's clock is not trusted, and its database is not open")),
            None if self.stream.is_none() => {
                Err(Problem::new(Code::Clock, "the machine's clock is not trusted: say for which stream the command is"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl From<Problem> for RefusedCommand {
    fn from(why: Problem) -> Self {
        Self { id: None, kid: None, why }
    }
}

impl From<Refusal> for RefusedCommand {
    fn from(refusal: Refusal) -> Self {
        let code = if refusal.reason == Reason::TooLarge { Code::TooLarge } else { Code::Malformed };
        Problem::new(code, refusal.detail).into()
    }
}

impl From<SignedError> for RefusedCommand {
    fn from(error: SignedError) -> Self {
        let (code, kid) = match &error {
            SignedError::Form(..) => (Code::Malformed, None),
            SignedError::UnknownKey(_) => (Code::UnknownKey, None),
            SignedError::Level { kid, .. } => (Code::Level, Some(kid.clone())),
            SignedError::Signature(_) => (Code::Signature, None),
        };
        Self { id: None, kid, why: Problem::new(code, error.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::ids::ItemId;
    use crate::order::keys::Level;
    use crate::order::receipt::testing::{keys, operator};
    use crate::order::stock::Change;
    use crate::wire::command::{Action, LogUnit, Logs, Query};

    const NOW: Wall = Wall(1_795_000_000_000);

    fn asked(command: impl Into<Command>) -> SignedCommand {
        let command = command.into();
        let (aud, jti) = (DeviceId::new("vm-001").expect("an id"), CommandId::new("c-1").expect("an id"));
        SignedCommand { aud, jti, exp: NOW.0 / 1000 + 300, stream: None, command }
    }

    fn read(asked: &SignedCommand, level: Level) -> Result<SignedCommand, Code> {
        let me = DeviceId::new("vm-001").expect("an id");
        SignedCommand::read(&asked.jws(&operator(level)), &keys(), &me).map(|(asked, _)| asked).map_err(|refused| refused.why.code)
    }

    #[test]
    fn each_command_needs_its_level_and_comes_back_as_it_was_signed() {
        let item = || ItemId::new("A1").expect("an item");
        let logs = Logs { unit: LogUnit::Kernel, since: None, priority: Some(4), text: Some("usb".into()), lines: 7 };
        let request_id = crate::order::ids::RequestId::new("r-1").expect("an id");
        let all: [(Level, Command); 13] = [
            (Level::View, Query::Status {}.into()),
            (Level::View, Query::ConfigGet {}.into()),
            (Level::View, Query::Vitals {}.into()),
            (Level::View, Query::Diag {}.into()),
            (Level::View, Query::Orders { newest: 3 }.into()),
            (Level::View, Query::Logs(logs).into()),
            (Level::Manage, Action::Cancel { request_id }.into()),
            (Level::Manage, Action::Restart {}.into()),
            (Level::Service, Action::Reboot {}.into()),
            (Level::Service, Action::Update { bundle: "https://images.example/1.raucb".into() }.into()),
            (Level::Manage, Action::Stock { change: Change::Count, item: item(), n: Some(3) }.into()),
            (Level::Service, Action::Clear { item: item() }.into()),
            (Level::Service, Action::TestPulse { item: item() }.into()),
        ];
        for (needs, command) in all {
            assert!(Command::NAMES.contains(&command.name()));
            let asked = asked(command);
            for level in [Level::View, Level::Manage, Level::Service] {
                let may = level >= needs;
                assert_eq!(read(&asked, level), if may { Ok(asked.clone()) } else { Err(Code::Level) }, "{asked:?} by {level}");
            }
        }
    }

    #[test]
    fn a_foreign_or_wrong_command_is_refused_by_name() {
        let me = DeviceId::new("vm-001").expect("an id");
        let good = asked(Action::Restart {});
        let why = |jws: &str| SignedCommand::read(jws, &keys(), &me).expect_err("refused").why.code;
        assert_eq!(why(&good.jws(&SigningKey::from_seed([99; 32]))), Code::UnknownKey);
        assert_eq!(
            read(&SignedCommand { aud: DeviceId::new("vm-002").expect("an id"), ..good.clone() }, Level::Service),
            Err(Code::WrongDevice)
        );
        assert_eq!(read(&asked(Query::Orders { newest: 0 }), Level::Service), Err(Code::Malformed));
        for bundle in ["http://images.example/1.raucb", "--help", "", "/a b"] {
            assert_eq!(read(&asked(Action::Update { bundle: bundle.into() }), Level::Service), Err(Code::Malformed), "{bundle}");
        }
        let logs = Logs { unit: LogUnit::Both, since: Some("today".into()), priority: None, text: None, lines: 1 };
        assert_eq!(read(&asked(Query::Logs(logs)), Level::Service), Err(Code::Malformed));
        let jws = good.jws(&operator(Level::Manage));
        let (head, rest) = jws.split_once('.').expect("parts");
        let (_, signature) = rest.split_once('.').expect("parts");
        let (_, other) = asked(Action::Reboot {})
            .jws(&operator(Level::Service))
            .split_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .expect("parts");
        let (other, _) = other.split_once('.').expect("parts");
        assert_eq!(why(&format!("{head}.{other}.{signature}")), Code::Signature);
        assert_eq!(why("x"), Code::Malformed);
        let claims = serde_json::json!({ "aud": "vm-001", "jti": "c-1", "exp": 1, "cmd": "format-disk" });
        assert_eq!(why(&operator::sign(&operator(Level::Service), Text::Command, &claims)), Code::Malformed);
        assert_eq!(why(&operator::sign(&operator(Level::Service), Text::Settings, &good)), Code::Malformed, "another typ");
        // What cannot lie in a slot.
        let stock = |claims: serde_json::Value| {
            SignedCommand::read(&operator::sign(&operator(Level::Service), Text::Command, &claims), &keys(), &me)
                .map_err(|refused| refused.why.code)
        };
        let good = serde_json::json!({
            "aud": "vm-001", "jti": "c-1", "exp": 1, "cmd": "stock", "change": "count", "item": "A1", "n": 3,
        });
        assert_eq!(
            stock(good.clone()).map(|(signed, _)| signed.command),
            Ok(Action::Stock { change: Change::Count, item: ItemId::new("A1").expect("an item"), n: Some(3) }.into())
        );
        for (key, value) in [
            ("n", serde_json::json!(-1)),
            ("n", 4_294_967_296_u64.into()),
            ("n", "3".into()),
            ("n", serde_json::json!(0.5)),
            ("change", "shake".into()),
            ("item", "A 1".into()),
            ("item", "".into()),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert_eq!(stock(bad.clone()).err(), Some(Code::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_damaged_command_is_told_as_a_command() {
        let me = DeviceId::new("vm-001").expect("an id");
        let why = |jws: &str| SignedCommand::read(jws, &keys(), &me).expect_err("refused").why.message;
        assert_eq!(&*why("x"), "the command is not a compact JWS: no dots");
        let good = asked(Action::Restart {}).jws(&operator(Level::Manage));
        assert_eq!(&*why(&good[..good.len() - 1]), "the command is not a compact JWS: the signature is not base64url");
        let settings = operator::sign(&operator(Level::Manage), Text::Settings, &asked(Action::Restart {}));
        assert_eq!(&*why(&settings), "the command has a wrong header: typ must be qris-command+jwt");
    }

    #[test]
    fn its_end_is_judged_by_a_trusted_clock_and_its_stream_always() {
        let good = asked(Action::Restart {});
        let code = |asked: &SignedCommand, now, stream: &str| {
            asked.check_time(now, Some(stream).filter(|stream| !stream.is_empty())).map_err(|why| why.code)
        };
        assert_eq!(code(&good, Some(NOW), "s"), Ok(()));
        assert_eq!(code(&good, Some(Wall(NOW.0 + 300_000)), "s"), Err(Code::Expired));
        let why = good.check_time(Some(Wall(NOW.0 + 7_200_000)), None).expect_err("over").message;
        assert_eq!(&*why, "it ended at 2026-11-18T11:11:40Z (exp), and it is 2026-11-18T13:06:40Z now", "a wrong clock is seen");
        assert_eq!(code(&SignedCommand { exp: good.exp + VALID_MAX_S, ..good.clone() }, Some(NOW), "s"), Err(Code::Expired));
        assert_eq!(code(&SignedCommand { exp: i64::MAX, ..good.clone() }, Some(NOW), "s"), Err(Code::Expired));
        assert_eq!(code(&SignedCommand { exp: i64::MIN, ..good.clone() }, Some(NOW), "s"), Err(Code::Expired));
        assert_eq!(code(&good, None, "s"), Err(Code::Clock));
        let named = SignedCommand { stream: Some("s".into()), ..good };
        assert_eq!(code(&named, None, "s"), Ok(()));
        assert_eq!(code(&named, Some(NOW), "another"), Err(Code::WrongStream));
        // Nobody knows the machine's stream while its database is not open.
        assert_eq!(code(&named, Some(NOW), ""), Ok(()));
        assert_eq!(code(&named, None, ""), Err(Code::Clock));
    }
}
