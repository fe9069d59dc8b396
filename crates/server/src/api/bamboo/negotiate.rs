//! Which format an answer has: path suffix, then `Accept`, then XML (bamboo-rest.md 1.3).

use http::HeaderMap;
use http::header::ACCEPT;

/// At most so many media ranges of an `Accept` header are looked at.
const MAX_MEDIA_RANGES: usize = 64;

/// The two formats of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/xml`
    Xml,
}

impl Format {
    /// The `Content-Type` of answers. One client tells the server's own 401 from that of a proxy by
    /// exactly this JSON type (bamboo-rest.md 1.3).
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json;charset=UTF-8",
            Self::Xml => "application/xml;charset=UTF-8",
        }
    }
}

/// Which formats a resource has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formats {
    /// The resources of old: both, XML unless asked otherwise.
    XmlAndJson,
    /// Resources that were added later ([`is_late`]): both, JSON unless asked otherwise. Bamboo has JSON alone there, and
    /// scripts do not ask for it.
    JsonFirst,
    /// Our own interface.
    JsonOnly,
}

/// The path without its suffix, and the format that the suffix asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuffixedPath<'p> {
    /// The path without `.json` or `.xml` and without slashes at its end.
    pub path: &'p str,
    /// The format that the suffix forces.
    pub format: Option<Format>,
}

/// The format of the answer to a request for `path` (before any suffix is taken off; without the query).
#[must_use]
pub fn negotiate(path: &str, headers: &HeaderMap, formats: Formats) -> Format {
    match formats {
        Formats::JsonOnly => Format::Json,
        Formats::XmlAndJson => asked(path, headers).unwrap_or(Format::Xml),
        Formats::JsonFirst => asked(path, headers).unwrap_or(Format::Json),
    }
}

/// Whether a path is of the resources that Bamboo added later and serves as JSON alone: administration, deployments,
/// permissions, agents, access tokens (bamboo-rest.md 1.3, 10). Refusals there have that format as well, also where this
/// server has no such resource.
#[must_use]
pub fn is_late(path: &str) -> bool {
    const LATE: [&str; 5] = ["deploy", "permissions", "agent", "access-token", "admin"];
    if let Some(rest) = path.strip_prefix("/rest/api/") {
        let resource = rest.split('/').nth(1).unwrap_or_default();
        let resource = resource.trim_end_matches(".json").trim_end_matches(".xml");
        return LATE.contains(&resource);
    }
    path.starts_with("/rest/admin/")
}

fn asked(path: &str, headers: &HeaderMap) -> Option<Format> {
    split_suffix(path).format.or_else(|| accepted(headers))
}

/// Takes `.json` or `.xml` off the end of the last segment, once, and slashes off the end.
///
/// Clients put the suffix everywhere: `plan/PROJ-PLAN/.json`, `queue/PROJ-PLAN.json`,
/// `plan/PROJ-PLAN/branch/NAME.json`.
#[must_use]
pub fn split_suffix(path: &str) -> SuffixedPath<'_> {
    let path = path.trim_end_matches('/');
    let (path, format) = if let Some(front) = path.strip_suffix(".json") {
        (front, Some(Format::Json))
    } else if let Some(front) = path.strip_suffix(".xml") {
        (front, Some(Format::Xml))
    } else {
        (path, None)
    };
    SuffixedPath {
        path: path.trim_end_matches('/'),
        format,
    }
}

