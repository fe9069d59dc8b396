//! `other` of plans and jobs (bamboo-specs.md 11).

use madake_domain::plan::{
    BuildExpiry, ConcurrencyStrategy, ExpiryPeriod, HangingDetection, JobOther, PatternLabel, PlanOther,
};

use super::fields::Fields;
use super::{Context, scalar};
use crate::language::{job, plan};
use crate::report::{Finding, shown};
use crate::source::Span;
use crate::yaml::{Node, Value, boolean};

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
            let mut settings = Custom::of(cx, node);
            other.build_expiry = settings.expiry(cx);
            other.custom = settings.left;
            if other
                .custom
                .iter()
                .any(|(_, value)| boolean(value) != Some(false))
            {
                cx.not_run(
                    node.span,
                    "some settings of `custom`",
                    "all but `buildExpiryConfig` have no effect yet",
                );
            }
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
    if let Some(entry) = fields.entry("execution-strategy") {
        let text = entry.value.as_text().unwrap_or_default();
        match text.trim().to_ascii_lowercase().replace('_', "-").as_str() {
            "block-triggering" => other.concurrency_strategy = Some(ConcurrencyStrategy::BlockTriggering),
            "stop-oldest-builds" => {
                other.concurrency_strategy = Some(ConcurrencyStrategy::StopOldestBuilds);
                cx.not_run(
                    entry.key.span,
                    "`stop-oldest-builds`",
                    "a build over the limit waits",
                );
            }
            _ => scalar::unknown_word(
                cx,
                &entry.value,
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
    let apps_node = fields.take_settled("all-other-apps");
    if let Some(node) = apps_node
        && let Some(mut apps) = Fields::of(cx, node, &job::APPS)
    {
        if let Some(node) = apps.take("custom") {
            let mut settings = Custom::of(cx, node);
            other.hanging = settings.hanging(cx);
            other.pattern_label = settings.pattern_label(cx);
            other.custom = settings.left;
        }
        apps.finish(cx);
        let says_something = other
            .custom
            .iter()
            .any(|(_, value)| boolean(value) != Some(false));
        if says_something {
            cx.not_run(node.span, "`all-other-apps`", "these settings have no effect yet");
        }
    }
    fields.finish(cx);
    (clean, other)
}

/// Settings of apps, taken one by one.
struct Custom {
    place: Span,
    left: Vec<(String, String)>,
}

impl Custom {
    fn of(cx: &mut Context<'_>, node: &Node) -> Self {
        Self {
            place: node.span,
            left: scalar::free(cx, node),
        }
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.left.iter().position(|(key, _)| key == name)?;
        Some(self.left.remove(at).1)
    }

    fn has(&self, prefix: &str) -> bool {
        self.left.iter().any(|(key, _)| key.starts_with(prefix))
    }

    fn flag(&mut self, name: &str) -> Option<bool> {
        self.take(name).as_deref().and_then(boolean)
    }

    fn parsed<T: std::str::FromStr>(&mut self, cx: &mut Context<'_>, name: &str) -> Option<T> {
        let text = self.take(name).filter(|text| !text.trim().is_empty())?;
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            let message = format!("`{name}` cannot be `{}`", shown(&text));
            cx.add(Finding::warning("wrong-type", self.place, message).expected("a number"));
        }
        parsed
    }

    fn expiry(&mut self, cx: &mut Context<'_>) -> Option<BuildExpiry> {
        self.has("buildExpiryConfig.").then(|| BuildExpiry {
            enabled: self.flag("buildExpiryConfig.enabled").unwrap_or(false),
            duration: self.parsed(cx, "buildExpiryConfig.duration"),
            period: match self.take("buildExpiryConfig.period").as_deref() {
                Some("weeks") => ExpiryPeriod::Weeks,
                Some("months") => ExpiryPeriod::Months,
                _ => ExpiryPeriod::Days,
            },
            results: self.flag("buildExpiryConfig.expiryTypeResult").unwrap_or(false),
            artifacts: self.flag("buildExpiryConfig.expiryTypeArtifact").unwrap_or(false),
            logs: self.flag("buildExpiryConfig.expiryTypeBuildLog").unwrap_or(false),
            builds_to_keep: self.parsed(cx, "buildExpiryConfig.buildsToKeep"),
            maximum_builds_to_keep: self.parsed(cx, "buildExpiryConfig.maximumBuildsToKeep"),
            labels_to_keep: self
                .take("buildExpiryConfig.labelsToKeep")
                .unwrap_or_default()
                .split([',', ' '])
                .filter(|label| !label.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    fn hanging(&mut self, cx: &mut Context<'_>) -> Option<HangingDetection> {
        self.has("buildHangingConfig.").then(|| HangingDetection {
            enabled: self.flag("buildHangingConfig.enabled"),
            minutes_between_logs: self.parsed(cx, "buildHangingConfig.minutesBetweenLogs"),
            minutes_queue_timeout: self.parsed(cx, "buildHangingConfig.minutesQueueTimeout"),
            multiplier: self
                .parsed::<f64>(cx, "buildHangingConfig.multiplier")
                .filter(|multiplier| multiplier.is_finite()),
        })
    }

    fn pattern_label(&mut self, cx: &mut Context<'_>) -> Option<PatternLabel> {
        let (regex, label) = (self.take("auto.regex"), self.take("auto.label"));
        let regex = regex.filter(|regex| !regex.is_empty())?;
        if let Err(reason) = scalar::check_pattern(&regex) {
            let message = format!(
                "`auto.regex` `{}` is not a regular expression that can be used here: {reason}",
                shown(&regex)
            );
            cx.add(Finding::error("bad-pattern", self.place, message));
            return None;
        }
        Some(PatternLabel {
            regex,
            label: label.unwrap_or_default(),
        })
    }
}
