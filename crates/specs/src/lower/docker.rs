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
            docker.volumes = scalar::text_map(cx, node, "`volumes`");
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
