//! `rmm secrets`: passwords and keys, encrypted in the repository for those who may use them.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, ago, clean, count, paint};
use super::table::{Output, Table};
use crate::access::vault::{Identities, Recipient, Recipients, Unlock, new_key};
use crate::access::{Redactor, SecretError, SecretSource, Secrets as _};
use crate::diagnose::Diagnostic;
use crate::store::AuditEvent;
use crate::time::Span;

/// No value is longer.
const MOST_BYTES: u64 = 64 * 1024;

/// Arguments of `rmm secrets`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm secrets init\n  rmm secrets set ws-password --rotate-every 90d\n  op read op://it/db | rmm secrets set db-password\n  rmm secrets recipients add \"$(cat colleague.pub)\"\n  rmm secrets rotate\n\nIn a policy or a connection: {secret: ws-password}. A value is looked for in RMM_SECRET_WS_PASSWORD, in .rmm/secrets/ws-password, at the\ncommand that ~/.config/rmm/secrets.toml names for it, then in secrets/ws-password.age."
)]
pub(super) struct SecretsArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key, and encrypt for it
    Init(InitArgs),
    /// Set a secret; its value is read from standard input or asked for
    Set(SetArgs),
    /// Every secret: where its value comes from, how old it is, what uses it
    List,
    /// Print the value of a secret
    Get(NameArgs),
    /// Remove a secret
    Remove(NameArgs),
    /// Encrypt every secret anew, for those who may read them now
    Rotate,
    /// Who can read the secrets
    Recipients(RecipientsArgs),
}

#[derive(Debug, Args)]
struct InitArgs {
    /// Encrypt for this public key (age1..., ssh-ed25519 ..., ssh-rsa ...) instead of making one; several are possible
    #[arg(long, value_name = "KEY", conflicts_with = "passphrase")]
    recipient: Vec<String>,
    /// Keep the key in secrets/identity.age, under a passphrase (RMM_SECRETS_PASSPHRASE, or asked for)
    #[arg(long)]
    passphrase: bool,
}

#[derive(Debug, Args)]
struct SetArgs {
    /// Name of the secret
    #[arg(value_name = "NAME")]
    name: String,
    /// Take the value from this file
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Remind when the value is older: 90d; 0s to remind no longer
    #[arg(long, value_name = "DURATION")]
    rotate_every: Option<Span>,
}

#[derive(Debug, Args)]
struct NameArgs {
    /// Name of the secret
    #[arg(value_name = "NAME")]
    name: String,
}

#[derive(Debug, Args)]
struct RecipientsArgs {
    #[command(subcommand)]
    what: Option<OfRecipients>,
}

#[derive(Debug, Subcommand)]
enum OfRecipients {
    /// Let somebody read the secrets; all of them are encrypted anew
    Add {
        /// Public key: age1..., or a line of an SSH .pub file
        #[arg(value_name = "KEY")]
        key: String,
        /// Who that is; the comment of the key where absent
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
    },
    /// Encrypt for somebody no longer
    Remove {
        /// The public key, or its comment
        #[arg(value_name = "KEY")]
        key: String,
    },
}

/// Asks for a passphrase, where there is somebody to ask.
pub(super) fn unlock() -> Unlock {
    Unlock { ask: Some(|of| ask(&format!("Passphrase of {of}: "))) }
}

fn ask(prompt: &str) -> Option<SecretString> {
    let somebody = std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && std::env::var_os("RMM_IN_AUTOMATION").is_none();
    if !somebody {
        return None;
    }
    rpassword::prompt_password(prompt).ok().filter(|text| !text.is_empty()).map(SecretString::from)
}

pub(super) fn run(global: &Global, args: &SecretsArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let reads = matches!(&args.what, What::List | What::Get(_) | What::Recipients(RecipientsArgs { what: None }));
    if !reads {
        context.secrets.vault().may_change()?;
    }
    // A value may be typed in for a long time: it is read first.
    let _held = if reads || matches!(&args.what, What::Set(_)) { None } else { context.secrets.vault().hold()? };
    match &args.what {
        What::Init(args) => init(&context, args),
        What::Set(args) => set(&context, args),
        What::List => list(global, &context),
        What::Get(args) => get(&context, &args.name),
        What::Remove(args) => remove(&context, &args.name),
        What::Rotate => rotate(&context),
        What::Recipients(args) => match &args.what {
            None => recipients(global, &context),
            Some(OfRecipients::Add { key, comment }) => add(&context, key, comment.as_deref()),
            Some(OfRecipients::Remove { key }) => drop_recipient(&context, key),
        },
    }
}

