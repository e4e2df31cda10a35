//! The gates between a connection and a handler, in this order: the shape of
//! the request, who calls, the caller's rate, room for it, the deadline; then
//! the handler; then the ledger, before the reply leaves.
//!
//! [`Door::call`] is the order. Each gate is a file of its own and decides one
//! thing. No gate looks at anything a client says about itself but its token.

mod body;
mod connection;
mod deadline;
mod lines;
mod porter;
mod rates;
mod shape;
mod task;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service as _;

use crate::broker::Outcome;
use crate::broker::{BrokerError, Call, CallRecord, HeldPlace, NoPlace, SharedPlaces};
use crate::domain::Share;
use crate::telemetry::Sampler;

use super::status::{outcome_of, refusal, status, unreadable};
use body::{BoundedBody, StreamBody, read_away, too_late};
use lines::Lines;
use rates::{PrincipalRates, SourceRates};
use shape::{Entrance, KnownMethod, Misshape};

pub use connection::{ActiveCall, Connection, Fate, network};
pub use porter::Porter;

/// The method of a call whose path is none of ours, in the ledger.
const UNKNOWN_METHOD: &str = "unknown";
/// Streams at a time that wait to begin, of those who need no token: watches
/// of health. They take no place of those who have one. A single check takes
/// none at all: it waits for nobody, and whoever holds all places could else
/// have the daemon called sick.
const OPEN_CALLS_MAX: usize = 256;
/// The longest time for a call without a token: its request is on its way
/// with its headers, or it is no honest one.
const OPEN_CALL_TIME: Duration = Duration::from_secs(2);
/// When to try again after an overload.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The limits of the gates.
#[derive(Debug, Clone)]
pub struct DoorLimits {
    /// Calls at a time.
    pub requests_max: usize,
    /// How many of these may be one principal's.
    pub principal_share: Share,
    /// The longest time for a call.
    pub request_timeout_max: Duration,
    /// Refused authentications of one address in a minute.
    pub failed_authentications_per_minute: NonZeroU32,
    /// Calls of one principal in a second.
    pub calls_per_second: NonZeroU32,
    /// Calls of one principal at once.
    pub calls_burst: NonZeroU32,
}

/// All gates, and the handlers behind them.
pub struct Door {
    porter: Arc<dyn Porter>,
    routes: Routes,
    lines: Lines,
    sources: SourceRates,
    principals: PrincipalRates,
    room: Arc<SharedPlaces>,
    porch: Arc<Semaphore>,
    request_timeout_max: Duration,
    stopping: watch::Receiver<bool>,
    opened: Instant,
    refusals: Sampler,
}

/// A call that passed the gates.
struct Admitted {
    method: KnownMethod,
    record: Arc<CallRecord>,
    call: Option<Call>,
    deadline: Instant,
    active: ActiveCall,
    connection: Arc<Connection>,
    _place: Option<Place>,
}

/// The place of a call, for as long as this lives.
enum Place {
    /// Of those who have a token.
    Room { _held: HeldPlace },
    /// Of those who need none.
    Porch { _permit: OwnedSemaphorePermit },
}

/// A call that did not.
struct Refused {
    status: Status,
    http: StatusCode,
    record: Arc<CallRecord>,
    call: Option<Call>,
    outcome: Outcome,
}

impl Door {
    /// A door before `routes`. Streams end when `stopping` says true.
    #[must_use]
    pub fn new(porter: Arc<dyn Porter>, routes: Routes, limits: &DoorLimits, stopping: watch::Receiver<bool>) -> Self {
        Self {
            lines: Lines::new(Arc::clone(&porter)),
            porter,
            routes: routes.prepare(),
            sources: SourceRates::new(limits.failed_authentications_per_minute),
            principals: PrincipalRates::new(limits.calls_per_second, limits.calls_burst),
            room: SharedPlaces::new(limits.requests_max, limits.principal_share),
            porch: Arc::new(Semaphore::new(OPEN_CALLS_MAX)),
            request_timeout_max: limits.request_timeout_max,
            stopping,
            opened: Instant::now(),
            refusals: Sampler::default(),
        }
    }

    /// What is known of a connection from `peer`.
    #[must_use]
    pub fn connection(&self, peer: std::net::IpAddr) -> Arc<Connection> {
        Arc::new(Connection::new(peer, self.porter.source_digest(peer)))
    }

