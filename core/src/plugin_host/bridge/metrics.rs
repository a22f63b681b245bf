//! Metrics of plugins: `hearth_plugin_<name>` with the label `plugin`.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::Guest;

/// Series that one plugin may have: each costs memory for as long as the server runs.
const MOST: usize = 500;

/// The series that a plugin has made.
#[derive(Default)]
pub struct Series(Mutex<BTreeSet<String>>);

impl Series {
    fn admits(&self, series: String) -> bool {
        let mut known = self.0.lock();
        known.contains(&series) || (known.len() < MOST && known.insert(series))
    }
}

/// `kind`: 0 adds to a counter, 1 sets a gauge, 2 observes for a histogram. `labels`: a JSON object.
pub(super) fn record(guest: &Guest, kind: u32, name: &str, labels: &str, value: f64) {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !name.chars().all(is_name)
        || !value.is_finite()
        || !guest.series.admits(format!("{name}{labels}"))
    {
        return;
    }
    let given: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(labels).unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let given = given.iter().filter(|(name, _)| name.chars().all(is_name) && *name != "plugin");
    let mut labels: Vec<(String, String)> =
        given.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect();
    labels.push(("plugin".to_owned(), guest.id().to_owned()));
    let metrics = &guest.seams.metrics;
    match kind {
        0 => metrics.add_made(format!("hearth_plugin_{name}_total"), labels, value.max(0.0) as u64),
        1 => metrics.set_made(format!("hearth_plugin_{name}"), labels, value),
        2 => metrics.observe_made(format!("hearth_plugin_{name}"), labels, value),
        _ => {}
    }
}