fn init(context: &Context, args: &InitArgs) -> Result<Exit, Failure> {
    let vault = context.secrets.vault();
    let mut all = vault.recipients()?;
    if !all.list().is_empty() {
        let problem = Diagnostic::error("RMM0812", "the secrets of this repository have recipients already");
        return Err(Failure::new(Exit::Error, problem.advice("add one: rmm secrets recipients add KEY")));
    }
    let mut made = None;
    if !args.recipient.is_empty() {
        for key in &args.recipient {
            all.add(public_key(key)?);
        }
    } else if args.passphrase {
        let mut recipient = new_key::under_passphrase(&vault.identity(), new_passphrase()?)?;
        recipient.comment = Some("the passphrase".into());
        all.add(recipient);
        made = Some(format!("a key under a passphrase: {}", vault.identity().display()));
    } else {
        let path = Identities::own();
        // One key serves every repository of its owner.
        let mut recipient = if path.exists() { own_public_key(&path)? } else { new_key::in_file(&path)? };
        recipient.comment = recipient.comment.or_else(|| Some(context.actor.user.clone()));
        all.add(recipient);
        made = Some(format!("a key: {} (keep a copy; without a key nothing can be decrypted)", path.display()));
    }
    all.write()?;
    note(context, "secrets.recipients", None, json!({"recipients": all.list().iter().map(|r| &r.text).collect::<Vec<_>>()}))?;
    if let Some(made) = made {
        super::print(&format!("{} {}\n", paint(Tone::Good, "+"), clean(&made)))?;
    }
    super::print(&format!("{} secrets/recipients.txt: {}\n", paint(Tone::Good, "+"), count(all.list().len(), "recipient", "recipients")))?;
    super::print("\nnext: rmm secrets set NAME, and commit the folder secrets\n")?;
    Ok(Exit::Done)
}

fn set(context: &Context, args: &SetArgs) -> Result<Exit, Failure> {
    name(&args.name)?;
    let vault = context.secrets.vault();
    vault.recipients()?.some()?;
    let value = value(args)?;
    let _held = vault.hold()?;
    // As they are now: meanwhile somebody may have been added or removed.
    let recipients = vault.recipients()?.some()?;
    let new = !vault.holds(&args.name);
    let now = context.clock.now();
    let mut index = vault.index()?;
    index.note(&args.name, now, args.rotate_every);
    vault.seal(&args.name, &value, &recipients)?;
    index.write()?;
    note(context, "secrets.set", Some(&args.name), json!({"new": new}))?;
    let for_whom = whom(&recipients);
    let sign = if new { paint(Tone::Good, "+") } else { paint(Tone::Change, "~") };
    super::print(&format!("{sign} secrets/{}.age for {for_whom}\n", args.name))?;
    if !Redactor::finds(&value) {
        super::say("it is too short to be found in what devices print: texts are kept and shown with it");
    }
    let nearer = context.secrets.source(&args.name).filter(|source| *source != SecretSource::Repository);
    if let Some(nearer) = nearer {
        super::say(format!("here the value comes from {} still, which is looked at first", told(nearer)));
    }
    Ok(Exit::Done)
}

fn list(global: &Global, context: &Context) -> Result<Exit, Failure> {
    let now = context.clock.now();
    let index = context.secrets.vault().index()?;
    let named = crate::repo::secret_names(&context.set);
    let mut names: BTreeSet<String> = context.secrets.names()?;
    // Which secret a template names differs from device to device.
    names.extend(named.keys().filter(|name| !name.contains("{{")).cloned());
    let mut table = Table::new("rmm.secrets/1", &["NAME", "FROM", "CHANGED", "ROTATE", "USED BY"]);
    let (mut missing, mut due) = (0, 0);
    for name in &names {
        let source = context.secrets.source(name);
        let entry = index.get(name).filter(|_| source == Some(SecretSource::Repository));
        let changed = entry.map(|entry| entry.changed);
        let rotate = entry.and_then(crate::access::vault::Entry::due);
        let late = rotate.is_some_and(|at| at <= now);
        missing += usize::from(source.is_none());
        due += usize::from(late);
        let users = named.get(name).map(|users| users.iter().cloned().collect::<Vec<_>>()).unwrap_or_default();
        let table_form = global.output == Output::Table;
        let moment = |at: chrono::DateTime<chrono::Utc>| {
            if table_form {
                format!("{} ago", ago((now - at).num_seconds()))
            } else {
                at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
            }
        };
        let rotation = rotate.map(|at| match (table_form, late) {
            (true, true) => "due".to_owned(),
            (true, false) => format!("in {}", ago((at - now).num_seconds())),
            (false, _) => at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        });
        table.push(vec![
            json!(name),
            source.map_or_else(|| if table_form { json!("missing") } else { Value::Null }, |source| json!(told(source))),
            json!(changed.map(moment)),
            json!(rotation),
            json!(users),
        ]);
    }
    super::print(&table.render(global.output)?)?;
    if global.output == Output::Table {
        if names.is_empty() {
            super::say("no secrets; `rmm secrets init` begins");
        }
        if missing > 0 {
            super::say(format!("{} without a value: rmm secrets set NAME", count(missing, "secret is", "secrets are")));
        }
        if due > 0 {
            super::say(format!(
                "{} to be replaced: change the value where it is used, then rmm secrets set NAME",
                count(due, "secret is", "secrets are")
            ));
        }
    }
    Ok(Exit::Done)
}

