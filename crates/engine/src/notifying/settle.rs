//! Says who is told of a notice, once, and enters a message for each.

use madake_brokers::chat_letter::Chat;
use madake_domain::key::PlanKey;
use madake_domain::notification::{
    Audience, BuildVerdict, Call, Happening, JobVerdict, Unheard, Wanted, audience, environment_title,
    fitting, tells_of_deployment, title,
};
use madake_domain::plan::PlanConfiguration;
use madake_domain::schedule::ResultState;
use madake_formats::outgoing::notification::{NotificationFacts, compose, mail, webhook};
use madake_store::build::{self, Build, Change};
use madake_store::notification::{self as store, NewMessage, Notice};
use madake_store::{Millis, StoreError, Tx, build_query, deployment, event, plan, user, watcher};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::facts::{self, Cover, Known};
use super::people::{self, Seen, Where};
use super::send::lane;
use super::{Again, DeploymentNotice, Trouble, What, shown_address, verdict};
use crate::telling::NO_MAIL_SERVER;
use crate::variables::SetVariables;
use crate::{Engine, EngineError, changes, clock};

/// How many earlier builds are looked at for what was before.
const LOOKED_BACK: i64 = 100;

/// What a message is made of, as the table keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "medium", rename_all = "kebab-case")]
pub(super) enum Content {
    /// A mail.
    Mail {
        text: String,
        html: String,
        at_ms: Millis,
    },
    /// A call of a program, with the body that all calls of the notice have. `name` is what the plan calls the webhook;
    /// `None`: a chat, whose body says nothing of that.
    Webhook {
        name: Option<String>,
        /// Of messages that were entered before bodies were kept once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
    },
}

/// What is to be entered.
#[derive(Debug, Default)]
struct Settled {
    messages: Vec<NewMessage>,
    summary: String,
    /// The ledger entry that gets the summary as a note.
    event_id: Option<i64>,
    /// The plan branch, and who is responsible for its failure from now on.
    responsible: Option<(i64, Vec<i64>)>,
}

/// Settles one notice. One that cannot be settled is given up with a word, so that it holds back no other.
pub(super) async fn settle(engine: &Engine, notice: Notice) -> Result<(), EngineError> {
    let settled = match decide(engine, &notice).await {
        Ok(settled) => settled,
        Err(error @ EngineError::Unavailable(_)) => return Err(error),
        Err(error) => {
            tracing::warn!(
                notice = notice.id,
                "nobody was told of notice {}: {error}",
                notice.id
            );
            Settled {
                summary: format!("nobody was told: {error}"),
                ..Settled::default()
            }
        }
    };
    let id = notice.id;
    engine
        .store()
        .write(move |tx| {
            let now = clock::now_ms();
            if !store::settle_notice(tx, id, &settled.summary, &settled.messages, now)? {
                return Ok(());
            }
            if let Some((branch_id, users)) = &settled.responsible {
                watcher::set_responsible(tx, *branch_id, users, "", now)?;
            }
            if let Some(event_id) = settled.event_id.filter(|_| !settled.summary.is_empty()) {
                event::note(tx, event_id, "info", &settled.summary, now)?;
            }
            Ok::<_, EngineError>(())
        })
        .await
}

async fn decide(engine: &Engine, notice: &Notice) -> Result<Settled, EngineError> {
    let what: What = serde_json::from_str(&notice.content)?;
    if let What::Deployment(told) = &what {
        return of_deployment(engine, notice, told).await;
    }
    let Some(build_id) = notice.build_id else {
        return Err(EngineError::Internal("it names no build".into()));
    };
    let one = engine.store().read(move |tx| build::by_id(tx, build_id)).await?;
    let configuration = engine.configuration(one.version_id).await?;
    if configuration.notifications.is_empty() {
        return Ok(Settled::default());
    }
    let changes = changes_of(engine, &one).await?;
    let can_mail = engine.mailer().is_some();
    let at_ms = notice.created_ms;
    let sealer = engine.sealer().clone();
    engine
        .store()
        .read(move |tx| {
            let known = Known {
                plan: plan::by_id(tx, one.plan_id)?,
                branch: plan::branch_by_id(tx, one.plan_branch_id)?,
                build: one,
                changes,
            };
            let set = SetVariables::of_plan(tx, &sealer, &known.plan)?;
            let cover = Cover::of(&configuration, &known.build, &set);
            of_build(tx, &known, &what, &configuration, &cover, can_mail, at_ms)
        })
        .await
}

