//! `other` of plans and jobs (bamboo-specs.md 11).

use madake_domain::plan::{
    BuildExpiry, ConcurrencyStrategy, ExpiryPeriod, HangingDetection, JobOther, PatternLabel, PlanOther,
};

use super::fields::{Fields, any_of};
use super::settings::Settings;
use super::{Context, scalar};
use crate::language::{job, plan};
use crate::report::{Finding, nearest, shown};
use crate::yaml::{Node, Value};

/// `other` of a plan: how many builds of one branch run at once (`None`: the server's default), and the rest.
pub(super) fn of_plan(cx: &mut Context<'_>, node: &Node) -> (Option<u32>, PlanOther) {
    let mut other = PlanOther::default();
    let Some(mut fields) = Fields::of(cx, node, &plan::OTHER) else {
        return (None, other);
    };
    let builds = fields
        .take("concurrent-build-plugin")
        .and_then(|node| concurrent_builds(cx, node, &mut other));
    other.force_stop_build = fields.flag(cx, "force-stop-build");
    if let Some(node) = fields.take("all-other-apps")
        && let Some(mut apps) = Fields::of(cx, node, &plan::PLAN_APPS)
    {
        if let Some(node) = apps.take("custom") {
            let mut settings = Settings::of(cx, Some(node), node.span);
            other.build_expiry = expiry(cx, &mut settings);
            without_effect(cx, &settings);
            other.custom = settings.into_left();
        }
        apps.finish(cx);
    }
    fields.finish(cx);
    (builds, other)
}

fn concurrent_builds(cx: &mut Context<'_>, node: &Node, other: &mut PlanOther) -> Option<u32> {
    if !matches!(node.value, Value::Map(_)) {
        return count(cx, node);
    }
    let mut fields = Fields::of(cx, node, &plan::CONCURRENT_BUILDS)?;
    let builds = fields
        .take("number-of-concurrent-builds")
        .and_then(|node| count(cx, node));
    if let Some(node) = fields.take_settled("execution-strategy") {
        let text = node.as_text().unwrap_or_default();
        match text.trim().to_ascii_lowercase().replace('_', "-").as_str() {
            "block-triggering" => other.concurrency_strategy = Some(ConcurrencyStrategy::BlockTriggering),
            "stop-oldest-builds" => {
                other.concurrency_strategy = Some(ConcurrencyStrategy::StopOldestBuilds);
                cx.not_run(node.span, "`stop-oldest-builds`", plan::OLDEST_STAYS);
            }
            _ => scalar::unknown_word(
                cx,
                node,
                "strategy",
                text,
                &["block-triggering", "stop-oldest-builds"],
            ),
        }
    }
    fields.finish(cx);
    builds
}

fn count(cx: &mut Context<'_>, node: &Node) -> Option<u32> {
    if node.as_text() == Some("system-default") {
        return None;
    }
    scalar::number(cx, node, "the number of concurrent builds", 1)
}

/// `other` of a job: whether it empties its working directory after the build, and the rest.
pub(super) fn of_job(cx: &mut Context<'_>, node: &Node) -> (bool, JobOther) {
    let mut other = JobOther::default();
    let Some(mut fields) = Fields::of(cx, node, &job::OTHER) else {
        return (false, other);
    };
    let clean = fields.flag(cx, "clean-working-dir").unwrap_or(false);
    let apps_node = fields.take("all-other-apps");
    if let Some(node) = apps_node
        && let Some(mut apps) = Fields::of(cx, node, &job::APPS)
    {
        if let Some(node) = apps.take("custom") {
            let mut settings = Settings::of(cx, Some(node), node.span);
            other.hanging = hanging(cx, &mut settings);
            other.pattern_label = pattern_label(cx, &mut settings);
            without_effect(cx, &settings);
            other.custom = settings.into_left();
        }
        apps.finish(cx);
    }
    fields.finish(cx);
    (clean, other)
}

/// Says which settings nobody asked for.
fn without_effect(cx: &mut Context<'_>, settings: &Settings) {
    for setting in settings.rest() {
        let what = format!("the setting `{}` of an app", shown(&setting.name));
        cx.not_run(setting.key_span, &what, "it has no effect yet");
    }
}

/// `buildExpiryConfig`: when results go.
fn expiry(cx: &mut Context<'_>, settings: &mut Settings) -> Option<BuildExpiry> {
    if !settings.has("buildExpiryConfig.") {
        return None;
    }
    let mut expiry = BuildExpiry {
        enabled: settings.flag(cx, "buildExpiryConfig.enabled"),
        duration: settings.number(cx, "buildExpiryConfig.duration"),
        period: ExpiryPeriod::default(),
        results: settings.flag(cx, "buildExpiryConfig.expiryTypeResult"),
        artifacts: settings.flag(cx, "buildExpiryConfig.expiryTypeArtifact"),
        logs: settings.flag(cx, "buildExpiryConfig.expiryTypeBuildLog"),
        builds_to_keep: settings.number(cx, "buildExpiryConfig.buildsToKeep"),
        maximum_builds_to_keep: settings.number(cx, "buildExpiryConfig.maximumBuildsToKeep"),
        // A text with several labels, or a list of them.
        labels_to_keep: settings
            .take_all("buildExpiryConfig.labelsToKeep")
            .iter()
            .flat_map(|setting| setting.value.split([',', ' ']))
            .filter(|label| !label.is_empty())
            .map(str::to_owned)
            .collect(),
    };
    if let Some(period) = settings.take_placed("buildExpiryConfig.period")
        && !period.value.trim().is_empty()
    {
        match ExpiryPeriod::from_name(&period.value) {
            Some(known) => expiry.period = known,
            None => {
                // A shorter time than was meant would remove what should stay.
                expiry.duration = None;
                let names = ExpiryPeriod::ALL.map(ExpiryPeriod::as_str);
                let message = format!("there is no period `{}`", shown(&period.value));
                cx.add(
                    Finding::warning("unknown-value", period.span, message)
                        .expected(any_of(&names))
                        .suggestion(nearest(&period.value, names))
                        .note("age does not count as it is"),
                );
            }
        }
    }
    Some(expiry)
}

/// `buildHangingConfig`: when a job counts as hanging.
fn hanging(cx: &mut Context<'_>, settings: &mut Settings) -> Option<HangingDetection> {
    settings.has("buildHangingConfig.").then(|| HangingDetection {
        enabled: settings.maybe_flag(cx, "buildHangingConfig.enabled"),
        minutes_between_logs: settings.number(cx, "buildHangingConfig.minutesBetweenLogs"),
        minutes_queue_timeout: settings.number(cx, "buildHangingConfig.minutesQueueTimeout"),
        multiplier: settings
            .number::<f64>(cx, "buildHangingConfig.multiplier")
            .filter(|multiplier| multiplier.is_finite()),
    })
}

/// `auto`: a label for results whose log matches.
fn pattern_label(cx: &mut Context<'_>, settings: &mut Settings) -> Option<PatternLabel> {
    let (regex, label) = (settings.take_placed("auto.regex"), settings.take("auto.label"));
    let regex = regex.filter(|regex| !regex.value.is_empty())?;
    if !scalar::is_pattern(cx, &regex.value, regex.span, "`auto.regex`") {
        return None;
    }
    Some(PatternLabel {
        regex: regex.value,
        label: label.unwrap_or_default(),
    })
}
