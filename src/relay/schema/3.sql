-- The commands of operators that were carried out, each until its end (`exp`, seconds since 1970) is over. So nobody can have one
-- carried out twice.
CREATE TABLE commands (
    jti  TEXT PRIMARY KEY,
    what TEXT NOT NULL,
    exp  INTEGER NOT NULL,
    sum  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, or none yet: the latest time of a right clock at which a command was taken. What had ended by then is over for good,
-- whatever the clock says later. So it need not be remembered.
CREATE TABLE commands_over (
    id  INTEGER PRIMARY KEY CHECK (id = 1),
    at  INTEGER NOT NULL,
    sum TEXT NOT NULL
) STRICT;

CREATE TRIGGER commands_stay BEFORE UPDATE ON commands BEGIN SELECT RAISE(ABORT, 'a command is carried out once'); END;
CREATE TRIGGER commands_are_kept BEFORE DELETE ON commands WHEN NOT EXISTS (SELECT 1 FROM commands_over WHERE at >= old.exp)
BEGIN SELECT RAISE(ABORT, 'a command is remembered until its end is over'); END;
CREATE TRIGGER commands_over_goes_forward BEFORE UPDATE ON commands_over WHEN new.at < old.at
BEGIN SELECT RAISE(ABORT, 'what is over stays over'); END;
CREATE TRIGGER commands_over_is_kept BEFORE DELETE ON commands_over BEGIN SELECT RAISE(ABORT, 'what is over stays over'); END;
