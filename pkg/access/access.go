// Package access decides who may do what. A caller has the policies that the rules attach to
// the caller and to its groups. An operation has needs: actions on resources. Grants are the
// policies of one caller; they allow a need or deny it.
//
// Names, resources, actions and policies are those of lakeFS. Needs for whole prefixes are not:
// an import reads all keys below a prefix, and replaces all keys below another one. What allows
// it must stand for each of these keys, and what denies one of them denies the import.
//
// All values are immutable once they are made, and safe for concurrent use.
package access

// Caller is an authenticated user.
type Caller struct {
	// User is the name of the user: a local one, or one that ExternalUser returned.
	User string `json:"user"`
	// Groups are those that an identity provider puts the user in, as Rules.Mapped returns
	// them. The groups that have the user as a member come from the rules.
	Groups []string `json:"groups,omitempty"`
	// Credential is what proved who the caller is.
	Credential Credential `json:"credential"`
}

// Credential names what a caller showed, so that it can be looked up again. It is no secret.
type Credential struct {
	Kind CredentialKind `json:"kind"`
	ID   string         `json:"id"`
}

// CredentialKind says what a credential is.
type CredentialKind string

// The kinds of credentials.
const (
	AccessKey CredentialKind = "access_key"
	Session   CredentialKind = "session"
	Token     CredentialKind = "token"
)
