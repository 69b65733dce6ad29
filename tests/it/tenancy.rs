//! One school never sees another: the catalogue as it must be, and row-level security alone, with the comparison of path
//! and token taken away.

use std::{panic::resume_unwind, sync::Arc, time::Duration};

use http::Method;
use preau_db::{Db, PoolConfig};
use preau_http::Who;
use preau_kernel::{PersonId, SchoolId, TerritoryId};
use preau_tests::{Database, Stores, play, run};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    administered::NAMELESS,
    world::{MARK, World},
};

/// Every policy: table, name, command, what is seen, what may be written. `school` stands for `school_id` equal to the
/// transaction's school, and so on; `feed` for any territory's transaction; `all` for everybody.
const POLICIES: &str = "
academy_subject academy_subject_territory ALL territory territory
account account_own ALL person person
account account_territory ALL territory territory
account_merge account_merge_same_territory ALL territory territory
account_rule account_rule_same_school ALL school school
activation_code activation_code_own ALL person person
activation_code activation_code_territory ALL territory territory
api_client api_client_lookup SELECT lookup -
api_client api_client_school ALL own-school own-school-of-its-territory
api_client api_client_territory ALL territory territory
api_client api_client_touches SELECT touches -
api_client_minute api_client_minute_territory ALL territory territory
api_client_secret api_client_secret_lookup SELECT lookup -
api_client_secret api_client_secret_owner ALL of-its-client of-its-client
api_client_secret api_client_secret_used UPDATE lookup lookup
bulk_change bulk_change_same_school ALL school school
class class_same_school ALL school school
class_guest class_guest_same_school ALL school school
class_pupil class_pupil_same_school ALL school school
class_teacher class_teacher_same_school ALL school school
communication_rule communication_rule_same_school ALL school school
contact_change contact_change_own ALL person person
credential credential_own ALL person person
delegation delegation_same_school ALL school school
device_profile device_profile_lookup ALL lookup lookup
duplicate_pair duplicate_pair_same_territory ALL territory territory
factor_challenge factor_challenge_own ALL person person
factor_guess factor_guess_own ALL person person
factor_policy factor_policy_insert INSERT - school-or-territory
factor_policy factor_policy_read SELECT all -
factor_policy factor_policy_update UPDATE school-or-territory school-or-territory
federation_provider federation_provider_lookup SELECT lookup -
federation_provider federation_provider_territory ALL territory territory
federation_session federation_session_lookup SELECT lookup -
federation_session federation_session_own ALL person person
federation_session federation_session_sweep DELETE lookup -
federation_use federation_use_lookup ALL lookup lookup
feed_delivery feed_delivery_same_territory ALL territory territory
feed_hold feed_hold_same_territory ALL territory territory
feed_parked feed_parked_same_territory ALL territory territory
feed_schedule feed_schedule_same_territory ALL territory territory
feed_school feed_school_same_territory ALL territory territory
group_pupil group_pupil_same_school ALL school school
group_teacher group_teacher_same_school ALL school school
guardian_link guardian_link_same_school ALL school school
idempotency idempotency_own_scope ALL scope scope
job job_same_territory ALL territory territory
join_key join_key_lookup SELECT lookup -
join_key join_key_territory ALL territory territory
journal journal_own_chain ALL chain chain
journal_head journal_head_own_chain ALL chain chain
key_ring key_ring_lookup ALL lookup lookup
lesson lesson_same_school ALL school school
level_counter level_counter_same_school ALL school school-of-its-territory
level_counter level_counter_territory SELECT territory -
load_event load_event_lookup ALL lookup lookup
load_event load_event_of_all SELECT of-all -
load_event load_event_territory SELECT territory -
load_order load_order_lookup SELECT lookup -
load_order load_order_of_all SELECT of-all -
load_order load_order_operator_ends UPDATE of-the-operator of-the-operator
load_order load_order_operator_makes INSERT - of-the-operator
load_order load_order_school SELECT of-a-school-of-theirs -
load_order load_order_sweep DELETE lookup -
load_order load_order_territory ALL territory territory
login login_feed_read SELECT feed -
login login_feed_write INSERT - territory
login login_lookup SELECT lookup -
login login_merge UPDATE territory territory
login_stem login_stem_feed ALL feed feed
lookup_budget lookup_budget_same_territory ALL territory territory
mef mef_territory ALL territory territory
membership membership_same_school ALL school school
merge_step merge_step_same_school ALL school school
outbox outbox_same_school ALL school school
passkey passkey_own ALL person person
person person_of_email SELECT ((current_setting('app.lookup'::text, true) = 'on'::text) AND (lower(email) = convert_from(decode(NULLIF(current_setting('app.email'::text, true), ''::text), 'hex'::text), 'UTF8'::name))) -
person person_of_siecle_id SELECT ((current_setting('app.lookup'::text, true) = 'on'::text) AND (siecle_id = NULLIF(current_setting('app.siecle_id'::text, true), ''::text))) -
person person_own SELECT person -
person person_own_contact UPDATE person person
person person_territory ALL territory territory
person_membership person_membership_own SELECT person -
person_membership person_membership_territory ALL territory territory
post_budget post_budget_lookup ALL lookup lookup
post_message post_message_lookup ALL lookup lookup
post_message post_message_write INSERT - all
profile_block profile_block_person SELECT ($person IS NOT NULL) -
profile_block profile_block_same_school ALL school school
profile_block profile_block_work SELECT feed -
pupil pupil_same_school ALL school school
read_approval read_approval_school ALL school school
read_approval read_approval_territory SELECT territory -
read_approval_use read_approval_use_school SELECT school -
read_approval_use read_approval_use_sweep DELETE school -
read_approval_use read_approval_use_territory ALL territory territory
read_budget read_budget_territory ALL territory territory
recovery recovery_own ALL person person
recovery_code recovery_code_own ALL person person
recovery_request recovery_request_lookup ALL lookup lookup
revocation revocation_client INSERT - of-a-client-of-ours
revocation revocation_feed INSERT - feed-of-a-known-account
revocation revocation_lookup SELECT lookup -
revocation revocation_own ALL person person
revocation revocation_sweep DELETE lookup -
school school_read SELECT all -
school school_territory_insert INSERT - territory
school school_territory_update UPDATE territory territory
school_counter school_counter_same_territory ALL territory territory
school_person school_person_same_school ALL school school
security_event security_event_aged SELECT lookup-after-a-year -
security_event security_event_own ALL person person
security_event security_event_sweep DELETE lookup-after-a-year -
session_family session_family_own ALL person person
sign_in_failure sign_in_failure_lookup ALL lookup lookup
slot_exception slot_exception_above SELECT school-of-the-territory -
slot_exception slot_exception_lookup SELECT lookup -
slot_exception slot_exception_own ALL school-or-territory school-or-territory
slot_generation slot_generation_above SELECT school-of-the-territory -
slot_generation slot_generation_lookup SELECT lookup -
slot_generation slot_generation_own ALL school-or-territory school-or-territory
slot_plan slot_plan_above SELECT school-of-the-territory -
slot_plan slot_plan_lookup SELECT lookup -
slot_plan slot_plan_own ALL school-or-territory school-or-territory
slot_plan_version slot_plan_version_above SELECT school-of-the-territory -
slot_plan_version slot_plan_version_lookup SELECT lookup -
slot_plan_version slot_plan_version_own ALL school-or-territory school-or-territory
stage_child_ref stage_child_ref_same_territory ALL territory territory
stage_division stage_division_same_territory ALL territory territory
stage_division_member stage_division_member_same_territory ALL territory territory
stage_guardian_link stage_guardian_link_same_territory ALL territory territory
stage_mark stage_mark_same_territory ALL territory territory
stage_mef stage_mef_same_territory ALL territory territory
stage_membership stage_membership_same_territory ALL territory territory
stage_pack stage_pack_same_territory ALL territory territory
stage_person stage_person_same_territory ALL territory territory
stage_school stage_school_same_territory ALL territory territory
stage_subject stage_subject_same_territory ALL territory territory
structure_key structure_key_same_territory ALL territory territory
sts_key sts_key_same_territory ALL territory territory
subject subject_same_school ALL school school
suspension suspension_above SELECT school-of-the-territory -
suspension suspension_lookup SELECT lookup -
suspension suspension_own ALL school-or-territory school-or-territory
teaching_group teaching_group_same_school ALL school school
terms terms_lookup INSERT - lookup
terms terms_read SELECT all -
terms_acceptance terms_acceptance_own ALL person person
territory territory_own INSERT - territory
territory territory_read SELECT all -
territory_admin territory_admin_own SELECT person -
territory_admin territory_admin_territory ALL territory territory
totp_factor totp_factor_own ALL person person
upload upload_same_territory ALL territory territory
upload_chunk upload_chunk_same_territory ALL territory territory
year_archive year_archive_same_school ALL school school
year_transition year_transition_same_territory ALL territory territory
";

