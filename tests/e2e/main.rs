//! The whole product, from outside: the real binary, real git and hg, real hooks, real HTTP.

mod bitbucket_admin;
mod bitbucket_clients;
mod bitbucket_reading;
mod branch_permissions;
mod brokers;
mod brokers_support;
mod browse;
mod crash;
mod git_http;
mod hooks;
mod hostile_access;
mod hostile_git;
mod hostile_outage;
mod hostile_remote;
mod hostile_rest;
mod hostile_support;
mod hostile_webhook;
mod hostile_webhook_formats;
mod listening;
mod mercurial;
mod plan_files;
mod real_receivers;
mod repositories;
mod ssh;
mod telling;
mod watch;
