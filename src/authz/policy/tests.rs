//! The decision against bindings that are made up.

use proptest::prelude::*;

use crate::authz::{GrantRefusal, may_grant};
use crate::domain::{Pattern, PrincipalId, PrincipalKind};

use super::*;

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_000);
pub(super) const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
pub(super) const ME: PrincipalId = PrincipalId::from_bytes([2; 16]);

pub(super) const fn connector(byte: u8) -> ConnectorId {
    ConnectorId::from_bytes([byte; 16])
}

pub(super) const fn component(byte: u8) -> ComponentId {
    ComponentId::from_bytes([byte; 16])
}

fn principal() -> Principal {
    Principal {
        id: ME,
        project: PROJECT,
        name: "ada".parse().unwrap(),
        kind: PrincipalKind::User,
        description: String::new(),
        created_by: None,
        created_at: NOW,
    }
}

pub(super) fn holding(bindings: impl IntoIterator<Item = Binding>) -> Subject {
    Subject { principal: Arc::new(principal()), bindings: bindings.into_iter().collect(), run: None }
}

pub(super) fn bound(role: Role, target: BindingTarget) -> Binding {
    Binding {
        id: BindingId::from_bytes([role as u8; 16]),
        project: PROJECT,
        principal: ME,
        role,
        target,
        conditions: Conditions::default(),
        created_by: None,
        created_at: NOW,
    }
}

pub(super) fn until(mut binding: Binding, seconds: i64) -> Binding {
    binding.conditions.expires_at = Some(Timestamp::from_seconds(seconds));
    binding
}

pub(super) fn on(connector: Option<u8>, component: Option<u8>) -> Target {
    let connector = connector.map(self::connector);
    Target { project: PROJECT, connector, component: component.map(self::component) }
}

pub(super) fn ask(subject: &Subject, permission: Permission, target: Target) -> Result<Permit, DenyReason> {
    ask_for(subject, permission, target, "s3://data/train", AccessLevel::Read)
}

pub(super) fn ask_for(
    subject: &Subject,
    permission: Permission,
    target: Target,
    resource: &str,
    access: AccessLevel,
) -> Result<Permit, DenyReason> {
    let resource = ResourceId::canonical(resource).unwrap();
    let wish = Some(MintWish { resource: &resource, access });
    match decide(subject, &Question { permission, target, wish }, NOW) {
        Decision::Allow(permit) => Ok(permit),
        Decision::Deny(reason) => Err(reason),
    }
}

pub(super) fn mint(subject: &Subject, target: Target) -> Result<Permit, DenyReason> {
    ask(subject, Permission::CredentialsMint, target)
}

fn about_oneself(permission: Permission) -> bool {
    matches!(permission, Permission::Own | Permission::TokensOwn)
}

#[test]
fn without_bindings_only_what_is_ones_own_is_allowed() {
    let nobody = holding([]);
    for permission in Permission::ALL.iter().copied() {
        let allowed = ask(&nobody, permission, on(Some(1), Some(1)));
        assert_eq!(allowed.is_ok(), about_oneself(permission), "{permission}");
    }
}

#[test]
fn a_foreign_project_is_refused_whatever_is_held() {
    let subject = holding(Role::ALL.map(|role| bound(role, BindingTarget::Project)));
    let elsewhere = Target { project: ProjectId::from_bytes([9; 16]), ..on(None, None) };
    for permission in Permission::ALL.iter().copied() {
        assert_eq!(ask(&subject, permission, elsewhere).err(), Some(DenyReason::ForeignProject));
    }
}

#[test]
fn bindings_of_others_and_of_other_projects_give_nothing() {
    let mine = bound(Role::DataScientist, BindingTarget::Project);
    let theirs = Binding { principal: PrincipalId::from_bytes([8; 16]), ..mine.clone() };
    let elsewhere = Binding { project: ProjectId::from_bytes([9; 16]), ..mine.clone() };
    assert!(mint(&holding([mine]), on(Some(1), None)).is_ok());
    assert_eq!(mint(&holding([theirs, elsewhere]), on(Some(1), None)).err(), Some(DenyReason::GrantMissing));
}

