//! Third-party calls that a push or a build result becomes: typed settings and an event in, calls out. No I/O.
//!
//! The way through: [`Broker::new`] checks settings by the [`catalogue`]; [`Broker::calls`] gives the [`Call`]s for
//! a [`BrokerEvent`]; whoever carries one out asks [`Exchange::next`] what to send, sends it through the guard of
//! outgoing requests, and asks again with the answer, until there is a [`Verdict`]. [`Broker::preview`] shows what
//! would be sent.
//!
//! What holds for every broker: words of strangers (messages, names of branches and people) mention nobody, make
//! no link, end no header and close no JSON string; secrets show themselves nowhere; a refusal of the receiver
//! becomes a sentence that says how to mend it; no input panics.
//!
//! # Adding a broker in an afternoon
//!
//! 1. Write `services/<name>.rs`. `services/gitlab.rs` is a good one to begin from, `services/slack.rs` for chats,
//!    `services/matrix.rs` where one answer decides the next request.
//!    - `TYPE`: key, title, one sentence, the settings. `events` and `refs` are there for every type.
//!    - a struct of typed settings and `read`, which takes them from the `Reader`. It hands out values
//!      of the right type and collects mistakes; add `problem`s for what only this type knows.
//!    - `impl Service`: `calls` makes requests with `HttpCall::post(..).bearer(..).json(..)`. Give every call a key
//!      that is the same at each attempt. Mark what must be covered with `secret`.
//!    - `judge`: `answer.judged("Product", &[(404, "check `this`")])`, with the product's own peculiarities before.
//! 2. Add the module to `services/mod.rs` and `TYPE` to `CATALOGUE`.
//! 3. Add settings of the type to `tests/it/fixture.rs`. The tests that go through the whole catalogue then check
//!    it with hostile events; `tests/it/golden.rs` wants to see what it sends, `tests/it/answers.rs` what its
//!    receiver's answers mean.
//!
//! Where a template is enough, no code is needed at all: the type `http` calls any address.

mod address;
mod answer;
mod broker;
mod call;
pub mod catalogue;
mod chat;
pub mod chat_letter;
mod covered;
pub mod event;
mod issues;
mod refs;
mod sample;
mod secret;
mod services;
mod settings;
mod template;
mod wishes;

pub use address::{Address, AddressProblem};
pub use answer::{Answer, Verdict};
pub use broker::{Broker, MAX_CALLS, Planned, Preview};
pub use call::{
    Action, Call, Exchange, Execution, HttpCall, MAX_STEPS, Mail, Method, PatchWanted, ShownCall, Step,
};
pub use catalogue::{BrokerType, CATALOGUE, Field, FieldKind, Takes, UnknownType, find};
pub use covered::{canonical_settings, shown_settings, uncovered_settings};
pub use event::{BrokerEvent, EventKind};
pub use refs::{PatternProblem, RefFilter, Targets};
pub use sample::{sample, sample_build, sample_push};
pub use secret::{COVER, Secret};
pub use settings::{Allowed, SettingProblem, Settings};
pub use template::{Escape, Template, TemplateError};
pub use wishes::Wishes;
