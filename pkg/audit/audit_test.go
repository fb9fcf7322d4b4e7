package audit

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rangefleet/rangefleet/internal/seeded"
	"github.com/rangefleet/rangefleet/pkg/access"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 123456789, time.FixedZone("", 3600))

func TestLines(t *testing.T) {
	for want, e := range map[string]Event{
		`{"time":"2026-03-04T11:00:00.123456789Z","request_id":"r1","operation":"importStart","user":"ann","credential":{"kind":"access_key","id":"AK1"},` +
			`"client":"192.0.2.1","repository":"lake","branch":"main","sources":["s3://b/a&b/"],"destinations":["d/"],"import":"i1","outcome":"allowed","code":202}`: {
			Time: noon, RequestID: "r1", Operation: "importStart", User: "ann", Client: "192.0.2.1",
			Credential: CredentialOf(access.Credential{Kind: access.AccessKey, ID: "AK1"}),
			Resources:  Resources{Repository: "lake", Branch: "main", Sources: []string{"s3://b/a&b/"}, Destinations: []string{"d/"}, Import: "i1"},
			Outcome:    Allowed, Code: 202,
		},
		`{"time":"2026-03-04T11:00:00.123456789Z","operation":"deleteTag","credential":{"kind":"session","id":"e8bc163c82eee187"},"tag":"v1","outcome":"denied","code":401,"reason":"no"}`: {
			Time: noon, Operation: "deleteTag", Credential: CredentialOf(access.Credential{Kind: access.Session, ID: "s1"}),
			Resources: ResourcesOf(access.Request{Tag: "v1"}), Outcome: Denied, Code: 401, Reason: "no",
		},
		`{"time":"2026-03-04T11:00:00.123456789Z","operation":"reloadRules","file":"a\nb\u001b[2J\u007f\u0085\u202e\ud83d\ude00\udb40\udc01é\"\\\ufffd","outcome":"failed"}`: {
			Time: noon, Operation: OperationReload, Outcome: Failed,
			Resources: Resources{File: "a\nb\x1b[2J\x7f\u0085\u202e\U0001f600\U000e0001é\"\\\xff"},
		},
	} {
		got := string(e.line())
		want = strings.ReplaceAll(want, `\ud83d\ude00`, "\U0001f600") // which is printable
		if got != want+"\n" {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// The IDs of sessions and tokens would let nobody in, but they are in no line either.
func TestSessionsAreNamedByDigests(t *testing.T) {
	const id = "0123456789abcdef"
	session, token := CredentialOf(access.Credential{Kind: access.Session, ID: id}), CredentialOf(access.Credential{Kind: access.Token, ID: id})
	if session.ID != token.ID || len(session.ID) != 16 || session.ID == id || session.Kind == token.Kind {
		t.Errorf("%+v and %+v", session, token)
	}
	if c := CredentialOf(access.Credential{Kind: access.Session}); *c != (Credential{Kind: access.Session}) {
		t.Errorf("a session that is not known is %+v", c)
	}
	if c := CredentialOf(access.Credential{}); c != nil {
		t.Errorf("no credential is %+v", c)
	}
}

// Whatever strangers send, a line is a line: printable, bounded, and JSON.
func TestLinesAreBounded(t *testing.T) {
	rnd := seeded.Rand(t)
	hostile := func() string {
		characters := []string{"\n", "\x00", "\x7f", "\u0085", "\u2028", "\u202e", "\xff", "\U000e0001", `"`, `\`, "<", "a", "é", "\U0010ffff"}
		return strings.Repeat(characters[rnd.IntN(len(characters))]+"\x01"[:rnd.IntN(2)], rnd.IntN(1500))
	}
	for range 50 {
		e := Event{
			Time: noon, RequestID: hostile(), Operation: hostile(), User: hostile(), Client: hostile(), Reason: hostile(), Code: 401, Outcome: Denied,
			Credential: &Credential{Kind: access.AccessKey, ID: hostile()},
			Resources: Resources{
				Repository: hostile(), Namespace: hostile(), Branch: hostile(), Tag: hostile(), Key: hostile(),
				Import: hostile(), TargetUser: hostile(), AccessKeyID: hostile(), Group: hostile(), Policy: hostile(), File: hostile(),
			},
		}
		n := rnd.IntN(12_000)
		for range n {
			e.Sources, e.Destinations = append(e.Sources, hostile()[:0]), append(e.Destinations, "x")
		}
		e.Sources = append(e.Sources, hostile())
		line := string(e.line())
		text, ok := strings.CutSuffix(line, "\n")
		if !ok || len(line) > maxLine || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("%d bytes: %.300q", len(line), line)
		}
		var back Event
		if err := json.Unmarshal([]byte(line), &back); err != nil {
			t.Fatal(err)
		}
		if got := len(back.Sources) + len(back.Destinations) + back.LeftOut; got != 2*n+1 {
			t.Errorf("%d sources and destinations, want %d", got, 2*n+1)
		}
	}
}

// Every text of a line is cut, at the start of a character, and shows no login of a URL.
func TestTextsAreCut(t *testing.T) {
	const long, login = 700, "see https://ann:hunter2@example.com/x"
	check := func(name, is string, was string) {
		t.Helper()
		switch {
		case was == login && (strings.Contains(is, "hunter2") || !strings.Contains(is, "example.com")):
			t.Errorf("%s: %q", name, is)
		case was != login && (!strings.HasSuffix(is, "é...") || len(is) > maxText || len(is) < maxText-3):
			t.Errorf("%s: %d bytes that end %q", name, len(is), is[max(0, len(is)-6):])
		}
	}
	for _, text := range []string{strings.Repeat("é", long), "x" + strings.Repeat("é", long), login} {
		e := Event{Credential: &Credential{access.AccessKey, text}, Resources: Resources{Sources: []string{text}, Destinations: []string{text}}}
		for _, field := range e.texts() {
			*field = text
		}
		var back Event
		if err := json.Unmarshal(e.line(), &back); err != nil {
			t.Fatal(err)
		}
		for i, field := range back.texts() {
			check(fmt.Sprintf("text %d", i), *field, text)
		}
		check("credential", back.Credential.ID, text)
		check("source", back.Sources[0], text)
		check("destination", back.Destinations[0], text)
		if back.LeftOut != 0 || e.User != text || e.Credential.ID != text {
			t.Errorf("%d left out, or the event itself is changed", back.LeftOut)
		}
	}
}

// Of each list, what is over maxList is left out and counted.
func TestListsAreCut(t *testing.T) {
	for _, lists := range [][2]int{{maxList, 0}, {0, maxList}, {maxList, maxList}} {
		var back Event
		e := Event{Resources: Resources{Sources: make([]string, lists[0]+10), Destinations: make([]string, lists[1]+10)}}
		if err := json.Unmarshal(e.line(), &back); err != nil {
			t.Fatal(err)
		}
		if want := (lists[0] + lists[1]) / maxList * 10; back.LeftOut != want {
			t.Errorf("of %v, %d are left out, want %d", lists, back.LeftOut, want)
		}
	}
}

// FuzzLine looks for texts that make a line more or less than a line of JSON with these texts.
func FuzzLine(f *testing.F) {
	for _, text := range []string{"", "a\nb", "\x1b[2J\x7f", "\u202e\U000e0001", "\xff", `"}`, "<&>", strings.Repeat("é", 600)} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, user, source string) {
		line := string(Event{Operation: "importStart", User: user, Resources: Resources{Sources: []string{source}}, Outcome: Denied}.line())
		text, ok := strings.CutSuffix(line, "\n")
		if !ok || len(line) > maxLine || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", line)
		}
		var back Event
		if err := json.Unmarshal([]byte(line), &back); err != nil {
			t.Fatal(err)
		}
		if same := utf8.ValidString(user) && len(user) <= maxText; same && back.User != user {
			t.Errorf("%q becomes %q", user, back.User)
		}
	})
}
