//! The way to the alert desk: one task owns it, everybody else sends.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::alert::DeviceSamples;
use crate::model::EventRecord;
use crate::model::alert::Signal;
use crate::repo::PolicySet;

/// What is on its way to the desk. Where it is full, whoever has something to say waits for the disk.
const WAITING: usize = 1024;

/// What the desk is told.
#[derive(Debug)]
pub(super) enum Said {
    /// Something was measured.
    Samples(Vec<DeviceSamples>),
    /// Logs of devices say something.
    Records(Vec<EventRecord>),
    /// Something is wrong, is over, or has happened.
    Signals(Vec<Signal>),
    /// Facts of these devices have changed.
    Facts(Vec<String>),
    /// Another policy set is in force.
    Set(Arc<PolicySet>),
    /// Another process has written.
    External,
    /// Somebody waits until everything before this has been decided and written.
    Settled(oneshot::Sender<()>),
    /// What came of an action.
    Remediated {
        /// The alert because of which it was carried out.
        alert: String,
        /// In a few words.
        outcome: String,
    },
}

/// The way to the desk.
#[derive(Debug, Clone)]
pub(super) struct DeskWay(mpsc::Sender<Said>);

impl DeskWay {
    /// A way, and its other end.
    pub(super) fn channel() -> (Self, mpsc::Receiver<Said>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(sender), receiver)
    }

    async fn say(&self, said: Said) {
        // A desk that has ended is one whose daemon ends.
        let _ = self.0.send(said).await;
    }

    pub(super) async fn samples(&self, samples: Vec<DeviceSamples>) {
        self.say(Said::Samples(samples)).await;
    }

    /// What a log says: before what else the same visit has found, so that it is named there.
    pub(super) async fn records(&self, records: Vec<EventRecord>) {
        if !records.is_empty() {
            self.say(Said::Records(records)).await;
        }
    }

    pub(super) async fn signals(&self, signals: Vec<Signal>) {
        if !signals.is_empty() {
            self.say(Said::Signals(signals)).await;
        }
    }

    /// The same for those who must not wait. False where there is no room.
    pub(super) fn try_signal(&self, signal: Signal) -> bool {
        self.0.try_send(Said::Signals(vec![signal])).is_ok()
    }

    pub(super) async fn facts(&self, devices: Vec<String>) {
        self.say(Said::Facts(devices)).await;
    }

    pub(super) async fn set(&self, set: Arc<PolicySet>) {
        self.say(Said::Set(set)).await;
    }

    pub(super) async fn external(&self) {
        self.say(Said::External).await;
    }

    /// Waits until everything that was said before has been decided and written.
    pub(super) async fn settled(&self) {
        let (done, settled) = oneshot::channel();
        self.say(Said::Settled(done)).await;
        // A desk that has ended decides nothing any more.
        let _ = settled.await;
    }
}
