//! Logs. To standard error, by `tracing`; `RUST_LOG` chooses, `info` is the default.

use tracing_subscriber::EnvFilter;

/// Starts logging for this process. Calling it again changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
}
