//! The results of requests: each status code with its phrase (RFC 9110, section 15; RFC 6585).

pub const OK: &str = "200 OK";
pub const BAD_REQUEST: &str = "400 Bad Request";
pub const NOT_FOUND: &str = "404 Not Found";
pub const METHOD_NOT_ALLOWED: &str = "405 Method Not Allowed";
pub const REQUEST_TIMEOUT: &str = "408 Request Timeout";
pub const MISDIRECTED: &str = "421 Misdirected Request";
pub const HEAD_TOO_LONG: &str = "431 Request Header Fields Too Large";
pub const UNAVAILABLE: &str = "503 Service Unavailable";
