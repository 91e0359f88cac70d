//! Devices from and to CSV. Import gives all devices or all problems, by line; nothing is written here.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;
use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::Value;

use super::set::PolicySet;
use super::{bad_name, codes};
use crate::diagnose::Diagnostic;
use crate::model::device::TransportKind;
use crate::model::{Device, Place, Platform};

/// Largest file, and most rows.
const MAX_BYTES: usize = 16 * 1024 * 1024;
const MAX_ROWS: usize = 100_000;
/// Problems after which reading stops.
const MAX_PROBLEMS: usize = 1000;

const COLUMNS: [&str; 10] = ["name", "address", "os", "site", "groups", "tags", "transport", "user", "port", "identity_file"];

/// What the repository has already, for checking names.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Devices and where they are declared.
    pub devices: BTreeMap<String, Place>,
    /// Groups.
    pub groups: BTreeSet<String>,
    /// Sites, their identifiers included.
    pub sites: BTreeSet<String>,
    /// Accept groups and sites that are not declared: the caller declares them, see [`undeclared`].
    pub create_missing: bool,
}

impl From<&PolicySet> for Known {
    fn from(set: &PolicySet) -> Self {
        Self {
            devices: set.devices.iter().map(|(name, device)| (name.clone(), device.place.clone())).collect(),
            groups: set.groups.keys().cloned().collect(),
            sites: set.sites.iter().flat_map(|(name, site)| std::iter::once(name.clone()).chain(site.site_id.clone())).collect(),
            create_missing: false,
        }
    }
}

/// Groups and sites that the devices name and the repository does not have.
pub fn undeclared(devices: &[Device], known: &Known) -> (BTreeSet<String>, BTreeSet<String>) {
    let groups = devices.iter().flat_map(|d| &d.groups).filter(|name| !known.groups.contains(*name)).cloned().collect();
    let sites = devices.iter().filter_map(|d| d.site.as_ref()).filter(|name| !known.sites.contains(*name)).cloned().collect();
    (groups, sites)
}

/// What a column is for.
enum Column {
    Known(&'static str),
    Custom(String),
    Var(String),
}

/// Reads devices. Where anything is wrong, everything that is wrong comes back instead.
pub fn import(csv: &[u8], file_name: &str, known: &Known) -> Result<Vec<Device>, Vec<Diagnostic>> {
    let file: Arc<str> = file_name.into();
    let text = text(csv, &file).map_err(|problem| vec![*problem])?;
    let mut lines: Vec<&str> = if text.contains('\n') { text.split('\n').collect() } else { text.split('\r').collect() };
    for line in &mut lines {
        *line = line.strip_suffix('\r').unwrap_or(line);
    }
    let mut rows = lines.iter().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((i, header)) = rows.next() else {
        return Err(vec![Diagnostic::error("RMM0201", "the file is empty").at(&Place::file(file)).advice(form())]);
    };
    let delimiter = [b',', b';', b'\t'].into_iter().find(|d| header.as_bytes().contains(d)).unwrap_or(b',');
    let mut importer = Importer { file, known, delimiter, problems: Vec::new() };
    let columns = importer.header(i as u32 + 1, header);
    let mut devices = Vec::new();
    let mut seen: BTreeMap<String, Place> = BTreeMap::new();
    for (count, (i, line)) in rows.enumerate() {
        let at = importer.line(i as u32 + 1);
        if count >= MAX_ROWS {
            importer.problems.push(Diagnostic::error("RMM0205", "the file has more than 100,000 rows").at(&at));
            break;
        }
        if importer.problems.len() >= MAX_PROBLEMS {
            importer.problems.push(Diagnostic::error("RMM0203", "too many problems; what follows was not read").at(&at));
            break;
        }
        let Some(device) = importer.row(i as u32 + 1, line, &columns) else { continue };
        let first = seen.get(&device.name).or_else(|| known.devices.get(&device.name));
        if let Some(first) = first {
            let problem = Diagnostic::error("RMM0204", format!("the device '{}' exists already", device.name));
            // The row is shown anyhow; underlining all of it says nothing more.
            let begin = Place { length: 1, ..at.clone() };
            let problem = problem.at(&begin).label("again here").related(first, "first here");
            importer.problems.push(problem.advice("take the row out; rmm devices edit changes a device that is declared"));
            continue;
        }
        seen.insert(device.name.clone(), at);
        devices.push(device);
    }
    if importer.problems.is_empty() { Ok(devices) } else { Err(importer.problems) }
}

fn form() -> String {
    format!("the first line names the columns: {}, custom:NAME, var:NAME", COLUMNS.join(", "))
}

/// The text of a file in UTF-8, or what its encoding is instead.
fn text<'a>(bytes: &'a [u8], file: &Arc<str>) -> Result<&'a str, Box<Diagnostic>> {
    let refuse = |code: &str, message: &str| Box::new(Diagnostic::error(code, message).at(&Place::file(Arc::clone(file))));
    let utf8 = "save it as UTF-8: in a spreadsheet, 'CSV UTF-8 (comma delimited)'";
    if bytes.len() > MAX_BYTES {
        return Err(refuse("RMM0205", "the file is larger than 16 MiB"));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) || bytes.iter().take(200).any(|b| *b == 0) {
        return Err(Box::new(refuse("RMM0201", "the file is UTF-16, not UTF-8").advice(utf8)));
    }
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let line = String::from_utf8_lossy(&bytes[..error.valid_up_to()]).matches('\n').count() as u32 + 1;
        let place = Place { file: Arc::clone(file), line, column: 0, length: 0 };
        let problem = Diagnostic::error("RMM0201", "the file is not UTF-8; it looks like Latin-1 or Windows-1252");
        Box::new(problem.at(&place).advice(utf8))
    })
}

