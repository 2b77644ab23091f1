import java.io.*;
import java.sql.*;
import org.postgresql.PGConnection;

/** pgjdbc: what an application's pool does. Its argument is a URL. It cancels when a line comes in. */
class Jdbc {
    public static void main(String[] args) throws Exception {
        try (Connection connection = DriverManager.getConnection(args[0])) {
            try (Statement statement = connection.createStatement()) {
                statement.execute("create temporary table t (a int primary key, b text)");
                statement.execute("do $$ begin raise notice 'hello'; end $$");
                statement.execute("select 1; select 2");
            }
            batches(connection);
            reuse(connection);
            transaction(connection);
            copy(connection.unwrap(PGConnection.class));
            cancel(connection);
        }
    }

    static void batches(Connection connection) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement("insert into t values (?, ?)")) {
            for (int key : new int[] {1, 2, 3}) add(insert, key);
            insert.executeBatch();
            // The second one fails, and the rest with it.
            for (int key : new int[] {4, 1, 5}) add(insert, key);
            insert.executeBatch();
        } catch (BatchUpdateException expected) {
            return;
        }
        throw new IllegalStateException("a key twice");
    }

    static void add(PreparedStatement insert, int key) throws SQLException {
        insert.setInt(1, key);
        insert.setString(2, "batch");
        insert.addBatch();
    }

    /** From the fifth time on the statement has a name. */
    static void reuse(Connection connection) throws SQLException {
        try (PreparedStatement select = connection.prepareStatement("select b from t where a = ?")) {
            for (int i = 0; i < 7; i++) {
                select.setInt(1, i);
                select.executeQuery().close();
            }
        }
    }

    /** A cursor that is read row by row, and an error. */
    static void transaction(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(2);
            ResultSet rows = statement.executeQuery("select * from generate_series(1, 5)");
            while (rows.next()) rows.getInt(1);
            Savepoint savepoint = connection.setSavepoint();
            try {
                statement.executeQuery("select 1/0");
            } catch (SQLException expected) {
                connection.rollback(savepoint);
            }
            connection.commit();
            statement.executeUpdate("delete from t");
            connection.rollback();
        }
        connection.setAutoCommit(true);
    }

    static void copy(PGConnection connection) throws Exception {
        connection.getCopyAPI().copyIn("copy t from stdin", new StringReader("7\tseven\n8\teight\n"));
        try {
            connection.getCopyAPI().copyIn("copy t from stdin", new StringReader("not a number\n"));
        } catch (SQLException expected) {
            connection.getCopyAPI().copyOut("copy t to stdout", new StringWriter());
        }
    }

    static void cancel(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            Thread canceller = new Thread(() -> {
                try {
                    System.in.read();
                    statement.cancel();
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            });
            canceller.start();
            statement.execute("select pg_sleep(60)");
        } catch (SQLException expected) {
            return;
        }
        throw new IllegalStateException("not cancelled");
    }
}
