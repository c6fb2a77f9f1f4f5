//! The plays of the search: what their customers do.

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Play {
    /// Somebody asks, pays, and gets the item.
    Sale,
    /// A customer gives up before paying.
    Cancel,
    /// The payment comes long after the machine gave up.
    TooLate,
    /// The payment comes while the cancel is on its way.
    Race,
    /// Paid at a store, and collected.
    Counter,
    /// The power goes for a while, between the payment and its delivery.
    Reboot,
    /// The line jams, and the money goes back by itself.
    Refund,
    /// The line jams, and the customer gets something else in place of the money.
    SecondTry,
    /// Two requests, one right after the other.
    Two,
    /// Somebody buys the last one; then its slot is filled, counted and tested.
    Filled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtSlot {
    Fill,
    Count(u32),
    Test,
}

const FIRST: &str = r#"{"request_id":"r-1","item":"A1"}"#;
const SECOND: &str = r#"{"request_id":"r-2","item":"A1"}"#;
const DEAR: &str = r#"{"request_id":"r-1","item":"B1"}"#;
const AT_STORE: &str = r#"{"request_id":"r-1","item":"B1","payment":"alfamart"}"#;

impl Play {
    pub const ALL: [Self; 10] = [
        Self::Sale,
        Self::Cancel,
        Self::TooLate,
        Self::Race,
        Self::Counter,
        Self::Reboot,
        Self::Refund,
        Self::SecondTry,
        Self::Two,
        Self::Filled,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::Cancel => "cancel",
            Self::TooLate => "too-late",
            Self::Race => "race",
            Self::Counter => "counter",
            Self::Reboot => "reboot",
            Self::Refund => "refund",
            Self::SecondTry => "second-try",
            Self::Two => "two",
            Self::Filled => "filled",
        }
    }

    /// The requests, each with its moment. A controller repeats a request, as MQTT may do.
    pub(super) const fn requests(self) -> &'static [(i64, &'static str)] {
        match self {
            Self::Sale | Self::Cancel | Self::Race | Self::Reboot | Self::Refund | Self::Filled => &[(2_000, FIRST), (40_000, FIRST)],
            Self::TooLate => &[(2_000, FIRST), (40_000, FIRST), (140_000, SECOND)],
            Self::Counter => &[(2_000, AT_STORE), (40_000, AT_STORE)],
            Self::SecondTry => &[(2_000, DEAR), (40_000, DEAR)],
            Self::Two => &[(2_000, FIRST), (3_000, SECOND), (150_000, SECOND)],
        }
    }

    /// So many lie in each slot when it begins: enough for its customers, and for nobody else.
    pub(super) const fn there(self) -> u32 {
        match self {
            Self::Two => 2,
            // A code leaves one piece free.
            Self::Counter => 2,
            Self::Sale | Self::Cancel | Self::TooLate | Self::Race | Self::Reboot | Self::Refund | Self::Filled => 1,
            Self::SecondTry => 1,
        }
    }

    /// What somebody does to the slot, each with its moment.
    pub(super) const fn at_slot(self) -> &'static [(i64, AtSlot)] {
        match self {
            Self::Filled => &[(12_000, AtSlot::Fill), (14_000, AtSlot::Count(2)), (16_000, AtSlot::Test)],
            Self::Sale | Self::Cancel | Self::TooLate | Self::Race | Self::Counter | Self::Reboot | Self::Refund | Self::SecondTry => &[],
            Self::Two => &[],
        }
    }

    /// Is it about what lies in the slots, too? At any moment somebody may fill or empty them then.
    pub(super) const fn is_about_slots(self) -> bool {
        match self {
            Self::Two => true,
            Self::Sale | Self::Cancel | Self::TooLate | Self::Race | Self::Counter | Self::Reboot | Self::Refund | Self::Filled => false,
            Self::SecondTry => false,
        }
    }

    /// How many refunds a day the backend begins by itself.
    pub(super) const fn refunds_by_itself(self) -> u32 {
        match self {
            Self::Refund | Self::SecondTry => 5,
            Self::Sale | Self::Cancel | Self::TooLate | Self::Race | Self::Counter | Self::Reboot | Self::Two | Self::Filled => 0,
        }
    }
}
