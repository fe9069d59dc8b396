//! The parts that Mercurial repositories are served and read with.

use madake_vcs::hg::PoolLimits;
use madake_vcs::hg::read::HgReader;
use madake_vcs::hg::serve::ServeLimits;
use madake_vcs::hg::serve::http::HttpService;
use madake_vcs::process::HgProgram;
use tokio_util::task::TaskTracker;

use crate::home::Home;
use crate::settings::Settings;
use crate::{Engine, EngineError};

/// The `hg` program, fenced in, and what keeps processes of it.
#[derive(Debug)]
pub struct Mercurial {
    program: HgProgram,
    reader: HgReader,
    http: HttpService,
}

impl Mercurial {
    /// The parts for a home. Without them a server of Git repositories does as well, so the reason is kept and told to
    /// those who ask for a Mercurial repository.
    pub(crate) fn new(home: &Home, settings: &Settings, tails: &TaskTracker) -> Result<Self, String> {
        let program = HgProgram::new(&settings.hg, &home.hg_settings()).map_err(|error| error.to_string())?;
        let program = program.with_home(home.empty());
        let limits = PoolLimits::for_hg();
        Ok(Self {
            reader: HgReader::new(program.clone(), limits),
            http: HttpService::new(program.clone(), limits, ServeLimits::default(), tails.clone()),
            program,
        })
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &HgProgram {
        &self.program
    }

    /// The reader of repositories.
    #[must_use]
    pub fn reader(&self) -> &HgReader {
        &self.reader
    }

    /// What answers Mercurial's requests over HTTP.
    #[must_use]
    pub fn http(&self) -> &HttpService {
        &self.http
    }
}

impl Engine {
    /// What Mercurial repositories are served and read with.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`] when its settings cannot be kept in this home.
    pub fn mercurial(&self) -> Result<&Mercurial, EngineError> {
        self.mercurial_parts()
            .as_ref()
            .map_err(|reason| EngineError::Unavailable(format!("Mercurial cannot be used: {reason}")))
    }
}
