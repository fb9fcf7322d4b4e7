package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	chapter   = regexp.MustCompile(`(?m)^## (.*)$`)
	promql    = regexp.MustCompile("(?s)```promql\n(.*?)```")
	docLink   = regexp.MustCompile(`\]\(([\w./-]+)(?:#([\w-]+))?\)`)
	boardLink = regexp.MustCompile(`On the board \[\w+\]\([\w./]*/([\w-]+)\.json\), look at ([^\n]*)\.`)
	quoted    = regexp.MustCompile(`"([^"]+)"`)
)

// Each alert has a runbook, and each runbook an alert. It has its four parts, queries of metrics that
// there are, panels of a board, and links that lead somewhere.
func TestRunbooks(t *testing.T) {
	known, all := documented(t), boards(t)
	var names []string
	for _, a := range alerts(t).all() {
		names = append(names, a.Alert+".md")
		runbook(t, a.Alert, known, all)
	}
	entries, err := os.ReadDir("../../docs/runbooks")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(names, e.Name()) {
			t.Errorf("docs/runbooks/%s is of no alert", e.Name())
		}
	}
}

func runbook(t *testing.T, name string, known map[string]bool, all []board) {
	t.Helper()
	text := string(document(t, "runbooks/"+name+".md"))
	if !strings.HasPrefix(text, "# "+name+"\n") {
		t.Errorf("%s: its title is another one", name)
	}
	var chapters []string
	for _, c := range chapter.FindAllStringSubmatch(text, -1) {
		chapters = append(chapters, c[1])
	}
	if want := []string{"Meaning", "Impact", "Diagnosis", "What to do"}; !slices.Equal(chapters, want) {
		t.Errorf("%s: its chapters are %q, want %q", name, chapters, want)
	}
	queries := promql.FindAllStringSubmatch(text, -1)
	if len(queries) < 2 {
		t.Errorf("%s: it has %d queries", name, len(queries))
	}
	for _, q := range queries {
		expr, err := parse1(q[1])
		if err != nil {
			t.Errorf("%s: %s: %v", name, q[1], err)
			continue
		}
		for _, metric := range metricsOf(expr) {
			if !known[family(metric)] {
				t.Errorf("%s: there is no metric %s", name, metric)
			}
		}
	}
	checkLinks(t, "runbooks/"+name+".md", text)
	checkBoard(t, name, text, all)
}

// checkLinks checks that the links of a document of docs/ lead to files and headlines.
func checkLinks(t *testing.T, name, text string) {
	t.Helper()
	for _, l := range docLink.FindAllStringSubmatch(text, -1) {
		target, err := os.ReadFile(filepath.Join("../../docs", filepath.Dir(name), l[1]))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l[2] != "" && !slices.Contains(anchors(string(target)), l[2]) {
			t.Errorf("%s: %s has no headline %s", name, l[1], l[2])
		}
	}
}

// anchors returns the names by which links refer to the headlines of a document.
func anchors(text string) (all []string) {
	for _, h := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		plain := regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(h[1]), "")
		all = append(all, strings.ReplaceAll(plain, " ", "-"))
	}
	return all
}

// checkBoard checks that a runbook names panels that are on its board.
func checkBoard(t *testing.T, name, text string, all []board) {
	t.Helper()
	found := boardLink.FindStringSubmatch(text)
	if found == nil {
		t.Errorf("%s: it names no board and panels", name)
		return
	}
	at := slices.IndexFunc(all, func(b board) bool { return b.UID == found[1] })
	if at < 0 {
		t.Errorf("%s: there is no board %s", name, found[1])
		return
	}
	for _, title := range quoted.FindAllStringSubmatch(found[2], -1) {
		if !slices.ContainsFunc(all[at].Panels, func(p panel) bool { return p.Title == title[1] && p.Type != "row" }) {
			t.Errorf("%s: the board %s has no panel %q", name, found[1], title[1])
		}
	}
}

// docs/operating.md leads from symptoms to each alert, and to panels that are there.
func TestOperatingNamesEveryAlert(t *testing.T) {
	text, all := string(document(t, "operating.md")), boards(t)
	checkLinks(t, "operating.md", text)
	for _, a := range alerts(t).all() {
		if !strings.Contains(text, "](runbooks/"+a.Alert+".md)") {
			t.Errorf("it does not name %s", a.Alert)
		}
	}
	rows := regexp.MustCompile(`\| \[\w+\]\([\w./]*/([\w-]+)\.json\): (.*?) \|`).FindAllStringSubmatch(text, -1)
	if len(rows) < 5 {
		t.Fatalf("it names %d boards", len(rows))
	}
	for _, row := range rows {
		at := slices.IndexFunc(all, func(b board) bool { return b.UID == row[1] })
		if at < 0 {
			t.Errorf("there is no board %s", row[1])
			continue
		}
		for _, title := range quoted.FindAllStringSubmatch(row[2], -1) {
			if !slices.ContainsFunc(all[at].Panels, func(p panel) bool { return p.Title == title[1] && p.Type != "row" }) {
				t.Errorf("the board %s has no panel %q", row[1], title[1])
			}
		}
	}
}
