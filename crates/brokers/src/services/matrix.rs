//! Matrix: a notice in a room, with a transaction id that makes repeats harmless.

use serde_json::json;

use super::Service;
use crate::address::{Address, encode};
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Dialogue, Exchange, HttpCall, Method, Step};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::chat::{Html, Plain, message};
use crate::event::BrokerEvent;
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// An event may be 65536 bytes long, and the text is in it twice.
const MAX_TEXT: usize = 20_000;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "matrix",
    title: "Matrix",
    aliases: &["element"],
    description: "Posts a notice to a room of Matrix.",
    fields: &[
        Field::new("homeserver", FieldKind::Url, "The address of the homeserver of the account: `https://matrix.example`.")
            .required()
            .alias(&["url", "homeserver_url"]),
        Field::new("room", FieldKind::Text, "The id of the room, `!abc:example`, or an alias, `#builds:example`; the account must have joined it.")
            .required()
            .alias(&["room_id"]),
        Field::new("access_token", FieldKind::Secret, "The access token of the account.").required().alias(&["token"]),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: true,
    read,
};

#[derive(Debug)]
struct Matrix {
    homeserver: Address,
    room: String,
    token: Secret,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    let room = reader.text("room");
    if !room.is_empty() && !room.starts_with(['!', '#']) {
        reader.problem(
            "room",
            "is neither an id (`!abc:example`) nor an alias (`#builds:example`); write one of them"
                .to_owned(),
        );
    }
    Box::new(Matrix {
        homeserver: reader.bare_address("homeserver"),
        room,
        token: reader.secret("access_token"),
    })
}

impl Service for Matrix {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let message = message(event);
        let plain = [message.title.render(&Plain), message.body(&Plain, "\n", MAX_TEXT)].join("\n");
        let html = [message.title.render(&Html), message.body(&Html, "<br>", MAX_TEXT)].join("<br>");
        let post = Post {
            homeserver: self.homeserver.clone(),
            room: self.room.clone(),
            token: self.token.clone(),
            transaction: format!("madake-{}", event.id),
            body: json!({
                "msgtype": "m.notice",
                "body": plain.trim_end(),
                "format": "org.matrix.custom.html",
                "formatted_body": html.strip_suffix("<br>").unwrap_or(&html),
                "m.mentions": {},
            }),
        };
        Ok(vec![Call {
            key: "message".to_owned(),
            title: format!("post to {} at {}", self.room, self.homeserver.origin()),
            action: Action::Http(Exchange::new(post)),
        }])
    }
}

/// An alias is looked up first; messages are sent to ids.
struct Post {
    homeserver: Address,
    room: String,
    token: Secret,
    transaction: String,
    body: serde_json::Value,
}

impl Post {
    fn send(&self, room: &str) -> Step {
        let path = format!(
            "/_matrix/client/v3/rooms/{}/send/m.room.message/{}",
            encode(room),
            encode(&self.transaction)
        );
        Step::Send(
            HttpCall::new(Method::Put, self.homeserver.join(&path))
                .bearer(&self.token)
                .json(&self.body),
        )
    }
}

impl Dialogue for Post {
    fn next(&self, answers: &[Answer]) -> Step {
        let by_alias = self.room.starts_with('#');
        match answers {
            [] if by_alias => {
                let path = format!("/_matrix/client/v3/directory/room/{}", encode(&self.room));
                Step::Send(HttpCall::new(Method::Get, self.homeserver.join(&path)).bearer(&self.token))
            }
            [] => self.send(&self.room),
            [first] if by_alias => match (judge(first), first.json()["room_id"].as_str()) {
                (Verdict::Ok(_), Some(room)) if room.starts_with('!') && room.len() <= 255 => self.send(room),
                (Verdict::Ok(_), _) => Step::End(Verdict::Refused(
                    "the address answers, but not as Matrix does; check `homeserver`".to_owned(),
                )),
                (verdict, _) => Step::End(verdict),
            },
            [.., last] => Step::End(judge(last)),
        }
    }
}

fn judge(answer: &Answer) -> Verdict {
    let code = answer.json()["errcode"].as_str().unwrap_or_default().to_owned();
    let remedy = match code.as_str() {
        "M_LIMIT_EXCEEDED" => return Verdict::Retry("Matrix asks to wait: M_LIMIT_EXCEEDED".to_owned()),
        "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" => {
            "log the account in again and write the new token into `access_token`"
        }
        "M_FORBIDDEN" | "M_GUEST_ACCESS_FORBIDDEN" => {
            "the account has not joined the room or may not write there; invite it, and accept the invitation"
        }
        "M_NOT_FOUND" => "there is no such room; check `room`",
        "M_UNRECOGNIZED" => "check `homeserver`: it may be delegated to another address",
        "M_USER_DEACTIVATED" => "the account was switched off; use another one",
        _ => "",
    };
    if !remedy.is_empty() && !(200..300).contains(&answer.status) {
        return Verdict::Refused(format!("Matrix answered {}: {code}; {remedy}", answer.status));
    }
    answer.judged(
        "Matrix",
        &[(404, "check `homeserver`: it may be delegated to another address")],
    )
}
