//! The search: it visits every world that can follow. Worlds with the fewest deviations come first, and each keeps the way
//! back to the beginning.
//!
//! A world is kept as five numbers, one for each of its parts. So two worlds are merged only if they are equal. The rest of
//! the budget is kept beside it: a world that was reached with more left need not be searched with less. The strays are
//! kept beside it, too. In a wild network a world has the strays of all ways that lead to it, and it is searched again when
//! there are more of them.

use super::found::{Found, Verdict};
use super::properties::{self, Broken};
use super::reduce::Packed;
use super::scenarios::{Among, Scenario};
use super::shelf::Quick;
use super::steps::Step;
use super::{Budget, Key, Lab, Strays, World};
use std::collections::{BTreeSet, VecDeque};
use std::hash::{Hash as _, Hasher as _};

/// Searches everything that can happen.
#[must_use]
pub fn search(scenario: &Scenario) -> Found {
    let Some(Among { orders, budget }) = scenario.among.clone() else { return walked(scenario, Lab::new(scenario)).1 };
    let narrow = Scenario { orders, budget, among: None, others: false, ..scenario.clone() };
    let (mut walk, found) = walked(&narrow, Lab::new(&narrow));
    if !matches!(found.verdict, Verdict::Holds) {
        return Found { narrower: true, ..found };
    }
    let entries = std::mem::take(&mut walk.entries);
    // The same numbers stand for the same orders in both.
    let (walk, mut found) = walked(scenario, walk.lab.of(scenario));
    if matches!(found.verdict, Verdict::Holds) {
        found.among = entries.len();
        if let Some(world) = entries.iter().find_map(|entry| walk.lacks(entry, scenario)) {
            let trace = vec![properties::told(&world, &walk.lab), format!("{world:?}")];
            found.verdict = Verdict::Broken { what: Broken::NotAmong, trace };
        }
    }
    found
}

fn walked(scenario: &Scenario, lab: Lab) -> (Walk, Found) {
    let mut walk = Walk::new(lab, scenario.rests);
    let mut first = World::begin(scenario);
    walk.settle(&mut first);
    let (key, strays) = walk.lab.parts.put(&first, walk.lab.wild);
    walk.note(Entry { key, strays, left: first.left.pack(), before: 0, next: NONE, level: 0, good: false, waits: true });
    let verdict = walk.run(scenario.entries_max).unwrap_or_else(|stop| match stop {
        Stop::Full => Verdict::Unfinished { fewer: walk.done },
        Stop::Broken(what, number) => Verdict::Broken { what, trace: walk.trace(number) },
    });
    let levels = walk.levels.iter().map(|level| level.looked_at).collect();
    let bytes = walk.bytes();
    let found = Found {
        worlds: walk.worlds,
        entries: walk.entries.len(),
        levels,
        steps: walk.steps,
        ends: std::mem::take(&mut walk.ends),
        counts: *walk.lab.seen.borrow(),
        bytes,
        among: 0,
        narrower: false,
        verdict,
    };
    (walk, found)
}

const NONE: u32 = u32::MAX;

/// A world with what was left when it was reached.
struct Entry {
    key: Key,
    strays: Strays,
    left: Packed,
    /// The entry from which it was reached.
    before: u32,
    level: u8,
    /// Events that happen by themselves can lead from it to an end.
    good: bool,
    /// It is still to be looked at.
    waits: bool,
    /// The next entry of the same world.
    next: u32,
}

impl Entry {
    /// Can this one do all that `other`, of the same world, can do?
    fn covers(&self, other: &Self) -> bool {
        self.left.covers(other.left) && self.strays.covers(other.strays)
    }
}

#[derive(Default)]
struct Level {
    all: Vec<u32>,
    /// Entries that were not looked at yet, by their number of strays.
    waiting: Vec<VecDeque<u32>>,
    looked_at: usize,
}

