//! Jenkins: a push starts a job, with token, crumb and parameters (push-payloads.md C.3; Jenkins "Remote access API").

use std::fmt::Write as _;

use super::{Service, context_of, render_named};
use crate::address::{Address, encode, with_query};
use crate::answer::{Answer, Verdict};
use crate::call::{Action, Call, Dialogue, Exchange, HttpCall, Method, Step};
use crate::catalogue::{BrokerType, Field, FieldKind, Takes};
use crate::event::{BrokerEvent, Change};
use crate::refs::Targets;
use crate::secret::Secret;
use crate::settings::{Allowed, Reader};
use crate::template::{Escape, Template, TemplateError};

pub(crate) static TYPE: BrokerType = BrokerType {
    key: "jenkins",
    title: "Jenkins",
    aliases: &["hudson"],
    description: "Starts jobs of a Jenkins server when somebody pushes.",
    fields: &[
        Field::new("endpoint", FieldKind::Url, "The address of the server, a name and API token may stand before the host: `https://user:token@jenkins.example`.")
            .required()
            .alias(&["url", "jenkins_url"]),
        Field::new("project_name", FieldKind::List, "Jobs, each for any branch or for one: `main:deploy, folder/tests`.")
            .required()
            .alias(&["project", "job"]),
        Field::new("module_name", FieldKind::Text, "Only commits that touch this path start the job: `src/server`.").alias(&["module"]),
        Field::new("username", FieldKind::Text, "A user who may build the job.").alias(&["user"]),
        Field::new("api_token", FieldKind::Secret, "The API token of that user.").alias(&["password"]),
        Field::new("token", FieldKind::Secret, "The token of \"Trigger builds remotely\" in the job."),
        Field::new("csrf_enabled", FieldKind::Bool, "Ask for a crumb first. Needed where a password stands instead of an API token.")
            .default("false"),
        Field::new("parameters", FieldKind::NamedTemplates, "Parameters of the job, one a line: `BRANCH={{ change.name }}`, `COMMIT={{ change.revision }}`. With parameters, each pushed ref starts the job."),
    ],
    takes: Takes::PushesAndBuilds,
    tags_too: false,
    read,
};

#[derive(Debug)]
struct Jenkins {
    base: Address,
    login: Login,
    jobs: Targets,
    module: Option<String>,
    token: Secret,
    crumb: bool,
    parameters: Vec<(String, Template)>,
}

/// Who calls.
#[derive(Debug, Clone)]
struct Login {
    user: String,
    password: Secret,
}

impl Login {
    fn on(&self, request: HttpCall) -> HttpCall {
        if self.user.is_empty() {
            request
        } else {
            request.basic(&self.user, &self.password)
        }
    }
}

fn read(reader: &mut Reader<'_>, _: &Allowed) -> Box<dyn Service> {
    let base = reader.address("endpoint");
    let mut login = Login {
        user: reader.text("username"),
        password: reader.secret("api_token"),
    };
    if let Some((user, password)) = base.credentials().filter(|_| login.user.is_empty()) {
        login = Login {
            user: user.to_owned(),
            password: password.clone(),
        };
    }
    if login.user.is_empty() && !login.password.is_empty() {
        reader.problem("api_token", "needs a user; write `username` too".to_owned());
    }
    let jobs = reader.targets("project_name");
    if jobs
        .names()
        .any(|job| job.split('/').any(|part| matches!(part, "" | "." | "..")))
    {
        reader.problem(
            "project_name",
            "has an empty part, `.` or `..`; write `folder/job`".to_owned(),
        );
    }
    Box::new(Jenkins {
        base,
        login,
        jobs,
        module: reader
            .optional("module_name")
            .map(|path| path.trim_matches('/').to_owned())
            .filter(|path| !path.is_empty()),
        token: reader.secret("token"),
        crumb: reader.flag("csrf_enabled"),
        parameters: reader.named_templates("parameters", '=', Escape::Plain),
    })
}