/// Tables without row-level security: nobody's, and the application only reads them.
const NOBODYS: [&str; 2] = ["_sqlx_migrations", "installation"];

/// What is wrong with a database, beside the decisions above.
async fn faults(conn: &mut PgConnection) -> Vec<String> {
    let mut faults: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname || ': row-level security is not enabled and forced'
           FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity) AND c.relname <> ALL($1)
         UNION ALL
         SELECT c.relname || ': the application owns it' FROM pg_class c WHERE c.relowner = 'preau_app'::regrole
         UNION ALL
         SELECT 'the application''s role goes round row-level security'
           FROM pg_roles WHERE rolname = 'preau_app' AND (rolsuper OR rolbypassrls OR rolcreatedb OR rolcreaterole)
         UNION ALL
         SELECT 'the application''s role is a member of ' || r.rolname
           FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid WHERE m.member = 'preau_app'::regrole
         UNION ALL
         SELECT p.proname || ': a function with the rights of its owner'
           FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef
         UNION ALL
         SELECT c.relname || ': a view' FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('v', 'm')
         UNION ALL
         SELECT t.relname || ': the application may ' || a.privilege_type
           FROM pg_class t, aclexplode(t.relacl) a
          WHERE t.relnamespace = 'public'::regnamespace AND a.grantee = 'preau_app'::regrole
            AND (a.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
              OR t.relname = ANY($1) AND a.privilege_type <> 'SELECT')
         UNION ALL
         SELECT t.relname || ': everybody may ' || a.privilege_type
           FROM pg_class t, aclexplode(t.relacl) a WHERE t.relnamespace = 'public'::regnamespace AND a.grantee = 0",
    )
    .bind(NOBODYS.map(str::to_owned).to_vec())
    .fetch_all(&mut *conn)
    .await
    .expect("a catalogue");
    type Policy = (String, String, String, String, bool, Option<String>, Option<String>);
    let rows: Vec<Policy> = sqlx::query_as(
        "SELECT tablename::text, policyname::text, permissive::text, cmd::text, roles = '{public}', qual, with_check
           FROM pg_policies WHERE schemaname = 'public' ORDER BY 1, 2",
    )
    .fetch_all(&mut *conn)
    .await
    .expect("policies");
    let mut found = Vec::new();
    for (table, name, permissive, command, everybody, qual, check) in rows {
        if permissive != "PERMISSIVE" || !everybody {
            faults.push(format!("{table}: {name} is {permissive}, for some roles only"));
        }
        found.push(format!("{table} {name} {command} {} {}", word(qual), word(check)));
    }
    let decided: Vec<&str> = POLICIES.trim().lines().collect();
    faults.extend(
        decided
            .iter()
            .filter(|line| !found.iter().any(|one| one == *line))
            .map(|line| format!("decided, and not there: {line}")),
    );
    faults.extend(
        found
            .iter()
            .filter(|line| !decided.contains(&line.as_str()))
            .map(|line| format!("nobody has decided: {line}")),
    );
    faults
}

