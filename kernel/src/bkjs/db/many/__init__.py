"""More than one row or request at a time: scans, batches, joins, replacing, migrating, files."""
