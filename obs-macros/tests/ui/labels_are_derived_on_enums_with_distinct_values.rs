use obs_runtime::Label;

#[derive(Label)]
struct UserId(u64);

#[derive(Label)]
enum Nothing {}

#[derive(Label)]
enum Same {
    One,
    #[label("one")]
    Other,
}

#[derive(Label)]
#[label(rename_all = "Snake-Case", renam = "x")]
enum Renamed {
    #[label("")]
    A,
    #[label(3)]
    B,
}

fn main() {
    let _ = UserId(1);
}
