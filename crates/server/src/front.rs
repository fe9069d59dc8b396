//! The page at the base URL: says what answers here, for people who open the address and for clients and probes that
//! ask it for a 2xx before anything else.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{Method, header};
use madake_domain::permission::Principal;

use crate::App;
use crate::auth::Visitor;
use crate::path::context_path;
use crate::routes::{Access, Routes};

/// Nothing is loaded, run or sent by the page.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page, for `GET` and `HEAD`.
pub(crate) fn routes() -> Routes {
    Routes::default().add(Method::GET, "/", Access::Public, page)
}

/// Strangers are not told the version: it says which mistakes a server has.
async fn page(State(app): State<App>, visitor: Visitor) -> Response {
    let context = context_path(app.base_url()).map_or_else(String::new, attribute);
    let version = match visitor.caller.principal {
        Principal::Anonymous => "",
        Principal::User(_) | Principal::Local => concat!(" ", env!("CARGO_PKG_VERSION")),
    };
    let text = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>Madake</title></head>\n<body>\n\
         <h1>Madake{version}</h1>\n<p>A build server. There are no pages yet: it is used by <code>git</code>, <code>hg</code>, REST and the \
         command line <code>madake</code>.</p>\n<ul>\n\
         <li><a href=\"{context}/rest/api/latest\">Bamboo's REST API</a>, its \
         <a href=\"{context}/rest/api/latest/status\">status</a> and \
         <a href=\"{context}/rest/api/latest/plan\">plans</a></li>\n\
         <li><a href=\"{context}/rest/madake/1.0/status\">Madake's own REST interface</a>, for those who are logged in</li>\n\
         <li>Git: <code>{context}/scm/OWNER/NAME.git</code>; Mercurial: <code>{context}/hg/OWNER/NAME</code></li>\n\
         <li>Documentation: the folder <code>docs</code> of the source, and <code>madake help</code></li>\n\
         </ul>\n</body>\n</html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text).into_response()
}

/// Text that cannot leave the attribute that it stands in.
fn attribute(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_path_stays_in_its_attribute() {
        assert_eq!(attribute("/a\"><script>&"), "/a&quot;&gt;&lt;script&gt;&amp;");
    }
}
