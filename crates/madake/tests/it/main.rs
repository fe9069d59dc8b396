//! The command line as scripts use it: the real program, each test in a home of its own.

mod commands;
mod hook;
mod place;
mod quickstart;
mod run;
mod serve;
mod specs;
