//! Variables that people set (bamboo-rest.md 2, 10). Values of secrets are never there to be shown.

use super::super::link::self_link;
use super::super::node::{Document, List, Object};
use super::super::paging::{Page, collection};

/// What stands in for a secret value.
const MASK: &str = "********";

/// A variable that somebody set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetVariableView {
    /// The row's id.
    pub id: i64,
    /// The name.
    pub name: String,
    /// The value; `None`: it is a secret.
    pub value: Option<String>,
    /// The address of a global one.
    pub href: String,
}

/// `GET /rest/admin/latest/globalVariables`
#[must_use]
pub fn global_variables(page: &Page, items: &[SetVariableView], total: usize, href: String) -> Document {
    let items = items.iter().map(|one| global(one).into()).collect();
    Document::new(
        "globalVariables",
        Object::new().element("link", self_link(href)).element(
            "globalVariables",
            collection(total, *page, "globalVariable", items),
        ),
    )
}

/// `GET /rest/admin/latest/globalVariables/{id}`
#[must_use]
pub fn global_variable(one: &SetVariableView) -> Document {
    Document::new("globalVariable", global(one))
}

/// `GET /project/{key}/variables`: a bare array.
#[must_use]
pub fn set_variables(all: &[SetVariableView]) -> Document {
    Document::new("variables", List::new("variable", all.iter().map(plain)))
}

/// `GET /project/{key}/variable/{name}`
#[must_use]
pub fn set_variable(one: &SetVariableView) -> Document {
    Document::new("variable", plain(one))
}

fn plain(one: &SetVariableView) -> Object {
    Object::new()
        .attribute("name", one.name.as_str())
        .attribute("value", one.value.as_deref().unwrap_or(MASK))
}

fn global(one: &SetVariableView) -> Object {
    Object::new()
        .attribute("id", one.id)
        .attribute("name", one.name.as_str())
        .attribute("value", one.value.as_deref().unwrap_or(MASK))
        .attribute("encrypted", one.value.is_none())
        .element("link", self_link(one.href.clone()))
}
