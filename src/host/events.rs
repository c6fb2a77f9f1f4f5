//! The journal: every kind of event that an operator may look for, in one table.
//!
//! A kind has a fixed MESSAGE_ID, a priority, a cause, fields, a line for people, and an entry of the catalog that
//! `journalctl -x` shows. The entry is its doc comment: the first line is the subject, and the rest says what happened and what
//! to do. A MESSAGE_ID is never changed or used for another kind: people search for it.

#[macro_use]
mod kind;

pub use kind::{Cause, EventKind, Fields, Priority, Text};

use kind::Value as _;
use qris_core::order::ids::{DeviceId, ItemId, OrderId, RequestId};
use qris_core::order::money::Rupiah;
use std::fmt;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

events! {
    /// A program is ready.
    /// It read its configuration, opened its database and does its work from now on.
    /// Nothing is to be done.
    Ready { program: Text, version: Text } = "94b7b2644040473cbaee51f6f7380a15", Info, Own, "{program} {version} is ready";

    /// A service cannot start.
    /// Its configuration, or a file that it names, is wrong. Or this computer refuses something that it needs. The service is started again by itself.
    /// Mend what the line names: for a configuration it names file, line and key. The option --check says whether all is good now.
    CannotStart { program: Text, why: Text } = "b6a8a68f41434b5bb0cf65f475a680c9", Err, Own, "{program} cannot start: {why}";

    /// A service ended because something failed while it ran.
    /// Everything that it knows is stored. It is started again by itself, and goes on from there.
    /// If it happens again: read this line, and the events before it.
    EndedByFailure { program: Text, why: Text } = "50f2f402ed034de09598afb47986983f", Err, Own, "{program} ended: {why}";

    /// A service met a fault of its own.
    /// Everything that it knows is stored. It is started again by itself, or goes on without the part that failed.
    /// Send this line and the events before it to the makers of the program. The fault is in the program, not in its configuration.
    ProgramFault { program: Text, why: Text } = "b978f2233a714260b8215c4740606897", Err, Own, "{program} has a fault of its own: {why}";

    /// A program stops because it was told to.
    /// Everything that it knows is stored. It goes on from there when it is started again.
    /// Nothing is to be done.
    Stopping { program: Text, why: Text } = "701da3b955a34a1395abac9619cacb6e", Info, Own, "{program} stops: {why}";

    /// The program was told to read its configuration again, but the configuration is wrong.
    /// Nothing changed: the program goes on with the configuration that it had.
    /// Mend what the line names, try it with --check, and reload again.
    ReloadRefused { program: Text, why: Text } = "aa4db58ef14044b9ba1c9a05afda1ed5", Warning, Own, "{program} goes on with its old configuration, because the new one is wrong: {why}";

    /// A damaged database was set aside, and a new one was begun.
    /// Nothing was deleted: the old file stands beside the new one, with its time in its name.
    /// Keep the old file until the damage is understood, and look at the disk: damage after a power cut mostly means a worn or dishonest card.
    StoreSetAside { path: Text, aside: Text } = "7580d47aa9364a1fa9e29bd8d0a9a3d9", Err, Own, "the database {path} was damaged: it was set aside as {aside}, and a new one was begun";

    /// A database is older than it was, or new where there was one.
    /// The mark beside it had counted more than it has. Somebody put an older copy in its place, or removed it, or its disk lost what was written.
    /// Of a machine's database: nothing is to be done at once, because the backend and the ledger know its orders. Of the merchant's books: each order that had no end in them is a person's now (no_proof), and nothing of it goes back by itself. If there is a newer copy, stop serve, put that in place with qris-backend restore, and look at what it lists.
    StoreBehind { path: Text, has: i64, had: i64 } = "4b07e861134342cba37bf543b91e1152", Err, Own, "the database {path} has {has} entries, and had {had} or more once: what came after them is lost";

    /// No machine is let in, but the books have orders of machines.
    /// The database of the machines (devices.db, beside the books) was lost. Each machine gets 401, and sells nothing.
    /// Put a backup of it in its place and start again; or give each machine a new token: qris-backend device add ID, then qrisctl setup on the machine.
    MachinesLost {} = "8736fdec34a54aa0acc272297271839a", Err, Own, "no machine is let in, but the books have orders: devices.db was lost";

    /// Refunds wait for a person, although the backend begins refunds by itself.
    /// The machine told that nothing came before auto_refund was on, or over its limit of a day, or the gateway's time is over. A person may have seen to them in a way that the books do not know.
    /// Look at them with qris-backend orders --refund-due. Start each refund that is owed, or say what was done instead.
    RefundsLeft { orders: i64, amount: Text, since: Text } = "c7f28d0a5b9149c2a6a0f1b8e54d3377", Warning, Own, "{orders} orders wait for a person's refund, {amount} in all: auto_refund is on since {since}, and gives back what came to nothing since then";

    /// The database cannot be written.
    /// Nothing new is sold until it can be written. Everything stored before stays good.
    /// Make room on the disk, or check whether the disk became read-only.
    StoreFailing { path: Text, why: Text } = "87f60d6a47784c4aa985cd97ed85d0d6", Err, Own, "the database {path} cannot be written: {why}";

    /// The database can be written again.
    /// What waited for it goes on by itself.
    /// Nothing is to be done.
    StoreBack { path: Text } = "f20ccec802334e92970d091223119f63", Notice, Own, "the database {path} can be written again";

    /// A server of the database is not the primary any more.
    /// Another one was promoted, and the books are there. Nothing is written to this one any more. What was written to it after the promotion is not in the books: the orders are named, with their state there and in the books. Machines that were let in or revoked there are lost, too.
    /// Stop that server. Run qris-backend reconcile --order ORDER for each order: it takes up what Midtrans knows. Tell once more what only you know: refunds by hand, goods that were handed over, machines. Then make the server a standby (pg_rewind, or a new copy).
    PrimaryOvertaken { server: Text, what: Text } = "caef5d9b70ae4a8ab710a41c731ec629", Err, Own, "the database server {server} is the primary of before a fail-over: {what}";

    /// The log of a database is long, and does not become shorter.
    /// Another program has read the database for a long time, and keeps the log as it was when it began. Each sale makes the log longer, until the disk is full.
    /// Find that program, and end it: fuser -v PATH names it. Mostly it is a forgotten sqlite3, or a copy that hangs.
    StoreLogLong { path: Text, mib: i64 } = "5b0f6a1e8c324d0fb6c9e2d4a7715c38", Warning, Own, "the log of the database {path} has {mib} MiB: another program has read the database for a long time";

    /// The database was written by a newer release, and this one cannot go on with it.
    /// The database is not changed, and nothing is sold.
    /// Install the newer release again.
    StoreNewer { path: Text, found: i64, known: i64 } = "3c0eb0b688a14c87ae23a8e0a154c6e7", Err, Own, "the database {path} has version {found}, but this program knows only {known}: nothing is sold";

    /// The machine has a fault.
    /// The line says which, and the details. status, the merchant's page and qrisctl doctor show it as long as it lasts.
    /// Run qrisctl doctor as root: it says what to do. So does /usr/share/doc/qrisd/using/faults.md.
    FaultBegan { fault: Text, why: Text } = "c19d7e40b3a84f7f9a52d06b8e3f41aa", Warning, Own, "the machine has the fault {fault}: {why}";

    /// TLS refuses the dates of a certificate, and the clock may be wrong.
    /// Payments do not depend on the clock, but connections do.
    /// Look at the time service (timedatectl) and at the battery of the clock. If the clock is right, the certificate is over: renew it.
    ClockTrouble { why: Text } = "a3b37cc4cc5f4eaf998eea492ab267f2", Err, Own, "the clock may be wrong: {why}";

    /// Somebody looks after the machine, and nothing is sold meanwhile.
    /// An upgrade, a restart or a person asked for it. A customer who is there is served to the end first.
    /// Nothing is to be done: it ends by itself after the time that is named.
    MachineHeld { by: Text, seconds: i64 } = "93e8ba9d1878449aa5e66a315f33b579", Notice, Own, "held by {by} for {seconds} s: nothing is sold meanwhile";

    /// A shutdown or reboot would not wait for a customer.
    /// logind did not let this program delay it. The machine sells all the same.
    /// Look at the line's reason: mostly a rule of polkit, or no polkit. Reboot only when nobody is at the machine.
    ShutdownUnguarded { why: Text } = "0b1b74ea5fff44f09479760ef4074c25", Warning, Own, "a shutdown would not wait for a customer: {why}";

    /// Scripts cannot see that a customer is there.
    /// The file that tells them could not be written. The machine sells all the same, and a shutdown waits all the same. It is told once until the file can be written again.
    /// Make room in /run. Until then ask with qrisctl hold.
    CustomerUntold { path: Text, why: Text } = "1b6a2155635c47aa92612eb39c507734", Warning, Own, "{path} does not tell whether a customer is there: {why}";

    /// The machine sells again.
    /// The one who looked after it is done, or its time is over.
    /// Nothing is to be done. If its time was over: see what became of the upgrade or restart.
    MachineReleased { by: Text, why: Text } = "70f9663f54204e408ebda07ba65d7ba0", Notice, Own, "no longer held by {by}: {why}";

    /// Settings that came from afar are in force.
    /// An operator has signed them, and no customer was there. What they do not say is as in the machine's own file.
    /// Nothing is to be done.
    SettingsTaken { version: i64, by: Text } = "3705e335f7d7434c88455dd7349ffbc5", Notice, Own, "settings version {version} are in force; signed by the key {by}";

    /// Settings came from afar, and wait.
    /// An operator has signed them. They are kept, also through a power cut, until it is their time and no customer is there.
    /// Nothing is to be done.
    SettingsWait { version: i64, until: Text, by: Text } = "4c1f0f5b8ad24c6f9c0e3a7d52b86e19", Notice, Own, "settings version {version} wait until {until}; signed by the key {by}";

    /// Settings that came from afar were refused.
    /// Nothing changed: the machine goes on with the settings that it had.
    /// Mend what the line names, and send them again with a new version. config/reported names every wrong value.
    SettingsRefused { what: Text, by: Text, why: Text } = "6444c9fcc7fe46f299dae6222baf6beb", Warning, Strangers, "{what} refused, signed by {by}: {why}";

    /// An operator has a command carried out.
    /// The key is one of keys.json, and may do this. A command that changes anything was stored before it was begun.
    /// Nothing is to be done.
    CommandTaken { command: Text, id: Text, by: Text } = "5504fe937d8648b8a0a10cc5c0a5bc5f", Notice, Own, "command {command} ({id}) by the key {by}";

    /// The command of an operator has its end.
    /// It is carried out once. The same id again gets the same answer.
    /// If it failed: mend what the line names, and send another one.
    CommandEnded { command: Text, id: Text, by: Text, result: Text } = "597bacd8f20a486e827c02a3e22487fc", Notice, Own, "command {command} ({id}) by the key {by}: {result}";

    /// A question of an operator was answered.
    /// The key is one of keys.json, and may ask this. Nothing was changed. Whoever hears the question at the broker can send it again until its time is over.
    /// Nothing is to be done.
    QuestionAnswered { command: Text, id: Text, by: Text, result: Text } = "4d76ccba2c3643cebff049a4d57300b9", Notice, Strangers, "question {command} ({id}) by the key {by}: {result}";

    /// A command was refused.
    /// Nothing was done.
    /// If it is genuine: mend what the line names. If not: somebody publishes on the broker without permission.
    CommandRefused { command: Text, by: Text, why: Text } = "b33def14313f41c6a50534e630a402d5", Warning, Strangers, "command {command} refused, signed by {by}: {why}";

    /// The system that was installed did not prove itself in time.
    /// Broker, backend, screen, relay service and database must all work within ten minutes, and no fault that needs a person may be new. The computer is restarted, and the bootloader counts.
    /// Nothing is to be done at once: it goes back by itself. Then look at the image.
    UpdateUnproven { starts: i64, why: Text } = "5fad8269d7de45c2b7f1d0fad92a2115", Err, Own, "the new system did not prove itself ({starts} restarts before): {why}: the computer is restarted";

    /// The system that runs has proven itself.
    /// Broker, backend, screen, relay service and database work. RAUC was told, and the bootloader keeps this system.
    /// Nothing is to be done.
    SystemGood { slot: Text } = "bdbdc46540e849109a87b5b621663608", Notice, Own, "the system in {slot} has proven itself";

    /// The bootloader went back to the system of before.
    /// The one that was installed did not start, or did not prove itself.
    /// Nothing is to be done at once: the machine sells. Look at the image before it is installed again.
    SystemWentBack { from: Text } = "989044b0d734465c92a4cdc61251ea9a", Err, Own, "the bootloader went back: the system in {from} did not prove itself";

    /// The line of an item is driven for a test.
    /// An operator who may do this has signed it, for this machine. It is no order.
    /// Nothing is to be done.
    TestBegins { item: ItemId, line: Text, by: Text } = "6bf78f1a67324a90bb235d9a69134dc9", Notice, Own, "line {line} is driven for a test of {item}, by the key {by}";

    /// A test of a line has its end.
    /// If it did not deliver, the line may be blocked, as after an order.
    /// If it failed: look at the line.
    TestEnded { item: ItemId, line: Text, state: Text, detail: Text } = "215e3df56a0440f593331489b892afee", Notice, Own, "the test of {item} on line {line}: {state} {detail}";

    /// The MQTT broker is connected.
    /// Requests come in and events go out again. Messages that waited are sent now.
    /// Nothing is to be done.
    BrokerConnected { broker: Text } = "e565d22a21924fefa87d4021c6106a1b", Notice, Own, "connected to the broker {broker}";

    /// The MQTT broker cannot be reached.
    /// The program tries again by itself, and nothing is lost meanwhile.
    /// If it lasts: look at the network, the broker, the password and the certificates.
    BrokerLost { broker: Text, why: Text } = "1b2e3b938fda4fc795de6b9115e095ff", Warning, Own, "lost the broker {broker}: {why}";

    /// The broker refuses a topic that the program needs.
    /// What goes over this topic does not come through. All else works.
    /// Let the program's user write or read the topic in the broker's access list: see config/mosquitto.acl.
    TopicRefused { broker: Text, topic: Text, why: Text } = "5a948270dc4446d0a355e603d3b62e29", Err, Own, "the broker {broker} refuses {topic}: {why}";

    /// Another computer has the machine's client id at the broker, and takes its place there.
    /// Each of them throws the other one out, again and again. Requests, commands and settings hardly come through. The backend was told.
    /// Find the other computer: it has the machine's token. If it may be in foreign hands: qris-backend device revoke DEVICE, then device invite.
    PlaceTaken { broker: Text } = "7dc9c4689e034909a7168731fdd59993", Err, Own, "taken over: another computer throws this machine out of the broker {broker}, again and again";

    /// Somebody filled or counted a slot, or said what was done to it.
    /// The sums of the slot begin from that. Of an order that is on its way nobody takes part in it.
    /// Nothing is to be done.
    StockChanged { item: ItemId, change: Text, before: Option<i64>, after: i64, by: Text } = "9db2fe827252492da531d507b202ae34", Notice, Own, "stock of {item}: {change}, from {before} to {after}, by {by}";

    /// A slot has other goods than those that were counted in it, or its item is not sold here any more.
    /// The count of the former goods does not count for the new ones. Until somebody has counted them the slot is sold as one that nobody has counted, with the fault `stock`.
    /// Count what is in it now: at the open door, or with `qrisctl stock count`. If only its name was written in another way, the count of before stands in this line.
    OtherGoods { item: ItemId, had: Text, goods: Text, before: i64 } = "5d7c1c2f0e7b4a53a4f0b6f3c28e91d4", Notice, Own, "stock of {item}: it has {goods} now; {before} of {had} were counted in it";

    /// A request was refused before anybody could pay.
    /// The reason is one of the reasons of vend/event. Nothing was charged.
    /// If the item should be sold: correct what the reason names.
    OrderRefused { request: Option<RequestId>, item: Option<ItemId>, state: Text, reason: Text, detail: Text } = "940ec4f06dab4ba0af3a7fc3a4730926", Notice, Strangers, "request {request} refused: {reason} ({detail})";

    /// An order went into another state.
    /// The new state was stored before anybody saw it.
    /// Nothing is to be done.
    OrderMoved { request: RequestId, order: Option<OrderId>, item: ItemId, amount: Rupiah, state: Text, reason: Option<Text> } = "05763477533a4fd6b2063162ab1d2c81", Info, Own, "request {request}: {state} ({reason})";

    /// A receipt was refused.
    /// It was forged, altered, for another machine, signed with a key that is not known here, or its ticket is not open here. Nothing was driven.
    /// If it is genuine: compare keys.json with the keys of the backend. If not: somebody publishes on the broker without permission.
    ReceiptRefused { request: Option<RequestId>, order: Option<OrderId>, why: Text } = "b7905688f3634548949d05c012a47280", Warning, Strangers, "receipt for order {order} refused: {why}";

    /// A paid order was not delivered.
    /// The screen told the customer so, and the money must go back.
    /// Refund the order at the backend, or hand the goods over and record that there.
    RefundDue { request: Option<RequestId>, order: OrderId, device: Option<DeviceId>, item: ItemId, goods: Text, amount: Rupiah, why: Text } = "ff05b4bb66264f489b54dfcba1992692", Err, Own, "order {order}: refund due of {amount} for {goods}, {why}";

    /// Nobody knows whether a paid order was delivered.
    /// The power went, or the hardware failed, while the line was driven. It is never driven again for this order.
    /// Look at the machine or ask the customer, then settle it at the backend: refund, or delivered.
    OutcomeUncertain { request: Option<RequestId>, order: OrderId, device: Option<DeviceId>, item: ItemId, goods: Text, amount: Rupiah, detail: Text } = "269c0524140947ffb1cb4bc8750f032e", Err, Own, "order {order}: nobody knows whether {goods} came out ({detail})";

    /// Two different outcomes were told for one order.
    /// The outcome that the relay has signed stands; if none is signed, the first one stands. While the order is listed for this (conflict), no refund runs by itself.
    /// Look at the machine's journal for this order. If it is listed, decide at the backend: qris-backend orders ORDER.
    OutcomeConflict { order: OrderId, device: Option<DeviceId>, told: Text, kept: Text } = "d9f13581b4f94bdbb6bf28ba2850d2a2", Err, Strangers, "order {order}: outcome {told} was told, but {kept} stands";

    /// The backend's books do not have an order of this machine.
    /// The books were lost, or restored from an older backup, and the backend does not find the order at the gateway either. The machine goes on asking and selling. It ends the order when the order's own time is over.
    /// Run qris-backend reconcile --order ORDER: it asks the gateway once more, and puts the order into the books if it was charged. If that does not help, put the newest backup of the books in place.
    OrderLost { request: RequestId, order: OrderId, item: ItemId, amount: Rupiah, state: Text } = "7d8df24acf5d4bd7b11aeb3c0068f720", Err, Own, "order {order}: the backend's books do not have it; it is {state} here";

    /// The machine tells the outcome of an order, but the backend says that this order does not exist.
    /// The machine told it for a day. The backend does not take the outcome, so the machine stops telling it.
    /// Run qris-backend reconcile --order ORDER, which takes a lost order back if it was charged. Then settle the order by hand with the outcome in this line.
    OutcomeUnwanted { request: RequestId, order: OrderId, item: ItemId, amount: Rupiah, state: Text } = "e9a224209db14baaa419919127235a27", Err, Own, "order {order}: the backend knows no such order, so the machine stops telling it {state}";

    /// The relay service does not answer.
    /// Nothing is sold. An order on the screen is cancelled, and a paid order waits for the relay.
    /// Look at qris-relayd: systemctl status qris-relayd.
    RelayGone { why: Text } = "242dfe1e1cde4d6bbdf28c3069a698ef", Err, Own, "the relay service does not answer: {why}";

    /// The relay service answers.
    /// What waited for it goes on by itself.
    /// Nothing is to be done.
    RelayBack {} = "1a8296b7b28c4e22b08ab61b31b8db55", Notice, Own, "the relay service answers";

    /// The screen cannot be drawn.
    /// A machine that needs its screen sells nothing, and an order on the screen is cancelled.
    /// Look at the panel, its cable and the device named in [screen].
    ScreenGone { why: Text } = "59cd31b0e07445afb3e20f9dafbe70d0", Err, Own, "the screen cannot be drawn: {why}";

    /// The screen can be drawn again.
    /// The machine sells again.
    /// Nothing is to be done.
    ScreenBack {} = "10799cb329f34d879e6b8f7f5ab436d3", Notice, Own, "the screen can be drawn again";

    /// The backend cannot be reached.
    /// New requests fail within 15 s. Paid orders are delivered as soon as their receipts come.
    /// If it lasts: look at the network, the backend's address, the token and the certificates.
    BackendUnreachable { why: Text } = "6186c77466564625b54558c15215fde4", Warning, Own, "the backend cannot be reached: {why}";

    /// The backend can be reached again.
    /// What waited for it goes on by itself.
    /// Nothing is to be done.
    BackendBack {} = "841c68b7862943728d2fd1430f8591da", Notice, Own, "the backend can be reached again";

    /// `qris-backend serve` does not answer the desk.
    /// The people's pages say that the shop cannot be reached. Nothing is lost, and machines sell as before.
    /// Look whether qris-backend runs, and whether its database answers.
    DeskUnanswered { why: Text } = "7191071b4c17ee41777c44c2be286695", Warning, Own, "qris-backend does not answer the desk: {why}";

    /// The desk did not take a form.
    /// It may come from another site, from another address than desk.url, or without a cookie. Nothing was done.
    /// If a person cannot get in: this line says why, and qris-backend doctor tries a form.
    DeskFormRefused { from: Text, why: Text } = "4f0cb7d2a91e4c6f8d35b0e7a6612c9d", Warning, Strangers, "a form from {from} was not taken: {why}";

    /// The desk listens for people in the local network.
    /// Whoever came in there by a link sees, and settles nothing.
    /// Nothing is to be done.
    DeskHome { listen: Text } = "9d0c3f5a7be14f7e8f25f2d8a06c41b3", Notice, Own, "the desk listens for the local network at {listen}";

    /// The desk cannot listen for people in the local network.
    /// Nobody sees the desk there. It tries again by itself.
    /// Look which program has that address, or say another one as desk.home.
    DeskHomeAway { listen: Text, why: Text } = "5b7e42c98d1f4a06b3c7e915f0d82a64", Warning, Own, "the desk cannot listen for the local network at {listen}: {why}";

    /// The desk did not answer a request in the local network.
    /// It came from outside of it, by a tunnel or a web server, or from a page of another site. Nothing was shown.
    /// If a person cannot get in: this line says why.
    DeskHomeRefused { from: Text, why: Text } = "e1a86d37c4f24b50a9d3706e58b9f21c", Warning, Strangers, "a request from {from} was not answered in the local network: {why}";

    /// A web server in front tells an address that cannot be read.
    /// Everybody who comes through it counts as one, so the limits of an address hold for all of them together. This is told once.
    /// See that the web server sets X-Forwarded-For to the address of whoever asks.
    ForwardedUnread { proxy: Text } = "b6a2d0f5e3c74879912c5d8fe04a7b31", Warning, Own, "the web server at {proxy} tells no address in X-Forwarded-For that can be read";

    /// `qris-backend serve` answers the desk again.
    /// The people's pages are there again.
    /// Nothing is to be done.
    DeskAnswered {} = "666e6a1469750990e1b38cfbc3541d15", Notice, Own, "qris-backend answers the desk again";

    /// The relay service did not promise to deliver an item.
    /// So nobody was asked to pay for it.
    /// If the item should be sold: correct what this line names.
    TicketRefused { item: Option<ItemId>, amount: Option<Rupiah>, why: Text } = "ae65d688364e499ea6a72514dd105dae", Notice, Strangers, "no ticket for {item}: {why}";

    /// A line is about to be driven.
    /// The ledger has it, so it happens at most once.
    /// Nothing is to be done.
    PulseBegins { request: RequestId, order: OrderId, item: ItemId, amount: Rupiah, line: Text } = "e43b045619c64616876a051bfd69ce29", Info, Own, "order {order}: driving line {line} for item {item}";

    /// A line was driven and is inactive again.
    /// The ledger has the outcome.
    /// Nothing is to be done.
    PulseEnds { request: RequestId, order: OrderId, item: ItemId, amount: Rupiah, line: Text, state: Text, detail: Text } = "fbf7374eddff4e74a91db2b53535191b", Info, Own, "order {order}: {line} was driven, {state} ({detail})";

    /// A line was driven and nothing came out.
    /// The sensor saw nothing in time, or the hardware refused. The line takes no more orders.
    /// Look for an empty or jammed spiral, then clear the line.
    DeliveryFailed { request: RequestId, order: OrderId, item: ItemId, amount: Rupiah, line: Text, detail: Text } = "d6e5f7c361454da1b91fc28f2794fe24", Err, Own, "order {order}: {line} did not deliver {item}: {detail}";

    /// The ledger was damaged or lost, and a new one was begun.
    /// All older receipts are void, because their tickets are gone. So nothing is driven twice. Orders that were paid meanwhile end as refund due.
    /// Keep the old file, and look at the disk.
    LedgerReset { path: Text, aside: Text } = "e0c88fbafb504176adf2d65abd4b4394", Err, Own, "the ledger {path} was damaged: it was set aside as {aside}, and all older receipts are void";

    /// The ledger was gone, or empty, and a new one was begun.
    /// The mark beside it says that there was one. All older receipts are void, because their tickets are gone. So nothing is driven twice. Orders that were paid meanwhile end as refund due.
    /// Find out who removed it. Do not put an old copy in its place: the relay service would set it aside.
    LedgerLost { path: Text, counted: i64 } = "e5066e7db02a4261adc1a41a1a04d920", Err, Own, "the ledger {path} was gone or empty, and had counted {counted} pulses and tickets: a new one was begun, and all older receipts are void";

    /// A line is blocked.
    /// Its items are refused before anybody can pay for them.
    /// Look for an empty or jammed spiral, then clear the line: qrisctl relay clear ITEM, or the button inside the door.
    LineBlocked { item: ItemId, order: Option<OrderId>, line: Text, why: Text } = "7464ca72746448e1b9abd99a3eb78b61", Err, Own, "{line} is blocked: {why}";

    /// A blocked line was cleared.
    /// Its items are sold again.
    /// Nothing is to be done.
    LineCleared { item: ItemId, line: Text, by: Text } = "33c95b570f9c409f9e542131fb990cd2", Notice, Own, "{line} was cleared by {by}";

    /// The hardware of a line or a button does not work.
    /// The items of such a line are refused before anybody can pay for them. Such a button does nothing.
    /// Look at the chip and offset in relay.toml, at the group of the device file and at the wiring.
    HardwareFault { line: Text, why: Text } = "bea290fef0c645959bb392799ab21181", Err, Own, "{line}: {why}";

    /// A sensor is active before its line is driven.
    /// Something is in its beam, or it is broken. It would not see goods fall, so nothing is driven and no ticket is given for its lines.
    /// Take out what is in the chute, and clean the sensor. It goes by itself within some seconds.
    SensorActive { line: Text, why: Text } = "67053f64b5f546bdb0f49cf3b5dc21c4", Err, Own, "{line}: {why}";

    /// Two lines missed, one after the other, and their sensor saw nothing between.
    /// The sensor is the suspect. All its lines are closed, and customers are refused before they can pay.
    /// Let something pass the sensor and look whether it sees that. Then clear any line of it: qrisctl relay clear ITEM, or the button inside the door.
    SensorSuspect { line: Text } = "b388299290e54693a5ae854b63472889", Err, Own, "two lines with the sensor of {line} missed, and it saw nothing between: all its lines are closed";

    /// A person has looked at a sensor that was the suspect.
    /// Its lines sell again, but for those that are blocked themselves.
    /// Nothing is to be done.
    SensorCleared { line: Text, by: Text } = "1a0127e3cc53484e91feb55e3423209d", Notice, Own, "the sensor of {line} was cleared by {by}";

    /// Something passed a sensor after the end of a drive of which it saw nothing.
    /// It may be the goods, or a hand in the chute. The end was signed before, and stays. The order's history at the backend says it, too.
    /// If this comes often, set late_within_ms of the sensor higher.
    PassedLate { item: ItemId, order: Option<OrderId>, line: Text } = "08df4c40674443509c9fadf4b27dec24", Notice, Own, "{line}: something passed its sensor after it was told that {item} did not come";

    /// A machine's own board says that goods came, and no job waited for them.
    /// They may be the goods of the order before. That order failed or is uncertain, its end was signed, and it stays. Or somebody
    /// turned that motor by cash, or at the board's own menu.
    /// Look whether the last order of this line was refunded, and count the slot.
    CameLate { order: Option<OrderId>, line: Text } = "5d0f8a4be2b946a79c9b62f1c87e3d15", Notice, Own, "{line}: its board says that goods came, and no job waited for them";

    /// The D-Bus service cannot be reached.
    /// Nobody can ask this program for anything. It tries to connect again by itself, and finishes the work that it had begun.
    /// Look at the bus (systemctl status dbus), at its policy for this program, and at the address in the configuration.
    BusGone { why: Text } = "61ee45cea78e857f6035d0cfcb9a1ff5", Warning, Own, "D-Bus cannot be reached: {why}";

    /// Controllers on this board cannot reach qrisd.
    /// It did not get its D-Bus name or its socket. It tries again by itself, and everything else goes on: requests over MQTT and from buttons are sold.
    /// Look for another copy of qrisd that has the name. Look at the bus (systemctl status dbus), at its policy for this program, and at [controller] in the configuration.
    ControllerUnreachable { why: Text } = "bcdcd5952b804164b2b3bcd4d8b1b31c", Warning, Own, "controllers on this board cannot reach qrisd: {why}";

    /// A charge was made at the gateway.
    /// The customer can pay it until it is cancelled or expires.
    /// Nothing is to be done.
    ChargeMade { request: RequestId, order: OrderId, device: DeviceId, item: ItemId, goods: Text, amount: Rupiah } = "278ab9923a2a4ae385fe990ea7108bec", Info, Own, "order {order}: {amount} is asked for {goods}";

    /// The gateway refused a charge.
    /// The order failed before anybody could pay.
    /// Correct what the gateway names: mostly the Server Key, the payment type or the account.
    ChargeRefused { request: RequestId, order: OrderId, device: DeviceId, item: ItemId, goods: Text, amount: Rupiah, why: Text } = "ae7d2488212c4a3893522dd82473cc52", Warning, Own, "order {order}: no charge of {amount} for {goods}: {why}";

    /// Charges fail one after the other, for one reason.
    /// Nothing can be sold: each request fails before anybody can pay. It is told once until a charge is made again.
    /// Correct what the line names: mostly the Server Key, the account at the gateway, or what it answers. Then look at qris-backend doctor.
    ChargesFailing { count: i64, why: Text } = "75e5211c179648729db002424c82f79b", Err, Own, "the last {count} charges failed: {why}";

    /// A charge was made again.
    /// Machines sell again.
    /// Nothing is to be done.
    ChargesBack {} = "ca4fd693688b41b1a91bffff0304fa57", Notice, Own, "a charge was made again";

    /// A charge was cancelled at the gateway.
    /// Nobody can pay it any more.
    /// Nothing is to be done.
    OrderCancelled { request: RequestId, order: OrderId, device: DeviceId, why: Text } = "01359863f2284884a15fa46a8fba00ba", Info, Own, "order {order}: cancelled ({why})";

    /// A receipt was signed.
    /// The gateway itself said that this order is settled, and everything matched the charge.
    /// Nothing is to be done.
    ReceiptSigned { request: RequestId, order: OrderId, device: DeviceId, item: ItemId, goods: Text, amount: Rupiah } = "2c93dcc0a2c7436ea0de40d26ef907cd", Info, Own, "order {order}: receipt signed, {amount} for {goods}";

    /// A QR pays another merchant than the QRs before it.
    /// The QR is shown, and the item is sold all the same. But somebody else may get the money.
    /// Compare the number with that of your QRIS (NMID). If it is not yours, switch the machines off and ask the gateway.
    OtherMerchant { order: OrderId, device: DeviceId, merchant: Text, first: Text } = "3eb3df1a39396da05734c64ea2d43110", Err, Own, "order {order}: its QR pays the merchant {merchant}, but earlier QRs paid {first}";

    /// A settlement does not match its charge.
    /// No receipt was signed, and the order is kept for a person.
    /// Compare the order with the transaction in the gateway's dashboard. Refund it there, or settle it at the backend.
    SettlementMismatch { request: Option<RequestId>, order: OrderId, device: Option<DeviceId>, amount: Option<Rupiah>, why: Text } = "388e381ab04e4506b5c8f6c0aaa910e4", Err, Own, "order {order}: settled, but not as charged: {why}";

    /// A person must look at a paid order.
    /// The machine never told an outcome, nobody confirms whether it is paid, the gateway refused a refund or took the money back, its time for a refund comes to an end, or news came after the order was settled.
    /// Look at it: qris-backend orders --attention, and qris-backend orders ORDER for its history.
    OrderListed { request: RequestId, order: OrderId, device: DeviceId, item: ItemId, goods: Text, amount: Rupiah, why: Text } = "628bd735891d40559af0647be1f8c2ec", Warning, Own, "order {order}: {goods} for {amount}: a person must look at it: {why}";

    /// A customer's money went back.
    /// The gateway says that it is refunded, or a person settled it by hand.
    /// Nothing is to be done.
    OrderRefunded { request: RequestId, order: OrderId, device: DeviceId, item: ItemId, goods: Text, amount: Rupiah, why: Text } = "072b4066fe8946dc85dc0212d00065f3", Notice, Own, "order {order}: {amount} for {goods} went back ({why})";

    /// A notification was refused.
    /// It was malformed, or its signature was wrong. Nothing was changed.
    /// If it came from the gateway: compare the Server Key with the dashboard. If not: somebody else knows the address and tries it.
    NotificationRefused { order: Option<OrderId>, why: Text } = "3546239b82944a91ba26b672b88035a5", Warning, Strangers, "notification for order {order} refused: {why}";

    /// The gateway told of an order that is not one of ours.
    /// Another shop on the same account charged it, or it was charged without this backend: it has no metadata of a machine. Or the gateway's answers did not tell for 30 hours whose it is. Nothing was changed, and it is in none of our lists.
    /// If it should be ours: look it up in the gateway's dashboard and settle it there.
    NotificationForeign { order: Option<OrderId>, why: Text } = "475d0834b63c4e78b9947580bfd36045", Notice, Own, "notification for order {order}, which is not ours: {why}";

    /// There is news of an order that is archived.
    /// It was paid after all, or its money went back, or one of these may have happened. Neither the books nor the archive were changed.
    /// Look at it in the gateway's dashboard, and at what became of it: qris-backend orders ORDER --archive FILE.
    ArchivedOrderNews { order: OrderId, why: Text } = "3cb21a6afdfe4315b6c29b699d4f9990", Err, Own, "order {order} is archived, but there is news of it: {why}";

    /// The books had lost an order, and have it again.
    /// It was rebuilt from the gateway's answer and from the metadata of its charge. What a machine told about it before is not known.
    /// Check whether the machine takes it: qris-backend orders ORDER. If not, it is listed after 15 minutes for a person to decide.
    OrderRebuilt { request: RequestId, order: OrderId, device: DeviceId, item: ItemId, goods: Text, amount: Rupiah } = "f0a836b4665840c28e010c10f0665fb5", Warning, Own, "order {order}: {goods} for {amount} was lost from the books, and was rebuilt from the gateway";

    /// The gateway cannot be asked.
    /// New requests are refused for now. The backend asks again by itself about orders that are open.
    /// If it lasts: look at the network, the Server Key and the gateway's status page.
    GatewayUnreachable { why: Text } = "c1eaf5aeec4c4abda2976e052f9272e4", Warning, Own, "the gateway cannot be asked: {why}";

    /// The gateway can be asked again.
    /// What waited for it goes on by itself.
    /// Nothing is to be done.
    GatewayBack {} = "c63ca7464ec5473abd3002e6f610e892", Notice, Own, "the gateway can be asked again";

    /// The gateway used a word that its documents do not have.
    /// An order with such a word is not paid as far as the books know, and they go on asking. Each word is told once.
    /// Look at the order in the gateway's dashboard. If the word means money: give it back by hand, and tell the makers of this program.
    GatewayWord { why: Text } = "b3b49ff697ff41e5b3bf29a5f68ec6ac", Warning, Own, "the gateway says what nobody knows: {why}";

    /// The clock of the merchant's server differs from the gateway's by more than a minute.
    /// Orders are charged, paid and handed out all the same. But no order, offer, payment code or time for a refund ends until the clocks agree: qris-backend goes on by the boot clock, and asks the gateway for the time every 10 seconds. Certificates may be refused meanwhile.
    /// Look at the time service (timedatectl). qris-backend doctor says how far the clock is off.
    ClockDiffers { seconds: i64, word: Text } = "3cfb36c820558d1afc9c789764fc94a5", Warning, Own, "the clock is {seconds} s {word} the gateway's";

    /// The clock of the merchant's server agrees with the gateway's again.
    /// They differ by no more than a minute.
    /// Nothing is to be done.
    ClockAgrees {} = "b058d071166699c372f55f85f773e861", Notice, Own, "the clock agrees with the gateway's again";

    /// The gateway has told no time since qris-backend was started.
    /// So nobody knows whether the clock of the merchant's server is right. No order, offer, payment code or time for a refund ends until the gateway tells. It is asked every 10 seconds.
    /// If the gateway cannot be asked at all, that has a line of its own. If it tells no time over TLS: look at the address (midtrans.base_url).
    ClockUnknown {} = "617d82fd2b7447b5be4650317bff681b", Warning, Own, "the gateway has told no time since the start: nothing ends by time until then";

    /// A device was not let in.
    /// Its token is missing, unknown or revoked.
    /// If it is one of yours: give it a new token (qris-backend device add).
    TokenRefused { device: Option<DeviceId>, why: Text } = "17a4fbddbc074546b1a1dcab1bc98e63", Warning, Strangers, "a device was not let in: {why}";

    /// A device was given a token.
    /// The token was shown once and is stored hashed.
    /// Nothing is to be done if it was you.
    DeviceAdded { device: DeviceId } = "af2171f489d44452abe454eeaa0a08ff", Notice, Own, "device {device} was added";

    /// A code was made that lets a device in once.
    /// The device gets its token and its password at the broker for it. The code is stored hashed.
    /// Nothing is to be done if it was you. Otherwise: qris-backend device revoke DEVICE.
    DeviceInvited { device: DeviceId, until: Text } = "50c08b4d2aa54cb1a0e853b86cdeb56f", Notice, Own, "a code was made for device {device}, good until {until}";

    /// A device used its code and was given a token.
    /// What it had before lets nobody in any more. The code is void when the device first shows its relay's key.
    /// If nobody sets that device up now: qris-backend device revoke DEVICE.
    DeviceEnrolled { device: DeviceId } = "a7875b48e86e461a97964ff2391a2494", Notice, Own, "device {device} was let in by its code";

    /// A person has used a link of the desk, and chosen a password.
    /// The link is used up. All earlier sessions of this person are over.
    /// If this person did not do it: qris-backend desk remove NAME, then add them once more.
    DeskJoined { person: Text, from: Text } = "cde3653285fee491e518b528baf797b8", Notice, Own, "{person} has used a link of the desk, from {from}";

    /// A person is let in at the desk.
    /// The password was right. The session ends by itself: after 12 hours without use, after 30 days at the latest.
    /// If this person did not do it: qris-backend desk link NAME makes a link with which they choose another password, and all sessions end.
    DeskEntered { person: Text, from: Text } = "02e984737067d965497cf35de89d5b8e", Notice, Own, "{person} is let in at the desk, from {from}";

    /// Somebody was not let in at the desk.
    /// The name or the password was wrong, or there were too many guesses before. Wrong ones wait longer and longer.
    /// A person who has forgotten the password gets a new link: qris-backend desk link NAME.
    DeskRefused { person: Text, from: Text, why: Text } = "83ee411dbc967c64380ab41a469b4cbf", Warning, Strangers, "{person} was not let in at the desk, from {from}: {why}";

    /// A code was refused.
    /// It is used up, too old, or was never made for this device.
    /// If somebody sets the device up now: qris-backend device invite DEVICE makes another one.
    EnrolmentRefused { device: DeviceId, why: Text } = "ae786b08615a4f1a8ec7cd0ac185cfef", Warning, Strangers, "device {device} was not let in: {why}";

    /// The device's account at the broker could not be made.
    /// The device has not been told its token. It may try again with the same code.
    /// See to the broker and to [accounts] of backend.toml.
    AccountNotMade { device: DeviceId, why: Text } = "d8bc8376b58045ffa9014cc734863480", Err, Own, "no account at the broker for device {device}: {why}";

    /// A revoked device's account at the broker is over.
    /// It cannot connect there any more. With a file of passwords, the broker must have read the file first.
    /// With a file: see that the broker reads it (systemctl status of what reloads the broker).
    AccountEnded { device: DeviceId } = "b696cb51e1524f73be0682598046548e", Notice, Own, "the account of device {device} at the broker is ended";

    /// A revoked device may still have its account at the broker.
    /// The broker is told again every 15 seconds.
    /// See to the broker and to [accounts] of backend.toml.
    AccountNotEnded { device: DeviceId, why: Text } = "10e7695049aa41fcac499c3cd54a75e7", Err, Own, "the account of device {device} at the broker is not ended: {why}";

    /// Two computers are one device: its card was copied, or set back to an older image.
    /// Both have its token, its password and the key of its relay. What one of them sells, the other one does not know.
    /// Find the second one and switch it off. If it may be in foreign hands: qris-backend device revoke DEVICE, then device invite.
    MachineTwice { device: DeviceId, machine: Text, addresses: Text } = "6ef7360566264ced94f583bda9429229", Err, Own, "two computers are the machine {machine}, at {addresses}";

    /// A device is thrown out of the broker, again and again.
    /// It says so itself. Another computer has its client id at the broker, and so its token.
    /// Find the other computer and switch it off. If it may be in foreign hands: qris-backend device revoke DEVICE, then device invite.
    MachineTakenOver { device: DeviceId, machine: Text } = "48676fc223f14042b58c70431f33820d", Err, Strangers, "the machine {machine} is taken over: another computer throws it out of the broker, again and again";

    /// Of a machine some topics do not get through at the broker.
    /// It says so itself, or it says over HTTP that the broker took a message, and the message did not come; or the broker refuses our messages to it.
    /// Look at the broker's access list: the machine writes its topics there, and the backend reads `status`, `telemetry` and `stock` and writes `payment/update`. See config/mosquitto.acl.
    TopicsSilent { device: DeviceId, machine: Text, topics: Text } = "0f6338cd3d634135a5933e2889301a87", Err, Strangers, "of the machine {machine} these topics do not get through at the broker: {topics}";

    /// A device's tokens were revoked.
    /// It is no longer let in.
    /// Nothing is to be done if it was you.
    DeviceRevoked { device: DeviceId } = "d1470941dba646afb710a4b1ea4c2489", Notice, Own, "device {device} was revoked";

    /// The key of a machine's relay is known.
    /// Refunds of the orders that are made from now on rest on what its relay signs with this key. It was the first key that the machine showed, or a person accepted it.
    /// See that qrisctl relay lines says the same at the machine.
    RelayKeyKnown { device: DeviceId, fingerprint: Text, by: Text } = "8e671e8f9dd09790ab0a6980c24f68b6", Notice, Own, "the relay of device {device} is known by the key {fingerprint} ({by})";

    /// A machine's relay has another key than before.
    /// The machine has another board, card or ledger, or somebody else has the machine's token. What this key signs is not believed, and orders of the machine are not refunded by themselves.
    /// Look at the machine (qrisctl relay lines). If it is its own key: qris-backend device relay-key DEVICE FINGERPRINT --by NAME. If not: replace its token.
    RelayKeyOther { device: DeviceId, fingerprint: Text } = "4c32b2a0e819f9a835f8a9182f1cd251", Warning, Strangers, "the relay of device {device} shows another key than before: {fingerprint}";

    /// The signing key of receipts is in use.
    /// A machine takes only receipts that are signed with a key of its keys.json.
    /// After a rotation: make sure that every machine knows the key (qris-backend keys public).
    KeyInUse { kid: Text } = "e40dbdba5f334888be122639be611b82", Notice, Own, "receipts are signed with the key {kid}";

    /// The file of signing keys was changed, and cannot be used.
    /// Receipts are signed with the keys from before.
    /// Mend the file: the next start fails with it.
    KeysUnusable { why: Text } = "bb075c0b425d41c0bb76642f4d0a90ee", Err, Own, "the file of signing keys cannot be used, so the keys in use stay: {why}";

    /// Somebody was told about something that a person must look at.
    /// The command or the webhook of [alerts] took it.
    /// Nothing is to be done here.
    AlertSent { order: Option<OrderId>, device: Option<DeviceId>, kind: Text } = "0c81591402d547c290cc149f4150edbc", Info, Own, "{kind}: somebody was told (order {order}, device {device})";

    /// The command or the webhook of [alerts] failed.
    /// It is tried again for two days: first after a minute, in the end every hour.
    /// Look at what failed. Meanwhile look at the list yourself: qris-backend orders --attention.
    AlertFailed { order: Option<OrderId>, device: Option<DeviceId>, kind: Text, why: Text } = "cb96200a2a5d484f9ca51a9b2b55125b", Err, Own, "{kind}: nobody could be told (order {order}, device {device}): {why}";

    /// A machine is not there.
    /// It asks the backend for nothing, and sends no report to the broker, or the broker says that it is gone.
    /// Look at its power and its network.
    MachineOffline { device: DeviceId, machine: Text, seconds: i64 } = "9f0422e1471749abb7ecb80ca8c9038b", Err, Own, "the machine {machine} has not been there for {seconds} s";

    /// A machine is there again.
    /// It was missing, and now asks the backend or reports again.
    /// Nothing is to be done.
    MachineBack { device: DeviceId, machine: Text } = "16cb5f2c48e9493ea328066fcb841383", Notice, Own, "the machine {machine} is there again";

    /// Lines were left out of the journal.
    /// Events came too fast, or nobody read them for a while: journald hung, or a pipe or a disk was full. No sale waited for that.
    /// Strangers can cause some kinds, such as refused requests. At most 60 lines a minute are written of these, all together.
    /// Of every other kind, at most 50 at once and 10 a second are written. This line says how many were not written.
    /// Are there many lines of these kinds before this one? Then somebody floods this program.
    /// If not, see whether journald hung: journalctl -u systemd-journald, and the room on the disk.
    LinesSuppressed { count: i64, kind: Text } = "a62d93805b6f483d826da6e0dfe00d9e", Warning, Own, "{count} more events were not written: {kind}";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn message_ids_are_unique_and_well_formed() {
        let ids: BTreeSet<_> = TABLE.iter().map(|kind| kind.message_id).collect();
        assert_eq!(ids.len(), TABLE.len(), "a MESSAGE_ID is used twice");
        for kind in TABLE {
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            assert!(kind.message_id.len() == 32 && kind.message_id.bytes().all(hex), "{}", kind.name);
            assert!(kind.message_id.bytes().collect::<BTreeSet<_>>().len() > 4, "{} is not random", kind.name);
        }
    }

    #[test]
    fn every_kind_has_an_entry_for_the_catalog() {
        for (index, kind) in TABLE.iter().enumerate() {
            assert_eq!(kind.index, index);
            assert!(kind.subject.ends_with('.') && !kind.subject.starts_with(' '), "{}: {:?}", kind.name, kind.subject);
            assert!(kind.text().len() > 20 && !kind.text().contains("\n "), "{}: {:?}", kind.name, kind.text());
        }
    }

    #[test]
    fn an_event_tells_its_line_and_fields() {
        let event = Event::RefundDue {
            request: Some(RequestId::new("r-1").expect("an id")),
            order: OrderId::new("o-1").expect("an id"),
            device: None,
            item: ItemId::new("A1").expect("an id"),
            goods: "Teh botol (A1) at Lobi (vm-001)".into(),
            amount: Rupiah::new(5000).expect("in range"),
            why: "late".into(),
        };
        assert_eq!(event.to_string(), "order o-1: refund due of Rp5.000 for Teh botol (A1) at Lobi (vm-001), late");
        assert_eq!(event.priority(), Priority::Err);
        let some = |text: &str| Some(text.to_owned());
        let wanted = Fields { request_id: some("r-1"), order_id: some("o-1"), item: some("A1"), amount: some("5000"), ..Fields::default() };
        assert_eq!(event.fields(), wanted);
        let refused = Event::OrderRefused {
            request: None,
            item: None,
            state: "refused".into(),
            reason: "malformed".into(),
            detail: "no item".into(),
        };
        assert_eq!(refused.to_string(), "request - refused: malformed (no item)");
        let told = Event::RelayGone { why: format!("a\u{9b}b\u{202e}c\nd{}", "x".repeat(9000)).into() }.to_string();
        assert!(told.contains("a b c\nd") && told.chars().count() < 4100, "{told}");
        let moved = |reason: Option<Text>| Event::OrderMoved {
            request: RequestId::new("r-1").expect("an id"),
            order: None,
            item: ItemId::new("A1").expect("an id"),
            amount: Rupiah::new(5000).expect("in range"),
            state: "cancelled".into(),
            reason,
        };
        assert_eq!(moved(None).to_string(), "request r-1: cancelled");
        assert_eq!(moved(Some("timeout".into())).to_string(), "request r-1: cancelled (timeout)");
        assert_eq!(moved(None).fields().state.as_deref(), Some("cancelled"));
    }
}
