//! Tasks that write to repositories: tag, branch, commit, push (bamboo-specs.md 4.4).
//!
//! What touches the job's checkout runs where its scripts run. What pushes runs here, with a right that the job itself
//! never sees, and takes nothing of the checkout but the commits, in a bundle.
//!
//! Tags and branches are made where the checkout is, as in Bamboo: at what was built, or at what the job committed since.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use madake_domain::plan::{VcsBranchTask, VcsCommitTask, VcsPushTask, VcsTagTask};
use madake_domain::repository::Scm;
use madake_domain::text::inert;
use madake_protocol::{AnnouncedPush, JobRepository, PushRight, Secret};
use madake_vcs::announce::{Announce, Announcement};
use madake_vcs::git;
use madake_vcs::hg;
use madake_vcs::name::{BranchName, ObjectId, RefName};
use madake_vcs::process::{GitProgram, HgProgram};
use madake_vcs::url::{Credential, RepositoryUrl, UrlPolicy};

use super::program::{GIT, HG, ProgramError, ProgramLine, find};
use super::{Job, TaskEnd, working_copy};
use crate::artifact::open_file;
use crate::job_directory::JobDirectory;
use crate::supervisor::checkout;
use crate::supervisor::confine;
use crate::supervisor::interruption::{Lookout, heard_while};

/// The longest time that one run of git or hg may take.
const LONGEST_PUSH: Duration = Duration::from_secs(1800);

/// Who makes the commits of jobs.
const AUTHOR: (&str, &str) = ("Madake", "madake@localhost");

/// Commits all that changed in a checkout of Git; the message is its argument.
const GIT_COMMIT: &str = "git add --all . && if git diff --cached --quiet; then echo 'There is nothing to commit'; else \
                          git commit --quiet --message=\"$1\" && git log -1 --format='Committed %H'; fi";

/// The same in Mercurial; the author is the second argument.
const HG_COMMIT: &str = "hg --quiet addremove && if [ -z \"$(hg status --modified --added --removed)\" ]; then echo \
                         'There is nothing to commit'; else hg commit --message=\"$1\" --user=\"$2\" && hg log --rev . \
                         --template 'Committed {node}\\n'; fi";

/// Writes the commits since the revision `$1` into the bundle `$2`; none where there are none.
const GIT_BUNDLE: &str =
    "if [ -n \"$(git rev-list -n 1 HEAD \"^$1\")\" ]; then git bundle create --quiet \"$2\" HEAD \"^$1\"; fi";

/// The same in Mercurial.
const HG_BUNDLE: &str = "if [ \"$(hg log --rev . --template '{node}')\" != \"$1\" ]; then hg --quiet bundle --base \"$1\" \
                         --rev . \"$2\"; fi";

/// A repository of the plan that a task writes to.
struct Target {
    repository: JobRepository,
    revision: ObjectId,
}

/// What is pushed.
enum What {
    Tag(String),
    Branch(String),
    Commits,
}

/// Which commit is pushed, tagged or begun at.
struct Commit {
    id: ObjectId,
    /// It, and others that the job made, where the repository may not have them.
    bundle: Option<PathBuf>,
}

/// A process in a checkout.
struct InCheckout {
    line: ProgramLine<'static>,
    folder: PathBuf,
    /// What it does, for the log.
    told: &'static str,
}

