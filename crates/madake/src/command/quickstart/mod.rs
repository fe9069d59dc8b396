//! `madake quickstart`: an empty home, a sample repository with a plan, a push, the build as it runs, and the
//! server goes on.

mod sample;
mod story;

use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use madake_engine::home::Home;
use madake_server::App;
use madake_server::config::Configuration;
use serde_json::Value;

use super::Global;
use super::serve::{Prepared, Serve, configuration, prepare, runtime, serve, stop_on_signals};
use crate::connection::{Connection, at};
use crate::terminal::{DIM, list, paint, say};
use story::Ending;

/// Try it: an empty home, a sample repository and plan, a push, a build.
#[derive(Debug, Args)]
pub(crate) struct Quickstart {
    /// End after the build, with its verdict as exit code.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    serve: Serve,
}

pub(super) fn run(global: &Global, quickstart: &Quickstart) -> anyhow::Result<ExitCode> {
    refuse_used_home(global)?;
    let home = Home::open(&global.home)?;
    let mut configuration = configuration(&home, &quickstart.serve)?;
    let log = home.root().join("quickstart.log");
    crate::log::start_in_file(&configuration.log, &log)?;
    let runtime = runtime()?;
    let ending = runtime.block_on(async {
        let chosen = quickstart.serve.listen.is_some();
        let prepared = prepare_anywhere(&home, &mut configuration, chosen).await?;
        let stop = stop_on_signals()?;
        say(format_args!("listening on http://{}", prepared.bound))?;
        let app = App::new(prepared.engine.clone(), Vec::new());
        let connection = Connection::within(&app, tokio::runtime::Handle::current());
        let (home_path, base_url, bound) = (global.home.clone(), prepared.base_url.clone(), prepared.bound);
        let (once, told) = (quickstart.once, stop.clone());
        let serving = tokio::spawn(serve(prepared, stop.clone()));
        let story = tokio::task::spawn_blocking(move || {
            let scene = story::Scene {
                connection: &connection,
                home: &home_path,
                base_url: &base_url,
                bound,
                once,
                cancelled: &|| told.is_cancelled(),
            };
            story::tell(&scene)
        });
        let ending = story.await.context("the story ended early")?;
        if quickstart.once || ending.is_err() {
            stop.cancel();
        } else {
            stop.cancelled().await;
            say("")?;
            say(paint(
                DIM,
                "stopping; running jobs go on and are taken up by the next start",
            ))?;
        }
        serving.await.context("the server ended early")??;
        ending
    });
    let ending = ending.with_context(|| format!("the log is {}", log.display()));
    Ok(match ending? {
        Ending::Successful => ExitCode::SUCCESS,
        Ending::Unsuccessful if quickstart.once => ExitCode::FAILURE,
        Ending::Cancelled if quickstart.once => ExitCode::FAILURE,
        Ending::Unsuccessful | Ending::Cancelled => ExitCode::SUCCESS,
    })
}

/// The sample is for homes that nobody uses.
fn refuse_used_home(global: &Global) -> anyhow::Result<()> {
    if !global.home.join("madake.db").exists() {
        return Ok(());
    }
    let connection = Connection::look(global)?;
    if matches!(std::env::var("MADAKE_URL"), Ok(url) if !url.is_empty()) {
        bail!("MADAKE_URL names a server, and quickstart makes its own: unset it first");
    }
    let used = |answer: &Value, name: &str| !list(answer, name).is_empty();
    if used(&connection.get(at(&["users"]))?, "users")
        || used(&connection.get(at(&["repositories"]))?, "repositories")
    {
        let home = global.home.display();
        bail!(
            "{home} is in use already, and quickstart wants an empty home: run it with `madake serve --home {home}`, \
             or try quickstart with another --home"
        );
    }
    Ok(())
}

/// Binds the address that was asked for; where none was, a taken one is no reason to give up.
async fn prepare_anywhere(
    home: &Home,
    configuration: &mut Configuration,
    chosen: bool,
) -> anyhow::Result<Prepared> {
    let first = prepare(home.clone(), configuration).await;
    let taken = |error: &anyhow::Error| {
        error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == ErrorKind::AddrInUse)
    };
    match first {
        Err(error) if !chosen && taken(&error) => {
            configuration.server.listen = "127.0.0.1:0".into();
            prepare(home.clone(), configuration).await
        }
        other => other,
    }
}
