//! The same `Target` as in `tests/all/rig/fuzz.rs`, run by bolero.

use bolero::TargetLocation;
use std::any::type_name;
use std::fmt::Write as _;
use std::panic::AssertUnwindSafe;

/// What is fuzzed.
pub struct Target<'a> {
    /// The folder of its corpus, and the test's own name.
    pub name: &'a str,
    /// Words that its parser knows, with two blanks between them.
    pub words: &'a str,
    /// The longest input that is tried: over the parser's own limit.
    pub longest: usize,
}

impl Target<'_> {
    /// Runs a target; a panic is a finding. The echo that it returns is for the engine without coverage.
    pub fn run<F: Fn(&[u8]) -> String>(&self, target: F) {
        // cargo-bolero asks each test for its name before it runs one. `bolero::check!` would take this function's; the closure
        // has the test's.
        let location = TargetLocation {
            package_name: env!("CARGO_PKG_NAME"),
            manifest_dir: env!("CARGO_MANIFEST_DIR"),
            module_path: module_path!(),
            file: file!(),
            line: line!(),
            item_path: Box::leak(format!("{}::__bolero_item_path__", type_name::<F>()).into_boxed_str()),
            test_name: Some(self.name.to_owned()),
        };
        if !location.should_run() {
            return;
        }
        if cfg!(fuzzing_libfuzzer) {
            self.tell_libfuzzer();
        }
        let target = AssertUnwindSafe(target);
        bolero::test(location).for_each(move |bytes: &[u8]| {
            let AssertUnwindSafe(target) = &target;
            drop(target(bytes));
        });
    }

    /// Adds the words, as a dictionary, and the length to libFuzzer's arguments, where bolero reads them.
    fn tell_libfuzzer(&self) {
        let dictionary = format!("{}/{}.words", env!("CARGO_TARGET_TMPDIR"), self.name);
        let words = self.words.split("  ").map(str::trim).filter(|word| !word.is_empty());
        let line = |word: &str| {
            let escaped = word.bytes().fold(String::new(), |mut text, byte| {
                write!(text, "\\x{byte:02x}").expect("a string takes all");
                text
            });
            format!("\"{escaped}\"\n")
        };
        std::fs::write(&dictionary, words.map(line).collect::<String>()).unwrap_or_else(|why| panic!("{dictionary}: {why}"));
        let given = std::env::var("BOLERO_LIBFUZZER_ARGS").expect("cargo-bolero runs this");
        // SAFETY: this is the only test of the process, and no other thread of it looks at the environment.
        unsafe { std::env::set_var("BOLERO_LIBFUZZER_ARGS", format!("{given} -dict={dictionary} -max_len={}", self.longest)) };
    }
}
