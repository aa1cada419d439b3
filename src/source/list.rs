//! A list as it is asked for and found in its pages: the source's own, or one of parents.

use crate::config::{HookRecord, PaginationSpec, ParentList, RequestSpec, SourceSpec};
use crate::decode::Format;
use crate::mapping::Expression;

pub(super) struct List {
    pub(super) request: RequestSpec,
    pub(super) pagination: PaginationSpec,
    pub(super) select: Expression,
    pub(super) format: Format,
}

impl List {
    pub(super) fn of_source(spec: &SourceSpec) -> Self {
        let SourceSpec { request, pagination, format, mapping, .. } = spec;
        let (request, pagination, format) = (request.clone(), pagination.clone(), format.clone());
        Self { request, pagination, select: mapping.select.clone(), format }
    }

    /// A record that a hook names is a list of its own, of one page and as JSON.
    pub(super) fn of_record(HookRecord { request, select }: &HookRecord) -> Self {
        let (request, select) = (request.clone(), select.clone());
        Self { request, pagination: PaginationSpec::None, select, format: Format::Json }
    }

    /// Parents come as JSON.
    pub(super) fn of_parents(spec: &ParentList) -> Self {
        let ParentList { request, pagination, select, .. } = spec;
        let (request, pagination, select) = (request.clone(), pagination.clone(), select.clone());
        Self { request, pagination, select, format: Format::Json }
    }
}
