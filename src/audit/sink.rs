//! Writes audit lines in the background, so that no request waits for a pipe.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many lines may wait for a slow reader. One more is dropped and counted: a stuck log must not
/// stop the decisions.
const WAITING: usize = 4096;

/// How long lines are gathered into one write while requests come in.
const GATHER: Duration = Duration::from_millis(5);

/// The sending end.
#[derive(Clone)]
pub struct AuditSink {
    lines: SyncSender<Message>,
    dropped: Arc<AtomicU64>,
}

enum Message {
    Line(Vec<u8>),
    Stop,
}

/// The thread that writes; [`AuditWriter::finish`] waits for the last line.
pub struct AuditWriter {
    lines: SyncSender<Message>,
    thread: JoinHandle<()>,
}

/// Starts the thread that writes to `output`.
///
/// # Errors
/// When the operating system gives no thread.
pub fn start(output: impl Write + Send + 'static) -> std::io::Result<(AuditSink, AuditWriter)> {
    let (lines, receiver) = sync_channel(WAITING);
    let dropped = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&dropped);
    let thread = std::thread::Builder::new()
        .name("audit".to_owned())
        .spawn(move || write_all(&receiver, output, &counted))?;
    Ok((
        AuditSink {
            lines: lines.clone(),
            dropped,
        },
        AuditWriter { lines, thread },
    ))
}

impl AuditSink {
    /// Hands over one line, its line feed included. Never blocks.
    pub fn send(&self, line: Vec<u8>) {
        if self.lines.try_send(Message::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines were lost because the reader was too slow or gone.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl AuditWriter {
    /// Writes what is waiting and ends the thread.
    pub fn finish(self) {
        let stopped = self.lines.send(Message::Stop).is_ok() && self.thread.join().is_ok();
        if !stopped {
            tracing::error!("the audit log ended before its last lines were written");
        }
    }
}

fn write_all(lines: &Receiver<Message>, mut output: impl Write, dropped: &AtomicU64) {
    let mut buffer = Vec::new();
    let mut broken = false;
    // Waits for the first line, then gathers what comes within a few milliseconds: under load no
    // sender has to wake this thread, and at rest it sleeps.
    while let Ok(first) = lines.recv() {
        let mut stop = false;
        let mut next = Some(first);
        loop {
            let mut count = 0;
            while let Some(message) = next.take() {
                match message {
                    Message::Line(line) => {
                        count += 1;
                        buffer.extend_from_slice(&line);
                    }
                    Message::Stop => stop = true,
                }
                next = lines.try_recv().ok();
            }
            if count > 0 {
                write_buffer(&mut output, &mut buffer, count, &mut broken, dropped);
            }
            if stop || count == 0 {
                break;
            }
            std::thread::sleep(GATHER);
            next = lines.try_recv().ok();
        }
        if stop {
            return;
        }
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
    use super::start;
    use std::io::Write;
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
            sink.send(format!("{line}\n").into_bytes());
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
        sink.send(b"a\n".to_vec());
        sink.send(b"b\n".to_vec());
        writer.finish();
        assert_eq!(sink.dropped(), 2);
    }
}