#[test]
fn a_mint_without_a_scope_is_refused() {
    let subject = holding([bound(Role::DataScientist, BindingTarget::Project)]);
    let question = Question { permission: Permission::CredentialsMint, target: on(Some(1), None), wish: None };
    assert!(matches!(decide(&subject, &question, NOW), Decision::Deny(DenyReason::ScopeMissing)));
}

#[test]
fn a_connector_binding_holds_on_its_connector_only() {
    let subject = holding([bound(Role::DataScientist, BindingTarget::Connector(connector(1)))]);
    assert!(mint(&subject, on(Some(1), None)).is_ok());
    assert!(mint(&subject, on(Some(1), Some(5))).is_ok(), "through a component that is linked to it");
    assert!(ask(&subject, Permission::ConnectorsDescribe, on(Some(1), None)).is_ok());
    for elsewhere in [on(Some(2), None), on(None, None), on(Some(2), Some(1))] {
        assert_eq!(mint(&subject, elsewhere).err(), Some(DenyReason::GrantMissing));
        let described = ask(&subject, Permission::ConnectorsDescribe, elsewhere);
        assert_eq!(described.err(), Some(DenyReason::GrantMissing));
    }
}

#[test]
fn a_component_binding_mints_and_describes_and_does_not_relink() {
    let subject = holding([bound(Role::DataScientist, BindingTarget::Component(component(1)))]);
    let here = on(Some(3), Some(1));
    assert!(mint(&subject, here).is_ok());
    assert!(ask(&subject, Permission::ComponentsList, here).is_ok());
    for permission in [
        Permission::ComponentsConnect,
        Permission::ComponentsDelete,
        Permission::ComponentsRegister,
        Permission::ConnectorsDescribe,
        Permission::StacksUpdate,
    ] {
        assert_eq!(ask(&subject, permission, here).err(), Some(DenyReason::GrantMissing), "{permission}");
    }
    for elsewhere in [on(Some(3), Some(2)), on(Some(3), None), on(None, None)] {
        assert_eq!(mint(&subject, elsewhere).err(), Some(DenyReason::GrantMissing));
    }
}

#[test]
fn a_runner_mints_by_a_component_binding_only() {
    for target in [BindingTarget::Project, BindingTarget::Connector(connector(1))] {
        let subject = holding([bound(Role::Runner, target)]);
        assert_eq!(mint(&subject, on(Some(1), Some(1))).err(), Some(DenyReason::GrantMissing));
        let list = ask(&subject, Permission::IssuancesList, on(None, None));
        assert_eq!(list.err(), Some(DenyReason::GrantMissing));
    }
    let subject = holding([bound(Role::Runner, BindingTarget::Component(component(1)))]);
    assert_eq!(mint(&subject, on(Some(1), Some(1))).unwrap().role(), Some(Role::Runner));
    assert!(ask(&subject, Permission::IssuancesList, on(None, None)).is_ok());
    let allowed = Permission::ALL.iter().filter(|p| ask(&subject, **p, on(Some(1), Some(1))).is_ok());
    let words: Vec<_> = allowed.map(|p| p.as_str()).collect();
    assert_eq!(words, ["self", "tokens.own", "runs.start", "runs.list", "credentials.mint", "issuances.list"]);
}

