//! Files as nobody would write them: the loader, the formatter and the schemas neither fall over nor hang.
//! A bounded number of cases; `RMM_FUZZ_SECONDS=600 cargo test fuzz` goes on for that long.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rmm::catalog::Catalog;
use rmm::repo::{Kind, fmt, schema};

use super::good::{self, Files};

/// Longer than this no input may take; a debug build beside other tests is many times slower.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 20 } else { 1 });
const CASES: u64 = 150;

/// What stands in odd places.
const ODD: [&str; 62] = [
    "\u{feff}",
    "\r\n",
    "\r",
    "\t",
    "\u{0}",
    "\u{85}",
    "\u{2028}",
    "\u{202e}",
    "\u{a0}",
    "\u{1f600}",
    "e\u{301}",
    "\u{ffff}",
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    "- ",
    "? ",
    "? [a]: ",
    "|",
    ">-",
    "&a ",
    "*a",
    "<<: ",
    "<<: *a",
    "!!int ",
    "!x ",
    "%YAML 1.3\n",
    "---\n",
    "...\n",
    "#",
    "'",
    "\"",
    "\\",
    "\\u{110000}",
    "\"\\ud800\"",
    "~",
    "null",
    "true",
    ".nan",
    "-.inf",
    "0x7fffffffffffffffff",
    "1e309",
    "-9223372036854775809",
    "99999999999999999999",
    "-0",
    "4294967296",
    "{{",
    "}}",
    "{{ vars.x }}",
    "{secret: x}",
    "''",
    "\"\"",
    "9999-99-99",
    "99999999d",
    "-1",
    "0 0 30 2 *",
    "*",
    "..",
    "/",
];

fn mutate(files: &mut Files, random: &mut StdRng) {
    let times = random.random_range(1..5);
    for _ in 0..times {
        let n = random.random_range(0..files.len());
        let other = files[random.random_range(0..files.len())].1.clone();
        let text = &mut files[n].1;
        let spot = |text: &str, random: &mut StdRng| {
            let mut at = random.random_range(0..=text.len());
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        match random.random_range(0..17) {
            0 => {
                // A flipped bit; what is no text any more is refused when it is read.
                let mut bytes = std::mem::take(text).into_bytes();
                if !bytes.is_empty() {
                    let at = random.random_range(0..bytes.len());
                    bytes[at] ^= 1 << random.random_range(0..8);
                }
                *text = String::from_utf8_lossy(&bytes).into_owned();
            }
            1 => text.truncate(spot(text, random)),
            2 => lines(text, random, |lines, a, b| lines.insert(a, lines[b].clone())),
            3 => lines(text, random, |lines, a, b| lines.swap(a, b)),
            4 => lines(text, random, |lines, a, _| drop(lines.remove(a))),
            5 => lines(text, random, |lines, a, b| lines[a] = format!("  {}{}", lines[a], lines[b].trim())),
            6 => lines(text, random, |lines, a, _| lines[a] = lines[a].trim_start().to_owned()),
            7..=9 => {
                let at = spot(text, random);
                text.insert_str(at, ODD[random.random_range(0..ODD.len())]);
            }
            10 => words(text, random, |words, a, b| words.swap(a, b)),
            11 => words(text, random, |words, a, _| ODD[(a * 7) % ODD.len()].clone_into(&mut words[a])),
            12 => {
                let at = spot(text, random);
                let depth = [3, 63, 64, 65, 500, 20_000][random.random_range(0..6)];
                let (open, close) =
                    [("[", "]"), ("{a: ", "}"), ("- ", ""), ("[{b: ", "}]"), ("(", ")"), ("? ", "")][random.random_range(0..6)];
                text.insert_str(at, &format!("{}x{}", open.repeat(depth), close.repeat(depth)));
            }
            13 => {
                let bomb = bomb(random.random_range(2..40), random.random_range(2..12));
                if random.random_bool(0.5) { text.insert_str(0, &bomb) } else { text.push_str(&bomb) }
            }
            14 => *text = text.replace('\n', ["\r\n", "\r", "\n\n", "\n\t", "\u{2028}"][random.random_range(0..5)]),
            15 => *text = other,
            _ => {
                let (from, to) = (spot(&other, random), spot(&other, random));
                let at = spot(text, random);
                text.insert_str(at, &other[from.min(to)..from.max(to)]);
            }
        }
    }
}

fn lines(text: &mut String, random: &mut StdRng, change: impl FnOnce(&mut Vec<String>, usize, usize)) {
    let mut all: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let (a, b) = (random.random_range(0..all.len()), random.random_range(0..all.len()));
    change(&mut all, a, b);
    *text = all.join("\n");
}

fn words(text: &mut String, random: &mut StdRng, change: impl FnOnce(&mut Vec<String>, usize, usize)) {
    let mut all: Vec<String> = text.split(' ').map(str::to_owned).collect();
    let (a, b) = (random.random_range(0..all.len()), random.random_range(0..all.len()));
    change(&mut all, a, b);
    *text = all.join(" ");
}

/// Aliases that double what stands before them.
fn bomb(levels: usize, width: usize) -> String {
    let mut text = String::from("b0: &b0 [x]\n");
    for level in 1..levels {
        let before = vec![format!("*b{}", level - 1); width].join(", ");
        let _ = writeln!(text, "b{level}: &b{level} [{before}]");
    }
    text
}

/// Everything that reads files, on all of them; the time that it took.
fn run(files: &Files) -> Duration {
    let start = Instant::now();
    let _ = rmm::diagnose::render(&good::problems(files.clone()), &|file| files.iter().find(|f| *f.0 == *file).map(|f| f.1.clone()), false);
    for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".yaml")) {
        if let Ok(once) = fmt::format(path, text) {
            assert_eq!(fmt::format(path, &once).as_deref(), Ok(once.as_str()), "formatting {path} does not come to rest");
        }
    }
    let scripts: Files = files.iter().filter(|(path, _)| path.ends_with(".rhai")).cloned().collect();
    if scripts != { good::files() }.into_iter().filter(|(path, _)| path.ends_with(".rhai")).collect::<Files>() {
        let (catalog, _) = Catalog::with_scripts(&scripts);
        for kind in [Kind::Policies, Kind::Workflows] {
            let _ = schema(kind, &catalog);
        }
    }
    start.elapsed()
}

