//! Writes audit lines in the background, so that no request waits for a pipe.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many lines may wait for a slow reader. One more is dropped and counted: a stuck log must not
/// stop the decisions.
const WAITING: u64 = 4096;

/// How long lines are gathered into one write while requests come in.
const GATHER: Duration = Duration::from_millis(5);

/// How much memory is kept for the next lines, in bytes.
const KEPT: usize = 1024 * 1024;

/// The sending end.
#[derive(Clone)]
pub struct AuditSink(Arc<Shared>);

/// The thread that writes, until [`AuditWriter::finish`] has waited for the last line.
pub struct AuditWriter {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    dropped: AtomicU64,
}

/// Lines that nobody has written yet, one behind the other: a line costs its sender one copy, and no
/// memory that another thread has to give back.
#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    lines: u64,
    /// Whether the thread has to be woken.
    asleep: bool,
    /// Whether the thread is to end.
    stop: bool,
    /// Whether it has: what arrives now is lost.
    ended: bool,
}

/// Starts the thread that writes to `output`.
///
/// # Errors
/// When the operating system gives no thread.
pub fn start(output: impl Write + Send + 'static) -> std::io::Result<(AuditSink, AuditWriter)> {
    let shared = Arc::new(Shared::default());
    let of_thread = Arc::clone(&shared);
    let thread = std::thread::Builder::new()
        .name("audit".to_owned())
        .spawn(move || write_all(&of_thread, output))?;
    Ok((
        AuditSink(Arc::clone(&shared)),
        AuditWriter { shared, thread },
    ))
}

impl AuditSink {
    /// Hands over one line, its line feed included. Never waits for the reader.
    pub fn send(&self, line: &[u8]) {
        let mut waiting = self.0.lock();
        if waiting.ended || waiting.lines >= WAITING {
            drop(waiting);
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.text.extend_from_slice(line);
        waiting.lines += 1;
        let wake = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if wake {
            self.0.arrived.notify_one();
        }
    }

    /// How many lines were lost because the reader was too slow or gone.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl AuditWriter {
    /// Writes what is waiting and ends the thread.
    pub fn finish(self) {
        self.shared.lock().stop = true;
        self.shared.arrived.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the audit log ended before its last lines were written");
        }
    }
}

impl Shared {
    /// Held for no longer than it takes to copy a line.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a line or the end. Puts all lines into `buffer`, which is empty, and answers with
    /// their number and whether it is the end.
    fn take(&self, buffer: &mut Vec<u8>) -> (u64, bool) {
        let mut waiting = self.lock();
        while waiting.lines == 0 && !waiting.stop {
            waiting.asleep = true;
            waiting = self
                .arrived
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        waiting.asleep = false;
        waiting.ended = waiting.stop;
        std::mem::swap(&mut waiting.text, buffer);
        (std::mem::take(&mut waiting.lines), waiting.stop)
    }
}

/// Marks the thread's end, should it be a panic too.
struct Ended<'a>(&'a Shared);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
    }
}

fn write_all(shared: &Shared, mut output: impl Write) {
    let _ended = Ended(shared);
    let mut buffer = Vec::new();
    let mut broken = false;
    loop {
        let (lines, stop) = shared.take(&mut buffer);
        if lines > 0 {
            write_buffer(
                &mut output,
                &mut buffer,
                lines,
                &mut broken,
                &shared.dropped,
            );
        }
        if stop {
            return;
        }
        // What comes within a few milliseconds is gathered: under load no sender has to wake this
        // thread, and at rest it sleeps.
        std::thread::sleep(GATHER);
    }
}

fn write_buffer(
    output: &mut impl Write,
    buffer: &mut Vec<u8>,
    count: u64,
    broken: &mut bool,
    dropped: &AtomicU64,
) {
    let written = output.write_all(buffer).and_then(|()| output.flush());
    buffer.clear();
    buffer.shrink_to(KEPT);
    match written {
        Ok(()) => *broken = false,
        Err(error) => {
            dropped.fetch_add(count, Ordering::Relaxed);
            if !*broken {
                *broken = true;
                tracing::error!(%error, "cannot write the audit log; its lines are lost until this ends");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{WAITING, start};
    use std::io::Write;
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe))
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn writes_every_line_in_order_before_it_ends() {
        let output = Shared::default();
        let (sink, writer) = start(output.clone()).unwrap();
        for line in 0..1_000 {
            sink.send(format!("{line}\n").as_bytes());
        }
        writer.finish();
        let written = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<usize> = written.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(lines, (0..1_000).collect::<Vec<_>>());
        assert_eq!(sink.dropped(), 0);
    }

    #[test]
    fn counts_what_a_broken_pipe_loses() {
        let (sink, writer) = start(Broken).unwrap();
        sink.send(b"a\n");
        sink.send(b"b\n");
        writer.finish();
        assert_eq!(sink.dropped(), 2);
    }

    /// A reader that takes nothing until it is told to.
    struct Stuck(Receiver<()>, Shared);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn drops_and_counts_what_a_stuck_reader_leaves_no_room_for() {
        let (let_go, told) = sync_channel::<()>(0);
        let output = Shared::default();
        let (sink, writer) = start(Stuck(told, output.clone())).unwrap();
        // Whatever the thread has taken already, more than twice the room cannot all be kept.
        for _ in 0..2 * WAITING + 10 {
            sink.send(b"line\n");
        }
        assert!(sink.dropped() >= 10);
        drop(let_go);
        writer.finish();
        let written = output.0.lock().unwrap().len() as u64 / 5;
        assert_eq!(written + sink.dropped(), 2 * WAITING + 10);
        sink.send(b"too late\n");
        assert_eq!(written + sink.dropped(), 2 * WAITING + 11);
    }

    struct Panicking;

    impl Write for Panicking {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            panic!("as a test asks")
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn counts_what_arrives_after_the_thread_has_ended() {
        let (sink, writer) = start(Panicking).unwrap();
        sink.send(b"a\n");
        writer.finish();
        sink.send(b"b\n");
        assert_eq!(sink.dropped(), 1);
    }
}
