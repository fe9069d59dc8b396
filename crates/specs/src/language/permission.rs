//! Permissions of plans, deployment projects and environments (bamboo-specs.md 12, 14).

use super::plan::{SERVER_NAME, VERSION};
use super::{Key, Section, Shape, key};

/// Permissions of a plan.
pub(crate) const PLAN_LIST: Shape = Shape::List(&Shape::Map(&PLAN_GRANT));

/// What may be done with a plan.
pub(crate) const PLAN_PERMISSIONS: [&str; 7] = [
    "view",
    "edit",
    "build",
    "clone",
    "admin",
    "view-configuration",
    "create-plan-branch",
];

/// What may be done with a deployment project.
pub(crate) const DEPLOYMENT_PERMISSIONS: [&str; 7] = [
    "view",
    "view-configuration",
    "edit",
    "clone",
    "admin",
    "approve-release",
    "create-release",
];

/// What may be done with an environment.
pub(crate) const ENVIRONMENT_PERMISSIONS: [&str; 4] = ["view", "view-configuration", "edit", "deploy"];

const USERS: Key = key("users", Shape::Texts, "Users by name.");
const GROUPS: Key = key("groups", Shape::Texts, "Groups by name.");
const ROLES: Key = key(
    "roles",
    Shape::Either(&[Shape::Word(&ROLE_NAMES), Shape::List(&Shape::Word(&ROLE_NAMES))]),
    "Everyone who is logged in, or everyone.",
);

/// Everyone who is logged in, and everyone.
pub(crate) const ROLE_NAMES: [&str; 2] = ["logged-in", "anonymous"];

pub(crate) static PLAN_DOCUMENT: Section = Section {
    id: "plan-permissions-document",
    what: "a plan permissions document",
    doc: "Who may do what with a plan. It replaces what the plan was given before.",
    keys: &[
        VERSION,
        SERVER_NAME,
        key(
            "plan",
            Shape::Either(&[Shape::PlanKey, Shape::Map(&PLAN)]),
            "The plan.",
        )
        .required(),
        key("plan-permissions", PLAN_LIST, "Who may do what.").required(),
    ],
    others: None,
};

pub(crate) static PLAN: Section = Section {
    id: "permissions-plan",
    what: "the plan of a permissions document",
    doc: "A plan by its key.",
    keys: &[key("key", Shape::PlanKey, "Its key, with the project's.").required()],
    others: None,
};

pub(crate) static PLAN_GRANT: Section = Section {
    id: "plan-permission",
    what: "a permissions entry",
    doc: "Who may do what with a plan.",
    keys: &[
        USERS,
        GROUPS,
        ROLES,
        key(
            "permissions",
            Shape::Either(&[
                Shape::Word(&PLAN_PERMISSIONS),
                Shape::List(&Shape::Word(&PLAN_PERMISSIONS)),
            ]),
            "What they may do.",
        ),
    ],
    others: None,
};

pub(crate) static DEPLOYMENT_DOCUMENT: Section = Section {
    id: "deployment-permissions-document",
    what: "a deployment permissions document",
    doc: "Who may do what with a deployment project and its environments.",
    keys: &[
        VERSION,
        SERVER_NAME,
        key(
            "deployment",
            Shape::Either(&[Shape::Text, Shape::Map(&DEPLOYMENT)]),
            "The deployment project.",
        )
        .required(),
        key(
            "deployment-permissions",
            Shape::List(&Shape::Map(&DEPLOYMENT_GRANT)),
            "Who may do what with the project.",
        ),
        key(
            "default-environment-permissions",
            Shape::List(&Shape::Map(&ENVIRONMENT_GRANT)),
            "Who may do what with environments that are not named.",
        ),
        key(
            "environment-permissions",
            Shape::List(&Shape::Named(&Shape::List(&Shape::Map(&ENVIRONMENT_GRANT)))),
            "Who may do what with environments by name.",
        ),
    ],
    others: None,
};

pub(crate) static DEPLOYMENT: Section = Section {
    id: "permissions-deployment",
    what: "the deployment project of a permissions document",
    doc: "A deployment project by its name.",
    keys: &[key("name", Shape::Text, "Its name.").required()],
    others: None,
};

pub(crate) static DEPLOYMENT_GRANT: Section = Section {
    id: "deployment-permission",
    what: "a permissions entry of a deployment project",
    doc: "Who may do what with a deployment project.",
    keys: &[
        USERS,
        GROUPS,
        ROLES,
        key(
            "permissions",
            Shape::Either(&[
                Shape::Word(&DEPLOYMENT_PERMISSIONS),
                Shape::List(&Shape::Word(&DEPLOYMENT_PERMISSIONS)),
            ]),
            "What they may do.",
        ),
    ],
    others: None,
};

pub(crate) static ENVIRONMENT_GRANT: Section = Section {
    id: "environment-permission",
    what: "a permissions entry of an environment",
    doc: "Who may do what with an environment.",
    keys: &[
        USERS,
        GROUPS,
        ROLES,
        key(
            "permissions",
            Shape::Either(&[
                Shape::Word(&ENVIRONMENT_PERMISSIONS),
                Shape::List(&Shape::Word(&ENVIRONMENT_PERMISSIONS)),
            ]),
            "What they may do.",
        ),
    ],
    others: None,
};
