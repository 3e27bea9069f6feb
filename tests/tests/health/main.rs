//! Health checks, which belong to the whole program: those that are declared here run in each of its processes.

mod service;
mod stopped;
mod without_a_runtime;
