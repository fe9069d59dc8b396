//! Whole documents against the examples of bamboo-rest.md, with values of our own.

mod json;
mod properties;
mod samples;
mod wire;
mod xml;
