//! Plans as text: YAML that reads back to the same plan.

mod job;
mod plan;
mod repository;
mod secrets;
mod task;
mod trigger;
mod yaml;

use madake_domain::plan::PlanConfiguration;

/// A plan as the text of a plan file.
///
/// Reading it back gives the same plan, but for what the language cannot say: tasks that an older version stored
/// without their settings, and time limits. Those are named in comments at the top.
///
/// Secrets that the plan holds are in it.
#[must_use]
pub fn export(plan: &PlanConfiguration) -> String {
    let mut text = String::new();
    for lost in plan::lost(plan) {
        text.push_str("# ");
        text.extend(lost.chars().map(|c| if c.is_control() { ' ' } else { c }));
        text.push('\n');
    }
    text.push_str("---\n");
    text.push_str(&yaml::document(&plan::document(plan)));
    text
}

/// The same with secrets covered, to be shown; a comment at the top says so where there were any.
#[must_use]
pub fn export_covered(plan: &PlanConfiguration) -> String {
    let (plan, found) = secrets::covered(plan);
    let text = export(&plan);
    if found {
        format!(
            "# secrets are not shown: put them in again where it says {}\n{text}",
            secrets::COVER
        )
    } else {
        text
    }
}
