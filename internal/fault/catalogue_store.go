package fault

// Faults of the database that keeps the server's resources.
const (
	// DatabaseUnusable means that the database cannot be opened. Arguments: the database, the error.
	DatabaseUnusable Code = "ERR_CULVERT_1600"
	// DatabaseNewer means that a later program made the database. Arguments: the database, its schema, ours.
	DatabaseNewer Code = "ERR_CULVERT_1601"
	// DatabaseUnavailable means that the database cannot be written or read now.
	DatabaseUnavailable Code = "ERR_CULVERT_1602"
	// DatabaseFull means that the disk of the database is full.
	DatabaseFull Code = "ERR_CULVERT_1603"
	// BackupUnusable means that a backup cannot be restored. Arguments: the backup, the line, what is wrong there.
	BackupUnusable Code = "ERR_CULVERT_1604"
	// DatabaseNotEmpty means that a backup would be mixed with what is there. Arguments: the database.
	DatabaseNotEmpty Code = "ERR_CULVERT_1605"
	// DatabaseDamaged means that a check has found what does not fit together. Arguments: the database, how much.
	DatabaseDamaged Code = "ERR_CULVERT_1606"
	// DatabaseTaken means that another server runs on the database. Argument: the database.
	DatabaseTaken Code = "ERR_CULVERT_1609"
	// BackupExists means that a backup would replace a file. Argument: the file.
	BackupExists Code = "ERR_CULVERT_1607"
	// OldKeyInUse means that older master keys are not dropped, because values came with them. Argument: how many.
	OldKeyInUse Code = "ERR_CULVERT_1608"
)

func storeEntries() []Entry {
	return []Entry{
		{
			Code: DatabaseUnusable, Status: 0, Title: "The database cannot be used",
			Message: "The database %s cannot be used: %s.",
			Remedy:  "Check that it exists and that the server's user may read and write it. culvertd db check tells more; culvertd restore brings back a backup.",
		},
		{
			Code: DatabaseNewer, Status: 0, Title: "The database was made by a later version",
			Message: "The database %s has schema %d, and this version of culvertd knows schemas up to %d. Nothing was changed.",
			Remedy:  "Start the version that wrote it last, or restore the backup that was made before the upgrade with culvertd restore.",
		},
		{
			Code: DatabaseUnavailable, Status: 503, Title: "The database is not available",
			Message: "The server's database is not available at the moment.",
			Remedy:  "Try again in a moment, and see first whether the change was made: the database may have been lost just after it. Endpoints that are online go on meanwhile; the server's log says what is wrong.",
		},
		{
			Code: BackupUnusable, Status: 0, Title: "The backup cannot be restored",
			Message: "The backup %s cannot be restored. Line %d: %s. Nothing was changed.",
			Remedy:  "Take another backup, or copy this one again from where it came.",
		},
		{
			Code: BackupExists, Status: 0, Title: "There is such a file already",
			Message: "The file %s exists. Nothing was written.",
			Remedy:  "Name another file for the backup, or add --force to replace this one once the backup is complete.",
		},
		{
			Code: OldKeyInUse, Status: 0, Title: "An older master key is in use",
			Message: "Secrets that were sealed with an older master key after the rotation: %d. They are sealed with the newest one now, and no key was removed.",
			Remedy:  "A server that runs may not have read the new key, which its log says: see that it can read the key file. Then run the command again.",
		},
		{
			Code: DatabaseTaken, Status: 0, Title: "Another server runs on the database",
			Message: "Another culvertd has hold of the database %s, and two would hand out the same names.",
			Remedy:  "Stop the other one first, or give this one a database of its own with CULVERTD_DATABASE_URL. After the crash of a machine, PostgreSQL takes up to half a minute to notice.",
		},
		{
			Code: DatabaseNotEmpty, Status: 0, Title: "The database is not empty",
			Message: "The database %s holds documents already. Nothing was changed.",
			Remedy:  "A backup is restored into an empty database: name a new data directory with --data-dir, or a new database with CULVERTD_DATABASE_URL.",
		},
		{
			Code: DatabaseDamaged, Status: 0, Title: "The database is damaged",
			Message: "The database %s is damaged: %d problems were found.",
			Remedy:  "Keep a copy of its files, and restore the last good backup into an empty database with culvertd restore. Look after the disk and the memory of the machine.",
		},
		{
			Code: DatabaseFull, Status: 503, Title: "The disk of the database is full",
			Message: "The disk of the server's database is full. Nothing was changed.",
			Remedy:  "Make room on the disk of the data directory and try again. Endpoints that are online go on meanwhile.",
		},
	}
}
