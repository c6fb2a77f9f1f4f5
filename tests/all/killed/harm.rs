//! What is done to a machine and to everything around it, and how it is mended.

use super::database::Database;
use crate::rig::link::{Cable, Link};
use crate::rig::process::Process;
use crate::rig::screen::Screen;
use crate::rig::shop::{Options, Program, Shop};
use crate::rig::tap::{Tap, event};
use crate::rig::{Running, mosquitto::TAP, output};
use crate::two_backends::second_command;
use qris::demo::shop::{item, line};
use qris::sim::middlebox::Foreign;
use qris::sim::rng::Rng;
use qris::wire::vend::EventState;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// Lines of the machine, each with an item of its own: sale n sells item n of them, so a pulse tells whose it is.
pub const LINES: u64 = 48;
const TICK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Victim {
    Program(Program),
    Broker,
    Bus,
    /// The second process of the backend, where the books are in PostgreSQL.
    SecondBackend,
    /// The server that is written to.
    Database,
    Standby,
}

impl Victim {
    /// What is started again if it ends by itself.
    const WATCHED: [Self; 4] =
        [Self::Program(Program::Qrisd), Self::Program(Program::Relayd), Self::Program(Program::Backend), Self::SecondBackend];
}

/// What a power cut ends.
const MACHINE: [Victim; 2] = [Victim::Program(Program::Qrisd), Victim::Program(Program::Relayd)];

/// Between whom: the machine and the broker, the machine and the backend, the backend and Midtrans, the backend and its database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wire {
    Broker,
    Backend,
    Midtrans,
    Database,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Harm {
    /// `kill -9`, and a start some time later.
    Kill(Victim),
    /// Both of the machine's programs at once.
    PowerCut,
    /// SIGTERM, and a start some time later.
    Terminate(Victim),
    /// SIGSTOP, and SIGCONT some time later.
    Stop(Victim),
    /// A wire that is not whole for some time.
    Disturb(Wire, Cable),
    /// Something that Midtrans does by itself, once.
    Midtrans(MidtransFault),
}

/// A fault's name in the figures, and its plan.
type MidtransFault = (&'static str, &'static str);

#[derive(Clone, Copy, Debug)]
enum Repair {
    Start(Victim),
    Continue(Victim),
    Mend(Wire),
}

/// A moment in a sale, at which somebody may lie in wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    Requested,
    Shown,
    Scanned,
    Paid,
    Dispensing,
    Pulse,
    Dispensed,
}

/// A harm that waits for a moment, and strikes so long after it.
struct Ambush {
    moment: Moment,
    after: Duration,
    harm: Harm,
}

/// A request that was made.
pub struct Requested {
    pub request: String,
    /// Its item's line. After so many others another request has the same.
    pub line: u64,
    /// When, in milliseconds of the boot's clock, as a line's edges are written.
    pub at_ms: i64,
}

/// A shop in trouble.
pub struct Ordeal {
    pub shop: Shop,
    pub rng: Rng,
    pub figures: BTreeMap<String, u64>,
    /// What `vend/event` told last of each request: news, which may be lost with a broker.
    pub announced: BTreeMap<String, EventState>,
    /// Every request that was made, in this order.
    pub requests: Vec<Requested>,
    /// Payment codes of requests that are paid at a store.
    pub codes: BTreeMap<String, String>,
    /// Requests that were paid at a store and not collected yet.
    pub to_collect: Vec<String>,
    /// Orders that were paid after Midtrans had called them cancelled.
    pub late: BTreeSet<String>,
    midtrans_link: Link,
    heard: usize,
    repairs: Vec<(Instant, Repair)>,
    next_harm: Instant,
    ambush: Option<Ambush>,
    /// Faults of Midtrans that were planned, and those that are to come before any comes again.
    planned: Vec<MidtransFault>,
    faults_to_come: Vec<MidtransFault>,
    forgetful_broker: bool,
    struck: Vec<(Instant, Harm)>,
    callers: Vec<Running>,
    edges: usize,
    began: Instant,
    journal: String,
    /// A second process of the backend, behind the same address, and how it is started.
    second: Option<Process>,
    start_second: Option<Command>,
    /// The books are in it, if it is there. It ends after the shop.
    database: Option<Database>,
}

