//! Tests that do not count for a while: who may say so, and what is known of a test.

use madake_domain::key::PlanKey;
use madake_domain::permission::Permission;
use madake_store::test_result::{self, TestCase, TestRun};

use crate::access::{Caller, plan_for};
use crate::{Engine, EngineError, clock};

/// Results of one test that are shown at most.
const HISTORY: i64 = 200;
/// Tests of one name that are shown at most.
const NAMESAKES: usize = 100;

impl Engine {
    /// Puts a test of a plan in quarantine, on all of the plan's branches, until `until_ms` or until it is released.
    /// Its failures fail no job any more; those of programs do as before.
    ///
    /// # Errors
    /// When there is no such test, it is in quarantine, or the caller may not change the plan.
    pub async fn quarantine_test(
        &self,
        caller: &Caller,
        plan: &PlanKey,
        test_id: i64,
        until_ms: Option<i64>,
    ) -> Result<TestCase, EngineError> {
        let by = caller.name().to_owned();
        self.change_test(caller, plan, test_id, move |test| {
            test.quarantine
                .begin(&by, clock::now_ms(), until_ms)
                .map_err(|error| EngineError::Conflict(error.to_string()))
        })
        .await
    }

    /// Lets a test of a plan count again.
    ///
    /// # Errors
    /// When there is no such test, it is not in quarantine, or the caller may not change the plan.
    pub async fn release_test(
        &self,
        caller: &Caller,
        plan: &PlanKey,
        test_id: i64,
    ) -> Result<TestCase, EngineError> {
        self.change_test(caller, plan, test_id, |test| {
            test.quarantine
                .release(clock::now_ms())
                .map_err(|error| EngineError::Conflict(error.to_string()))
        })
        .await
    }

    async fn change_test(
        &self,
        caller: &Caller,
        plan: &PlanKey,
        test_id: i64,
        change: impl FnOnce(TestCase) -> Result<madake_domain::test_history::Quarantine, EngineError>
        + Send
        + 'static,
    ) -> Result<TestCase, EngineError> {
        let by = madake_domain::text::inert(caller.name(), 80);
        let (caller, plan) = (caller.clone(), plan.clone());
        let changed = self
            .store()
            .write(move |tx| {
                let (row, _) = plan_for(tx, &caller, &plan, Permission::Write)?;
                let test = test_result::case_by_id(tx, test_id)?
                    .filter(|test| test.plan_id == row.id)
                    .ok_or_else(|| no_such_test(&plan, test_id))?;
                let quarantine = change(test.clone())?;
                test_result::set_quarantine(tx, test_id, &quarantine)?;
                Ok::<_, EngineError>(TestCase { quarantine, ..test })
            })
            .await?;
        tracing::info!(
            "test {test_id} ({}.{}) of {} is {} by {}",
            madake_domain::text::inert(&changed.class_name, 120),
            madake_domain::text::inert(&changed.name, 120),
            changed.job_key,
            if changed.quarantine.is_in_force(clock::now_ms()) {
                "put in quarantine"
            } else {
                "released"
            },
            by
        );
        Ok(changed)
    }

    /// The tests of a plan that are in quarantine.
    ///
    /// # Errors
    /// When the plan is not there, or the caller may not read it.
    pub async fn quarantined_tests(
        &self,
        caller: &Caller,
        plan: &PlanKey,
    ) -> Result<Vec<TestCase>, EngineError> {
        let (caller, plan) = (caller.clone(), plan.clone());
        self.store()
            .read(move |tx| {
                let (row, _) = plan_for(tx, &caller, &plan, Permission::Read)?;
                let now = clock::now_ms();
                let mut all = test_result::quarantined(tx, row.id)?;
                all.retain(|test| test.quarantine.is_in_force(now));
                Ok(all)
            })
            .await
    }

    /// The tests of a plan that are called so, in full or by the end of it after a point.
    ///
    /// # Errors
    /// When the plan is not there, or the caller may not read it.
    pub async fn tests_named(
        &self,
        caller: &Caller,
        plan: &PlanKey,
        name: &str,
    ) -> Result<Vec<TestCase>, EngineError> {
        let (caller, plan, name) = (caller.clone(), plan.clone(), name.to_owned());
        self.store()
            .read(move |tx| {
                let (row, _) = plan_for(tx, &caller, &plan, Permission::Read)?;
                let mut all = test_result::cases_named(tx, row.id, &name)?;
                all.truncate(NAMESAKES);
                Ok(all)
            })
            .await
    }

    /// A test of a plan with its results on the plan branch that `plan` names, newest first.
    ///
    /// # Errors
    /// When there is no such test, or the caller may not read the plan.
    pub async fn test_history(
        &self,
        caller: &Caller,
        plan: &PlanKey,
        test_id: i64,
    ) -> Result<(TestCase, Vec<TestRun>), EngineError> {
        let (caller, plan) = (caller.clone(), plan.clone());
        self.store()
            .read(move |tx| {
                let (row, branch) = plan_for(tx, &caller, &plan, Permission::Read)?;
                let test = test_result::case_by_id(tx, test_id)?
                    .filter(|test| test.plan_id == row.id)
                    .ok_or_else(|| no_such_test(&plan, test_id))?;
                let runs = test_result::history(tx, test_id, branch.id, HISTORY)?;
                Ok((test, runs))
            })
            .await
    }
}

fn no_such_test(plan: &PlanKey, test_id: i64) -> EngineError {
    EngineError::NotFound(format!("{plan} has no test with the id {test_id}"))
}
