//! How far a running build is (bamboo-rest.md 5.7).

use super::super::node::Object;
use super::super::time;
use super::super::view::{ResultDetails, Status};
use super::RenderContext;

/// `progress` of a build that runs; nothing for all others. Without earlier builds to compare with, it is
/// marked as not valid.
pub(super) fn progress(details: &ResultDetails, ctx: &RenderContext) -> Option<Object> {
    let started_ms = details
        .started_ms
        .filter(|_| details.status == Status::InProgress)?;
    let elapsed_ms = ctx.now_ms.saturating_sub(started_ms).max(0);
    let average_ms = details.average_duration_ms.filter(|average_ms| *average_ms > 0);
    let remaining_ms = average_ms.map_or(0, |average_ms| average_ms - elapsed_ms.min(i64::MAX / 2));
    let permyriad = average_ms.map_or(0, |average_ms| {
        i64::try_from(i128::from(elapsed_ms) * 10_000 / i128::from(average_ms)).unwrap_or(i64::MAX)
    });
    let fraction = permyriad as f64 / 10_000.0;
    let remaining = |text: fn(i64) -> String| match (average_ms, remaining_ms) {
        (None, _) => "Unknown".to_owned(),
        (Some(_), 0..) => format!("{} remaining", text(remaining_ms)),
        (Some(_), _) => format!("{} slower than usual", text(-remaining_ms)),
    };
    let body = Object::new()
        .element("isValid", average_ms.is_some())
        .element("isUnderAverageTime", average_ms.is_none() || remaining_ms >= 0)
        .element("percentageCompleted", fraction)
        .element("percentageCompletedPretty", format!("{}%", permyriad / 100))
        .element("prettyTimeRemaining", remaining(time::short_duration))
        .element("prettyTimeRemainingLong", remaining(time::duration))
        .element("averageBuildDuration", average_ms.unwrap_or(0))
        .element(
            "prettyAverageBuildDuration",
            time::short_duration(average_ms.unwrap_or(0)),
        )
        .element("buildTime", elapsed_ms)
        .element("prettyBuildTime", time::short_duration(elapsed_ms))
        .element("startedTime", ctx.iso(started_ms))
        .element("startedTimeFormatted", ctx.pretty(started_ms))
        .element("prettyStartedTime", time::relative(started_ms, ctx.now_ms));
    Some(body)
}
