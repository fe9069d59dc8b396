//! What the caller decides about a reading: limits, the server's name, and checks that live elsewhere.

/// A check of a text; the error says what is wrong with it, as a lower-case fragment.
pub type ValidateText<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// How plan files are read.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// The name of this server; a document whose `server-name` does not match it is skipped. `None`: a document
    /// with a `server-name` is skipped.
    pub server_name: Option<&'a str>,
    /// Checks a Quartz cron expression.
    pub validate_cron: ValidateText<'a>,
    /// Checks an address of a remote trigger: a single one, a CIDR block or a wildcard.
    pub validate_address: ValidateText<'a>,
    /// Checks the name of a time zone.
    pub validate_time_zone: ValidateText<'a>,
    /// The longest text of a file, in bytes.
    pub max_file_bytes: usize,
    /// The most YAML nodes of a reading, after aliases and includes are put in.
    pub max_nodes: usize,
}

impl Default for Options<'_> {
    /// No server name, every cron expression, address and time zone accepted, 1 MiB and 50000 nodes.
    fn default() -> Self {
        Self {
            server_name: None,
            validate_cron: &|_| Ok(()),
            validate_address: &|_| Ok(()),
            validate_time_zone: &|_| Ok(()),
            max_file_bytes: 1024 * 1024,
            max_nodes: 50_000,
        }
    }
}
