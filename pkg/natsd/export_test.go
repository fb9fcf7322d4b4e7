package natsd

// ErrLocked is the error of Start on a directory that another server uses.
var ErrLocked = errLocked
