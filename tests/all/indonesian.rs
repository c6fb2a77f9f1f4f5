//! The Indonesian texts beside the English ones: no page is older than its sibling, both have the same parts and commands, and
//! one table of terms holds for all of them.

use crate::rig::files::files;
use crate::rig::{source, source_text};

/// An Indonesian page, and the English one that it was made from.
struct Sibling {
    page: String,
    text: String,
    english: String,
    /// The beginning of the hash of the English text as it was then.
    hash: String,
}

/// All pages in Indonesian. The table of terms is one page for both languages.
fn siblings() -> Vec<Sibling> {
    let mut found: Vec<_> = files(&source("docs/id"), "md").into_iter().filter(|(path, _)| !path.ends_with("terms.md")).collect();
    found.sort();
    let sibling = |(path, text): (std::path::PathBuf, String)| {
        let page = path.strip_prefix(source("")).expect("below the source").display().to_string();
        let first = text.lines().next().and_then(|line| line.strip_prefix("<!-- dari ")?.strip_suffix(" -->")?.split_once(' '));
        let (english, hash) = first.unwrap_or_else(|| panic!("{page}: its first line must be <!-- dari ENGLISH-PAGE HASH -->"));
        Sibling { english: english.to_owned(), hash: hash.to_owned(), page, text }
    };
    found.into_iter().map(sibling).collect()
}

#[test]
fn no_indonesian_page_is_older_than_its_english_one() {
    let siblings = siblings();
    let old = |sibling: &&Sibling| {
        let digest = ring::digest::digest(&ring::digest::SHA256, source_text(&sibling.english).as_bytes());
        qris_core::hex(&digest.as_ref()[..8]) != sibling.hash
    };
    let old: Vec<_> = siblings.iter().filter(old).map(|sibling| format!("{} beside {}", sibling.page, sibling.english)).collect();
    assert!(old.is_empty(), "read these again, and then say so with docs/id/mark PAGE:\n{}", old.join("\n"));
    assert!(siblings.len() > 2, "{} pages", siblings.len());
}

/// A part that is missing in one of them would be missed by nobody who reads only that one.
#[test]
fn both_pages_have_the_same_parts_and_commands_and_lead_to_each_other() {
    for Sibling { page, text, english, .. } in siblings() {
        let other = source_text(&english);
        assert_eq!(outline(&text), outline(&other), "{page} has other headings or tables than {english}");
        let (here, there) = (blocks(&text), blocks(&other));
        for (this, that) in here.iter().zip(&there) {
            assert_eq!(this, that, "{page}: a block is another one than in {english}");
        }
        assert_eq!(here.len(), there.len(), "{page} has other blocks than {english}");
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        assert!(text.contains(&format!("[English]({})", from(&page, &english))), "{page} does not lead to {english}");
        assert!(other.contains(&format!("[Bahasa Indonesia]({})", from(&english, &page))), "{english} does not lead to {}", name(&page));
    }
}

/// A picture with words is drawn once for each language. Whoever follows either of them connects the same pins.
#[test]
fn both_pictures_show_the_same_thing_with_other_words() {
    let pictures = files(&source("docs"), "svg");
    let mut pairs = 0;
    for (path, text) in &pictures {
        let name = path.display().to_string();
        let Some(english) = name.strip_suffix(".id.svg").map(|name| format!("{name}.svg")) else { continue };
        let (_, other) = pictures.iter().find(|(path, _)| path.display().to_string() == english).expect("its English sibling");
        let ((drawn, numbers), (drawn_there, numbers_there)) = (drawn(text), drawn(other));
        assert_eq!(drawn, drawn_there, "{name}: another drawing than {english}");
        assert_eq!(numbers, numbers_there, "{name}: other numbers than in {english}");
        assert!(numbers.len() > 40, "{name}: {numbers:?}");
        pairs += 1;
    }
    assert_eq!(pairs, 1, "the wiring of one Pi");
}

/// The lines of a picture without its words, and the numbers in its words.
fn drawn(picture: &str) -> (String, Vec<String>) {
    let (mut rest, mut numbers) = (String::new(), Vec::new());
    let mut parts = picture.split("<text ");
    rest += parts.next().unwrap_or_default();
    for part in parts {
        let (text, behind) = part.split_once("</text>").expect("its end");
        let (_, words) = text.split_once('>').expect("its words");
        numbers.extend(words.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty()).map(str::to_owned));
        rest += behind;
    }
    let (before, title) = rest.split_once("<title>").expect("a title");
    (before.to_owned() + title.split_once("</title>").expect("its end").1, numbers)
}

/// The way from the folder of one file to another file.
fn from(one: &str, other: &str) -> String {
    let folders: Vec<_> = one.split('/').collect();
    let parts: Vec<_> = other.split('/').collect();
    let same = folders[..folders.len() - 1].iter().zip(&parts).take_while(|(one, other)| one == other).count();
    format!("{}{}", "../".repeat(folders.len() - 1 - same), parts[same..].join("/"))
}

