//! A letter about a build or a deployment as a message in a chat, for the webhooks that plans name.

use madake_formats::outgoing::notification::{Letter, Tone as News};
use serde_json::{Value, json};

use crate::chat::{Line, Markdown, Message, Piece, SlackMarkup, Tone, safe_link};
use crate::services::{slack, teams};

/// The longest text that every chat shows whole, in bytes.
const MAX_TEXT: usize = 3000;
/// The most items of a list that are told.
const MAX_ITEMS: usize = 10;

/// The chats whose incoming webhooks are known by their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chat {
    /// Slack: `https://hooks.slack.com/services/T.../B.../...`, at any host.
    Slack,
    /// Mattermost, and Rocket.Chat, which takes the same: `https://chat.example.org/hooks/...`.
    Mattermost,
    /// Microsoft Teams: a workflow that waits for a webhook, or an old connector.
    Teams,
    /// Discord: `https://discord.com/api/webhooks/...`, at any host.
    Discord,
}

impl Chat {
    /// The chat whose webhook has this address, if it looks like one.
    #[must_use]
    pub fn of_address(url: &str) -> Option<Self> {
        let rest = url.split_once("://")?.1;
        let (authority, path) = rest.split_once('/')?;
        let host = authority.rsplit('@').next()?.split(':').next()?.to_lowercase();
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        let teams = ["webhook.office.com", "logic.azure.com", "powerplatform.com"];
        if teams
            .iter()
            .any(|end| host == *end || host.ends_with(&format!(".{end}")))
        {
            return Some(Self::Teams);
        }
        match parts.as_slice() {
            ["services", team, hook, _] if team.starts_with('T') && hook.starts_with('B') => {
                Some(Self::Slack)
            }
            ["workflows", .., "paths", "invoke"] => Some(Self::Teams),
            ["api", "webhooks", _, _] => Some(Self::Discord),
            ["hooks", _] | ["hooks", _, _] => Some(Self::Mattermost),
            _ if host == "hooks.slack.com" => Some(Self::Slack),
            _ => None,
        }
    }

    /// The body that the chat takes.
    #[must_use]
    pub fn body(self, letter: &Letter) -> Value {
        let message = message(letter);
        match self {
            Self::Slack => {
                let mut body = slack::body(&message, &SlackMarkup, MAX_TEXT);
                body["unfurl_links"] = json!(false);
                body["unfurl_media"] = json!(false);
                body
            }
            Self::Mattermost => slack::body(&message, &Markdown, MAX_TEXT),
            Self::Teams => teams::body(&message),
            Self::Discord => json!({
                "content": message.title.render(&Markdown),
                "allowed_mentions": { "parse": [] },
                "embeds": [{
                    "description": message.body(&Markdown, "\n", MAX_TEXT),
                    "color": message.tone.colour(),
                }],
            }),
        }
    }
}

fn message(letter: &Letter) -> Message {
    let link = safe_link(&letter.link);
    let headline = match &link {
        Some(to) => Piece::Link {
            label: letter.headline.clone(),
            to: to.clone(),
        },
        None => Piece::Strong(letter.headline.clone()),
    };
    let mut lines = Vec::new();
    for (name, value) in &letter.facts {
        lines.push(Line(vec![
            Piece::Own(format!("{name}: ")),
            Piece::Text(value.clone()),
        ]));
    }
    for section in &letter.sections {
        lines.push(Line(vec![Piece::Strong(section.title.clone())]));
        for item in section.items.iter().take(MAX_ITEMS) {
            let name = match item.link.as_deref().and_then(safe_link) {
                Some(to) => Piece::Link {
                    label: item.name.clone(),
                    to,
                },
                None => Piece::Strong(item.name.clone()),
            };
            let mut pieces = vec![name];
            if !item.text.trim().is_empty() {
                pieces.push(Piece::Own(" ".into()));
                pieces.push(Piece::Text(item.text.clone()));
            }
            lines.push(Line(pieces));
        }
        let more = section.more + section.items.len().saturating_sub(MAX_ITEMS);
        if more > 0 {
            lines.push(Line(vec![Piece::Own(format!("and {more} more"))]));
        }
    }
    Message {
        title: Line(vec![headline]),
        lines,
        tone: match letter.tone {
            News::Good => Tone::Good,
            News::Bad => Tone::Bad,
            News::Neutral => Tone::Neutral,
        },
        link,
    }
}

#[cfg(test)]
mod tests {
    use madake_formats::outgoing::notification::{Item, Section};

    use super::*;

    #[test]
    fn chats_are_known_by_the_addresses_of_their_webhooks() {
        let rows = [
            ("https://hooks.slack.com/services/T0/B0/abc", Some(Chat::Slack)),
            ("http://127.0.0.1:99/services/T0/B0/abc?x=1", Some(Chat::Slack)),
            ("https://hooks.slack.com/workflows/abc", Some(Chat::Slack)),
            ("https://chat.example.org/hooks/kxe9", Some(Chat::Mattermost)),
            (
                "https://rocket.example.org/hooks/id/token",
                Some(Chat::Mattermost),
            ),
            ("https://x.webhook.office.com/webhookb2/abc", Some(Chat::Teams)),
            (
                "https://prod-1.westeurope.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sig=a",
                Some(Chat::Teams),
            ),
            ("https://discord.com/api/webhooks/1/abc", Some(Chat::Discord)),
            ("https://ci.example.org/notify", None),
            ("https://webhook.office.com.evil.example/x", None),
            ("nonsense", None),
        ];
        for (url, chat) in rows {
            assert_eq!(Chat::of_address(url), chat, "{url}");
        }
    }

    fn letter() -> Letter {
        Letter {
            headline: "Web › Shop › #7 has FAILED".into(),
            tone: News::Bad,
            link: "https://ci.example/browse/WEB-SHOP-7".into(),
            facts: vec![("Branch", "<!channel> @here".into())],
            sections: vec![Section {
                title: "Commits".into(),
                items: vec![Item {
                    name: "7c1f0c9".into(),
                    text: "<https://evil.example|click>".into(),
                    link: None,
                }],
                more: 2,
            }],
        }
    }

    #[test]
    fn each_chat_is_told_with_a_link_and_without_mentions() {
        for chat in [Chat::Slack, Chat::Mattermost, Chat::Teams, Chat::Discord] {
            let body = chat.body(&letter()).to_string();
            assert!(body.contains("has FAILED"), "{chat:?}: {body}");
            assert!(
                body.contains("https://ci.example/browse/WEB-SHOP-7"),
                "{chat:?}: {body}"
            );
            assert!(body.contains("and 2 more"), "{chat:?}: {body}");
            for harm in ["<!channel>", "@here", "<https://evil"] {
                assert!(!body.contains(harm), "{chat:?} has {harm}: {body}");
            }
        }
    }

    #[test]
    fn slack_gets_a_text_and_a_coloured_attachment() {
        let body = Chat::Slack.body(&letter());
        assert_eq!(
            body["text"],
            "<https://ci.example/browse/WEB-SHOP-7|Web › Shop › #7 has FAILED>"
        );
        assert_eq!(body["attachments"][0]["color"], "#c73e3a");
    }
}
