//! The coordinates of a Maven project, as its `pom.xml` gives them.
//!
//! Whoever pushes wrote the file: no document type and no entity of it is expanded, and expressions such as
//! `${revision}` are handed on as they are.

use quick_xml::Reader;
use quick_xml::events::Event;

/// How deep elements are looked at.
const MAX_DEPTH: usize = 200;
/// The longest value, in bytes; what is longer is no coordinate.
const MAX_VALUE: usize = 1000;

/// Group, artifact and version. What a project does not say is its parent's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coordinates {
    /// The group's id.
    pub group_id: String,
    /// The artifact's id.
    pub artifact_id: String,
    /// The version.
    pub version: String,
}

/// Why there are no coordinates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PomError {
    /// The text is no XML.
    #[error("it is not XML: {0}")]
    Damaged(String),
    /// One of them is missing.
    #[error("it has no `{0}`")]
    Missing(&'static str),
}

/// Reads the coordinates.
///
/// # Errors
/// When the text is no XML, or one of them is given neither by the project nor by its parent.
pub fn read(text: &str) -> Result<Coordinates, PomError> {
    let (mut own, mut parent) = (Coordinates::default(), Coordinates::default());
    let mut reader = Reader::from_str(text);
    let mut open: Vec<String> = Vec::new();
    let mut too_deep = 0_usize;
    let mut at = 0;
    loop {
        let event = reader
            .read_event()
            .map_err(|error| PomError::Damaged(error.to_string()))?;
        let end = usize::try_from(reader.buffer_position())
            .unwrap_or(usize::MAX)
            .min(text.len());
        match event {
            Event::Start(start) if open.len() < MAX_DEPTH => {
                open.push(start.local_name().as_ref().to_owned());
            }
            Event::Start(_) => too_deep += 1,
            Event::End(_) if too_deep > 0 => too_deep -= 1,
            Event::End(_) => {
                open.pop();
            }
            Event::Text(_) if too_deep == 0 => {
                let path: Vec<&str> = open.iter().map(String::as_str).collect();
                let (target, name) = match path.as_slice() {
                    ["project", name] => (&mut own, *name),
                    ["project", "parent", name] => (&mut parent, *name),
                    _ => {
                        at = end;
                        continue;
                    }
                };
                let value = match name {
                    "groupId" => &mut target.group_id,
                    "artifactId" => &mut target.artifact_id,
                    "version" => &mut target.version,
                    _ => {
                        at = end;
                        continue;
                    }
                };
                let piece = text.get(at..end).unwrap_or_default().trim();
                if value.len() + piece.len() <= MAX_VALUE {
                    value.push_str(piece);
                }
            }
            Event::Eof => break,
            _ => {}
        }
        at = end;
    }
    let or_parent = |own: String, parent: String, name| match (own.is_empty(), parent.is_empty()) {
        (false, _) => Ok(own),
        (true, false) => Ok(parent),
        (true, true) => Err(PomError::Missing(name)),
    };
    Ok(Coordinates {
        group_id: or_parent(own.group_id, parent.group_id, "groupId")?,
        artifact_id: or_parent(own.artifact_id, String::new(), "artifactId")?,
        version: or_parent(own.version, parent.version, "version")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coordinates(group_id: &str, artifact_id: &str, version: &str) -> Coordinates {
        Coordinates {
            group_id: group_id.into(),
            artifact_id: artifact_id.into(),
            version: version.into(),
        }
    }

    #[test]
    fn own_coordinates_win_over_those_of_the_parent() {
        let text = "<?xml version='1.0'?>\n<project xmlns='http://maven.apache.org/POM/4.0.0'>\n\
            <parent><groupId>org.parent</groupId><artifactId>top</artifactId><version>1</version></parent>\n\
            <!-- x --><artifactId> app </artifactId><version>2.0-SNAPSHOT</version>\n\
            <dependencies><dependency><groupId>other</groupId><version>9</version></dependency></dependencies>\n\
            </project>";
        assert_eq!(
            read(text).unwrap(),
            coordinates("org.parent", "app", "2.0-SNAPSHOT")
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let table = [
            ("", PomError::Missing("groupId")),
            (
                "<project><groupId>a</groupId></project>",
                PomError::Missing("artifactId"),
            ),
            (
                "<project><groupId>a</groupId><artifactId>b</artifactId></project>",
                PomError::Missing("version"),
            ),
        ];
        for (text, error) in table {
            assert_eq!(read(text).unwrap_err(), error, "{text}");
        }
        assert!(matches!(read("<project></other>"), Err(PomError::Damaged(_))));
    }

    #[test]
    fn entities_and_document_types_j1_give_nothing() {
        let text = "<!DOCTYPE project [<!ENTITY x SYSTEM 'file:///etc/passwd'><!ENTITY lol 'lollol'>]>\n\
            <project><groupId>a&x;</groupId><artifactId>&lol;b</artifactId><version>${revision}</version></project>";
        assert_eq!(read(text).unwrap(), coordinates("a", "b", "${revision}"));
    }

    #[test]
    fn deep_and_long_documents_do_no_harm() {
        let deep = "<project>".repeat(100_000);
        assert_eq!(read(&deep).unwrap_err(), PomError::Missing("groupId"));
        let long = format!("<project><groupId>{}</groupId></project>", "a".repeat(1_000_000));
        assert_eq!(read(&long).unwrap_err(), PomError::Missing("groupId"));
    }
}