impl Level {
    fn push(&mut self, number: u32, strays: usize) {
        self.all.push(number);
        if self.waiting.len() <= strays {
            self.waiting.resize_with(strays + 1, VecDeque::new);
        }
        self.waiting[strays].push_back(number);
    }

    fn waits(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_empty())
    }

    /// An entry with the most strays: it may save us others.
    fn next(&mut self) -> Option<u32> {
        loop {
            match self.waiting.last_mut()?.pop_front() {
                Some(number) => return Some(number),
                None => drop(self.waiting.pop()),
            }
        }
    }
}

/// Why a search stops before its end.
enum Stop {
    Full,
    Broken(Broken, u32),
}

struct Walk {
    lab: Lab,
    entries: Vec<Entry>,
    /// The first entry of each world, by the world's hash.
    table: Vec<u32>,
    worlds: usize,
    levels: Vec<Level>,
    /// The number of entries that were fully looked at when the search ended.
    done: usize,
    steps: usize,
    ends: BTreeSet<String>,
    edges_max: usize,
    /// A settled world is an end.
    rests: bool,
}

impl Walk {
    fn new(lab: Lab, rests: bool) -> Self {
        let levels = vec![Level::default()];
        Self {
            lab,
            entries: Vec::new(),
            table: vec![NONE; 1 << 10],
            worlds: 0,
            levels,
            done: 0,
            steps: 0,
            ends: BTreeSet::new(),
            edges_max: 0,
            rests,
        }
    }

    fn settle(&self, world: &mut World) {
        if self.lab.reduces {
            world.canonical(&self.lab);
        }
    }

    fn run(&mut self, entries_max: usize) -> Result<Verdict, Stop> {
        // A world of an earlier level may have to be looked at again.
        while let Some(level) = self.levels.iter().position(Level::waits) {
            self.done = level;
            self.whole_level(level, entries_max)?;
        }
        Ok(Verdict::Holds)
    }

    /// Walks on from all worlds with this many deviations. A world that follows by itself is of the same level, or known
    /// from an earlier one. So it is seen at once from which of them an end can be reached.
    fn whole_level(&mut self, level: usize, entries_max: usize) -> Result<(), Stop> {
        // Backwards: the arrows of events that happen by themselves.
        let mut edges: Vec<(u32, u32)> = Vec::new();
        let mut ends: Vec<u32> = Vec::new();
        while let Some(number) = self.levels[level].next() {
            self.entries[number as usize].waits = false;
            if let Some(other) = self.covered_by(number) {
                // Nobody waits for the help of a stray. So if an end is reached from there, it is reached from here.
                if usize::from(self.entries[other as usize].level) < level {
                    self.entries[number as usize].good = true;
                    ends.push(number);
                } else {
                    edges.push((other, number));
                }
                continue;
            }
            if self.entries.len() >= entries_max {
                return Err(Stop::Full);
            }
            self.levels[level].looked_at += 1;
            if self.walk_on(number, &mut edges)? {
                self.entries[number as usize].good = true;
                ends.push(number);
            }
        }
        self.edges_max = self.edges_max.max(edges.len());
        // An end that is reached proves the worlds that lead to it.
        edges.sort_unstable();
        while let Some(number) = ends.pop() {
            let from = edges.partition_point(|(to, _)| *to < number);
            for (_, before) in edges[from..].iter().take_while(|(to, _)| *to == number) {
                if !std::mem::replace(&mut self.entries[*before as usize].good, true) {
                    ends.push(*before);
                }
            }
        }
        match self.levels[level].all.iter().find(|number| !self.entries[**number as usize].good) {
            Some(number) => Err(Stop::Broken(Broken::NeverEnds, *number)),
            None => {
                self.levels[level].all = Vec::new();
                Ok(())
            }
        }
    }