/// The word for an expression, or the expression.
fn word(expression: Option<String>) -> String {
    let Some(expression) = expression else { return "-".to_owned() };
    let mut text = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    for id in ["school", "territory", "person"] {
        text = text.replace(
            &format!("NULLIF(current_setting('app.{id}_id'::text, true), ''::text)"),
            &format!("${id}"),
        );
        // The same, asked once a statement.
        text = text.replace(&format!("( SELECT (${id})::uuid AS \"nullif\")"), &format!("(${id})::uuid"));
    }
    let is = |column: &str, id: &str| format!("({column} = (${id})::uuid)");
    let any = |column: &str, ids: &[&str]| {
        format!("({})", ids.iter().map(|id| is(column, id)).collect::<Vec<_>>().join(" OR "))
    };
    for id in ["school", "territory", "person"] {
        if text == is(&format!("{id}_id"), id) {
            return id.to_owned();
        }
    }
    match text.as_str() {
        "true" => "all".to_owned(),
        "($territory IS NOT NULL)" => "feed".to_owned(),
        "(current_setting('app.lookup'::text, true) = 'on'::text)" => "lookup".to_owned(),
        "(($territory IS NOT NULL) AND (EXISTS ( SELECT 1 FROM account a WHERE (a.person_id = revocation.person_id))))" => {
            "feed-of-a-known-account".to_owned()
        }
        "((current_setting('app.lookup'::text, true) = 'on'::text) AND (at < (now() - '1 year'::interval)))" => {
            "lookup-after-a-year".to_owned()
        }
        "(owner_school = ($school)::uuid)" => "own-school".to_owned(),
        "((owner_school = ($school)::uuid) AND (EXISTS ( SELECT FROM school s WHERE ((s.school_id = api_client.owner_school) AND (s.territory_id = api_client.territory_id)))))" => {
            "own-school-of-its-territory".to_owned()
        }
        "(($school)::uuid = ANY (schools))" => "touches".to_owned(),
        "(EXISTS ( SELECT FROM api_client c WHERE ((c.client_id = api_client_secret.client_id) AND ((c.owner_school = ($school)::uuid) OR (c.territory_id = ($territory)::uuid)))))" => {
            "of-its-client".to_owned()
        }
        "(EXISTS ( SELECT FROM api_client c WHERE ((c.client_id = revocation.person_id) AND ((c.owner_school = ($school)::uuid) OR (c.territory_id = ($territory)::uuid)))))" => {
            "of-a-client-of-ours".to_owned()
        }
        "((territory_id IS NULL) AND ($territory IS NOT NULL))" => "of-all".to_owned(),
        "((current_setting('app.lookup'::text, true) = 'on'::text) AND (territory_id IS NULL))" => {
            "of-the-operator".to_owned()
        }
        "(EXISTS ( SELECT FROM school s WHERE ((s.school_id = ($school)::uuid) AND ((load_order.territory_id IS NULL) OR (load_order.territory_id = s.territory_id)))))" => {
            "of-a-school-of-theirs".to_owned()
        }
        "(scope_id = ANY (ARRAY[($school)::uuid, ($territory)::uuid]))" => "school-or-territory".to_owned(),
        "(scope_id = ( SELECT s.territory_id FROM school s WHERE (s.school_id = ($school)::uuid)))" => {
            "school-of-the-territory".to_owned()
        }
        "((school_id = ($school)::uuid) AND (territory_id = ( SELECT s.territory_id FROM school s WHERE (s.school_id = level_counter.school_id))))" => {
            "school-of-its-territory".to_owned()
        }
        _ if text == any("scope_id", &["school", "person", "territory"]) => "scope".to_owned(),
        _ if text == any("chain_id", &["school", "territory"]) => "chain".to_owned(),
        _ => text,
    }
}

