//! `weir-operator`: the process of the controller.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use futures::future::join_all;
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;
use weir_operator::clock;
use weir_operator::context::Context;
use weir_operator::controller::{self, Scope};
use weir_operator::health::Health;
use weir_operator::leader::{Candidate, Lease};
use weir_operator::metrics::Metrics;
use weir_operator::progress::ProgressReader;
use weir_operator::settings::{Settings, Users};

/// How long running reconciles may take after the signal to stop.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug, Parser)]
#[command(version, about = "Run StreamPipelines on Kubernetes")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch StreamPipelines and run them in the cluster.
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Serve /metrics, /healthz and /readyz on this address.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:8080")]
    http: SocketAddr,
    /// Watch only this namespace; may be repeated. By default all namespaces are watched.
    #[arg(long = "namespace", value_name = "NAMESPACE")]
    namespaces: Vec<String>,
    /// The runtime's image for pipelines that name none.
    #[arg(long, value_name = "IMAGE")]
    runtime_image: String,
    /// A label of the pipelines' PodMonitors, by which Prometheus selects them; may be repeated.
    ///
    /// PodMonitors are created only in clusters that have this kind.
    #[arg(long = "pod-monitor-label", value_name = "KEY=VALUE", value_parser = label)]
    pod_monitor_labels: Vec<(String, String)>,
    /// A label that a Secret must have so that pipelines may use it; may be repeated.
    #[arg(long = "secret-label", value_name = "KEY=VALUE", value_parser = label)]
    secret_labels: Vec<(String, String)>,
    /// Pods of pipelines ask for no user id: the platform assigns one, as OpenShift does.
    #[arg(long)]
    assigned_users: bool,
    /// Who may reach the HTTP port of pipelines, besides whom their documents name: a JSON list of peers as in a
    /// NetworkPolicy. By default everyone.
    #[arg(long, value_name = "JSON", value_parser = peers)]
    ingress_from: Option<Peers>,
    /// The namespace of the Lease for leader election.
    #[arg(long, value_name = "NAMESPACE", default_value = "default")]
    leader_election_namespace: String,
    /// The name of the Lease for leader election.
    ///
    /// Releases that watch different namespaces, but keep their Leases in the same one, need different names.
    #[arg(long, value_name = "NAME", default_value = "weir-operator")]
    leader_election_name: String,
    /// The identity of this replica in the leader election: its pod's name.
    #[arg(long, value_name = "NAME", default_value = "weir-operator")]
    identity: String,
    /// Write the log as JSON lines.
    ///
    /// The variable WEIR_LOG sets what is logged, for example `debug`.
    #[arg(long)]
    log_json: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Command::Run(args) = Cli::parse().command;
    init_logs(args.log_json);
    match run(args).await {
        Ok(code) => code,
        Err(why) => {
            tracing::error!("{why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: RunArgs) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let client = Client::try_default().await?;
    let metrics = Arc::new(Metrics::default());
    let health = Arc::new(Health::default());
    weir_operator::http::serve(args.http, Arc::clone(&metrics), Arc::clone(&health)).await?;
    let (stop, stopped) = watch::channel(false);
    stop_on_signals(stop)?;

    let lease = Lease { namespace: &args.leader_election_namespace, name: &args.leader_election_name };
    let mut candidate = Candidate::new(client.clone(), lease, args.identity.clone(), clock::wall);
    tracing::info!(identity = %args.identity, lease = %args.leader_election_name, "waiting to be the leader");
    tokio::select! {
        () = candidate.elected(|| health.answered()) => {}
        () = until(stopped.clone()) => return Ok(ExitCode::SUCCESS),
    }
    tracing::info!("leading");
    metrics.set_leader(true);

    let scopes = match args.namespaces.is_empty() {
        true => vec![Scope::Cluster],
        false => args.namespaces.iter().cloned().map(Scope::Namespace).collect(),
    };
    health.elected(scopes.len());
    let reporter = Reporter { controller: "weir-operator".to_owned(), instance: Some(args.identity.clone()) };
    let (stores, writers): (Vec<_>, Vec<_>) = scopes.iter().map(|_| reflector::store()).unzip();
    let context = Arc::new(Context {
        recorder: Recorder::new(client.clone(), reporter),
        client,
        settings: settings(&args),
        progress: ProgressReader::new()?,
        metrics,
        planner: Arc::default(),
        claims: Arc::default(),
        looks: Arc::default(),
        keyring: Arc::default(),
        pipelines: stores.clone(),
        clock: clock::wall,
    });
    let controllers = scopes.iter().zip(stores.into_iter().zip(writers)).map(|(scope, pipelines)| {
        controller::run(scope, pipelines, Arc::clone(&health), Arc::clone(&context), until(stopped.clone()))
    });
    // A controller that has not received its first list does not notice the signal to stop.
    let stopped_late = async {
        until(stopped.clone()).await;
        tokio::time::sleep(STOP_DEADLINE).await;
    };
    tokio::select! {
        _ = join_all(controllers) => {}
        () = stopped_late => tracing::warn!("stopping took longer than {} s: what is under way is left to the next \
                                             leader", STOP_DEADLINE.as_secs()),
        () = candidate.lost() => {
            // The next leader may already do the same work, so the process ends at once.
            tracing::error!("the lease is lost: ending, to be started again as a candidate");
            return Ok(ExitCode::FAILURE);
        }
    }
    candidate.release().await;
    Ok(ExitCode::SUCCESS)
}

fn settings(args: &RunArgs) -> Settings {
    Settings {
        runtime_image: args.runtime_image.clone(),
        pod_monitor_labels: args.pod_monitor_labels.iter().cloned().collect(),
        secret_labels: args.secret_labels.iter().cloned().collect(),
        users: if args.assigned_users { Users::Assigned } else { Users::OfImage },
        ingress_from: args.ingress_from.as_ref().map(|peers| peers.0.clone()),
    }
}

/// A newtype, since clap takes a `Vec` for an argument that may be repeated.
#[derive(Debug, Clone)]
struct Peers(Vec<NetworkPolicyPeer>);

fn peers(text: &str) -> Result<Peers, String> {
    serde_json::from_str(text).map(Peers).map_err(|e| format!("found `{text}`: write a JSON list of peers: {e}"))
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("found `{text}`: write a label as KEY=VALUE"))?;
    Ok((key.to_owned(), value.to_owned()))
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // If the sender is gone, the task that waits for signals has ended.
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn stop_on_signals(stop: watch::Sender<bool>) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.send_replace(true);
    });
    Ok(())
}

fn init_logs(json: bool) {
    let filter = EnvFilter::try_from_env("WEIR_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { logs.json().init() } else { logs.init() }
}
