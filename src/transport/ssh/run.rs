//! One command over one channel, from its start to its certain end.

use std::time::Duration;

use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::OpenChannel;
use crate::transport::conversation::Conversation;
use crate::transport::{Output, TransportError};

/// How long output is waited for after the command itself has ended: what it left in the background may hold it open.
const LINGER: Duration = Duration::from_secs(1);
/// How long a command that is to end may take: the guard sends KILL after two seconds.
const GRACE: Duration = Duration::from_secs(4);
/// Standard error; the only kind of extended data there is.
const STDERR: u32 = 1;

type Writer = ChannelWriteHalf<client::Msg>;

/// Runs a command to its end: its own, the time limit, or the cancellation.
pub(in crate::transport) async fn run(
    mut open: OpenChannel,
    mut talk: Conversation,
    time: Duration,
    cancel: CancellationToken,
) -> Result<Output, TransportError> {
    let address = open.connection.address.clone();
    // The halves are taken out of the channel that counts as use of the connection, which stays until the end.
    let Some(channel) = open.channel.take() else { return Err(TransportError::Cancelled) };
    let (mut reader, writer) = channel.split();
    let stopped = tokio::select! {
        answer = converse(&mut reader, &writer, &mut talk, &address) => match answer {
            Ok(code) => {
                let _ = writer.close().await;
                return talk.finish(code);
            }
            Err(stopped) => stopped,
        },
        () = cancel.cancelled() => TransportError::Cancelled,
        () = tokio::time::sleep(time) => TransportError::Timeout { seconds: time.as_secs() },
    };
    if !matches!(stopped, TransportError::Lost { .. }) {
        end(&mut reader, &writer, talk.is_plain()).await;
    }
    Err(stopped)
}

async fn converse(reader: &mut ChannelReadHalf, writer: &Writer, talk: &mut Conversation, address: &str) -> Result<i32, TransportError> {
    let lost = |reason: String| TransportError::Lost { address: address.into(), reason };
    writer.exec(true, talk.line()).await.map_err(|e| lost(e.to_string()))?;
    // The password and the input: never more than two pieces.
    let (send, mut pieces) = mpsc::channel::<Zeroizing<Vec<u8>>>(2);
    if let Some(input) = talk.opening() {
        let _ = send.try_send(input);
    }
    // Where nothing watches standard input, its end is sent behind the input.
    let send = (!talk.is_plain()).then_some(send);
    let ends = send.is_none();
    let feed = async {
        while let Some(mut piece) = pieces.recv().await {
            // From here on it belongs to the library, which does not overwrite what it has sent.
            if writer.data_bytes(std::mem::take(&mut *piece)).await.is_err() {
                break;
            }
        }
        if ends {
            let _ = writer.eof().await;
        }
        // The other side says what went wrong; nothing more is to be sent.
        std::future::pending::<()>().await;
    };
    tokio::pin!(feed);
    let mut code = None;
    loop {
        let message = tokio::select! {
            message = reader.wait() => message,
            () = &mut feed => continue,
            () = tokio::time::sleep(LINGER), if code.is_some() => break,
        };
        match message {
            Some(ChannelMsg::Data { data }) => talk.on_stdout(&data)?,
            Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => {
                if let (Some(more), Some(send)) = (talk.on_stderr(&data)?, &send) {
                    let _ = send.try_send(more);
                }
            }
            Some(ChannelMsg::ExitStatus { exit_status }) => code = Some(exit_status.cast_signed()),
            Some(ChannelMsg::ExitSignal { signal_name, .. }) => code = Some(128 + number(&signal_name)),
            Some(ChannelMsg::Failure) => return Err(lost("the server refuses to run commands".into())),
            Some(ChannelMsg::Close) | None => break,
            Some(_) => {}
        }
    }
    code.ok_or_else(|| lost("it ended without saying how the command ended".into()))
}

/// Ends the remote command: closing its standard input wakes the guard, which may do what the user may not.
async fn end(reader: &mut ChannelReadHalf, writer: &Writer, plain: bool) {
    if !plain && writer.eof().await.is_err() {
        return;
    }
    if plain || tokio::time::timeout(GRACE, ended(reader)).await.is_err() {
        // No guard (a forced command, a machine that hangs): the server's own means.
        let _ = writer.signal(Sig::TERM).await;
        let _ = writer.signal(Sig::KILL).await;
        let _ = tokio::time::timeout(LINGER, ended(reader)).await;
    }
    let _ = writer.close().await;
}

/// Waits for the command's end; what it still says is dropped.
async fn ended(reader: &mut ChannelReadHalf) {
    while let Some(message) = reader.wait().await {
        if matches!(message, ChannelMsg::ExitStatus { .. } | ChannelMsg::ExitSignal { .. } | ChannelMsg::Close) {
            return;
        }
    }
}

fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(_) => 127,
    }
}
