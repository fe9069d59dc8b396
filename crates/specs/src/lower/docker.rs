//! `docker` of a plan or a job (bamboo-specs.md 3.8).

use madake_domain::plan::Docker;

use super::fields::Fields;
use super::{Context, scalar};
use crate::report::{Finding, shown};
use crate::yaml::{Node, Value};

/// The image to run in.
pub(super) fn docker(cx: &mut Context<'_>, node: &Node) -> Option<Docker> {
    let mut docker = Docker {
        image: String::new(),
        volumes: Vec::new(),
        run_arguments: Vec::new(),
    };
    let image = if let Value::Scalar(_) = &node.value {
        node
    } else {
        let mut fields = Fields::of(cx, node, "`docker`")?;
        let image = fields.take("image");
        if let Some(map) = fields.take("volumes").and_then(|node| volumes(cx, node)) {
            docker.volumes = map;
        }
        if let Some(node) = fields.take("docker-run-arguments") {
            docker.run_arguments = scalar::texts(cx, node, "`docker-run-arguments`");
        }
        if let Some(node) = fields.take("use-default-volumes")
            && scalar::flag(cx, node, "`use-default-volumes`") == Some(false)
        {
            cx.not_run(node.span, "`use-default-volumes: false`");
        }
        fields.finish(cx);
        if image.is_none() {
            cx.add(Finding::error(
                "missing-key",
                node.span,
                "`docker` has no `image`",
            ));
        }
        image?
    };
    docker.image = scalar::non_empty_text(cx, image, "the image")?;
    if docker.image.starts_with('-') || docker.image.chars().any(|c| c.is_whitespace() || c.is_control()) {
        let message = format!("`{}` is not the name of an image", shown(&docker.image));
        cx.add(Finding::error("bad-image", image.span, message));
        return None;
    }
    Some(docker)
}

fn volumes(cx: &mut Context<'_>, node: &Node) -> Option<Vec<(String, String)>> {
    let Some(map) = node.as_map() else {
        scalar::wrong_type(
            cx,
            node,
            "`volumes`",
            "a map from host folder to container folder",
        );
        return None;
    };
    let mut volumes = Vec::new();
    for entry in &map.entries {
        let container = scalar::text(cx, &entry.value, "the container folder of a volume")?;
        volumes.push((entry.key.text.clone(), container));
    }
    Some(volumes)
}
