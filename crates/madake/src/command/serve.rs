//! `madake serve`: the server in the foreground, until it is told to stop.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use madake_engine::Engine;
use madake_engine::home::{Home, HomeLock};
use madake_server::base_url::base_url;
use madake_server::config::Configuration;
use madake_server::serve::PerAddress;
use madake_server::ssh::SshListener;
use madake_server::{App, build_router};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Global;

/// Where the server listens.
#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 picks a free one [default: 127.0.0.1:8085].
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,
    /// The address that links start with, for servers behind a proxy.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// How jobs are kept apart from the machine: auto, bubblewrap or process.
    #[arg(long, value_name = "WAY")]
    pub(crate) isolation: Option<String>,
}

/// A server that is ready and not yet serving.
pub(crate) struct Prepared {
    pub(crate) engine: Engine,
    pub(crate) base_url: String,
    /// The address that is listened on, whatever links start with.
    pub(crate) bound: SocketAddr,
    listener: TcpListener,
    socket: UnixListener,
    ssh: Option<SshListener>,
    trusted_proxies: Vec<madake_domain::address::AddressPattern>,
    per_address: PerAddress,
    _lock: HomeLock,
}

pub(crate) fn run(global: &Global, arguments: &Serve) -> anyhow::Result<ExitCode> {
    let home = Home::open(&global.home)?;
    let configuration = configuration(&home, arguments)?;
    crate::log::start(&configuration.log)?;
    runtime()?.block_on(async {
        let prepared = prepare(home, &configuration).await?;
        let stop = stop_on_signals()?;
        tracing::info!(
            "madake {} serves {} on {}; links start with {}",
            env!("CARGO_PKG_VERSION"),
            prepared.engine.home().root().display(),
            prepared.bound,
            prepared.base_url
        );
        anstream::println!("listening on http://{}", prepared.bound);
        serve(prepared, stop).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// The runtime of the server and of commands.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// File, environment and flags together.
pub(crate) fn configuration(home: &Home, arguments: &Serve) -> anyhow::Result<Configuration> {
    let mut configuration = Configuration::load(&home.configuration(), std::env::vars())?;
    if let Some(listen) = &arguments.listen {
        configuration.server.listen.clone_from(listen);
    }
    if let Some(base_url) = &arguments.base_url {
        configuration.server.base_url.clone_from(base_url);
    }
    if let Some(isolation) = &arguments.isolation {
        configuration.agent.isolation.clone_from(isolation);
    }
    Ok(configuration)
}

/// Takes the home, opens the store, binds the port, and takes up what was going on.
pub(crate) async fn prepare(home: Home, configuration: &Configuration) -> anyhow::Result<Prepared> {
    let lock = home.lock()?;
    let address = configuration.listen()?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))?;
    let bound = listener.local_addr().context("the listener has no address")?;
    let base_url = base_url(&configuration.server.base_url, bound);
    if bound.ip().is_unspecified() && configuration.server.base_url.is_empty() {
        tracing::info!(
            base_url,
            "links start with {base_url}: set server.base-url if others reach this server elsewhere"
        );
    }
    let ssh = match configuration.ssh_listen()? {
        Some(address) => Some(SshListener::bind(address, &home.ssh_host_key()).await?),
        None => None,
    };
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let path = home.socket();
    // Before anybody is told that the server listens: hooks find it by this.
    let socket = madake_server::serve::bind_socket(&path).with_context(|| {
        format!(
            "cannot make {}; a home with a shorter path may do",
            path.display()
        )
    })?;
    let trusted_proxies = configuration.trusted_proxies()?;
    let engine = Engine::open(home, configuration.settings(&base_url, program)?)?;
    engine.start().await?;
    Ok(Prepared {
        engine,
        base_url,
        bound,
        listener,
        socket,
        ssh,
        per_address: PerAddress::new(
            configuration.server.connections_per_address,
            trusted_proxies.clone(),
        ),
        trusted_proxies,
        _lock: lock,
    })
}

/// Serves until `stop`, then lets requests end and stops the engine. Jobs go on.
pub(crate) async fn serve(prepared: Prepared, stop: CancellationToken) -> anyhow::Result<()> {
    let ssh_address = prepared.ssh.as_ref().map(|ssh| ssh.address(&prepared.base_url));
    let app = App::new(prepared.engine.clone(), prepared.trusted_proxies).with_ssh(ssh_address.as_deref());
    let ssh = prepared
        .ssh
        .map(|ssh| tokio::spawn(ssh.serve(prepared.engine.clone(), stop.clone())));
    madake_server::serve::serve(
        prepared.listener,
        prepared.socket,
        build_router(&app),
        prepared.per_address,
        stop,
    )
    .await;
    if let Some(ssh) = ssh {
        ssh.await.context("the SSH server ended early")?;
    }
    // A socket that is left behind is replaced by the next server.
    let _ = std::fs::remove_file(prepared.engine.home().socket());
    prepared.engine.stop().await;
    tracing::info!("stopped; jobs that were running go on and are adopted by the next start");
    Ok(())
}

/// Cancelled by SIGTERM or SIGINT.
pub(crate) fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let cancelled = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        cancelled.cancel();
    });
    Ok(stop)
}