impl Job<'_> {
    pub(super) fn push_tag(&mut self, task: &VcsTagTask, lookout: &Lookout<'_>) -> TaskEnd {
        let name = self.environment.substituted(&task.tag);
        let of = (task.repository.as_deref(), &*task.working_directory);
        self.push_name(of, What::Tag(name), lookout)
    }

    pub(super) fn push_branch(&mut self, task: &VcsBranchTask, lookout: &Lookout<'_>) -> TaskEnd {
        let name = self.environment.substituted(&task.branch);
        let of = (task.repository.as_deref(), &*task.working_directory);
        self.push_name(of, What::Branch(name), lookout)
    }

    /// Makes a tag or a branch of a repository where its checkout is; without one, at the revision that is built.
    fn push_name(&mut self, of: (Option<&str>, &str), what: What, lookout: &Lookout<'_>) -> TaskEnd {
        let (repository, folder) = of;
        let named = match &what {
            What::Tag(name) => self.keeps_no_secret("the name of the tag", name),
            What::Branch(name) => self.keeps_no_secret("the name of the branch", name),
            What::Commits => Ok(()),
        };
        if let Err(refused) = named {
            return refused;
        }
        let target = match self.target(repository) {
            Ok(target) => target,
            Err(error) => return TaskEnd::failed(error.to_string()),
        };
        let found = self
            .checkout_folder(&target, folder)
            .map(|found| found.and_then(|folder| working_copy::commit(&folder, target.repository.scm)));
        let id = match found {
            Ok(id) => id.unwrap_or(target.revision),
            Err(error) => return TaskEnd::failed(error.to_string()),
        };
        let bundle = if id == target.revision {
            None
        } else {
            match self.bundle(&target, folder, lookout) {
                Ok(bundle) => bundle,
                Err(end) => return end,
            }
        };
        let since = if id == target.revision {
            ""
        } else {
            ", where the checkout is now"
        };
        let sentence = match &what {
            What::Tag(name) => format!("The tag {name} is at {id} now{since}"),
            What::Branch(name) => format!("The branch {name} begins at {id}{since}"),
            What::Commits => format!("The commits up to {id} are pushed"),
        };
        let pushed = self.transfer(&target, what, Commit { id, bundle }, lookout);
        self.told(pushed.map(|()| sentence))
    }

    pub(super) fn commit(&mut self, task: &VcsCommitTask, lookout: &Lookout<'_>) -> TaskEnd {
        let message = self.environment.substituted(&task.message);
        if message.trim().is_empty() {
            return TaskEnd::failed("the message of the commit is empty".to_owned());
        }
        if let Err(refused) = self.keeps_no_secret("the message of the commit", &message) {
            return refused;
        }
        let line = self.target(task.repository.as_deref()).and_then(|target| {
            let text = match target.repository.scm {
                Scm::Git => GIT_COMMIT,
                Scm::Hg => HG_COMMIT,
            };
            let author = format!("{} <{}>", AUTHOR.0, AUTHOR.1);
            self.in_checkout(
                &target,
                &task.working_directory,
                (text, "Committing what changed"),
                [message, author],
            )
        });
        self.run_in_checkout(line, lookout)
    }

    pub(super) fn push_commits(&mut self, task: &VcsPushTask, lookout: &Lookout<'_>) -> TaskEnd {
        let target = match self.target(task.repository.as_deref()) {
            Ok(target) => target,
            Err(error) => return TaskEnd::failed(error.to_string()),
        };
        let bundle = match self.bundle(&target, &task.working_directory, lookout) {
            Ok(Some(bundle)) => bundle,
            Ok(None) => return self.told(Ok("There is nothing to push".to_owned())),
            Err(end) => return end,
        };
        let pushed = self
            .folder_to_work_in(&target, &task.working_directory)
            .and_then(|folder| {
                let id = working_copy::commit(&folder, target.repository.scm).unwrap_or(target.revision);
                let bundle = Some(bundle);
                self.transfer(&target, What::Commits, Commit { id, bundle }, lookout)
            });
        self.told(pushed.map(|()| {
            format!(
                "The commits are pushed to the branch {}",
                target.repository.branch
            )
        }))
    }

    /// What the job committed since the revision that is built, in a file out of its reach; `None`: nothing.
    fn bundle(
        &mut self,
        target: &Target,
        folder: &str,
        lookout: &Lookout<'_>,
    ) -> Result<Option<PathBuf>, TaskEnd> {
        self.pushes += 1;
        let name = format!("push-{}.bundle", self.pushes);
        let bundle = self.directory.tmp_path().join(&name);
        let text = match target.repository.scm {
            Scm::Git => GIT_BUNDLE,
            Scm::Hg => HG_BUNDLE,
        };
        let arguments = [target.revision.to_string(), bundle.to_string_lossy().into_owned()];
        let line = self.in_checkout(
            target,
            folder,
            (text, "Collecting the commits of this job"),
            arguments,
        );
        match self.run_in_checkout(line, lookout) {
            TaskEnd::Succeeded => {}
            other => return Err(other),
        }
        if bundle.symlink_metadata().is_err() {
            return Ok(None);
        }
        // What a job may swap under its name is not shown to git.
        let kept = self.directory.path().join(&name);
        open_file(&self.directory.tmp_path(), &name)
            .and_then(|mut file| io::copy(&mut file, &mut File::create_new(&kept)?))
            .map_err(|error| TaskEnd::failed(format!("the bundle of commits cannot be read: {error}")))?;
        Ok(Some(kept))
    }

    fn told(&self, done: Result<String, ProgramError>) -> TaskEnd {
        match done {
            Ok(sentence) => {
                self.tell(&sentence);
                TaskEnd::Succeeded
            }
            Err(error) => TaskEnd::failed(error.to_string()),
        }
    }

    fn target(&self, name: Option<&str>) -> Result<Target, ProgramError> {
        let found = checkout::find(name, self.order, &self.environment)
            .map_err(|error| ProgramError::Refused(error.to_string()))?;
        let revision = ObjectId::parse(&found.revision)
            .map_err(|error| ProgramError::Refused(format!("the revision is none: {error}")))?;
        Ok(Target {
            repository: found.clone(),
            revision,
        })
    }

    /// The checkout of a repository, by the folder that a task names or where the job made it; `None`: there is none.
    fn checkout_folder(&self, target: &Target, folder: &str) -> Result<Option<PathBuf>, ProgramError> {
        let folder = self.environment.substituted(folder);
        if folder.is_empty() {
            let mut made = self.checkouts.iter().rev();
            let found = made.find(|(name, _)| *name == target.repository.name);
            return Ok(found.map(|(_, folder)| folder.clone()));
        }
        confine::existing(&self.order.working_directory, &folder)
            .map(Some)
            .map_err(|source| ProgramError::Path {
                what: "working directory",
                source,
            })
    }

    /// The same; the job's working directory where there is no checkout.
    fn folder_to_work_in(&self, target: &Target, folder: &str) -> Result<PathBuf, ProgramError> {
        let found = self.checkout_folder(target, folder)?;
        Ok(found.unwrap_or_else(|| self.order.working_directory.clone()))
    }

    /// A shell in the checkout of a repository, with what it does; `arguments` are its arguments and never part of its
    /// text.
    fn in_checkout(
        &self,
        target: &Target,
        folder: &str,
        (text, told): (&'static str, &'static str),
        arguments: [String; 2],
    ) -> Result<InCheckout, ProgramError> {
        let folder = self.folder_to_work_in(target, folder)?;
        let kind = match target.repository.scm {
            Scm::Git => &GIT,
            Scm::Hg => &HG,
        };
        // The shell looks for the program along the PATH; this says where it is missing.
        find(kind, "", &self.environment)?;
        let author = [
            ("GIT_AUTHOR_NAME", AUTHOR.0),
            ("GIT_AUTHOR_EMAIL", AUTHOR.1),
            ("GIT_COMMITTER_NAME", AUTHOR.0),
            ("GIT_COMMITTER_EMAIL", AUTHOR.1),
            ("HGPLAIN", "1"),
        ];
        let line = ProgramLine {
            kind,
            program: "/bin/sh".to_owned(),
            arguments: ["-c", text, "sh"]
                .map(str::to_owned)
                .into_iter()
                .chain(arguments)
                .collect(),
            of_program: author.map(|(name, value)| (name.into(), value.into())).to_vec(),
            environment: "",
            working_directory: "",
        };
        Ok(InCheckout { line, folder, told })
    }

    fn run_in_checkout(
        &mut self,
        process: Result<InCheckout, ProgramError>,
        lookout: &Lookout<'_>,
    ) -> TaskEnd {
        let prepared = process.and_then(|InCheckout { line, folder, told }| {
            let what = line.kind.what;
            let mut prepared = self.prepare_line(line)?;
            prepared.directory = folder;
            prepared.told = Some(told.to_owned());
            Ok((what, prepared))
        });
        match prepared {
            Ok((what, prepared)) => self.run_prepared(&prepared, None, what, lookout),
            Err(error) => TaskEnd::failed(error.to_string()),
        }
    }

    /// Pushes on a thread of its own, so that a request to stop is heard meanwhile.
    fn transfer(
        &mut self,
        target: &Target,
        what: What,
        commit: Commit,
        lookout: &Lookout<'_>,
    ) -> Result<(), ProgramError> {
        self.pushes += 1;
        let scratch = self.directory.path().join(format!("push-{}", self.pushes));
        let bundle = commit.bundle.clone();
        let transfer = self.prepare_transfer(target, what, commit, scratch)?;
        let pushed = heard_while(lookout, move || transfer.run());
        if let Some(bundle) = bundle {
            // What cannot be removed goes with the job's directory.
            let _ = fs::remove_file(bundle);
        }
        let followed = pushed
            .map_err(|interruption| ProgramError::Refused(format!("the push was {}", interruption.reason())))?
            .map_err(ProgramError::Refused)?;
        for one in followed {
            self.tell(&one);
        }
        Ok(())
    }

    fn prepare_transfer(
        &self,
        target: &Target,
        what: What,
        commit: Commit,
        scratch: PathBuf,
    ) -> Result<Transfer, ProgramError> {
        let refused = |problem: String| ProgramError::Refused(problem);
        let name = &target.repository.name;
        let right = self
            .order
            .push_rights
            .iter()
            .find(|right| right.repository == *name)
            .ok_or_else(|| {
                refused(format!(
                    "this job may not push to the repository `{}`: {}",
                    inert(name, 100),
                    self.order.purpose.rule_of_pushes(self.order.untrusted)
                ))
            })?;
        let checked = |what: &str, name: &str, problem: String| {
            refused(format!(
                "`{}` cannot be the name of a {what}: {problem}",
                inert(name, 100)
            ))
        };
        let full_name = match &what {
            What::Tag(tag) => RefName::parse(&format!("refs/tags/{tag}"))
                .map_err(|error| checked("tag", tag, error.to_string()))?,
            What::Branch(branch) => RefName::parse(&format!("refs/heads/{branch}"))
                .map_err(|error| checked("branch", branch, error.to_string()))?,
            What::Commits => {
                let branch = &target.repository.branch;
                BranchName::parse(branch)
                    .and_then(|_| RefName::parse(&format!("refs/heads/{branch}")))
                    .map_err(|error| checked("branch", branch, error.to_string()))?
            }
        };
        Ok(Transfer {
            programs: Programs {
                git: self.order.git_program.clone(),
                hg: self.order.hg_program.clone(),
                hg_settings: self.order.hg_settings.clone(),
            },
            scm: target.repository.scm,
            source: target.repository.source.clone(),
            built: target.revision,
            commit,
            full_name,
            what,
            right: right.clone(),
            directory: self.directory.clone(),
            scratch,
        })
    }
}