impl Ordeal {
    /// A shop with short times, small pictures and many lines.
    pub fn open(seed: u64, broker_persistence: bool, is_on_postgresql: bool) -> Self {
        let orders = "orders_per_minute = 0\ncancel_wait_s = 3\nlate_settlement_grace_s = 3\ndeliver_within_s = 20\n";
        let database = is_on_postgresql.then(Database::start);
        let store = database.as_ref().map(|database| format!("url = \"{}\"", database.url()));
        let items = (0..LINES).map(|n| item(&format!("i{n}"), "Teh", "Tea", 5000)).collect();
        let mut shop =
            Shop::open(Options { machine: false, broker_persistence, orders: orders.into(), items, store, ..Options::default() });
        let midtrans_link = Link::to(shop.midtrans.port);
        let midtrans = (shop.midtrans.url.clone(), format!("http://127.0.0.1:{}", midtrans_link.port));
        shop.edit(Program::Backend, |text| {
            // Midtrans tells either process, as machines ask either.
            let public = |port: &str| format!("public_url = \"http://127.0.0.1:{port}\"");
            let own = shop.backend_url.rsplit(':').next().expect("a port");
            let text = text.replace(&midtrans.0, &midtrans.1);
            if is_on_postgresql { text.replace(&public(own), &public(&shop.backend_link.port.to_string())) } else { text }
        });
        shop.kill_backend();
        shop.start_backend();
        let start_second = is_on_postgresql.then(|| {
            let (start, port) = second_command(&shop);
            shop.backend_link.also_to(port);
            start
        });
        let screen = shop.path().join("screen.raw");
        shop.edit(Program::Qrisd, |text| text.replace("width = 480, height = 800", "width = 300, height = 400"));
        let chip = format!("sim:{}", shop.relay.0.display());
        shop.edit(Program::Relayd, |text| {
            (0..LINES).fold(text, |text, n| {
                let name = format!("i{n}");
                text + &line(&name, &[&name], 2000, &chip, "pulse_ms = 120\n")
            })
        });
        shop.screen = Screen::new(screen, 300, 400);
        shop.start_machine();
        let now = Instant::now();
        let mut ordeal = Self {
            shop,
            rng: Rng::new(seed),
            figures: BTreeMap::new(),
            announced: BTreeMap::new(),
            requests: Vec::new(),
            codes: BTreeMap::new(),
            to_collect: Vec::new(),
            late: BTreeSet::new(),
            midtrans_link,
            heard: 0,
            repairs: Vec::new(),
            next_harm: now,
            ambush: None,
            planned: Vec::new(),
            faults_to_come: Vec::new(),
            forgetful_broker: !broker_persistence,
            struck: Vec::new(),
            callers: Vec::new(),
            edges: 0,
            began: now,
            journal: format!("seed {seed}, persistence {broker_persistence}\n"),
            second: None,
            start_second,
            database,
        };
        ordeal.start(Victim::SecondBackend);
        ordeal
    }

    pub fn add(&mut self, figure: &str) {
        self.add_many(figure, 1);
    }

    pub fn add_many(&mut self, figure: &str, count: u64) {
        *self.figures.entry(figure.to_owned()).or_default() += count;
    }

    pub fn count(&self, figure: &str) -> u64 {
        self.figures.get(figure).copied().unwrap_or_default()
    }

    /// Sales so far: what the machine has told to be dispensed.
    pub fn sold(&self) -> u64 {
        self.announced.values().filter(|state| **state == EventState::Dispensed).count() as u64
    }

    /// A line of the journal that a failure leaves behind.
    pub fn note(&mut self, what: &str) {
        let _ = writeln!(self.journal, "{:9.3} {what}", self.began.elapsed().as_secs_f64());
    }

