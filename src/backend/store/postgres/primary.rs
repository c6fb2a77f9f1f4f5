//! Which of several servers is the primary. Each promotion begins a new timeline of the database (PostgreSQL's manual, "Timelines"). So what
//! is written on an older one is lost, whether its server knows that or not.

/// What a server says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It follows another one.
    Standby,
    /// It writes on this timeline. One that is read only takes nothing: an operator or a fail-over tool has said so.
    Primary { timeline: u32, read_only: bool },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoPrimary {
    /// Those that can be written to are of before a promotion.
    Overtaken {
        /// The newest timeline of theirs.
        timeline: u32,
        /// The newest one that was seen.
        newest: u32,
    },
    ReadOnly,
}

impl Role {
    /// Whether it is the primary of before a promotion. `newest`: the newest timeline that was seen.
    #[must_use]
    pub const fn is_overtaken(self, newest: u32) -> bool {
        match self {
            Self::Standby => false,
            Self::Primary { timeline, .. } => timeline < newest,
        }
    }
}

/// The one that may be written to, by its place. `None`: a server has not answered. `newest`: the newest timeline that was ever seen.
pub(super) fn primary(roles: &[Option<Role>], newest: u32) -> Result<usize, NoPrimary> {
    let timelines = roles.iter().map(|role| match role {
        Some(Role::Primary { timeline, .. }) => *timeline,
        Some(Role::Standby) | None => 0,
    });
    let newest = timelines.fold(newest, u32::max);
    let writable = || {
        roles.iter().enumerate().filter_map(|(at, role)| match role {
            Some(Role::Primary { timeline, read_only: false }) => Some((at, *timeline)),
            Some(Role::Primary { read_only: true, .. } | Role::Standby) | None => None,
        })
    };
    if let Some((at, _)) = writable().find(|(_, timeline)| *timeline == newest) {
        return Ok(at);
    }
    Err(writable().map(|(_, timeline)| timeline).max().map_or(NoPrimary::ReadOnly, |timeline| NoPrimary::Overtaken { timeline, newest }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_is_the_one_that_may_be_written_to_on_the_newest_timeline() {
        const SILENT: Option<Role> = None;
        const STANDBY: Option<Role> = Some(Role::Standby);
        const fn on(timeline: u32) -> Option<Role> {
            Some(Role::Primary { timeline, read_only: false })
        }
        const fn shut(timeline: u32) -> Option<Role> {
            Some(Role::Primary { timeline, read_only: true })
        }
        let overtaken = |timeline, newest| Err(NoPrimary::Overtaken { timeline, newest });
        let table = [
            (vec![on(1)], 0, Ok(0)),
            (vec![on(1), STANDBY], 1, Ok(0)),
            (vec![STANDBY, on(1)], 1, Ok(1)),
            // A standby was promoted, and the old one is still there.
            (vec![on(1), on(2)], 1, Ok(1)),
            (vec![on(1), on(2)], 2, Ok(1)),
            (vec![on(3), on(2)], 2, Ok(0)),
            (vec![shut(1), on(2)], 1, Ok(1)),
            (vec![SILENT, on(2)], 1, Ok(1)),
            (vec![STANDBY, SILENT, on(7)], 5, Ok(2)),
            // The promoted one is away, or takes nothing.
            (vec![on(1), SILENT], 1, Ok(0)),
            (vec![on(1), SILENT], 2, overtaken(1, 2)),
            (vec![on(1), STANDBY], 2, overtaken(1, 2)),
            (vec![on(1), shut(2)], 1, overtaken(1, 2)),
            (vec![on(1), on(2), SILENT], 3, overtaken(2, 3)),
            // Nobody can be written to.
            (vec![shut(1), STANDBY], 1, Err(NoPrimary::ReadOnly)),
            (vec![SILENT, STANDBY], 1, Err(NoPrimary::ReadOnly)),
            (vec![SILENT, SILENT], 0, Err(NoPrimary::ReadOnly)),
            // Two were promoted at once, and nobody knows which is right: all take the one that is named first.
            (vec![on(1), on(2), on(2)], 2, Ok(1)),
        ];
        for (roles, newest, expected) in table {
            assert_eq!(primary(&roles, newest), expected, "{roles:?}, {newest}");
        }
    }
}
