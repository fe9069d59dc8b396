//! `other` of plans and jobs (bamboo-specs.md 11), and plan sections that are not acted on.

use super::fields::Fields;
use super::{Context, scalar};
use crate::yaml::{Map, Node, Value, boolean};

/// Sections of a plan that are understood but not acted on.
const SECTIONS_NOT_RUN: [&str; 3] = ["branch-overrides", "branch-config", "notifications"];

/// How many builds of one plan branch may run at once; `None`: the server's default.
pub(super) fn concurrent_builds(cx: &mut Context<'_>, node: &Node) -> Option<u32> {
    let mut fields = Fields::of(cx, node, "`other` of a plan")?;
    let builds = fields
        .take("concurrent-build-plugin")
        .and_then(|node| concurrent_build_plugin(cx, node));
    fields.not_run(cx, &["force-stop-build", "all-other-apps"]);
    fields.finish(cx);
    builds
}

fn concurrent_build_plugin(cx: &mut Context<'_>, node: &Node) -> Option<u32> {
    match &node.value {
        Value::Map(map) => {
            let mut fields = Fields::new(map, "`concurrent-build-plugin`");
            let builds = fields
                .take("number-of-concurrent-builds")
                .and_then(|node| count(cx, node));
            if let Some(entry) = fields.entry("execution-strategy")
                && entry.value.as_text() != Some("block-triggering")
            {
                cx.not_run(entry.key.span, "this `execution-strategy`");
            }
            fields.finish(cx);
            builds
        }
        _ => count(cx, node),
    }
}

fn count(cx: &mut Context<'_>, node: &Node) -> Option<u32> {
    if node.as_text() == Some("system-default") {
        return None;
    }
    scalar::number(cx, node, "the number of concurrent builds", 1)
}

/// Whether a job empties its working directory after the build.
pub(super) fn clean_working_directory(cx: &mut Context<'_>, node: &Node) -> bool {
    let Some(mut fields) = Fields::of(cx, node, "`other` of a job") else {
        return false;
    };
    let clean = fields
        .take("clean-working-dir")
        .and_then(|node| scalar::flag(cx, node, "`clean-working-dir`"));
    fields.not_run(cx, &["all-other-apps"]);
    fields.finish(cx);
    clean.unwrap_or(false)
}

/// Warns of the sections of a plan that are not acted on, unless they say what holds anyway.
pub(super) fn sections_not_run(cx: &mut Context<'_>, map: &Map) {
    for name in SECTIONS_NOT_RUN {
        if let Some(entry) = map.get(name)
            && !entry.value.says_nothing()
        {
            cx.not_run(entry.key.span, &format!("`{name}`"));
        }
    }
    if let Some(entry) = map.get("dependencies") {
        let harmless = entry.value.says_nothing()
            || entry.value.as_map().is_some_and(|dependencies| {
                dependencies
                    .get("plans")
                    .is_none_or(|plans| plans.value.says_nothing())
                    && dependencies.entries.iter().all(|inner| {
                        let text = inner.value.as_text();
                        inner.key.text == "plans"
                            || text == Some("none")
                            || text.is_some_and(|text| boolean(text).is_some())
                    })
            });
        if !harmless {
            cx.not_run(entry.key.span, "`dependencies`");
        }
    }
}
