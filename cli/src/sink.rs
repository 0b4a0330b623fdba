//! Where log lines go, so that nothing which happens there ever reaches the loop.
//!
//! A write to a terminal, a pipe or a disk may block, and no portable call makes it not: marking
//! the descriptor non-blocking would change it for every process that shares it, the user's shell
//! first of all. So the loop only appends a line to a bounded queue, and a thread that does nothing
//! else writes it. A sink that is stalled fills the queue, and further lines are dropped and
//! counted; one that is closed or full takes nothing, and nobody minds.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::Duration;

use nix::sys::signal::SigSet;
use tinytcp_core::display::plural::plural;

/// How many lines wait for a sink that is slow. At 200 bytes each they are 200 KB, twenty seconds
/// of the busiest log.
const LINES_MAX: usize = 1024;

/// The near end of a sink: takes whole lines and never blocks.
#[derive(Clone, Debug)]
pub struct Sink {
    queue: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

enum Item {
    Line(Vec<u8>),
    /// Everything before this has been written: say so.
    Flush(SyncSender<()>),
}

impl Sink {
    /// Starts a thread called `name` that writes lines to `target`, and leaves all signals to the
    /// other threads: a signal that comes while the loop waits has to interrupt the wait, not
    /// the writing of a line.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(name: &str, target: impl Write + Send + 'static) -> io::Result<Self> {
        let (queue, items) = mpsc::sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = Self { queue, dropped: Arc::clone(&dropped) };
        let write = move || {
            // It fails only for a set that is none.
            let _ = SigSet::all().thread_block();
            write_items(target, &items, &dropped);
        };
        thread::Builder::new().name(name.into()).spawn(write)?;
        Ok(sink)
    }

    /// Appends one line, which gets its line end here.
    pub fn line(&self, line: &str) {
        self.append(format!("{line}\n").into_bytes());
    }

    /// Waits until all lines are written, but not longer than `timeout`: a program that ends does
    /// not wait for a sink that is stalled.
    pub fn flush(&self, timeout: Duration) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.queue.try_send(Item::Flush(done)).is_ok() {
            // When the time is over the lines are lost, and there is nobody to tell.
            let _ = wait.recv_timeout(timeout);
        }
    }

    fn append(&self, line: Vec<u8>) {
        if self.queue.try_send(Item::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// For a logger, which writes each line whole.
impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_items(mut target: impl Write, items: &Receiver<Item>, dropped: &AtomicU64) {
    let mut is_torn = false;
    for item in items {
        match item {
            // A sink that is closed or full may be open or have room again for a later line.
            Item::Line(line) => {
                if is_torn {
                    // What a failed write has left is not the beginning of the next line.
                    is_torn = target.write_all(b"\n").is_err();
                }
                if is_torn || target.write_all(&line).is_err() {
                    is_torn = true;
                    dropped.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
            }
            Item::Flush(done) => {
                drop(target.flush());
                let _ = done.try_send(());
            }
        }
        let count = dropped.swap(0, Ordering::Relaxed);
        if count > 0 {
            drop(writeln!(
                target,
                "dropped here, because nothing took them: {}",
                plural(count, "line")
            ));
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
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no writer panics").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_in_order_and_a_flush_waits_for_them() {
        let page = Page::default();
        let sink = Sink::new("page", page.clone()).expect("a thread");
        (0..100).for_each(|number| sink.line(&number.to_string()));
        sink.flush(PATIENCE);
        let expected: String = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(*page.0.lock().expect("no writer panics"), expected.into_bytes());
    }

    /// Takes half of one line, nothing of the next, and everything from then on.
    #[derive(Default)]
    struct Full {
        page: Page,
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
    fn a_sink_that_was_full_goes_on_with_a_line_of_its_own_and_the_loss_is_told() {
        let page = Page::default();
        let sink = Sink::new("full", Full { page: page.clone(), writes: 0 }).expect("a thread");
        ["first", "second", "third"].into_iter().for_each(|line| sink.line(line));
        sink.flush(PATIENCE);
        let page =
            String::from_utf8(page.0.lock().expect("no writer panics").clone()).expect("ASCII");
        assert_eq!(page, "fir\nthird\ndropped here, because nothing took them: 2 lines\n");
    }

    #[test]
    fn a_stalled_sink_costs_lines_and_not_time_and_the_loss_is_told() {
        let page = Page::default();
        let stall = page.0.lock().expect("no writer panics");
        let sink = Sink::new("page", page.clone()).expect("a thread");
        (0..LINES_MAX + 100).for_each(|_| sink.line("x"));
        sink.flush(Duration::from_millis(1));
        drop(stall);
        // The queue has room again at some time from here on, and then a flush comes through.
        while String::from_utf8_lossy(&page.0.lock().expect("no writer panics")).lines().count()
            <= LINES_MAX
        {
            sink.flush(PATIENCE);
        }
        let page =
            String::from_utf8(page.0.lock().expect("no writer panics").clone()).expect("ASCII");
        assert!(page.contains("dropped here, because"), "{page}");
    }
}
