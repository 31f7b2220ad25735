//! Kept shows, as producers reach them.

use std::path::PathBuf;

use crate::control::shows::Archive;
use crate::package::show::Show;
use crate::serve::archive;

/// A folder with a folder for each channel.
pub(super) struct Folders(pub(super) PathBuf);

impl Archive for Folders {
    fn list(&self, channel: &str) -> Vec<(Show, u64)> {
        let folder = self.0.join(channel);
        let sized = |show: Show| {
            let bytes = archive::size(&folder, &show);
            (show, bytes)
        };
        archive::list(&folder).into_iter().map(sized).collect()
    }

    fn remove(&self, channel: &str, show: &str) -> Result<bool, String> {
        let folder = self.0.join(channel);
        // Only what is listed: a name of the caller's leads nowhere else.
        let is_over = archive::list(&folder).iter().any(|known| known.id == show && known.end.is_some());
        if !is_over {
            return Ok(false);
        }
        archive::remove(&folder, show).map(|()| true).map_err(|error| error.to_string())
    }
}
