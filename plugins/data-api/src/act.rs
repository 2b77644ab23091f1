//! What a statement is to a session over the Data API: what it does here, or how it has to be run. Pure.

use pgferry_sql::class::{
    CopyEnd, Cursor, Discard, Effect, Mode, Notification, Prepared, Query, Scope, Setting,
    Transaction,
};
use pgferry_sql::{Class, Statement, TokenKind};

use crate::fault::Fault;
use crate::patience::Access;
use crate::shape::{ColumnShape, Shape};
use crate::wrap::Wrap;

/// What becomes of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// `BEGIN`, with its modes as SQL.
    Begin {
        tag: &'static str,
        modes: String,
    },
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    RollbackTo,
    /// `SAVEPOINT`, `RELEASE`: only in a transaction.
    Savepoint {
        tag: &'static str,
    },
    /// `SET TRANSACTION`, with its modes as SQL.
    Modes(String),
    /// `SET SESSION CHARACTERISTICS`: what it sets.
    Defaults(Vec<(&'static str, String)>),
    Set(Set),
    /// `RESET`; `None` for all.
    Reset(Option<String>),
    Show(String),
    /// `DEALLOCATE`; `None` for all.
    Deallocate(Option<String>),
    DiscardAll,
    /// `UNLISTEN`: nobody has listened.
    Unlisten,
    /// What cannot be done this way.
    Refused(Box<Fault>),
    Run(Run),
}

/// `SET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    pub(crate) name: String,
    /// None for DEFAULT.
    pub(crate) value: Option<String>,
    /// For this transaction alone.
    pub(crate) local: bool,
}

/// A statement that the database runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) class: Class,
    pub(crate) rows: Rows,
    pub(crate) access: Access,
    /// It may change tables or types.
    pub(crate) defines: bool,
}

/// Whether a statement returns rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    None,
    Some(Wrap),
}

impl Act {
    /// Understands a statement by its words; PostgreSQL itself says what is wrong with it.
    pub(crate) fn of(statement: &Statement<'_>) -> Self {
        let class = statement.classify();
        if let Some(fault) = refused(statement, &class) {
            return Self::Refused(Box::new(fault));
        }
        match &class {
            Class::Transaction(transaction) => Self::transaction(transaction, &class),
            Class::Setting(Setting::Set { scope, name, values }) => Self::Set(Set {
                name: name.clone(),
                value: values.as_ref().map(|values| setting_value(name, values)),
                local: *scope == Scope::Local,
            }),
            Class::Setting(Setting::Reset(name)) => Self::Reset(name.clone()),
            Class::Setting(Setting::Show(Some(name))) => Self::Show(name.clone()),
            Class::Prepared(Prepared::Deallocate(name)) => Self::Deallocate(name.clone()),
            Class::Discard(Discard::All) => Self::DiscardAll,
            Class::Notification(Notification::Unlisten(_)) => Self::Unlisten,
            _ => Self::Run(Run::of(statement, class)),
        }
    }

    fn transaction(transaction: &Transaction, class: &Class) -> Self {
        match transaction {
            Transaction::Begin(modes) => Self::Begin { tag: "BEGIN", modes: sql(modes) },
            Transaction::Start(modes) => {
                Self::Begin { tag: "START TRANSACTION", modes: sql(modes) }
            }
            Transaction::Commit { chain } => Self::Commit { chain: *chain },
            Transaction::Rollback { chain } => Self::Rollback { chain: *chain },
            Transaction::RollbackTo(_) => Self::RollbackTo,
            Transaction::Savepoint(_) => Self::Savepoint { tag: "SAVEPOINT" },
            Transaction::Release(_) => Self::Savepoint { tag: "RELEASE" },
            Transaction::Set(modes) => Self::Modes(sql(modes)),
            Transaction::SetDefaults(modes) => {
                Self::Defaults(modes.iter().filter_map(default_setting).collect())
            }
            _ => Self::Run(Run {
                class: class.clone(),
                rows: Rows::None,
                access: Access::Writes,
                defines: false,
            }),
        }
    }

    /// Whether a failed transaction takes it.
    pub(crate) fn ends_transaction(&self) -> bool {
        matches!(self, Self::Commit { .. } | Self::Rollback { .. } | Self::RollbackTo)
    }

    /// What it returns, if that is known without the database.
    pub(crate) fn own_shape(&self) -> Option<Shape> {
        match self {
            Self::Show(name) => Some(Shape { columns: vec![ColumnShape::text(name)] }),
            Self::Run(Run { class: Class::Explain(_), .. }) => {
                Some(Shape { columns: vec![ColumnShape::text("QUERY PLAN")] })
            }
            _ => None,
        }
    }
}

