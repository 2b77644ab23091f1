//! A statement, read word by word.

use std::ops::Range;

use crate::{
    literal,
    statement::Statement,
    token::{Token, TokenKind},
};

/// A place among the tokens of a statement, comments left out.
#[derive(Debug, Clone)]
pub(crate) struct Words<'a> {
    statement: &'a Statement<'a>,
    tokens: Vec<&'a Token>,
    at: usize,
}

impl<'a> Words<'a> {
    pub(crate) fn of(statement: &'a Statement<'a>) -> Self {
        Self { statement, tokens: statement.words().collect(), at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<&'a Token> {
        self.look(0)
    }

    /// The token that is `ahead` behind the next one.
    pub(crate) fn look(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(self.at + ahead).copied()
    }

    pub(crate) fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    /// Where the next token begins; at the end, where the text ends.
    pub(crate) fn place(&self) -> usize {
        self.peek().map_or_else(|| self.statement.text().len(), |token| token.span.start)
    }

    /// Where the token before the next one ends.
    pub(crate) fn done(&self) -> usize {
        let before = self.at.checked_sub(1).and_then(|before| self.tokens.get(before));
        before.map_or(0, |token| token.span.end)
    }

    /// From the next token to the end.
    pub(crate) fn rest(&self) -> Option<Range<usize>> {
        let last = self.tokens.last()?.span.end;
        (self.place() < last).then(|| self.place()..last)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.peek().is_none()
    }

    /// Fails if something is left.
    pub(crate) fn end(&self) -> Option<()> {
        self.is_at_end().then_some(())
    }

    pub(crate) fn is(&self, word: &str) -> bool {
        self.is_ahead(0, word)
    }

    pub(crate) fn is_ahead(&self, ahead: usize, word: &str) -> bool {
        self.look(ahead).is_some_and(|token| token.is(word, self.statement.text()))
    }

    pub(crate) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(crate) fn is_symbol(&self, symbol: char) -> bool {
        self.peek().is_some_and(|token| token.kind == TokenKind::Symbol(symbol))
    }

    /// Takes these words, separated by blanks, if all of them come next.
    pub(crate) fn take(&mut self, words: &str) -> bool {
        let mut count = 0;
        for word in words.split(' ') {
            if !self.is_ahead(count, word) {
                return false;
            }
            count += 1;
        }
        self.at += count;
        true
    }

    /// As [`Self::take`], or nothing.
    pub(crate) fn expect(&mut self, words: &str) -> Option<()> {
        self.take(words).then_some(())
    }

    pub(crate) fn take_symbol(&mut self, symbol: char) -> bool {
        let found = self.is_symbol(symbol);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn take_operator(&mut self, operator: &str) -> bool {
        let text = self.statement.text();
        let found = self
            .peek()
            .is_some_and(|token| token.kind == TokenKind::Operator && token.text(text) == operator);
        self.at += usize::from(found);
        found
    }

    /// Takes an identifier.
    pub(crate) fn name(&mut self) -> Option<String> {
        let token = self.peek()?;
        let name = literal::name(token.kind, token.text(self.statement.text()))?;
        self.at += 1;
        Some(name)
    }

    /// Takes a string.
    pub(crate) fn string(&mut self) -> Option<String> {
        let token = self.peek()?;
        let TokenKind::String(quoting) = token.kind else { return None };
        let text = token.text(self.statement.text());
        let value = literal::string(quoting, text, self.statement.backslashes())?;
        self.at += 1;
        Some(value)
    }

    /// Takes a number with its sign, as it is written.
    pub(crate) fn number(&mut self) -> Option<String> {
        let before = self.at;
        let negative = self.take_operator("-");
        if !negative {
            self.take_operator("+");
        }
        match self.next() {
            Some(token) if token.kind == TokenKind::Number => {
                let sign = if negative { "-" } else { "" };
                Some(format!("{sign}{}", token.text(self.statement.text())))
            }
            _ => {
                self.at = before;
                None
            }
        }
    }

    /// Takes what is in parentheses, and says where it is: without them, and with what lies between.
    pub(crate) fn parenthesised(&mut self) -> Option<Range<usize>> {
        let mut ahead = self.clone();
        let open = ahead.next().filter(|token| token.kind == TokenKind::Symbol('('))?;
        let mut depth = 1_usize;
        while let Some(token) = ahead.next() {
            match token.kind {
                TokenKind::Symbol('(') => depth += 1,
                TokenKind::Symbol(')') => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at = ahead.at;
                return Some(open.span.end..token.span.start);
            }
        }
        None
    }

    /// Takes a list in parentheses, and says where its elements are.
    pub(crate) fn list(&mut self) -> Option<Vec<Range<usize>>> {
        let inside = self.parenthesised()?;
        let (mut elements, mut depth, mut current) = (Vec::new(), 0_usize, None::<Range<usize>>);
        let own =
            |token: &&&Token| inside.start <= token.span.start && token.span.end <= inside.end;
        for token in self.tokens.iter().filter(own) {
            match token.kind {
                TokenKind::Symbol('(' | '[') => depth += 1,
                TokenKind::Symbol(')' | ']') => depth = depth.saturating_sub(1),
                TokenKind::Symbol(',') if depth == 0 => {
                    elements.push(current.take()?);
                    continue;
                }
                _ => {}
            }
            let start = current.map_or(token.span.start, |span| span.start);
            current = Some(start..token.span.end);
        }
        if current.is_some() || !elements.is_empty() {
            elements.push(current?);
        }
        Some(elements)
    }

    /// What is there to see, from the first token on.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a Token> + '_ {
        self.tokens.iter().copied()
    }

    pub(crate) fn sql(&self) -> &'a str {
        self.statement.text()
    }
}
