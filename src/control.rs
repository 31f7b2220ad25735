//! What operators and programs ask for: obs-websocket's envelope on `/ws`, the same verbs as REST under
//! `/api/v1`. Both doors turn a request into the same [`message::Action`] and give the same errors.
//!
//! - `api`: the table of REST's addresses; `openapi`: its description
//! - `paging`: lists in pages
//! - [`announce`]: a producer's own metadata for players
//! - [`links`]: addresses for viewers
//! - `rundowns`: the order of a show, over REST
//! - `triggers`, `push`: for buttons
//! - [`amcp`]: `CasparCG`'s protocol
//! - [`shows`]: what was on air before
//! - [`message`]: requests by name, in one place (pure)
//! - [`error`]: one table from errors to codes
//! - [`questions`]: changes from shops that somebody should look at
//! - `ograf`: EBU's graphics API
//! - [`monitor`]: the picture on air
//! - [`perform`]: asks the director
//! - [`people`]: who comes in, and as what
//! - [`socket`], [`http`]: the doors
//! - [`metrics`]: for Prometheus; [`samples`]: for plots
//! - [`catalogue`]: products from files; `fetch`: their pictures from the web

pub mod amcp;
pub mod announce;
mod api;
pub mod catalogue;
pub mod error;
mod fetch;
pub mod http;
pub mod links;
pub mod message;
pub mod metrics;
pub mod monitor;
mod ograf;
mod openapi;
mod paging;
pub mod people;
pub mod perform;
mod push;
pub mod questions;
mod rundowns;
pub mod samples;
pub mod shows;
pub mod socket;
mod triggers;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::catalogue::fetching::Fetching;
use self::catalogue::hooks::Hooks;
use self::error::{Error, Kind};
use self::people::{People, Who};
use self::questions::Questions;
use self::socket::Written;
use crate::director::DirectorHandle;
use crate::media::ChannelStatus;
use crate::state::{Card, Role};
use crate::store::pictures::Pictures;

/// What a picture is wanted of.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A card, saved or not.
    Card(Box<Card>),
    /// A template with its sample.
    Sample(String),
}

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The card alone.
    Card,
    /// Where it rests in the whole picture.
    Canvas {
        /// With what platforms cover.
        has_guides: bool,
    },
    /// The same with nothing behind it.
    Overlay,
}

/// A picture for producers.
#[derive(Debug)]
pub struct Painting {
    /// The file.
    pub png: Vec<u8>,
    /// What is wrong with what it shows, in words.
    pub problems: Vec<String>,
}

/// Draws for a channel, as on air; a picture or words. Blocks.
pub type Painter = Arc<dyn Fn(&Subject, &str, View) -> Result<Painting, String> + Send + Sync>;

/// Gives a channel's players a text, at the frame that is on air.
pub type Announcer = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// What producers must know of the templates beside the templates themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shelf {
    /// Mistakes in templates: file, line and what is wrong.
    pub faults: Vec<String>,
}

/// Where encoders publish, without keys.
#[derive(Debug, Clone, Default)]
pub struct Publish {
    /// The server field for RTMP.
    pub rtmp: String,
    /// The server field for RTMPS, if it is on.
    pub rtmps: Option<String>,
    /// The address for SRT, before `?streamid=`.
    pub srt: String,
}

/// What the doors work with. Cheap to clone.
#[derive(Clone)]
pub struct Doors {
    /// Asks for changes.
    pub director: DirectorHandle,
    /// Each channel's status.
    pub status: Arc<BTreeMap<String, watch::Receiver<ChannelStatus>>>,
    /// Draws previews.
    pub painter: Painter,
    /// Shows what is on air.
    pub monitor: monitor::Monitor,
    /// Tells players.
    pub announcer: Announcer,
    /// Shows that were on air.
    pub shows: shows::Shows,
    /// Signs addresses for viewers.
    pub signer: links::Signer,
    /// How often players may be told.
    pub pace: Arc<announce::Pace>,
    /// What is wrong with templates.
    pub shelf: watch::Receiver<Shelf>,
    /// Hosts that pictures may be fetched from.
    pub picture_hosts: Arc<[String]>,
    /// Events as they go out.
    pub written: Written,
    /// Fetches pictures of imported products.
    pub fetching: Fetching,
    /// Shops that tell of changes.
    pub hooks: Hooks,
    /// How channels were, second by second.
    pub samples: samples::Samples,
    /// Changes that wait for somebody.
    pub questions: Questions,
    /// Keeps pictures.
    pub pictures: Pictures,
    /// Who may come in.
    pub people: People,
    /// Who asks; the server itself before anybody does.
    pub who: Who,
    /// Where encoders publish.
    pub publish: Arc<Publish>,
    /// Where products are imported from.
    pub import_dir: PathBuf,
    /// The server stops.
    pub stop: CancellationToken,
}

impl Doors {
    /// Refuses whoever is less than `needed`.
    ///
    /// # Errors
    /// [`Error`] of [`Kind::Forbidden`].
    pub fn allow(&self, needed: Role) -> Result<(), Error> {
        if self.who.role >= needed {
            return Ok(());
        }
        let (role, needed) = (self.who.role.name(), needed.name());
        Err(Error::plain(
            Kind::Forbidden,
            format!("this needs the role {needed}, and {:?} is {role}", self.who.name),
        ))
    }
}
