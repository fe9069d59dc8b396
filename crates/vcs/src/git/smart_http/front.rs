//! The two questions before a clone or a fetch, answered without starting git: what the server can do, and where the
//! refs are (gitprotocol-v2, `ls-refs`).
//!
//! Only where storage and configuration are fully understood; wherever they are not, git itself is asked, so that the
//! answer is the same. A branch whose commit is missing is listed here, where git would pass it over.

mod configuration;
mod loose;
mod question;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::configuration::Understood;
use self::loose::{Files, Found};
pub use self::question::Question;
use super::{ServeError, Service, advertise, pkt_line};
use crate::git::read::{GitReader, ObjectKind, ReadError};
use crate::name::ObjectId;

/// How long what git says about itself is believed: git may be upgraded.
const BELIEVED: Duration = Duration::from_secs(60);
/// How many such texts are kept; repositories of the same configuration share one.
const MOST_TEXTS: usize = 64;
/// How many objects are remembered with what they peel to.
const MOST_PEELED: usize = 100_000;

/// The text of the configuration, and the client's protocol.
type Asked = (String, String);
/// What git said, and when.
type Told = (Vec<u8>, Instant);

/// Answers for git where it can.
#[derive(Debug)]
pub struct Front {
    reader: GitReader,
    advertised: Mutex<HashMap<Asked, Told>>,
    /// An object never changes, and neither does what it peels to.
    peeled: Mutex<HashMap<ObjectId, Option<ObjectId>>>,
}

impl Front {
    /// A front that reads objects by `reader`.
    #[must_use]
    pub fn new(reader: GitReader) -> Self {
        Self {
            reader,
            advertised: Mutex::default(),
            peeled: Mutex::default(),
        }
    }

    /// As [`advertise`], from memory where the answer holds no refs: for clones and fetches by version 2.
    ///
    /// # Errors
    /// Git's failure.
    pub async fn advertise(
        &self,
        git_directory: &Path,
        service: Service,
        git_protocol: Option<&str>,
    ) -> Result<Vec<u8>, ServeError> {
        let git = self.reader.git();
        let version_2 = git_protocol.filter(|text| text.split(':').any(|word| word == "version=2"));
        let (Service::UploadPack, Some(version)) = (service, version_2) else {
            return advertise(git, git_directory, service, git_protocol).await;
        };
        let Some(text) = Understood::text(git_directory) else {
            return advertise(git, git_directory, service, git_protocol).await;
        };
        let key = (text, version.to_owned());
        let kept = || self.advertised.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((body, since)) = kept().get(&key)
            && since.elapsed() < BELIEVED
        {
            return Ok(body.clone());
        }
        let body = advertise(git, git_directory, service, git_protocol).await?;
        if body.get(4..13) == Some(b"version 2") {
            let mut kept = kept();
            if kept.len() >= MOST_TEXTS {
                kept.clear();
            }
            kept.insert(key, (body.clone(), Instant::now()));
        }
        Ok(body)
    }

    /// The answer to a question after refs; `None` where git has to be asked.
    pub async fn list(&self, git_directory: &Path, question: Question) -> Option<Vec<u8>> {
        let folder: PathBuf = git_directory.to_owned();
        let asked = question.clone();
        let read = tokio::task::spawn_blocking(move || {
            let understood = Understood::read(&folder)?;
            let mut files = Files::read(&folder, &asked)?;
            files
                .refs
                .retain(|name, _| asked.wants(name) && !understood.hides(name));
            Some(files)
        });
        let files = read.await.ok()??;
        let mut answer = Vec::with_capacity(files.refs.len() * 80 + 100);
        let mut line = |text: String| answer.extend_from_slice(&pkt_line::packet(text.as_bytes()));
        if question.wants("HEAD") {
            let target = match &files.head_target {
                Some(target) if question.symrefs => format!(" symref-target:{target}"),
                _ => String::new(),
            };
            let id = &files.head;
            let peeled = self.shown_peeled(git_directory, &question, "HEAD", id, None);
            let peeled = peeled.await.ok()?;
            line(format!("{id} HEAD{target}{peeled}\n"));
        }
        for (name, found) in &files.refs {
            let Found { id, peeled } = found;
            let peeled = self.shown_peeled(git_directory, &question, name, id, *peeled);
            let peeled = peeled.await.ok()?;
            line(format!("{id} {name}{peeled}\n"));
        }
        answer.extend_from_slice(pkt_line::FLUSH);
        Some(answer)
    }

    async fn shown_peeled(
        &self,
        git_directory: &Path,
        question: &Question,
        name: &str,
        id: &ObjectId,
        known: Option<Option<ObjectId>>,
    ) -> Result<String, ReadError> {
        // Branches hold commits, which peel to nothing else; git lets nothing else be put there.
        if !question.peel || name.starts_with("refs/heads/") {
            return Ok(String::new());
        }
        let peeled = match known {
            Some(peeled) => peeled,
            None => self.peel(git_directory, id).await?,
        };
        Ok(peeled.map_or_else(String::new, |peeled| format!(" peeled:{peeled}")))
    }

    async fn peel(&self, git_directory: &Path, id: &ObjectId) -> Result<Option<ObjectId>, ReadError> {
        let kept = || self.peeled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(peeled) = kept().get(id) {
            return Ok(*peeled);
        }
        let missing = || ReadError::Missing {
            object: id.to_string(),
        };
        let info = self.reader.object(git_directory, id).await?.ok_or_else(missing)?;
        let peeled = match info.kind {
            ObjectKind::Tag => Some(self.reader.peel(git_directory, id).await?.ok_or_else(missing)?),
            _ => None,
        };
        let mut kept = kept();
        if kept.len() >= MOST_PEELED {
            kept.clear();
        }
        kept.insert(*id, peeled);
        Ok(peeled)
    }
}
