//! The messages of the threads of lines and buttons.

use super::*;
use crate::chip::ChipName;
use crate::config::Items;
use crate::outlet::Settings;
use crate::pin::Chip;
use qris_core::order::ids::ItemId;
use qris_core::order::ledger::LedgerRefusal;
use qris_core::order::money::Rupiah;
use qris_core::order::outcome::Outcome;
use qris_core::order::time::Span;
use std::sync::Arc;
use tokio::sync::mpsc::UnboundedReceiver;

/// How an outlet answers a job.
#[derive(Debug, Clone, Copy)]
enum Does {
    Refuse,
    Panic,
    Wait,
}

#[derive(Debug)]
struct Fragile(Does);

impl Settings for Fragile {
    fn key(&self) -> &'static str {
        "fragile"
    }

    fn takes(&self, _amount: Rupiah) -> Result<Span, LedgerRefusal> {
        Ok(Span::ZERO)
    }

    fn open(&self, _name: &str) -> Result<Box<dyn Outlet>, HardwareError> {
        Ok(Box::new(Self(self.0)))
    }

    fn held(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

impl Outlet for Fragile {
    fn deliver(&mut self, _job: &Job, stop: &Stop<'_>, _unseen: &dyn Fn()) -> (Ending, Option<HardwareError>) {
        match self.0 {
            Does::Refuse => (Ending::uncertain("x".into()), Some(HardwareError::Io { path: "x".into(), why: io::Error::other("broken") })),
            Does::Panic => panic!("in mid-delivery"),
            Does::Wait => (Ending::uncertain(format!("stopped: {}", stop.came_within(Span::secs(100)))), None),
        }
    }
}

fn begin(does: Does) -> (Sender<OutletCommand>, UnboundedReceiver<ThreadReport>) {
    let (reports, reports_rx) = tokio::sync::mpsc::unbounded_channel();
    let line = LineSettings {
        name: "tray 1".into(),
        items: Items::Any,
        min_amount: Rupiah::new(1).expect("an amount"),
        outlet: Arc::new(Fragile(does)),
        block_on_uncertain: false,
        misses: 1,
        clear_button: None,
    };
    let outlet = line.outlet.open("tray 1");
    let commands = start(0, line, outlet, reports).expect("a thread");
    deliver(&commands);
    (commands, reports_rx)
}

fn deliver(commands: &Sender<OutletCommand>) {
    let job = Job { item: ItemId::new("A1").expect("an item"), amount: Rupiah::new(5000).expect("an amount") };
    commands.send(OutletCommand::Deliver(job)).expect("lives");
}

#[test]
fn a_thread_tells_that_its_line_refuses() {
    let (commands, mut reports) = begin(Does::Refuse);
    assert_eq!(reports.blocking_recv(), Some(ThreadReport::Hardware(0, Err(Trouble::Hardware("x: broken".into())))));
    let Some(ThreadReport::Ended(0, ending)) = reports.blocking_recv() else { panic!("no end") };
    assert_eq!(ending.outcome, Outcome::Uncertain);
    // Nothing is driven until it can be taken anew.
    deliver(&commands);
    let nothing = Ending::not_driven("x: broken");
    assert_eq!(reports.blocking_recv(), Some(ThreadReport::Ended(0, nothing)));
}

#[test]
fn an_order_ends_whatever_its_outlet_does() {
    let (commands, mut reports) = begin(Does::Panic);
    let uncertain = || Some(ThreadReport::Ended(0, Ending::uncertain("this program failed while it drove the line".into())));
    assert_eq!(reports.blocking_recv(), uncertain());
    deliver(&commands);
    assert_eq!(reports.blocking_recv(), uncertain(), "the thread lives on");
    let (commands, mut reports) = begin(Does::Wait);
    commands.send(OutletCommand::Stop).expect("lives");
    assert_eq!(reports.blocking_recv(), Some(ThreadReport::Ended(0, Ending::uncertain("stopped: true".into()))));
}

/// The edges that it sees one after the other, and whether it is active after each; then it breaks. `None`: a time without an edge.
struct Script<'a>(std::slice::Iter<'a, Option<Edge>>, bool);

impl Input for Script<'_> {
    fn arm(&mut self) -> Result<(), HardwareError> {
        Ok(())
    }

    fn wait(&mut self, _timeout: Duration) -> Result<Option<Edge>, HardwareError> {
        let edge = *self.0.next().ok_or_else(|| HardwareError::Io { path: "x".into(), why: io::Error::other("broken") })?;
        self.1 = edge.map_or(self.1, |edge| edge == Edge::Rise);
        Ok(edge)
    }

    fn is_active(&mut self) -> Result<bool, HardwareError> {
        Ok(self.1)
    }
}

/// Whether it ended in peace, and what was told.
fn watched(of: Watched, sees: &[Option<Edge>], listens: bool) -> (bool, Vec<ThreadReport>) {
    let (reports, mut reports_rx) = tokio::sync::mpsc::unbounded_channel();
    if !listens {
        reports_rx.close();
    }
    let over = watch(&mut Script(sees.iter(), false), &reports, of);
    (over.is_ok(), std::iter::from_fn(|| reports_rx.try_recv().ok()).collect())
}

const DOWN: Option<Edge> = Some(Edge::Rise);
const UP: Option<Edge> = Some(Edge::Fall);

#[test]
fn a_button_tells_each_press_until_it_breaks_or_nobody_listens() {
    let button = Watched::Button(7);
    let told = vec![ThreadReport::Pressed(7), ThreadReport::Released(7), ThreadReport::Pressed(7)];
    assert_eq!(watched(button, &[None, DOWN, None, UP, DOWN], true), (false, told));
    assert_eq!(watched(button, &[None], false), (true, Vec::new()));
    assert_eq!(watched(button, &[DOWN, UP], false), (true, Vec::new()));
}

#[test]
fn a_clear_button_clears_when_it_is_let_go_and_not_if_it_was_held() {
    let clears = ThreadReport::ClearPressed(1);
    for (sees, wanted) in [
        (&[DOWN, UP][..], vec![clears]),
        // It is down for two seconds, and then for ever.
        (&[DOWN, None, None, None], vec![ThreadReport::ClearHeld]),
        (&[DOWN, None, None, UP, DOWN, UP], vec![ThreadReport::ClearHeld, ThreadReport::ClearPressed(1)]),
        // It was down already when it was first looked at.
        (&[UP, None], vec![]),
    ] {
        assert_eq!(watched(Watched::ClearButton(1), sees, true), (false, wanted), "{sees:?}");
    }
}

#[test]
fn a_switch_is_told_as_it_stands_from_the_beginning() {
    let told = |sees: &[Option<Edge>]| watched(Watched::ServiceSwitch, sees, true).1;
    let [on, off] = [true, false].map(ThreadReport::Switched);
    assert_eq!(told(&[]), [ThreadReport::Switched(false)]);
    assert_eq!(told(&[None, DOWN, UP]), [ThreadReport::Switched(false), on, off]);
}

#[test]
fn a_button_that_cannot_be_had_is_told_by_its_name() {
    let pin = Pin::of(Chip::Gpio { name: ChipName::new("no-such-chip").expect("a label"), offset: 3 }, false);
    let (reports, mut reports_rx) = tokio::sync::mpsc::unbounded_channel();
    watch_button(pin, reports, Watched::Button(0), "the button for A1".into()).expect("a thread");
    let Some(ThreadReport::Button(name, Err(why))) = reports_rx.blocking_recv() else { panic!("not told") };
    assert_eq!((name.as_str(), why.contains("no-such-chip")), ("the button for A1", true), "{why}");
}
