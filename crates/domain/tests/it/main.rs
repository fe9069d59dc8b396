//! The stage machine, the selection of stages and the line of waiting revisions, from outside: tables, properties
//! over random plans and calls, and a seeded simulation with lost messages.

mod plan_stored;
mod schedule;
mod schedule_fixture;
mod schedule_properties;
mod schedule_reports;
mod schedule_simulation;
mod schedule_summary;
mod stage_selection;
mod waiting;
