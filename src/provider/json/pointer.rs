//! Where a JSON pointer (RFC 6901) leads, a step at a time. `*` in it stands for elements of an array: the first, or each in turn.

/// A value that is looked for, and the way that is left to it.
#[derive(Clone, Copy)]
pub(super) struct Want<'p> {
    pub(super) slot: usize,
    /// What of the pointer is still to go.
    pub(super) rest: &'p str,
    pub(super) is_escaped: bool,
    /// Whether a value that it leads into was there.
    pub(super) is_met: bool,
}

impl<'p> Want<'p> {
    /// What is to go inside the value at this key, if the pointer leads there.
    pub(super) fn at_key(&self, key: &str) -> Option<&'p str> {
        if self.is_escaped {
            let (token, rest) = self.step()?;
            return (token.replace("~1", "/").replace("~0", "~") == key).then_some(rest);
        }
        let rest = self.rest.strip_prefix('/')?.strip_prefix(key)?;
        let is_same = (rest.is_empty() || rest.starts_with('/')) && !key.contains('/');
        is_same.then_some(rest)
    }

    pub(super) fn at_index(&self, index: usize) -> Option<&'p str> {
        let (token, rest) = self.step()?;
        // An index has one spelling (RFC 6901): no sign, no leading zero.
        let is_number = token == "0" || !token.starts_with(['0', '+']);
        let wanted = match token {
            "*" => 0,
            _ if is_number => token.parse().ok()?,
            _ => return None,
        };
        (index == wanted).then_some(rest)
    }

    fn step(&self) -> Option<(&'p str, &'p str)> {
        let path = self.rest.strip_prefix('/')?;
        Some(match path.find('/') {
            Some(end) => path.split_at(end),
            None => (path, ""),
        })
    }
}

/// What stands before the first `*` of a pointer, and what behind it.
pub(super) fn split_at_star(pointer: &str) -> Option<(&str, &str)> {
    let mut stars = pointer.match_indices("/*");
    stars.find_map(|(at, star)| {
        let rest = &pointer[at + star.len()..];
        (rest.is_empty() || rest.starts_with('/')).then_some((&pointer[..at], rest))
    })
}
