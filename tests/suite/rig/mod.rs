//! The test bench: real servers, real clients, and processes that never outlive their test run.
//!
//! `weed` is AWS S3 and STS that enforce; `moto` is the breadth of AWS (ECR, EKS, IAM).
//! Both are started once for a run by the first test that asks (`shared`) and end with it.

#![allow(dead_code, reason = "a bench offers more than the stories of one day use")]

pub mod account;
pub mod azure;
pub mod cache;
pub mod calls;
pub mod cast;
pub mod client;
pub mod even;
pub mod evil;
pub mod federated;
pub mod front;
pub mod gate;
pub mod google;
pub mod granted;
pub mod http;
pub mod kube;
pub mod lab;
pub mod machine;
pub mod moto;
pub mod oidc;
pub mod overheard;
pub mod ports;
pub mod process;
pub mod registry;
pub mod screen;
pub mod shared;
pub mod sshd;
pub mod vault;
pub mod weed;
pub mod wire;
pub mod workshop;
