//! A run's figures, with everything that one must know to believe them, as the JSON that is kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::figures::{median, spread};

/// One run.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Results {
    pub(crate) name: String,
    /// The day.
    pub(crate) taken: String,
    pub(crate) machine: Machine,
    /// What each contestant says it is.
    pub(crate) software: BTreeMap<String, String>,
    pub(crate) settings: Settings,
    /// Of the processors' time during the run, the share that went to programs not of the bench.
    pub(crate) elsewhere: f64,
    /// The key exchanges agreed on: by row, by contestant.
    pub(crate) exchanges: BTreeMap<String, BTreeMap<String, String>>,
    /// By measure, by contestant.
    pub(crate) measures: BTreeMap<String, BTreeMap<String, Series>>,
}

#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: u32,
    pub(crate) memory_gigabytes: u64,
    pub(crate) kernel: String,
}

#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Settings {
    pub(crate) rounds: usize,
    /// Of the rows with small requests; others send a part of it.
    pub(crate) requests: usize,
    /// Of the latency row.
    pub(crate) per_second: u64,
}

/// One contestant's samples of one measure.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Series {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
    pub(crate) samples: Vec<f64>,
}

impl Series {
    fn add(&mut self, sample: f64) {
        self.samples.push(sample);
        self.median = median(&self.samples).unwrap_or_default();
        (self.least, self.most) = spread(&self.samples).unwrap_or_default();
    }
}

impl Results {
    /// Adds one sample.
    pub(crate) fn add(&mut self, measure: &str, contestant: &str, sample: f64) {
        let series = self.measures.entry(measure.to_owned()).or_default();
        series.entry(contestant.to_owned()).or_default().add(sample);
    }

    pub(crate) fn series(&self, measure: &str, contestant: &str) -> Option<&Series> {
        self.measures.get(measure)?.get(contestant)
    }

    pub(crate) fn median(&self, measure: &str, contestant: &str) -> Option<f64> {
        Some(self.series(measure, contestant)?.median)
    }

    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(file);
        let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", file.display()).into())
    }

    pub(crate) fn write(&self, file: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(file, one_line_each(&text) + "\n")?;
        Ok(())
    }
}

/// Samples of one series side by side: one line each, not one for every number.
fn one_line_each(pretty: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for line in pretty.lines() {
        let trimmed = line.trim();
        if inside {
            text.push_str(trimmed);
            inside = !trimmed.starts_with(']');
            text.push(if inside { ' ' } else { '\n' });
        } else if trimmed.ends_with('[') {
            inside = true;
            text.push_str(line);
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}