/// One input; what it did wrong.
fn judge(files: &Files) -> Result<(), String> {
    match catch_unwind(AssertUnwindSafe(|| run(files))) {
        Ok(time) if time <= LIMIT => Ok(()),
        Ok(time) => Err(format!("took {time:?}")),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
        }
    }
}

#[test]
fn no_file_makes_the_loader_fall_over_or_hang() {
    let seconds = std::env::var("RMM_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let (end, first) = match seconds {
        Some(seconds) => (Some(Instant::now() + Duration::from_secs(seconds)), rand::random::<u32>().into()),
        None => (None, 0),
    };
    let (mut seed, mut slowest) = (first, Duration::ZERO);
    let mut wrong = Vec::new();
    while end.map_or(seed < CASES, |end| Instant::now() < end) {
        let mut files = good::files();
        mutate(&mut files, &mut StdRng::seed_from_u64(seed));
        let start = Instant::now();
        if let Err(why) = judge(&files) {
            let found = std::env::temp_dir().join(format!("rmm-fuzz-{seed}"));
            for (path, text) in &files {
                let path = found.join(&**path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            wrong.push(format!("{}: {why}", found.display()));
        }
        slowest = slowest.max(start.elapsed());
        seed += 1;
    }
    println!("{} inputs, the slowest took {slowest:?}", seed - first);
    assert!(wrong.is_empty(), "{} inputs:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_was_found_once_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/found");
    let mut inputs: Files = vec![("scripts/deep.rhai".into(), format!("//! setting: X //! compare{}", "[{b: ".repeat(20_000)))];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // `policies+NAME.yaml` stands for `policies/NAME.yaml`.
        let within = path.file_name().unwrap().to_str().unwrap().replace('+', "/");
        inputs.push((within.into(), std::fs::read_to_string(&path).unwrap()));
    }
    let mut wrong = Vec::new();
    for (within, text) in inputs {
        let mut files = good::files();
        files.push((Arc::clone(&within), text));
        files.sort();
        wrong.extend(judge(&files).err().map(|why| format!("{within}: {why}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
