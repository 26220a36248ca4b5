//! Real servers for one test: each on a free loopback port, in a temporary folder, stopped by its process when the test ends.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use tempfile::TempDir;

/// What to do about a server that is not installed.
const MISSING: &str = "run scripts/setup, which installs it";

/// A loopback address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    listener.local_addr().expect("a bound socket has an address")
}

/// Waits until this holds.
///
/// # Panics
/// When it does not within the time.
pub(crate) fn wait_for(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + patience;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The status and body of a plain HTTP request; none when nobody answers. `body` makes it a POST of JSON.
pub(crate) fn http(address: SocketAddr, path: &str, body: Option<&str>) -> Option<(u16, String)> {
    let verb = if body.is_some() { "POST" } else { "GET" };
    exchange(address, verb, path, &[("Content-Type", "application/json")], body.unwrap_or_default())
}

/// The status and body of a plain HTTP request with these headers; none when nobody answers.
pub(crate) fn exchange(address: SocketAddr, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<(u16, String)> {
    let (head, body) = answer(address, verb, path, headers, body)?;
    Some((head.split_whitespace().nth(1)?.parse().ok()?, body))
}

/// The head and body of the answer to a plain HTTP request with these headers; none when nobody answers.
pub(crate) fn answer(address: SocketAddr, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
    let mut request = format!("{verb} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    stream.write_all(format!("{request}\r\n{body}").as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}

/// The present in seconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "a real Prometheus keeps what is recent by the wall clock")]
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970").as_secs() as i64
}

/// A number in -1..1 that looks random and is the same every time.
pub(crate) fn noise(series: usize, step: i64) -> f64 {
    let mixed = (series as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (step as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
    let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed >> 40) as f64 / (1 << 23) as f64) - 1.0
}

/// Samples in OpenMetrics text, for backfilling: first all of one metric family, then the next.
#[derive(Default)]
pub(crate) struct OpenMetrics {
    text: String,
}

impl OpenMetrics {
    /// Begins a family of this type: `gauge`, `histogram`, `counter`.
    pub(crate) fn family(&mut self, name: &str, kind: &str) {
        writeln!(self.text, "# TYPE {name} {kind}").expect("writing to a string does not fail");
    }
    /// Adds a sample at so many seconds since the epoch; `series` is a name with labels.
    pub(crate) fn sample(&mut self, series: &str, value: f64, at: i64) {
        writeln!(self.text, "{series} {value} {at}").expect("writing to a string does not fail");
    }
}

/// A real Prometheus.
pub(crate) struct Prometheus {
    process: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one whose storage holds these samples already, and that scrapes `target` (when given) every second.
    pub(crate) fn start(history: OpenMetrics, target: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        if !history.text.is_empty() {
            let samples = path.join("history.om");
            fs::write(&samples, history.text + "# EOF\n").expect("the temporary folder is writable");
            // Blocks of a week instead of two hours: promtool reads the whole file once for each block.
            let mut promtool = Command::new("promtool");
            promtool.args(["tsdb", "create-blocks-from", "--max-block-duration=162h", "openmetrics"]).arg(&samples).arg(path.join("data"));
            run("promtool", &mut promtool);
        }
        let mut config = "global: {scrape_interval: 1s, scrape_timeout: 900ms}\n".to_owned();
        if let Some(target) = target {
            // Without the labels that scraping adds, what is scraped carries on the series of the history.
            let relabel = "metric_relabel_configs: [{action: labeldrop, regex: instance|job}]";
            let _ = writeln!(
                config,
                "scrape_configs: [{{job_name: fleet, honor_labels: true, static_configs: [{{targets: ['{target}']}}], {relabel}}}]"
            );
        }
        fs::write(path.join("prometheus.yml"), config).expect("the temporary folder is writable");
        let address = free_address();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", path.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--storage.tsdb.retention.time=60d", "--log.level=error"])
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|e| panic!("prometheus: {e}; {MISSING}"));
        let server = Self { process, address, _folder: folder };
        wait_for("Prometheus is ready", Duration::from_secs(60), || matches!(http(address, "/-/ready", None), Some((200, _))));
        server
    }
    /// Its base address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
    /// The values of an instant query, in Prometheus' order.
    pub(crate) fn values(&self, query: &str) -> Vec<f64> {
        let encoded: String =
            query.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
        let (status, body) = http(self.address, &format!("/api/v1/query?query={encoded}"), None).expect("Prometheus answers");
        assert_eq!(status, 200, "{body}");
        let answer: serde_json::Value = serde_json::from_str(&body).expect("Prometheus answers in JSON");
        let rows = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        rows.iter().filter_map(|row| row["value"][1].as_str()?.parse().ok()).collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A real PostgreSQL.
pub(crate) struct Postgres {
    programs: PathBuf,
    address: SocketAddr,
    folder: TempDir,
}

impl Postgres {
    /// Starts an empty one, as the user `postgres` where this process is root, which PostgreSQL refuses to run as.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let programs = postgres_programs();
        let server = Self { programs, address: free_address(), folder };
        let data = server.folder.path();
        if is_root() {
            run("chown", Command::new("chown").arg("postgres").arg(data));
        }
        run("initdb", server.program("initdb").arg("-D").arg(data.join("data")).args(["-A", "trust", "-U", "postgres", "--no-sync"]));
        let options = format!("-p {} -k {} -c listen_addresses=127.0.0.1 -c fsync=off", server.address.port(), data.display());
        let log = data.join("log");
        run(
            "pg_ctl",
            server.program("pg_ctl").arg("-D").arg(data.join("data")).args(["-w", "-l"]).arg(log).args(["-o", &options, "start"]),
        );
        server
    }
    /// Its connection address.
    pub(crate) fn dsn(&self) -> String {
        format!("postgresql://postgres@{}/postgres", self.address)
    }
    /// Runs these statements and gives what they print, bare.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.dsn(), "-c", statements]);
        run("psql", &mut psql)
    }
    /// A session that stays open: statements written to its standard input run as they come.
    pub(crate) fn session(&self) -> Child {
        Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.dsn()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| panic!("psql: {e}; {MISSING}"))
    }
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.program("pg_ctl").arg("-D").arg(self.folder.path().join("data")).args(["-m", "immediate", "-w", "stop"]).output();
    }
}

