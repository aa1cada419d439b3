//! Every bound of the program, with its unit last.

use std::time::Duration;

/// Longest value of one field, in bytes.
pub const FIELD_BYTES_MAX: usize = 64 * 1024;
/// Longest external id, in bytes.
pub const EXTERNAL_ID_BYTES_MAX: usize = 512;
/// Longest name of a group, in bytes.
pub const GROUP_NAME_BYTES_MAX: usize = 256;
/// Most groups that one record may name.
pub const GROUPS_PER_RECORD_MAX: usize = 256;
/// Most items of a list value.
pub const LIST_ITEMS_MAX: usize = 256;
/// Most outputs of one jq expression on one record.
pub const JQ_OUTPUTS_MAX: usize = 1_000;
/// Most bytes of the outputs of one jq expression on one record.
pub const JQ_OUTPUT_BYTES_MAX: usize = 1024 * 1024;
/// Work of one jq expression on one input, in steps: about one value looked at, or 16 bytes of text.
pub const JQ_STEPS_MAX: u64 = 250_000;
/// Steps added for each byte of the input, so that a big page is not a reason to fail.
pub const JQ_STEPS_PER_INPUT_BYTE: u64 = 8;
/// Deepest nesting of a value made by a jq expression.
pub const JQ_DEPTH_MAX: usize = 256;
/// Most opening brackets in a jq expression; parsing recurses on them.
pub const JQ_BRACKETS_MAX: usize = 256;
/// Most tokens of a jq expression; parsing recurses on some.
pub const JQ_TOKENS_MAX: usize = 1_000;
/// Deepest nesting of a jq expression; a chain of operators (`.a or .b or …`) nests once per operator, a path
/// once per part. Compiling takes about 10 KiB of stack per level.
pub const JQ_NESTING_MAX: usize = 100;
/// Longest jq expression, in bytes.
pub const JQ_SOURCE_BYTES_MAX: usize = 16 * 1024;