#[test]
fn b3_an_engineer_mints_only_by_a_grant_on_one_connector_or_component() {
    let engineer = bound(Role::PlatformEngineer, BindingTarget::Project);
    let scientist = |target| bound(Role::DataScientist, target);
    let wide = scientist(BindingTarget::Project);
    let here = on(Some(1), Some(1));
    assert_eq!(mint(&holding([engineer.clone()]), here).err(), Some(DenyReason::GrantMissing));
    assert_eq!(mint(&holding([engineer.clone(), wide.clone()]), here).err(), Some(DenyReason::GrantMissing));
    for named in [BindingTarget::Connector(connector(1)), BindingTarget::Component(component(1))] {
        assert!(mint(&holding([engineer.clone(), scientist(named)]), here).is_ok());
        let elsewhere = mint(&holding([engineer.clone(), wide.clone(), scientist(named)]), on(Some(2), Some(2)));
        assert_eq!(elsewhere.err(), Some(DenyReason::GrantMissing));
    }
    let narrow = bound(Role::PlatformEngineer, BindingTarget::Connector(connector(7)));
    let anywhere = mint(&holding([narrow, wide.clone()]), here).err();
    assert_eq!(anywhere, Some(DenyReason::GrantMissing), "an engineer anywhere in the project");
    assert!(mint(&holding([until(engineer, 1_000), wide]), here).is_ok(), "an engineer no more");
}

#[test]
fn a_binding_ends_at_the_moment_it_says() {
    let wide = bound(Role::DataScientist, BindingTarget::Project);
    assert_eq!(mint(&holding([until(wide.clone(), 1_000)]), on(Some(1), None)).err(), Some(DenyReason::GrantExpired));
    let permit = mint(&holding([until(wide, 1_001)]), on(Some(1), None)).unwrap();
    assert_eq!(permit.limits().not_after, Some(Timestamp::from_seconds(1_001)));
}

#[test]
fn resources_and_access_above_the_grant_are_refused_and_the_closest_reason_is_said() {
    let mut narrow = bound(Role::DataScientist, BindingTarget::Project);
    narrow.conditions.resource_patterns = vec![Pattern::parse("s3://data/**").unwrap()];
    narrow.conditions.access_max = Some(AccessLevel::Write);
    let subject = holding([until(bound(Role::DataScientist, BindingTarget::Project), 999), narrow]);
    let mint = |resource, access| ask_for(&subject, Permission::CredentialsMint, on(Some(1), None), resource, access);
    assert_eq!(mint("s3://data/train", AccessLevel::Write).unwrap().limits().access_max, AccessLevel::Write);
    assert_eq!(mint("s3://other/train", AccessLevel::Read).err(), Some(DenyReason::ResourceOutsideGrant));
    assert_eq!(mint("s3://data/train", AccessLevel::Admin).err(), Some(DenyReason::AccessAboveGrant));
    assert!(ask(&subject, Permission::ConnectorsDescribe, on(Some(1), None)).is_ok(), "patterns are about mints");
}

#[test]
fn two_bindings_are_never_combined() {
    let mut writes = bound(Role::DataScientist, BindingTarget::Project);
    writes.conditions.access_max = Some(AccessLevel::Write);
    writes.conditions.resource_patterns = vec![Pattern::parse("s3://scratch").unwrap()];
    let mut reads = bound(Role::DataScientist, BindingTarget::Connector(connector(1)));
    reads.conditions.access_max = Some(AccessLevel::Read);
    let subject = holding([writes, reads]);
    let write =
        |resource| ask_for(&subject, Permission::CredentialsMint, on(Some(1), None), resource, AccessLevel::Write);
    assert!(write("s3://scratch").is_ok());
    assert_eq!(write("s3://data").err(), Some(DenyReason::AccessAboveGrant));
}

#[test]
fn the_binding_with_the_longest_room_gives_the_limits() {
    let with = |byte: u8, ttl_max: Option<u32>, end: Option<i64>| {
        let mut binding = bound(Role::DataScientist, BindingTarget::Project);
        binding.id = BindingId::from_bytes([byte; 16]);
        binding.conditions.ttl_max = ttl_max.map(Ttl::seconds);
        binding.conditions.expires_at = end.map(Timestamp::from_seconds);
        binding
    };
    let chosen = |bindings: [Binding; 2]| {
        let limits = mint(&holding(bindings), on(Some(1), None)).unwrap().limits().clone();
        (limits.ttl_max.map(Ttl::as_seconds), limits.not_after.map(Timestamp::seconds))
    };
    assert_eq!(chosen([with(1, Some(60), None), with(2, None, Some(1_100))]), (None, Some(1_100)));
    assert_eq!(chosen([with(1, Some(600), None), with(2, None, Some(1_100))]), (Some(600), None));
    assert_eq!(chosen([with(1, Some(60), Some(5_000)), with(2, Some(60), None)]), (Some(60), None));
}

