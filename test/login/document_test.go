package login_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/rangefleet/rangefleet/internal/expect"
)

// document is a section of docs/access.md, with its blocks in order.
type document struct {
	t      *testing.T
	blocks []block
}

type block struct{ language, text string }

var fenced = regexp.MustCompile("(?ms)^( *)```(\\w+)\n(.*?)^ *```$")

// newDocument returns the section with a title. In its blocks, texts are replaced by those of the
// test: the pairs are oldnew.
func newDocument(t *testing.T, title string, oldnew ...string) document {
	t.Helper()
	text, err := os.ReadFile("../../docs/access.md")
	expect.NoError(t, err)
	_, section, ok := strings.Cut(string(text), "\n"+title+"\n")
	if !ok {
		t.Fatalf("docs/access.md has no section %q", title)
	}
	section, _, _ = strings.Cut(section, "\n##")
	d := document{t: t}
	for _, m := range fenced.FindAllStringSubmatch(section, -1) {
		lines := strings.ReplaceAll("\n"+m[3], "\n"+m[1], "\n")[1:]
		d.blocks = append(d.blocks, block{m[2], strings.NewReplacer(oldnew...).Replace(lines)})
	}
	return d
}

// take removes the next block of a language, and returns its text.
func (d *document) take(language string) string {
	d.t.Helper()
	for i, b := range d.blocks {
		if b.language == language {
			d.blocks = append(d.blocks[:i:i], d.blocks[i+1:]...)
			return b.text
		}
	}
	d.t.Fatalf("docs/access.md has no further block of %s", language)
	return ""
}