/// Deepest nesting of a page.
pub const JSON_DEPTH_MAX: usize = 128;
/// Most bytes of one page after decompression; a source may set less or more.
pub const PAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most columns of a table.
pub const CSV_COLUMNS_MAX: usize = 4_096;
/// Most pages of one read; a source may set less or more.
pub const PAGES_MAX: u32 = 100_000;
/// Pages fetched ahead of the one being mapped.
pub const PAGES_AHEAD: usize = 2;
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
pub const RUN_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Tries of one request, the first included.
pub const REQUEST_TRIES: u32 = 5;
/// The pause before the second try; doubled for each further one, with jitter.
pub const RETRY_BASE: Duration = Duration::from_millis(250);
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);
/// `Retry-After` is clamped to these.
pub const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60 * 60);
/// A window of this length or longer that stays shut beyond a run's time is a quota used up, not a run too slow; only
/// shorter ones are paced, so that nobody waits for a day's allowance drop by drop.
pub const QUOTA_WINDOW_MIN: Duration = Duration::from_secs(60 * 60);
/// Windows shorter than this are remembered exactly, however many requests they hold …
pub const LEDGER_MERGED_MIN: Duration = Duration::from_secs(60);
/// … others in at most about this many entries: with more requests, those within so large a part of the window are
/// remembered as one, at the time of the latest.
pub const LEDGER_ENTRIES_MAX: usize = 1_024;
/// Units of the allowance are on disk as used before they are: so large a part of each window …
pub const LENT_PART: u32 = 100;
/// … for this long at most. It is what a window shorter than this is remembered by.
pub const LENT_TERM: Duration = Duration::from_secs(60);
/// Our clock and the source's may differ by so much: requests this close to the time at which an allowance begins
/// anew count before and after it.
pub const RESET_MARGIN: Duration = Duration::from_secs(5);
/// A ledger on disk that cannot be read shuts the source for its longest window, but for no longer than this.
pub const LEDGER_LOST_PAUSE_MAX: Duration = Duration::from_secs(60 * 60);
/// A wait for a source is logged this often at most, unless it outlasts what was logged.
pub const WAIT_LOGGED_EVERY: Duration = Duration::from_secs(60);
/// Redirects followed for one request, all within the source's own origin.
pub const REDIRECTS_MAX: u32 = 5;
/// Most bytes read of an answer that is no success, where a rule of the source looks into it.
pub const ERROR_BODY_BYTES_MAX: usize = 64 * 1024;
/// Most rules on errors that a source may have.
pub const ERROR_RULES_MAX: usize = 64;
/// Longest text that a rule looks for, and longest hint that it gives, in bytes.
pub const ERROR_TEXT_BYTES_MAX: usize = 1024;
pub const ERROR_HINT_BYTES_MAX: usize = 512;
/// The longest time that a used-up quota is said to stay so, whatever the source writes.
pub const QUOTA_OPENS_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// How long a sign-in may take, from its beginning to the browser's return.
pub const LOGIN_ATTEMPT_LIFE: Duration = Duration::from_secs(10 * 60);
/// Most sign-ins whose return is remembered.
pub const LOGIN_STATES_MAX: usize = 100_000;
/// Most bytes of what an app wants to have back from a sign-in.
pub const APP_STATE_BYTES_MAX: usize = 1024;
/// Most bytes of a token that an app hands over.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// How long a profile is not asked for again, and at most.
pub const PROFILE_INTERVAL: Duration = Duration::from_secs(5 * 60);
pub const PROFILE_INTERVAL_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How old a profile grows before it is asked for though nobody came.
pub const PROFILE_REFRESH_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
pub const PROFILE_REFRESH_EVERY_MIN: Duration = Duration::from_secs(60);
pub const PROFILE_REFRESH_EVERY_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long an app may take to ask whom a one-time code stands for.
pub const LOGIN_CODE_LIFE: Duration = Duration::from_secs(60);
/// Most one-time codes that are good at once.
pub const LOGIN_CODES_MAX: usize = 10_000;
/// An access token that ends sooner is not used any more.
pub const ACCESS_TOKEN_SPARE: Duration = Duration::from_secs(30);
/// Most people whose profiles one run takes.
pub const PROFILES_PER_RUN: usize = 1_000;
/// How long somebody who is known waits for a profile that is otherwise before they are let in.
pub const KNOWN_SIGN_IN_WAIT_MAX: Duration = Duration::from_secs(3);
/// Profiles of a source that are asked for anew at once.
pub const REFRESHES_AT_ONCE: usize = 2;
/// Most people of whom it is known when their profiles were asked for.
pub const REFRESHES_PENDING_MAX: usize = 20_000;
/// Most old profiles of a source that one look at the schedule asks for.
pub const PROFILES_DUE_AT_ONCE: usize = 500;
/// A profile that could not be had is asked for again after this, or when it is due.
pub const REFRESH_AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);
/// How often it is looked whose profiles have grown old.
pub const REFRESH_LOOK_EVERY: Duration = Duration::from_secs(60);
/// Most values that one batch seals anew.
pub const RESEALED_PER_BATCH: usize = 200;
/// How long whoever signs in waits for the provider at most, its budget's waits included.
pub const IDENTITY_TIMEOUT: Duration = Duration::from_secs(20);
/// Most hosts that a provider's addresses are on.
pub const IDENTITY_HOSTS_MAX: usize = 8;
/// How long a provider's metadata and keys are believed.
pub const METADATA_AGE_MAX: Duration = Duration::from_secs(60 * 60);
/// A provider whose metadata could not be had is not asked again before.
pub const METADATA_FAILURE_AGE_MAX: Duration = Duration::from_secs(5);
/// They are not asked for again before, even where a key is unknown.
pub const METADATA_AGE_MIN: Duration = Duration::from_secs(60);
/// An access token is believed to live no longer.
pub const ACCESS_TOKEN_LIFE_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How far the clocks of a provider and ours may be apart.
pub const PROVIDER_SKEW_MAX: Duration = Duration::from_secs(60);
/// Most bytes of the answer to a login.
pub const LOGIN_BYTES_MAX: u64 = 64 * 1024;
/// A token is renewed so long before it expires, or a part of its life before where that is less …
pub const TOKEN_AHEAD_MAX: Duration = Duration::from_secs(60);
/// … namely one in so many parts.
pub const TOKEN_AHEAD_PARTS: u32 = 10;
/// Bounds of the life of a token that a source may set; a longer one that an answer tells counts as the longest.
pub const TOKEN_LIFE_MIN: Duration = Duration::from_secs(1);
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(3650 * 24 * 60 * 60);
/// A number of seconds since 1970 at least so high is one of milliseconds: it would be the year 5138.
pub const EPOCH_SECONDS_MAX: f64 = 100_000_000_000.0;
/// Empty pages in a row of a list that still says it has more.
pub const EMPTY_PAGES_MAX: u32 = 100;
/// Whether a feed may go on whose source's quota was used up is looked at this often at least.
pub const GO_ON_EVERY: Duration = Duration::from_secs(1);
/// Partitions of one read.
pub const PARTITIONS_MAX: usize = 10_000;
/// Levels of parents above a list, and fields that one level takes of each parent.
pub const PARTITION_LEVELS_MAX: usize = 4;
pub const PARENT_FIELDS_MAX: usize = 16;
/// Longest value of a parent's field, in bytes.
pub const PARENT_FIELD_BYTES_MAX: usize = 1024;
/// How far an incremental read looks back before its watermark, unless the source says otherwise, and at most.
pub const LOOKBACK: Duration = Duration::from_secs(60);
pub const LOOKBACK_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// An incremental source is read whole this often, unless it says otherwise, and at least.
pub const FULL_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
pub const FULL_EVERY_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// An interrupted read goes on within this time; after it, it starts again.
pub const RESUME_WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Most ids of one hook's run; where hooks name more, everything is read instead.
pub const HOOK_IDS_MAX: usize = 1_000;
/// Hooks start one sync of a feed in this time, unless the source says otherwise, and at most.
pub const HOOK_SYNC_EVERY: Duration = Duration::from_secs(10);
pub const HOOK_SYNC_EVERY_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A hint that gave way to a sync is taken up again no sooner, so that the sync has begun.
pub const HOOK_GIVES_WAY: Duration = Duration::from_millis(250);
/// A hook's time may differ from ours by so much.
pub const HOOK_AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// The same hook is a repetition for so long at most …
pub const HOOK_REMEMBERED: Duration = Duration::from_secs(5 * 60);
/// … and of so many of a source at most, the latest.
pub const HOOKS_REMEMBERED_MAX: usize = 10_000;
/// Bounds of a secret in a hook's path, in bytes.
pub const HOOK_PATH_SECRET_BYTES_MIN: usize = 16;
pub const HOOK_PATH_SECRET_BYTES_MAX: usize = 256;
/// Most lists of partitions that a source may be asked for at one time.
pub const CONCURRENCY_MAX: u32 = 16;
/// A wait shorter than this is not told to whoever watches a read.
pub const WAIT_TOLD_MIN: Duration = Duration::from_secs(1);
/// Characters shown of a cursor in an error.
pub const CURSOR_SHOWN_CHARS: usize = 16;
/// Longest cursor or next URL that a source may give, in bytes; a URL of a request must be below 64 KiB.
pub const CURSOR_BYTES_MAX: usize = 32 * 1024;
/// Longest part of a URL that an error shows, in bytes, and how many of its path and of its query.
pub const URL_PART_SHOWN_BYTES: usize = 64;
pub const URL_PARTS_SHOWN_MAX: usize = 12;
/// Longest origin that an error shows, in bytes; a host's name has at most 253.
pub const ORIGIN_SHOWN_BYTES: usize = 300;
/// Longest message of a failed run, in characters; a part of it may come from the source.
pub const RUN_ERROR_CHARS_MAX: usize = 1_000;