/// The folder of the newest installed PostgreSQL's programs.
fn postgres_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").unwrap_or_else(|e| panic!("PostgreSQL: {e}; {MISSING}"));
    let newest = versions.filter_map(|v| v.ok()?.file_name().to_str()?.parse::<u32>().ok()).max();
    let newest = newest.unwrap_or_else(|| panic!("/usr/lib/postgresql is empty; {MISSING}"));
    Path::new("/usr/lib/postgresql").join(newest.to_string()).join("bin")
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

/// Runs a program that ends by itself and gives what it prints.
pub(crate) fn run(name: &str, command: &mut Command) -> String {
    // Its output goes to files: a server that it starts would keep a pipe open.
    let (mut out, mut err) = (tempfile::tempfile().expect("a temporary file"), tempfile::tempfile().expect("a temporary file"));
    let copy = |file: &fs::File| Stdio::from(file.try_clone().expect("a file has another handle"));
    let status =
        command.stdin(Stdio::null()).stdout(copy(&out)).stderr(copy(&err)).status().unwrap_or_else(|e| panic!("{name}: {e}; {MISSING}"));
    let read = |file: &mut fs::File| {
        use std::io::Seek as _;
        let mut text = String::new();
        file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("programs print text");
        text
    };
    assert!(status.success(), "{name}: {status}\n{}{}", read(&mut out), read(&mut err));
    read(&mut out)
}

/// Routes served over HTTP from a thread of this process, until dropped.
pub(crate) struct Served {
    address: SocketAddr,
    // Stops the server's threads when dropped.
    _runtime: tokio::runtime::Runtime,
}

impl Served {
    /// Serves these routes.
    pub(crate) fn start(routes: Router) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("threads can be started");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound socket has an address");
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { address, _runtime: runtime }
    }
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The Python that has the real OpenLineage client and the open-table readers.
pub(crate) fn python() -> PathBuf {
    let default = || {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))?;
        Some(cache.join("bellwether/venv/bin/python"))
    };
    let path = std::env::var_os("BELLWETHER_TEST_PYTHON").map(PathBuf::from).or_else(default).expect("HOME is set");
    assert!(path.exists(), "{} is not there; {MISSING}", path.display());
    path
}
