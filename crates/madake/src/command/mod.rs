//! The command line. Scripts rely on it: what is here stays (design.md, "The command line").

mod broker;
mod build;
mod capability;
mod credential;
mod deployment;
mod events;
mod group;
mod hearing;
mod hook;
mod key;
mod log;
mod mirror;
mod notification;
mod permission;
mod plan;
mod pull_requests;
mod quickstart;
mod receiver;
mod repo;
mod repo_attributes;
mod run;
mod serve;
mod server;
mod specs;
mod test;
mod token;
mod trigger;
mod user;
mod variable;
mod webhook;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// A self-hosted push-to-build server that speaks Bamboo and Bitbucket.
#[derive(Debug, Parser)]
#[command(
    name = "madake",
    version,
    propagate_version = true,
    after_help = "Commands find the server by the socket in the home, or by MADAKE_URL and MADAKE_TOKEN. Where no \
                  server runs, those that need none work on the home itself."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The folder with everything that the server keeps.
    #[arg(
        long,
        global = true,
        env = "MADAKE_HOME",
        default_value = "./madake-home",
        value_name = "DIR"
    )]
    pub(crate) home: PathBuf,
    /// Print JSON, for machines.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server.
    Serve(serve::Serve),
    /// Try it: an empty home, a sample repository and plan, a push, a build.
    Quickstart(quickstart::Quickstart),
    /// Create, attach, link and list repositories.
    #[command(subcommand)]
    Repo(repo::Repo),
    /// Put our hook into attached repositories.
    #[command(subcommand)]
    Hook(hook::Hook),
    /// Addresses at which other forges tell us of pushes.
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    /// Who is told of pushes.
    #[command(subcommand)]
    Receiver(receiver::Receiver),
    /// What became of telling them.
    #[command(subcommand)]
    Delivery(receiver::Delivery),
    /// What people are told of builds; who watches plans, who is responsible.
    #[command(subcommand)]
    Notification(notification::Notification),
    /// Add and list users.
    #[command(subcommand)]
    User(user::User),
    /// Create, fill and list groups.
    #[command(subcommand)]
    Group(group::Group),
    /// Create, list and revoke access tokens.
    #[command(subcommand)]
    Token(token::Token),
    /// Register, list and remove SSH keys of users and repositories.
    #[command(subcommand)]
    Key(key::Key),
    /// Grant, revoke and list permissions.
    #[command(subcommand)]
    Permission(permission::Permission),
    /// See what describes a plan, and decide whose it is.
    #[command(subcommand)]
    Plan(plan::Plan),
    /// Look for changes of a plan now, as the remote trigger does.
    Trigger(trigger::Trigger),
    /// Queue, follow, continue and stop builds.
    #[command(subcommand)]
    Build(build::Build),
    /// Say what the built-in agents can do.
    #[command(subcommand)]
    Capability(capability::Capability),
    /// Look at tests of plans, and take some out of the reckoning for a while.
    #[command(subcommand)]
    Test(test::Test),
    /// Release results, deploy releases to environments, and see what is where.
    #[command(subcommand)]
    Deployment(deployment::Deployment),
    /// Set, list and remove variables of the server, of projects and of plans.
    #[command(subcommand)]
    Variable(variable::Variable),
    /// Keep what plans log in with elsewhere, and say who may use it.
    #[command(subcommand)]
    Credential(credential::Credential),
    /// Take lines that leaked something out of the logs of jobs.
    #[command(subcommand)]
    Log(log::Log),
    /// Say why something was built, or was not.
    Why(why::Why),
    /// List what arrived, newest first.
    Events(events::Events),
    /// See how the server stands; hold new jobs back, or let them go.
    #[command(subcommand)]
    Server(server::Server),
    /// Run the plan of a work tree here, without a server.
    Run(run::Run),
    /// Check plan files.
    #[command(subcommand)]
    Specs(specs::Specs),
}

/// Does it.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let Arguments { global, command } = arguments;
    let done = |outcome: anyhow::Result<()>| outcome.map(|()| ExitCode::SUCCESS);
    match command {
        Command::Serve(serve) => serve::run(&global, &serve),
        Command::Quickstart(quickstart) => quickstart::run(&global, &quickstart),
        Command::Repo(repo) => done(repo::run(&global, repo)),
        Command::Hook(hook) => hook::run(&global, hook),
        Command::Webhook(webhook) => done(webhook::run(&global, webhook)),
        Command::Receiver(receiver) => done(receiver::run(&global, receiver)),
        Command::Delivery(delivery) => done(receiver::run_delivery(&global, &delivery)),
        Command::Notification(command) => done(notification::run(&global, command)),
        Command::User(user) => done(user::run(&global, user)),
        Command::Group(group) => done(group::run(&global, group)),
        Command::Token(token) => done(token::run(&global, token)),
        Command::Key(key) => done(key::run(&global, key)),
        Command::Permission(permission) => done(permission::run(&global, permission)),
        Command::Plan(plan) => done(plan::run(&global, &plan)),
        Command::Trigger(trigger) => done(trigger::run(&global, &trigger)),
        Command::Build(build) => build::run(&global, build),
        Command::Capability(capability) => done(capability::run(&global, capability)),
        Command::Test(test) => done(test::run(&global, test)),
        Command::Deployment(deployment) => deployment::run(&global, deployment),
        Command::Variable(variable) => done(variable::run(&global, variable)),
        Command::Credential(credential) => done(credential::run(&global, credential)),
        Command::Log(log) => done(log::run(&global, log)),
        Command::Why(why) => done(why::run(&global, &why)),
        Command::Events(events) => done(events::run(&global, &events)),
        Command::Server(server) => done(server::run(&global, &server)),
        Command::Run(run) => run::run(&global, &run),
        Command::Specs(specs) => specs::run(&global, specs),
    }
}
