//! Wrong use of every program: `wrong_use.txt` has a row for each. It ends with the right status, and what is told names the
//! wrong word and its place, and what to do, in words for the person who did it.

use crate::indonesian::english_in;
use crate::rig::{command, output, source_text, stderr, succeed, tool};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is never told: words of libraries, which are for programmers, and the ends of programs that nobody foresaw.
const FOR_PROGRAMMERS: [&str; 33] = [
    "i64",
    "i128",
    "u16",
    "u32",
    "u64",
    "usize",
    "f64",
    "invalid digit",
    "invalid float",
    "invalid type",
    "invalid length",
    "invalid value:",
    "expected struct",
    "missing field",
    "unknown field",
    "unknown variant",
    "did not match any",
    "untagged",
    "serde",
    "TOML parse",
    "at line 1 column",
    "expected value",
    "..=",
    "literal string",
    "unquoted",
    "stream did not",
    "socket address",
    "IP address syntax",
    "trailing",
    "panicked",
    "RUST_BACKTRACE",
    "Some(",
    "Error {",
];
/// One of these words tells what to do.
const TO_DO: [&str; 38] = [
    "Usage:",
    "--help",
    "must ",
    "write ",
    "write:",
    "give ",
    "use ",
    "run ",
    "leave ",
    "did you mean",
    "expected ",
    "keep ",
    "is missing",
    "sudo ",
    "say ",
    "take ",
    "needs ",
    "name ",
    "names ",
    "replace ",
    "at least",
    "should ",
    "set ",
    "see ",
    "wait",
    "stand",
    "no line has",
    "has no line for",
    "is void",
    "holds a space",
    "as `",
    "makes it",
    "makes a key",
    "adds a key",
    "is written",
    "not known yet",
    "choose ",
    "add ",
];
/// What the secrets of the examples hold.
const SECRETS: [&str; 3] = ["secret-of-the-broker", "secret-of-the-token", "SB-Mid-server-secret"];

#[test]
fn wrong_use_is_told_in_words_for_people() {
    let table = source_text("tests/all/wrong_use.txt");
    let rows: Vec<(usize, &str)> = (1..).zip(table.lines()).filter(|(_, row)| !row.is_empty() && !row.starts_with('#')).collect();
    assert!(rows.len() > 200, "the table is read whole: {}", rows.len());
    let next = AtomicUsize::new(0);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let place = Place::make();
            let mut wrong = Vec::new();
            while let Some((line, row)) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                wrong.extend(place.judge(row).map(|why| format!("wrong_use.txt:{line}: {row}\n{why}")));
            }
            wrong
        };
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker does not panic")).collect()
    });
    assert!(wrong.is_empty(), "{} of {} rows:\n\n{}", wrong.len(), rows.len(), wrong.join("\n\n"));
}

/// What the rule of a key or a server's address says comes from the core and from libraries, and stays English.
const OTHERS: [&str; 5] = [
    "No such file or directory",
    "not a JWK Set as `qris-backend keys public` writes it: line 1, column 1 has something else",
    "must be postgres://USER@HOST[,HOST…]/DATABASE: the user is missing",
    "not a private Ed25519 JWK (RFC 8037): not a JWK in JSON with kty, crv, kid, x and d",
    "Is a directory",
];

