//! The condition keys of AWS that no request here has a value for.

use super::condition_key::ValueType;

/// Keys that AWS has and that no request here has a value for: no request comes through a service of AWS, a VPC
/// endpoint or an organization, and no key is in several Regions.
pub(super) const NEVER_PRESENT: [NeverPresent; 25] = [
    NeverPresent::one("kms:ViaService", ValueType::String),
    NeverPresent::one("kms:MultiRegionKeyType", ValueType::String),
    NeverPresent::one("kms:PrimaryRegion", ValueType::String),
    NeverPresent::one("kms:ReplicaRegion", ValueType::String),
    NeverPresent::several("aws:CalledVia"),
    NeverPresent::one("aws:CalledViaFirst", ValueType::String),
    NeverPresent::one("aws:CalledViaLast", ValueType::String),
    NeverPresent::one("aws:SourceVpc", ValueType::String),
    NeverPresent::one("aws:SourceVpce", ValueType::String),
    NeverPresent::one("aws:SourceVpcArn", ValueType::Arn),
    NeverPresent::one("aws:VpcSourceIp", ValueType::IpAddress),
    NeverPresent::one("aws:MultiFactorAuthPresent", ValueType::Bool),
    NeverPresent::one("aws:MultiFactorAuthAge", ValueType::Numeric),
    NeverPresent::one("aws:PrincipalOrgID", ValueType::String),
    NeverPresent::several("aws:PrincipalOrgPaths"),
    NeverPresent::one("aws:PrincipalServiceName", ValueType::String),
    NeverPresent::several("aws:PrincipalServiceNamesList"),
    NeverPresent::one("aws:ResourceOrgID", ValueType::String),
    NeverPresent::several("aws:ResourceOrgPaths"),
    NeverPresent::one("aws:SourceArn", ValueType::Arn),
    NeverPresent::one("aws:SourceAccount", ValueType::String),
    NeverPresent::one("aws:SourceOrgID", ValueType::String),
    NeverPresent::several("aws:SourceOrgPaths"),
    NeverPresent::one("aws:SourceIdentity", ValueType::String),
    NeverPresent::one("aws:FederatedProvider", ValueType::String),
];

/// A condition key that no request here has a value for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NeverPresent {
    pub(super) name: &'static str,
    pub(super) value_type: ValueType,
    pub(super) is_multivalued: bool,
}

impl NeverPresent {
    const fn one(name: &'static str, value_type: ValueType) -> Self {
        Self { name, value_type, is_multivalued: false }
    }

    const fn several(name: &'static str) -> Self {
        Self { name, value_type: ValueType::String, is_multivalued: true }
    }
}
