//! What is exported reads back to the same plan.

use std::sync::LazyLock;

use madake_domain::plan::PlanConfiguration;
use madake_specs::export;
use proptest::prelude::*;

use crate::{plan, plan_text, reading};

/// A plan file with everything that the language has.
const WHOLE: &str = include_str!("whole.yml");

fn reads_back(plan: &PlanConfiguration) {
    let text = export(plan);
    let result = reading(&text);
    assert!(!result.has_errors(), "{text}\n{:#?}", result.diagnostics);
    assert_eq!(result.plans.len(), 1, "{text}");
    assert_eq!(result.plans[0].configuration, *plan, "{text}");
}

#[test]
fn everything_that_the_language_has_reads_back() {
    let plan = plan(WHOLE);
    reads_back(&plan);
    let again = export(&plan);
    assert_eq!(export(&crate::plan(&again)), again);
}

#[test]
fn names_that_are_too_long_for_a_key_on_one_line_read_back() {
    for length in [999, 1025, 5000] {
        let mut plan = plan(&plan_text("Build:\n  tasks: [clean]\n"));
        let name = format!("it's: {}", "x".repeat(length));
        plan.stages[0].name.clone_from(&name);
        reads_back(&plan);
        assert!(export(&plan).contains(&"x".repeat(length)));
    }
}

#[test]
fn the_plan_with_everything_stores_and_loads() {
    let plan = plan(WHOLE);
    let stored = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<PlanConfiguration>(&stored).unwrap(), plan);
}

#[test]
fn what_cannot_be_written_is_named() {
    let mut plan = plan(&plan_text("Build:\n  tasks: [clean]\n"));
    plan.jobs[0].timeout_seconds = Some(60);
    plan.jobs[0].tasks[0].action = madake_domain::plan::TaskAction::Unsupported {
        name: "maven\nx".into(),
    };
    let text = export(&plan);
    assert!(text.contains("# the task maven x of the job Build"), "{text}");
    assert!(text.contains("# the time limit of the job Build"), "{text}");
    assert!(reading(&text).plans.len() == 1, "{text}");
}

#[test]
fn s7_secrets_are_covered_where_a_plan_is_shown() {
    let mut text = plan_text(
        "Build:\n  tasks:\n    - ssh: {host: h, command: c, authentication: {username: u, password: hunter2}}\n",
    );
    text.push_str("variables: {db_password: hunter2, other.secret: '${bamboo.x}', plain: shown}\n");
    text.push_str("repositories:\n  - own: {type: git, url: 'https://x.example.org/a', username: u, password: hunter2}\n");
    let plan = plan(&text);
    assert!(export(&plan).contains("hunter2"));
    let shown = madake_specs::export_covered(&plan);
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.starts_with("# secrets are not shown"), "{shown}");
    assert!(
        shown.contains("plain: shown") && shown.contains("other.secret: ${bamboo.x}"),
        "{shown}"
    );
}

/// A JSON value changed in one place: a text, a number or a boolean takes another value, or an item goes.
fn changed(value: &mut serde_json::Value, place: &mut usize, text: &str) -> bool {
    use serde_json::Value;
    match value {
        Value::Object(map) => map.iter_mut().any(|(name, inner)| {
            // These have a form of their own.
            const FORMED: [&str; 20] = [
                "project_key",
                "key",
                "plans",
                "source_plan",
                "type",
                "do",
                "by",
                "to",
                "event",
                "create",
                "condition",
                "expression",
                "cron",
                "time_zone",
                "addresses",
                "matches",
                "pattern",
                "regex",
                "source",
                "definition",
            ];
            !FORMED.contains(&name.as_str()) && changed(inner, place, text)
        }),
        Value::Array(items) => items.iter_mut().any(|inner| changed(inner, place, text)),
        Value::String(old) => {
            if *place > 0 {
                *place -= 1;
                return false;
            }
            text.clone_into(old);
            true
        }
        Value::Bool(old) => {
            if *place > 0 {
                *place -= 1;
                return false;
            }
            *old = !*old;
            true
        }
        _ => false,
    }
}

/// Read once for all cases.
static WHOLE_PLAN: LazyLock<serde_json::Value> =
    LazyLock::new(|| serde_json::to_value(plan(WHOLE)).expect("a plan is JSON"));

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any text in any place of the plan: what is exported reads to a plan whose export reads to the same plan.
    #[test]
    fn any_text_in_any_place_reads_back(place in 0usize..400, text in "[-a-c:?,{}\\[\\]&*!<>|'\"#%@` \n\t~0-9é.\u{85}\u{2028}$/]{0,30}") {
        let mut value = WHOLE_PLAN.clone();
        let mut place = place;
        if !changed(&mut value, &mut place, &text) {
            // There are fewer places: the plan as it is has a test of its own.
            return Ok(());
        }
        let Ok(plan) = serde_json::from_value::<PlanConfiguration>(value) else {
            return Ok(());
        };
        let exported = export(&plan);
        let result = reading(&exported);
        // A text that is not allowed in its place is a finding; one that is must be kept.
        prop_assume!(!result.has_errors() && result.plans.len() == 1);
        let read = &result.plans[0].configuration;
        let again = reading(&export(read));
        prop_assert!(!again.has_errors(), "{}\n{:#?}", export(read), again.diagnostics);
        prop_assert_eq!(&again.plans[0].configuration, read, "{}", export(read));
    }

    /// Scripts keep every character.
    #[test]
    fn scripts_keep_every_character(body in "[-a-c:#'\"|>\\\\{}&*! \n\té\u{85}\u{2028}\u{feff}]{0,60}") {
        let mut whole = plan(&plan_text("Build:\n  tasks: [script: x]\n"));
        let madake_domain::plan::TaskAction::Script(script) = &mut whole.jobs[0].tasks[0].action else {
            panic!("a script");
        };
        script.source = madake_domain::plan::ScriptSource::Inline(body);
        reads_back(&whole);
    }
}