#[test]
fn a_narrow_binding_lists_only_what_it_is_on() {
    let narrow = [
        bound(Role::DataScientist, BindingTarget::Connector(connector(1))),
        bound(Role::DataScientist, BindingTarget::Component(component(2))),
        until(bound(Role::DataScientist, BindingTarget::Connector(connector(3))), 999),
        bound(Role::Runner, BindingTarget::Connector(connector(4))),
    ];
    let subject = holding(narrow.clone());
    assert!(ask(&subject, Permission::ConnectorsList, on(None, None)).is_ok());
    assert_eq!(ask(&subject, Permission::ComponentsList, on(None, Some(9))).err(), Some(DenyReason::GrantMissing));
    let only = Visible::Only { connectors: [connector(1)].into(), components: [component(2)].into(), within: None };
    assert_eq!(visible_scope(&subject, Permission::ConnectorsList, NOW), only);
    let none = Visible::Only { connectors: BTreeSet::new(), components: BTreeSet::new(), within: None };
    assert_eq!(visible_scope(&subject, Permission::AuditRead, NOW), none);
    let wide = holding(narrow.into_iter().chain([bound(Role::Auditor, BindingTarget::Project)]));
    assert_eq!(visible_scope(&wide, Permission::ConnectorsList, NOW), Visible::All);
    assert_eq!(visible_scope(&wide, Permission::CredentialsMint, NOW), only);
}

#[test]
fn people_and_the_ledger_are_given_on_the_project_only() {
    for target in [BindingTarget::Connector(connector(1)), BindingTarget::Component(component(1))] {
        let subject = holding([bound(Role::Owner, target), bound(Role::Auditor, target)]);
        for permission in [Permission::BindingsCreate, Permission::PrincipalsList, Permission::AuditRead] {
            let refused = ask(&subject, permission, on(Some(1), Some(1)));
            assert_eq!(refused.err(), Some(DenyReason::GrantMissing), "{permission}");
        }
    }
}

#[test]
fn b4_nobody_grants_to_themselves_or_into_another_project() {
    let mine = bound(Role::Owner, BindingTarget::Project);
    let theirs = Binding { principal: PrincipalId::from_bytes([8; 16]), ..mine.clone() };
    let elsewhere = Binding { project: ProjectId::from_bytes([9; 16]), ..theirs.clone() };
    let runner = Binding { role: Role::Runner, ..theirs.clone() };
    let placed = Binding { target: BindingTarget::Component(component(1)), ..runner.clone() };
    assert_eq!(may_grant(&principal(), &mine), Err(GrantRefusal::SelfGrant));
    assert_eq!(may_grant(&principal(), &elsewhere), Err(GrantRefusal::ForeignProject));
    assert_eq!(may_grant(&principal(), &runner), Err(GrantRefusal::RunnerNeedsComponent));
    assert_eq!(may_grant(&principal(), &theirs), Ok(()));
    assert_eq!(may_grant(&principal(), &placed), Ok(()));
}

