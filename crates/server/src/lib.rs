//! The HTTP faces of the product: Bamboo's REST API, our own, Git over HTTP, webhook intake, and the local socket.
