//! From the options of a channel to something that sends.

use std::sync::Arc;

use super::channel::{Channel, Surroundings};
use super::{SendError, email, eventlog, pagerduty, slack, sms, syslog, teams, webhook};
use crate::model::channel::Options;

/// Opens channels: [`open`], or what a simulation puts in its place.
pub type Opener = Arc<dyn Fn(Options, &Surroundings) -> Result<Box<dyn Channel>, SendError> + Send + Sync>;

/// A channel, ready to send. Files are read here, secrets only when something is sent.
pub fn open(options: Options, surroundings: &Surroundings) -> Result<Box<dyn Channel>, SendError> {
    if let Some((_, why)) = options.gaps().into_iter().next() {
        return Err(SendError::Incomplete(why));
    }
    let house = surroundings.clone();
    Ok(match options {
        Options::Email(options) => Box::new(email::Mail::new(*options, house)?),
        Options::Teams(options) => Box::new(teams::Card::new(*options, house)?),
        Options::Slack(options) => Box::new(slack::Post::new(*options, house)?),
        Options::PagerDuty(options) => Box::new(pagerduty::Events::new(*options, house)?),
        Options::Sms(options) => Box::new(sms::TextMessage::new(*options, house)?),
        Options::Webhook(options) => Box::new(webhook::Hook::new(*options, house)?),
        Options::Syslog(options) => Box::new(syslog::Log::new(*options, house)),
        Options::EventLog(options) => Box::new(eventlog::Records::new(*options, house)),
    })
}
