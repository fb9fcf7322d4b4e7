package token

// What tests know of own tokens.
const (
	MaxLife   = maxLife
	OwnIssuer = ownIssuer
)