    /// Milliseconds at random.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.rng.below(to - from))
    }

    /// Goes on for so long, or until there is something; harm is done and mended meanwhile.
    pub fn until<T>(&mut self, patience: Duration, mut look: impl FnMut(&mut Self) -> Option<T>) -> Result<Option<T>, String> {
        let end = Instant::now() + patience;
        loop {
            self.tick()?;
            if let Some(found) = look(self) {
                return Ok(Some(found));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Goes on for so long.
    pub fn pass(&mut self, time: Duration) -> Result<(), String> {
        self.until(time, |_| None::<()>).map(|_| ())
    }

    /// The same, so many milliseconds at random.
    pub fn pass_some(&mut self, from: u64, to: u64) -> Result<(), String> {
        let time = self.millis(from, to);
        self.pass(time)
    }

    /// A new customer: perhaps somebody lies in wait for this sale.
    pub fn prepare_ambush(&mut self) {
        use Moment::{Dispensed, Dispensing, Paid, Pulse, Requested, Scanned, Shown};
        if self.rng.below(100) >= 55 {
            self.ambush = None;
            return;
        }
        let moments = [Requested, Shown, Scanned, Scanned, Paid, Dispensing, Pulse, Pulse, Dispensed];
        let moment = self.pick(&moments);
        let after = if self.rng.below(3) == 0 { Duration::ZERO } else { self.millis(0, 150) };
        let harm = self.draw_program_harm();
        self.ambush = Some(Ambush { moment, after, harm });
    }

    /// A moment has come.
    pub fn passes(&mut self, moment: Moment) {
        if let Some(ambush) = self.ambush.take_if(|ambush| ambush.moment == moment) {
            self.add(&format!("struck when {moment:?}"));
            self.struck.push((Instant::now() + ambush.after, ambush.harm));
        }
    }

    /// Calls the machine over D-Bus as a controller on the same board does, and does not wait for the answer.
    pub fn call_device(&mut self, method: &str, arguments: &[&str]) {
        let mut call = crate::rig::command(crate::rig::tool("busctl"));
        call.args([&format!("--address={}", self.shop.bus.address), "--timeout=5", "call", "io.qrisd.Device1"]);
        call.args(["/io/qrisd/Device1", "io.qrisd.Device1", method]).args(arguments);
        let child = call.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("busctl is there");
        self.callers.push(Running(child));
    }

    fn tick(&mut self) -> Result<(), String> {
        self.hear();
        self.see_line();
        self.callers.retain_mut(|caller| matches!(caller.0.try_wait(), Ok(None)));
        self.look_after_programs()?;
        let now = Instant::now();
        while let Some(at) = self.repairs.iter().position(|(due, _)| *due <= now) {
            let (_, repair) = self.repairs.remove(at);
            self.repair(repair);
        }
        while let Some(at) = self.struck.iter().position(|(due, _)| *due <= now) {
            let (_, harm) = self.struck.remove(at);
            self.strike(harm);
        }
        if self.next_harm <= now {
            self.next_harm = now + self.millis(300, 4_500);
            let harm = self.draw_harm();
            self.strike(harm);
        }
        Ok(())
    }

    fn hear(&mut self) {
        let news = self.shop.tap.since(self.heard);
        self.heard += news.len();
        for event in news.iter().filter_map(event) {
            let Some(request) = event.request_id.as_ref().map(ToString::to_string) else { continue };
            self.note(&format!("{request} {} {:?} {:?}", event.state.as_str(), event.reason, event.order_id));
            if let Some(code) = &event.payment_code {
                self.codes.insert(request.clone(), code.to_string());
            }
            // A refusal of a repeated request says nothing of the order that there is.
            if event.state != EventState::Refused || !self.announced.contains_key(&request) {
                self.announced.insert(request, event.state);
            }
            match event.state {
                EventState::Paid => self.passes(Moment::Paid),
                EventState::Dispensing => self.passes(Moment::Dispensing),
                EventState::Dispensed => self.passes(Moment::Dispensed),
                _ => {}
            }
        }
    }

    fn see_line(&mut self) {
        let length = std::fs::metadata(&self.shop.relay.0).map_or(0, |file| usize::try_from(file.len()).expect("a small file"));
        if length > self.edges {
            self.edges = length;
            self.passes(Moment::Pulse);
        }
    }

    /// A service manager's part: what ends by itself is started again. A panic is the end of the test.
    fn look_after_programs(&mut self) -> Result<(), String> {
        for victim in Victim::WATCHED {
            let Some(process) = self.process(victim).as_ref() else { continue };
            let Some(status) = process.try_status() else { continue };
            let text = process.text();
            if status.code().is_none() || text.contains("panicked at") {
                return Err(format!("{victim:?} ended by itself ({status}):\n{}", tail(&text)));
            }
            self.note(&format!("{victim:?} ended by itself: {status}"));
            self.add("ended by themselves");
            self.bury(victim);
            self.repairs.push((Instant::now() + Duration::from_millis(100), Repair::Start(victim)));
        }
        Ok(())
    }

    /// The process of a program, if it runs.
    fn process(&mut self, victim: Victim) -> &mut Option<Process> {
        match victim {
            Victim::Program(program) => self.shop.process(program),
            Victim::SecondBackend => &mut self.second,
            Victim::Broker | Victim::Bus | Victim::Database | Victim::Standby => panic!("{victim:?} is no program of ours"),
        }
    }

    fn draw_program_harm(&mut self) -> Harm {
        let [qrisd, relayd, backend] = [Program::Qrisd, Program::Relayd, Program::Backend].map(Victim::Program);
        let mut victims = vec![qrisd, qrisd, qrisd, relayd, relayd, relayd, backend, backend, Victim::Broker, Victim::Bus];
        if self.database.is_some() {
            victims.extend([Victim::SecondBackend, Victim::SecondBackend, Victim::Database, Victim::Database, Victim::Standby]);
        }
        let victim = self.pick(&victims);
        match self.rng.below(10) {
            0..=4 => Harm::Kill(victim),
            5 | 6 => Harm::PowerCut,
            7 => Harm::Terminate(victim),
            _ => Harm::Stop(victim),
        }
    }

    fn draw_harm(&mut self) -> Harm {
        let mut wires = vec![Wire::Broker, Wire::Backend, Wire::Midtrans];
        wires.extend(self.database.is_some().then_some(Wire::Database));
        let wire = self.pick(&wires);
        match self.rng.below(10) {
            0 => Harm::Disturb(wire, Cable::Cut),
            1 => Harm::Disturb(wire, Cable::Silent),
            2 => Harm::Disturb(self.pick(&[Wire::Backend, Wire::Midtrans]), Cable::Answers(self.pick(&Foreign::ALL))),
            3 | 4 => Harm::Midtrans(self.draw_fault()),
            _ => self.draw_program_harm(),
        }
    }

    /// Each once before any comes again.
    fn draw_fault(&mut self) -> MidtransFault {
        if self.faults_to_come.is_empty() {
            self.faults_to_come = MIDTRANS_FAULTS.to_vec();
        }
        let at = usize::try_from(self.rng.below(self.faults_to_come.len() as u64)).expect("an index");
        self.faults_to_come.swap_remove(at)
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.rng.below(from.len() as u64)).expect("an index")]
    }

    /// Does it, unless its victim is in trouble already.
    fn strike(&mut self, harm: Harm) {
        let short = self.rng.below(5) != 0;
        let down = if short { self.millis(0, 1_500) } else { self.millis(1_500, 7_000) };
        let stopped = self.millis(30, 3_000);
        let now = Instant::now();
        let has_standby = self.database.as_mut().is_some_and(Database::has_standby);
        let busy = |victim: Victim, ordeal: &Self| {
            let of = |all: &[Victim]| {
                ordeal.repairs.iter().any(|(_, repair)| matches!(repair, Repair::Start(it) | Repair::Continue(it) if all.contains(it)))
            };
            match victim {
                // One of the two servers is there.
                Victim::Database | Victim::Standby => !has_standby || of(&[Victim::Database, Victim::Standby]),
                Victim::Program(_) | Victim::Broker | Victim::Bus | Victim::SecondBackend => of(&[victim]),
            }
        };
        let cut = |wire: Wire, ordeal: &Self| ordeal.repairs.iter().any(|(_, repair)| matches!(repair, Repair::Mend(it) if *it == wire));
        match harm {
            Harm::Kill(victim) | Harm::Terminate(victim) if !busy(victim, self) => {
                self.note(&format!("{harm:?} for {down:?}"));
                let gently = matches!(harm, Harm::Terminate(_));
                self.add(&if gently { "SIGTERM".to_owned() } else { format!("kill -9 {victim:?}") });
                self.end(victim, gently);
                self.repairs.push((now + down, Repair::Start(victim)));
            }
            Harm::PowerCut if !MACHINE.iter().any(|victim| busy(*victim, self)) => {
                self.note(&format!("{harm:?} for {down:?}"));
                self.add("kill -9 both");
                for victim in MACHINE {
                    self.end(victim, false);
                    let apart = self.millis(0, 300);
                    self.repairs.push((now + down + apart, Repair::Start(victim)));
                }
            }
            // Its sessions would go on.
            Harm::Stop(Victim::Database | Victim::Standby) => {}
            Harm::Stop(victim) if !busy(victim, self) => {
                self.note(&format!("{harm:?} for {stopped:?}"));
                self.add("SIGSTOP");
                self.signal(victim, "STOP");
                self.repairs.push((now + stopped, Repair::Continue(victim)));
            }
            Harm::Disturb(wire, cable) if !cut(wire, self) => {
                self.note(&format!("{harm:?} for {down:?}"));
                let how = if let Cable::Answers(_) = cable { "answered by another".into() } else { format!("{cable:?}") };
                self.add(&format!("{wire:?} {how}"));
                self.set(wire, cable);
                self.repairs.push((now + down, Repair::Mend(wire)));
            }
            Harm::Midtrans(fault) => {
                self.note(&format!("Midtrans: {}", fault.1));
                self.shop.midtrans.fault(&plan(fault));
                self.planned.push(fault);
            }
            Harm::Kill(_) | Harm::PowerCut | Harm::Terminate(_) | Harm::Stop(_) | Harm::Disturb(..) => {}
        }
    }

    fn repair(&mut self, repair: Repair) {
        self.note(&format!("{repair:?}"));
        match repair {
            Repair::Start(victim) => self.start(victim),
            Repair::Continue(victim) => self.signal(victim, "CONT"),
            Repair::Mend(wire) => self.set(wire, Cable::Whole),
        }
    }

    /// Everything is well again, and stays so.
    pub fn heal(&mut self) -> Result<(), String> {
        self.note("everything is mended");
        self.ambush = None;
        self.struck.clear();
        for (_, repair) in std::mem::take(&mut self.repairs) {
            self.repair(repair);
        }
        self.count_faults();
        self.shop.midtrans.heal();
        self.shop.midtrans.release();
        // No further harm: later than any test lasts.
        self.next_harm = Instant::now() + Duration::from_secs(1_000_000);
        if let Some(database) = &mut self.database {
            database.take_standby();
        }
        for victim in Victim::WATCHED {
            if victim == Victim::SecondBackend && self.start_second.is_none() {
                continue;
            }
            let ready = self.until(Duration::from_secs(30), |ordeal| {
                let process = ordeal.process(victim).as_ref()?;
                process.notices.all().iter().any(|notice| notice == "READY=1").then_some(())
            })?;
            if ready.is_none() {
                let text = self.process(victim).as_ref().map_or_else(String::new, Process::text);
                return Err(format!("{victim:?} is not ready 30 s after everything was mended:\n{}", tail(&text)));
            }
        }
        Ok(())
    }

    /// Counts the faults of Midtrans that have struck: those that were planned and wait no more.
    fn count_faults(&mut self) {
        let mut waiting = self.shop.midtrans.plans();
        for fault in std::mem::take(&mut self.planned) {
            let plan = plan(fault);
            let fields = plan.as_object().expect("an object");
            match waiting.iter().position(|waits| fields.iter().all(|(name, value)| waits[name] == *value)) {
                Some(at) => drop(waiting.swap_remove(at)),
                None => self.add(fault.0),
            }
        }
    }

    fn end(&mut self, victim: Victim, gently: bool) {
        match victim {
            Victim::Broker if gently => self.shop.broker.stop(),
            Victim::Broker => self.shop.broker.kill(),
            Victim::Bus if gently => self.shop.bus.stop(),
            Victim::Bus => self.shop.bus.kill(),
            Victim::Program(_) | Victim::SecondBackend => {
                if gently && let Some(process) = self.process(victim) {
                    process.terminate();
                }
                self.bury(victim);
            }
            Victim::Database => self.database.iter_mut().for_each(Database::kill),
            Victim::Standby => self.database.iter_mut().for_each(Database::kill_standby),
        }
    }

    /// Ends a program and keeps what it wrote. The relay's line is made safe, as its unit's `ExecStopPost` does.
    fn bury(&mut self, victim: Victim) {
        if let Some(process) = self.process(victim).take() {
            process.kill();
            let (_, text) = process.finish();
            drop(process);
            self.keep_log(victim, &text);
        }
        if victim == Victim::Program(Program::Relayd) {
            let safe = output(self.shop.program_command(Program::Relayd).arg("--safe"));
            assert!(safe.status.success(), "{}", String::from_utf8_lossy(&safe.stderr));
        }
    }

    fn keep_log(&mut self, victim: Victim, text: &str) {
        let name = match victim {
            Victim::Program(program) => format!("{program:?}.log"),
            other => format!("{other:?}.log"),
        };
        let path = self.shop.path().join(name);
        let at = self.began.elapsed().as_secs_f64();
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| writeln!(file, "--- until {at:.3}\n{text}")).expect("written");
    }

    fn start(&mut self, victim: Victim) {
        match victim {
            Victim::Broker => {
                self.shop.broker.resume();
                if self.forgetful_broker {
                    self.add("brokers that forgot");
                }
                // New clients: what the old ones had in flight is lost with the old broker, as it may be.
                self.hear();
                self.shop.tap = Tap::connect(&self.shop.broker, TAP, &["qrisd/#"]);
                self.shop.controller = Tap::connect(&self.shop.broker, "vm-001-controller", &[]);
                self.heard = 0;
            }
            Victim::Bus => self.shop.bus.resume(),
            Victim::Program(program) => {
                let process = Process::start_notifying(program.name(), &mut self.shop.service(program), self.shop.path());
                *self.shop.process(program) = Some(process);
            }
            Victim::SecondBackend => {
                let start = self.start_second.as_mut();
                self.second = start.map(|start| Process::start_notifying("second-backend", start, self.shop.path()));
            }
            Victim::Database => {
                let Some(database) = &mut self.database else { return };
                if self.rng.below(2) == 0 {
                    database.resume();
                } else {
                    let comes_back = self.rng.below(2) == 0;
                    database.fail_over(comes_back);
                    self.add(if comes_back { "fail-overs beside the old primary" } else { "fail-overs" });
                }
            }
            Victim::Standby => self.database.iter_mut().for_each(Database::resume_standby),
        }
    }

    fn signal(&mut self, victim: Victim, name: &str) {
        match victim {
            Victim::Broker => self.shop.broker.signal(name),
            Victim::Bus => self.shop.bus.signal(name),
            Victim::Program(_) | Victim::SecondBackend => {
                if let Some(process) = self.process(victim) {
                    process.signal(name);
                }
            }
            Victim::Database | Victim::Standby => panic!("{victim:?} is not stopped"),
        }
    }

    fn set(&self, wire: Wire, cable: Cable) {
        match wire {
            Wire::Broker => self.shop.broker_link.set(cable),
            Wire::Backend => self.shop.backend_link.set(cable),
            Wire::Midtrans => self.midtrans_link.set(cable),
            Wire::Database => self.database.iter().for_each(|database| database.set(cable)),
        }
    }

    /// After a failure: everything is left in the directory; where that is.
    pub fn keep_files(&mut self) -> String {
        for victim in Victim::WATCHED {
            if let Some(process) = self.process(victim).take() {
                process.kill();
                let (_, text) = process.finish();
                self.keep_log(victim, &text);
            }
        }
        let transactions = json!(self.shop.midtrans.transactions()).to_string();
        std::fs::write(self.shop.path().join("midtrans.json"), transactions).expect("written");
        std::fs::write(self.shop.path().join("what-happened.log"), &self.journal).expect("written");
        super::where_the_files_are(&mut self.shop)
    }
}