#[test]
fn the_catalogue_is_as_decided_and_any_change_shows() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let database = Database::as_migrated(&Stores::find()).await;
        let mut owner = database.owner().await;
        let at_rest = faults(&mut owner).await;
        let mut unseen = Vec::new();
        let policies: Vec<(String, String)> =
            sqlx::query_as("SELECT tablename::text, policyname::text FROM pg_policies WHERE schemaname = 'public'")
                .fetch_all(&mut owner)
                .await
                .unwrap();
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relforcerowsecurity")
                .fetch_all(&mut owner)
                .await
                .unwrap();
        let dropped = policies.iter().map(|(table, policy)| format!("DROP POLICY {policy} ON {table}"));
        let widened = policies.iter().map(|(table, _)| format!("CREATE POLICY wide ON {table} USING (true)"));
        let opened = tables.iter().flat_map(|table| {
            [
                format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"),
                format!("ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"),
                format!("GRANT TRUNCATE ON {table} TO preau_app"),
                format!("GRANT SELECT ON {table} TO PUBLIC"),
            ]
        });
        let others = ["CREATE TABLE secret (school_id uuid)", "CREATE VIEW all_people AS SELECT * FROM person"].map(str::to_owned);
        for mutation in dropped.chain(widened).chain(opened).chain(others) {
            run(&mut owner, "BEGIN").await;
            run(&mut owner, &mutation).await;
            if faults(&mut owner).await.is_empty() {
                unseen.push(mutation);
            }
            run(&mut owner, "ROLLBACK").await;
        }
        owner.close().await.unwrap();
        database.discard().await;
        assert_eq!(at_rest, [""; 0]);
        assert_eq!(unseen, [""; 0], "these changes do not show");
    });
}

