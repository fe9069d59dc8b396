//! Slack: a message through an incoming webhook.

use serde_json::{Value, json};

use super::Service;
use crate::address::Address;
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Exchange, HttpCall};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::chat::{Markup, Message, SlackMarkup, message};
use crate::event::BrokerEvent;
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// The longest text that Slack shows whole, in bytes.
const MAX_TEXT: usize = 3500;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "slack",
    title: "Slack",
    aliases: &[],
    description: "Posts a message to a channel of Slack.",
    fields: &[
        Field::new(
            "webhook_url",
            FieldKind::SecretUrl,
            "The address of an incoming webhook: `https://hooks.slack.com/services/...`.",
        )
        .required()
        .alias(&["url"]),
        Field::new(
            "channel",
            FieldKind::Text,
            "Another channel than that of the webhook; old webhooks only.",
        ),
        Field::new(
            "username",
            FieldKind::Text,
            "Another name to post under; old webhooks only.",
        ),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: true,
    read,
};

#[derive(Debug)]
struct Slack {
    url: Address,
    channel: Option<String>,
    username: Option<String>,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    Box::new(Slack {
        url: reader.address("webhook_url"),
        channel: reader.optional("channel"),
        username: reader.optional("username"),
    })
}

impl Service for Slack {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let mut body = body(&message(event), &SlackMarkup, MAX_TEXT);
        body["unfurl_links"] = json!(false);
        body["unfurl_media"] = json!(false);
        named(&mut body, self.channel.as_ref(), self.username.as_ref());
        Ok(vec![post(&self.url, &body, judge)])
    }
}

/// The message as Slack and Mattermost take it: a text, and a coloured attachment with the lines.
pub(crate) fn body(message: &Message, markup: &dyn Markup, most: usize) -> Value {
    let mut body = json!({ "text": message.title.render(markup) });
    let lines = message.body(markup, "\n", most);
    if !lines.is_empty() {
        body["attachments"] = json!([{
            "color": format!("#{:06x}", message.tone.colour()),
            "text": lines,
            "mrkdwn_in": ["text"],
        }]);
    }
    body
}

/// Adds another channel and name.
pub(super) fn named(body: &mut Value, channel: Option<&String>, username: Option<&String>) {
    for (name, value) in [("channel", channel), ("username", username)] {
        if let Some(value) = value {
            body[name] = json!(value);
        }
    }
}

/// A call to a webhook whose address is its password.
pub(super) fn post(url: &Address, body: &Value, judge: fn(&Answer) -> Verdict) -> Call {
    let mut request = HttpCall::post(url.as_str())
        .secret(&Secret::new(url.path()))
        .json(body);
    // A receiver may repeat a part alone; words of the path that are no token are short or not the last.
    let (path, query) = url.path().split_once('?').unwrap_or((url.path(), ""));
    let values = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(_, value)| value);
    for part in path
        .rsplit('/')
        .take(1)
        .chain(values)
        .filter(|part| part.len() >= 6)
    {
        request = request.secret(&Secret::new(part));
    }
    if let Some((user, password)) = url.credentials() {
        request = request.basic(user, password);
    }
    Call {
        key: "message".to_owned(),
        title: format!("post to {}", url.origin()),
        action: Action::Http(Exchange::once(request, judge)),
    }
}

fn judge(answer: &Answer) -> Verdict {
    let word = answer.body.trim();
    let remedy = match word {
        "no_service" | "no_service_id" | "no_team" | "invalid_token" | "no_active_hooks" => {
            "the webhook was removed or switched off; make a new one and write its address into `webhook_url`"
        }
        "channel_not_found" => "there is no such channel; check `channel`, or make a webhook for another one",
        "channel_is_archived" => "the channel is archived; make a webhook for another one",
        "user_not_found" => "there is no such user; check `channel`",
        "action_prohibited" | "posting_to_general_channel_denied" => {
            "an administrator of Slack does not let the webhook post there; choose another channel"
        }
        "team_disabled" => "the workspace is switched off",
        "invalid_payload" | "no_text" | "missing_text_or_fallback_or_attachments" => {
            "it could not read the message; check that `webhook_url` is an incoming webhook and not a workflow"
        }
        "too_many_attachments" => "the message is too large",
        "rollup_error" => return Verdict::Retry("Slack is in trouble: rollup_error".to_owned()),
        _ => "",
    };
    if !remedy.is_empty() {
        return Verdict::Refused(format!("Slack answered {}: {word}; {remedy}", answer.status));
    }
    match answer.judged("Slack", &[]) {
        Verdict::Ok(_) if !word.is_empty() && word != "ok" => Verdict::Refused(format!(
            "Slack answered {}{}; check that `webhook_url` is the address of an incoming webhook",
            answer.status,
            answer.said()
        )),
        other => other,
    }
}