/// The level of each heading, and the number of rows of each table.
fn outline(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rows = 0;
    for line in prose_lines(text).chain([""]) {
        if line.starts_with('|') {
            rows += 1;
            continue;
        }
        if rows > 0 {
            found.push(format!("table of {rows}"));
            rows = 0;
        }
        if line.starts_with('#') {
            found.push(line.chars().take_while(|c| *c == '#').collect());
        }
    }
    found
}

/// The lines outside of blocks of code.
fn prose_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The blocks of code, without the words behind a `#`: these are translated. Of a block that shows a command with what it prints only
/// the command counts: the program speaks the language of its reader, too. Of a drawing its pins, wires and values count.
fn blocks(text: &str) -> Vec<String> {
    let code = |line: &str| {
        let end = if line.starts_with('#') { 0 } else { line.find("  #").unwrap_or(line.len()) };
        line[..end].trim_end().to_owned()
    };
    let mut found: Vec<String> = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            if is_code {
                found.push(String::new());
            }
        } else if let Some(block) = found.last_mut().filter(|block| is_code && (!block.starts_with("$ ") || line.starts_with("$ "))) {
            *block += &format!("{}\n", code(line.trim()));
        }
    }
    found.into_iter().map(|block| if block.contains("──") { wired(&block) } else { block }).collect()
}

/// The lines of a drawing without its words. A wire may have any length.
fn wired(drawing: &str) -> String {
    let is_word = |part: &&str| part.contains(char::is_lowercase);
    let part = |part: &str| {
        let mut part = part.trim_matches(['(', ')', ':', ';', ',']).replace(',', ".");
        while part.contains("──") {
            part = part.replace("──", "─");
        }
        part
    };
    let line = |line: &str| line.split_whitespace().filter(|word| !is_word(word)).map(part).collect::<Vec<_>>().join(" ");
    drawing.lines().map(|each| line(each) + "\n").collect()
}

/// A row of the table of terms.
struct Term {
    english: String,
    chosen: Vec<String>,
    never: Vec<String>,
}

fn terms() -> Vec<Term> {
    let text = source_text("docs/id/terms.md");
    let (_, table) = text.split_once("| English | Indonesian | never |\n| --- | --- | --- |\n").expect("the table");
    let words = |cell: &str| cell.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').collect();
        assert_eq!(cells.len(), 5, "{line}");
        Term { english: cells[1].trim().to_lowercase(), chosen: words(cells[2]), never: words(cells[3]) }
    };
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).map(row).collect();
    assert!(rows.len() > 20, "{}", rows.len());
    rows
}

/// Each text in both languages: where it stands, the English one, the Indonesian one.
fn pairs() -> Vec<(String, String, String)> {
    // Names of commands and files stand in backticks.
    let words = |text: &str| text.split('`').step_by(2).collect::<Vec<_>>().join("…");
    let mut found: Vec<_> = tables().into_iter().map(|(file, [id, en])| (format!("{file}: {en}"), words(&en), words(&id))).collect();
    let demo = source_text("src/demo/page/words.js");
    let language = |begins: &str| {
        let (_, table) = demo.split_once(begins).expect("its table");
        let texts = quoted(table.split_once("\n};\n").expect("its end").0, &['"', '`']).join("\n");
        // The names of values are not words.
        let mut parts = texts.split("${");
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |so_far, part| so_far + "…" + part.split_once('}').map_or("", |(_, behind)| behind))
    };
    found.push(("src/demo/page/words.js".into(), language("const en = {"), language("const id = {")));
    found.extend(siblings().into_iter().map(|sibling| (sibling.page, prose(&source_text(&sibling.english)), prose(&sibling.text))));
    found
}

/// Each text of a table of texts, one a line: where it stands, in Indonesian and in English.
fn tables() -> Vec<(String, [String; 2])> {
    let mut found = Vec::new();
    for (path, code) in files(&source("src"), "rs") {
        // Pages are read by many people at once, so their tables are chosen by the language of each.
        let is_of_pages =
            path.ends_with("http/pay/words.rs") || path.starts_with(source("src/desk/words")) || path.ends_with("desk/words.rs");
        let begins = if is_of_pages { "\nwords! {\n" } else { "\ntexts! {\n" };
        let Some((_, table)) = code.split_once(begins) else { continue };
        let (table, _) = table.split_once("\n}\n").expect("its end");
        let texts = quoted(table, &['"']);
        let file = path.strip_prefix(source("")).expect("below the source").display().to_string();
        assert!(texts.len() >= 2 && texts.len().is_multiple_of(2), "{file}: {} texts", texts.len());
        found.extend(texts.chunks(2).map(|pair| (file.clone(), [pair[0].clone(), pair[1].clone()])));
    }
    assert!(found.len() > 800, "{}", found.len());
    found
}

