//! `tsquery`.
//!
//! Its text does not say where parentheses make no difference: `a & (b & c)` is printed without them,
//! and comes back as `(a & b) & c`, which finds the same.
//!
//! Nothing here recurses, since a query nests as deep as its sender likes.

use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};

use super::{read_lexeme, write_lexeme};
use crate::{error::Fault, reader::Reader, scan::Scan};

/// The number of items, and each of them: an operator comes before its operands, the right one first.
/// Source: `tsquerysend` in `tsquery.c`.
pub(crate) fn encode_query(text: &str, out: &mut BytesMut) -> Result<(), Fault> {
    if text.is_empty() {
        out.put_i32(0);
        return Ok(());
    }
    let items = Parser::read(text)?;
    out.put_i32(i32::try_from(items.len()).map_err(|_| Fault::OutOfRange)?);
    for item in &items {
        item.put(out);
    }
    Ok(())
}

pub(crate) fn decode_query(reader: &mut Reader<'_>, out: &mut String) -> Result<(), Fault> {
    let count = reader.count()?;
    let mut items = Vec::new();
    for _ in 0..count {
        items.push(Item::decode(reader)?);
    }
    if items.is_empty() { Ok(()) } else { print(&Tree::grow(items)?, out) }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Item {
    Operand { lexeme: String, weights: u8, prefix: bool },
    Operator(Operator),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Not,
    And,
    Or,
    /// So many lexemes apart.
    Phrase(u16),
}

impl Item {
    fn put(&self, out: &mut BytesMut) {
        match self {
            Self::Operand { lexeme, weights, prefix } => {
                out.put_slice(&[OPERAND, *weights, u8::from(*prefix)]);
                out.put_slice(lexeme.as_bytes());
                out.put_u8(0);
            }
            Self::Operator(operator) => {
                out.put_slice(&[OPERATOR, operator.code()]);
                if let Operator::Phrase(distance) = operator {
                    out.put_u16(*distance);
                }
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        match reader.u8()? {
            OPERAND => {
                let weights = reader.u8()?;
                if weights > 0xf {
                    return Err(Fault::Binary("a weight is unknown"));
                }
                let prefix = reader.u8()? != 0;
                Ok(Self::Operand { lexeme: reader.terminated()?.to_owned(), weights, prefix })
            }
            OPERATOR => Ok(Self::Operator(match reader.u8()? {
                1 => Operator::Not,
                2 => Operator::And,
                3 => Operator::Or,
                4 => Operator::Phrase(reader.u16()?),
                _ => return Err(Fault::Binary("an operator is unknown")),
            })),
            _ => Err(Fault::Binary("an item is unknown")),
        }
    }
}

impl Operator {
    /// `OP_NOT` and its like in `tsearch/ts_type.h`.
    fn code(self) -> u8 {
        match self {
            Self::Not => 1,
            Self::And => 2,
            Self::Or => 3,
            Self::Phrase(_) => 4,
        }
    }

    /// `tsearch_op_priority` in `tsquery.c`.
    fn priority(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Phrase(_) => 3,
            Self::Not => 4,
        }
    }
}

/// Brings operators behind their operands, with a stack of those that still wait for one.
struct Parser {
    /// As in a reverse Polish notation. Read backwards it is the binary form's order.
    items: Vec<Item>,
    /// None is an open parenthesis.
    waiting: Vec<Option<Operator>>,
}

impl Parser {
    fn read(text: &str) -> Result<Vec<Item>, Fault> {
        let mut scan = Scan::new(text);
        let mut parser = Self { items: Vec::new(), waiting: Vec::new() };
        loop {
            parser.operand(&mut scan)?;
            while scan.eats(" )") {
                parser.close()?;
            }
            if scan.peek().is_none() {
                break;
            }
            parser.operator(read_operator(&mut scan)?);
        }
        while let Some(operator) = parser.waiting.pop() {
            parser.items.push(Item::Operator(operator.ok_or(Fault::Text)?));
        }
        parser.items.reverse();
        Ok(parser.items)
    }

    /// An operand, with the negations and parentheses that open before it.
    fn operand(&mut self, scan: &mut Scan<'_>) -> Result<(), Fault> {
        loop {
            if scan.eats("!") {
                self.waiting.push(Some(Operator::Not));
            } else if scan.eats("( ") {
                self.waiting.push(None);
            } else {
                self.items.push(read_operand(scan)?);
                return Ok(());
            }
        }
    }

    /// What binds as strongly and stands before it comes first.
    fn operator(&mut self, operator: Operator) {
        while let Some(Some(before)) = self.waiting.last().copied() {
            if before.priority() < operator.priority() {
                break;
            }
            self.waiting.pop();
            self.items.push(Item::Operator(before));
        }
        self.waiting.push(Some(operator));
    }

    fn close(&mut self) -> Result<(), Fault> {
        while let Some(operator) = self.waiting.pop().ok_or(Fault::Text)? {
            self.items.push(Item::Operator(operator));
        }
        Ok(())
    }
}

fn read_operand(scan: &mut Scan<'_>) -> Result<Item, Fault> {
    let lexeme = read_lexeme(scan)?.into_owned();
    let (mut weights, mut prefix) = (0, false);
    if scan.eats(":") {
        prefix = scan.eats("*");
        for (weight, letter) in WEIGHTS {
            if scan.eats_byte(letter) {
                weights |= weight;
            }
        }
    }
    Ok(Item::Operand { lexeme, weights, prefix })
}

fn read_operator(scan: &mut Scan<'_>) -> Result<Operator, Fault> {
    scan.expect(" ")?;
    let operator = if scan.eats("&") {
        Operator::And
    } else if scan.eats("|") {
        Operator::Or
    } else if scan.eats("<->") {
        Operator::Phrase(1)
    } else {
        scan.expect("<")?;
        let distance = scan.number()?;
        scan.expect(">")?;
        Operator::Phrase(distance)
    };
    scan.expect(" ")?;
    Ok(operator)
}

/// A query as a tree: children are indices.
struct Tree {
    nodes: Vec<Node>,
    root: usize,
}

enum Node {
    Operand { lexeme: String, weights: u8, prefix: bool },
    Not(usize),
    Pair { operator: Operator, left: usize, right: usize },
}

impl Tree {
    /// Backwards, operands come before their operators.
    fn grow(items: Vec<Item>) -> Result<Self, Fault> {
        let torn = Fault::Binary("an operator has no operand");
        let mut nodes = Vec::with_capacity(items.len());
        let mut stack: Vec<usize> = Vec::new();
        for item in items.into_iter().rev() {
            let node = match item {
                Item::Operand { lexeme, weights, prefix } => {
                    Node::Operand { lexeme, weights, prefix }
                }
                Item::Operator(Operator::Not) => Node::Not(stack.pop().ok_or(torn)?),
                Item::Operator(operator) => {
                    let right = stack.pop().ok_or(torn)?;
                    let left = stack.pop().ok_or(torn)?;
                    Node::Pair { operator, left, right }
                }
            };
            stack.push(nodes.len());
            nodes.push(node);
        }
        let root = stack.pop().filter(|_| stack.is_empty()).ok_or(torn)?;
        Ok(Self { nodes, root })
    }
}

/// What is still to be printed.
enum Step {
    /// A node, the priority around it, and whether it is to the right of a phrase operator.
    Node {
        index: usize,
        around: u8,
        right_of_phrase: bool,
    },
    Operator(Operator),
    Close,
}

/// Source: `infix` in `tsquery.c`.
fn print(tree: &Tree, out: &mut String) -> Result<(), Fault> {
    let mut steps = vec![Step::Node { index: tree.root, around: 0, right_of_phrase: false }];
    while let Some(step) = steps.pop() {
        match step {
            Step::Close => out.push_str(" )"),
            Step::Operator(operator) => print_operator(operator, out),
            Step::Node { index, around, right_of_phrase } => {
                let node = tree.nodes.get(index).ok_or(Fault::Binary("a node is missing"))?;
                print_node(node, around, right_of_phrase, &mut steps, out);
            }
        }
    }
    Ok(())
}

/// Prints what comes first of a node and leaves the rest as steps, the last of them first.
fn print_node(
    node: &Node,
    around: u8,
    right_of_phrase: bool,
    steps: &mut Vec<Step>,
    out: &mut String,
) {
    match node {
        Node::Operand { lexeme, weights, prefix } => print_operand(lexeme, *weights, *prefix, out),
        Node::Not(index) => {
            let around = Operator::Not.priority();
            out.push('!');
            steps.push(Step::Node { index: *index, around, right_of_phrase: false });
        }
        Node::Pair { operator, left, right } => {
            let phrase = matches!(operator, Operator::Phrase(_));
            let priority = operator.priority();
            if priority < around || phrase && right_of_phrase {
                out.push_str("( ");
                steps.push(Step::Close);
            }
            steps.push(Step::Node { index: *right, around: priority, right_of_phrase: phrase });
            steps.push(Step::Operator(*operator));
            steps.push(Step::Node { index: *left, around: priority, right_of_phrase: false });
        }
    }
}

fn print_operator(operator: Operator, out: &mut String) {
    match operator {
        Operator::Not => out.push('!'),
        Operator::And => out.push_str(" & "),
        Operator::Or => out.push_str(" | "),
        Operator::Phrase(1) => out.push_str(" <-> "),
        Operator::Phrase(distance) => _ = write!(out, " <{distance}> "),
    }
}

fn print_operand(lexeme: &str, weights: u8, prefix: bool, out: &mut String) {
    write_lexeme(lexeme, out);
    if weights == 0 && !prefix {
        return;
    }
    out.push(':');
    if prefix {
        out.push('*');
    }
    for (weight, letter) in WEIGHTS {
        if weights & weight != 0 {
            out.push(char::from(letter));
        }
    }
}

/// `QI_VAL` and `QI_OPR` in `tsearch/ts_type.h`.
const OPERAND: u8 = 1;
const OPERATOR: u8 = 2;
/// The bits of the weights, in the order of printing.
const WEIGHTS: [(u8, u8); 4] = [(8, b'A'), (4, b'B'), (2, b'C'), (1, b'D')];
