//! A process of its own for each test, with nothing of the developer's AWS in it, and a server that
//! answers as a test says.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;

/// Marks the child.
const ALONE: &str = "PGFERRY_AWS_TEST_ALONE";

/// Runs `test` in a child process that has `envs`, an empty home and nothing else.
pub(crate) fn alone(name: &str, envs: &[(&str, &str)], test: impl Future<Output = ()>) {
    if std::env::var_os(ALONE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(test);
    }
    let home = Home::new(name);
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env_clear()
        .env(ALONE, "1")
        .env("HOME", &home.0)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(envs.iter().copied())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// A home directory that goes with its test.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Self {
        let home = std::env::temp_dir().join(format!("pgferry-aws-{}-{name}", std::process::id()));
        std::fs::create_dir_all(home.join(".aws/sso/cache")).unwrap();
        Self(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

/// Writes a file below the child's home.
pub(crate) fn write(path: &str, text: &str) {
    let home = std::env::var_os("HOME").unwrap();
    std::fs::write(Path::new(&home).join(path), text).unwrap();
}

/// What the server answers: status, further headers, body.
pub(crate) type Reply = (u16, &'static str, String);

/// An HTTP server that ends with the process.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `reply` sees the request: its head and body.
    pub(crate) fn start(reply: impl Fn(&str) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let journal = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = request(&mut stream);
                let (status, headers, body) = reply(&request);
                journal.lock().unwrap().push(request);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\
                     {headers}\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Self { url, asked }
    }

    /// How many requests had `text` in them.
    pub(crate) fn asked(&self, text: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|request| request.contains(text)).count()
    }
}

fn request(stream: &mut TcpStream) -> String {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lower = head.to_ascii_lowercase();
            let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let read = stream.read(&mut chunk).unwrap();
        assert!(read > 0, "a request that ends early: {text}");
        bytes.extend(chunk.iter().take(read));
    }
}
