//! Operations that must not happen twice, as a simulated device knows them: the program around an operation is recognised by its
//! first line, and the operation itself is carried out like any other. Receipts last as long as the machine.

use std::collections::BTreeMap;

use super::machine::Machine;
use crate::transport::{Command, Output};

/// Receipts that a machine keeps: the oldest key goes first.
const MOST: usize = 256;
/// Length of the hash in front of the operation.
const HASH: usize = 64;

/// Hash of the operation, and what it answered.
pub(super) type Receipts = BTreeMap<String, (Vec<u8>, Output)>;

/// The answer to such a program; `None` where it is none.
pub(super) fn answer(machine: &mut Machine, command: &Command, carry_out: impl Fn(&mut Machine, &Command) -> Output) -> Option<Output> {
    let (head, program) = command.line.split_once('\n')?;
    let given: BTreeMap<&str, &str> = head.split(' ').map(|word| word.split_once('=')).collect::<Option<_>>()?;
    let key = (*given.get("k")?).to_owned();
    if !program.contains("rmm-once") {
        // It ends what runs under a key, and here nothing ever does for long.
        return program.contains("$d/cut").then(Output::default);
    }
    let (n, m) = (given.get("n")?.parse::<usize>().ok()?, given.get("m")?.parse::<usize>().ok()?);
    let rest = command.input.get(HASH..)?;
    let hash = command.input.get(..HASH)?.to_vec();
    let line = String::from_utf8(rest.get(..n)?.to_vec()).ok()?;
    let input = rest.get(n..n.checked_add(m)?)?.to_vec();
    let told = |text: String| Output { code: 0, stdout: text.into_bytes(), stderr: Vec::new() };
    let output = match machine.receipts.get(&key) {
        Some((known, _)) if *known != hash => return Some(told("rmm-once other 0 0 0\n".into())),
        Some((_, output)) => output.clone(),
        None => {
            let output = carry_out(machine, &Command { line, input: input.into(), ..command.clone() });
            machine.receipts.insert(key, (hash, output.clone()));
            while machine.receipts.len() > MOST {
                machine.receipts.pop_first();
            }
            output
        }
    };
    let mut answer = told(format!("rmm-once done {} {} {}\n", output.code, output.stdout.len(), output.stderr.len()));
    answer.stdout.extend(output.stdout);
    answer.stdout.extend(output.stderr);
    Some(answer)
}