/// Largest stored value accepted by the codec, in bytes.
pub const STORED_VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Users in one stored block.
pub const BLOCK_USERS: u32 = 16;
/// One sled batch holds at most about this many bytes.
pub const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// sled grows its log by so many bytes, and puts a node of more than a quarter of it into a file of its own.
pub const STORE_SEGMENT_BYTES: usize = 2 * 1024 * 1024;
/// A larger stored value is kept in pieces of so many bytes; a node's 25 must fit into a quarter of a segment. Blocks
/// of people with ordinary profiles are about 8 KiB.
pub const STORE_PIECE_BYTES: usize = 20 * 1024;
/// sled's page cache, in bytes.
pub const STORE_CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// Room kept on the disk for the store to be opened when everything else is full, in bytes.
pub const STORE_BALLAST_BYTES: u64 = 16 * 1024 * 1024;
/// Nothing is written when less than this would stay free beside the ballast, in bytes.
pub const STORE_RESERVE_BYTES: u64 = 8 * 1024 * 1024;
/// Change sets waiting for the writer.
pub const WRITER_QUEUE: usize = 4;
/// Lines kept in a run's log.
pub const RUN_LOG_LINES_MAX: usize = 200;

/// Items of a list answer: by default and at most.
pub const LIST_LIMIT_DEFAULT: usize = 100;
pub const LIST_LIMIT_MAX: usize = 1_000;
/// Most people read for one page of a list of attendees.
pub const ATTENDEES_READ_MAX: usize = 10_000;
/// Most words that attendees are searched for at once.
pub const SEARCHED_WORDS_MAX: usize = 8;
/// Most conditions of an audience.
pub const AUDIENCE_CONDITIONS_MAX: usize = 100;
/// People of an audience who are read and sent at once.
pub const AUDIENCE_PEOPLE_PER_PIECE: usize = 1_000;
/// Attendees whose badges are looked at before what was found is told, and those that are looked at beside each other.
/// Few, so that whoever waits hears something before their patience ends.
pub const BADGES_PER_PIECE: usize = 16;
pub const BADGES_AT_ONCE: usize = 8;
/// Most pages of an event that an app may ask about.
pub const PAGES_OF_EVENT_MAX: usize = 100;
/// Most groups that open one page of an event.
pub const GROUPS_OF_PAGE_MAX: usize = 100;
/// Most people whom the app said to have come and of whom nothing is written yet.
pub const ARRIVALS_WAITING_MAX: usize = 10_000;
/// People of whom it is written at once that they came.
pub const ARRIVALS_PER_BATCH: usize = 250;
/// Most bytes of a request's body to our API.
pub const API_BODY_BYTES_MAX: usize = 1024 * 1024;
/// Room made for an answer about one person, in bytes; a larger one grows.
pub const API_ANSWER_ROOM_BYTES: usize = 2 * 1024;
/// Most open connections to our API; fewer where the limit of open files is low.
pub const API_CONNECTIONS_MAX: usize = 1_024;
/// Descriptors that connections to our API leave to the store, the journals and the sources.
pub const DESCRIPTORS_RESERVED: u64 = 128;
/// A connection may wait this long for a request before its seat goes to a newcomer: time enough for one that was
/// sent already to be read.
pub const API_SEAT_KEPT_MIN: Duration = Duration::from_millis(50);
/// A client must send its request's headers within this time.
pub const API_HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A client must send its request's body within this time.
pub const API_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// A refused request is answered this long after it came, so that guessing is slow and tells nothing.
pub const API_REFUSAL_PAUSE: Duration = Duration::from_millis(100);
/// Most requests that wait for runs to end, or follow them, at one time; beyond, they are answered at once.
pub const API_WAITS_MAX: usize = 256;
/// A run's progress is sent to whoever follows it this often at most.
pub const API_EVENTS_EVERY: Duration = Duration::from_millis(250);
/// An empty line is sent to whoever follows a run when nothing else was for this long.
pub const API_EVENTS_KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The store is asked this often at most whether it can be written to.
pub const API_READY_EVERY: Duration = Duration::from_secs(5);
/// Bounds of the pause after an accept that failed for want of descriptors or memory.
pub const API_ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(50);
pub const API_ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);
/// Most API tokens.
pub const API_TOKENS_MAX: usize = 1_000;
/// Longest name of an API token, in bytes.
pub const API_TOKEN_NAME_BYTES_MAX: usize = 64;
/// Most records that a preview shows of the first page.
pub const PREVIEW_RECORDS_MAX: usize = 100;
/// Longest text of a request or an answer that a preview shows in one piece, in bytes.
pub const PREVIEW_TEXT_BYTES_MAX: usize = 2 * 1024;
/// Most of an answer's headers that a preview shows.
pub const PREVIEW_HEADERS_MAX: usize = 20;
/// How long a preview waits for a sync that plans or commits, before it goes without a plan of its own.
pub const PREVIEW_TURN_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long what is done by hand waits for a sync that plans or commits, before it is refused.
pub const BY_HAND_TURN_WAIT_MAX: Duration = Duration::from_secs(30);
/// Most profile fields of one person to which an edit may add.
pub const EDITED_FIELDS_MAX: usize = 256;
/// Most profile fields of one person that are protected by name.
pub const PROTECTED_FIELDS_MAX: usize = 256;
/// Most memberships of one person that are decided by hand.
pub const MEMBERSHIPS_BY_HAND_MAX: usize = 256;
/// Most people whose memberships are lifted in one batch when a group is deleted.
pub const MEMBERSHIPS_LIFTED_PER_BATCH: usize = 256;
/// Most values of an answer that are looked at for a suggestion, how deep they may lie, and the longest key that may
/// lead there, in bytes.
pub const CLUES_MAX: usize = 512;
pub const CLUE_DEPTH_MAX: usize = 5;
pub const CLUE_KEY_BYTES_MAX: usize = 40;
/// Most lists that a preview suggests to select.
pub const SUGGESTED_LISTS_MAX: usize = 3;
/// Longest `?wait=`.
pub const API_WAIT_MAX: Duration = Duration::from_secs(300);
/// How long a stop may take.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Of that, how long it waits for runs to end or reach a safe point …
pub const STOP_RUNS_TIMEOUT: Duration = Duration::from_secs(22);
/// … and then for clients to take their answers.
pub const STOP_CLIENTS_TIMEOUT: Duration = Duration::from_secs(5);
/// A feed whose sync was cut short by the end of the process this often in a row is not synced again by itself:
/// perhaps the sync is what ends the process.
pub const CUT_SHORT_MAX: usize = 3;