impl Run {
    /// How PostgreSQL has to run it.
    fn of(statement: &Statement<'_>, class: Class) -> Self {
        let rows = match &class {
            Class::Query(Query { into: true, .. }) => Rows::None,
            Class::Query(query) => Rows::Some(if query.changes { Wrap::None } else { Wrap::Query }),
            Class::Change(change) if change.returning => {
                Rows::Some(if change.changes { Wrap::None } else { Wrap::Change })
            }
            _ => match class.returns_rows() {
                pgferry_sql::class::Rows::None => Rows::None,
                _ => Rows::Some(Wrap::None),
            },
        };
        let access = match statement.effect() {
            Effect::Reads => Access::Reads,
            Effect::Calls | Effect::Writes => Access::Writes,
        };
        let defines =
            matches!(class, Class::Do | Class::CreateAs(_) | Class::Utility(_) | Class::Call);
        Self { class, rows, access, defines }
    }

    /// Whether it may go on after the service's limit for statements: what defines tables should not be torn down
    /// in the middle. Code of the application's own is not trusted to end.
    ///
    /// Source: API reference of the RDS Data Service, `ExecuteStatement`, `continueAfterTimeout`.
    pub(crate) const fn outlives_limit(&self) -> bool {
        matches!(self.class, Class::CreateAs(_) | Class::Utility(_))
    }

    /// Whether it is committed only after its rows are understood: what they look like is learnt from them, and the
    /// change must not stay if they cannot be handed out. A procedure may commit by itself, and has to be let to.
    pub(crate) fn needs_transaction(&self) -> bool {
        self.rows != Rows::None && self.access == Access::Writes && self.class != Class::Call
    }

    pub(crate) const fn show() -> Self {
        let class = Class::Setting(Setting::Show(None));
        Self { class, rows: Rows::Some(Wrap::None), access: Access::Reads, defines: false }
    }
}

/// What `CommandComplete` says, where the statement concerned so many rows.
pub(crate) fn tag(class: &Class, rows: u64) -> String {
    class.command_tag(rows).unwrap_or_else(|| "OK".to_owned())
}

