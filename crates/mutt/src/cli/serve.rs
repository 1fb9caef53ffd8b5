//! `muttctl serve`: the configuration, then the services.

use std::path::PathBuf;

use super::args::ServeArgs;
use super::failure::Failure;
use crate::config::{self, EnvSource as _, Overrides, ProcessEnv};
use crate::serve::{ServeOptions, run as serve};
use crate::services::Service;

/// Where the demo keeps its data, apart from real data.
pub(super) const DEMO_DIR: &str = "./mutt-demo";

/// Runs until a signal.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let demo_dir = args.demo.then(|| PathBuf::from(DEMO_DIR));
    let overrides = Overrides { data_dir: args.data_dir.clone().or(demo_dir) };
    let file = args.config.clone();
    let load = move || config::read_all(file.as_deref(), &ProcessEnv, &overrides);
    let read = load().map_err(|errors| Failure::config(&errors))?;
    let missing = read.config.missing_doors(Service::chosen(&args.only));
    if !missing.is_empty() {
        return Err(Failure::config(&missing));
    }
    let options = ServeOptions {
        only: args.only.clone(),
        demo: args.demo,
        reload: Some(Box::new(load)),
        failpoint: ProcessEnv.var("MUTT_FAILPOINT"),
    };
    serve(read, options).map_err(|error| Failure::serve(&error.code, &error.message))
}
