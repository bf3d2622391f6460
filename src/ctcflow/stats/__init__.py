"""Statistics on plain arrays: functions here know no AnnData, no pydantic and no logging."""
