//! Settings, checked: what is wrong is told with the name of the setting and what to do.

use std::collections::BTreeSet;

use madake_brokers::{Allowed, Broker, CATALOGUE, FieldKind, find};

use crate::fixture::{allowed, broker, good, settings};

fn problems(kind: &str, pairs: &[(&str, &str)]) -> Vec<String> {
    match Broker::new(kind, &settings(pairs), &allowed()) {
        Ok(broker) => panic!("taken: {broker:?}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn types_are_found_by_the_names_of_old() {
    let table = [
        ("Bamboo", "bamboo"),
        ("JENKINS", "jenkins"),
        ("Email", "email"),
        ("Email Diff", "email_diff"),
        ("email-diff", "email_diff"),
        ("Read the Docs", "read_the_docs"),
        ("readthedocs", "read_the_docs"),
        ("Bugzilla", "bugzilla"),
        ("Microsoft Teams", "teams"),
    ];
    for (name, key) in table {
        assert_eq!(find(name).unwrap().key, key, "{name}");
    }
    assert_eq!(
        find("Jenkin").unwrap_err().to_string(),
        "there is no broker type `Jenkin`; did you mean `jenkins`?"
    );
    let far = find("POST").unwrap_err();
    assert_eq!(far.near, None);
    assert!(
        far.to_string()
            .starts_with("there is no broker type `POST`; there are bamboo, jenkins"),
        "{far}"
    );
    assert_eq!(
        problems("Slak", &[]),
        ["`type` is not known: there is no broker type `Slak`; did you mean `slack`?"]
    );
}

#[test]
fn settings_are_understood_by_the_names_of_old() {
    let broker = broker(
        "Jenkins",
        &[
            ("Endpoint", "https://u:p@jenkins.example"),
            ("Project name", "harvest"),
            ("Module name", "src"),
            ("Token", "t"),
            ("Csrf enabled", "on"),
        ],
    );
    assert_eq!(broker.kind().key, "jenkins");
}

#[test]
fn every_mistake_is_told_at_once_with_its_remedy() {
    assert_eq!(
        problems(
            "bamboo",
            &[
                ("base_url", "bamboo.example"),
                ("plan-keys", "trunk"),
                ("pasword", "x"),
                ("call", "start"),
                ("events", "pull")
            ]
        ),
        [
            "`pasword` is no setting of Bamboo; did you mean `password`?",
            "`events` has `pull`; write `push`, `build`, `failure` or `change`",
            "`build_key` has `trunk`, which is no plan key; write keys such as `PROJ-PLAN`",
            "`base_url` does not begin with `http://` or `https://`; write an address such as `https://ci.example/path`",
            "`call` is none of queue, updateAndBuild; write one of them",
        ]
    );
}

#[test]
fn single_mistakes_are_told() {
    type Pairs = &'static [(&'static str, &'static str)];
    let table: &[(&str, Pairs, &str)] = &[
        (
            "slack",
            &[],
            "`webhook_url` is missing; the address of an incoming webhook",
        ),
        (
            "slack",
            &[("webhook_url", "https://a/b"), ("url", "https://a/b")],
            "is given twice",
        ),
        (
            "slack",
            &[("webhook_url", "https://a/b"), ("colour", "red")],
            "is no setting of Slack; there are webhook_url, channel",
        ),
        (
            "slack",
            &[("webhook_url", "https://a/b"), ("channel", "a\r\nb")],
            "`channel` has a line break",
        ),
        (
            "slack",
            &[("webhook_url", "https://a/b"), ("refs", "!")],
            "`refs` has an entry without a name",
        ),
        (
            "jira",
            &[("base_url", "https://a"), ("password", "x"), ("events", "build")],
            "is told of pushes only",
        ),
        (
            "email",
            &[("address", "nobody")],
            "has `nobody`, which is no address",
        ),
        (
            "email",
            &[("address", "a@b\r\nBcc")],
            "has `Bcc`, which is no address",
        ),
        (
            "email_diff",
            &[("address", "a@b"), ("max_patch_kb", "0")],
            "is not a whole number from 1 to 10240",
        ),
        (
            "executable",
            &[("program", "/bin/sh")],
            "is not allowed here; an administrator adds",
        ),
        (
            "jenkins",
            &[("endpoint", "https://a"), ("project_name", "../x")],
            "has an empty part, `.` or `..`",
        ),
        (
            "jenkins",
            &[
                ("endpoint", "https://a"),
                ("project_name", "x"),
                ("parameters", "A\nB={{ x"),
            ],
            "`parameters` line 1: is not a name",
        ),
        (
            "jenkins",
            &[
                ("endpoint", "https://a"),
                ("project_name", "x"),
                ("parameters", "A\nB={{ x"),
            ],
            "`parameters` line 2: ",
        ),
        (
            "github",
            &[("repository", "grove"), ("token", "x")],
            "is not `owner/name`",
        ),
        (
            "matrix",
            &[
                ("homeserver", "https://a"),
                ("access_token", "x"),
                ("room", "grove"),
            ],
            "is neither an id",
        ),
        (
            "http",
            &[("url", "{{ repository.browse_url }}")],
            "`url` does not begin with",
        ),
        ("http", &[("url", "https://{{ kind }}.example/")], "`url`"),
        (
            "http",
            &[("url", "https://ci.{{ kind }}/")],
            "has a template before its path",
        ),
        (
            "http",
            &[("url", "https://a/"), ("headers", "Content-Length: 0")],
            "`headers` has `Content-Length`",
        ),
        (
            "http",
            &[("url", "https://a/"), ("content_type", "json")],
            "`content_type` is no type",
        ),
        (
            "http",
            &[("url", "https://a/"), ("success", "ok")],
            "`success` has an entry that is no status code",
        ),
        (
            "http",
            &[("url", "https://a/"), ("body", "{\n{% for x in refs %}\n")],
            "`body` line",
        ),
        (
            "http",
            &[("url", "https://a/"), ("body", "{{ kind | shout }}")],
            "line 1: there is no filter `shout`; there are default, first",
        ),
        (
            "http",
            &[("url", "https://a/"), ("body", "{% include 'x' %}")],
            "only `if`, `for` and `with` blocks",
        ),
    ];
    for (kind, pairs, part) in table {
        let told = problems(kind, pairs);
        assert!(
            told.iter().any(|sentence| sentence.contains(part)),
            "{kind} {pairs:?}: {told:?}"
        );
    }
}

#[test]
fn nothing_is_allowed_to_run_unless_it_was_named() {
    let pairs = settings(&[("program", "/usr/local/bin/on-push")]);
    assert!(Broker::new("executable", &pairs, &Allowed::default()).is_err());
    assert!(Broker::new("executable", &pairs, &allowed()).is_ok());
}

#[test]
fn mistakes_show_no_secret() {
    for of in CATALOGUE {
        for field in of.all_fields().filter(|field| field.kind.is_secret()) {
            let mut pairs: Vec<_> = good(of.key)
                .into_iter()
                .filter(|(name, _)| *name != field.name)
                .collect();
            pairs.push((field.name, "hunter2\u{7}hunter2"));
            let told = problems(of.key, &pairs).join("\n");
            assert!(
                told.contains(field.name) && !told.contains("hunter2"),
                "{}: {told}",
                of.key
            );
        }
    }
}

#[test]
fn catalogue_is_in_order() {
    let mut names = BTreeSet::new();
    for of in CATALOGUE {
        for name in [of.key]
            .iter()
            .chain(of.aliases)
            .filter(|name| name.to_lowercase() != of.title.to_lowercase())
        {
            assert!(names.insert(name.to_lowercase()), "two types are called {name}");
        }
        assert!(of.description.ends_with('.'), "{}", of.key);
        let mut fields = BTreeSet::new();
        for field in of.all_fields() {
            for name in [field.name].iter().chain(field.aliases) {
                assert!(fields.insert(*name), "{} has two settings called {name}", of.key);
            }
            assert!(field.help.ends_with('.'), "{}.{}", of.key, field.name);
            assert!(
                !field.required || field.default.is_empty(),
                "{}.{}",
                of.key,
                field.name
            );
            if let FieldKind::Choice(words) = field.kind {
                // A required one has no default: nobody can choose for its owner.
                let default_fits = words.contains(&field.default) || field.required;
                assert!(default_fits, "{}.{}", of.key, field.name);
            }
        }
    }
}
