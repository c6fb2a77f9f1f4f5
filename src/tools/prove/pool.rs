//! Many runs on all processors. A run that panics or does not end is told by its name, so that it can be repeated.

use qris_host::Failure;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A run takes less than a second, a few take three. `tests/run` gives them the time that its other steps leave: then it may be minutes.
pub(super) const LONGEST: Duration = Duration::from_secs(1800);

/// Does the runs that `next` gives, until it gives no more. Answers with the names of those that panicked. If a run does not
/// end within `longest`, `hangs` is told its name once a second: a thread can be ended only with the program.
///
/// # Errors
/// The first error of a run. It ends the work of its thread.
pub(super) fn each<J: Display>(
    longest: Duration,
    next: impl Fn() -> Option<J> + Sync,
    run: impl Fn(&J) -> Result<(), Failure> + Sync,
    hangs: impl Fn(&str),
) -> Result<Vec<String>, Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (state, changed) = (Mutex::new(State { at_work: vec![None; threads], left: threads, panicked: Vec::new() }), Condvar::new());
    let work = |thread: usize| -> Result<(), Failure> {
        let _leaves = Leaves(&state, &changed);
        while let Some(job) = next() {
            let name = job.to_string();
            lock(&state).at_work[thread] = Some((name.clone(), Instant::now()));
            let ran = catch_unwind(AssertUnwindSafe(|| run(&job)));
            lock(&state).at_work[thread] = None;
            match ran {
                Ok(ran) => ran?,
                Err(_) => lock(&state).panicked.push(name),
            }
        }
        Ok(())
    };
    let work = &work;
    let all: Vec<_> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let mut watched = lock(&state);
        while watched.left > 0 {
            let late = watched.at_work.iter().flatten().find(|(_, begun)| begun.elapsed() > longest);
            if let Some((name, _)) = late {
                hangs(name);
            }
            watched = changed.wait_timeout(watched, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(watched);
        all.into_iter().map(|thread| thread.join().expect("what panics in there is caught")).collect()
    });
    all.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(state.into_inner().unwrap_or_else(PoisonError::into_inner).panicked)
}

struct State {
    /// The run of each thread, and its start.
    at_work: Vec<Option<(String, Instant)>>,
    /// Threads that have not ended.
    left: usize,
    panicked: Vec<String>,
}

/// A thread that ends, in any way.
struct Leaves<'a>(&'a Mutex<State>, &'a Condvar);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        lock(self.0).left -= 1;
        self.1.notify_all();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn numbers(last: u32) -> impl Fn() -> Option<u32> {
        let next = AtomicU32::new(1);
        move || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number <= last)
    }

    #[test]
    fn who_panics_is_named_and_the_others_run() {
        let ran = AtomicU32::new(0);
        let run = |number: &u32| {
            ran.fetch_add(1, Ordering::Relaxed);
            assert_ne!(*number, 3, "as a fault of the product would");
            Ok(())
        };
        let panicked = each(LONGEST, numbers(5), run, |_| ()).expect("no error");
        assert_eq!((panicked, ran.into_inner()), (vec!["3".to_owned()], 5));
    }

    #[test]
    fn an_error_is_the_answer() {
        let run = |number: &u32| if *number == 2 { Err(Failure::failed("no directory")) } else { Ok(()) };
        let error = each(LONGEST, numbers(2), run, |_| ()).expect_err("an error");
        assert!(format!("{error:?}").contains("no directory"), "{error:?}");
    }

    #[test]
    fn who_does_not_end_is_named() {
        let told = Mutex::new(None);
        let (gate, opened) = (Mutex::new(false), Condvar::new());
        let run = |_: &u32| {
            let mut open = gate.lock().expect("a lock");
            while !*open {
                open = opened.wait(open).expect("a lock");
            }
            Ok(())
        };
        let hangs = |name: &str| {
            *told.lock().expect("a lock") = Some(name.to_owned());
            *gate.lock().expect("a lock") = true;
            opened.notify_all();
        };
        each(Duration::ZERO, numbers(1), run, hangs).expect("no error");
        assert_eq!(told.into_inner().expect("a lock").as_deref(), Some("1"));
    }
}
