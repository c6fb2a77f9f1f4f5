//! The acts and the faults of a run, counted by kind.

macro_rules! kinds {
    ($($name:ident = $text:literal),* $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $(#[doc = $text] $name,)*
        }
        /// The names of the kinds, in their order.
        pub const KINDS: &[&str] = &[$($text),*];
    };
}

kinds! {
    Requests = "requests",
    Repeated = "requests repeated by their controller",
    Reused = "requests with the id and not the body of another",
    Cancels = "cancels",
    OverBus = "requests over D-Bus",
    NoBroker = "seeds without a broker",
    OverCounter = "requests to pay over the counter",
    Settings = "changes of a price from afar",
    Commands = "commands of an operator",
    OtherStream = "commands for another life of the database",
    Clockless = "tests and clears while no clock was trusted",
    Fills = "slots filled or counted",
    Doors = "doors opened",
    OtherSlot = "sales from another slot than the one that was asked for",
    OtherGoods = "slots whose count was forgotten for other goods",
    OtherGoodsInASale = "slots that got other goods while a customer had a QR, a code or another try",
    SoldOut = "requests for what was sold out",
    PaidForNothing = "payments that found nothing",
    Held = "upgrades while nobody was there",
    Executed = "restarts and reboots from afar",
    Updates = "systems installed from afar",
    Proved = "systems that proved themselves",
    ByItself = "systems that RAUC installed by itself",
    StartedAgain = "restarts for a system that had not proven itself",
    NoLine = "lines that a new system could not open, or could again",
    WentBack = "systems that the bootloader gave up",
    TestPulses = "test pulses from afar",
    Clears = "blocks taken off from afar",
    TriesOffered = "second tries offered",
    TriesWished = "second tries asked for on the page",
    TriesPressed = "second tries that somebody wanted",
    PressedOnce = "single presses at the offer of a second try",
    NumbersTold = "numbers of second tries told",
    NumbersGuessed = "numbers of second tries guessed wrong",
    GoodsAndMoney = "goods and money, by a person",
    TriesSigned = "receipts of second tries",
    OffersOver = "offers that nobody came for, and whose money went back by itself",
    Sales = "sales",
    RefundsDue = "refunds due",
    Uncertain = "uncertain",
    Mismatches = "settlements that do not match",
    Unreported = "never reported",
    Unpaid = "unpaid",
    Refunded = "refunded",
    Late = "late payments",
    WithFee = "payments with an imposed fee",
    Again = "sales when all was well",
    QrsAgainstWord = "QRs compared with the relay's last word",
    QrsAgainstRelay = "QRs compared with the relay itself",
    Collected = "goods collected with a code",
    WrongCodes = "wrong codes typed in",
    RefundRequested = "refunds asked for over Midtrans' interface",
    ByHand = "refunds by hand",
    Given = "goods handed over by an attendant",
    HandedOut = "goods taken out of a slot for a customer, by the books",
    CodesHeld = "codes that keep a piece of a counted slot",
    WishRefused = "wishes of the merchant that the books refused",
    RefundOutside = "refunds made at Midtrans",
    PartOutside = "parts refunded at Midtrans",
    RefundInTry = "refunds made at Midtrans while a second try ran",
    PartInTry = "parts refunded at Midtrans while a second try ran",
    Chargebacks = "chargebacks",
    Reversals = "settlements taken back by a counter",
    MachineKilled = "kills of the machine",
    RelayKilled = "kills of the relay",
    BackendKilled = "kills of the backend",
    KilledBetween = "kills between two effects",
    Power = "power cuts",
    MidPulse = "power cuts in mid-pulse",
    MidCommit = "power cuts in the middle of a commit",
    Unsynced = "files that lost what was not synced",
    DiskFull = "full disks",
    ReadOnly = "disks that may only be read",
    DiskError = "disks with input/output errors",
    SyncFails = "single writes, syncs and commits that fail",
    Jams = "jams",
    LateGoods = "goods that fell late",
    HandInChute = "hands in a chute after the end",
    BrokenBeam = "beams broken",
    SensorSuspect = "sensors that became the suspect",
    ScreenGone = "screens lost",
    BusLost = "relay calls lost",
    BusSlow = "relay calls slow",
    CutOff = "installations refused or cut off",
    RaucSilent = "calls to RAUC without an answer",
    RebootUndone = "reboots that nobody carried out",
    HttpLost = "http calls lost",
    HttpAnswer = "http answers lost",
    HttpSlow = "http calls slow",
    LaterWords = "words of a later release",
    HttpForeign = "http calls answered by somebody else",
    BrokerLost = "connections to the broker lost",
    Sessions = "broker sessions lost",
    Doubled = "pushes doubled",
    MidtransLost = "Midtrans calls lost",
    MidtransAnswer = "Midtrans answers lost",
    MidtransSlow = "Midtrans calls slow",
    MidtransForeign = "Midtrans calls answered by somebody else",
    ChargeDenied = "charges that Midtrans denies",
    RefundDenied = "refunds that the bank denies",
    MidtransBehind = "payments that get-status does not tell for seven minutes",
    MidtransAltered = "Midtrans answers that do not match",
    MidtransNames = "Midtrans answers that name another order",
    MidtransWords = "Midtrans answers in a word that nobody knows",
    Pictures = "QRs read from the picture in the national frame",
    NeverConfirmed = "payments that get-status never tells",
    EndedByPerson = "unconfirmed payments that a person ended",
    RefundBounced = "refunds that the bank refuses later",
    RefundUntold = "refunds of which get-status does not tell for up to two hours",
    Notices = "notifications doubled",
    Forged = "notifications forged",
    Partitions = "partitions",
    Clock = "clock at 1970, ahead or jumping",
    MerchantClock = "clock of the merchant's computer jumping",
    Dates = "certificates refused for their dates",
    ClockBack = "trusted times set back",
    Ledgers = "relay ledgers lost",
    Stores = "machine databases lost",
    Cards = "cards set back to an older image",
    Images = "machine databases set back to an older image",
    Clones = "cards cloned",
    Twins = "machines with a cloned card that the backend saw",
    SetBack = "machines with an older card that the backend saw",
    Copied = "books copied while an order is on its way",
    Restored = "backends restored from a backup",
    OldWords = "old words told to restored books",
    BooksLost = "backends whose books are lost",
    Hostile = "hostile messages",
    Strangers = "receipts shown to the relay by a stranger",
    Thief = "acts of a thief with the machine's token and bus",
    Unproven = "refunds that a person wanted without a proof",
    Codes = "codes that let a machine in once more",
    KeysTaken = "keys of a relay that a person took",
    KeysOfLater = "proofs by another key than the order's",
}

impl Kind {
    #[must_use]
    pub const fn name(self) -> &'static str {
        KINDS[self as usize]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts([u64; KINDS.len()]);

impl Default for Counts {
    fn default() -> Self {
        Self([0; KINDS.len()])
    }
}

impl Counts {
    pub fn note(&mut self, kind: Kind) {
        self.more(kind, 1);
    }

    pub fn more(&mut self, kind: Kind, many: u64) {
        self.0[kind as usize] += many;
    }

    #[must_use]
    pub const fn of(&self, kind: Kind) -> u64 {
        self.0[kind as usize]
    }

    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// The kinds that never happened. One is left out: that two memories forgot the same order is no fault of its own, but a
    /// rare result of two.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let rare = KINDS[Kind::Unreported as usize];
        self.all().filter(move |(kind, count)| *count == 0 && *kind != rare).map(|(kind, _)| kind)
    }

    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        KINDS.iter().copied().zip(self.0)
    }
}