fn get(context: &Context, name: &str) -> Result<Exit, Failure> {
    let value = context.secrets.resolve(name)?;
    note(context, "secrets.shown", Some(name), json!({}))?;
    // The one place where a value is printed: that is what it was called for.
    let end = if std::io::stdout().is_terminal() { "\n" } else { "" };
    let text = Zeroizing::new([value.expose_secret(), end].concat());
    super::print(&text)?;
    Ok(Exit::Done)
}

fn remove(context: &Context, text: &str) -> Result<Exit, Failure> {
    name(text)?;
    if !context.secrets.vault().remove(text)? {
        let problem = Diagnostic::error("RMM0812", format!("there is no secrets/{text}.age"));
        return Err(Failure::new(Exit::Error, problem.advice("`rmm secrets list` shows every secret and where it comes from")));
    }
    note(context, "secrets.removed", Some(text), json!({}))?;
    super::print(&format!("{} secrets/{text}.age\n", paint(Tone::Bad, "-")))?;
    let named = crate::repo::secret_names(&context.set);
    if let Some(users) = named.get(text) {
        super::say(format!("still named by {}", clean(&users.iter().cloned().collect::<Vec<_>>().join(", "))));
    }
    Ok(Exit::Done)
}

fn rotate(context: &Context) -> Result<Exit, Failure> {
    let recipients = context.secrets.vault().recipients()?.some()?;
    let done = reseal(context, &recipients)?;
    super::print(&format!("{} {done} for {}\n", paint(Tone::Change, "~"), whom(&recipients)))?;
    Ok(Exit::Done)
}

