//! A real Prometheus in a process and a folder of its own, ended when dropped.

use serde_json::Value;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to be ready.
const START: Duration = Duration::from_secs(60);
/// How often another port is tried: between its choice and Prometheus' start somebody else may take it.
const TRIES: usize = 5;

/// A running Prometheus.
pub struct Server {
    process: Child,
    url: String,
    client: reqwest::Client,
    /// Removed with it.
    _folder: tempfile::TempDir,
}

/// What Prometheus says to a query: the `data` of a success, or the kind of its error and its words.
pub type Answer = Result<Value, (String, String)>;

impl Server {
    /// Starts one with this configuration and waits until it is ready. It takes remote writes.
    pub async fn start(configuration: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut last = String::new();
        for _ in 0..TRIES {
            match Self::try_start(configuration).await {
                Ok(server) => return server,
                Err(log) => last = log,
            }
        }
        panic!("prometheus does not start:\n{last}");
    }

    /// Fails with what it logged if it ends before it is ready.
    async fn try_start(configuration: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder for Prometheus");
        let file = folder.path().join("prometheus.yml");
        std::fs::write(&file, configuration).expect("its configuration");
        let log = folder.path().join("log");
        let address = free_address();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--web.enable-remote-write-receiver")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("its log"))
            .spawn()
            .expect("prometheus is on the PATH");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut server = Self { process, url: format!("http://{address}"), client, _folder: folder };
        let began = Instant::now();
        loop {
            if server.process.try_wait().expect("its state").is_some() || began.elapsed() > START {
                return Err(std::fs::read_to_string(log).unwrap_or_default());
            }
            let ready = server.client.get(format!("{}/-/ready", server.url)).send().await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a form to a path of the API.
    pub async fn ask(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        let request = self.client.post(format!("{}{path}", self.url)).form(form);
        read(request.send().await.expect("an answer of Prometheus")).await
    }

    /// Gets a path of the API.
    pub async fn get(&self, path: &str) -> Answer {
        read(self.client.get(format!("{}{path}", self.url)).send().await.expect("an answer of Prometheus")).await
    }

    /// How many instant queries it has answered with success.
    pub async fn queries_answered(&self) -> u64 {
        const LINE: &str = r#"prometheus_http_requests_total{code="200",handler="/api/v1/query"} "#;
        let answer = self.client.get(format!("{}/metrics", self.url)).send().await.expect("its own metrics");
        let text = answer.text().await.expect("a text");
        let count = text.lines().find_map(|line| line.strip_prefix(LINE));
        count.map_or(0, |count| count.parse().expect("a count"))
    }

    /// Sends a remote write, as `write` makes it.
    pub async fn write(&self, body: Vec<u8>) {
        let request = self
            .client
            .post(format!("{}/api/v1/write", self.url))
            .header("content-encoding", "snappy")
            .header("content-type", "application/x-protobuf")
            .header("x-prometheus-remote-write-version", "0.1.0")
            .body(body);
        let answer = request.send().await.expect("an answer of Prometheus");
        let status = answer.status();
        let said = answer.text().await.unwrap_or_default();
        assert!(status.is_success(), "the remote write was refused: {status} {said}");
    }
}

async fn read(answer: reqwest::Response) -> Answer {
    let body = answer.bytes().await.expect("a whole answer");
    let mut body: Value = serde_json::from_slice(&body).expect("an answer in JSON");
    if body["status"] == "success" {
        return Ok(body["data"].take());
    }
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_string();
    Err((text("errorType"), text("error")))
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").to_string()
}
