//! A list as it is asked for and found in its pages: the source's own, or one of parents.

use crate::config::{PaginationSpec, ParentList, RequestSpec, SourceSpec};
use crate::mapping::Expression;

pub(super) struct List {
    pub(super) request: RequestSpec,
    pub(super) pagination: PaginationSpec,
    pub(super) select: Expression,
}

impl List {
    pub(super) fn of_source(spec: &SourceSpec) -> Self {
        Self { request: spec.request.clone(), pagination: spec.pagination.clone(), select: spec.mapping.select.clone() }
    }

    pub(super) fn of_parents(spec: &ParentList) -> Self {
        let ParentList { request, pagination, select, .. } = spec;
        Self { request: request.clone(), pagination: pagination.clone(), select: select.clone() }
    }
}
