package ctl

import (
	"time"

	"github.com/rangefleet/rangefleet/pkg/api"
)

// The kinds of results, apart from kindStatus and kindSummary.
const (
	kindImport     kind = "import"
	kindRepository kind = "repository"
	kindBranch     kind = "branch"
	kindCommit     kind = "commit"
	kindObject     kind = "object"
	kindUser       kind = "user"
	kindKey        kind = "access_key"
	kindSession    kind = "session"
	kindRange      kind = "range"
	kindDifference kind = "difference"
	kindCheck      kind = "check"
	kindSource     kind = "source"
	kindFile       kind = "file"
)

// seconds is a time in Unix seconds. In JSON it is text, in RFC 3339 and UTC. 0 is a time that
// is not known, and is left out.
type seconds int64

// MarshalText implements encoding.TextMarshaler.
func (s seconds) MarshalText() ([]byte, error) { return []byte(instant(int64(s))), nil }

// asJSON returns a result as JSON has it. The API has times of its own as numbers, and two
// spellings of one field; lines of JSON have one form of time, and one spelling.
func asJSON(result any) any {
	switch r := result.(type) {
	case api.Commit:
		return commitOf(r)
	case api.Repository:
		return struct {
			api.Repository
			CreationDate seconds `json:"creation_date,omitzero"`
		}{r, seconds(r.CreationDate)}
	case api.ObjectStats:
		return struct {
			api.ObjectStats
			Mtime seconds `json:"mtime,omitzero"`
		}{r, seconds(r.Mtime)}
	case api.User:
		return struct {
			api.User
			CreationDate seconds `json:"creation_date,omitzero"`
		}{r, seconds(r.CreationDate)}
	case api.Credentials:
		return struct {
			api.Credentials
			CreationDate seconds `json:"creation_date,omitzero"`
		}{r, seconds(r.CreationDate)}
	case api.CredentialsWithSecret:
		return struct {
			api.CredentialsWithSecret
			CreationDate seconds `json:"creation_date,omitzero"`
		}{r, seconds(r.CreationDate)}
	case api.Session:
		return struct {
			api.Session
			CreationDate   seconds `json:"creation_date,omitzero"`
			ExpirationDate seconds `json:"expiration_date,omitzero"`
		}{r, seconds(r.CreationDate), seconds(r.ExpirationDate)}
	case api.SourceDifference:
		return struct {
			api.SourceDifference
			Mtime seconds `json:"mtime,omitzero"`
		}{r, seconds(r.Mtime)}
	case api.Import:
		return importOf(r)
	}
	return result
}

// commit is a commit, as JSON.
type commit struct {
	ID           string           `json:"id"`
	Message      string           `json:"message"`
	Committer    string           `json:"committer"`
	CreationDate seconds          `json:"creation_date,omitzero"`
	MetarangeID  string           `json:"metarange_id"`
	Parents      []string         `json:"parents"`
	Metadata     api.UserMetadata `json:"metadata,omitempty"`
	Generation   int64            `json:"generation"`
}

func commitOf(c api.Commit) commit {
	return commit{
		ID: c.ID, Message: c.Message, Committer: c.Committer, CreationDate: seconds(c.CreationDate),
		MetarangeID: c.MetaRangeID, Parents: c.Parents, Metadata: c.Metadata, Generation: c.Generation,
	}
}

// importOf returns an import of a list, as JSON: with the error as in a summary.
func importOf(i api.Import) any {
	return struct {
		api.Import
		Error        string `json:"error,omitempty"`
		CreationDate string `json:"creation_date"`
		UpdateTime   string `json:"update_time"`
	}{i, why(i.Error), i.CreationDate.UTC().Format(time.RFC3339), i.UpdateTime.UTC().Format(time.RFC3339)}
}
