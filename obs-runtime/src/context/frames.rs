//! The frames of one thread. Their places are used again, so that a frame is written where it stays: nearly every
//! call makes one, and moving it would cost more than making it.

use super::frame::Frame;
use std::ops::{Deref, DerefMut};

/// Frames, innermost last.
pub(super) struct Frames {
    places: Vec<Frame>,
    /// How many of the places are taken. Those behind have nothing that would have to be dropped.
    depth: usize,
}

/// Room for so many more is made at once.
const MORE: usize = 16;

impl Frames {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new(), depth: 0 }
    }

    /// Adds a frame, which is written by a function that is shown the one below it. What is `rare` is not there yet.
    #[inline]
    pub(super) fn push_with(&mut self, write: impl FnOnce(Option<&Frame>, &mut Frame)) {
        if self.depth == self.places.len() {
            self.grow();
        }
        let (taken, free) = self.places.split_at_mut(self.depth);
        if let Some(place) = free.first_mut() {
            write(taken.last(), place);
            self.depth += 1;
        }
    }

    #[cold]
    fn grow(&mut self) {
        self.places.resize_with(self.depth + MORE, || Frame::BLANK);
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

    /// Takes a frame out, wherever it is.
    pub(super) fn remove(&mut self, place: usize) -> Frame {
        self[place..].rotate_left(1);
        self.depth -= 1;
        std::mem::replace(&mut self.places[self.depth], Frame::BLANK)
    }
}

impl Deref for Frames {
    type Target = [Frame];

    #[inline]
    fn deref(&self) -> &[Frame] {
        &self.places[..self.depth]
    }
}

impl DerefMut for Frames {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Frame] {
        &mut self.places[..self.depth]
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
            frames.push_with(|below, frame| {
                assert_eq!(below.map(|below| below.key.0), u64::checked_sub(key, 1));
                frame.key = FrameKey(key);
                frame.rare();
            });
        }
        assert_eq!(frames.remove(7).key, FrameKey(7));
        frames.drop_last();
        let keys: Vec<u64> = frames.iter().map(|frame| frame.key.0).collect();
        assert_eq!(keys, (0..39).filter(|key| *key != 7).collect::<Vec<_>>());
        frames.push_with(|_, frame| assert!(frame.rare.is_none()));
        assert_eq!(frames.len(), 39);
    }
}
