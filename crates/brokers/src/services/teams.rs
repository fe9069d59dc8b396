//! Microsoft Teams: an adaptive card through a workflow that waits for a webhook.
//!
//! Strangers' words go into text runs, which know no mark-up.

use serde_json::{Value, json};

use super::{Service, slack};
use crate::address::Address;
use crate::answer::{Answer, Verdict};
use crate::call::Call;
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::chat::{Line, Markup, Message, Piece, Plain, Tone, message};
use crate::event::BrokerEvent;
use crate::settings::{Allowed, Reader};
use crate::template::TemplateError;

/// The largest card is 28 KB; what is around the lines takes less than a quarter.
const MAX_LINES: usize = 20_000;

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "teams",
    title: "Microsoft Teams",
    aliases: &["ms teams", "msteams"],
    description: "Posts a card to a channel or chat of Microsoft Teams.",
    fields: &[Field::new(
        "webhook_url",
        FieldKind::SecretUrl,
        "The address of a workflow \"Post to a channel when a webhook request is received\".",
    )
    .required()
    .alias(&["url"])],
    takes: Takes::PushesAndBuilds,
    tags_too: true,
    read,
};

#[derive(Debug)]
struct Teams {
    url: Address,
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    Box::new(Teams {
        url: reader.address("webhook_url"),
    })
}

impl Service for Teams {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        Ok(vec![slack::post(&self.url, &body(&message(event)), judge)])
    }
}

/// The message as a workflow takes it.
pub(crate) fn body(message: &Message) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card(message),
        }],
    })
}

fn card(message: &Message) -> Value {
    let colour = match message.tone {
        Tone::Neutral => "default",
        Tone::Good => "good",
        Tone::Bad => "attention",
    };
    let mut blocks = vec![json!({
        "type": "RichTextBlock",
        "inlines": runs(&message.title, |run| {
            run["size"] = json!("medium");
            run["color"] = json!(colour);
        }),
    })];
    let mut length = 0;
    for line in &message.lines {
        let block = json!({ "type": "RichTextBlock", "spacing": "small", "inlines": runs(line, |_| {}) });
        length += block.to_string().len();
        if length > MAX_LINES {
            blocks.push(json!({ "type": "TextBlock", "text": "and more" }));
            break;
        }
        blocks.push(block);
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": message.title.render(&Plain),
        "body": blocks,
    });
    if let Some(link) = &message.link {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": "Open", "url": link }]);
    }
    card
}

fn runs(line: &Line, mut style: impl FnMut(&mut Value)) -> Vec<Value> {
    let run = |piece: &Piece| {
        let mut run = json!({ "type": "TextRun", "text": Plain.piece(piece) });
        match piece {
            Piece::Strong(_) => run["weight"] = json!("bolder"),
            Piece::Code(_) => run["fontType"] = json!("monospace"),
            Piece::Link { to, .. } => run["selectAction"] = json!({ "type": "Action.OpenUrl", "url": to }),
            Piece::Own(_) | Piece::Text(_) => {}
        }
        style(&mut run);
        run
    };
    line.0.iter().map(run).collect()
}

fn judge(answer: &Answer) -> Verdict {
    // Connectors of the old kind answer 200 to everything and tell of failures in words.
    if answer.status == 200 && answer.body.contains("delivery failed") {
        let sentence = format!("Teams answered 200{}", answer.said());
        return if answer.body.contains("429") {
            Verdict::Retry(sentence)
        } else {
            Verdict::Refused(sentence)
        };
    }
    let gone = [
        "WorkflowNotFound",
        "WorkflowTriggerIsNotEnabled",
        "TriggerDisabled",
    ];
    if gone.iter().any(|word| answer.body.contains(word)) {
        return Verdict::Refused(format!(
            "Teams answered {}: the workflow is switched off or gone; switch it on, or make a new one and write its address \
             into `webhook_url`",
            answer.status
        ));
    }
    answer.judged(
        "Teams",
        &[
            (400, "check that the workflow begins with \"When a Teams webhook request is received\""),
            (401, "set \"Who can trigger the flow\" to \"Anyone\" in the workflow, and copy its whole address again"),
            (403, "set \"Who can trigger the flow\" to \"Anyone\" in the workflow"),
            (404, "the workflow is gone; make a new one and write its address into `webhook_url`"),
            (410, "connectors of this kind were switched off; make a workflow instead"),
        ],
    )
}
