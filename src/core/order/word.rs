//! The small words of the contract. An older program may read a word that only a newer program knows. It carries, stores,
//! shows and answers the word as it came, and goes on with the order or message.

use std::fmt;

/// The longest word, in bytes.
pub const WORD_MAX: usize = 32;

/// A word that this release does not know: 1 to [`WORD_MAX`] small letters, digits and underscores.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word {
    length: u8,
    bytes: [u8; WORD_MAX],
}

/// It is not a word.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a word has 1 to 32 small letters, digits and underscores")]
pub struct NotAWord;

impl Word {
    /// Reads a word.
    pub fn new(text: &str) -> Result<Self, NotAWord> {
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let mut bytes = [0; WORD_MAX];
        let length = u8::try_from(text.len()).map_err(|_| NotAWord)?;
        if text.is_empty() || !text.bytes().all(is_word) {
            return Err(NotAWord);
        }
        bytes.get_mut(..text.len()).ok_or(NotAWord)?.copy_from_slice(text.as_bytes());
        Ok(Self { length, bytes })
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The text is ASCII: `new` checked it.
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or("")
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// An enum of words, each with its text on every wire. `Other` holds the words of later releases.
macro_rules! words {
    ($(#[$of_all:meta])* $vis:vis enum $Name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$of_all])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        $vis enum $Name {
            $($(#[$doc])* $variant,)*
            /// A word of a later release.
            Other($crate::order::word::Word),
        }

        impl $Name {
            /// Every word that this release knows.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As it stands on the wire.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(word) => word.as_str(),
                }
            }

            /// Reads the wire's word.
            pub fn from_word(word: &str) -> Result<Self, $crate::order::word::NotAWord> {
                Ok(match word {
                    $($text => Self::$variant,)*
                    other => Self::Other($crate::order::word::Word::new(other)?),
                })
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $Name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $Name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::from_word(&word).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use super::*;

    words! {
        /// Fruit.
        enum Fruit {
            /// Round.
            Apple = "apple",
            /// Long.
            Banana = "banana_split",
        }
    }

    #[test]
    fn what_is_known_is_known_and_what_is_not_is_carried_as_it_came() {
        assert_eq!(Fruit::ALL, [Fruit::Apple, Fruit::Banana]);
        for (text, fruit) in [("apple", Fruit::Apple), ("banana_split", Fruit::Banana)] {
            assert_eq!(Fruit::from_word(text), Ok(fruit));
        }
        for text in ["kiwi", "a", "0", "fruit_of_the_year_after_next_012"] {
            let json = serde_json::to_string(text).expect("a text");
            let fruit: Fruit = serde_json::from_str(&json).expect(text);
            assert!(matches!(fruit, Fruit::Other(_)), "{fruit:?}");
            assert_eq!((fruit.as_str(), fruit.to_string().as_str()), (text, text));
            assert_eq!(serde_json::to_string(&fruit).expect("plain"), json);
            assert_eq!(format!("{fruit:?}"), format!("Other({text:?})"));
        }
    }

    #[test]
    fn what_can_be_no_word_is_refused() {
        let long = "a".repeat(WORD_MAX + 1);
        let longer = "a".repeat(300);
        for text in ["", "Apple", "apple ", "äpfel", "ap-ple", "ap\nple", "\u{1b}[2J", &long, &longer] {
            assert_eq!(Fruit::from_word(text), Err(NotAWord), "{text:?}");
        }
        for json in ["1", "null", "[]", "{}"] {
            assert!(serde_json::from_str::<Fruit>(json).is_err(), "{json}");
        }
    }
}
