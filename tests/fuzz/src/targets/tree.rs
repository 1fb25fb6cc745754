//! JSON read the plain way: into a tree, by recursion, with the keys in their order and the scalars as they are written.

#[derive(Debug)]
pub(crate) enum Tree {
    Object(Vec<(String, Tree)>),
    Array(Vec<Tree>),
    Text(String),
    /// A number or a truth value.
    Word(String),
    Null,
}

const MAX_DEPTH: usize = 100;

/// The value that a text begins with; `None` where it is no JSON, or deeper than is of interest here.
pub(crate) fn parse(text: &[u8]) -> Option<Tree> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    Parser { text, at: 0 }.value(0)
}

/// The same, where nothing but white space follows.
pub(crate) fn parse_whole(text: &[u8]) -> Option<Tree> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut parser = Parser { text, at: 0 };
    let tree = parser.value(0)?;
    parser.next().is_none().then_some(tree)
}

impl Tree {
    /// How often an object has a key.
    pub(crate) fn count(&self, key: &str) -> usize {
        match self {
            Self::Object(pairs) => pairs.iter().filter(|(it, _)| it == key).count(),
            _ => 0,
        }
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    /// The next byte that is no white space, unread.
    fn next(&mut self) -> Option<u8> {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then(|| self.at += 1)
    }

    fn value(&mut self, depth: usize) -> Option<Tree> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.next()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Tree::Text),
            b'-' | b'0'..=b'9' => self.number().map(Tree::Word),
            _ => {
                for (word, tree) in [
                    ("true", Tree::Word("true".to_owned())),
                    ("false", Tree::Word("false".to_owned())),
                    ("null", Tree::Null),
                ] {
                    if self.text[self.at..].starts_with(word.as_bytes()) {
                        self.at += word.len();
                        return Some(tree);
                    }
                }
                None
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Tree> {
        let mut entries = Vec::new();
        self.eat(b'{')?;
        if self.next()? == b'}' {
            self.at += 1;
            return Some(Tree::Object(entries));
        }
        loop {
            self.next()?;
            let key = self.string()?;
            self.eat(b':')?;
            entries.push((key, self.value(depth + 1)?));
            if self.next()? == b'}' {
                self.at += 1;
                return Some(Tree::Object(entries));
            }
            self.eat(b',')?;
        }
    }

    fn array(&mut self, depth: usize) -> Option<Tree> {
        let mut items = Vec::new();
        self.eat(b'[')?;
        if self.next()? == b']' {
            self.at += 1;
            return Some(Tree::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.next()? == b']' {
                self.at += 1;
                return Some(Tree::Array(items));
            }
            self.eat(b',')?;
        }
    }

    fn number(&mut self) -> Option<String> {
        let start = self.at;
        let digits = |it: &mut Self| {
            let from = it.at;
            while it.text.get(it.at).is_some_and(u8::is_ascii_digit) {
                it.at += 1;
            }
            (it.at > from).then_some(())
        };
        if self.text.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            digits(self)?;
        }
        if self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            return None;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            digits(self)?;
        }
        if matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.text.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            digits(self)?;
        }
        String::from_utf8(self.text[start..self.at].to_vec()).ok()
    }

    fn string(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        if self.text.get(self.at) != Some(&b'"') {
            return None;
        }
        self.at += 1;
        loop {
            let c = *self.text.get(self.at)?;
            self.at += 1;
            match c {
                b'"' => return String::from_utf8(bytes).ok(),
                0..=0x1f => return None,
                b'\\' => bytes.extend(self.escape()?.encode_utf8(&mut [0; 4]).bytes()),
                _ => bytes.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let c = *self.text.get(self.at)?;
        self.at += 1;
        Some(match c {
            b'"' | b'\\' | b'/' => char::from(c),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.four()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                // Half of a character: the other half must follow.
                if self.text.get(self.at..self.at + 2)? != b"\\u" {
                    return None;
                }
                self.at += 2;
                let second = self.four()?.checked_sub(0xdc00).filter(|it| *it < 0x400)?;
                return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second);
            }
            _ => return None,
        })
    }

    fn four(&mut self) -> Option<u32> {
        let mut code = 0;
        for _ in 0..4 {
            code = code * 16 + char::from(*self.text.get(self.at)?).to_digit(16)?;
            self.at += 1;
        }
        Some(code)
    }
}

/// The text at a JSON pointer (RFC 6901; `*` is the first element): the first place in the text that it leads to.
pub(crate) fn at_pointer(tree: &Tree, pointer: &str) -> Option<String> {
    match lead(tree, pointer)? {
        Tree::Text(text) | Tree::Word(text) => Some(text.clone()),
        Tree::Object(_) | Tree::Array(_) | Tree::Null => None,
    }
}

fn lead<'t>(tree: &'t Tree, pointer: &str) -> Option<&'t Tree> {
    if pointer.is_empty() {
        return Some(tree);
    }
    let steps = pointer.strip_prefix('/')?;
    let end = steps.find('/').unwrap_or(steps.len());
    let (step, rest) = (unescaped(&steps[..end]), &steps[end..]);
    match tree {
        Tree::Object(entries) => entries
            .iter()
            .filter(|(key, _)| *key == step)
            .find_map(|(_, value)| lead(value, rest)),
        Tree::Array(items) => {
            let is_index =
                step == "0" || (!step.starts_with('0') && step.bytes().all(|it| it.is_ascii_digit()));
            let index = match step.as_str() {
                "*" => 0,
                _ if is_index => step.parse().ok()?,
                _ => return None,
            };
            lead(items.get::<usize>(index)?, rest)
        }
        _ => None,
    }
}

fn unescaped(step: &str) -> String {
    let mut res = String::new();
    let mut chars = step.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('~', Some('0')) => res.extend(chars.next().map(|_| '~')),
            ('~', Some('1')) => res.extend(chars.next().map(|_| '/')),
            _ => res.push(c),
        }
    }
    res
}
