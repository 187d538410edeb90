//! Certificates for the servers of tests, from CAs of their own. openssl makes them.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::skip::Missing;

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// How long certificates are valid, in days.
pub const VALID_DAYS: i64 = 10;

impl Authority {
    /// A new CA, which nobody trusts yet.
    pub fn new() -> Result<Self, Missing> {
        let folder = tempfile::Builder::new().prefix("weir-tests-ca-").tempdir().unwrap();
        if let Err(error) = Command::new("openssl").arg("version").output() {
            return Err(Missing { part: "a certificate", why: format!("openssl can't be started: {error}") });
        }
        let ca = Self { folder };
        ca.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days {VALID_DAYS} -subj /CN=tests \
             -keyout ca.key -out ca.crt"
        ));
        Ok(ca)
    }

    /// The CA's own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("ca.crt")).unwrap()
    }

    /// A folder with a certificate for a host (`DNS:name` or `IP:address`) and its key: `tls.crt` and `tls.key`.
    #[must_use]
    pub fn issue(&self, host: &str) -> PathBuf {
        let name: String = host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let issued = self.folder.path().join(&name);
        std::fs::create_dir(&issued).unwrap();
        std::fs::write(issued.join("extensions"), format!("subjectAltName=critical,{host}\nbasicConstraints=CA:FALSE"))
            .unwrap();
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj / -keyout {name}/tls.key -out {name}/csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}/csr -CA ca.crt -CAkey ca.key -CAcreateserial -days {VALID_DAYS} \
             -extfile {name}/extensions -out {name}/tls.crt"
        ));
        issued
    }

    fn openssl(&self, arguments: &str) {
        let out = Command::new("openssl").args(arguments.split(' ')).current_dir(self.folder.path()).output().unwrap();
        assert!(out.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&out.stderr));
    }
}
