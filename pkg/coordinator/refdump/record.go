package refdump

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rangefleet/rangefleet/pkg/catalog"
	"github.com/rangefleet/rangefleet/pkg/table"
)

// Field numbers of lakeFS's messages.
const (
	refID       = 1 // of BranchData and TagData: string
	refCommitID = 2 // string

	commitID          = 1 // of CommitData: string
	commitCommitter   = 2 // string
	commitMessage     = 3 // string
	commitCreated     = 4 // Timestamp
	commitMetarangeID = 5 // string
	commitMetadata    = 6 // map of strings
	commitParents     = 7 // repeated string
	commitVersion     = 8 // int32
	commitGeneration  = 9 // int32

	timestampSeconds = 1 // of Timestamp: int64

	mapKey   = 1
	mapValue = 2
)

// version is that of all commits: their first parent is the branch that they were made on.
const version = 1

// branchRecord returns the record of a branch. Whether it is hidden is not in a dump of lakeFS.
func branchRecord(b catalog.Branch) table.Record { return refRecord(b.Name, b.CommitID) }

func tagRecord(t catalog.Tag) table.Record { return refRecord(t.Name, t.CommitID) }

func refRecord(name, commit string) table.Record {
	return record(name, commit, appendText(appendText(nil, refID, name), refCommitID, commit))
}

func commitRecord(c catalog.Commit) table.Record {
	data := appendText(nil, commitID, c.ID)
	data = appendText(data, commitCommitter, c.Committer)
	data = appendText(data, commitMessage, c.Message)
	data = appendMessage(data, commitCreated, appendInt(nil, timestampSeconds, c.Created.Unix()))
	data = appendText(data, commitMetarangeID, c.MetarangeID)
	for _, name := range slices.Sorted(maps.Keys(c.Metadata)) {
		pair := appendMessage(nil, mapKey, []byte(name))
		data = appendMessage(data, commitMetadata, appendMessage(pair, mapValue, []byte(c.Metadata[name])))
	}
	for _, parent := range c.Parents {
		data = appendMessage(data, commitParents, []byte(parent))
	}
	data = appendInt(data, commitVersion, version)
	return record(c.ID, c.ID, appendInt(data, commitGeneration, int64(c.Generation)))
}

// record returns a record. In all of them, the ID of the commit is the identity.
func record(key, commit string, data []byte) table.Record {
	return table.Record{Key: []byte(key), Value: table.AppendValue(nil, []byte(commit), data)}
}

// Fields with the value zero are omitted, as in all of proto3.

func appendText(dst []byte, num protowire.Number, text string) []byte {
	if text == "" {
		return dst
	}
	return appendMessage(dst, num, []byte(text))
}

func appendInt(dst []byte, num protowire.Number, n int64) []byte {
	if n == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, num, protowire.VarintType), uint64(n))
}

// appendMessage appends a field even if it is empty.
func appendMessage(dst []byte, num protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, num, protowire.BytesType), data)
}
