//! The shop as four processes: starts them, passes their lines on, and closes them.

use crate::database::Database;
use crate::options::{Only, Options};
use crate::services::{NAMES, listen};
use crate::{introduce, load};
use obs_runtime::lifecycle;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a service may take to close.
const PATIENCE: Duration = Duration::from_secs(15);

/// Runs the services until Ctrl-C, until the load has made its requests, or until one of them ends.
pub(crate) async fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let database = directory.path().join("shop.db");
    Database::create(&database)?;
    // Taken to see that they are free, and given back for the services to take.
    let ports = {
        let listeners = listen(options.port).await?;
        let mut ports = [0; 4];
        for (port, listener) in ports.iter_mut().zip(&listeners) {
            *port = listener.local_addr()?.port();
        }
        ports
    };
    let mut services = Vec::new();
    for service in NAMES {
        let only = Only { service: service.to_owned(), ports, database: database.clone() };
        services.push(Service::start(&only, options)?);
    }
    wait_until_ready(&ports).await?;
    let urls = options.urls(ports);
    introduce(&urls, None, &database);
    tokio::select! {
        _ = lifecycle::terminated() => {}
        () = load::run(urls[0].clone(), options.clone()) => {}
        () = any_has_ended(&mut services) => say!("shop: a service has ended; closing the others"),
    }
    // The gateway first, so that what is under way finds those behind it.
    for service in services {
        service.close()?;
    }
    Ok(())
}

/// Until every service answers that it takes requests.
async fn wait_until_ready(ports: &[u16; 4]) -> Result<(), Box<dyn Error>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let started = Instant::now();
    for port in ports {
        let ready = async || {
            let answer = client.get(format!("http://127.0.0.1:{port}/health/ready")).send().await;
            answer.is_ok_and(|answer| answer.status().is_success())
        };
        while !ready().await {
            if started.elapsed() > PATIENCE {
                return Err(format!("the service on port {port} does not come up").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Ok(())
}

async fn any_has_ended(services: &mut [Service]) {
    while !services.iter_mut().any(Service::has_ended) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A service in a process of its own.
struct Service {
    process: Child,
    lines: JoinHandle<()>,
}

impl Service {
    fn start(only: &Only, options: &Options) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(only.arguments());
        for (option, url) in [("--otlp", &options.otlp), ("--users", &options.users)] {
            command.args(url.iter().flat_map(|url| [option, url]));
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take();
        Ok(Self { process, lines: thread::spawn(move || output.into_iter().for_each(pass_on)) })
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Closes its standard input, which it takes as the sign to end, and waits for that.
    fn close(mut self) -> io::Result<()> {
        drop(self.process.stdin.take());
        let asked = Instant::now();
        while self.process.try_wait()?.is_none() {
            if asked.elapsed() > PATIENCE {
                self.process.kill()?;
            }
            thread::sleep(Duration::from_millis(5));
        }
        // It ends with the output that it reads.
        let _ = self.lines.join();
        Ok(())
    }
}

/// Passes lines on one by one, so that those of two services never mix.
fn pass_on(output: impl Read) {
    for line in BufReader::new(output).split(b'\n') {
        let Ok(mut line) = line else { return };
        line.push(b'\n');
        if io::stdout().lock().write_all(&line).is_err() {
            return;
        }
    }
}
