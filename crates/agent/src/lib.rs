//! Takes a job, runs it, reports: workspace, checkout, tasks, log. The same code for every kind of agent.