/// The commits of a build, looked up now if nobody has yet.
async fn changes_of(engine: &Engine, one: &Build) -> Result<Vec<Change>, EngineError> {
    let id = one.id;
    let known = engine
        .store()
        .read(move |tx| build_query::changes(tx, id))
        .await?;
    if !known.is_empty() || one.revision.is_none() {
        return Ok(known);
    }
    if let Err(error) = changes::look_up(engine, one).await {
        tracing::warn!(build.key = %one.key, "the commits of {} could not be looked up: {error}", one.key);
    }
    Ok(engine
        .store()
        .read(move |tx| build_query::changes(tx, id))
        .await?)
}

fn of_build(
    tx: &Tx<'_>,
    known: &Known,
    what: &What,
    configuration: &PlanConfiguration,
    cover: &Cover,
    can_mail: bool,
    at_ms: Millis,
) -> Result<Settled, EngineError> {
    let branch_id = known.branch.id;
    let happening = happening(tx, known, what, at_ms)?;
    let mut responsible = watcher::responsible(tx, branch_id)?;
    let mut settled = Settled {
        event_id: known.build.event_id,
        ..Settled::default()
    };
    if let Happening::BuildEnded { verdict, before, .. } = happening {
        if verdict == BuildVerdict::Failed && before != Some(BuildVerdict::Failed) && responsible.is_empty() {
            // Whoever made the commits of the first failure is responsible until somebody else says who is.
            for committer in people::committers(tx, &known.changes)? {
                let found = committer.user.map(|name| user::by_name(tx, &name)).transpose()?;
                responsible.extend(found.flatten().filter(|one| one.enabled));
            }
            let ids: Vec<i64> = responsible.iter().map(|one| one.id).collect();
            settled.responsible = (!ids.is_empty()).then_some((branch_id, ids));
        } else if verdict == BuildVerdict::Successful && !responsible.is_empty() {
            settled.responsible = Some((branch_id, Vec::new()));
        }
    }
    let rules = fitting(&configuration.notifications, &happening);
    if rules.is_empty() {
        return Ok(settled);
    }
    let titles: Vec<String> = rules.iter().map(|rule| title(rule.event)).collect();
    let named = || {
        let rules = titles.iter().zip(&rules);
        rules.flat_map(|(title, rule)| rule.recipients.iter().map(|one| (title.as_str(), one)))
    };
    let place = Where {
        seen: Seen::Plan(&known.plan.key),
        branch: Some(&known.branch),
        changes: &known.changes,
    };
    let mut wanted = Wanted::of(named().map(|(_, recipient)| recipient));
    let names: Vec<String> = responsible.iter().map(|one| one.name.clone()).collect();
    if wanted.responsible {
        wanted.users.extend(names.iter().cloned());
    }
    let mut people = people::look_up(tx, &wanted, &place)?;
    if wanted.responsible {
        people.responsible.clone_from(&names);
    }
    let told = audience(named(), &people);
    let facts = facts::of_build(tx, known, what, names, cover, at_ms)?;
    settled.summary = summary(&summary_subject(known, what, &titles), &told, can_mail, "plan");
    settled.messages = messages(&facts, &told, can_mail, &format!("plan {}", known.plan.id));
    Ok(settled)
}

/// `PROJ-PLAN-7`, or the job's key.
fn summary_subject(known: &Known, what: &What, titles: &[String]) -> String {
    let subject = match what {
        What::JobEnded { .. } => "the end of a job of ",
        What::JobTrouble { .. } => "trouble with a job of ",
        What::CommentAdded { .. } => "a comment on ",
        What::ResponsibilityChanged { .. } => "who is responsible for ",
        What::BuildEnded { .. } | What::Deployment(_) => "",
    };
    let mut each: Vec<&str> = Vec::new();
    for title in titles {
        if !each.contains(&title.as_str()) {
            each.push(title);
        }
    }
    format!("{subject}{} ({})", known.build.key, each.join(", "))
}

