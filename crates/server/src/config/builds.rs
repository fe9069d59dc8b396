//! `[builds]`: how many jobs and builds run, for how long, and what counts as hanging.

use madake_domain::hanging::HangingRules;
use madake_domain::push_chain::PUSHES_IN_A_ROW;
use madake_engine::settings::WhenHanging;
use serde::Deserialize;

use super::ConfigError;

/// How builds run.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BuildsSection {
    /// How many jobs run at once on this machine; 0: one for each processor.
    pub agents: usize,
    /// How many builds of one plan branch may run at once, where the plan says nothing; 0: any number.
    pub concurrent: u32,
    /// How many pushes of builds may follow from one another before what the last one pushed is not built; 0: any number.
    pub pushes_in_a_row: usize,
    /// The longest time that a job may run, in minutes, where the plan says nothing.
    pub job_timeout_minutes: u64,
    /// Seconds between telling a job to stop and killing it.
    pub stop_grace_seconds: u64,
    /// How many times its usual length a job has run before it may hang; 0: nothing is looked for.
    pub hanging_multiplier: f64,
    /// Minutes without a line in the log from which a job may hang.
    pub hanging_silent_minutes: u32,
    /// Minutes in the queue that are too long; 0: any time is fine.
    pub queue_timeout_minutes: u32,
    /// `tell` or `stop`: what follows when a job hangs or waits too long.
    pub when_hanging: String,
}

impl Default for BuildsSection {
    fn default() -> Self {
        Self {
            agents: 0,
            concurrent: 5,
            pushes_in_a_row: PUSHES_IN_A_ROW,
            job_timeout_minutes: 24 * 60,
            stop_grace_seconds: 10,
            hanging_multiplier: 2.5,
            hanging_silent_minutes: 10,
            queue_timeout_minutes: 60,
            when_hanging: "tell".into(),
        }
    }
}

impl BuildsSection {
    /// When a job hangs.
    ///
    /// # Errors
    /// When the multiplier is no such number.
    pub(super) fn hanging(&self) -> Result<HangingRules, ConfigError> {
        let multiplier = self.hanging_multiplier;
        if !multiplier.is_finite() || (multiplier != 0.0 && multiplier < 1.0) {
            return Err(ConfigError {
                place: "builds.hanging-multiplier".into(),
                problem: format!("`{multiplier}` is neither 1 or more nor 0, which turns it off"),
            });
        }
        Ok(HangingRules {
            enabled: multiplier > 0.0,
            multiplier,
            minutes_between_logs: self.hanging_silent_minutes,
            minutes_queue_timeout: self.queue_timeout_minutes,
        })
    }

    /// What follows when one does.
    ///
    /// # Errors
    /// When it is none of the words.
    pub(super) fn when_hanging(&self) -> Result<WhenHanging, ConfigError> {
        match self.when_hanging.as_str() {
            "tell" => Ok(WhenHanging::Tell),
            "stop" => Ok(WhenHanging::Stop),
            other => Err(ConfigError {
                place: "builds.when-hanging".into(),
                problem: format!("`{other}` is neither `tell` nor `stop`"),
            }),
        }
    }
}
