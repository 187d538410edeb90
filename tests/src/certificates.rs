//! Certificates for servers and clients of the tests, from an authority of the tests.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its private key, both in PEM.
pub struct Certificate {
    pub chain: String,
    pub key: String,
}

impl Authority {
    /// A new authority; nobody trusts it yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The authority's own certificate in PEM, for those who are to trust it.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate for this machine.
    #[must_use]
    pub fn server(&self) -> Certificate {
        self.sign(&mut server_for(&["localhost", "127.0.0.1"]))
    }

    /// A server's certificate for this host name.
    #[must_use]
    pub fn server_called(&self, name: &str) -> Certificate {
        self.sign(&mut server_for(&[name]))
    }

    /// A server's certificate for another machine.
    #[must_use]
    pub fn server_elsewhere(&self) -> Certificate {
        self.server_called("elsewhere.example")
    }

    /// A server's certificate for this machine that is not valid any more.
    #[must_use]
    pub fn expired_server(&self) -> Certificate {
        self.server_in_years(2020, 2021)
    }

    /// A server's certificate for this machine that is not valid yet.
    #[must_use]
    pub fn early_server(&self) -> Certificate {
        self.server_in_years(2120, 2121)
    }

    fn server_in_years(&self, first: i32, end: i32) -> Certificate {
        let mut params = server_for(&["localhost", "127.0.0.1"]);
        (params.not_before, params.not_after) = (date_time_ymd(first, 1, 1), date_time_ymd(end, 1, 1));
        self.sign(&mut params)
    }

    /// A client's certificate.
    #[must_use]
    pub fn client(&self, name: &str) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&mut params)
    }

    fn sign(&self, params: &mut CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Certificate { chain: certificate.pem(), key: key.serialize_pem() }
    }
}

fn server_for(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, "a server of the tests");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

impl Certificate {
    /// Writes certificate and key as one file, which Java reads as a key store of the type PEM.
    pub fn write_store(&self, file: &Path) -> PathBuf {
        std::fs::write(file, format!("{}{}", self.key, self.chain)).unwrap();
        file.to_owned()
    }
}
