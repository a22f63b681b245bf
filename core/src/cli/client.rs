//! The HTTP side of the command line: calls `/api/v1` of the server that runs on this home.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpStream;

use super::{CliError, Exit};
use crate::shutdown::Tracker;

type Sender = SendRequest<Full<Bytes>>;

/// A server on this machine.
pub struct Client {
    port: u16,
    token: String,
    tracker: Tracker,
    /// Connections that wait for the next call.
    idle: Mutex<Vec<Sender>>,
}

impl Client {
    /// Connects to the console port. `None`: nobody listens there.
    pub async fn connect(port: u16, token: String, tracker: Tracker) -> Option<Client> {
        let client = Client { port, token, tracker, idle: Mutex::default() };
        let sender = client.open().await.ok()?;
        client.idle.lock().push(sender);
        Some(client)
    }

    /// Where the server listens on this machine.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it is asked with.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whose tasks its connections are.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    async fn open(&self) -> Result<Sender, CliError> {
        let lost = |error: &dyn std::fmt::Display| self.lost(error);
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.map_err(|e| lost(&e))?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| lost(&e))?;
        self.tracker.spawn("api connection", async move {
            // What went wrong is told to the call that waits for its answer.
            let _ = connection.await;
        });
        Ok(sender)
    }

    /// Calls `path` (below `/api/v1`, with its query). The answer's status and body.
    pub async fn call(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value), CliError> {
        let kept = self.idle.lock().pop().filter(|sender| !sender.is_closed());
        let mut sender = match kept {
            Some(sender) => sender,
            None => self.open().await?,
        };
        let request = self.request(method, path, body)?;
        sender.ready().await.map_err(|error| self.lost(&error))?;
        let response = sender.send_request(request).await.map_err(|error| self.lost(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| self.lost(&error))?;
        let body = body.to_bytes();
        self.idle.lock().push(sender);
        if body.is_empty() {
            return Ok((status, Value::Null));
        }
        let value = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
        Ok((status, value))
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Request<Full<Bytes>>, CliError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1{path}"))
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        request.body(Full::new(body.into())).map_err(|error| {
            CliError::usage(error, path, "write the path as in /api/v1/openapi.json")
        })
    }

    pub fn lost(&self, error: &dyn std::fmt::Display) -> CliError {
        CliError::new(
            Exit::Api,
            format_args!("the connection to the running server broke: {error}"),
            format_args!("127.0.0.1:{}", self.port),
            "see the log of the server",
        )
    }
}
