//! Tokens for Amazon MSK with IAM: a signed address, which MSK's brokers take for fifteen minutes. Their form is that
//! of aws-msk-iam-sasl-signer, which AWS publishes for other languages.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use url::Url;
use weir_base::clock::wall_ms;
use weir_base::failure::{Failure, Result};
use weir_base::storage::AwsKeys;

use super::tokens::Token;

const LIVES: Duration = Duration::from_secs(900);
/// MSK records it in its audit log.
const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));
/// Names of MSK's brokers end with `.kafka.REGION.amazonaws.com`, or with `.kafka-serverless.…`.
const SERVICES: [&str; 2] = ["kafka", "kafka-serverless"];

pub(super) struct Signer {
    region: String,
    keys: AwsKeys,
}

impl Signer {
    /// # Errors
    /// `Config`, if neither the address nor the environment names a region, or there are no keys.
    pub(super) fn new(bootstrap_servers: &str) -> Result<Self> {
        let region = region_of(bootstrap_servers).or_else(|| std::env::var("AWS_REGION").ok()).ok_or_else(|| {
            Failure::config(format!(
                "the AWS region of {bootstrap_servers} is unknown, and AWS_MSK_IAM signs for a region: write the \
                 addresses that MSK gives, or set AWS_REGION"
            ))
        })?;
        Ok(Self { keys: AwsKeys::of_environment(&region)?, region })
    }

    pub(super) async fn ask(&self) -> Result<Token> {
        let keys = self.keys.get().await?;
        let keys = Credentials::new(&keys.key_id, &keys.secret_key, keys.token.clone(), None, "weir");
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(wall_ms()).unwrap_or(0));
        let value = self.signed(&keys, now)?;
        Ok(Token { value, principal: keys.access_key_id().to_owned(), lives: LIVES })
    }

    fn signed(&self, keys: &Credentials, now: SystemTime) -> Result<String> {
        let bug = |e: &dyn std::fmt::Display| Failure::bug(format!("sign for MSK: {e}"));
        let mut url =
            Url::parse(&format!("https://kafka.{}.amazonaws.com/?Action=kafka-cluster%3AConnect", self.region))
                .map_err(|e| bug(&e))?;
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(LIVES);
        let identity = keys.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("kafka-cluster")
            .time(now)
            .settings(settings)
            .build()
            .map_err(|e| bug(&e))?
            .into();
        let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(&[]))
            .map_err(|e| bug(&e))?;
        let (instructions, _signature) = sign(request, &params).map_err(|e| bug(&e))?.into_parts();
        for (name, value) in instructions.params() {
            url.query_pairs_mut().append_pair(name, value);
        }
        // Not signed: it comes after the signature.
        url.query_pairs_mut().append_pair("User-Agent", USER_AGENT);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(url.as_str()))
    }
}

/// The region in a broker's name.
fn region_of(bootstrap_servers: &str) -> Option<String> {
    bootstrap_servers.split(',').find_map(|server| {
        let host = server.trim().rsplit_once(':').map_or(server, |(host, _)| host);
        let mut labels = host.split('.').skip_while(|label| !SERVICES.contains(label)).skip(1);
        let region = labels.next()?;
        (labels.next() == Some("amazonaws")).then(|| region.to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeSet;

    use super::*;

    /// What `SigV4QueryAuth` of botocore 1.43, which AWS' own signer for Python calls, makes of the same request, keys
    /// and time.
    const OF_BOTOCORE: [(Option<&str>, &str); 2] = [
        (
            None,
            "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIDEXAMPLE%2F20261130%2Feu-west-1%2Fkafka-cluster%2Faws4_request\
             &X-Amz-Date=20261130T123456Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=c7cce5feec7f4d4f1215f2847e29505be846bf0cc0e0b7a8947d1cf5583fa16d",
        ),
        (
            Some("a/session+token=="),
            "https://kafka.eu-west-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIDEXAMPLE%2F20261130%2Feu-west-1%2Fkafka-cluster%2Faws4_request\
             &X-Amz-Date=20261130T123456Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
             &X-Amz-Security-Token=a%2Fsession%2Btoken%3D%3D\
             &X-Amz-Signature=280c0522ec81b2892fcce3e449aed685f5dcf5475530e8a8134d0dba29727670",
        ),
    ];

    #[test]
    fn a_token_is_what_awss_own_signer_makes() {
        let signer = Signer { region: "eu-west-1".into(), keys: AwsKeys::of_environment("eu-west-1").unwrap() };
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_796_042_096); // 2026-11-30T12:34:56Z
        for (token, url) in OF_BOTOCORE {
            let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let keys = Credentials::new("AKIDEXAMPLE", secret, token.map(str::to_owned), None, "test");
            let signed = BASE64_URL_SAFE_NO_PAD.decode(signer.signed(&keys, now).unwrap()).unwrap();
            let expected = format!("{url}&User-Agent={}", USER_AGENT.replace('/', "%2F"));
            assert_eq!(parts(std::str::from_utf8(&signed).unwrap()), parts(&expected));
        }
    }

    /// An address cut at its parameters, whose order means nothing.
    fn parts(url: &str) -> BTreeSet<&str> {
        url.split(['?', '&']).collect()
    }

    #[test]
    fn the_region_is_in_the_names_that_msk_gives() {
        for (servers, region) in [
            (
                "b-1.demo.a1b2.c2.kafka.eu-west-1.amazonaws.com:9098,b-2.demo.a1b2.c2.kafka.eu-west-1.amazonaws.com:9098",
                Some("eu-west-1"),
            ),
            ("boot-x.c3.kafka-serverless.us-east-2.amazonaws.com:9098", Some("us-east-2")),
            ("b-1.demo.kafka.cn-north-1.amazonaws.com.cn:9098", Some("cn-north-1")),
            ("kafka.data:9098", None),
            ("kafka.eu-west-1.example.com:9098", None),
        ] {
            assert_eq!(region_of(servers).as_deref(), region, "{servers}");
        }
    }
}