#[test]
fn without_a_setting_there_are_no_rows() {
    play(async |stage| {
        let world = World::new(stage.clone()).await;
        drop(world);
        let mut app = stage.database().app().await;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relrowsecurity
                AND relname NOT IN ('school', 'territory', 'terms')",
        )
        .fetch_all(&mut app)
        .await
        .unwrap();
        for table in tables {
            let rows: i64 = sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
                .fetch_one(&mut app)
                .await
                .unwrap();
            assert_eq!(rows, 0, "{table}");
        }
        for write in [
            "INSERT INTO class (school_id, class_id, name) SELECT school_id, school_id, 'x' FROM school",
            "INSERT INTO journal_head (chain_id, seq, hash) SELECT school_id, 1, '' FROM school",
            "UPDATE school SET name = 'x'; DO $$ BEGIN IF FOUND THEN NULL; END IF; END $$; SELECT 1/0",
        ] {
            assert!(app.execute(sqlx::raw_sql(write)).await.is_err(), "{write}");
        }
        assert_eq!(stage.count("SELECT count(*) FROM school WHERE name = 'x'").await, 0);
        app.close().await.unwrap();
    });
}

/// School routes asked by everybody of one school about a school of another territory, with the first wall away: all of
/// them, or the one that is named. Returns what was seen of the other school, and what changed there.
async fn over_the_wall(world: &World, only: Option<&str>) -> Vec<String> {
    let node = world.stage.node_without_the_wall().await;
    let target = world.foreign_target();
    let mut askers = Vec::new();
    for asker in [&world.pupil, &world.guardian, &world.teacher, &world.staff, &world.admin] {
        askers.push(node.signed_in(asker).await);
    }
    let mut leaks = Vec::new();
    let rows = node.table.iter().filter(|row| matches!(row.who(), Who::InSchool(_)));
    for row in rows.filter(|row| only.is_none_or(|only| row.operation_id == only)) {
        // One request for all of them: it has no effect that the next one would miss, or that is a leak.
        let mut ask = world.ask(row, &target).await;
        if ask.method == Method::GET && row.operation_id == "get_timetable" {
            ask.path.push_str(&format!("?person_id={}", target.person));
        }
        let before = world.stage.fingerprint().await;
        for client in &askers {
            let answer = ask.by(client).await;
            let body = String::from_utf8_lossy(&answer.body);
            if body.contains(MARK) {
                leaks.push(format!("{} shows {body}", row.operation_id));
            }
        }
        if world.stage.fingerprint().await != before {
            leaks.push(format!("{} writes", row.operation_id));
        }
    }
    leaks
}

