//! A list of machines, as a table (CSV) from any program for tables. All its faults are told before anything is made.

use super::super::init::reserved;
use qris_core::order::ids::DeviceId;
use qris_host::Failure;
use qris_host::interrupt::Input;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The largest list, in bytes.
const SIZE_MAX: u64 = 1 << 20;
/// The longest name, in characters: it stands on a label.
const NAME_MAX: usize = 40;
/// The sheet for a printer.
const SHEET: &str = "labels.pdf";

/// A machine of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: DeviceId,
    /// Its name for people; its id if the list has none.
    pub name: String,
}

/// Everything that is wrong with a list.
#[derive(Debug, thiserror::Error)]
#[error("the list has faults, and nothing was made:\n{}", .0.join("\n"))]
struct ListFaults(Vec<String>);

/// Reads a list.
///
/// # Errors
/// All faults, each with its line.
pub fn read(path: &Path) -> Result<Vec<Listed>, Failure> {
    let mut text = String::new();
    let read = Input::of(path).and_then(|file| file.take(SIZE_MAX + 1).read_to_string(&mut text));
    read.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
    if text.len() as u64 > SIZE_MAX {
        return Err(Failure::usage(format!("{}: is larger than 1 MiB", path.display())));
    }
    parse(&text).map_err(|faults| {
        Failure::usage(ListFaults(faults.into_iter().map(|(line, why)| format!("{}:{line}: {why}", path.display())).collect()))
    })
}

fn parse(text: &str) -> Result<Vec<Listed>, Vec<(usize, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| !line.trim().is_empty());
    let Some((first, header)) = lines.next() else { return Err(vec![(1, "is empty: the first line must be id,name".into())]) };
    // Where a comma is in decimal numbers, tables have semicolons.
    let comma = if header.contains(';') { ';' } else { ',' };
    let columns = fields(header, comma).unwrap_or_default();
    let column = |wanted: &str| columns.iter().position(|name| name.eq_ignore_ascii_case(wanted));
    let Some(id_at) = column("id") else { return Err(vec![(first, format!("must name the columns: id,name; not {header:?}"))]) };
    let name_at = column("name");
    let mut faults: Vec<_> = columns
        .iter()
        .filter(|name| !["id", "name"].iter().any(|known| name.eq_ignore_ascii_case(known)))
        .map(|name| (first, format!("there is no column {name:?}: id and name are the columns")))
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
                faults.push((number, format!("id {:?}: {why}", fields[id_at])));
                continue;
            }
        };
        if let Some(earlier) = seen.insert(id.clone(), number) {
            faults.push((number, format!("{id} stands in line {earlier} already")));
        }
        let name = name_at.map(|at| fields[at].clone()).filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string());
        if name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
            faults.push((number, format!("the name must be plain text of at most {NAME_MAX} characters")));
        }
        listed.push(Listed { id, name });
    }
    if listed.is_empty() && faults.is_empty() {
        faults.push((first, "no machine follows".into()));
    }
    if faults.is_empty() { Ok(listed) } else { Err(faults) }
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

/// A directory of files with secrets, one for each machine, that only its owner reads.
pub struct Folder {
    path: PathBuf,
    ending: &'static str,
}

impl Folder {
    /// Opens it, or makes it.
    pub fn open(path: &Path, ending: &'static str) -> Result<Self, Failure> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
        Ok(Self { path: path.into(), ending })
    }

    /// The file of a machine.
    pub fn of(&self, id: &DeviceId) -> PathBuf {
        self.path.join(format!("{id}.{}", self.ending))
    }

    /// What the file of a machine says, if there is one.
    pub fn text(&self, id: &DeviceId) -> Option<String> {
        fs::read_to_string(self.of(id)).ok()
    }

    /// Writes the file of a machine.
    pub fn put(&self, id: &DeviceId, text: &str) -> Result<(), Failure> {
        put(&self.of(id), text.as_bytes())
    }

    /// Writes the sheet.
    pub fn print(&self, sheet: &[u8]) -> Result<PathBuf, Failure> {
        let path = self.path.join(SHEET);
        put(&path, sheet).map(|()| path)
    }
}

/// Writes a file anew, as a whole.
fn put(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let new = path.with_extension("new");
    let written = || -> io::Result<()> {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    };
    written().map_err(|why| Failure::failed(format!("{}: {why}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_what_programs_for_tables_write() {
        let read = |text: &str| {
            parse(text).map(|list| list.into_iter().map(|one| format!("{}={}", one.id, one.name)).collect::<Vec<_>>().join(" "))
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
        let told: Vec<_> = parse(bad).expect_err("faults").into_iter().map(|(line, why)| format!("{line} {why}")).collect();
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
            assert!(parse(text).expect_err("a fault")[0].1.contains(wanted), "{text:?}");
        }
    }
}
