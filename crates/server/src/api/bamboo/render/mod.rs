//! One file per resource: views in, documents out.

mod branch;
mod collection;
mod details;
mod job_result;
mod label;
mod part;
mod plan;
mod progress;
mod project;
mod queue;
mod result;
mod server;
mod set_variable;
mod stage;
mod test_results;
mod variable;

pub use branch::{branch_created, branch_list, branch_single, vcs_branch_list};
pub use job_result::{job_result_single, log_entry};
pub use label::{comment_list, label_list};
pub use plan::{job_single, plan_list, plan_single};
pub use project::{project_list, project_single};
pub use queue::{queue_list, queued_build};
pub use result::{result_list, result_single, result_status};
pub use server::{api_root, current_user, health, info, reindex, server};
pub use set_variable::{SetVariableView, global_variable, global_variables, set_variable, set_variables};
pub use variable::{plan_variable, plan_variables};

use jiff::tz::TimeZone;

use super::expand::Expand;
use super::link::Links;
use super::time;

/// What every answer depends on besides its views.
#[derive(Debug, Clone)]
pub struct RenderContext {
    /// Makes the links.
    pub links: Links,
    /// Zone of the server; times are shown in it.
    pub zone: TimeZone,
    /// The present moment, in milliseconds since 1970.
    pub now_ms: i64,
    /// The `expand` parameter of the request, from the outermost name on.
    pub expand: Expand,
}

impl RenderContext {
    fn iso(&self, time_ms: i64) -> String {
        time::iso(time_ms, &self.zone)
    }

    fn pretty(&self, time_ms: i64) -> String {
        time::pretty(time_ms, &self.zone)
    }
}