struct Importer<'a> {
    file: Arc<str>,
    known: &'a Known,
    delimiter: u8,
    problems: Vec<Diagnostic>,
}

impl Importer<'_> {
    fn line(&self, line: u32) -> Place {
        Place { file: Arc::clone(&self.file), line, column: 0, length: 0 }
    }

    fn wrong(&mut self, line: u32, message: impl Into<String>) {
        let at = self.line(line);
        self.problems.push(Diagnostic::error("RMM0203", message).at(&at));
    }

    /// The fields of one line. Each line stands alone, so that a broken one cannot swallow those after it.
    fn fields(&mut self, line: u32, text: &str) -> Option<Vec<String>> {
        if text.matches('"').count() % 2 == 1 {
            self.wrong(line, "a quoted field is not closed on its line");
            return None;
        }
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).delimiter(self.delimiter).buffer_capacity(512).from_reader(text.as_bytes());
        let mut record = csv::StringRecord::new();
        match reader.read_record(&mut record) {
            Ok(_) => Some(record.iter().map(|field| unguard(field.trim()).to_owned()).collect()),
            Err(error) => {
                self.wrong(line, error.to_string());
                None
            }
        }
    }

    fn header(&mut self, line: u32, text: &str) -> Vec<Option<Column>> {
        let names = self.fields(line, text).unwrap_or_default();
        let mut seen = BTreeSet::new();
        let mut columns = Vec::with_capacity(names.len());
        for name in &names {
            let plain = name.to_lowercase().replace([' ', '-'], "_");
            let plain = if plain == "hostname" { "name" } else { plain.as_str() };
            let member = |prefix: &str| {
                let (head, tail) = name.split_once(':')?;
                (head.trim().eq_ignore_ascii_case(prefix) && !tail.trim().is_empty()).then(|| tail.trim().to_owned())
            };
            let column = if let Some(known) = COLUMNS.iter().find(|known| **known == plain) {
                Some(Column::Known(known))
            } else if let Some(custom) = member("custom") {
                Some(Column::Custom(custom))
            } else {
                member("var").map(Column::Var)
            };
            let place = self.place_of(line, text, name);
            if column.is_none() {
                let problem = Diagnostic::error("RMM0202", format!("unknown column '{}'", name.escape_debug())).at(&place);
                let near = crate::diagnose::did_you_mean(plain, COLUMNS);
                self.problems.push(problem.advice(near.map_or_else(form, |near| format!("did you mean '{near}'?"))));
            } else if !seen.insert(plain.to_owned()) {
                self.problems.push(Diagnostic::error("RMM0202", format!("the column '{name}' stands twice")).at(&place));
            }
            columns.push(column);
        }
        if !names.is_empty() && !columns.iter().any(|column| matches!(column, Some(Column::Known("name")))) {
            let at = self.line(line);
            self.problems.push(Diagnostic::error("RMM0202", "the column 'name' is missing").at(&at).advice(form()));
        }
        columns
    }

    /// Where a field stands in its line, as far as that can be seen.
    fn place_of(&self, line: u32, text: &str, field: &str) -> Place {
        let mut place = self.line(line);
        if let Some(start) = text.find(field).filter(|_| !field.is_empty()) {
            place.column = text[..start].chars().count() as u32 + 1;
            place.length = field.chars().count() as u32;
        }
        place
    }

    fn row(&mut self, line: u32, text: &str, columns: &[Option<Column>]) -> Option<Device> {
        let fields = self.fields(line, text)?;
        if fields.len() != columns.len() {
            self.wrong(line, format!("the line has {} fields, the header has {}", fields.len(), columns.len()));
            return None;
        }
        let before = self.problems.len();
        let mut device = Device { place: self.line(line), ..Device::default() };
        for (column, field) in columns.iter().zip(&fields) {
            match column {
                Some(Column::Known(column)) => {
                    if let Err(message) = set(&mut device, column, field) {
                        let at = self.place_of(line, text, field);
                        self.problems.push(Diagnostic::error("RMM0203", message).at(&at));
                    }
                }
                Some(Column::Custom(name)) if !field.is_empty() => {
                    device.custom_fields.insert(name.clone(), Value::String(field.clone()));
                }
                Some(Column::Var(name)) if !field.is_empty() => {
                    device.vars.insert(name.clone(), Value::String(field.clone()));
                }
                _ => {}
            }
        }
        for (name, place) in self.unknown_names(&device, line, text) {
            let (kind, known) = if device.site.as_ref() == Some(&name) && !self.known.sites.contains(&name) {
                ("site", &self.known.sites)
            } else {
                ("group", &self.known.groups)
            };
            self.problems.push(codes::unknown_name(kind, &name, known.iter().map(String::as_str), &place));
        }
        (self.problems.len() == before).then_some(device)
    }

    fn unknown_names(&self, device: &Device, line: u32, text: &str) -> Vec<(String, Place)> {
        if self.known.create_missing {
            return Vec::new();
        }
        let sites = device.site.iter().filter(|name| !self.known.sites.contains(*name));
        let groups = device.groups.iter().filter(|name| !self.known.groups.contains(*name));
        sites.chain(groups).map(|name| (name.clone(), self.place_of(line, text, name))).collect()
    }
}