/// What happened, with what was before.
fn happening(tx: &Tx<'_>, known: &Known, what: &What, at_ms: Millis) -> Result<Happening, EngineError> {
    Ok(match what {
        What::BuildEnded { verdict, again } => {
            let earlier = build_query::ended_earlier(tx, &known.build, at_ms, LOOKED_BACK)?;
            let verdict_of = |one: &Build| match one.schedule.summary().state {
                ResultState::Failed => BuildVerdict::Failed,
                _ => BuildVerdict::Successful,
            };
            let before = match again {
                Again::Rebuilt => Some(BuildVerdict::Failed),
                Again::Continued => Some(BuildVerdict::Successful),
                Again::No => earlier.first().map(verdict_of),
            };
            let failed = earlier
                .iter()
                .take_while(|one| verdict_of(one) == BuildVerdict::Failed)
                .count();
            let failures = failed + usize::from(*verdict == BuildVerdict::Failed);
            Happening::BuildEnded {
                verdict: *verdict,
                before,
                failures_in_a_row: u32::try_from(failures).unwrap_or(u32::MAX),
            }
        }
        What::JobEnded {
            job_id,
            verdict,
            first_failure,
            again,
        } => Happening::JobEnded {
            verdict: *verdict,
            before: match again {
                Again::Rebuilt => Some(JobVerdict::Failed),
                Again::Continued | Again::No => job_before(tx, known, *job_id, at_ms)?,
            },
            first_failure: *first_failure,
        },
        What::JobTrouble { trouble, .. } => match trouble {
            Trouble::Hung => Happening::JobHung,
            Trouble::QueueTimeout => Happening::JobQueueTimeout,
            Trouble::NoCapableAgent => Happening::JobWithoutCapableAgents,
        },
        What::CommentAdded { .. } => Happening::CommentAdded,
        What::ResponsibilityChanged { .. } => Happening::ResponsibilityChanged,
        What::Deployment(_) => return Err(EngineError::Internal("a deployment is no build".into())),
    })
}

