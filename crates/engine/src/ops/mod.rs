//! The operations of the product, one verb a file. Each checks permissions itself.

pub mod attach_repository;
pub mod change_group;
pub mod change_permission;
pub mod continue_build;
pub mod create_branch;
pub mod create_repository;
pub mod create_token;
pub mod create_user;
pub mod create_webhook;
pub mod enable_plan;
pub mod explain;
pub mod install_hook;
pub mod keep_receiver;
pub mod link_repository;
pub mod log_in;
pub mod pause_server;
pub mod receive_hook;
pub mod receive_push;
pub mod receive_webhook;
pub mod redeliver;
pub mod remove_repository;
pub mod set_credential;
pub mod ssh_keys;
pub mod stop_build;
pub mod trigger_build;
pub mod trigger_remotely;