/// Bounds of the interval at which a schedule says that a feed is synced.
pub const SCHEDULE_EVERY_MIN: Duration = Duration::from_secs(60);
pub const SCHEDULE_EVERY_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// Feeds of the same time begin over so long, or one part in so many of their interval where that is less.
pub const JITTER_MAX: Duration = Duration::from_secs(5 * 60);
pub const JITTER_PARTS: u32 = 10;
/// Longest jitter that a schedule may set.
pub const JITTER_SETTING_MAX: Duration = Duration::from_secs(60 * 60);
/// The longest time after an event's end that its final sync may be.
pub const FINAL_AFTER_END_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// When the final sync of a schedule of phases is, unless it says otherwise: so long after the event's end.
pub const PHASES_FINAL_AFTER_END: Duration = Duration::from_secs(24 * 60 * 60);
/// The final sync is tried again for so long …
pub const FINAL_RETRIED_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// … after pauses of this at most, or of the schedule's interval where that is less.
pub const FINAL_RETRY_MAX: Duration = Duration::from_secs(60 * 60);
/// A scheduled sync that failed is tried again after this pause, doubled for each further failure, and at its next time anyway.
pub const SCHEDULE_RETRY_BASE: Duration = Duration::from_secs(60);
pub const SCHEDULE_RETRY_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// A feed is overdue so long after the second time that passed without a success.
pub const FRESH_GRACE: Duration = Duration::from_secs(15 * 60);
/// Most runs that go on for a schedule to begin another, in all and of one source.
pub const SCHEDULED_RUNS_MAX: usize = 16;
pub const SCHEDULED_RUNS_PER_SOURCE_MAX: usize = 4;
/// Whether something is due is looked at this often at least, so that a clock that was set, or a machine that slept, is noticed.
pub const SCHEDULE_LOOK_EVERY: Duration = Duration::from_secs(30);
/// A clock that is this little behind may have been set without anybody having noticed.
pub const CLOCK_SLIP_MAX: Duration = Duration::from_secs(60);
/// A sync that could not begin is not tried again by its schedule sooner.
pub const SCHEDULE_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// The guard holds a run that takes the event, a group or everything from more than this share of the feed's active
/// registrations, in percent …
pub const GUARD_REMOVED_PERCENT: u32 = 20;
/// … and from more people than this.
pub const GUARD_REMOVED_PEOPLE: u64 = 10;
/// … or that deletes more people than this permanently.
pub const GUARD_DELETED_PEOPLE: u32 = 5;
/// … or of whose records more than this share cannot be used, in percent.
pub const GUARD_REJECTED_PERCENT: u32 = 5;
/// For how many days a held run waits: by default and at most.
pub const HELD_DAYS: u32 = 7;
pub const HELD_DAYS_MAX: u32 = 365;
/// Complete reads in a row after which who is missing is removed, where that is wanted: by default and at most.
pub const MISSING_RUNS: u32 = 2;
pub const MISSING_RUNS_MAX: u32 = 100;
/// A complete read that lacks more than this share of what the last one found is worth a look, in percent.
pub const DEGRADED_SHRUNK_PERCENT: u64 = 10;
/// So is one of whose records more than this share are people with differing names under one email, in percent.
pub const DEGRADED_SHARED_EMAIL_PERCENT: u64 = 10;

