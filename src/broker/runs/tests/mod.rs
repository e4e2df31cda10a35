//! Runs on a real store, with a cloud of paper.

mod confined;
mod life;

use std::collections::BTreeMap;

use crate::domain::{
    AccessLevel, Component, ComponentLink, Connector, Labels, Name, ResourceId, ResourceTypeName, Run, Stack, Ttl,
};

use super::super::fixture::{House, Person, name};
use super::super::{BrokerError, HandedOut, MintAsk, MintSource, NewStack};
use super::*;

/// A house with a connector, three components linked to it, and a stack of the
/// first two.
struct Works {
    house: House,
    connector: Connector,
    store: Component,
    registry: Component,
    other: Component,
    stack: Stack,
}

impl Works {
    async fn new(endpoint: &str) -> Self {
        Self::with(endpoint, |_| {}).await
    }

    async fn with(endpoint: &str, change: impl FnOnce(&mut Connector)) -> Self {
        let house = House::new().await;
        let home = house.home.clone();
        let connector = house.connector_at(&home, "vault", endpoint, change).await;
        let link = || {
            Some(ComponentLink {
                connector: connector.id,
                resource_type: ResourceTypeName::parse("paper-shelf").unwrap(),
                resource_id: ResourceId::canonical("paper://shelf").unwrap(),
                access_max: AccessLevel::Write,
            })
        };
        let store = house.component(&home, "store", link()).await;
        let registry = house.component(&home, "registry", link()).await;
        let other = house.component(&home, "other", link()).await;
        let call = house.call(&house.scientist).await;
        let stack = house.broker.register_stack(&call, stack_of("prod", &["store", "registry"]), None).await.unwrap();
        Self { house, connector, store, registry, other, stack }
    }

    /// A run of `starter`, and somebody with its token.
    async fn start(&self, starter: &Person, ask: NewRun) -> (Run, Person) {
        let call = self.house.call(starter).await;
        let started = self.house.broker.start_run(&call, ask, None).await.ok().unwrap();
        let secret = started.secret.unwrap();
        let person = Person {
            id: starter.id,
            name: starter.name.clone(),
            token: started.run.token.clone(),
            header: format!("Bearer {}", secret.reveal()).into_bytes(),
        };
        (started.run, person)
    }

    async fn mint(&self, who: &Person, ask: &MintAsk) -> Result<HandedOut, BrokerError> {
        self.house.broker.mint_credential(&self.house.call(who).await, ask).await
    }

    /// Nobody has this token.
    async fn is_nobody(&self, who: &Person) -> bool {
        self.house.broker.authenticate(&who.header).await.err() == Some(BrokerError::Unauthenticated)
    }
}

fn stack_of(named: &str, components: &[&str]) -> NewStack {
    NewStack {
        name: name(named),
        components: components.iter().map(ToString::to_string).collect(),
        description: String::new(),
        labels: Labels::default(),
    }
}

fn on(stack: &str) -> NewRun {
    NewRun { stack: stack.to_owned(), name: None, duration: None, token_ttl: None }
}

fn named(text: &str) -> NewRun {
    NewRun { name: Some(text.parse::<Name>().unwrap()), ..on("prod") }
}

fn lasting(seconds: u32) -> NewRun {
    NewRun { duration: Some(Ttl::seconds(seconds)), ..on("prod") }
}

fn through(component: &str) -> MintAsk {
    MintAsk {
        source: MintSource::Component(component.to_owned()),
        resource_type: None,
        resource: None,
        access: AccessLevel::Read,
        parameters: BTreeMap::new(),
        ttl: None,
        min_remaining: None,
    }
}

fn finish(run: &str, revoke: bool) -> FinishRun {
    FinishRun { run: run.to_owned(), revoke, once: None }
}

fn code<T>(answer: Result<T, BrokerError>) -> &'static str {
    answer.err().map_or("OK", |error| error.code())
}
