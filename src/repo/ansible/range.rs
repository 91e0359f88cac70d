//! Ranges in names of hosts: `web[01:20]`, `db-[a:f]`, `node[1:9:2].example.com`.

/// Most names of one pattern.
const MAX: usize = 100_000;

/// The names that a pattern stands for.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let Some(open) = pattern.find('[') else { return Ok(vec![pattern.to_owned()]) };
    let close = pattern[open..].find(']').map(|i| open + i).ok_or("a range '[' is not closed")?;
    let (head, tail) = (&pattern[..open], &pattern[close + 1..]);
    let parts: Vec<&str> = pattern[open + 1..close].split(':').collect();
    // An IPv6 address in brackets is no range.
    if head.is_empty() && parts.len() > 3 {
        return Ok(vec![format!("{}{tail}", &pattern[open + 1..close])]);
    }
    let (first, last, step) = match parts[..] {
        [first, last] => (first, last, 1),
        [first, last, step] => (first, last, step.parse().ok().filter(|s| *s > 0).ok_or("the step of a range is a number from 1 on")?),
        _ => return Err("a range is written [first:last] or [first:last:step]".into()),
    };
    let first = if first.is_empty() { "0" } else { first };
    let members = members(first, last, step)?;
    let tails = expand(tail)?;
    if members.len().saturating_mul(tails.len()) > MAX {
        return Err("it stands for more than 100,000 names".into());
    }
    Ok(members.iter().flat_map(|member| tails.iter().map(move |tail| format!("{head}{member}{tail}"))).collect())
}

fn members(first: &str, last: &str, step: usize) -> Result<Vec<String>, String> {
    let letter = |text: &str| text.chars().next().filter(|c| c.is_ascii_alphabetic() && text.len() == 1);
    if let (Some(a), Some(b)) = (letter(first), letter(last)) {
        if a > b {
            return Err(format!("the range ends at {b}, before it begins at {a}"));
        }
        return Ok((a..=b).step_by(step).map(String::from).collect());
    }
    let digits = |text: &str| !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Err("a range goes from number to number or from letter to letter".into());
    }
    if first.len() > 1 && first.starts_with('0') && first.len() != last.len() {
        return Err("both ends of a range with leading zeros have the same number of digits".into());
    }
    let number = |text: &str| text.parse::<usize>().map_err(|_| "a range holds numbers".to_owned());
    let (a, b) = (number(first)?, number(last)?);
    if a > b {
        return Err(format!("the range ends at {b}, before it begins at {a}"));
    }
    if (b - a) / step > MAX {
        return Err("it stands for more than 100,000 names".into());
    }
    let width = if first.starts_with('0') { first.len() } else { 1 };
    Ok((a..=b).step_by(step).map(|n| format!("{n:0width$}")).collect())
}
