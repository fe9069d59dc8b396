//! Git over HTTP as it is usually served, a peer: nginx, fcgiwrap and git's own `http-backend`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

use super::Setting;
use super::http::{basic, free_port};
use super::machine::wait_for;
use super::server::Server;
use super::work_tree::git;
use crate::prerequisites::{Prerequisite, install_missing};
use crate::process::{answers, output_of};

const NAME: &str = "bench";
const PASSWORD: &str = "only-for-measurements";

/// How many requests git's program serves at the same time.
const PROCESSES: usize = 4;

const NEEDED: [Prerequisite; 3] = [
    Prerequisite {
        package: "nginx-light",
        is_there: || answers("nginx", "-v"),
    },
    Prerequisite {
        package: "fcgiwrap",
        is_there: || answers("fcgiwrap", "-h"),
    },
    Prerequisite {
        package: "curl",
        is_there: || answers("curl", "--version"),
    },
];

/// A running nginx with its fcgiwrap; both are killed when this is dropped.
#[derive(Debug)]
pub(crate) struct GitServer {
    fcgiwraps: Vec<Child>,
    nginx: Option<Server>,
    /// The address that it is pushed to.
    pub(crate) url: String,
}

impl Drop for GitServer {
    fn drop(&mut self) {
        if let Some(nginx) = self.nginx.take() {
            // nginx ends its workers only when it is asked to end.
            let _ = nginx.stop();
        }
        for fcgiwrap in &mut self.fcgiwraps {
            let _ = fcgiwrap.kill();
            let _ = fcgiwrap.wait();
        }
    }
}

/// Installs what is missing of nginx, fcgiwrap and curl.
///
/// # Errors
/// When it cannot be installed.
pub(crate) fn install() -> anyhow::Result<()> {
    install_missing(&NEEDED)
}

/// The Authorization header of pushes.
pub(crate) fn credentials() -> String {
    basic(NAME, PASSWORD)
}

impl GitServer {
    /// Makes a bare repository below `folder` and serves it. `hook` becomes its post-receive hook.
    ///
    /// # Errors
    /// When a program fails or does not come up.
    pub(crate) fn start(setting: &Setting, folder: &Path, hook: Option<&str>) -> anyhow::Result<Self> {
        let root = folder.join("repositories");
        let repository = root.join("bench.git");
        std::fs::create_dir_all(&repository)?;
        output_of(&mut git(
            &repository,
            None,
            &["init", "-q", "--bare", "-b", "main"],
        ))?;
        output_of(&mut git(
            &repository,
            None,
            &["config", "http.receivepack", "true"],
        ))?;
        if let Some(hook) = hook {
            use std::os::unix::fs::PermissionsExt as _;
            let path = repository.join("hooks/post-receive");
            std::fs::create_dir_all(repository.join("hooks"))?;
            std::fs::write(&path, hook)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
        let address = format!("127.0.0.1:{}", free_port()?);
        let mut server = Self {
            fcgiwraps: Vec::new(),
            nginx: None,
            url: format!("http://{address}/git/bench.git"),
        };
        // Each is one process: of one with several, the first would leave the others behind when it is killed.
        let sockets: Vec<PathBuf> = (0..PROCESSES)
            .map(|number| folder.join(format!("fcgi-{number}.sock")))
            .collect();
        let log = std::fs::File::create(folder.join("fcgiwrap.log"))?;
        for socket in &sockets {
            let fcgiwrap = setting
                .pinning
                .server(Path::new("fcgiwrap"))
                .args(["-c", "1", "-s", &format!("unix:{}", socket.display())])
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log.try_clone()?)
                .spawn()
                .context("cannot start fcgiwrap")?;
            server.fcgiwraps.push(fcgiwrap);
            wait_for(Duration::from_secs(10), || socket.exists().then_some(()))
                .context("fcgiwrap does not make its socket")?;
        }
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, configured(folder, &address, &root, &sockets)?)?;
        std::fs::write(folder.join("ready"), "ready\n")?;
        std::fs::write(folder.join("users"), format!("{NAME}:{{PLAIN}}{PASSWORD}\n"))?;
        let mut command = setting.pinning.server(Path::new("nginx"));
        command
            .arg("-c")
            .arg(&configuration)
            .arg("-e")
            .arg(folder.join("nginx.log"));
        server.nginx = Some(
            Server::start(command, &folder.join("nginx.log"), &address, "/ready", &[]).context("nginx")?,
        );
        Ok(server)
    }
}

fn configured(folder: &Path, address: &str, root: &Path, sockets: &[PathBuf]) -> anyhow::Result<String> {
    let programs = output_of(Command::new("git").arg("--exec-path"))?;
    let own = Path::new(programs.trim()).join("git-http-backend");
    let backend = if own.exists() {
        own
    } else {
        PathBuf::from("/usr/lib/git-core/git-http-backend")
    };
    let user = if output_of(Command::new("id").arg("-u"))?.trim() == "0" {
        "user root;"
    } else {
        ""
    };
    let folder = folder.display();
    let upstream: String = sockets
        .iter()
        .map(|socket| format!("server unix:{};", socket.display()))
        .collect();
    Ok(format!(
        "{user} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n\
         events {{}}\n\
         http {{\n\
         access_log off; client_max_body_size 0;\n\
         client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;\n\
         uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;\n\
         upstream git {{ {upstream} }}\n\
         server {{\n\
         listen {address};\n\
         location = /ready {{ root {folder}; }}\n\
         location ~ ^/git(/.*)$ {{\n\
         auth_basic bench; auth_basic_user_file {folder}/users;\n\
         fastcgi_pass git;\n\
         fastcgi_param SCRIPT_FILENAME {backend};\n\
         fastcgi_param GIT_PROJECT_ROOT {root}; fastcgi_param GIT_HTTP_EXPORT_ALL 1;\n\
         fastcgi_param PATH_INFO $1; fastcgi_param REMOTE_USER $remote_user; fastcgi_param REMOTE_ADDR $remote_addr;\n\
         fastcgi_param QUERY_STRING $query_string; fastcgi_param REQUEST_METHOD $request_method;\n\
         fastcgi_param CONTENT_TYPE $content_type; fastcgi_param CONTENT_LENGTH $content_length;\n\
         fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding; fastcgi_param GIT_PROTOCOL $http_git_protocol;\n\
         }}\n}}\n}}\n",
        backend = backend.display(),
        root = root.display()
    ))
}