/// How the same job ended in the last build in which it did.
fn job_before(
    tx: &Tx<'_>,
    known: &Known,
    job_id: i64,
    at_ms: Millis,
) -> Result<Option<JobVerdict>, EngineError> {
    let key = build_query::job(tx, job_id)?.key;
    for earlier in build_query::ended_earlier(tx, &known.build, at_ms, LOOKED_BACK / 10)? {
        let same = build_query::jobs(tx, earlier.id)?
            .into_iter()
            .find(|row| row.key == key)
            .and_then(|row| earlier.schedule.job(row.id).and_then(|(_, job)| verdict(job)));
        if let Some(found) = same.filter(|found| *found != JobVerdict::Stopped) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn of_deployment(
    engine: &Engine,
    notice: &Notice,
    told: &DeploymentNotice,
) -> Result<Settled, EngineError> {
    let fits: Vec<_> = told
        .rules
        .iter()
        .filter_map(|rule| {
            let event = *rule
                .events
                .iter()
                .find(|event| tells_of_deployment(**event, told.happening))?;
            Some((event, rule.recipients.clone()))
        })
        .collect();
    if fits.is_empty() {
        return Ok(Settled::default());
    }
    let (id, environment_id) = (told.project_id, told.environment_id);
    let place = engine
        .store()
        .read(move |tx| {
            let project = deployment::by_id(tx, id)?;
            let environment = deployment::environment(tx, environment_id)?;
            Ok::<_, EngineError>(project.zip(environment))
        })
        .await?;
    let Some((project, environment)) = place else {
        return Err(EngineError::Internal("its environment is gone".into()));
    };
    let changes = match told.build_id {
        Some(id) => {
            let found = engine.store().read(move |tx| build::by_id(tx, id)).await;
            match found {
                Ok(one) => changes_of(engine, &one).await?,
                // It was removed, as the plan wants of old ones.
                Err(StoreError::Missing(_)) => Vec::new(),
                Err(error) => return Err(error.into()),
            }
        }
        None => Vec::new(),
    };
    let can_mail = engine.mailer().is_some();
    let (told, at_ms) = (told.clone(), notice.created_ms);
    engine
        .store()
        .read(move |tx| {
            let key: Option<PlanKey> = told.source_plan.as_deref().and_then(|key| key.parse().ok());
            let branch = match &key {
                Some(key) => plan::branch_by_key(tx, key)?,
                None => None,
            };
            let named = || {
                let rules = fits.iter();
                rules.flat_map(|(event, recipients)| {
                    recipients.iter().map(|one| (environment_title(*event), one))
                })
            };
            let place = Where {
                seen: Seen::Environment(&project, &environment),
                branch: branch.as_ref(),
                changes: &changes,
            };
            let wanted = Wanted::of(named().map(|(_, recipient)| recipient));
            let people = people::look_up(tx, &wanted, &place)?;
            let audience = audience(named(), &people);
            let facts = facts::of_deployment(tx, &told, at_ms)?;
            let subject = format!("the deployment of {} to {}", told.release, told.environment);
            Ok::<_, EngineError>(Settled {
                summary: summary(&subject, &audience, can_mail, "environment"),
                messages: messages(
                    &facts,
                    &audience,
                    can_mail,
                    &format!("environment {}", environment.id),
                ),
                ..Settled::default()
            })
        })
        .await
}

/// The messages, rendered. `owner` is whose messages wait for each other.
fn messages(facts: &NotificationFacts, told: &Audience, can_mail: bool, owner: &str) -> Vec<NewMessage> {
    let letter = compose(facts);
    let subject = mail::subject(&letter);
    let mut messages = Vec::new();
    let mut push = |medium, recipient: &str, address: &str, event: String, content: &Content, body| {
        messages.push(NewMessage {
            uid: Uuid::now_v7().to_string(),
            medium,
            recipient: recipient.to_owned(),
            address: address.to_owned(),
            event,
            subject: subject.clone(),
            // What was made of strings has no part that is no JSON.
            content: serde_json::to_string(content).unwrap_or_default(),
            body,
            line: format!("{} of {owner}", lane(medium, address)),
        });
    };
    for one in told.letters.iter().filter(|_| can_mail) {
        let content = Content::Mail {
            text: mail::text(&letter, &one.under, &one.because),
            html: mail::html(&letter, &one.under, &one.because),
            at_ms: facts.at_ms,
        };
        let recipient = one.user.as_deref().unwrap_or(&one.address);
        push(
            "mail",
            recipient,
            &one.address,
            one.under.join(", "),
            &content,
            None,
        );
    }
    for Call { name, url, under } in &told.webhooks {
        let event = under.join(", ");
        let (body, name_told) = match Chat::of_address(url) {
            Some(chat) => (chat.body(&letter), None),
            None => (webhook(facts, &event), Some(name.clone())),
        };
        let content = Content::Webhook {
            name: name_told,
            body: None,
        };
        let shown = if name.is_empty() {
            shown_address(url)
        } else {
            name.clone()
        };
        push("webhook", &shown, url, event, &content, Some(body.to_string()));
    }
    messages
}

/// Who was told and who was not, without addresses: whoever may see the plan may read it. `seen` is what users must be
/// able to see.
fn summary(subject: &str, told: &Audience, can_mail: bool, seen: &str) -> String {
    let users: Vec<&str> = told
        .letters
        .iter()
        .filter_map(|one| one.user.as_deref())
        .collect();
    let addresses = told.letters.len() - users.len();
    let mut by_mail = users.join(", ");
    if addresses > 0 {
        let plural = if addresses == 1 { "address" } else { "addresses" };
        let and = if by_mail.is_empty() { "" } else { " and " };
        by_mail.push_str(&format!("{and}{addresses} {plural} of the plan"));
    }
    let hooks: Vec<String> = told
        .webhooks
        .iter()
        .map(|Call { name, url, .. }| {
            if name.is_empty() {
                shown_address(url)
            } else {
                name.clone()
            }
        })
        .collect();
    let mut parts = Vec::new();
    if !by_mail.is_empty() {
        parts.push(if can_mail {
            format!("told by mail: {by_mail}")
        } else {
            format!("not told by mail: {by_mail} ({NO_MAIL_SERVER})")
        });
    }
    if !hooks.is_empty() {
        parts.push(format!("told by webhook: {}", hooks.join(", ")));
    }
    for one in &told.left_out {
        let who = madake_domain::text::inert(&one.who, 100);
        let why = match one.why {
            Unheard::MayNotRead => &format!("the user may not see the {seen}"),
            other => other.sentence(),
        };
        parts.push(format!("not told: {who}, because {why}"));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("{subject}: {}", parts.join("; "))
}