    /// Takes one request through the gates to its handler, and back.
    pub async fn call<B>(self: Arc<Self>, request: Request<B>, connection: Arc<Connection>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
    {
        let (head, body) = request.into_parts();
        match self.admit(&head, &connection).await {
            Ok(admitted) => self.serve(admitted, head, body).await,
            Err(refused) => {
                let response = Box::pin(self.refuse(refused)).await;
                read_away(body).await;
                response
            }
        }
    }

    /// Writes what was counted, when its time has come or `all` of it; to be
    /// called each second.
    ///
    /// # Errors
    /// When the ledger cannot be written; nothing is lost then.
    pub async fn flush(&self, all: bool) -> Result<(), BrokerError> {
        self.principals.tidy();
        self.lines.flush(self.now(), all).await
    }

    /// Returns when no call is in progress; streams count until they began.
    pub async fn idle(&self) {
        self.room.all_free().await;
        // An error means that the door is closed: nothing is in progress.
        drop(self.porch.acquire_many(u32::try_from(OPEN_CALLS_MAX).unwrap_or(u32::MAX)).await);
    }

    async fn admit(&self, head: &Parts, connection: &Arc<Connection>) -> Result<Admitted, Refused> {
        let active = connection.enter();
        let checked = shape::check(head);
        let known = match &checked {
            Ok(method) => Some(*method),
            Err((_, method)) => *method,
        };
        let path = known.map_or(UNKNOWN_METHOD, |method| method.path);
        let record = Arc::new(CallRecord::new(path, Some(connection.source.clone())));
        let method = checked.map_err(|(misshape, _)| misshapen(misshape, &record))?;
        // Who is not known takes no place of those who are.
        let (call, place, longest) = match method.door {
            Entrance::Open => {
                let porch = method.streaming.then(|| Arc::clone(&self.porch).try_acquire_owned()).transpose();
                let porch = porch.map(|permit| permit.map(|permit| Place::Porch { _permit: permit }));
                (None, porch.map_err(|_| NoPlace::Full), OPEN_CALL_TIME)
            }
            Entrance::Authenticated => {
                let call = self.authenticated(head, connection, &record).await?;
                let held = self.room.take(call.principal().id);
                (Some(call), held.map(|held| Some(Place::Room { _held: held })), self.request_timeout_max)
            }
        };
        let place = match place {
            Ok(place) => place,
            Err(none) => return Err(Refused::new(status(no_room(none)), &record, call, Outcome::Throttled)),
        };
        let longest = longest.min(self.request_timeout_max);
        let deadline = Instant::now() + deadline::time_for(&head.headers, longest);
        let connection = Arc::clone(connection);
        Ok(Admitted { method, record, call, deadline, active, connection, _place: place })
    }

    /// Who calls, and whether it calls too often.
    async fn authenticated(
        &self,
        head: &Parts,
        connection: &Connection,
        record: &Arc<CallRecord>,
    ) -> Result<Call, Refused> {
        let presented = head.headers.get(AUTHORIZATION).map_or(&b""[..], http::HeaderValue::as_bytes);
        let lane = self.sources.admit(connection.peer, self.now());
        let lane = lane.map_err(|()| over_rate("SOURCE_RATE", RETRY_AFTER, record, None))?;
        let caller = match self.porter.authenticate(presented).await {
            Ok(caller) => caller,
            Err(BrokerError::Unauthenticated) => return Err(self.stranger(connection, record)),
            Err(error) => return Err(Refused::new(status(error), record, None, Outcome::Failed)),
        };
        drop(lane);
        connection.trust();
        let call = Call { record: Arc::clone(record), caller };
        connection.serves(call.principal().id);
        match self.principals.check(call.principal().id) {
            Ok(()) => Ok(call),
            Err(wait) => Err(over_rate("PRINCIPAL_RATE", wait, record, Some(call))),
        }
    }

    fn stranger(&self, connection: &Connection, record: &Arc<CallRecord>) -> Refused {
        match self.sources.refused(connection.peer, self.now()) {
            Ok(()) => Refused::new(status(BrokerError::Unauthenticated), record, None, Outcome::Denied),
            Err(wait) => over_rate("SOURCE_RATE", wait, record, None),
        }
    }

    async fn serve<B>(self: Arc<Self>, admitted: Admitted, head: Parts, body: B) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
    {
        let method = admitted.method;
        let (deadline, record, call) = (admitted.deadline, Arc::clone(&admitted.record), admitted.call.clone());
        // The body of a stream of messages lives as long as the stream.
        let read_by = (!method.client_streaming).then_some(deadline);
        let body = BoundedBody::new(body, method.request_bytes_max, method.client_streaming, read_by);
        let mut request = Request::from_parts(head, Body::new(body));
        request.headers_mut().remove(AUTHORIZATION);
        if let Some(call) = &admitted.call {
            request.extensions_mut().insert(call.clone());
        }
        let door = Arc::clone(&self);
        let work = Box::pin(async move { door.handled(request, admitted).await });
        let done = if method.outlives_caller() {
            tokio::time::timeout_at(deadline, task::to_the_end(work)).await
        } else {
            tokio::time::timeout_at(deadline, task::caught(work)).await
        };
        match done {
            Ok(Ok(response)) => response,
            Ok(Err(panicked)) => {
                let refused = Refused::new(incident(&panicked, method.path), &record, call, Outcome::Failed);
                Box::pin(self.refuse(refused)).await
            }
            // What was begun goes on, and writes its own line.
            Err(_) if method.outlives_caller() => too_late().into_http(),
            Err(_) => Box::pin(self.refuse(Refused::new(too_late(), &record, call, Outcome::Failed))).await,
        }
    }

    /// The handler's answer, with its line durable.
    async fn handled(&self, request: Request<Body>, admitted: Admitted) -> Response<Body> {
        let mut routes = self.routes.clone();
        let response = match routes.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let response = unreadable(response.headers()).map_or(response, Status::into_http);
        if admitted.method.carries_secret() {
            admitted.connection.finish();
        }
        let response = self.recorded(&admitted, response).await;
        if admitted.method.streaming {
            let (head, body) = response.into_parts();
            let body = StreamBody::new(body, self.stopping.clone(), admitted.active);
            return Response::from_parts(head, Body::new(body));
        }
        response
    }

    async fn recorded(&self, admitted: &Admitted, response: Response<Body>) -> Response<Body> {
        let (outcome, reason) = outcome_of(response.headers());
        let unrecorded = admitted.method.door == Entrance::Open && outcome == Outcome::Ok;
        if unrecorded || admitted.record.lined() {
            return response;
        }
        let line = self.lines.write(&admitted.record, admitted.call.as_ref(), outcome, &reason, self.now());
        match line.await {
            Ok(()) => response,
            Err(_) if admitted.method.goes_on_without_ledger() => {
                self.lines.count(&admitted.record, admitted.call.as_ref(), outcome, &reason);
                response
            }
            Err(error) => status(error).into_http(),
        }
    }

    /// The answer to a refused call. Its line is written though the caller
    /// goes away; a line that cannot be written changes nothing for it.
    async fn refuse(self: Arc<Self>, refused: Refused) -> Response<Body> {
        let Refused { status, http, record, call, outcome } = refused;
        let mut response = status.into_http::<Body>();
        *response.status_mut() = http;
        let (_, reason) = outcome_of(response.headers());
        if let Some(held_back) = self.refusals.due(self.now()) {
            tracing::warn!(method = record.method, reason, outcome = outcome.as_str(), held_back, "refused a call");
        }
        if record.lined() {
            return response;
        }
        let door = Arc::clone(&self);
        let line = async move { door.lines.write(&record, call.as_ref(), outcome, &reason, door.now()).await };
        if let Ok(Err(_)) | Err(_) = task::to_the_end(line).await {
            tracing::warn!("the line of a refused call could not be written");
        }
        response
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }
}

impl Refused {
    fn new(status: Status, record: &Arc<CallRecord>, call: Option<Call>, outcome: Outcome) -> Self {
        Self { status, http: StatusCode::OK, record: Arc::clone(record), call, outcome }
    }
}

fn misshapen(misshape: Misshape, record: &Arc<CallRecord>) -> Refused {
    let status = match misshape {
        // Whoever is not known is told one thing, however it got it wrong.
        Misshape::Authorization => status(BrokerError::Unauthenticated),
        Misshape::Path => refusal(Code::Unimplemented, misshape.code(), "there is no such method", None),
        Misshape::Encoding => refusal(Code::Unimplemented, misshape.code(), "requests may not be compressed", None),
        Misshape::Version | Misshape::Method | Misshape::ContentType | Misshape::Te | Misshape::Metadata => {
            refusal(Code::InvalidArgument, misshape.code(), "this is not a gRPC call", None)
        }
    };
    Refused { http: misshape.http_status(), ..Refused::new(status, record, None, Outcome::Malformed) }
}

fn over_rate(reason: &'static str, wait: Duration, record: &Arc<CallRecord>, call: Option<Call>) -> Refused {
    let status = refusal(Code::ResourceExhausted, reason, "too many calls; try again later", Some(wait));
    Refused::new(status, record, call, Outcome::Throttled)
}

fn no_room(none: NoPlace) -> BrokerError {
    let (code, message) = match none {
        NoPlace::Full => ("OVERLOADED", "too many calls at a time".to_owned()),
        NoPlace::OwnFull(limit) => (
            "PRINCIPAL_CALLS",
            format!(
                "you have {limit} calls in progress, the most of one principal; let some end first, or have an \
                 operator raise limits.principal_share or server.requests_max"
            ),
        ),
    };
    BrokerError::Exhausted { code, message, retry_after: Some(RETRY_AFTER) }
}

fn incident(panicked: &task::Panicked, method: &str) -> Status {
    tracing::error!(method, incident = panicked.incident, "a handler panicked");
    refusal(Code::Internal, "INTERNAL", &format!("internal error; incident {}", panicked.incident), None)
}
