//! Which agents can take a job, and the sentence that says why none can.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Capabilities, CompiledDemand, Demand, SHOWN, Shortfall};
use crate::text::inert;

/// The most agents that a sentence names.
const NAMED: usize = 5;

/// Whether an agent takes jobs at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentState {
    /// It is there, busy or not.
    Online,
    /// It has not been heard of for a while.
    Offline,
    /// An administrator has switched it off.
    Disabled,
}

/// An agent as far as the choice goes.
#[derive(Debug, Clone)]
pub struct AgentProfile<'a> {
    /// Its name.
    pub name: &'a str,
    /// Whether it takes jobs.
    pub state: AgentState,
    /// What it can do.
    pub capabilities: &'a Capabilities,
}

/// What an agent lacks for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFit {
    /// The number of the agent in the list that was asked about.
    pub agent: usize,
    /// The number of each demand that it does not meet, and why. Empty: it can take the job.
    pub shortfalls: Vec<(usize, Shortfall)>,
}

/// The agents that can take a job, or why none can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// The numbers of the agents that can take the job now, in the order of the list.
    pub able: Vec<usize>,
    /// Each agent with what it lacks, in the order of the list.
    pub agents: Vec<AgentFit>,
    /// Sentences for people; empty when an agent can take the job.
    pub explanation: String,
}

/// Compares the demands of a job with each agent. The job that no agent can take is told at once, with the demand that
/// fails, and does not wait in the queue in silence.
#[must_use]
pub fn find_agents(demands: &[Demand], agents: &[AgentProfile<'_>]) -> Fit {
    let compiled: Vec<CompiledDemand<'_>> = demands.iter().map(Demand::compiled).collect();
    let fits: Vec<AgentFit> = agents
        .iter()
        .enumerate()
        .map(|(agent, profile)| AgentFit {
            agent,
            shortfalls: compiled
                .iter()
                .enumerate()
                .filter_map(|(demand, test)| Some((demand, test.shortfall(profile.capabilities)?)))
                .collect(),
        })
        .collect();
    let able: Vec<usize> = fits
        .iter()
        .filter(|fit| fit.shortfalls.is_empty() && agents[fit.agent].state == AgentState::Online)
        .map(|fit| fit.agent)
        .collect();
    let explanation = if able.is_empty() {
        explain(demands, agents, &fits)
    } else {
        String::new()
    };
    Fit {
        able,
        agents: fits,
        explanation,
    }
}

fn explain(demands: &[Demand], agents: &[AgentProfile<'_>], fits: &[AgentFit]) -> String {
    if agents.is_empty() {
        return "no agent can take the job: there is no agent at all".to_owned();
    }
    let away: Vec<String> = fits
        .iter()
        .filter(|fit| fit.shortfalls.is_empty())
        .map(|fit| {
            let agent = &agents[fit.agent];
            let state = match agent.state {
                AgentState::Offline => "offline",
                AgentState::Disabled => "disabled",
                AgentState::Online => "online",
            };
            format!("`{}` is {state}", inert(agent.name, SHOWN))
        })
        .collect();
    if !away.is_empty() {
        return format!(
            "no agent can take the job now: of those that could, {}",
            listed(&away)
        );
    }
    let mut text = String::from("no agent can take the job: ");
    // What everybody lacks has to be mended in any case.
    let by_everybody: Vec<usize> = (0..demands.len())
        .filter(|demand| fits.iter().all(|fit| shortfall(fit, *demand).is_some()))
        .collect();
    if by_everybody.is_empty() {
        text.push_str("each requirement is met by some agent, but none meets all of them");
        let lacking: Vec<String> = fits
            .iter()
            .map(|fit| {
                let lacks: Vec<String> = fit
                    .shortfalls
                    .iter()
                    .map(|(demand, _)| demands[*demand].to_string())
                    .collect();
                format!(
                    "`{}` lacks {}",
                    inert(agents[fit.agent].name, SHOWN),
                    listed(&lacks)
                )
            })
            .collect();
        text.push_str("; ");
        text.push_str(&listed(&lacking));
        return text;
    }
    for (at, demand) in by_everybody.into_iter().enumerate() {
        if at > 0 {
            text.push_str("; ");
        }
        explain_demand(demand, demands, fits, &mut text);
    }
    text
}

/// What is wrong with a demand that nobody meets.
fn explain_demand(demand: usize, demands: &[Demand], fits: &[AgentFit], text: &mut String) {
    let wanted = &demands[demand];
    let bad = fits.iter().find_map(|fit| match shortfall(fit, demand) {
        Some(Shortfall::BadExpression(problem)) => Some(problem),
        _ => None,
    });
    if let Some(problem) = bad {
        // Writing into a string cannot fail.
        let _ = write!(
            text,
            "{} asks for {wanted}, which is no regular expression ({problem})",
            wanted.asked_by
        );
        return;
    }
    let _ = write!(text, "{} asks for {wanted}, which no agent has", wanted.asked_by);
    let values: BTreeSet<&str> = fits
        .iter()
        .filter_map(|fit| match shortfall(fit, demand) {
            Some(Shortfall::OtherValue(value)) => Some(value.as_str()),
            _ => None,
        })
        .collect();
    if !values.is_empty() {
        let values: Vec<String> = values
            .iter()
            .map(|value| format!("`{}`", inert(value, SHOWN)))
            .collect();
        let _ = write!(text, " (there is {})", listed(&values));
    }
}

fn shortfall(fit: &AgentFit, demand: usize) -> Option<&Shortfall> {
    fit.shortfalls
        .iter()
        .find(|(number, _)| *number == demand)
        .map(|(_, shortfall)| shortfall)
}

/// `a, b and c`, and how many more.
fn listed(all: &[String]) -> String {
    let mut named: Vec<String> = all.iter().take(NAMED).cloned().collect();
    if all.len() > NAMED {
        named.push(format!("{} more", all.len() - NAMED));
    }
    match named.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}
