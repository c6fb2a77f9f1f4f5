//! The set-up as a conversation: what is known is shown, what is not is asked for, and nothing happens before the end.

use super::answers::{self, Answers};
use super::ask::Asker;
use super::compose::Present;
use super::{is_bad, parse_http, parse_words, specs};
use crate::ctl::site::Site;
use crate::ctl::{hardware, print};
use crate::host::Failure;
use crate::host::config::{MqttSection, http_url};
use crate::host::finding::Finding;
use crate::order::ids::DeviceId;
use crate::wire::enrolment::Enrolment;
use std::io::{StdinLock, stdin};
use std::path::Path;

/// Somebody who sits there.
pub(super) struct Dialogue<'a> {
    asker: Asker<StdinLock<'static>>,
    site: &'a Site,
    present: &'a Present,
    pulsed: Option<String>,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(site: &'a Site, present: &'a Present) -> Self {
        Self { asker: Asker::new(stdin().lock()), site, present, pulsed: None }
    }

    /// Asks for what was not said.
    pub(super) fn gather(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        print::line(
            "This computer becomes a machine that sells. Nothing is written before the end; Enter takes what stands in [brackets].",
        )?;
        let known = answers.token.is_some() || self.present.has_secret("backend", "token_file");
        if !known {
            print::line(
                "On the merchant's server, `qris-backend device add ID --bundle` writes one text with all that this machine must know.",
            )?;
            let read = |text: &str| Enrolment::from_text(text).map_err(|why| why.to_string());
            if let Some(enrolment) = self.asker.pasted("Paste it here (is not shown; Enter: there is none): ", read)? {
                answers.enrol(&enrolment).map_err(Failure::usage)?;
            }
        }
        let is_enrolled = answers.token.is_some();
        match &answers.device {
            Some(device) => print::line(&format!("The machine's name: {device}"))?,
            None => {
                let usual = self.present.value("device", "id");
                answers.device =
                    Some(self.asker.line("The machine's name", usual.as_deref(), |id| DeviceId::new(id).map_err(|why| why.to_string()))?);
            }
        }
        match &answers.broker_url {
            Some(url) if is_enrolled => {
                print::line(&format!("The broker: {}", print::plain(url)))?;
                if answers.password.is_none() && !self.present.has_secret("mqtt", "password_file") {
                    answers.password = self.asker.secret("The machine's password there")?;
                }
            }
            _ => self.broker(answers)?,
        }
        match &answers.backend_url {
            Some(url) if is_enrolled => print::line(&format!("The backend: {}", print::plain(url)))?,
            _ => self.backend(answers)?,
        }
        if answers.keys.is_none() && !self.present.has_keys() {
            self.keys(answers)?;
        }
        self.looks(answers)?;
        self.goods(answers)
    }

    /// Asks again for what a check found bad; false: nobody wants to.
    pub(super) fn again(&mut self, findings: &[Finding], answers: &mut Answers) -> Result<bool, Failure> {
        let bad = |checks: &[&str]| is_bad(findings, checks);
        let (broker, backend, keys, gpio, screen) = (bad(&["broker"]), bad(&["backend"]), bad(&["keys"]), bad(&["gpio"]), bad(&["screen"]));
        if !(broker || backend || keys || gpio || screen) || !self.asker.yes("Answer that again?", true)? {
            return Ok(false);
        }
        if broker {
            self.broker(answers)?;
        }
        if backend {
            self.backend(answers)?;
        }
        if keys {
            self.keys(answers)?;
        }
        if screen {
            answers.screen = None;
            self.panel(answers)?;
        }
        if gpio {
            answers.lines.clear();
            self.lines(answers)?;
        }
        Ok(true)
    }

    pub(super) fn write_all_the_same(&mut self) -> Result<bool, Failure> {
        self.asker.yes("Write it all the same?", false)
    }

    pub(super) fn write_it(&mut self) -> Result<bool, Failure> {
        self.asker.yes("Write these files, and start the services?", true)
    }

    pub(super) fn show_card(&mut self) -> Result<bool, Failure> {
        self.asker.yes("Put a test card on the panel?", false)
    }

    pub(super) fn seen_card(&mut self) -> Result<(), Failure> {
        self.asker.line_or_none("Enter takes it away", |_| Ok(())).map(drop)
    }

    /// Whether this line is to be pulsed; after a pulse, once more.
    pub(super) fn pulse(&mut self, name: &str) -> Result<bool, Failure> {
        let question = if self.pulsed.as_deref() == Some(name) {
            format!("Line {name:?}: once more?")
        } else {
            format!("Line {name:?}: pulse it now? Something moves: keep your hands away")
        };
        self.pulsed = Some(name.to_owned());
        self.asker.yes(&question, false)
    }

    fn broker(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let usual = answers.broker_url.clone().or_else(|| self.present.value("mqtt", "url"));
        let plain = answers.allow_plaintext;
        let good = |url: &str| {
            let section = MqttSection { url: Some(url.into()), allow_plaintext: Some(plain), ..MqttSection::default() };
            match section.settle() {
                Ok(_) => Ok(url.to_owned()),
                Err(faults) => Err(faults.into_iter().map(|(_, why)| why.to_string()).collect()),
            }
        };
        answers.broker_url = Some(self.asker.line("The broker (mqtts://HOST:8883)", usual.as_deref(), good)?);
        let usual = answers
            .username
            .clone()
            .or_else(|| self.present.value("mqtt", "username"))
            .or_else(|| answers.device.as_ref().map(ToString::to_string));
        answers.username = Some(self.asker.line("The name there", usual.as_deref(), |name| parse_words(name).map_err(str::to_owned))?);
        let kept = answers.password.is_some() || self.present.has_secret("mqtt", "password_file");
        if let Some(password) = self.asker.secret(if kept { "Its password (Enter: as it is)" } else { "Its password" })? {
            answers.password = Some(password);
        }
        if answers.broker_url.as_ref().is_some_and(|url| url.starts_with("mqtts://")) {
            answers.broker_ca =
                self.certificate("The broker's private CA, a PEM file (Enter: none, or as it is)")?.or(answers.broker_ca.take());
        }
        Ok(())
    }

    fn backend(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let usual = answers.backend_url.clone().or_else(|| self.present.value("backend", "url"));
        answers.backend_url = Some(self.asker.line("The backend (https://…)", usual.as_deref(), parse_http)?);
        let kept = answers.token.is_some() || self.present.has_secret("backend", "token_file");
        if let Some(token) = self.asker.secret(if kept { "This machine's token (Enter: as it is)" } else { "This machine's token" })? {
            answers.token = Some(token);
        }
        if answers.backend_url.as_ref().is_some_and(|url| http_url(url).is_ok_and(|url| url.starts_with("https://"))) {
            answers.backend_ca =
                self.certificate("The backend's private CA, a PEM file (Enter: none, or as it is)")?.or(answers.backend_ca.take());
        }
        Ok(())
    }

    fn keys(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let read = |path: &str| answers::keys(Path::new(path)).map_err(|failure| told(&failure));
        answers.keys = Some(self.asker.line("The file that `qris-backend keys public` wrote", None, read)?);
        Ok(())
    }

    fn certificate(&mut self, question: &str) -> Result<Option<String>, Failure> {
        self.asker.line_or_none(question, |path| answers::file(Path::new(path)).map_err(|failure| told(&failure)))
    }

    fn looks(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        let words = |text: &str| parse_words(text).map_err(str::to_owned);
        if answers.name.is_none() {
            let usual = self.present.value("device", "name").or_else(|| answers.device.as_ref().map(ToString::to_string));
            answers.name = Some(self.asker.line("What stands on its screen", usual.as_deref(), words)?);
        }
        if answers.language.is_none() {
            let usual = self.present.value("device", "language").unwrap_or_else(|| "id".into());
            let known =
                |text: &str| if ["id", "en", "both"].contains(&text) { Ok(text.to_owned()) } else { Err("id, en or both".to_owned()) };
            answers.language = Some(self.asker.line("What the customer reads: id, en or both", Some(&usual), known)?);
        }
        if answers.contact.is_none() && self.present.value("screen", "contact").is_none() {
            answers.contact = self.asker.line_or_none("Whom customers call about money (Enter: nobody)", words)?;
        }
        self.panel(answers)
    }

    fn panel(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        if answers.screen.is_some() {
            return Ok(());
        }
        let is_new = self.present.qrisd.is_none();
        let panels = hardware::panels(self.site);
        for panel in &panels {
            print::line(&print::plain(&format!("  {:<16} {}", panel.device.display(), panel.said)))?;
        }
        let usual = if !is_new {
            "as it is"
        } else if panels.iter().any(|panel| panel.is_connected) {
            "auto"
        } else {
            "none"
        };
        let chosen = |text: &str| if text == "as it is" { Ok(None) } else { specs::screen(text).map(Some) };
        answers.screen = self.asker.line("The panel: auto, none, or a device", Some(usual), chosen)?;
        Ok(())
    }

    fn goods(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        if answers.items.is_empty() && self.present.items() == 0 {
            print::line("What it sells, one a line: ID:PRICE:NAME, such as A1:5000:Teh botol 350 ml. Enter ends.")?;
            loop {
                match self.asker.line_or_none("  Item", specs::item)? {
                    Some(item) => answers.items.push(item),
                    None if answers.items.is_empty() => print::line("  One at least is needed.")?,
                    None => break,
                }
            }
        }
        if answers.lines.is_empty() && self.present.lines() == 0 {
            self.lines(answers)?;
        }
        Ok(())
    }

    fn lines(&mut self, answers: &mut Answers) -> Result<(), Failure> {
        hardware::words(self.site)
            .iter()
            .skip_while(|line| *line != "GPIO chips:")
            .try_for_each(|line| print::line(&print::plain(line)))?;
        print::line(
            "Which line hands out what, one a line: ITEMS=CHIP:OFFSET, such as A1,A2=/dev/gpiochip0:17. :low where the low level drives. Enter ends.",
        )?;
        loop {
            match self.asker.line_or_none("  Line", specs::line)? {
                Some(line) => answers.lines.push(line),
                None if answers.lines.is_empty() => print::line("  One at least is needed.")?,
                None => return Ok(()),
            }
        }
    }
}

/// A failure in one line, without the program's name.
fn told(failure: &Failure) -> String {
    failure.told("").join("; ").trim_start_matches([':', ' ']).to_owned()
}
