//! What the engine is asked to make for a job.

use std::path::{Path, PathBuf};

use madake_protocol::{ContainerOrder, ContainerPolicy};
use serde_json::{Map, Value, json};

use super::arguments::{ArgumentError, RunArguments};
use super::image::ImageName;

/// The label that has the folder of all jobs of a server.
pub(crate) const JOBS_LABEL: &str = "madake.jobs";

/// The label that has the name of the job's directory in that folder.
pub(crate) const JOB_LABEL: &str = "madake.job";

/// The first process: it reads what nobody writes, and does not mind the friendly signal of a stop.
const IDLE: &str = "trap '' TERM HUP INT; while read -r nothing; do :; done";

/// Why a container is not asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum RequestError {
    /// The image has no name.
    #[error("`{0}` is not the name of an image")]
    Image(String),
    /// An option cannot be used.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// An option gives the container more of the machine than other jobs have.
    #[error(
        "`docker-run-arguments` has {0}, which an administrator has to allow: set agent.container-privileges to \"true\""
    )]
    Privileges(String),
    /// A folder of the machine that jobs may not have.
    #[error(
        "the volume `{0}` is a folder of the machine that jobs may not mount; an administrator can add it to \
         agent.container-volumes"
    )]
    Volume(String),
    /// A network that the policy keeps jobs from.
    #[error(
        "`docker-run-arguments` asks for the network `{0}`, but agent.network keeps jobs from every network"
    )]
    Network(String),
}

/// A container for one attempt at a job.
#[derive(Debug)]
pub(crate) struct ContainerRequest {
    pub(crate) image: ImageName,
    /// Whether the processes run as the agent's own user, which the image need not know.
    pub(crate) is_mapped: bool,
    body: Map<String, Value>,
}

/// What a container is made for.
#[derive(Debug)]
pub(crate) struct ContainerPlace<'a> {
    pub(crate) working_directory: &'a Path,
    pub(crate) tmp_directory: &'a Path,
    /// Repositories that checkouts borrow history from.
    pub(crate) sources: Vec<&'a Path>,
    /// The job's directory.
    pub(crate) job_directory: &'a Path,
    /// User and group of the agent; `None`: the image's own user is used.
    pub(crate) user: Option<(u32, u32)>,
}

impl ContainerRequest {
    /// Reads the order and keeps it to the policy; `substituted` puts variables in.
    pub(crate) fn new(
        order: &ContainerOrder,
        place: &ContainerPlace<'_>,
        substituted: impl Fn(&str) -> String,
    ) -> Result<Self, RequestError> {
        let policy = &order.policy;
        let image = substituted(&order.image);
        let image = ImageName::parse(&image).ok_or(RequestError::Image(image))?;
        let arguments: Vec<String> = order.run_arguments.iter().map(|text| substituted(text)).collect();
        let arguments = RunArguments::parse(&arguments)?;
        let mut privileges = arguments.privileges();
        let user = user_of(arguments.user.as_deref(), place.user);
        if user.is_none() && arguments.user.is_some() {
            privileges.push("--user with another user than the agent's");
        }
        if !privileges.is_empty() && !policy.privileges {
            return Err(RequestError::Privileges(privileges.join(", ")));
        }
        let mut mounts = Vec::new();
        if order.default_volumes {
            for path in [place.working_directory, place.tmp_directory] {
                mounts.push(mount(&path.to_string_lossy(), &path.to_string_lossy(), false));
            }
            for path in &place.sources {
                mounts.push(mount(&path.to_string_lossy(), &path.to_string_lossy(), true));
            }
        }
        let own = order
            .volumes
            .iter()
            .map(|(source, target)| (source, target, false));
        let asked = arguments
            .volumes
            .iter()
            .map(|(source, target, ro)| (source, target, *ro));
        for (source, target, read_only) in own.chain(asked) {
            let (source, target) = (substituted(source), substituted(target));
            if order.default_volumes && Path::new(&source) == Path::new(&target) && is_of_job(&source, place)
            {
                continue;
            }
            let source = may_mount(order, &source, place)?;
            mounts.push(mount(&source, &target, read_only));
        }
        let mut labels: Map<String, Value> = arguments
            .labels
            .iter()
            .map(|(name, text)| (name.clone(), text.clone().into()))
            .collect();
        let jobs = place.job_directory.parent().unwrap_or(place.job_directory);
        labels.insert(JOBS_LABEL.into(), jobs.to_string_lossy().into());
        let name = place.job_directory.file_name().unwrap_or_default();
        labels.insert(JOB_LABEL.into(), name.to_string_lossy().into());
        let body = json!({
            "Image": image.as_str(),
            "Entrypoint": ["/bin/sh", "-c", IDLE],
            "Cmd": [],
            "OpenStdin": true,
            "User": user.as_ref().or(arguments.user.as_ref()),
            "Hostname": arguments.hostname,
            "Env": arguments.environment,
            "WorkingDir": place.working_directory,
            "Labels": labels,
            "HostConfig": host(&arguments, order, &mounts)?,
        });
        let Value::Object(body) = body else {
            unreachable!("an object was written down above")
        };
        Ok(Self {
            image,
            is_mapped: user.is_some() && place.user.is_some(),
            body: body.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        })
    }