/// Puts one field into the device.
fn set(device: &mut Device, column: &str, field: &str) -> Result<(), String> {
    let word = || (!field.is_empty()).then(|| field.to_owned());
    let list = || field.split(';').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    match column {
        "name" => match bad_name(field) {
            Some(why) => return Err(format!("'{}' cannot be a name: {why}", field.escape_debug())),
            None => field.clone_into(&mut device.name),
        },
        "address" if field.chars().any(|c| c.is_whitespace() || c.is_control()) => {
            return Err(format!("'{}' is no address: it holds a space or a control character", field.escape_debug()));
        }
        "address" => device.address = word(),
        "site" => device.site = word(),
        "groups" => device.groups = list(),
        "tags" => device.tags = list(),
        "user" => device.connection.user = word(),
        "identity_file" => device.connection.identity_files = list(),
        "port" if !field.is_empty() => {
            let port = u16::from_str(field).ok().filter(|port| *port > 0);
            device.connection.port = Some(port.ok_or_else(|| format!("'{field}' is no port; write a number from 1 to 65535"))?);
        }
        "os" if !field.is_empty() => {
            let os = Platform::deserialize(Value::String(field.to_lowercase())).ok();
            device.os = Some(os.ok_or_else(|| format!("'{field}' is no operating system; write linux, windows or macos"))?);
        }
        "transport" if !field.is_empty() => {
            let kind = TransportKind::deserialize(Value::String(field.to_lowercase())).ok();
            device.connection.transport =
                Some(kind.ok_or_else(|| format!("'{field}' is no transport; write ssh, winrm, local or simulated"))?);
        }
        _ => {}
    }
    Ok(())
}

/// A spreadsheet runs a field that begins like this as a formula.
fn dangerous(field: &str) -> bool {
    field.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn guard(field: String) -> String {
    if dangerous(&field) { format!("'{field}") } else { field }
}

/// Takes away what [`guard`] put in front.
fn unguard(field: &str) -> &str {
    field.strip_prefix('\'').filter(|rest| dangerous(rest)).unwrap_or(field)
}

/// Writes devices as CSV, in the columns that [`import`] reads. Fields that a spreadsheet would run get a leading `'`.
pub fn export<'a>(devices: impl IntoIterator<Item = &'a Device>) -> String {
    let devices: Vec<&Device> = devices.into_iter().collect();
    let custom: BTreeSet<&String> = devices.iter().flat_map(|d| d.custom_fields.keys()).collect();
    let vars: BTreeSet<&String> = devices.iter().flat_map(|d| d.vars.keys()).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = COLUMNS.iter().map(ToString::to_string);
    let header = header.chain(custom.iter().map(|name| format!("custom:{name}"))).chain(vars.iter().map(|name| format!("var:{name}")));
    // Writing to memory cannot fail.
    let _ = writer.write_record(header.map(guard));
    for device in devices {
        let plain = |value: Option<&Value>| match value {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        };
        let fields = [
            device.name.clone(),
            device.address.clone().unwrap_or_default(),
            device.os.map(|os| os.to_string()).unwrap_or_default(),
            device.site.clone().unwrap_or_default(),
            device.groups.join(";"),
            device.tags.join(";"),
            device.connection.transport.map(|kind| kind.to_string()).unwrap_or_default(),
            device.connection.user.clone().unwrap_or_default(),
            device.connection.port.map(|port| port.to_string()).unwrap_or_default(),
            device.connection.identity_files.join(";"),
        ];
        let more = custom.iter().map(|name| plain(device.custom_fields.get(*name)));
        let more = more.chain(vars.iter().map(|name| plain(device.vars.get(*name))));
        let _ = writer.write_record(fields.into_iter().chain(more).map(|field| guard(field.replace(['\r', '\n'], " "))));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
