//! Who may enter, and the parts of the community.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

use crate::model::{Access, AccessReason, Admission, BadgeFound, BadgeLook, GroupKey, Invited, Page, PageName, UserId};

/// Who may enter an event, and which of its pages.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = AccessSettings)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    #[schema(inline)]
    admission: AdmissionView,
    /// By name (1 to 64 characters of `a-z`, `0-9`, `-` and `_`), at most 100.
    #[schema(value_type = BTreeMap<String, PageSettings>)]
    pages: BTreeMap<PageName, PageSettings>,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum AdmissionView {
    /// Anybody may enter, also who is not known here, but for those whom an organiser excluded.
    #[default]
    Open,
    /// Only active attendees may enter.
    Restricted,
}

/// A page that an app may ask about.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = PageSettings)]
#[serde(default, deny_unknown_fields)]
pub struct PageSettings {
    /// One of them opens the page, 1 to 100; any spelling of their names. Null: it is for everybody who may enter.
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    groups: Option<BTreeSet<GroupText>>,
}

/// A group by any spelling of its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct GroupText(pub GroupKey);

impl<'de> Deserialize<'de> for GroupText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        GroupKey::of(&name).map(Self).ok_or_else(|| de::Error::custom("must not be blank"))
    }
}

impl From<AccessSettings> for Access {
    fn from(AccessSettings { admission, pages }: AccessSettings) -> Self {
        let admission = match admission {
            AdmissionView::Open => Admission::Open,
            AdmissionView::Restricted => Admission::Restricted,
        };
        let groups = |groups: BTreeSet<GroupText>| groups.into_iter().map(|GroupText(group)| group).collect();
        let page = |(name, page): (PageName, PageSettings)| (name, Page { groups: page.groups.map(groups) });
        Self { admission, pages: pages.into_iter().map(page).collect() }
    }
}

impl From<Access> for AccessSettings {
    fn from(Access { admission, pages }: Access) -> Self {
        let admission = match admission {
            Admission::Open => AdmissionView::Open,
            Admission::Restricted => AdmissionView::Restricted,
        };
        let groups = |groups: BTreeSet<GroupKey>| groups.into_iter().map(GroupText).collect();
        let page = |(name, page): (PageName, Page)| (name, PageSettings { groups: page.groups.map(groups) });
        Self { admission, pages: pages.into_iter().map(page).collect() }
    }
}

/// May somebody enter?
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessAnswer)]
pub struct AccessView {
    pub allowed: bool,
    /// Where allowed: `open` (the event is), `attendee` (they attend), `group` (a group of theirs opens the page). Else:
    /// `unknown_person`, `not_attending`, `excluded` (by an organiser), `no_group` (they may enter the event, but not
    /// open the page).
    #[schema(value_type = String)]
    pub reason: AccessReason,
    /// The user's id; null where nobody knows them.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub user: Option<UserId>,
    /// Keys of the groups that count in this event: granted by its registrations, or by an organiser for it or for no
    /// event in particular.
    #[schema(value_type = Vec<String>)]
    pub groups: Vec<GroupKey>,
}

/// How far an invitation came.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InvitedView {
    /// Never invited.
    None,
    /// To be sent, or being sent.
    Queued,
    Sent,
    Failed,
    /// It came back.
    Bounced,
    /// The person was here before invitations were.
    Skipped,
}

impl From<InvitedView> for Invited {
    fn from(view: InvitedView) -> Self {
        match view {
            InvitedView::None => Self::None,
            InvitedView::Queued => Self::Queued,
            InvitedView::Sent => Self::Sent,
            InvitedView::Failed => Self::Failed,
            InvitedView::Bounced => Self::Bounced,
            InvitedView::Skipped => Self::Skipped,
        }
    }
}

/// How many people are in an audience.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AudienceSize)]
pub struct AudienceSizeView {
    pub people: u64,
}

/// What was found of one attendee's badge.
#[derive(Debug, Serialize, ToSchema)]
pub struct BadgeView {
    /// The user's id.
    #[schema(value_type = String)]
    user: UserId,
    /// `good`, `other_type`, `status`, `no_answer` or `not_asked`.
    found: &'static str,
    /// The answer's, where that is what was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

impl From<&BadgeLook> for BadgeView {
    fn from(look: &BadgeLook) -> Self {
        let status = if let BadgeFound::Status(status) = look.found { Some(status) } else { None };
        Self { user: look.user, found: look.found.as_str(), status }
    }
}

/// One line of an audience.
#[derive(Debug, Serialize)]
pub struct AudienceMemberView<'a> {
    /// The user's id.
    pub user: UserId,
    pub email: &'a str,
}
