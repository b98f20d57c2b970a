package dbmstest

// postgresForbidden are the statements of PostgreSQL that end or nest the
// transaction, leave the application's role, change the session for whoever
// has it next, or escape from history.
var postgresForbidden = []string{
	"BEGIN", "START TRANSACTION", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "/* c */ -- d\n COMMIT",
	"PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
	"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
	"SET ROLE NONE", "RESET ROLE", "SET LOCAL ROLE postgres", "SET SESSION AUTHORIZATION DEFAULT", "RESET SESSION AUTHORIZATION",
	"SET search_path = public", "SET LOCAL search_path = public", "RESET ALL", "SET timezone = 'Asia/Tokyo'", "SET statement_timeout = 0", "DISCARD ALL",
	"SELECT set_config('role', 'none', true)", "SELECT pg_catalog.set_config('search_path', 'public', false)",
	"DO $$ BEGIN RESET ROLE; DELETE FROM sched_task; END $$", "DO $$ BEGIN EXECUTE 'SET ROLE none'; DELETE FROM sched_task; END $$",
	"PREPARE p AS SELECT 1", "DEALLOCATE ALL", "DEALLOCATE PREPARE ALL", "LISTEN x", "UNLISTEN *", "NOTIFY x",
	"CREATE TEMP TABLE x (v bigint)", "CREATE TEMPORARY VIEW x AS SELECT 1", "CREATE TABLE pg_temp.x (v bigint)", "SELECT 1 AS v INTO TEMP x",
	"COPY mine TO STDOUT", "COPY mine FROM STDIN", "COPY mine TO '/tmp/x'", "COPY mine FROM PROGRAM 'true'",
	"ALTER TABLE mine DISABLE TRIGGER USER", "ALTER TABLE mine REPLICA IDENTITY NOTHING",
	"CREATE SCHEMA other", "ALTER TABLE mine SET SCHEMA public", "CREATE ROLE other", "CREATE PUBLICATION other", "CREATE EXTENSION hstore",
	"MERGE INTO sched_task USING mine ON mine.id = sched_task.id WHEN MATCHED THEN UPDATE SET v = 7", "TRUNCATE sched_task",
	"WITH x AS (DELETE FROM sched_task RETURNING id) SELECT id FROM x", "SELECT * INTO wf_x FROM mine",
	"CREATE TRIGGER own BEFORE DELETE ON sched_task EXECUTE FUNCTION suppress_redundant_updates_trigger()",
	"CREATE RULE own AS ON DELETE TO sched_task DO INSTEAD NOTHING", "ALTER SEQUENCE dbos_lsn RESTART", "SELECT nextval('dbos_lsn')",
	"SELECT setval('dbos_lsn', 1)", "GRANT ALL ON sched_task TO public", "LOCK TABLE sched_task IN ACCESS EXCLUSIVE MODE",
}

// postgresRefused are statements that need a superuser, or that PostgreSQL
// does not run inside a transaction, or ever.
var postgresRefused = []string{
	"VACUUM", "CREATE DATABASE other", "ALTER SYSTEM SET fsync = off", "CREATE INDEX CONCURRENTLY i ON mine (v)", "CHECKPOINT",
	"CREATE TABLESPACE other LOCATION '/tmp'", "DELETE FROM pg_class", "INSERT INTO pg_class DEFAULT VALUES", "LOAD 'auto_explain'",
	"SELECT pg_read_file('/etc/passwd')", "SELECT lo_import('/etc/passwd')", "SELECT pg_terminate_backend(pg_backend_pid())",
	"CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'libc', 'system'", "SET session_replication_role = replica",
	"SELECT pg_drop_replication_slot('x')", "DROP OWNED BY CURRENT_USER; SELECT 1",
}
