package metarange

// ErrNotFound is errNotFound for tests, which tell it from that of a missing file.
var ErrNotFound = errNotFound
