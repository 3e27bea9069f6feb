use obs_runtime::{Label, observe};

#[derive(Debug, Label)]
enum Kind {
    Only,
}

struct Reply;

#[observe(err(kind = Kind))]
fn asks() -> Reply {
    let _ = Kind::Only;
    Reply
}

#[observe(err(none))]
fn no_option() -> Result<(), Kind> {
    Ok(())
}

fn main() {
    asks();
    let _ = no_option();
}