impl Jenkins {
    /// Whether a change touches the module. A change whose files are not known touches everything.
    fn concerns(&self, change: &Change<'_>) -> bool {
        let (Some(module), Some(moved)) = (&self.module, change.moved) else {
            return true;
        };
        let below = |path: &str| {
            path.strip_prefix(module.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        moved.commits_truncated
            || moved
                .commits
                .iter()
                .any(|commit| commit.files_truncated || commit.files.iter().any(|file| below(&file.path)))
    }

    fn request(
        &self,
        event: &BrokerEvent,
        job: &str,
        change: &Change<'_>,
    ) -> Result<HttpCall, TemplateError> {
        let mut path = String::new();
        for part in job.split('/') {
            let _ = write!(path, "/job/{}", encode(part));
        }
        path.push_str(if self.parameters.is_empty() {
            "/build"
        } else {
            "/buildWithParameters"
        });
        let cause = event.cause(change);
        let mut query = Vec::new();
        if !self.token.is_empty() {
            query.push(("token", self.token.reveal()));
        }
        query.push(("cause", cause.as_str()));
        let parameters = render_named(&self.parameters, &context_of(event, change))?;
        let request = HttpCall::post(with_query(&self.base.join(&path), &query))
            .secret(&self.token)
            .form(
                parameters
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            );
        Ok(self.login.on(request))
    }
}

impl Service for Jenkins {
    fn calls(&self, event: &BrokerEvent) -> Result<Vec<Call>, TemplateError> {
        let changes: Vec<_> = event
            .changes()
            .into_iter()
            .filter(|change| self.concerns(change))
            .collect();
        let each = !self.parameters.is_empty();
        let wanted = if each {
            self.jobs.of(&changes)
        } else {
            self.jobs.once(&changes)
        };
        let call = |(job, change): (&str, Change<'_>)| {
            let request = self.request(event, job, &change)?;
            let exchange = if self.crumb {
                let ask = HttpCall::new(Method::Get, self.base.join("/crumbIssuer/api/json"))
                    .header("Accept", "application/json");
                Exchange::new(WithCrumb {
                    ask: self.login.on(ask),
                    request,
                })
            } else {
                Exchange::once(request, judge)
            };
            Ok(Call {
                key: if each {
                    format!("{job} {}", change.full_name)
                } else {
                    job.to_owned()
                },
                title: format!("build {job} at {}", self.base.origin()),
                action: Action::Http(exchange),
            })
        };
        wanted.into_iter().map(call).collect()
    }

    fn why_none(&self) -> &'static str {
        "no job of `project_name` is for a branch of this push, or no commit touches `module_name`"
    }
}

/// First the crumb, then the build with it. A crumb belongs to a session, so its cookies go along.
struct WithCrumb {
    ask: HttpCall,
    request: HttpCall,
}

impl Dialogue for WithCrumb {
    fn next(&self, answers: &[Answer]) -> Step {
        match answers {
            [] => Step::Send(self.ask.clone()),
            // Without protection there is no issuer of crumbs, and none is needed.
            [first] if first.status == 404 => Step::Send(self.request.clone()),
            [first] => {
                let crumb = first.json();
                let token =
                    |text: &&str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && c != ':');
                let name = crumb["crumbRequestField"].as_str().filter(token);
                match (first.judged("Jenkins", REMEDIES), name, crumb["crumb"].as_str()) {
                    (Verdict::Ok(_), Some(name), Some(value)) => {
                        let cookies: Vec<_> = first
                            .headers
                            .iter()
                            .filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"))
                            .filter_map(|(_, value)| value.split(';').next())
                            .map(str::trim)
                            .collect();
                        let request = self
                            .request
                            .clone()
                            .secret(&Secret::new(value))
                            .header(name, value);
                        Step::Send(if cookies.is_empty() {
                            request
                        } else {
                            let cookies = cookies.join("; ");
                            request.secret(&Secret::new(&cookies)).header("Cookie", &cookies)
                        })
                    }
                    (Verdict::Ok(_), _, _) => Step::End(Verdict::Refused(
                        "the address answers, but not with a crumb as Jenkins does; check `endpoint`"
                            .to_owned(),
                    )),
                    (verdict, _, _) => Step::End(verdict),
                }
            }
            [_, second, ..] => Step::End(judge(second)),
        }
    }
}

const REMEDIES: &[(u16, &str)] = &[
    (
        400,
        "the job has parameters and got none, or the other way round: check `parameters`",
    ),
    (
        401,
        "check user and API token in `endpoint`, or `username` and `api_token`",
    ),
    (
        403,
        "set `csrf_enabled`, or check `token` and whether the user may build the job",
    ),
    (
        404,
        "check `endpoint` and `project_name`; jobs in folders are written `folder/job`, and the user must see the job",
    ),
    (405, "check `endpoint`: the address answers, but takes no builds"),
    (409, "the job is disabled; enable it in Jenkins"),
];

fn judge(answer: &Answer) -> Verdict {
    // Older versions answer a taken build with a redirect to the job.
    if matches!(answer.status, 302 | 303)
        && answer
            .header("location")
            .is_some_and(|to| to.contains("/job/") || to.contains("/queue/"))
    {
        return Verdict::Ok(None);
    }
    match answer.judged("Jenkins", REMEDIES) {
        Verdict::Ok(_) => {
            let queued = answer.header("location").filter(|to| to.contains("/queue/item/"));
            Verdict::Ok(queued.map(|to| format!("queued as {}", madake_formats::text::line(to, 200))))
        }
        other => other,
    }
}