#[test]
fn row_level_security_stands_alone() {
    play(async |stage| {
        let world = World::new(stage.clone()).await;
        assert_eq!(over_the_wall(&world, None).await, [""; 0]);

        // The walk sees: whoever belongs there is shown what the others are not,
        let mut unmarked = Vec::new();
        let theirs = world.node.signed_in(&world.foreigner).await;
        for row in
            world.node.table.iter().filter(|row| matches!(row.who(), Who::InSchool(_)) && row.method == "GET")
        {
            let answer = world.ask(row, &world.foreign_target()).await.by(&theirs).await;
            if row.operation_id != "get_timetable" && !NAMELESS.contains(&row.operation_id.as_str()) {
                let answer = answer.expect(200);
                if !String::from_utf8_lossy(&answer.body).contains(MARK) {
                    unmarked.push(row.operation_id.clone());
                }
            }
        }
        assert_eq!(unmarked, [""; 0], "nothing of theirs is in these answers");
        // and so is everybody once a table of those that lists read is open.
        for (table, operation) in [("class", "list_classes"), ("subject", "list_subjects")] {
            stage.sql(&format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")).await;
            let leaks = over_the_wall(&world, Some(operation)).await;
            assert!(leaks.iter().any(|leak| leak.starts_with(operation)), "{table}: {leaks:?}");
            stage.sql(&format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")).await;
        }
    });
}

const INTERLEAVINGS: usize = 100_000;
const SEED: u64 = 20_261_121;

/// Two connections, eight tasks, four kinds of transaction that end well, badly, in a panic or in the middle: no
/// transaction ever sees what another was opened for.
#[test]
fn connections_carry_nothing_from_one_transaction_to_the_next() {
    play(async |stage| {
        let here = stage.territory("ici").await;
        let there = stage.territory("ailleurs").await;
        let schools = [here.school("A").await.id, here.school("B").await.id, there.school("C").await.id];
        let territories = [here.id, there.id];
        for school in schools {
            stage
                .sql(&format!(
                    "INSERT INTO subject (school_id, subject_code, label) VALUES ('{school}', '1', 'x')"
                ))
                .await;
        }
        for territory in territories {
            stage
                .sql(&format!(
                    "INSERT INTO mef (territory_id, mef_code, label) VALUES ('{territory}', '1', 'x')"
                ))
                .await;
        }
        let limits = PoolConfig {
            max_connections: 2,
            door_connections: 2,
            acquire_timeout_ms: 30_000,
            statement_timeout_ms: 30_000,
            lock_timeout_ms: 30_000,
        };
        let db = Db::connect(&stage.database().app_url(), &limits).unwrap();
        let nobody: PersonId = stage.clock().mint();
        let seen = Arc::new(parking_lot::Mutex::new([0_usize; 4]));
        let mut workers = JoinSet::new();
        for worker in 0..8 {
            let (db, seen) = (db.clone(), Arc::clone(&seen));
            workers.spawn(async move {
                let mut dice = ChaCha8Rng::seed_from_u64(SEED + worker);
                for _ in 0..INTERLEAVINGS / 8 {
                    let (school, territory) =
                        (schools[dice.random_range(0..3)], territories[dice.random_range(0..2)]);
                    let scope = [
                        Scope::School(school),
                        Scope::School(school),
                        Scope::Territory(territory),
                        Scope::Person(nobody),
                        Scope::Lookup,
                    ][dice.random_range(0..5)];
                    let end = match dice.random_range(0..20) {
                        0..=11 => End::Commit,
                        12..=14 => End::Drop,
                        15..=16 => End::Fail,
                        17 => End::Panic,
                        _ => End::Cancel(dice.random_range(0..1200)),
                    };
                    let came = one(&db, scope, end).await;
                    seen.lock()[came] += 1;
                }
            });
        }
        while let Some(done) = workers.join_next().await {
            if let Err(failed) = done {
                resume_unwind(failed.into_panic());
            }
        }
        let [whole, failed, panicked, cancelled] = *seen.lock();
        println!("seed {SEED}: {whole} whole, {failed} failed, {panicked} panicked, {cancelled} cancelled");
        assert!(
            whole > 50_000 && failed > 5_000 && panicked > 2_000 && cancelled > 1_000,
            "every way must be walked"
        );
        db.close().await;
    });
}

#[derive(Clone, Copy)]
enum Scope {
    School(SchoolId),
    Territory(TerritoryId),
    Person(PersonId),
    Lookup,
}

#[derive(Clone, Copy)]
enum End {
    Commit,
    Drop,
    Fail,
    Panic,
    Cancel(u64),
}

/// One transaction; tells how it went: 0 whole, 1 failed, 2 panicked, 3 cancelled.
async fn one(db: &Db, scope: Scope, end: End) -> usize {
    match end {
        End::Cancel(microseconds) => {
            let work = look(db, scope, End::Commit);
            tokio::time::timeout(Duration::from_micros(microseconds), work).await.unwrap_or(3)
        }
        End::Panic => {
            let db = db.clone();
            let mut task = JoinSet::new();
            task.spawn(async move { look(&db, scope, End::Panic).await });
            let ended = task.join_next().await.expect("it was spawned").expect_err("it panics");
            let panic = ended.into_panic();
            assert!(panic.is::<Deliberate>(), "a leak, not the panic that was asked for");
            2
        }
        other => look(db, scope, other).await,
    }
}

struct Deliberate;

/// What a transaction sees of a school's table, of a territory's and of the look-up's.
const LOOK: &str = "
SELECT (SELECT coalesce(array_agg(school_id), '{}') FROM subject), (SELECT coalesce(array_agg(territory_id), '{}') FROM mef),
       current_setting('app.lookup', true) = 'on', nullif(current_setting('app.person_id', true), '')";

async fn look(db: &Db, scope: Scope, end: End) -> usize {
    macro_rules! go {
        ($tx:expr, $schools:expr, $territories:expr, $lookup:expr, $person:expr) => {{
            let mut tx = $tx.expect("a transaction");
            let (schools, territories, lookup, person): (Vec<Uuid>, Vec<Uuid>, Option<bool>, Option<String>) =
                sqlx::query_as(LOOK).fetch_one(tx.conn()).await.expect("a look");
            assert_eq!(schools, $schools);
            assert_eq!(territories, $territories);
            assert_eq!(lookup.unwrap_or_default(), $lookup);
            assert_eq!(person, $person);
            match end {
                End::Commit | End::Cancel(_) => {
                    tx.commit().await.expect("committed");
                    0
                }
                End::Drop => 0,
                End::Fail => {
                    tx.conn().execute(sqlx::raw_sql("SELECT 1/0")).await.expect_err("division by zero");
                    1
                }
                // Not a panic that prints a trace, two thousand times.
                End::Panic => resume_unwind(Box::new(Deliberate)),
            }
        }};
    }
    const NONE: [Uuid; 0] = [];
    match scope {
        Scope::School(school) => {
            go!(db.in_school_for_work(school).await, [school.uuid()], NONE, false, None::<String>)
        }
        Scope::Territory(one) => {
            go!(db.in_territory_for_work(one).await, NONE, [one.uuid()], false, None::<String>)
        }
        Scope::Person(one) => go!(db.as_person(one).await, NONE, NONE, false, Some(one.to_string())),
        Scope::Lookup => go!(db.lookup().await, NONE, NONE, true, None::<String>),
    }
}
