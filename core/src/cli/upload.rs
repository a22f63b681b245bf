//! Bringing a plugin file to the server: as a form to the running one, otherwise straight to the
//! home folder.

use std::path::Path;

use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use indicatif::ProgressBar;
use serde_json::Value;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::client::Client;
use super::link::Link;
use super::output::text;
use super::{CliError, Exit};
use crate::admin::api::Problem;
use crate::clock::Random;
use crate::plugin_host::{Consent, PluginError, Shown};

/// Octets that are read at a time.
const PIECE: usize = 64 * 1024;

impl Link {
    /// Installs a file. The answer is the plugin as the API shows it.
    pub async fn upload(
        &self,
        file: &Path,
        accept_unsigned: bool,
        bar: &ProgressBar,
    ) -> Result<Value, CliError> {
        let unreadable = |error: std::io::Error| {
            CliError::usage(error, file.display(), "name a file that this account may read")
        };
        let open = File::open(file).await.map_err(unreadable)?;
        let size = open.metadata().await.map_err(unreadable)?.len();
        bar.set_length(size);
        let pieces = pieces(open, bar.clone());
        let (status, answer) = match self {
            Link::Running(client) => client.upload(pieces, accept_unsigned).await?,
            Link::Direct(api) => {
                let actor = "command line".to_owned();
                let consent = Consent { actor, accept_unsigned };
                match direct(&api.plugins, pieces, consent).await {
                    Ok(shown) => (StatusCode::CREATED, serde_json::json!(shown)),
                    Err(error) => {
                        let problem = Problem::from(error);
                        (problem.status(), problem.to_json())
                    }
                }
            }
        };
        match status.is_success() {
            true => Ok(answer),
            false => Err(refused(status, &answer, file)),
        }
    }
}

/// The reason says what to do; only a wrong token is the command line's own matter.
fn refused(status: StatusCode, problem: &Value, file: &Path) -> CliError {
    let exit = match status {
        StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS => Exit::Api,
        StatusCode::BAD_REQUEST => Exit::Refused,
        _ => Exit::Failure,
    };
    CliError::told(exit, format_args!("{}: {}", file.display(), text(problem, "detail")))
}

type Piece = std::io::Result<Bytes>;

fn pieces(file: File, bar: ProgressBar) -> impl Stream<Item = Piece> + Send + 'static {
    stream::try_unfold((file, bar), |(mut file, bar)| async move {
        let mut piece = Vec::with_capacity(PIECE);
        (&mut file).take(PIECE as u64).read_to_end(&mut piece).await?;
        bar.inc(piece.len() as u64);
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (file, bar))))
    })
}

async fn direct(
    plugins: &std::sync::Arc<crate::plugin_host::PluginHost>,
    pieces: impl Stream<Item = Piece>,
    consent: Consent,
) -> Result<Shown, PluginError> {
    let mut incoming = plugins.receive().await?;
    let mut pieces = std::pin::pin!(pieces);
    while let Some(piece) = pieces.next().await {
        incoming.write(&piece.map_err(|error| PluginError::Disk(error.to_string()))?).await?;
    }
    plugins.install(incoming.finish().await?, consent).await
}

impl Client {
    async fn upload(
        &self,
        file: impl Stream<Item = Piece> + Send + 'static,
        accept_unsigned: bool,
    ) -> Result<(StatusCode, Value), CliError> {
        let boundary = Random::system().hex();
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"accept_unsigned\"\r\n\r\n\
             {accept_unsigned}\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"plugin.so\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let around = |text: String| stream::iter([Ok(Bytes::from(text))]);
        let body = around(head).chain(file).chain(around(tail));
        let body = StreamBody::new(Box::pin(body.map(|piece| piece.map(Frame::data))));
        let request = Request::post("/api/v1/plugins")
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token()))
            .header("content-type", format!("multipart/form-data; boundary={boundary}"))
            .body(body);
        let request = request.map_err(|error| self.lost(&error))?;
        let stream = TcpStream::connect(("127.0.0.1", self.port())).await;
        let io = TokioIo::new(stream.map_err(|error| self.lost(&error))?);
        let (mut sender, connection) = handshake(io).await.map_err(|error| self.lost(&error))?;
        // The server keeps the connection for a next call: the answer is waited for, not its end.
        self.tracker().spawn("upload", async move {
            let _ = connection.await;
        });
        let answer = sender.send_request(request).await.map_err(|error| self.lost(&error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| self.lost(&error))?;
        let body = body.to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        Ok((status, serde_json::from_slice(&body).unwrap_or_else(|_| text())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;
    use crate::shutdown::Tracker;
    use crate::telemetry::Counter;

    /// Answers what it gets by `{}`, and leaves every connection open.
    async fn answer_and_stay(listener: TcpListener) {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            open.push(tokio::spawn(async move {
                let mut got = Vec::new();
                while !got.ends_with(b"0\r\n\r\n") {
                    if stream.read_buf(&mut got).await.unwrap() == 0 {
                        return;
                    }
                }
                stream
                    .write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}")
                    .await
                    .unwrap();
                std::future::pending::<()>().await;
            }));
        }
    }

    #[tokio::test]
    async fn ends_with_its_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(answer_and_stay(listener));
        let tracker = Tracker::new(Arc::new(Counter::new()));
        let client = Client::connect(port, "token".to_owned(), tracker).await.unwrap();
        let file = stream::iter([Ok(Bytes::from_static(b"a library"))]);
        let upload = client.upload(file, true);
        let answer = tokio::time::timeout(std::time::Duration::from_secs(30), upload).await;
        assert_eq!(
            answer.expect("it waits for the end of the connection").unwrap().0,
            StatusCode::CREATED
        );
    }
}
