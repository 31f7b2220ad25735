//! The `vitrine` command: arguments, configuration, the server, signals, exit code.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use vitrine::app::{self, cards, check};
use vitrine::config::{Config, Flags};
use vitrine::observe;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Live video ingest with a shoppable overlay, out as low-latency HLS.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Subcommand)]
enum Command {
    /// Serve (the default).
    Serve,
    /// Serve, with a built-in host that publishes and a looped show of sample cards.
    Demo,
    /// Say what is missing on this machine, and how to get it.
    Check,
    /// Tools for those who design cards.
    Card {
        #[command(subcommand)]
        command: cards::Command,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    observe::start();
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            tracing::error!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut arguments: Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    if matches!(arguments.command, Some(Command::Demo)) {
        // Sample products have no place in a seller's own catalogue.
        arguments.flags.data_dir.get_or_insert_with(|| "data/demo".into());
    }
    let config = Config::load(arguments.flags)?;
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Check => Ok(if check::run(&config) { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Command::Card { command } => {
            cards::run(&config, &command)?;
            Ok(ExitCode::SUCCESS)
        }
        command => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let is_demo = matches!(command, Command::Demo);
            runtime.block_on(app::run(config, is_demo))?;
            // A blocking task that hangs must not hold up the end.
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            Ok(ExitCode::SUCCESS)
        }
    }
}
