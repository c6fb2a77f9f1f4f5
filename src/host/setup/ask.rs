//! Questions to the person in front of the computer. Enter takes the value in brackets.

use crate::config::{AddressError, http_url};
use crate::secret::Secret;
use crate::speech::fill;
use crate::terminal::{Hidden, plain};
use crate::{Failure, interrupt, texts};
use qris_core::wire::enrolment::BEGINS;
use std::io::{self, BufRead, Write as _};

/// The longest answer, in bytes.
const ANSWER_MAX: u64 = 64 * 1024;
/// A line of an enrolment text, but for its last one, has more characters.
const PASTED_MIN: usize = 32;
/// A question is asked this often. After that no person seems to answer.
const TRIES_MAX: usize = 20;

// The words of a conversation that do not depend on what is asked, and why an address is refused.
texts! {
    yes: "ya", "yes";
    no: "tidak", "no";
    yes_or_no: "Jawab y (ya) atau t (tidak)", "Answer y (yes) or n (no)";
    hidden: "tidak terlihat", "is not shown";
    elsewhere: "Ini teks pendaftaran, dan tempatnya di pertanyaan pertama: Ctrl-C, lalu mulai lagi. Isinya rahasia: bersihkan layar ini.", "This is an enrolment text, and belongs to the first question: Ctrl-C, and begin anew. It holds secrets: clear this screen.";
    needed: "Harus dijawab; Ctrl-C mengakhiri.", "An answer is needed; Ctrl-C ends.";
    too_many: "terlalu banyak jawaban yang tidak bisa dipakai", "too many answers could not be used";
    no_more: "tidak ada jawaban lagi: tidak ada yang berubah", "there are no more answers: nothing was changed";
    input: "standard input tidak bisa dibaca: {0}", "standard input cannot be read: {0}";
    directory: "tidak ada direktori sementara untuk berkas yang akan diperiksa: {0}", "no temporary directory for the files to check: {0}";
    unread: "jawaban tidak bisa dibaca: {0}; tidak ada yang berubah", "the answer cannot be read: {0}; nothing was changed";
    http: "harus https://HOST[:PORT][/PATH] atau http://HOST[:PORT][/PATH], bukan {0}", "must be https://HOST[:PORT][/PATH] or http://HOST[:PORT][/PATH], not {0}";
    http_plain: "http:// hanya untuk loopback: pakai https://", "http:// is for loopback only: use https://";
    mqtt: "harus mqtts://HOST[:PORT] atau mqtt://HOST[:PORT], bukan {0}", "must be mqtts://HOST[:PORT] or mqtt://HOST[:PORT], not {0}";
    mqtt_plain: "mqtt:// hanya untuk loopback: pakai mqtts://, atau tambahkan --allow-plaintext (lalu siapa pun di jaringan itu bisa membaca dan mengubah pesannya)", "mqtt:// is for loopback only: use mqtts://, or add --allow-plaintext (then everybody on the way can read and change the messages)";
}

/// An HTTP address in the form that the services take, or why it is none in the language that is spoken.
pub fn http(text: &str) -> Result<String, String> {
    http_url(text).map_err(|why| address(&why))
}

#[must_use]
pub fn address(why: &AddressError) -> String {
    match why {
        AddressError::Http(text) => fill(texts().http, &[&format!("{text:?}")]),
        AddressError::PlainHttp => texts().http_plain.into(),
        AddressError::Mqtt(text) => fill(texts().mqtt, &[&format!("{text:?}")]),
        AddressError::PlainMqtt => texts().mqtt_plain.into(),
    }
}

/// Standard input cannot be read, in the language that is spoken.
#[must_use]
pub fn no_input(why: &io::Error) -> String {
    fill(texts().input, &[why])
}

/// There is no place for the files that are to be checked, in the language that is spoken.
pub(super) fn no_directory(why: &io::Error) -> String {
    fill(texts().directory, &[why])
}

