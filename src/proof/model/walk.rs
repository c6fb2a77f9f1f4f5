//! Random walks through the same worlds, with all faults at once. They go further than any search, but do not look
//! everywhere.

use super::found::Counts;
use super::properties::{self, Broken};
use super::{Lab, Scenario, World};
use crate::rng::Rng;
use std::collections::BTreeSet;

/// In this many steps anything may happen. After them only events happen that need no choice and no fault.
const WILD_STEPS: usize = 300;
/// Then an end is reached in fewer steps than this, or never.
const CALM_STEPS: usize = 20_000;
/// Once in this many steps a fault is as likely as any other step.
const WILD_ONE_IN: u64 = 6;

/// The results of the walks.
#[derive(Debug, Default)]
pub struct Walked {
    /// Walks from the beginning to an end.
    pub walks: u64,
    /// Steps of all of them.
    pub steps: u64,
    /// Deviations: crashes, faults, cancels and similar events.
    pub deviations: u64,
    /// The outcomes at the ends, each once.
    pub ends: BTreeSet<String>,
    /// The kinds of ends that were seen.
    pub counts: Counts,
    /// The property that does not hold, the seed of the walk, and its way.
    pub broken: Option<(Broken, u64, Vec<String>)>,
}

/// Walks with the seeds from `first` on, as long as `goes_on` says so.
pub fn walk(scenario: &Scenario, first: u64, mut goes_on: impl FnMut(&Walked) -> bool) -> Walked {
    let mut all = Walked::default();
    let mut lab = Lab::new(&Scenario { reduces: false, ..scenario.clone() });
    let mut seed = first;
    while goes_on(&all) {
        // The results of the product's functions for orders are remembered, but not for ever.
        if all.walks % 20_000 == 19_999 {
            all.counts.add(&lab.seen.borrow());
            lab = Lab::new(&Scenario { reduces: false, ..scenario.clone() });
        }
        if let Err(what) = one(scenario, &lab, seed, &mut all, &mut None) {
            // The walk is repeated, to tell its way.
            let mut way = Some(Vec::new());
            let again = one(scenario, &lab, seed, &mut Walked::default(), &mut way);
            debug_assert_eq!(again, Err(what), "a seed repeats");
            all.broken = Some((what, seed, way.unwrap_or_default()));
            break;
        }
        seed += 1;
    }
    all.counts.add(&lab.seen.borrow());
    all
}

fn one(scenario: &Scenario, lab: &Lab, seed: u64, all: &mut Walked, way: &mut Option<Vec<String>>) -> Result<(), Broken> {
    let mut rng = Rng::new(seed);
    let mut world = World::begin(scenario);
    for number in 0..WILD_STEPS + CALM_STEPS {
        if let Some(what) = properties::broken(&world, lab) {
            return Err(what);
        }
        let steps = world.next(lab);
        let is_end = !steps.iter().any(|(step, _)| step.progress);
        if is_end && let Some(what) = properties::broken_at_end(&world, lab) {
            return Err(what);
        }
        let wild = number < WILD_STEPS && rng.below(WILD_ONE_IN) == 0;
        // An act of a customer is no deviation, and somebody must do it.
        let early = number < WILD_STEPS;
        let mut open: Vec<_> = steps.into_iter().filter(|(step, next)| wild || step.progress || early && next.left == world.left).collect();
        if open.is_empty() {
            if is_end && (number >= WILD_STEPS || rng.below(4) == 0) {
                properties::count(&world, lab);
                all.ends.insert(properties::outcome(&world, lab));
                all.walks += 1;
                return Ok(());
            }
            continue;
        }
        let chosen = usize::try_from(rng.below(open.len() as u64)).expect("an index");
        let (step, next) = open.swap_remove(chosen);
        if let Some(what) = properties::broken_by_step(&properties::refundable(&world, lab), &world, &next) {
            return Err(what);
        }
        all.steps += 1;
        all.deviations += (world.left.sum() - next.left.sum()) as u64;
        if let Some(way) = way {
            let told = properties::told(&next, lab);
            way.push(match step.message {
                Some(message) => format!("{} {message:?}\n      {told}", step.name),
                None => format!("{}\n      {told}", step.name),
            });
        }
        world = next;
    }
    Err(Broken::NeverEnds)
}
