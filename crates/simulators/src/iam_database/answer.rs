//! Refusals that have nothing to do with the token.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// What a login may get whatever its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 28000, as a Multi-AZ cluster may say while it restarts.
    AuthenticationFailed,
    /// 57P03: the server is not up yet.
    StartingUp,
}

#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<VecDeque<Answer>>);

impl Answers {
    pub(super) fn plan(&self, answer: Answer, times: usize) {
        let mut planned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        planned.extend(std::iter::repeat_n(answer, times));
    }

    pub(super) fn next(&self) -> Option<Answer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
