//! An issuer of tokens as a test needs it: answering, silent, broken or gone.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What the issuer does with a request for its keys.
#[derive(Clone, Debug)]
pub enum Mood {
    /// Answers with these keys.
    Keys(Value),
    /// Answers with this status and text.
    Broken(u16, &'static str),
    /// Takes the request and says nothing until the mood changes.
    Silent,
}

/// Serves `/jwks` and a discovery document that names it.
pub struct Issuer {
    address: SocketAddr,
    mood: watch::Sender<Mood>,
    fetches: Arc<AtomicUsize>,
    named_issuer: Arc<Mutex<Option<String>>>,
    task: AbortHandle,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Issuer {
    pub async fn start(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mood = watch::Sender::new(mood);
        let fetches = Arc::new(AtomicUsize::new(0));
        let named_issuer = Arc::new(Mutex::new(None));
        let (moods, counter, named) = (
            mood.subscribe(),
            Arc::clone(&fetches),
            Arc::clone(&named_issuer),
        );
        let task = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let (moods, counter, named) =
                    (moods.clone(), Arc::clone(&counter), Arc::clone(&named));
                let service = service_fn(move |request: Request<Incoming>| {
                    let named = named.lock().expect("not poisoned").clone();
                    let named = named.unwrap_or_else(|| format!("http://{address}"));
                    answer(request, address, named, moods.clone(), Arc::clone(&counter))
                });
                tokio::spawn(
                    hyper_util::server::conn::auto::Builder::new(
                        hyper_util::rt::TokioExecutor::new(),
                    )
                    .serve_connection(TokioIo::new(stream), service)
                    .into_owned(),
                );
            }
        });
        Self {
            address,
            mood,
            fetches,
            named_issuer,
            task: task.abort_handle(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// What the discovery document says of itself, if not the truth.
    pub fn call_itself(&self, name: &str) {
        *self.named_issuer.lock().expect("not poisoned") = Some(name.to_owned());
    }

    /// How often the keys were asked for.
    pub fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

async fn answer(
    request: Request<Incoming>,
    address: SocketAddr,
    named: String,
    mut moods: watch::Receiver<Mood>,
    counter: Arc<AtomicUsize>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let reply = |status: u16, text: String| {
        Response::builder()
            .status(status)
            .body(Full::new(Bytes::from(text)))
            .expect("a response")
    };
    if request.uri().path() == "/.well-known/openid-configuration" {
        let document = json!({"issuer": named, "jwks_uri": format!("http://{address}/jwks")});
        return Ok(reply(200, document.to_string()));
    }
    counter.fetch_add(1, Ordering::SeqCst);
    loop {
        let mood = moods.borrow_and_update().clone();
        match mood {
            Mood::Keys(keys) => return Ok(reply(200, keys.to_string())),
            Mood::Broken(status, text) => return Ok(reply(status, text.to_owned())),
            Mood::Silent => {
                if moods.changed().await.is_err() {
                    return Ok(reply(500, String::new()));
                }
            }
        }
    }
}
