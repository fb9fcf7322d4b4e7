package keyset

// MaxLen is the most keys of a set.
const MaxLen = maxLen
