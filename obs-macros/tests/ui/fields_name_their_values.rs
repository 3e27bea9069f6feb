use obs_runtime::observe;

#[observe(fields(bytes, count = bytes.len(), bytes.len()))]
fn upload(bytes: Vec<u8>) {
    let _ = bytes;
}

#[observe(err(kind = bool))]
fn can_not_fail() -> Option<u32> {
    None
}

fn main() {
    upload(Vec::new());
    let _ = can_not_fail();
}
