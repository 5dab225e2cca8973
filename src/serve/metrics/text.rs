//! Prometheus' text format, version 0.0.4: metric families with help, type and samples.

use std::fmt::Write;

use crate::ingest::Histogram;

pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

#[derive(Default)]
pub(super) struct Text {
    out: String,
}

/// A metric family. Its samples are added after its help and type.
pub(super) struct Family<'a> {
    out: &'a mut String,
    name: &'static str,
}

impl Text {
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let out = &mut self.out;
        push(out, format_args!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.name()));
        Family { out, name }
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &str, value: u64) {
        self.family(name, Kind::Counter, help).sample(&[], value as f64);
    }

    /// Writes a gauge. An unknown value has no sample.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str, value: Option<f64>) {
        let mut family = self.family(name, Kind::Gauge, help);
        if let Some(value) = value {
            family.sample(&[], value);
        }
    }

    /// Writes a histogram. `units` is the factor between the histogram's unit and that of the metric, such as 1,000,000
    /// for microseconds and seconds.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str, histogram: &Histogram, units: f64) {
        let mut family = self.family(name, Kind::Histogram, help);
        for (bound, count) in histogram.buckets() {
            family.line("_bucket", &[("le", &(bound as f64 / units).to_string())], count as f64);
        }
        family.line("_bucket", &[("le", "+Inf")], histogram.count() as f64);
        family.line("_sum", &[], histogram.sum() as f64 / units);
        family.line("_count", &[], histogram.count() as f64);
    }

    pub(super) fn finish(self) -> String {
        self.out
    }
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) {
        self.line("", labels, value);
    }

    fn line(&mut self, ending: &str, labels: Labels<'_>, value: f64) {
        push(self.out, format_args!("{}{ending}", self.name));
        for (at, (name, value)) in labels.iter().enumerate() {
            let before = if at == 0 { '{' } else { ',' };
            push(self.out, format_args!("{before}{name}=\"{}\"", escaped(value)));
        }
        let after = if labels.is_empty() { "" } else { "}" };
        push(self.out, format_args!("{after} {value}\n"));
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a string takes everything");
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_prometheus_reads_it() {
        let mut text = Text::default();
        text.counter("a_total", "All of them", 1 << 50);
        text.gauge("unknown", "Not yet", None);
        text.family("b", Kind::Gauge, "By kind").sample(&[("topic", "a\"b\\c\nd"), ("partition", "0")], 0.25);
        let mut histogram = Histogram::new(&[50_000, 2_000_000]);
        [10, 50_001, 9_000_000].into_iter().for_each(|value| histogram.record(value));
        text.histogram("c_seconds", "How long", &histogram, 1e6);
        let expected = [
            "# HELP a_total All of them\n# TYPE a_total counter\na_total 1125899906842624\n",
            "# HELP unknown Not yet\n# TYPE unknown gauge\n",
            "# HELP b By kind\n# TYPE b gauge\nb{topic=\"a\\\"b\\\\c\\nd\",partition=\"0\"} 0.25\n",
            "# HELP c_seconds How long\n# TYPE c_seconds histogram\n",
            "c_seconds_bucket{le=\"0.05\"} 1\nc_seconds_bucket{le=\"2\"} 2\nc_seconds_bucket{le=\"+Inf\"} 3\n",
            "c_seconds_sum 9.050011\nc_seconds_count 3\n",
        ];
        assert_eq!(text.finish(), expected.concat());
    }
}
