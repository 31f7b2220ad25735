//! `pipelines/*.gst`: whole pipelines in gst-launch syntax, built in, replaceable from a directory.
//!
//! Lines that start with `#` are taken out here, because the parser has no comments. Values are never
//! written into the text, where a space could add an element: they are set, typed, on named elements.

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use rust_embed::RustEmbed;

use super::{Branch, Error, Pipeline};

#[derive(RustEmbed)]
#[folder = "pipelines"]
struct BuiltIn;

/// The text of a pipeline.
#[derive(Debug, Clone)]
pub struct Description {
    name: String,
    text: String,
}

impl Description {
    /// Loads `name.gst` from `replacements` if it is there, else the one built in.
    ///
    /// # Errors
    /// [`Error::File`] when a replacement is there but cannot be read; [`Error::Description`] when there is
    /// no such pipeline.
    pub fn load(name: &str, replacements: Option<&Path>) -> Result<Self, Error> {
        let file = format!("{name}.gst");
        let replacement = replacements.map(|directory| directory.join(&file)).filter(|path| path.exists());
        let text = match replacement {
            Some(path) => std::fs::read_to_string(&path).map_err(|source| Error::File { path, source })?,
            None => {
                BuiltIn::get(&file).map(|file| String::from_utf8_lossy(&file.data).into_owned()).ok_or_else(
                    || Error::Description { name: name.into(), detail: "there is no such file".into() },
                )?
            }
        };
        Ok(Self { name: name.into(), text })
    }

    /// Builds it. A missing element or property is an error here, not at play.
    ///
    /// # Errors
    /// [`Error::Description`] with the parser's words.
    pub fn build(&self) -> Result<Pipeline, Error> {
        let failed = |detail: String| Error::Description { name: self.name.clone(), detail };
        let text = without_comments(&self.text);
        // Without FATAL_ERRORS a missing element passes and the pipeline is built around the hole.
        let element = gst::parse::launch_full(&text, None, gst::ParseFlags::FATAL_ERRORS)
            .map_err(|error| failed(error.to_string()))?;
        // One element alone comes without a pipeline around it.
        let inner = element.downcast::<gst::Pipeline>().or_else(|element| {
            let pipeline = gst::Pipeline::new();
            pipeline.add(&element).map(|()| pipeline).map_err(|error| failed(error.to_string()))
        })?;
        Ok(Pipeline { name: self.name.clone(), inner })
    }

    /// Builds it as a branch of `pipeline`, which does not play yet, behind one of its tees: its own or another branch's.
    ///
    /// # Errors
    /// [`Error::Description`] with the parser's words.
    pub fn branch(&self, pipeline: &Pipeline, tee: &gst::Element) -> Result<Branch, Error> {
        let failed = |detail: String| Error::Description { name: self.name.clone(), detail };
        let text = without_comments(&self.text);
        let flags = gst::ParseFlags::FATAL_ERRORS | gst::ParseFlags::NO_SINGLE_ELEMENT_BINS;
        let bin = gst::parse::bin_from_description_full(&text, true, None, flags)
            .map_err(|error| failed(error.to_string()))?;
        let bin = bin.downcast::<gst::Bin>().map_err(|_| failed("it is one element alone".into()))?;
        let linked = pipeline.inner.add(&bin).and_then(|()| tee.link(&bin));
        linked.map_err(|error| failed(error.to_string()))?;
        Ok(Branch { name: self.name.clone(), bin })
    }

    /// The names of the element factories it needs, for `vitrine check`.
    pub fn factories(&self) -> Vec<String> {
        let text = without_comments(&self.text);
        let mut factories: Vec<String> = text
            .split('!')
            .flat_map(|piece| {
                // A new chain starts after a line break without a `!`; a link to a named element has a dot.
                piece.split("\n\n").filter_map(|chain| chain.split_whitespace().next()).map(str::to_owned)
            })
            .filter(|word| !word.contains(['.', '/', '=', '"']))
            .collect();
        factories.sort();
        factories.dedup();
        factories
    }
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_chains_stay_apart() {
        let text =
            "# what it is\nfakesrc name=a ! fakesink\n\n  # more\nfakesrc ! fakesink name=b\n".to_owned();
        let description = Description { name: "x".into(), text };
        assert_eq!(description.factories(), ["fakesink", "fakesrc"]);
    }

    #[test]
    fn a_missing_element_is_an_error_when_built() {
        gst::init().unwrap();
        let description = Description { name: "x".into(), text: "fakesrc ! nosuchelement ! fakesink".into() };
        let error = description.build().unwrap_err().to_string();
        assert!(error.contains("nosuchelement"), "{error}");
    }

    #[test]
    fn every_built_in_pipeline_is_there_to_load() {
        for file in BuiltIn::iter() {
            let name = file.strip_suffix(".gst").unwrap();
            assert!(!Description::load(name, None).unwrap().factories().is_empty(), "{file}");
        }
    }

    #[test]
    fn a_replacement_wins() {
        let directory = std::env::temp_dir().join(crate::id::new("vitrine"));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("decode.gst"), "fakesrc ! fakesink").unwrap();
        assert_eq!(Description::load("decode", Some(&directory)).unwrap().text, "fakesrc ! fakesink");
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