/// Words of English sentences that no Indonesian one has. Names of checks, such as `machine`, are none of them.
const ENGLISH: [&str; 37] = [
    "the",
    "is",
    "are",
    "was",
    "were",
    "be",
    "not",
    "and",
    "of",
    "for",
    "by",
    "has",
    "have",
    "it",
    "its",
    "with",
    "at",
    "no",
    "or",
    "from",
    "this",
    "that",
    "which",
    "whether",
    "nobody",
    "nothing",
    "cannot",
    "missing",
    "must",
    "refused",
    "money",
    "customer",
    "payment",
    "correct",
    "look",
    "says",
    "differences",
];

/// What is in English in a text that should be in Indonesian: texts of our tables, and words of sentences that stand in none. Names and
/// what is typed stand in backticks or quotes; `others`: words of others.
pub fn english_in(text: &str, others: &[&str]) -> Vec<String> {
    let text = others.iter().fold(text.to_owned(), |text, words| text.replace(words, "…"));
    let tables = tables();
    let is_indonesian = |part: &str| tables.iter().any(|(_, [id, _])| id.contains(part));
    let parts = tables.iter().flat_map(|(_, [_, en])| en.split(['{', '}']));
    // A shorter part may stand in a name.
    let parts = parts.map(|part| part.trim_matches(|c: char| !c.is_alphanumeric())).filter(|part| part.contains(' ') && part.len() > 8);
    let mut found: Vec<String> = parts.filter(|part| text.contains(part) && !is_indonesian(part)).map(str::to_owned).collect();
    let plain = text.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let plain = plain.split('"').step_by(2).collect::<Vec<_>>().join(" ");
    let words = plain.split(|c: char| !c.is_alphanumeric() && !matches!(c, '-' | '_' | '/' | '.'));
    found.extend(words.map(|word| word.trim_end_matches('.')).filter(|word| ENGLISH.contains(word)).map(str::to_owned));
    found
}

#[test]
fn english_is_seen_in_an_indonesian_text() {
    for (text, found) in [
        ("Rp5.000 untuk teh dikembalikan lewat gateway", 0),
        ("tidak ada pesanan abc", 0),
        ("periksa `the table`, dan \"the name\"", 0),
        ("pulihkan cadangan; No such file or directory", 0),
        ("restore a backup; look at the disk", 4),
        ("the goods", 1),
    ] {
        let seen = english_in(text, &["No such file or directory"]);
        assert!(if found == 0 { seen.is_empty() } else { !seen.is_empty() }, "{text}: {seen:?}");
    }
}

/// What stands between quotes.
fn quoted(code: &str, quotes: &[char]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(quotes) {
        let quote = rest[at..].chars().next().expect("found");
        let Some((text, behind)) = rest[at + 1..].split_once(quote) else { break };
        found.push(text.to_owned());
        rest = behind;
    }
    found
}

/// The words of a page that are in its language: without code, and without the targets of links.
fn prose(page: &str) -> String {
    let whole = prose_lines(page).filter(|line| !line.starts_with("<!--")).collect::<Vec<_>>().join("\n");
    let words = whole.split('`').step_by(2).collect::<Vec<_>>().join("…");
    let mut parts = words.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    let words = parts.fold(first, |so_far, part| so_far + " " + part.split_once(')').map_or("", |(_, behind)| behind));
    // Names and words of others stand as they are: in bold, in italics, in quotes.
    let words = words.replace("\n* ", "\n- ");
    let words = ["**", "*", "\""].iter().fold(words, |words, sign| words.split(sign).step_by(2).collect::<Vec<_>>().join(" "));
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Does the text have these words, and no letter before or behind them?
fn has(text: &str, words: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(words).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(is_letter) && !text[at + words.len()..].chars().next().is_some_and(is_letter)
    })
}

#[test]
fn one_word_stands_for_one_thing_in_both_languages() {
    let mut wrong = Vec::new();
    let mut used = 0;
    let (terms, pairs) = (terms(), pairs());
    for (place, english, indonesian) in &pairs {
        let (lower, english) = (indonesian.to_lowercase(), english.to_lowercase());
        for Term { english: term, chosen, never } in &terms {
            let is_said = |never: &&String| {
                let is_about_capitals = chosen.iter().any(|chosen| chosen.to_lowercase() == **never);
                has(if is_about_capitals { indonesian } else { &lower }, never)
            };
            wrong.extend(never.iter().filter(is_said).map(|never| format!("{place}: never say {never}, but {}", chosen.join(" or "))));
            if [term.clone(), format!("{term}s")].iter().any(|term| has(&english, term)) && term != "you" {
                used += 1;
                if !chosen.iter().any(|chosen| lower.contains(&chosen.to_lowercase())) {
                    wrong.push(format!("{place}: for {term} say {}: {indonesian:.80}", chosen.join(" or ")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "see docs/id/terms.md:\n{}", wrong.join("\n"));
    assert!(used > 50, "{used} terms in {} texts", pairs.len());
}
