//! `rmm import --from hardeningkitty|dsc`: what others have written down as a policy that only reports. Reading is in
//! `repo/imported/`; here the file is found, shown and written, and is never written over another one.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::import::{From, ImportArgs};
use super::import_write::{Made, offer, place, refused, targets};
use super::style::{clean, count};
use super::table::{Output, Table};
use crate::diagnose::{Diagnostic, Level};
use crate::repo::fmt;
use crate::repo::imported::{self, Imported, dsc, hardeningkitty};

/// What left out is named without -v.
const SHOWN: usize = 20;
/// Widest value of the table.
const WIDEST: usize = 60;
/// Largest file.
const MAX_BYTES: u64 = 16 << 20;

pub(super) fn run(global: &Global, context: &Context, from: From, file: &Path, args: &ImportArgs) -> Result<Exit, Failure> {
    let bytes = read(file)?;
    let shown = file.display().to_string();
    let code = if matches!(from, From::Dsc) { "RMM0572" } else { "RMM0570" };
    let text = imported::text(&shown, code, bytes).map_err(|problems| {
        let sources = Arc::default();
        Failure { exit: Exit::InvalidConfiguration, problems, sources }
    })?;
    let sources = Arc::new(std::iter::once((Arc::from(shown.as_str()), text.clone())).collect());
    let parsed = match from {
        From::Dsc => dsc::read(&shown, &text),
        _ => hardeningkitty::read(&shown, &text),
    };
    let imported = parsed.map_err(|problems| Failure { exit: Exit::InvalidConfiguration, problems, sources })?;
    show(global, file, &imported)?;
    if imported.draft.is_empty() {
        return Err(refused(format!("nothing in {shown} makes a policy"), "rmm import -v names everything that has no setting here"));
    }
    let stem = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = args.name.clone().unwrap_or_else(|| plain_name(stem));
    let path = place(context, &name)?;
    let targets = targets(context, args.target.as_deref(), json!({ "os": "windows" }))?;
    let about = format!("Imported from {stem}: {} of {} controls.", imported.expressed, imported.controls);
    let origin = format!(
        "Made by rmm import from {stem}.\nThe comments name its controls. The policy only reports until somebody decides otherwise."
    );
    let raw = imported.draft.yaml(&name, &about, &origin, &targets);
    let unwritten = |why: String| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("the policy cannot be written: {why}")));
    let text = fmt::format(&path, &raw).map_err(|error| unwritten(error.to_string()))?;
    let recorded = json!({ "policy": name, "file": path, "from": stem, "settings": imported.draft.len(), "controls": imported.controls });
    let made = Made { path: &path, text: &text, settings: imported.draft.len(), of: &name, recorded, next: "rmm plan" };
    offer(global, context, &made, args)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let failed = |why: String| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("{}: {why}", file.display())));
    // Before it is opened: a named pipe without a writer would be waited for.
    if !std::fs::metadata(file).map_err(|error| failed(error.to_string()))?.is_file() {
        return Err(failed("it is not a regular file".into()));
    }
    let open = std::fs::File::open(file).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    open.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(failed("it is larger than 16 MiB".into()));
    }
    Ok(bytes)
}

/// `finding_list_msft_x_machine.csv` as `msft_x_machine`.
fn plain_name(file: &str) -> String {
    let stem = [".dsc.yaml", ".dsc.yml", ".dsc.json", ".yaml", ".yml", ".json", ".csv"]
        .iter()
        .find_map(|end| file.strip_suffix(end))
        .unwrap_or(file);
    stem.strip_prefix("finding_list_").unwrap_or(stem).to_owned()
}

fn show(global: &Global, file: &Path, imported: &Imported) -> Result<(), Failure> {
    if !matches!(global.output, Output::Table | Output::Csv) {
        let document = json!({
            "schema": "rmm.imported/1",
            "file": file.display().to_string(),
            "controls": imported.controls,
            "expressed": imported.expressed,
            "settings": imported.draft.entries().map(|(setting, key, value)| json!({ "setting": setting, "key": key, "value": value })).collect::<Value>(),
            "leftOut": imported.left_out.iter().map(|p| json!({ "line": p.place.as_ref().map(|place| place.line), "why": p.message })).collect::<Value>(),
        });
        return super::print(&super::table::document(&document, global.output)?);
    }
    let mut table = Table::new("rmm.imported/1", &["SETTING", "KEY", "VALUE"]);
    for (setting, key, value) in imported.draft.entries() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let long = global.output == Output::Table && text.chars().count() > WIDEST;
        let shown = if long { text.chars().take(WIDEST - 3).collect::<String>() + "..." } else { text };
        table.push(vec![json!(setting), json!(key.map(clean)), json!(clean(&shown))]);
    }
    super::print(&table.render(global.output)?)?;
    if global.quiet {
        return Ok(());
    }
    let shown = if global.verbose > 0 { imported.left_out.len() } else { imported.left_out.len().min(SHOWN) };
    if shown > 0 {
        super::say(crate::diagnose::render(&imported.left_out[..shown], &|_| None, super::style::colored_errors()).trim_end());
    }
    debug_assert!(imported.left_out.iter().all(|problem| problem.level == Level::Warning), "what is left out is no error");
    if shown < imported.left_out.len() {
        super::say(format!("{} more are shown with -v", imported.left_out.len() - shown));
    }
    let percent = imported.expressed as f64 * 100.0 / imported.controls.max(1) as f64;
    super::say(format!("{} of {} expressed ({percent:.1} %)", imported.expressed, count(imported.controls, "control", "controls")));
    Ok(())
}
