//! Tasks over SSH (bamboo-specs.md 4.4).

use madake_domain::plan::{RemoteAuthentication, RemoteLogin, ScpTask, SshTask, Task, TaskAction};

use super::fields::Fields;
use super::item::Item;
use super::task::Common;
use super::{Context, scalar};
use crate::language::task as language;
use crate::report::Finding;
use crate::yaml::Node;

pub(super) fn ssh(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut fields = item.options(cx, &language::SSH)?;
    let common = Common::of(cx, &mut fields);
    let login = login(cx, &mut fields);
    let command = fields.need_joined(cx, "command", "\n");
    fields.finish(cx);
    Some(common.task(TaskAction::Ssh(SshTask {
        login: login?,
        command: command?,
    })))
}

pub(super) fn scp(cx: &mut Context<'_>, item: &Item<'_>) -> Option<Task> {
    let mut fields = item.options(cx, &language::SCP)?;
    let common = Common::of(cx, &mut fields);
    let login = login(cx, &mut fields);
    let local_path = fields
        .need(cx, "local-path")
        .map(|node| scalar::texts(cx, node, "`local-path`").join(","));
    let use_ant_pattern = fields.flag(cx, "use-ant-pattern").unwrap_or(false);
    let destination_path = fields.text_or_empty(cx, "destination-path");
    fields.finish(cx);
    Some(common.task(TaskAction::Scp(ScpTask {
        login: login?,
        local_path: local_path?,
        use_ant_pattern,
        destination_path,
    })))
}

/// Machines, port and user, of a task whose table has them all.
fn login(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Option<RemoteLogin> {
    let host = fields.need(cx, "host");
    let port_node = fields.take("port");
    let port = port_node
        .and_then(|node| scalar::number(cx, node, "`port`", 1))
        .map(u16::try_from);
    if let (Some(node), Some(Err(_))) = (port_node, &port) {
        scalar::wrong_type(cx, node, "`port`", "a number up to 65535");
    }
    let port = port.and_then(Result::ok);
    let host_fingerprint = fields.text(cx, "host-fingerprint");
    let (username, authentication) = match fields.take("authentication") {
        Some(node) => authentication(cx, node)?,
        None => (String::new(), RemoteAuthentication::Agent),
    };
    let host = host?;
    let mut hosts: Vec<String> = Vec::new();
    for (text, node) in scalar::placed_texts(cx, host, "`host`") {
        let names = text.split(|c: char| c == ',' || c.is_whitespace());
        for name in names.filter(|name| !name.is_empty()) {
            if name.starts_with('-') {
                let message = format!("`{}` is not the name of a machine", crate::report::shown(name));
                cx.add(Finding::error("bad-address", node.span, message));
                return None;
            }
            hosts.push(name.to_owned());
        }
    }
    if hosts.is_empty() {
        cx.add(Finding::error("empty", host.span, "`host` names no machine"));
        return None;
    }
    Some(RemoteLogin {
        hosts,
        port,
        host_fingerprint,
        username,
        authentication,
    })
}

fn authentication(cx: &mut Context<'_>, node: &Node) -> Option<(String, RemoteAuthentication)> {
    let mut fields = Fields::of(cx, node, &language::AUTHENTICATION_SECTION)?;
    let username = fields.text_or_empty(cx, "username");
    let mut secret = |cx: &mut Context<'_>, key: &'static str| {
        let node = fields.take(key)?;
        scalar::secret(cx, node, key)
    };
    let password = secret(cx, "password");
    let key = secret(cx, "ssh-key");
    let passphrase = secret(cx, "ssh-key-passphrase");
    let shared = fields
        .take("shared-credentials")
        .and_then(|node| credential(cx, node));
    fields.finish(cx);
    let authentication = match (shared, key, password) {
        (Some(name), _, _) => RemoteAuthentication::Shared { name },
        (None, Some(key), _) => RemoteAuthentication::Key { key, passphrase },
        (None, None, Some(password)) => RemoteAuthentication::Password { password },
        (None, None, None) => RemoteAuthentication::Agent,
    };
    Some((username, authentication))
}

/// The name of a credential that the server keeps.
fn credential(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let name = scalar::non_empty_text(cx, node, "`shared-credentials`")?;
    cx.credential(node.span, &name);
    Some(name)
}
