//! With `OBS_OFF` set, annotations compile to the plain functions. As a build script's variable, a change of it
//! has everything compiled anew.

fn main() {
    println!("cargo::rerun-if-env-changed=OBS_OFF");
    println!("cargo::rustc-check-cfg=cfg(obs_off)");
    match std::env::var_os("OBS_OFF") {
        None => {}
        Some(off) if off == "0" => {}
        Some(off) if off.is_empty() => {
            println!("cargo::error=OBS_OFF is empty; it takes 1, or 0, which is the same as not setting it");
        }
        Some(_) => println!("cargo::rustc-cfg=obs_off"),
    }
}
