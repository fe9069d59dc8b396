//! Apps whose tasks are understood when `any-task` names them (bamboo-specs.md 4.5).

use super::task::FAILS;
use super::{Choice, Shape, item};

/// Apps whose tasks are understood, by the app's key, and what their task is.
pub(crate) static APPS: &[Choice] = &[
    app(
        "com.atlassian.bamboo.plugins.scripttask:task.builder.script",
        "`script`",
    ),
    app(
        "com.atlassian.bamboo.plugins.scripttask:task.builder.command",
        "`command`",
    )
    .not_yet(FAILS),
    app("com.atlassian.bamboo.plugins.maven:task.builder.mvn2", "`maven`").not_yet(FAILS),
    app("com.atlassian.bamboo.plugins.maven:task.builder.mvn3", "`maven`").not_yet(FAILS),
    app("com.atlassian.bamboo.plugins.ant:task.builder.ant", "Ant.").not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.node",
        "Node.js.",
    )
    .not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.npm",
        "npm.",
    )
    .not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.grunt",
        "Grunt.",
    )
    .not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.gulp",
        "Gulp.",
    )
    .not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.bower",
        "Bower.",
    )
    .not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.mocha",
        "Mocha.",
    )
    .not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.nodeunit",
        "Nodeunit.",
    )
    .not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.reporter.mocha",
        "`test-parser` of Mocha.",
    ),
    app(
        "com.atlassian.bamboo.plugins.testresultparser:task.testresultparser.junit",
        "`test-parser` of JUnit.",
    ),
    app(
        "com.atlassian.bamboo.plugins.testresultparser:task.testresultparser.testng",
        "`test-parser` of TestNG.",
    ),
    app(
        "com.atlassian.bamboo.plugin.dotnet:nunit",
        "`test-parser` of NUnit.",
    ),
    app(
        "com.atlassian.bamboo.plugin.dotnet:mstest",
        "`test-parser` of MSTest.",
    ),
    app(
        "com.atlassian.bamboo.plugins.bamboo-docker-plugin:task.docker.cli",
        "Builds, runs, pushes or pulls an image, as `commandOption` says.",
    )
    .not_yet(FAILS),
    app("com.atlassian.bamboo.plugins.vcs:task.vcs.tagging", "`vcs-tag`").not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.vcs:task.vcs.branching",
        "`vcs-branch`",
    )
    .not_yet(FAILS),
    app("com.atlassian.bamboo.plugins.vcs:task.vcs.commit", "`vcs-commit`").not_yet(FAILS),
    app("com.atlassian.bamboo.plugins.vcs:task.vcs.push", "`vcs-push`").not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-variable-inject-plugin:inject",
        "`inject-variables`",
    )
    .not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.bamboo-variable-inject-plugin:dump",
        "`dump-variables`",
    )
    .not_yet(FAILS),
    app(
        "com.atlassian.bamboo.plugins.variable.updater.variable-updater-generic:variable-updater",
        "Changes a variable.",
    )
    .not_yet(FAILS),
];

const fn app(plugin_key: &'static str, doc: &'static str) -> Choice {
    item(plugin_key, Shape::Free, doc)
}
