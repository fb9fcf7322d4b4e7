package auth

// ErrToken is what Open returns for a token that it does not accept.
var ErrToken = errToken
