//! From the signal to the end: unready at once, answering all along.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::admin::Readiness;
use crate::app::Failure;
use crate::app::settings::Settings;
use crate::app::workers::Workers;

/// How often gRPC health looks whether the answer changed.
const LOOK: Duration = Duration::from_millis(20);

/// Serves until SIGTERM or SIGINT, then drains: unready at once; for `drain_delay` connections are
/// still accepted, since it takes a while until the last peer knows; then GOAWAY, and what is in flight
/// is answered; at `drain_timeout` everything is closed. A second signal closes at once.
pub(super) async fn until_told(
    settings: &Settings,
    readiness: &Arc<Readiness>,
    mut workers: Workers,
    mut accepting: JoinSet<()>,
) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    serving(readiness, &mut workers, &mut accepting, &mut signals).await?;

    let told = Instant::now();
    readiness.drain();
    workers.set_serving(false).await;
    tracing::info!(
        drain_delay_seconds = settings.drain_delay.as_secs_f64(),
        drain_timeout_seconds = settings.drain_timeout.as_secs_f64(),
        "told to stop: unready, still answering"
    );
    let drained = async {
        tokio::time::sleep_until(told + settings.drain_delay).await;
        drop(accepting);
        workers.stop();
        tracing::info!("no longer accepting; connections are told to go away");
        for _ in 0..workers.count() {
            if let Err(error) = workers.ended().await {
                tracing::warn!(error, "a worker did not end well");
            }
        }
    };
    tokio::select! {
        () = drained => tracing::info!("every connection has ended"),
        () = tokio::time::sleep_until(told + settings.drain_timeout) => {
            tracing::warn!("the drain timeout is over: closing what is still open");
        }
        () = signals.next() => tracing::warn!("told to stop again: closing what is still open"),
    }
    Ok(())
}

/// Serves, keeping gRPC health truthful, until a signal comes. A worker or an acceptor that ends by
/// itself is a failure of the process: it is better started anew than half alive.
async fn serving(
    readiness: &Arc<Readiness>,
    workers: &mut Workers,
    accepting: &mut JoinSet<()>,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut was_ready = None;
    loop {
        let unready = readiness.unready();
        if was_ready != Some(unready.is_none()) {
            was_ready = Some(unready.is_none());
            workers.set_serving(unready.is_none()).await;
            match unready {
                None => tracing::info!("ready"),
                Some(why) => tracing::info!(why, "not ready yet"),
            }
        }
        tokio::select! {
            () = signals.next() => return Ok(()),
            ended = workers.ended() => {
                let how = ended.err().unwrap_or_else(|| "without an error".to_owned());
                return Err(anyhow::anyhow!("a worker ended by itself: {how}").into());
            }
            Some(ended) = accepting.join_next() => {
                return Err(anyhow::anyhow!("a listener ended by itself: {ended:?}").into());
            }
            // Once ready, a process stays ready until it drains: no more looking.
            () = tokio::time::sleep(LOOK), if was_ready == Some(false) => {}
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
