//! The service manager that started this process, such as systemd: it opens sockets for the server,
//! and wants to know that the server is ready and that its loop runs.

pub mod activation;
pub mod manager;
pub mod notifications;
