//! Remediation's stages: its rounds, and the watch over silent sources.

use std::sync::Arc;

use mutt_store::store::Store;

use super::super::listeners::Bound;
use super::Wiring;
use crate::services::Service;
use crate::services::remediation::quiet::{QuietMetrics, QuietWatch};
use crate::services::remediation::{Remediation, RemediationMetrics};
use crate::supervise::Phase;

impl Wiring<'_> {
    pub(super) fn remediation(&mut self, store: &Arc<dyn Store>, bound: &Bound) {
        let metrics = self.metrics();
        let remediation = Arc::new(Remediation {
            store: Arc::clone(store),
            policy: Arc::clone(&self.takers.policy),
            limits: self.takers.limits.subscribe(),
            clock: self.clock.clone(),
            board: Arc::clone(self.board),
            metrics: RemediationMetrics::new(&metrics),
        });
        let quiet = Arc::new(QuietWatch {
            store: Arc::clone(store),
            policy: Arc::clone(&self.takers.policy),
            limits: self.takers.limits.subscribe(),
            clock: self.clock.clone(),
            owner: self.owner.clone(),
            metrics: QuietMetrics::new(&metrics),
        });
        let stop = self.supervisor.stop().working;
        let token = stop.clone();
        self.supervisor.start(Phase::Working, "quiet watch", move || {
            Box::pin(Arc::clone(&quiet).run(token.clone()))
        });
        self.supervisor.start(Phase::Working, "remediation", move || {
            let (remediation, stop) = (Arc::clone(&remediation), stop.clone());
            Box::pin(async move { remediation.run(stop).await })
        });
        self.serve_health(Service::Remediation, &bound.remediation, &metrics);
    }
}
