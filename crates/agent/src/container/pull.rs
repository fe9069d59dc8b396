//! Fetching an image, with lines that say how far it is.

use std::collections::HashMap;

use http_body_util::BodyExt;
use hyper::Method;
use serde_json::Value;

use super::image::ImageName;
use super::{ContainerEngine, ContainerError};

/// The longest line of progress that is kept; one that is longer is none.
const LONGEST_LINE: usize = 64 * 1024;

/// Fetches the image when the engine does not have it. Each step is told once, without its bars and counters.
pub(crate) async fn pull(
    engine: &ContainerEngine,
    image: &ImageName,
    mut say: impl FnMut(&str),
) -> Result<(), ContainerError> {
    let found = engine
        .ask(
            "look for the image",
            Method::GET,
            &format!("/images/{}/json", image.as_str()),
            None,
        )
        .await;
    match found {
        Ok(_) => return Ok(()),
        Err(error) if error.is_missing() => {}
        Err(error) => return Err(error),
    }
    say(&format!(
        "Pulling the image {}, which is not on this machine",
        image.as_str()
    ));
    let (name, tag) = image.parts();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("fromImage", name)
        .append_pair("tag", tag)
        .finish();
    let path = format!("/images/create?{query}");
    let mut body = engine
        .open("pull the image", Method::POST, &path, None)
        .await
        .map_err(|error| naming(error, image))?
        .into_body();
    let mut progress = Progress::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| engine.unreachable(error.to_string()))?;
        if let Some(bytes) = frame.data_ref() {
            progress.push(bytes, &mut say);
        }
    }
    match progress.failure {
        None => Ok(()),
        Some(message) => Err(naming(
            ContainerError::Refused {
                action: "pull the image",
                message,
                status: hyper::StatusCode::NOT_FOUND,
            },
            image,
        )),
    }
}

/// A refusal that names the image, since engines do not always: it is all that a build's reason has.
fn naming(error: ContainerError, image: &ImageName) -> ContainerError {
    match error {
        ContainerError::Refused {
            action,
            message,
            status,
        } if !message.contains(image.as_str()) => ContainerError::Refused {
            action,
            message: format!("{}: {message}", image.as_str()),
            status,
        },
        other => other,
    }
}

/// What the engine said so far.
#[derive(Default)]
struct Progress {
    line: Vec<u8>,
    last: HashMap<String, String>,
    failure: Option<String>,
}

impl Progress {
    fn push(&mut self, bytes: &[u8], say: &mut impl FnMut(&str)) {
        for byte in bytes {
            if *byte != b'\n' {
                self.line.push(*byte);
                if self.line.len() > LONGEST_LINE {
                    self.line.clear();
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if let Ok(json) = serde_json::from_slice::<Value>(&line) {
                self.take(&json, say);
            }
        }
    }

    fn take(&mut self, json: &Value, say: &mut impl FnMut(&str)) {
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or_default();
        if !text("error").is_empty() {
            self.failure = Some(text("error").to_owned());
            return;
        }
        let (id, status) = (text("id"), text("status"));
        if status.is_empty() || self.last.get(id).is_some_and(|last| last == status) {
            return;
        }
        self.last.insert(id.to_owned(), status.to_owned());
        match id {
            "" => say(status),
            id => say(&format!("{id}: {status}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_image_once() {
        let image: ImageName = ImageName::parse("registry.example.com/build:7").unwrap();
        let refused = |message: &str| ContainerError::Refused {
            action: "pull the image",
            message: message.to_owned(),
            status: hyper::StatusCode::NOT_FOUND,
        };
        for (message, wanted) in [
            ("toomanyrequests", "registry.example.com/build:7: toomanyrequests"),
            (
                "no registry.example.com/build:7",
                "no registry.example.com/build:7",
            ),
        ] {
            assert_eq!(
                naming(refused(message), &image).to_string(),
                format!("the container engine cannot pull the image: {wanted}")
            );
        }
    }

    #[test]
    fn each_step_is_told_once_and_a_failure_is_kept() {
        let text = concat!(
            r#"{"status":"Pulling from library/x","id":"1"}"#,
            "\r\n",
            r#"{"status":"Downloading","progressDetail":{"current":1,"total":9},"id":"abc"}"#,
            "\r\n",
            r#"{"status":"Downloading","progressDetail":{"current":8,"total":9},"id":"abc"}"#,
            "\r\nno json\r\n",
            r#"{"status":"Pull complete","id":"abc"}"#,
            "\r\n",
            r#"{"status":"Status: Downloaded newer image"}"#,
            "\r\n",
            r#"{"errorDetail":{"message":"no"},"error":"toomanyrequests"}"#,
            "\r\n",
        );
        let mut progress = Progress::default();
        let mut said = Vec::new();
        for part in text.as_bytes().chunks(7) {
            progress.push(part, &mut |line| said.push(line.to_owned()));
        }
        assert_eq!(
            said,
            [
                "1: Pulling from library/x",
                "abc: Downloading",
                "abc: Pull complete",
                "Status: Downloaded newer image"
            ]
        );
        assert_eq!(progress.failure.as_deref(), Some("toomanyrequests"));
    }
}
