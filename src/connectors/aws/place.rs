//! Where things are in AWS: partitions, regions, ARNs, and the endpoints that
//! a connector's calls go to. Pure; nothing is looked up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A partition of AWS: accounts, ARNs and endpoints of one share nothing with
/// those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Partition {
    /// The public regions.
    #[serde(rename = "aws")]
    Aws,
    /// China.
    #[serde(rename = "aws-cn")]
    China,
    /// GovCloud (US).
    #[serde(rename = "aws-us-gov")]
    GovCloud,
}

impl Partition {
    /// The partition that a region lies in.
    pub fn of_region(region: &str) -> Self {
        if region.starts_with("cn-") {
            Self::China
        } else if region.starts_with("us-gov-") {
            Self::GovCloud
        } else {
            Self::Aws
        }
    }

    /// As in ARNs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }

    /// Where its one IAM is.
    const fn iam_endpoint(self) -> &'static str {
        match self {
            Self::Aws => "https://iam.amazonaws.com",
            Self::China => "https://iam.cn-north-1.amazonaws.com.cn",
            Self::GovCloud => "https://iam.us-gov.amazonaws.com",
        }
    }

    /// The region that its one IAM lies in, for signatures.
    const fn iam_region(self) -> &'static str {
        match self {
            Self::Aws => "us-east-1",
            Self::China => "cn-north-1",
            Self::GovCloud => "us-gov-west-1",
        }
    }

    /// The domain of its endpoints and registries.
    pub const fn domain(self) -> &'static str {
        match self {
            Self::Aws | Self::GovCloud => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
        }
    }
}

/// What every auth method says about where to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Checked by [`region`].
    pub region: &'a str,
    /// Agrees with the region.
    pub partition: Partition,
    /// For every service.
    pub endpoint_url: Option<&'a str>,
    /// For STS alone.
    pub sts_endpoint_url: Option<&'a str>,
}

/// A service that connectors call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Sessions and identities.
    Sts,
    /// Buckets.
    S3,
    /// Clusters.
    Eks,
    /// Registries.
    Ecr,
    /// Users and their keys; one for a whole partition.
    Iam,
}

impl Service {
    /// As in the scope of a signature.
    pub const fn signing_name(self) -> &'static str {
        match self {
            Self::Sts => "sts",
            Self::S3 => "s3",
            Self::Eks => "eks",
            Self::Ecr => "ecr",
            Self::Iam => "iam",
        }
    }

    const fn host_label(self) -> &'static str {
        match self {
            Self::Ecr => "api.ecr",
            Self::Sts | Self::S3 | Self::Eks | Self::Iam => self.signing_name(),
        }
    }
}

impl Place<'_> {
    /// `scheme://host[:port]` of a service, with no slash at the end.
    pub fn endpoint(&self, service: Service) -> String {
        let own = match service {
            Service::Sts => self.sts_endpoint_url.or(self.endpoint_url),
            Service::S3 | Service::Eks | Service::Ecr | Service::Iam => self.endpoint_url,
        };
        own.map_or_else(|| self.public_endpoint(service), |url| url.trim_end_matches('/').to_owned())
    }

    /// The service's own endpoint in AWS, whatever the settings name.
    pub fn public_endpoint(&self, service: Service) -> String {
        if service == Service::Iam {
            return self.partition.iam_endpoint().to_owned();
        }
        format!("https://{}.{}.{}", service.host_label(), self.region, self.partition.domain())
    }

    /// The region in the scope of a service's signatures.
    pub const fn signing_region(&self, service: Service) -> &str {
        match service {
            Service::Iam => self.partition.iam_region(),
            Service::Sts | Service::S3 | Service::Eks | Service::Ecr => self.region,
        }
    }

    /// Everything that decides where the secret's signatures go: each part
    /// with its length before it, so that no two places share an encoding.
    pub fn encode(&self) -> Vec<u8> {
        let parts = [
            Some("valetkey/aws/destination/v1"),
            Some(self.region),
            Some(self.partition.as_str()),
            self.endpoint_url,
            self.sts_endpoint_url,
        ];
        let mut bytes = Vec::new();
        for part in parts {
            bytes.push(u8::from(part.is_some()));
            let text = part.unwrap_or_default();
            bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        bytes
    }

    /// Whether S3 is reached over http, which only the server's config allows.
    pub fn plain_http(&self) -> bool {
        self.endpoint_url.is_some_and(|url| url.starts_with("http://"))
    }
}

/// The longest region name; the longest of AWS has 14 letters.
const REGION_LENGTH_MAX: usize = 32;

/// `us-east-1`: words of letters, then a number.
pub fn region(text: &str) -> bool {
    let mut parts = text.split('-').rev();
    let number = parts.next().is_some_and(|part| part.len() == 1 && part.bytes().all(|b| b.is_ascii_digit()));
    let words: Vec<&str> = parts.collect();
    let letters = words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
    text.len() <= REGION_LENGTH_MAX && number && letters && (2..=4).contains(&words.len())
}

/// Twelve digits.
pub fn account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// An IAM ARN, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IamArn<'a> {
    /// For example `aws`.
    pub partition: &'a str,
    /// Twelve digits, or `aws` for a managed policy of AWS.
    pub account: &'a str,
}

/// The longest ARN of IAM.
const ARN_LENGTH_MAX: usize = 2048;

/// Takes `arn:PARTITION:iam::ACCOUNT:KIND/[PATH/]NAME` apart.
pub fn iam_arn<'a>(text: &'a str, kind: &str) -> Option<IamArn<'a>> {
    let mut parts = text.splitn(6, ':');
    let head = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (("arn", partition, "iam", ""), account_text) = (head, parts.next()?) else {
        return None;
    };
    let name = parts.next()?.strip_prefix(kind)?.strip_prefix('/')?;
    let fits = text.len() <= ARN_LENGTH_MAX
        && (account(account_text) || (account_text == "aws" && kind == "policy"))
        && name.split('/').all(|part| !part.is_empty() && part.bytes().all(iam_letter));
    if fits { Some(IamArn { partition, account: account_text }) } else { None }
}

/// `[\w+=,.@-]`, as IAM has it for names, sessions and source identities.
pub fn iam_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte)
}
