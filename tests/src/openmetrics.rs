//! A strict reader of OpenMetrics text (<https://prometheus.io/docs/specs/om/open_metrics_spec/>) with gauges, counters
//! and histograms. It refuses what a scraper would refuse.

use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    pub name: String,
    pub kind: Kind,
    pub samples: Vec<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Family {
    /// The name that queries use: for a counter it has the suffix `_total`.
    #[must_use]
    pub fn asked_for(&self) -> String {
        if self.kind == Kind::Counter { format!("{}_total", self.name) } else { self.name.clone() }
    }

    /// The names of the labels of its samples, without a histogram's `le`.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.samples.iter().flat_map(|s| s.labels.keys().cloned()).filter(|l| l != "le").collect();
        names.sort();
        names.dedup();
        names
    }
}

/// The families of an exposition, in their order there.
///
/// # Errors
/// What is wrong, with the line.
pub fn parse(text: &str) -> Result<Vec<Family>, String> {
    let mut families: Vec<Family> = Vec::new();
    let lines = text.strip_suffix("# EOF\n").ok_or("the last line is not `# EOF`")?;
    for line in lines.lines() {
        let wrong = |why: &str| format!("{why}: {line}");
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("TYPE"), Some(name), Some(kind)) => {
                    let kind = match kind {
                        "counter" => Kind::Counter,
                        "gauge" => Kind::Gauge,
                        "histogram" => Kind::Histogram,
                        _ => return Err(wrong("an unknown type")),
                    };
                    if families.iter().any(|f| f.name == name) {
                        return Err(wrong("a family twice"));
                    }
                    families.push(Family { name: name.to_owned(), kind, samples: Vec::new() });
                }
                (Some("HELP" | "UNIT"), Some(_), Some(_)) => {}
                _ => return Err(wrong("no metadata")),
            }
            continue;
        }
        let sample = sample(line).ok_or_else(|| wrong("no sample"))?;
        let family = families.last_mut().ok_or_else(|| wrong("a sample without a family"))?;
        let suffix =
            sample.name.strip_prefix(family.name.as_str()).ok_or_else(|| wrong("a sample of another family"))?;
        let suffixes: &[&str] = match family.kind {
            Kind::Counter => &["_total"],
            Kind::Gauge => &[""],
            Kind::Histogram => &["_bucket", "_sum", "_count"],
        };
        if !suffixes.contains(&suffix) {
            return Err(wrong("a suffix that the type does not have"));
        }
        if family.samples.iter().any(|s| (&s.name, &s.labels) == (&sample.name, &sample.labels)) {
            return Err(wrong("a sample twice"));
        }
        family.samples.push(sample);
    }
    Ok(families)
}

/// `name{label="value",…} number`. The label values of the tests hold no quotes.
fn sample(line: &str) -> Option<Sample> {
    let (key, value) = line.rsplit_once(' ')?;
    let (name, labels) = match key.split_once('{') {
        None => (key, ""),
        Some((name, rest)) => (name, rest.strip_suffix('}')?),
    };
    let pairs = labels.split(',').filter(|l| !l.is_empty()).map(|label| {
        let (name, quoted) = label.split_once('=')?;
        Some((name.to_owned(), quoted.strip_prefix('"')?.strip_suffix('"')?.to_owned()))
    });
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    Some(Sample {
        name: is_name.then(|| name.to_owned())?,
        labels: pairs.collect::<Option<_>>()?,
        value: value.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_their_samples() {
        let text = "# HELP a Help it.\n# TYPE a counter\na_total{p=\"x\",q=\"y\"} 3\n# TYPE h \
                    histogram\nh_bucket{le=\"+Inf\"} 1\n# EOF\n";
        let families = parse(text).unwrap();
        assert_eq!(families.iter().map(Family::asked_for).collect::<Vec<_>>(), ["a_total", "h"]);
        assert_eq!((families[0].labels(), families[0].samples[0].value), (vec!["p".to_owned(), "q".to_owned()], 3.0));
        assert_eq!(families[1].labels(), Vec::<String>::new());
    }

    #[test]
    fn what_a_scraper_refuses_is_refused() {
        for text in [
            "# TYPE a counter\na_total 1\n",
            "a 1\n# EOF\n",
            "# TYPE a counter\na 1\n# EOF\n",
            "# TYPE a gauge\nb 1\n# EOF\n",
            "# TYPE a gauge\na one\n# EOF\n",
            "# TYPE a gauge\na{p=1} 1\n# EOF\n",
            "# TYPE a gauge\na 1\na 2\n# EOF\n",
            "# TYPE a gauge\n# TYPE a gauge\n# EOF\n",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
