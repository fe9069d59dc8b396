//! Mattermost: a message through an incoming webhook.

use super::{Service, slack};
use crate::address::Address;
use crate::answer::{Answer, Verdict};
use crate::call::Call;
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::chat::{Markdown, message};
use crate::event::BrokerEvent;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// A message may be 16383 characters long; attachments count too.
const MAX_TEXT: usize = 7000;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "mattermost",
    title: "Mattermost",
    aliases: &[],
    description: "Posts a message to a channel of Mattermost.",
    fields: &[
        Field::new(
            "webhook_url",
            FieldKind::SecretUrl,
            "The address of an incoming webhook: `https://chat.example/hooks/...`.",
        )
        .required()
        .alias(&["url"]),
        Field::new(
            "channel",
            FieldKind::Text,
            "Another channel than that of the webhook.",
        ),
        Field::new(
            "username",
            FieldKind::Text,
            "Another name to post under, if the server allows it.",
        ),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: true,
    read,
};

#[derive(Debug)]
struct Mattermost {
    url: Address,
    channel: Option<String>,
    username: Option<String>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    Box::new(Mattermost {
        url: reader.address("webhook_url"),
        channel: reader.optional("channel"),
        username: reader.optional("username"),
    })
}

impl Service for Mattermost {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let mut body = slack::body(&message(event), &Markdown, MAX_TEXT);
        slack::named(&mut body, self.channel.as_ref(), self.username.as_ref());
        Ok(vec![slack::post(&self.url, &body, judge)])
    }
}

fn judge(answer: &Answer) -> Verdict {
    let gone = answer.status == 400 && answer.body.contains("web.incoming_webhook.invalid");
    if gone {
        return Verdict::Refused(
            "Mattermost answered 400: there is no such webhook; make a new one and write its address into `webhook_url`"
                .to_owned(),
        );
    }
    answer.judged(
        "Mattermost",
        &[
            (400, "check `webhook_url` and `channel`"),
            (403, "the webhook may not post to this channel; check `channel`"),
            (
                404,
                "there is no such channel or webhook; check `webhook_url` and `channel`",
            ),
            (
                501,
                "incoming webhooks are switched off; an administrator switches them on under Integrations",
            ),
        ],
    )
}
