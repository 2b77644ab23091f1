//! A PostgreSQL that prints the same values in both forms.

use bytes::BytesMut;
use pgferry_simulators::{Postgres, Role};
use pgferry_values::{Type, builtin};
use tokio_postgres::{
    Client, NoTls,
    types::{FromSql, IsNull, ToSql, Type as Described, to_sql_checked},
};

pub(crate) struct Server {
    pub(crate) client: Client,
    // Ends after the connection.
    _postgres: Postgres,
}

/// A value as it is on the wire.
#[derive(Debug)]
pub(crate) struct Raw(pub(crate) Vec<u8>);

/// One value as the server wrote it, twice.
pub(crate) struct Printed {
    pub(crate) oid: u32,
    pub(crate) binary: Vec<u8>,
    pub(crate) text: String,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let postgres = Postgres::builder().unix_socket_only().start();
        let mut config = tokio_postgres::Config::new();
        config.host_path(postgres.socket_directory()).port(postgres.port());
        config.user(Role::Superuser.name()).password(postgres.password(Role::Superuser));
        let (client, connection) = config.dbname("app").connect(NoTls).await.expect("a session");
        tokio::spawn(connection);
        // The same random values each time.
        client.batch_execute("SET timezone = 'UTC'; SELECT setseed(0.25)").await.expect("settings");
        Self { client, _postgres: postgres }
    }

    /// Both forms of all that `query` returns in its only column.
    pub(crate) async fn print(&self, query: &str) -> Vec<Printed> {
        self.print_with(query, &[]).await
    }

    pub(crate) async fn print_with(
        &self,
        query: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Vec<Printed> {
        // What `format` prints is of the type's output function. A cast to text may be another.
        let query = format!("SELECT v, format('%s', v) FROM ({query}) AS q(v)");
        let rows = self.client.query(&query, parameters).await;
        let rows = rows.unwrap_or_else(|error| panic!("{query}: {error:?}"));
        assert!(!rows.is_empty(), "{query}: nothing to compare");
        let print = |row: &tokio_postgres::Row| {
            let oid = row.columns()[0].type_().oid();
            Printed { oid, binary: row.get::<_, Raw>(0).0, text: row.get(1) }
        };
        rows.iter().map(print).collect()
    }
}

impl<'a> FromSql<'a> for Raw {
    fn from_sql(
        _: &Described,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Described) -> bool {
        true
    }
}

impl ToSql for Raw {
    fn to_sql(
        &self,
        _: &Described,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Described) -> bool {
        true
    }

    to_sql_checked!();
}

/// Each is the expression of a value; `g` counts, and `random()` is another in every row.
pub(crate) async fn agree_on(server: &Server, expressions: &[&str]) {
    for expression in expressions {
        let query = format!("SELECT {expression} FROM generate_series(0, 999) g");
        for printed in server.print(&query).await {
            let ty = builtin(printed.oid).unwrap_or_else(|| panic!("{expression} is not built in"));
            agree(&ty, &printed);
        }
    }
}

/// Each is a type and texts of it, which PostgreSQL reads first.
pub(crate) async fn agree_on_texts(server: &Server, values: &[(&str, &[&str])]) {
    for (ty, texts) in values {
        for text in *texts {
            let quoted = text.replace('\'', "''");
            for printed in server.print(&format!("SELECT '{quoted}'::{ty}")).await {
                let found = builtin(printed.oid).unwrap_or_else(|| panic!("{ty} is not built in"));
                agree(&found, &printed);
            }
        }
    }
}

/// Both conversions must give what the server gave.
pub(crate) fn agree(ty: &Type, printed: &Printed) {
    let Printed { binary, text, .. } = printed;
    let mut out = BytesMut::new();
    let done = ty.to_binary(text, &mut out);
    assert_eq!((done, out.as_ref()), (Ok(()), binary.as_slice()), "{} of {text:?}", ty.name);
    let mut out = String::new();
    let done = ty.to_text(binary, &mut out);
    assert_eq!((done, &out), (Ok(()), text), "{} of {binary:?}", ty.name);
}