fn recipients(global: &Global, context: &Context) -> Result<Exit, Failure> {
    let all = context.secrets.vault().recipients()?;
    let mut table = Table::new("rmm.recipients/1", &["KEY", "COMMENT"]);
    for recipient in all.list() {
        table.push(vec![json!(recipient.text), json!(recipient.comment)]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

fn add(context: &Context, key: &str, comment: Option<&str>) -> Result<Exit, Failure> {
    let mut all = context.secrets.vault().recipients()?;
    let mut recipient = public_key(key)?;
    if let Some(comment) = comment {
        recipient.comment = Some(comment.to_owned());
    }
    let shown = shown(&recipient);
    if !all.add(recipient) {
        super::print(&format!("{shown} can read the secrets already\n"))?;
        return Ok(Exit::Done);
    }
    // First the secrets, then the list: whoever cannot decrypt them cannot add anybody.
    let done = reseal(context, &all)?;
    all.write()?;
    super::print(&format!("{} {shown}; {done}\n", paint(Tone::Good, "+")))?;
    Ok(Exit::Done)
}

fn drop_recipient(context: &Context, key: &str) -> Result<Exit, Failure> {
    let mut all = context.secrets.vault().recipients()?;
    let Some(gone) = all.remove(key) else {
        let problem = Diagnostic::error("RMM0812", "no recipient has that key or comment, or several have");
        return Err(Failure::new(Exit::Error, problem.advice("`rmm secrets recipients` lists them; give the whole key")));
    };
    let all = all.some()?;
    let done = reseal(context, &all)?;
    all.write()?;
    super::print(&format!("{} {}; {done}\n", paint(Tone::Bad, "-"), shown(&gone)))?;
    super::say("what was committed before stays readable for that key: replace the values themselves");
    Ok(Exit::Done)
}

fn reseal(context: &Context, recipients: &Recipients) -> Result<String, Failure> {
    let names = context.secrets.vault().reseal(recipients, context.secrets.identities())?;
    let keys: Vec<_> = recipients.list().iter().map(|recipient| &recipient.text).collect();
    note(context, "secrets.rotated", None, json!({"secrets": names, "recipients": keys}))?;
    Ok(format!("{} encrypted anew", count(names.len(), "secret", "secrets")))
}

fn told(source: SecretSource) -> &'static str {
    match source {
        SecretSource::Environment => "environment",
        SecretSource::File => ".rmm/secrets",
        SecretSource::Command => "command",
        SecretSource::Repository => "secrets",
    }
}

fn shown(recipient: &Recipient) -> String {
    clean(&recipient.comment.clone().unwrap_or_else(|| recipient.text.chars().take(24).collect()))
}

/// How many, and who: somebody may have been put into the list by a commit.
fn whom(recipients: &Recipients) -> String {
    const MOST: usize = 8;
    let list = recipients.list();
    let mut names: Vec<String> = list.iter().take(MOST).map(shown).collect();
    if list.len() > MOST {
        names.push("...".into());
    }
    format!("{}: {}", count(list.len(), "recipient", "recipients"), names.join(", "))
}

fn name(text: &str) -> Result<(), Failure> {
    // `secrets/identity.age` is the key under a passphrase.
    if text == "identity" || !crate::access::is_secret_name(text) {
        return Err(SecretError::Name { name: clean(text) }.into());
    }
    Ok(())
}

fn public_key(text: &str) -> Result<Recipient, Failure> {
    Recipient::parse(text).map_err(|reason| Failure::usage(reason, "give an age1... key, or the line of an SSH .pub file"))
}

/// The public half that stands in a key file as a comment, as `age-keygen` and `rmm secrets init` write it.
fn own_public_key(path: &std::path::Path) -> Result<Recipient, Failure> {
    let text = Zeroizing::new(
        std::fs::read_to_string(path)
            .map_err(|error| Failure::new(Exit::Error, Diagnostic::error("RMM0806", format!("{}: {error}", path.display()))))?,
    );
    let public = text.lines().find_map(|line| line.trim_start_matches('\u{feff}').strip_prefix("# public key: "));
    public.and_then(|key| Recipient::parse(key).ok()).ok_or_else(|| {
        Failure::usage(format!("{} does not say its public key", path.display()), "give it: rmm secrets init --recipient KEY")
    })
}

fn new_passphrase() -> Result<SecretString, Failure> {
    if let Ok(given) = std::env::var("RMM_SECRETS_PASSPHRASE")
        && !given.is_empty()
    {
        return Ok(given.into());
    }
    twice("Passphrase: ")?.ok_or_else(|| Failure::usage("no passphrase, and no terminal to ask on", "set RMM_SECRETS_PASSPHRASE"))
}

/// Asks twice; nothing where nobody can be asked.
fn twice(prompt: &str) -> Result<Option<SecretString>, Failure> {
    let Some(first) = ask(prompt) else { return Ok(None) };
    let second = ask("Once more: ");
    if second.is_none_or(|second| second.expose_secret() != first.expose_secret()) {
        return Err(Failure::usage("the two differ", "nothing was changed"));
    }
    Ok(Some(first))
}

fn value(args: &SetArgs) -> Result<SecretString, Failure> {
    let unreadable =
        |reason: String| Failure::usage(format!("the value cannot be read: {reason}"), "a secret is UTF-8 text of at most 64 KiB");
    // As large as it may become: a buffer that grows leaves its first bytes behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_BYTES as usize + 1));
    if let Some(path) = &args.from_file {
        let file = std::fs::File::open(path).map_err(|error| unreadable(format!("{}: {error}", path.display())))?;
        file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    } else if std::io::stdin().is_terminal() {
        let asked = twice(&format!("Value of {}: ", args.name))?;
        return asked.ok_or_else(|| Failure::usage("no value was given", "nothing was changed"));
    } else {
        std::io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    }
    if bytes.len() as u64 > MOST_BYTES {
        return Err(unreadable("it is too long".into()));
    }
    let text = crate::access::one_value(std::str::from_utf8(&bytes).map_err(|_| unreadable("it is not UTF-8".into()))?);
    if text.is_empty() { Err(unreadable("it is empty".into())) } else { Ok(text.into()) }
}

fn note(context: &Context, action: &str, target: Option<&str>, details: Value) -> Result<(), Failure> {
    context.store()?.audit(&AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: action.to_owned(),
        target: target.map(str::to_owned),
        details,
        ip: Some(context.actor.from.clone()),
        success: true,
    })?;
    Ok(())
}
