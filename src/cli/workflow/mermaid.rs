//! A workflow as a graph in the language of Mermaid: steps as nodes, what follows what as arrows.

use std::fmt::Write as _;

use super::words;
use crate::model::workflow::{OnFailure, Outcome, Work};
use crate::model::{Step, Workflow};

/// The graph, ending with a line feed.
pub(super) fn graph(workflow: &Workflow) -> String {
    let mut out = String::from("flowchart TD\n");
    let _ = writeln!(out, "    start([{}])", text(&words::triggers(workflow)));
    for (i, step) in workflow.steps.iter().enumerate() {
        let (open, close) = match step.work {
            Work::Action(_) => ("[", "]"),
            Work::Approval { .. } => ("{{", "}}"),
            Work::Workflow { .. } => ("[[", "]]"),
            Work::End(_) => ("([", "])"),
        };
        let _ = writeln!(out, "    s{i}{open}{}{close}", text(&label(step)));
    }
    out.push_str("    done([\"succeeded\"])\n");
    let mut ends = false;
    // Nodes from which the next one follows, each with what its arrow says.
    let mut from: Vec<(String, String)> = vec![("start".into(), String::new())];
    let mut i = 0;
    while i < workflow.steps.len() {
        let last = group(&workflow.steps, i);
        let mut next: Vec<(String, String)> = Vec::new();
        for n in i..last {
            let step = &workflow.steps[n];
            for (node, said) in &from {
                let own = [said.as_str(), &before(step)].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join("; ");
                arrow(&mut out, node, &format!("s{n}"), &own);
            }
            match &step.work {
                Work::End(outcome) => {
                    let end = if *outcome == Outcome::Succeeded { "done" } else { "failed" };
                    ends |= *outcome == Outcome::Failed;
                    arrow(&mut out, &format!("s{n}"), end, "");
                }
                _ => next.push((format!("s{n}"), String::new())),
            }
            if step.when.is_some() {
                next.extend(from.iter().map(|(node, _)| (node.clone(), "else".to_owned())));
            }
            if let Some(said) = failure(step) {
                ends = true;
                let _ = writeln!(out, "    s{n} -. {} .-> failed", text(&said));
            }
        }
        next.dedup();
        from = next;
        i = last;
    }
    for (node, said) in &from {
        arrow(&mut out, node, "done", said);
    }
    if ends {
        out.push_str("    failed([\"failed\"])\n");
    }
    out
}

fn arrow(out: &mut String, from: &str, to: &str, said: &str) {
    let _ = if said.is_empty() { writeln!(out, "    {from} --> {to}") } else { writeln!(out, "    {from} -- {} --> {to}", text(said)) };
}

/// The end of the steps that begin together with the one at `i`.
fn group(steps: &[Step], i: usize) -> usize {
    if !steps[i].parallel {
        return i + 1;
    }
    steps[i..].iter().position(|step| !step.parallel).map_or(steps.len(), |n| i + n)
}

fn label(step: &Step) -> String {
    let mut lines = vec![step.name.to_string(), words::work(step)];
    if let Work::Action(call) = &step.work {
        let on: Vec<String> = call.on.iter().map(words::selector).collect();
        if !on.is_empty() {
            lines.push(format!("on {}", on.join(" or ")));
        }
    }
    lines.join("\n")
}

/// What has to be before a step begins.
fn before(step: &Step) -> String {
    let delay = step.delay.filter(|delay| delay.as_seconds() > 0).map(|delay| format!("after {delay}"));
    let when = step.when.as_ref().map(|when| format!("where {when}"));
    delay.into_iter().chain(when).collect::<Vec<_>>().join(", ")
}

/// What its failure leads to, where that ends the run in another way than by itself.
fn failure(step: &Step) -> Option<String> {
    match &step.on_failure {
        OnFailure::Stop | OnFailure::Continue => None,
        OnFailure::NotifyAdmin => Some("tells the administrators".into()),
        OnFailure::Rollback => Some("undoes what was done".into()),
        OnFailure::RollbackAndNotify => Some("undoes what was done, tells the administrators".into()),
        OnFailure::Run(workflow) => Some(format!("starts {workflow}")),
    }
}

/// A text in quotes. What means something to Mermaid or to HTML is written as a character reference.
fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\n' => out.push_str("<br>"),
            c if c.is_control() => out.push(' '),
            c if c.is_alphanumeric() || " .,:;-_/()=+".contains(c) => out.push(c),
            // In Mermaid a reference is #n; without an ampersand.
            c => {
                let _ = write!(out, "#{};", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}
