//! A node for one test.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long a node may take to listen, on a machine that builds at the same time.
const START: Duration = Duration::from_secs(120);
/// What every Substrate node logs when it listens, before the addresses.
const LISTENING: &str = "Running JSON-RPC server: addr=";

/// A node with a chain of its own, which ends with the test.
pub struct TestNode {
    process: Child,
    port: u16,
}

impl TestNode {
    /// A node on any free port.
    pub fn start() -> Self {
        Self::start_on(0)
    }

    /// A node on this port.
    pub fn start_on(port: u16) -> Self {
        let binary = env::var("CONTRACTS_NODE").unwrap_or_else(|_| {
            panic!("CONTRACTS_NODE names no node: run scripts/test, or set it to the output of `scripts/node --which`")
        });
        let mut process = Command::new(&binary)
            .args(["--dev", "--rpc-port", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("CONTRACTS_NODE={binary} does not start: {error}"));
        let log = BufReader::new(process.stderr.take().expect("it is piped"));
        let (tell, listening) = mpsc::channel();
        // The log is read to its end, so that the node never waits for a reader.
        thread::spawn(move || {
            let mut said = String::new();
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, addresses)) = line.split_once(LISTENING) {
                    let port = addresses.split(',').find_map(|address| address.rsplit(':').next()?.parse().ok());
                    // Whoever has heard of one address wants no other.
                    let _ = tell.send(port.ok_or_else(|| line.clone()));
                }
                said = said + &line + "\n";
            }
            let _ = tell.send(Err(said));
        });
        let mut node = Self { process, port: 0 };
        match listening.recv_timeout(START) {
            Ok(Ok(port)) => node.port = port,
            Ok(Err(said)) => panic!("{binary} did not listen; it said:\n{said}"),
            Err(_) => {
                node.kill();
                panic!("{binary} did not listen within {START:?}")
            }
        }
        node
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        self.kill();
    }
}
