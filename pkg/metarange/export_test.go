package metarange

// ErrNotFound is errNotFound, for tests that distinguish it from the error of a missing file.
var ErrNotFound = errNotFound
