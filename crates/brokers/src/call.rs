//! What is to be done for an event, as data: requests, mails and program runs that somebody else carries out.
//!
//! A call holds secrets and follows from settings and event alone. So store the event and [`Call::key`], not the
//! call, and ask for the calls again at each attempt.

use std::fmt;
use std::sync::Arc;

use crate::answer::{Answer, Verdict};
use crate::secret::{Secret, basic, covered};

/// The most requests that one exchange makes.
pub const MAX_STEPS: usize = 3;

/// One call of a broker.
#[derive(Debug, Clone)]
pub struct Call {
    /// Names this call among those of its event, the same at each attempt: `PROJ-PLAN`, `refs/heads/main`.
    pub key: String,
    /// What it does, for people and logs, without secrets: `queue PROJ-PLAN`.
    pub title: String,
    /// What is to be done.
    pub action: Action,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Action {
    /// One or more HTTP requests.
    Http(Exchange),
    /// A mail.
    Mail(Mail),
    /// A run of a program.
    Execute(Execution),
}

/// One or more requests, each after the answer of the one before. It keeps no state: give it the answers so far.
#[derive(Clone)]
pub struct Exchange(Arc<dyn Dialogue>);

/// What follows from the answers so far.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Send this, and ask again with its answer appended.
    Send(HttpCall),
    /// The call has ended.
    End(Verdict),
}

impl Exchange {
    pub(crate) fn new(dialogue: impl Dialogue + 'static) -> Self {
        Self(Arc::new(dialogue))
    }

    /// One request whose answer is judged by `judge`.
    pub(crate) fn once(request: HttpCall, judge: fn(&Answer) -> Verdict) -> Self {
        Self::new(Once { request, judge })
    }

    /// The next step, given every answer since the start of this attempt; none yet gives the first request. After
    /// [`MAX_STEPS`] answers it always ends.
    #[must_use]
    pub fn next(&self, answers: &[Answer]) -> Step {
        match self.0.next(answers) {
            Step::Send(_) if answers.len() >= MAX_STEPS => Step::End(Verdict::Refused(
                "the receiver asked for more steps than there are".to_owned(),
            )),
            Step::End(verdict) => Step::End(self.covered(verdict, answers)),
            step => step,
        }
    }
}

impl Exchange {
    /// A receiver may repeat what it was sent; the secrets of every request so far are covered in its words.
    fn covered(&self, verdict: Verdict, answers: &[Answer]) -> Verdict {
        let requests = (0..answers.len()).filter_map(|count| match self.0.next(&answers[..count]) {
            Step::Send(request) => Some(request),
            Step::End(_) => None,
        });
        requests.fold(verdict, |verdict, request| match verdict {
            Verdict::Ok(note) => Verdict::Ok(note.map(|words| request.cover(&words))),
            Verdict::Retry(words) => Verdict::Retry(request.cover(&words)),
            Verdict::Refused(words) => Verdict::Refused(request.cover(&words)),
        })
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchange").field(&self.next(&[])).finish()
    }
}

/// A conversation with a receiver.
pub(crate) trait Dialogue: Send + Sync {
    /// The next step after these answers.
    fn next(&self, answers: &[Answer]) -> Step;
}

struct Once {
    request: HttpCall,
    judge: fn(&Answer) -> Verdict,
}

impl Dialogue for Once {
    fn next(&self, answers: &[Answer]) -> Step {
        match answers.first() {
            None => Step::Send(self.request.clone()),
            Some(answer) => Step::End((self.judge)(answer)),
        }
    }
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// As it is written on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One HTTP request. `Debug` covers its secrets.
#[derive(Clone, PartialEq)]
pub struct HttpCall {
    /// The method.
    pub method: Method,
    /// The address, without name and password. May hold secrets: show [`HttpCall::shown`] instead.
    pub url: String,
    /// The headers in order, `Content-Type` and `Authorization` among them. No value has a line break.
    pub headers: Vec<(String, String)>,
    /// The body, empty for none.
    pub body: Vec<u8>,
    secrets: Vec<Secret>,
}

/// A request with its secrets covered, for logs and previews.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCall {
    /// The method.
    pub method: &'static str,
    /// The address.
    pub url: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl HttpCall {
    pub(crate) fn new(method: Method, url: impl Into<String>) -> Self {
        let headers = vec![("User-Agent".to_owned(), "Madake".to_owned())];
        Self {
            method,
            url: url.into(),
            headers,
            body: Vec::new(),
            secrets: Vec::new(),
        }
    }

    pub(crate) fn post(url: impl Into<String>) -> Self {
        Self::new(Method::Post, url)
    }

    /// Adds a header. Characters that would end the value or begin another header are left out.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        self.headers.push((name.to_owned(), value));
        self
    }

