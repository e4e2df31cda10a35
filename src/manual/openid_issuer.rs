//! # Being an OpenID issuer
//!
//! With `[issuer]` in its config the server vouches for its connectors itself:
//! AWS, Google and Entra exchange a token that it signs for a session, and no
//! secret of theirs is stored anywhere.
//!
//! ## Switching it on
//!
//! ```toml
//! [issuer]
//! url = "https://id.example.com"   # for good: it is in every trust policy
//! listen = "0.0.0.0:7444"          # what the clouds must reach under that URL
//! tls_certificate = "/etc/valetkey/id.pem"   # of a public CA
//! tls_key = "/etc/valetkey/id.key"
//! ```
//!
//! The listener answers GET and HEAD of two documents,
//! `URL/.well-known/openid-configuration` and `URL/.well-known/jwks.json`, and
//! nothing else; gRPC need not be reachable from outside. Keys are RSA of
//! 2,048 bits (RS256: Entra takes nothing else), sealed under the root key.
//! Whoever has the store and the root key can sign: keep them apart.
//!
//! ## What a token says
//!
//! | claim | value |
//! | --- | --- |
//! | `iss` | `[issuer] url`, byte for byte |
//! | `sub` | `project:P:connector:C:principal:KIND/NAME`, in a run with `:run:ID` behind it; for Entra `project:P:connector:C` |
//! | `aud` | the connector's audience |
//! | `exp` | minutes after `iat`, at most `token_ttl_max` |
//! | `project`, `connector`, `principal`, `principal_kind` | names; the kind is `user` or `service-account` |
//! | `run`, `run_name` | the id and the name of the run that it is minted in; only there |
//! | `issuance` | the issuance it is for; not there while a connector is verified |
//!
//! Names have no colon, slash, star or question mark, so no two subjects read
//! alike and a pattern ends where a name does: `...:principal:*` takes every
//! principal in and outside of runs, `...:principal:service-account/trainer`
//! takes it outside of runs only, and with `:run:*` behind it in runs only.
//! They are names, not ids: whoever may register connectors in a project can
//! make one of any free name there. Let trust policies name project and
//! connector, and treat the platform engineers of a project as those whom its
//! roles trust. Verifying a connector
//! makes a token too, in the name of the engineer: a policy for one principal
//! alone cannot be verified.
//!
//! The ledger has each token in the result line of the call that it was made
//! for: `identity`, `identity_subject`, `identity_audience`.
//!
//! ## AWS
//!
//! ```sh
//! aws iam create-open-id-connect-provider --url https://id.example.com --client-id-list sts.amazonaws.com
//! ```
//!
//! The role's trust policy; the prefix of the conditions is the URL without
//! `https://`:
//!
//! ```json
//! {"Version": "2012-10-17", "Statement": [{
//!   "Effect": "Allow",
//!   "Principal": {"Federated": "arn:aws:iam::123456789012:oidc-provider/id.example.com"},
//!   "Action": "sts:AssumeRoleWithWebIdentity",
//!   "Condition": {
//!     "StringEquals": {"id.example.com:aud": "sts.amazonaws.com"},
//!     "StringLike": {"id.example.com:sub": "project:default:connector:prod-s3:*"}
//!   }}]}
//! ```
//!
//! ```sh
//! valetkey connector register prod-s3 --type aws --method web-identity --set region=eu-west-1 \
//!     --set role_arn=arn:aws:iam::123456789012:role/ml
//! ```
//!
//! Sessions are narrowed as those of `iam-role` are. They carry the session
//! name and the subject, and with both the run, into CloudTrail, but no tags
//! and no source identity: this call of STS takes neither.
//!
//! ## Google
//!
//! ```sh
//! gcloud iam workload-identity-pools providers create-oidc valetkey --location=global \
//!     --workload-identity-pool=POOL --issuer-uri=https://id.example.com \
//!     --attribute-mapping='google.subject=assertion.sub,attribute.connector=assertion.project+"/"+assertion.connector' \
//!     --attribute-condition="assertion.sub.startsWith('project:default:connector:NAME:')"
//! ```
//!
//! Do not leave the condition out. Issuer and audience say which server signed
//! and for which provider, not for whom: every connector of that server can
//! ask for a token of this audience, and each gets into the pool whose
//! condition lets it. The colon at the end matters, or `NAME` would let
//! `NAME-2` in. Where several connectors share the provider, join conditions
//! with `||`, or compare `assertion.project` alone and let the bindings below
//! tell the connectors apart; never bind a service account to the whole pool.
//!
//! Without `--allowed-audiences` the audience is
//! `https://iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/valetkey`.
//! Google takes a `google.subject` of at most 127 characters, of which a run
//! takes 41: with long names map it from fewer claims, or exchanges within runs
//! are refused. Let the service account trust
//! `principalSet://iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/attribute.connector/default/NAME`.
//!
//! ## Azure
//!
//! Entra compares the whole subject, and one application takes twenty of them:
//! its tokens name the connector, not principal and run, which are in the
//! claims.
//!
//! ```sh
//! az ad app federated-credential create --id APPLICATION --parameters '{
//!   "name": "valetkey-prod-blob", "issuer": "https://id.example.com",
//!   "subject": "project:default:connector:prod-blob", "audiences": ["api://AzureADTokenExchange"]}'
//! ```
//!
//! ## Keys and their rotation
//!
//! There is always a key that signs and a next one, both published. After
//! `rotation_period` the next one signs, once it has been published for
//! `jwks_max_age`; the old one stays published for an hour and some minutes,
//! longer than any token. `valetkey key status` shows them; `valetkey key
//! rotate-issuer` (owners) does it now. If a key may have leaked, rotate twice
//! with `jwks_max_age` in between: the next key was stored beside it. Tokens of
//! a leaked key are taken until it is published no longer; until then the
//! clouds' trust policies are the switch.
//!
//! Before `jwks_max_age` is made shorter, let the longer one pass after the
//! last rotation: clouds may keep what they fetched for as long as they were
//! told to.