    /// Looks at a world and at all that follow. `true`: an end is reached, or events that happen by themselves lead to a
    /// world from which one is.
    fn walk_on(&mut self, number: u32, edges: &mut Vec<(u32, u32)>) -> Result<bool, Stop> {
        let Entry { key, strays, left, level, .. } = self.entries[number as usize];
        let world = self.lab.parts.get(key, strays, Budget::unpack(left));
        if let Some(what) = properties::broken(&world, &self.lab) {
            return Err(Stop::Broken(what, number));
        }
        let (mut is_end, mut good) = (true, false);
        let mut by_itself = Vec::new();
        let was_settled = properties::is_settled(&world, &self.lab);
        let refundable = properties::refundable(&world, &self.lab);
        for (step, mut next) in world.next(&self.lab) {
            if let Some(what) = properties::broken_by_step(&refundable, &world, &next) {
                return Err(Stop::Broken(what, number));
            }
            let deviations = world.left.sum() - next.left.sum();
            self.settle(&mut next);
            let (key_after, strays_after) = self.lab.parts.put(&next, self.lab.wild);
            if key_after == key && strays_after == strays && deviations == 0 {
                continue;
            }
            self.steps += 1;
            let is_settled = (was_settled || self.rests) && properties::is_settled(&next, &self.lab);
            if was_settled && !is_settled {
                return Err(Stop::Broken(Broken::Unsettled, number));
            }
            if is_settled && self.rests && properties::broken(&next, &self.lab).is_none() {
                if self.ends.insert(properties::outcome(&next, &self.lab)) {
                    properties::count(&next, &self.lab);
                }
                if step.progress {
                    (is_end, good) = (false, true);
                }
                continue;
            }
            let then = usize::from(level) + deviations;
            let entry = Entry {
                key: key_after,
                strays: strays_after,
                left: next.left.pack(),
                before: number,
                next: NONE,
                level: u8::try_from(then).expect("few deviations"),
                good: false,
                waits: true,
            };
            let after = self.note(entry);
            if step.progress {
                debug_assert_eq!(deviations, 0, "what happens by itself is no deviation");
                is_end = false;
                let known = &self.entries[after as usize];
                if known.good || known.level < level {
                    good = true;
                } else {
                    by_itself.push((after, number));
                }
            }
        }
        if is_end {
            if let Some(what) = properties::broken_at_end(&world, &self.lab) {
                return Err(Stop::Broken(what, number));
            }
            properties::count(&world, &self.lab);
            self.ends.insert(properties::outcome(&world, &self.lab));
        } else if !good {
            edges.extend(by_itself);
        }
        Ok(is_end || good)
    }

