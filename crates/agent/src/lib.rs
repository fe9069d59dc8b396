//! Takes a job, runs it, reports: workspace, checkout, tasks, log. The same code for every kind of agent.
//!
//! A job runs in a process of its own, the [`supervisor`], so that the end of the server is not the end of the
//! job. Server and supervisor talk through files alone: the [`job_directory`] and the job's log. [`local`] is
//! the server's side of it: it starts supervisors, waits for them, and finds them again after a restart.
//!
//! Linux only: sessions, `/proc` and child subreapers are what keeps a job's processes together.

pub mod artifact;
mod bubblewrap;
pub mod capability_detection;
mod clock;
mod container;
mod environment;
pub mod isolation;
pub mod job_directory;
pub mod local;
mod lock;
mod log;
pub mod log_note;
pub mod log_tail;
pub mod private_key;
mod processes;
pub mod program;
mod remote;
mod secret_watch;
pub mod supervisor;
pub mod test_reports;
pub mod workspaces;
