//! The frames of one thread. Their places are used again, so that a frame is written where it stays: nearly every
//! call makes one, and moving it would cost more than making it.

use super::frame::Frame;
use std::ops::{Deref, DerefMut};

/// Frames, innermost last.
pub(super) struct Frames {
    /// The first is nobody's: it is what the outermost frame is below. Behind it those that are taken, and behind those
    /// others, which have nothing that would have to be dropped.
    places: Vec<Frame>,
    /// How many are taken.
    depth: u32,
}

/// Room for so many more is made at once.
const MORE: usize = 16;

impl Frames {
    pub(super) fn new() -> Self {
        let mut frames = Self { places: Vec::new(), depth: 0 };
        frames.grow();
        frames
    }

    /// Adds a frame, to be written now; what is `rare` is not there yet. Beside it the one below, or one that is blank.
    #[inline]
    pub(super) fn push(&mut self) -> (&Frame, &mut Frame) {
        let depth = self.depth as usize;
        if depth + 2 > self.places.len() {
            self.grow();
        }
        self.depth += 1;
        let [below, frame] = &mut self.places[depth..depth + 2] else { unreachable!("two") };
        (below, frame)
    }

    /// The innermost frame, or one that is blank, and the place above it, if there is room. It is taken by
    /// [`take_next`](Self::take_next).
    #[inline]
    pub(super) fn next(&mut self) -> Option<(&Frame, &mut Frame)> {
        let depth = self.depth as usize;
        let [below, next] = self.places.get_mut(depth..depth + 2)? else { return None };
        Some((below, next))
    }

    #[inline]
    pub(super) fn take_next(&mut self) {
        self.depth += 1;
    }

    #[cold]
    fn grow(&mut self) {
        self.places.resize_with(self.depth as usize + MORE, || Frame::BLANK);
    }

    /// The innermost frame.
    #[inline]
    pub(super) fn innermost(&self) -> Option<&Frame> {
        if self.depth > 0 { self.places.get(self.depth as usize) } else { None }
    }

    /// Leaves the innermost frame.
    #[inline]
    pub(super) fn drop_last(&mut self) {
        if let Some(last) = self.last_mut() {
            if last.rare.is_some() {
                last.rare = None;
            }
            self.depth -= 1;
        }
    }

    /// Leaves the innermost frame, of which nothing has to be dropped.
    #[inline]
    pub(super) fn drop_simple(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// Takes a frame out, wherever it is.
    pub(super) fn remove(&mut self, place: usize) -> Frame {
        self[place..].rotate_left(1);
        self.depth -= 1;
        std::mem::replace(&mut self.places[self.depth as usize + 1], Frame::BLANK)
    }
}

impl Deref for Frames {
    type Target = [Frame];

    #[inline]
    fn deref(&self) -> &[Frame] {
        &self.places[1..][..self.depth as usize]
    }
}

impl DerefMut for Frames {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Frame] {
        &mut self.places[1..][..self.depth as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::frame::FrameKey;

    #[test]
    fn places_are_used_again_and_frames_taken_from_anywhere() {
        let mut frames = Frames::new();
        for key in 0..40 {
            let (below, frame) = frames.push();
            assert_eq!(below.key.0, key);
            frame.key = FrameKey(key + 1);
            frame.rare();
        }
        assert_eq!(frames.remove(6).key, FrameKey(7));
        frames.drop_last();
        let keys: Vec<u64> = frames.iter().map(|frame| frame.key.0).collect();
        assert_eq!(keys, (1..40).filter(|key| *key != 7).collect::<Vec<_>>());
        assert!(frames.push().1.rare.is_none());
        assert_eq!(frames.len(), 39);
    }
}
