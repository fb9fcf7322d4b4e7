// Package audit keeps a record of who did what, and of who tried to: one line of JSON for each
// event. A Log writes the lines beside those who record them, and never makes them wait or fail.
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/pkg/access"
	"github.com/rangefleet/rangefleet/pkg/redact"
)

// Outcome says how an event ended.
type Outcome string

// The outcomes.
const (
	Allowed Outcome = "allowed" // it was done
	Denied  Outcome = "denied"  // whoever asked for it is unknown, or may not do it
	Failed  Outcome = "failed"  // anything else kept it from being done
)

// Event is one line of the audit log.
type Event struct {
	Time       time.Time   `json:"time"`
	RequestID  string      `json:"request_id,omitempty"`
	Operation  string      `json:"operation"`      // as api/openapi.yaml names it, or one of the Operation constants
	User       string      `json:"user,omitempty"` // "": nobody is known
	Credential *Credential `json:"credential,omitempty"`
	Client     string      `json:"client,omitempty"` // address
	Resources
	Outcome Outcome `json:"outcome"`
	Code    int     `json:"code,omitempty"`   // of the answer, an HTTP status
	Reason  string  `json:"reason,omitempty"` // of an event that is not Allowed
}

// Operations that are none of the API's documentation.
const (
	OperationOther        = "other"        // a path that no operation has
	OperationLogout       = "logout"       // by POST /logout
	OperationBrowserLogin = "browserLogin" // at an identity provider
	OperationCommit       = "importCommit" // of an import, by a coordinator
	OperationReload       = "reloadRules"  // of access.file
)

// Resources are what an event is about.
type Resources struct {
	Repository   string   `json:"repository,omitempty"`
	Namespace    string   `json:"storage_namespace,omitempty"`
	Branch       string   `json:"branch,omitempty"` // or another ref
	Tag          string   `json:"tag,omitempty"`
	Key          string   `json:"key,omitempty"`
	Sources      []string `json:"sources,omitempty"` // URIs
	Destinations []string `json:"destinations,omitempty"`
	LeftOut      int      `json:"left_out,omitempty"` // sources and destinations that do not fit into a line
	Import       string   `json:"import,omitempty"`
	TargetUser   string   `json:"target_user,omitempty"`
	AccessKeyID  string   `json:"target_access_key_id,omitempty"`
	Group        string   `json:"group,omitempty"`
	Policy       string   `json:"policy,omitempty"`
	File         string   `json:"file,omitempty"`
}

// ResourcesOf returns what a request names.
func ResourcesOf(r access.Request) Resources {
	all := Resources{
		Repository: r.Repository, Namespace: r.Namespace, Branch: r.Branch, Tag: r.Tag, Key: r.Key,
		TargetUser: r.User, Group: r.Group, Policy: r.Policy,
	}
	for _, p := range r.Paths {
		all.Sources, all.Destinations = append(all.Sources, p.Source), append(all.Destinations, p.Destination)
	}
	return all
}

// Credential names what a user showed.
type Credential struct {
	Kind access.CredentialKind `json:"kind"`
	ID   string                `json:"id,omitempty"`
}

// CredentialOf returns the name of a credential, nil if there is none. The ID of an access key is
// no secret. That of a session or a token is replaced by a digest, which is the same in all lines.
func CredentialOf(c access.Credential) *Credential {
	switch {
	case c.Kind == "":
		return nil
	case c.Kind == access.AccessKey || c.ID == "":
		return &Credential{c.Kind, c.ID}
	}
	digest := sha256.Sum256([]byte(c.ID))
	return &Credential{c.Kind, hex.EncodeToString(digest[:8])}
}

// Bounds of a line in bytes, before characters are escaped. An escaped byte takes six.
const (
	maxText = 1024
	maxList = 8 << 10 // of sources, and of destinations
)

// maxLine is the length in bytes that no line exceeds.
const maxLine = 6*(17*maxText+2*maxList) + 4<<10

// line returns the event as a line of JSON, with its end. It shows no logins and signatures of URLs,
// which may be in what users send. Long texts end with "...", and what is
// no printable character is escaped, so that a line is one line on every terminal.
func (e Event) line() []byte {
	e.Time = e.Time.UTC()
	for _, text := range e.texts() {
		*text = cut(*text)
	}
	if e.Credential != nil {
		e.Credential = &Credential{e.Credential.Kind, cut(e.Credential.ID)}
	}
	var left [2]int
	e.Sources, left[0] = fit(e.Sources)
	e.Destinations, left[1] = fit(e.Destinations)
	e.LeftOut = left[0] + left[1]
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // lines are never HTML, and keys stay readable
	if err := enc.Encode(e); err != nil {
		panic(err) // an event has only texts and numbers
	}
	return append(printable(bytes.TrimSuffix(text.Bytes(), []byte{'\n'})), '\n')
}

// texts are those of an event that strangers choose.
func (e *Event) texts() []*string {
	return []*string{
		&e.RequestID, &e.Operation, &e.User, &e.Client, &e.Reason,
		&e.Repository, &e.Namespace, &e.Branch, &e.Tag, &e.Key, &e.Import, &e.TargetUser, &e.AccessKeyID, &e.Group, &e.Policy, &e.File,
	}
}

func cut(text string) string {
	text = redact.URLs(text)
	if len(text) <= maxText {
		return text
	}
	end := maxText - len("...")
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}

// fit returns the first texts that fit into a line, and how many do not.
func fit(texts []string) (fitting []string, left int) {
	for i, room := 0, maxList; i < len(texts); i++ {
		text := cut(texts[i])
		if room -= len(text) + 1; room < 0 {
			return fitting, len(texts) - i
		}
		fitting = append(fitting, text)
	}
	return fitting, 0
}

// printable escapes the characters of a JSON text that are not printable. Such characters are
// only within its strings.
func printable(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		switch {
		case unicode.IsPrint(r):
			out = utf8.AppendRune(out, r)
		case r <= 0xffff:
			out = appendEscaped(out, r)
		default:
			const first, half = 0xd800, 0x400 // UTF-16, as JSON has it
			out = appendEscaped(out, first+(r-0x10000)/half)
			out = appendEscaped(out, first+half+(r-0x10000)%half)
		}
	}
	return out
}

func appendEscaped(out []byte, unit rune) []byte {
	hex := strconv.FormatInt(int64(unit)+0x10000, 16) // five digits
	return append(append(out, '\\', 'u'), hex[1:]...)
}