pub const MIDTRANS_FAULTS: [MidtransFault; 12] = [
    ("refused by Midtrans", r#"{"fault":"refuse","count":1}"#),
    ("charge late", r#"{"fault":"hang","on":"charge","ms":1500,"count":1}"#),
    ("cancel late", r#"{"fault":"hang","on":"cancel","ms":1500,"count":1}"#),
    ("charge unanswered", r#"{"fault":"lose_answer","on":"charge","count":1}"#),
    ("cancel unanswered", r#"{"fault":"lose_answer","on":"cancel","count":1}"#),
    ("503 of Midtrans", r#"{"fault":"server_error","code":503,"count":1}"#),
    ("500 of a cancel that was done", r#"{"fault":"server_error","code":500,"done":true,"on":"cancel","count":1}"#),
    ("garbage of Midtrans", r#"{"fault":"garble","count":1}"#),
    ("denied by Midtrans", r#"{"fault":"deny","count":1}"#),
    ("notifications lost", r#"{"fault":"drop_notification","count":1}"#),
    ("notifications late", r#"{"fault":"delay_notification","ms":2500,"count":1}"#),
    ("notifications doubled", r#"{"fault":"duplicate_notification","count":1}"#),
];

/// One of them as the simulator reads it.
fn plan(fault: MidtransFault) -> Value {
    serde_json::from_str(fault.1).expect("JSON")
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}