/// Largest configuration file, in bytes.
pub const CONFIG_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Longest secret, in bytes.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// Longest title of an event, in bytes.
pub const TITLE_BYTES_MAX: usize = 256;
/// Longest value of a feed's param, in bytes.
pub const PARAM_BYTES_MAX: usize = 1024;
/// Feeds that metrics label; `check` warns beyond.
pub const FEEDS_LABELLED_MAX: usize = 200;
/// Days that journals are kept: by default and at most.
pub const JOURNAL_DAYS: u32 = 30;
pub const JOURNAL_DAYS_MAX: u32 = 3650;
/// Most runs that are looked through for what a person should look at.
pub const REVIEW_RUNS_MAX: usize = 1_000;
/// Most runs whose plans are looked through for one person.
pub const EXPLAIN_RUNS_MAX: usize = 1_000;
/// How long the source's list is looked through for one person; less than our command line waits for an answer.
pub const EXPLAIN_FETCH_MAX: Duration = Duration::from_secs(50);
/// Most records of the source's list that an explanation shows.
pub const EXPLAIN_RECORDS_MAX: usize = 20;
/// How long the audit log is kept, in days.
pub const AUDIT_DAYS: u32 = 365;
/// How long the store's files may keep the bytes of who was erased: by default, at least and at most.
pub const COMPACT_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
pub const COMPACT_AFTER_MIN: Duration = Duration::from_secs(60);
pub const COMPACT_AFTER_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How often it is looked whether it is time.
pub const COMPACT_LOOK_EVERY: Duration = Duration::from_secs(60);
/// A compaction that failed is not tried again by itself sooner.
pub const COMPACT_AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);
/// How long an erasure waits for a sync that plans or commits.
pub const ERASE_TURN_WAIT_MAX: Duration = Duration::from_secs(30);
/// Most entries of the audit log that are forgotten at one time.
pub const AUDIT_FORGOTTEN_AT_ONCE: usize = 10_000;
/// Bounds of the connect and idle time-outs that a source may set.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
pub const TIMEOUT_MAX: Duration = Duration::from_secs(60 * 60);
/// Longest run time-out that a source may set.
pub const RUN_TIMEOUT_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Most tries of one request that a source may set.
pub const REQUEST_TRIES_MAX: u32 = 20;
/// Bounds of the bytes of one page that a source may set.
pub const PAGE_BYTES_SETTING_MIN: u64 = 1024;
pub const PAGE_BYTES_SETTING_MAX: u64 = 1024 * 1024 * 1024;
/// Most pages of one read that a source may set.
pub const PAGES_SETTING_MAX: u32 = 10_000_000;
/// Most records a page that a source may ask for.
pub const PAGE_SIZE_MAX: u64 = 1_000_000;
/// Most requests in a window of a source's budget.
pub const WINDOW_REQUESTS_MAX: u32 = 1_000_000;
/// Bounds of the length of a window of a source's budget.
pub const WINDOW_LENGTH_MIN: Duration = Duration::from_millis(100);
pub const WINDOW_LENGTH_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// Most records that the bundled registration system lists.
pub const DEMO_RECORDS_MAX: u32 = 10_000_000;
/// Most records of one of its pages; a request for more gets as many.
pub const DEMO_PAGE_RECORDS_MAX: u32 = 1_000;
/// Most bytes of rendered pages that it keeps: room for 1,000,000 records.
pub const DEMO_CACHE_BYTES_MAX: usize = 640 * 1024 * 1024;

