//! Functions of scripts that compute and reach nowhere.

use rhai::{Array, Dynamic, Engine, EvalAltResult, ImmutableString};
use sha2::{Digest, Sha256};

use super::failure::{HostFailure, thrown};
use super::value::BigNumber;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// Makes the functions known to the engine.
pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("sha256", |text: &str| hex::encode(Sha256::digest(text.as_bytes())));
    engine.register_fn("byte_count", |text: &str| text.len() as i64);
    engine.register_fn("ere", ere);
    engine.register_fn("one_line", one_line);
    engine.register_fn("last_line", last_line);
    engine.register_fn("apk_holds", apk_holds);
    engine.register_fn("pacman_ignore", pacman_ignore);
    engine.register_fn("version_matches", |version: &str, range: &str| -> Fallible<bool> {
        super::version::version_matches(version, range).map_err(thrown)
    });
    engine.register_type_with_name::<HostFailure>("HostError");
    engine.register_fn("to_string", |failure: &mut HostFailure| failure.0.to_string());
    engine.register_type_with_name::<BigNumber>("number");
    engine.register_fn("to_string", |number: &mut BigNumber| number.0.to_string());
    engine.register_fn("==", |a: BigNumber, b: BigNumber| a == b);
    engine.register_fn("!=", |a: BigNumber, b: BigNumber| a != b);
}

/// A text as an extended regular expression that matches exactly it.
fn ere(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if r"\.[]{}()*+?^$|".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// The last line that is not empty: what a program says when it gives up.
fn last_line(text: &str) -> String {
    text.lines().rfind(|line| !line.is_empty()).unwrap_or_default().to_owned()
}

/// Whether the packages wanted of apk (`/etc/apk/world`) have this one in certain versions only, which keeps it from being updated
/// beyond them. The collector of updates goes by the same signs.
fn apk_holds(world: &str, name: &str) -> bool {
    world.lines().any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['=', '<', '~'])))
}

/// The command that has pacman ignore updates of a package, or no longer ignore them.
fn pacman_ignore(name: &str, ignored: bool) -> Array {
    let edit = if ignored {
        format!(r"/^\[options\]/a IgnorePkg = {name}")
    } else {
        // Others may stand in the same line.
        let word = format!(r"s/([[:space:]=]){}([[:space:]]|$)/\1\2/g", ere(name));
        [r"/^[[:space:]]*IgnorePkg[[:space:]]*=/{", &word, r";/=[[:space:]]*$/d}"].concat()
    };
    ["sed", "-i", "-E", "--follow-symlinks", &edit, "/etc/pacman.conf"].into_iter().map(Into::into).collect()
}

/// The value as text, where it has no line break or other control character in it: for files in which a line is one entry.
fn one_line(value: Dynamic) -> Fallible<ImmutableString> {
    let text = value.clone().into_immutable_string().unwrap_or_else(|_| value.to_string().into());
    if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\t') {
        return Err(thrown(format!("a control character (U+{:04X}) is not possible here: the value has to stay on one line", c as u32)));
    }
    Ok(text)
}
