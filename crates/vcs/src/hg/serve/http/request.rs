//! What a request asks for, found out before anything is started.

use std::net::IpAddr;

use super::super::{Access, ServeError};

/// Commands of the protocol that change nothing (`hg help internals.wireprotocol`).
const READING: [&str; 17] = [
    "batch",
    "between",
    "branchmap",
    "branches",
    "capabilities",
    "changegroup",
    "changegroupsubset",
    "clonebundles",
    "clonebundles_manifest",
    "debugwireargs",
    "getbundle",
    "heads",
    "hello",
    "known",
    "listkeys",
    "lookup",
    "stream_out",
];

/// Commands that change the repository.
const WRITING: [&str; 2] = ["unbundle", "pushkey"];

/// Headers of requests that hg is shown: the rest is none of its business.
const HEADERS: [&str; 4] = ["accept", "content-length", "content-type", "user-agent"];

/// A request, without its body.
#[derive(Clone, Debug)]
pub struct HttpRequest<'a> {
    /// Such as `GET`.
    pub method: &'a str,
    /// The query without the question mark, as it came.
    pub query: &'a str,
    /// Names, in any case, and values.
    pub headers: &'a [(String, String)],
    /// Where the client is, for hg's own messages.
    pub address: Option<IpAddr>,
    /// Whether it came over TLS, for hg's own messages.
    pub secure: bool,
}

impl HttpRequest<'_> {
    /// What the client must be allowed to do. To be asked before [`super::HttpService::serve`], which takes the answer.
    ///
    /// # Errors
    /// [`ServeError::Malformed`] if it is no request of the protocol: pages of hg are not served.
    pub fn access(&self) -> Result<Access, ServeError> {
        let mut command = None;
        for (name, value) in parameters(self.query)? {
            if name == "cmd" && command.replace(value).is_some() {
                return Err(ServeError::Malformed("the query has two commands"));
            }
        }
        let command = command.ok_or(ServeError::Malformed("the query has no command"))?;
        if self.header("x-hgargs-post").is_some() {
            // Never offered to clients, and what is in the body cannot be judged here.
            return Err(ServeError::Malformed("arguments in the body are not supported"));
        }
        if WRITING.contains(&command.as_str()) {
            return Ok(Access::Write);
        }
        if !READING.contains(&command.as_str()) {
            return Err(ServeError::Malformed("the command is unknown"));
        }
        if command == "batch" && self.batch_writes()? {
            return Ok(Access::Write);
        }
        Ok(Access::Read)
    }

    /// `cmds` of a batch is `name arguments;name arguments`, in the query or split over `X-HgArg-1`, `-2`, ...
    fn batch_writes(&self) -> Result<bool, ServeError> {
        let mut spread = String::new();
        let mut number = 1;
        while let Some(part) = self.header(&format!("x-hgarg-{number}")) {
            spread.push_str(part);
            number += 1;
        }
        let arguments = [parameters(self.query)?, parameters(&spread)?].concat();
        let mut batches = arguments.iter().filter(|(name, _)| name == "cmds");
        Ok(batches.any(|(_, batch)| {
            batch.split(';').any(|command| {
                let name = command.split(' ').next().unwrap_or_default();
                !READING.contains(&name)
            })
        }))
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter();
        let (_, value) = values.find(|(given, _)| given.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// The request as WSGI has it (PEP 3333), as JSON.
    pub(super) fn environment(&self, socket: Option<&str>) -> serde_json::Value {
        let mut environment = serde_json::Map::new();
        let mut set = |name: &str, value: &str| environment.insert(name.to_owned(), value.into());
        set("REQUEST_METHOD", self.method);
        set("QUERY_STRING", self.query);
        set("SCRIPT_NAME", "");
        set("SERVER_NAME", "localhost");
        set("SERVER_PORT", "80");
        set("SERVER_PROTOCOL", "HTTP/1.1");
        set("wsgi.url_scheme", if self.secure { "https" } else { "http" });
        if let Some(address) = self.address {
            set("REMOTE_ADDR", &address.to_string());
            set("REMOTE_HOST", &address.to_string());
        }
        if let Some(socket) = socket {
            set("socket", socket);
        }
        for (name, value) in self.headers {
            let name = name.to_ascii_lowercase();
            let ours = HEADERS.contains(&name.as_str())
                || name.starts_with("x-hgarg-")
                || name.starts_with("x-hgproto-");
            let printable = value.chars().all(|character| matches!(character, ' '..='~'));
            if !ours || !printable {
                continue;
            }
            let key = name.to_ascii_uppercase().replace('-', "_");
            match key.as_str() {
                "CONTENT_LENGTH" | "CONTENT_TYPE" => set(&key, value),
                _ => set(&format!("HTTP_{key}"), value),
            };
        }
        environment.into()
    }
}

/// The names and values of a query. Python also splits at semicolons in some versions, so none may stand there.
fn parameters(query: &str) -> Result<Vec<(String, String)>, ServeError> {
    let mut found = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if pair.contains(';') {
            return Err(ServeError::Malformed("the query has a bare semicolon"));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        found.push((decoded(name)?, decoded(value)?));
    }
    Ok(found)
}

fn decoded(text: &str) -> Result<String, ServeError> {
    let malformed = || ServeError::Malformed("the query is not encoded as it should be");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                u8::try_from(value.ok_or_else(malformed)?).map_err(|_| malformed())?
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    // Names and commands are ASCII; other values are not looked into.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(query: &str, headers: &[(&str, &str)]) -> Option<Access> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let request = HttpRequest {
            method: "GET",
            query,
            headers: &headers,
            address: None,
            secure: false,
        };
        request.access().ok()
    }

    #[test]
    fn requests_are_told_apart_by_what_they_may_change() {
        let (read, write) = (Some(Access::Read), Some(Access::Write));
        for (query, expected) in [
            ("cmd=capabilities", read),
            ("cmd=getbundle", read),
            ("cmd=unbundle", write),
            ("cmd=unbundle&heads=666f726365", write),
            ("cmd=pushkey&namespace=bookmarks", write),
            ("cmd=%75nbundle", write),
            ("cmd=batch&cmds=heads+%3Bknown+nodes%3D", read),
            ("cmd=batch&cmds=heads+%3Bpushkey+namespace%3Dphases", write),
            ("cmd=batch&cmds=unbundle+", write),
            ("cmd=batch&cmds=unheard-of+", write),
            ("cmd=capabilities&cmd=unbundle", None),
            ("cmd=capabilities;cmd=unbundle", None),
            ("c%6dd=capabilities&cmd=unbundle", None),
            ("cmd=changelog", None),
            ("cmd=", None),
            ("cmd=%7", None),
            ("", None),
            ("style=raw", None),
        ] {
            assert_eq!(access(query, &[]), expected, "{query}");
        }
    }

    #[test]
    fn batch_is_judged_by_its_headers_too() {
        let spread = [
            ("X-HgArg-1", "cmds=heads+%3Bpush"),
            ("x-hgarg-2", "key+namespace%3Dx"),
        ];
        assert_eq!(access("cmd=batch", &spread), Some(Access::Write));
        assert_eq!(
            access("cmd=batch", &[("X-HgArg-1", "cmds=heads+")]),
            Some(Access::Read)
        );
        assert_eq!(access("cmd=batch", &[("X-HgArgs-Post", "20")]), None);
    }
}
