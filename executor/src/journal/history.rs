//! What limits are judged from.
