//! A broker with checked settings: events go in, calls come out.

use crate::call::{Action, Call, Mail, ShownCall, Step};
use crate::catalogue::{BrokerType, find};
use crate::event::BrokerEvent;
use crate::services::Service;
use crate::settings::{Allowed, Reader, SettingProblem, Settings};
use crate::template::TemplateError;
use crate::wishes::Wishes;

/// The most calls that one event makes through one broker.
pub const MAX_CALLS: usize = 50;

/// A broker whose settings are in order.
#[derive(Debug)]
pub struct Broker {
    of: &'static BrokerType,
    wishes: Wishes,
    service: Box<dyn Service>,
}

/// What came of an event.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The calls, to be made in this order where order is kept.
    pub calls: Vec<Call>,
    /// Why there are none, or fewer than one might think.
    pub why_fewer: Option<String>,
}

/// What a call would send, with secrets covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Preview {
    /// The first request.
    Http(ShownCall),
    /// The mail, without the patch.
    Mail(Mail),
    /// The program and its standard input.
    Execute {
        /// The path of the program.
        program: String,
        /// What it reads, as text.
        stdin: String,
    },
}

impl Broker {
    /// Checks settings of the type `name`.
    ///
    /// # Errors
    /// Everything that is wrong with them; an unknown type is told of as the setting `type`.
    pub fn new(name: &str, settings: &Settings, allowed: &Allowed) -> Result<Self, Vec<SettingProblem>> {
        let of = find(name).map_err(|unknown| {
            vec![SettingProblem {
                field: "type".to_owned(),
                sentence: format!("is not known: {unknown}"),
            }]
        })?;
        let mut reader = Reader::new(of, settings);
        let wishes = Wishes::read(of, &mut reader);
        let service = (of.read)(&mut reader, allowed);
        let problems = reader.problems();
        if problems.is_empty() {
            Ok(Self { of, wishes, service })
        } else {
            Err(problems)
        }
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> &'static BrokerType {
        self.of
    }

    /// The calls for an event. The same event and settings always give the same calls with the same keys.
    ///
    /// # Errors
    /// A template that does not fit the event; another attempt gives the same.
    pub fn calls(&self, event: &BrokerEvent) -> Result<Planned, TemplateError> {
        match self.wishes.apply(event) {
            Ok(event) => self.all_calls(&event),
            Err(why) => Ok(Planned {
                calls: Vec::new(),
                why_fewer: Some(why.to_owned()),
            }),
        }
    }

    /// As [`Self::calls`], whatever the settings `events` and `refs` say: for trying a broker out.
    ///
    /// # Errors
    /// A template that does not fit the event.
    pub fn all_calls(&self, event: &BrokerEvent) -> Result<Planned, TemplateError> {
        let mut calls = self.service.calls(event)?;
        let why_fewer = match calls.len() {
            0 => Some(self.service.why_none().to_owned()),
            count if count > MAX_CALLS => {
                Some(format!("of {count} calls only the first {MAX_CALLS} are made"))
            }
            _ => None,
        };
        calls.truncate(MAX_CALLS);
        Ok(Planned { calls, why_fewer })
    }

    /// What the calls for an event would send, without the setting `events`, so that any sample shows something.
    ///
    /// # Errors
    /// A template that does not fit the event.
    pub fn preview(&self, event: &BrokerEvent) -> Result<Vec<Preview>, TemplateError> {
        let Some(event) = self.wishes.with_wanted_refs(event) else {
            return Ok(Vec::new());
        };
        let calls = self.service.calls(&event)?;
        Ok(calls
            .into_iter()
            .take(MAX_CALLS)
            .filter_map(|call| Preview::of(call.action))
            .collect())
    }
}

impl Preview {
    fn of(action: Action) -> Option<Self> {
        match action {
            Action::Http(exchange) => match exchange.next(&[]) {
                Step::Send(request) => Some(Self::Http(request.shown())),
                Step::End(_) => None,
            },
            Action::Mail(mail) => Some(Self::Mail(mail)),
            Action::Execute(execution) => Some(Self::Execute {
                program: execution.program,
                stdin: String::from_utf8_lossy(&execution.stdin).into_owned(),
            }),
        }
    }
}