struct Programs {
    git: PathBuf,
    hg: PathBuf,
    hg_settings: PathBuf,
}

/// A push that is ready to run.
struct Transfer {
    programs: Programs,
    scm: Scm,
    source: PathBuf,
    built: ObjectId,
    commit: Commit,
    full_name: RefName,
    what: What,
    right: PushRight,
    directory: JobDirectory,
    scratch: PathBuf,
}

impl Transfer {
    /// Pushes, and gives what the log says of it besides.
    fn run(&self) -> Result<Vec<String>, String> {
        // The server chose the address, and checked it when it was given.
        let policy = UrlPolicy {
            allow_local_paths: true,
            allow_private_hosts: true,
        };
        let url = RepositoryUrl::parse(&self.right.url, policy).map_err(|error| error.to_string())?;
        let password = self.right.password.as_ref().map_or("", Secret::reveal);
        let credential = if self.right.username.is_empty() {
            None
        } else {
            Some(Credential::new(&self.right.username, password).map_err(|error| error.to_string())?)
        };
        match self.scm {
            Scm::Git => self.run_git(&url, credential.as_ref()),
            Scm::Hg => self.run_hg(&url, credential.as_ref()),
        }
    }

    /// Tells the server what is about to be pushed, so that it knows the push whenever it finds it. What it goes onto, and
    /// this job did not push, is said in `followed`.
    fn announce(&self, one: &Announcement<'_>, followed: &RefCell<Vec<String>>) -> io::Result<()> {
        let line = |name: &RefName, revision: &ObjectId| AnnouncedPush {
            repository_id: self.right.repository_id,
            ref_name: name.to_string(),
            revision: revision.to_string(),
            onto: None,
            refused: false,
        };
        match one {
            Announcement::Push { name, revision, onto } => {
                let onto = onto.map(ToString::to_string);
                let of_others = |onto: &&String| !self.right.hosted && !self.has_pushed(name, onto);
                if let Some(onto) = onto.as_ref().filter(of_others) {
                    followed.borrow_mut().push(format!(
                        "{} moved to {onto} while this build ran, and what is pushed follows that: where nobody else tells of \
                         what came meanwhile, the push counts as a change, and the plan builds it",
                        name.short()
                    ));
                }
                self.directory.announce_push(&AnnouncedPush {
                    onto,
                    ..line(name, revision)
                })
            }
            Announcement::Refused { name, revision } => {
                followed.borrow_mut().clear();
                self.directory.announce_push(&AnnouncedPush {
                    refused: true,
                    ..line(name, revision)
                })
            }
        }
    }

