//! The code of a stage that fails: no stage of the program fails on demand, so one of the test does.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mutt::supervise::{Phase, Supervisor};
use mutt_model::Clock;
use tracing_subscriber::fmt::MakeWriter;

use crate::provoked::provoked;

/// What is logged on this thread.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(super) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let logs = tracing_subscriber::fmt().json().flatten_event(true).with_target(false);
        tracing::subscriber::set_default(logs.with_writer(self.clone()).finish())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_stage_that_panics_is_told_and_ends_the_program_when_it_does_so_too_often() {
    let lines = Lines::default();
    let _logs = lines.listen();
    let mut supervisor = Supervisor::new(Clock::System);
    supervisor.start(Phase::Working, "alerter shard 0", || {
        Box::pin(async { panic!("a defect of a test") })
    });
    supervisor.failed().cancelled().await;
    assert!(supervisor.shut_down(Duration::from_secs(1)).await);
    provoked("MUTT-P001", lines.text().lines().next().unwrap());
}
