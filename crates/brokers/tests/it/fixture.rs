//! Settings of every type, and short ways to what a broker makes of an event.

use madake_brokers::{Action, Allowed, Broker, BrokerEvent, CATALOGUE, Call, HttpCall, Settings, Step};

/// The word that every secret of these settings holds.
pub(crate) const SECRET: &str = "S3cret";

/// Settings by name.
pub(crate) fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// What the administrator allows in these tests.
pub(crate) fn allowed() -> Allowed {
    Allowed {
        executables: vec!["/usr/local/bin/on-push".to_owned()],
    }
}

/// A broker of good settings.
pub(crate) fn broker(kind: &str, pairs: &[(&str, &str)]) -> Broker {
    Broker::new(kind, &settings(pairs), &allowed()).unwrap_or_else(|problems| panic!("{kind}: {problems:?}"))
}

/// Good settings of a type, with as many settings used as go together.
pub(crate) fn good(kind: &str) -> Vec<(&'static str, &'static str)> {
    let mut pairs = match kind {
        "bamboo" => vec![
            ("base_url", "https://bamboo.example/"),
            (
                "build_key",
                "main:GROVE-TRUNK, 3-2-patches:GROVE-PATCH, GROVE-TESTS",
            ),
            ("username", "mei"),
            ("password", "S3cret-bamboo"),
        ],
        "jenkins" => vec![
            ("endpoint", "https://mei:S3cret-api@jenkins.example/ci"),
            ("project_name", "forest/harvest"),
            ("token", "S3cret token&"),
            (
                "parameters",
                "BRANCH={{ change.name }}\nCOMMIT={{ change.revision | short }}",
            ),
        ],
        "jenkins_git" => vec![
            ("jenkins_url", "https://jenkins.example"),
            ("token", "S3cret-notify"),
            ("exact", "true"),
        ],
        "buildbot" => vec![
            ("url", "http://buildbot.example:8010"),
            ("username", "hook"),
            ("password", "S3cret-hook"),
            ("category", "madake"),
        ],
        "teamcity" => vec![
            ("base_url", "https://teamcity.example"),
            ("build_type_id", "Grove_Harvest"),
            ("token", "S3cret-teamcity"),
            ("properties", "env.COMMIT={{ change.revision }}"),
        ],
        "gitlab" => vec![
            ("project", "grove/harvest"),
            ("token", "S3cret-trigger"),
            ("variables", "UPSTREAM={{ change.revision }}"),
        ],
        "github" => vec![("repository", "grove/harvest"), ("token", "S3cret-github")],
        "slack" => vec![("webhook_url", "https://hooks.slack.example/services/T0/B0/S3cret")],
        "mattermost" => vec![
            ("webhook_url", "https://chat.example/hooks/S3cret"),
            ("channel", "builds"),
        ],
        "teams" => vec![(
            "webhook_url",
            "https://flows.example/workflows/S3cret/run?sig=S3cret",
        )],
        "discord" => vec![
            ("webhook_url", "https://discord.example/api/webhooks/1/S3cret"),
            ("username", "Grove"),
        ],
        "matrix" => vec![
            ("homeserver", "https://matrix.example"),
            ("room", "!grove:matrix.example"),
            ("access_token", "S3cret-matrix"),
        ],
        "email" => vec![("address", "team@example.org"), ("reply_to_pusher", "yes")],
        "email_diff" => vec![
            ("address", "team@example.org, lead@example.org"),
            ("max_patch_kb", "64"),
        ],
        "jira" => vec![
            ("base_url", "https://jira.example/jira"),
            ("username", "mei"),
            ("password", "S3cret-jira"),
        ],
        "bugzilla" => vec![
            ("server_url", "https://bugs.example"),
            ("api_key", "S3cret-bugzilla"),
        ],
        "read_the_docs" => vec![
            ("webhook_url", "https://docs.example/api/v2/webhook/harvest/7/"),
            ("token", "S3cret-docs"),
        ],
        "http" => vec![
            ("url", "https://any.example/hook?repository={{ repository.slug }}"),
            (
                "headers",
                "Authorization: Bearer {{ token }}\nX-Event: {{ kind }}",
            ),
            (
                "body",
                "{\"who\": {{ pusher.name if pusher else none }}, \"refs\": [{% for ref in refs %}{% if not loop.first %}, {% endif %}{{ ref.name }}{% endfor %}]}",
            ),
            ("token", "S3cret-any"),
        ],
        "executable" => vec![("program", "/usr/local/bin/on-push")],
        "build_status" => vec![
            ("forge", "github"),
            ("url", "https://github.com"),
            ("repository", "grove/harvest"),
            ("token", "S3cret-status"),
            ("context", "ci/madake"),
        ],
        other => panic!("write settings for `{other}` here"),
    };
    let builds = CATALOGUE
        .iter()
        .any(|of| of.key == kind && of.takes == madake_brokers::Takes::PushesAndBuilds);
    if builds {
        pairs.push(("events", "push, build"));
    }
    pairs
}

/// A broker of each type.
pub(crate) fn every_broker() -> Vec<Broker> {
    CATALOGUE.iter().map(|of| broker(of.key, &good(of.key))).collect()
}

/// The calls that a broker makes of an event.
pub(crate) fn calls(broker: &Broker, event: &BrokerEvent) -> Vec<Call> {
    broker
        .calls(event)
        .unwrap_or_else(|error| panic!("{}: {error}", broker.kind().key))
        .calls
}

/// The first request of a call.
pub(crate) fn request(call: &Call) -> HttpCall {
    match &call.action {
        Action::Http(exchange) => match exchange.next(&[]) {
            Step::Send(request) => request,
            Step::End(verdict) => panic!("no request but {verdict:?}"),
        },
        other => panic!("no request but {other:?}"),
    }
}

/// The requests of a broker for an event.
pub(crate) fn requests(kind: &str, pairs: &[(&str, &str)], event: &BrokerEvent) -> Vec<HttpCall> {
    calls(&broker(kind, pairs), event).iter().map(request).collect()
}

/// The body of a request as JSON.
pub(crate) fn json(request: &HttpCall) -> serde_json::Value {
    serde_json::from_slice(&request.body).unwrap_or_else(|error| panic!("{error}: {request:?}"))
}

/// The body of a request as text.
pub(crate) fn text(request: &HttpCall) -> String {
    String::from_utf8(request.body.clone()).unwrap()
}
