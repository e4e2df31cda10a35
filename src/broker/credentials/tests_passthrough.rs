//! The long-lived secret itself, where a connector allows it: refused by
//! default, and said wherever it left a trace.

use crate::audit::{Detail, Line, LineFilter, LineKind, Outcome};
use crate::domain::{AuthMethodName, ConnectorTypeName, Issuance, Labels, MintPolicy, PageAsk, SecretFieldName};
use crate::sealing::{Plaintext, SourceCredential};
use crate::store::AuditLines as _;

use super::super::fixture::{House, name, no_change};
use super::super::{IssuanceAsk, Register, Update};
use super::tests::{ask, code, house_at, mint};

/// All lines, oldest first.
async fn ledger(house: &House) -> Vec<Line> {
    let page = PageAsk { size: 1000, after: None };
    let mut lines = house.store.lines(&LineFilter::default(), &page).await.unwrap().items;
    lines.sort_by_key(|stored| stored.seq);
    lines.into_iter().map(|stored| stored.line).collect()
}

fn detail<'a>(line: &'a Line, key: &str) -> Option<&'a str> {
    line.details.get(key).map(Detail::as_str)
}

#[tokio::test]
async fn every_line_and_record_of_a_passthrough_says_that_it_is_one() {
    for (endpoint, flagged) in [("bare-audited", true), ("sound-audited", false)] {
        let (house, _) = house_at(endpoint, |c| c.policy.allow_passthrough = flagged).await;
        let first = mint(&house, &house.scientist, &ask()).await.ok().unwrap();
        assert_eq!(first.minted().passthrough, flagged);
        mint(&house, &house.scientist, &ask()).await.ok().unwrap();
        let about: Vec<Line> =
            ledger(&house).await.into_iter().filter(|line| line.issuance == Some(first.issuance())).collect();
        let told = about.iter().filter(|line| line.kind != LineKind::Intent);
        assert_eq!(told.clone().count(), 3, "a result and two hand-outs");
        for line in told {
            assert_eq!(detail(line, "passthrough").is_some(), flagged, "{line:?}");
        }
        let page = PageAsk { size: 10, after: None };
        let call = house.call(&house.scientist).await;
        let listed = house.broker.list_issuances(&call, &IssuanceAsk::default(), &page).await.unwrap().items;
        assert_eq!(listed[0].passthrough, flagged);
        // Records from before this was recorded are as those of what is none.
        let stored = serde_json::to_value(&listed[0]).unwrap();
        assert_eq!(stored.get("passthrough").is_some(), flagged);
        assert_eq!(serde_json::from_value::<Issuance>(stored).unwrap(), listed[0]);
    }
    let (house, _) = house_at("bare-closed", |_| {}).await;
    assert_eq!(code(mint(&house, &house.scientist, &ask()).await), "PASSTHROUGH_OFF");
}

#[tokio::test]
async fn allowing_a_passthrough_and_forbidding_it_again_are_in_the_ledger() {
    let house = House::new().await;
    let policy = |allow_passthrough| MintPolicy { allow_passthrough, ..MintPolicy::default() };
    for (named, allowed) in [("closed", false), ("open", true)] {
        let stamp = (SecretFieldName::parse("stamp").unwrap(), Plaintext::new(b"s".to_vec()));
        let register = Register {
            name: name(named),
            connector_type: ConnectorTypeName::parse("paper").unwrap(),
            auth_method: AuthMethodName::parse("stamp").unwrap(),
            resource_type: None,
            resource_id: None,
            settings: r#"{"endpoint":"bare-registered"}"#.to_owned(),
            secret: SourceCredential::new([stamp].into()),
            secret_expires_at: None,
            secret_skew_tolerance: 0,
            description: String::new(),
            labels: Labels::default(),
            policy: policy(allowed),
            skip_verify: false,
            validate_only: false,
            once: None,
        };
        house.broker.register_connector(&house.call(&house.engineer).await, register).await.unwrap();
        let line = ledger(&house).await.pop().unwrap();
        assert_eq!((line.outcome, detail(&line, "verify")), (Outcome::Ok, Some("asked")));
        assert_eq!(detail(&line, "allow_passthrough"), allowed.then_some("on"), "{named}");
    }
    for (allow, change, switched) in [
        (true, "mint_policy", None),
        (false, "mint_policy allow_passthrough", Some("off")),
        (false, "mint_policy", None),
        (true, "mint_policy allow_passthrough", Some("on")),
    ] {
        let call = house.call(&house.engineer).await;
        let expected = house.broker.describe_connector(&call, "open").await.unwrap().connector.version;
        let update = Update { policy: Some(policy(allow)), ..no_change("open", expected) };
        house.broker.update_connector(&house.call(&house.engineer).await, update).await.unwrap();
        let line = ledger(&house).await.pop().unwrap();
        assert_eq!((detail(&line, "change"), detail(&line, "allow_passthrough")), (Some(change), switched));
    }
}
