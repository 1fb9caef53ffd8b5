//! The Alerter's stages: one for each shard, what its share is, which rules are in force.

use std::sync::Arc;

use mutt_rules::CompileOptions;
use mutt_store::queue::EventQueue;
use mutt_store::store::Store;

use super::super::listeners::Bound;
use super::Wiring;
use crate::services::Service;
use crate::services::alerter::rules::LiveRules;
use crate::services::alerter::share::Share;
use crate::services::alerter::suspects::Suspects;
use crate::services::alerter::{Alerter, AlerterMetrics, watch_queue};
use crate::supervise::Phase;
use crate::telemetry::metrics::ServiceMetrics;

impl Wiring<'_> {
    pub(super) fn alerter(
        &mut self,
        queue: &Arc<dyn EventQueue>,
        store: &Arc<dyn Store>,
        bound: &Bound,
    ) {
        let metrics = self.metrics();
        let options = CompileOptions { default_team: self.config.alerter.default_team.clone() };
        let board = Arc::clone(self.board);
        let rules = LiveRules::new(options, self.clock.clone(), board, &metrics);
        let share = Arc::new(Share::new(queue.shards()));
        let alerter = Arc::new(Alerter {
            queue: Arc::clone(queue),
            store: Arc::clone(store),
            rules: Arc::new(rules),
            policy: Arc::clone(&self.takers.policy),
            clock: self.clock.clone(),
            share: Arc::clone(&share),
            owner: self.owner.clone(),
            suspects: Suspects::new(Some(self.config.data_dir.clone())),
            board: Arc::clone(self.board),
            metrics: AlerterMetrics::new(&metrics),
        });
        self.takers.rules = Some(Arc::clone(&alerter.rules));
        backlog_gauges(&alerter, &metrics);
        let stop = self.supervisor.stop().working;
        for shard in 0..queue.shards() {
            let (alerter, stop) = (Arc::clone(&alerter), stop.clone());
            self.supervisor.start(Phase::Working, format!("alerter shard {shard}"), move || {
                let (alerter, stop) = (Arc::clone(&alerter), stop.clone());
                Box::pin(async move { alerter.run(shard, stop).await })
            });
        }
        let (watched, token) = (Arc::clone(&alerter), stop.clone());
        self.supervisor.start(Phase::Working, "alerter queue watch", move || {
            Box::pin(watch_queue(Arc::clone(&watched), token.clone()))
        });
        let (shared, clock, token) = (Arc::clone(store), self.clock.clone(), stop.clone());
        self.supervisor.start(Phase::Working, "alerter share", move || {
            let (share, store) = (Arc::clone(&share), Arc::clone(&shared));
            Box::pin(share.follow(store, clock.clone(), token.clone()))
        });
        let (rules, store) = (Arc::clone(&alerter.rules), Arc::clone(store));
        self.supervisor.start(Phase::Working, "alerter rules", move || {
            let (rules, store, stop) = (Arc::clone(&rules), Arc::clone(&store), stop.clone());
            Box::pin(async move { rules.follow(store, stop).await })
        });
        self.board.set(Service::Alerter, true, "running");
        self.serve_health(Service::Alerter, &bound.alerter, &metrics);
    }
}

fn backlog_gauges(alerter: &Arc<Alerter>, metrics: &Arc<ServiceMetrics>) {
    let backlog = metrics.gauge(&mutt_model::metrics::ALERTER_BACKLOG);
    let (queue, clock) = (Arc::clone(&alerter.queue), alerter.clock.clone());
    metrics.on_scrape(move || {
        let oldest = queue.stats().oldest_received_at;
        backlog.set(oldest.map_or(0.0, |at| clock.wall().since(at).as_secs_f64()));
    });
}
