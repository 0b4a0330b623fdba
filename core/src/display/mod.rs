//! Text for people: untrusted bytes made harmless, and numbers with their nouns.

pub mod escape;
pub mod http_date;
pub mod json_text;
pub mod plural;
