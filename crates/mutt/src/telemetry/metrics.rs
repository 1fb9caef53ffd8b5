//! Metrics of one service: handles built from the registry in mutt-model, and the text that
//! Prometheus scrapes.

use std::fmt::Write as _;
use std::sync::Mutex;

use mutt_model::metrics::{Kind, Metric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Labels of one series; names are static, values come from closed sets or configuration.
pub type Labels = Vec<(&'static str, String)>;
/// A gauge of fractions and ages.
pub type FloatGauge = Gauge<f64, std::sync::atomic::AtomicU64>;
/// Counters of one metric.
pub type Counters = Family<Labels, Counter>;
/// Counters of one metric that count fractions, as seconds.
pub type FloatCounters = Family<Labels, Counter<f64, std::sync::atomic::AtomicU64>>;
/// Gauges of one metric.
pub type Gauges = Family<Labels, FloatGauge>;
/// Histograms of one metric.
pub type Histograms = Family<Labels, Histogram, Buckets>;

/// Makes histograms with the buckets of their metric.
#[derive(Clone, Debug)]
pub struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// A refresh before each scrape (kernel drops, queue depth).
type Refresh = Box<dyn Fn() + Send + Sync>;

/// The metrics that one service's listener exports.
#[derive(Default)]
pub struct ServiceMetrics {
    registry: Mutex<Registry>,
    refresh: Mutex<Vec<Refresh>>,
}

impl std::fmt::Debug for ServiceMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceMetrics").finish_non_exhaustive()
    }
}

impl ServiceMetrics {
    /// A set with the families of every service.
    #[must_use]
    pub fn new(clock: &mutt_model::Clock) -> Self {
        let metrics = Self::default();
        let info = metrics.gauges(&mutt_model::metrics::BUILD_INFO);
        info.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1.0);
        let uptime = metrics.gauge(&mutt_model::metrics::UP_SECONDS);
        let (clock, start) = (clock.clone(), clock.monotonic());
        metrics.on_scrape(move || {
            uptime.set(clock.monotonic().saturating_sub(start).as_secs_f64());
        });
        metrics
    }

    fn register(&self, metric: &Metric, family: impl prometheus_client::registry::Metric) {
        let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        if let Ok(mut registry) = self.registry.lock() {
            registry.register(name, metric.help, family);
        }
    }

    /// A counter with labels.
    #[must_use]
    pub fn counters(&self, metric: &Metric) -> Counters {
        let family = Counters::default();
        self.register(metric, family.clone());
        family
    }

    /// A counter of fractions with labels.
    #[must_use]
    pub fn float_counters(&self, metric: &Metric) -> FloatCounters {
        let family = FloatCounters::default();
        self.register(metric, family.clone());
        family
    }

    /// A counter without labels.
    #[must_use]
    pub fn counter(&self, metric: &Metric) -> Counter {
        let counter = Counter::default();
        self.register(metric, counter.clone());
        counter
    }

    /// A gauge with labels.
    #[must_use]
    pub fn gauges(&self, metric: &Metric) -> Gauges {
        let family = Gauges::default();
        self.register(metric, family.clone());
        family
    }

    /// A gauge without labels.
    #[must_use]
    pub fn gauge(&self, metric: &Metric) -> FloatGauge {
        let gauge = FloatGauge::default();
        self.register(metric, gauge.clone());
        gauge
    }

    /// A histogram without labels.
    #[must_use]
    pub fn histogram(&self, metric: &Metric) -> Histogram {
        let histogram = buckets(metric).new_metric();
        self.register(metric, histogram.clone());
        histogram
    }

    /// A histogram with labels.
    #[must_use]
    pub fn histograms(&self, metric: &Metric) -> Histograms {
        let family = Histograms::new_with_constructor(buckets(metric));
        self.register(metric, family.clone());
        family
    }

    /// Calls `refresh` before each scrape.
    pub fn on_scrape(&self, refresh: impl Fn() + Send + Sync + 'static) {
        if let Ok(mut list) = self.refresh.lock() {
            list.push(Box::new(refresh));
        }
    }

    /// The text for Prometheus (OpenMetrics).
    #[must_use]
    pub fn text(&self) -> String {
        if let Ok(list) = self.refresh.lock() {
            for refresh in list.iter() {
                refresh();
            }
        }
        let mut text = String::new();
        if let Ok(registry) = self.registry.lock()
            && prometheus_client::encoding::text::encode(&mut text, &registry).is_err()
        {
            let _ = writeln!(text, "# EOF");
        }
        text
    }
}

fn buckets(metric: &Metric) -> Buckets {
    match metric.kind {
        Kind::Histogram(buckets) => Buckets(buckets),
        _ => Buckets(mutt_model::metrics::SECONDS),
    }
}

/// Sets a counter that mirrors a cumulative number kept elsewhere.
pub fn raise_to(counter: &Counter, value: u64) {
    let now = counter.get();
    if value > now {
        counter.inc_by(value - now);
    }
}
