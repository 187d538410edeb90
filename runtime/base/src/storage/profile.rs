//! Static keys from an AWS credentials file: an INI file with a section per profile. This reads only what Weir needs;
//! for roles, SSO and processes, users run `aws configure export-credentials`.

use object_store::aws::AwsCredential;

/// The keys of the profile `name`, if the file has both the id and the secret.
pub(super) fn keys(text: &str, name: &str) -> Option<AwsCredential> {
    let mut here = false;
    let (mut id, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if line.starts_with(['#', ';']) || line.is_empty() {
            continue;
        }
        if let Some(section) = line.strip_prefix('[') {
            here = section.split(']').next().map(str::trim) == Some(name);
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| here) else { continue };
        let value = Some(value.trim().to_owned());
        match key.trim().to_ascii_lowercase().as_str() {
            "aws_access_key_id" => id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    Some(AwsCredential { key_id: id?, secret_key: secret?, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# mine\n[default]\naws_access_key_id = A\naws_secret_access_key = a=b/c\n\n\
        [ dev ]\nAWS_ACCESS_KEY_ID=D\naws_secret_access_key=d\naws_session_token=t\n[half]\naws_access_key_id=H\n";

    #[test]
    fn a_profile_gives_its_own_keys() {
        let default = AwsCredential { key_id: "A".into(), secret_key: "a=b/c".into(), token: None };
        let dev = AwsCredential { key_id: "D".into(), secret_key: "d".into(), token: Some("t".into()) };
        assert_eq!((keys(FILE, "default"), keys(FILE, "dev")), (Some(default), Some(dev)));
    }

    #[test]
    fn half_a_profile_and_a_missing_one_give_none() {
        assert_eq!((keys(FILE, "half"), keys(FILE, "other"), keys("", "default")), (None, None, None));
    }
}
