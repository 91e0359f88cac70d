//! Runs a command or a script on many SSH addresses with nothing but the SSH library, as a yardstick for `rmm`.
//!
//! `bare_ssh KEY PORT IN_FLIGHT FIRST LAST [--input FILE] -- COMMAND` reaches 127.0.1.FIRST to 127.0.1.LAST as the
//! current user, gives the command the file as its standard input, and prints seconds and bytes.
//! With `--rmm` first, the same goes through the sessions of `rmm`, twice: cold, then warm.
//! Host keys are not checked by the bare client, and are recorded in a directory of its own by the other.
#![allow(clippy::print_stdout, reason = "a tool for people")]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures::StreamExt;
use rmm::access::{Redactor, SecretStore};
use rmm::model::device::{Connection, HostKeyCheck};
use rmm::transport::{Command, SessionOptions, Sessions, Target};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use tokio_util::sync::CancellationToken;

type Failure = Box<dyn Error + Send + Sync>;

struct Trusting;

impl russh::client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

async fn bare(address: String, port: u16, user: String, key: Arc<PrivateKey>, line: String, input: Arc<Vec<u8>>) -> Result<usize, Failure> {
    let config = Arc::new(russh::client::Config { nodelay: true, ..russh::client::Config::default() });
    let mut handle = russh::client::connect(config, (address, port), Trusting).await?;
    if !handle.authenticate_publickey(user, PrivateKeyWithHashAlg::new(key, None)).await?.success() {
        return Err("refused".into());
    }
    let mut channel = handle.channel_open_session().await?;
    channel.exec(true, line).await?;
    if !input.is_empty() {
        channel.data_bytes(input.as_slice().to_vec()).await?;
        channel.eof().await?;
    }
    let mut bytes = 0;
    while let Some(message) = channel.wait().await {
        if let russh::ChannelMsg::Data { data } = message {
            bytes += data.len();
        }
    }
    Ok(bytes)
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let ours = args.first().is_some_and(|a| a == "--rmm");
    args.drain(..usize::from(ours));
    let input = match args.iter().position(|a| a == "--input") {
        Some(at) if args.len() > at + 1 => std::fs::read(args.drain(at..at + 2).next_back().unwrap_or_default())?,
        _ => Vec::new(),
    };
    let input = Arc::new(input);
    let [key, port, in_flight, first, last, _, line] = args.as_slice() else {
        return Err("bare_ssh [--rmm] KEY PORT IN_FLIGHT FIRST LAST [--input FILE] -- COMMAND".into());
    };
    let (port, in_flight): (u16, usize) = (port.parse()?, in_flight.parse()?);
    let (first, last): (u8, u8) = (first.parse()?, last.parse()?);
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    if !ours {
        let key = Arc::new(russh::keys::load_secret_key(key, None)?);
        let began = Instant::now();
        let answers = futures::stream::iter(first..=last)
            .map(|n| tokio::spawn(bare(format!("127.0.1.{n}"), port, user.clone(), Arc::clone(&key), line.clone(), Arc::clone(&input))))
            .buffer_unordered(in_flight);
        report("bare", began, answers.map(|a| a?).collect().await)?;
        return Ok(());
    }
    let home = std::env::temp_dir().join(format!("bare-ssh-{}", std::process::id()));
    let options = SessionOptions { home: Some(home.clone()), agent: Some(PathBuf::new()), ..SessionOptions::default() };
    let sessions = Sessions::new(options, Arc::new(SecretStore::new(&home, Redactor::new())));
    // The first round records the host keys and is not reported.
    for round in ["recording", "cold", "warm"] {
        let began = Instant::now();
        let answers = futures::stream::iter(first..=last)
            .map(|n| {
                let (sessions, line, input) = (sessions.clone(), line.clone(), input.to_vec());
                let connection = Connection {
                    user: Some(user.clone()),
                    port: Some(port),
                    identity_files: vec![key.clone()],
                    host_key: Some(HostKeyCheck::AcceptNew),
                    ..Connection::default()
                };
                tokio::spawn(async move {
                    let cancel = CancellationToken::new();
                    let target = Target { name: n.to_string(), address: format!("127.0.1.{n}"), platform: None, connection };
                    let command = Command { line, input: input.into(), ..Command::default() };
                    let output = sessions.open(&target, &cancel).await?.run(command, &cancel).await?;
                    Ok::<_, Failure>(output.stdout.len())
                })
            })
            .buffer_unordered(in_flight);
        report(round, began, answers.map(|a| a?).collect().await)?;
        if round == "recording" {
            sessions.close_all().await;
        }
    }
    sessions.close_all().await;
    std::fs::remove_dir_all(home)?;
    Ok(())
}

fn report(what: &str, began: Instant, answers: Vec<Result<usize, Failure>>) -> Result<(), Failure> {
    let seconds = began.elapsed().as_secs_f64();
    let count = answers.len();
    let bytes: usize = answers.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().sum();
    println!("{what}: {count} devices, {seconds:.3} s, {bytes} bytes");
    Ok(())
}
