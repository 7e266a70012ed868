"""His own modules, compiled so that every expression says what it was when it ran."""
