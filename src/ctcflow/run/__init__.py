"""Run folders: creating, checking, running, recovering and explaining them."""
