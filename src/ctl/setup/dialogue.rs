//! The set-up as a conversation. It shows what is known, asks for the rest, and changes nothing before the end.

mod goods;

pub(super) use goods::Seen;

use super::answers::{self, Answers};
use super::compose::ComposeError;
use super::invited;
use super::part::Part;
use super::present::Present;
use super::specs::{self, parse_letters, parse_words};
use super::text::{fill, texts};
use crate::site::Site;
use crate::{hardware, print};
use qris_core::order::ids::DeviceId;
use qris_core::wire::enrolment::{self, Enrolment};
use qris_core::wire::invitation::{Invitation, InvitationError};
use qris_host::Failure;
use qris_host::config::{MqttError, MqttSection, http_url};
use qris_host::interrupt::Input;
use qris_host::setup::ask::{self, Asker};
use qris_host::tls::{self, LastTrusted};
use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::Path;

/// The answer of a person whose machine has no broker. It sells over D-Bus, and by its buttons.
const NO_BROKER: &str = "none";

/// What the merchant's server wrote for the machine.
enum EnrolmentSource {
    Enrolment(Enrolment),
    Invitation(Invitation),
}

pub(super) struct Dialogue<'a> {
    asker: Asker<BufReader<Input>>,
    site: &'a Site,
    present: &'a Present,
    /// Is the set-up for the computer that it runs on, so that its hardware is to be looked at?
    is_here: bool,
    may_rename: bool,
    /// The private CA of the backend, as a flag names it.
    ca_file: Option<&'a Path>,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(
        site: &'a Site,
        present: &'a Present,
        is_here: bool,
        may_rename: bool,
        ca_file: Option<&'a Path>,
    ) -> Result<Self, Failure> {
        let input = Input::open().map_err(|why| Failure::failed(ask::no_input(&why)))?;
        Ok(Self { asker: Asker::new(BufReader::new(input)), site, present, is_here, may_rename, ca_file })
    }

    pub(super) async fn gather(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        print::line(texts().welcome)?;
        print::line(texts().welcome_end)?;
        if answers.token.is_none() && !self.present.has("backend", "token_file") {
            print::line(texts().enrolment)?;
            self.enrolment(answers, false).await?;
        }
        let is_enrolled = answers.token.is_some();
        match &answers.device {
            Some(device) => print::line(&fill(texts().is_device, &[device]))?,
            None => self.device(answers)?,
        }
        match &answers.broker_url {
            Some(url) if is_enrolled => {
                print::line(&fill(texts().is_broker, &[&print::plain(url)]))?;
                if answers.password.is_none() && !self.present.has("mqtt", "password_file") {
                    answers.password = self.asker.secret(texts().broker_password_alone)?;
                }
            }
            _ => self.broker(answers)?,
        }
        match &answers.backend_url {
            Some(url) if is_enrolled => print::line(&fill(texts().is_backend, &[&print::plain(url)]))?,
            _ => self.backend(answers)?,
        }
        if answers.keys.is_none() && !self.present.keys {
            self.keys(answers)?;
        }
        if answers.name.is_none() {
            self.name(answers)?;
        }
        if answers.language.is_none() {
            self.language(answers)?;
        }
        if answers.contact.is_none() && !self.present.has("screen", "contact") {
            self.contact(answers)?;
        }
        if answers.screen.is_none() {
            self.panel(answers)?;
        }
        if answers.sold(self.present).is_empty() {
            self.items(answers)?;
        }
        if answers.lines.is_empty() && self.present.lines().is_empty() {
            self.lines(answers)?;
        }
        Ok(())
    }

    /// Asks again for what is wrong. False: the person does not want to, or no question would mend it.
    pub(super) async fn again(&mut self, parts: &BTreeSet<Part>, answers: &mut Answers) -> Result<bool, Failure> {
        if parts.is_empty() || !self.asker.yes(texts().again, true)? {
            return Ok(false);
        }
        if parts.contains(&Part::Backend) || parts.contains(&Part::Keys) {
            print::line(texts().enrolment_again)?;
            if self.enrolment(answers, true).await? {
                return Ok(true);
            }
        }
        for part in parts {
            match part {
                Part::Device => self.device(answers)?,
                Part::Broker => self.broker(answers)?,
                Part::Backend => self.backend(answers)?,
                Part::Keys => self.keys(answers)?,
                Part::Appearance => {
                    self.name(answers)?;
                    self.language(answers)?;
                    self.contact(answers)?;
                }
                Part::Panel => self.panel(answers)?,
                Part::Items => self.items(answers)?,
                Part::Lines => self.lines(answers)?,
            }
        }
        Ok(true)
    }

    pub(super) fn yes(&mut self, question: &str, usual: bool) -> Result<bool, Failure> {
        self.asker.yes(question, usual)
    }

    pub(super) fn seen_card(&mut self) -> Result<(), Failure> {
        self.asker.line_or_none(texts().card_seen, |_| Ok(())).map(drop)
    }

    /// Takes an enrolment text, or uses a code, if there is one. It fills in the values that nobody has said, or (`anew`)
    /// replaces all.
    async fn enrolment(&mut self, answers: &mut Answers, anew: bool) -> Result<bool, Failure> {
        let read = |text: &str| match text.parse() {
            Ok(invitation) => Ok(EnrolmentSource::Invitation(invitation)),
            Err(InvitationError::Code(_)) => Err(texts().code_form.into()),
            Err(InvitationError::Other) => {
                Enrolment::from_text(text).map(EnrolmentSource::Enrolment).map_err(|why| answers::no_enrolment(&why))
            }
        };
        let begins = |line: &str| [enrolment::BEGINS, "http"].iter().any(|known| line.trim_start().starts_with(known));
        while let Some(told) = self.asker.pasted(texts().paste, begins, read)? {
            let named = match &told {
                EnrolmentSource::Enrolment(enrolment) => &enrolment.device,
                EnrolmentSource::Invitation(invitation) => &invitation.claim.device,
            };
            let taken = match (renamed(self.present, self.may_rename, named), told) {
                (Some(why), _) => Err(why),
                (None, EnrolmentSource::Enrolment(enrolment)) => answers.enrol(&enrolment, anew),
                (None, EnrolmentSource::Invitation(invitation)) => match invited::claim(&invitation, self.ca_file).await {
                    Ok(enrolment) => answers.enrol(&enrolment, anew),
                    Err(failure) => Err(failure.reason()),
                },
            };
            match taken {
                Ok(()) => return Ok(true),
                Err(why) => print::line(&format!("  {}", print::plain(&why)))?,
            }
        }
        Ok(false)
    }

    fn device(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let usual = answers.device.as_ref().map(ToString::to_string);
        // A name that is not allowed is not proposed.
        let usual = self.present.value("device", "id").filter(|_| !self.may_rename || usual.is_none()).or(usual);
        let (present, may_rename) = (self.present, self.may_rename);
        let good = |id: &str| {
            let id = DeviceId::new(id).map_err(|_| texts().device_form)?;
            renamed(present, may_rename, &id).map_or(Ok(id), Err)
        };
        answers.device = Some(self.asker.line(texts().device, usual.as_deref(), good)?);
        Ok(())
    }

    /// The value that Enter takes: the one that was said, or the one on the disk.
    fn usual(&self, said: Option<&String>, section: &str, key: &str) -> Option<String> {
        said.cloned().or_else(|| self.present.value(section, key))
    }

    fn broker(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let usual = self.usual(answers.broker_url.as_ref(), "mqtt", "url");
        let (plain, is_there) = (answers.allow_plaintext, self.present.has("mqtt", "url"));
        let good = |url: &str| {
            let section = MqttSection { url: Some(url.into()), allow_plaintext: Some(plain), ..MqttSection::default() };
            if url == NO_BROKER {
                return if is_there { Err(texts().broker_is_there.into()) } else { Ok(None) };
            }
            match section.settle() {
                Ok(_) => Ok(Some(url.to_owned())),
                Err(faults) => Err(faults.iter().map(|(_, why)| of_broker(why)).collect()),
            }
        };
        let usual = usual.as_deref().unwrap_or(NO_BROKER);
        answers.broker_url = self.asker.line(texts().broker, Some(usual), good)?;
        if answers.broker_url.is_none() {
            (answers.username, answers.password, answers.broker_ca) = (None, None, None);
            return Ok(());
        }
        let usual = self.usual(answers.username.as_ref(), "mqtt", "username").or_else(|| answers.device.as_ref().map(ToString::to_string));
        answers.username = Some(self.asker.line(texts().broker_name, usual.as_deref(), |name| parse_words(name).map_err(str::to_owned))?);
        let kept = answers.password.is_some() || self.present.has("mqtt", "password_file");
        let password = self.asker.secret(if kept { texts().broker_password_kept } else { texts().broker_password })?;
        answers.password = password.or(answers.password.take());
        if answers.broker_url.as_ref().is_some_and(|url| url.starts_with("mqtts://")) {
            answers.broker_ca = self.certificate(texts().broker_ca)?.or(answers.broker_ca.take());
        }
        Ok(())
    }

    fn backend(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let usual = self.usual(answers.backend_url.as_ref(), "backend", "url");
        answers.backend_url = Some(self.asker.line(texts().backend, usual.as_deref(), ask::http)?);
        let kept = answers.token.is_some() || self.present.has("backend", "token_file");
        answers.token = if kept {
            self.asker.secret(texts().token_kept)?.or(answers.token.take())
        } else {
            Some(self.asker.needed_secret(texts().token)?)
        };
        if answers.backend_url.as_ref().is_some_and(|url| http_url(url).is_ok_and(|url| url.starts_with("https://"))) {
            answers.backend_ca = self.certificate(texts().backend_ca)?.or(answers.backend_ca.take());
        }
        Ok(())
    }

    fn keys(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let read = |path: &str| answers::keys(Path::new(path)).map_err(|failure| failure.reason());
        answers.keys = if answers.keys.is_some() || self.present.keys {
            self.asker.line_or_none(texts().keys_kept, read)?.or(answers.keys.take())
        } else {
            Some(self.asker.line(texts().keys, None, read)?)
        };
        Ok(())
    }

    fn certificate(&mut self, question: &str) -> Result<Option<String>, Failure> {
        self.asker.line_or_none(question, |path| {
            let text = answers::file(Path::new(path)).map_err(|failure| failure.reason())?;
            let read = tls::client_config(Some(Path::new(path)), None, &LastTrusted::default());
            read.map(|_| text).map_err(|why| invited::no_authority(&why))
        })
    }

    fn name(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let usual = self.usual(answers.name.as_ref(), "device", "name").or_else(|| answers.device.as_ref().map(ToString::to_string));
        answers.name = Some(self.asker.line(texts().name, usual.as_deref(), parse_letters)?);
        Ok(())
    }

    fn language(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let usual = self.usual(answers.language.as_ref(), "device", "language").unwrap_or_else(|| "id".into());
        let known = |text: &str| match text.to_lowercase().as_str() {
            known @ ("id" | "en" | "both") => Ok(known.to_owned()),
            _ => Err(texts().language_known.to_owned()),
        };
        answers.language = Some(self.asker.line(texts().language, Some(&usual), known)?);
        Ok(())
    }

    fn contact(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        answers.contact = match self.usual(answers.contact.as_ref(), "screen", "contact") {
            Some(usual) => Some(self.asker.line(texts().contact, Some(&usual), parse_letters)?),
            None => self.asker.line_or_none(texts().contact_none, parse_letters)?,
        };
        Ok(())
    }

    fn panel(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let is_new = self.present.qrisd.is_none();
        let panels = hardware::panels(self.site);
        for panel in &panels {
            print::line(&print::plain(&format!("  {:<16} {}", panel.device.display(), panel.said)))?;
        }
        let usual = if !is_new {
            texts().as_it_is
        } else if panels.iter().any(|panel| panel.is_connected) {
            "auto"
        } else {
            "none"
        };
        let is_here = self.is_here;
        let chosen = |text: &str| match specs::screen(text) {
            _ if !is_new && text == texts().as_it_is => Ok(None),
            Ok(specs::Screen::Device(path)) if is_here && !path.exists() => Err(fill(texts().not_there, &[&path.display()])),
            screen => screen.map(Some),
        };
        answers.screen = self.asker.line(texts().panel, Some(usual), chosen)?;
        Ok(())
    }
}

fn of_broker(why: &MqttError) -> String {
    if let MqttError::Address(why) = why { ask::address(why) } else { why.to_string() }
}

/// The reason why the machine may not become another one.
pub(super) fn renamed(present: &Present, may_rename: bool, device: &DeviceId) -> Option<String> {
    let before = present.value("device", "id").filter(|before| before != device.as_str() && !may_rename)?;
    Some(fill(texts().begin_anew, &[&ComposeError::OtherDevice { present: before, wanted: device.to_string() }]))
}
