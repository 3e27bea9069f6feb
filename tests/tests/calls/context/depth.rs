//! Many spans inside one another.

use super::*;

#[observe(fields(depth, name = "same"))]
fn recurses(depth: u32) {
    if depth > 0 {
        recurses(depth - 1);
    } else {
        tracing::info!("at the bottom");
    }
}

#[test]
fn the_innermost_fields_are_seen_however_deep() {
    // So many spans at once may leave no room for those of other tests.
    let Some(_inside) = process::alone(here!()) else { return };
    let recorder = recorder();
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(|| recurses(9_000))
        .expect("a thread")
        .join()
        .expect("no panic");
    let line =
        recorder.lines("recurses").into_iter().find(|line| line["msg"] == "at the bottom").expect("a line");
    assert_eq!(line["depth"], 0);
}

#[observe(fields(request_id = "r-9", url = %"x".repeat(500)))]
async fn nests_deep() {
    nest(150).await;
}

#[observe(fields(level_number = left))]
async fn nest(left: u32) {
    if left > 0 {
        Box::pin(nest(left - 1)).await;
    } else {
        tracing::info!("innermost");
    }
}

#[tokio::test]
async fn the_request_id_is_seen_however_deep() {
    let recorder = recorder();
    nests_deep().await;
    let line = recorder.lines("nest").into_iter().find(|line| line["msg"] == "innermost").expect("a line");
    assert_eq!((&line["request_id"], &line["level_number"]), (&"r-9".into(), &0.into()));
}

#[test]
fn guards_that_overlap_leave_nothing_behind() {
    // So many spans at once may leave no room for those of other tests.
    let Some(_inside) = process::alone(here!()) else { return };
    let recorder = recorder();
    let mut guard = tracing::info_span!("overlaps", number = 0).entered();
    for number in 1..20_000 {
        // The new one is entered before the old one is left.
        guard = tracing::info_span!("overlaps", number).entered();
    }
    tracing::info!(target: "overlapping", "the last");
    drop(guard);
    let line = recorder.all_lines().into_iter().find(|line| line["target"] == "overlapping").expect("a line");
    assert_eq!(line["number"], 19_999);
}