fn sql(modes: &[Mode]) -> String {
    modes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Source: the settings `default_transaction_…` in PostgreSQL's documentation.
fn default_setting(mode: &Mode) -> Option<(&'static str, String)> {
    let value = |text: &str| text.to_owned();
    Some(match mode {
        Mode::Isolation(level) => {
            ("default_transaction_isolation", level.to_string().to_lowercase())
        }
        Mode::ReadOnly => ("default_transaction_read_only", value("on")),
        Mode::ReadWrite => ("default_transaction_read_only", value("off")),
        Mode::Deferrable => ("default_transaction_deferrable", value("on")),
        Mode::NotDeferrable => ("default_transaction_deferrable", value("off")),
        _ => return None,
    })
}

/// Lists of names are quoted name by name, as PostgreSQL keeps them.
fn setting_value(name: &str, values: &[String]) -> String {
    if name != "search_path" && values.len() < 2 {
        return values.concat();
    }
    let quoted = |value: &String| {
        let plain = value.bytes().enumerate().all(|(index, byte)| {
            byte.is_ascii_lowercase() || byte == b'_' || index > 0 && byte.is_ascii_digit()
        });
        if plain && !value.is_empty() {
            value.clone()
        } else {
            format!("\"{}\"", value.replace('"', "\"\""))
        }
    };
    let list = name == "search_path" || name.ends_with("_libraries");
    let each = values.iter().map(|value| if list { quoted(value) } else { value.clone() });
    each.collect::<Vec<_>>().join(", ")
}

/// What must not reach the service's sessions, which others use next, or cannot be carried.
fn refused(statement: &Statement<'_>, class: &Class) -> Option<Fault> {
    let no = |what: &str| Fault::unsupported(format!("{what} over the Data API"));
    Some(match class {
        Class::Notification(Notification::Listen(_)) => {
            no("there are no notifications").with_hint(BY_PORT)
        }
        Class::Copy(copy) if copy.end == CopyEnd::Client => {
            no("COPY from or to the application is not carried")
                .with_hint("use INSERT or SELECT, or a transport that reaches the database's port")
        }
        Class::Transaction(
            Transaction::Prepare(_)
            | Transaction::CommitPrepared(_)
            | Transaction::RollbackPrepared(_),
        ) => no("there are no two-phase commits").with_hint(BY_PORT),
        Class::Prepared(Prepared::Prepare { .. } | Prepared::Execute { .. }) => {
            no("PREPARE and EXECUTE as statements are not carried")
                .with_hint("prepare it through the driver instead")
        }
        Class::Cursor(Cursor::Declare { hold: true, .. }) => {
            no("there are no cursors WITH HOLD").with_hint("use the cursor in a transaction")
        }
        Class::CreateAs(create) if create.temporary => temporary(),
        Class::Utility(utility) if utility.temporary => temporary(),
        Class::Utility(utility) if utility.tag == "LOAD" => {
            no("no library can be loaded into a session").with_hint(BY_PORT)
        }
        _ if sets_for_session(statement) => {
            no("set_config would leave its value on a session that others use next")
                .with_hint("use SET, or true as its last argument")
        }
        _ => {
            let text = statement.text();
            let lock = statement
                .words()
                .find_map(|word| SESSION_LOCKS.into_iter().find(|lock| word.is(lock, text)))?;
            no(&format!("{lock} would lock a session that others use next"))
                .with_hint("use pg_advisory_xact_lock in a transaction")
        }
    })
}

/// Whether it calls `set_config` with anything but `true` at the end.
fn sets_for_session(statement: &Statement<'_>) -> bool {
    let text = statement.text();
    let words: Vec<_> = statement.words().collect();
    let called = (0..words.len()).filter(|at| {
        let open = words.get(at + 1).is_some_and(|next| next.kind == TokenKind::Symbol('('));
        open && words.get(*at).is_some_and(|word| word.is("set_config", text))
    });
    let last = |at: usize| {
        let mut depth = 0_usize;
        let close = words.iter().skip(at + 1).position(|word| {
            match word.kind {
                TokenKind::Symbol('(') => depth += 1,
                TokenKind::Symbol(')') => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        close.and_then(|close| words.get(at + close))
    };
    called.into_iter().any(|at| !last(at).is_some_and(|word| word.is("true", text)))
}

/// They would stay on the service's session after the transaction.
fn temporary() -> Fault {
    Fault::unsupported("there are no temporary tables over the Data API")
        .with_hint("use a common table expression or an ordinary table, perhaps an UNLOGGED one")
}

const BY_PORT: &str = "use a transport that reaches the database's port, like ssm or ssh";

const SESSION_LOCKS: [&str; 4] = [
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
];

#[cfg(test)]
mod tests {
    use pgferry_sql::{Backslashes, statements};

    use super::*;

    fn act(sql: &str) -> Act {
        Act::of(&statements(sql, Backslashes::Literal)[0])
    }

    fn run(sql: &str) -> (Rows, Access) {
        let Act::Run(run) = act(sql) else { panic!("{sql} is not run") };
        (run.rows, run.access)
    }

    #[test]
    fn a_statement_is_run_as_what_it_is() {
        assert_eq!(run("select 1"), (Rows::Some(Wrap::Query), Access::Reads));
        assert_eq!(run("select f()"), (Rows::Some(Wrap::Query), Access::Writes));
        assert_eq!(run("select 1 into t"), (Rows::None, Access::Writes));
        assert_eq!(run("insert into t values (1)"), (Rows::None, Access::Writes));
        assert_eq!(run("delete from t returning 1"), (Rows::Some(Wrap::Change), Access::Writes));
        let nested = "with x as (delete from t returning 1) select * from x";
        assert_eq!(run(nested), (Rows::Some(Wrap::None), Access::Writes));
        assert_eq!(run("explain select 1"), (Rows::Some(Wrap::None), Access::Reads));
    }

    #[test]
    fn only_what_defines_something_goes_on_after_the_limit() {
        let outlives = |sql: &str| matches!(act(sql), Act::Run(run) if run.outlives_limit());
        assert!(outlives("create index on t (a)") && outlives("create table t as select 1"));
        for sql in ["do 'begin end'", "call p()", "insert into t values (1)", "select 1"] {
            assert!(!outlives(sql), "{sql}");
        }
    }

    #[test]
    fn a_list_of_names_is_quoted_name_by_name() {
        let set = |sql: &str| match act(sql) {
            Act::Set(set) => set.value,
            other => panic!("{other:?}"),
        };
        assert_eq!(set("set search_path to a, \"B c\"").as_deref(), Some("a, \"B c\""));
        assert_eq!(set("set application_name = 'psql'").as_deref(), Some("psql"));
        assert_eq!(set("set search_path to default"), None);
    }

    #[test]
    fn what_others_would_meet_on_the_session_is_refused_with_a_way_out() {
        for sql in [
            "listen x",
            "copy t from stdin",
            "prepare p as select 1",
            "prepare transaction 'x'",
            "create temp table t ()",
            "declare c cursor with hold for select 1",
            "select pg_try_advisory_lock(1)",
            "select pg_catalog.set_config('a.b', coalesce('true', 'c'), false)",
        ] {
            let Act::Refused(fault) = act(sql) else { panic!("{sql} is not refused") };
            assert_eq!(fault.state.as_str(), "0A000", "{sql}");
            assert!(fault.hint.is_some(), "{sql}");
        }
        assert!(matches!(act("select pg_advisory_xact_lock(1)"), Act::Run(_)));
        assert!(matches!(act("select set_config('a.b', (select 'c'), true)"), Act::Run(_)));
    }
}