    /// Adds an entry, unless a known one covers it. Gives the number of the entry that stands for it.
    fn note(&mut self, entry: Entry) -> u32 {
        let new = u32::try_from(self.entries.len()).expect("fewer worlds than that");
        let at = self.place(&entry.key);
        let first = self.table[at];
        let mut known = first;
        let mut last = NONE;
        while known != NONE {
            let other = &self.entries[known as usize];
            if self.lab.wild && other.left.covers(entry.left) {
                self.join(known, entry.strays);
                return known;
            }
            let covers = if self.lab.reduces { other.covers(&entry) } else { other.left == entry.left && other.strays == entry.strays };
            // An entry of a later level is walked on from later. An end that can be reached from here must be reached here.
            if covers && other.level <= entry.level {
                return known;
            }
            (last, known) = (known, other.next);
        }
        let level = usize::from(entry.level);
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Level::default);
        }
        self.levels[level].push(new, entry.strays.numbers().count());
        self.entries.push(entry);
        if last == NONE {
            self.table[at] = new;
            self.worlds += 1;
            if self.worlds * 10 > self.table.len() * 7 {
                self.grow();
            }
        } else {
            self.entries[last as usize].next = new;
        }
        new
    }

    /// A world was reached by another way, on which other messages may come again.
    fn join(&mut self, number: u32, strays: Strays) {
        let entry = &mut self.entries[number as usize];
        let joined = entry.strays.joined(strays);
        if joined == entry.strays {
            return;
        }
        entry.strays = joined;
        if !std::mem::replace(&mut entry.waits, true) {
            let level = usize::from(entry.level);
            self.levels[level].push(number, joined.numbers().count());
        }
    }

    /// The entry that became known later and covers this one, if there is one.
    fn covered_by(&self, number: u32) -> Option<u32> {
        if !self.lab.reduces {
            return None;
        }
        let entry = &self.entries[number as usize];
        let mut known = self.table[self.place(&entry.key)];
        while known != NONE {
            let other = &self.entries[known as usize];
            if known != number && other.level <= entry.level && other.covers(entry) {
                return Some(known);
            }
            known = other.next;
        }
        None
    }

    /// Takes a world of another search as it is in this one's wild network. Gives what was not searched here.
    fn lacks(&self, entry: &Entry, scenario: &Scenario) -> Option<World> {
        let world = self.lab.parts.get(entry.key, entry.strays, scenario.budget.clone());
        let searched = |world: &World| {
            // The search does not walk on from a settled world.
            properties::is_settled(world, &self.lab) || world.has_second_ticket(&self.lab) || self.has(world)
        };
        world.in_a_wild_network(&self.lab).into_iter().find(|world| !searched(world))
    }

    /// Was this world searched, or one that has all its strays?
    fn has(&self, world: &World) -> bool {
        let mut world = world.clone();
        self.settle(&mut world);
        let (key, strays) = self.lab.parts.put(&world, self.lab.wild);
        let mut known = self.table[self.place(&key)];
        while known != NONE {
            let entry = &self.entries[known as usize];
            if entry.strays.covers(strays) && entry.left.covers(world.left.pack()) {
                return true;
            }
            known = entry.next;
        }
        false
    }

    /// The place of a world in the table, or its free place.
    fn place(&self, key: &Key) -> usize {
        let mut hasher = Quick::default();
        key.hash(&mut hasher);
        let mask = self.table.len() - 1;
        let mut at = usize::try_from(hasher.finish() & mask as u64).expect("a place in the table");
        while self.table[at] != NONE && self.entries[self.table[at] as usize].key != *key {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.table);
        self.table = vec![NONE; old.len() * 2];
        for first in old.into_iter().filter(|first| *first != NONE) {
            let at = self.place(&self.entries[first as usize].key);
            self.table[at] = first;
        }
    }

    /// The memory of worlds, tables and edges, about.
    fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.table.len() * 4 + self.edges_max * 8 + self.lab.parts.bytes()
    }

    /// Repeats the way to a world.
    fn trace(&self, number: u32) -> Vec<String> {
        let mut way = vec![number];
        while way.last() != Some(&0) {
            way.push(self.entries[way[way.len() - 1] as usize].before);
        }
        way.reverse();
        let world_of = |number: u32| {
            let Entry { key, strays, left, .. } = self.entries[number as usize];
            self.lab.parts.get(key, strays, Budget::unpack(left))
        };
        let mut lines = Vec::new();
        for pair in way.windows(2) {
            let then = &self.entries[pair[1] as usize];
            let leads = |(step, mut next): (Step, World)| {
                self.settle(&mut next);
                let (key, strays) = self.lab.parts.put(&next, self.lab.wild);
                let same = key == then.key && next.left.pack() == then.left && (self.lab.wild || strays == then.strays);
                same.then_some((step, next))
            };
            let (step, next) = world_of(pair[0]).next(&self.lab).into_iter().find_map(leads).expect("it was reached from there");
            lines.push(match step.message {
                Some(message) => format!("{} {message:?}", step.name),
                None => step.name.to_owned(),
            });
            lines.push(format!("      {}", properties::told(&next, &self.lab)));
        }
        lines.push(format!("{:?}", world_of(number)));
        lines
    }
}
