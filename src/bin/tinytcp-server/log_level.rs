//! The level of the log, which can change while the server runs.

use std::sync::{Arc, PoisonError, RwLock};

use env_filter::Filter;
use env_logger::Logger;
use log::{LevelFilter, Log, Metadata, Record};

use crate::arguments::Arguments;
use crate::program_error::ProgramError;

/// The level of the log: that of `-v` and `-q`, changed by the directives of RUST_LOG.
#[derive(Clone)]
pub struct LogLevel {
    filter: Arc<RwLock<Filter>>,
    directives: String,
}

impl LogLevel {
    /// Reads RUST_LOG.
    ///
    /// # Errors
    /// When RUST_LOG is malformed.
    pub fn new(arguments: &Arguments) -> Result<Self, ProgramError> {
        let directives = std::env::var("RUST_LOG").unwrap_or_default();
        // Checked here: the logger would write to a stderr that may be closed, and panic.
        env_filter::Builder::new().try_parse(&directives).map_err(|error| {
            let example = "it looks like debug, or tinytcp=trace";
            ProgramError::Failure(format!("RUST_LOG is wrong: {error}; {example}"))
        })?;
        Ok(Self { filter: Arc::new(RwLock::new(filter(arguments, &directives))), directives })
    }

    /// Sets the level of `arguments`.
    pub fn set(&self, arguments: &Arguments) {
        let filter = filter(arguments, &self.directives);
        log::set_max_level(filter.filter());
        *self.filter.write().unwrap_or_else(PoisonError::into_inner) = filter;
    }

    /// Makes `logger`, which must accept each record, the logger of this process.
    pub fn install(&self, logger: Logger) {
        let filtered = Filtered { filter: Arc::clone(&self.filter), logger };
        // Fails only if there is a logger already.
        let _ = log::set_boxed_logger(Box::new(filtered));
        log::set_max_level(self.filter.read().unwrap_or_else(PoisonError::into_inner).filter());
    }
}

fn filter(arguments: &Arguments, directives: &str) -> Filter {
    let level = match (arguments.quiet, arguments.verbose) {
        (0, 0) => LevelFilter::Info,
        (0, 1) => LevelFilter::Debug,
        (0, _) => LevelFilter::Trace,
        (1, _) => LevelFilter::Warn,
        (_, _) => LevelFilter::Error,
    };
    env_filter::Builder::new().filter_level(level).parse(directives).build()
}

/// A logger after a filter that can change.
struct Filtered {
    filter: Arc<RwLock<Filter>>,
    logger: Logger,
}

impl Log for Filtered {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.read().unwrap_or_else(PoisonError::into_inner).enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.filter.read().unwrap_or_else(PoisonError::into_inner).matches(record) {
            self.logger.log(record);
        }
    }

    fn flush(&self) {
        self.logger.flush();
    }
}