/// Asks the questions and reads the answers. Each question fails when nobody answers, or when a signal came.
pub struct Asker<R> {
    answers: R,
    /// The lines of an enrolment text come, where nobody asked for one.
    pastes: bool,
}

impl<R: BufRead> Asker<R> {
    pub const fn new(answers: R) -> Self {
        Self { answers, pastes: false }
    }

    /// A line, checked until it is good. Enter takes `usual`.
    pub fn line<T>(&mut self, question: &str, usual: Option<&str>, check: impl Fn(&str) -> Result<T, String>) -> Result<T, Failure> {
        let shown = usual.map(|usual| format!(" [{usual}]")).unwrap_or_default();
        self.until_good(&format!("{question}{shown}: "), false, |answer| {
            needed(if answer.is_empty() { usual.unwrap_or_default() } else { answer }).and_then(&check)
        })
    }

    /// The same, but no answer is allowed too.
    pub fn line_or_none<T>(&mut self, question: &str, check: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Failure> {
        let check = |answer: &str| if answer.is_empty() { Ok(None) } else { check(answer).map(Some) };
        self.until_good(&format!("{question}: "), false, check)
    }

    /// A secret, which is not shown. `None` means Enter.
    pub fn secret(&mut self, question: &str) -> Result<Option<Secret>, Failure> {
        self.until_good(&format!("{question} ({}): ", texts().hidden), true, |answer| Ok((!answer.is_empty()).then(|| Secret::new(answer))))
    }

    pub fn needed_secret(&mut self, question: &str) -> Result<Secret, Failure> {
        self.until_good(&format!("{question} ({}): ", texts().hidden), true, |answer| needed(answer).map(Secret::new))
    }

    pub fn yes(&mut self, question: &str, usual: bool) -> Result<bool, Failure> {
        self.line(question, Some(if usual { texts().yes } else { texts().no }), |answer| match answer.to_lowercase().as_str() {
            "y" | "yes" | "ya" => Ok(true),
            "n" | "no" | "t" | "tidak" => Ok(false),
            _ => Err(texts().yes_or_no.into()),
        })
    }

    /// Reads lines until together they are good, or one is empty: a text that was pasted may come as several
    /// lines.
    pub fn pasted<T>(
        &mut self,
        question: &str,
        begins: impl Fn(&str) -> bool,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let mut whole = String::new();
        let hidden = Hidden::wholly();
        loop {
            let typed = self.read(if whole.is_empty() { question } else { "" })?;
            if typed.is_empty() && whole.is_empty() {
                say("")?;
                return Ok(None);
            }
            // A wrong word need not wait for the end of a text.
            let is_wrong = whole.is_empty() && !begins(&typed);
            whole.push_str(&typed);
            match check(&whole) {
                Ok(value) => {
                    drop(hidden);
                    say("")?;
                    return Ok(Some(value));
                }
                Err(why) if is_wrong || typed.is_empty() || whole.len() as u64 > ANSWER_MAX => {
                    say(&format!("  {}", plain(&why)))?;
                    whole.clear();
                }
                Err(_) => {}
            }
        }
    }

    fn until_good<T>(&mut self, prompt: &str, hides: bool, check: impl Fn(&str) -> Result<T, String>) -> Result<T, Failure> {
        let mut tries = 0;
        while tries < TRIES_MAX {
            let hidden = hides.then(Hidden::begin);
            let answer = self.read(prompt)?;
            drop(hidden);
            if !hides && self.is_pasted(&answer)? {
                continue;
            }
            tries += 1;
            match check(&answer) {
                Ok(value) => return Ok(value),
                Err(why) => say(&format!("  {}", plain(&why)))?,
            }
        }
        Err(Failure::usage(texts().too_many))
    }

    /// Whether it is a line of an enrolment text. It holds secrets, which no refusal may repeat.
    fn is_pasted(&mut self, answer: &str) -> Result<bool, Failure> {
        let begins = answer.starts_with(BEGINS);
        let is_of_it = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        self.pastes = begins || (self.pastes && answer.len() >= PASTED_MIN && answer.bytes().all(is_of_it));
        if begins {
            say(&format!("  {}", texts().elsewhere))?;
        }
        Ok(self.pastes)
    }

    fn read(&mut self, prompt: &str) -> Result<String, Failure> {
        let mut out = io::stderr().lock();
        out.write_all(prompt.as_bytes()).and_then(|()| out.flush()).map_err(Failure::failed)?;
        drop(out);
        let mut answer = String::new();
        let read = io::Read::take(&mut self.answers, ANSWER_MAX).read_line(&mut answer);
        let read = read.map_err(|why| unread(&why))?;
        if read == 0 {
            // The next output stands on a line of its own.
            say("")?;
            return Err(Failure::failed(texts().no_more));
        }
        Ok(answer.trim().to_owned())
    }
}

/// Writes a line of the conversation. Like the questions it goes to standard error: standard output may be a file, for what the command
/// gives at its end.
pub fn say(text: &str) -> Result<(), Failure> {
    writeln!(io::stderr(), "{text}").map_err(Failure::failed)
}

fn needed(answer: &str) -> Result<&str, String> {
    if answer.is_empty() { Err(texts().needed.into()) } else { Ok(answer) }
}

/// A signal ends the command with its own words.
fn unread(why: &io::Error) -> Failure {
    match interrupt::check() {
        Err(interrupted) => Failure::failed(interrupted),
        Ok(()) => Failure::failed(fill(texts().unread, &[why])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<u8, String> {
        text.parse().map_err(|_| "a number".to_owned())
    }

    #[test]
    fn an_enrolment_text_at_another_question_is_never_repeated() {
        let mut lines = vec![format!("{BEGINS}1.{}", "a".repeat(60))];
        lines.extend(vec!["Zm9v-_".repeat(10); 2 * TRIES_MAX]);
        let text = lines.join("\n") + "\n7\n";
        let mut asker = Asker::new(text.as_bytes());
        let seen = std::cell::RefCell::new(Vec::new());
        let answer = asker.line("n", None, |text| {
            seen.borrow_mut().push(text.to_owned());
            number(text)
        });
        assert_eq!((answer.expect("answered"), seen.into_inner()), (7, vec!["7".to_owned()]));
    }

    #[test]
    fn a_question_is_asked_until_its_answer_is_good() {
        let mut asker = Asker::new(&b"x\n\n7\n"[..]);
        assert_eq!(asker.line("n", None, number).expect("answered"), 7);
        assert!(asker.line("n", None, number).is_err(), "nobody answers any more");
        assert_eq!(Asker::new(&b"\n"[..]).line("n", Some("3"), number).expect("the usual"), 3);
        assert_eq!(Asker::new(&b"\n"[..]).line_or_none("n", number).expect("none"), None);
        assert!(Asker::new(&b"YA\n"[..]).yes("?", false).expect("answered"));
        assert!(!Asker::new(&b"maybe\n\n"[..]).yes("?", false).expect("answered"));
        assert_eq!(Asker::new(&b"hunter2\n"[..]).secret("s").expect("answered"), Some(Secret::new("hunter2")));
    }

    #[test]
    fn what_was_pasted_may_come_in_lines() {
        let whole = |text: &str| if text == "abcdef" { Ok(()) } else { Err("damaged".to_owned()) };
        let begins = |line: &str| line.starts_with("ab");
        assert_eq!(Asker::new(&b"abc\n def \n"[..]).pasted("t", begins, whole).expect("pasted"), Some(()));
        // An empty line ends a bad text, and the question is asked again.
        assert_eq!(Asker::new(&b"abx\n\nabcdef\n"[..]).pasted("t", begins, whole).expect("pasted"), Some(()));
        // What begins like nothing is wrong at once.
        assert_eq!(Asker::new(&b"hello\nabcdef\n"[..]).pasted("t", begins, whole).expect("pasted"), Some(()));
        assert_eq!(Asker::new(&b"\n"[..]).pasted("t", begins, whole).expect("nothing"), None);
    }
}
