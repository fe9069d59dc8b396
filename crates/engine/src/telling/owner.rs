//! Tells the person who made a receiver that it fails, before and after it is switched off; by mail where there is a
//! mail server, and in the log.

use madake_domain::delivery::{Effect, Notice};
use madake_outgoing::mail::Mail;
use madake_store::receiver::Receiver;
use madake_store::{repository, user};

use crate::{Engine, EngineError, clock};

/// Carries out what follows from an answer, once it is stored. A notice that cannot be mailed is in the log.
pub(super) async fn tell(engine: &Engine, receiver: &Receiver, effects: &[Effect]) {
    for effect in effects {
        let Effect::TellOwner(notice) = effect else {
            continue;
        };
        note(receiver, notice);
        if let Err(error) = mail(engine, receiver, notice).await {
            tracing::warn!(
                receiver = receiver.id,
                "the owner of receiver {} could not be told by mail: {error}",
                receiver.id
            );
        }
    }
}

fn who(receiver: &Receiver) -> String {
    format!(
        "receiver {} ({}), made by {}",
        receiver.id, receiver.name, receiver.made_by
    )
}

fn note(receiver: &Receiver, notice: &Notice) {
    let who = who(receiver);
    match notice {
        Notice::Warning { .. } => tracing::warn!(
            receiver = receiver.id,
            "{who}, has failed for a day: it will be switched off in four days unless it answers"
        ),
        Notice::Disabled(reason) => tracing::warn!(
            receiver = receiver.id,
            "{who}, is switched off: {reason}; switch it on with `madake receiver enable {}`",
            receiver.id
        ),
        Notice::Recovered { .. } => {
            tracing::info!(receiver = receiver.id, "{who}, answers again");
        }
    }
}

async fn mail(engine: &Engine, receiver: &Receiver, notice: &Notice) -> Result<(), EngineError> {
    let Some(mailer) = engine.mailer() else {
        return Ok(());
    };
    let (name, repository_id) = (receiver.made_by.clone(), receiver.repository_id);
    let (owner, found) = engine
        .store()
        .read(move |tx| {
            Ok::<_, EngineError>((user::by_name(tx, &name)?, repository::by_id(tx, repository_id)?))
        })
        .await?;
    let Some(address) = owner
        .map(|owner| owner.email)
        .filter(|address| !address.is_empty())
    else {
        return Ok(());
    };
    let repository = found.map_or_else(|| "a repository that is gone".to_owned(), |found| found.name);
    let (subject, text) = letter(receiver, &repository, &engine.settings().base_url, notice);
    let now = clock::now_ms();
    mailer
        .send(&Mail {
            to: vec![address],
            subject,
            text,
            message_id: Some(engine.message_id(&format!("receiver-{}-{now}", receiver.id))),
            date_ms: now,
            ..Mail::default()
        })
        .await
        .map_err(|error| EngineError::Unavailable(error.to_string()))
}

/// Subject and text.
fn letter(receiver: &Receiver, repository: &str, server: &str, notice: &Notice) -> (String, String) {
    let id = receiver.id;
    let to = if receiver.url.is_empty() {
        receiver.profile.clone()
    } else {
        format!("{} at {}", receiver.profile, receiver.url)
    };
    let subject = |what: &str| format!("Receiver {id} of {repository} {what}");
    let about = format!("It is receiver {id} of {repository} ({to}) on {server}, which you made.\n");
    let moment = |at_ms: i64| {
        jiff::Timestamp::from_millisecond(at_ms).map_or_else(|_| String::new(), |at| at.to_string())
    };
    match notice {
        Notice::Warning {
            failing_since_ms,
            disabled_at_ms,
        } => (
            subject("fails"),
            format!(
                "Nothing could be delivered to a receiver of yours since {}. If that stays so, it is switched off at {}.\n\n\
                 {about}\nWhat was sent and answered:  madake receiver deliveries {id}\n\
                 To try it:                  madake receiver test {id}\n",
                moment(*failing_since_ms),
                moment(*disabled_at_ms),
            ),
        ),
        Notice::Disabled(reason) => (
            subject("is switched off"),
            format!(
                "A receiver of yours is told nothing any more: {reason}.\n\n{about}\n\
                 To switch it on again:      madake receiver enable {id}\n\
                 To send what it missed:     madake receiver redeliver {id} --hours 120\n"
            ),
        ),
        Notice::Recovered { failing_since_ms } => (
            subject("answers again"),
            format!(
                "A receiver of yours that had failed since {} answers again; what waited for it is being sent.\n\n{about}",
                moment(*failing_since_ms)
            ),
        ),
    }
}
