//! `[source.<name>.field.<field>]`: how the source's values get into a field that it maps.

use crate::config::read::{Item, Section, shown};
use crate::mapping::FieldSpec;
use crate::model::{EventField, Field, FieldRule, Overwrite};

const OVERWRITES: [(&str, Overwrite); 3] =
    [("always", Overwrite::Always), ("if_empty", Overwrite::IfEmpty), ("if_new", Overwrite::IfNew)];

/// Reads the rules into the fields. What is wrong leaves a fault.
pub(super) fn read_rules(
    section: Section<'_>,
    fields: &mut [FieldSpec<Field>],
    event_fields: &mut [FieldSpec<EventField>],
) {
    for (name, item) in section.named() {
        if let Ok(field) = Field::parse(name) {
            let written = Written::of(&item);
            written.check_profile(&field);
            put(&item, written.rule, fields.iter_mut().find(|spec| spec.field == field));
        } else if let Ok(field) = EventField::parse(name) {
            let written = Written::of(&item);
            written.check_event();
            put(&item, written.rule, event_fields.iter_mut().find(|spec| spec.field == field));
        } else {
            let mend = r#"write a name as in the mapping, a custom field as "custom.<name>""#;
            item.fault(format!("no field that can have a rule (got {})", shown(name)), mend);
        }
    }
}

fn put<F>(item: &Item<'_>, rule: FieldRule, spec: Option<&mut FieldSpec<F>>) {
    match spec {
        Some(spec) => spec.rule = rule,
        None => item.fault("the source does not map this field", "map it, or leave its rule out"),
    }
}

/// A rule and where its parts stand.
struct Written<'t> {
    rule: FieldRule,
    overwrite: Option<Item<'t>>,
    clear_blank: Option<Item<'t>>,
}

impl<'t> Written<'t> {
    fn of(item: &Item<'t>) -> Self {
        let mut section = item.clone().section();
        section.accept_words("overwrite", &OVERWRITES);
        let (overwrite, clear_blank) = (section.optional("overwrite"), section.optional("clear_blank"));
        section.finish();
        let rule = FieldRule {
            overwrite: overwrite.as_ref().and_then(|item| item.choice(&OVERWRITES)).unwrap_or_default(),
            clear_blank: clear_blank.as_ref().and_then(Item::boolean).unwrap_or_default(),
        };
        Self { rule, overwrite, clear_blank }
    }

    fn check_profile(&self, field: &Field) {
        let Some(clear_blank) = self.clear_blank.as_ref().filter(|_| self.rule.clear_blank) else { return };
        if Field::MANDATORY.contains(field) {
            clear_blank.fault("nobody is without one", "leave it out: a record without it is rejected");
        } else if self.rule.overwrite != Overwrite::Always {
            clear_blank.fault("goes only with overwrite = \"always\"", "leave one of the two out");
        }
    }

    fn check_event(&self) {
        if let Some(overwrite) = &self.overwrite {
            overwrite.fault("is for profile fields: nobody but the source writes this one", "leave it out");
        }
    }
}
