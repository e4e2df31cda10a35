//! Lines of the ledger to proto, and what is asked of them.

use crate::broker::{Call, LineAsk, LineKind, LineSubject, Outcome, StoredLine};
use crate::domain::{AccessLevel, FieldError};
use crate::proto;

use super::types::{reference_if_any, timestamp, timestamp_out};

/// Which lines to list.
///
/// # Errors
/// Names the refused field.
pub fn line_ask(body: &proto::ListAuditLinesRequest) -> Result<LineAsk, FieldError> {
    Ok(LineAsk {
        principal: reference_if_any("principal", &body.principal)?.map(str::to_owned),
        connector: reference_if_any("connector", &body.connector)?.map(str::to_owned),
        run: reference_if_any("run", &body.run)?.map(str::to_owned),
        outcome: outcome(&body.outcome)?,
        since: timestamp("since", body.since.as_ref())?,
        until: timestamp("until", body.until.as_ref())?,
    })
}

fn outcome(word: &str) -> Result<Option<Outcome>, FieldError> {
    if word.is_empty() {
        return Ok(None);
    }
    Outcome::parse(word).map(Some).ok_or_else(|| {
        let all: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect();
        FieldError::new("outcome", format!("one of {}", all.join(", ")))
    })
}

/// A line, to send.
#[must_use]
pub fn line(call: &Call, stored: StoredLine) -> proto::AuditLine {
    let hash = hex::encode(stored.hash.0);
    let seq = stored.seq.0;
    let line = stored.line;
    let own = line.project.is_some_and(|project| project == call.project());
    let (kind, intent_seq) = match line.kind {
        LineKind::Intent => ("intent", 0),
        LineKind::Result(intent) => ("result", intent.0),
        LineKind::Single => ("single", 0),
    };
    proto::AuditLine {
        seq,
        at: Some(timestamp_out(line.at)),
        kind: kind.to_owned(),
        intent_seq,
        method: line.method,
        principal_id: text(line.principal),
        principal_name: text(line.principal_name),
        run_id: text(line.run),
        project: if own { call.caller.project.name.to_string() } else { String::new() },
        connector_id: text(line.connector),
        component_id: text(line.component),
        subject: line.subject.map(subject).unwrap_or_default(),
        resource_id: text(line.resource),
        access: line.access.map(AccessLevel::as_str).unwrap_or_default().to_owned(),
        outcome: line.outcome.as_str().to_owned(),
        reason: line.reason.as_str().to_owned(),
        issuance_id: text(line.issuance),
        expires_at: line.expires_at.map(timestamp_out),
        source: line.source.unwrap_or_default(),
        count: line.count,
        details: line.details.into_iter().map(|(key, detail)| (key, detail.as_str().to_owned())).collect(),
        hash,
    }
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// What else a line is about, as `noun/id`.
fn subject(subject: LineSubject) -> String {
    match subject {
        LineSubject::Principal(id) => format!("principal/{id}"),
        LineSubject::Token(id) => format!("token/{id}"),
        LineSubject::Binding(id) => format!("binding/{id}"),
        LineSubject::Stack(id) => format!("stack/{id}"),
        LineSubject::Run(id) => format!("run/{id}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases E7 and G11.
    #[test]
    fn filters_take_names_ids_and_known_outcomes_only() {
        let ask = proto::ListAuditLinesRequest { outcome: "denied".to_owned(), ..Default::default() };
        assert_eq!(line_ask(&ask).unwrap().outcome, Some(Outcome::Denied));
        for bad in ["DENIED", "denied ", "' OR 1=1 --", "(a+)+$"] {
            let ask = proto::ListAuditLinesRequest { outcome: bad.to_owned(), ..Default::default() };
            assert_eq!(line_ask(&ask).unwrap_err().field, "outcome");
            let ask = proto::ListAuditLinesRequest { principal: bad.to_owned(), ..Default::default() };
            assert_eq!(line_ask(&ask).unwrap_err().field, "principal");
            let ask = proto::ListAuditLinesRequest { connector: bad.to_owned(), ..Default::default() };
            assert_eq!(line_ask(&ask).unwrap_err().field, "connector");
            let ask = proto::ListAuditLinesRequest { run: bad.to_owned(), ..Default::default() };
            assert_eq!(line_ask(&ask).unwrap_err().field, "run");
        }
    }
}
