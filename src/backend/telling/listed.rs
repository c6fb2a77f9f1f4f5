//! A list of machines, as a table (CSV) from any program for tables. Its faults are told before anything is made.

use qris_core::order::ids::DeviceId;
use qris_core::text::steers;
use std::collections::BTreeMap;

/// The longest name, in characters: it stands on a label.
pub const NAME_MAX: usize = 40;
/// The most faults that are told.
pub const LISTED_MAX: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: DeviceId,
    /// Its name for people; its id if the list has none.
    pub name: String,
}

impl Listed {
    /// The name that the list gives it.
    #[must_use]
    pub fn given(&self) -> Option<&str> {
        Some(&*self.name).filter(|name| *name != self.id.as_str())
    }
}

/// What is wrong with a list: the line and the reason of the first [`LISTED_MAX`] faults, and the number of the others.
pub type Faults = (Vec<(usize, String)>, usize);

/// Reads a list. `reserved`: whether a name is that of another user of the broker.
pub fn parse(text: &str, reserved: impl Fn(&str) -> bool) -> Result<Vec<Listed>, Faults> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim().is_empty());
    let Some((first, header)) = lines.next() else { return Err((vec![(1, "is empty: the first line must be id,name".into())], 0)) };
    // Where a comma is in decimal numbers, tables have semicolons.
    let comma = if header.contains(';') { ';' } else { ',' };
    let columns = fields(header, comma).unwrap_or_default();
    let column = |wanted: &str| columns.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let Some(id_at) = column("id") else {
        return Err((vec![(first, format!("must name the columns: id,name; not {:?}", short(header)))], 0));
    };
    let name_at = column("name");
    let mut faults: Vec<_> = columns
        .iter()
        .filter(|name| !["id", "name"].iter().any(|known| name.eq_ignore_ascii_case(known)))
        .map(|name| (first, format!("there is no column {:?}: id and name are the columns", short(name))))
        .collect();
    let (mut listed, mut seen) = (Vec::new(), BTreeMap::new());
    for (number, line) in lines {
        let Some(fields) = fields(line, comma) else {
            faults.push((number, "a quotation mark has no end".into()));
            continue;
        };
        if fields.len() != columns.len() {
            faults.push((number, format!("has {} fields, and the first line has {}", fields.len(), columns.len())));
            continue;
        }
        let id = match DeviceId::new(&fields[id_at]) {
            Ok(id) if reserved(id.as_str()) => {
                faults.push((number, format!("{id} is the name of another user of the broker")));
                continue;
            }
            Ok(id) => id,
            Err(why) => {
                faults.push((number, format!("id {:?}: {why}", short(&fields[id_at]))));
                continue;
            }
        };
        if let Some(earlier) = seen.insert(id.clone(), number) {
            faults.push((number, format!("{id} stands in line {earlier} already")));
        }
        let name = name_at.map(|at| fields[at].clone()).filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string());
        if name.chars().count() > NAME_MAX || name.contains(steers) {
            faults.push((number, format!("the name must be plain text of at most {NAME_MAX} characters")));
        }
        listed.push(Listed { id, name });
    }
    if listed.is_empty() && faults.is_empty() {
        faults.push((first, "no machine follows".into()));
    }
    if faults.is_empty() {
        return Ok(listed);
    }
    let more = faults.len().saturating_sub(LISTED_MAX);
    faults.truncate(LISTED_MAX);
    Err((faults, more))
}

/// So much of a text that may be of any length.
fn short(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}

/// The fields of a line (RFC 4180); none if a quotation mark has no end.
fn fields(line: &str, comma: char) -> Option<Vec<String>> {
    let (mut fields, mut field, mut within) = (Vec::new(), String::new(), false);
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if within && rest.peek() == Some(&'"') => {
                rest.next();
                field.push('"');
            }
            '"' => within = !within,
            c if c == comma && !within => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    (!within).then(|| fields.iter().map(|field| field.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_what_programs_for_tables_write() {
        let read = |text: &str| {
            parse(text, |_| false).map(|list| list.into_iter().map(|one| format!("{}={}", one.id, one.name)).collect::<Vec<_>>().join(" "))
        };
        for (text, wanted) in [
            ("id,name\nvm-1,Lobi\nvm-2,\"Kios, \"\"A\"\"\"\n", "vm-1=Lobi vm-2=Kios, \"A\""),
            ("\u{feff}ID;Name\r\nvm-1;Lobi\r\n\r\n", "vm-1=Lobi"),
            ("name,id\n,vm-1\n", "vm-1=vm-1"),
            ("id\nvm-1\n", "vm-1=vm-1"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(wanted), "{text:?}");
        }
        let bad = "id,name,colour\nvm-1,a\nvm 2,b,c\nvm-3,c,d\nvm-3,d,e\nbackend,f,g\nvm-4,\"x,y\n";
        let told: Vec<_> =
            parse(bad, |name| name == "backend").expect_err("faults").0.into_iter().map(|(line, why)| format!("{line} {why}")).collect();
        let wanted = [
            "1 there is no column \"colour\"",
            "2 has 2 fields",
            "3 id \"vm 2\"",
            "5 vm-3 stands in line 4",
            "6 backend is",
            "7 a quotation",
        ];
        assert_eq!(told.len(), wanted.len(), "{told:?}");
        for (told, wanted) in told.iter().zip(wanted) {
            assert!(told.starts_with(wanted), "{told} is not {wanted}");
        }
        for (text, wanted) in [("", "is empty"), ("vm-1,Lobi\n", "must name the columns"), ("id,name\n", "no machine follows")] {
            assert!(parse(text, |_| false).expect_err("a fault").0[0].1.contains(wanted), "{text:?}");
        }
    }

    #[test]
    fn a_list_of_faults_has_an_end() {
        let long = "x".repeat(100_000);
        let many = format!("id,name,{long}\n{}", format!("{long},a,b\n").repeat(60));
        let (told, more) = parse(&many, |_| false).expect_err("faults");
        assert_eq!((told.len(), more), (LISTED_MAX, 61 - LISTED_MAX));
        assert!(told.iter().all(|(_, why)| why.len() < 200), "{told:?}");
        assert!(parse(&long, |_| false).expect_err("a fault").0[0].1.len() < 200);
    }
}