/// Invitations that a run may queue unasked.
pub const MAX_INVITES: u32 = 500;
pub const MAX_INVITES_MAX: u32 = 10_000_000;
/// Bytes of a mail's templates.
pub const LETTER_SUBJECT_BYTES_MAX: usize = 1024;
pub const LETTER_TEXT_BYTES_MAX: usize = 64 * 1024;
pub const LETTER_HTML_BYTES_MAX: usize = 256 * 1024;
/// Bytes of one part of a mail, filled in.
pub const LETTER_BYTES_MAX: usize = 1024 * 1024;
/// Steps that filling in one part of a mail may take.
pub const LETTER_FUEL: u64 = 100_000;
/// People per batch to whom the choice for those who attended already is applied.
pub const INVITED_PER_BATCH: usize = 1_000;
/// Mails per minute that are given to the mail server.
pub const MAIL_RATE: u32 = 60;
pub const MAIL_RATE_MAX: u32 = 6_000;
/// Bytes of a file of certificates.
pub const CA_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// How long after the first failed attempt a mail is tried again; the pause doubles up to the second.
pub const MAIL_RETRY_MIN: Duration = Duration::from_secs(60);
pub const MAIL_RETRY_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the mail server may be silent.
pub const MAIL_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked who waits for a mail.
pub const MAIL_LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the mail under way may take when the process ends.
pub const STOP_MAIL_TIMEOUT: Duration = Duration::from_secs(3);

