//! Variables of plans and builds (bamboo-rest.md 3.3, 5.5). Secret values are masked here, for all of them.

use super::super::node::{Document, List, Object};
use super::super::view::VariableView;

/// What stands in for a secret value.
const MASK: &str = "********";

/// `GET /plan/{plan}/variables`: a bare array.
#[must_use]
pub fn plan_variables(variables: &[VariableView]) -> Document {
    Document::new(
        "variables",
        List::new("variable", variables.iter().map(named_variable)),
    )
}

/// `GET /plan/{plan}/variables/{name}`
#[must_use]
pub fn plan_variable(variable: &VariableView) -> Document {
    Document::new("variable", named_variable(variable))
}

pub(super) fn named_variable(variable: &VariableView) -> Object {
    Object::new()
        .attribute("name", variable.name.as_str())
        .attribute("value", shown_value(variable))
}

pub(super) fn shown_value(variable: &VariableView) -> &str {
    if variable.is_password {
        MASK
    } else {
        &variable.value
    }
}
