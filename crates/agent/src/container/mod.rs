//! Containers for jobs, through the HTTP interface of a container engine (Docker's, which Podman has too).
//!
//! One container for each attempt at a job. Its first process is a shell that does nothing, so that what one script
//! installs is there for the next; each script is an `exec` in it. The environment of scripts goes through the
//! interface, never onto an argument list. A file beside the order names the container, so that whoever finds the
//! job dead can remove it.

mod arguments;
mod client;
mod image;
mod leftovers;
mod pull;
mod request;
mod stream;

pub(crate) use client::{ContainerEngine, ContainerError};
pub(crate) use image::ImageName;
pub(crate) use leftovers::{ContainerNote, remove, remove_left_by, remove_of_dead_jobs};
pub(crate) use pull::pull;
pub(crate) use request::{ContainerPlace, ContainerRequest, RequestError};
pub(crate) use stream::Frames;
