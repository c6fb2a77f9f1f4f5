//! What every event of the journal has: a kind, journal fields, and a line for people. `events!` makes the table.

use qris_core::order::ids::{DeviceId, ItemId, OrderId, RequestId};
use qris_core::order::money::Rupiah;
use qris_core::order::request::cut;
use qris_core::text;
use std::borrow::Cow;

/// A text in an event, fixed or made for it. It never holds a secret or anything about a customer.
pub type Text = Cow<'static, str>;

/// How bad it is, with the number that journald gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// 3: a person must do something.
    Err = 3,
    /// 4: something does not work, or somebody tried something that they may not do.
    Warning = 4,
    /// 5: normal, and worth knowing.
    Notice = 5,
    /// 6: normal.
    Info = 6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// An order, and the number of orders has a limit; somebody who may do this; or this computer. Such a line is about money, or for a
    /// person, and no flood keeps it out of the journal.
    Own,
    /// Strangers, as often as they like: they publish, post or call, mostly to be refused.
    Strangers,
}

#[derive(Debug, Clone, Copy)]
pub struct EventKind {
    /// Its place in `TABLE`.
    pub index: usize,
    /// The name of the variant of `Event`.
    pub name: &'static str,
    /// 128 bits as 32 lower-case hexadecimal digits.
    pub message_id: &'static str,
    pub priority: Priority,
    pub cause: Cause,
    /// One sentence: the catalog's subject.
    pub subject: &'static str,
    /// The explanation of the event, and what to do: the catalog's text, as doc comment lines.
    pub(super) explanation: &'static str,
    /// The names of the variant's fields, for its documentation.
    #[cfg(feature = "manuals")]
    pub values: &'static [&'static str],
}

/// The journal fields of one event beside its message; fields that do not apply are `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pub request_id: Option<String>,
    pub order_id: Option<String>,
    pub device_id: Option<String>,
    pub state: Option<String>,
    pub item: Option<String>,
    /// `AMOUNT`: whole rupiah, digits only.
    pub amount: Option<String>,
}

impl EventKind {
    /// The catalog's text, one line of it on each line.
    #[must_use]
    pub fn text(&self) -> String {
        self.explanation.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }
}

impl Fields {
    pub(super) fn put(&mut self, name: &str, value: Option<String>) {
        match name {
            "request" => self.request_id = value,
            "order" => self.order_id = value,
            "device" => self.device_id = value,
            "state" => self.state = value,
            "item" => self.item = value,
            "amount" => self.amount = value,
            // Only the line has the others.
            _ => {}
        }
    }

    /// The journal's name for a value, if it has one.
    #[cfg(feature = "manuals")]
    #[must_use]
    pub fn name_of(value: &str) -> Option<&'static str> {
        let mut fields = Self::default();
        fields.put(value, Some(String::new()));
        let Self { request_id, order_id, device_id, state, item, amount } = fields;
        let named = [
            (request_id, "REQUEST_ID"),
            (order_id, "ORDER_ID"),
            (device_id, "DEVICE_ID"),
            (state, "STATE"),
            (item, "ITEM"),
            (amount, "AMOUNT"),
        ];
        named.into_iter().find_map(|(put, name)| put.map(|_| name))
    }
}

pub(super) trait Value {
    /// The value as a journal field; `None` if it does not apply.
    fn field(&self) -> Option<String>;
    /// The value as people read it.
    fn told(&self) -> String {
        self.field().unwrap_or_else(|| "-".into())
    }
}

macro_rules! values {
    ($($type:ty),*) => { $(
        impl Value for $type {
            fn field(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )* };
}
values!(RequestId, OrderId, DeviceId, ItemId, i64);

/// The most characters of a text in an event. What comes from others is much shorter; the faults of a whole configuration may be so long.
const TEXT_MAX: usize = 4000;

/// Some of it may be others' words. An event may have several lines.
impl Value for Text {
    fn field(&self) -> Option<String> {
        Some(cut(text::lines(self).into(), TEXT_MAX).into())
    }
}

impl Value for Rupiah {
    fn field(&self) -> Option<String> {
        Some(self.get().to_string())
    }
    fn told(&self) -> String {
        self.to_string()
    }
}

impl<T: Value> Value for Option<T> {
    fn field(&self) -> Option<String> {
        self.as_ref().and_then(Value::field)
    }
    fn told(&self) -> String {
        self.as_ref().map_or_else(|| "-".into(), Value::told)
    }
}

macro_rules! events {
    ($(
        #[doc = $subject:literal]
        $(#[doc = $explanation:literal])+
        $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)? } = $id:literal, $priority:ident, $cause:ident, $line:literal;
    )*) => {
        /// Something that happened. Every field is an id, an amount or a text; `request`, `order`, `device`, `state`,
        /// `item` and `amount` become journal fields.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $(
                #[doc = $subject]
                #[doc = ""]
                $(#[doc = $explanation])+
                $name { $($(#[$field_meta])* $field: $type),* },
            )*
        }

        /// All kinds, in the order of [`Event`].
        pub const TABLE: &[EventKind] = &[$(EventKind {
            index: Index::$name as usize,
            name: stringify!($name),
            message_id: $id,
            priority: Priority::$priority,
            cause: Cause::$cause,
            subject: $subject.trim_ascii(),
            explanation: concat!($($explanation, "\n"),+),
            #[cfg(feature = "manuals")]
            values: &[$(stringify!($field)),*],
        }),*];

        enum Index { $($name),* }

        impl Event {
            /// The facts that all events of its kind share.
            #[must_use]
            pub fn kind(&self) -> &'static EventKind {
                &TABLE[match self { $(Self::$name { .. } => Index::$name as usize),* }]
            }

            /// The fixed name of its kind in the journal.
            #[must_use]
            pub fn message_id(&self) -> &'static str {
                self.kind().message_id
            }

            /// How bad it is.
            #[must_use]
            pub fn priority(&self) -> Priority {
                self.kind().priority
            }

            #[must_use]
            pub fn fields(&self) -> Fields {
                #[allow(unused_mut, reason = "some kinds have no fields")]
                let mut fields = Fields::default();
                match self { $(Self::$name { $($field),* } => { $(fields.put(stringify!($field), $field.field());)* })* }
                fields
            }

            fn line(&self) -> String {
                match self { $(Self::$name { $($field),* } => {
                    $(let $field = $field.told();)*
                    let line = format!($line);
                    // A field that the line leaves out is among the journal's fields.
                    $(drop($field);)*
                    // A missing reason is left out.
                    line.strip_suffix(" (-)").map(str::to_owned).unwrap_or(line)
                })* }
            }
        }
    };
}
