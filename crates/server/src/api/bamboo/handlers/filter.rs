//! The filters of lists of results (bamboo-rest.md 5.1).

use madake_domain::issue::issue_keys;
use madake_domain::schedule::{LifeCycleState, ResultState};
use madake_store::build_query;

use super::super::error::ApiError;
use super::super::query::Parameters;

const LIFE_CYCLES: [LifeCycleState; 5] = [
    LifeCycleState::Pending,
    LifeCycleState::Queued,
    LifeCycleState::InProgress,
    LifeCycleState::Finished,
    LifeCycleState::NotBuilt,
];
const STATES: [ResultState; 3] = [ResultState::Unknown, ResultState::Successful, ResultState::Failed];

/// So many issues are looked for: each is one more text to find in all messages.
const MOST_ISSUES: usize = 25;

/// Which results a list shows.
#[derive(Debug, Clone)]
pub(super) struct ResultFilter {
    /// What the store filters by.
    pub(super) stored: build_query::Filter,
    /// Only results of plans and plan branches that the caller watches.
    pub(super) favourite: bool,
    /// Asks for what no result has: issues whose keys are none.
    pub(super) nothing: bool,
}

impl ResultFilter {
    /// Reads the parameters.
    pub(super) fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        let state = match parameters.text("buildstate") {
            None => None,
            Some(asked) => Some(
                STATES
                    .iter()
                    .find(|state| state.as_str().eq_ignore_ascii_case(asked))
                    .map(|state| state.as_str().to_owned())
                    .ok_or_else(|| ApiError::unknown_build_state(&madake_domain::text::inert(asked, 80)))?,
            ),
        };
        let mut life_cycles = Vec::new();
        for asked in parameters.list("lifeCycleState") {
            let known = LIFE_CYCLES
                .iter()
                .find(|word| word.as_str().eq_ignore_ascii_case(asked))
                .ok_or_else(|| {
                    let asked = madake_domain::text::inert(asked, 80);
                    ApiError::invalid(format!("There is no LifeCycleState called '{asked}'"))
                })?;
            life_cycles.push(known.as_str().to_owned());
        }
        let asked_issues = parameters.list("issueKey");
        let issues: Vec<String> = asked_issues
            .iter()
            .flat_map(|text| issue_keys(&text.to_ascii_uppercase()))
            .take(MOST_ISSUES)
            .collect();
        let nothing = issues.is_empty() && !asked_issues.is_empty();
        Ok(Self {
            stored: build_query::Filter {
                include_all_states: parameters.flag("includeAllStates"),
                state,
                life_cycles,
                continuable: parameters.flag("continuable"),
                labels: parameters.list("label").into_iter().map(str::to_owned).collect(),
                key_part: String::new(),
                issues,
            },
            favourite: parameters.flag("favourite"),
            nothing,
        })
    }

    /// Whether something in this state is shown.
    pub(super) fn admits(&self, life_cycle: LifeCycleState, state: ResultState, continuable: bool) -> bool {
        let stored = &self.stored;
        let life_cycle_fits = if stored.life_cycles.is_empty() {
            stored.include_all_states || life_cycle == LifeCycleState::Finished
        } else {
            stored.life_cycles.iter().any(|word| word == life_cycle.as_str())
        };
        let state_fits = stored.state.as_deref().is_none_or(|word| word == state.as_str());
        life_cycle_fits && state_fits && (continuable || !stored.continuable)
    }
}
