//! The writer of log lines: a thread, so that a slow log never stops the event loop.
//!
//! A write to a terminal, a pipe or a disk may block. No portable call prevents that: non-blocking
//! mode would apply to every process that shares the stream, such as the user's shell. So the loop
//! only appends a line to a bounded queue, and a thread writes it. While the stream is stalled, the
//! queue fills up, and further lines are dropped and counted. A closed or full stream loses lines
//! as well, and the loop goes on.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use tinytcp_core::display::plural::plural;

use crate::signals;

/// The capacity of the queue in lines. At 200 bytes each they are 200 KB, twenty seconds of the
/// busiest log.
const LINES_MAX: usize = 1024;

/// The queue of a writer thread. It accepts whole lines and never blocks.
#[derive(Clone, Debug)]
pub struct LogWriter {
    queue: SyncSender<QueueEntry>,
    dropped: Arc<AtomicU64>,
}

enum QueueEntry {
    Line(Vec<u8>),
    /// Asks for a reply when everything before it is written.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts a thread with this name that writes lines to `target`. Where lines were dropped, it
    /// writes the line that `loss` returns for their number. The thread blocks all signals: a
    /// signal must interrupt the wait of the loop, not the writing of a line.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(
        name: &str,
        target: impl Write + Send + 'static,
        loss: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, items) = mpsc::sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Self { queue, dropped: Arc::clone(&dropped) };
        let write = move || write_items(target, &items, &dropped, loss);
        signals::start_without_signals(name, write)?;
        Ok(writer)
    }

    /// Appends a line, which has no line end.
    pub fn line(&self, line: &str) {
        self.append(format!("{line}\n").into_bytes());
    }

    /// Waits until all lines are written, but at most for `timeout`: a stalled stream must not
    /// delay the end of the program.
    pub fn flush(&self, timeout: Duration) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.queue.try_send(QueueEntry::Flush(done)).is_ok() {
            // After the timeout the lines are lost.
            let _ = wait.recv_timeout(timeout);
        }
    }

    fn append(&self, line: Vec<u8>) {
        if self.queue.try_send(QueueEntry::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// For a logger, which writes whole lines.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the line about `count` dropped lines in a stream for people.
#[must_use]
pub fn loss(count: u64) -> String {
    format!("dropped here, because the stream was full or too slow: {}", plural(count, "line"))
}

fn write_items(
    mut target: impl Write,
    items: &Receiver<QueueEntry>,
    dropped: &AtomicU64,
    loss: impl Fn(u64) -> String,
) {
    let mut is_torn = false;
    for item in items {
        match item {
            // A stream that is full now may have room for a later line.
            QueueEntry::Line(line) => {
                if is_torn {
                    // The next line does not continue the rest of a failed write.
                    is_torn = target.write_all(b"\n").is_err();
                }
                if is_torn || target.write_all(&line).is_err() {
                    is_torn = true;
                    dropped.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
            QueueEntry::Flush(done) => {
                drop(target.flush());
                let _ = done.try_send(());
            }
        }
        let count = dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            drop(writeln!(target, "{}", loss(count)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Long enough for a thread to get its turn on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_a_flush_waits_for_them() {
        let page = Memory::default();
        let writer = LogWriter::new("page", page.clone(), loss).expect("a thread");
        (0..100).for_each(|number| writer.line(&number.to_string()));
        writer.flush(PATIENCE);
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(*page.0.lock().expect("no writer panics"), expected.into_bytes());
    }

    /// Accepts half of the first line, nothing of the second, and everything after it.
    #[derive(Default)]
    struct Full {
        page: Memory,
        writes: usize,
    }

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            match self.writes {
                1 => self.page.write(&bytes[..bytes.len() / 2]),
                2 | 3 => Err(io::ErrorKind::StorageFull.into()),
                _ => self.page.write(bytes),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stream_that_was_full_gets_the_next_line_and_the_loss() {
        let page = Memory::default();
        let writer =
            LogWriter::new("full", Full { page: page.clone(), writes: 0 }, loss).expect("a thread");
        ["first", "second", "third"].into_iter().for_each(|line| writer.line(line));
        writer.flush(PATIENCE);
        let page =
            String::from_utf8(page.0.lock().expect("no writer panics").clone()).expect("ASCII");
        assert_eq!(
            page,
            "fir\nthird\ndropped here, because the stream was full or too slow: 2 lines\n"
        );
    }

    #[test]
    fn a_stalled_stream_costs_lines_but_no_time() {
        let page = Memory::default();
        let stall = page.0.lock().expect("no writer panics");
        let writer = LogWriter::new("page", page.clone(), loss).expect("a thread");
        (0..LINES_MAX + 100).for_each(|_| writer.line("x"));
        writer.flush(Duration::from_millis(1));
        drop(stall);
        // The queue has room again at some point, and then a flush succeeds.
        while String::from_utf8_lossy(&page.0.lock().expect("no writer panics")).lines().count()
            <= LINES_MAX
        {
            writer.flush(PATIENCE);
        }
        let page =
            String::from_utf8(page.0.lock().expect("no writer panics").clone()).expect("ASCII");
        assert!(page.contains("dropped here, because"), "{page}");
    }
}
