//! The service manager that started this process, such as systemd: it opens sockets for the server,
//! and the server notifies it that it is ready and that its loop runs.

pub mod activation;
pub mod manager;
pub mod notifications;
