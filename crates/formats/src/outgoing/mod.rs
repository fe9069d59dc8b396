//! Bodies that tell others of a push: facts in, bytes out.
//!
//! One [`Profile`] per kind of receiver. Each takes the same [`PushFacts`] and gives one [`Rendered`] per
//! push, or one per ref. What is fixed when the outbox row is written stands in [`Rendered`]; what belongs
//! to the delivery (its id) or to one attempt (its number, the signatures) is added when it is sent, under
//! the header names that the profile gives.
//!
//! No profile invents fields that its format never had, with one exception: in Mercurial repositories the
//! formats of Bitbucket Server and GitHub, which know Git alone, say `hg` and name branches like Git's.

mod bitbucket_cloud;
mod bitbucket_dc;
mod clock;
mod cloud_post;
pub mod facts;
mod github;
pub mod links;
mod native;
pub mod native_build;
pub mod notification;
mod post_receive;
mod post_webhooks;
pub mod resource;
mod selection;
mod server_shape;
mod settings;
mod writer;

use std::fmt;

pub use facts::PushFacts;
pub use post_receive::Generation;
pub use settings::{DcVersion, PageLimits, Settings};

use crate::signature;

/// What a receiver wants to be told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// "Post-Receive Webhooks" of Bitbucket Server and Stash, in one of three generations
    /// (push-payloads.md A).
    PostReceive(Generation),
    /// The POST service of Bitbucket Cloud: a form (C.1, C.2).
    CloudPost,
    /// Webhooks of Bitbucket Data Center, `repo:refs_changed` (B.3).
    BitbucketDc,
    /// Webhooks of Bitbucket Cloud, `repo:push` (C.4).
    BitbucketCloud,
    /// The "Post Webhooks" add-on of Bitbucket Server (B.5).
    PostWebhooks,
    /// The `push` event of GitHub, one per ref.
    GitHub,
    /// Our own JSON, with everything in it.
    Native,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 9] = [
        Self::PostReceive(Generation::Stash2),
        Self::PostReceive(Generation::Stash3),
        Self::PostReceive(Generation::Bbs5),
        Self::CloudPost,
        Self::BitbucketDc,
        Self::BitbucketCloud,
        Self::PostWebhooks,
        Self::GitHub,
        Self::Native,
    ];

    /// The stable name, as stored and as used in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::PostReceive(Generation::Stash2) => "stash2",
            Self::PostReceive(Generation::Stash3) => "stash3",
            Self::PostReceive(Generation::Bbs5) => "bbs5",
            Self::CloudPost => "cloud-post",
            Self::BitbucketDc => "bitbucket-dc",
            Self::BitbucketCloud => "bitbucket-cloud",
            Self::PostWebhooks => "post-webhooks",
            Self::GitHub => "github",
            Self::Native => "native",
        }
    }

    /// The profile of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The deliveries of a push: one, or one for each ref that the format can tell. None when it can tell
    /// none of them (a push to `refs/notes/` alone, for GitHub).
    pub fn render(self, facts: &PushFacts, settings: &Settings) -> Vec<Rendered> {
        match self {
            Self::PostReceive(generation) => post_receive::render(generation, facts, settings),
            Self::CloudPost => cloud_post::render(facts, settings),
            Self::BitbucketDc => bitbucket_dc::render(facts, settings),
            Self::BitbucketCloud => bitbucket_cloud::render(facts, settings),
            Self::PostWebhooks => post_webhooks::render(facts, settings),
            Self::GitHub => github::render(facts, settings),
            Self::Native => native::render(facts, settings),
        }
    }

    /// The body of a connection test, where the format has one: `diagnostics:ping` of Bitbucket Data Center
    /// (push-payloads.md B.2). It is never signed.
    pub fn ping(self) -> Option<Rendered> {
        match self {
            Self::BitbucketDc => Some(bitbucket_dc::ping()),
            _ => None,
        }
    }

    /// The header that carries the id of the delivery, which stays the same over retries. Our own format
    /// has `webhook-id` among the headers of its signature instead.
    pub fn delivery_id_header(self) -> Option<&'static str> {
        match self {
            Self::BitbucketDc => Some("X-Request-Id"),
            Self::BitbucketCloud => Some("X-Request-UUID"),
            Self::GitHub => Some("X-GitHub-Delivery"),
            Self::PostReceive(_) | Self::CloudPost | Self::PostWebhooks | Self::Native => None,
        }
    }

    /// The header that carries the number of the attempt, from 1.
    pub fn attempt_header(self) -> Option<&'static str> {
        match self {
            Self::BitbucketCloud => Some("X-Attempt-Number"),
            _ => None,
        }
    }

    /// How bodies are signed once the receiver has a secret.
    pub fn signing(self) -> Signing {
        match self {
            Self::BitbucketDc | Self::BitbucketCloud | Self::PostWebhooks => Signing::Hub(signature::HEADER),
            Self::GitHub => Signing::GitHub,
            Self::Native => Signing::StandardWebhooks,
            Self::PostReceive(_) | Self::CloudPost => Signing::None,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// How a format signs its bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signing {
    /// Not at all; a secret can only stand in the address (push-payloads.md A.1, C.1). The headers of
    /// [`Signing::StandardWebhooks`] may be sent in addition and disturb nobody.
    None,
    /// [`signature::sign_first`] in the header of that name.
    Hub(&'static str),
    /// [`signature::sign_as_github`].
    GitHub,
    /// [`signature::standard_webhooks::headers`].
    StandardWebhooks,
}

/// One delivery, ready but for what belongs to an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The value of `Content-Type`.
    pub content_type: &'static str,
    /// Further headers. No value has a line break or another control character.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes to be sent, and to be signed.
    pub body: Vec<u8>,
}

const JSON: &str = "application/json";
const JSON_UTF_8: &str = "application/json; charset=utf-8";