    pub(crate) fn body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut call = self.header("Content-Type", content_type);
        call.body = body.into();
        call
    }

    pub(crate) fn json(self, value: &serde_json::Value) -> Self {
        self.body("application/json", value.to_string())
    }

    pub(crate) fn form<'a>(self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Something that must be covered wherever this request or its answer is shown.
    pub(crate) fn secret(mut self, secret: &Secret) -> Self {
        if !secret.is_empty() {
            self.secrets.push(secret.clone());
        }
        self
    }

    pub(crate) fn basic(self, user: &str, password: &Secret) -> Self {
        let value = basic(user, password);
        let call = self.secret(password).secret(&value);
        call.header("Authorization", value.reveal())
    }

    pub(crate) fn bearer(self, token: &Secret) -> Self {
        let call = self.secret(token);
        call.header("Authorization", &format!("Bearer {}", token.reveal()))
    }

    /// The request with its secrets covered.
    #[must_use]
    pub fn shown(&self) -> ShownCall {
        ShownCall {
            method: self.method.as_str(),
            url: self.cover(&self.url),
            headers: self
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), self.cover(value)))
                .collect(),
            body: self.cover(&String::from_utf8_lossy(&self.body)),
        }
    }

    /// A text with the secrets of this request covered: for answers, which may reflect what was sent.
    #[must_use]
    pub fn cover(&self, text: &str) -> String {
        covered(text, &self.secrets)
    }
}

impl fmt::Debug for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), f)
    }
}

/// A mail. No line of its head can hold a line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The addresses, checked for form.
    pub to: Vec<String>,
    /// Where answers go, if not to the sender.
    pub reply_to: Option<String>,
    /// The subject, one line.
    pub subject: String,
    /// The text, lines end in `\n`.
    pub text: String,
    /// A patch to be fetched and attached.
    pub patch: Option<PatchWanted>,
}

/// A patch that a mail wants, to be made by whoever can read the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchWanted {
    /// From and to, full ids; from is none for everything that a new ref brought.
    pub ranges: Vec<(Option<String>, String)>,
    /// The name of the attachment.
    pub file_name: String,
    /// A longer patch is cut at a line, with a line that says so.
    pub max_bytes: u64,
}

/// A run of a program that an administrator allowed, sandboxed like a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execution {
    /// The absolute path of the program. It gets no argument.
    pub program: String,
    /// The event as JSON, one line, for standard input.
    pub stdin: Vec<u8>,
    /// After this it is ended, in seconds.
    pub timeout_s: u64,
}

impl Execution {
    /// What the end of the program means: 0 is success, 75 (`EX_TEMPFAIL`) asks for another attempt, everything
    /// else is a refusal. None stands for a program that was ended, by a signal or by its time limit.
    #[must_use]
    pub fn judge(&self, exit_code: Option<i32>) -> Verdict {
        match exit_code {
            Some(0) => Verdict::Ok(None),
            Some(75) => Verdict::Retry("the program asked for another attempt (exit code 75)".to_owned()),
            Some(code) => Verdict::Refused(format!(
                "the program ended with code {code}; its standard error says why. End with 75 to be run again later"
            )),
            None => Verdict::Retry(format!(
                "the program was ended by a signal or its time limit of {} s; `timeout` sets the limit",
                self.timeout_s
            )),
        }
    }
}
