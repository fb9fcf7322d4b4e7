package docnames

import (
	"regexp"
	"strings"
)

// row is one of a table whose last column has the tests of what the first one says.
type row struct{ what, tests string }

// testedRows returns the rows of all tables of a text whose last column is "tests".
func testedRows(text string) (rows []row) {
	tested := false
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		last := strings.TrimSpace(cells[len(cells)-1])
		switch {
		case !strings.HasPrefix(line, "|"):
			tested = false
		case last == "tests":
			tested = true
		case tested && strings.Trim(last, "-") != "":
			rows = append(rows, row{strings.TrimSpace(cells[0]), last})
		}
	}
	return rows
}

// untested returns what is wrong with the tests of a row.
func (t *tree) untested(r row, makefile string) (faults []string) {
	names := span.FindAllStringSubmatch(r.tests, -1)
	if len(names) == 0 {
		return []string{"it names no test"}
	}
	for _, match := range names {
		name := match[1]
		pkg, test, dot := strings.Cut(name, ".")
		target, isTarget := strings.CutPrefix(name, "make ")
		switch {
		case isTarget && !regexp.MustCompile(`(?m)^`+regexp.QuoteMeta(target)+`:`).MatchString(makefile):
			faults = append(faults, "there is no "+name)
		case isTarget:
		case !dot || !strings.HasPrefix(test, "Test"):
			faults = append(faults, name+" is no test")
		case !t.packages[pkg][test]:
			faults = append(faults, "there is no "+name)
		}
	}
	return faults
}
