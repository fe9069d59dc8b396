//! One file for each type of broker: its entry in the catalogue, its settings, its calls, and what the answers of
//! its receiver mean.

use std::fmt::Debug;

use minijinja::context;
use minijinja::value::Value;

use crate::call::Call;
use crate::event::{BrokerEvent, Change};
use crate::template::{Template, TemplateError};

pub(crate) mod bamboo;
pub(crate) mod bugzilla;
pub(crate) mod build_status;
pub(crate) mod buildbot;
pub(crate) mod discord;
pub(crate) mod email;
pub(crate) mod executable;
pub(crate) mod generic;
pub(crate) mod github;
pub(crate) mod gitlab;
pub(crate) mod jenkins;
pub(crate) mod jenkins_git;
pub(crate) mod jira;
pub(crate) mod matrix;
pub(crate) mod mattermost;
pub(crate) mod read_the_docs;
pub(crate) mod slack;
pub(crate) mod teamcity;
pub(crate) mod teams;

/// A broker's typed settings.
pub(crate) trait Service: Debug + Send + Sync {
    /// The calls for an event, whose refs are already those of the setting `refs`.
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError>;

    /// Why an event has no call, as a sentence.
    fn why_none(&self) -> &'static str {
        "the event has no ref that still exists"
    }
}

/// What a template about one change sees.
fn context_of(event: &BrokerEvent, change: &Change<'_>) -> Value {
    let change = context! { name => change.name, full_name => change.full_name, revision => change.revision };
    context! { change, ..Value::from_serialize(event) }
}

/// Named templates with the values they have for a change.
fn render_named(
    templates: &[(String, Template)],
    context: &Value,
) -> Result<Vec<(String, String)>, TemplateError> {
    templates
        .iter()
        .map(|(name, template)| Ok((name.clone(), template.render(context)?)))
        .collect()
}