#[test]
fn a_fault_of_a_file_is_told_in_indonesian() {
    let table = source_text("tests/all/wrong_use.txt");
    let rows: Vec<_> =
        table.lines().filter(|row| ["qrisd.toml: ", "relay.toml: ", "backend.toml: "].iter().any(|file| row.starts_with(file))).collect();
    let place = Place::make();
    let here = place.0.path().display().to_string();
    let mut wrong = Vec::new();
    for row in &rows {
        place.restore();
        let what = row.replace("{}", &here);
        let what = what.split(" | ").next().unwrap_or_default().trim();
        let told =
            stderr(&output(place.command(what).env("LC_ALL", "id_ID.UTF-8").env("HOME", place.0.path()).current_dir(place.0.path())));
        let english = english_in(&told.replace(&here, ""), &OTHERS);
        if !english.is_empty() {
            wrong.push(format!("{what}\n{english:?} in {told}"));
        }
    }
    assert!(wrong.is_empty() && rows.len() > 80, "{} of {} rows:\n\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// People look for `refund` in qrisctl, and for `setup` in qris-backend.
#[test]
fn a_command_of_the_other_program_is_named() {
    let programs = [("qrisctl", env!("CARGO_BIN_EXE_qrisctl")), ("qris-backend", env!("CARGO_BIN_EXE_qris-backend"))];
    let commands = programs.map(|(_, path)| {
        let help = succeed(command(path).arg("--help"));
        let list = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a list");
        list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect::<Vec<_>>()
    });
    for (here, there) in [(0, 1), (1, 0)] {
        let only_there: Vec<_> = commands[there].iter().filter(|word| !commands[here].contains(word)).collect();
        assert!(only_there.len() > 8, "{only_there:?}");
        for word in only_there {
            let told = output(command(programs[here].1).arg(word));
            assert_eq!(told.status.code(), Some(2), "{word}");
            let (told, named) = (stderr(&told), format!("tip: that is '{} {word}', on ", programs[there].0));
            assert!(told.contains(&named) && !told.contains("similar"), "{told}");
        }
    }
    // A word of nobody's has the tip that it always had.
    assert!(stderr(&output(command(programs[0].1).arg("vned"))).contains("a similar subcommand exists: 'vend'"));
}

/// A directory with the shipped examples, all files that they name, and some that are no good.
struct Place(tempfile::TempDir);

impl Place {
    fn make() -> Self {
        let place = Self(tempfile::tempdir().expect("a directory"));
        std::fs::set_permissions(place.0.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        std::fs::create_dir(place.at("folder")).expect("made");
        place.restore();
        for (name, secret) in [("mqtt-password", SECRETS[0]), ("backend-token", SECRETS[1]), ("midtrans-server-key", SECRETS[2])] {
            std::fs::write(place.at(name), secret).expect("written");
            std::fs::set_permissions(place.at(name), std::fs::Permissions::from_mode(0o600)).expect("ours");
        }
        let large = vec![b'#'; 1024 * 1024 + 1];
        for (name, bytes) in [("empty", &b""[..]), ("bytes", b"\xff\xfe\0a"), ("words", b"just some words\n"), ("large", &large)] {
            std::fs::write(place.at(name), bytes).expect("written");
        }
        let backend =
            |words: &[&str]| succeed(command(env!("CARGO_BIN_EXE_qris-backend")).arg("--config").arg(place.at("backend.toml")).args(words));
        backend(&["keys", "new"]);
        std::fs::write(place.at("keys.json"), backend(&["keys", "public"])).expect("written");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The examples as they are shipped, with their files here. Which chips this computer has is not the question.
    fn restore(&self) {
        let here = format!("{}/", self.0.path().display());
        for name in ["qrisd.toml", "relay.toml", "backend.toml"] {
            let mut text = source_text(&format!("config/{name}"));
            for there in ["/etc/qrisd/", "/etc/qris-backend/", "/var/lib/qrisd/", "/var/lib/qris-relay/", "/var/lib/qris-backend/"] {
                text = text.replace(there, &here);
            }
            let sim = format!("chip = \"sim:{here}line.log\"  # its label; or");
            std::fs::write(
                self.at(name),
                text.replace("chip = \"pinctrl-bcm2711\"  # its label; or", &sim).replace("\noffset = 17\n", "\n"),
            )
            .expect("written");
        }
    }

    /// Runs a row of the table; what is wrong with it.
    fn judge(&self, row: &str) -> Option<String> {
        let here = self.0.path().display().to_string();
        let row = row.replace("{}", &here);
        let mut columns = row.split(" | ").map(str::trim);
        let (Some(what), Some(status)) = (columns.next(), columns.next()) else { return Some("it has no status".into()) };
        self.restore();
        let result = output(self.command(what).env("HOME", self.0.path()).current_dir(self.0.path()));
        let told = stderr(&result);
        let mut wrong: Vec<String> =
            columns.filter(|words| !told.contains(words)).map(|words| format!("it does not say {words:?}")).collect();
        if result.status.code().map(|code| code.to_string()).as_deref() != Some(status) {
            wrong.push(format!("it ends with {}", result.status));
        }
        if !result.stdout.is_empty() {
            wrong.push("it writes to standard output".into());
        }
        // Names of files may have such words.
        let words = told.replace(&here, "");
        wrong.extend(FOR_PROGRAMMERS.iter().filter(|word| words.contains(**word)).map(|word| format!("it says {word:?}")));
        wrong.extend(SECRETS.iter().filter(|secret| told.contains(**secret)).map(|_| "it tells a secret".into()));
        if !TO_DO.iter().any(|word| told.contains(word)) {
            wrong.push("it does not say what to do".into());
        }
        (!wrong.is_empty()).then(|| format!("{}:\n{told}", wrong.join(", ")))
    }

    /// The command of a row.
    fn command(&self, what: &str) -> Command {
        let change = ["qrisd", "qris-relayd", "qris-backend"].into_iter().zip(["qrisd.toml: ", "relay.toml: ", "backend.toml: "]);
        for (program, file) in change {
            let Some(change) = what.strip_prefix(file) else { continue };
            let path = self.change(file.trim_end_matches(": "), change);
            let mut check = command(binary(program));
            check.arg("--config").arg(path).arg("--check");
            return check;
        }
        let words = split(what);
        match words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
            Some(("nobody", words)) => {
                let mut run = command(tool("setpriv"));
                run.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(binary(&words[0])).args(&words[1..]);
                run
            }
            Some((program, words)) => {
                let mut run = command(binary(program));
                run.args(words);
                run
            }
            None => panic!("an empty row"),
        }
    }

    /// Changes an example, or writes a file of its own; its path.
    fn change(&self, file: &str, change: &str) -> PathBuf {
        if let Some(text) = change.strip_prefix("= ") {
            std::fs::write(self.at("text"), text.replace("\\n", "\n")).expect("written");
            return self.at("text");
        }
        let (good, bad) = change.split_once(" =>").expect("GOOD => BAD");
        let text = std::fs::read_to_string(self.at(file)).expect("there");
        assert!(text.contains(good), "{file} does not have {good:?}");
        std::fs::write(self.at(file), text.replacen(good, &bad.trim().replace("\\n", "\n"), 1)).expect("written");
        self.at(file)
    }
}

fn binary(program: &str) -> &'static Path {
    Path::new(match program {
        "qrisctl" => env!("CARGO_BIN_EXE_qrisctl"),
        "qrisd" => env!("CARGO_BIN_EXE_qrisd"),
        "qris-relayd" => env!("CARGO_BIN_EXE_qris-relayd"),
        "qris-backend" => env!("CARGO_BIN_EXE_qris-backend"),
        "qris-demo" => env!("CARGO_BIN_EXE_qris-demo"),
        "qris-tools" => env!("CARGO_BIN_EXE_qris-tools"),
        other => panic!("{other} is none of the programs"),
    })
}

/// Words as a shell splits them; double quotes keep blanks together.
pub fn split(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate().flat_map(|(at, part)| match at % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    parts.map(str::to_owned).collect()
}
