//! Discord: a message with an embed through a webhook. Mentions are switched off in the request itself.

use serde_json::json;

use super::{Service, slack};
use crate::address::Address;
use crate::answer::{Answer, Verdict};
use crate::call::Call;
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::chat::{Markdown, message};
use crate::event::BrokerEvent;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// The longest message, in characters.
const MAX_CONTENT: usize = 2000;
/// The longest description of an embed, in characters.
const MAX_DESCRIPTION: usize = 4000;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "discord",
    title: "Discord",
    aliases: &[],
    description: "Posts a message to a channel of Discord.",
    fields: &[
        Field::new(
            "webhook_url",
            FieldKind::SecretUrl,
            "The address of a webhook: `https://discord.com/api/webhooks/...`.",
        )
        .required()
        .alias(&["url"]),
        Field::new("username", FieldKind::Text, "Another name to post under."),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: true,
    read,
};

#[derive(Debug)]
struct Discord {
    url: Address,
    username: Option<String>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    let username = reader.optional("username");
    if username.as_ref().is_some_and(|name| name.chars().count() > 80) {
        reader.problem("username", "is longer than 80 characters; shorten it".to_owned());
    }
    Box::new(Discord {
        url: reader.address("webhook_url"),
        username,
    })
}

impl Service for Discord {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let message = message(event);
        let title = message.title.render(&Markdown);
        // Mark-up cut in half would show; a title so long is told without it.
        let title = if title.chars().count() <= MAX_CONTENT {
            title
        } else {
            "Something happened".to_owned()
        };
        let mut body = json!({
            "content": title,
            "allowed_mentions": { "parse": [] },
        });
        let lines = message.body(&Markdown, "\n", MAX_DESCRIPTION);
        if !lines.is_empty() {
            body["embeds"] = json!([{ "description": lines, "color": message.tone.colour() }]);
        }
        slack::named(&mut body, None, self.username.as_ref());
        Ok(vec![slack::post(&self.url, &body, judge)])
    }
}

fn judge(answer: &Answer) -> Verdict {
    answer.judged(
        "Discord",
        &[
            (
                400,
                "it could not read the message; check `username`, which may not hold `discord` or `clyde`",
            ),
            (401, "check `webhook_url`; its last part is the token"),
            (403, "check `webhook_url`"),
            (
                404,
                "the webhook was removed; make a new one and write its address into `webhook_url`",
            ),
        ],
    )
}
