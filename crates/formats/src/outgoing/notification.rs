//! What people and their programs are told of builds and deployments: facts in; subject, text, HTML and JSON out.
//!
//! [`compose()`] says once what there is to say, as a [`Letter`] of plain words; [`mod@mail`] and chats only give it a form.
//! `webhook` is the body of Bamboo's own template for webhooks, with more in it.

mod compose;
mod facts;
pub mod mail;
#[cfg(test)]
mod tests;
mod webhook;

pub use self::compose::compose;
pub use self::facts::{
    BuildTold, CommitTold, DeploymentTold, Happened, JobTold, NotificationFacts, State, Subject, TestTold,
    TestsTold,
};
pub use self::webhook::{CONTENT_TYPE, addressed, webhook};

/// What is said, in words without mark-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What happened, in one line: `Web › Shop › #7 has FAILED`.
    pub headline: String,
    /// How good the news is.
    pub tone: Tone,
    /// The page about it.
    pub link: String,
    /// Names and values.
    pub facts: Vec<(&'static str, String)>,
    /// Lists under headings.
    pub sections: Vec<Section>,
}

/// A list under a heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// The items.
    pub items: Vec<Item>,
    /// How many more there are that are not told.
    pub more: usize,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is called.
    pub name: String,
    /// More about it; may be empty, may have several lines.
    pub text: String,
    /// A page about it.
    pub link: Option<String>,
}

/// How good the news is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Well.
    Good,
    /// Not well.
    Bad,
    /// Neither.
    Neutral,
}
