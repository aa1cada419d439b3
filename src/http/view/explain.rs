//! Why somebody is, or is not, in an event.

use serde::Serialize;
use utoipa::ToSchema;

use super::preview::PreviewRecordView;
use super::run::RunErrorView;
use super::{ChangeView, UserView};
use crate::model::{Entry, SourceName};
use crate::plan::Step;
use crate::sync::{Explanation, Look, PreviewPage, Runner};

#[derive(Serialize, ToSchema)]
#[schema(as = Explained)]
pub struct ExplainedView {
    pub feeds: Vec<FeedExplanationView>,
}

/// The answer for one feed.
#[derive(Serialize, ToSchema)]
#[schema(as = FeedExplanation)]
pub struct FeedExplanationView {
    source: String,
    /// The way from the source's list to a place in the event.
    steps: Vec<StepView>,
    /// The person, where one is here.
    user: Option<UserView>,
    /// The last change of a kept plan that concerns them, with the values used.
    change: Option<FoundChangeView>,
}

/// One question on the way.
#[derive(Serialize, ToSchema)]
#[schema(as = ExplainStep)]
struct StepView {
    /// `read`, `listed`, `selected`, `mapped`, `matched`, `decided` or `attends`.
    question: &'static str,
    /// `yes`, `no` or `unknown`.
    answer: &'static str,
    text: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FoundChange)]
struct FoundChangeView {
    run: u64,
    #[serde(flatten)]
    change: ChangeView,
}

/// What a source says of somebody now.
#[derive(Serialize, ToSchema)]
#[schema(as = Look)]
pub struct LookView {
    source: String,
    /// Pages and records that were looked through.
    pages: u64,
    records: u64,
    /// Why it is not the whole list, where it is not.
    failure: Option<RunErrorView>,
    /// The time for it was over before the list's end.
    out_of_time: bool,
    /// Their records, at most 20; numbered by their order.
    found: Vec<PreviewRecordView>,
}

impl FeedExplanationView {
    pub fn of(explanation: Explanation, runner: &Runner) -> Self {
        let Explanation { feed, person, steps, change } = explanation;
        let change = change.map(|(run, number, change)| FoundChangeView {
            run: run.0,
            change: ChangeView::of(number, Entry::Person(change), runner),
        });
        Self {
            source: feed.source.to_string(),
            steps: steps.into_iter().map(StepView::from).collect(),
            user: person.map(|person| UserView::of(person, runner)),
            change,
        }
    }
}

impl From<Step> for StepView {
    fn from(Step { question, answer, text }: Step) -> Self {
        Self { question: question.as_str(), answer: answer.as_str(), text }
    }
}

impl LookView {
    /// `skip_when` is the source's rule.
    pub fn of(source: &SourceName, look: Look, pages: Vec<PreviewPage>, skip_when: Option<&str>) -> Self {
        let records = pages.into_iter().flat_map(|page| {
            let is_planned = page.plan.is_ok();
            page.records.into_iter().map(move |record| (is_planned, record))
        });
        let found = (1..).zip(records);
        let found =
            found.map(|(number, (is_planned, record))| PreviewRecordView::of(number, record, is_planned, skip_when));
        Self {
            source: source.to_string(),
            pages: look.traffic.pages,
            records: look.records,
            failure: look.failure.as_ref().map(RunErrorView::from),
            out_of_time: look.out_of_time,
            found: found.collect(),
        }
    }
}
