//! Functions of scripts that compute and reach nowhere.

use rhai::{Dynamic, Engine, EvalAltResult, ImmutableString};
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

/// The value as text, where it has no line break or other control character in it: for files in which a line is one entry.
fn one_line(value: Dynamic) -> Fallible<ImmutableString> {
    let text = value.clone().into_immutable_string().unwrap_or_else(|_| value.to_string().into());
    if let Some(c) = text.chars().find(|c| c.is_control() && *c != '\t') {
        return Err(thrown(format!("a control character (U+{:04X}) is not possible here: the value has to stay on one line", c as u32)));
    }
    Ok(text)
}