/// Mappings as events change them that are kept compiled, of each source.
pub const CHANGED_MAPPINGS_MAX: usize = 256;

/// People in one request of what goes back to a source.
pub const PUSH_BATCH_MAX: u32 = 10_000;

/// How long what goes back may wait for more of it.
pub const PUSH_EVERY: Duration = Duration::from_secs(10);
pub const PUSH_EVERY_MIN: Duration = Duration::from_secs(1);
pub const PUSH_EVERY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads that do not show what was sent before it counts as failed: the first may have come too early.
pub const UNSEEN_READS_MAX: u32 = 2;

/// A request of what goes back, its wait for the allowance included.
pub const PUSH_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The pause after the first request that came to nothing; it doubles each time.
pub const PUSH_BACK_OFF: Duration = Duration::from_secs(15);
pub const PUSH_BACK_OFF_MAX: Duration = Duration::from_secs(60 * 60);

/// How often it is looked whether something is to go back.
pub const PUSH_TICK: Duration = Duration::from_secs(1);

/// Passes that are looked at in one batch.
pub const PASSES_RECONSIDERED_AT_ONCE: usize = 1_000;

/// Characters of an event password: ten of 31 are 49 random bits.
pub const PASSWORD_LENGTH: u8 = 10;
pub const PASSWORD_LENGTH_MIN: u8 = 8;
pub const PASSWORD_LENGTH_MAX: u8 = 64;

/// The template of a login link.
pub const LINK_BYTES_MAX: usize = 1024;

/// What is being sent back when the process is to end has so long.
pub const STOP_PUSH_TIMEOUT: Duration = Duration::from_secs(10);
