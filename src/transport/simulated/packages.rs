//! The packages of a simulated machine, and as much of apt as looking at updates and installing them needs.

use std::fmt::Write as _;

use super::machine::Machine;

/// The version that is offered, and where it comes from.
type Offered = Option<(&'static str, &'static str)>;

/// Packages with the version that is there at first, the one that is offered, and where it comes from.
const PACKAGES: [(&str, &str, Offered); 4] = [
    ("openssl", "3.0.15-1", Some(("3.0.16-1", "stable-security"))),
    ("nginx", "1.22.1-9", Some(("1.22.1-10", "stable"))),
    ("openssh-server", "1:9.2p1-2", None),
    ("postgresql", "15+248", None),
];

fn version<'m>(machine: &'m Machine, package: &str, first: &'m str) -> &'m str {
    machine.versions.get(package).map_or(first, String::as_str)
}

/// What `dpkg` has in its list.
pub(super) fn installed(machine: &Machine, out: &mut String) {
    out.push_str("#dpkg\n");
    for (package, first, _) in PACKAGES {
        let _ = write!(out, "Package: {package}\nVersion: {}\n", version(machine, package, first));
    }
    for i in 0..40 {
        let _ = write!(out, "Package: libsim{i}\nVersion: 1.{}-{i}\n", (machine.draw(100 + i) * 20.0) as u32);
    }
}

/// What apt offers.
pub(super) fn offered(machine: &Machine, out: &mut String) {
    out.push_str("#apt\n");
    let _ = writeln!(out, "=at {}", machine.booted());
    for (package, first, offer) in PACKAGES {
        let now = version(machine, package, first);
        if let Some((offered, suite)) = offer.filter(|(offered, _)| *offered != now) {
            let _ = writeln!(out, "{package}/{suite} {offered} amd64 [upgradable from: {now}]");
        }
    }
}

/// A command of dpkg or apt; `None` where it is another one.
pub(super) fn run(machine: &mut Machine, words: &[&str]) -> Option<Result<String, String>> {
    let words = if let ["env", _, rest @ ..] = words { rest } else { words };
    let specs = || words.iter().skip_while(|word| **word != "--").skip(1);
    match words {
        ["apt-get", "update", ..] => Some(Ok(String::new())),
        ["dpkg-query", "--show", ..] => {
            let line = |(package, first, _): &(&str, &str, _)| format!("{package}\t{}\tinstalled\n", version(machine, package, first));
            Some(Ok(PACKAGES.iter().map(line).collect()))
        }
        ["apt-get", first, ..] if ["--simulate", "install"].contains(first) => {
            let mut text = String::new();
            for spec in specs() {
                let (name, wanted) = spec.split_once('=').unwrap_or((spec, ""));
                let known = PACKAGES.iter().find(|(package, ..)| *package == name);
                let Some((package, first, offer)) = known else { return Some(Err(format!("E: Unable to locate package {name}"))) };
                if wanted != *first && offer.is_none_or(|(offered, _)| offered != wanted) {
                    return Some(Err(format!("E: Version '{wanted}' for '{package}' was not found")));
                }
                let _ = writeln!(text, "Inst {package} [{}] ({wanted} Simulated:stable [amd64])", version(machine, package, first));
                if words[1] == "install" {
                    machine.versions.insert(name.to_owned(), wanted.to_owned());
                    machine.changes += 1;
                }
            }
            Some(Ok(text))
        }
        _ => None,
    }
}
