//! Waiting for other processes. There is nothing to be woken by, so these ask again until an answer comes.

use std::time::Duration;

/// Long enough for the slowest machine; a test that runs into it has failed.
pub const DEADLINE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(10);

/// The first answer that is not `None`; past the deadline it panics with `known()`.
pub async fn poll<T>(
    what: &str,
    known: impl Fn() -> String,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let answer = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(answer) => answer,
        Err(_) => panic!("{what}: not within {DEADLINE:?}\n{}", known()),
    }
}
