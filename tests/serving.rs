//! `bellwether serve`, run as a process and asked over HTTP.

use std::fs::File;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::bellwether::Desk;
use crate::servers::{answer, free_address, wait_for};

/// The running API. Killed when dropped.
pub(crate) struct Serving {
    process: Child,
    address: SocketAddr,
}

/// What the API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// Status line and headers.
    head: String,
    /// The body, null where it is no JSON.
    pub(crate) body: Value,
}

impl Serving {
    /// Serves what the desk's configuration names, and waits until it is ready.
    pub(crate) fn start(desk: &Desk) -> Self {
        let mut serving = Self::begin(desk);
        wait_for("the API is ready", Duration::from_secs(60), || {
            let ended = serving.process.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "serve ended: {ended:?}");
            serving.ask("GET", "/readyz", "", "").status == 200
        });
        serving
    }
    /// Begins to serve.
    pub(crate) fn begin(desk: &Desk) -> Self {
        let address = free_address();
        let mut command = desk.command(&["serve", "--listen", &address.to_string()]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        Self { process, address }
    }
    /// Runs the demo, which leaves its API up; what it prints goes to `demo.json` and `demo.err`. Waits until the API is ready.
    pub(crate) fn demo(desk: &Desk) -> Self {
        let address = free_address();
        let file = |name: &str| File::create(desk.path().join(name)).expect("the test's folder is writable");
        let mut command = desk.command(&["demo", "--dir", "fleet", "--output", "json", "--serve", "--listen", &address.to_string()]);
        let process = command.stdout(file("demo.json")).stderr(file("demo.err")).spawn().expect("the binary starts");
        let mut serving = Self { process, address };
        wait_for("the demo's API is ready", Duration::from_secs(900), || {
            let ended = serving.process.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "the demo ended: {ended:?}\n{}", desk.read("demo.err"));
            serving.ask("GET", "/readyz", "", "").status == 200
        });
        serving
    }
    /// Tells it to stop, and gives its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        let told = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().expect("kill runs");
        assert!(told.success(), "{told:?}");
        self.process.wait().expect("a child can be waited for").code().unwrap_or(-1)
    }
    /// Its base address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
    /// Reads, with this token.
    pub(crate) fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, "")
    }
    /// Posts this JSON, with this token.
    pub(crate) fn post(&self, path: &str, token: &str, body: &Value) -> Answer {
        self.ask("POST", path, token, &body.to_string())
    }
    /// Kills it as a crash would: it gets no chance to tidy up.
    pub(crate) fn crash(mut self) {
        self.process.kill().expect("a running process can be killed");
        self.process.wait().expect("a child can be waited for");
    }
    /// Waits until someone else has killed it.
    pub(crate) fn killed(mut self) {
        wait_for("the process is killed", Duration::from_secs(120), || {
            self.process.try_wait().expect("a child can be waited for").is_some()
        });
    }
    fn ask(&self, verb: &str, path: &str, token: &str, body: &str) -> Answer {
        let bearer = format!("Bearer {}", token.trim());
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let (head, body) = answer(self.address, verb, path, &headers, body).unwrap_or_default();
        let status = head.split_whitespace().nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answer { status, head, body: serde_json::from_str(&body).unwrap_or(Value::Null) }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().filter_map(|line| line.split_once(": ")).find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
    /// The same, where the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }
}
