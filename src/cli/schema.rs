//! `rmm schema`: the JSON Schema of a kind of file, for editors and for checks of others.

use clap::{Args, ValueEnum};
use serde_json::json;

use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::table::{Output, Table, document};
use crate::repo::{Kind, schema, schema_catalog};

/// Arguments of `rmm schema`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm schema policies > schemas/policies.json\n  rmm schema\n  rmm schema --catalog --base-url https://example.com/schemas\n\nIn a repository the team's own settings and actions are part of it."
)]
pub(super) struct SchemaArgs {
    /// Kind of file; without one they are listed
    #[arg(value_enum, hide_possible_values = false)]
    pub(super) kind: Option<SchemaKind>,
    /// Print a catalogue of all schemas in the form of SchemaStore
    #[arg(long, conflicts_with = "kind")]
    pub(super) catalog: bool,
    /// Address of the folder that holds the schemas, for the catalogue
    #[arg(long, value_name = "URL", default_value = "./schemas", requires = "catalog")]
    pub(super) base_url: String,
}

/// Kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SchemaKind {
    /// rmm.toml
    Config,
    /// Sites, groups and devices
    Devices,
    /// What devices should look like
    Policies,
    /// When a measured value is a problem
    Thresholds,
    /// What is looked at besides
    Monitors,
    /// Jobs of several steps
    Workflows,
    /// Who hears of what
    Notifications,
    /// Tests of policies
    Tests,
}

impl From<SchemaKind> for Kind {
    fn from(kind: SchemaKind) -> Self {
        match kind {
            SchemaKind::Config => Self::Config,
            SchemaKind::Devices => Self::Devices,
            SchemaKind::Policies => Self::Policies,
            SchemaKind::Thresholds => Self::Thresholds,
            SchemaKind::Monitors => Self::Monitors,
            SchemaKind::Workflows => Self::Workflows,
            SchemaKind::Notifications => Self::Notifications,
            SchemaKind::Tests => Self::Tests,
        }
    }
}

pub(super) fn run(global: &Global, args: &SchemaArgs) -> Result<Exit, Failure> {
    let output = if global.output == Output::Table { Output::Json } else { global.output };
    let text = if args.catalog {
        document(&schema_catalog(&args.base_url), output)?
    } else if let Some(kind) = args.kind {
        document(&schema(kind.into(), &super::explain::catalog(global)), output)?
    } else {
        let mut table = Table::new("rmm.schemas/1", &["KIND", "FILES", "SUMMARY"]);
        for kind in Kind::ALL {
            table.push(vec![json!(kind.name()), json!(kind.files()), json!(kind.summary())]);
        }
        table.render(global.output)?
    };
    super::print(&text)?;
    Ok(Exit::Done)
}
