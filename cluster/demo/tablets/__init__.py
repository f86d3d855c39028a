"""`atrium demo tablets`: two tablets and a board, cut off and brought together again, to the last edit."""
