//! The lines a child process has written so far, readable while it runs.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::watch;

#[derive(Debug, Default)]
struct Written {
    lines: Vec<String>,
    closed: bool,
}

#[derive(Debug, Clone)]
pub struct LineLog(watch::Receiver<Written>);

/// The pipe was closed before the line came.
#[derive(Debug)]
pub struct Closed;

impl LineLog {
    /// Reads on until the pipe is closed.
    pub fn follow(pipe: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(Written::default());
        tokio::spawn(async move {
            let mut pipe = BufReader::new(pipe);
            let mut line = Vec::new();
            while let Ok(1..) = pipe.read_until(b'\n', &mut line).await {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                sender.send_modify(|written| written.lines.push(text));
                line.clear();
            }
            sender.send_modify(|written| written.closed = true);
        });
        Self(receiver)
    }

    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().lines.clone()
    }

    pub fn is_closed(&self) -> bool {
        self.0.borrow().closed
    }

    /// The first line, written already or still to come, in which `find` sees something.
    pub async fn wait_for<T>(&self, mut find: impl FnMut(&str) -> Option<T>) -> Result<T, Closed> {
        let mut receiver = self.0.clone();
        let mut looked_at = 0;
        loop {
            {
                let written = receiver.borrow_and_update();
                if let Some(found) = written
                    .lines
                    .iter()
                    .skip(looked_at)
                    .find_map(|line| find(line))
                {
                    return Ok(found);
                }
                if written.closed {
                    return Err(Closed);
                }
                looked_at = written.lines.len();
            }
            receiver.changed().await.map_err(|_| Closed)?;
        }
    }

    /// Until nothing more can come.
    pub async fn wait_closed(&self) {
        // An error means that the reader is gone, and closed is closed.
        let _ = self.0.clone().wait_for(|written| written.closed).await;
    }
}