pub(super) fn any_binding() -> impl Strategy<Value = Binding> {
    let target = prop_oneof![
        Just(BindingTarget::Project),
        (1..3_u8).prop_map(|byte| BindingTarget::Connector(connector(byte))),
        (1..3_u8).prop_map(|byte| BindingTarget::Component(component(byte))),
    ];
    let conditions = (
        prop_oneof![Just(None), Just(Some("s3://data/**")), Just(Some("s3://other"))],
        prop_oneof![Just(None), Just(Some(AccessLevel::Read)), Just(Some(AccessLevel::Write))],
        prop_oneof![Just(None), (998..1_003_i64).prop_map(Some)],
        prop_oneof![Just(None), (1..9_u32).prop_map(Some)],
    );
    let whose = (0..8_u8, 0..8_u8, any::<u8>());
    (proptest::sample::select(Role::ALL.as_slice()), target, conditions, whose).prop_map(
        |(role, target, (pattern, access_max, end, ttl), (other_principal, other_project, id))| {
            let mut binding = bound(role, target);
            binding.id = BindingId::from_bytes([id; 16]);
            if other_principal == 0 {
                binding.principal = PrincipalId::from_bytes([8; 16]);
            }
            if other_project == 0 {
                binding.project = ProjectId::from_bytes([9; 16]);
            }
            binding.conditions = Conditions {
                resource_patterns: pattern.into_iter().map(|text| Pattern::parse(text).unwrap()).collect(),
                access_max,
                ttl_max: ttl.map(Ttl::seconds),
                expires_at: end.map(Timestamp::from_seconds),
            };
            binding
        },
    )
}

pub(super) fn any_question() -> impl Strategy<Value = (Permission, Target, &'static str, AccessLevel)> {
    let slot = || prop_oneof![Just(None), (1..3_u8).prop_map(Some)];
    let permission = prop_oneof![Just(Permission::CredentialsMint), proptest::sample::select(Permission::ALL)];
    let resource = proptest::sample::select(&["s3://data/train", "s3://other"][..]);
    let access = proptest::sample::select(&[AccessLevel::Read, AccessLevel::Write, AccessLevel::Admin][..]);
    (permission, slot(), slot(), resource, access).prop_map(|(p, one, two, r, a)| (p, on(one, two), r, a))
}

/// The rules again, each as one plain sentence over one binding.
fn model_allows(
    b: &Binding,
    engineer: bool,
    (p, t, resource, access): (Permission, Target, &str, AccessLevel),
) -> bool {
    let word = p.as_str();
    let mint = word == "credentials.mint";
    let named = match b.target {
        BindingTarget::Project => true,
        BindingTarget::Connector(id) => t.connector == Some(id),
        BindingTarget::Component(id) => t.component == Some(id),
    };
    let wide = b.target == BindingTarget::Project;
    let on_component = matches!(b.target, BindingTarget::Component(_));
    let about_connector = word.starts_with("connectors.") || word.starts_with("components.");
    let placed = match word {
        "connectorTypes.read" | "roles.list" => true,
        "connectors.register" | "components.register" => wide,
        // Of all, or of one connector.
        "issuances.listAll" => wide || (named && !on_component),
        // On which stack is for the listing of components to say.
        _ if word.ends_with(".list") || word == "runs.start" => {
            let people = word.starts_with("principals.") || word.starts_with("bindings.");
            wide || (!people && (named || (t.connector.is_none() && t.component.is_none())))
        }
        _ if about_connector => wide || (named && !on_component),
        "credentials.mint" | "issuances.revoke" => named,
        _ => wide,
    };
    let resource = ResourceId::canonical(resource).unwrap();
    let patterns = &b.conditions.resource_patterns;
    let scoped = !mint
        || ((patterns.is_empty() || patterns.iter().any(|p| p.matches(&resource)))
            && b.conditions.access_max.is_none_or(|max| access <= max));
    b.principal == ME
        && b.project == PROJECT
        && b.conditions.expires_at.is_none_or(|end| NOW < end)
        && permissions_of(b.role).contains(&p)
        && (b.role != Role::Runner || on_component)
        && !(mint && engineer && wide)
        && placed
        && scoped
}

fn engineer(bindings: &[Binding]) -> bool {
    holds(bindings, Role::PlatformEngineer)
}

fn owner(bindings: &[Binding]) -> bool {
    holds(bindings, Role::Owner)
}

