//! A program that gets the event on standard input. An administrator must have allowed it.

use super::Service;
use crate::call::{Action, Call, Execution};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::BrokerEvent;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "executable",
    title: "Executable",
    aliases: &["program", "script", "exec"],
    description: "Runs a program on the server with the event as JSON on standard input; only programs that an administrator allowed.",
    fields: &[
        Field::new(
            "program",
            FieldKind::Text,
            "The absolute path of the program, exactly as it was allowed. It gets no arguments.",
        )
        .required()
        .alias(&["path", "command"]),
        Field::new(
            "timeout",
            FieldKind::Number(1, 3600),
            "After this it is ended, in seconds.",
        )
        .default("60"),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: true,
    read,
};

#[derive(Debug)]
struct Executable {
    program: String,
    timeout_s: u64,
}

fn read(reader: &mut Reader<'_>, allowed: &Allowed) -> Box<dyn Service> {
    let program = reader.text("program");
    if !program.is_empty() && !allowed.executables.contains(&program) {
        reader.problem(
            "program",
            "is not allowed here; an administrator adds its absolute path to `executables` under `[brokers]` in the configuration \
             of the server"
                .to_owned(),
        );
    }
    Box::new(Executable {
        program,
        timeout_s: reader.number("timeout"),
    })
}

impl Service for Executable {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let mut stdin = serde_json::to_vec(event).expect("an event has only string keys");
        stdin.push(b'\n');
        Ok(vec![Call {
            key: "run".to_owned(),
            title: format!("run {}", self.program),
            action: Action::Execute(Execution {
                program: self.program.clone(),
                stdin,
                timeout_s: self.timeout_s,
            }),
        }])
    }
}
