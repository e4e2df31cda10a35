//! Names of log fields and metrics, tracing set-up, and the printer of error
//! chains. Never sees a secret: error types hold none.
