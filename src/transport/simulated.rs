//! Devices that do not exist: they answer the very scripts that real ones are sent, in the same frames, so that
//! everything above this room works on them unchanged. For load tests and demonstrations.
//!
//! What a device says follows from the seed, its name and the clock, and from the control file ([`control`]). What is
//! changed on one lasts as long as the process.

mod answer;
mod control;
mod files;
mod machine;
mod once;
mod packages;
mod shell;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Command, Output, Session, SessionOptions, Target, TransportError};
use crate::model::device::Simulation;
use crate::time::Clock;
use control::{Control, Orders};
use machine::Machine;

/// All simulated devices of a process.
pub(super) struct Simulator {
    clock: Arc<dyn Clock>,
    control: Control,
    machines: Mutex<HashMap<String, Arc<Mutex<Machine>>>>,
}

impl Simulator {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, control: Control::default(), machines: Mutex::default() }
    }

    /// Reaches a device, which takes its time or fails as it is told.
    pub(super) async fn open(
        self: &Arc<Self>,
        target: &Target,
        options: &SessionOptions,
        cancel: &CancellationToken,
    ) -> Result<Arc<dyn Session>, TransportError> {
        let simulation = target.connection.simulation.clone().unwrap_or_default();
        let session = SimulatedSession {
            simulator: Arc::clone(self),
            machine: self.machine(&target.name, &simulation),
            name: target.name.as_str().into(),
            simulation,
            time: options.command_timeout,
            most: options.max_output_bytes,
        };
        let fate = session.fate(options.ssh_timeout);
        session.wait(fate.latency / 2, cancel).await?;
        match fate.end {
            End::Refused => Err(session.unreachable("connection refused")),
            End::Gone => Err(session.unreachable("no route to host")),
            End::Hangs | End::Answers => Ok(Arc::new(session)),
        }
    }

    fn machine(&self, name: &str, simulation: &Simulation) -> Arc<Mutex<Machine>> {
        let mut machines = lock(&self.machines);
        if let Some(machine) = machines.get(name) {
            return Arc::clone(machine);
        }
        let machine = Arc::new(Mutex::new(Machine::new(name, simulation)));
        machines.insert(name.to_owned(), Arc::clone(&machine));
        machine
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Answers,
    Refused,
    Gone,
    Hangs,
}

/// What becomes of an attempt.
struct Fate {
    latency: Duration,
    end: End,
}

struct SimulatedSession {
    simulator: Arc<Simulator>,
    machine: Arc<Mutex<Machine>>,
    name: Arc<str>,
    simulation: Simulation,
    time: Duration,
    most: u64,
}

impl SimulatedSession {
    fn orders(&self) -> Orders {
        self.simulator.control.of(self.simulation.control.as_deref(), &self.name)
    }

    /// By the minute: who asks again at once is told the same.
    fn fate(&self, _limit: Duration) -> Fate {
        let orders = self.orders();
        let now = self.simulator.clock.now().timestamp();
        let draw = |what: u64| machine::draw(&self.name, self.simulation.seed, &[now.cast_unsigned() / 60, what]);
        let mean = orders.latency_ms.unwrap_or(f64::from(self.simulation.latency_ms));
        // Between half and twice, most of them near the mean.
        let spread = 0.5 + (draw(1) + draw(2) + draw(3)) / 3.0;
        let end = if orders.offline {
            End::Gone
        } else if orders.hang || draw(4) * 100.0 < f64::from(self.simulation.hangs) {
            End::Hangs
        } else if draw(5) * 100.0 < f64::from(self.simulation.failures) {
            End::Refused
        } else {
            End::Answers
        };
        Fate { latency: Duration::from_secs_f64((mean * spread / 1000.0).clamp(0.0, 600.0)), end }
    }

    fn unreachable(&self, reason: &str) -> TransportError {
        TransportError::Unreachable { address: format!("{} (simulated)", self.name), reason: reason.into() }
    }

    async fn wait(&self, time: Duration, cancel: &CancellationToken) -> Result<(), TransportError> {
        if time.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = cancel.cancelled() => Err(TransportError::Cancelled),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Session for SimulatedSession {
    async fn run(&self, command: Command, cancel: &CancellationToken) -> Result<Output, TransportError> {
        let limit = command.timeout.unwrap_or(self.time);
        let fate = self.fate(limit);
        let late = TransportError::Timeout { seconds: limit.as_secs() };
        match fate.end {
            End::Hangs => {
                self.wait(limit, cancel).await?;
                return Err(late);
            }
            End::Gone | End::Refused => {
                return Err(TransportError::Lost {
                    address: format!("{} (simulated)", self.name),
                    reason: "connection reset by peer".into(),
                });
            }
            End::Answers if fate.latency / 2 > limit => {
                self.wait(limit, cancel).await?;
                return Err(late);
            }
            End::Answers => self.wait(fate.latency / 2, cancel).await?,
        }
        let now = self.simulator.clock.now();
        let output = {
            let mut machine = lock(&self.machine);
            machine.advance(now, &self.orders(), &self.simulation);
            answer::answer(&mut machine, &command)
        };
        let most = command.max_output.unwrap_or(self.most);
        if output.stdout.len() as u64 > most { Err(TransportError::OutputLimit { limit: most }) } else { Ok(output) }
    }
}
