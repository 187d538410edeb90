//! One API server per test process: kube-apiserver with its own etcd, started by `tests/services/apiserver`. It ends
//! with the process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tempfile::TempDir;
use tokio::sync::OnceCell;
use weir_tests::services::process::{Process, remove_at_exit};
use weir_tests::services::{ports, script};
use weir_tests::skip::Missing;

use crate::deadline;

/// The time for a start, which takes two seconds on an idle machine.
const READY_LIMIT: Duration = Duration::from_secs(120);
const ESTABLISHED_LIMIT: Duration = Duration::from_secs(120);

/// An API server of this test process.
#[derive(Debug)]
pub struct ApiServer {
    dir: TempDir,
    process: Mutex<Process>,
}

/// The server that all tests of this process share, with StreamPipeline's definition installed.
///
/// # Errors
/// If the server is not available on this machine.
pub async fn shared() -> Result<&'static ApiServer, Missing> {
    static SHARED: OnceLock<Result<ApiServer, Missing>> = OnceLock::new();
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let server = SHARED.get_or_init(ApiServer::start).as_ref().map_err(Clone::clone)?;
    INSTALLED.get_or_init(async || server.install(&weir_crds::resource::crd().unwrap()).await).await;
    Ok(server)
}

impl ApiServer {
    /// A separate server for one test, without any definition.
    ///
    /// # Errors
    /// If the server is not available on this machine.
    pub fn start() -> Result<Self, Missing> {
        script::fetch("the API server", "apiserver")?;
        let dir = tempfile::Builder::new().prefix("weir-tests-apiserver-").tempdir().unwrap();
        remove_at_exit(dir.path());
        let mut command = Command::new(script::path("apiserver"));
        command.arg("run").arg(dir.path()).arg(ports::free().to_string());
        let process = Mutex::new(Process::spawn(&mut command).unwrap());
        Ok(Self { dir, process })
    }

    /// An administrator's client, bound to the async runtime of the caller.
    ///
    /// # Panics
    /// If the server did not come up.
    pub async fn client(&self) -> Client {
        let config = deadline::until("the API server has written its kubeconfig", READY_LIMIT, async || {
            self.panic_if_ended();
            config(&self.kubeconfig()).await
        })
        .await;
        Client::try_from(config).unwrap()
    }

    /// The kubeconfig for programs that the tests start.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// Installs a definition of StreamPipeline, replacing an existing one.
    pub async fn install(&self, crd: &CustomResourceDefinition) {
        let client = self.client().await;
        let namespaces: Api<Namespace> = Api::all(client.clone());
        deadline::until("the API server has its first namespace", READY_LIMIT, async || {
            self.panic_if_ended();
            namespaces.get("default").await.ok()
        })
        .await;
        let crds: Api<CustomResourceDefinition> = Api::all(client);
        let name = crd.metadata.name.clone().unwrap();
        let params = PatchParams::apply("weir-e2e").validation_strict();
        crds.patch(&name, &params, &Patch::Apply(crd)).await.unwrap();
        deadline::until("the definition is established", ESTABLISHED_LIMIT, async || {
            let conditions = crds.get(&name).await.unwrap().status?.conditions?;
            conditions.iter().any(|c| c.type_ == "Established" && c.status == "True").then_some(())
        })
        .await;
    }

    fn panic_if_ended(&self) {
        let mut process = self.process.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(status) = process.ended() {
            let words = std::fs::read_to_string(self.dir.path().join("server.out")).unwrap_or_default();
            panic!("the API server ended ({status}):\n{words}");
        }
    }
}

/// `None` while the file does not exist or is not complete.
async fn config(file: &Path) -> Option<Config> {
    let kubeconfig = Kubeconfig::read_from(file).ok()?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.ok()
}
