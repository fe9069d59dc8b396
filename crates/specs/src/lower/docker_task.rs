//! The task that builds, runs, pushes and pulls images (bamboo-specs.md 4.5).

use madake_domain::plan::{
    DockerBuild, DockerPull, DockerPush, DockerRun, DockerTask, DockerTaskAction, Dockerfile, Registry,
    RegistryLogin, SecretText,
};

use super::Context;
use super::any_task::Settings;
use super::fields::any_of;
use crate::report::{Finding, nearest, shown};

const OPTIONS: [&str; 4] = ["build", "run", "push", "pull"];

pub(super) fn docker(cx: &mut Context<'_>, settings: &mut Settings) -> Option<DockerTask> {
    let option = settings.need(cx, "commandOption")?;
    let action = match option.trim().to_ascii_lowercase().as_str() {
        "build" => DockerTaskAction::Build(build(cx, settings)?),
        "run" => DockerTaskAction::Run(run(cx, settings)?),
        "push" => DockerTaskAction::Push(DockerPush {
            image: settings
                .need(cx, "pushRepository")
                .or_else(|| settings.take("repository"))?,
            registry: registry(&settings.text("registryOption")),
            login: login(settings, "pushSharedCredentialsId", "username", "password"),
        }),
        "pull" => DockerTaskAction::Pull(DockerPull {
            image: settings.need(cx, "pullRepository")?,
            registry: registry(&settings.text("pullRegistryOption")),
            login: login(
                settings,
                "pullSharedCredentialsId",
                "pullUsername",
                "pullPassword",
            ),
        }),
        _ => {
            let message = format!("there is no `commandOption` `{}`", shown(&option));
            cx.add(
                Finding::error("unknown-value", settings.place, message)
                    .expected(any_of(&OPTIONS))
                    .suggestion(nearest(&option, OPTIONS)),
            );
            return None;
        }
    };
    Some(DockerTask {
        action,
        environment: settings.text("environmentVariables"),
        working_directory: settings.text("workingSubDirectory"),
    })
}

fn build(cx: &mut Context<'_>, settings: &mut Settings) -> Option<DockerBuild> {
    let inline = settings.text("dockerfileOption").eq_ignore_ascii_case("inline");
    let dockerfile = settings.text("dockerfile");
    let save = settings.flag("save");
    let filename = settings.take("filename").filter(|name| !name.is_empty());
    Some(DockerBuild {
        image: settings.need(cx, "repository")?,
        dockerfile: if inline {
            Dockerfile::Inline(dockerfile)
        } else {
            Dockerfile::Existing
        },
        no_cache: settings.flag("nocache"),
        save_to: filename.filter(|_| save),
        options: settings.text("buildOptions"),
    })
}

fn run(cx: &mut Context<'_>, settings: &mut Settings) -> Option<DockerRun> {
    Some(DockerRun {
        image: settings.need(cx, "image")?,
        name: settings.text("name"),
        detach: settings.flag("detach"),
        link: settings.flag("link"),
        command: settings.text("command"),
        container_directory: settings.text("workDir"),
        variables: settings.text("envVars"),
        arguments: settings.text("additionalArgs"),
        ports: settings.pairs("hostPort", "containerPort"),
        volumes: settings.pairs("hostDirectory", "containerDataVolume"),
        wait_for_service: settings.flag("serviceWait"),
        service_url: settings.text("serviceUrlPattern"),
        service_timeout_seconds: settings
            .take("serviceTimeout")
            .and_then(|text| text.trim().parse().ok()),
    })
}

fn registry(option: &str) -> Registry {
    if option.eq_ignore_ascii_case("custom") {
        Registry::Custom
    } else {
        Registry::Hub
    }
}

fn login(settings: &mut Settings, shared: &str, username: &str, password: &str) -> RegistryLogin {
    let shared = settings.take(shared).filter(|id| !id.is_empty());
    let username = settings.take(username).filter(|name| !name.is_empty());
    let password = settings.text(password);
    match (shared, username) {
        (Some(id), _) => RegistryLogin::Shared { id },
        (None, Some(username)) => RegistryLogin::Password {
            username,
            password: SecretText::new(password),
        },
        (None, None) => RegistryLogin::Agent,
    }
}
