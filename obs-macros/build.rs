//! With `OBS_OFF` set, annotations compile to the plain functions. As a build script's variable, a change of it
//! has everything compiled anew.

fn main() {
    println!("cargo::rerun-if-env-changed=OBS_OFF");
    println!("cargo::rustc-check-cfg=cfg(obs_off)");
    if std::env::var_os("OBS_OFF").is_some_and(|off| !off.is_empty() && off != "0") {
        println!("cargo::rustc-cfg=obs_off");
    }
}
