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
    ),
    app("com.atlassian.bamboo.plugins.maven:task.builder.mvn2", "`maven`"),
    app("com.atlassian.bamboo.plugins.maven:task.builder.mvn3", "`maven`"),
    app("com.atlassian.bamboo.plugins.ant:task.builder.ant", "Ant."),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.node",
        "Node.js.",
    ),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.npm",
        "npm.",
    ),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.grunt",
        "Grunt.",
    ),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.gulp",
        "Gulp.",
    ),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.bower",
        "Bower.",
    ),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.mocha",
        "Mocha.",
    ),
    app(
        "com.atlassian.bamboo.plugins.bamboo-nodejs-plugin:task.builder.nodeunit",
        "Nodeunit.",
    ),
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
        "Builds, runs, pushes or pulls an image, as `commandOption` says. `serviceWait` is read and not run: the job fails.",
    ),
    app("com.atlassian.bamboo.plugins.vcs:task.vcs.tagging", "`vcs-tag`"),
    app(
        "com.atlassian.bamboo.plugins.vcs:task.vcs.branching",
        "`vcs-branch`",
    ),
    app("com.atlassian.bamboo.plugins.vcs:task.vcs.commit", "`vcs-commit`"),
    app("com.atlassian.bamboo.plugins.vcs:task.vcs.push", "`vcs-push`"),
    app(
        "com.atlassian.bamboo.plugins.bamboo-variable-inject-plugin:inject",
        "`inject-variables`",
    ),
    app(
        "com.atlassian.bamboo.plugins.bamboo-variable-inject-plugin:dump",
        "`dump-variables`",
    ),
    app(
        "com.atlassian.bamboo.plugins.variable.updater.variable-updater-generic:variable-updater",
        "Changes a variable.",
    )
    .not_yet(FAILS),
    app(
        "com.davidehringer.atlassian.bamboo.maven.maven-pom-parser-plugin:maven-pom-parser-plugin",
        "Makes variables `maven.groupId`, `maven.artifactId` and `maven.version` of `pom.xml`.",
    ),
    app(
        "com.atlassian.bamboo.plugin.dotnet:msbuild",
        "MSBuild, as a `command`.",
    ),
    app(
        "com.atlassian.bamboo.plugin.dotnet:devenv",
        "Visual Studio, as a `command`.",
    ),
    app(
        "com.atlassian.bamboo.plugin.dotnet:nunitRunner",
        "The runner of NUnit, as a `command`.",
    ),
];

const fn app(plugin_key: &'static str, doc: &'static str) -> Choice {
    item(plugin_key, Shape::Free, doc)
}