    /// Whether this job put the ref there itself. What cannot be read is not known to be its own.
    fn has_pushed(&self, name: &RefName, revision: &str) -> bool {
        let pushes = self.directory.read_pushes().unwrap_or_default();
        pushes.iter().any(|push| {
            push.repository_id == self.right.repository_id
                && push.ref_name == name.as_str()
                && push.revision == revision
        })
    }

    fn run_git(&self, url: &RepositoryUrl, credential: Option<&Credential>) -> Result<Vec<String>, String> {
        let followed = RefCell::new(Vec::new());
        git::job_push::push(&git::job_push::JobPush {
            git: &GitProgram::new(&self.programs.git),
            source: &self.source,
            scratch: &self.scratch,
            what: match &self.commit.bundle {
                Some(bundle) => git::job_push::Pushed::Bundle(bundle),
                None => git::job_push::Pushed::Revision(&self.commit.id),
            },
            built: &self.built,
            target: &self.full_name,
            hosted: self.right.hosted,
            url,
            credential,
            announce: Announce::to(&|one| self.announce(one, &followed)),
            timeout: LONGEST_PUSH,
        })
        .map_err(|error| error.to_string())?;
        Ok(followed.into_inner())
    }

    fn run_hg(&self, url: &RepositoryUrl, credential: Option<&Credential>) -> Result<Vec<String>, String> {
        let followed = RefCell::new(Vec::new());
        let hg = HgProgram::new(&self.programs.hg, Path::new(&self.programs.hg_settings))
            .map_err(|error| error.to_string())?;
        hg::job_push::push(&hg::job_push::JobPush {
            hg: &hg,
            source: &self.source,
            scratch: &self.scratch,
            built: &self.built,
            revision: &self.commit.id,
            bundle: self.commit.bundle.as_deref(),
            what: match &self.what {
                What::Tag(name) => hg::job_push::Pushed::Tag(name),
                What::Branch(name) => hg::job_push::Pushed::Branch(name),
                What::Commits => hg::job_push::Pushed::Commits,
            },
            author: &format!("{} <{}>", AUTHOR.0, AUTHOR.1),
            hosted: self.right.hosted,
            url,
            credential,
            announce: Announce::to(&|one| self.announce(one, &followed)),
            timeout: LONGEST_PUSH,
        })
        .map_err(|error| error.to_string())?;
        Ok(followed.into_inner())
    }
}