    /// The body of the request.
    pub(crate) fn body(&self) -> Value {
        Value::Object(self.body.clone())
    }
}

fn host(arguments: &RunArguments, order: &ContainerOrder, mounts: &[Value]) -> Result<Value, RequestError> {
    let policy = &order.policy;
    let network = match (&arguments.network, order.network) {
        (Some(network), false) if network != "none" => return Err(RequestError::Network(network.clone())),
        (_, false) => Some("none".to_owned()),
        (network, true) => network.clone(),
    };
    let mut security_options = arguments.security_options.clone();
    if !policy.privileges {
        // A program of the image that belongs to root does not make its caller root.
        security_options.push("no-new-privileges".to_owned());
    }
    let lower = |asked: Option<i64>, limit: i64| match (asked, limit) {
        (Some(asked), limit) if limit > 0 && asked > 0 => Some(asked.min(limit)),
        (_, limit) if limit > 0 => Some(limit),
        (asked, _) => asked,
    };
    let memory = i64::try_from(policy.memory_megabytes).unwrap_or(i64::MAX);
    let devices: Vec<Value> = arguments
        .devices
        .iter()
        .map(|device| {
            let mut parts = device.split(':');
            let host = parts.next().unwrap_or_default();
            let inside = parts.next().unwrap_or(host);
            json!({
                "PathOnHost": host,
                "PathInContainer": inside,
                "CgroupPermissions": parts.next().unwrap_or("rwm"),
            })
        })
        .collect();
    let tmpfs: Map<String, Value> = arguments
        .tmpfs
        .iter()
        .map(|(path, options)| (path.clone(), options.clone().into()))
        .collect();
    let all = json!({
        "Mounts": mounts,
        "NetworkMode": network,
        "Memory": lower(arguments.memory_bytes, memory.saturating_mul(1024 * 1024)),
        "NanoCpus": lower(arguments.nano_processors, i64::from(policy.processors) * 1_000_000_000),
        "PidsLimit": lower(arguments.processes, i64::from(policy.processes)),
        "ShmSize": arguments.shared_memory_bytes,
        "Tmpfs": tmpfs,
        "ExtraHosts": arguments.extra_hosts,
        "Dns": arguments.name_servers,
        "Init": arguments.init,
        "ReadonlyRootfs": arguments.read_only,
        "Privileged": arguments.privileged,
        "CapAdd": arguments.added_capabilities,
        "CapDrop": arguments.dropped_capabilities,
        "Devices": devices,
        "SecurityOpt": security_options,
    });
    let Value::Object(all) = all else {
        unreachable!("an object was written down above")
    };
    // What nobody asked for is the engine's to choose.
    let is_said = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    Ok(Value::Object(
        all.into_iter().filter(|(_, value)| is_said(value)).collect(),
    ))
}

fn mount(source: &str, target: &str, read_only: bool) -> Value {
    let kind = if source.starts_with('/') { "bind" } else { "volume" };
    json!({ "Type": kind, "Source": source, "Target": target, "ReadOnly": read_only })
}

fn is_of_job(source: &str, place: &ContainerPlace<'_>) -> bool {
    let source = Path::new(source);
    let climbs = source
        .components()
        .any(|part| part == std::path::Component::ParentDir);
    !climbs
        && [place.working_directory, place.tmp_directory]
            .iter()
            .any(|own| source.starts_with(own))
}

