//! The load: a process of its own with a runtime of one thread, so that it takes one core and no more.
//!
//! A closed loop: each caller asks, waits, and asks again. Only calls that begin and end inside the window count.

use std::io::Write as _;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};
use valetkey::proto;
use valetkey::proto::access_service_client::AccessServiceClient;
use valetkey::proto::connector_service_client::ConnectorServiceClient;
use valetkey::proto::credential_service_client::CredentialServiceClient;

use super::plan::{self, Call, Findings, LoadPlan, Outcome, WINDOW_CLOSES, WINDOW_OPENS};
use super::sts::Direct;

/// Runs the load of this process.
pub fn run() -> Outcome<()> {
    let plan: LoadPlan = plan::of_this_process()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let findings = tokio::task::LocalSet::new().block_on(&runtime, loaded(plan))?;
    println!("{}", serde_json::to_string(&findings)?);
    Ok(())
}

/// A channel to a server of the bench.
pub async fn channel(port: u16, ca: &std::path::Path) -> Outcome<Channel> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(std::fs::read(ca)?)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}"))?.tls_config(tls)?.tcp_nodelay(true);
    Ok(endpoint.connect_timeout(CONNECT_TIMEOUT).connect().await?)
}

/// The authorization of a caller.
pub fn bearer(token: &str) -> Outcome<MetadataValue<Ascii>> {
    Ok(format!("Bearer {}", token.trim()).parse()?)
}

/// The ask that all mints of the bench make.
pub fn mint_request(connector: &str, folder: &str, number: u64) -> proto::MintCredentialRequest {
    let ask = proto::MintAsk {
        project: String::new(),
        source: Some(proto::mint_ask::Source::Connector(connector.to_owned())),
        resource_type: "s3-bucket".to_owned(),
        resource_id: format!("s3://bench-datasets/{folder}/{number:08}/"),
        access: proto::AccessLevel::Read.into(),
        ttl_seconds: 3600,
        ..Default::default()
    };
    proto::MintCredentialRequest { ask: Some(ask) }
}

/// What all callers share.
struct Shared {
    plan: LoadPlan,
    bearer: MetadataValue<Ascii>,
    numbers: AtomicU64,
    opens: Instant,
    closes: Instant,
}

/// How one caller reaches what it calls.
enum Way {
    Daemon(Channel),
    Cloud(Direct),
}

/// One for each caller.
async fn ways(plan: &LoadPlan) -> Outcome<Vec<Way>> {
    let mut ways = Vec::new();
    if matches!(plan.call, Call::Upstream) {
        for _ in 0..plan.in_flight {
            ways.push(Way::Cloud(Direct::connect(plan.port).await?));
        }
        return Ok(ways);
    }
    let mut channels = Vec::new();
    for _ in 0..plan.connections {
        channels.push(channel(plan.port, &plan.ca).await?);
    }
    Ok(channels.into_iter().cycle().take(plan.in_flight).map(Way::Daemon).collect())
}

async fn loaded(plan: LoadPlan) -> Outcome<Findings> {
    let ways = ways(&plan).await?;
    let opens = Instant::now() + plan.warm_up;
    let closes = opens + plan.measured;
    let bearer = bearer(&plan.token)?;
    let shared = Rc::new(Shared { plan, bearer, numbers: AtomicU64::new(0), opens, closes });
    let callers: Vec<_> =
        ways.into_iter().map(|way| tokio::task::spawn_local(caller(Rc::clone(&shared), way))).collect();
    tokio::time::sleep_until(opens.into()).await;
    announce(WINDOW_OPENS);
    if shared.plan.calls_max.is_none() {
        tokio::time::sleep_until(closes.into()).await;
        announce(WINDOW_CLOSES);
    }
    let mut sum = Sum::new()?;
    for caller in callers {
        sum.add(caller.await??)?;
    }
    let ended = Instant::now();
    if shared.plan.calls_max.is_some() {
        announce(WINDOW_CLOSES);
    }
    Ok(sum.findings(ended.min(closes).saturating_duration_since(opens)))
}

/// What was seen: by one caller, or by all.
struct Sum {
    times: Histogram<u64>,
    refused: u64,
    refusal: String,
}

impl Sum {
    fn new() -> Outcome<Self> {
        Ok(Self { times: Histogram::new_with_bounds(1, MICROS_MAX, 3)?, refused: 0, refusal: String::new() })
    }

    fn add(&mut self, other: Self) -> Outcome<()> {
        self.times.add(other.times)?;
        self.refused += other.refused;
        if self.refusal.is_empty() {
            self.refusal = other.refusal;
        }
        Ok(())
    }

    fn findings(self, window: Duration) -> Findings {
        let ms = |quantile: f64| plan::count(self.times.value_at_quantile(quantile)) / 1000.0;
        Findings {
            calls: self.times.len(),
            refused: self.refused,
            seconds: window.as_secs_f64(),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            refusal: self.refusal,
        }
    }
}

async fn caller(shared: Rc<Shared>, mut way: Way) -> Result<Sum, String> {
    let mut sum = Sum::new().map_err(|error| error.to_string())?;
    loop {
        let number = shared.numbers.fetch_add(1, Ordering::Relaxed);
        let begun = Instant::now();
        if begun >= shared.closes || shared.plan.calls_max.is_some_and(|max| number >= max) {
            return Ok(sum);
        }
        let answer = match &mut way {
            Way::Daemon(channel) => called(&shared, channel.clone(), number).await,
            Way::Cloud(direct) => direct.ask().await.map_err(|error| Status::unavailable(error.to_string())),
        };
        let ended = Instant::now();
        let bounded = shared.plan.calls_max.is_some();
        if !bounded && (begun < shared.opens || ended > shared.closes) {
            continue;
        }
        match answer {
            Ok(()) => {
                let micros = u64::try_from((ended - begun).as_micros()).unwrap_or(MICROS_MAX);
                sum.times.saturating_record(micros.max(1));
            }
            Err(status) => {
                sum.refused += 1;
                if sum.refusal.is_empty() {
                    sum.refusal = format!("{:?}: {}", status.code(), status.message());
                }
            }
        }
    }
}

async fn called(shared: &Shared, channel: Channel, number: u64) -> Result<(), Status> {
    match &shared.plan.call {
        Call::WhoAmI => {
            let request = with_bearer(shared, proto::WhoAmIRequest::default());
            AccessServiceClient::new(channel).who_am_i(request).await.map(drop)
        }
        Call::Mint { connector, folder, spread } => {
            let number = if *spread == 0 { number } else { number % spread };
            let request = with_bearer(shared, mint_request(connector, folder, number));
            CredentialServiceClient::new(channel).mint_credential(request).await.map(drop)
        }
        Call::Upstream => Err(Status::unimplemented("the daemon is not the cloud")),
        Call::Register { prefix, settings } => {
            let request = super::founding::register_request(&format!("{prefix}-{number}"), settings);
            ConnectorServiceClient::new(channel).register_connector(with_bearer(shared, request)).await.map(drop)
        }
    }
}

fn with_bearer<T>(shared: &Shared, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", shared.bearer.clone());
    request
}

fn announce(moment: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever does not listen has gone; so will this process.
    let _ = writeln!(out, "{moment}").and_then(|()| out.flush());
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

// Above any deadline of a call.
const MICROS_MAX: u64 = 60_000_000;