/// The format that the `Accept` headers prefer; nothing when they leave it open or name neither.
#[must_use]
pub fn accepted(headers: &HeaderMap) -> Option<Format> {
    let ranges: Vec<MediaRange> = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .take(MAX_MEDIA_RANGES)
        .enumerate()
        .filter_map(|(position, text)| MediaRange::parse(text, position))
        .collect();
    let json = best(&ranges, Format::Json);
    let xml = best(&ranges, Format::Xml);
    match (json, xml) {
        (None, None) => None,
        (Some(_), None) => Some(Format::Json),
        (None, Some(_)) => Some(Format::Xml),
        (Some(json), Some(xml)) => {
            let ranked = |range: &MediaRange| (range.quality, range.specificity);
            match ranked(json).cmp(&ranked(xml)) {
                std::cmp::Ordering::Greater => Some(Format::Json),
                std::cmp::Ordering::Less => Some(Format::Xml),
                std::cmp::Ordering::Equal => match json.position.cmp(&xml.position) {
                    std::cmp::Ordering::Less => Some(Format::Json),
                    std::cmp::Ordering::Greater => Some(Format::Xml),
                    std::cmp::Ordering::Equal => None,
                },
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct MediaRange {
    json: bool,
    xml: bool,
    /// 2 for a full type, 1 for `application/*`, 0 for `*/*`.
    specificity: u8,
    /// In thousandths.
    quality: u16,
    position: usize,
}

impl MediaRange {
    fn parse(text: &str, position: usize) -> Option<Self> {
        let mut parts = text.split(';');
        let name = parts.next()?.trim().to_ascii_lowercase();
        let (json, xml, specificity) = match name.as_str() {
            "*/*" | "*" => (true, true, 0),
            "application/*" => (true, true, 1),
            "text/*" => (false, true, 1),
            "application/json" | "text/json" => (true, false, 2),
            "application/xml" | "text/xml" => (false, true, 2),
            _ => return None,
        };
        let quality = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(key, _)| key.trim().eq_ignore_ascii_case("q"))
            .map_or(1_000, |(_, value)| quality(value.trim()));
        Some(Self {
            json,
            xml,
            specificity,
            quality,
            position,
        })
    }

    fn covers(&self, format: Format) -> bool {
        match format {
            Format::Json => self.json,
            Format::Xml => self.xml,
        }
    }
}

/// A weight that cannot be read counts as 1.
fn quality(text: &str) -> u16 {
    match text.parse::<f32>() {
        Ok(weight) if weight.is_finite() => (weight.clamp(0.0, 1.0) * 1_000.0) as u16,
        _ => 1_000,
    }
}

/// The most specific range decides about a type, so `application/json;q=0, */*` refuses JSON.
fn best(ranges: &[MediaRange], format: Format) -> Option<&MediaRange> {
    let covering = || ranges.iter().filter(|range| range.covers(format));
    let specificity = covering().map(|range| range.specificity).max()?;
    covering()
        .filter(|range| range.specificity == specificity)
        .max_by_key(|range| (range.quality, std::cmp::Reverse(range.position)))
        .filter(|range| range.quality > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_of(path: &str, accept: Option<&str>) -> Format {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept.parse().unwrap());
        }
        negotiate(path, &headers, Formats::XmlAndJson)
    }

    #[test]
    fn suffixes_are_found_wherever_clients_put_them() {
        let rows = [
            ("/plan/PROJ-PLAN/.json", "/plan/PROJ-PLAN", Some(Format::Json)),
            ("/queue/PROJ-PLAN.json", "/queue/PROJ-PLAN", Some(Format::Json)),
            ("/plan/P-A/enable.json", "/plan/P-A/enable", Some(Format::Json)),
            (
                "/plan/P-A/branch/x.json",
                "/plan/P-A/branch/x",
                Some(Format::Json),
            ),
            ("/clone/A-B:C-D.json", "/clone/A-B:C-D", Some(Format::Json)),
            (
                "/result/P-A/latest.json",
                "/result/P-A/latest",
                Some(Format::Json),
            ),
            ("/result/P-A/7.xml", "/result/P-A/7", Some(Format::Xml)),
            ("/plan.json/", "/plan", Some(Format::Json)),
            ("/queue/", "/queue", None),
            (
                "/plan/P-A/branch/a.json.json",
                "/plan/P-A/branch/a.json",
                Some(Format::Json),
            ),
            ("/plan/P-A/branch/json", "/plan/P-A/branch/json", None),
            ("/", "", None),
            ("", "", None),
        ];
        for (given, path, format) in rows {
            assert_eq!(split_suffix(given), SuffixedPath { path, format }, "{given}");
        }
    }

    #[test]
    fn suffix_wins_over_a_contrary_accept_header() {
        assert_eq!(format_of("/plan.json", Some("application/xml")), Format::Json);
        assert_eq!(format_of("/plan.xml", Some("application/json")), Format::Xml);
    }

    #[test]
    fn accept_headers_are_weighed() {
        let rows = [
            (None, Format::Xml),
            (Some("*/*"), Format::Xml),
            (Some("application/*"), Format::Xml),
            (Some("text/html"), Format::Xml),
            (Some(""), Format::Xml),
            (Some(";;;q=,"), Format::Xml),
            (Some("application/json"), Format::Json),
            (Some("Application/JSON; charset=utf-8"), Format::Json),
            (Some("application/xml"), Format::Xml),
            (Some("application/json, text/plain, */*"), Format::Json),
            (Some("application/json, */*;q=0.1"), Format::Json),
            (
                Some("application/xml;q=0.5, application/json;q=0.9"),
                Format::Json,
            ),
            (Some("application/xml, application/json"), Format::Xml),
            (Some("application/json, application/xml"), Format::Json),
            (Some("application/json;q=0, */*"), Format::Xml),
            (Some("application/xml;q=0, */*"), Format::Json),
            (Some("application/json;q=banana"), Format::Json),
            (
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
                Format::Xml,
            ),
        ];
        for (accept, format) in rows {
            assert_eq!(format_of("/plan", accept), format, "{accept:?}");
        }
    }

    #[test]
    fn several_accept_headers_count_as_one() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, "application/xml;q=0.2".parse().unwrap());
        headers.append(ACCEPT, "application/json".parse().unwrap());
        assert_eq!(negotiate("/plan", &headers, Formats::XmlAndJson), Format::Json);
    }

    #[test]
    fn newer_resources_answer_in_json_only() {
        let headers = HeaderMap::new();
        assert_eq!(
            negotiate("/permissions.xml", &headers, Formats::JsonOnly),
            Format::Json
        );
    }

    #[test]
    fn resources_that_came_late_are_told_from_those_of_old() {
        for (path, late) in [
            ("/rest/api/latest/deploy/project/all", true),
            ("/rest/api/1.0/permissions/plan/PROJ-PLAN/users", true),
            ("/rest/api/latest/agent.json", true),
            ("/rest/api/latest/access-token", true),
            ("/rest/admin/latest/globalVariables", true),
            ("/rest/api/latest/plan/agent", false),
            ("/rest/api/latest/queue/deployment", false),
            ("/rest/api/latest", false),
            ("/browse/PROJ-PLAN", false),
        ] {
            assert_eq!(is_late(path), late, "{path}");
        }
    }

    #[test]
    fn resources_of_between_answer_in_json_unless_asked_for_xml() {
        let headers = HeaderMap::new();
        assert_eq!(
            negotiate("/deploy/project/all", &headers, Formats::JsonFirst),
            Format::Json
        );
        assert_eq!(
            negotiate("/deploy/project/all.xml", &headers, Formats::JsonFirst),
            Format::Xml
        );
    }
}