/// The user that needs nobody's leave: the agent's own, and any where the engine is that of the agent's user. `None`:
/// another user than the agent, or the image's.
///
/// Who works in a mounted folder as root, or as a person of the machine, leaves files of that user there, which may be
/// programs that make their caller that user. The container's own mount without such rights is no help: the folder is
/// the machine's.
fn user_of(asked: Option<&str>, own: Option<(u32, u32)>) -> Option<String> {
    let Some((user, group)) = own else {
        return asked.map(str::to_owned);
    };
    let is_own = asked.is_none_or(|asked| {
        let (asked_user, asked_group) = asked.split_once(':').unwrap_or((asked, ""));
        let is = |text: &str, id: u32| text == id.to_string() || text == "root" && id == 0;
        is(asked_user, user) && (asked_group.is_empty() || is(asked_group, group))
    });
    // Without a group the engine would take that of the image's user, or that of root.
    is_own.then(|| format!("{user}:{group}"))
}

/// What is mounted for a source: the volume of the order's own, or a folder of the job's or of the policy's.
fn may_mount(
    order: &ContainerOrder,
    source: &str,
    place: &ContainerPlace<'_>,
) -> Result<String, RequestError> {
    let policy: &ContainerPolicy = &order.policy;
    let refused = || Err(RequestError::Volume(source.to_owned()));
    if !source.starts_with('/') {
        let is_name = source
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        return if is_name && !source.is_empty() && !source.starts_with('.') {
            Ok(format!("madake-{}-{source}", order.volume_scope))
        } else {
            refused()
        };
    }
    // A link inside of a folder of the job's could lead anywhere.
    let real: PathBuf = Path::new(source).canonicalize().unwrap_or_else(|_| source.into());
    let climbs = real
        .components()
        .any(|part| part == std::path::Component::ParentDir);
    let allowed = policy.volumes.iter().any(|folder| {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
        real.starts_with(folder)
    });
    if !climbs && (allowed || is_of_job(&real.to_string_lossy(), place)) {
        Ok(real.to_string_lossy().into_owned())
    } else {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> ContainerOrder {
        ContainerOrder {
            image: "node:${tag}".into(),
            default_volumes: true,
            network: true,
            volume_scope: "PROJ-PLAN".into(),
            ..ContainerOrder::default()
        }
    }

    fn request(order: &ContainerOrder) -> Result<Value, RequestError> {
        let place = ContainerPlace {
            working_directory: Path::new("/m/tree"),
            tmp_directory: Path::new("/m/jobs/7-1/tmp"),
            sources: vec![Path::new("/m/repositories/1")],
            job_directory: Path::new("/m/jobs/7-1"),
            user: Some((1000, 100)),
        };
        ContainerRequest::new(order, &place, |text| text.replace("${tag}", "20")).map(|it| it.body())
    }

    #[test]
    fn job_gets_its_folders_its_user_and_its_labels() {
        let body = request(&order()).unwrap();
        assert_eq!(body["Image"], "node:20");
        assert_eq!(body["User"], "1000:100");
        assert_eq!(body["Labels"], json!({ JOBS_LABEL: "/m/jobs", JOB_LABEL: "7-1" }));
        assert_eq!(body["HostConfig"]["SecurityOpt"], json!(["no-new-privileges"]));
        let mounts = &body["HostConfig"]["Mounts"];
        assert_eq!(mounts[0], mount("/m/tree", "/m/tree", false));
        assert_eq!(mounts[1], mount("/m/jobs/7-1/tmp", "/m/jobs/7-1/tmp", false));
        assert_eq!(mounts[2], mount("/m/repositories/1", "/m/repositories/1", true));
        assert_eq!(body["HostConfig"].as_object().unwrap().len(), 2, "{body}");
    }

    #[test]
    fn limits_of_the_server_are_the_most_that_a_plan_gets() {
        let mut order = order();
        order.policy.memory_megabytes = 1024;
        order.policy.processors = 2;
        order.policy.processes = 100;
        for (arguments, memory, processors) in [
            (vec![], 1024_i64, 2_000_000_000_i64),
            (vec!["--memory=512m", "--cpus=0.5"], 512, 500_000_000),
            (vec!["--memory=4g", "--cpus=64"], 1024, 2_000_000_000),
        ] {
            order.run_arguments = arguments.into_iter().map(str::to_owned).collect();
            let host = &request(&order).unwrap()["HostConfig"];
            assert_eq!(host["Memory"], memory * 1024 * 1024);
            assert_eq!(host["NanoCpus"], processors);
            assert_eq!(host["PidsLimit"], 100);
        }
    }

    #[test]
    fn other_users_than_the_agents_need_an_administrator() {
        let root = "root:root";
        for (own, asked, expected) in [
            (Some((1000, 100)), None, Some("1000:100")),
            (Some((1000, 100)), Some("1000"), Some("1000:100")),
            (Some((1000, 100)), Some("1000:100"), Some("1000:100")),
            (Some((1000, 100)), Some("1000:0"), None),
            (Some((1000, 100)), Some("root"), None),
            (Some((1000, 100)), Some("0"), None),
            (Some((1000, 100)), Some("0:0"), None),
            (Some((1000, 100)), Some("1001"), None),
            (Some((1000, 100)), Some("node"), None),
            (Some((1000, 100)), Some(""), None),
            (Some((0, 0)), Some(root), Some("0:0")),
            (Some((0, 0)), Some("1000"), None),
            // The engine of a person gives its root no more than the person has.
            (None, Some("root"), Some("root")),
            (None, None, None),
        ] {
            assert_eq!(user_of(asked, own).as_deref(), expected, "{own:?} {asked:?}");
        }
        let mut order = order();
        order.run_arguments = vec!["--user=root".into()];
        let error = request(&order).unwrap_err().to_string();
        assert!(
            error.contains("--user with another user than the agent's, which"),
            "{error}"
        );
        assert!(error.contains("agent.container-privileges"), "{error}");
        order.policy.privileges = true;
        assert_eq!(request(&order).unwrap()["User"], "root");
    }

    #[test]
    fn volumes_with_a_name_are_those_of_the_scope() {
        let mut order = order();
        order.volumes = vec![("cache".into(), "/c".into())];
        order.run_arguments = vec!["--volume=other:/o".into()];
        let sources = |order: &ContainerOrder| -> Vec<Value> {
            let body = request(order).unwrap();
            let mounts = body["HostConfig"]["Mounts"].as_array().unwrap();
            let volumes = mounts.iter().filter(|mount| mount["Type"] == "volume");
            volumes.map(|mount| mount["Source"].clone()).collect()
        };
        assert_eq!(
            sources(&order),
            ["madake-PROJ-PLAN-cache", "madake-PROJ-PLAN-other"]
        );
        order.volume_scope = "PROJ-PLAN.fork-PROJ-PLAN3".into();
        assert_eq!(
            sources(&order),
            [
                "madake-PROJ-PLAN.fork-PROJ-PLAN3-cache",
                "madake-PROJ-PLAN.fork-PROJ-PLAN3-other"
            ]
        );
    }

    #[test]
    fn what_reaches_beyond_the_job_needs_an_administrator() {
        type Change = fn(&mut ContainerOrder);
        let with = |change: Change| {
            let mut order = order();
            change(&mut order);
            request(&order).map_err(|error| error.to_string())
        };
        let rows: [(Change, &str); 9] = [
            (
                |it| it.run_arguments = vec!["--network=container:other".into()],
                "has --network=container:",
            ),
            (
                |it| it.run_arguments = vec!["--privileged".into()],
                "has --privileged, which an administrator",
            ),
            (
                |it| it.run_arguments = vec!["--cap-add=SYS_ADMIN".into()],
                "has --cap-add",
            ),
            (
                |it| it.run_arguments = vec!["-v /:/host".into()],
                "the volume `/`",
            ),
            (
                |it| it.volumes = vec![("/var/run/docker.sock".into(), "/d".into())],
                "the volume `/var/run/docker.sock`",
            ),
            (
                |it| it.volumes = vec![("/m/tree/../secret".into(), "/d".into())],
                "the volume `/m/tree/../secret`",
            ),
            (
                |it| it.volumes = vec![("../x".into(), "/d".into())],
                "the volume `../x`",
            ),
            (|it| it.image = "-x".into(), "`-x` is not the name of an image"),
            (
                |it| {
                    it.network = false;
                    it.run_arguments = vec!["--network=host".into()];
                },
                "asks for the network `host`",
            ),
        ];
        for (change, expected) in rows {
            let error = with(change).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
        assert!(
            with(|it| it.volumes = vec![("cache".into(), "/c".into()), ("/m/tree/x".into(), "/x".into())])
                .is_ok()
        );
        assert!(
            with(|it| {
                it.policy.privileges = true;
                it.policy.volumes = vec!["/srv".into()];
                it.run_arguments = vec!["--privileged".into(), "-v".into(), "/srv/cache:/c".into()];
            })
            .is_ok()
        );
        let none = with(|it| it.network = false).unwrap();
        assert_eq!(none["HostConfig"]["NetworkMode"], "none");
    }
}
