use super::error::OperationError;
use super::members::{MemberError, Members};
use super::pattern::MARKER;

/// The members `Limit` and `Marker` of an operation that lists: how much of a list, from where on.
pub(super) struct Page {
    limit: usize,
    /// What the page before ended with.
    marker: Option<String>,
}

impl Page {
    /// Reads both; `default_limit` is the operation's own.
    pub(super) fn parse(members: &Members<'_>, default_limit: i64) -> Result<Self, MemberError> {
        let limit = members.integer("Limit", 1..=1000)?.unwrap_or(default_limit);
        Ok(Self {
            limit: usize::try_from(limit).unwrap_or(1),
            marker: members.text_of("Marker", 1..=1024, &MARKER)?.map(str::to_owned),
        })
    }

    /// Where the page starts, as `read` reads it from the marker.
    pub(super) fn start<T>(&self, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, OperationError> {
        match &self.marker {
            Some(marker) => read(marker).map(Some).ok_or(OperationError::InvalidMarker),
            None => Ok(None),
        }
    }

    /// How many items to read: one more than are shown, which tells whether there is another page.
    pub(super) fn to_read(&self) -> u32 {
        u32::try_from(self.limit + 1).unwrap_or(u32::MAX)
    }

    /// The page's items and, where more follow, the marker of the next page: what `marker` makes of the last item.
    pub(super) fn cut<T>(
        &self,
        mut items: Vec<T>,
        marker: impl FnOnce(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        let is_truncated = items.len() > self.limit;
        items.truncate(self.limit);
        let next = items.last().filter(|_| is_truncated).map(marker);
        (items, next)
    }
}