fn holds(bindings: &[Binding], role: Role) -> bool {
    let live = |b: &&Binding| b.conditions.expires_at.is_none_or(|end| NOW < end);
    let mine = bindings.iter().filter(|b| b.principal == ME && b.project == PROJECT);
    mine.filter(live).any(|b| b.role == role)
}

/// Such a pair can be in a store from before it refused them.
#[test]
fn an_owner_who_is_engineer_too_stays_owner_and_writes_no_connector() {
    let (owner, engineer) = (Role::Owner, Role::PlatformEngineer);
    let places =
        [BindingTarget::Project, BindingTarget::Connector(connector(1)), BindingTarget::Component(component(1))];
    for (one, other) in places.iter().flat_map(|one| places.iter().map(move |other| (*one, *other))) {
        let both = holding([bound(owner, one), bound(engineer, other)]);
        let (of_owner, of_engineer) = (holding([bound(owner, one)]), holding([bound(engineer, other)]));
        for permission in Permission::ALL.iter().copied() {
            let target = Target::about(permission, PROJECT, Some(connector(1)), Some(component(1)));
            let (answer, alone) = (ask(&both, permission, target), ask(&of_owner, permission, target));
            assert_eq!(answer.is_ok(), alone.is_ok(), "{permission}: as an owner's");
            if let (Err(why), Ok(_)) = (answer, ask(&of_engineer, permission, target)) {
                assert_eq!(why, DenyReason::RolesApart, "{permission}");
            }
            assert_eq!(visible_scope(&both, permission, NOW), visible_scope(&of_owner, permission, NOW));
        }
    }
    // Nor by what is about to end; by what has ended, or is somebody else's, it is nobody.
    let target = on(Some(1), None);
    let write = |held: [Binding; 2]| ask(&holding(held), Permission::ConnectorsUpdate, target).err();
    let engineer = bound(engineer, BindingTarget::Project);
    let owner = bound(owner, BindingTarget::Project);
    assert_eq!(write([until(owner.clone(), 1_001), engineer.clone()]), Some(DenyReason::RolesApart));
    assert_eq!(write([until(owner.clone(), 1_000), engineer.clone()]), None);
    let theirs = Binding { principal: PrincipalId::from_bytes([8; 16]), ..owner };
    assert_eq!(write([theirs, engineer]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn decide_allows_exactly_what_one_live_binding_allows(
        bindings in proptest::collection::vec(any_binding(), 0..5), question in any_question(),
    ) {
        let (permission, target, resource, access) = question;
        let answer = ask_for(&holding(bindings.clone()), permission, target, resource, access);
        let allowing: Vec<_> =
            bindings.iter().filter(|b| model_allows(b, engineer(&bindings), question))
                .filter(|b| b.role != Role::PlatformEngineer || !owner(&bindings)).collect();
        prop_assert_eq!(answer.is_ok(), about_oneself(permission) || !allowing.is_empty());
        if let (Ok(permit), false) = (&answer, about_oneself(permission)) {
            let of_one = allowing.iter().any(|b| Some(b.role) == permit.role() && limits(b) == *permit.limits());
            prop_assert!(of_one, "the limits are those of one binding that allows");
            prop_assert!(permission != Permission::CredentialsMint || access <= permit.limits().access_max);
        }
    }

    #[test]
    fn another_binding_never_takes_an_allow_away_unless_it_makes_an_engineer_or_an_owner(
        bindings in proptest::collection::vec(any_binding(), 0..4), more in any_binding(), question in any_question(),
    ) {
        let (permission, target, resource, access) = question;
        let before = ask_for(&holding(bindings.clone()), permission, target, resource, access).is_ok();
        let all: Vec<_> = bindings.iter().cloned().chain([more]).collect();
        let after = ask_for(&holding(all.clone()), permission, target, resource, access).is_ok();
        let became_engineer = engineer(&all) && !engineer(&bindings) && permission == Permission::CredentialsMint;
        let became_owner = owner(&all) && !owner(&bindings) && engineer(&bindings);
        prop_assert!(!before || after || became_engineer || became_owner);
    }
}
