//! Text that is printed above the prompt while the editor reads a line.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The length of waiting text beyond which a caller waits: more than a person reads.
const WAITING_MAX: usize = 64 << 10;

/// The text that waits for the editor, from the threads that print to the one that passes it on.
///
/// The editor takes text only while it reads a line. A queue that blocks a caller until there is
/// room would block it for ever once the line is typed: only that caller can let the editor read
/// the next one.
#[derive(Clone, Debug, Default)]
pub struct Printer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    text: String,
    /// The editor reads a line.
    is_reading: bool,
}

impl Printer {
    /// Notes whether the editor reads a line.
    pub fn set_reading(&self, is_reading: bool) {
        self.waiting().is_reading = is_reading;
        self.0.changed.notify_all();
    }

    /// Appends `text`. It first waits while too much text waits for an editor that reads.
    pub fn print(&self, text: &str) {
        let is_full = |it: &mut Waiting| it.is_reading && it.text.len() > WAITING_MAX;
        let waiting = self.0.changed.wait_while(self.waiting(), is_full);
        waiting.unwrap_or_else(PoisonError::into_inner).text.push_str(text);
        self.0.changed.notify_all();
    }

    /// Returns the text that still waits.
    pub fn take(&self) -> String {
        mem::take(&mut self.waiting().text)
    }

    /// Waits until there is text for an editor that reads, and returns it.
    pub fn wait(&self) -> String {
        let has_none = |it: &mut Waiting| !it.is_reading || it.text.is_empty();
        let waiting = self.0.changed.wait_while(self.waiting(), has_none);
        let text = mem::take(&mut waiting.unwrap_or_else(PoisonError::into_inner).text);
        self.0.changed.notify_all();
        text
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Each change of the text and of the mark is whole.
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn text_goes_to_an_editor_that_reads() {
        let printer = Printer::default();
        printer.print("one\n");
        printer.print("two\n");
        printer.set_reading(true);
        assert_eq!(printer.wait(), "one\ntwo\n");
        assert_eq!(printer.take(), "");
    }

    #[test]
    fn the_end_of_the_line_lets_a_caller_with_too_much_text_go_on() {
        let (printer, much) = (Printer::default(), "x".repeat(WAITING_MAX + 1));
        printer.set_reading(true);
        printer.print(&much);
        let caller = {
            let printer = printer.clone();
            thread::spawn(move || printer.print("more"))
        };
        printer.set_reading(false);
        caller.join().expect("it prints");
        assert_eq!(printer.take(), much + "more");
    }
}
