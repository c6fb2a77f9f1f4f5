//! The operators' keys that came with a code or an enrolment text. The merchant's backend brought them. Root says which of them may
//! order this machine. No key is taken that nobody named.

use super::answers::Answers;
use super::present::Present;
use super::text::{fill, texts};
use crate::keys::LevelArgument;
use crate::site::Site;
use clap::ValueEnum as _;
use qris_core::order::ids::KeyId;
use qris_core::order::keys::{KeyFile, KeySet, Level, OfferedKey};
use qris_host::Failure;
use std::fmt;

/// `LEVEL:NAME`: a key that root expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expected {
    level: Level,
    kid: KeyId,
}

impl Expected {
    fn is(&self, kid: &KeyId, level: Level) -> bool {
        self.kid == *kid && self.level == level
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.level, self.kid)
    }
}

pub(super) fn expected(text: &str) -> Result<Expected, String> {
    let (level, kid) = text.split_once(':').ok_or_else(|| texts().operator_form.to_owned())?;
    let level = LevelArgument::from_str(level, false).map_err(|_| texts().operator_form.to_owned())?.into();
    Ok(Expected { level, kid: KeyId::new(kid).map_err(|why| why.to_string())? })
}

/// Puts those of the offered keys into the answers that the machine believes already, that a flag names, or to which a person says yes.
/// Gives back what there is to say about the others.
/// Fails if a key that a flag names did not come, or if nobody answers.
pub(super) fn settle(
    site: &Site,
    present: &Present,
    flags: &[Expected],
    answers: &mut Answers,
    mut ask: impl FnMut(&str) -> Result<bool, Failure>,
) -> Result<Vec<String>, Failure> {
    let before = std::fs::read_to_string(site.at(present.keys_file())).unwrap_or_default();
    let believed = KeyFile::read(&before).ok();
    let mut remarks = Vec::new();
    let mut taken = Vec::new();
    for key in std::mem::take(&mut answers.offered) {
        let (kid, level) = (key.kid().clone(), key.level());
        if believed.as_ref().is_some_and(|believed| believed.believes(&key)) {
            taken.push(key);
        } else if !key.has_own_name() {
            remarks.push(fill(texts().operator_misnamed, &[&kid]));
        } else if flags.iter().any(|flag| flag.is(&kid, level)) || ask(&fill(texts().operator, &[&kid, &level, &may(level)]))? {
            taken.push(key);
        } else {
            remarks.push(fill(texts().operator_left, &[&level, &kid]));
        }
    }
    put(answers, taken)?;
    let known = [answers.keys.as_deref().unwrap_or_default(), &before].map(|text| KeySet::from_jwks(text).unwrap_or_default());
    let is_there = |flag: &&Expected| known.iter().flat_map(KeySet::operators).any(|(kid, level)| flag.is(kid, level));
    match flags.iter().find(|flag| !is_there(flag)) {
        Some(missing) => Err(Failure::usage(fill(texts().operator_missing, &[missing]))),
        None => Ok(remarks),
    }
}

fn put(answers: &mut Answers, taken: Vec<OfferedKey>) -> Result<(), Failure> {
    let Some(keys) = answers.keys.as_mut().filter(|_| !taken.is_empty()) else { return Ok(()) };
    let mut file = KeyFile::read(keys).map_err(Failure::usage)?;
    taken.into_iter().for_each(|key| file.believe(key));
    *keys = file.to_text();
    Ok(())
}

fn may(level: Level) -> &'static str {
    match level {
        Level::View => texts().may_view,
        Level::Manage => texts().may_manage,
        Level::Service => texts().may_service,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{KEYS_JSON, put};
    use qris_core::order::keys::{SigningKey, jwk_set};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed([seed; 32])
    }

    fn set(operators: &[String]) -> String {
        jwk_set(&[&[key(3).to_public_jwk("pay.example")], operators].concat())
    }

    /// The keys in the end, the number of questions, and the remarks. The machine believes `before`.
    fn settled(before: &[String], offered: &[String], flags: &[&str], yes: bool) -> Result<(Vec<String>, usize, Vec<String>), String> {
        let root = tempfile::tempdir().expect("a directory");
        put(root.path(), &KEYS_JSON[1..], &set(before));
        let site = Site::below(root.path()).expect("there");
        let present = Present::read(&site).expect("readable");
        let mut answers = Answers::default();
        answers.take_keys(&set(offered)).expect("keys");
        let flags: Vec<_> = flags.iter().map(|flag| expected(flag).expect("LEVEL:NAME")).collect();
        let mut asked = 0;
        let ask = |_: &str| {
            asked += 1;
            Ok(yes)
        };
        let remarks = settle(&site, &present, &flags, &mut answers, ask).map_err(|failure| failure.lines("t").join(" "))?;
        assert!(answers.offered.is_empty(), "nothing is asked again");
        let keys = KeySet::from_jwks(&answers.keys.expect("keys")).expect("readable");
        assert_eq!(keys.receipt_kids(), [key(3).kid().clone()]);
        Ok((keys.operators().map(|(kid, level)| format!("{level}:{kid}")).collect(), asked, remarks))
    }

    #[test]
    fn nobodys_key_is_taken_unless_root_named_it_or_the_machine_believes_it() {
        let (sari, thief) = (key(9), key(10));
        let jwk = |key: &SigningKey, level| key.to_operator_jwk(level);
        let both = [jwk(&sari, Level::Manage), jwk(&thief, Level::Service)];
        let (manage, service) = (format!("manage:{}", sari.kid()), format!("service:{}", sari.kid()));
        let taken = |settled: &Result<(Vec<String>, usize, Vec<String>), String>| {
            settled.as_ref().map(|(taken, asked, said)| (taken.clone(), *asked, said.len())).map_err(Clone::clone)
        };
        for (before, offered, flags, yes, wanted) in [
            (&[][..], &both[..], &[][..], false, (vec![], 2, 2)),
            (&[], &both, &[], true, (vec![manage.clone(), format!("service:{}", thief.kid())], 2, 0)),
            (&[], &both, &[&*manage], false, (vec![manage.clone()], 1, 1)),
            (&both[..1], &both, &[], false, (vec![manage.clone()], 1, 1)),
            (&both[..1], &[], &[&*manage], false, (vec![], 0, 0)),
            // The key of a person who is believed, with more rights.
            (&both[..1], &[jwk(&sari, Level::Service)], &[], false, (vec![], 1, 1)),
            (&both[..1], &[jwk(&sari, Level::Service)], &[&*service], false, (vec![service.clone()], 0, 0)),
            // A key in her name: not even a yes takes it.
            (&both[..1], &[jwk(&thief, Level::Manage).replace(thief.kid().as_str(), sari.kid().as_str())], &[], true, (vec![], 0, 1)),
        ] {
            let settled = settled(before, offered, flags, yes);
            assert_eq!(taken(&settled), Ok(wanted), "{settled:?}");
        }
        let misnamed = jwk(&thief, Level::Service).replace(thief.kid().as_str(), sari.kid().as_str());
        for offered in [&[][..], &both, &[misnamed]] {
            let why = settled(&[], offered, &[&service], true).expect_err("it did not come");
            assert!(why.contains(&service), "{why}");
        }
    }

    #[test]
    fn a_flag_names_the_level_and_the_key() {
        assert_eq!(expected("service:abc").map(|expected| expected.to_string()), Ok("service:abc".into()));
        for bad in ["abc", "chief:abc", "service:", "service"] {
            assert!(expected(bad).is_err(), "{bad}");
        }
    }
}
