//! The task that builds, runs, pushes and pulls images (bamboo-specs.md 4.5).

use madake_domain::plan::{
    DockerBuild, DockerPull, DockerPush, DockerRun, DockerTask, DockerTaskAction, Dockerfile, Registry,
    RegistryLogin, SecretText,
};

use super::Context;
use super::fields::any_of;
use super::settings::Settings;
use crate::language::task::FAILS;
use crate::report::{Finding, nearest, shown};

const OPTIONS: [&str; 4] = ["build", "run", "push", "pull"];

pub(super) fn docker(cx: &mut Context<'_>, settings: &mut Settings) -> Option<DockerTask> {
    let option = settings.need_placed(cx, "commandOption")?;
    let action = match option.value.trim().to_ascii_lowercase().as_str() {
        "build" => DockerTaskAction::Build(build(cx, settings)?),
        "run" => DockerTaskAction::Run(run(cx, settings)?),
        "push" => DockerTaskAction::Push(DockerPush {
            image: match settings.take("repository").filter(|name| !name.trim().is_empty()) {
                Some(name) => settings.take("pushRepository").unwrap_or(name),
                None => settings.need(cx, "pushRepository")?,
            },
            registry: registry(&settings.text("registryOption")),
            login: login(cx, settings, "pushSharedCredentialsId", "username", "password"),
        }),
        "pull" => DockerTaskAction::Pull(DockerPull {
            image: settings.need(cx, "pullRepository")?,
            registry: registry(&settings.text("pullRegistryOption")),
            login: login(
                cx,
                settings,
                "pullSharedCredentialsId",
                "pullUsername",
                "pullPassword",
            ),
        }),
        _ => {
            let message = format!("there is no `commandOption` `{}`", shown(&option.value));
            cx.add(
                Finding::error("unknown-value", option.span, message)
                    .expected(any_of(&OPTIONS))
                    .suggestion(nearest(&option.value, OPTIONS)),
            );
            return None;
        }
    };
    Some(DockerTask {
        action,
        environment: settings.text("environmentVariables"),
        working_directory: settings.path(cx, "workingSubDirectory"),
    })
}

fn build(cx: &mut Context<'_>, settings: &mut Settings) -> Option<DockerBuild> {
    let inline = settings.text("dockerfileOption").eq_ignore_ascii_case("inline");
    let dockerfile = settings.text("dockerfile");
    let save = settings.flag(cx, "save");
    let filename = settings.take("filename").filter(|name| !name.is_empty());
    Some(DockerBuild {
        image: settings.need(cx, "repository")?,
        dockerfile: if inline {
            Dockerfile::Inline(dockerfile)
        } else {
            Dockerfile::Existing
        },
        no_cache: settings.flag(cx, "nocache"),
        save_to: filename.filter(|_| save),
        options: settings.text("buildOptions"),
    })
}

fn run(cx: &mut Context<'_>, settings: &mut Settings) -> Option<DockerRun> {
    Some(DockerRun {
        image: settings.need(cx, "image")?,
        name: settings.text("name"),
        detach: settings.flag(cx, "detach"),
        link: settings.flag(cx, "link"),
        command: settings.text("command"),
        container_directory: settings.text("workDir"),
        variables: settings.text("envVars"),
        arguments: settings.text("additionalArgs"),
        ports: settings.pairs("hostPort", "containerPort"),
        volumes: settings.pairs("hostDirectory", "containerDataVolume"),
        wait_for_service: service_wait(cx, settings),
        service_url: settings.text("serviceUrlPattern"),
        service_timeout_seconds: settings.number(cx, "serviceTimeout"),
    })
}

/// `serviceWait`, which is read only.
fn service_wait(cx: &mut Context<'_>, settings: &mut Settings) -> bool {
    let place = settings.key_span("serviceWait");
    let wait = settings.flag(cx, "serviceWait");
    if let Some(place) = place.filter(|_| wait) {
        cx.not_run(place, "`serviceWait`", FAILS);
    }
    wait
}

fn registry(option: &str) -> Registry {
    if option.eq_ignore_ascii_case("custom") {
        Registry::Custom
    } else {
        Registry::Hub
    }
}

fn login(
    cx: &mut Context<'_>,
    settings: &mut Settings,
    shared: &str,
    username: &str,
    password: &str,
) -> RegistryLogin {
    let shared = settings
        .take_placed(shared)
        .filter(|setting| !setting.value.is_empty());
    let username = settings.take(username).filter(|name| !name.is_empty());
    let password = settings.text(password);
    match (shared, username) {
        (Some(id), _) => {
            // Bamboo writes the number that the credential has there: one of that name can be made here.
            cx.credential(id.span, &id.value);
            RegistryLogin::Shared { id: id.value }
        }
        (None, Some(username)) => RegistryLogin::Password {
            username,
            password: SecretText::new(password),
        },
        (None, None) => RegistryLogin::Agent,
    }
}
