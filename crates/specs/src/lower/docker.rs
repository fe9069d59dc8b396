//! `docker` of a plan, a job or an environment (bamboo-specs.md 3.8).

use madake_domain::plan::Docker;

use super::fields::Fields;
use super::{Context, scalar};
use crate::language::job as language;
use crate::report::{Finding, shown};
use crate::yaml::{Node, Value};

/// The image to run in.
pub(super) fn docker(cx: &mut Context<'_>, node: &Node) -> Option<Docker> {
    let mut docker = Docker {
        image: String::new(),
        volumes: Vec::new(),
        run_arguments: Vec::new(),
        use_default_volumes: true,
    };
    let image = if let Value::Scalar(_) = &node.value {
        node
    } else {
        let mut fields = Fields::of(cx, node, &language::DOCKER)?;
        let image = fields.need(cx, "image");
        if let Some(node) = fields.take("volumes") {
            docker.volumes = volumes(cx, node);
        }
        docker.run_arguments = fields.texts(cx, "docker-run-arguments");
        docker.use_default_volumes = fields.flag(cx, "use-default-volumes").unwrap_or(true);
        fields.finish(cx);
        image?
    };
    docker.image = scalar::non_empty_text(cx, image, "the image")?.trim().to_owned();
    if docker.image.starts_with('-') || docker.image.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let message = format!("`{}` is not the name of an image", shown(&docker.image));
        cx.add(Finding::error("bad-image", image.span, message));
        return None;
    }
    Some(docker)
}

/// Folders outside and inside: a map, or a list of maps and of `OUTSIDE:INSIDE`, as people know it from other programs.
fn volumes(cx: &mut Context<'_>, node: &Node) -> Vec<(String, String)> {
    let Value::List(items) = &node.value else {
        return scalar::text_map(cx, node, "`volumes`");
    };
    let mut volumes = Vec::new();
    for item in items {
        match &item.value {
            Value::Scalar(text) => match text.split(':').collect::<Vec<_>>()[..] {
                [outside, inside] if !outside.is_empty() && !inside.is_empty() => {
                    volumes.push((outside.to_owned(), inside.to_owned()));
                }
                _ => scalar::wrong_type(cx, item, "an item of `volumes`", "`OUTSIDE:INSIDE`"),
            },
            Value::Map(_) => volumes.extend(scalar::text_map(cx, item, "`volumes`")),
            Value::Broken => {}
            _ => scalar::wrong_type(cx, item, "an item of `volumes`", "`OUTSIDE:INSIDE`"),
        }
    }
    volumes
}
