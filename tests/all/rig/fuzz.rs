//! A fuzzer for stable Rust without instrumentation: it mutates what it has, and keeps what made the target say something
//! that it had not said before (the "echo": which error, which shape of an answer). That stands in for coverage, since
//! every parser here names what it found wrong.
//!
//! Each target has a corpus in `tests/corpora/NAME`, which is run whole; that is all where nothing else is said. With
//! `QRIS_FUZZ_S` its inputs are mutated for so many seconds a target, by the seed `QRIS_SEED`. An input that a target does
//! not survive is written to the corpus, so that it is run for ever after; with `QRIS_FUZZ_KEEP=1` every input with a new
//! echo is kept too.

use super::source;
use qris::sim::rng::Rng;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// No parser of ours takes so long for what it is allowed to read, not even without optimisation on a busy machine.
const SLOW: Duration = Duration::from_secs(60);
/// Inputs that are kept to mutate further.
const POOL_MAX: usize = 1_024;

/// What is fuzzed.
pub struct Target<'a> {
    /// The folder of its corpus.
    pub name: &'a str,
    /// Words that its parser knows, with two blanks between them.
    pub words: &'a str,
    /// The longest input that is tried: over the parser's own limit.
    pub longest: usize,
}

impl Target<'_> {
    /// Runs a target. What it returns is its echo; a panic is a finding.
    pub fn run(&self, target: impl Fn(&[u8]) -> String) {
        let folder = source("tests/corpora").join(self.name);
        let seed = from_environment("QRIS_SEED").unwrap_or(1);
        let time = from_environment("QRIS_FUZZ_S").map_or(Duration::ZERO, Duration::from_secs);
        let keep = from_environment("QRIS_FUZZ_KEEP") == Some(1);
        let mut mutator = Mutator { rng: Rng::new(seed), pool: corpus(&folder), words: words(self.words), longest: self.longest };
        let mut echoes = BTreeSet::new();
        let mut tries = 0_u64;
        let mut attempt = |input: &[u8], echoes: &mut BTreeSet<String>| {
            let start = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
            tries += 1;
            match outcome {
                Ok(_) if start.elapsed() > SLOW => {
                    let file = keep_input(&folder, "slow", input);
                    panic!("{}: seed {seed}: {:?} for {}", self.name, start.elapsed(), file.display());
                }
                Ok(echo) => echoes.insert(own_words(&echo)),
                Err(_) => {
                    let file = keep_input(&folder, "found", input);
                    panic!("{}: seed {seed}: it does not survive {}", self.name, file.display());
                }
            }
        };
        for input in mutator.pool.clone() {
            attempt(&input, &mut echoes);
        }
        let end = Instant::now() + time;
        while Instant::now() < end {
            let input = mutator.next();
            if attempt(&input, &mut echoes) {
                if keep {
                    keep_input(&folder, "echo", &input);
                }
                mutator.keep(input);
            }
        }
        println!("fuzz {}: seed {seed}, {tries} inputs, {} echoes, {} kept", self.name, echoes.len(), mutator.pool.len());
    }
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text:?} is no number")))
}

fn corpus(folder: &PathBuf) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap_or_else(|why| panic!("{}: {why}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("readable").path()).collect();
    files.sort();
    let corpus: Vec<_> = files.iter().map(|file| std::fs::read(file).expect("readable")).collect();
    assert!(!corpus.is_empty(), "{} is empty", folder.display());
    corpus
}

fn keep_input(folder: &std::path::Path, kind: &str, input: &[u8]) -> PathBuf {
    let digest = ring::digest::digest(&ring::digest::SHA256, input);
    let name = qris_core::hex(&digest.as_ref()[..8]);
    let file = folder.join(format!("{kind}-{name}"));
    std::fs::write(&file, input).expect("written");
    file
}

/// What an echo says by itself: numbers, and what is quoted from the input, are different every time.
fn own_words(echo: &str) -> String {
    let part = |part: &str| {
        let own: String = part.chars().take_while(|c| !matches!(c, '"' | '`' | '\'' | '{')).filter(char::is_ascii_alphabetic).collect();
        own.chars().take(60).collect::<String>()
    };
    echo.split('|').map(part).collect::<Vec<_>>().join("|")
}

fn words(text: &str) -> Vec<&str> {
    text.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect()
}

struct Mutator<'a> {
    rng: Rng,
    pool: Vec<Vec<u8>>,
    words: Vec<&'a str>,
    longest: usize,
}

impl Mutator<'_> {
    fn keep(&mut self, input: Vec<u8>) {
        if self.pool.len() < POOL_MAX {
            self.pool.push(input);
        } else {
            let at = self.below(self.pool.len());
            self.pool[at] = input;
        }
    }

    fn next(&mut self) -> Vec<u8> {
        let at = self.below(self.pool.len());
        let mut input = self.pool[at].clone();
        for _ in 0..=self.below(4) {
            self.mutate(&mut input);
        }
        input.truncate(self.longest);
        input
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.below(n as u64)).expect("below a usize")
    }

    /// A range of the input, rarely a long one.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        let most = (length - from).min(if self.below(4) == 0 { 400 } else { 12 });
        from..from + self.below(most + 1)
    }

    fn mutate(&mut self, input: &mut Vec<u8>) {
        const BYTES: &[u8] = b"\0\x01\x7f\x80\xc3\xff\r\"\\{}[],:.-+eE0 9/A=_\n\t";
        // The first eleven are numbers.
        const TEXTS: &str = "0  -1  -0  1e400  1e-400  0.1  9007199254740993  18446744073709551615  18446744073709551616  \
                             -9223372036854775809  99999999999999999999999999999999  null  true  \"\"  []  {}  [[[[[[[[  \
                             {\"a\":{\"a\":{\"a\":  \\u0000  \\ud800  \u{202e}  \u{feff}  é";
        let texts = words(TEXTS);
        let (length, range) = (input.len(), self.range(input.len()));
        match self.below(7) {
            0 => drop(input.drain(range)),
            1 => input.truncate(range.start),
            2 => drop(input.splice(range.start..(range.start + self.below(2)).min(length), [BYTES[self.below(BYTES.len())]])),
            3 => drop(input.splice(range, texts[self.below(texts.len())].bytes())),
            4 if !self.words.is_empty() => {
                let word = self.below(self.words.len());
                input.splice(range, self.words[word].bytes());
            }
            5 => {
                // A piece of this one or of another, once or often.
                let other = self.below(self.pool.len());
                let theirs = self.range(self.pool[other].len());
                let times = 1 + if self.below(4) == 0 { self.below(64) } else { 0 };
                let piece = self.pool[other][theirs].repeat(times);
                input.splice(range, piece);
            }
            _ => {
                // A whole number in the text becomes another one.
                let Some(from) = input.iter().position(u8::is_ascii_digit) else { return };
                let digits = input[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                input.splice(from..from + digits, texts[self.below(11)].bytes());
            }
        }
    }
}
